//! What people and their tools ask of a server: how it is doing, whether it is well, and what it has counted.
//!
//! A [`Monitor`] is told what happens and keeps the sums. All that is asked is answered from them, so that a server whose
//! calls wait answers nevertheless.
//!
//! - `status` is one look at a server, for `surfstore.status` and `/status` alike.
//! - `metrics` writes the sums as Prometheus reads them, `histogram` counts durations for it.
//! - `pages` has what is to be had by GET.
//!
//! The module knows no socket, and reads no clock: it is told the time.

mod histogram;
mod metrics;
mod pages;
mod status;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::raft::{self, ServerId};
use histogram::Histogram;

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
            raft,
            files: 0,
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

    /// Takes note of how the server is after a step, and of how many files there are.
    pub fn observe(&mut self, raft: raft::Status, files: usize) {
        self.raft = raft;
        self.files = files;
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

    /// A peer has sent a request.
    pub fn requested_by_peer(&mut self) {
        self.peer_requests += 1;
    }

    /// A request to a peer got no reply.
    pub fn unanswered_by(&mut self, peer: ServerId) {
        *self.peer_failures.entry(peer).or_default() += 1;
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
            peer_requests: self.peer_requests,
            leader_changes: self.leader_changes,
            elections_started: self.elections_started,
            last_heard: self.heard.map(|heard| now.saturating_duration_since(heard)),
            uptime: now.saturating_duration_since(self.started),
        }
    }

    fn address(&self, server: ServerId) -> String {
        status::address(&self.config, server)
    }
}
