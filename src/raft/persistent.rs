//! What a server keeps on disk: Figure 2's "persistent state on all servers".
//!
//! The *hard state* is the persistent state without log and map (etcd's term). A *save* is a change of the persistent
//! state that is on its way to the disk.
//!
//! The core only says what must be on disk, in a [`Save`] after each step that changed it, and what must wait for it
//! (see [`Core::save`](super::core::Core)). A server without a disk says neither.
//!
//! A leader replicates its entries while it writes them (thesis §10.2.1), and counts itself only for those that are on
//! its disk. Everything else that a peer could rely on waits for the disk: votes, acknowledgements, and the requests of
//! candidates, which show a term and a vote for oneself. What callers see needs no rule of its own. It is committed,
//! that is, on the disks of a majority.

use std::collections::{BTreeSet, VecDeque};
use std::mem;

use super::event::{CallId, Effect, HEARTBEAT_MS, Reply, SILENCE_MS};
use super::identity::{Incarnation, Member};
use super::log::{Entry, LogIndex, Term};
use super::rpc::Request;
use super::snapshot::Snapshot;

/// If so many heartbeats were due and nothing was saved meanwhile, the disk counts as stalled. They last one silence
/// timeout.
const STALLED_AFTER: u64 = SILENCE_MS / HEARTBEAT_MS;

/// The persistent state except the log and the map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HardState {
    /// Which life of the server it is: a server that comes back with its state goes on with the same one.
    pub incarnation: Incarnation,
    /// The latest term that the server has seen.
    pub current_term: Term,
    /// The candidate that it voted for in that term.
    pub voted_for: Option<Member>,
    /// An entry that is known to be committed; 0 if the server is not founded. Not in Figure 2, but a founded server
    /// must never take another history for its own. A later commit index alone is not saved.
    pub commit_index: LogIndex,
    /// The incarnations that everybody's vote has shown to have ended (see "Everybody's vote" in the module of
    /// [`Identity`](super::Identity)).
    pub gone: BTreeSet<Member>,
}

impl HardState {
    /// The state of a server at its first start.
    pub fn new(incarnation: Incarnation) -> HardState {
        HardState {
            incarnation,
            current_term: Term::default(),
            voted_for: None,
            commit_index: LogIndex::default(),
            gone: BTreeSet::new(),
        }
    }
}

/// What a process starts with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Nothing, and it keeps its state in memory only. A number names this life of the server.
    Memory(Incarnation),
    /// What is on its disk.
    Disk(Saved),
}

/// A change of the persistent state, which is kept whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Save {
    /// Its number, counted from 1 at each start of the process.
    pub number: u64,
    /// The new hard state.
    pub hard_state: HardState,
    /// A snapshot that replaces the log and the snapshot before it. `first` is the entry after it then.
    pub snapshot: Option<Snapshot>,
    /// `entries` replace this entry and all after it. They never leave a gap. Without a snapshot, 1 means that the
    /// server gives up everything, also an earlier snapshot.
    pub first: LogIndex,
    /// The new end of the log, which may be empty.
    pub entries: Vec<Entry>,
}

impl Save {
    /// This change and the next one as one change.
    ///
    /// # Panics
    ///
    /// If there is a gap between their entries, which only a bug causes.
    pub fn then(mut self, next: Save) -> Save {
        if next.snapshot.is_some() || next.first < self.first {
            // The next one gives up all that this one has.
            return next;
        }
        let kept = next.first.since(self.first);
        assert!(kept <= self.entries.len(), "no change leaves a gap");
        self.entries.truncate(kept);
        self.entries.extend(next.entries);
        Save { snapshot: self.snapshot, first: self.first, entries: self.entries, ..next }
    }
}

/// The persistent state, as it is read back when a process starts. That it can be changed as well is the meaning of a
/// [`Save`], by which tests judge what does it on a real disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Saved {
    /// The hard state.
    pub hard_state: HardState,
    /// The snapshot that the log continues; `None` if the log begins with entry 1.
    pub snapshot: Option<Snapshot>,
    /// The entries after the snapshot.
    pub entries: Vec<Entry>,
}

impl Saved {
    /// The state of a server at its first start.
    pub fn new(incarnation: Incarnation) -> Saved {
        Saved { hard_state: HardState::new(incarnation), snapshot: None, entries: Vec::new() }
    }

    /// The last entry before `entries`.
    pub fn base(&self) -> LogIndex {
        self.snapshot.as_ref().map_or(LogIndex::default(), |snapshot| snapshot.last_included.index)
    }

    /// Makes a change. Returns whether it fits; `false` if it leaves a gap.
    pub fn apply(&mut self, save: Save) -> bool {
        if let Some(snapshot) = save.snapshot {
            *self = Saved {
                hard_state: self.hard_state.clone(),
                snapshot: Some(snapshot),
                entries: Vec::new(),
            };
        } else if save.first <= self.base() {
            *self = Saved::new(save.hard_state.incarnation);
        }
        let kept = save.first.since(self.base().next());
        if self.entries.len() < kept || save.first <= self.base() {
            return false;
        }
        self.entries.truncate(kept);
        self.entries.extend(save.entries);
        self.hard_state = save.hard_state;
        true
    }

    /// Puts a snapshot of a committed state in the place of the entries that led to it.
    pub fn compact(&mut self, snapshot: Snapshot) {
        let dropped = snapshot.last_included.index.since(self.base());
        self.entries.drain(..dropped.min(self.entries.len()));
        self.snapshot = Some(snapshot);
    }
}

