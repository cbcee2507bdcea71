//! The replicated log (§5.3): entries, each with the term in which a leader received it.
//!
//! The log knows positions and terms. It does not know who leads, what is committed, or what a command means.

use std::collections::{VecDeque, vec_deque};
use std::sync::Arc;

use super::cluster::ServerId;
use super::identity::{Incarnation, Roster};
use crate::metadata::Update;

/// A term: Raft's logical time (§5.1). Starts at 0, before any election; the first elected leader has term 1 or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// The index of an entry in the log. The first entry has 1; 0 is the place before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// The greatest term or index allowed in a message: 2^53, far beyond what any cluster reaches, and far enough below
/// `u64::MAX` that no sum in the core can overflow.
pub const NUMBER_MAX: u64 = 1 << 53;

impl Term {
    /// The term after this one.
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl LogIndex {
    /// The index `count` entries further on.
    pub fn plus(self, count: usize) -> LogIndex {
        LogIndex(self.0 + count as u64)
    }

    /// The index after this one.
    pub fn next(self) -> LogIndex {
        self.plus(1)
    }

    /// How many entries further on it is than `earlier`; 0 if it is not.
    pub fn since(self, earlier: LogIndex) -> usize {
        usize::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(usize::MAX)
    }

    /// The index before this one; 0 stays 0.
    pub fn previous(self) -> LogIndex {
        LogIndex(self.0.saturating_sub(1))
    }
}

/// Identifies the entry at a place in a log, as far as the Log Matching Property (§5.3) needs to know.
///
/// Positions are ordered by term, then by index: "at least as up-to-date" of §5.4.1 is `<=` between last positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The entry's term; 0 before the first entry.
    pub term: Term,
    /// The entry's index; 0 before the first entry.
    pub index: LogIndex,
}

/// What an entry tells the state machine to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Nothing: it says which servers count from here on. Every leader begins its term with one, in place of §8's
    /// no-op.
    Roster(Arc<Roster>),
    /// An update of a file. The version rule is checked when the entry is applied.
    Update(Arc<Update>),
}

/// An entry of the log. A clone shares the command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The term in which a leader received the command.
    pub term: Term,
    /// The command.
    pub command: Command,
}

impl Entry {
    /// The memory that the entry holds, in bytes.
    pub fn size(&self) -> usize {
        match &self.command {
            Command::Roster(roster) => {
                let members = roster.members.len() * size_of::<(ServerId, Incarnation)>();
                size_of::<Entry>() + size_of::<Roster>() + members
            }
            Command::Update(update) => Entry::size_of(update),
        }
    }

    /// The memory that an entry with that update holds, in bytes.
    pub fn size_of(update: &Update) -> usize {
        size_of::<Entry>() + update.size()
    }
}

/// The entries after the last one that was dropped. Only entries are dropped that a snapshot, or the state machine
/// itself, includes (§7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// The last entry that was dropped (Figure 12's last included index and term); 0 if the log begins with entry 1.
    last_included: Position,
    /// The roster in force there.
    included_roster: Option<Arc<Roster>>,
    entries: VecDeque<Entry>,
    /// The indexes of the rosters among the entries, in order.
    rosters: VecDeque<LogIndex>,
    /// The memory that the entries take.
    bytes: usize,
}

impl Log {
    /// The log of a server that has nothing but a snapshot up to `last_included`, where that roster is in force.
    pub fn after(last_included: Position, roster: Arc<Roster>) -> Log {
        Log { last_included, included_roster: Some(roster), ..Log::default() }
    }

    /// The last entry that was dropped; 0 if none was. The log still knows its term, which the append of the next entry
    /// names (§7).
    pub fn last_included(&self) -> Position {
        self.last_included
    }

    /// The index of the last entry; 0 if there has been none.
    pub fn last_index(&self) -> LogIndex {
        self.last_included.index.plus(self.entries.len())
    }

    /// The position of the last entry.
    pub fn last(&self) -> Position {
        let term = self.entries.back().map_or(self.last_included.term, |entry| entry.term);
        Position { term, index: self.last_index() }
    }

    /// The entry at `index`, if the log holds it.
    pub fn get(&self, index: LogIndex) -> Option<&Entry> {
        self.entries.get(self.offset(index)?)
    }

    /// The position at `index`, if the log knows it. The place before entry 1 is in every log.
    pub fn position(&self, index: LogIndex) -> Option<Position> {
        if index == LogIndex::default() {
            return Some(Position::default());
        }
        if index == self.last_included.index {
            return Some(self.last_included);
        }
        self.get(index).map(|entry| Position { term: entry.term, index })
    }

    /// Whether the log holds an entry of that term at that index (the consistency check of AppendEntries, §5.3). It has
    /// held every entry that was dropped: those are committed, so no leader's log contradicts them.
    pub fn contains(&self, position: Position) -> bool {
        position.index < self.last_included.index || self.position(position.index) == Some(position)
    }

