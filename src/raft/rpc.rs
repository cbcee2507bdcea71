//! The two requests of Figure 2, RequestVote and AppendEntries, that of Figure 13, InstallSnapshot, and their replies.
//!
//! The wire format is not known here. The module does define what makes a request ill-formed whatever the receiver's
//! state is. Such a request was not sent by a correct server; it is refused and changes nothing.
//!
//! The paper's `candidateId`, `leaderId`, `term`, `lastLogIndex` and `lastLogTerm` are in what every message says about
//! its sender, [`Identity`].

use std::sync::Arc;

use super::cluster::Cluster;
use super::identity::{Account, Identity, Incarnation, Roster};
use super::log::{Command, Entry, LogIndex, NUMBER_MAX, Position, Term};
use crate::metadata::Leaf;

/// A request to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// A candidate asks for a vote.
    RequestVote(RequestVote),
    /// A leader replicates entries, or sends a heartbeat.
    AppendEntries(AppendEntries),
    /// A leader replaces a follower's state, because it no longer has the entries that the follower lacks.
    InstallSnapshot(InstallSnapshot),
}

/// A peer's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// The reply to RequestVote.
    Vote(VoteReply),
    /// The reply to AppendEntries or InstallSnapshot.
    Append(AppendReply),
}

impl Request {
    /// What it says about its sender.
    pub fn sender(&self) -> &Identity {
        match self {
            Request::RequestVote(request) => &request.sender,
            Request::AppendEntries(request) => &request.sender,
            Request::InstallSnapshot(request) => &request.sender,
        }
    }

    /// The memory of the entries or files that it carries, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Request::RequestVote(_) => 0,
            Request::AppendEntries(request) => request.size(),
            Request::InstallSnapshot(request) => request.size(),
        }
    }
}

impl Response {
    /// What it says about its sender. The receiver adopts the sender's term if it is newer.
    pub fn sender(&self) -> &Identity {
        match self {
            Response::Vote(reply) => &reply.sender,
            Response::Append(reply) => &reply.sender,
        }
    }
}

/// What a ballot decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BallotKind {
    /// Whether the candidate could win an election; no server's term or vote changes (thesis §9.6).
    PreVote,
    /// The election itself (§5.2).
    Vote,
}

/// RequestVote (Figure 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestVote {
    /// The candidate, its last entry (Figure 2's `lastLogIndex` and `lastLogTerm`), and its current term.
    pub sender: Identity,
    /// What the ballot decides.
    pub kind: BallotKind,
    /// The number of the candidate's ballot. It is unique within the process, and replies echo it.
    pub ballot: u64,
    /// In the second round of everybody's vote, what the first round showed.
    pub account: Option<Account>,
}

/// The reply to RequestVote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoteReply {
    /// The server that replies.
    pub sender: Identity,
    /// The kind in the request.
    pub kind: BallotKind,
    /// The ballot in the request.
    pub ballot: u64,
    /// Whether the vote is granted or, in a pre-vote, would be.
    pub vote_granted: bool,
    /// Whether the replier leads its term and has a majority. If so, a candidate that had only lost its connections
    /// follows it again.
    pub leads: bool,
}

/// The number of an append or of a piece of a snapshot. A leader numbers those that it sends in its term from 1,
/// without gaps.
///
/// Replies echo it. So it shows which request is answered, and that a reply was given after a certain moment.
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
    /// The leader, so that followers can redirect callers, and its term.
    pub sender: Identity,
    /// The incarnation that is to receive it, if the leader knows one: any other refuses it.
    pub receiver: Option<Incarnation>,
    /// The entry before the new ones (Figure 2's `prevLogIndex` and `prevLogTerm`).
    pub prev_log: Position,
    /// The entries to store; none in a heartbeat.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
    /// The append's number.
    pub round: Round,
    /// Whether the leader has lately heard from a majority. Without one it keeps its role and its waiting callers, but
    /// its appends do not keep the receivers from electing another leader.
    pub has_majority: bool,
}

/// InstallSnapshot (Figure 13): a piece of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstallSnapshot {
    /// The leader, and its term.
    pub sender: Identity,
    /// The incarnation that is to receive it, if the leader knows one: any other refuses it.
    pub receiver: Option<Incarnation>,
    /// The entry whose state the snapshot is (Figure 13's `lastIncludedIndex` and `lastIncludedTerm`).
    pub last_included: Position,
    /// The roster in force there.
    pub roster: Arc<Roster>,
    /// How many leaves of the map come before those of this piece (Figure 13's `offset`, which counts bytes).
    pub offset: u64,
    /// The leaves of this piece (Figure 13's `data`).
    pub leaves: Vec<Arc<Leaf>>,
    /// Whether it is the last piece.
    pub done: bool,
    /// The piece's number.
    pub round: Round,
    /// Whether the leader has lately heard from a majority; see [`AppendEntries`].
    pub has_majority: bool,
}

/// The reply to AppendEntries or InstallSnapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppendReply {
    /// The server that replies.
    pub sender: Identity,
    /// The round in the request.
    pub round: Round,
    /// The result of the request.
    pub outcome: AppendOutcome,
}

/// The result of a leader's request. If it is `Accepted`, `Mismatch` or `Incomplete`, the request is of the replier's
/// own term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// The replier's log agrees with the leader's up to the last entry of the append, or up to the last one that the
    /// snapshot includes.
    Accepted,
    /// The replier's log lacks `prev_log`. Nothing after this position in it can agree with the leader's log.
    Mismatch(Position),
    /// The replier needs the snapshot, and holds this many of its leaves.
    Incomplete(u64),
    /// The leader's term is over.
    Stale,
    /// It is of another history or another set, for another incarnation, or from a process that has ended.
    Refused,
}

