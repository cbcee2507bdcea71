//! The resources of a process, as Linux counts them.

use std::fs;
use std::time::Duration;

/// The CPU time of the process, in nanoseconds: clock ticks are too coarse for a call. Nothing, once it has ended.
pub(crate) fn cpu(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    let computed = threads.map(|thread| {
        let file = thread.expect("a thread").path().join("schedstat");
        // A thread that has just ended is not counted.
        let text = fs::read_to_string(file).unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|number| number.parse().ok());
        Duration::from_nanos(nanoseconds.unwrap_or_default())
    });
    computed.sum()
}

/// The memory of the process, in bytes.
pub(crate) fn resident(process: u32) -> u64 {
    memory(process, "VmRSS:")
}

/// The most memory that the process has had so far, in bytes.
pub(crate) fn peak(process: u32) -> u64 {
    memory(process, "VmHWM:")
}

fn memory(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kibibytes.and_then(|number| number.parse().ok()).map_or(0, |kibibytes: u64| kibibytes << 10)
}
