//! What the system says about this process (proc_pid_stat(5)).

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::monitor::Process;

/// The figures of this process; without `/proc` only the limit on descriptors.
pub(super) fn figures() -> Process {
    let stat = fs::read("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
    Process {
        started: stat.and_then(|stat| boot_time()?.checked_add(stat.started)),
        cpu: stat.map(|stat| stat.cpu),
        resident_bytes: stat.map(|stat| stat.resident_bytes),
        // The descriptor of the folder itself counts, as it does for other programs.
        descriptors: fs::read_dir("/proc/self/fd").ok().map(|folder| folder.count() as u64),
        descriptors_max: getrlimit(Resource::Nofile).current,
    }
}

/// A part of `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    cpu: Duration,
    /// When it started, since the boot.
    started: Duration,
    resident_bytes: u64,
}

impl Stat {
    fn parse(text: &[u8]) -> Option<Stat> {
        // The name of the program is in parentheses, and may contain any bytes.
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let fields = str::from_utf8(text.get(name_end + 1..)?).ok()?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        // The first field after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu: ticks(field(14)?.saturating_add(field(15)?)),
            started: ticks(field(22)?),
            resident_bytes: field(24)?.saturating_mul(page_size() as u64),
        })
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000) / clock_ticks_per_second().max(1))
}

/// When the system was booted, since 1970.
fn boot_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Instant, SystemTime};

    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let text =
            b"7 (a) 1 \xff(b) S 1 7 7 0 -1 4194560 15 0 0 0 250 50 0 0 20 0 5 0 1234 99 300 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.cpu, stat.started), (ticks(300), ticks(1234)));
        assert_eq!(stat.resident_bytes, 300 * page_size() as u64);
        assert_eq!(Stat::parse(b"7 (a) S 1 7"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn the_figures_are_those_of_this_process() {
        let start = Instant::now();
        let before = figures();
        let files: Vec<_> = (0..200).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        let after = figures();
        assert!(files.len() as u64 <= after.descriptors.unwrap(), "{after:?}");
        assert!(
            after.descriptors.unwrap() < after.descriptors_max.unwrap_or(u64::MAX),
            "{after:?}"
        );
        assert!(1 << 20 < after.resident_bytes.unwrap(), "{after:?}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        // The time of the boot has whole seconds.
        let age = (now + Duration::from_secs(1)).checked_sub(after.started.unwrap()).unwrap();
        assert!(age < Duration::from_secs(3600), "{age:?}");
        while figures().cpu == before.cpu {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "it has been computing all the time"
            );
        }
    }
}
