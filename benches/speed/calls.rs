//! Calls per second, their duration and their cost for the servers, by number of clients and of servers.
//!
//! The subjects take turns (ping, update, read, …, ping, …), because machines are noisy. The figures are medians of the
//! turns; a ratio is the median of the turns' own ratios.

use crate::bare::Bare;
use crate::cluster::Cluster;
use crate::etcd::{self, Etcd};
use crate::figures::{Figures, median};
use crate::files::Files;
use crate::load::{Until, Work};
use crate::report::{Line, Report, Table, mebibytes, number};
use crate::settings::Settings;

/// The maximum number of clients, and so of files that are updated at once.
const CLIENTS_MAX: usize = 256;

/// The number of servers of the set whose figures are plotted.
const DRAWN: usize = 3;

/// The subjects that take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Ping,
    Update,
    Read10,
    Read1000,
    Mixed,
    Bare,
    /// etcd, by the name of an operation of its load program.
    Etcd(&'static str),
}

const OURS: [Subject; 6] = [
    Subject::Ping,
    Subject::Update,
    Subject::Read10,
    Subject::Read1000,
    Subject::Mixed,
    Subject::Bare,
];

const ETCDS: [Subject; 4] = [
    Subject::Etcd("put"),
    Subject::Etcd("update"),
    Subject::Etcd("read10"),
    Subject::Etcd("read1000"),
];

impl Subject {
    fn name(self) -> String {
        match self {
            Subject::Ping => "ping".to_owned(),
            Subject::Update => "update".to_owned(),
            Subject::Read10 => "read of 10 files".to_owned(),
            Subject::Read1000 => "read of 1,000 files".to_owned(),
            Subject::Mixed => "90 % reads of 10 files, 10 % updates".to_owned(),
            Subject::Bare => "ping, bare async-h1".to_owned(),
            Subject::Etcd(operation) => format!("etcd: {operation}"),
        }
    }
}

/// A name, the dividend and divisor, and which of their figures is compared.
type Ratio = (&'static str, Subject, Subject, fn(&Figures) -> f64);

/// The ratios that are shown if both were measured.
const RATIOS: [Ratio; 9] = [
    ("update / ping", Subject::Update, Subject::Ping, RATE),
    ("update / ping, medians of the times", Subject::Update, Subject::Ping, |turn| turn.p50),
    ("update / ping of bare async-h1", Subject::Update, Subject::Bare, RATE),
    ("read of 10 files / ping", Subject::Read10, Subject::Ping, RATE),
    ("ping / bare async-h1", Subject::Ping, Subject::Bare, RATE),
    ("update / etcd's", Subject::Update, Subject::Etcd("update"), RATE),
    ("update / etcd's put", Subject::Update, Subject::Etcd("put"), RATE),
    ("read of 10 files / etcd's", Subject::Read10, Subject::Etcd("read10"), RATE),
    ("read of 1,000 files / etcd's", Subject::Read1000, Subject::Etcd("read1000"), RATE),
];

const RATE: fn(&Figures) -> f64 = |turn| turn.calls_per_second;

/// The subjects, side by side.
struct Stage<'a> {
    /// For pings and updates.
    plain: (Cluster, Files),
    ten: (Cluster, Files),
    thousand: (Cluster, Files),
    bare: Bare,
    etcd: Option<&'a mut Etcd>,
}

impl Stage<'_> {
    fn start(servers: usize, etcd: Option<&mut Etcd>) -> Stage<'_> {
        let filled = |count| {
            let (mut cluster, mut files) = (Cluster::start(servers), Files::new("file-", count));
            cluster.load(&mut files, Work::Update, 10, Until::Sent(count));
            (cluster, files)
        };
        let plain = (Cluster::start(servers), Files::new("file-", CLIENTS_MAX));
        Stage { plain, ten: filled(10), thousand: filled(1000), bare: Bare::start(), etcd }
    }

    fn subjects(&self) -> Vec<Subject> {
        let etcds = ETCDS.iter().filter(|_| self.etcd.is_some());
        OURS.iter().chain(etcds).copied().collect()
    }

    fn turn(&mut self, subject: Subject, clients: usize, settings: &Settings) -> Figures {
        let ((cluster, files), work) = match subject {
            Subject::Ping => (&mut self.plain, Work::Ping),
            Subject::Update => (&mut self.plain, Work::Update),
            Subject::Read10 => (&mut self.ten, Work::Read),
            Subject::Mixed => (&mut self.ten, Work::Mixed),
            Subject::Read1000 => (&mut self.thousand, Work::Read),
            Subject::Bare => return self.bare.load(clients, settings.turn),
            Subject::Etcd(operation) => {
                let etcd = self.etcd.as_mut().expect("only a subject where there is one");
                return etcd.load(operation, clients, settings.turn);
            }
        };
        cluster.load(files, work, clients, Until::Over(settings.turn))
    }
}

