//! One client's updates compared with its pings, in turns over one connection.

use std::thread;
use std::time::{Duration, Instant};

use surfstore::gate::write_post;
use surfstore::protocol::{Answer, Ask};

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::figures::{micros, percentile};
use crate::files::{Files, document};
use crate::load::Until;
use crate::report::{Report, Table, number};
use crate::settings::Settings;

/// The number of pings, and of updates.
const TIMES: usize = 1000;

pub(crate) fn measure(report: &mut Report, _: &Settings) {
    let (mut cluster, mut files) = (Cluster::start(3), Files::new("file-", 1));
    let leader = cluster.leader();
    let mut client = Connection::to(cluster.addresses[leader].port);
    let took = in_turns(&mut client, &mut files, Until::Sent(TIMES), Duration::ZERO);
    let title = "Pings and updates in turns, one client, N = 3";
    let mut table = Table::new(title, &["call", "p50 µs", "p99 µs"]);
    let at = |took: &[Duration], share| percentile(took, share).map_or(0.0, micros);
    for (name, took) in ["ping", "update"].into_iter().zip(&took) {
        table.row([name.to_owned(), number(at(took, 0.5)), number(at(took, 0.99))]);
    }
    report.add(table);
    let [ping, update] = took.map(|took| at(&took, 0.5));
    report.at_most("update / ping in turns, medians of the times", update / ping, 5.0, "");
    cluster.check(&[&files]);
}

/// The times of pings and of updates that are made in turns, each sorted.
pub(crate) fn in_turns(
    client: &mut Connection,
    files: &mut Files,
    until: Until,
    pause: Duration,
) -> [Vec<Duration>; 2] {
    let ping = write_post("localhost", &Ask::Ping.document());
    let yes = document(&Answer::Boolean(true));
    let mut took = [Vec::new(), Vec::new()];
    let began = Instant::now();
    while match until {
        Until::Over(time) => began.elapsed() < time,
        Until::Sent(count) => took[0].len() < count,
    } {
        let (index, update) = files.update().expect("no update is under way");
        let calls = [&ping, &write_post("localhost", update.as_bytes())];
        for (call, took) in calls.into_iter().zip(&mut took) {
            let sent = Instant::now();
            assert_eq!(client.call(call), yes.as_bytes());
            took.push(sent.elapsed());
        }
        files.acknowledge(index);
        thread::sleep(pause);
    }
    took.iter_mut().for_each(|took| took.sort_unstable());
    took
}
