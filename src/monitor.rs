//! What people and their tools ask of a server: how it is doing, whether it is well, and what it has counted.
//!
//! A [`Monitor`] is told what happens and keeps the sums. All that is asked is answered from them, so that a server whose
//! calls wait answers nevertheless.
//!
//! - `status` is one look at a server, for `surfstore.status` and `/status` alike.
//! - `peers` keeps what other servers have shown of themselves, and says what does not fit; `waits` keeps for whom
//!   elections wait.
//! - `metrics` writes the sums as Prometheus reads them, `histogram` counts durations for it.
//! - `pages` has what is to be had by GET.
//!
//! The module knows no socket, and reads no clock: it is told the time.

mod histogram;
mod metrics;
mod pages;
mod peers;
mod status;
mod waits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::raft::{self, Identity, LogIndex, Member, RoleName, Roster, ServerId};
use crate::value::Value;
use histogram::Histogram;
use peers::Peers;
use waits::Waits;

pub use pages::Page;
pub use status::Status;

/// What a server knows about itself.
#[derive(Debug)]
pub struct Monitor {
    id: ServerId,
    config: Config,
    started: Instant,
    raft: raft::Status,
    files: usize,
    /// The last roster of the log.
    roster: Option<Arc<Roster>>,
    peers: Peers,
    waits: Waits,
    /// When an accepted append came, or at a leader the last reply of a peer.
    heard: Option<Instant>,
    /// The last leader that was known, and its term.
    leader: Option<(ServerId, raft::Term)>,
    leader_changes: u64,
    elections_started: u64,
    peer_requests: u64,
    /// The requests to each peer that got no reply.
    peer_failures: BTreeMap<ServerId, u64>,
    /// The calls of each method.
    calls: BTreeMap<&'static str, Calls>,
    /// The documents that asked for nothing there is.
    not_understood: u64,
}

/// The calls of a method.
#[derive(Debug, Default)]
struct Calls {
    faults: u64,
    durations: Histogram,
}

impl Monitor {
    /// The monitor of a server that starts now, as the core describes it.
    pub fn new(id: ServerId, config: Config, now: Instant, raft: raft::Status) -> Monitor {
        Monitor {
            id,
            config,
            started: now,
            raft: as_seen(raft),
            files: 0,
            roster: None,
            peers: Peers::default(),
            waits: Waits::default(),
            heard: None,
            leader: None,
            leader_changes: 0,
            elections_started: 0,
            peer_requests: 0,
            peer_failures: BTreeMap::new(),
            calls: BTreeMap::new(),
            not_understood: 0,
        }
    }

    /// Takes note of how the server is after a step, of how many files there are, and of its log's last roster.
    pub fn observe(&mut self, raft: raft::Status, files: usize, roster: Option<&Arc<Roster>>) {
        let raft = as_seen(raft);
        let of = |raft: &raft::Status| (raft.incarnation, raft.history, is_founded(raft));
        if of(&self.raft) != of(&raft) {
            self.peers.unsettle();
        }
        self.raft = raft;
        self.files = files;
        // Nearly every step leaves the roster as it was.
        if self.roster.as_ref().map(Arc::as_ptr) != roster.map(Arc::as_ptr) {
            self.roster = roster.cloned();
        }
        if raft.leader.is_some() || raft.role == RoleName::Crashed {
            self.waits.end();
        }
        let leader = raft.leader.map(|leader| (leader, raft.current_term));
        if leader.is_some() && leader != self.leader {
            self.leader = leader;
            self.leader_changes += 1;
        }
    }

    /// A leader, or at a leader a peer, has been heard.
    pub fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// The server has stood for election.
    pub fn stood_for_election(&mut self) {
        self.elections_started += 1;
    }

    /// A ballot of this server ended without a leader, and these are the servers that it could not do without. Gives the
    /// line that people should read, if there is one.
    pub fn ballot_ended(&mut self, waits_for: Vec<ServerId>) -> Option<String> {
        self.waits.ballot_ended(waits_for).then(|| {
            let why = match self.waits.servers() {
                [_] => "which does not answer, is crashed, or refuses its vote",
                _ => "which do not answer, are crashed, or refuse their votes",
            };
            format!("server {} cannot be elected without {}, {why}", self.id.0, self.awaited())
        })
    }

