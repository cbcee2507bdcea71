//! Changes that reach the disk, and servers that lose their power.
//!
//! If no server can lose its power any more, what a server hands over is on disk at once. The answers that would wait may
//! as well be in flight, and a leader that would not count itself yet may as well not have heard from its followers.
//! Before that, disks take any time or, in the large searches, no time until they begin to stall: a disk that has made
//! its last change before the power is lost may as well have made all earlier ones at once, for the same reason.

use surfstore::raft::{BallotKind, Event, Request, Response, ServerId, VoteReply};

use crate::configurations::Disks;
use crate::disks::Disk;
use crate::model::Model;
use crate::network::Message;
use crate::state::{Action, SERVERS_MAX, State};

impl Model {
    /// What the disks and the power may do next.
    pub(crate) fn disk_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for id in self.ids().filter(|id| !self.syncs_at_once(state, *id)) {
            let queue = self.disk(state, id).queue.iter();
            let queue = queue.filter(|_| state.stalled & 1 << id.0 == 0);
            actions.extend(queue.map(|save| Action::Sync(id, save.number)));
        }
        if 0 < state.left.losses {
            actions.extend(self.losses(state).into_iter().map(Action::LosePower));
        }
    }

    /// Every way in which power can be lost next.
    fn losses(&self, state: &State) -> Vec<[Option<u8>; SERVERS_MAX]> {
        let kept = |id| {
            let queue = self.disk(state, id).queue.len();
            // A change more would be one before which the disk had not stalled yet.
            let queue = if state.stalled & 1 << id.0 == 0 { queue } else { 0 };
            (0..=queue).map(|kept| u8::try_from(kept).expect("few changes")).map(Some)
        };
        let none = [None; SERVERS_MAX];
        let with = |loss: [Option<u8>; SERVERS_MAX], id: ServerId| {
            kept(id).map(move |kept| {
                let mut loss = loss;
                loss[usize::from(id.0)] = kept;
                loss
            })
        };
        match self.bounds.disks {
            Disks::Together(_) | Disks::StalledAll => self.ids().fold(vec![none], |losses, id| {
                losses.into_iter().flat_map(|loss| with(loss, id)).collect()
            }),
            Disks::OneByOne(_) => self.ids().flat_map(|id| with(none, id)).collect(),
            Disks::StalledOne => {
                let may_lose = |id: &ServerId| state.stalled & !(1 << id.0) == 0;
                self.ids().filter(may_lose).flat_map(|id| with(none, id)).collect()
            }
            Disks::None | Disks::Slow => Vec::new(),
        }
    }

    /// Whether all that the server hands over is on disk at once.
    pub(crate) fn syncs_at_once(&self, state: &State, id: ServerId) -> bool {
        match self.bounds.disks {
            Disks::None | Disks::Slow => false,
            Disks::OneByOne(_) | Disks::Together(_) => state.left.losses == 0,
            Disks::StalledOne | Disks::StalledAll => state.stalled & 1 << id.0 == 0,
        }
    }

    /// Brings what the server has handed over to its disk.
    pub(crate) fn sync(&mut self, state: &mut State, id: ServerId) {
        let disk = self.local(state, id).disk.as_ref();
        let last = disk.and_then(|disk| disk.queue.last()).map(|save| save.number);
        if let Some(last) = last {
            self.settle_event(state, id, Event::Saved(last));
        }
    }

    /// Whether another disk may begin to stall.
    pub(crate) fn may_stall(&self, state: &State) -> bool {
        match self.bounds.disks {
            Disks::None | Disks::Slow | Disks::OneByOne(_) | Disks::Together(_) => false,
            Disks::StalledOne => 0 < state.left.losses && state.stalled == 0,
            Disks::StalledAll => 0 < state.left.losses,
        }
    }

    /// Brings what the server has handed over to its disk, unless that begins to stall.
    pub(crate) fn sync_or_stall(&mut self, state: &mut State, id: ServerId) {
        if self.stalls && !self.is_at_rest(state, id) {
            self.stalls = false;
            state.stalled |= 1 << id.0;
        } else {
            self.sync(state, id);
        }
    }

    fn disk<'a>(&'a self, state: &State, id: ServerId) -> &'a Disk {
        self.local(state, id).disk.as_ref().expect("it has a disk")
    }

    /// Whether nothing is on its way to the server's disk. A pre-vote asks and is answered only then.
    pub(crate) fn is_at_rest(&self, state: &State, id: ServerId) -> bool {
        let is_at_rest = |disk: &Disk| disk.queue.is_empty();
        let local = self.running(state, id);
        local.is_none_or(|local| local.disk.as_ref().is_none_or(is_at_rest))
    }

    /// Some servers lose their power and come back at once. What they have sent stays in flight. Replies to that are
    /// lost, and requests in flight to them may be refused.
    pub(crate) fn lose_power(
        &mut self,
        state: &mut State,
        loss: [Option<u8>; SERVERS_MAX],
    ) -> bool {
        state.left.losses -= 1;
        state.stalled = 0;
        let losers: Vec<ServerId> =
            self.ids().filter(|id| loss[usize::from(id.0)].is_some()).collect();
        let mut history = self.history(state).clone();
        for id in losers.iter().copied() {
            let slot = usize::from(id.0);
            let kept = loss[slot].expect("it loses its power");
            let (server, marks) =
                self.steps.recover(state.servers[slot], kept, self.bounds.servers);
            self.marks.add(marks);
            history.hang_up(id);
            state.servers[slot] = server;
            state.launches[slot] += 1;
            state.network.retain(|message| {
                let delivery = self.steps.delivery(*message);
                delivery.asks || delivery.asker.id != id
            });
        }
        self.set_history(state, history);
        self.refuse_those_to(state, &losers);
        losers.iter().for_each(|id| self.check_shown(state, *id));
        losers.into_iter().for_each(|id| self.remember(state, (id, None), None));
        for id in self.ids() {
            if self.syncs_at_once(state, id) {
                self.sync(state, id);
            }
        }
        true
    }

    fn refuse_those_to(&mut self, state: &mut State, ids: &[ServerId]) {
        for message in state.network.clone() {
            let delivery = self.steps.delivery(message);
            if delivery.asks && ids.contains(&delivery.at) && self.lives(state, delivery.asker) {
                state.network.extend(self.steps.refusal(message));
            }
        }
    }

    /// A server that comes back is not behind what any message of it in flight shows.
    fn check_shown(&self, state: &State, id: ServerId) {
        let status = self.local(state, id).server.status();
        for message in &state.network {
            let (term, vote) = match self.steps.message(*message) {
                Message::Request { by, request, .. } if by.id == id => {
                    let asks =
                        matches!(request, Request::RequestVote(it) if it.kind == BallotKind::Vote);
                    (request.sender().term, asks.then_some(id))
                }
                Message::Response { to, response, by, .. } if *to == id => {
                    let grants = |it: &VoteReply| it.vote_granted && it.kind == BallotKind::Vote;
                    let grants = matches!(response, Response::Vote(reply) if grants(reply));
                    (response.sender().term, grants.then_some(by.id))
                }
                _ => continue,
            };
            assert!(term <= status.current_term, "it has forgotten a term that it has shown");
            let voted_for = status.voted_for.map(|candidate| candidate.id);
            let is_kept = term < status.current_term || vote.is_none() || vote == voted_for;
            assert!(is_kept, "it has forgotten a vote that it has shown");
        }
    }

    /// Every entry that was ever committed is on the disks of a majority.
    pub(crate) fn check_saved(&self, state: &State) {
        if self.bounds.disks != Disks::None {
            let disks = self.ids().filter_map(|id| self.running(state, id)?.disk.as_ref());
            let saved: Vec<_> = disks.map(|disk| &disk.saved).collect();
            self.history(state).check_saved(&saved, self.bounds.servers);
        }
    }
}
