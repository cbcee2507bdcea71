//! What a folder has, for people.

use std::fmt;

use super::disk::Disk;
use super::meta::{self, Meta};
use super::recovery::{has_data, recover};
use super::{OpenError, SetIdentity, no_meta};
use crate::raft::{Command, Incarnation, LogIndex, Member, Position, Term};

/// What [`check`] has found in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose folder it is.
    pub set: SetIdentity,
    /// The server's incarnation.
    pub incarnation: Incarnation,
    /// The history of its log; `None` if the log is empty.
    pub history: Option<Incarnation>,
    /// The latest term that it has seen.
    pub current_term: Term,
    /// The candidate that it voted for in that term.
    pub voted_for: Option<Member>,
    /// The last entry that the snapshot includes.
    pub snapshot: Option<Position>,
    /// The number of files in the snapshot.
    pub files: usize,
    /// The number of entries after the snapshot.
    pub entries: usize,
    /// The index of the last entry.
    pub last_index: LogIndex,
    /// An entry that is known to be committed.
    pub commit_index: LogIndex,
    /// The number of segments.
    pub segments: usize,
    /// The size of the segments and the snapshot, in bytes.
    pub bytes: u64,
    /// Whether the last write was not finished. A server cuts it off when it starts.
    pub is_torn: bool,
}

/// Reads all of a folder and checks it as a server does when it starts. Nothing is changed.
pub fn check(disk: &impl Disk) -> Result<Report, OpenError> {
    if !disk.list()?.iter().any(|name| name == meta::FILE) {
        return if has_data(disk)? { no_meta() } else { Err(OpenError::NoData) };
    }
    let meta = Meta::read(disk)?;
    let found = recover(disk, &meta)?;
    let mut rosters = found.saved.entries.iter().filter_map(|entry| match &entry.command {
        Command::Roster(roster) => Some(roster),
        Command::Update(_) => None,
    });
    let snapshot = found.saved.snapshot.as_ref();
    let roster = rosters.next_back().or(snapshot.map(|snapshot| &snapshot.roster));
    let hard_state = &found.known.hard_state;
    let segments = found.segments.iter().map(|segment| segment.size).sum::<u64>();
    Ok(Report {
        set: meta.set,
        incarnation: hard_state.incarnation,
        history: roster.map(|roster| roster.history),
        current_term: hard_state.current_term,
        voted_for: hard_state.voted_for,
        snapshot: snapshot.map(|snapshot| snapshot.last_included),
        files: snapshot.map_or(0, |snapshot| snapshot.files.len()),
        entries: found.saved.entries.len(),
        last_index: found.last_index,
        commit_index: hard_state.commit_index,
        segments: found.segments.len(),
        bytes: segments + found.known.snapshot.map_or(0, |snapshot| snapshot.bytes),
        is_torn: 0 < found.tail.torn,
    })
}

/// A number of things.
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// A line for each fact, as `NAME: VALUE`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SetIdentity { id, size, names } = self.set;
        writeln!(f, "server: {} of {size}, names {names:016x}", id.0)?;
        writeln!(f, "incarnation: {}", self.incarnation)?;
        match self.history {
            Some(history) => writeln!(f, "history: {history}")?,
            None => writeln!(f, "history: none, the log is empty")?,
        }
        match self.voted_for {
            Some(Member { id, incarnation }) => writeln!(
                f,
                "term: {}, in which it voted for server {} ({incarnation})",
                self.current_term.0, id.0
            )?,
            None => writeln!(f, "term: {}, in which it has not voted", self.current_term.0)?,
        }
        match self.snapshot {
            Some(Position { term, index }) => writeln!(
                f,
                "snapshot: {}, up to entry {} of term {}",
                counted(self.files, "file"),
                index.0,
                term.0
            )?,
            None => writeln!(f, "snapshot: none")?,
        }
        writeln!(f, "entries: {}, the last is {}", self.entries, self.last_index.0)?;
        writeln!(f, "committed: up to entry {} at least", self.commit_index.0)?;
        write!(f, "disk: {}, {} bytes", counted(self.segments, "segment"), self.bytes)?;
        if self.is_torn {
            write!(f, "\nthe last write was not finished; the server cuts it off when it starts")?;
        }
        Ok(())
    }
}
