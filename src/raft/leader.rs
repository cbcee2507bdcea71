//! The leader (§5.3): takes calls, replicates entries, commits what a majority holds, and answers reads.

use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::sync::Arc;

use super::candidate::Candidate;
use super::cluster::ServerId;
use super::core::Core;
use super::event::{Call, CallError, CallId, Effects, Event, Failure, Reply, Timer};
use super::identity::{Identity, Member, Roster};
use super::log::{Command, Entry, LogIndex, Term};
use super::node::Node;
use super::progress::{Progress, ProgressStatus};
use super::role::{Role, RoleName};
use super::rpc::{
    AppendEntries, AppendOutcome, AppendReply, BallotKind, InstallSnapshot, Request, RequestVote,
    Response, Round, VoteReply,
};
use super::server::Server;
use super::snapshot::Discarded;
use crate::metadata::Update;

/// The maximum number of calls that wait for an answer at one server.
pub const WAITING_MAX: usize = 1024;

/// The maximum number of bytes of updates that wait in the log to be committed.
pub const UNCOMMITTED_BYTES_MAX: usize = 64 << 20;

/// The maximum number of bytes of entries in one append, unless it carries only one entry.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// The maximum number of entries in one append. A follower stores and applies them in one step, and takes about one
/// microsecond for each.
pub const BATCH_ENTRIES_MAX: usize = 2 << 10;

/// The server that the others follow in its term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    /// Every other server's progress.
    progress: BTreeMap<ServerId, Progress>,
    /// The number of the last append or piece of a snapshot sent to any server.
    last_round: Round,
    /// The roster that opened the term.
    opening: LogIndex,
    /// The reads that wait, in order of arrival.
    reads: VecDeque<PendingRead>,
}

/// A read that waits, or an update that waits to be refused. It is answered once leadership has been confirmed after
/// its arrival, from a map that includes everything that was committed at its arrival (ReadIndex, thesis §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PendingRead {
    call: CallId,
    asks: Question,
    /// The number of the last append or piece sent before the read arrived.
    after: Round,
    /// The entry that must be applied: the commit index at the read's arrival, or the term's first entry if that is
    /// later. Until its first entry is committed, a leader does not know what else is (§8).
    index: LogIndex,
}

/// What a read is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    /// The map.
    Files,
    /// That the version of an update was not the next one.
    IsRefused,
}

impl Role for Leader {
    const NAME: RoleName = RoleName::Leader;

    fn enter(&self, core: &mut Core, out: &mut Effects) {
        core.discard_incoming(out);
        out.arm(Timer::Heartbeat);
    }

    fn leave(self, core: &mut Core, next: RoleName, out: &mut Effects) {
        let error =
            if next == RoleName::Crashed { CallError::Crashed } else { CallError::NotLeader(None) };
        for read in self.reads {
            out.fail(read.call, error);
        }
        self.progress.into_values().for_each(|follower| follower.discard(out));
        // If an earlier leadership left updates behind, their timer is already running, and covers these as well.
        let term = core.current_term;
        let timer_runs = core.pending.keys().any(|(_, waiting_for)| *waiting_for != term);
        if !core.pending.is_empty() && !timer_runs {
            out.arm(Timer::Fate);
        }
    }

    fn leader(&self, core: &Core) -> Option<Member> {
        Some(core.member())
    }

    fn reads_waiting(&self) -> usize {
        self.reads.len()
    }

    fn check(&self, core: &Core) {
        let last_index = core.log.last_index();
        assert!(core.voted_for == Some(core.member()), "a leader voted for itself (§5.2)");
        assert!(self.opening <= last_index, "a leader's log has an entry of its term (§8)");
        self.progress.values().for_each(|follower| follower.check(last_index));
        let waiting = core.pending.len() + self.reads.len();
        assert!(waiting <= WAITING_MAX, "waiting calls are bounded");
    }
}

