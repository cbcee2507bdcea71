//! A server's disk: a store whose folder is in memory, what is on its way there, and what is left when the power fails.
//!
//! It knows no server and no time. It draws at random at which operation a process ends, what survives, and how long
//! its work takes. [`Saved::apply`] says what each change means; the store must read back just that.

use std::collections::VecDeque;
use std::io;

use support::disk::{Fault, MemoryDisk, Operation};
use surfstore::raft::{
    Command, Entry, Incarnation, LogIndex, Position, Save, Saved, ServerId, Snapshot, Status,
};
use surfstore::storage::{SetIdentity, Sizes, Store};

use crate::network::MILLISECOND;

/// The owner of the folder, which does not matter here.
const SET: SetIdentity = SetIdentity { id: ServerId(0), size: 1, names: 0 };

/// Small segments and pieces, so that each run begins many.
const SIZES: Sizes = Sizes { segment: 2048, piece: 2048 };

/// A disk.
pub(crate) struct Disk {
    folder: MemoryDisk,
    store: Store<MemoryDisk>,
    /// What is on it. It outlives everything but the disk itself.
    state: State,
    /// The number of the last change that was handed over since the process began.
    last: u64,
    /// What the store is doing, and the number of that work.
    under_way: Option<(u64, Work)>,
    /// What waits for that, oldest first.
    orders: VecDeque<Order>,
    /// The snapshot that is being written beside the log.
    writing: Option<Snapshot>,
    /// Whether there is work left that can wait.
    has_more: bool,
}

/// What a disk has.
#[derive(Clone)]
struct State {
    saved: Saved,
    /// The number of the last change in it; 0 if the process has made none.
    synced: u64,
}

/// What a server has handed over.
enum Order {
    Save(Save),
    Snapshot(Snapshot),
}

/// What a store does in one go.
pub(crate) enum Work {
    /// Makes changes, as one.
    Save(Save),
    /// Begins a snapshot.
    Snapshot(Snapshot),
    /// Does a part of what can wait.
    Rest,
}

/// What work changes once it is done.
enum Change {
    Nothing,
    Save(Save),
    /// A snapshot takes the place of the entries that led to it.
    Compact(Snapshot),
}

/// How a process with a disk ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What it had written stays, synced or not.
    Kill,
    /// Of what was not synced, any part may be gone.
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
    /// The operation at which the process ended; `None` if it ended between two.
    pub(crate) at: Option<Operation>,
    /// Whether the next process ended while it read the folder.
    pub(crate) ends_again: bool,
}

impl Disk {
    /// The disk of a new server. Processes may end while they make its folder.
    pub(crate) fn new(incarnation: Incarnation, rng: &mut fastrand::Rng) -> Disk {
        let (disk, _) = Disk::open(MemoryDisk::default(), incarnation, Ending::PowerLoss, rng);
        assert!(*disk.saved() == Saved::new(incarnation), "a new folder is not empty");
        disk
    }

    /// Opens a folder. A process may end, in the same way as the one before, while it does so; then the next one tries.
    /// Returns the disk, and whether that happened.
    fn open(
        folder: MemoryDisk,
        incarnation: Incarnation,
        ending: Ending,
        rng: &mut fastrand::Rng,
    ) -> (Disk, bool) {
        let (mut folder, mut ends_again) = (folder, false);
        loop {
            if rng.u8(0..4) == 0 {
                folder.plan(rng.u64(0..10), Fault::Stop);
            }
            match Store::open(folder.clone(), SET, SIZES, || incarnation) {
                Ok((store, saved)) => {
                    folder.unplan();
                    let disk = Disk {
                        folder,
                        store,
                        state: State { saved, synced: 0 },
                        last: 0,
                        under_way: None,
                        orders: VecDeque::new(),
                        writing: None,
                        has_more: true,
                    };
                    return (disk, ends_again);
                }
                Err(error) => {
                    assert!(folder.stopped_at().is_some(), "a disk is refused: {error}");
                    folder = left_of(&folder, ending, rng);
                    ends_again = true;
                }
            }
        }
    }

    /// What is on the disk.
    pub(crate) fn saved(&self) -> &Saved {
        &self.state.saved
    }

