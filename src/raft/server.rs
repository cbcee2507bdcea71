//! A server in any of its roles, and the step that takes it from one event to the next.

use super::candidate::{Ballot, Candidate};
use super::cluster::{Cluster, ServerId};
use super::core::Core;
use super::crashed::Crashed;
use super::event::{Call, CallError, Effect, Effects, Event, Failure, Reply};
use super::follower::Follower;
use super::identity::{Identity, Incarnation, Member};
use super::leader::Leader;
use super::log::{Log, LogIndex, Position, Term};
use super::node::Node;
use super::persistent::Saved;
use super::progress::ProgressStatus;
use super::role::{Role, RoleName};
use super::rpc::{AppendOutcome, Flaw, Response};
use super::snapshot::{Compaction, Snapshot};
use crate::metadata::Files;

/// A Raft server.
#[must_use = "a step consumes the server and gives it back"]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// It takes its entries from a leader.
    Follower(Node<Follower>),
    /// It stands for election.
    Candidate(Node<Candidate>),
    /// It takes calls and replicates them.
    Leader(Node<Leader>),
    /// It does not participate.
    Crashed(Node<Crashed>),
}

/// Evaluates an expression with the server's node, whatever its role.
macro_rules! in_any_role {
    ($server:expr, $node:ident => $value:expr) => {
        match $server {
            Server::Follower($node) => $value,
            Server::Candidate($node) => $value,
            Server::Leader($node) => $value,
            Server::Crashed($node) => $value,
        }
    };
}

/// A copy of the scalars in a server's state, for operators and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The role.
    pub role: RoleName,
    /// The current term.
    pub current_term: Term,
    /// Which life of the server this is.
    pub incarnation: Incarnation,
    /// The history of its log; `None` if the log is empty.
    pub history: Option<Incarnation>,
    /// The candidate that it voted for in the current term.
    pub voted_for: Option<Member>,
    /// The leader of the current term, as far as this server knows.
    pub leader: Option<ServerId>,
    /// The history of the current term's leader, as far as this server has heard.
    pub leader_history: Option<Incarnation>,
    /// The last committed entry.
    pub commit_index: LogIndex,
    /// The last applied entry.
    pub last_applied: LogIndex,
    /// The last entry that its log no longer holds; 0 if it holds them all.
    pub last_included: Position,
    /// The last entry.
    pub last_log: Position,
    /// The number of calls that wait for an answer.
    pub waiting: usize,
}

impl Server {
    /// A server at the start of its process, with the random number that identifies this life of it, and the first
    /// effects.
    pub fn start(
        cluster: Cluster,
        incarnation: Incarnation,
        compaction: Compaction,
    ) -> (Server, Vec<Effect>) {
        let mut out = Effects::default();
        let server = Node::start(cluster, incarnation, compaction, &mut out);
        (server, out.0)
    }

    /// A server at the start of its process, with what it had on disk, and the first effects.
    pub fn recover(
        cluster: Cluster,
        saved: Saved,
        compaction: Compaction,
    ) -> (Server, Vec<Effect>) {
        let mut out = Effects::default();
        let mut server = Node::recover(cluster, saved, compaction, &mut out);
        server.core_mut().save(&mut out);
        (server, out.0)
    }

    /// Handles one event and returns the effects to carry out. Total: no event, however forged, makes it fail.
    ///
    /// # Panics
    ///
    /// If an invariant of Raft is broken afterwards. No input can cause that: the server then has a bug, and must end
    /// rather than continue.
    pub fn step(self, event: Event) -> (Server, Vec<Effect>) {
        let mut out = Effects::default();
        let before = self.status();
        let mut server = self;
        let mut effects = Vec::new();
        if let Event::Saved(number) = event {
            effects = server.core_mut().learn_saved(number);
        }
        server = if before.role == RoleName::Crashed {
            server.step_in_role(event, &mut out)
        } else {
            server.take_part(event, &mut out)
        };
        server.core_mut().save(&mut out);
        server.check(&before);
        if effects.is_empty() {
            return (server, out.0);
        }
        effects.append(&mut out.0);
        (server, effects)
    }

    /// Handles an event in any role but that of a crashed server.
    fn take_part(mut self, event: Event, out: &mut Effects) -> Server {
        if let Some(flaw) = self.flaw(&event) {
            if let Event::Call(call, _) = event {
                out.fail(call, CallError::Forged(flaw));
            }
            self.disregard(&event);
            return self;
        }
        if self.core().is_of_another_set(&event) {
            self.refuse(&event, out);
            self.disregard(&event);
            return self;
        }
        if let Event::Response { from, response } = &event {
            self.core_mut().acquaint(*from, response.sender());
        }
        let server = self.meet_term(event.term(), out).meet_history(&event, out);
        if server.core().refuses(&event) {
            server.refuse(&event, out);
            return server;
        }
        server.step_in_role(event, out)
    }

