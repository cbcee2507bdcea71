//! Who is who: which process speaks, whose log it has, and who counts.
//!
//! Raft as the paper has it assumes that a server which comes back remembers its term, its vote and its log (§5.1,
//! "persistent state"). A process that keeps all of that in memory comes back without it. If it counted again at once, a
//! *single* relaunched process could vote for a server that lacks what it had acknowledged, or confirm the reads of a
//! leader that was deposed with its help. This page has the rules which prevent that, and why they do.
//!
//! # Names
//!
//! - An [`Incarnation`] is a random number that a process draws when it starts with nothing. Another incarnation of a
//!   server proves that the earlier process has ended.
//! - A [`Roster`] says which incarnation of which server counts. It is an entry of the log, it opens every term in the
//!   place of §8's no-op, and the last one in a server's own log holds, committed or not, as a configuration does in §6.
//! - A *history* is named after the incarnation that appended entry 1. A server is *founded* once it has committed
//!   something.
//! - A *guest* is a server that its leader's roster does not name. It stores, answers, votes and stands like any other,
//!   but nobody counts it.
//!
//! Every message says all of this of its sender: [`Identity`].
//!
//! # Who counts
//!
//! 1. A candidate counts votes, and a leader acknowledgements and confirmations of reads, only of incarnations in the
//!    roster of its own log, itself included. A majority is one of all servers.
//! 2. A roster takes servers out, or brings in servers that the one before did not name. It never exchanges an
//!    incarnation.
//! 3. A leader appends the next roster once the last one is committed. It takes out a server that shows another
//!    incarnation, and brings in one that has shown that it knows this history to be founded.
//!
//! *Why it is safe.* Two rosters of which one follows the other disagree about no server that both name. So a majority
//! of the one and a majority of the other share a server, in the same incarnation: a *process*, which remembers. All of
//! the paper's arguments need no more than that (§5.4.3). Whoever is brought in need not be level: what was committed
//! before it was taken out is held by a majority without it, of which every later majority has a member.
//!
//! # Founding
//!
//! A candidate whose log is empty counts every vote, since only empty servers vote for it (§5.4.1). It waits until
//! everybody has answered or refused the connection, or until the ballot's time is over; an answer that shows a founded
//! history voids the ballot. It names in its roster whoever answered, and serves no caller before this first roster is
//! committed. So whoever holds an update knows that its history is founded.
//!
//! # Histories
//!
//! A server that is not founded takes any leader's log in place of its own, and votes for a founded candidate of another
//! history whatever its log. A founded one refuses another history. If histories meet, the one without updates gives
//! way ([`Core::starts_anew_for`](super::core::Core)); one with updates never does, for they are somebody's: people must
//! choose, and the servers say so.
//!
//! # Everybody's vote
//!
//! If so many processes have ended that the roster can give no majority, the best log that is left is to win. (So it is
//! if nobody is founded: then no update hangs on the roster.) Then, and only then, a candidate counts guests: its pre-vote must account for *all* servers. Each grants, or is crashed with a
//! log that is no better, or has ended (its host refuses the connection); a majority of all grants. It then stands,
//! telling the [`Account`], and wins only if the vote gives the same account. Its term opens with the roster of those
//! that granted: here alone an incarnation is exchanged.
//!
//! *Why twice.* Whoever has ended did so before the second round, so that no old vote or acknowledgement of his helps in
//! a term which a voter has not left; and whoever lives has kept everything from one round to the other. A voter takes
//! nothing more from the incarnations of its roster that the account shows to be gone.
//!
//! # What is promised
//!
//! Without memory is who is empty, or in no committed roster. While these are fewer than a majority, and a majority of
//! members lives, nothing acknowledged is lost and reads are linearizable. Beyond that, what a server knows that can be
//! reached and was not relaunched is kept. Outside the promise: a firewall that refuses connections in a host's place,
//! and a request of an ended process that arrives only after both rounds of everybody's vote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::cluster::{Cluster, ServerId};
use super::log::{NUMBER_MAX, Position, Term};
use super::rpc::Flaw;

