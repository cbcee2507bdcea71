//! What a server keeps whatever its role: the state of Figure 2, and the rules that all roles share.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use super::cluster::{Cluster, ServerId};
use super::event::{CallError, CallId, Effect, Effects, Event, Reply};
use super::hurry::Hurry;
use super::identity::{Account, Identity, Incarnation, Member, Roster};
use super::log::{Command, Entry, Log, LogIndex, Term};
use super::persistent::{Disk, HardState, Saved};
use super::rpc::{
    AppendEntries, AppendOutcome, AppendReply, Flaw, InstallSnapshot, RequestVote, Round, VoteReply,
};
use super::snapshot::{Compaction, Discarded, Incoming, Snapshot};
use crate::metadata::Files;

/// The maximum number of entries that are dropped in one step. It takes up to three milliseconds to free them. What is
/// left is dropped with the next commits.
const DROPPED_MAX: usize = 4 << 10;

/// The index of the first entry of all.
const FIRST: LogIndex = LogIndex(1);

/// The state of a server in Figure 2, and the updates whose outcome is pending.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Core {
    /// The set of servers.
    pub(super) cluster: Cluster,
    /// Which life of the server this is.
    pub(super) incarnation: Incarnation,
    /// When entries are dropped, and how snapshots are sent.
    pub(super) compaction: Compaction,
    /// The latest term that this server has seen. Never decreases.
    pub(super) current_term: Term,
    /// The candidate that this server voted for in its current term. Set at most once per term.
    pub(super) voted_for: Option<Member>,
    /// The log.
    pub(super) log: Log,
    /// The last entry known to be committed. Never decreases.
    pub(super) commit_index: LogIndex,
    /// The history of the current term's leader, with whose log this one must come to agree. `None` until the leader
    /// has been heard.
    pub(super) leader_history: Option<Incarnation>,
    /// The last entry known to agree with the log of the current term's leader; 0 at the beginning of a term.
    verified: LogIndex,
    /// The greatest commit index that the current term's leader has announced; 0 at the beginning of a term.
    leader_commit: LogIndex,
    /// The last entry applied to `files`. Equal to the commit index at the end of every step.
    pub(super) last_applied: LogIndex,
    /// The memory that the applied entries in the log take, in bytes.
    applied_bytes: usize,
    /// The state machine.
    pub(super) files: Files,
    /// The snapshot of which a leader has sent some pieces.
    incoming: Option<Incoming>,
    /// The calls that wait for an entry to be applied: those of the current leadership, and those left over from an
    /// earlier leadership of this server. The term shows whether the entry applied at the index is the call's own.
    pub(super) pending: BTreeMap<(LogIndex, Term), CallId>,
    /// The number of this server's last ballot. Never decreases.
    pub(super) ballots: u64,
    /// The hurry that this server is in, or the last one, until an ordinary ballot begins.
    pub(super) last_hurry: Option<Hurry>,
    /// The incarnations that everybody's vote has shown to have ended; only those that counted at that time.
    gone: BTreeSet<Member>,
    /// The incarnations that answer at peers' addresses although their configurations have other names. Recorded only
    /// while this server is not founded.
    acquainted: BTreeMap<ServerId, Incarnation>,
    /// The disk, if this server has one.
    disk: Option<Box<Disk>>,
}

impl Core {
    pub(super) fn new(cluster: Cluster, incarnation: Incarnation, compaction: Compaction) -> Core {
        Core {
            cluster,
            incarnation,
            compaction,
            current_term: Term::default(),
            voted_for: None,
            log: Log::default(),
            commit_index: LogIndex::default(),
            leader_history: None,
            verified: LogIndex::default(),
            leader_commit: LogIndex::default(),
            last_applied: LogIndex::default(),
            applied_bytes: 0,
            files: Files::default(),
            incoming: None,
            pending: BTreeMap::new(),
            ballots: 0,
            last_hurry: None,
            gone: BTreeSet::new(),
            acquainted: BTreeMap::new(),
            disk: None,
        }
    }

