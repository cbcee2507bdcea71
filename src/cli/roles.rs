//! The leader, and crashing and restoring servers.

use serde_json::{Value as Json, json};

use super::arguments::{Format, Which};
use super::error::CommandError;
use super::screen::{Screen, plain};
use super::status::{check_runs, majority};
use crate::client::blocking::{Client, wait};
use crate::client::{Error, RemoteServer};

/// `leader`
pub(super) fn leader(
    screen: &Screen,
    client: &mut Client,
    output: Format,
) -> Result<(), CommandError> {
    let (id, status) = client.leader()?;
    match output {
        Format::Table => screen.show(&plain(&status.address))?,
        Format::Json => screen.show_json(&json!({
            "id": id,
            "address": status.address,
            "term": status.term,
            "lacksMajority": status.lacks_majority,
        }))?,
    }
    majority(&status)
}

/// What was done to a server.
struct Deed {
    /// Whether it changed anything.
    is_new: bool,
    /// In words: what has happened, or why nothing has.
    told: &'static str,
}

/// `crash`
pub(super) fn crash(
    screen: &Screen,
    client: &mut Client,
    which: Which,
    output: Format,
) -> Result<(), CommandError> {
    let act = async |server: &mut RemoteServer| {
        let was_crashed = server.is_crashed().await?;
        server.crash().await?;
        let told = if was_crashed { "was already crashed" } else { "is crashed" };
        Ok(Deed { is_new: !was_crashed, told })
    };
    each(screen, client, which, output, act)
}

/// `restore`
pub(super) fn restore(
    screen: &Screen,
    client: &mut Client,
    which: Which,
    output: Format,
) -> Result<(), CommandError> {
    if which == Which::Leader {
        return Err(CommandError::usage(
            "`restore` takes a server id or `all`, because a leader is not crashed",
        ));
    }
    let act = async |server: &mut RemoteServer| {
        let was_crashed = server.is_crashed().await?;
        server.restore().await?;
        let told = if was_crashed { "is restored" } else { "was not crashed" };
        Ok(Deed { is_new: was_crashed, told })
    };
    each(screen, client, which, output, act)
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
    output: Format,
    act: impl AsyncFn(&mut RemoteServer) -> Result<Deed, Error>,
) -> Result<(), CommandError> {
    let (first, outcomes) = if which == Which::All {
        (0, client.at_each(act))
    } else {
        let id = the_one(client, which)?;
        (id, client.servers().get_mut(id).map(|server| wait(act(server))).into_iter().collect())
    };
    let mut ended = check_runs(client, &outcomes);
    let none_runs = ended.is_err();
    let mut done = Vec::new();
    let mut objects = Vec::new();
    for (id, outcome) in (first..).zip(outcomes) {
        let failed = match outcome {
            Ok(Deed { is_new, told }) => {
                done.push(format!("server {id} {told}"));
                objects.push(json!({ "id": id, "changed": is_new }));
                continue;
            }
            Err(error) => {
                objects.push(json!({ "id": id, "error": error.to_string() }));
                CommandError::from(error).at(&format!("server {id}"))
            }
        };
        if none_runs {
            continue;
        }
        if let Err(error) = std::mem::replace(&mut ended, Err(failed)) {
            screen.say(&format!("surfstore: {}", plain(&error.message)));
        }
    }
    let shown = match output {
        Format::Table if done.is_empty() => Ok(()),
        Format::Table => screen.show(&done.join("\n")),
        Format::Json => screen.show_json(&Json::Array(objects)),
    };
    ended.and(shown.map_err(|error| error.after(&done.join("; "))))
}
