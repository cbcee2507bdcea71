//! The two requests of Figure 2, RequestVote and AppendEntries, and their replies.
//!
//! How they are written on the wire is not known here. What makes one ill-formed whatever the receiver's state is:
//! such a request was not sent by a correct server, and is refused with nothing changed.

use super::cluster::{Cluster, ServerId};
use super::log::{Entry, LogIndex, NUMBER_MAX, Position, Term};

/// A request that a peer is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// A candidate asks for a vote.
    RequestVote(RequestVote),
    /// A leader replicates entries, or lets itself be heard.
    AppendEntries(AppendEntries),
}

/// A peer's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// To RequestVote.
    Vote(VoteReply),
    /// To AppendEntries.
    Append(AppendReply),
}

impl Response {
    /// The replier's own term.
    pub fn term(&self) -> Term {
        match self {
            Response::Vote(reply) => reply.term,
            Response::Append(reply) => reply.term,
        }
    }
}

/// What a ballot decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BallotKind {
    /// Whether the candidate could win an election; nobody's term or vote changes (thesis §9.6).
    PreVote,
    /// The election itself (§5.2).
    Vote,
}

/// RequestVote (Figure 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestVote {
    /// What is asked for.
    pub kind: BallotKind,
    /// The number of the candidate's ballot: no two ballots of one process share it, and replies echo it.
    pub ballot: u64,
    /// The candidate's term; in a pre-vote, the term it would campaign in.
    pub term: Term,
    /// The candidate.
    pub candidate_id: ServerId,
    /// The candidate's last entry (Figure 2's `lastLogIndex` and `lastLogTerm`).
    pub last_log: Position,
}

/// The reply to RequestVote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoteReply {
    /// As asked.
    pub kind: BallotKind,
    /// As asked.
    pub ballot: u64,
    /// The replier's own term, for the candidate to adopt if it is newer.
    pub term: Term,
    /// Whether the candidate has the vote or, in a pre-vote, would have it.
    pub vote_granted: bool,
}

/// The number of an append: a leader numbers what it sends in its term from 1 on, without a gap.
///
/// Replies echo it, so it tells which append is answered, and that a reply was given after a certain moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Round(pub u64);

impl Round {
    /// The number after this one.
    pub fn next(self) -> Round {
        Round(self.0 + 1)
    }
}

/// AppendEntries (Figure 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppendEntries {
    /// The leader's term.
    pub term: Term,
    /// The leader, so that followers can redirect callers.
    pub leader_id: ServerId,
    /// The entry before the new ones (Figure 2's `prevLogIndex` and `prevLogTerm`).
    pub prev_log: Position,
    /// The entries to store; none in a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
    /// The append's number.
    pub round: Round,
    /// Whether the leader has lately heard from a majority. Without one it keeps its role and its waiting callers, but
    /// its appends hold nobody back from electing another leader.
    pub has_majority: bool,
}

/// The reply to AppendEntries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppendReply {
    /// The replier's own term, for the leader to adopt if it is newer.
    pub term: Term,
    /// As sent.
    pub round: Round,
    /// What became of the append.
    pub outcome: AppendOutcome,
}

/// What became of an append. Only a `Stale` one may come from a term other than the replier's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// The replier's log agrees with the leader's up to the last entry of the append.
    Accepted,
    /// The replier's log lacks `prev_log`; nothing after this position of it can agree with the leader's log.
    Mismatch(Position),
    /// The leader's term is over.
    Stale,
}

/// Why a request cannot have come from a correct peer: the end of a sentence that begins with the method's name.
pub type Flaw = &'static str;

impl RequestVote {
    /// The term that the candidate is in; `None` in a pre-vote, whose term nobody is in yet.
    pub fn term_reached(&self) -> Option<Term> {
        (self.kind == BallotKind::Vote).then_some(self.term)
    }

    /// What no candidate of this cluster would send.
    pub fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        if !cluster.has_peer(self.candidate_id) {
            Some("candidateId is no peer of this server")
        } else if !is_reached(self.term) {
            Some("term is not between 1 and 2^53")
        } else if !is_place(self.last_log) || self.term <= self.last_log.term {
            Some(
                "lastLogIndex and lastLogTerm name no entry that a candidate of that term can have",
            )
        } else {
            None
        }
    }
}

impl AppendEntries {
    /// The index of the last entry that this append verifies.
    pub fn last_index(&self) -> LogIndex {
        self.prev_log.index.plus(self.entries.len())
    }

    /// What no leader of this cluster would send.
    pub fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        let terms = || self.entries.iter().map(|entry| entry.term);
        if !cluster.has_peer(self.leader_id) {
            Some("leaderId is no peer of this server")
        } else if !is_reached(self.term) {
            Some("term is not between 1 and 2^53")
        } else if !is_place(self.prev_log) || NUMBER_MAX < self.leader_commit.0 {
            Some("prevLogIndex, prevLogTerm or leaderCommit names no place in a log")
        } else if !terms().all(is_reached) || !self.prev_and(terms()).is_sorted() {
            Some("the terms of its entries fall or are not between 1 and 2^53")
        } else if self.prev_and(terms()).any(|term| self.term < term) {
            Some("it has an entry of a term after its own")
        } else {
            None
        }
    }

    fn prev_and(&self, terms: impl Iterator<Item = Term>) -> impl Iterator<Item = Term> {
        std::iter::once(self.prev_log.term).chain(terms)
    }
}

/// Whether a server can be in that term after an election.
fn is_reached(term: Term) -> bool {
    (1..=NUMBER_MAX).contains(&term.0)
}

/// Whether a log can have such a position: both numbers 0 before the first entry, neither after it.
fn is_place(position: Position) -> bool {
    position.index.0 <= NUMBER_MAX && (position.index.0 == 0) == (position.term.0 == 0)
}
