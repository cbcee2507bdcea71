//! What can happen to a cluster: from one state to all its successors.

use surfstore::metadata::Update;
use surfstore::raft::{BATCH_BYTES_MAX, Call, CallId, Event, RoleName, Server, ServerId, Timer};
use surfstore::value::Value;

use crate::configurations::{Bounds, Disks, Elections, Relaunches, Start, Updates};
use crate::history::History;
use crate::invariants::NOTHING;
use crate::marks::{Mark, Marks};
use crate::state::{Action, ENDED, Left, Process, SERVERS_MAX, State};
use crate::steps::{AT_ONCE, Local, Step, Steps};
use crate::table::Numbered;

/// The size of a leaf of the file map: two files that each have more than half as many bytes do not share one.
const LEAF_BYTES: usize = 64 << 10;

/// The transitions within some bounds, and what is remembered of those taken.
pub(crate) struct Model {
    pub(crate) bounds: Bounds,
    pub(crate) steps: Steps,
    histories: Numbered<History>,
    pub(crate) marks: Marks,
    /// Whether the next disk that is given something begins to stall.
    pub(crate) stalls: bool,
}

impl Model {
    pub(crate) fn new(bounds: Bounds) -> Model {
        let has_disks = bounds.disks != Disks::None;
        let (steps, histories) = (Steps::new(bounds.compaction(), has_disks), Numbered::new());
        Model { bounds, steps, histories, marks: Marks::default(), stalls: false }
    }

    /// The state in which the search begins.
    pub(crate) fn start(&mut self) -> State {
        let Bounds { crashes, heartbeats, relaunches, .. } = self.bounds;
        let ballots = match self.bounds.elections {
            Elections::Bundled => 0,
            Elections::Free { ballots, .. } => ballots,
        };
        let relaunches = match relaunches {
            Relaunches::AtOnce(relaunches) | Relaunches::Apart(relaunches) => relaunches,
        };
        let losses = match self.bounds.disks {
            Disks::None | Disks::Slow => 0,
            Disks::OneByOne(losses) | Disks::Together(losses) => losses,
            Disks::StalledOne | Disks::StalledAll => 1,
        };
        let (history, _) = self.histories.number(History::default());
        let left = Left { crashes, relaunches, heartbeats, ballots, losses };
        let (servers, launches) = ([0; SERVERS_MAX], [0; SERVERS_MAX]);
        let network = Vec::new();
        let mut state = State { servers, launches, stood: 0, stalled: 0, history, left, network };
        // Until all have started, the others count as ended.
        self.ids().for_each(|id| state.servers[usize::from(id.0)] = ENDED);
        self.ids().for_each(|id| self.launch(&mut state, id, 0));
        if self.bounds.start == Start::Joined {
            self.join(&mut state);
        }
        state
    }

    /// Lets server 0 found a history together with all others, and delivers everything that is sent.
    fn join(&mut self, state: &mut State) {
        let others = self.ids().skip(1).fold(0, |set, id| set | 1 << id.0);
        assert!(
            self.campaign(state, ServerId(0), others),
            "nothing prevents it from becoming a candidate"
        );
        loop {
            self.ids().for_each(|id| self.sync(state, id));
            if state.network.is_empty() {
                return;
            }
            let message = state.network.remove(0);
            self.deliver(state, message);
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.bounds.servers).map(ServerId)
    }

    /// The server, unless its process has ended.
    pub(crate) fn running(&self, state: &State, id: ServerId) -> Option<&Local> {
        let number = state.servers[usize::from(id.0)];
        (number != ENDED).then(|| self.steps.local(number))
    }

    /// A server whose process has not ended.
    pub(crate) fn local(&self, state: &State, id: ServerId) -> &Local {
        self.running(state, id).expect("its process has not ended")
    }

    fn servers(&self, state: &State) -> Vec<Option<&Server>> {
        self.ids().map(|id| self.running(state, id).map(|local| &local.server)).collect()
    }

    /// Whether the process has not ended.
    pub(crate) fn lives(&self, state: &State, Process { id, launch }: Process) -> bool {
        let slot = usize::from(id.0);
        state.servers[slot] != ENDED && state.launches[slot] == launch
    }

