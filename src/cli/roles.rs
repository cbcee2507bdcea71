//! The leader, and crashing and restoring servers.

use super::arguments::Which;
use super::error::CommandError;
use super::screen::{Screen, plain};
use super::status::majority;
use crate::client::blocking::{Client, wait};
use crate::client::{Error, RemoteServer};

/// `leader`
pub(super) fn leader(screen: &Screen, client: &mut Client) -> Result<(), CommandError> {
    let (_, status) = client.leader()?;
    screen.show(&plain(&status.address))?;
    majority(&status)
}

/// `crash`
pub(super) fn crash(
    screen: &Screen,
    client: &mut Client,
    which: Which,
) -> Result<(), CommandError> {
    each(screen, client, which, "is crashed", async |server| server.crash().await)
}

/// `restore`
pub(super) fn restore(
    screen: &Screen,
    client: &mut Client,
    which: Which,
) -> Result<(), CommandError> {
    if which == Which::Leader {
        return Err(CommandError::usage(
            "`restore` takes a server id or `all`, because a leader is not crashed",
        ));
    }
    each(screen, client, which, "is restored", async |server| server.restore().await)
}

/// The id of the one server that the argument names.
pub(super) fn the_one(client: &mut Client, which: Which) -> Result<usize, CommandError> {
    let count = client.servers().len();
    match which {
        Which::Id(id) if id < count => Ok(id),
        Which::Id(id) => Err(CommandError::usage(format!(
            "there is no server {id}; the configuration has 0 to {}",
            count.saturating_sub(1)
        ))),
        Which::Leader => Ok(client.leader()?.0),
        Which::All => Err(CommandError::usage("`--at` takes one server: an id or `leader`")),
    }
}

/// Applies a call to each server that the argument names, and reports each. Fails with the last one that could not be
/// reached.
fn each(
    screen: &Screen,
    client: &mut Client,
    which: Which,
    done: &str,
    act: impl AsyncFn(&mut RemoteServer) -> Result<(), Error>,
) -> Result<(), CommandError> {
    let outcomes = if which == Which::All {
        client.at_each(act).into_iter().enumerate().collect()
    } else {
        let id = the_one(client, which)?;
        let server = client.servers().get_mut(id);
        server.map(|server| (id, wait(act(server)))).into_iter().collect::<Vec<_>>()
    };
    let mut ended = Ok(());
    let mut shown = Ok(());
    for (id, outcome) in outcomes {
        let failed = match outcome {
            Ok(()) => {
                let done = format!("server {id} {done}");
                shown = shown.and_then(|()| screen.show(&done).map_err(|error| error.after(&done)));
                continue;
            }
            Err(error) => Err(CommandError::from(error)),
        };
        if let Err(error) = std::mem::replace(&mut ended, failed) {
            screen.say(&format!("surfstore: {}", plain(&error.message)));
        }
    }
    ended.and(shown)
}
