//! Keeping the network small, so that states that differ only in irrelevant messages are one state.
//!
//! A message stays in flight for ever, so the network only grows, and everything that can follow in a state can also
//! follow with more messages in flight. This allows the first of three reductions, which needs no knowledge of the
//! core:
//!
//! 1. A request to which its receiver would reply, and otherwise not change, is delivered at once. The state with the
//!    reply has everything that the state without it has.
//!
//! The others rely on rules of Raft. It is not taken for granted that they hold for the core: a test compares the
//! searches with and without them, which must find the same states of the servers.
//!
//! 2. A message that can no longer have an effect is removed: see [`Model::is_spent`].
//! 3. Of several replies that tell a server of the same newer term, one is kept.

use surfstore::raft::{BallotKind, Identity, Request, Response, RoleName, ServerId, Term};

use crate::configurations::Disks;
use crate::model::Model;
use crate::network::Message;
use crate::state::{ENDED, Process, State};
use crate::steps::Facts;

impl Model {
    /// Brings the network of a state that follows `before` into its canonical form.
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

    /// Delivers the requests that change nothing at their receivers. This was done in `before`, so what was in flight
    /// there must be checked again only if its receiver has changed.
    fn answer_at_once(&mut self, before: &State, state: &mut State) {
        let mut place = 0;
        while let Some(message) = state.network.get(place).copied() {
            place += 1;
            let delivery = self.steps.delivery(message);
            let slot = usize::from(delivery.at.0);
            let from = state.servers[slot];
            let is_done =
                before.servers[slot] == from && before.network.binary_search(&message).is_ok();
            if is_done || !self.lives(state, delivery.asker) {
                continue;
            }
            if let Some(answer) = self.answer(from, message)
                && !state.network.contains(&answer)
            {
                state.network.push(answer);
            }
        }
    }

    /// The reply of a server in that state to a request that changes nothing there.
    fn answer(&mut self, from: u32, message: u32) -> Option<u32> {
        if from == ENDED {
            return self.steps.refusal(message);
        }
        if self.steps.local(from).has_open(message) {
            return None;
        }
        let event = self.steps.delivery(message).event;
        let number = self.steps.step(from, event);
        let step = self.steps.get(number);
        let answer = step.responses.first().copied().filter(|_| step.only_replies(from))?;
        self.marks.add(step.marks);
        Some(answer)
    }

    /// Removes what is spent, and all but one of the replies that tell a server of the same newer term.
    fn clear(&mut self, state: &mut State) {
        let mut network = std::mem::take(&mut state.network);
        let mut news: Vec<(ServerId, Term)> = Vec::new();
        network.retain(|message| {
            if self.is_spent(state, *message) {
                return false;
            }
            let Some(new) = self.newer_term(state, *message) else { return true };
            let is_first = !news.contains(&new);
            news.push(new);
            is_first
        });
        for message in &mut network {
            *message = self.without_what_is_not_read(state, *message);
        }
        network.sort_unstable();
        network.dedup();
        state.network = network;
    }

    /// The reply without its sender's last position, if its receiver does not read that: a leader reads it from an
    /// incarnation that it did not know, and from a follower that lacks dropped entries. The latter may come up later, so
    /// where entries are dropped, nothing is left out.
    fn without_what_is_not_read(&mut self, state: &State, message: u32) -> u32 {
        if self.bounds.cut {
            return message;
        }
        let delivery = self.steps.delivery(message);
        let from = state.servers[usize::from(delivery.at.0)];
        let Some(less) = delivery.without_position else { return message };
        let event = self.steps.delivery(less).event;
        let (whole, part) = (self.steps.step(from, delivery.event), self.steps.step(from, event));
        let is_read = !self.steps.get(whole).does_the_same(self.steps.get(part));
        if is_read { message } else { less }
    }

    /// The receiver that the reply tells of a term newer than its own, and that term. The rest of the reply does not
    /// matter, because the receiver's role ends with this.
    fn newer_term(&self, state: &State, message: u32) -> Option<(ServerId, Term)> {
        let Message::Response { by, response, .. } = self.steps.message(message) else {
            return None;
        };
        let (asker, term) = (self.facts(state, by.id), response.sender().term);
        (asker.term < term).then_some((by.id, term))
    }

