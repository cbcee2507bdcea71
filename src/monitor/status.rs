//! A snapshot of a server.

use super::{Moment, Monitor};
use crate::config::Config;
use crate::protocol::ServerStatus;
use crate::raft::ServerId;

impl Monitor {
    /// A snapshot of the server.
    pub fn status(&self, moment: Moment<'_>) -> ServerStatus {
        let (raft, config, now) = (&self.raft, &self.config, moment.now);
        ServerStatus {
            id: self.id.0.into(),
            servers: count(config.servers.len()),
            address: address(config, self.id),
            role: raft.role,
            term: count(raft.current_term.0),
            leader: raft.leader.map(|leader| address(config, leader)),
            lacks_majority: self.lacks_majority(moment),
            commit_index: count(raft.commit_index.0),
            last_applied: count(raft.last_applied.0),
            last_log_index: count(raft.last_log.index.0),
            last_log_term: count(raft.last_log.term.0),
            files: count(self.files),
            waiting_calls: count(raft.waiting),
            peer_requests: count(self.peer_requests),
            leader_changes: count(self.leader_changes),
            elections_started: count(self.elections_started),
            last_heard: self.heard.map(|heard| now.saturating_duration_since(heard)),
            uptime: now.saturating_duration_since(self.started),
            incarnation: raft.incarnation.to_string(),
            history: raft.history.map(|history| history.to_string()),
            roster: ids(self.roster.iter().flat_map(|roster| roster.members.keys().copied())),
            guests: ids(self.guests()),
            waits_for: ids(self.waits.servers().iter().copied()),
            other_histories: ids(self.other_histories()),
            doubled: ids(self.peers.doubled(now)),
            disk_bytes: self.is_durable().then_some(self.disk.bytes),
            last_sync: self.disk.last_sync,
            configuration: format!("{:016x}", config.digest()),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

fn ids(servers: impl IntoIterator<Item = ServerId>) -> Vec<i64> {
    servers.into_iter().map(|server| server.0.into()).collect()
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// The server with its `host:port`, as part of a sentence.
pub(super) fn named(config: &Config, server: ServerId) -> String {
    format!("server {} at {}", server.0, address(config, server))
}

/// The `host:port` of a server; empty if there is no such server.
pub(super) fn address(config: &Config, server: ServerId) -> String {
    config.servers.get(usize::from(server.0)).map_or(String::new(), ToString::to_string)
}