impl Leader {
    /// A leader whose term opens with the entry at `opening`, and which knows of its followers what its election
    /// showed.
    fn new(core: &Core, opening: LogIndex, candidate: &Candidate) -> Leader {
        let follow = |peer| (peer, Progress::new(opening, candidate.incarnation(peer)));
        Leader {
            progress: core.cluster.peers().map(follow).collect(),
            last_round: Round::default(),
            opening,
            reads: VecDeque::new(),
        }
    }

    /// Its view of each follower.
    pub(super) fn progress(&self) -> Vec<(ServerId, ProgressStatus)> {
        self.progress.iter().map(|(id, follower)| (*id, follower.status())).collect()
    }

    /// Whether at least a majority of all servers satisfies `claim`; `itself` says whether this one does. Only those
    /// that the log's last roster names in their incarnation count; this applies to the leader too.
    fn majority(&self, core: &Core, itself: bool, claim: impl Fn(&Progress) -> bool) -> bool {
        let Some(roster) = core.log.roster() else { return false };
        let counts = |(id, follower): &(&ServerId, &Progress)| {
            let named = |incarnation| roster.names(Member { id: **id, incarnation });
            claim(follower) && follower.incarnation.is_some_and(named)
        };
        let itself = usize::from(itself && roster.names(core.member()));
        core.cluster.majority() <= itself + self.progress.iter().filter(counts).count()
    }

    /// The roster to append next, if one is due.
    fn next_roster(&self, core: &Core) -> Option<Roster> {
        let own = core.member();
        let shown = |id| match self.progress.get(&id) {
            Some(follower) => follower.incarnation,
            None => Some(own.incarnation),
        };
        let has_joined = |id| self.progress.get(&id).is_none_or(|follower| follower.has_joined);
        core.log.roster()?.revised(shown, has_joined, core.cluster)
    }

    /// Whether a majority has answered lately, so that the leader may still keep the others from electing another one.
    /// A leader whose disk is stalled is out of touch with itself, and with everybody once it can hardly take any more
    /// updates.
    pub(super) fn has_majority(&self, core: &Core) -> bool {
        let is_full = UNCOMMITTED_BYTES_MAX / 2 < core.unsaved_bytes();
        let works = core.has_working_disk();
        (works || !is_full) && self.majority(core, works, Progress::is_in_touch)
    }

    /// The last entry that a majority holds, if it is not committed yet.
    fn majority_match(&self, core: &Core) -> Option<LogIndex> {
        let matches = self.progress.values().map(|follower| follower.match_index);
        let is_new = |index: &_| core.commit_index < *index;
        let is_held = |index: &LogIndex| {
            self.majority(core, *index <= core.last_held(), |it| *index <= it.match_index)
        };
        let ends = iter::once(core.last_held()).chain(matches);
        ends.filter(is_new).filter(is_held).max()
    }
}

impl Node<Candidate> {
    /// Becomes the leader of the term after it has won the election (§5.2).
    pub(super) fn lead(mut self, roster: Arc<Roster>, out: &mut Effects) -> Server {
        // §8: only an entry of its own term lets the leader find out what is committed, and commit it.
        let opening = self.core.append(Command::Roster(roster));
        let leader = Leader::new(&self.core, opening, &self.role);
        self.core.last_hurry = None;
        let mut node = self.transition(leader, out);
        node.go_on(out);
        Server::Leader(node)
    }
}