/// A number from 1 to 2^53 that names one life of a server, drawn at random by a process that starts with nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The incarnation of a server that begins anew without its process having ended.
    ///
    /// What was drawn at random is not met again by counting on, so this needs no random number of its own.
    pub(super) fn next(self) -> Incarnation {
        Incarnation(self.0 % NUMBER_MAX + 1)
    }

    /// Whether a process can have drawn it.
    pub(super) fn is_possible(self) -> bool {
        (1..=NUMBER_MAX).contains(&self.0)
    }
}

/// As people see it: the whole number in hexadecimal.
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

/// Who counts, from this entry of the log on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roster {
    /// The incarnation that appended entry 1: the same in every roster of a log.
    pub history: Incarnation,
    /// The servers that count, each in this incarnation alone. No incarnation stands here twice.
    pub members: BTreeMap<ServerId, Incarnation>,
}

impl Roster {
    /// Whether the roster names the server in that incarnation.
    pub fn names(&self, member: Member) -> bool {
        self.members.get(&member.id) == Some(&member.incarnation)
    }

    /// The roster that follows this one, if the servers have shown anything that calls for one: without the servers that
    /// show another incarnation, and with those that it does not name and that have joined.
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
            // Configurations that number the servers differently could show one process as two servers.
            if let Some(shown) = shown(id)
                && !members.values().any(|named| *named == shown)
            {
                members.insert(id, shown);
            }
        }
        (members != self.members).then_some(Roster { history: self.history, members })
    }

    /// What no roster of a log of that history has.
    pub(super) fn flaw(&self, history: Incarnation, cluster: Cluster) -> Option<Flaw> {
        let distinct: BTreeSet<_> = self.members.values().collect();
        if self.history != history {
            Some("a roster is of another history than its sender")
        } else if self.members.is_empty() {
            Some("a roster names nobody")
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

/// What every message says of the server that sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its number in its configuration.
    pub id: ServerId,
    /// How many servers its configuration has.
    pub size: u8,
    /// A digest of the names that its configuration has for the servers.
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

    /// Whether it shows a founded history that is not this one.
    pub(super) fn is_founded_apart_from(&self, history: Option<Incarnation>) -> bool {
        self.founded && self.history != history
    }

    /// What no server of this set says of itself, whoever asks.
    pub(super) fn flaw(&self, cluster: Cluster) -> Option<Flaw> {
        let Position { term, index } = self.last_log;
        if self.size != cluster.size() {
            Some("it is of a set of another size")
        } else if !self.incarnation.is_possible()
            || !self.history.is_none_or(Incarnation::is_possible)
        {
            Some("an incarnation is not a number from 1 to 2^53")
        } else if NUMBER_MAX < self.term.0 {
            Some("its term is beyond 2^53")
        } else if NUMBER_MAX < index.0 || (index.0 == 0) != (term.0 == 0) || self.term < term {
            Some("its last entry is none that a server in its term can have")
        } else if self.history.is_some() != (index.0 != 0) || (self.founded && index.0 == 0) {
            Some("its history contradicts its log")
        } else {
            None
        }
    }
}

/// Who lives and who has ended, of all servers: what both rounds of everybody's vote must agree on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account(pub BTreeMap<ServerId, Option<Incarnation>>);

impl Account {
    /// Whether it says that the member lives.
    pub(super) fn lives(&self, member: Member) -> bool {
        self.0.get(&member.id) == Some(&Some(member.incarnation))
    }

    /// Whether it says that the member's process has ended.
    pub(super) fn has_ended(&self, member: Member) -> bool {
        self.0.get(&member.id).is_some_and(|living| *living != Some(member.incarnation))
    }

    /// What no account of this candidate has.
    pub(super) fn flaw(&self, candidate: Member, cluster: Cluster) -> Option<Flaw> {
        let living: BTreeSet<_> = self.0.values().flatten().collect();
        let is_doubled = living.len() < self.0.values().flatten().count();
        if !self.0.keys().copied().eq(cluster.servers()) {
            Some("its account is not one of all servers")
        } else if !self.lives(candidate)
            || is_doubled
            || living.len() < cluster.majority()
            || !living.into_iter().all(|incarnation| incarnation.is_possible())
        {
            Some("its account names no majority that lives, itself included, each once")
        } else {
            None
        }
    }
}
