//! The answer of `surfstore.status` and `/status`: a struct, and the table of its members' names. Servers write the
//! answer and clients read it by this table.

use std::time::Duration;

use crate::config::Config;
use crate::raft::RoleName;
use crate::value::Value;

/// The state of a server, for people.
///
/// A number that does not fit into an `int` is written as the greatest `int`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Whether it leads but no majority has answered it lately, so that its calls wait.
    pub lacks_majority: bool,
    /// The index up to which it knows that entries are committed.
    pub commit_index: i64,
    /// The index up to which it has applied entries.
    pub last_applied: i64,
    /// The index of its last entry.
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
    /// The bytes that it has on disk, to a whole KiB in the answer; `None` if it keeps its state in memory only.
    pub disk_bytes: Option<u64>,
    /// How long the last change took until it was on disk; `None` if there was none since the start.
    pub last_sync: Option<Duration>,
    /// A hash of the servers' names and their order in its configuration, in hexadecimal.
    pub configuration: String,
    /// The release of its program.
    pub release: String,
}

/// Whether an answer must have a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Every server has it.
    Required,
    /// Older servers do not have it. If it is missing, the field keeps its default.
    Newer,
}

impl ServerStatus {
    /// The members with their names, in the order in which they are written: counts, a boolean, lists of ids, strings.
    fn table(&mut self) -> [(&'static str, Presence, &mut dyn Field); 29] {
        use Presence::{Newer, Required};
        [
            ("id", Required, &mut self.id),
            ("servers", Required, &mut self.servers),
            ("term", Required, &mut self.term),
            ("commitIndex", Required, &mut self.commit_index),
            ("lastApplied", Required, &mut self.last_applied),
            ("lastLogIndex", Required, &mut self.last_log_index),
            ("lastLogTerm", Required, &mut self.last_log_term),
            ("files", Required, &mut self.files),
            ("waitingCalls", Required, &mut self.waiting_calls),
            ("peerRequests", Required, &mut self.peer_requests),
            ("leaderChanges", Required, &mut self.leader_changes),
            ("electionsStarted", Required, &mut self.elections_started),
            ("lastHeardMilliseconds", Required, &mut self.last_heard),
            ("uptimeSeconds", Required, &mut self.uptime),
            ("diskKibibytes", Newer, &mut self.disk_bytes),
            ("lastSyncMilliseconds", Newer, &mut self.last_sync),
            ("lacksMajority", Newer, &mut self.lacks_majority),
            ("roster", Newer, &mut self.roster),
            ("guests", Newer, &mut self.guests),
            ("waitsFor", Newer, &mut self.waits_for),
            ("otherHistories", Newer, &mut self.other_histories),
            ("doubled", Newer, &mut self.doubled),
            ("address", Required, &mut self.address),
            ("configuration", Newer, &mut self.configuration),
            ("role", Required, &mut self.role),
            ("leader", Required, &mut self.leader),
            ("incarnation", Newer, &mut self.incarnation),
            ("history", Newer, &mut self.history),
            ("release", Required, &mut self.release),
        ]
    }

    /// The status as named values.
    pub fn members(&self) -> Vec<(&'static str, Value)> {
        let mut status = self.clone();
        status.table().map(|(name, _, member)| (name, member.write())).into()
    }

    /// Reads an answer; `None` if it is not a server's status. Unknown members, from newer servers, are ignored.
    pub fn read(answer: &Value) -> Option<ServerStatus> {
        let Value::Struct(values) = answer else { return None };
        let mut status = ServerStatus::default();
        for (name, presence, member) in status.table() {
            match values.iter().find(|(found, _)| **found == *name) {
                Some((_, value)) => member.read(value)?,
                None if presence == Presence::Newer => {}
                None => return None,
            }
        }
        Some(status)
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

/// A field of the status: to its value in the answer, and back.
trait Field {
    fn write(&self) -> Value;

    /// Sets the field; `None` if the value is not one of its type.
    fn read(&mut self, value: &Value) -> Option<()>;
}

impl Field for i64 {
    fn write(&self) -> Value {
        Value::Int(i32::try_from(*self).unwrap_or(i32::MAX).into())
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::Int(number) = value else { return None };
        *self = *number;
        Some(())
    }
}

/// Bytes, as KiB rounded up; −1 for none.
impl Field for Option<u64> {
    fn write(&self) -> Value {
        self.map_or(-1, |bytes| i64::try_from(bytes.div_ceil(1024)).unwrap_or(i64::MAX)).write()
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::Int(kibibytes) = value else { return None };
        *self = u64::try_from(*kibibytes).ok().map(|kibibytes| kibibytes.saturating_mul(1024));
        Some(())
    }
}

impl Field for bool {
    fn write(&self) -> Value {
        (*self).into()
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::Boolean(truth) = value else { return None };
        *self = *truth;
        Some(())
    }
}

impl Field for String {
    fn write(&self) -> Value {
        Value::String(self.as_str().into())
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::String(text) = value else { return None };
        *self = text.to_string();
        Some(())
    }
}

/// `None` is the empty string.
impl Field for Option<String> {
    fn write(&self) -> Value {
        self.clone().unwrap_or_default().write()
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let mut text = String::new();
        text.read(value)?;
        *self = Some(text).filter(|text| !text.is_empty());
        Some(())
    }
}

/// Ids of servers.
impl Field for Vec<i64> {
    fn write(&self) -> Value {
        Value::Array(self.iter().map(Field::write).collect())
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::Array(ids) = value else { return None };
        *self = vec![0; ids.len()];
        self.iter_mut().zip(ids).try_for_each(|(id, value)| id.read(value))
    }
}

impl Field for RoleName {
    fn write(&self) -> Value {
        Value::String(self.as_str().into())
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::String(name) = value else { return None };
        let roles = [RoleName::Follower, RoleName::Candidate, RoleName::Leader, RoleName::Crashed];
        *self = roles.into_iter().find(|role| *role.as_str() == **name)?;
        Some(())
    }
}

/// Seconds.
impl Field for Duration {
    fn write(&self) -> Value {
        i64::try_from(self.as_secs()).unwrap_or(i64::MAX).write()
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::Int(seconds) = value else { return None };
        *self = Duration::from_secs(u64::try_from(*seconds).ok()?);
        Some(())
    }
}

/// Milliseconds; −1 for never.
impl Field for Option<Duration> {
    fn write(&self) -> Value {
        self.map_or(-1, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX)).write()
    }

    fn read(&mut self, value: &Value) -> Option<()> {
        let Value::Int(milliseconds) = value else { return None };
        *self = u64::try_from(*milliseconds).ok().map(Duration::from_millis);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Double;

    /// A status in which no field has its default.
    fn status() -> ServerStatus {
        let text = |text: &str| text.to_owned();
        ServerStatus {
            id: 1,
            servers: 5,
            address: text("a:1"),
            role: RoleName::Candidate,
            term: 2,
            leader: Some(text("b:2")),
            lacks_majority: true,
            commit_index: 3,
            last_applied: 4,
            last_log_index: 5,
            last_log_term: 6,
            files: 7,
            waiting_calls: 8,
            peer_requests: 9,
            leader_changes: 10,
            elections_started: 11,
            last_heard: Some(Duration::from_millis(12)),
            uptime: Duration::from_secs(13),
            incarnation: text("14"),
            history: Some(text("15")),
            roster: vec![0, 1],
            guests: vec![2],
            waits_for: vec![3],
            other_histories: vec![4],
            doubled: vec![0],
            disk_bytes: Some(18 << 10),
            last_sync: Some(Duration::from_millis(19)),
            configuration: text("16"),
            release: text("17"),
        }
    }

    fn answer(members: Vec<(&'static str, Value)>) -> Value {
        Value::Struct(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    #[test]
    fn what_a_server_writes_is_what_a_client_reads() {
        for status in [status(), ServerStatus::default()] {
            assert_eq!(ServerStatus::read(&answer(status.members())), Some(status));
        }
    }

    #[test]
    fn a_number_beyond_an_int_is_written_as_the_greatest() {
        let greatest = Duration::MAX;
        let status = ServerStatus {
            term: i64::MAX,
            uptime: greatest,
            last_heard: Some(greatest),
            ..status()
        };
        for (name, value) in status.members() {
            if ["term", "uptimeSeconds", "lastHeardMilliseconds"].contains(&name) {
                assert_eq!(value, Value::Int(i32::MAX.into()), "{name}");
            }
        }
    }

    #[test]
    fn bytes_on_disk_are_rounded_up_and_differ_from_no_disk() {
        for (bytes, written) in
            [(None, -1), (Some(0), 0), (Some(1), 1), (Some(1025), 2), (Some(u64::MAX), i32::MAX)]
        {
            assert_eq!(bytes.write(), Value::Int(written.into()), "{bytes:?}");
        }
    }

    #[test]
    fn an_older_server_lacks_what_is_newer_and_a_newer_one_has_more() {
        let newer = ["roster", "guests", "waitsFor", "otherHistories", "doubled"];
        let newer =
            [&newer[..], &["lacksMajority", "configuration", "incarnation", "history"]].concat();
        let newer = [&newer[..], &["diskKibibytes", "lastSyncMilliseconds"]].concat();
        for (lacked, _) in status().members() {
            let mut members = status().members();
            members.retain(|(name, _)| *name != lacked);
            members.push(("aMemberToCome", true.into()));
            let read = ServerStatus::read(&answer(members));
            assert_eq!(read.is_some(), newer.contains(&lacked), "{lacked}");
        }
    }

    #[test]
    fn a_member_of_another_type_is_no_status() {
        for index in 0..status().members().len() {
            let mut members = status().members();
            members[index].1 = Value::Double(Double::new(0.5).expect("it is finite"));
            assert_eq!(ServerStatus::read(&answer(members.clone())), None, "{}", members[index].0);
        }
        assert_eq!(ServerStatus::read(&Value::Int(1)), None);
    }
}
