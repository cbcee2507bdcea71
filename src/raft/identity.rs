//! Identities: which process sent a message, whose log it has, and which processes count.
//!
//! The Raft of the paper assumes that a server that comes back remembers its term, its vote and its log (§5.1,
//! "persistent state"). A process that keeps all of that in memory comes back without it. If it counted again at once,
//! a *single* relaunched process could vote for a server that lacks what it had acknowledged, or confirm the reads of a
//! leader that was deposed with its help. This page states the rules that prevent that, and why they do. A server with
//! a data folder remembers, and keeps its incarnation.
//!
//! # Names
//!
//! - An [`Incarnation`] is a random number that a process draws when it starts with nothing. Another incarnation of a
//!   server proves that the earlier process has ended.
//! - A [`Roster`] says which incarnation of which server counts. It is an entry of the log, and opens every term in
//!   place of §8's no-op. The last roster in a server's own log is in force, committed or not, as a configuration is in
//!   §6.
//! - A *history* is named after the incarnation that appended entry 1. A server is *founded* once it has committed
//!   something.
//! - A *guest* is a server that its leader's roster does not name. It stores, answers, votes and stands for election
//!   like any other server, but it is not counted.
//!
//! Every message carries all of this about its sender: [`Identity`].
//!
//! # Who counts
//!
//! 1. A candidate counts votes, and a leader counts acknowledgements and read confirmations, only from incarnations in
//!    the roster of its own log. The same rule decides whether it counts itself. A majority is a majority of all
//!    servers.
//! 2. A new roster removes servers, or adds servers that the previous roster did not name. It never exchanges an
//!    incarnation.
//! 3. A leader appends the next roster once the last one is committed. It removes a server that shows another
//!    incarnation, and adds one that has shown that it knows this history to be founded.
//!
//! *Why it is safe.* Two successive rosters agree on the incarnation of every server that both name. So a majority of
//! the one and a majority of the other share a server in the same incarnation: a *process*, which remembers. The
//! paper's arguments need no more than that (§5.4.3). A server that is added need not be up to date: what was committed
//! before it was removed is held by a majority without it, and every later majority has a member of that majority.
//!
//! # Founding
//!
//! A candidate whose log is empty counts every vote, since only empty servers vote for it (§5.4.1). It waits until
//! every server has answered or refused the connection, or until the ballot's time is over. An answer that shows a
//! founded history voids the ballot. Its roster names every server that answered, and it serves no caller before this
//! first roster is committed. So a server that holds an update knows that its history is founded.
//!
//! # Histories
//!
//! A server that is not founded accepts any leader's log in place of its own, and votes for a founded candidate of
//! another history whatever its log. A founded server refuses another history. If histories meet, a candidate without
//! updates gives way ([`Core::starts_anew_for`](super::core::Core)); a leader goes on while a majority follows it. One
//! with updates never gives way, because somebody's data is in it: people must choose, and the servers say so.
//!
//! # Everybody's vote
//!
//! If so many processes have ended that the roster can give no majority, the best log that is left should win. (The
//! same holds if no server is founded, because no update depends on the roster then.) In these cases, and only in
//! these, a candidate counts guests: its pre-vote must account for *all* servers. Each server grants the vote, or is
//! crashed with a log that is no better, or has ended; and a majority of all servers grants it. A server has ended if
//! its host refuses the connection. If the candidate or the server's incarnation in the candidate's roster keeps its
//! state on disk, that is not enough, because such a server may come back; only a candidate with an empty log does not
//! wait for it. The candidate then stands and sends the [`Account`], and wins only if the vote gives the same account.
//! Its term opens with the roster of the servers that granted. Only here is an incarnation exchanged.
//!
//! *Why twice.* A process that has ended did so before the second round, so none of its old votes or acknowledgements
//! helps in a term that a voter has not left. A process that is alive has kept everything from one round to the other.
//! A voter accepts nothing more from the incarnations of its roster that the account shows to be gone.
//!
//! # What is promised
//!
//! A server is without memory if it is empty, in no committed roster, or has never held a log of that roster's history:
//! nothing tells such servers from relaunched ones. While fewer than a majority are without memory, and a majority of
//! members is alive, no acknowledged update is lost and reads are linearizable. Beyond that, everything is kept that is
//! known to a server that can be reached and was not relaunched.
//!
//! If only some servers of a set have a disk, a candidate without one may have a roster that is older than another
//! server's disk. For this candidate, that server counts as one without memory while it is not running.
//!
//! Outside the promise are a firewall that refuses connections in a host's place, and a request of an ended process
//! that arrives only after both rounds of everybody's vote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::cluster::{Cluster, ServerId};
use super::log::{NUMBER_MAX, Position, Term};
use super::rpc::Flaw;