    /// The servers for which elections wait, in a sentence.
    fn awaited(&self) -> String {
        let servers = self.waits.servers().iter();
        let named: Vec<_> = servers.map(|id| status::named(&self.config, *id)).collect();
        named.join(" and ")
    }

    /// A peer has sent a request.
    pub fn requested_by_peer(&mut self) {
        self.peer_requests += 1;
    }

    /// A request to a peer got no reply.
    pub fn unanswered_by(&mut self, peer: ServerId) {
        *self.peer_failures.entry(peer).or_default() += 1;
    }

    /// The peer's host has refused a connection.
    pub fn ended(&mut self, peer: ServerId) {
        self.peers.ended(peer);
    }

    /// Whether another server has shown itself so before, with the same outcome as [`shown`](Monitor::shown) would have.
    pub fn has_been_shown(&self, asked: Option<ServerId>, sender: &Identity) -> bool {
        self.peers.have_shown(asked, sender)
    }

    /// Another server has shown itself to this one: in its answer to a request to the peer that is `asked`, or else in a
    /// request of its own. Gives the lines that people should read.
    pub fn shown(
        &mut self,
        asked: Option<ServerId>,
        sender: &Identity,
        own: &Identity,
        now: Instant,
    ) -> Vec<String> {
        self.peers.show(asked, sender, own, &self.config, now)
    }

    /// A call of the method was answered, after that time.
    pub fn answered(&mut self, method: &'static str, took: Duration, with_fault: bool) {
        let calls = self.calls.entry(method).or_default();
        calls.durations.add(took);
        calls.faults += u64::from(with_fault);
    }

    /// A document asked for nothing there is.
    pub fn not_understood(&mut self) {
        self.not_understood += 1;
    }

    /// One look at the server.
    pub fn status(&self, now: Instant) -> Status {
        Status {
            id: self.id,
            raft: self.raft,
            files: self.files,
            roster: self.roster.iter().flat_map(|roster| roster.members.keys().copied()).collect(),
            guests: self.guests(),
            waits_for: self.waits.servers().to_vec(),
            other_histories: self.other_histories(),
            doubled: self.peers.doubled(now).collect(),
            peer_requests: self.peer_requests,
            leader_changes: self.leader_changes,
            elections_started: self.elections_started,
            last_heard: self.heard.map(|heard| now.saturating_duration_since(heard)),
            uptime: now.saturating_duration_since(self.started),
        }
    }

    /// The same by names, as callers are told.
    pub fn members(&self, now: Instant) -> Vec<(&'static str, Value)> {
        self.status(now).members(&self.config)
    }

    /// The servers that are there and do not count, this one included, in the order of their ids.
    fn guests(&self) -> Vec<ServerId> {
        let Some(roster) = &self.roster else { return Vec::new() };
        let own = Member { id: self.id, incarnation: self.raft.incarnation };
        let itself = (!roster.names(own)).then_some(self.id);
        let mut guests: Vec<_> =
            self.peers.guests(roster, self.asks_peers()).chain(itself).collect();
        guests.sort_unstable();
        guests
    }

    /// The peers with which this server shares no history any more.
    fn other_histories(&self) -> Vec<ServerId> {
        match &self.roster {
            Some(roster) if is_founded(&self.raft) => {
                self.peers.apart(roster, self.asks_peers()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn asks_peers(&self) -> bool {
        matches!(self.raft.role, RoleName::Leader | RoleName::Candidate)
    }

    fn address(&self, server: ServerId) -> String {
        status::address(&self.config, server)
    }
}

/// Whether a request of that server is refused for a reason of which [`Monitor::shown`] gives a line.
pub fn explains_refusal(sender: &Identity, own: &Identity) -> bool {
    peers::explains_refusal(sender, own)
}

/// The server as callers see it: a leader that is not founded yet answers them as a candidate does.
fn as_seen(raft: raft::Status) -> raft::Status {
    if raft.role == RoleName::Leader && !is_founded(&raft) {
        return raft::Status { role: RoleName::Candidate, leader: None, ..raft };
    }
    raft
}

fn is_founded(raft: &raft::Status) -> bool {
    LogIndex::default() < raft.commit_index
}
