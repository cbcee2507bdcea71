//! What can happen to a cluster: from a state to all that may follow.

use surfstore::metadata::Update;
use surfstore::raft::{BATCH_BYTES_MAX, Call, Event, RoleName, Server, ServerId, Timer};
use surfstore::value::Value;

use crate::configurations::{Bounds, Elections};
use crate::history::History;
use crate::marks::{Mark, Marks};
use crate::state::{Action, Left, SERVERS_MAX, State};
use crate::steps::{AT_ONCE, Local, Steps};
use crate::table::Numbered;

/// The transitions within some bounds, and what is remembered of those taken.
pub(crate) struct Model {
    pub(crate) bounds: Bounds,
    pub(crate) steps: Steps,
    histories: Numbered<History>,
    pub(crate) marks: Marks,
}

impl Model {
    pub(crate) fn new(bounds: Bounds) -> Model {
        let (steps, histories) = (Steps::new(), Numbered::new());
        Model { bounds, steps, histories, marks: Marks::default() }
    }

    /// The state in which the processes have started or, where elections are bundled, have waited one silence out.
    pub(crate) fn start(&mut self) -> State {
        let Bounds { crashes, heartbeats, .. } = self.bounds;
        let ballots = match self.bounds.elections {
            Elections::Bundled => 0,
            Elections::Free { ballots } => ballots,
        };
        let (history, _) = self.histories.number(History::default());
        let left = Left { crashes, heartbeats, ballots };
        let mut state = State { servers: [0; SERVERS_MAX], history, left, network: Vec::new() };
        for id in self.ids() {
            state.servers[usize::from(id.0)] = self.steps.start(id, self.bounds.servers);
            if self.bounds.elections == Elections::Bundled {
                self.settle_event(&mut state, id, Event::Timeout(Timer::Silence));
            }
        }
        state
    }

    fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.bounds.servers).map(ServerId)
    }

    pub(crate) fn local(&self, state: &State, id: ServerId) -> &Local {
        self.steps.local(state.servers[usize::from(id.0)])
    }

    /// What may happen in the state.
    pub(crate) fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::with_capacity(2 * state.network.len() + 16);
        actions.extend(state.network.iter().copied().map(Action::Deliver));
        if self.bounds.failures {
            actions.extend(state.network.iter().copied().map(Action::Fail));
        }
        for id in self.ids() {
            self.local_actions(state, id, &mut actions);
        }
        actions
    }

    fn local_actions(&self, state: &State, id: ServerId, actions: &mut Vec<Action>) {
        let local = self.local(state, id);
        if local.fate {
            actions.push(Action::Timeout(id, Timer::Fate));
        }
        match local.server.role() {
            RoleName::Crashed => return actions.push(Action::Restore(id)),
            RoleName::Leader => self.leader_actions(state, id, actions),
            RoleName::Follower | RoleName::Candidate => self.election_actions(state, id, actions),
        }
        if 0 < state.left.crashes {
            actions.push(Action::Crash(id));
        }
    }

    fn leader_actions(&self, state: &State, id: ServerId, actions: &mut Vec<Action>) {
        if 0 < state.left.heartbeats {
            actions.push(Action::Timeout(id, Timer::Heartbeat));
        }
        let history = self.histories.get(state.history);
        if history.updates_made() < self.bounds.versions.len() {
            actions.push(Action::Update(id));
        }
        if history.reads_made() < usize::from(self.bounds.reads) {
            actions.push(Action::Read(id));
        }
    }

    /// The state after the action, or `None` where it leads nowhere that is not reached without it.
    pub(crate) fn apply(&mut self, before: &State, action: Action) -> Option<State> {
        if let Action::Deliver(message) = action
            && self.changes_nothing(before, message)
        {
            return None;
        }
        let mut state = before.clone();
        if !self.act(&mut state, action) {
            return None;
        }
        self.tidy(before, &mut state);
        (state != *before).then_some(state)
    }

    /// Whether a message does nothing at its receiver, or only what was done when it was sent.
    fn changes_nothing(&mut self, state: &State, message: u32) -> bool {
        let delivery = self.steps.delivery(message);
        let from = state.servers[usize::from(delivery.at.0)];
        let number = self.steps.step(from, delivery.event);
        let step = self.steps.get(number);
        self.marks.add(step.marks);
        step.only_replies(from) && (self.bounds.clearing || step.response.is_none())
    }

    /// Lets something happen. Says whether it came about.
    fn act(&mut self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Deliver(message) => self.deliver(state, message),
            Action::Fail(message) => {
                let failure = self.steps.message(message).failure();
                failure.is_some_and(|(by, event)| self.settle_event(state, by, event))
            }
            Action::Timeout(id, timer) => self.time_out(state, id, timer),
            Action::Stand(id, helpers) => self.campaign(state, id, helpers),
            Action::Update(id) => self.update(state, id),
            Action::Read(id) => self.read(state, id),
            Action::Crash(id) => {
                state.left.crashes -= 1;
                self.settle_event(state, id, Event::Call(AT_ONCE, Call::Crash))
            }
            Action::Restore(id) => {
                self.settle_event(state, id, Event::Call(AT_ONCE, Call::Restore))
            }
        }
    }

    /// Delivers a message; if it is a request, the reply is sent.
    pub(crate) fn deliver(&mut self, state: &mut State, message: u32) -> bool {
        let delivery = self.steps.delivery(message);
        self.settle(state, delivery.at, delivery.event)
    }

    fn time_out(&mut self, state: &mut State, id: ServerId, timer: Timer) -> bool {
        match timer {
            Timer::Heartbeat => state.left.heartbeats -= 1,
            Timer::Election | Timer::Campaign => state.left.ballots -= 1,
            Timer::Silence | Timer::Fate => {}
        }
        self.settle_event(state, id, Event::Timeout(timer))
    }

    fn update(&mut self, state: &mut State, id: ServerId) -> bool {
        let mut history = self.histories.get(state.history).clone();
        let version = self.bounds.versions[history.updates_made()];
        let call = history.update();
        state.history = self.histories.number(history).0;
        let own = i64::try_from(call.0).expect("few calls").into();
        let ballast = if self.bounds.large { BATCH_BYTES_MAX } else { 0 };
        let hashes = [own, Value::Base64(vec![0; ballast].into())].into();
        let update = Call::Update(Update { name: "f".into(), version, hashes });
        self.settle_event(state, id, Event::Call(call, update))
    }

    fn read(&mut self, state: &mut State, id: ServerId) -> bool {
        let mut history = self.histories.get(state.history).clone();
        let call = history.read();
        state.history = self.histories.number(history).0;
        let server = &self.local(state, id).server;
        let committed = server.log().get(server.status().commit_index).map(|entry| entry.term);
        let is_early = committed.is_none_or(|term| term < server.current_term());
        self.marks.hit_if(Mark::EarlyRead, is_early);
        self.settle_event(state, id, Event::Call(call, Call::ReadFiles))
    }

    pub(crate) fn settle_event(&mut self, state: &mut State, id: ServerId, event: Event) -> bool {
        let event = self.steps.event_number(event);
        self.settle(state, id, event)
    }

    /// Takes a server one step on, and checks the whole. Says whether the step does anything.
    fn settle(&mut self, state: &mut State, id: ServerId, event: u32) -> bool {
        let slot = usize::from(id.0);
        let from = state.servers[slot];
        let number = self.steps.step(from, event);
        let step = self.steps.get(number);
        self.marks.add(step.marks);
        if step.only_replies(from) && step.response.is_none() {
            return false;
        }
        state.servers[slot] = step.next;
        state.network.extend(&step.sends);
        state.network.extend(step.response);
        if step.concerns_all {
            self.remember(state, (id, from), number);
        }
        true
    }

    /// Checks a step against the other servers and the past, and enters it there.
    fn remember(&mut self, state: &mut State, (id, from): (ServerId, u32), step: u32) {
        let mut history = self.histories.get(state.history).clone();
        let servers: Vec<&Server> = self.ids().map(|id| &self.local(state, id).server).collect();
        let before = &self.steps.local(from).server;
        let mut marks = Marks::default();
        history.observe(&servers, (id, before), &mut marks);
        for (call, reply) in &self.steps.get(step).answers {
            history.answered(*call, reply);
        }
        self.marks.add(marks);
        state.history = self.histories.number(history).0;
    }
}