    fn step_in_role(self, event: Event, out: &mut Effects) -> Server {
        in_any_role!(self, node => node.step(event, out))
    }

    /// The flaw, if there is one, that proves that an event does not come from a correct peer. Such an event changes
    /// nothing.
    fn flaw(&self, event: &Event) -> Option<Flaw> {
        let cluster = self.core().cluster;
        match event {
            Event::Call(_, Call::RequestVote(request)) => request.flaw(cluster),
            Event::Call(_, Call::AppendEntries(request)) => request
                .flaw(cluster)
                .or_else(|| self.usurped(&request.sender))
                .or_else(|| self.core().flaw(request)),
            Event::Call(_, Call::InstallSnapshot(request)) => request
                .flaw(cluster)
                .or_else(|| self.usurped(&request.sender))
                .or_else(|| self.core().snapshot_flaw(request)),
            Event::Response { response, .. } => response.sender().flaw(cluster),
            Event::Unanswered { failure: Failure::Crashed(sender), .. } => sender.flaw(cluster),
            Event::Call(_, Call::Update(_) | Call::ReadFiles | Call::Crash | Call::Restore)
            | Event::Timeout(_)
            | Event::HangUp(_)
            | Event::Unanswered { .. }
            | Event::Disconnected(_)
            | Event::Saved(_) => None,
        }
    }

    /// §5.2, Election Safety: a term has at most one leader (at most one per history, once servers have been
    /// relaunched).
    fn usurped(&self, sender: &Identity) -> Option<Flaw> {
        let core = self.core();
        let leads = self.role() == RoleName::Leader;
        // A leader's history is that of its own log.
        let history = if leads { core.log.history() } else { core.leader_history };
        let leader = self.leading_member().zip(history);
        let usurps =
            |(leader, history)| Some(history) == sender.history && leader != sender.member();
        let same_term = sender.term == core.current_term;
        (same_term && leader.is_some_and(usurps)).then_some("another server leads its term")
    }

    /// §5.1: a server that learns of a newer term enters it, as a follower.
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

    /// If processes were relaunched, one term may have two leaders, in two histories. A leader without a majority steps
    /// down if the history of the other is founded.
    fn meet_history(self, event: &Event, out: &mut Effects) -> Server {
        match (self, event.leader_request()) {
            (Server::Leader(node), Some((_, leader, _))) if node.gives_way_to(leader) => {
                let next = node.core.current_term.next();
                Server::Follower(node.step_down(next, out))
            }
            (server, _) => server,
        }
    }

    /// Learns nothing from a peer's reply, but does not wait for another one either.
    fn disregard(&mut self, event: &Event) {
        if let Server::Leader(node) = self
            && let Event::Response { from, response: Response::Append(reply) } = event
        {
            node.disregard(*from, reply);
        }
    }

    /// Refuses a peer's request, and does nothing else.
    fn refuse(&self, event: &Event, out: &mut Effects) {
        let core = self.core();
        if let Event::Call(call, Call::RequestVote(request)) = event {
            out.reply(*call, Reply::Vote(core.vote_reply(request, false)));
        }
        if let Some((call, _, round)) = event.leader_request() {
            out.reply(call, core.append_reply(round, AppendOutcome::Refused));
        }
    }

    /// The name of the role.
    pub fn role(&self) -> RoleName {
        in_any_role!(self, node => node.name())
    }

    /// The leader of the current term, as far as this server knows.
    pub fn leader(&self) -> Option<ServerId> {
        self.leading_member().map(|leader| leader.id)
    }

    fn leading_member(&self) -> Option<Member> {
        in_any_role!(self, node => node.role.leader(&node.core))
    }

    /// Whether this server accepts updates and reads: the handout's `isLeader`. A leader whose history is not founded
    /// yet does not.
    pub fn leads(&self) -> bool {
        self.role() == RoleName::Leader && self.core().is_founded()
    }

    /// Whether it takes calls and can confirm them: a majority has answered it lately. It is not part of the
    /// [`Status`], which is copied in every step, because it has to be counted.
    pub fn has_majority(&self) -> bool {
        match self {
            Server::Leader(node) => self.leads() && node.role.has_majority(&node.core),
            Server::Follower(_) | Server::Candidate(_) | Server::Crashed(_) => false,
        }
    }

    /// What this server says about itself in every message to a peer.
    pub fn identity(&self) -> Identity {
        self.core().identity()
    }

