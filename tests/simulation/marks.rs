//! Coverage marks: the situations that a set of runs must have been through to prove anything.

use std::collections::BTreeMap;

/// How often each situation came up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks(BTreeMap<&'static str, u64>);

/// The situations without which a set of runs is void.
const REQUIRED: [&str; 19] = [
    "a conflicting suffix is truncated",
    "an entry of an older term is on a majority, uncommitted (Figure 8)",
    "an election ends without a winner",
    "a vote is refused for a stale log",
    "a leader is deposed while callers wait",
    "a read comes before the term's first commit",
    "an append is marked as coming from a leader without a majority",
    "an append is refused for lack of its previous entry",
    "a reply arrives twice or too late",
    "a request arrives twice or too late",
    "a reply arrives from an older term",
    "a leader crashes",
    "a candidate crashes",
    "a follower crashes",
    "exactly half of the servers are up",
    "a caller waits for more than two seconds and is answered",
    "an update's entry is overwritten and its caller told so",
    "an update's outcome is unknown to its caller",
    "a bound is reached",
];

impl Marks {
    pub(crate) fn hit(&mut self, situation: &'static str) {
        *self.0.entry(situation).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Marks) {
        for (situation, count) in &other.0 {
            *self.0.entry(situation).or_default() += count;
        }
    }

    /// How often a situation came up.
    pub(crate) fn count(&self, situation: &str) -> u64 {
        self.0.get(situation).copied().unwrap_or(0)
    }

    /// Demands that every situation came up.
    pub(crate) fn check(&self) {
        let missing: Vec<_> =
            REQUIRED.iter().filter(|situation| self.count(situation) == 0).collect();
        assert!(missing.is_empty(), "never came up: {missing:#?}");
    }
}
