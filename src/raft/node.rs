//! A server in a known role, and the one function that changes roles.

use super::candidate::Candidate;
use super::cluster::Cluster;
use super::core::Core;
use super::crashed::Crashed;
use super::event::{CallId, Effects, Reply};
use super::follower::Follower;
use super::hurry::Hurry;
use super::identity::Incarnation;
use super::log::Term;
use super::persistent::Saved;
use super::role::{Becomes, Role, RoleName};
use super::server::Server;
use super::snapshot::Compaction;

/// A server in role `R`.
///
/// A node is created once, as a follower. After that, only transitions bounded by [`Becomes`] create one, and they
/// consume the node in its old role. So no code can act in a role that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node<R> {
    /// Boxed, because every step and every transition moves the node.
    pub(super) core: Box<Core>,
    pub(super) role: R,
    /// Prevents struct literals in other modules.
    seal: (),
}

impl Node<Follower> {
    /// A server at its start: a follower in term 0 with an empty log. A server that is alone has no others to wait for.
    pub(super) fn start(
        cluster: Cluster,
        incarnation: Incarnation,
        compaction: Compaction,
        out: &mut Effects,
    ) -> Server {
        Node::begin(Core::new(cluster, incarnation, compaction), out)
    }

    /// A server that comes back with what it had on disk.
    pub(super) fn recover(
        cluster: Cluster,
        saved: Saved,
        compaction: Compaction,
        out: &mut Effects,
    ) -> Server {
        Node::begin(Core::recovered(cluster, saved, compaction), out)
    }

    fn begin(core: Core, out: &mut Effects) -> Server {
        let is_alone = core.cluster.size() == 1;
        let mut node = Node { core: Box::new(core), role: Follower::without_leader(), seal: () };
        if is_alone {
            return node.campaign(out);
        }
        node.role.enter(&mut node.core, out);
        Server::Follower(node)
    }
}

impl<R: Role> Node<R> {
    /// The role's name.
    pub(super) fn name(&self) -> RoleName {
        R::NAME
    }

    /// Changes the role: the old role settles its open calls, the new one arms its timer.
    pub(super) fn transition<To: Role>(self, role: To, out: &mut Effects) -> Node<To>
    where
        R: Becomes<To>,
    {
        let Node { mut core, role: ended, seal } = self;
        ended.leave(&mut core, To::NAME, out);
        role.enter(&mut core, out);
        Node { core, role, seal }
    }

    /// Gives up the role because of a newer term (§5.1).
    pub(super) fn step_down(self, term: Term, out: &mut Effects) -> Node<Follower>
    where
        R: Becomes<Follower>,
    {
        let follower = Follower::stepped_down(&self.core);
        let mut node = self.transition(follower, out);
        node.core.enter_term(term);
        node
    }

    /// Stands for election: starts a new ballot with a pre-vote.
    pub(super) fn campaign(mut self, out: &mut Effects) -> Server
    where
        R: Becomes<Candidate>,
    {
        // A founding waits for all servers, so it does not use the short times.
        let may_hurry = self.core.log.history().is_some();
        self.core.last_hurry = self.core.hurry().filter(|_| may_hurry).map(Hurry::next_ballot);
        let candidate = Candidate::ask_first(&mut self.core);
        self.transition(candidate, out).ask(out)
    }

    /// Stops participating, on the call `crash()`.
    pub(super) fn crash(self, call: CallId, out: &mut Effects) -> Server
    where
        R: Becomes<Crashed>,
    {
        let node = self.transition(Crashed, out);
        out.reply(call, Reply::Done);
        Server::Crashed(node)
    }
}
