//! Crashes of the leader, and the time until the next update is acknowledged.

use std::thread;
use std::time::{Duration, Instant};

use super::load::{Crew, File};
use crate::cli::error::CommandError;
use crate::cli::status::Statuses;
use crate::client::{Client, ServerStatus};
use crate::raft::RoleName;

/// The time between two looks at the servers.
const LOOKS: Duration = Duration::from_millis(20);

/// One crash of the leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failover {
    /// The server that led.
    pub(super) server: usize,
    /// From the crash to the next acknowledged update.
    pub(super) took: Duration,
    /// From the restore until the server had applied all that was committed.
    pub(super) caught_up: Duration,
}

/// The status of every server.
pub(super) async fn statuses(client: &mut Client) -> Statuses {
    client.at_each(async |server| server.status().await).await
}

/// Checks that a majority remains if the leader crashes.
pub(super) fn check(statuses: &Statuses, leader: &ServerStatus) -> Result<(), CommandError> {
    let others = voters(statuses, leader).count().saturating_sub(1);
    let all = statuses.len();
    if all / 2 < others {
        return Ok(());
    }
    Err(CommandError::error(format!(
        "--failovers crashes the leader, and then {others} of {all} servers would be up, which is no majority"
    )))
}

/// The servers that are up and count, with their ids.
fn voters<'a>(
    statuses: &'a Statuses,
    leader: &'a ServerStatus,
) -> impl Iterator<Item = (usize, &'a ServerStatus)> {
    let answered =
        statuses.iter().enumerate().filter_map(|(id, status)| Some((id, status.as_ref().ok()?)));
    answered.filter(|(_, status)| {
        status.role != RoleName::Crashed && leader.roster.contains(&status.id)
    })
}

/// Lets the leader crash once, with a client that updates the file at once at any server that leads. `crashed` names
/// the server as long as it is crashed.
pub(super) fn fail(
    crew: &Crew<'_>,
    file: &mut File,
    crashed: &mut Option<usize>,
    patience: Duration,
) -> Result<Failover, CommandError> {
    let mut client = crew.client();
    let leader = await_settled(crew, &mut client, None, patience)?;
    // The client is connected to the leader before it crashes, as one that has been calling.
    let hashes = crew.hashes(file.version.saturating_add(1));
    crew.wait(crew.update(&mut client, file, hashes))?;
    *crashed = Some(leader);
    let hashes = crew.hashes(file.version.saturating_add(1));
    let attempts = client.failed_attempts();
    let took = crew.wait(async {
        let began = Instant::now();
        if let Some(server) = client.servers().get_mut(leader) {
            server.crash().await?;
        }
        crew.update(&mut client, file, hashes).await?;
        Ok(began.elapsed())
    })?;
    if attempts == client.failed_attempts() {
        // The first attempt went to the crashed server, unless the client has learned of another leader before.
        return Err(CommandError::error(format!(
            "server {leader} no longer led when it was crashed, so no failover was measured; repeat the command"
        )));
    }
    let began = Instant::now();
    crew.wait(restore(&mut client, leader))?;
    *crashed = None;
    await_settled(crew, &mut client, Some(leader), patience)?;
    Ok(Failover { server: leader, took, caught_up: began.elapsed() })
}

/// Restores a server.
pub(super) async fn restore(client: &mut Client, id: usize) -> Result<(), CommandError> {
    match client.servers().get_mut(id) {
        Some(server) => Ok(server.restore().await?),
        None => Ok(()),
    }
}

/// Waits until a server leads, every server that is up counts and has applied all that was committed, and no election
/// waits for another server; the `needed` one must be up. Returns the leader's id.
fn await_settled(
    crew: &Crew<'_>,
    client: &mut Client,
    needed: Option<usize>,
    patience: Duration,
) -> Result<usize, CommandError> {
    let began = Instant::now();
    loop {
        let statuses = crew.wait(async { Ok(statuses(client).await) })?;
        let problem = match settled(&statuses, needed) {
            Ok(leader) => return Ok(leader),
            Err(problem) => problem,
        };
        if patience <= began.elapsed() {
            return Err(CommandError::no_leader(format!(
                "no failover is possible after {} s: {problem}",
                patience.as_secs_f64()
            )));
        }
        thread::sleep(LOOKS);
    }
}

/// The leader's id, or what is missing.
fn settled(statuses: &Statuses, needed: Option<usize>) -> Result<usize, String> {
    let up = || statuses.iter().flatten().filter(|status| status.role != RoleName::Crashed);
    let leader = up().filter(|status| status.leads()).max_by_key(|status| status.term);
    let leader = leader.ok_or("there is no leader")?;
    if leader.lacks_majority {
        return Err("no majority answers the leader".to_owned());
    }
    if let Some(id) = needed.filter(|id| voters(statuses, leader).all(|(voter, _)| voter != *id)) {
        return Err(format!("server {id} is not up, or does not count"));
    }
    for status in up() {
        let id = status.id;
        if !leader.roster.contains(&id) {
            return Err(format!("server {id} does not count yet"));
        }
        if status.last_applied < leader.commit_index {
            return Err(format!("server {id} is behind"));
        }
        if !status.waits_for.is_empty() {
            return Err(format!("an election of server {id} waits for servers that are not up"));
        }
    }
    check(statuses, leader).map_err(|error| error.message)?;
    let is_leader = |status: &Result<ServerStatus, _>| {
        status.as_ref().is_ok_and(|status| status.id == leader.id)
    };
    statuses.iter().position(is_leader).ok_or_else(|| "there is no leader".to_owned())
}