    /// The actions that are possible in the state.
    pub(crate) fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::with_capacity(2 * state.network.len() + 16);
        actions.extend(state.network.iter().copied().map(Action::Deliver));
        if self.bounds.failures {
            actions.extend(state.network.iter().copied().map(Action::Fail));
        }
        if self.bounds.disks != Disks::None {
            self.disk_actions(state, &mut actions);
        }
        for id in self.ids() {
            match self.running(state, id) {
                Some(local) => self.local_actions(state, id, local, &mut actions),
                None => actions.push(Action::Launch(id)),
            }
        }
        actions
    }

    fn local_actions(&self, state: &State, id: ServerId, local: &Local, actions: &mut Vec<Action>) {
        if local.fate {
            actions.push(Action::Timeout(id, Timer::Fate));
        }
        if 0 < state.left.relaunches {
            actions.push(match self.bounds.relaunches {
                Relaunches::AtOnce(_) => Action::Relaunch(id),
                Relaunches::Apart(_) => Action::End(id),
            });
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
        if !self.steps.facts(state.servers[usize::from(id.0)]).idle {
            actions.push(Action::GoOn(id));
        }
        if !self.local(state, id).server.leads() {
            return;
        }
        let history = self.histories.get(state.history);
        if history.updates_made() < self.bounds.versions.len() {
            actions.push(Action::Update(id));
        }
        if history.reads_made() < usize::from(self.bounds.reads) {
            actions.push(Action::Read(id));
        }
    }

    /// The states after the action: the usual one, unless it leads only to states that are also reached without it, and
    /// one in which a disk begins to stall.
    pub(crate) fn apply(&mut self, before: &State, action: Action) -> [Option<State>; 2] {
        let usual = self.apply_once(before, action);
        if !self.may_stall(before) {
            return [usual, None];
        }
        self.stalls = true;
        let stalled = self.apply_once(before, action);
        self.stalls = false;
        [usual, stalled.filter(|after| before.stalled < after.stalled)]
    }

    fn apply_once(&mut self, before: &State, action: Action) -> Option<State> {
        if let Action::Deliver(message) = action
            && self.changes_nothing(before, message)
        {
            return None;
        }
        let mut state = before.clone();
        if !self.act(&mut state, action) || !self.is_within_bounds(&state) {
            return None;
        }
        self.tidy(before, &mut state);
        (state != *before).then_some(state)
    }

    fn is_within_bounds(&self, state: &State) -> bool {
        let mut servers = self.servers(state).into_iter().flatten();
        servers.all(|server| server.log().last_index().0 <= self.bounds.index)
    }

    /// Whether a message has no effect at its receiver, or only the one that it had when it was sent.
    fn changes_nothing(&mut self, state: &State, message: u32) -> bool {
        let delivery = self.steps.delivery(message);
        let from = state.servers[usize::from(delivery.at.0)];
        let is_answered = self.bounds.clearing || !self.lives(state, delivery.asker);
        if from == ENDED {
            return is_answered;
        }
        if self.steps.local(from).has_open(message) {
            return true;
        }
        let number = self.steps.step(from, delivery.event);
        let step = self.steps.get(number);
        self.marks.add(step.marks);
        self.check_flaw(state, step);
        step.only_replies(from) && (is_answered || step.responses.is_empty())
    }

    /// Performs an action. Returns whether it was possible.
    fn act(&mut self, state: &mut State, action: Action) -> bool {
        match action {
            Action::Deliver(message) => self.deliver(state, message),
            Action::Fail(message) => {
                let by = self.steps.delivery(message).asker;
                let silence = self.steps.message(message).silence();
                let silence = silence.filter(|_| self.lives(state, by));
                silence.is_some_and(|event| self.settle_event(state, by.id, event))
            }
            Action::Timeout(id, timer) => self.time_out(state, id, timer),
            Action::Disconnect(id, peer) => self.settle_event(state, id, Event::Disconnected(peer)),
            Action::Stand(id, asked) => self.campaign(state, id, asked),
            Action::GoOn(id) => self.settle_event(state, id, NOTHING),
            Action::Update(id) => self.update(state, id),
            Action::Read(id) => self.read(state, id),
            Action::Crash(id) => {
                state.left.crashes -= 1;
                self.settle_event(state, id, Event::Call(AT_ONCE, Call::Crash))
            }
            Action::Restore(id) => {
                self.settle_event(state, id, Event::Call(AT_ONCE, Call::Restore))
            }
            Action::Sync(id, number) => self.settle_event(state, id, Event::Saved(number)),
            Action::LosePower(loss) => self.lose_power(state, loss),
            Action::End(id) => self.end(state, id),
            Action::Launch(id) => self.launch_again(state, id),
            Action::Relaunch(id) => {
                self.end(state, id);
                self.refuse_all(state, id);
                self.launch_again(state, id)
            }
        }
    }

    /// Delivers a message; if it is a request, the reply is sent.
    pub(crate) fn deliver(&mut self, state: &mut State, message: u32) -> bool {
        let delivery = self.steps.delivery(message);
        if state.servers[usize::from(delivery.at.0)] != ENDED {
            return self.settle(state, delivery.at, delivery.event);
        }
        let refusal = self.steps.refusal(message);
        state.network.extend(refusal.filter(|_| self.lives(state, delivery.asker)));
        true
    }

    /// The requests in flight to a server whose process has ended are refused.
    fn refuse_all(&mut self, state: &mut State, id: ServerId) {
        for message in state.network.clone() {
            let delivery = self.steps.delivery(message);
            if delivery.asks && delivery.at == id {
                self.deliver(state, message);
            }
        }
    }

    /// A process ends: what it knew is lost, and so is everything in flight to it.
    fn end(&mut self, state: &mut State, id: ServerId) -> bool {
        let slot = usize::from(id.0);
        state.left.relaunches -= 1;
        state.servers[slot] = ENDED;
        state.network.retain(|message| {
            let delivery = self.steps.delivery(*message);
            delivery.asks || delivery.asker.id != id
        });
        let mut history = self.histories.get(state.history).clone();
        history.ended(id, &self.servers(state));
        state.history = self.histories.number(history).0;
        true
    }

    fn launch_again(&mut self, state: &mut State, id: ServerId) -> bool {
        let launch = state.launches[usize::from(id.0)] + 1;
        self.launch(state, id, launch);
        true
    }

    fn launch(&mut self, state: &mut State, id: ServerId, launch: u8) {
        let slot = usize::from(id.0);
        state.launches[slot] = launch;
        state.servers[slot] = self.steps.start(Process { id, launch }, self.bounds.servers);
        self.note_standing(state, id);
        self.remember(state, (id, None), None);
    }

    fn time_out(&mut self, state: &mut State, id: ServerId, timer: Timer) -> bool {
        match timer {
            Timer::Heartbeat => state.left.heartbeats -= 1,
            Timer::Campaign if self.bounds.elections == Elections::Bundled => {
                return self.found(state, id);
            }
            Timer::Start | Timer::Election | Timer::Hurry | Timer::Campaign => {
                state.left.ballots -= 1;
            }
            Timer::Silence | Timer::Patience | Timer::Fate => {}
        }
        self.settle_event(state, id, Event::Timeout(timer))
    }

    fn update(&mut self, state: &mut State, id: ServerId) -> bool {
        let mut history = self.histories.get(state.history).clone();
        let call = history.update(id, &self.local(state, id).server);
        state.history = self.histories.number(history).0;
        let update = self.updated(call).expect("the call is an update");
        self.settle_event(state, id, Event::Call(call, Call::Update(update)));
        let mut history = self.histories.get(state.history).clone();
        history.appended(call, &self.local(state, id).server);
        state.history = self.histories.number(history).0;
        true
    }

    /// The update that the call makes, if it is one.
    fn updated(&self, call: CallId) -> Option<Update> {
        let place = (call.0 as usize).checked_sub(1)?;
        let version = *self.bounds.versions.get(place)?;
        let own = i64::try_from(call.0).expect("few calls").into();
        let (name, ballast) = match self.bounds.updates {
            Updates::Small => ("f".to_owned(), 0),
            Updates::Large => ("f".to_owned(), BATCH_BYTES_MAX),
            Updates::Apart => (format!("f{}", call.0), LEAF_BYTES / 2),
        };
        let hashes = [own, Value::Base64(vec![0; ballast].into())].into();
        Some(Update { name: name.as_str().into(), version, hashes })
    }

    fn read(&mut self, state: &mut State, id: ServerId) -> bool {
        let server = &self.local(state, id).server;
        let committed = server.log().position(server.status().commit_index);
        let is_early = committed.is_none_or(|last| last.term < server.current_term());
        self.marks.hit_if(Mark::EarlyRead, is_early);
        let mut history = self.histories.get(state.history).clone();
        let call = history.read(id, &self.local(state, id).server);
        state.history = self.histories.number(history).0;
        self.settle_event(state, id, Event::Call(call, Call::ReadFiles))
    }

    pub(crate) fn settle_event(&mut self, state: &mut State, id: ServerId, event: Event) -> bool {
        let event = self.steps.event_number(event);
        self.settle(state, id, event)
    }

    /// Lets a server handle one event, and checks the whole state. Returns whether the step has an effect.
    fn settle(&mut self, state: &mut State, id: ServerId, event: u32) -> bool {
        let slot = usize::from(id.0);
        let from = state.servers[slot];
        let number = self.steps.step(from, event);
        let step = self.steps.get(number);
        self.marks.add(step.marks);
        self.check_flaw(state, step);
        if step.only_replies(from) && step.responses.is_empty() {
            return false;
        }
        let concerns_all = step.concerns_all;
        let by_everybody = step.marks.has(Mark::WonByEverybody);
        state.servers[slot] = step.next;
        state.network.extend(&step.sends);
        let is_heard = |response: &&u32| self.lives(state, self.steps.delivery(**response).asker);
        let responses: Vec<u32> = step.responses.iter().filter(is_heard).copied().collect();
        state.network.extend(responses);
        self.note_standing(state, id);
        if by_everybody {
            self.forget_the_dead(state);
        }
        if concerns_all {
            self.remember(state, (id, Some(from)), Some(number));
        }
        if self.syncs_at_once(state, id) {
            self.sync_or_stall(state, id);
        }
        true
    }

    /// No living process is told that its request is flawed.
    fn check_flaw(&self, state: &State, step: &Step) {
        if let Some((asker, flaw)) = step.flaw {
            assert!(!self.lives(state, asker), "a request of {asker:?}: {flaw}");
        }
    }

    /// The promise does not cover requests of an ended process that arrive only after both rounds of everybody's vote.
    fn forget_the_dead(&self, state: &mut State) {
        let mut network = std::mem::take(&mut state.network);
        network.retain(|message| self.lives(state, self.steps.delivery(*message).asker));
        state.network = network;
    }

    fn note_standing(&self, state: &mut State, id: ServerId) {
        let stands =
            matches!(self.local(state, id).server.role(), RoleName::Candidate | RoleName::Leader);
        state.stood |= u8::from(stands) << id.0;
    }

    /// Checks a step, or the start of a process, against the other servers and the past, and records it there.
    pub(crate) fn remember(
        &mut self,
        state: &mut State,
        (id, from): (ServerId, Option<u32>),
        step: Option<u32>,
    ) {
        let mut history = self.histories.get(state.history).clone();
        let mut marks = Marks::default();
        let before = from.map(|from| &self.steps.local(from).server);
        history.observe(&self.servers(state), (id, before), &mut marks);
        for (call, reply) in step.iter().flat_map(|step| &self.steps.get(*step).answers) {
            history.answered(*call, reply, self.updated(*call).as_ref());
        }
        self.marks.add(marks);
        self.set_history(state, history);
        self.check_saved(state);
    }

    pub(crate) fn history(&self, state: &State) -> &History {
        self.histories.get(state.history)
    }

    pub(crate) fn set_history(&mut self, state: &mut State, history: History) {
        state.history = self.histories.number(history).0;
    }
}