/// Why a request cannot have come from a correct peer, as the end of a sentence that begins with the method's name.
pub type Flaw = &'static str;

impl RequestVote {
    /// The term to lead in (Figure 2's `term`): in a pre-vote, the one after the candidate's current term.
    pub fn term(&self) -> Term {
        match self.kind {
            BallotKind::PreVote => self.sender.term.next(),
            BallotKind::Vote => self.sender.term,
        }
    }

    /// The candidate's current term; `None` in a pre-vote, which changes no server's term.
    pub fn term_reached(&self) -> Option<Term> {
        (self.kind == BallotKind::Vote).then_some(self.sender.term)
    }

    /// A flaw that no request of a candidate of this cluster has.
    pub fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        let unasked = (self.kind == BallotKind::PreVote && self.account.is_some())
            .then_some("a pre-vote must not have an account");
        let account = || self.account.as_ref()?.flaw(self.sender.member(), cluster);
        if !cluster.has_peer(self.sender.id) {
            Some("the candidate is not a peer of this server")
        } else if let Some(flaw) = self.sender.flaw(cluster) {
            Some(flaw)
        } else if !is_reached(self.term()) {
            Some("its term is not between 1 and 2^53")
        } else if self.term() <= self.sender.last_log.term {
            Some("its last entry is impossible for a candidate in that term")
        } else {
            unasked.or_else(account)
        }
    }
}

impl AppendEntries {
    /// The same append without its entries, which is valid as well: it verifies the log up to `prev_log`.
    pub fn without_entries(&self) -> AppendEntries {
        let AppendEntries {
            sender,
            receiver,
            prev_log,
            entries: _,
            leader_commit,
            round,
            has_majority,
        } = *self;
        AppendEntries {
            sender,
            receiver,
            prev_log,
            entries: Vec::new(),
            leader_commit,
            round,
            has_majority,
        }
    }

    /// The memory that its entries take, in bytes.
    pub fn size(&self) -> usize {
        self.entries.iter().map(Entry::size).sum()
    }

    /// The index of the last entry that this append verifies.
    pub fn last_index(&self) -> LogIndex {
        self.prev_log.index.plus(self.entries.len())
    }

    /// A flaw that no request of a leader of this cluster has.
    pub fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        let terms = || self.entries.iter().map(|entry| entry.term);
        if let Some(flaw) = leader_flaw(&self.sender, cluster) {
            Some(flaw)
        } else if !is_place(self.prev_log) || NUMBER_MAX < self.leader_commit.0 {
            Some("prevLogIndex, prevLogTerm or leaderCommit is impossible")
        } else if !terms().all(is_reached) || !self.prev_and(terms()).is_sorted() {
            Some("the terms of its entries decrease or are not between 1 and 2^53")
        } else if self.prev_and(terms()).any(|term| self.sender.term < term) {
            Some("it has an entry of a later term than its own")
        } else if !self.terms_open_with_rosters() {
            Some("a term of its entries does not begin with a roster")
        } else {
            let history = self.sender.history?;
            self.rosters().find_map(|roster| roster.flaw(history, cluster))
        }
    }

    fn rosters(&self) -> impl Iterator<Item = &Roster> {
        self.entries.iter().filter_map(|entry| match &entry.command {
            Command::Roster(roster) => Some(&**roster),
            Command::Update(_) => None,
        })
    }

    fn terms_open_with_rosters(&self) -> bool {
        let before = self.prev_and(self.entries.iter().map(|entry| entry.term));
        before.zip(&self.entries).all(|(previous, entry)| {
            previous == entry.term || matches!(entry.command, Command::Roster(_))
        })
    }

    fn prev_and(&self, terms: impl Iterator<Item = Term>) -> impl Iterator<Item = Term> {
        std::iter::once(self.prev_log.term).chain(terms)
    }
}

impl InstallSnapshot {
    /// A piece without files of the same snapshot, which is valid as well: it asks how much the follower holds.
    pub fn without_files(&self) -> InstallSnapshot {
        let roster = Arc::clone(&self.roster);
        InstallSnapshot { roster, leaves: Vec::new(), done: false, ..*self }
    }

    /// The memory that its files take, in bytes.
    pub fn size(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.bytes()).sum()
    }

    /// A flaw that no request of a leader of this cluster has.
    pub fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        let Position { term, index } = self.last_included;
        if let Some(flaw) = leader_flaw(&self.sender, cluster) {
            Some(flaw)
        } else if !is_reached(term) || self.sender.term < term || index.0 == 0 {
            Some("lastIncludedIndex or lastIncludedTerm is impossible")
        } else if self.sender.last_log.index < index || NUMBER_MAX < self.offset {
            Some("its snapshot goes beyond its log")
        } else {
            self.roster.flaw(self.sender.history?, cluster)
        }
    }
}

/// A flaw that no leader of this cluster has in what it says of itself.
fn leader_flaw(sender: &Identity, cluster: Cluster) -> Option<Flaw> {
    if sender.history.is_none() {
        Some("its log has no history")
    } else if !cluster.has_peer(sender.id) {
        Some("the leader is not a peer of this server")
    } else if let Some(flaw) = sender.flaw(cluster) {
        Some(flaw)
    } else if !is_reached(sender.term) || sender.last_log.term != sender.term {
        Some("its last entry is not of its term, which is between 1 and 2^53")
    } else {
        None
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