impl Node<Leader> {
    pub(super) fn step(mut self, event: Event, out: &mut Effects) -> Server {
        match event {
            Event::Timeout(Timer::Heartbeat) => self.beat(out),
            Event::Timeout(Timer::Fate) => {
                let term = self.core.current_term;
                self.core.give_up(|(_, left)| left != term, CallError::OutcomeUnknown, out);
            }
            Event::Call(call, Call::Update(update)) => self.propose(call, update, out),
            Event::Call(call, Call::ReadFiles) => self.read(call, Question::Files, out),
            Event::Call(call, Call::Crash) => return self.crash(call, out),
            Event::Call(call, Call::Restore) => out.reply(call, Reply::Done),
            Event::Call(call, Call::RequestVote(request)) => {
                self.answer_candidate(call, &request, out)
            }
            // A request of another leader of this term is refused earlier, so the sender's term is over.
            Event::Call(
                call,
                Call::AppendEntries(AppendEntries { round, .. })
                | Call::InstallSnapshot(InstallSnapshot { round, .. }),
            ) => out.reply(call, self.core.append_reply(round, AppendOutcome::Stale)),
            Event::HangUp(call) => {
                self.core.forget(call);
                self.role.reads.retain(|read| read.call != call);
            }
            Event::Response { from, response: Response::Append(reply) } => {
                self.hear(from, reply, out)
            }
            Event::Unanswered {
                by,
                request:
                    Request::AppendEntries(AppendEntries { sender, round, .. })
                    | Request::InstallSnapshot(InstallSnapshot { sender, round, .. }),
                failure,
            } => self.miss(by, sender.term, round, failure),
            // These belong to an election that is over.
            Event::Timeout(
                Timer::Start
                | Timer::Silence
                | Timer::Election
                | Timer::Campaign
                | Timer::Hurry
                | Timer::Patience,
            )
            | Event::Response { response: Response::Vote(_), .. }
            | Event::Unanswered { request: Request::RequestVote(_), .. } => {}
            // A leader counts on no other server.
            Event::Disconnected(_) => {}
            // It may count itself for more entries now.
            Event::Saved(_) => {}
        }
        self.go_on(out);
        Server::Leader(self)
    }

    /// Whether it steps down for another leader of its term. It does if it has no majority and the other's history is
    /// founded.
    pub(super) fn gives_way_to(&self, leader: &Identity) -> bool {
        leader.term == self.core.current_term
            && leader.is_founded_apart_from(self.core.log.history())
            && !self.role.has_majority(&self.core)
    }

    /// Appends an update that may take effect. The version rule is applied with the entry, identically on all servers.
    fn propose(&mut self, call: CallId, update: Update, out: &mut Effects) {
        if !self.core.is_founded() {
            return out.fail(call, CallError::NotLeader(None));
        }
        if !self.may_take_effect(&update) {
            return self.read(call, Question::IsRefused, out);
        }
        // Entries that are applied but not on this server's disk yet are held in memory as well.
        let held_bytes = self.core.unapplied_bytes().max(self.core.unsaved_bytes());
        if self.is_full() || UNCOMMITTED_BYTES_MAX < held_bytes + Entry::size_of(&update) {
            return out.fail(call, CallError::Busy);
        }
        let index = self.core.append(Command::Update(Arc::new(update)));
        self.core.pending.insert((index, self.core.current_term), call);
    }

    /// Whether the update's version may be the next one once the entries before it are applied. Each of them raises a
    /// version by at most one. If it cannot be, a refusal needs no entry, and is as linearizable as a read of the
    /// version: once leadership is confirmed, what had been committed at the call's arrival is a prefix of this log.
    fn may_take_effect(&self, update: &Update) -> bool {
        let unapplied = self.core.log.last_index().since(self.core.last_applied);
        let next = self.core.files.version(&update.name) + 1;
        (next..=next.saturating_add_unsigned(unapplied as u64)).contains(&update.version)
    }

    fn read(&mut self, call: CallId, asks: Question, out: &mut Effects) {
        if !self.core.is_founded() {
            return out.fail(call, CallError::NotLeader(None));
        }
        if self.is_full() {
            return out.fail(call, CallError::Busy);
        }
        let index = self.core.commit_index.max(self.role.opening);
        self.role.reads.push_back(PendingRead { call, asks, after: self.role.last_round, index });
    }

    fn is_full(&self) -> bool {
        WAITING_MAX <= self.core.pending.len() + self.role.reads.len()
    }

