//! Checks during the run what the servers report.
//!
//! - A term has at most one leader.
//! - A server's term, applied index and versions never decrease, and do not change while it is crashed.
//! - While a majority is up, there is a leader within 5 s.
//!
//! The module is pure: times and statuses come in, violations go out. A server whose process was relaunched has lost
//! its memory, so its earlier reports are discarded.

use std::collections::BTreeMap;
use std::time::Duration;

use super::history::Violation;
use crate::client::ServerStatus;
use crate::raft::RoleName;

/// The time within which a majority must elect a leader.
pub const ELECTION: Duration = Duration::from_secs(5);

/// The number of earlier events shown with a violation.
const SHOWN: usize = 12;

/// What was observed of the servers.
#[derive(Debug)]
pub struct Watch {
    servers: Vec<Past>,
    /// The leader of each term.
    leaders: BTreeMap<i64, usize>,
    /// The leader at the last check, with its term.
    pub leader: Option<(usize, i64)>,
    /// The last known leader, with its term.
    last_leader: Option<(usize, i64)>,
    /// The number of times that another leader, or the same leader in another term, was seen.
    pub leader_changes: usize,
    /// The time until a leader was seen, for each period in which a majority was up without a leader.
    pub elections: Vec<Duration>,
    /// The start of the current period in which a majority is up without a leader.
    leaderless: Option<Duration>,
    /// The time of the last check, or of the last action if that was later.
    since: Duration,
    /// The events, in chronological order.
    journal: Vec<String>,
    /// The violations found.
    pub violations: Vec<Violation>,
}

/// The last report of a server.
#[derive(Clone, Debug, Default)]
struct Past {
    term: i64,
    applied: i64,
    uptime: Duration,
    /// Whether it was crashed at that time and has not been restored since.
    is_crashed: bool,
    versions: BTreeMap<String, i64>,
}

impl Watch {
    /// A watch over `size` servers about which nothing is known.
    pub fn new(size: usize) -> Watch {
        Watch {
            servers: vec![Past::default(); size],
            leaders: BTreeMap::new(),
            leader: None,
            last_leader: None,
            leader_changes: 0,
            elections: Vec::new(),
            leaderless: None,
            since: Duration::ZERO,
            journal: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Records an event, to be shown with later violations.
    pub fn note(&mut self, now: Duration, what: &str) {
        self.journal.push(format!("{:10.3} s {what}", now.as_secs_f64()));
    }

    /// Records a violation.
    pub fn object(&mut self, now: Duration, what: String) {
        self.note(now, &what);
        let around = self.journal.split_at(self.journal.len().saturating_sub(SHOWN)).1.to_vec();
        self.violations.push(Violation { what, around });
    }

    /// Whether each server was crashed at the last check.
    pub fn crashed(&self) -> Vec<bool> {
        self.servers.iter().map(|server| server.is_crashed).collect()
    }

    /// Records that a server has been crashed.
    pub fn crashed_now(&mut self, now: Duration, id: usize) {
        let role =
            if self.leader.is_some_and(|(leader, _)| leader == id) { ", the leader" } else { "" };
        self.note(now, &format!("server {id}{role} is crashed"));
        self.since = now;
        // This may be the server that was about to be elected, so the others get the full time again.
        self.leaderless = None;
    }

    /// Records that a server is about to be restored, so that its state may change again.
    pub fn restored_now(&mut self, now: Duration, id: usize) {
        self.note(now, &format!("server {id} is restored"));
        self.since = now;
        self.servers.get_mut(id).into_iter().for_each(|server| server.is_crashed = false);
    }

    /// Processes the servers' statuses; `None` means that a server did not answer.
    pub fn look(&mut self, now: Duration, statuses: &[Option<ServerStatus>]) {
        for (id, status) in statuses.iter().enumerate() {
            if let Some(status) = status {
                self.look_at(now, id, status);
            }
        }
        let known = statuses.iter().enumerate();
        let up = known.filter_map(|(id, status)| Some((id, status.as_ref()?)));
        let up = up.filter(|(_, status)| status.role != RoleName::Crashed);
        let has_majority = statuses.len() < 2 * up.clone().count();
        let leading = up.filter(|(_, status)| status.leads()).map(|(id, status)| (id, status.term));
        let leader = leading.max_by_key(|(_, term)| *term);
        self.follow_leader(now, leader, has_majority);
        self.since = now;
    }

    fn look_at(&mut self, now: Duration, id: usize, status: &ServerStatus) {
        let Some(past) = self.servers.get_mut(id) else { return };
        if status.uptime < past.uptime {
            *past = Past::default();
        }
        let is_crashed = status.role == RoleName::Crashed;
        let (term, applied) = (status.term, status.last_applied);
        let mut wrong = Vec::new();
        if past.is_crashed && is_crashed && (past.term, past.applied) != (term, applied) {
            wrong.push(format!("server {id} changed while it was crashed"));
        }
        if term < past.term {
            wrong.push(format!("the term of server {id} decreased from {} to {term}", past.term));
        }
        if applied < past.applied {
            let before = past.applied;
            wrong.push(format!(
                "server {id} had applied {before} entries and now has applied {applied}"
            ));
        }
        *past = Past { term, applied, uptime: status.uptime, is_crashed, ..std::mem::take(past) };
        if status.leads() {
            let first = *self.leaders.entry(term).or_insert(id);
            if first != id {
                wrong.push(format!("term {term} has two leaders, server {first} and server {id}"));
            }
        }
        wrong.into_iter().for_each(|what| self.object(now, what));
    }

    fn follow_leader(&mut self, now: Duration, leader: Option<(usize, i64)>, has_majority: bool) {
        if let Some((id, term)) = leader {
            let before = self.last_leader.replace((id, term));
            if before != leader {
                self.leader_changes += usize::from(before.is_some());
                self.note(now, &format!("server {id} leads term {term}"));
            }
            if let Some(since) = self.leaderless.take() {
                self.elections.push(now.saturating_sub(since));
            }
        } else if has_majority {
            let before = self.leaderless;
            let since = *self.leaderless.get_or_insert(self.since);
            let is_new = before.is_none_or(|_| self.since.saturating_sub(since) <= ELECTION);
            if is_new && ELECTION < now.saturating_sub(since) {
                self.object(now, "a majority is up and has no leader after 5 s".to_owned());
            }
        } else {
            self.leaderless = None;
        }
        self.leader = leader;
    }

    /// Processes the version of a file that a server reports as applied. No version above `most` was requested.
    pub fn version(&mut self, now: Duration, id: usize, file: &str, version: i64, most: i64) {
        let Some(past) = self.servers.get_mut(id) else { return };
        let known = past.versions.entry(file.to_owned()).or_default();
        let before = std::mem::replace(known, version);
        if version < before {
            self.object(
                now,
                format!("server {id} had version {before} of {file} and now has {version}"),
            );
        } else if most < version {
            let what =
                format!("server {id} has version {version} of {file}, which no call requested");
            self.object(now, what);
        }
    }

    /// Compares the versions of a crashed server at first and later.
    pub fn stood_still(&mut self, now: Duration, id: usize, first: &[i64], later: &[i64]) {
        if first != later {
            self.object(
                now,
                format!("server {id} had versions {first:?} when it crashed and {later:?} before it was restored"),
            );
        }
    }
}
