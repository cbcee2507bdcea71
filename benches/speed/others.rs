//! How long small updates take beside other loads, compared with none, turn by turn.

use std::thread;
use std::time::{Duration, Instant};

use surfstore::gate::write_post;
use surfstore::protocol::{Ask, UPDATE_BYTES_MAX};

use crate::attacker::attack;
use crate::catchup::MISSED;
use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::figures::{Figures, median};
use crate::files::Files;
use crate::load::{self, Until, Work};
use crate::report::{Report, Table, number};
use crate::settings::Settings;

/// How many clients make small updates.
const CLIENTS: usize = 8;

/// How many of the usual turns one takes here: the next heartbeat finds a follower that is back.
const TURNS: u32 = 2;

/// How many files a large map has.
const MANY: usize = 10_000;

/// The load beside the updates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    Large,
    Reader,
    CatchUp,
    Attacker,
    Hogs,
}

const OTHERS: [(Other, &str, usize); 5] = [
    (Other::Large, "a client that sends updates of 4 MiB", 256),
    (Other::Reader, "a client that reads 10,000 files", MANY),
    (Other::CatchUp, "a follower that catches up with 20,000 updates", 256),
    (Other::Attacker, "200 slow callers, 1,000 garbled or broken connections a second", 256),
    (Other::Hogs, "threads that only compute, as many as processors", 256),
];

/// Each of the other loads in turn, with a separate set of servers.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let head = ["beside", "p99 µs alone", "p99 µs beside it", "ratio", "updates/s, ratio"];
    let title = "Small updates by 8 clients beside other loads, N = 3";
    let mut table = Table::new(title, &head);
    for (other, name, count) in OTHERS {
        let pairs = pairs(other, count, settings);
        let middle = |figure: fn(&(Figures, Figures)) -> f64| median(pairs.iter().map(figure));
        table.row([
            name.to_owned(),
            number(middle(|(alone, _)| alone.p99)),
            number(middle(|(_, beside)| beside.p99)),
            format!("{:.2}", middle(|(alone, beside)| beside.p99 / alone.p99)),
            format!("{:.2}", middle(|(a, b)| b.calls_per_second / a.calls_per_second)),
        ]);
    }
    report.add(table);
}

/// The figures without the other load and with it.
fn pairs(other: Other, count: usize, settings: &Settings) -> Vec<(Figures, Figures)> {
    let (mut cluster, mut small) = (Cluster::start(3), Files::new("file-", count));
    cluster.load(&mut small, Work::Update, 64, Until::Sent(count));
    let mut large = Files::large("large", UPDATE_BYTES_MAX - (4 << 10));
    let turn = TURNS * settings.turn;
    let until = Until::Over(turn);
    let mut pairs = Vec::new();
    for _ in 0..settings.turns {
        let alone = cluster.load(&mut small, Work::Update, CLIENTS, until);
        if other == Other::CatchUp {
            miss_much(&mut cluster, &mut small);
        }
        let leader = cluster.leader();
        let port = cluster.addresses[leader].port;
        let beside = thread::scope(|threads| {
            let other = threads.spawn(|| match other {
                Other::Large => _ = load::run(port, &mut large, Work::Update, 1, until),
                Other::Reader => read(port, turn),
                Other::CatchUp => {}
                Other::Attacker => _ = attack(port, turn),
                Other::Hogs => compute(turn),
            });
            let figures = cluster.load(&mut small, Work::Update, CLIENTS, until);
            other.join().expect("the other load");
            figures
        });
        pairs.push((alone, beside));
    }
    cluster.check(&[&small, &large]);
    pairs
}

/// Makes a follower miss updates. When this returns, it has just come back.
fn miss_much(cluster: &mut Cluster, files: &mut Files) {
    let follower = (cluster.leader() + 1) % cluster.size();
    cluster.crash(follower);
    cluster.load(files, Work::Update, 64, Until::Sent(MISSED));
    cluster.restore(follower);
}

/// Reads the large map again and again. Another client updates it meanwhile; no version may go back.
fn read(port: u16, time: Duration) {
    let files = Files::new("file-", MANY);
    let request = write_post("localhost", &Ask::Files.document());
    let mut connection = Connection::to(port);
    let mut last = vec![1; MANY];
    let began = Instant::now();
    while began.elapsed() < time {
        let versions = files.versions(&connection.call(&request)).expect("the map");
        assert!(last.iter().zip(&versions).all(|(last, next)| last <= next), "a version goes back");
        last = versions;
    }
}

/// Gives every processor something to compute.
fn compute(time: Duration) {
    let began = Instant::now();
    thread::scope(|threads| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| while began.elapsed() < time {});
        }
    });
}
