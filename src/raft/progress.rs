//! What a leader knows about one follower (Figure 2's volatile state on leaders), and what it has in flight to it.
//!
//! A follower has two lanes, each with at most one request in flight. Entries and the pieces of snapshots travel on one
//! lane. Empty appends (heartbeats, the news of commits, rounds that reads wait for) travel on the other, so that a
//! large request does not delay a heartbeat.

use super::event::{Effects, HEARTBEAT_MS, SILENCE_MS};
use super::identity::{Identity, Incarnation};
use super::log::{Log, LogIndex, Position};
use super::rpc::{AppendEntries, AppendOutcome, InstallSnapshot, Round};
use super::snapshot::{Discarded, Snapshot, Transfer};

/// The number of unanswered heartbeats after which a follower counts as out of touch. Together they last one silence
/// timeout.
const UNANSWERED_MAX: u64 = SILENCE_MS / HEARTBEAT_MS;

/// A leader's view of one follower.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    /// The follower's incarnation, as shown by the answer to the latest append or vote. All other fields are about this
    /// incarnation.
    pub(super) incarnation: Option<Incarnation>,
    /// The latest append whose answer showed it.
    shown_by: Round,
    /// Whether it has shown, in this term, that it knows the leader's history to be founded.
    pub(super) has_joined: bool,
    /// The next entry to send. Initially the roster that opens the leader's term.
    pub(super) next_index: LogIndex,
    /// The last entry known to be in the follower's log. Initially 0. It decreases only if the follower is another
    /// process now, or was not founded and has taken another history's log in between.
    pub(super) match_index: LogIndex,
    /// The append with entries, or the piece of a snapshot, that is in flight.
    batch: Option<Sent>,
    /// The snapshot that is being sent, because the entries that the follower lacks were dropped.
    transfer: Option<Transfer>,
    /// The empty append that is in flight.
    heartbeat: Option<Sent>,
    /// The number of the last append or piece sent.
    last_sent: Round,
    /// The number of the last empty append sent. A batch in flight may take long, so reads do not wait for it.
    last_heartbeat: Round,
    /// The highest number of an append that the follower answered in this term.
    last_answered: Round,
    /// The last entry that the follower will know to be committed once it has received what was sent to it.
    commit_sent: LogIndex,
    /// The lowest number of an append whose reply shows that the follower is reachable. Initially 0: the follower is
    /// assumed to be reachable. Once an append has failed, only a reply to a later one shows it. The next heartbeat
    /// asks for that reply, and nothing else is sent before.
    reachable_from: Round,
    /// The number of heartbeats that were due since the last reply.
    unanswered: u64,
    /// The number of heartbeats that became due after the one before was answered, since an append with entries was
    /// sent and none has been answered. At most [`UNANSWERED_MAX`].
    without_entries: u64,
    /// Whether one of those appends has failed.
    batch_failed: bool,
    /// Whether they failed for as long as a silence timeout. A retry that takes long but makes progress is no failure.
    refuses_entries: bool,
}

/// A copy of a leader's view of one follower, for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgressStatus {
    /// The next entry to send (Figure 2's `nextIndex`).
    pub next_index: LogIndex,
    /// The last entry known to be in the follower's log (Figure 2's `matchIndex`).
    pub match_index: LogIndex,
    /// Whether entries, or a piece of a snapshot, are in flight.
    pub is_in_flight: bool,
    /// The number of heartbeats that were due since the last reply.
    pub unanswered: u64,
}

/// What must be remembered about an append until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sent {
    round: Round,
    prev_log_index: LogIndex,
    last_index: LogIndex,
}

impl Sent {
    fn has_entries(&self) -> bool {
        self.prev_log_index < self.last_index
    }
}

impl Progress {
    /// A new leader assumes that a follower is reachable, as the majority that has just voted is.
    pub(super) fn new(next_index: LogIndex, incarnation: Option<Incarnation>) -> Progress {
        Progress {
            incarnation,
            shown_by: Round::default(),
            has_joined: false,
            next_index,
            match_index: LogIndex::default(),
            batch: None,
            transfer: None,
            heartbeat: None,
            last_sent: Round::default(),
            last_heartbeat: Round::default(),
            last_answered: Round::default(),
            commit_sent: LogIndex::default(),
            reachable_from: Round::default(),
            unanswered: 0,
            without_entries: 0,
            batch_failed: false,
            refuses_entries: false,
        }
    }

