//! A snapshot of a server.

use std::time::Duration;

use crate::config::Config;
use crate::raft::{self, ServerId};
use crate::value::Value;

/// The state of a server, for people.
#[derive(Clone, Debug)]
pub struct Status {
    /// The server.
    pub id: ServerId,
    /// The state of the core.
    pub raft: raft::Status,
    /// The number of files, including deleted ones.
    pub files: usize,
    /// The servers that count, according to the last roster of the log.
    pub roster: Vec<ServerId>,
    /// The servers that are present but do not count, as far as this one has noticed. May include this server.
    pub guests: Vec<ServerId>,
    /// The servers without which this one's last ballot could not be won.
    pub waits_for: Vec<ServerId>,
    /// If this server's history is founded: the peers with another founded history.
    pub other_histories: Vec<ServerId>,
    /// The peers for which two processes answer.
    pub doubled: Vec<ServerId>,
    /// The number of requests that peers have sent to this server.
    pub peer_requests: u64,
    /// How often a new leader, or the same one in another term, became known.
    pub leader_changes: u64,
    /// How often this server has stood for election.
    pub elections_started: u64,
    /// The time since the leader's last accepted append or, at a leader, since a peer's last reply.
    pub last_heard: Option<Duration>,
    /// How long the process has been running.
    pub uptime: Duration,
}

impl Status {
    /// The status as named values, as `surfstore.status` and `/status` give it: counts, then lists of ids, then
    /// strings.
    ///
    /// A value that does not fit into an `int` is shown as the greatest `int`. `lastHeardMilliseconds` is −1 if no
    /// message has been received yet.
    pub fn members(&self, config: &Config) -> Vec<(&'static str, Value)> {
        let raft = &self.raft;
        let heard = self.last_heard.map_or(-1, |time| int(time.as_millis()));
        let numbers = [
            ("id", i64::from(self.id.0)),
            ("servers", int(config.servers.len())),
            ("term", int(raft.current_term.0)),
            ("commitIndex", int(raft.commit_index.0)),
            ("lastApplied", int(raft.last_applied.0)),
            ("lastLogIndex", int(raft.last_log.index.0)),
            ("lastLogTerm", int(raft.last_log.term.0)),
            ("files", int(self.files)),
            ("waitingCalls", int(raft.waiting)),
            ("peerRequests", int(self.peer_requests)),
            ("leaderChanges", int(self.leader_changes)),
            ("electionsStarted", int(self.elections_started)),
            ("lastHeardMilliseconds", heard),
            ("uptimeSeconds", int(self.uptime.as_secs())),
        ];
        let lists = [
            ("roster", &self.roster),
            ("guests", &self.guests),
            ("waitsFor", &self.waits_for),
            ("otherHistories", &self.other_histories),
            ("doubled", &self.doubled),
        ];
        let leader = raft.leader.map_or(String::new(), |leader| address(config, leader));
        let texts = [
            ("address", address(config, self.id)),
            ("configuration", format!("{:016x}", config.digest())),
            ("role", raft.role.as_str().to_owned()),
            ("leader", leader),
            ("incarnation", raft.incarnation.to_string()),
            ("history", raft.history.map_or(String::new(), |history| history.to_string())),
            ("release", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let id = |server: &ServerId| Value::Int(server.0.into());
        let ids = |servers: &Vec<ServerId>| Value::Array(servers.iter().map(id).collect());
        let numbers = numbers.map(|(name, number)| (name, Value::Int(number)));
        let lists = lists.map(|(name, servers)| (name, ids(servers)));
        let texts = texts.map(|(name, text)| (name, Value::String(text.into())));
        numbers.into_iter().chain(lists).chain(texts).collect()
    }
}

/// The server with its `host:port`, as part of a sentence.
pub(super) fn named(config: &Config, server: ServerId) -> String {
    format!("server {} at {}", server.0, address(config, server))
}

/// The `host:port` of a server; empty if there is no such server.
pub(super) fn address(config: &Config, server: ServerId) -> String {
    config.servers.get(usize::from(server.0)).map_or(String::new(), ToString::to_string)
}

/// A count for callers, limited to the 31 bits that an `int` has for it.
fn int(number: impl TryInto<i32>) -> i64 {
    i64::from(number.try_into().unwrap_or(i32::MAX))
}
