//! What people and their tools ask about a server: its state, its health, and its counters.
//!
//! A [`Monitor`] is told what happens, and keeps the totals. It answers every question from these totals, so a server
//! whose calls wait still answers.
//!
//! - `status` takes a snapshot of a server, for both `surfstore.status` and `/status`.
//! - `peers` keeps what other servers have shown of themselves, and reports mismatches; `waits` keeps the servers that
//!   elections wait for.
//! - `metrics` writes the totals in the Prometheus format; `histogram` counts durations for it.
//! - `recorder` keeps the last events, and `traffic` counts the requests to a peer.
//! - `pages` has the pages for GET, `dashboard` the web page among them, and `view` what that page shows.
//!
//! The module knows no sockets and reads no clock: a [`Moment`] is passed in.

mod dashboard;
mod histogram;
mod metrics;
mod pages;
mod peers;
mod recorder;
mod status;
mod traffic;
mod view;
mod waits;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::protocol::METHODS;
use crate::raft::{
    self, Failure, Identity, LogIndex, Member, ProgressStatus, Request, Response, RoleName, Roster,
    ServerId,
};
use histogram::Histogram;
use peers::{Own, Peers};
use recorder::Recorder;
use traffic::Traffic;
use waits::Waits;

pub use pages::{Page, PageRequest};
pub use recorder::{Direction, RECORDED_MAX, Recorded, Servers};
pub use view::{Sight, VIEW_BYTES_MAX};

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
    /// When the last accepted append arrived or, at a leader, the last reply of a peer.
    heard: Option<Instant>,
    /// The last known leader, and its term.
    leader: Option<(ServerId, raft::Term)>,
    leader_changes: u64,
    elections_started: u64,
    peer_requests: u64,
    /// The requests to each peer.
    traffic: BTreeMap<ServerId, Traffic>,
    recorder: Recorder,
    disk: Disk,
    /// The calls of each method.
    calls: BTreeMap<&'static str, MethodCalls>,
    /// The documents that asked for nothing that exists.
    not_understood: u64,
}

/// What an answer shows besides the totals: what changes without an event, or is counted only when someone asks.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The time.
    pub now: Instant,
    /// Whether the server leads and a majority has answered it lately.
    pub has_majority: bool,
    /// What the server holds.
    pub memory: Memory,
    /// A leader's view of each other server; empty in other roles, and if it is not shown.
    pub progress: &'a [(ServerId, ProgressStatus)],
    /// What the system says about the process; nothing if it is not shown.
    pub process: Process,
}

/// The memory that a server holds, in bytes, by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The map, and what has arrived of a snapshot.
    pub map: usize,
    /// The log.
    pub log: usize,
    /// The blocks.
    pub blocks: usize,
    /// Requests that have not arrived completely.
    pub requests: usize,
    /// Answers that are held for callers, or the room that is kept for one with the whole map, if that is more.
    pub answers: usize,
    /// The bound on all of this, above which updates are refused.
    pub max: usize,
}

impl Memory {
    /// All of it.
    pub fn held(self) -> usize {
        self.map + self.log + self.blocks + self.requests + self.answers
    }
}

/// What the system says about the process of a server. What it does not say is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// When it started, since the beginning of 1970.
    pub started: Option<Duration>,
    /// How long its threads have been computing.
    pub cpu: Option<Duration>,
    /// Its bytes of memory that are in RAM.
    pub resident_bytes: Option<u64>,
    /// The number of its open descriptors.
    pub descriptors: Option<u64>,
    /// The limit on that number; `None` also if there is none.
    pub descriptors_max: Option<u64>,
}

/// What has been reported about the server's disk. All is 0 if the server keeps its state in memory only.
#[derive(Debug, Default)]
struct Disk {
    /// The bytes of all files.
    bytes: u64,
    /// How long changes took until they were on disk.
    syncs: Histogram,
    /// How long the last one took.
    last_sync: Option<Duration>,
}

/// The calls of a method.
#[derive(Debug, Default)]
struct MethodCalls {
    faults: u64,
    durations: Histogram,
}

