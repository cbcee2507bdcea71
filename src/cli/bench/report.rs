//! The result, for people and for programs.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::failover::Failover;
use super::figures::{Class, Figures};
use super::plot::{digits, distribution, millis, rate};
use crate::cli::doctor::counted;
use crate::cli::error::CommandError;
use crate::cli::screen::{Layout, Row, Screen, plain};
use crate::config::Address;

/// The table of the loads.
const HEADER: [&str; 8] =
    ["CALL", "CLIENTS", "CALLS", "CALLS/S", "P50 ms", "P90 ms", "P99 ms", "MAX ms"];

/// On a narrow terminal CALLS is left out.
const LAYOUT: Layout = Layout { cut: 0, spare: &[2], least: &[] };

/// The set, as it was found.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) servers: usize,
    /// The addresses of those that did not answer.
    pub(super) silent: Vec<Address>,
    /// The servers that answered and were not crashed.
    pub(super) up: usize,
    /// The servers that said that they keep their state on disk.
    pub(super) on_disk: usize,
    pub(super) leader: String,
    pub(super) term: i64,
}

/// What was measured, and the figures.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) set: Set,
    pub(super) files: usize,
    pub(super) hashes: usize,
    pub(super) warm_up: Duration,
    pub(super) time: Duration,
    pub(super) loads: Vec<Figures>,
    pub(super) failovers: Vec<Failover>,
    /// The number of updates that were acknowledged, without those that mark files as deleted.
    pub(super) acknowledged: u64,
    /// The number of files that were marked as deleted.
    pub(super) deleted: u64,
}

impl Report {
    /// Shows the report for people.
    pub(super) fn show(&self, screen: &Screen) -> Result<(), CommandError> {
        screen.show_sentences(&self.setting())?;
        let rows = self.loads.iter().map(|load| {
            let times = [load.quantile(0.5), load.quantile(0.9), load.quantile(0.99), load.max()];
            let counts = [
                load.call.name().to_owned(),
                load.clients.to_string(),
                load.calls().to_string(),
                rate(load.calls_per_second()),
            ];
            Row::new(counts.into_iter().chain(times.map(millis)))
        });
        let rows: Vec<_> = [Row::new(HEADER)].into_iter().chain(rows).collect();
        screen.show(&format!("\n{}", screen.table(&LAYOUT, &rows)))?;
        for load in &self.loads {
            screen.show(&format!("\n{}", picture(load)))?;
        }
        screen.show_sentences(&format!("\n{}", self.end()))
    }

    /// What was measured.
    fn setting(&self) -> String {
        let Set { servers, silent, up, on_disk, leader, term } = &self.set;
        let answered = servers.saturating_sub(silent.len());
        let that_answered = if silent.is_empty() { "" } else { " that answered" };
        let disk = match *on_disk {
            0 => format!("all{that_answered} keep their state in memory only"),
            count if count == answered => format!("all{that_answered} keep their state on disk"),
            count => format!("{count} of {answered}{that_answered} keep their state on disk"),
        };
        // The address is what a server said.
        let leader = plain(leader);
        let files = counted(self.files, "file");
        let hashes = match self.hashes {
            1 => "one hash".to_owned(),
            count => format!("{count} hashes"),
        };
        format!(
            "{}, {up} of them up; {leader} leads in term {term}; {disk}\n\
             {} s for each kind of call, after {} s of warm-up; updates of {files} with {hashes} of 64 digits\n\
             each client sends its next call once the last one is answered (closed loop), so the times leave out how \
             long calls would queue",
            counted(*servers, "server"),
            self.time.as_secs_f64(),
            self.warm_up.as_secs_f64(),
        )
    }