/// A number from 1 to 2^53 that identifies one life of a server, drawn at random by a process that starts with nothing.
///
/// The upper half of the numbers belongs to servers that keep their state on disk. Their lives go on in the next
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// The number of incarnations of either kind.
const INCARNATIONS: u64 = NUMBER_MAX / 2;

impl Incarnation {
    /// The incarnation that a process without a disk draws. `random` is any number.
    pub fn in_memory(random: u64) -> Incarnation {
        Incarnation(1 + random % INCARNATIONS)
    }

    /// The incarnation that a process with an empty disk draws. `random` is any number.
    pub fn on_disk(random: u64) -> Incarnation {
        Incarnation(1 + INCARNATIONS + random % INCARNATIONS)
    }

    /// Whether the server keeps its state on disk, so that its state may outlive its process.
    pub fn is_on_disk(self) -> bool {
        INCARNATIONS < self.0
    }

    /// The incarnation of a server that starts over although its process has not ended.
    ///
    /// Counting up from a random number does not meet another drawn number, so this needs no randomness of its own.
    pub(super) fn next(self) -> Incarnation {
        match self.is_on_disk() {
            true => Incarnation::on_disk(self.0 - INCARNATIONS),
            false => Incarnation::in_memory(self.0),
        }
    }

    /// Whether a process can have drawn it.
    pub(super) fn is_possible(self) -> bool {
        (1..=NUMBER_MAX).contains(&self.0)
    }
}

/// The whole number in hexadecimal, as people see it.
impl fmt::Display for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:014x}", self.0)
    }
}

/// A server in one of its incarnations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The server.
    pub id: ServerId,
    /// Its incarnation.
    pub incarnation: Incarnation,
}

/// Which servers count, from this entry of the log on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roster {
    /// The incarnation that appended entry 1: the same in every roster of a log.
    pub history: Incarnation,
    /// The servers that count, each only in this incarnation. No incarnation occurs twice.
    pub members: BTreeMap<ServerId, Incarnation>,
}

impl Roster {
    /// Whether the roster names the server in that incarnation.
    pub fn names(&self, member: Member) -> bool {
        self.members.get(&member.id) == Some(&member.incarnation)
    }

    /// The roster to follow this one, if the servers have shown a reason for one: without the servers that show another
    /// incarnation, and with the servers that it does not name and that have joined.
    pub(super) fn revised(
        &self,
        shown: impl Fn(ServerId) -> Option<Incarnation>,
        has_joined: impl Fn(ServerId) -> bool,
        cluster: Cluster,
    ) -> Option<Roster> {
        let is_gone = |(id, named): (&ServerId, &Incarnation)| {
            shown(*id).is_some_and(|shown| shown != *named)
        };
        let comes = |id: &ServerId| !self.members.contains_key(id) && has_joined(*id);
        let names_all = self.members.len() == usize::from(cluster.size());
        let goes = self.members.iter().any(is_gone);
        if !goes && (names_all || !cluster.servers().any(|id| comes(&id))) {
            return None;
        }
        let mut members = self.members.clone();
        members.retain(|id, named| !is_gone((id, named)));
        for id in cluster.servers().filter(comes) {
            // If configurations number the servers differently, one process can look like two servers.
            if let Some(shown) = shown(id)
                && !members.values().any(|named| *named == shown)
            {
                members.insert(id, shown);
            }
        }
        (members != self.members).then_some(Roster { history: self.history, members })
    }

