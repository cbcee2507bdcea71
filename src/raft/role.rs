//! The roles and the legal changes between them: Figure 4, and the handout's crash and restore.

use super::candidate::Candidate;
use super::cluster::ServerId;
use super::core::Core;
use super::crashed::Crashed;
use super::event::Effects;
use super::follower::Follower;
use super::identity::Member;
use super::leader::Leader;

/// The name of a role, for display and for checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RoleName {
    /// Answers candidates and its leader. Every server begins in this role.
    #[default]
    Follower,
    /// Asks for votes.
    Candidate,
    /// Takes calls and replicates.
    Leader,
    /// Does not participate.
    Crashed,
}

impl RoleName {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            RoleName::Follower => "follower",
            RoleName::Candidate => "candidate",
            RoleName::Leader => "leader",
            RoleName::Crashed => "crashed",
        }
    }
}

/// What all roles have in common: what a server does when it enters or leaves one, and what it can tell in it.
///
/// Its functions use types that cannot be named outside the core, so there are no other roles than these four.
pub trait Role: Sized {
    /// The role's name.
    const NAME: RoleName;

    /// Arms the role's timer, or stops all timers.
    fn enter(&self, core: &mut Core, out: &mut Effects);

    /// Settles the role's open calls before the role named `next` begins.
    fn leave(self, core: &mut Core, next: RoleName, out: &mut Effects) {
        let _ = (core, next, out);
    }

    /// The leader of the current term, if a server in this role knows it.
    fn leader(&self, core: &Core) -> Option<Member> {
        let _ = core;
        None
    }

    /// The number of reads that wait.
    fn reads_waiting(&self) -> usize {
        0
    }

    /// The servers that a candidate waits for, as far as its ballot has shown; empty in other roles.
    fn waits_for(&self, core: &Core) -> Vec<ServerId> {
        let _ = core;
        Vec::new()
    }

    /// Checks what must hold in this role after every step.
    fn check(&self, core: &Core) {
        let _ = core;
    }
}

/// The legal changes of role: those of Figure 4, and the handout's `crash()` and `restore()`.
///
/// These nine lines are the only way from one role to another:
///
/// ```
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
///
/// becomes::<Follower, Candidate>(); // It hears from no leader: it stands for election.
/// becomes::<Candidate, Candidate>(); // No winner: it starts a new ballot, or goes from the pre-vote to the vote.
/// becomes::<Candidate, Leader>(); // A majority voted for it.
/// becomes::<Candidate, Follower>(); // It finds the current leader or a newer term.
/// becomes::<Leader, Follower>(); // It finds a newer term.
/// becomes::<Follower, Crashed>();
/// becomes::<Candidate, Crashed>();
/// becomes::<Leader, Crashed>();
/// becomes::<Crashed, Follower>();
/// ```
///
/// The other seven do not compile. A follower is never elected without standing for election:
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Follower, Leader>();
/// ```
///
/// A follower that stays one does so in place, without a transition:
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Follower, Follower>();
/// ```
///
/// A leader has no reason to stand for election:
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Leader, Candidate>();
/// ```
///
/// A leader leads once per term:
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Leader, Leader>();
/// ```
///
/// A crashed server comes back only as a follower:
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Crashed, Candidate>();
/// ```
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Crashed, Leader>();
/// ```
///
/// ```compile_fail,E0277
/// use surfstore::raft::{Becomes, Candidate, Crashed, Follower, Leader};
/// fn becomes<From: Becomes<To>, To: surfstore::raft::Role>() {}
/// becomes::<Crashed, Crashed>();
/// ```
pub trait Becomes<To: Role>: Role {}

impl Becomes<Candidate> for Follower {}
impl Becomes<Candidate> for Candidate {}
impl Becomes<Leader> for Candidate {}
impl Becomes<Follower> for Candidate {}
impl Becomes<Follower> for Leader {}
impl Becomes<Crashed> for Follower {}
impl Becomes<Crashed> for Candidate {}
impl Becomes<Crashed> for Leader {}
impl Becomes<Follower> for Crashed {}
