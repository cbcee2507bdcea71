//! The machine and the versions that the figures belong to.

use std::process::Command;
use std::{fs, thread};

/// One sentence: the processor, its cores, the kernel, and the commit.
pub(crate) fn sentence() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor =
        processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let processor = processor.map_or("a processor without a name", |(_, name)| name.trim());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        ""
    } else {
        " with changes"
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]);
    format!("{processor}, {cores} cores, Linux {}, commit {commit}{changed}.", kernel.trim())
}

/// The output of git; empty if there is no git.
fn git(arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    let output = git.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
