//! The candidate (§5.2): asks for votes, first for a pre-vote (thesis §9.6), then for the vote itself.
//!
//! The pre-vote asks whether the election could be won and changes nobody's term, so that a server which cannot win
//! does not unseat a leader by its mere return.

use std::collections::BTreeSet;

use super::cluster::ServerId;
use super::core::Core;
use super::event::{Call, CallId, Effects, Event, Fault, Reply, Timer};
use super::follower::Follower;
use super::log::Term;
use super::node::Node;
use super::role::{Role, RoleName};
use super::rpc::{
    AppendEntries, AppendOutcome, BallotKind, Request, RequestVote, Response, VoteReply,
};
use super::server::Server;

/// A server that stands for election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    kind: BallotKind,
    /// The ballot's number, which tells its replies from those of an earlier one.
    ballot: u64,
    /// The term to lead in: the current one or, in a pre-vote, the one after it.
    term: Term,
    /// Who granted what is asked for, itself included.
    granted: BTreeSet<ServerId>,
}

impl Role for Candidate {
    const NAME: RoleName = RoleName::Candidate;

    fn enter(&self, _core: &mut Core, out: &mut Effects) {
        out.arm(Timer::Campaign);
    }
}

impl Candidate {
    /// A new ballot in which the server has granted itself what it asks for. Only a vote raises the term.
    pub(super) fn stand(kind: BallotKind, core: &mut Core) -> Candidate {
        let id = core.cluster.id();
        let term = core.current_term.next();
        if kind == BallotKind::Vote {
            core.enter_term(term);
            core.voted_for = Some(id);
        }
        core.ballots += 1;
        Candidate { kind, ballot: core.ballots, term, granted: [id].into() }
    }
}

impl Node<Candidate> {
    pub(super) fn step(self, event: Event, out: &mut Effects) -> Server {
        let mut node = self;
        match event {
            Event::Timeout(Timer::Campaign) => return node.campaign(BallotKind::PreVote, out),
            Event::Timeout(Timer::Fate) => {
                node.core.give_up(|_| true, Fault::OutcomeUnknown, out);
            }
            Event::Call(call, request) => return node.serve(call, request, out),
            Event::HangUp(call) => node.core.forget(call),
            Event::Response { from, response: Response::Vote(reply) } => {
                return node.count(from, reply, out);
            }
            // A lost request is not repeated: the next ballot asks again.
            Event::Timeout(Timer::Silence | Timer::Election | Timer::Heartbeat)
            | Event::Response { response: Response::Append(_), .. }
            | Event::Unanswered { .. } => {}
        }
        Server::Candidate(node)
    }

    /// Asks every peer, once per ballot. A server that is a majority by itself has won already.
    pub(super) fn ask(self, out: &mut Effects) -> Server {
        let Candidate { kind, ballot, term, .. } = self.role;
        let candidate_id = self.core.cluster.id();
        let request =
            RequestVote { kind, ballot, term, candidate_id, last_log: self.core.log.last() };
        if self.role.granted.len() < self.core.cluster.majority() {
            for peer in self.core.cluster.peers() {
                out.send(peer, Request::RequestVote(request));
            }
        }
        self.tally(out)
    }

    fn count(mut self, from: ServerId, reply: VoteReply, out: &mut Effects) -> Server {
        let answers_this = reply.kind == self.role.kind && reply.ballot == self.role.ballot;
        if !answers_this || !reply.vote_granted || !self.core.cluster.has_peer(from) {
            return Server::Candidate(self);
        }
        self.role.granted.insert(from);
        self.tally(out)
    }

    /// §5.2: a candidate wins with the votes of a majority of all servers.
    fn tally(self, out: &mut Effects) -> Server {
        if self.role.granted.len() < self.core.cluster.majority() {
            return Server::Candidate(self);
        }
        match self.role.kind {
            BallotKind::PreVote => self.campaign(BallotKind::Vote, out),
            BallotKind::Vote => self.lead(out),
        }
    }

    fn serve(self, call: CallId, request: Call, out: &mut Effects) -> Server {
        match request {
            Call::Update(_) | Call::ReadFiles => out.fault(call, Fault::NotLeader(None)),
            Call::Crash => return self.crash(call, out),
            Call::Restore => out.reply(call, Reply::Done),
            Call::RequestVote(request) => return self.answer_candidate(call, &request, out),
            Call::AppendEntries(request) => return self.answer_leader(call, request, out),
        }
        Server::Candidate(self)
    }

    fn answer_candidate(
        mut self,
        call: CallId,
        request: &RequestVote,
        out: &mut Effects,
    ) -> Server {
        let granted = match request.kind {
            BallotKind::PreVote => self.core.would_vote(request),
            BallotKind::Vote => self.core.vote(request),
        };
        out.reply(call, self.core.vote_reply(request, granted));
        // A pre-candidate has not voted in its term yet, so it can vote for another, whom it then follows.
        if granted && request.kind == BallotKind::Vote {
            return Server::Follower(self.transition(Follower::default(), out));
        }
        Server::Candidate(self)
    }

    /// §5.2: an append of the current term comes from the election's winner, whom the candidate then follows.
    fn answer_leader(mut self, call: CallId, request: AppendEntries, out: &mut Effects) -> Server {
        if request.term == self.core.current_term && request.has_majority {
            let mut follower = self.transition(Follower::default(), out);
            follower.answer_leader(call, request, out);
            return Server::Follower(follower);
        }
        let round = request.round;
        let outcome = if request.term < self.core.current_term {
            AppendOutcome::Stale
        } else {
            // The winner is cut off from the majority: its entries are good, but it holds nobody back.
            self.core.store(request, out)
        };
        out.reply(call, self.core.append_reply(round, outcome));
        Server::Candidate(self)
    }

    /// Checks what must hold of a candidate after every step.
    pub(super) fn check(&self) {
        let Core { cluster, current_term, voted_for, .. } = &self.core;
        let Candidate { kind, term, granted, .. } = &self.role;
        assert!(granted.contains(&cluster.id()), "a candidate is for itself");
        assert!(granted.len() < cluster.majority(), "a candidate with a majority has won");
        match kind {
            BallotKind::PreVote => {
                assert!(*term == current_term.next(), "a pre-vote changes no term")
            }
            BallotKind::Vote => {
                assert!(*term == *current_term, "a candidate campaigns in its own term (§5.2)");
                assert!(*voted_for == Some(cluster.id()), "a candidate votes for itself (§5.2)");
            }
        }
    }
}
