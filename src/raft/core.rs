//! What a server keeps whatever its role: Figure 2's state, and the rules that all roles share.

use std::collections::BTreeMap;

use super::cluster::{Cluster, ServerId};
use super::event::{CallId, Effects, Fault, Reply};
use super::log::{Command, Entry, Log, LogIndex, Term};
use super::rpc::{AppendEntries, AppendOutcome, AppendReply, Flaw, RequestVote, Round, VoteReply};
use crate::metadata::Files;

/// Figure 2's state of a server, and the updates that wait for their fate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Core {
    /// Who takes part.
    pub(super) cluster: Cluster,
    /// The latest term that this server has seen. Never falls.
    pub(super) current_term: Term,
    /// Whom this server voted for in its current term. Set at most once per term.
    pub(super) voted_for: Option<ServerId>,
    /// The log.
    pub(super) log: Log,
    /// The last entry known to be committed. Never falls.
    pub(super) commit_index: LogIndex,
    /// The last entry known to agree with the log of the current term's leader; 0 at the beginning of a term.
    verified: LogIndex,
    /// The greatest commit index that the current term's leader spoke of; 0 at the beginning of a term.
    leader_commit: LogIndex,
    /// The last entry applied to `files`: the commit index again at the end of every step.
    pub(super) last_applied: LogIndex,
    /// The state machine.
    pub(super) files: Files,
    /// The calls that wait for an entry to be applied: those of the current leadership, and those that outlived an
    /// earlier one of this server. The term tells whether the entry applied at the index is still the call's own.
    pub(super) pending: BTreeMap<(LogIndex, Term), CallId>,
    /// The number of this server's last ballot. Never falls.
    pub(super) ballots: u64,
    /// Whether this process has not yet seen its first silence phase end. It may have forgotten a vote that it gave
    /// before it was relaunched, and so gives none to others.
    pub(super) fresh: bool,
}

impl Core {
    pub(super) fn new(cluster: Cluster) -> Core {
        Core {
            cluster,
            current_term: Term::default(),
            voted_for: None,
            log: Log::default(),
            commit_index: LogIndex::default(),
            verified: LogIndex::default(),
            leader_commit: LogIndex::default(),
            last_applied: LogIndex::default(),
            files: Files::default(),
            pending: BTreeMap::new(),
            ballots: 0,
            fresh: true,
        }
    }

    /// Enters a newer term, in which this server has not voted yet (§5.1).
    pub(super) fn enter_term(&mut self, term: Term) {
        debug_assert!(self.current_term < term);
        self.current_term = term;
        self.voted_for = None;
        self.verified = LogIndex::default();
        self.leader_commit = LogIndex::default();
    }

    /// Whether this server's log and term allow the candidate to win in the term that it proposes (thesis §9.6).
    pub(super) fn would_vote(&self, request: &RequestVote) -> bool {
        self.current_term < request.term && self.log.last() <= request.last_log
    }

    /// Votes, if it may: in its own term, once, and for a log at least as up-to-date as its own (§5.2, §5.4.1).
    pub(super) fn vote(&mut self, request: &RequestVote) -> bool {
        let free = self.voted_for.is_none_or(|candidate| candidate == request.candidate_id);
        let granted = request.term == self.current_term
            && free
            && !self.fresh
            && self.log.last() <= request.last_log;
        if granted {
            self.voted_for = Some(request.candidate_id);
        }
        granted
    }

    /// The reply to a candidate, in this server's own term.
    pub(super) fn vote_reply(&self, request: &RequestVote, vote_granted: bool) -> Reply {
        let RequestVote { kind, ballot, .. } = *request;
        Reply::Vote(VoteReply { kind, ballot, term: self.current_term, vote_granted })
    }

    /// What no leader of this term or a later one would send to a server with this log.
    pub(super) fn flaw(&self, request: &AppendEntries) -> Option<Flaw> {
        // A former leader's entries may well have been overwritten since: it is told that its term is over.
        if request.term < self.current_term {
            return None;
        }
        let contradicted = if self.log.contains(request.prev_log) {
            let prev_log_index = request.prev_log.index;
            let missing = self.log.first_missing(prev_log_index, &request.entries)?;
            prev_log_index.next().plus(missing)
        } else {
            request.prev_log.index
        };
        // Leader Completeness (§5.4): no leader lacks what is committed. Leader Append-Only (§5.3): none takes back
        // what it has sent in its term.
        let same_leader = request.term == self.current_term;
        let fixed =
            if same_leader { self.verified.max(self.commit_index) } else { self.commit_index };
        (contradicted <= fixed)
            .then_some("it contradicts what is committed or was sent in its term before")
    }

