//! A server in whichever role it is, and the step that takes it from one event to the next.

use super::candidate::Candidate;
use super::cluster::{Cluster, ServerId};
use super::core::Core;
use super::crashed::Crashed;
use super::event::{Call, Effect, Effects, Event, Fault};
use super::follower::Follower;
use super::leader::Leader;
use super::log::{Log, LogIndex, NUMBER_MAX, Position, Term};
use super::node::Node;
use super::role::{Role, RoleName};
use super::rpc::Flaw;
use crate::metadata::Files;

/// One Raft participant.
#[must_use = "a step consumes the server and gives it back"]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// It takes its entries from a leader.
    Follower(Node<Follower>),
    /// It stands for election.
    Candidate(Node<Candidate>),
    /// It takes calls and replicates them.
    Leader(Node<Leader>),
    /// It takes no part.
    Crashed(Node<Crashed>),
}

/// What people ask of a server: a copy of its state's scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The role.
    pub role: RoleName,
    /// The current term.
    pub current_term: Term,
    /// Whom it voted for in the current term.
    pub voted_for: Option<ServerId>,
    /// The leader of the current term, as far as this server knows.
    pub leader: Option<ServerId>,
    /// The last committed entry.
    pub commit_index: LogIndex,
    /// The last applied entry.
    pub last_applied: LogIndex,
    /// The last entry.
    pub last_log: Position,
    /// How many calls wait for an answer.
    pub waiting: usize,
}

impl Server {
    /// A server as its process starts, and what it wants done first.
    pub fn start(cluster: Cluster) -> (Server, Vec<Effect>) {
        let mut out = Effects::default();
        let server = Server::Follower(Node::start(cluster, &mut out));
        (server, out.0)
    }

    /// Takes one event and says what is to be done. Total: no event, however forged, makes it fail.
    ///
    /// # Panics
    ///
    /// If an invariant of Raft is found broken afterwards. No input can bring that about; a server that finds it is
    /// wrong, and must end rather than go on.
    pub fn step(self, event: Event) -> (Server, Vec<Effect>) {
        let mut out = Effects::default();
        let before = self.status();
        let server = match self {
            Server::Crashed(node) => node.step(event, &mut out),
            running @ (Server::Follower(_) | Server::Candidate(_) | Server::Leader(_)) => {
                running.take_part(event, &mut out)
            }
        };
        server.check(&before);
        (server, out.0)
    }

    fn take_part(self, event: Event, out: &mut Effects) -> Server {
        if let Some(flaw) = self.flaw(&event) {
            if let Event::Call(call, _) = event {
                out.fault(call, Fault::Forged(flaw));
            }
            return self;
        }
        match self.meet_term(event.term(), out) {
            Server::Follower(node) => node.step(event, out),
            Server::Candidate(node) => node.step(event, out),
            Server::Leader(node) => node.step(event, out),
            Server::Crashed(node) => node.step(event, out),
        }
    }

    /// What in an event from a peer cannot come from a correct one. Such an event changes nothing.
    fn flaw(&self, event: &Event) -> Option<Flaw> {
        let cluster = self.core().cluster;
        match event {
            Event::Call(_, Call::RequestVote(request)) => request.flaw(cluster),
            Event::Call(_, Call::AppendEntries(request)) => {
                let usurps = request.term == self.current_term()
                    && self.leader().is_some_and(|leader| leader != request.leader_id);
                // §5.2, Election Safety: a term has at most one leader.
                let usurped = usurps.then_some("another server leads its term");
                request.flaw(cluster).or(usurped).or_else(|| self.core().flaw(request))
            }
            Event::Response { response, .. } => {
                (NUMBER_MAX < response.term().0).then_some("its term is beyond 2^53")
            }
            Event::Call(_, Call::Update(_) | Call::ReadFiles | Call::Crash | Call::Restore)
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Unanswered { .. } => None,
        }
    }

