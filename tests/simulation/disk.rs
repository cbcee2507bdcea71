//! A server's disk: what is on it, what is on its way there, and what is left when the power fails.
//!
//! It knows no server and no time: it draws from the seed what survives, and how long its work takes.

use surfstore::raft::{
    Command, Entry, Incarnation, LogIndex, Position, Save, Saved, Snapshot, Status,
};

use crate::network::MILLISECOND;

/// A disk.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What was synced. It outlives everything but the disk itself.
    saved: Saved,
    /// The number of the last change that was synced since the process began.
    synced: u64,
    /// The number of the last change that was handed over since then.
    last: u64,
    /// The changes that are being synced, as one, and the number of that sync.
    under_way: Option<(u64, Save)>,
    /// The changes that wait for the sync under way.
    queued: Vec<Save>,
    /// The snapshot that is being written beside the log.
    snapshot: Option<Writing>,
    /// The bytes of the log since the last snapshot.
    log_bytes: u64,
}

/// A snapshot that is being written.
#[derive(Debug)]
struct Writing {
    number: u64,
    snapshot: Snapshot,
    /// The last change before it, which must be on the disk first.
    after: u64,
    /// Whether it has been written.
    is_done: bool,
}

/// How a process with a disk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What it had handed over may reach the disk all the same.
    Kill,
    /// Nothing reaches the disk that had not begun to.
    PowerLoss,
    /// Nothing of it is left.
    LostDisk,
}

/// What became of the changes that had been handed over when a process ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Whether the sync under way was completed; `None` if there was none.
    pub(crate) under_way: Option<bool>,
    /// Whether some, but not all, of the changes survived that waited for it.
    pub(crate) is_part: bool,
    /// Whether a vote is lost.
    pub(crate) loses_vote: bool,
    /// Whether entries are lost.
    pub(crate) loses_entries: bool,
}

impl Disk {
    pub(crate) fn new(incarnation: Incarnation) -> Disk {
        Disk {
            saved: Saved::new(incarnation),
            synced: 0,
            last: 0,
            under_way: None,
            queued: Vec::new(),
            snapshot: None,
            log_bytes: 0,
        }
    }

    /// What is on the disk.
    pub(crate) fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The bytes of the log since the last snapshot.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Whether it has nothing to do for the server's changes.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// The history of the log.
    pub(crate) fn history(&self) -> Option<Incarnation> {
        let included = self.saved.snapshot.as_ref().map(|snapshot| &snapshot.roster);
        let roster = included.or_else(|| match &self.saved.entries.first()?.command {
            Command::Roster(roster) => Some(roster),
            Command::Update(_) => None,
        });
        roster.map(|roster| roster.history)
    }

    /// The last entry that is known to be committed; 0 if the server is not founded.
    pub(crate) fn commit_index(&self) -> LogIndex {
        self.saved.hard_state.commit_index.max(self.saved.base())
    }

    /// The last entry.
    pub(crate) fn last_log(&self) -> Position {
        let index = self.saved.base().plus(self.saved.entries.len());
        let included = self.saved.snapshot.as_ref().map(|snapshot| snapshot.last_included);
        let last = self.saved.entries.last();
        last.map_or(included.unwrap_or_default(), |entry| Position { term: entry.term, index })
    }

