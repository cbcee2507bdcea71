//! How servers become candidates.

use surfstore::raft::{BallotKind, Event, Member, Response, RoleName, ServerId, Timer};

use crate::configurations::Elections;
use crate::model::Model;
use crate::network::Message;
use crate::state::{Action, Process, State};
use crate::steps::Local;

impl Model {
    /// The ways in which a follower or candidate may proceed towards an election.
    ///
    /// In the last term no server becomes a candidate.
    pub(crate) fn election_actions(&self, state: &State, id: ServerId, actions: &mut Vec<Action>) {
        let local = self.local(state, id);
        let timer = local.timer.expect("every running server has a timer");
        let may_stand = local.server.current_term().0 < self.bounds.term;
        match self.bounds.elections {
            Elections::Bundled => {
                // Without candidates for a pre-vote, the servers differ only in their numbers. So nothing is lost if
                // they first become candidates in this order.
                if may_stand && (id.0 == 0 || state.stood & 1 << (id.0 - 1) != 0) {
                    actions.extend(self.askable(id).map(|asked| Action::Stand(id, asked)));
                }
                if timer == Timer::Campaign && local.server.log().history().is_none() {
                    actions.push(Action::Timeout(id, timer));
                }
            }
            Elections::Free { hints, .. } => {
                if !begins_ballot(timer) || (may_stand && 0 < state.left.ballots) {
                    actions.push(Action::Timeout(id, timer));
                }
                if hints && local.server.role() == RoleName::Follower {
                    let peers = self.ids().filter(|peer| *peer != id);
                    let processes = peers.flat_map(|peer| self.processes(state, peer));
                    actions.extend(processes.map(|peer| Action::Disconnect(id, peer)));
                }
            }
        }
    }

    /// All processes of a server so far, as members.
    fn processes(&self, state: &State, id: ServerId) -> impl Iterator<Item = Member> {
        let launched = 0..=state.launches[usize::from(id.0)];
        let first = launched.map(move |launch| Process { id, launch }.incarnation());
        let now = self.running(state, id).map(|local| local.server.identity().incarnation);
        first.chain(now).map(move |incarnation| Member { id, incarnation })
    }

    /// Every set of other servers, a bit for each; a single server asks no other.
    fn askable(&self, id: ServerId) -> impl Iterator<Item = u8> + use<> {
        let servers = self.bounds.servers;
        (0..1 << servers)
            .filter(move |set: &u8| *set & 1 << id.0 == 0)
            .filter(move |set| (*set == 0) == (servers == 1))
    }

    /// A pre-vote that completes at once: silence ends at the server and at those that it asks, and the pre-votes are
    /// neither delayed nor lost. Returns whether it has an effect that fewer answers would not have.
    pub(crate) fn campaign(&mut self, state: &mut State, id: ServerId, asked: u8) -> bool {
        let others = self.ids().filter(|peer| asked & 1 << peer.0 != 0);
        if !others.chain([id]).all(|id| self.is_at_rest(state, id)) {
            return false;
        }
        self.lose_leader(state, id);
        let before = self.local(state, id).server.status();
        let founds = before.history.is_none();
        let sent = state.network.len();
        let timer = self.local(state, id).timer.expect("every running server has a timer");
        self.settle_event(state, id, Event::Timeout(timer));
        for request in state.network.split_off(sent) {
            let peer = self.steps.delivery(request).at;
            if asked & 1 << peer.0 == 0 {
                continue;
            }
            if !asks(self.local(state, id), BallotKind::PreVote) {
                return false;
            }
            let helps = self.pre_vote(state, request, peer);
            if self.local(state, id).server.status().incarnation != before.incarnation {
                return asked.count_ones() == 1;
            }
            if !helps && !founds {
                return false;
            }
        }
        if founds && asks(self.local(state, id), BallotKind::PreVote) {
            self.settle_event(state, id, Event::Timeout(Timer::Campaign));
        }
        let local = self.local(state, id);
        let by_everybody = local.ballot.as_ref().is_some_and(|ballot| ballot.account.is_some());
        let least = asked.count_ones() == u32::from(self.bounds.servers / 2);
        let stands = asks(local, BallotKind::Vote) || local.server.role() == RoleName::Leader;
        stands && (founds || by_everybody || least)
    }

    /// Lets a server answer a pre-vote and delivers the answer to the candidate. Returns whether it helps the
    /// candidate.
    fn pre_vote(&mut self, state: &mut State, request: u32, peer: ServerId) -> bool {
        let follows = |local: &Local| local.server.role() == RoleName::Follower;
        if self.running(state, peer).is_some_and(follows) {
            self.lose_leader(state, peer);
        }
        self.deliver(state, request);
        let answer = state.network.pop().expect("a request is answered");
        let helps = match self.steps.message(answer) {
            Message::Response { response: Response::Vote(reply), .. } => reply.vote_granted,
            _ => true,
        };
        self.deliver(state, answer);
        helps
    }

    /// Ends what a server waits for before its turn to stand.
    fn lose_leader(&mut self, state: &mut State, id: ServerId) {
        if let Some(timer) = self.local(state, id).timer.filter(|timer| !begins_ballot(*timer)) {
            self.settle_event(state, id, Event::Timeout(timer));
        }
    }

    /// The time of a candidate that founds a history has expired. Returns whether it wins with the votes that it has.
    pub(crate) fn found(&mut self, state: &mut State, id: ServerId) -> bool {
        self.settle_event(state, id, Event::Timeout(Timer::Campaign));
        self.local(state, id).server.role() == RoleName::Leader
    }
}

/// Whether a follower or candidate begins a ballot when this timer expires.
fn begins_ballot(timer: Timer) -> bool {
    !matches!(timer, Timer::Silence | Timer::Patience)
}

/// Whether it is a candidate that asks for this.
fn asks(local: &Local, kind: BallotKind) -> bool {
    local.ballot.as_ref().is_some_and(|ballot| ballot.kind == kind)
}