    fn answer_candidate(&mut self, call: CallId, request: &RequestVote, out: &mut Effects) {
        let leads = self.role.has_majority(&self.core);
        let granted = match request.kind {
            BallotKind::PreVote => !leads && self.core.would_vote(request),
            BallotKind::Vote => self.core.vote(request),
        };
        let reply = self.core.vote_reply(request, granted);
        out.reply(call, Reply::Vote(VoteReply { leads, ..reply }));
    }

    fn hear(&mut self, from: ServerId, reply: AppendReply, out: &mut Effects) {
        let answers_this_term = reply.sender.term == self.core.current_term;
        let had_majority = self.role.has_majority(&self.core);
        let Some(follower) = self.role.progress.get_mut(&from) else { return };
        let is_current =
            answers_this_term && follower.show(reply.round, &reply.sender, &self.core.log);
        match reply.outcome {
            AppendOutcome::Accepted | AppendOutcome::Mismatch(_) | AppendOutcome::Incomplete(_)
                if is_current =>
            {
                follower.answered(reply.round, reply.outcome, &self.core.log);
            }
            // A refusal confirms nothing. The term is not checked, because a server of another set has its own.
            AppendOutcome::Refused => follower.failed(reply.round),
            // The reply is from a process that has ended since, or from an earlier term.
            AppendOutcome::Accepted
            | AppendOutcome::Mismatch(_)
            | AppendOutcome::Incomplete(_)
            | AppendOutcome::Stale => {
                if answers_this_term {
                    follower.failed(reply.round);
                }
            }
        }
        if !had_majority && self.role.has_majority(&self.core) {
            // The followers' timers kept running while the leader was cut off: tell them at once that it is back.
            self.send_heartbeats(out);
        }
    }

    fn miss(&mut self, by: ServerId, term: Term, round: Round, failure: Failure) {
        if term != self.core.current_term {
            return;
        }
        let Some(follower) = self.role.progress.get_mut(&by) else { return };
        follower.failed(round);
        if let Failure::Crashed(sender) = failure {
            // It confirms nothing, but it shows that the process is there.
            follower.show(round, &sender, &self.core.log);
        }
    }

    /// Takes nothing from an answer: treats the append as unanswered.
    pub(super) fn disregard(&mut self, from: ServerId, reply: &AppendReply) {
        if let Some(follower) = self.role.progress.get_mut(&from) {
            follower.failed(reply.round);
        }
    }

    fn beat(&mut self, out: &mut Effects) {
        out.arm(Timer::Heartbeat);
        self.send_heartbeats(out);
        self.role.progress.values_mut().for_each(Progress::beat);
        self.core.beat_disk();
    }

    fn send_heartbeats(&mut self, out: &mut Effects) {
        for peer in self.core.cluster.peers() {
            if self.role.progress.get(&peer).is_some_and(Progress::can_beat) {
                self.send_heartbeat(peer, out);
            }
        }
    }

    /// Does what has become possible: commits, sends and answers. The order ensures that the news of a commit is sent
    /// to every reachable follower before the caller is answered.
    fn go_on(&mut self, out: &mut Effects) {
        self.commit();
        if self.revise_roster() {
            // More servers may count now than before.
            self.commit();
        }
        for peer in self.core.cluster.peers() {
            self.replicate(peer, out);
        }
        self.core.apply(self.core.cluster.id(), out);
        self.answer_reads(out);
    }

    /// §5.3, §5.4.2 (Figure 8): an entry is committed once a majority holds it *and* it is of the current term. The
    /// entries before it are committed with it.
    fn commit(&mut self) {
        let Some(index) = self.role.majority_match(&self.core) else { return };
        let is_current =
            self.core.log.get(index).is_some_and(|entry| entry.term == self.core.current_term);
        if is_current {
            // A step must not take long. The rest is committed when a follower answers the news of this part.
            self.core.commit_index = index.min(self.core.commit_index.plus(BATCH_ENTRIES_MAX));
        }
    }

    /// Appends the roster that is due, once the last one is committed (see `identity`). Returns whether one was due.
    fn revise_roster(&mut self) -> bool {
        if self.core.commit_index < self.core.log.roster_index() {
            return false;
        }
        let Some(roster) = self.role.next_roster(&self.core) else { return false };
        self.core.append(Command::Roster(Arc::new(roster)));
        true
    }