    /// The bytes of the log since the last snapshot.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.store.log_bytes()
    }

    /// The space that is taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.bytes_on_disk()
    }

    /// Whether it has nothing to do for the server's changes.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.synced == self.last
    }

    /// The history of the log.
    pub(crate) fn history(&self) -> Option<Incarnation> {
        let included = self.saved().snapshot.as_ref().map(|snapshot| &snapshot.roster);
        let roster = included.or_else(|| match &self.saved().entries.first()?.command {
            Command::Roster(roster) => Some(roster),
            Command::Update(_) => None,
        });
        roster.map(|roster| roster.history)
    }

    /// The last entry that is known to be committed; 0 if the server is not founded.
    pub(crate) fn commit_index(&self) -> LogIndex {
        self.saved().hard_state.commit_index.max(self.saved().base())
    }

    /// The last entry.
    pub(crate) fn last_log(&self) -> Position {
        let index = self.saved().base().plus(self.saved().entries.len());
        let included = self.saved().snapshot.as_ref().map(|snapshot| snapshot.last_included);
        let last = self.saved().entries.last();
        last.map_or(included.unwrap_or_default(), |entry| Position { term: entry.term, index })
    }

    /// The entry at an index, if the log holds it.
    pub(crate) fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let place = index.0.checked_sub(self.saved().base().0 + 1)?;
        self.saved().entries.get(place as usize)
    }

    /// Whether an entry is in the log, or in the snapshot before it.
    pub(crate) fn reaches(&self, Position { term, index }: Position) -> bool {
        index <= self.saved().base() || self.entry(index).is_some_and(|entry| entry.term == term)
    }

    /// Takes a change.
    pub(crate) fn hand_over(&mut self, save: Save) {
        self.last += 1;
        assert!(save.number == self.last, "changes are numbered in order");
        self.orders.push_back(Order::Save(save));
    }

    /// Takes a snapshot that is to be written.
    pub(crate) fn hand_over_snapshot(&mut self, snapshot: Snapshot) {
        self.orders.push_back(Order::Snapshot(snapshot));
    }

    /// Begins what is to be done next, and returns it; `None` if there is nothing, or something is under way.
    pub(crate) fn begin(&mut self, number: u64) -> Option<&Work> {
        if self.under_way.is_some() {
            return None;
        }
        let work = self.next_work(usize::MAX)?;
        Some(&self.under_way.insert((number, work)).1)
    }

    /// What is to be done next: up to `changes_max` changes as one, or another order, or what can wait.
    fn next_work(&mut self, changes_max: usize) -> Option<Work> {
        let is_save = |order: &&Order| matches!(order, Order::Save(_));
        let count = self.orders.iter().take_while(is_save).count().min(changes_max);
        let saves = self.orders.drain(..count).filter_map(|order| match order {
            Order::Save(save) => Some(save),
            Order::Snapshot(_) => None,
        });
        if let Some(batch) = saves.reduce(Save::then) {
            return Some(Work::Save(batch));
        }
        match self.orders.pop_front() {
            Some(Order::Snapshot(snapshot)) => Some(Work::Snapshot(snapshot)),
            _ => self.has_more.then_some(Work::Rest),
        }
    }

    /// Ends the work of that number, unless a process has ended since it began. Returns the number of the last change
    /// that it made, if it made any.
    pub(crate) fn end(&mut self, number: u64) -> Option<u64> {
        let (_, work) = self.under_way.take_if(|(begun, _)| *begun == number)?;
        let before = self.state.synced;
        // After each order, a part of what can wait is done.
        let rest = (!matches!(work, Work::Rest)).then_some(Work::Rest);
        for work in [Some(work), rest].into_iter().flatten() {
            assert!(self.carry_out(work).is_ok(), "nothing has ended the process");
        }
        Some(self.state.synced).filter(|synced| before < *synced)
    }

    /// Does some work. If the process ends meanwhile, the error is the state that the work leads to: the next process
    /// reads back this state or the one before.
    fn carry_out(&mut self, work: Work) -> Result<(), Box<State>> {
        let (result, change) = match work {
            Work::Save(save) => {
                let (replaces, first) = (save.snapshot.is_some(), save.first);
                self.writing.take_if(|it| replaces || first <= it.last_included.index);
                self.has_more = true;
                (self.store.save(save.clone()), Change::Save(save))
            }
            Work::Snapshot(snapshot) => {
                let result = self.store.begin_snapshot(snapshot.clone());
                let is_newer = self.saved().base() < snapshot.last_included.index;
                if self.writing.is_none() && is_newer {
                    self.writing = Some(snapshot);
                }
                self.has_more = true;
                (result, Change::Nothing)
            }
            Work::Rest => self.go_on(),
        };
        let Err(error) = result else {
            self.state.make(change);
            return Ok(());
        };
        assert!(self.folder.stopped_at().is_some(), "the store fails: {error}");
        let mut next = Box::new(self.state.clone());
        next.make(change);
        Err(next)
    }

    /// What [`Store::go_on`] does, which does not tell when it puts a snapshot in force.
    fn go_on(&mut self) -> (io::Result<()>, Change) {
        let Some(snapshot) = self.writing.take() else {
            let result = self.store.prepare();
            return (result.map(|has_more| self.has_more = has_more), Change::Nothing);
        };
        match self.store.write_piece() {
            Ok(true) => {
                self.writing = Some(snapshot);
                (Ok(()), Change::Nothing)
            }
            result => (result.map(drop), Change::Compact(snapshot)),
        }
    }

    /// The process ends, and the next one reads what is left. `before` is the state that it had in memory.
    pub(crate) fn stop(
        &mut self,
        ending: Ending,
        rng: &mut fastrand::Rng,
        before: &Status,
    ) -> Left {
        let under_way = match &self.under_way {
            Some((_, Work::Save(save))) => Some(save.number),
            _ => None,
        };
        let waits_from = under_way.unwrap_or(self.state.synced);
        // It works on, up to a random operation. No server learns what is done from here on.
        let operations = if rng.bool() { rng.u64(0..3) } else { rng.u64(0..16) };
        self.folder.plan(self.folder.operations() + operations, Fault::Stop);
        let mut next = None;
        let mut work = self.under_way.take().map(|(_, work)| work);
        while next.is_none()
            && let Some(work) = work.take().or_else(|| self.next_work(rng.usize(1..4)))
        {
            next = self.carry_out(work).err().map(|next| *next);
        }
        let (at, last) = (self.folder.stopped_at(), self.last);
        let incarnation = self.saved().hard_state.incarnation;
        let folder = left_of(&self.folder, ending, rng);
        let (disk, ends_again) = Disk::open(folder, incarnation, ending, rng);
        let done = std::mem::replace(self, disk).state;
        let read = [next, Some(done)].into_iter().flatten().find(|it| it.saved == self.state.saved);
        let Some(State { synced, .. }) = read else {
            panic!("a disk lacks what was synced, after an end at {at:?}")
        };
        let hard_state = &self.saved().hard_state;
        Left {
            under_way: under_way.map(|number| number <= synced),
            is_part: waits_from < synced && synced < last,
            loses_vote: before.voted_for.is_some()
                && (hard_state.current_term, hard_state.voted_for)
                    != (before.current_term, before.voted_for),
            loses_entries: self.last_log() != before.last_log,
            at,
            ends_again,
        }
    }
}

impl State {
    fn make(&mut self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Save(save) => {
                self.synced = save.number;
                assert!(self.saved.apply(save), "a change leaves a gap in the log on disk");
            }
            Change::Compact(snapshot) => self.saved.compact(snapshot),
        }
    }
}

/// The folder that the next process finds. Of what was not synced, a loss of power leaves nothing, all, or any part.
fn left_of(folder: &MemoryDisk, ending: Ending, rng: &mut fastrand::Rng) -> MemoryDisk {
    if ending == Ending::Kill {
        return folder.restart();
    }
    let share = rng.u8(0..4);
    folder.lose_power(&mut |ways| match share {
        0 => 0,
        1 => ways - 1,
        _ => rng.usize(..ways),
    })
}

/// How long it works at a time, in microseconds: mostly up to a few milliseconds, sometimes tens of them.
pub(crate) fn work_time(rng: &mut fastrand::Rng) -> u64 {
    let most = if rng.u8(0..10) == 0 { 60 * MILLISECOND } else { 5 * MILLISECOND };
    rng.u64(100..most)
}