    /// Stores a leader's entries: the receiver's steps 2 to 5 of AppendEntries in Figure 2.
    pub(super) fn store(&mut self, request: AppendEntries, out: &mut Effects) -> AppendOutcome {
        if !self.log.contains(request.prev_log) {
            return AppendOutcome::Mismatch(self.log.last_not_beyond(request.prev_log));
        }
        let leader = request.leader_id;
        self.verified = self.verified.max(request.last_index());
        self.leader_commit = self.leader_commit.max(request.leader_commit);
        self.store_entries(request);
        // Entries after the verified ones may still be another leader's, so `leader_commit` alone proves nothing. What
        // is verified stays so for the term, as a leader only appends: the two may come with different appends.
        let commit_index = self.leader_commit.min(self.verified);
        if self.commit_index < commit_index {
            self.commit_index = commit_index;
            self.apply(leader, out);
        }
        AppendOutcome::Accepted
    }

    fn store_entries(&mut self, request: AppendEntries) {
        let prev_log_index = request.prev_log.index;
        // An append that came late repeats entries of which the log already has more: nothing is missing then, and
        // nothing must be deleted.
        let Some(missing) = self.log.first_missing(prev_log_index, &request.entries) else {
            return;
        };
        let agreed = prev_log_index.plus(missing);
        assert!(self.commit_index <= agreed, "a committed entry is never deleted (§5.4.3)");
        self.log.truncate_after(agreed);
        for entry in request.entries.into_iter().skip(missing) {
            self.log.append(entry);
        }
    }

    /// The reply to a leader, in this server's own term.
    pub(super) fn append_reply(&self, round: Round, outcome: AppendOutcome) -> Reply {
        Reply::Append(AppendReply { term: self.current_term, round, outcome })
    }

    /// Applies what is committed and answers whoever waits for it. `leader` is the one that committed it.
    pub(super) fn apply(&mut self, leader: ServerId, out: &mut Effects) {
        while self.last_applied < self.commit_index {
            let index = self.last_applied.next();
            let Some(Entry { term, command }) = self.log.get(index) else { break };
            let (term, took_effect) = match command {
                Command::Noop => (*term, false),
                Command::Update(update) => (*term, self.files.apply(update)),
            };
            self.last_applied = index;
            self.settle(index, term, Reply::Updated(took_effect), leader, out);
        }
    }

    /// Answers the calls that waited for the entry at `index`, now that the one of `term` is committed there.
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
                // Another entry is committed in its place: the call's own never will be.
                out.fault(call, Fault::NotLeader(Some(leader)));
            }
        }
    }

    /// Ends the wait of updates that an earlier leadership of this server left behind.
    pub(super) fn give_up(
        &mut self,
        is_left_behind: impl Fn(Term) -> bool,
        fault: Fault,
        out: &mut Effects,
    ) {
        self.pending.retain(|(_, term), call| {
            let left = is_left_behind(*term);
            if left {
                out.fault(*call, fault);
            }
            !left
        });
    }

    /// Forgets a call whose caller is gone.
    pub(super) fn forget(&mut self, gone: CallId) {
        self.pending.retain(|_, call| *call != gone);
    }

    /// Appends a command of this server's own leadership and says where.
    pub(super) fn append(&mut self, command: Command) -> LogIndex {
        self.log.append(Entry { term: self.current_term, command });
        self.log.last_index()
    }

    /// Checks what must hold of the state after every step.
    ///
    /// # Panics
    ///
    /// If it does not hold, which no input can bring about: the server is then wrong and must not go on.
    pub(super) fn check(&self) {
        assert!(self.last_applied == self.commit_index, "what is committed is applied at once");
        assert!(self.commit_index <= self.log.last_index(), "what is committed is in the log");
        assert!(
            self.verified <= self.log.last_index(),
            "what agrees with the leader's log is in the log"
        );
        assert!(self.log.last().term <= self.current_term, "no entry is of a term to come");
        let first = self.pending.first_key_value();
        assert!(
            first.is_none_or(|((index, _), _)| self.last_applied < *index),
            "whoever waits for an applied entry is answered"
        );
    }
}