    /// §5.1: whoever meets a newer term enters it, as a follower.
    fn meet_term(self, term: Option<Term>, out: &mut Effects) -> Server {
        let Some(term) = term.filter(|term| self.current_term() < *term) else { return self };
        match self {
            Server::Follower(mut node) => {
                node.enter_term(term);
                Server::Follower(node)
            }
            Server::Candidate(node) => Server::Follower(node.step_down(term, out)),
            Server::Leader(node) => Server::Follower(node.step_down(term, out)),
            Server::Crashed(node) => Server::Crashed(node),
        }
    }

    /// The role's name.
    pub fn role(&self) -> RoleName {
        match self {
            Server::Follower(_) => Follower::NAME,
            Server::Candidate(_) => Candidate::NAME,
            Server::Leader(_) => Leader::NAME,
            Server::Crashed(_) => Crashed::NAME,
        }
    }

    /// The leader of the current term, as far as this server knows.
    pub fn leader(&self) -> Option<ServerId> {
        match self {
            Server::Follower(node) => node.role.leader,
            Server::Leader(node) => Some(node.core.cluster.id()),
            Server::Candidate(_) | Server::Crashed(_) => None,
        }
    }

    /// The current term.
    pub fn current_term(&self) -> Term {
        self.core().current_term
    }

    /// The file map as far as it is committed and applied here.
    pub fn files(&self) -> &Files {
        &self.core().files
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.core().log
    }

    /// The scalars of the state.
    pub fn status(&self) -> Status {
        let core = self.core();
        let reads = match self {
            Server::Leader(node) => node.role.reads_waiting(),
            Server::Follower(_) | Server::Candidate(_) | Server::Crashed(_) => 0,
        };
        Status {
            role: self.role(),
            current_term: core.current_term,
            voted_for: core.voted_for,
            leader: self.leader(),
            commit_index: core.commit_index,
            last_applied: core.last_applied,
            last_log: core.log.last(),
            waiting: core.pending.len() + reads,
        }
    }

    fn core(&self) -> &Core {
        match self {
            Server::Follower(node) => &node.core,
            Server::Candidate(node) => &node.core,
            Server::Leader(node) => &node.core,
            Server::Crashed(node) => &node.core,
        }
    }

    /// Checks the state, and the change from the state before the step, in constant time.
    fn check(&self, before: &Status) {
        let core = self.core();
        core.check();
        match self {
            Server::Leader(node) => node.check(),
            Server::Candidate(node) => node.check(),
            Server::Crashed(_) => {
                assert!(core.pending.is_empty(), "a crashed server keeps nobody waiting")
            }
            Server::Follower(_) => {}
        }
        check_change(before, &self.status());
    }
}

/// Checks what no step may do.
fn check_change(before: &Status, after: &Status) {
    assert!(before.current_term <= after.current_term, "the term never falls (§5.1)");
    assert!(before.commit_index <= after.commit_index, "the commit index never falls (Figure 2)");
    assert!(before.last_applied <= after.last_applied, "nothing applied is taken back (Figure 2)");
    if before.current_term == after.current_term {
        let kept = before.voted_for.is_none() || before.voted_for == after.voted_for;
        assert!(kept, "a server votes for at most one candidate in a term (§5.2)");
        let agree =
            before.leader.is_none() || after.leader.is_none() || before.leader == after.leader;
        assert!(agree, "a term has at most one leader (§5.2)");
        if before.role == RoleName::Leader {
            let goes_on = matches!(after.role, RoleName::Leader | RoleName::Crashed);
            assert!(goes_on, "a leader leads until its term ends or it crashes (§5.2)");
            let appends = before.last_log.index <= after.last_log.index;
            assert!(appends, "a leader never deletes its entries (§5.3, Leader Append-Only)");
        }
    }
    if after.role == RoleName::Crashed && before.role == RoleName::Crashed {
        assert!(before == after, "nothing changes at a crashed server");
    }
}