    /// What operators see of it.
    pub(super) fn status(&self) -> ProgressStatus {
        ProgressStatus {
            next_index: self.next_index,
            match_index: self.match_index,
            is_in_flight: self.batch.is_some(),
            unanswered: self.unanswered,
        }
    }

    /// Whether entries up to `last_index` can and should be sent now.
    pub(super) fn wants_entries(&self, last_index: LogIndex) -> bool {
        self.is_reachable() && self.batch.is_none() && self.next_index <= last_index
    }

    /// Whether the entries that it lacks were dropped, so that it needs a snapshot.
    pub(super) fn needs_snapshot(&self, log: &Log) -> bool {
        self.next_index <= log.last_included().index
    }

    /// The snapshot that is being sent. If there is none, this one is sent from now on.
    pub(super) fn transfer(
        &mut self,
        snapshot: impl FnOnce() -> Option<Snapshot>,
    ) -> Option<&Transfer> {
        if self.transfer.is_none() {
            self.transfer = snapshot().map(Transfer::new);
        }
        self.transfer.as_ref()
    }

    /// Gives up what is only needed to send a snapshot.
    pub(super) fn discard(self, out: &mut Effects) {
        if let Some(transfer) = self.transfer {
            out.discard(Discarded::Files(transfer.snapshot.files));
        }
    }

    /// Takes the snapshot that was being sent if that is over: the follower has it, no longer needs it, or is out of
    /// touch. A follower that was out of touch gets a newer one when it is back, so the leader need not keep this one.
    pub(super) fn end_transfer(&mut self, log: &Log) -> Option<Transfer> {
        let is_needed = self.needs_snapshot(log) && self.is_in_touch();
        let match_index = self.match_index;
        self.transfer
            .take_if(|transfer| !is_needed || transfer.snapshot.last_included.index <= match_index)
    }

    /// Whether an empty append should be sent now. It should be sent for the news of a commit, unless waiting entries
    /// will carry the news soon, or because a read waits for the follower to answer an append sent after `read_after`.
    pub(super) fn wants_heartbeat(
        &self,
        log: &Log,
        commit_index: LogIndex,
        read_after: Option<Round>,
    ) -> bool {
        let news = self.commit_sent < commit_index;
        let entries_wait = self.last_entry_sent() < log.last_index();
        let read =
            read_after.is_some_and(|after| self.last_heartbeat.max(self.last_answered) <= after);
        self.is_reachable() && self.heartbeat.is_none() && ((news && !entries_wait) || read)
    }

    /// The last entry that the follower has, or will have once the batch in flight arrives.
    fn last_entry_sent(&self) -> LogIndex {
        self.batch.map_or(self.match_index, |batch| batch.last_index)
    }

    /// Whether a heartbeat that is due can be sent: only one is in flight at a time.
    pub(super) fn can_beat(&self) -> bool {
        self.heartbeat.is_none()
    }

    fn is_reachable(&self) -> bool {
        self.reachable_from <= self.last_answered
    }

