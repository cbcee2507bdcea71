//! What durability costs: updates of servers with data folders, beside servers in memory, servers whose folders are in
//! memory, and etcd as it comes; and how long a set takes to start again.
//!
//! All folders are on one disk, so three servers share its syncs. What the disk itself takes for a sync is measured in
//! the same turns.

use std::env;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::etcd::Etcd;
use crate::figures::{Figures, median, micros};
use crate::files::Files;
use crate::load::{Until, Work};
use crate::report::{Report, Table, mebibytes, number};
use crate::settings::Settings;

/// The maximum number of clients.
const CLIENTS_MAX: usize = 256;

/// How many syncs are timed in a turn, and how many bytes each brings to the disk.
const SYNCS: usize = 200;
const SYNCED: usize = 256;

/// A folder in memory.
const MEMORY: &str = "/dev/shm";

/// How many updates are on the disks when a set starts again: this many times as many as `growth` makes, so that a
/// short run is short.
const RESTARTED: usize = 2;

/// Measures updates by numbers of clients, and then the start of a set with many entries.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let mut etcd = settings.etcd.then(|| Etcd::on_disk(&place())).flatten();
    updates(report, settings, etcd.as_mut());
    restart(report, settings, etcd.as_mut());
}

/// The folder whose disk is measured: that of the variable `DATA`, or the build's own.
fn place() -> PathBuf {
    env::var_os("DATA").map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

/// The servers that take turns.
struct Stage {
    memory: (Cluster, Files),
    disk: (Cluster, Files),
    tmpfs: Option<(Cluster, Files)>,
    /// A file for each of the servers that share the disk.
    syncs: [Sync; 3],
}

/// The figures of one round.
struct Round {
    /// What the disk takes for a sync, in microseconds.
    sync: f64,
    /// The same while three files of the disk are synced at once, as three servers do.
    shared_sync: f64,
    memory: Figures,
    disk: Figures,
    tmpfs: Option<Figures>,
    etcd: Option<Figures>,
}

impl Stage {
    fn start() -> Stage {
        let files = || Files::new("file-", CLIENTS_MAX);
        let on = |place: &Path| (Cluster::start_on(3, Some(place)), files());
        let memory = Path::new(MEMORY);
        Stage {
            memory: (Cluster::start(3), files()),
            disk: on(&place()),
            tmpfs: memory.is_dir().then(|| on(memory)),
            syncs: [(); 3].map(|()| Sync::new()),
        }
    }

    fn round(&mut self, clients: usize, settings: &Settings, etcd: Option<&mut Etcd>) -> Round {
        let turn = |(cluster, files): &mut (Cluster, Files)| {
            cluster.load(files, Work::Update, clients, Until::Over(settings.turn))
        };
        Round {
            sync: self.syncs[0].time(),
            shared_sync: Sync::time_together(&mut self.syncs),
            memory: turn(&mut self.memory),
            disk: turn(&mut self.disk),
            tmpfs: self.tmpfs.as_mut().map(turn),
            etcd: etcd.map(|etcd| etcd.load("update", clients, settings.turn)),
        }
    }
}

/// A file of zeros, as the servers' segments are, to time syncs of its disk.
struct Sync {
    file: File,
    _folder: TempDir,
    at: u64,
}

impl Sync {
    fn new() -> Sync {
        let folder = tempfile::tempdir_in(place()).expect("a folder on the disk");
        let file = File::create(folder.path().join("syncs")).expect("a file");
        file.write_all_at(&vec![0; 16 << 20], 0).expect("zeros");
        file.sync_all().expect("a sync");
        Sync { file, _folder: folder, at: 0 }
    }

    /// The median time of a write with its sync, in microseconds.
    fn time(&mut self) -> f64 {
        let sync = |_| {
            let began = Instant::now();
            self.file.write_all_at(&[1; SYNCED], self.at).expect("a write");
            self.file.sync_data().expect("a sync");
            self.at = (self.at + SYNCED as u64) % (8 << 20);
            micros(began.elapsed())
        };
        median((0..SYNCS).map(sync))
    }

    /// The same, while each of these files is synced by a thread of its own.
    fn time_together(files: &mut [Sync]) -> f64 {
        let times = thread::scope(|scope| {
            let threads: Vec<_> = files.iter_mut().map(|it| scope.spawn(|| it.time())).collect();
            threads.into_iter().map(|it| it.join().expect("times")).collect::<Vec<_>>()
        });
        median(times)
    }
}

fn updates(report: &mut Report, settings: &Settings, mut etcd: Option<&mut Etcd>) {
    let mut stage = Stage::start();
    let head = ["updates", "clients", "calls/s", "p50 µs", "p99 µs", "CPU in all"];
    let mut table = Table::new("Updates with data folders, N = 3", &head);
    let mut ratios = Table::new("Ratios with data folders, N = 3", &["", "clients", "figure"]);
    for clients in settings.clients.iter().copied() {
        let mut rounds = Vec::new();
        for _ in 0..settings.turns {
            rounds.push(stage.round(clients, settings, etcd.as_deref_mut()));
        }
        for (name, of) in SUBJECTS {
            let turns: Vec<_> = rounds.iter().filter_map(of).collect();
            let middle =
                |figure: fn(&Figures) -> f64| number(median(turns.iter().map(|turn| figure(turn))));
            if !turns.is_empty() {
                table.row([
                    name.to_owned(),
                    clients.to_string(),
                    middle(|turn| turn.calls_per_second),
                    middle(|turn| turn.p50),
                    middle(|turn| turn.p99),
                    middle(|turn| turn.cpu.iter().sum()),
                ]);
            }
        }
        for (name, of) in RATIOS {
            let figures: Vec<_> = rounds.iter().filter_map(of).collect();
            if !figures.is_empty() {
                let figure = format!("{:.3}", median(figures));
                ratios.row([name.to_owned(), clients.to_string(), figure]);
            }
        }
        judge(report, clients, &rounds);
    }
    report.add(table);
    report.add(ratios);
    let Stage { memory, disk, tmpfs, .. } = stage;
    for (mut cluster, files) in [memory, disk].into_iter().chain(tmpfs) {
        cluster.check(&[&files]);
    }
}

/// A name, and the figures of a subject in a round.
type Subject = (&'static str, fn(&Round) -> Option<&Figures>);

const SUBJECTS: [Subject; 4] = [
    ("in memory", |round| Some(&round.memory)),
    ("on a disk", |round| Some(&round.disk)),
    ("in folders in memory", |round| round.tmpfs.as_ref()),
    ("etcd: update, on the same disk", |round| round.etcd.as_ref()),
];

/// A name, and a figure of a round.
type Ratio = (&'static str, fn(&Round) -> Option<f64>);

const RATIOS: [Ratio; 8] = [
    ("a sync of the disk alone, µs", |round| Some(round.sync)),
    ("a sync of the disk while three files are synced, µs", |round| Some(round.shared_sync)),
    ("p50 on a disk / (a sync + p50 in memory)", WAIT),
    ("the same / (a sync of three + p50 in memory)", |round| {
        Some(round.disk.p50 / (round.shared_sync + round.memory.p50))
    }),
    // The disk that the three share, and what is left of a data folder without a disk: its thread.
    (
        "the least: (a sync of three + p50 in folders in memory) / (a sync + p50 in memory)",
        |round| {
            let least = round.shared_sync + round.tmpfs.as_ref()?.p50;
            Some(least / (round.sync + round.memory.p50))
        },
    ),
    ("on a disk / etcd's", OF_ETCD),
    // The most that the one above could be, if a data folder cost nothing.
    ("in memory / etcd's", |round| {
        Some(round.memory.calls_per_second / round.etcd.as_ref()?.calls_per_second)
    }),
    ("in folders in memory / in memory", OF_MEMORY),
];

const WAIT: fn(&Round) -> Option<f64> =
    |round| Some(round.disk.p50 / (round.sync + round.memory.p50));

const OF_ETCD: fn(&Round) -> Option<f64> =
    |round| Some(round.disk.calls_per_second / round.etcd.as_ref()?.calls_per_second);

const OF_MEMORY: fn(&Round) -> Option<f64> =
    |round| Some(round.tmpfs.as_ref()?.calls_per_second / round.memory.calls_per_second);

/// Reports the ratios that have a bound for so many clients.
fn judge(report: &mut Report, clients: usize, rounds: &[Round]) {
    let middle = |of: fn(&Round) -> Option<f64>| {
        let figures: Vec<_> = rounds.iter().filter_map(of).collect();
        (!figures.is_empty()).then(|| median(figures))
    };
    let name = |what: &str| format!("{what}, {clients} clients");
    let least_of_etcd = match clients {
        1 => Some(1.7),
        64 => Some(5.0),
        256 => Some(6.0),
        _ => None,
    };
    if let Some((figure, least)) = middle(OF_ETCD).zip(least_of_etcd) {
        report.at_least(name("updates on a disk / etcd's"), figure, least, "");
    }
    if let Some(figure) = middle(OF_MEMORY).filter(|_| clients <= 64) {
        report.at_least(name("updates in folders in memory / in memory"), figure, 0.85, "");
    }
    if let Some(figure) = middle(WAIT).filter(|_| clients == 1) {
        report.at_most(name("p50 on a disk / (a sync + p50 in memory)"), figure, 1.35, "");
    }
}

/// Ends all servers at once, and measures how long it takes from their start until an update is confirmed; the same at
/// etcd.
fn restart(report: &mut Report, settings: &Settings, etcd: Option<&mut Etcd>) {
    let entries = RESTARTED * settings.updates;
    let (mut cluster, mut files) =
        (Cluster::start_on(3, Some(&place())), Files::new("file-", entries));
    cluster.load(&mut files, Work::Update, CLIENTS_MAX, Until::Sent(entries));
    // The update that shows that the set is back.
    let mut last = Files::new("last-", 1);
    let memory = |cluster: &Cluster| cluster.resident(0).into_iter().max().unwrap_or(0);
    let mut took = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..settings.turns {
        let before = memory(&cluster);
        (0..cluster.size()).for_each(|id| cluster.kill(id));
        let began = Instant::now();
        (0..cluster.size()).for_each(|id| cluster.start_again(id));
        cluster.load(&mut last, Work::Update, 1, Until::Sent(1));
        took.push(began.elapsed().as_secs_f64());
        cluster.settle();
        ratios.push(memory(&cluster) as f64 / before as f64);
    }
    cluster.check(&[&files, &last]);
    let title = format!("A set starts again, N = 3, {} entries", number(entries as f64));
    let mut table = Table::new(title, &["", "median s", "max s"]);
    let mut row = |name: &str, took: &[f64]| {
        let most = took.iter().copied().fold(0.0, f64::max);
        let middle = median(took.iter().copied());
        table.row([name.to_owned(), format!("{middle:.3}"), format!("{most:.3}")]);
        middle
    };
    let ours = row("from the start of all servers to a confirmed update", &took);
    if let Some(etcd) = etcd {
        let theirs: Vec<_> =
            etcd.restart(entries, settings.turns).iter().map(|took| took.as_secs_f64()).collect();
        let theirs = row("etcd: the same", &theirs);
        report.at_most("starting again / etcd's", ours / theirs, 0.2, "");
    }
    table.row(["memory of the largest".to_owned(), mebibytes(memory(&cluster)), String::new()]);
    report.at_most("memory after starting again / before", median(ratios), 1.2, "");
    report.add(table);
}