    /// A flaw that no roster in a log of that history has.
    pub(super) fn flaw(&self, history: Incarnation, cluster: Cluster) -> Option<Flaw> {
        let distinct: BTreeSet<_> = self.members.values().collect();
        if self.history != history {
            Some("a roster has another history than its sender")
        } else if self.members.is_empty() {
            Some("a roster is empty")
        } else if !self.members.keys().all(|id| id.0 < cluster.size()) {
            Some("a roster names a server that is not in the configuration")
        } else if distinct.len() < self.members.len()
            || !distinct.into_iter().all(|incarnation| incarnation.is_possible())
        {
            Some("a roster's incarnations are not distinct numbers from 1 to 2^53")
        } else {
            None
        }
    }
}

/// What every message says about its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its number in its configuration.
    pub id: ServerId,
    /// How many servers its configuration has.
    pub size: u8,
    /// A digest of the server names in its configuration.
    pub names: u64,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its current term.
    pub term: Term,
    /// The history of its log; `None` if the log is empty.
    pub history: Option<Incarnation>,
    /// Whether it has committed something.
    pub founded: bool,
    /// Its last entry.
    pub last_log: Position,
}

impl Identity {
    /// The sender, as rosters name it.
    pub fn member(&self) -> Member {
        Member { id: self.id, incarnation: self.incarnation }
    }

    /// Whether it shows a founded history other than this one.
    pub(super) fn is_founded_apart_from(&self, history: Option<Incarnation>) -> bool {
        self.founded && self.history != history
    }

    /// A flaw that no server of this set has in what it says of itself, whatever the receiver.
    pub(super) fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        let Position { term, index } = self.last_log;
        if self.size != cluster.size() {
            Some("its set has another size")
        } else if !self.incarnation.is_possible()
            || !self.history.is_none_or(Incarnation::is_possible)
        {
            Some("an incarnation is not a number from 1 to 2^53")
        } else if NUMBER_MAX < self.term.0 {
            Some("its term is beyond 2^53")
        } else if NUMBER_MAX < index.0 || (index.0 == 0) != (term.0 == 0) || self.term < term {
            Some("its last entry is impossible for a server in its term")
        } else if self.history.is_some() != (index.0 != 0) || (self.founded && index.0 == 0) {
            Some("its history contradicts its log")
        } else {
            None
        }
    }
}

/// Which of all servers are alive and which have ended: both rounds of everybody's vote must agree on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account(pub BTreeMap<ServerId, Option<Incarnation>>);

impl Account {
    /// Whether it says that the member is alive.
    pub(super) fn lives(&self, member: Member) -> bool {
        self.0.get(&member.id) == Some(&Some(member.incarnation))
    }

    /// Whether it says that the member's process has ended.
    pub(super) fn has_ended(&self, member: Member) -> bool {
        self.0.get(&member.id).is_some_and(|living| *living != Some(member.incarnation))
    }

    /// A flaw that no account of this candidate has.
    pub(super) fn flaw(&self, candidate: Member, cluster: Cluster) -> Option<Flaw> {
        let living: BTreeSet<_> = self.0.values().flatten().collect();
        let is_doubled = living.len() < self.0.values().flatten().count();
        if !self.0.keys().copied().eq(cluster.servers()) {
            Some("its account does not list exactly the servers of the set")
        } else if !self.lives(candidate)
            || is_doubled
            || living.len() < cluster.majority()
            || !living.into_iter().all(|incarnation| incarnation.is_possible())
        {
            Some(
                "its account does not name a majority of distinct living servers that includes itself",
            )
        } else {
            None
        }
    }
}
