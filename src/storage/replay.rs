//! The state that records lead to.

use super::record::{Change, Known};
use crate::raft::{Entry, HardState, Incarnation, LogIndex};

/// The first index of all.
const ONE: LogIndex = LogIndex(1);

/// The state after some records, of which the oldest may be missing because a snapshot has replaced them.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) known: Known,
    /// The index of the first of `entries`; `None` before the first record.
    start: Option<LogIndex>,
    /// The entries, from the first on that any record has brought and no snapshot includes.
    pub(super) entries: Vec<Entry>,
}

impl Replay {
    /// Before the first record of all.
    pub(super) fn new(incarnation: Incarnation) -> Replay {
        let known = Known { hard_state: HardState::new(incarnation), snapshot: None };
        Replay { known, start: None, entries: Vec::new() }
    }

    /// The state after one more record. The error says what is wrong.
    pub(super) fn apply(&mut self, change: Change) -> Result<(), &'static str> {
        let Change { known, replaces, first, entries } = change;
        let (before, base) = (self.known.base(), known.base());
        if first <= base || (first <= before && first != ONE && !replaces) {
            return Err("a record contradicts the snapshot");
        }
        // The oldest record follows entries that are in records no more.
        let start = match self.start {
            Some(start) if !replaces => start.min(first),
            _ => first,
        };
        let kept = first.since(start);
        if self.entries.len() < kept {
            return Err("entries are missing before a record");
        }
        if self.start != Some(start) || replaces {
            self.entries.clear();
        }
        self.entries.truncate(kept);
        self.entries.extend(entries);
        let included = base.next().since(start).min(self.entries.len());
        self.entries.drain(..included);
        self.start = Some(start.max(base.next()));
        self.known = known;
        Ok(())
    }

    /// The index of the last entry.
    pub(super) fn last_index(&self) -> LogIndex {
        self.start.map_or(LogIndex::default(), |start| start.previous().plus(self.entries.len()))
    }

    /// Whether the snapshot includes all that came before the entries.
    pub(super) fn is_whole(&self) -> bool {
        self.start.is_none_or(|start| start == self.known.base().next())
    }
}

impl Change {
    /// Whether it puts its snapshot in force, being the record with that number.
    pub(super) fn introduces(&self, number: u64) -> bool {
        self.known.snapshot.is_some_and(|snapshot| snapshot.number == number)
    }

    /// Whether nothing before it matters any more.
    pub(super) fn gives_up_all(&self) -> bool {
        self.replaces || self.first == ONE
    }

    /// The index of its last entry.
    pub(super) fn last_index(&self) -> LogIndex {
        self.first.previous().plus(self.entries.len())
    }
}

impl Known {
    /// The last entry that the snapshot includes.
    pub(super) fn base(&self) -> LogIndex {
        self.snapshot.map_or(LogIndex::default(), |snapshot| snapshot.last_included.index)
    }
}
