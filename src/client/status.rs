//! The status that a server reports.

use std::time::Duration;

use super::answer::Expected;
use crate::config::Config;
use crate::raft::RoleName;
use crate::value::Value;

/// The typed answer of a server's status call. A number that is too large for the wire is shown as the largest possible
/// number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// The server's id.
    pub id: i64,
    /// The number of servers in the set.
    pub servers: i64,
    /// The `host:port` of the server in its configuration.
    pub address: String,
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: i64,
    /// The `host:port` of the leader that it knows; its own if it leads.
    pub leader: Option<String>,
    /// The index up to which it knows that entries are committed.
    pub commit_index: i64,
    /// The index up to which it has applied entries.
    pub last_applied: i64,
    /// The index of its last entry, which is the length of its log.
    pub last_log_index: i64,
    /// The term of that entry.
    pub last_log_term: i64,
    /// The number of files, including deleted ones.
    pub files: i64,
    /// The number of calls that wait for a majority.
    pub waiting_calls: i64,
    /// The number of requests received from peers.
    pub peer_requests: i64,
    /// The number of times that it learned of a leader.
    pub leader_changes: i64,
    /// The number of times that it stood for election.
    pub elections_started: i64,
    /// The time since it last heard from the leader or, if it leads, from a peer; `None` if it never did.
    pub last_heard: Option<Duration>,
    /// The time since its process started.
    pub uptime: Duration,
    /// Identifies this run of the server.
    pub incarnation: String,
    /// The history of its log; `None` if the log is empty.
    pub history: Option<String>,
    /// The ids of the servers that count, according to its log.
    pub roster: Vec<i64>,
    /// The ids of the servers that it has noticed but that do not count, including its own.
    pub guests: Vec<i64>,
    /// The ids of the servers without which it cannot be elected.
    pub waits_for: Vec<i64>,
    /// The ids of its peers that have another history.
    pub other_histories: Vec<i64>,
    /// The ids of its peers for which two processes answer.
    pub doubled: Vec<i64>,
    /// A hash of the servers' names and their order in its configuration, in hexadecimal.
    pub configuration: String,
    /// The release of its program.
    pub release: String,
}

impl ServerStatus {
    pub(super) fn read(value: Value) -> Result<ServerStatus, Expected> {
        let Value::Struct(members) = value else { return Err(EXPECTED) };
        let members = Fields(&members);
        Ok(ServerStatus {
            id: members.number("id")?,
            servers: members.number("servers")?,
            address: members.text("address")?,
            role: role(&members.text("role")?)?,
            term: members.number("term")?,
            leader: Some(members.text("leader")?).filter(|leader| !leader.is_empty()),
            commit_index: members.number("commitIndex")?,
            last_applied: members.number("lastApplied")?,
            last_log_index: members.number("lastLogIndex")?,
            last_log_term: members.number("lastLogTerm")?,
            files: members.number("files")?,
            waiting_calls: members.number("waitingCalls")?,
            peer_requests: members.number("peerRequests")?,
            leader_changes: members.number("leaderChanges")?,
            elections_started: members.number("electionsStarted")?,
            // −1 means never.
            last_heard: u64::try_from(members.number("lastHeardMilliseconds")?)
                .ok()
                .map(Duration::from_millis),
            uptime: u64::try_from(members.number("uptimeSeconds")?)
                .map(Duration::from_secs)
                .map_err(|_| EXPECTED)?,
            incarnation: members.newer_text("incarnation")?,
            history: Some(members.newer_text("history")?).filter(|history| !history.is_empty()),
            roster: members.ids("roster")?,
            guests: members.ids("guests")?,
            waits_for: members.ids("waitsFor")?,
            other_histories: members.ids("otherHistories")?,
            doubled: members.ids("doubled")?,
            configuration: members.newer_text("configuration")?,
            release: members.text("release")?,
        })
    }

    /// Whether the server may have been started with this configuration. Older servers do not report it.
    pub fn may_be_of(&self, config: &Config) -> bool {
        let digest = u64::from_str_radix(&self.configuration, 16);
        self.configuration.is_empty() || digest == Ok(config.digest())
    }

    /// Whether the server claims to lead.
    pub fn leads(&self) -> bool {
        self.role == RoleName::Leader
    }
}

const EXPECTED: Expected = "a server's status";

fn role(name: &str) -> Result<RoleName, Expected> {
    let roles = [RoleName::Follower, RoleName::Candidate, RoleName::Leader, RoleName::Crashed];
    roles.into_iter().find(|role| role.as_str() == name).ok_or(EXPECTED)
}

/// The members of the answer. Unknown members, from newer servers, are ignored.
struct Fields<'a>(&'a [(Box<str>, Value)]);

impl Fields<'_> {
    fn get(&self, name: &str) -> Result<&Value, Expected> {
        let found = self.0.iter().find(|(member, _)| **member == *name);
        found.map(|(_, value)| value).ok_or(EXPECTED)
    }

    fn number(&self, name: &str) -> Result<i64, Expected> {
        match self.get(name)? {
            Value::Int(number) => Ok(*number),
            _ => Err(EXPECTED),
        }
    }

    fn text(&self, name: &str) -> Result<String, Expected> {
        match self.get(name)? {
            Value::String(text) => Ok(text.to_string()),
            _ => Err(EXPECTED),
        }
    }

    /// A text that older servers do not have; empty if it is missing.
    fn newer_text(&self, name: &str) -> Result<String, Expected> {
        self.get(name).map_or_else(|_| Ok(String::new()), |_| self.text(name))
    }

    /// A list of ids; empty if it is missing, because older servers do not have it.
    fn ids(&self, name: &str) -> Result<Vec<i64>, Expected> {
        let Ok(ids) = self.get(name) else { return Ok(Vec::new()) };
        let Value::Array(ids) = ids else { return Err(EXPECTED) };
        let id = |value: &Value| match value {
            Value::Int(id) => Ok(*id),
            _ => Err(EXPECTED),
        };
        ids.iter().map(id).collect()
    }
}
