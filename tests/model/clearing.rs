//! Keeping the network small, so that states which differ by nothing that matters are one state.
//!
//! A message stays under way for ever, so the network only grows, and whatever can follow in a state can also follow
//! where more is under way. From this comes the first of three reductions, which needs to know nothing of the core:
//!
//! 1. A request to which its receiver would reply, and otherwise not change, is delivered at once. The state with the
//!    reply has everything that the state without it has.
//!
//! The others rest on rules of Raft. That they hold of the core is not taken for granted: a test compares the searches
//! with and without them, which must find the same states of the servers.
//!
//! 2. What can no longer have an effect is taken off: see [`Model::is_spent`].
//! 3. Of several replies that tell a server of the same newer term, one is kept.

use surfstore::raft::{
    AppendOutcome, AppendReply, BallotKind, Request, Response, RoleName, ServerId, Term, VoteReply,
};

use crate::model::Model;
use crate::network::Message;
use crate::state::State;
use crate::steps::Facts;

impl Model {
    /// Brings the network of a state that follows `before` into its one form.
    pub(crate) fn tidy(&mut self, before: &State, state: &mut State) {
        if self.bounds.clearing {
            self.answer_at_once(before, state);
        }
        state.network.sort_unstable();
        state.network.dedup();
        if self.bounds.clearing {
            self.clear(state);
        }
    }

    /// Delivers the requests that change nothing at their receivers. In `before` this was done, so what was under way
    /// there, and still comes first, needs a look only if its receiver has changed.
    fn answer_at_once(&mut self, before: &State, state: &mut State) {
        let mut place = 0;
        while let Some(message) = state.network.get(place) {
            let delivery = self.steps.delivery(*message);
            let slot = usize::from(delivery.at.0);
            let from = state.servers[slot];
            let is_done = place < before.network.len() && before.servers[slot] == from;
            place += 1;
            if is_done {
                continue;
            }
            let number = self.steps.step(from, delivery.event);
            let step = self.steps.get(number);
            if let Some(response) = step.response.filter(|_| step.only_replies(from))
                && !state.network.contains(&response)
            {
                self.marks.add(step.marks);
                state.network.push(response);
            }
        }
    }

    /// Takes off what is spent, and all but one of the replies that tell a server of the same newer term.
    fn clear(&self, state: &mut State) {
        let mut network = std::mem::take(&mut state.network);
        let mut news: Vec<(ServerId, Term)> = Vec::new();
        network.retain(|message| {
            let message = self.steps.message(*message);
            if self.is_spent(state, message) {
                return false;
            }
            let Some(new) = self.newer_term(state, message) else { return true };
            let is_first = !news.contains(&new);
            news.push(new);
            is_first
        });
        state.network = network;
    }

    /// Whom the reply tells of a term newer than its own, and of which. Whatever else it says, it says to a role that
    /// ends with this.
    fn newer_term(&self, state: &State, message: &Message) -> Option<(ServerId, Term)> {
        let Message::Response { by, response, .. } = message else { return None };
        let asker = self.facts(state, *by);
        (asker.term < response.term()).then_some((*by, response.term()))
    }

    /// Whether the message can no longer have an effect.
    fn is_spent(&self, state: &State, message: &Message) -> bool {
        match message {
            Message::Request { by, to, request } => {
                let (asker, asked) = (self.facts(state, *by), self.facts(state, *to));
                let last = Term(self.bounds.term);
                // While a newer term is to come for the one who is asked, its reply may yet bring news of it.
                asker.term == last && asked.term == last && is_void(request, *by, asker, asked)
            }
            Message::Response { by, response: Response::Vote(reply), .. } => {
                is_counted(reply, self.facts(state, *by))
            }
            Message::Response { by, response: Response::Append(reply), .. } => {
                is_heard(reply, self.facts(state, *by))
            }
        }
    }

    fn facts(&self, state: &State, id: ServerId) -> Facts {
        self.steps.facts(state.servers[usize::from(id.0)])
    }
}

/// Whether a request means nothing to a server in the same last term as the one who asked: it is of an older term, or
/// it asks for a vote that is given already, to another or to somebody who stands no longer.
fn is_void(request: &Request, by: ServerId, asker: Facts, asked: Facts) -> bool {
    match request {
        Request::AppendEntries(request) => request.term < asked.term,
        Request::RequestVote(request) => {
            let stands = asker.role == RoleName::Candidate;
            request.term < asked.term
                || request.kind == BallotKind::PreVote
                || asked.voted_for.is_some_and(|candidate| candidate != by || !stands)
        }
    }
}

/// Whether a vote means nothing to who asked for it: it tells of no newer term, and is no grant to a candidate of its
/// term.
fn is_counted(reply: &VoteReply, asker: Facts) -> bool {
    let stands = asker.role == RoleName::Candidate;
    let is_over = reply.kind == BallotKind::Vote && reply.term < asker.term;
    reply.term <= asker.term && (!reply.vote_granted || !stands || is_over)
}

/// Whether a reply to an append means nothing to who sent it: it tells of no newer term, and its own is over.
fn is_heard(reply: &AppendReply, asker: Facts) -> bool {
    let leads = asker.role == RoleName::Leader;
    let is_stale = reply.outcome == AppendOutcome::Stale;
    reply.term < asker.term || (reply.term == asker.term && (!leads || is_stale))
}
