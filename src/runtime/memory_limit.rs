//! How much memory a server may use.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::bail;
use rustix::process::{Resource, getrlimit};

/// The environment variable that sets the bound.
const VARIABLE: &str = "SURFSTORE_MEMORY_MAX";

/// The bound in bytes that the environment sets: a number, or a number of K, M, G or T (powers of 1024). `None` if it
/// sets none.
///
/// # Errors
///
/// If it is anything else, 0 included.
pub fn wanted() -> anyhow::Result<Option<usize>> {
    parse(&env::var_os(VARIABLE).unwrap_or_default())
}

fn parse(text: &OsStr) -> anyhow::Result<Option<usize>> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = text.to_str().and_then(bytes).filter(|bytes| 0 < *bytes);
    match bytes {
        Some(bytes) => Ok(Some(bytes)),
        None => bail!(
            "{VARIABLE} is {text:?}; expected a number of bytes, or of K, M, G or T such as 512M"
        ),
    }
}

fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    // A sign is no digit.
    let number: usize =
        digits.parse().ok().filter(|_| digits.starts_with(|first: char| first.is_ascii_digit()))?;
    number.checked_mul(1 << shift)
}

/// Three quarters of the memory that this process can have, in bytes: of the machine's, of that of its control groups,
/// and of its own limit on address space, whichever is least. The rest is for what is not counted.
pub(super) fn default() -> usize {
    let limits = [machine(), control_groups(), address_space()];
    let least = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
    usize::try_from(least / 4 * 3).unwrap_or(usize::MAX)
}

/// `MemTotal` of proc_meminfo(5).
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

/// The least limit of this process's control groups and of those around them (cgroups(7)).
fn control_groups() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        // Version 2 has one hierarchy, which names no controllers.
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        // A container may see its own group as the root.
        Path::new(path).ancestors().filter_map(|group| limit(root, group, file)).min()
    });
    limits.min()
}

/// The limit of one group; `None` if it has none.
fn limit(root: &str, group: &Path, file: &str) -> Option<u64> {
    let group = group.strip_prefix("/").ok()?;
    fs::read_to_string(Path::new(root).join(group).join(file)).ok()?.trim().parse().ok()
}

fn address_space() -> Option<u64> {
    getrlimit(Resource::As).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_of_bytes_or_of_larger_units() {
        for (text, expected) in [
            ("", None),
            ("1", Some(1)),
            ("1048576", Some(1 << 20)),
            ("64K", Some(64 << 10)),
            ("512M", Some(512 << 20)),
            ("3g", Some(3 << 30)),
            ("1T", Some(1 << 40)),
        ] {
            assert_eq!(parse(OsStr::new(text)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_in_one_sentence_that_says_what_is_expected() {
        for text in ["0", "0M", "-1", "+1", "M", "1.5G", "1 G", "1MB", "max", "99999999999T", "１"]
        {
            let error = parse(OsStr::new(text)).unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("expected a number of bytes"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_default_is_three_quarters_of_the_machine_at_most() {
        let machine = machine().expect("Linux tells how much memory there is");
        assert!(0 < default() && default() as u64 <= machine / 4 * 3);
    }
}