    /// The entry at an index, if the log holds it.
    pub(crate) fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let place = index.0.checked_sub(self.saved.base().0 + 1)?;
        self.saved.entries.get(place as usize)
    }

    /// Whether an entry is in the log, or in the snapshot before it.
    pub(crate) fn reaches(&self, Position { term, index }: Position) -> bool {
        index <= self.saved.base() || self.entry(index).is_some_and(|entry| entry.term == term)
    }

    /// Takes a change.
    pub(crate) fn hand_over(&mut self, save: Save) {
        self.last += 1;
        assert!(save.number == self.last, "changes are numbered in order");
        self.queued.push(save);
    }

    /// Begins to sync all changes that wait, if there are any and no sync is under way.
    pub(crate) fn begin(&mut self, number: u64) -> bool {
        if self.under_way.is_some() || self.queued.is_empty() {
            return false;
        }
        let save = std::mem::take(&mut self.queued).into_iter().reduce(Save::then);
        self.under_way = save.map(|save| (number, save));
        true
    }

    /// Ends the sync of that number. Returns the number of the last change that it made; `None` if a process has ended
    /// since it began.
    pub(crate) fn end_sync(&mut self, number: u64) -> Option<u64> {
        let (_, save) = self.under_way.take_if(|(begun, _)| *begun == number)?;
        self.synced = save.number;
        self.apply(save);
        self.put_snapshot_in_place();
        Some(self.synced)
    }

    fn apply(&mut self, save: Save) {
        let replaces = save.snapshot.is_some() || save.first <= self.saved.base();
        let bytes: usize = save.entries.iter().map(Entry::size).sum();
        self.log_bytes = if replaces { 0 } else { self.log_bytes } + bytes as u64;
        assert!(self.saved.apply(save), "a change leaves a gap in the log on disk");
    }

    /// Begins to write a snapshot, unless one is being written.
    pub(crate) fn begin_snapshot(&mut self, number: u64, snapshot: Snapshot) -> bool {
        let begins = self.snapshot.is_none();
        if begins {
            let after = self.last;
            self.snapshot = Some(Writing { number, snapshot, after, is_done: false });
        }
        begins
    }

    /// The snapshot of that number has been written.
    pub(crate) fn end_snapshot(&mut self, number: u64) {
        for snapshot in self.snapshot.iter_mut().filter(|snapshot| snapshot.number == number) {
            snapshot.is_done = true;
        }
        self.put_snapshot_in_place();
    }

    /// Puts the snapshot in the place of the entries that led to it, once it and they are on the disk. If a later one
    /// has come from a leader meanwhile, it is not needed.
    fn put_snapshot_in_place(&mut self) {
        let synced = self.synced;
        let is_due = |writing: &mut Writing| writing.is_done && writing.after <= synced;
        let Some(Writing { snapshot, .. }) = self.snapshot.take_if(is_due) else { return };
        if self.saved.base() < snapshot.last_included.index {
            assert!(self.reaches(snapshot.last_included), "a snapshot replaces other entries");
            self.saved.compact(snapshot);
            self.log_bytes = self.saved.entries.iter().map(|entry| entry.size() as u64).sum();
        }
    }

    /// The process ends. `before` is the state that it had in memory.
    pub(crate) fn stop(
        &mut self,
        ending: Ending,
        rng: &mut fastrand::Rng,
        before: &Status,
    ) -> Left {
        let under_way = self.under_way.take();
        let queued = std::mem::take(&mut self.queued);
        let survives = under_way.is_some() && rng.bool();
        let mut left = Left { under_way: under_way.as_ref().map(|_| survives), ..Left::default() };
        let count = match ending {
            Ending::Kill if survives || under_way.is_none() => rng.usize(0..=queued.len()),
            Ending::Kill | Ending::PowerLoss | Ending::LostDisk => 0,
        };
        left.is_part = 0 < count && count < queued.len();
        let kept = under_way.filter(|_| survives).map(|(_, save)| save);
        kept.into_iter().chain(queued.into_iter().take(count)).for_each(|save| self.apply(save));
        let hard_state = &self.saved.hard_state;
        left.loses_vote = before.voted_for.is_some()
            && (hard_state.current_term, hard_state.voted_for)
                != (before.current_term, before.voted_for);
        left.loses_entries = self.last_log() != before.last_log;
        (self.synced, self.last, self.snapshot) = (0, 0, None);
        left
    }
}

/// How long a sync takes, in microseconds: mostly up to a few milliseconds, sometimes tens of them.
pub(crate) fn sync_time(rng: &mut fastrand::Rng) -> u64 {
    let most = if rng.u8(0..10) == 0 { 60 * MILLISECOND } else { 5 * MILLISECOND };
    rng.u64(100..most)
}

/// How long it takes to write a snapshot.
pub(crate) fn snapshot_time(rng: &mut fastrand::Rng) -> u64 {
    rng.u64(MILLISECOND..200 * MILLISECOND)
}