    /// Whether the message can no longer have an effect.
    fn is_spent(&mut self, state: &State, message: u32) -> bool {
        let is_awaited = match self.steps.message(message) {
            Message::Request { by, to, request } => {
                // A process that starts there later may react to what the present one ignores.
                // Also one that comes back, and an answer to it may have to wait for the disk.
                let has_ended = state.servers[usize::from(to.0)] == ENDED;
                let in_memory = self.bounds.disks == Disks::None;
                let is_last = state.left.relaunches == 0
                    && !has_ended
                    && (in_memory || (state.left.losses == 0 && self.syncs_at_once(state, *to)));
                return is_last && self.is_void(state, (*by, *to), request);
            }
            Message::Response { by, asked, response, .. } => {
                let (asker, sender) = (self.facts(state, by.id), response.sender());
                // A reply to an append of an earlier term may still show the leader which process answers.
                let shows = *asked < asker.term && sender.term == asker.term && may_lead(asker);
                if asker.term < sender.term || shows {
                    return false;
                }
                is_heard(response, sender, asker)
            }
            Message::Failure { by, request, .. } => is_awaited(request, self.facts(state, by.id)),
        };
        !is_awaited || (state.left.heartbeats == 0 && self.changes_nothing_there(state, message))
    }

    fn changes_nothing_there(&mut self, state: &State, message: u32) -> bool {
        let delivery = self.steps.delivery(message);
        let from = state.servers[usize::from(delivery.at.0)];
        let step = self.steps.step(from, delivery.event);
        self.steps.get(step).only_replies(from)
    }

    /// Whether a request has no effect on a server in the last term: it is of an older term, or it asks for a vote that
    /// is already given, and the reply has no effect on the sender.
    fn is_void(&self, state: &State, (by, to): (Process, ServerId), request: &Request) -> bool {
        let asked = self.facts(state, to);
        let asker = self.lives(state, by).then(|| self.facts(state, by.id));
        let last = Term(self.bounds.term);
        // As long as the receiver can still reach a newer term, its reply may bring news of it.
        if asked.term != last || asker.is_some_and(|asker| asker.term != last) {
            return false;
        }
        match request {
            Request::AppendEntries(_) | Request::InstallSnapshot(_) => {
                request.sender().term < asked.term && !asker.is_some_and(may_lead)
            }
            Request::RequestVote(vote) => {
                // A server that has voted may still learn who has ended, until its log is the winner's.
                let tells = vote.account.is_some() && asked.last_log.term < last;
                // A server that has come back trusts the candidate of its vote only when that asks again.
                let is_its = asked.voted_for == Some(vote.sender.member());
                let grants = is_its && self.bounds.disks != Disks::None;
                let is_settled = vote.kind == BallotKind::PreVote
                    || vote.sender.term < asked.term
                    || (asked.voted_for.is_some() && !tells && !grants);
                is_settled && !asker.is_some_and(|asker| is_awaited(request, asker))
            }
        }
    }

    fn facts(&self, state: &State, id: ServerId) -> Facts {
        self.steps.facts(state.servers[usize::from(id.0)])
    }
}

/// Whether it leads in its term, or may still do so.
fn may_lead(asker: Facts) -> bool {
    matches!(asker.role, RoleName::Candidate | RoleName::Leader)
}

/// Whether a reply without a newer term has an effect on the sender of the request: it is to the candidate's ballot, or
/// of the leader's term.
fn is_heard(response: &Response, sender: &Identity, asker: Facts) -> bool {
    match response {
        Response::Vote(reply) => asker.ballot == Some((reply.kind, reply.ballot)),
        Response::Append(_) => asker.role == RoleName::Leader && sender.term == asker.term,
    }
}

/// Whether it matters to the sender that there is no reply: it is the candidate of that ballot, or the leader of that
/// term.
fn is_awaited(request: &Request, asker: Facts) -> bool {
    match request {
        Request::RequestVote(request) => asker.ballot == Some((request.kind, request.ballot)),
        Request::AppendEntries(_) | Request::InstallSnapshot(_) => {
            asker.role == RoleName::Leader && request.sender().term == asker.term
        }
    }
}