/// What a server knows of its disk: what it has handed over, what is saved, and what waits for that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    /// The hard state, as last handed over.
    hard_state: HardState,
    /// The number of the last save.
    last: u64,
    /// The saves under way, oldest first.
    under_way: VecDeque<UnderWay>,
    /// The memory that their entries take.
    bytes_under_way: usize,
    /// The last entry of a leader's log that is on disk. When its vote was saved, the whole log was; since then it only
    /// appends.
    saved: LogIndex,
    /// The effects that wait, each for the save with that number.
    waiting: VecDeque<(u64, Effect)>,
    /// The number of heartbeats that were due since something was saved, if something is under way.
    beats: u64,
    /// The first entry that this step has changed.
    changed: Option<LogIndex>,
    /// Whether this step has put a leader's snapshot in the place of the log.
    is_restored: bool,
}

/// A save that has been handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct UnderWay {
    number: u64,
    /// The last entry of the log.
    last_index: LogIndex,
    /// The memory that its entries take until then.
    bytes: usize,
}

impl Disk {
    /// A disk on which nothing but this is.
    pub(super) fn new(hard_state: HardState, saved: LogIndex) -> Disk {
        Disk {
            hard_state,
            last: 0,
            under_way: VecDeque::new(),
            bytes_under_way: 0,
            saved,
            waiting: VecDeque::new(),
            beats: 0,
            changed: None,
            is_restored: false,
        }
    }

    /// The hard state, as last handed over.
    pub(super) fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// The last entry up to which a leader's log is on disk.
    pub(super) fn saved(&self) -> LogIndex {
        self.saved
    }

    /// The memory that the entries under way take, in bytes.
    pub(super) fn bytes_under_way(&self) -> usize {
        self.bytes_under_way
    }

    /// Notes that this step changes the log from that entry on.
    pub(super) fn change(&mut self, first: LogIndex) {
        self.changed = Some(self.changed.map_or(first, |changed| changed.min(first)));
    }

    /// Notes that this step puts a snapshot in the place of the log.
    pub(super) fn restore(&mut self, last_included: LogIndex) {
        self.changed = Some(last_included.next());
        self.is_restored = true;
    }

    /// The first entry that this step has changed.
    pub(super) fn changed(&self) -> Option<LogIndex> {
        self.changed
    }

    /// What this step has changed: the first entry, and whether a snapshot has replaced the log.
    pub(super) fn take_change(&mut self) -> (Option<LogIndex>, bool) {
        (self.changed.take(), mem::take(&mut self.is_restored))
    }

    /// Hands a change over.
    pub(super) fn hand_over(
        &mut self,
        hard_state: HardState,
        snapshot: Option<Snapshot>,
        first: LogIndex,
        entries: Vec<Entry>,
    ) -> Save {
        self.last += 1;
        self.hard_state = hard_state.clone();
        let bytes = entries.iter().map(Entry::size).sum();
        let last_index = first.previous().plus(entries.len());
        self.under_way.push_back(UnderWay { number: self.last, last_index, bytes });
        self.bytes_under_way += bytes;
        Save { number: self.last, hard_state, snapshot, first, entries }
    }

    /// Holds back those of a step's effects that a peer could rely on, if anything is under way.
    pub(super) fn hold_back(&mut self, effects: &mut Vec<Effect>) {
        if self.under_way.is_empty() {
            return;
        }
        let last = self.last;
        let waits = effects.extract_if(.., |effect| is_relied_on(effect));
        self.waiting.extend(waits.map(|effect| (last, effect)));
    }

    /// Learns that everything up to the save with that number is on disk. Returns the effects that waited for it.
    pub(super) fn learn(&mut self, number: u64) -> Vec<Effect> {
        let done = self.under_way.partition_point(|save| save.number <= number);
        for save in self.under_way.drain(..done) {
            self.saved = save.last_index;
            self.bytes_under_way -= save.bytes;
            self.beats = 0;
        }
        let done = self.waiting.partition_point(|(waits_for, _)| *waits_for <= number);
        self.waiting.drain(..done).map(|(_, effect)| effect).collect()
    }

    /// Counts a heartbeat that was due.
    pub(super) fn beat(&mut self) {
        if !self.under_way.is_empty() {
            self.beats = self.beats.saturating_add(1);
        }
    }

    /// Whether nothing has been saved for as long as a silence timeout, although something was handed over.
    pub(super) fn is_stalled(&self) -> bool {
        STALLED_AFTER <= self.beats
    }

    /// Gives up what waits. Returns the calls that are not answered.
    pub(super) fn give_up(&mut self) -> Vec<CallId> {
        let mut calls = Vec::new();
        for (_, effect) in mem::take(&mut self.waiting) {
            if let Effect::Reply(call, _) = effect {
                calls.push(call);
            }
        }
        calls
    }

    /// Drops the requests for votes that wait: they are of a ballot that is over.
    pub(super) fn drop_requests(&mut self) {
        self.waiting.retain(|(_, effect)| !matches!(effect, Effect::Send { .. }));
    }

    /// Forgets a call whose caller has disconnected.
    pub(super) fn forget(&mut self, gone: CallId) {
        let is_its = |effect: &Effect| matches!(effect, Effect::Reply(call, _) if *call == gone);
        self.waiting.retain(|(_, effect)| !is_its(effect));
    }
}

/// Whether a peer could rely on what it learns by this effect: on a vote, on entries that this server holds, or on its
/// term. A leader's requests show only what was on disk before it was elected, and entries that nobody counts before
/// they are on a majority's disks.
fn is_relied_on(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Reply(_, Reply::Vote(_) | Reply::Append(_))
            | Effect::Send { request: Request::RequestVote(_), .. }
    )
}
