//! The simulated world: a clock, a queue of what is going to happen, and servers whose actions it carries out.
//!
//! A server here is the whole of what one is without sockets: requests are bytes that pass through its gate and its
//! decoder, and answers are documents.
//!
//! Everything that is left to chance is drawn from one seed, so a run can be repeated. After every step the world
//! checks the whole; the list of what is checked where is in the crate's documentation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use fastrand::Rng;
use surfstore::config::Config;
use surfstore::gate::{Gate, Received};
use surfstore::protocol::{self, Asked, TypedCall};
use surfstore::raft::{
    self, CallId, Cluster, Incarnation, LogIndex, Member, Response, RoleName, Server, ServerId,
    Status, WAITING_MAX,
};
use surfstore::service::{Action, AnswerBudget, Document, Input, Service, Settings};

use crate::clients::Clients;
use crate::clock::Clock;
use crate::draws::Draws;
use crate::history::{History, Step};
use crate::marks::{Mark, Marks};
use crate::network::{MILLISECOND, Network};
use crate::plan::Losses;
use crate::queue::{Happening, Queue};
use crate::trace;
use crate::wire::{Lanes, Traffic};

/// The longest time after which a server goes on with what it left to do, in microseconds.
const MORE_MAX: u64 = 2 * MILLISECOND;

