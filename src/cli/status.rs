//! An overview of the servers' status.

use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::arguments::Format;
use super::error::CommandError;
use super::screen::{GREEN, RED, Row, Screen, YELLOW, plain};
use super::values;
use crate::client::blocking::Client;
use crate::client::{Error, ServerStatus};
use crate::raft::RoleName;

/// The time between two updates.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Moves the terminal's cursor to the top left, and clears the screen.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// The answers of the servers, in the order of their ids.
pub(super) type Statuses = Vec<Result<ServerStatus, Error>>;

/// `status`
pub(super) fn run(
    screen: &Screen,
    client: &mut Client,
    watch: bool,
    output: Format,
) -> Result<(), CommandError> {
    loop {
        let statuses = client.at_each(async |server| server.status().await);
        let addresses: Vec<_> =
            client.servers().iter().map(|server| server.address().to_string()).collect();
        let shown = match output {
            Format::Table => table(screen, &addresses, &statuses),
            // With `--watch` each document is one line, so that programs can separate them.
            Format::Json if watch => values::shown(&to_json(&addresses, &statuses).to_string()),
            Format::Json => values::shown(&format!("{:#}", to_json(&addresses, &statuses))),
        };
        if !watch {
            screen.show(&shown)?;
            return health(&statuses);
        }
        let clear = if screen.is_terminal { CLEAR } else { "" };
        if !screen.show_to_reader(&format!("{clear}{shown}"))? {
            return Ok(());
        }
        thread::sleep(WATCH_PAUSE);
    }
}

/// Checks that a majority is up, and that a server leads and has a majority.
pub(super) fn health(statuses: &Statuses) -> Result<(), CommandError> {
    let answered = || statuses.iter().flatten();
    let up = answered().filter(|status| status.role != RoleName::Crashed).count();
    if up <= statuses.len() / 2 {
        let all = statuses.len();
        return Err(CommandError::no_leader(format!("no majority: {up} of {all} servers are up")));
    }
    let leads = |status: &&ServerStatus| status.leads();
    match answered().filter(leads).max_by_key(|status| status.term) {
        Some(leader) => majority(leader),
        None => Err(CommandError::no_leader("there is no leader")),
    }
}

/// Checks that a majority answers the leader.
pub(super) fn majority(leader: &ServerStatus) -> Result<(), CommandError> {
    if leader.lacks_majority {
        let id = leader.id;
        let what = format!("no majority: server {id} leads, but no majority answers it");
        return Err(CommandError::no_leader(what));
    }
    Ok(())
}

/// The highest index that any server knows is committed.
pub(super) fn newest(statuses: &Statuses) -> i64 {
    statuses.iter().flatten().map(|status| status.commit_index).max().unwrap_or_default()
}

fn table(screen: &Screen, addresses: &[String], statuses: &Statuses) -> String {
    let newest = newest(statuses);
    let mut rows = vec![Row::new([
        "ID", "ADDRESS", "ROLE", "TERM", "LEADER", "COMMIT", "APPLIED", "LOG", "BEHIND", "HEARD",
        "UPTIME", "DISK",
    ])];
    for (id, (address, status)) in addresses.iter().zip(statuses).enumerate() {
        rows.push(match status {
            Ok(status) => row(id, address, status, newest),
            Err(_) => {
                let cells = [id.to_string(), address.clone(), "unreachable".to_owned()];
                Row::new(cells).coloured(Some(RED))
            }
        });
    }
    screen.table(&rows)
}

fn row(id: usize, address: &str, status: &ServerStatus, newest: i64) -> Row {
    let heard =
        status.last_heard.map_or("never".to_owned(), |time| format!("{} ms", time.as_millis()));
    let colour = match status.role {
        RoleName::Leader if status.lacks_majority => Some(YELLOW),
        RoleName::Leader => Some(GREEN),
        RoleName::Crashed => Some(RED),
        RoleName::Candidate => Some(YELLOW),
        RoleName::Follower => None,
    };
    let cells = [
        id.to_string(),
        address.to_owned(),
        status.role.as_str().to_owned(),
        status.term.to_string(),
        status.leader.as_deref().map_or("-".to_owned(), plain),
        status.commit_index.to_string(),
        status.last_applied.to_string(),
        status.last_log_index.to_string(),
        newest.saturating_sub(status.last_applied).to_string(),
        heard,
        duration(status.uptime),
        status.disk_bytes.map_or("none".to_owned(), size),
    ];
    Row::new(cells).coloured(colour)
}

/// A duration in its two largest units.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

/// A size on disk, in whole units of which it has at least ten.
fn size(bytes: u64) -> String {
    match (bytes >> 30, bytes >> 20, bytes.div_ceil(1024)) {
        (0..10, 0..10, kibibytes) => format!("{kibibytes} KiB"),
        (0..10, mebibytes, _) => format!("{mebibytes} MiB"),
        (gibibytes, ..) => format!("{gibibytes} GiB"),
    }
}

fn to_json(addresses: &[String], statuses: &Statuses) -> Json {
    let newest = newest(statuses);
    let server = |(id, (address, status)): (usize, (&String, &Result<ServerStatus, Error>))| {
        match status {
            Ok(status) => json!({
                "id": id,
                "address": address,
                "role": status.role.as_str(),
                "term": status.term,
                "leader": status.leader,
                "lacksMajority": status.lacks_majority,
                "commitIndex": status.commit_index,
                "lastApplied": status.last_applied,
                "lastLogIndex": status.last_log_index,
                "behindBy": newest.saturating_sub(status.last_applied),
                "files": status.files,
                "waitingCalls": status.waiting_calls,
                "lastHeardMilliseconds": status.last_heard.map(milliseconds),
                "uptimeSeconds": status.uptime.as_secs(),
                "incarnation": status.incarnation,
                "history": status.history,
                "roster": status.roster,
                "guests": status.guests,
                "waitsFor": status.waits_for,
                "otherHistories": status.other_histories,
                "doubled": status.doubled,
                "diskKibibytes": status.disk_bytes.map(|bytes| bytes.div_ceil(1024)),
                "lastSyncMilliseconds": status.last_sync.map(milliseconds),
            }),
            Err(error) => {
                json!({ "id": id, "address": address, "role": "unreachable", "error": error.to_string() })
            }
        }
    };
    addresses.iter().zip(statuses).enumerate().map(server).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_the_largest_unit_of_which_it_has_ten() {
        for (bytes, told) in [
            (0, "0 KiB"),
            (1, "1 KiB"),
            (10 << 10, "10 KiB"),
            ((10 << 20) - 1, "10240 KiB"),
            (10 << 20, "10 MiB"),
            ((10 << 30) - 1, "10239 MiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "17179869183 GiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }

    #[test]
    fn a_time_is_shown_in_its_two_largest_units() {
        for (seconds, told) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_061, "1 d 1 h")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), told);
        }
    }
}
