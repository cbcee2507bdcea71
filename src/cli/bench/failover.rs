//! Crashes of the leader, and the time until the next update is acknowledged.

use std::thread;
use std::time::{Duration, Instant};

use super::load::{Crew, File};
use crate::cli::error::CommandError;
use crate::cli::status::Statuses;
use crate::client::blocking::wait;
use crate::client::{Client, Error, Limits, RemoteServer, ServerStatus};
use crate::config::Address;
use crate::raft::RoleName;

/// The time between two looks at the servers.
const LOOKS: Duration = Duration::from_millis(20);

/// A look waits this fraction of the timeout for a server, so that there are several even if one has stopped.
const LOOKS_MIN: u32 = 8;

/// But it waits at least this long, because a busy server needs time to answer.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

/// After a look at all servers, those that did not answer are left out for this many times as long as it took.
const REST: u32 = 4;

/// One crash of the leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failover {
    /// The server that led.
    pub(super) server: usize,
    /// From the crash to the next acknowledged update.
    pub(super) took: Duration,
    /// From the restore until the server had applied all that was committed, if that was seen.
    pub(super) caught_up: Option<Duration>,
}

/// The failovers of a benchmark.
#[derive(Debug, Default)]
pub(super) struct Failovers {
    /// The server that was crashed and not restored.
    pub(super) crashed: Option<usize>,
    /// Whether its `crash()` got no answer, so that it may still come.
    pub(super) is_crash_open: bool,
    pub(super) measured: Vec<Failover>,
}

/// The status of every server. Those at the `silent` addresses are not asked, so that nothing waits for them.
pub(super) async fn statuses(client: &mut Client, silent: &[Address]) -> Statuses {
    let ask = async |server: &mut RemoteServer| {
        if silent.contains(server.address()) {
            return Err(Error::Unreachable(format!("{} did not answer before", server.address())));
        }
        server.status().await
    };
    client.at_each(ask).await
}

/// Looks at the servers again and again.
pub(super) struct Watch<'a> {
    crew: &'a Crew<'a>,
    client: Client,
    /// The addresses of the servers that are never asked.
    silent: &'a [Address],
    /// The addresses of the servers that did not answer at the last look.
    unheard: Vec<Address>,
    /// When to ask all servers again.
    all_at: Instant,
    /// How long to wait until the set has settled.
    patience: Duration,
}

impl<'a> Watch<'a> {
    pub(super) fn new(crew: &'a Crew<'a>, silent: &'a [Address], limits: Limits) -> Watch<'a> {
        let patience = limits.deadline;
        let attempt = limits.attempt.min(ATTEMPT_MIN.max(patience / LOOKS_MIN));
        Watch {
            crew,
            client: crew.client_with(Limits { attempt, ..limits }),
            silent,
            unheard: Vec::new(),
            all_at: Instant::now(),
            patience,
        }
    }

    /// The status of every server that answers. A server that has stopped is waited for at a few looks only, so that
    /// the others are seen as often as without it.
    fn look(&mut self) -> Result<Statuses, CommandError> {
        let began = Instant::now();
        if self.all_at <= began {
            self.unheard = self.silent.to_vec();
        }
        let Watch { crew, client, unheard, .. } = self;
        let statuses = crew.wait(async { Ok(statuses(client, unheard).await) })?;
        let all = self.client.servers().iter().zip(&statuses);
        let unheard = all.filter(|(_, status)| status.is_err());
        self.unheard = unheard.map(|(server, _)| server.address().clone()).collect();
        self.all_at = self.all_at.max(Instant::now() + REST * began.elapsed());
        Ok(statuses)
    }

    /// Waits until a server leads, every server that is up counts and has applied all that was committed, and no
    /// election waits for another server. The `needed` server must be up; without one, a majority must remain if the
    /// leader crashes. Returns the leader's id.
    fn await_settled(&mut self, needed: Option<usize>) -> Result<usize, CommandError> {
        let began = Instant::now();
        loop {
            let problem = match settled(&self.look()?, needed) {
                Ok(leader) => return Ok(leader),
                Err(problem) => problem,
            };
            if self.patience <= began.elapsed() {
                let seconds = self.patience.as_secs_f64();
                return Err(CommandError::no_leader(match needed {
                    Some(id) => {
                        format!("server {id} had not caught up after {seconds} s: {problem}")
                    }
                    None => format!("no failover is possible after {seconds} s: {problem}"),
                }));
            }
            thread::sleep(LOOKS);
        }
    }
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

/// Lets the leader crash once, with a client that updates the file at once at any server that leads.
pub(super) fn fail(
    crew: &Crew<'_>,
    watch: &mut Watch<'_>,
    file: &mut File,
    failovers: &mut Failovers,
) -> Result<(), CommandError> {
    let leader = watch.await_settled(None)?;
    let mut client = crew.client();
    // The client is connected to the leader before it crashes, as one that has been calling.
    let hashes = crew.hashes(file.version.saturating_add(1));
    crew.wait(crew.update(&mut client, file, hashes))?;
    failovers.crashed = Some(leader);
    let hashes = crew.hashes(file.version.saturating_add(1));
    let attempts = client.failed_attempts();
    let began = Instant::now();
    if let Some(server) = client.servers().get_mut(leader) {
        // A crash that was interrupted could come after the restore.
        let crashed = wait(server.crash());
        failovers.is_crash_open = crashed.is_err();
        crew.interruption().check()?;
        crashed?;
    }
    crew.wait(crew.update(&mut client, file, hashes))?;
    let took = began.elapsed();
    if attempts == client.failed_attempts() {
        // The first attempt went to the crashed server, unless the client has learned of another leader before.
        return Err(CommandError::error(format!(
            "server {leader} no longer led when it was crashed, so no failover was measured; repeat the command"
        )));
    }
    failovers.measured.push(Failover { server: leader, took, caught_up: None });
    let began = Instant::now();
    crew.wait(restore(&mut client, leader))?;
    failovers.crashed = None;
    watch.await_settled(Some(leader))?;
    if let Some(failover) = failovers.measured.last_mut() {
        failover.caught_up = Some(began.elapsed());
    }
    Ok(())
}

/// Restores a server.
pub(super) async fn restore(client: &mut Client, id: usize) -> Result<(), CommandError> {
    match client.servers().get_mut(id) {
        Some(server) => Ok(server.restore().await?),
        None => Ok(()),
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
    if needed.is_none() {
        check(statuses, leader).map_err(|error| error.message)?;
    }
    let is_leader = |status: &Result<ServerStatus, _>| {
        status.as_ref().is_ok_and(|status| status.id == leader.id)
    };
    statuses.iter().position(is_leader).ok_or_else(|| "there is no leader".to_owned())
}
