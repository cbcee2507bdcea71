//! The memory of server processes, as the system counts it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use support::harness::Cluster;

/// How much memory a server may use at any time, in bytes.
pub(crate) const RESIDENT_MAX: u64 = 256 << 20;

/// How much memory varies independently of what is measured, in bytes.
const PAGES: u64 = 512 << 10;

/// How soon memory is given back after callers have disconnected.
pub(crate) const RETURNED: Duration = Duration::from_secs(5);

/// The memory that a server uses, in bytes.
pub(crate) fn resident(cluster: &mut Cluster, id: usize) -> u64 {
    figure(cluster, id, "VmRSS:")
}

/// The maximum memory that a server ever used, in bytes.
pub(crate) fn most_resident(cluster: &mut Cluster, id: usize) -> u64 {
    figure(cluster, id, "VmHWM:")
}

/// The addresses that a server uses, in bytes.
pub(crate) fn addresses(cluster: &mut Cluster, id: usize) -> u64 {
    figure(cluster, id, "VmSize:")
}

fn figure(cluster: &mut Cluster, id: usize, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", cluster.process(id).id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Waits until a server's memory is within a tenth of what it was.
#[track_caller]
pub(crate) fn await_memory(cluster: &mut Cluster, id: usize, before: u64) {
    let start = Instant::now();
    loop {
        let after = resident(cluster, id);
        if after <= before + before / 10 + PAGES {
            return;
        }
        let took = start.elapsed();
        assert!(took < RETURNED, "server {id} took {before} bytes before and takes {after} after");
        thread::sleep(Duration::from_millis(100));
    }
}