    /// Counts a heartbeat that was due.
    pub(super) fn beat(&mut self) {
        // If heartbeats are not answered either, that says enough, and nothing about entries.
        if self.unanswered == 0 && (self.batch.is_some() || self.batch_failed) {
            self.without_entries = (self.without_entries + 1).min(UNANSWERED_MAX);
            self.judge_entries();
        }
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// Whether the follower has answered lately, in this term, and is not out of reach for entries.
    ///
    /// A network may carry heartbeats and lose everything larger. The leader can then commit nothing, and would keep
    /// the others from electing one that can. A batch that takes long but makes progress has not failed.
    pub(super) fn is_in_touch(&self) -> bool {
        self.unanswered < UNANSWERED_MAX && !self.refuses_entries
    }

    /// Whether the follower has answered an append that was sent after the one with that number.
    pub(super) fn has_answered_after(&self, round: Round) -> bool {
        round < self.last_answered
    }

    /// Records an append as in flight.
    pub(super) fn sent(&mut self, request: &AppendEntries) {
        let last_index = request.last_index();
        let sent =
            Sent { round: request.round, prev_log_index: request.prev_log.index, last_index };
        if request.entries.is_empty() {
            self.heartbeat = Some(sent);
            self.last_heartbeat = request.round;
        } else {
            self.batch = Some(sent);
        }
        self.last_sent = request.round;
        self.commit_sent = self.commit_sent.max(request.leader_commit.min(self.last_entry_sent()));
    }

    /// Records a piece of a snapshot as in flight. Acceptance means that the follower has the whole snapshot.
    pub(super) fn sent_piece(&mut self, request: &InstallSnapshot) {
        let last_index = request.last_included.index;
        self.batch =
            Some(Sent { round: request.round, prev_log_index: LogIndex::default(), last_index });
        self.last_sent = request.round;
    }

    /// Records which incarnation the answer to that append showed. Returns whether it is the follower's current one,
    /// which the latest append decides. Acknowledgements of an earlier incarnation do not hold for another.
    pub(super) fn show(&mut self, round: Round, shown: &Identity, log: &Log) -> bool {
        if self.last_sent < round {
            return false;
        }
        if self.incarnation.is_some_and(|known| known != shown.incarnation) {
            if round <= self.shown_by {
                return false;
            }
            // Start where it says that its log ends. The last entry is sent in any case, because nothing else proves a
            // match.
            let agrees = shown.history == log.history();
            let end = if agrees { shown.last_log } else { Position::default() };
            let next_index = log.last_not_beyond(end).index.next().min(log.last_index());
            *self = Progress {
                last_sent: self.last_sent,
                last_heartbeat: self.last_heartbeat,
                unanswered: self.unanswered,
                transfer: self.transfer.take(),
                ..Progress::new(next_index, None)
            };
        }
        if self.needs_snapshot(log) && shown.history == log.history() {
            self.skip_snapshot(shown.last_log, log);
        }
        self.incarnation = Some(shown.incarnation);
        self.shown_by = self.shown_by.max(round);
        self.has_joined |= shown.founded && shown.history == log.history();
        true
    }

    /// The follower shows that its log ends with that entry. If the leader still knows the entry, it can go on from there
    /// without a snapshot (Log Matching, §5.3). The follower may have got one whose answer came too late, because it
    /// took long to write to its disk. The last entry is sent in any case, because nothing else proves a match.
    fn skip_snapshot(&mut self, last: Position, log: &Log) {
        if log.last_included().index <= last.index && log.contains(last) {
            self.next_index = self.next_index.max(last.index.next().min(log.last_index()));
        }
    }

    /// Handles a reply of the current term. Replies to appends that are no longer in flight only say that the follower
    /// is reachable.
    pub(super) fn answered(&mut self, round: Round, outcome: AppendOutcome, log: &Log) {
        self.unanswered = 0;
        self.last_answered = self.last_answered.max(round);
        let Some(sent) = self.take(round) else { return };
        if sent.has_entries() {
            self.without_entries = 0;
            self.batch_failed = false;
            self.refuses_entries = false;
        }
        match outcome {
            AppendOutcome::Accepted => {
                self.match_index = self.match_index.max(sent.last_index);
                self.next_index = self.next_index.max(self.match_index.next());
            }
            AppendOutcome::Mismatch(hint) => {
                if sent.prev_log_index <= self.match_index {
                    // The follower once held this entry in this term. It did not know yet that this history is founded,
                    // and has followed another one in between. Its earlier acknowledgements that are still on their way
                    // must not count.
                    self.match_index = LogIndex::default();
                    self.heartbeat = None;
                    self.batch = None;
                }
                self.next_index = log.last_not_beyond(hint).index.max(self.match_index).next();
            }
            AppendOutcome::Incomplete(held) => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.resume(held);
                }
            }
            AppendOutcome::Stale | AppendOutcome::Refused => {}
        }
    }

    /// Handles an append that got no reply.
    pub(super) fn failed(&mut self, round: Round) {
        if let Some(sent) = self.take(round) {
            self.reachable_from = self.last_sent.next();
            self.batch_failed |= sent.has_entries();
            self.judge_entries();
        }
    }

    /// Decides whether the follower is out of reach for entries, unless some are on their way.
    fn judge_entries(&mut self) {
        self.refuses_entries |=
            self.batch_failed && self.batch.is_none() && UNANSWERED_MAX <= self.without_entries;
    }

    fn take(&mut self, round: Round) -> Option<Sent> {
        let is_it = |sent: &mut Sent| sent.round == round;
        self.heartbeat.take_if(is_it).or_else(|| self.batch.take_if(is_it))
    }

    /// Checks what must hold after every step.
    pub(super) fn check(&self, last_index: LogIndex) {
        assert!(
            self.match_index <= last_index,
            "a follower's match index is at most the leader's last index"
        );
        assert!(
            self.match_index < self.next_index,
            "a follower's match index is below its next index"
        );
    }
}
