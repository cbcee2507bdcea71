//! What servers do while there are no calls.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::report::{Report, Table, mebibytes};
use crate::settings::Settings;

/// How long they are watched: many heartbeats.
const WATCHED: Duration = Duration::from_secs(20);

/// Counts the requests between the servers, and measures how much of a core they use.
pub(crate) fn measure(report: &mut Report, _: &Settings) {
    let head = ["N", "requests/s, busiest", "all", "CPU %, busiest", "all", "memory, largest"];
    let mut table = Table::new("Idle servers", &head);
    for size in [3, 5] {
        let mut cluster = Cluster::start(size);
        let (began, before) = (Instant::now(), look(&mut cluster));
        thread::sleep(WATCHED);
        let seconds = began.elapsed().as_secs_f64();
        let after = look(&mut cluster);
        let spent = after.iter().zip(before);
        let spent = spent.map(|(after, before)| (after.0 - before.0, after.1 - before.1));
        let (requests, cpu): (Vec<_>, Vec<_>) = spent.unzip();
        let rate = |requests: i64| format!("{:.1}", requests as f64 / seconds);
        let percent = |cpu: Duration| 100.0 * cpu.as_secs_f64() / seconds;
        let share = |cpu: Duration| format!("{:.2}", percent(cpu));
        let largest = cluster.resident(0).into_iter().max().unwrap_or(0);
        table.row([
            size.to_string(),
            rate(requests.iter().max().copied().unwrap_or(0)),
            rate(requests.iter().sum()),
            share(cpu.iter().max().copied().unwrap_or_default()),
            share(cpu.iter().sum()),
            mebibytes(largest),
        ]);
        let name = format!("idle servers, N = {size}");
        report.at_most(format!("{name}: CPU of all"), percent(cpu.iter().sum()), 1.0, " %");
        let mebibytes = largest as f64 / f64::from(1 << 20);
        report.at_most(format!("{name}: memory of the largest"), mebibytes, 15.0, " MiB");
    }
    report.add(table);
}

/// How many requests peers have sent to each server, and its CPU time.
fn look(cluster: &mut Cluster) -> Vec<(i64, Duration)> {
    let requests: Vec<_> = (0..cluster.size()).map(|id| cluster.status(id).peer_requests).collect();
    requests.into_iter().zip(cluster.cpu(0)).collect()
}