    /// The state of a server that has a disk and had saved this before it ended.
    pub(super) fn recovered(cluster: Cluster, saved: Saved, compaction: Compaction) -> Core {
        let Saved { hard_state, snapshot, entries } = saved;
        let mut core = Core::new(cluster, hard_state.incarnation, compaction);
        core.current_term = hard_state.current_term;
        core.voted_for = hard_state.voted_for;
        core.gone = hard_state.gone.clone();
        if let Some(Snapshot { last_included, roster, files }) = snapshot {
            core.log = Log::after(last_included, roster);
            core.files = files;
            core.commit_index = last_included.index;
            core.last_applied = last_included.index;
        }
        entries.into_iter().for_each(|entry| core.log.append(entry));
        core.commit_index = core.commit_index.max(hard_state.commit_index);
        core.apply(cluster.id(), &mut Effects::default());
        // The disk keeps more of the log than memory does.
        core.compact(usize::MAX);
        core.disk = Some(Box::new(Disk::new(hard_state, core.log.last_index())));
        core.last_hurry = core.is_founded().then(Hurry::without_judge);
        core
    }

    /// Enters a newer term, in which this server has not voted yet (§5.1).
    pub(super) fn enter_term(&mut self, term: Term) {
        assert!(self.current_term < term, "a server only enters newer terms (§5.1)");
        self.current_term = term;
        self.voted_for = None;
        self.hear_of(None);
    }

    /// Sets the history of the current term's leader; nothing else is known of its log yet.
    fn hear_of(&mut self, history: Option<Incarnation>) {
        self.leader_history = history;
        self.verified = LogIndex::default();
        self.leader_commit = LogIndex::default();
    }

    /// This server, as rosters name it.
    pub(super) fn member(&self) -> Member {
        Member { id: self.cluster.id(), incarnation: self.incarnation }
    }

    /// The hurry that this server is in.
    pub(super) fn hurry(&self) -> Option<Hurry> {
        self.last_hurry.filter(|hurry| !hurry.is_over())
    }

    /// Whether this server knows that its history is founded.
    pub(super) fn is_founded(&self) -> bool {
        LogIndex::default() < self.commit_index
    }

