//! Logs entry by entry, although their beginnings may have been dropped (§7).

use std::cmp::Ordering;

use surfstore::raft::{Entry, Log, LogIndex};

/// The entries that the log holds.
pub(crate) fn held(log: &Log) -> impl Iterator<Item = (LogIndex, &Entry)> {
    let first = log.last_included().index.next();
    (first.0..).map(LogIndex).zip(log.from(first))
}

/// Whether the log has this entry there, or has dropped it. A log that has dropped what is at an index had the
/// committed entry there.
pub(crate) fn has(log: &Log, index: LogIndex, entry: &Entry) -> bool {
    let last_included = log.last_included();
    match index.cmp(&last_included.index) {
        Ordering::Less => true,
        Ordering::Equal => last_included.term == entry.term,
        Ordering::Greater => log.get(index) == Some(entry),
    }
}

/// The indexes at which both logs know the term.
pub(crate) fn common(one: &Log, other: &Log) -> impl DoubleEndedIterator<Item = LogIndex> {
    let first = one.last_included().index.max(other.last_included().index);
    let last = one.last_index().min(other.last_index());
    (first.0..=last.0).map(LogIndex)
}
