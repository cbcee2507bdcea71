//! The cost of a long log and of a large map.

use crate::cluster::Cluster;
use crate::figures::{Figures, median};
use crate::files::Files;
use crate::load::{Until, Work};
use crate::report::{Report, Table, mebibytes, number};
use crate::settings::Settings;

const CLIENTS: usize = 64;

/// How many updates a turn has.
const TURN: usize = 2_000;

const SHORT: usize = 10_000;
const LONG: usize = 200_000;

/// A set with so many entries in its log, and the files, all of which are in its map.
struct Grown {
    cluster: Cluster,
    files: Files,
    /// The memory of each server before the first entry, in bytes, the leader first.
    empty: Vec<u64>,
    /// The memory of each with so many entries.
    full: Vec<u64>,
    entries: usize,
}

impl Grown {
    fn new(entries: usize, files: usize) -> Grown {
        let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", files));
        let leader = cluster.leader();
        let empty = cluster.resident(leader);
        cluster.load(&mut files, Work::Update, CLIENTS, Until::Sent(entries));
        let full = cluster.resident(leader);
        Grown { cluster, files, empty, full, entries }
    }

    fn turn(&mut self, work: Work, clients: usize, until: Until) -> Figures {
        self.cluster.load(&mut self.files, work, clients, until)
    }

    /// The bytes that an entry takes, at each server.
    fn bytes_per_entry(&self) -> Vec<f64> {
        let grown = self.full.iter().zip(&self.empty);
        grown
            .map(|(full, empty)| full.saturating_sub(*empty) as f64 / self.entries as f64)
            .collect()
    }
}

/// Updates in turn at a set with a short log, at one with a long log, and at one with a large map.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let mut sets = [Grown::new(SHORT, 256), Grown::new(LONG, 256), Grown::new(SHORT, 10_000)];
    let mut rounds = Vec::new();
    for _ in 0..settings.turns {
        let turn = |set: &mut Grown| set.turn(Work::Update, CLIENTS, Until::Sent(TURN));
        rounds.push(sets.each_mut().map(turn).map(|turn| turn.calls_per_second));
    }
    let head =
        ["log, map", "updates/s", "of the first", "memory", "bytes/entry: leader, followers"];
    let mut table = Table::new("A long log and a large map, 64 clients, N = 3", &head);
    for (index, set) in sets.iter().enumerate() {
        let bytes: Vec<_> = set.bytes_per_entry().into_iter().map(number).collect();
        table.row([
            format!(
                "{} entries, {} files",
                number(set.entries as f64),
                number(set.files.len() as f64)
            ),
            number(median(rounds.iter().map(|round| round[index]))),
            format!("{:.3}", median(rounds.iter().map(|round| round[index] / round[0]))),
            mebibytes(set.full.iter().sum()),
            bytes.join(", "),
        ]);
    }
    report.add(table);
    read(report, &mut sets[2], settings);
    for set in &mut sets {
        set.cluster.check(&[&set.files]);
    }
}

/// The cost of a read of the large map.
fn read(report: &mut Report, large: &mut Grown, settings: &Settings) {
    let head = ["clients", "reads/s", "p50 µs", "p99 µs", "CPU µs/call"];
    let mut table = Table::new("Reads of 10,000 files, N = 3", &head);
    for clients in [1, 16] {
        let turn = |_| large.turn(Work::Read, clients, Until::Over(settings.turn));
        let turns: Vec<_> = (0..settings.turns).map(turn).collect();
        let middle = |figure: fn(&Figures) -> f64| number(median(turns.iter().map(figure)));
        table.row([
            clients.to_string(),
            middle(|turn| turn.calls_per_second),
            middle(|turn| turn.p50),
            middle(|turn| turn.p99),
            middle(|turn| turn.cpu.iter().sum()),
        ]);
    }
    report.add(table);
}