    /// Sends a follower what it lacks: entries, or a snapshot if they were dropped; the news of a commit; the append
    /// that a read waits for.
    fn replicate(&mut self, peer: ServerId, out: &mut Effects) {
        let Some(follower) = self.role.progress.get_mut(&peer) else { return };
        if let Some(ended) = follower.end_transfer(&self.core.log) {
            out.discard(Discarded::Files(ended.snapshot.files));
        }
        if follower.wants_entries(self.core.log.last_index()) {
            let next_index = follower.next_index;
            if follower.needs_snapshot(&self.core.log) {
                self.send_piece(peer, out);
            } else {
                let entries = self.core.log.batch(next_index, BATCH_ENTRIES_MAX, BATCH_BYTES_MAX);
                self.send(peer, next_index.previous(), entries, out);
            }
        }
        let Some(follower) = self.role.progress.get(&peer) else { return };
        let read_after = self.role.reads.back().map(|read| read.after);
        if follower.wants_heartbeat(&self.core.log, self.core.commit_index, read_after) {
            self.send_heartbeat(peer, out);
        }
    }

    /// Sends an empty append after the last entry that the follower is known to hold, so that it never mismatches. If
    /// this leader has dropped that entry, it is sent after the place before entry 1, which is in every log.
    fn send_heartbeat(&mut self, peer: ServerId, out: &mut Effects) {
        let Some(follower) = self.role.progress.get(&peer) else { return };
        let held = self.core.log.position(follower.match_index).unwrap_or_default();
        self.send(peer, held.index, Vec::new(), out);
    }

    /// Sends the next piece of a snapshot.
    fn send_piece(&mut self, to: ServerId, out: &mut Effects) {
        let has_majority = self.role.has_majority(&self.core);
        let Some(follower) = self.role.progress.get_mut(&to) else { return };
        let Some(transfer) = follower.transfer(|| self.core.snapshot()) else { return };
        let (offset, leaves, done) = transfer.piece(self.core.compaction.piece_bytes_max);
        let (last_included, roster) = transfer.includes();
        self.role.last_round = self.role.last_round.next();
        let request = InstallSnapshot {
            sender: self.core.identity(),
            receiver: follower.incarnation,
            last_included,
            roster,
            offset,
            leaves,
            done,
            round: self.role.last_round,
            has_majority,
        };
        follower.sent_piece(&request);
        out.send(to, Request::InstallSnapshot(request));
    }

    fn send(
        &mut self,
        to: ServerId,
        prev_log_index: LogIndex,
        entries: Vec<Entry>,
        out: &mut Effects,
    ) {
        let prev_log = self.core.log.position(prev_log_index);
        let prev_log =
            prev_log.expect("bug: a leader's log has the entry before those that it sends");
        self.role.last_round = self.role.last_round.next();
        let request = AppendEntries {
            sender: self.core.identity(),
            receiver: self.role.progress.get(&to).and_then(|follower| follower.incarnation),
            prev_log,
            entries,
            leader_commit: self.core.commit_index,
            round: self.role.last_round,
            has_majority: self.role.has_majority(&self.core),
        };
        if let Some(follower) = self.role.progress.get_mut(&to) {
            follower.sent(&request);
        }
        out.send(to, Request::AppendEntries(request));
    }

    fn answer_reads(&mut self, out: &mut Effects) {
        while let Some(read) = self.role.reads.front() {
            let confirmed =
                self.role.majority(&self.core, true, |it| it.has_answered_after(read.after));
            if !confirmed || self.core.last_applied < read.index {
                return;
            }
            let reply = match read.asks {
                Question::Files => Reply::Files(self.core.files.clone()),
                Question::IsRefused => Reply::Updated(false),
            };
            out.reply(read.call, reply);
            self.role.reads.pop_front();
        }
    }
}
