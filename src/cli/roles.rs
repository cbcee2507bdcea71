//! The leader, and servers that crash and come back.

use super::arguments::Which;
use super::failure::Failure;
use super::screen::Screen;
use crate::client::blocking::{Client, wait};
use crate::client::{Error, Server};

/// `leader`
pub(super) fn leader(screen: &Screen, client: &mut Client) -> Result<(), Failure> {
    let (_, status) = client.leader()?;
    screen.show(&status.address)
}

/// `crash`
pub(super) fn crash(screen: &Screen, client: &mut Client, which: Which) -> Result<(), Failure> {
    let ids = chosen(client, which)?;
    each(screen, client, &ids, "is crashed", async |server| server.crash().await)
}

/// `restore`
pub(super) fn restore(screen: &Screen, client: &mut Client, which: Which) -> Result<(), Failure> {
    if which == Which::Leader {
        return Err(Failure::usage("a leader is not crashed; expected a server's id or all"));
    }
    let ids = chosen(client, which)?;
    each(screen, client, &ids, "takes part", async |server| server.restore().await)
}

/// The ids of the servers that are meant.
fn chosen(client: &mut Client, which: Which) -> Result<Vec<usize>, Failure> {
    match which {
        Which::All => Ok((0..client.servers().len()).collect()),
        one => Ok(vec![the_one(client, one)?]),
    }
}

/// The id of the one server that is meant.
pub(super) fn the_one(client: &mut Client, which: Which) -> Result<usize, Failure> {
    let count = client.servers().len();
    match which {
        Which::Id(id) if id < count => Ok(id),
        Which::Id(id) => Err(Failure::usage(format!(
            "there is no server {id}; the configuration has 0 to {}",
            count.saturating_sub(1)
        ))),
        Which::Leader => Ok(client.leader()?.0),
        Which::All => Err(Failure::usage("one server is asked; expected its id or leader")),
    }
}

/// Does the same to these servers, tells of each, and fails with the last that could not be reached.
fn each(
    screen: &Screen,
    client: &mut Client,
    ids: &[usize],
    done: &str,
    act: impl AsyncFn(&mut Server) -> Result<(), Error>,
) -> Result<(), Failure> {
    let mut ended = Ok(());
    let mut shown = Ok(());
    for (id, server) in client.servers().iter_mut().enumerate().filter(|(id, _)| ids.contains(id)) {
        match wait(act(server)) {
            // Nobody may read what is shown; what was asked for is done all the same.
            Ok(()) => shown = shown.and_then(|()| screen.show(&format!("server {id} {done}"))),
            Err(error) => {
                if let Err(failure) = std::mem::replace(&mut ended, Err(Failure::from(error))) {
                    screen.say(&format!("surfstore: {}", failure.message.unwrap_or_default()));
                }
            }
        }
    }
    ended.and(shown)
}
