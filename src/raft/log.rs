//! The replicated log (§5.3): entries, each with the term in which a leader received it.
//!
//! The log knows positions and terms. It does not know who leads, what is committed, or what a command means.

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
    /// An update of a file, whatever its version: the version rule is checked when the entry is applied.
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
        let held = match &self.command {
            Command::Roster(roster) => {
                size_of::<Roster>() + roster.members.len() * size_of::<(ServerId, Incarnation)>()
            }
            Command::Update(update) => update.size(),
        };
        size_of::<Entry>() + held
    }
}

/// The entries from index 1 on. There is no compaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    entries: Vec<Entry>,
    /// The indexes of the rosters, in order.
    rosters: Vec<LogIndex>,
}

impl Log {
    /// The index of the last entry; 0 in an empty log.
    pub fn last_index(&self) -> LogIndex {
        LogIndex::default().plus(self.entries.len())
    }

    /// The position of the last entry.
    pub fn last(&self) -> Position {
        let term = self.entries.last().map_or(Term::default(), |entry| entry.term);
        Position { term, index: self.last_index() }
    }

    /// The entry at `index`, if the log reaches that far.
    pub fn get(&self, index: LogIndex) -> Option<&Entry> {
        self.entries.get(offset(index.previous())).filter(|_| LogIndex::default() < index)
    }

    /// The position at `index`, if the log reaches that far. The place before the first entry is in every log.
    pub fn position(&self, index: LogIndex) -> Option<Position> {
        if index == LogIndex::default() {
            return Some(Position::default());
        }
        self.get(index).map(|entry| Position { term: entry.term, index })
    }

    /// Whether the log holds an entry of that term at that index (the consistency check of AppendEntries, §5.3).
    pub fn contains(&self, position: Position) -> bool {
        self.position(position.index) == Some(position)
    }

    /// The last roster, which is the one in force. `None` only in an empty log, because every term begins with a
    /// roster.
    pub fn roster(&self) -> Option<&Arc<Roster>> {
        match &self.get(self.roster_index())?.command {
            Command::Roster(roster) => Some(roster),
            Command::Update(_) => None,
        }
    }

    /// The index of the last roster; 0 in an empty log.
    pub fn roster_index(&self) -> LogIndex {
        self.rosters.last().copied().unwrap_or_default()
    }

    /// The log's history; `None` in an empty log.
    pub fn history(&self) -> Option<Incarnation> {
        self.roster().map(|roster| roster.history)
    }

    /// Whether it contains an update, whatever its version.
    pub fn has_updates(&self) -> bool {
        self.rosters.len() < self.entries.len()
    }

    /// Appends one entry.
    pub fn append(&mut self, entry: Entry) {
        if matches!(entry.command, Command::Roster(_)) {
            self.rosters.push(self.last_index().next());
        }
        self.entries.push(entry);
    }

    /// The offset of the first of `entries` that this log lacks or contradicts. They are said to follow
    /// `prev_log_index`.
    pub fn first_missing(&self, prev_log_index: LogIndex, entries: &[Entry]) -> Option<usize> {
        let held = self.from(prev_log_index.next());
        entries
            .iter()
            .enumerate()
            .position(|(offset, entry)| held.get(offset).map(|held| held.term) != Some(entry.term))
    }

    /// Deletes all entries after `last` (§5.3: a follower's entries that conflict with its leader's).
    pub fn truncate_after(&mut self, last: LogIndex) {
        self.entries.truncate(offset(last));
        self.rosters.truncate(self.rosters.partition_point(|index| *index <= last));
    }

    /// The entries from `index` on.
    pub fn from(&self, index: LogIndex) -> &[Entry] {
        self.entries.get(offset(index.previous())..).unwrap_or_default()
    }

    /// Copies of the entries from `index` on, up to `count_max` and as many as fit into `bytes_max`, but at least one.
    pub fn batch(&self, index: LogIndex, count_max: usize, bytes_max: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.size();
            first || bytes <= bytes_max
        };
        self.from(index).iter().take(count_max).take_while(fits).cloned().collect()
    }

    /// The memory that the entries after `from` up to `to` hold, in bytes.
    pub fn bytes(&self, from: LogIndex, to: LogIndex) -> usize {
        let count = offset(to).saturating_sub(offset(from));
        self.from(from.next()).iter().take(count).map(Entry::size).sum()
    }

    /// The last position whose index is at most `index` and whose term is at most `term`.
    ///
    /// Nothing after it can agree with a log that has `term` at `index`, because terms never decrease along a log.
    /// After a refused append, each side applies this to the other's answer, so they skip a whole term per exchange
    /// (§5.3, the optimisation at its end).
    pub fn last_not_beyond(&self, Position { term, index }: Position) -> Position {
        let reach = &self.entries[..self.entries.len().min(offset(index))];
        let count = reach.partition_point(|entry| entry.term <= term);
        self.position(LogIndex::default().plus(count)).unwrap_or_default()
    }
}

/// An index as a number of entries, which is the offset in the vector of the entry after it.
fn offset(index: LogIndex) -> usize {
    usize::try_from(index.0).unwrap_or(usize::MAX)
}
