//! How long no update is possible after the leader crashes, or its process ends, as a client sees it.

use std::thread;
use std::time::{Duration, Instant};

use surfstore::client::blocking::wait;
use surfstore::client::{FileUpdate, Outcome};
use surfstore::raft::HEARTBEAT_MS;

use crate::cluster::{Cluster, eventually};
use crate::etcd::{self, Etcd};
use crate::figures::percentile;
use crate::report::{Report, Table};
use crate::settings::Settings;

const NAME: &str = "failover";

/// How a leader fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The call `crash()`.
    Crash,
    /// Its process is killed.
    Kill,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Crash => "crash()",
            Cause::Kill => "kill -9",
        }
    }
}

/// Lets the leader fail as often as requested, each time with a client that updates a file at once at any leader. Then
/// the same is done at etcd, if there is one.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let times = settings.failovers;
    let title = "From the leader's end to the next acknowledged update";
    let head = ["servers", "cause", "times", "min ms", "median ms", "p99 ms", "max ms"];
    let mut table = Table::new(title, &head);
    let mut row = |name: &str, cause: Cause, took: &mut Vec<Duration>| {
        took.sort_unstable();
        let at = |share| percentile(took, share).unwrap_or_default();
        let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let [least, median, late, most] = [0.0, 0.5, 0.99, 1.0].map(at);
        let [a, b, c, d] = [least, median, late, most].map(millis);
        table.row([name.to_owned(), cause.name().to_owned(), times.to_string(), a, b, c, d]);
        (median.as_secs_f64(), most.as_secs_f64())
    };
    let mut killed_of_three = Duration::MAX.as_secs_f64();
    for size in [3, 5] {
        for cause in [Cause::Crash, Cause::Kill] {
            let mut cluster = Cluster::start(size);
            let mut took: Vec<_> =
                (1..).take(times).map(|version| fail(&mut cluster, cause, version)).collect();
            let file = &cluster.client.files().expect("the map")[NAME];
            assert_eq!(usize::try_from(file.version), Ok(times), "each update was made once");
            let (median, most) = row(&format!("N = {size}"), cause, &mut took);
            let name = format!("a failover, N = {size}, {}", cause.name());
            report.at_most(format!("{name}: median"), median, 0.03, " s");
            report.at_most(format!("{name}: longest"), most, 0.2, " s");
            if size == etcd::SERVERS && cause == Cause::Kill {
                killed_of_three = median;
            }
        }
    }
    if let Some(mut etcd) = settings.etcd.then(Etcd::start).flatten() {
        let (etcds, _) =
            row(&format!("etcd, N = {}", etcd::SERVERS), Cause::Kill, &mut etcd.fail(times));
        report.at_least("etcd's failover / one, N = 3, kill -9", etcds / killed_of_three, 30.0, "");
    }
    report.add(table);
}

/// One failure, at any time between two heartbeats. At the end the server is back, and has the update as well.
fn fail(cluster: &mut Cluster, cause: Cause, version: i64) -> Duration {
    let leader = cluster.leader();
    let update = FileUpdate { name: NAME.into(), version, hashes: ["hash".into()].into() };
    thread::sleep(Duration::from_millis(HEARTBEAT_MS).mul_f64(fastrand::f64()));
    let began = Instant::now();
    match cause {
        Cause::Crash => cluster.crash(leader),
        Cause::Kill => cluster.kill(leader),
    }
    assert_eq!(cluster.client.update(&update), Ok(Outcome::Applied));
    let took = began.elapsed();
    match cause {
        Cause::Crash => cluster.restore(leader),
        Cause::Kill => cluster.start_again(leader),
    }
    eventually("it holds the update", || {
        wait(cluster.client.servers()[leader].version(NAME)) == Ok(version)
    });
    eventually("all servers count", || cluster.counts_all());
    took
}