impl Monitor {
    /// The monitor of a server that starts now in this state of the core.
    pub fn new(id: ServerId, config: Config, now: Instant, raft: raft::Status) -> Monitor {
        // All counters exist from the start, because Prometheus cannot see the step from no value to 1.
        let servers = (0..).map(ServerId).zip(&config.servers);
        let peers = servers.map(|(other, _)| other).filter(|other| *other != id);
        let traffic = peers.map(|peer| (peer, Traffic::default())).collect();
        let calls = METHODS.iter().map(|method| (method.name, MethodCalls::default())).collect();
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
            traffic,
            recorder: Recorder::default(),
            disk: Disk::default(),
            calls,
            not_understood: 0,
        }
    }

    /// Records the state of the server after a step, the number of files, and the last roster of the log.
    pub fn observe(&mut self, raft: raft::Status, files: usize, roster: Option<&Arc<Roster>>) {
        let raft = as_seen(raft);
        let of = |raft: &raft::Status| (raft.incarnation, raft.history, is_founded(raft));
        if of(&self.raft) != of(&raft) {
            self.peers.unsettle();
        }
        self.raft = raft;
        self.files = files;
        // Almost no step changes the roster.
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

    /// A message from a leader or, at a leader, from a peer has arrived.
    pub fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// The server has stood for election.
    pub fn stood_for_election(&mut self) {
        self.elections_started += 1;
    }

    /// A ballot of this server ended without a leader, and it could not be won without these servers. Returns the line
    /// to log, if there is one.
    pub fn ballot_ended(&mut self, waits_for: Vec<ServerId>) -> Option<String> {
        self.waits.ballot_ended(waits_for).then(|| {
            let why = match self.waits.servers() {
                [_] => "which does not answer, is crashed, or refuses its vote",
                _ => "which do not answer, are crashed, or refuse their votes",
            };
            format!("server {} cannot be elected without {}, {why}", self.id.0, self.awaited())
        })
    }

    /// The servers that elections wait for, as part of a sentence.
    fn awaited(&self) -> String {
        let servers = self.waits.servers().iter();
        let named: Vec<_> = servers.map(|id| status::named(&self.config, *id)).collect();
        // Without at least one of them it cannot be elected.
        named.join(" or ")
    }

    /// A peer has sent a request.
    pub fn requested_by_peer(&mut self) {
        self.peer_requests += 1;
    }

    /// Records an event, in the term of the state that was observed last. A crashed server records only that it is.
    pub fn record(&mut self, what: Recorded, now: Instant) {
        if self.raft.role != RoleName::Crashed || matches!(what, Recorded::Role(_)) {
            self.recorder.record(what, self.raft.current_term, now);
        }
    }

    /// A request is sent to a peer.
    pub fn sent(&mut self, to: ServerId, request: &Request, now: Instant) {
        if let Some(traffic) = self.traffic.get_mut(&to) {
            traffic.sent += 1;
        }
        match request {
            Request::RequestVote(request) => {
                self.recorder.ballot(request.kind, to, self.raft.current_term, now);
            }
            Request::AppendEntries(request) => {
                self.append((to, Direction::Sent), request.entries.len(), request.sender.term, now);
            }
            Request::InstallSnapshot(request) => {
                self.snapshot_piece((to, Direction::Sent), request.offset, now);
            }
        }
    }

    /// An append with so many entries was sent to a peer, or has come from it as its leader, in this term.
    pub fn append(
        &mut self,
        (peer, direction): (ServerId, Direction),
        entries: usize,
        term: raft::Term,
        now: Instant,
    ) {
        // A forged request may name any server.
        let Some(traffic) = self.traffic.get_mut(&peer) else { return };
        if let Some(entries) = traffic.append(direction, entries, term, now) {
            self.recorder.record(Recorded::Append { peer, direction, entries }, term, now);
        }
    }

    /// The piece of a snapshot at this offset was sent to a peer, or has come from it as its leader.
    pub fn snapshot_piece(
        &mut self,
        (peer, direction): (ServerId, Direction),
        offset: u64,
        now: Instant,
    ) {
        if offset == 0 && self.traffic.contains_key(&peer) {
            self.record(Recorded::SnapshotBegun(peer, direction), now);
        }
    }

    /// A peer has replied to a request.
    pub fn replied(&mut self, from: ServerId, response: &Response, now: Instant) {
        if let Some(traffic) = self.traffic.get_mut(&from) {
            traffic.answered += 1;
            traffic.last_reply = Some(now);
            if mem::take(&mut traffic.is_silent) {
                self.record(Recorded::Back(from), now);
            }
        }
        if let Response::Vote(reply) = response {
            let (kind, granted) = (reply.kind, reply.vote_granted);
            self.record(Recorded::Answered { peer: from, kind, granted }, now);
        }
    }

    /// A request to a peer got no reply.
    pub fn unanswered_by(&mut self, peer: ServerId, failure: Failure, now: Instant) {
        let Some(traffic) = self.traffic.get_mut(&peer) else { return };
        traffic.failures += 1;
        if !mem::replace(&mut traffic.is_silent, true) {
            self.record(Recorded::Silent(peer, failure), now);
        }
    }

    /// The server's files have so many bytes.
    pub fn disk_holds(&mut self, bytes: u64) {
        self.disk.bytes = bytes;
    }

    /// Changes were written and synced to disk in that time.
    pub fn synced(&mut self, took: Duration) {
        self.disk.syncs.add(took);
        self.disk.last_sync = Some(took);
    }

    /// The peer's host has refused a connection.
    pub fn ended(&mut self, peer: ServerId) {
        self.peers.ended(peer);
    }

    /// Whether another server has shown itself in the same way before, so that [`shown`](Monitor::shown) would have the
    /// same outcome.
    pub fn has_been_shown(&self, asked: Option<ServerId>, sender: &Identity) -> bool {
        self.peers.have_shown(asked, sender)
    }

    /// Another server has shown itself to this one, either in its answer to a request to the peer `asked`, or in a
    /// request of its own. Returns the lines to log.
    pub fn shown(
        &mut self,
        asked: Option<ServerId>,
        sender: &Identity,
        own: &Identity,
        now: Instant,
    ) -> Vec<String> {
        let own = Own { identity: own, config: &self.config, roster: self.roster.as_deref() };
        self.peers.show(asked, sender, own, now)
    }

    /// A call of the method was answered after that time.
    pub fn answered(&mut self, method: &'static str, took: Duration, with_fault: bool) {
        let calls = self.calls.entry(method).or_default();
        calls.durations.add(took);
        calls.faults += u64::from(with_fault);
    }

    /// A document asked for nothing that exists.
    pub fn not_understood(&mut self) {
        self.not_understood += 1;
    }

    /// The servers that are present but do not count, including this one, in the order of their ids.
    fn guests(&self) -> Vec<ServerId> {
        let Some(roster) = &self.roster else { return Vec::new() };
        let own = Member { id: self.id, incarnation: self.raft.incarnation };
        let itself = (!roster.names(own)).then_some(self.id);
        let mut guests: Vec<_> =
            self.peers.guests(roster, self.asks_peers()).chain(itself).collect();
        guests.sort_unstable();
        guests
    }

    /// The peers that no longer share a history with this server.
    fn other_histories(&self) -> Vec<ServerId> {
        match &self.roster {
            Some(roster) if is_founded(&self.raft) => {
                self.peers.apart(roster, self.asks_peers()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it leads although no majority answers it. It then keeps its role, and its calls wait.
    fn lacks_majority(&self, moment: Moment<'_>) -> bool {
        self.raft.role == RoleName::Leader && !moment.has_majority
    }

    /// Whether it keeps its state on disk.
    fn is_durable(&self) -> bool {
        self.raft.incarnation.is_on_disk()
    }

    fn asks_peers(&self) -> bool {
        matches!(self.raft.role, RoleName::Leader | RoleName::Candidate)
    }

    fn address(&self, server: ServerId) -> String {
        status::address(&self.config, server)
    }
}

/// Whether a request of that server is refused for a reason that [`Monitor::shown`] logs.
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