    /// The servers without which a candidate cannot be elected, as far as its ballot has shown; empty in other roles. If
    /// any of several servers would do, all of them are named, but only if a majority has granted its vote and too few
    /// of it count: otherwise it is plain that a majority is missing.
    pub fn waits_for(&self) -> Vec<ServerId> {
        in_any_role!(self, node => node.role.waits_for(&node.core))
    }

    /// The ballot of a candidate; `None` in other roles.
    pub fn ballot(&self) -> Option<Ballot> {
        match self {
            Server::Candidate(node) => Some(node.role.ballot()),
            Server::Follower(_) | Server::Leader(_) | Server::Crashed(_) => None,
        }
    }

    /// A leader's view of each other server, in the order of their ids; empty in other roles.
    pub fn progress(&self) -> Vec<(ServerId, ProgressStatus)> {
        match self {
            Server::Leader(node) => node.role.progress(),
            Server::Follower(_) | Server::Candidate(_) | Server::Crashed(_) => Vec::new(),
        }
    }

    /// The number of reads, and of updates that will be refused, that wait for a majority to confirm this leader.
    pub fn reads_waiting(&self) -> usize {
        in_any_role!(self, node => node.role.reads_waiting())
    }

    /// The memory that the entries that are not applied take, in bytes.
    pub fn unapplied_bytes(&self) -> usize {
        self.core().unapplied_bytes()
    }

    /// The current term.
    pub fn current_term(&self) -> Term {
        self.core().current_term
    }

    /// The snapshot to put in the place of a log that takes so many bytes on disk; `None` if the log does not outweigh
    /// the map yet.
    pub fn snapshot_due(&self, log_bytes: u64) -> Option<Snapshot> {
        let core = self.core();
        let is_due = core.compaction.disk_bytes_max(&core.files) < log_bytes;
        is_due.then(|| core.snapshot()).flatten()
    }

    /// The file map, as far as it is committed and applied here.
    pub fn files(&self) -> &Files {
        &self.core().files
    }

    /// The memory in bytes that the map takes, and with it what has arrived of a snapshot.
    pub fn map_bytes(&self) -> usize {
        self.core().map_bytes()
    }

    /// The memory in bytes that the log takes, and what is still to be written of it.
    pub fn log_bytes(&self) -> usize {
        self.core().log.bytes().max(self.core().unsaved_bytes())
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.core().log
    }

    /// The scalars of the state.
    pub fn status(&self) -> Status {
        let core = self.core();
        Status {
            role: self.role(),
            current_term: core.current_term,
            incarnation: core.incarnation,
            history: core.log.history(),
            voted_for: core.voted_for,
            leader: self.leader(),
            leader_history: core.leader_history,
            commit_index: core.commit_index,
            last_applied: core.last_applied,
            last_included: core.log.last_included(),
            last_log: core.log.last(),
            waiting: core.pending.len() + self.reads_waiting(),
        }
    }

    fn core(&self) -> &Core {
        in_any_role!(self, node => &node.core)
    }

    fn core_mut(&mut self) -> &mut Core {
        in_any_role!(self, node => &mut node.core)
    }

    /// Checks the state and the change since before the step, in constant time.
    fn check(&self, before: &Status) {
        self.core().check();
        in_any_role!(self, node => node.role.check(&node.core));
        check_change(before, &self.status());
    }
}

/// Checks what no step may do.
fn check_change(before: &Status, after: &Status) {
    assert!(before.current_term <= after.current_term, "the term never falls (§5.1)");
    if before.incarnation != after.incarnation {
        return;
    }
    assert!(before.commit_index <= after.commit_index, "the commit index never falls (Figure 2)");
    assert!(
        before.last_applied <= after.last_applied,
        "the last applied index never falls (Figure 2)"
    );
    if before.current_term == after.current_term {
        let kept = before.voted_for.is_none() || before.voted_for == after.voted_for;
        assert!(kept, "a server votes for at most one candidate in a term (§5.2)");
        let agree = before.leader.is_none()
            || after.leader.is_none()
            || before.leader == after.leader
            || before.leader_history != after.leader_history;
        assert!(agree, "a term has at most one leader (§5.2)");
        if before.role == RoleName::Leader {
            let goes_on = matches!(after.role, RoleName::Leader | RoleName::Crashed);
            assert!(goes_on, "a leader leads until its term ends or it crashes (§5.2)");
            let appends = before.last_log.index <= after.last_log.index;
            assert!(appends, "a leader never deletes its entries (§5.3, Leader Append-Only)");
        }
    }
    if after.role == RoleName::Crashed && before.role == RoleName::Crashed {
        assert!(before == after, "a crashed server does not change");
    }
}
