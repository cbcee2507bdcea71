//! How long no update is possible after the leader crashes, as a client sees it.

use std::thread;
use std::time::{Duration, Instant};

use surfstore::client::blocking::wait;
use surfstore::client::{FileUpdate, Outcome};
use surfstore::raft::HEARTBEAT_MS;

use crate::cluster::{Cluster, eventually};
use crate::figures::percentile;
use crate::report::{Report, Table};
use crate::settings::Settings;

const NAME: &str = "failover";

/// Crashes the leader as often as requested, each time with a client that updates a file at once at any leader.
pub(crate) fn measure(report: &mut Report, settings: &Settings) {
    let times = settings.failovers;
    let title = "From the leader's crash to the next acknowledged update";
    let mut table = Table::new(title, &["N", "crashes", "min ms", "median ms", "p99 ms", "max ms"]);
    for size in [3, 5] {
        let mut cluster = Cluster::start(size);
        let mut took: Vec<_> =
            (1..).take(times).map(|version| fail(&mut cluster, version)).collect();
        took.sort_unstable();
        let file = &cluster.client.files().expect("the map")[NAME];
        assert_eq!(usize::try_from(file.version), Ok(times), "each update was made once");
        let at = |share| percentile(&took, share).unwrap_or_default();
        let [least, median, late, most] = [0.0, 0.5, 0.99, 1.0].map(at);
        let [a, b, c, d] = [least, median, late, most].map(|time| time.as_millis().to_string());
        table.row([size.to_string(), times.to_string(), a, b, c, d]);
        let name = format!("a failover, N = {size}");
        report.at_most(format!("{name}: median"), median.as_secs_f64(), 1.0, " s");
        report.at_most(format!("{name}: longest"), most.as_secs_f64(), 5.0, " s");
    }
    report.add(table);
}

/// One crash, at any time between two heartbeats: right after one, the followers would take longest to notice. At the
/// end the crashed server is restored, and has the update as well.
fn fail(cluster: &mut Cluster, version: i64) -> Duration {
    let leader = cluster.leader();
    let update = FileUpdate { name: NAME.into(), version, hashes: ["hash".into()].into() };
    thread::sleep(Duration::from_millis(HEARTBEAT_MS).mul_f64(fastrand::f64()));
    let began = Instant::now();
    wait(cluster.client.servers()[leader].crash()).expect("the leader crashes");
    assert_eq!(cluster.client.update(&update), Ok(Outcome::Applied));
    let took = began.elapsed();
    let old = &mut cluster.client.servers()[leader];
    wait(old.restore()).expect("it is restored");
    eventually("it holds the update", || wait(old.version(NAME)) == Ok(version));
    took
}