    /// What this server says about itself in every message.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            id: self.cluster.id(),
            size: self.cluster.size(),
            names: self.cluster.names(),
            incarnation: self.incarnation,
            term: self.current_term,
            history: self.log.history(),
            founded: self.is_founded(),
            last_log: self.log.last(),
        }
    }

    /// Whether an event comes from another set of servers that shares an address with this one by mistake. Nothing in
    /// it is used, not even its term.
    pub(super) fn is_of_another_set(&self, event: &Event) -> bool {
        if let Event::Response { response, .. } = event {
            // A process that answers at a peer's address is only taken for one of another set once both are founded.
            let sender = response.sender();
            return sender.names != self.cluster.names()
                && self.is_founded()
                && sender.is_founded_apart_from(self.log.history());
        }
        event.requested().is_some_and(|(sender, _)| self.is_stranger(sender))
    }

    /// Configurations may name the servers differently from machine to machine, so other names alone prove nothing. But
    /// a sender with other names must share the history or, while this server is not founded, be the process that
    /// answers at the address that this server's own configuration has for it.
    fn is_stranger(&self, sender: &Identity) -> bool {
        let vouched_for = if self.is_founded() {
            sender.history.is_none()
        } else {
            self.acquainted.get(&sender.id) == Some(&sender.incarnation)
        };
        sender.names != self.cluster.names() && !self.shares_history(sender) && !vouched_for
    }

    /// Records which process answers at the address of a peer.
    pub(super) fn acquaint(&mut self, peer: ServerId, sender: &Identity) {
        if sender.names != self.cluster.names() && !self.is_founded() {
            self.acquainted.insert(peer, sender.incarnation);
        }
    }

    fn shares_history(&self, sender: &Identity) -> bool {
        sender.history.is_some() && sender.history == self.log.history()
    }

    /// Whether a peer's request is refused, whatever the role: it is meant for an earlier life of this server, its
    /// sender has ended, or it is of another history while this server is founded.
    pub(super) fn refuses(&self, event: &Event) -> bool {
        // A candidate with an empty log is not refused here: its log alone loses it the vote.
        let Some((sender, receiver)) = event.requested() else { return false };
        let is_apart = sender.history.is_some() && !self.shares_history(sender);
        receiver.is_some_and(|receiver| receiver != self.incarnation)
            || (self.is_founded() && is_apart)
            || self.gone.contains(&sender.member())
    }

    /// Whether a candidate without updates gives up its own history for the one that it was shown (see `identity`).
    pub(super) fn starts_anew_for(&self, shown: &Identity) -> bool {
        let history = self.log.history();
        let has_updates = self.log.has_updates() || !self.files.is_empty();
        history.is_some() && shown.is_founded_apart_from(history) && !has_updates
    }

    /// Starts over in a new incarnation, as if the process had been relaunched. Only the term, the vote and the ballot
    /// count are kept.
    pub(super) fn start_anew(&mut self, out: &mut Effects) {
        self.give_up(|_| true, CallError::OutcomeUnknown, out);
        let fresh = Core::new(self.cluster, self.incarnation.next(), self.compaction);
        let anew = Core {
            current_term: self.current_term,
            voted_for: self.voted_for,
            ballots: self.ballots,
            disk: self.disk.take(),
            ..fresh
        };
        *self = anew;
        self.change_log(FIRST);
    }

    /// Whether this server's log and term would let the candidate win in the term that it proposes (thesis §9.6).
    pub(super) fn would_vote(&self, request: &RequestVote) -> bool {
        self.current_term < request.term() && self.is_up_to_date(&request.sender)
    }

    /// Votes if the rules allow it: in its own term, once, and for a log at least as up-to-date as its own (§5.2,
    /// §5.4.1).
    pub(super) fn vote(&mut self, request: &RequestVote) -> bool {
        let candidate = request.sender.member();
        let free = self.voted_for.is_none_or(|voted_for| voted_for == candidate);
        let account = request.account.as_ref();
        let granted = request.term() == self.current_term
            && free
            && account.is_none_or(|account| account.lives(self.member()))
            && self.is_up_to_date(&request.sender);
        if granted {
            self.voted_for = Some(candidate);
            account.into_iter().for_each(|account| self.bury(account));
        }
        granted
    }

    /// §5.4.1. But a server that is not founded has nothing to defend against a founded history.
    fn is_up_to_date(&self, sender: &Identity) -> bool {
        let gives_way = !self.is_founded() && sender.is_founded_apart_from(self.log.history());
        gives_way || self.log.last() <= sender.last_log
    }

    /// Accepts nothing more from processes that counted and, as everybody's vote shows, have ended.
    pub(super) fn bury(&mut self, account: &Account) {
        let Some(roster) = self.log.roster() else { return };
        let members = roster.members.iter();
        let members =
            members.map(|(id, incarnation)| Member { id: *id, incarnation: *incarnation });
        self.gone.extend(members.filter(|member| account.has_ended(*member)));
    }

    /// The reply to a candidate, with this server's own term.
    pub(super) fn vote_reply(&self, request: &RequestVote, vote_granted: bool) -> VoteReply {
        let RequestVote { kind, ballot, .. } = *request;
        VoteReply { sender: self.identity(), kind, ballot, vote_granted, leads: false }
    }

    /// A flaw that no request has if a leader of this term or a later one sent it to a server with this log.
    pub(super) fn flaw(&self, request: &AppendEntries) -> Option<Flaw> {
        if !self.can_judge(&request.sender) {
            return None;
        }
        let contradicted = if self.log.contains(request.prev_log) {
            let prev_log_index = request.prev_log.index;
            let missing = self.log.first_missing(prev_log_index, &request.entries)?;
            prev_log_index.next().plus(missing)
        } else {
            request.prev_log.index
        };
        self.flaw_if_fixed(contradicted, &request.sender)
    }

    /// The same for a piece of a snapshot.
    pub(super) fn snapshot_flaw(&self, request: &InstallSnapshot) -> Option<Flaw> {
        if !self.can_judge(&request.sender) || self.log.contains(request.last_included) {
            return None;
        }
        self.flaw_if_fixed(request.last_included.index, &request.sender)
    }

    /// Whether this log proves anything about a leader's. A former leader's entries may have been overwritten since; it
    /// is told that its term is over. And a log of another history proves nothing about this one.
    fn can_judge(&self, leader: &Identity) -> bool {
        self.current_term <= leader.term && self.log.history() == leader.history
    }

    /// The flaw in a leader's log that has another entry than this one at `contradicted`, if that entry is fixed.
    fn flaw_if_fixed(&self, contradicted: LogIndex, leader: &Identity) -> Option<Flaw> {
        // Leader Completeness (§5.4): no leader lacks a committed entry. Leader Append-Only (§5.3): no leader withdraws
        // what it has sent in its term.
        let same_leader = leader.term == self.current_term;
        let fixed =
            if same_leader { self.verified.max(self.commit_index) } else { self.commit_index };
        (contradicted <= fixed)
            .then_some("it contradicts what is committed or what was sent earlier in its term")
    }

    /// Stores a leader's entries: steps 2 to 5 of the receiver of AppendEntries in Figure 2.
    pub(super) fn store(&mut self, request: AppendEntries, out: &mut Effects) -> AppendOutcome {
        self.follow(&request.sender, out);
        if !self.log.contains(request.prev_log) {
            return AppendOutcome::Mismatch(self.log.last_not_beyond(request.prev_log));
        }
        let leader = request.sender.id;
        self.verified = self.verified.max(request.last_index());
        self.leader_commit = self.leader_commit.max(request.leader_commit);
        self.store_entries(request);
        self.advance(leader, out);
        AppendOutcome::Accepted
    }

    /// Stores a piece of a leader's snapshot, and puts the snapshot in place once it is complete: the receiver of
    /// InstallSnapshot in Figure 13.
    pub(super) fn install(
        &mut self,
        request: &InstallSnapshot,
        out: &mut Effects,
    ) -> AppendOutcome {
        self.follow(&request.sender, out);
        let last_included = request.last_included;
        // If the log has that entry, the entries after it are kept (step 6), and those up to it are applied as usual.
        if !self.log.contains(last_included) {
            let begun = self.incoming.take_if(|incoming| incoming.continues_with(request));
            self.discard_incoming(out);
            let mut incoming = begun.unwrap_or_else(|| Incoming::new(request));
            if !incoming.add(request) {
                let held = incoming.held();
                self.incoming = Some(incoming);
                return AppendOutcome::Incomplete(held);
            }
            let roster = Arc::clone(&request.roster);
            self.restore(Snapshot { last_included, roster, files: incoming.files }, out);
        }
        self.verified = self.verified.max(last_included.index);
        self.leader_commit = self.leader_commit.max(last_included.index);
        self.advance(request.sender.id, out);
        AppendOutcome::Accepted
    }

    /// Replaces the log and the state machine with a snapshot of a later state (Figure 13, steps 7 and 8). `install`
    /// commits it.
    fn restore(&mut self, snapshot: Snapshot, out: &mut Effects) {
        let Snapshot { last_included, roster, files } = snapshot;
        let index = last_included.index;
        assert!(self.commit_index < index, "a snapshot never replaces a later state (§7)");
        let log = mem::replace(&mut self.log, Log::after(last_included, roster));
        let files = mem::replace(&mut self.files, files);
        out.discard(Discarded::Log(log));
        out.discard(Discarded::Files(files));
        if let Some(disk) = &mut self.disk {
            disk.restore(index);
        }
        self.applied_bytes = 0;
        self.last_applied = index;
        // A snapshot does not show which entries led to it, so the outcome of these calls cannot be learned here.
        self.give_up(|(waiting_for, _)| waiting_for <= index, CallError::OutcomeUnknown, out);
    }

    /// The state after the last applied entry; `None` if there is no entry.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        Some(Snapshot {
            last_included: self.log.position(self.last_applied)?,
            roster: Arc::clone(self.log.roster_at(self.last_applied)?),
            files: self.files.clone(),
        })
    }

    /// Gives up the snapshot of which some pieces have been received.
    pub(super) fn discard_incoming(&mut self, out: &mut Effects) {
        if let Some(incoming) = self.incoming.take() {
            out.discard(Discarded::Files(incoming.files));
        }
    }

    /// Commits what the leader has committed, as far as this log is known to agree with the leader's, and applies it.
    fn advance(&mut self, leader: ServerId, out: &mut Effects) {
        // Entries after the verified ones may still be from another leader, so `leader_commit` alone proves nothing.
        // Verified entries stay verified for the term, because a leader only appends. So the two values may come from
        // different requests.
        let commit_index = self.leader_commit.min(self.verified);
        if self.commit_index < commit_index {
            self.commit_index = commit_index;
            self.apply(leader, out);
        }
    }

    /// Prepares to store what a leader sends. Gives up the pieces of another leader's snapshot, and the log if its
    /// history is not the leader's: nothing in it is known to be committed.
    fn follow(&mut self, leader: &Identity, out: &mut Effects) {
        let is_from = |incoming: &Incoming| incoming.is_from(leader.member(), leader.term);
        if !self.incoming.as_ref().is_some_and(is_from) {
            self.discard_incoming(out);
        }
        if self.leader_history != leader.history {
            self.hear_of(leader.history);
        }
        if self.log.history().is_some_and(|own| Some(own) != leader.history) {
            assert!(!self.is_founded(), "a founded history is never given up for a leader's");
            out.discard(Discarded::Log(mem::take(&mut self.log)));
            self.change_log(FIRST);
        }
    }

    fn store_entries(&mut self, request: AppendEntries) {
        let prev_log_index = request.prev_log.index;
        // An append that arrives late repeats entries that the log already goes beyond: nothing is missing then, and
        // nothing must be deleted.
        let Some(missing) = self.log.first_missing(prev_log_index, &request.entries) else {
            return;
        };
        let agreed = prev_log_index.plus(missing);
        assert!(self.commit_index <= agreed, "a committed entry is never deleted (§5.4.3)");
        self.change_log(agreed.next());
        self.log.truncate_after(agreed);
        for entry in request.entries.into_iter().skip(missing) {
            self.log.append(entry);
        }
    }

    /// The reply to a leader, with this server's own term.
    pub(super) fn append_reply(&self, round: Round, outcome: AppendOutcome) -> Reply {
        Reply::Append(AppendReply { sender: self.identity(), round, outcome })
    }

    /// Applies the committed entries and answers the calls that wait for them. `leader` is the server that committed
    /// them.
    pub(super) fn apply(&mut self, leader: ServerId, out: &mut Effects) {
        while self.last_applied < self.commit_index {
            let index = self.last_applied.next();
            let Some(entry) = self.log.get(index) else { break };
            let (size, Entry { term, command }) = (entry.size(), entry);
            let (term, took_effect) = match command {
                Command::Roster(_) => (*term, false),
                Command::Update(update) => (*term, self.files.apply(update)),
            };
            self.applied_bytes += size;
            self.last_applied = index;
            self.settle(index, term, Reply::Updated(took_effect), leader, out);
        }
        self.compact(DROPPED_MAX);
    }

    /// Drops the oldest applied entries, at most so many, while they take more memory than the map (§7), but never the
    /// last entry of the log: to a follower that is another process now, a leader sends it first, and not a snapshot.
    fn compact(&mut self, dropped_max: usize) {
        let kept_max = self.compaction.applied_bytes_max(&self.files);
        // What this step has changed is still to be handed over to the disk.
        let changed = self.disk.as_ref().and_then(|disk| disk.changed());
        let kept_from = changed.unwrap_or(self.log.last_index().next());
        let droppable = kept_from.previous().since(self.log.last_included().index);
        let mut left = dropped_max.min(droppable);
        while kept_max < self.applied_bytes && 1 < self.log.len() && 0 < left {
            self.applied_bytes -= self.log.drop_first();
            left -= 1;
        }
    }

    /// Answers the calls that waited for the entry at `index`, now that the entry of `term` is committed there.
    fn settle(
        &mut self,
        index: LogIndex,
        term: Term,
        reply: Reply,
        leader: ServerId,
        out: &mut Effects,
    ) {
        while let Some(first) = self.pending.first_entry().filter(|first| first.key().0 <= index) {
            let ((_, waiting_for), call) = first.remove_entry();
            if waiting_for == term {
                out.reply(call, reply.clone());
            } else {
                // Another entry is committed in its place, so the call's own entry never will be.
                out.fail(call, CallError::NotLeader(Some(leader)));
            }
        }
    }

    /// The memory that the map and the pieces of a snapshot take, in bytes.
    pub(super) fn map_bytes(&self) -> usize {
        let incoming = self.incoming.as_ref().map_or(0, |incoming| incoming.files.bytes());
        self.files.bytes() + incoming
    }

    /// The memory that the entries that are not applied take, in bytes.
    pub(super) fn unapplied_bytes(&self) -> usize {
        self.log.bytes() - self.applied_bytes
    }

    /// Fails with `error` the calls whose updates an earlier leadership of this server left behind.
    pub(super) fn give_up(
        &mut self,
        is_left_behind: impl Fn((LogIndex, Term)) -> bool,
        error: CallError,
        out: &mut Effects,
    ) {
        self.pending.retain(|key, call| {
            let left = is_left_behind(*key);
            if left {
                out.fail(*call, error);
            }
            !left
        });
    }

    /// Forgets a call whose caller has disconnected.
    pub(super) fn forget(&mut self, gone: CallId) {
        self.pending.retain(|_, call| *call != gone);
        if let Some(disk) = &mut self.disk {
            disk.forget(gone);
        }
    }

    /// Appends a command in this server's own leadership and returns its index.
    pub(super) fn append(&mut self, command: Command) -> LogIndex {
        self.change_log(self.log.last_index().next());
        self.log.append(Entry { term: self.current_term, command });
        self.log.last_index()
    }

    /// Notes that the log changes from that entry on.
    fn change_log(&mut self, first: LogIndex) {
        if let Some(disk) = &mut self.disk {
            disk.change(first);
        }
    }

    /// Hands over to the disk what a step has changed of the persistent state (Figure 2: "updated on stable storage
    /// before responding to RPCs"), and holds back what must wait for it.
    pub(super) fn save(&mut self, out: &mut Effects) {
        let Some(mut disk) = self.disk.take() else { return };
        let (changed, is_restored) = disk.take_change();
        if changed.is_some() || self.has_new_hard_state(disk.hard_state()) {
            let snapshot = if is_restored { self.snapshot() } else { None };
            let first = changed.unwrap_or(self.log.last_index().next());
            let entries = self.log.from(first).cloned().collect();
            let save = disk.hand_over(self.hard_state(), snapshot, first, entries);
            out.0.insert(0, Effect::Save(save));
        }
        disk.hold_back(&mut out.0);
        self.disk = Some(disk);
    }

    fn hard_state(&self) -> HardState {
        HardState {
            incarnation: self.incarnation,
            current_term: self.current_term,
            voted_for: self.voted_for,
            commit_index: self.commit_index,
            gone: self.gone.clone(),
        }
    }

    /// Whether anything differs from the hard state on disk that must not be lost. A later commit index may be.
    fn has_new_hard_state(&self, saved: &HardState) -> bool {
        let is_founded = LogIndex::default() < saved.commit_index;
        (self.incarnation, self.current_term, self.voted_for, self.is_founded())
            != (saved.incarnation, saved.current_term, saved.voted_for, is_founded)
            || self.gone != saved.gone
    }

    /// Learns that everything up to the save with that number is on disk. Returns the effects that waited for it.
    pub(super) fn learn_saved(&mut self, number: u64) -> Vec<Effect> {
        self.disk.as_mut().map_or(Vec::new(), |disk| disk.learn(number))
    }

    /// Drops the requests of an earlier ballot that wait for the disk.
    pub(super) fn drop_old_requests(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.drop_requests();
        }
    }

    /// Answers the peers' calls whose answers wait for the disk: this server has crashed.
    pub(super) fn give_up_waiting(&mut self, out: &mut Effects) {
        let calls = self.disk.as_mut().map_or(Vec::new(), |disk| disk.give_up());
        calls.into_iter().for_each(|call| out.fail(call, CallError::Crashed));
    }

    /// The last entry for which a leader may count itself: without a disk, the last one.
    pub(super) fn last_held(&self) -> LogIndex {
        self.disk.as_ref().map_or(self.log.last_index(), |disk| disk.saved())
    }

    /// Whether its disk, if it has one, takes what it is given.
    pub(super) fn has_working_disk(&self) -> bool {
        self.disk.as_ref().is_none_or(|disk| !disk.is_stalled())
    }

    /// Counts a heartbeat that was due, for the disk.
    pub(super) fn beat_disk(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.beat();
        }
    }

    /// The memory that the entries take that are on their way to the disk, in bytes.
    pub(super) fn unsaved_bytes(&self) -> usize {
        self.disk.as_ref().map_or(0, |disk| disk.bytes_under_way())
    }

    /// Whether the state of that server may outlive its process. A roster may be out of date, so a server with a disk
    /// assumes it of all others.
    pub(super) fn may_come_back(&self, id: ServerId) -> bool {
        let named = |roster: &Arc<Roster>| roster.members.get(&id).copied();
        let incarnations = [Some(self.incarnation), self.log.roster().and_then(named)];
        incarnations.into_iter().flatten().any(Incarnation::is_on_disk)
    }

    /// Checks what must hold of the state after every step.
    ///
    /// # Panics
    ///
    /// If it does not hold. No input can cause that: the server then has a bug and must not continue.
    pub(super) fn check(&self) {
        assert!(self.last_applied == self.commit_index, "every committed entry is applied at once");
        assert!(self.commit_index <= self.log.last_index(), "the log reaches the commit index");
        assert!(
            self.verified <= self.log.last_index(),
            "every entry that agrees with the leader's log is in the log"
        );
        assert!(
            self.log.last().term <= self.current_term,
            "no entry has a term above the current one"
        );
        let first = self.pending.first_key_value();
        assert!(
            first.is_none_or(|((index, _), _)| self.last_applied < *index),
            "no call waits for an applied entry"
        );
    }
}

/// A request that only a leader makes, and that brings a part of its state.
pub(super) trait LeaderRequest {
    /// The leader.
    fn sender(&self) -> &Identity;

    /// The request's number.
    fn round(&self) -> Round;

    /// Whether the leader has lately heard from a majority.
    fn has_majority(&self) -> bool;

    /// Stores what it brings.
    fn store(self, core: &mut Core, out: &mut Effects) -> AppendOutcome;
}

impl LeaderRequest for AppendEntries {
    fn sender(&self) -> &Identity {
        &self.sender
    }

    fn round(&self) -> Round {
        self.round
    }

    fn has_majority(&self) -> bool {
        self.has_majority
    }

    fn store(self, core: &mut Core, out: &mut Effects) -> AppendOutcome {
        core.store(self, out)
    }
}

impl LeaderRequest for InstallSnapshot {
    fn sender(&self) -> &Identity {
        &self.sender
    }

    fn round(&self) -> Round {
        self.round
    }

    fn has_majority(&self) -> bool {
        self.has_majority
    }

    fn store(self, core: &mut Core, out: &mut Effects) -> AppendOutcome {
        core.install(&self, out)
    }
}
