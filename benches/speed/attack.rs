//! What a crowd of slow callers costs the others: the p99 of a client's pings and updates, with and without it.

use std::thread;
use std::time::Duration;

use support::crowd::{SIZE, SlowCrowd};

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::figures::{median, micros, percentile};
use crate::files::Files;
use crate::latency;
use crate::load::{Until, Work};
use crate::report::{Report, Table, number};
use crate::settings::Settings;

/// The length of a turn here, in usual turns: slow callers have slow effects.
const TURNS: u32 = 10;

/// The time that the crowd is given to connect or disconnect.
const SETTLED: Duration = Duration::from_secs(1);

/// The time between two calls, so that the client itself is no load.
const PAUSE: Duration = Duration::from_millis(1);

/// Measures without and with the crowd in turns, over one connection, because machines are noisy.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    // For the callers that read slowly.
    let (mut large, mut small) = (Files::large("large", 256 << 10), Files::new("file-", 1));
    cluster.load(&mut large, Work::Update, 1, Until::Sent(1));
    let mut client = Connection::to(cluster.addresses[leader].port);
    let mut late = || late(&mut client, &mut small, TURNS * settings.turn);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..settings.turns {
        alone.push(late());
        let crowd = SlowCrowd::at(&cluster.addresses[leader].to_string());
        thread::sleep(SETTLED);
        beside.push(late());
        drop(crowd);
        thread::sleep(SETTLED);
    }
    let title = format!("One client's calls beside {SIZE} callers of a byte a second, N = 3");
    let head = ["call", "p99 µs alone", "p99 µs beside them", "ratio"];
    let mut table = Table::new(title, &head);
    for (call, name) in ["ping", "update"].into_iter().enumerate() {
        let middle = |turns: &[[f64; 2]]| median(turns.iter().map(|p99s| p99s[call]));
        let pairs = alone.iter().zip(&beside);
        let ratio = median(pairs.map(|(alone, beside)| beside[call] / alone[call]));
        table.row([
            name.to_owned(),
            number(middle(&alone)),
            number(middle(&beside)),
            format!("{ratio:.2}"),
        ]);
        let what = format!("{name}, p99: beside {SIZE} slow callers / alone");
        report.at_most(what, ratio, 2.0, "");
    }
    report.add(table);
    cluster.check(&[&large, &small]);
}

/// The p99 of pings and of updates, in microseconds.
fn late(client: &mut Connection, files: &mut Files, time: Duration) -> [f64; 2] {
    latency::in_turns(client, files, Until::Over(time), PAUSE)
        .map(|took| percentile(&took, 0.99).map_or(0.0, micros))
}
