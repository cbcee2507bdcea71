//! Many updates of few files: the log is cut, so they become no slower, and the servers no larger. And reads of a large
//! map.

use crate::cluster::Cluster;
use crate::figures::{Figures, median};
use crate::files::Files;
use crate::load::{Until, Work};
use crate::report::{Report, Table, mebibytes, number};
use crate::settings::Settings;

const CLIENTS: usize = 64;

/// How many files are updated.
const FEW: usize = 1_000;

/// How many files are read.
const MANY: usize = 10_000;

/// How many parts the updates are reported in.
const PARTS: usize = 10;

/// The figures of a row that has only memory.
const NONE: [&str; 3] = ["–"; 3];

/// Updates with all servers, and with a follower that is crashed for all of them; then reads of a large map.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    update(report, settings.updates, Follower::Up);
    update(report, settings.updates, Follower::Crashed);
    read(report, settings);
}

/// What a follower does during the updates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follower {
    Up,
    Crashed,
}

impl Follower {
    fn name(self) -> &'static str {
        match self {
            Follower::Up => "all servers up",
            Follower::Crashed => "a follower crashed",
        }
    }
}

/// Makes so many updates, and measures each tenth of them, and the memory after it.
fn update(report: &mut Report, updates: usize, follower: Follower) {
    let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", FEW));
    let leader = cluster.leader();
    let id = (leader + 1) % cluster.size();
    if follower == Follower::Crashed {
        cluster.crash(id);
    }
    let name = follower.name();
    let (all, few) = (number(updates as f64), number(FEW as f64));
    let title = format!("{all} updates of {few} files by {CLIENTS} clients, N = 3, {name}");
    let head = ["after", "updates/s", "p50 µs", "p99 µs", "memory: leader, followers"];
    let mut table = Table::new(title, &head);
    let mut memory = Vec::new();
    for part in 1..=PARTS {
        let count = updates / PARTS;
        let turn = cluster.load(&mut files, Work::Update, CLIENTS, Until::Sent(count));
        let figures = [turn.calls_per_second, turn.p50, turn.p99].map(number);
        let resident = cluster.resident(leader);
        table.row(row(number((part * count) as f64), figures, &resident));
        memory.push(resident);
    }
    // The C library may keep a few MiB more or less; a log that is not cut grows by a multiple of the first tenth.
    let grown = memory[PARTS - 1].iter().zip(&memory[0]);
    let grown = grown.map(|(last, first)| *last as f64 / *first as f64).fold(0.0, f64::max);
    report.at_most(format!("{name}: memory after the last tenth / the first"), grown, 1.25, "");
    if follower == Follower::Crashed {
        let took = cluster.level_after(Cluster::restore, id).as_secs_f64();
        let what = format!("restore(), level in {took:.3} s");
        table.row(row(what, NONE.map(str::to_owned), &cluster.resident(leader)));
        report.at_most(format!("{name}: level again after restore()"), took, 1.0, " s");
    }
    let largest = cluster.resident(leader).into_iter().max().unwrap_or(0);
    let largest = largest as f64 / f64::from(1 << 20);
    report.at_most(format!("{name}: memory of the largest, at the end"), largest, 64.0, " MiB");
    table.row(row("the most so far".to_owned(), NONE.map(str::to_owned), &cluster.peak(leader)));
    report.add(table);
    cluster.check(&[&files]);
}

/// A row of the table; the memory is that of each server.
fn row(what: String, figures: [String; 3], memory: &[u64]) -> [String; 5] {
    let memory: Vec<_> = memory.iter().copied().map(mebibytes).collect();
    let [rate, p50, p99] = figures;
    [what, rate, p50, p99, memory.join(", ")]
}

/// The cost of a read of a large map.
fn read(report: &mut Report, settings: &Settings) {
    let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", MANY));
    cluster.load(&mut files, Work::Update, CLIENTS, Until::Sent(MANY));
    let head = ["clients", "reads/s", "p50 µs", "p99 µs", "CPU µs/call"];
    let title = format!("Reads of {} files, N = 3", number(MANY as f64));
    let mut table = Table::new(title, &head);
    for clients in [1, 16] {
        let turn = |_| cluster.load(&mut files, Work::Read, clients, Until::Over(settings.turn));
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
    cluster.check(&[&files]);
}