    /// What else is to be said.
    fn end(&self) -> String {
        let mut lines = Vec::new();
        if let Some(files) = self.loads.iter().find_map(|load| load.in_map) {
            lines.push(format!(
                "a read returned the whole map, {}, of which {} of this benchmark",
                counted(files, "file"),
                if self.files == 1 { "one is".to_owned() } else { format!("{} are", self.files) }
            ));
        }
        for load in self.loads.iter().filter(|load| 0 < load.resent) {
            lines.push(format!(
                "{}, {}: {} of the calls had to be sent again, as after an election; their times include that",
                load.call.name(),
                counted(load.clients, "client"),
                load.resent
            ));
        }
        if !self.failovers.is_empty() {
            let of = |time: fn(&Failover) -> Option<Duration>| {
                let mut times: Vec<_> = self.failovers.iter().filter_map(time).collect();
                times.sort_unstable();
                let at = |place: usize| times.get(place).copied().map(millis).unwrap_or_default();
                let last = times.len().saturating_sub(1);
                format!("median {} ms, longest {} ms", at(last / 2), at(last))
            };
            let caught_up = if self.failovers.iter().any(|failover| failover.caught_up.is_some()) {
                of(|failover| failover.caught_up)
            } else {
                "not measured".to_owned()
            };
            lines.push(format!(
                "{}: from crash() of the leader to the next acknowledged update {}; from restore() until the server \
                 had caught up {caught_up}",
                counted(self.failovers.len(), "failover"),
                of(|failover| Some(failover.took)),
            ));
        }
        lines.push(format!(
            "{} updates were acknowledged in all, warm-ups included; {} marked as deleted",
            self.acknowledged,
            counted(usize::try_from(self.deleted).unwrap_or(usize::MAX), "file")
        ));
        lines.join("\n")
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Json {
        let Set { servers, silent: _, up, on_disk, leader, term } = &self.set;
        let failover = |failover: &Failover| {
            json!({
                "server": failover.server,
                "milliseconds": to_millis(failover.took),
                "caughtUpMilliseconds": failover.caught_up.map(to_millis),
            })
        };
        json!({
            "servers": servers,
            "serversUp": up,
            "serversOnDisk": on_disk,
            "leader": leader,
            "term": term,
            "files": self.files,
            "hashes": self.hashes,
            "seconds": self.time.as_secs_f64(),
            "warmUpSeconds": self.warm_up.as_secs_f64(),
            "loads": self.loads.iter().map(load_json).collect::<Json>(),
            "failovers": self.failovers.iter().map(failover).collect::<Json>(),
            "updatesAcknowledged": self.acknowledged,
            "filesMarkedDeleted": self.deleted,
        })
    }
}

/// The distribution of the times of a load, and its calls over the time.
fn picture(load: &Figures) -> String {
    let mut lines = vec![format!(
        "{}, {}: calls by their time",
        load.call.name(),
        counted(load.clients, "client")
    )];
    lines.extend(distribution(&load.classes()).into_iter().map(|row| format!("  {row}")));
    let slice = load.asked.as_secs_f64() / load.slices.len() as f64;
    let most = load.slices.iter().copied().max().unwrap_or_default();
    let most = rate(most as f64 / slice);
    lines.push(format!("  over time (9: {most}/s)  {}", digits(&load.slices)));
    lines.join("\n")
}

fn load_json(load: &Figures) -> Json {
    let class = |class: Class| {
        json!({
            "overMilliseconds": to_millis(class.from),
            "upToMilliseconds": class.to.map(to_millis),
            "calls": class.calls,
        })
    };
    json!({
        "call": load.call.name(),
        "clients": load.clients,
        "calls": load.calls(),
        "callsSentAgain": load.resent,
        "seconds": load.time.as_secs_f64(),
        "callsPerSecond": load.calls_per_second(),
        "p50Milliseconds": to_millis(load.quantile(0.5)),
        "p90Milliseconds": to_millis(load.quantile(0.9)),
        "p99Milliseconds": to_millis(load.quantile(0.99)),
        "maxMilliseconds": to_millis(load.max()),
        "distribution": load.classes().into_iter().map(class).collect::<Json>(),
        "sliceSeconds": load.asked.as_secs_f64() / load.slices.len() as f64,
        "callsInSlices": load.slices,
        "filesInMap": load.in_map,
    })
}

/// A time in milliseconds, to a whole microsecond.
fn to_millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