    /// The last roster, which is the one in force. `None` only if there has been no entry, because every term begins
    /// with a roster.
    pub fn roster(&self) -> Option<&Arc<Roster>> {
        self.roster_at(self.last_index())
    }

    /// The roster in force at `index`, which the log reaches.
    pub fn roster_at(&self, index: LogIndex) -> Option<&Arc<Roster>> {
        let count = self.rosters.partition_point(|roster| *roster <= index);
        let Some(at) = count.checked_sub(1).and_then(|last| self.rosters.get(last)) else {
            return self.included_roster.as_ref();
        };
        match &self.get(*at)?.command {
            Command::Roster(roster) => Some(roster),
            Command::Update(_) => None,
        }
    }

    /// The index of the last roster, or of the last dropped entry if that is later.
    pub fn roster_index(&self) -> LogIndex {
        self.rosters.back().copied().unwrap_or(self.last_included.index)
    }

    /// The log's history; `None` if there has been no entry.
    pub fn history(&self) -> Option<Incarnation> {
        self.roster().map(|roster| roster.history)
    }

    /// Whether an update is among the entries, whatever its version.
    pub fn has_updates(&self) -> bool {
        self.rosters.len() < self.entries.len()
    }

    /// The memory that the entries take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of entries.
    #[expect(clippy::len_without_is_empty, reason = "no caller asks whether a log is empty")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends one entry.
    pub fn append(&mut self, entry: Entry) {
        if matches!(entry.command, Command::Roster(_)) {
            self.rosters.push_back(self.last_index().next());
        }
        self.bytes += entry.size();
        self.entries.push_back(entry);
    }

    /// The offset of the first of `entries` that this log lacks or contradicts. They are said to follow
    /// `prev_log_index`.
    pub fn first_missing(&self, prev_log_index: LogIndex, entries: &[Entry]) -> Option<usize> {
        let dropped = self.last_included.index.since(prev_log_index);
        let mut offsets = entries.iter().enumerate().skip(dropped);
        let is_missing = |(offset, entry): &(usize, &Entry)| {
            let held = self.get(prev_log_index.next().plus(*offset));
            held.map(|held| held.term) != Some(entry.term)
        };
        offsets.find(is_missing).map(|(offset, _)| offset)
    }

    /// Deletes all entries after `last` (§5.3: a follower's entries that conflict with its leader's).
    pub fn truncate_after(&mut self, last: LogIndex) {
        while last < self.last_index()
            && let Some(entry) = self.entries.pop_back()
        {
            self.bytes -= entry.size();
        }
        self.rosters.truncate(self.rosters.partition_point(|index| *index <= last));
    }

    /// Drops the oldest entry, because a snapshot or the state machine includes it (§7). Returns the memory that it
    /// took, in bytes.
    pub fn drop_first(&mut self) -> usize {
        let Some(Entry { term, command }) = self.entries.front() else { return 0 };
        let index = self.last_included.index.next();
        self.last_included = Position { term: *term, index };
        if let Command::Roster(roster) = command {
            self.included_roster = Some(Arc::clone(roster));
            self.rosters.pop_front();
        }
        let size = self.entries.pop_front().map_or(0, |entry| entry.size());
        self.bytes -= size;
        size
    }

    /// The entries from `index` on, as far as the log holds them.
    pub fn from(&self, index: LogIndex) -> vec_deque::Iter<'_, Entry> {
        let dropped = index.previous().since(self.last_included.index);
        self.entries.range(dropped.min(self.entries.len())..)
    }

    /// Copies of the entries from `index` on, up to `count_max` and as many as fit into `bytes_max`, but at least one.
    pub fn batch(&self, index: LogIndex, count_max: usize, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.size();
            first || bytes <= bytes_max
        };
        self.from(index).take(count_max).take_while(fits).cloned().collect()
    }

    /// The last known position whose index is at most `index` and whose term is at most `term`; 0 if there is none.
    ///
    /// Nothing after it can agree with a log that has `term` at `index`, because terms never decrease along a log.
    /// After a refused append, each side applies this to the other's answer, so they skip a whole term per exchange
    /// (§5.3, the optimisation at its end).
    pub fn last_not_beyond(&self, Position { term, index }: Position) -> Position {
        if index < self.last_included.index || term < self.last_included.term {
            return Position::default();
        }
        let reach = self.entries.len().min(index.since(self.last_included.index));
        let count = self.entries.partition_point(|entry| entry.term <= term).min(reach);
        self.position(self.last_included.index.plus(count)).unwrap_or_default()
    }

    /// The offset of the entry at `index` among the entries; `None` if it was dropped.
    fn offset(&self, index: LogIndex) -> Option<usize> {
        (self.last_included.index < index).then(|| index.previous().since(self.last_included.index))
    }
}