/// Measures sets of every size, and etcd beside the set of the same size.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let mut etcd = if settings.etcd { Etcd::start() } else { None };
    for servers in &settings.servers {
        let etcd = etcd.as_mut().filter(|_| *servers == etcd::SERVERS);
        measure_set(report, settings, *servers, etcd);
    }
}

fn measure_set(report: &mut Report, settings: &Settings, servers: usize, etcd: Option<&mut Etcd>) {
    let mut stage = Stage::start(servers, etcd);
    let mut measured = Vec::new();
    for clients in &settings.clients {
        let subjects = stage.subjects();
        let mut rounds = Vec::new();
        for _ in 0..settings.turns {
            let turn = |subject: &Subject| (*subject, stage.turn(*subject, *clients, settings));
            rounds.push(subjects.iter().map(turn).collect::<Vec<_>>());
        }
        measured.push((*clients, rounds));
    }
    report.add(calls(servers, &stage.subjects(), &measured));
    report.add(ratios(servers, &measured));
    report.add(memory(servers, &stage));
    if servers == DRAWN {
        report.lines = lines(&stage.subjects(), &measured);
    }
    for (cluster, files) in [&mut stage.plain, &mut stage.ten, &mut stage.thousand] {
        cluster.check(&[files]);
    }
}

/// For each number of clients the rounds, in each of which every subject had a turn.
type Measured = [(usize, Vec<Vec<(Subject, Figures)>>)];

/// The turns that a subject had.
fn turns(
    rounds: &[Vec<(Subject, Figures)>],
    subject: Subject,
) -> impl Iterator<Item = &Figures> + Clone {
    rounds.iter().flatten().filter(move |(whose, _)| *whose == subject).map(|(_, turn)| turn)
}

fn calls(servers: usize, subjects: &[Subject], measured: &Measured) -> Table {
    let head =
        ["call", "clients", "calls/s", "p50 µs", "p99 µs", "max µs", "CPU µs", "in all", "client"];
    let mut table = Table::new(format!("Calls, N = {servers}"), &head);
    for subject in subjects {
        for (clients, rounds) in measured {
            let turns = turns(rounds, *subject);
            let middle = |figure: fn(&Figures) -> f64| median(turns.clone().map(figure));
            let processes = turns.clone().map(|turn| turn.cpu.len()).max().unwrap_or(0);
            let cpu = |process: usize| median(turns.clone().map(|turn| turn.cpu[process]));
            let each: Vec<_> = (0..processes).map(|process| number(cpu(process))).collect();
            let client: Option<Vec<_>> = turns.clone().map(|turn| turn.client_cpu).collect();
            let client = client.map(median);
            table.row([
                subject.name(),
                clients.to_string(),
                number(middle(RATE)),
                number(middle(|turn| turn.p50)),
                number(middle(|turn| turn.p99)),
                number(turns.clone().map(|turn| turn.max).fold(0.0, f64::max)),
                each.join(" + "),
                number(middle(|turn| turn.cpu.iter().sum())),
                client.map_or("–".to_owned(), number),
            ]);
        }
    }
    table
}

fn ratios(servers: usize, measured: &Measured) -> Table {
    let mut table = Table::new(format!("Ratios, N = {servers}"), &["", "clients", "ratio"]);
    for (name, above, below, figure) in RATIOS {
        for (clients, rounds) in measured {
            let pairs = turns(rounds, above).zip(turns(rounds, below));
            let ratios: Vec<_> =
                pairs.map(|(above, below)| figure(above) / figure(below)).collect();
            if !ratios.is_empty() {
                table.row([name.to_owned(), clients.to_string(), format!("{:.3}", median(ratios))]);
            }
        }
    }
    table
}

fn memory(servers: usize, stage: &Stage<'_>) -> Table {
    let title = format!("Memory in the end, N = {servers}");
    let mut table = Table::new(title, &["servers that had", "largest", "all"]);
    for (name, (cluster, _)) in [
        ("pings and updates", &stage.plain),
        ("reads of 10 files and updates", &stage.ten),
        ("reads of 1,000 files", &stage.thousand),
    ] {
        let resident = cluster.resident(0);
        let largest = resident.iter().max().copied().unwrap_or(0);
        table.row([name.to_owned(), mebibytes(largest), mebibytes(resident.iter().sum())]);
    }
    table
}

fn lines(subjects: &[Subject], measured: &Measured) -> Vec<Line> {
    let drawn =
        [Subject::Ping, Subject::Update, Subject::Read10, Subject::Etcd("update")].into_iter();
    let line = |subject: Subject| {
        let rate = |rounds: &[_]| median(turns(rounds, subject).map(RATE));
        let points = measured.iter().map(|(clients, rounds)| (*clients, rate(rounds)));
        Line { name: subject.name(), points: points.collect() }
    };
    drawn.filter(|subject| subjects.contains(subject)).map(line).collect()
}
