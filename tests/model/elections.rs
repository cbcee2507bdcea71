//! How servers come to stand for election.

use surfstore::raft::{Event, Response, ServerId, Timer};

use crate::configurations::Elections;
use crate::model::Model;
use crate::network::Message;
use crate::state::{Action, State};

impl Model {
    /// The ways in which a follower or candidate may go on towards an election.
    ///
    /// The servers differ by nothing but their numbers, so it is no loss that they first stand in the order of these.
    /// In the last term nobody stands.
    pub(crate) fn election_actions(&self, state: &State, id: ServerId, actions: &mut Vec<Action>) {
        let local = self.local(state, id);
        let timer = local.timer.expect("whoever takes part has a timer");
        let may_stand = local.server.current_term().0 < self.bounds.term
            && (id.0 == 0 || self.local(state, ServerId(id.0 - 1)).stood);
        match self.bounds.elections {
            Elections::Bundled if may_stand => {
                actions.extend(self.helpers(id).map(|helpers| Action::Stand(id, helpers)));
            }
            Elections::Free { .. }
                if timer == Timer::Silence || (may_stand && 0 < state.left.ballots) =>
            {
                actions.push(Action::Timeout(id, timer));
            }
            Elections::Bundled | Elections::Free { .. } => {}
        }
    }

    /// Every set of just as many peers as make a majority with the server, a bit for each.
    fn helpers(&self, id: ServerId) -> impl Iterator<Item = u8> + use<> {
        let servers = self.bounds.servers;
        (0..1 << servers)
            .filter(move |set: &u8| *set & 1 << id.0 == 0)
            .filter(move |set| set.count_ones() == u32::from(servers / 2))
    }

    /// An election whose pre-vote is won at once: silence ends at the server and its helpers, and the pre-votes neither
    /// wait nor get lost. Says whether it is won.
    pub(crate) fn campaign(&mut self, state: &mut State, id: ServerId, helpers: u8) -> bool {
        self.lose_leader(state, id);
        let timer = self.local(state, id).timer.expect("whoever takes part has a timer");
        let sent = state.network.len();
        self.settle_event(state, id, Event::Timeout(timer));
        let requests = state.network.split_off(sent);
        requests.into_iter().all(|request| {
            let helper = self.steps.delivery(request).at;
            helpers & 1 << helper.0 == 0 || self.pre_vote(state, request, helper)
        })
    }

    /// Lets a helper answer a pre-vote and the candidate hear it. Says whether it is granted.
    fn pre_vote(&mut self, state: &mut State, request: u32, helper: ServerId) -> bool {
        self.lose_leader(state, helper);
        if !self.deliver(state, request) {
            return false;
        }
        let reply = state.network.pop().expect("who is not crashed replies");
        let granted = matches!(self.steps.message(reply),
            Message::Response { response: Response::Vote(reply), .. } if reply.vote_granted);
        granted && self.deliver(state, reply)
    }

    fn lose_leader(&mut self, state: &mut State, id: ServerId) {
        if self.local(state, id).timer == Some(Timer::Silence) {
            self.settle_event(state, id, Event::Timeout(Timer::Silence));
        }
    }
}
