//! An overview of the servers' status.

use std::io;
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::arguments::Format;
use super::clock::Clock;
use super::error::CommandError;
use super::live::Live;
use super::screen::{GREEN, Layout, RED, Row, Screen, YELLOW};
use super::values;
use crate::client::blocking::Client;
use crate::client::{Error, ServerStatus};
use crate::raft::RoleName;
use crate::terminal::{self, wrap};

/// The table: one line for each server.
const HEADER: [&str; 11] =
    ["ID", "ADDRESS", "ROLE", "TERM", "COMMIT", "APPLIED", "LOG", "LAG", "HEARD", "UPTIME", "DISK"];

/// On a narrow terminal, COMMIT, LOG, UPTIME, DISK and HEARD are left out, in this order.
/// ROLE, HEARD, UPTIME and DISK have room for `candidate`, `999 ms`, `119 min` and `999 MiB`.
const LAYOUT: Layout =
    Layout { cut: 1, spare: &[4, 6, 9, 10, 8], least: &[(2, 9), (8, 6), (9, 7), (10, 7)] };

/// The answers of the servers, in the order of their ids.
pub(super) type Statuses = Vec<Result<ServerStatus, Error>>;

/// `status`
pub(super) fn run(
    screen: &Screen,
    client: &mut Client,
    watch: Option<Duration>,
    output: Format,
) -> Result<(), CommandError> {
    if let Some(pause) = watch {
        return self::watch(screen, client, pause, output);
    }
    let look = Look::take(client);
    match output {
        Format::Table => screen.show(&look.table(screen))?,
        Format::Json => screen.show_json(&look.json())?,
    }
    health(&look.statuses)
}

/// Shows the status again and again, until stdout has no reader.
fn watch(
    screen: &Screen,
    client: &mut Client,
    pause: Duration,
    output: Format,
) -> Result<(), CommandError> {
    let clock = Clock::new();
    let mut live = Live::default();
    loop {
        let look = Look::take(client);
        let text = match output {
            Format::Table => look.watched(screen, &clock),
            // Each document is one line, so that programs can separate them.
            Format::Json => values::shown(&look.json().to_string()),
        };
        let text = match (output, screen.with_cursor()) {
            (Format::Table, Some(size)) => live.frame(size, &text),
            _ => text,
        };
        if !screen.show_to_reader(&text)? {
            return Ok(());
        }
        thread::sleep(pause);
    }
}

/// The status of all servers at about the same time.
struct Look {
    addresses: Vec<String>,
    statuses: Statuses,
}

impl Look {
    fn take(client: &mut Client) -> Look {
        let statuses = client.at_each(async |server| server.status().await);
        let addresses = client.servers().iter().map(|server| server.address().to_string());
        Look { addresses: addresses.collect(), statuses }
    }

    fn table(&self, screen: &Screen) -> String {
        let newest = newest(&self.statuses);
        let mut rows = vec![Row::new(HEADER)];
        for (id, (address, status)) in self.addresses.iter().zip(&self.statuses).enumerate() {
            rows.push(match status {
                Ok(status) => row(id, address, status, newest),
                Err(_) => {
                    let cells = [id.to_string(), address.clone(), "unreachable".to_owned()];
                    Row::new(cells).coloured(Some(RED))
                }
            });
        }
        screen.table(&LAYOUT, &rows)
    }

    /// The time, the table and what is wrong, if anything: during a watch, that is no error.
    fn watched(&self, screen: &Screen, clock: &Clock) -> String {
        let mut text = format!("{}\n{}", clock.now(), self.table(screen));
        if let Err(error) = health(&self.statuses) {
            let columns = terminal::size(io::stdout()).map_or(usize::MAX, |size| size.columns);
            for line in wrap(&error.message, columns, 0).lines() {
                text += "\n";
                text += &screen.paint(Some(RED), line);
            }
        }
        text
    }

    fn json(&self) -> Json {
        to_json(&self.addresses, &self.statuses)
    }
}

