//! How fast a follower that missed many updates catches up.

use std::time::Instant;

use surfstore::client::blocking::wait;

use crate::cluster::{Cluster, eventually};
use crate::figures::median;
use crate::files::Files;
use crate::load::{Until, Work};
use crate::report::{Report, Table, number};
use crate::settings::Settings;

/// How many updates it misses.
pub(crate) const MISSED: usize = 20_000;

/// How a follower misses something.
#[derive(Clone, Copy)]
enum Loss {
    Crash,
    Process,
}

/// A follower is lost and comes back, in a new set each time.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..settings.turns {
        rates[0].push(entries_per_second(Loss::Crash));
        rates[1].push(entries_per_second(Loss::Process));
    }
    let [crash, process] = rates.map(median);
    let title = "A follower catches up with 20,000 updates, N = 3";
    let mut table = Table::new(title, &["", "entries/s", "s"]);
    for (name, rate) in [("from restore()", crash), ("from the start of a new process", process)] {
        let seconds = MISSED as f64 / rate;
        table.row([name.to_owned(), number(rate), number(seconds)]);
        report.at_most(format!("catching up with {MISSED} updates, {name}"), seconds, 3.0, " s");
    }
    report.add(table);
}

fn entries_per_second(loss: Loss) -> f64 {
    let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", 256));
    let leader = cluster.leader();
    let follower = (leader + 1) % cluster.size();
    match loss {
        Loss::Crash => wait(cluster.client.servers()[follower].crash()).expect("it crashes"),
        Loss::Process => cluster.kill(follower),
    }
    cluster.load(&mut files, Work::Update, 64, Until::Sent(MISSED));
    let goal = cluster.status(leader).commit_index;
    let began = Instant::now();
    match loss {
        Loss::Crash => wait(cluster.client.servers()[follower].restore()).expect("it is restored"),
        Loss::Process => cluster.start_again(follower),
    }
    let server = &mut cluster.client.servers()[follower];
    eventually("the follower is level", || {
        wait(server.status()).is_ok_and(|status| goal <= status.last_applied)
    });
    let took = began.elapsed();
    cluster.check(&[&files]);
    MISSED as f64 / took.as_secs_f64()
}
