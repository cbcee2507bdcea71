//! The result of a run, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::history::{Fate, Violation};

/// The upper bounds of the histogram's rows, in milliseconds; the last row has none.
const ROWS_MS: [u64; 7] = [250, 500, 750, 1000, 1500, 2500, 5000];

/// The length of the longest bar of the histogram: a row fits into 60 columns.
const BAR_MAX: usize = 32;

/// The number of calls for each outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Updates that took effect.
    pub applied: usize,
    /// Updates whose version was not the next one.
    pub refused: usize,
    /// Updates that had no effect for another reason.
    pub failed: usize,
    /// Updates whose outcome is unknown.
    pub unknown: usize,
    /// Reads that were answered.
    pub reads: usize,
    /// Reads that were not answered.
    pub reads_failed: usize,
    /// The duration of the longest call, including all its attempts.
    pub longest: Duration,
}

impl Calls {
    pub(super) fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Applied => &mut self.applied,
            Fate::Refused => &mut self.refused,
            Fate::Failed => &mut self.failed,
            Fate::Unknown => &mut self.unknown,
        } += 1;
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.longest = self.longest.max(time);
    }
}

/// The actions on the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blows {
    /// The number of crashes.
    pub crashes: usize,
    /// The number of crashes of the leader.
    pub crashes_of_leaders: usize,
    /// The number of times that a crashed server was restored.
    pub restores: usize,
    /// The number of crashes that left no majority.
    pub majorities_lost: usize,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The command that repeats it.
    pub command: String,
    /// The seed of the run.
    pub seed: u64,
    /// The number of servers in the set.
    pub servers: usize,
    /// The duration of the run, including its end.
    pub duration: Duration,
    /// The workers' calls.
    pub calls: Calls,
    /// The actions on the servers.
    pub blows: Blows,
    /// The number of times that another server led, or the same server in another term.
    pub leader_changes: usize,
    /// The duration of each election, measured from the action that made it necessary.
    pub elections: Vec<Duration>,
    /// All violations.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Why the run proves nothing, if that is so.
    pub fn void(&self) -> Option<&'static str> {
        match (self.blows.crashes, self.calls.applied) {
            (0, _) => Some("no server was crashed"),
            (_, 0) => Some("no update was acknowledged"),
            _ => None,
        }
    }

    /// Whether there was no violation and the run proves something.
    pub fn is_clean(&self) -> bool {
        self.void().is_none() && self.violations.is_empty()
    }

    /// The report for programs.
    pub fn json(&self) -> Value {
        let Report { calls, blows, .. } = self;
        let violation = |one: &Violation| json!({"what": one.what, "around": one.around});
        json!({
            "clean": self.is_clean(),
            "void": self.void(),
            "seed": self.seed,
            "command": self.command,
            "servers": self.servers,
            "seconds": self.duration.as_secs_f64(),
            "updates": {
                "applied": calls.applied,
                "refused": calls.refused,
                "failed": calls.failed,
                "unknown": calls.unknown,
            },
            "reads": {"answered": calls.reads, "failed": calls.reads_failed},
            "longest_call_seconds": calls.longest.as_secs_f64(),
            "crashes": blows.crashes,
            "crashes_of_leaders": blows.crashes_of_leaders,
            "restores": blows.restores,
            "majorities_lost": blows.majorities_lost,
            "leader_changes": self.leader_changes,
            "election_seconds":
                self.elections.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            "violations": self.violations.iter().map(violation).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { calls, blows, .. } = self;
        let servers = counted(self.servers, "server");
        writeln!(f, "{servers}, {:.1} s", self.duration.as_secs_f64())?;
        writeln!(
            f,
            "updates    {} applied, {} refused, {} failed, {} unknown",
            calls.applied, calls.refused, calls.failed, calls.unknown
        )?;
        writeln!(f, "reads      {} answered, {} failed", calls.reads, calls.reads_failed)?;
        writeln!(f, "longest    {:.3} s for a call", calls.longest.as_secs_f64())?;
        writeln!(
            f,
            "crashes    {}, {} of the leader; {}",
            blows.crashes,
            blows.crashes_of_leaders,
            counted(blows.restores, "restore")
        )?;
        writeln!(f, "majority   lost {}", counted(blows.majorities_lost, "time"))?;
        writeln!(f, "leaders    {}", counted(self.leader_changes, "change"))?;
        write_elections(f, &self.elections)?;
        for violation in &self.violations {
            writeln!(f, "\nVIOLATION: {violation}")?;
        }
        writeln!(f)?;
        match (self.void(), self.violations.len()) {
            (_, count) if 0 < count => writeln!(f, "{}", counted(count, "violation"))?,
            (Some(reason), _) => writeln!(f, "void: {reason}, so the run proves nothing")?,
            (None, _) => writeln!(f, "no violation")?,
        }
        write!(f, "to repeat: {}", self.command)
    }
}

/// The durations of elections, as figures and as a histogram.
fn write_elections(f: &mut fmt::Formatter<'_>, elections: &[Duration]) -> fmt::Result {
    let mut sorted: Vec<u128> = elections.iter().map(Duration::as_millis).collect();
    sorted.sort_unstable();
    let Some(max) = sorted.last() else { return writeln!(f, "elections  none") };
    let (median, p99) = (quantile(&sorted, 50), quantile(&sorted, 99));
    let count = sorted.len();
    writeln!(f, "elections  {count}: median {median} ms, p99 {p99} ms, max {max} ms")?;
    let mut from = 0;
    let mut rows = Vec::new();
    for to in ROWS_MS.map(u128::from).into_iter().chain([u128::MAX]) {
        let count = sorted.iter().filter(|time| (from..to).contains(*time)).count();
        rows.push((from, to, count));
        from = to;
    }
    let most = rows.iter().map(|(_, _, count)| *count).max().unwrap_or(1).max(1);
    for (from, to, count) in rows {
        let times = match to {
            u128::MAX => format!("over {from} ms"),
            to => format!("{from:5}–{to:5} ms"),
        };
        let bar = "#".repeat((count * BAR_MAX).div_ceil(most));
        writeln!(f, "  {times:>14} {count:6} {bar}")?;
    }
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The smallest value that `percent` percent of the values do not exceed.
fn quantile(sorted: &[u128], percent: usize) -> u128 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were() {
        let times: Vec<u128> = (1..=200).collect();
        assert_eq!(quantile(&times, 50), 100);
        assert_eq!(quantile(&times, 99), 198);
        assert_eq!(quantile(&[7], 50), 7);
        assert_eq!(quantile(&[7], 99), 7);
    }

    #[test]
    fn a_report_counts_as_people_count() {
        let report = |count: usize| Report {
            command: String::new(),
            seed: 0,
            servers: count,
            duration: Duration::ZERO,
            calls: Calls { applied: 1, ..Calls::default() },
            blows: Blows {
                crashes: 3,
                crashes_of_leaders: count,
                restores: count,
                majorities_lost: count,
            },
            leader_changes: count,
            elections: vec![Duration::from_secs(7); count],
            violations: Vec::new(),
        };
        for (count, told) in [
            (
                1,
                [
                    "1 server, 0.0 s",
                    "crashes    3, 1 of the leader; 1 restore",
                    "majority   lost 1 time",
                    "leaders    1 change",
                    "    over 5000 ms      1 ################################",
                ],
            ),
            (
                2,
                [
                    "2 servers, 0.0 s",
                    "crashes    3, 2 of the leader; 2 restores",
                    "majority   lost 2 times",
                    "leaders    2 changes",
                    "   2500– 5000 ms      0",
                ],
            ),
        ] {
            let report = report(count).to_string();
            for line in told {
                assert!(report.lines().any(|found| found.trim_end() == line), "{line}: {report}");
            }
        }
    }
}