/// Checks that a majority is up, and that a server leads and has a majority.
pub(super) fn health(statuses: &Statuses) -> Result<(), CommandError> {
    if nothing_runs(statuses) {
        return Err(Error::NoServer(statuses.len()).into());
    }
    let answered = || statuses.iter().flatten();
    let up = answered().filter(|status| status.role != RoleName::Crashed).count();
    if up <= statuses.len() / 2 {
        let all = statuses.len();
        let are = if up == 1 { "is" } else { "are" };
        let what = format!("no majority: {up} of {all} servers {are} up");
        return Err(CommandError::no_leader(what));
    }
    let leads = |status: &&ServerStatus| status.leads();
    match answered().filter(leads).max_by_key(|status| status.term) {
        Some(leader) => majority(leader),
        None => Err(CommandError::no_leader("there is no leader")),
    }
}

/// Whether every server refuses the connection, so that none runs.
pub(super) fn nothing_runs<T>(outcomes: &[Result<T, Error>]) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, Err(Error::Refused(_))))
}

/// Fails if the servers that were called refuse the connection, and all others too.
pub(super) fn check_runs<T>(
    client: &mut Client,
    outcomes: &[Result<T, Error>],
) -> Result<(), CommandError> {
    if nothing_runs(outcomes) && nothing_runs(&client.at_each(async |server| server.ping().await)) {
        return Err(CommandError::none_runs(client.servers().len()));
    }
    Ok(())
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

fn row(id: usize, address: &str, status: &ServerStatus, newest: i64) -> Row {
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
        status.commit_index.to_string(),
        status.last_applied.to_string(),
        status.last_log_index.to_string(),
        newest.saturating_sub(status.last_applied).to_string(),
        status.last_heard.map_or("never".to_owned(), duration),
        duration(status.uptime),
        status.disk_bytes.map_or("none".to_owned(), size),
    ];
    Row::new(cells).coloured(colour)
}

/// A duration in the largest unit that it contains at least twice, rounded down; below 10 s with more precision.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86400, seconds / 3600, seconds / 60, seconds) {
        (0, 0, 0, 0) if time.subsec_millis() != 0 => format!("{} ms", time.as_millis()),
        (0, 0, 0, 1..10) if time.subsec_millis() != 0 => {
            format!("{:.1} s", time.as_secs_f64())
        }
        (0..2, 0..2, 0..2, seconds) => format!("{seconds} s"),
        (0..2, 0..2, minutes, _) => format!("{minutes} min"),
        (0..2, hours, ..) => format!("{hours} h"),
        (days, ..) => format!("{days} d"),
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

    /// The first row of a table on a terminal of that width.
    fn header(columns: usize, status: &ServerStatus) -> String {
        let rows = [Row::new(HEADER), row(0, "localhost:9001", status, 0)];
        let table = Screen::new().table_within(columns, &LAYOUT, &rows);
        assert!(columns < 60 || table.contains("localhost:9001"), "{table}");
        table.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_columns_stay_where_they_are_while_times_sizes_and_roles_change() {
        let roles = [RoleName::Follower, RoleName::Candidate, RoleName::Leader, RoleName::Crashed];
        for columns in [50, 60, 80, 100, 120] {
            let first = header(columns, &ServerStatus::default());
            for role in roles {
                for millis in [0, 9, 59, 114, 999, 9999, 59_000, 119_000] {
                    for disk_bytes in [None, Some(0), Some(32 << 20), Some(999 << 20)] {
                        let time = Duration::from_millis(millis);
                        let (last_heard, uptime) = (Some(time), time * 60);
                        let status = ServerStatus {
                            role,
                            last_heard,
                            uptime,
                            disk_bytes,
                            ..Default::default()
                        };
                        assert_eq!(header(columns, &status), first, "{columns}: {status:?}");
                    }
                }
            }
        }
    }

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
    fn a_time_is_shown_in_the_largest_unit_of_which_it_has_two() {
        for (millis, told) in [
            (0, "0 s"),
            (999, "999 ms"),
            (1000, "1 s"),
            (9652, "9.7 s"),
            (10_999, "10 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_199_999, "119 min"),
            (7_200_000, "2 h"),
            (172_799_999, "47 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), told);
        }
    }
}
