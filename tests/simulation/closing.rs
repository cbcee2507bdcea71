//! Connections that close, and what the peers learn of it.
//!
//! A peer learns that a server's connections have closed after the server has crashed or ended, but perhaps late or
//! never. It also learns it of servers that are alive, when the network resets their connections. So it is a hint, and
//! whether it is true makes no difference to what is checked here.

use surfstore::raft::{
    BallotKind, Failure, Member, Request, Response, RoleName, ServerId, Status, Timer,
};
use surfstore::service::Input;

use crate::marks::Mark;
use crate::queue::{Happening, Letter};
use crate::world::World;

/// What matters of a server's hurry before a step.
pub(crate) struct Hurry {
    /// The timer of the hurry, if the server is in one.
    timer: Option<Timer>,
    /// The kind of the ballot to which the input is an answer.
    answered: Option<BallotKind>,
    /// What the input says of the server whose connections have closed.
    verdict: Option<Mark>,
}

impl World {
    /// A server closes its connections to its peers, or its system does. Each peer learns it by itself.
    pub(crate) fn close_connections(&mut self, id: ServerId) {
        self.ids().filter(|to| *to != id).for_each(|to| self.close_connection(id, to));
    }

    fn close_connection(&mut self, id: ServerId, to: ServerId) {
        let peer = self.member(id);
        let mut rng = self.draws.link(self.now, id, to);
        match self.network.closing_delay(&mut rng) {
            Some(delay) => self.queue.push(self.now + delay, Happening::Closing { peer, to }),
            None => self.marks.hit(Mark::UnnoticedClosing),
        }
    }

    /// The network resets a server's connections to some of its peers, all at the same moment.
    pub(crate) fn reset_connections(&mut self, id: ServerId, peers: u16) {
        let peer = self.member(id);
        for to in self.ids().filter(|to| *to != id && (peers >> to.0) & 1 == 1) {
            self.queue.push(self.now, Happening::Closing { peer, to });
        }
    }

    /// The sender of a request that got no answer in time closes the connection, which may be its only one.
    pub(crate) fn give_up_connection(&mut self, letter: &Letter) {
        let Letter { by, to, .. } = *letter;
        let chance = self.network.resets;
        if 0.0 < chance && self.draws.link(self.now, by, to).f64() < chance {
            self.marks.hit(Mark::ClosingAtDeadline);
            self.close_connection(by, to);
        }
    }

    fn member(&self, id: ServerId) -> Member {
        Member { id, incarnation: self.process(id) }
    }

    /// A server learns that a peer's connections to it have closed. Checks that it neither ends a term nor votes, and
    /// that it is in a hurry afterwards if it counted on that peer. Otherwise nothing changes.
    pub(crate) fn learn_of_closing(&mut self, peer: Member, to: ServerId) {
        if !self.network.passes(peer.id, to) {
            return;
        }
        let (before, deadline) = (*self.status(to), self.service(to).deadline());
        let trusts =
            before.leader == Some(peer.id) && self.history.leader_of(&before) == Some(peer);
        let awaits = before.leader_history.is_none() && before.voted_for == Some(peer);
        // Its state shows only the number of a leader that has led on and sent nothing since: either answer is right.
        let is_open = before.leader == Some(peer.id) && before.leader_history.is_none();
        self.step_and_answer(to, Input::Disconnected(peer));
        let after = *self.status(to);
        assert!(Status { leader: before.leader, ..after } == before, "a hint changed a server");
        if before.role == RoleName::Follower && (trusts || awaits) {
            self.lost[usize::from(to.0)] = Some(peer);
            self.marks.hit(Mark::Hint);
            assert!(self.hurry(to) == Some(Timer::Hurry), "{to:?} ignored a hint");
        } else if !self.history.promise_is_void {
            let is_of_leader = before.leader == Some(peer.id);
            self.marks.hit(if is_of_leader { Mark::PredecessorsHint } else { Mark::StrangersHint });
            let is_same = after == before && self.service(to).deadline() == deadline;
            assert!(
                is_same || is_open,
                "{to:?} obeyed the hint of a server that it does not count on"
            );
        }
    }

    /// The timer of the hurry that a server is in, if it is in one.
    pub(crate) fn hurry(&self, id: ServerId) -> Option<Timer> {
        self.service(id).timers().find(|timer| matches!(timer, Timer::Hurry | Timer::Patience))
    }

    /// What matters of an input and of the server that is about to handle it.
    pub(crate) fn hurry_before(&self, id: ServerId, input: &Input) -> Hurry {
        let timer = self.hurry(id);
        let lost = self.lost[usize::from(id.0)].map(|leader| leader.id);
        let (answered, verdict) = match input {
            Input::Response { from, response: Response::Vote(reply) } => {
                let leads = reply.leads && lost == Some(*from);
                (Some(reply.kind), leads.then_some(Mark::JudgeLeads))
            }
            Input::Unanswered { by, request: Request::RequestVote(request), failure } => {
                let judges = request.kind == BallotKind::PreVote && lost == Some(*by);
                let verdict = match failure {
                    Failure::Ended => Some(Mark::JudgeEnded),
                    Failure::Crashed(_) => Some(Mark::JudgeCrashed),
                    Failure::Silent => None,
                };
                (Some(request.kind), verdict.filter(|_| judges))
            }
            _ => (None, None),
        };
        Hurry { timer, answered, verdict }
    }

    /// Marks what has become of a server's hurry in a step.
    pub(crate) fn observe_hurry(&mut self, id: ServerId, hurry: Hurry, before: &Status) {
        let (after, timer) = (*self.status(id), self.hurry(id));
        let Hurry { timer: timer_before, answered, verdict } = hurry;
        let was_candidate = before.role == RoleName::Candidate;
        let new_term = before.current_term < after.current_term;
        if was_candidate && timer_before.is_some() {
            let follows = after.role == RoleName::Follower && after.leader.is_some();
            if let Some(mark) = verdict
                && (follows || mark != Mark::JudgeLeads)
            {
                self.marks.hit(mark);
            }
            if answered.is_none() && new_term && after.role == RoleName::Candidate {
                self.marks.hit(Mark::JudgeSilent);
            }
        }
        if was_candidate && timer == Some(Timer::Hurry) && !new_term {
            match (answered, timer_before) {
                (Some(BallotKind::PreVote), _) => self.marks.hit(Mark::LostHurriedBallot),
                (Some(BallotKind::Vote), Some(_)) => self.marks.hit(Mark::LostHurriedVote),
                (Some(BallotKind::Vote), None) => self.marks.hit(Mark::LostVote),
                (None, _) => {}
            }
        }
        let campaigns = after.role == RoleName::Candidate && timer.is_none();
        if timer_before == Some(Timer::Hurry) && campaigns && after.history.is_some() {
            self.marks.hit(Mark::ExhaustedHurry);
        }
        if timer.is_none() {
            self.lost[usize::from(id.0)] = None;
        }
    }
}
