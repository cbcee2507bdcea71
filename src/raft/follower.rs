//! The follower (§5.2): answers candidates and its leader, and stands for election if it hears from none.

use super::core::{Core, LeaderRequest};
use super::event::{Call, CallError, CallId, Effects, Event, Reply, Timer};
use super::hurry::Hurry;
use super::identity::Member;
use super::log::Term;
use super::node::Node;
use super::role::{Role, RoleName};
use super::rpc::{AppendOutcome, BallotKind, RequestVote};
use super::server::Server;

/// A server that takes its entries from a leader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Follower {
    /// The leader of the current term, from its first append until the silence phase ends or its connections close. In
    /// a hurry, its answer that it leads counts like an append.
    leader: Option<Member>,
    phase: FollowerPhase,
}

/// What the follower's one timer measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum FollowerPhase {
    /// It assumes that there is a leader. Every sign of the leader restarts this phase.
    #[default]
    Silence,
    /// It assumes that the leader is gone, and waits for its own turn to stand or for another candidate.
    Election,
}

impl Follower {
    /// A server that has heard of its leader just now.
    pub(super) fn of(leader: Member) -> Follower {
        Follower { leader: Some(leader), phase: FollowerPhase::Silence }
    }

    /// A server that assumes no leader and waits for its turn.
    pub(super) fn without_leader() -> Follower {
        Follower { leader: None, phase: FollowerPhase::Election }
    }

    /// A server that gives up another role for a newer term. It gives that term's leader time to show itself, unless it
    /// is in a hurry.
    pub(super) fn stepped_down(core: &Core) -> Follower {
        match core.hurry() {
            Some(_) => Follower::without_leader(),
            None => Follower::default(),
        }
    }
}

impl Role for Follower {
    const NAME: RoleName = RoleName::Follower;

    fn enter(&self, core: &mut Core, out: &mut Effects) {
        out.arm(match (self.phase, core.hurry()) {
            (FollowerPhase::Silence, None) => Timer::Silence,
            (FollowerPhase::Silence, Some(_)) => Timer::Patience,
            (FollowerPhase::Election, None) => Timer::Start,
            (FollowerPhase::Election, Some(_)) => Timer::Hurry,
        });
    }

    fn leader(&self, _core: &Core) -> Option<Member> {
        self.leader
    }
}

impl Node<Follower> {
    pub(super) fn step(self, event: Event, out: &mut Effects) -> Server {
        match event {
            Event::Timeout(timer) => self.time_out(timer, out),
            Event::Call(call, request) => self.serve(call, request, out),
            Event::HangUp(call) => {
                let mut node = self;
                node.core.forget(call);
                Server::Follower(node)
            }
            Event::Disconnected(peer) => {
                let mut node = self;
                node.lose(peer, out);
                Server::Follower(node)
            }
            // Everything that it asked for in another role is settled.
            Event::Response { .. } | Event::Unanswered { .. } => Server::Follower(self),
            // What waited for it is done already.
            Event::Saved(_) => Server::Follower(self),
        }
    }

    fn time_out(mut self, timer: Timer, out: &mut Effects) -> Server {
        match (timer, self.role.phase) {
            (Timer::Silence | Timer::Patience, FollowerPhase::Silence) => {
                self.role = Follower::without_leader();
                out.arm(self.core.hurry().map_or(Timer::Election, |_| Timer::Hurry));
            }
            (Timer::Start | Timer::Election | Timer::Hurry, FollowerPhase::Election) => {
                return self.campaign(out);
            }
            (Timer::Fate, _) => self.core.give_up(|_| true, CallError::OutcomeUnknown, out),
            _ => {}
        }
        Server::Follower(self)
    }

    fn serve(mut self, call: CallId, request: Call, out: &mut Effects) -> Server {
        match request {
            Call::Update(_) | Call::ReadFiles => {
                out.fail(call, CallError::NotLeader(self.role.leader.map(|leader| leader.id)))
            }
            Call::Crash => return self.crash(call, out),
            Call::Restore => out.reply(call, Reply::Done),
            Call::RequestVote(request) => self.answer_candidate(call, &request, out),
            Call::AppendEntries(request) => self.answer_leader(call, request, out),
            Call::InstallSnapshot(request) => self.answer_leader(call, request, out),
        }
        Server::Follower(self)
    }

    /// Receiver implementation of RequestVote (Figure 2), and of the pre-vote (thesis §9.6).
    pub(super) fn answer_candidate(
        &mut self,
        call: CallId,
        request: &RequestVote,
        out: &mut Effects,
    ) {
        let granted = match request.kind {
            // A follower that assumes it has a leader helps no candidate to depose it.
            BallotKind::PreVote => {
                self.role.phase == FollowerPhase::Election && self.core.would_vote(request)
            }
            BallotKind::Vote => self.core.vote(request),
        };
        if granted && request.kind == BallotKind::Vote {
            // §5.2: only a granted vote and the current leader restart the timer.
            self.role.phase = FollowerPhase::Silence;
            self.role.enter(&mut self.core, out);
        }
        out.reply(call, Reply::Vote(self.core.vote_reply(request, granted)));
    }

    /// Receiver implementation of AppendEntries (Figure 2) and InstallSnapshot (Figure 13).
    pub(super) fn answer_leader(
        &mut self,
        call: CallId,
        request: impl LeaderRequest,
        out: &mut Effects,
    ) {
        let (sender, round) = (*request.sender(), request.round());
        let outcome = if sender.term < self.core.current_term {
            AppendOutcome::Stale
        } else {
            if request.has_majority() {
                self.trust(sender.member(), out);
            } else if self.core.leader_history != sender.history {
                // Two leaders of one term are founding two histories, and this log becomes that of the other.
                self.role.leader = None;
            }
            request.store(&mut self.core, out)
        };
        out.reply(call, self.core.append_reply(round, outcome));
    }

    /// Enters a newer term in place. The timer keeps running, because a newer term alone is no sign of a leader.
    pub(super) fn enter_term(&mut self, term: Term) {
        self.role.leader = None;
        self.core.enter_term(term);
    }

    /// A leader that has a majority has shown itself.
    fn trust(&mut self, leader: Member, out: &mut Effects) {
        self.core.last_hurry = None;
        self.role = Follower::of(leader);
        self.role.enter(&mut self.core, out);
    }

    /// A peer's connections have closed. If this server counted on that peer, it is in a hurry from now on.
    fn lose(&mut self, peer: Member, out: &mut Effects) {
        let awaits_winner = self.core.leader_history.is_none() && self.core.voted_for == Some(peer);
        if self.role.leader == Some(peer) || awaits_winner {
            self.core.last_hurry = Some(Hurry::after_loss_of(peer));
            self.role = Follower::without_leader();
            self.role.enter(&mut self.core, out);
        }
    }
}