/// A cluster in its world.
pub(crate) struct World {
    pub(crate) draws: Draws,
    pub(crate) now: u64,
    /// What every clock showed at the beginning.
    pub(crate) start: Instant,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) history: History,
    pub(crate) marks: Marks,
    config: Config,
    /// How many calls may wait at each server.
    pub(crate) waiting_max: usize,
    pub(crate) services: Vec<Service>,
    /// What reads the requests that reach each server.
    gates: Vec<Gate>,
    /// Every server's state as of its last step.
    pub(crate) statuses: Vec<Status>,
    /// Which servers have a process; the others are as they will start.
    pub(crate) running: Vec<bool>,
    /// How many processes there have been.
    launches: u64,
    pub(crate) losses: Losses,
    pub(crate) clocks: Vec<Clock>,
    /// Which servers will go on soon with what they left to do.
    pub(crate) more: Vec<bool>,
    /// How often each server has closed its connections to its peers.
    pub(crate) connections: Vec<u64>,
    /// Until when each server stands still, and until when no message reaches it.
    pub(crate) paused: Vec<u64>,
    pub(crate) clogged: Vec<u64>,
    pub(crate) queue: Queue,
    last_number: u64,
    /// How many steps the servers took.
    pub(crate) events: u64,
    /// The latest replies that arrived.
    pub(crate) past: VecDeque<(ServerId, Member, Response)>,
    pub(crate) lanes: Lanes,
    /// When each server received requests.
    pub(crate) received: Vec<Vec<u64>>,
    pub(crate) traffic: Traffic,
    /// The latest update: its file and version.
    pub(crate) latest: Option<(&'static str, i64)>,
    /// How long the next leader has to live.
    pub(crate) doom: Option<u64>,
    /// When the majority was last lost while a caller waited.
    pub(crate) lost: Option<u64>,
    /// Whether some updates are so large that a log of them takes many appends.
    pub(crate) heavy: bool,
    /// What happened, if that is wanted.
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    /// A cluster of which each server lets as many calls wait as a real one.
    pub(crate) fn new(seed: u64, network: Network, size: u8) -> World {
        World::bounded(seed, network, size, WAITING_MAX)
    }

    /// A cluster of which each server lets at most so many calls wait.
    pub(crate) fn bounded(seed: u64, network: Network, size: u8, waiting_max: usize) -> World {
        let count = usize::from(size);
        let mut world = World {
            draws: Draws::new(seed),
            now: 0,
            start: Instant::now(),
            network,
            clients: Clients::default(),
            history: History::new(size),
            marks: Marks::new(),
            config: configuration(size),
            waiting_max,
            services: Vec::with_capacity(count),
            gates: (0..size).map(|_| Gate::new("localhost")).collect(),
            statuses: Vec::with_capacity(count),
            running: vec![true; count],
            launches: 0,
            losses: Losses::Promised,
            clocks: vec![Clock::new(); count],
            more: vec![false; count],
            connections: vec![0; count],
            paused: vec![0; count],
            clogged: vec![0; count],
            queue: Queue::default(),
            last_number: 0,
            events: 0,
            past: VecDeque::new(),
            lanes: Lanes::new(size),
            received: vec![Vec::new(); count],
            traffic: Traffic::new(size),
            latest: None,
            doom: None,
            lost: None,
            heavy: false,
            trace: None,
        };
        let mut first = Vec::new();
        for id in (0..size).map(ServerId) {
            world.launches += 1;
            let (service, actions) = world.process_of(id, drawn(world.launches), size);
            world.statuses.push(service.server().status());
            world.services.push(service);
            first.push((id, actions));
        }
        first.into_iter().for_each(|(id, actions)| world.begin(id, actions));
        world
    }

    /// A process of a server that starts now.
    fn process_of(
        &mut self,
        id: ServerId,
        incarnation: Incarnation,
        size: u8,
    ) -> (Service, Vec<Action>) {
        let settings = Settings {
            cluster: Cluster::new(id, size).expect("a member"),
            config: self.config.clone(),
            incarnation,
            rng: Rng::with_seed(self.draws.timer(self.now, id).u64(..)),
            waiting_max: self.waiting_max,
            budget: AnswerBudget::default(),
        };
        Service::start(settings, self.local_time(id))
    }

    /// Carries out what a server wants when it starts; one that is alone leads by then.
    pub(crate) fn begin(&mut self, id: ServerId, actions: Vec<Action>) {
        self.perform(id, actions);
        self.schedule_tick(id);
        let after = *self.status(id);
        if after.role == RoleName::Leader {
            let before = Status {
                role: RoleName::Follower,
                commit_index: LogIndex(0),
                last_applied: LogIndex(0),
                last_log: Default::default(),
                ..after
            };
            let step = Step { id, before, after, from: LogIndex(1) };
            self.history.observe(&self.services, &step, &mut self.marks);
        }
    }

    /// A server as a new process of it starts.
    pub(crate) fn start_anew(&mut self, id: ServerId) -> Vec<Action> {
        let slot = usize::from(id.0);
        self.launches += 1;
        let incarnation = match self.losses {
            Losses::Unnoticed => self.statuses[slot].incarnation,
            Losses::Promised | Losses::Any => drawn(self.launches),
        };
        let (service, actions) = self.process_of(id, incarnation, self.size());
        self.statuses[slot] = service.server().status();
        self.services[slot] = service;
        self.gates[slot] = Gate::new("localhost");
        actions
    }

    /// Whether a process was launched in the place of another one.
    pub(crate) fn has_relaunched(&self) -> bool {
        self.services.len() < self.launches as usize
    }

    pub(crate) fn size(&self) -> u8 {
        self.services.len() as u8
    }

    pub(crate) fn majority(&self) -> usize {
        self.services.len() / 2 + 1
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.size()).map(ServerId)
    }

    pub(crate) fn server(&self, id: ServerId) -> &Server {
        self.service(id).server()
    }

    pub(crate) fn service(&self, id: ServerId) -> &Service {
        &self.services[usize::from(id.0)]
    }

    pub(crate) fn status(&self, id: ServerId) -> &Status {
        &self.statuses[usize::from(id.0)]
    }

    pub(crate) fn is_up(&self, id: ServerId) -> bool {
        self.runs_at_all(id) && self.status(id).role != RoleName::Crashed
    }

    /// Whether the server has a process, be it crashed.
    pub(crate) fn runs_at_all(&self, id: ServerId) -> bool {
        self.running[usize::from(id.0)]
    }

    pub(crate) fn process(&self, id: ServerId) -> Incarnation {
        self.status(id).incarnation
    }

    pub(crate) fn is_paused(&self, id: ServerId) -> bool {
        self.now < self.paused[usize::from(id.0)]
    }

    pub(crate) fn up(&self) -> usize {
        self.ids().filter(|id| self.is_up(*id)).count()
    }

    pub(crate) fn leaders(&self) -> impl Iterator<Item = ServerId> {
        self.ids().filter(|id| self.runs_at_all(*id) && self.status(*id).role == RoleName::Leader)
    }

    /// The leader of the newest term that has one.
    pub(crate) fn leader(&self) -> Option<ServerId> {
        self.leaders().max_by_key(|id| self.status(*id).current_term)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Adds a line to the trace; it is not even made where no trace is wanted.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>11.6} s  {}", self.now as f64 / 1e6, line()));
        }
    }

    /// Lets the world go on until that time.
    pub(crate) fn run_until(&mut self, time: u64) {
        while let Some((now, happening)) = self.queue.pop_until(time) {
            self.now = now;
            self.happen(happening);
        }
        self.now = time;
    }

    pub(crate) fn run_for(&mut self, time: u64) {
        self.run_until(self.now + time);
    }

    fn happen(&mut self, happening: Happening) {
        let slot = usize::from(happening.server().0);
        if !self.runs_at_all(happening.server()) {
            if let Happening::Arrival(letter) = happening {
                self.turn_away(&letter);
            }
            return;
        }
        let clogged = if happening.is_message() { self.clogged[slot] } else { 0 };
        let held_until = self.paused[slot].max(clogged);
        if self.now < held_until {
            return self.queue.push(held_until, happening);
        }
        match happening {
            Happening::Tick { id, number } => self.tick(id, number),
            Happening::More(id) => self.go_on(id),
            Happening::Arrival(letter) => self.arrive(letter),
            Happening::Return(letter, outcome) => self.come_back(&letter, outcome),
            Happening::Echo { from, to, process, response } => {
                if self.process(to) == process {
                    self.hear_again(from, to, response);
                }
            }
            Happening::Deadline(letter) => self.miss(&letter),
            Happening::Crash(id) => self.crash(id),
        }
    }

    /// Passes a server an input that is a call which is answered at once, as those of peers and operators are.
    pub(crate) fn ask_at_once(
        &mut self,
        id: ServerId,
        call: CallId,
        document: &[u8],
    ) -> Arc<Document> {
        let mut own = None;
        let input = self.call_of(id, call, document);
        for (answered, document) in self.step(id, input) {
            if answered == call {
                assert!(own.is_none(), "{call:?} was answered twice");
                own = Some(document);
            } else {
                self.answer(answered, &document);
            }
        }
        self.check_waiting(id);
        own.expect("peers and operators are answered at once")
    }

    /// The call that a server reads from the bytes of a request. They come in one piece, or in two.
    pub(crate) fn call_of(&mut self, id: ServerId, call: CallId, request: &[u8]) -> Input {
        let slot = usize::from(id.0);
        let gate = &mut self.gates[slot];
        let cut = call.0.is_multiple_of(4).then(|| call.0 as usize % request.len());
        let (first, second) = request.split_at(cut.unwrap_or(request.len()));
        gate.push(first);
        let mut received = gate.next();
        if !second.is_empty() {
            assert!(received == Ok(Received::NeedMore), "half a request is none");
            gate.push(second);
            received = gate.next();
        }
        let Ok(Received::Request(request)) = received else { panic!("{received:?} is no request") };
        let asked = protocol::read_call(&request.body);
        Input::Call { id: call, asked, since: self.local_time(id) }
    }

    /// A step that may answer clients.
    pub(crate) fn settle(&mut self, id: ServerId, input: Input) {
        for (call, document) in self.step(id, input) {
            self.answer(call, &document);
        }
        self.check_waiting(id);
    }

    /// Takes a server one step on, carries out its actions, checks the whole, and returns its answers.
    fn step(&mut self, id: ServerId, input: Input) -> Vec<(CallId, Arc<Document>)> {
        self.events += 1;
        self.note(|| format!("{}  {}", id.0, trace::told(&input)));
        let slot = usize::from(id.0);
        let before = self.statuses[slot];
        let from = changed_from(&input, &before);
        let now = self.local_time(id);
        // Taken out and put back to its place, at the cost of four moves whatever the size of the cluster.
        let (service, actions) = self.services.swap_remove(slot).handle(now, input);
        let after = service.server().status();
        let has_more = service.has_more();
        self.statuses[slot] = after;
        self.services.push(service);
        let last = self.services.len() - 1;
        self.services.swap(slot, last);
        if before.role == RoleName::Crashed && after.role == RoleName::Crashed {
            let harmless =
                |action: &Action| matches!(action, Action::Answer { .. } | Action::Log(..));
            let answers = actions.iter().all(harmless);
            assert!(answers && before == after, "a crashed server did more than answer");
        }
        let answers = self.perform(id, actions);
        self.schedule_tick(id);
        if has_more && !std::mem::replace(&mut self.more[slot], true) {
            let pause = self.draws.timer(self.now, id).u64(0..MORE_MAX);
            self.queue.push(self.now + pause, Happening::More(id));
        }
        let from = if before.history == after.history { from } else { LogIndex(1) };
        let step = Step { id, before, after, from };
        self.history.observe(&self.services, &step, &mut self.marks);
        if before.commit_index < after.commit_index {
            self.watch_the_promise();
        }
        self.check_timers(id);
        if before.role != after.role {
            self.observe_role(id, &before, &after);
        }
        answers
    }

    /// Lets a server go on with what it left to do.
    fn go_on(&mut self, id: ServerId) {
        self.more[usize::from(id.0)] = false;
        if self.service(id).has_more() {
            // The next call of a multicall.
            self.traffic.calls += 1;
            self.settle(id, Input::Tick);
        }
    }

    fn observe_role(&mut self, id: ServerId, before: &Status, after: &Status) {
        if before.role == RoleName::Leader && after.role == RoleName::Follower && 0 < before.waiting
        {
            self.marks.hit(Mark::DeposedWithCallers);
        }
        if after.role == RoleName::Leader {
            self.repeat_the_past(id);
            if let Some(delay) = self.doom.take() {
                self.queue.push(self.now + delay, Happening::Crash(id));
            }
        }
    }

    pub(crate) fn perform(
        &mut self,
        id: ServerId,
        actions: Vec<Action>,
    ) -> Vec<(CallId, Arc<Document>)> {
        // The lanes have no turn between the actions of one step: what comes before a `Disconnect` never leaves.
        let disconnects = actions.iter().any(|action| matches!(action, Action::Disconnect));
        let mut answers = Vec::new();
        for action in actions {
            match action {
                Action::Send { .. } if disconnects => {}
                Action::Send { to, request } => self.send(id, to, request),
                Action::Answer { id, document } => answers.push((id, document)),
                Action::Disconnect => self.connections[usize::from(id.0)] += 1,
                Action::Log(_, line) => self.note(|| format!("{}  logs: {line}", id.0)),
            }
        }
        answers
    }
}

/// The incarnation of the process of that number. It may begin anew some times without coming near another one's.
fn drawn(process: u64) -> Incarnation {
    Incarnation(100 * process)
}

/// The first place of the log that the input may change.
fn changed_from(input: &Input, before: &Status) -> LogIndex {
    let end = before.last_log.index.next();
    match input {
        Input::Call {
            asked: Ok(Asked::One((_, Ok(TypedCall::Raft(raft::Call::AppendEntries(request)))))),
            ..
        } => request.prev_log.index.next().min(end),
        _ => end,
    }
}

/// The configuration of so many servers.
fn configuration(size: u8) -> Config {
    let mut text = format!("M: {size}\n");
    for id in 0..size {
        text += &format!("metadata{id}: localhost:{}\n", 9001 + u16::from(id));
    }
    Config::parse(&text).expect("a configuration")
}
