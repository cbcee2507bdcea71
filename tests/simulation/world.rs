//! The simulated world: the time, a queue of what is going to happen, and servers whose actions it carries out.
//!
//! A server is complete except for its sockets: requests are bytes that pass through its gate and its decoder, and
//! answers are documents.
//!
//! Everything random is drawn from one seed, so a run can be repeated. After every step the world checks all servers.
//! The documentation of the crate lists what is checked where.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use fastrand::Rng;
use surfstore::config::Config;
use surfstore::gate::{Gate, Received};
use surfstore::protocol::{self, Asked, TypedCall};
use surfstore::raft::{
    self, CallId, Cluster, Compaction, Incarnation, LogIndex, Member, Origin, Response, RoleName,
    Server, ServerId, Status,
};
use surfstore::service::{Action, AnswerBudget, Document, HeldBytes, Input, Service, Settings};

use crate::clients::Clients;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::draws::Draws;
use crate::durability::Disks;
use crate::history::{History, Step};
use crate::marks::{Mark, Marks};
use crate::network::{MILLISECOND, Network};
use crate::plan::{Limits, Losses};
use crate::queue::{Happening, Queue};
use crate::snapshots::Snapshots;
use crate::trace;
use crate::wire::{Delivered, Lanes, Traffic};

/// The maximum time until a server continues with the work that it left for later, in microseconds.
const MORE_MAX: u64 = 2 * MILLISECOND;

/// A cluster in its world.
pub(crate) struct World {
    pub(crate) draws: Draws,
    /// The true time since the beginning, in microseconds.
    pub(crate) now: u64,
    /// What every clock showed at the beginning.
    pub(crate) start: Instant,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) history: History,
    pub(crate) marks: Marks,
    config: Config,
    pub(crate) limits: Limits,
    /// When each process drops entries, and how it sends snapshots.
    pub(crate) compactions: Vec<Compaction>,
    pub(crate) services: Vec<Service>,
    /// The gate of each server, which reads the requests that reach it.
    gates: Vec<Gate>,
    /// Every server's state as of its last step.
    pub(crate) statuses: Vec<Status>,
    /// Which servers have a process. The others already have the state in which they will start.
    pub(crate) running: Vec<bool>,
    /// How many processes have been launched.
    launches: u64,
    pub(crate) losses: Losses,
    pub(crate) clocks: Vec<Clock>,
    /// Which servers are scheduled to continue with the work that they left for later.
    pub(crate) more: Vec<bool>,
    /// How often each server has closed its connections to its peers.
    pub(crate) connections: Vec<u64>,
    /// For each server in a hurry, the leader whose connections have closed; `None` if it was a vote that was lost.
    pub(crate) lost: Vec<Option<Member>>,
    /// Until when each server does nothing.
    pub(crate) paused: Vec<u64>,
    /// Until when no message reaches each server.
    pub(crate) clogged: Vec<u64>,
    pub(crate) queue: Queue,
    last_number: u64,
    /// How many steps the servers have taken.
    pub(crate) events: u64,
    /// The last replies that arrived: the replying server, the process that it replied to, and the reply.
    pub(crate) past: VecDeque<(ServerId, Member, Response)>,
    pub(crate) lanes: Lanes,
    pub(crate) snapshots: Snapshots,
    pub(crate) disks: Disks,
    /// The requests of peers that wait for an answer, because it waits for a disk.
    pub(crate) delivered: BTreeMap<CallId, Delivered>,
    /// When each server received requests.
    pub(crate) received: Vec<Vec<u64>>,
    pub(crate) traffic: Traffic,
    /// The latest update: its file and version.
    pub(crate) latest: Option<(String, i64)>,
    /// How long after its election the next leader crashes, if it shall.
    pub(crate) doom: Option<u64>,
    /// When the majority was last lost while a caller waited.
    pub(crate) majority_lost: Option<u64>,
    /// Whether the last server that took a step was writing a map for its readers before.
    pub(crate) was_writing: bool,
    /// Whether some updates are so large that it takes many appends to send a log.
    pub(crate) heavy: bool,
    /// The lines that say what happened, if a trace is wanted.
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    /// A cluster whose servers have the limits of real ones.
    pub(crate) fn new(seed: u64, network: Network, size: u8) -> World {
        World::bounded(seed, network, size, Limits::default())
    }

    /// A cluster whose servers have these limits.
    pub(crate) fn bounded(seed: u64, network: Network, size: u8, limits: Limits) -> World {
        let count = usize::from(size);
        let mut draws = Draws::new(seed);
        let disks = (0..size).map(|id| first_disk(&limits, id, &mut draws)).collect();
        let mut world = World {
            draws,
            now: 0,
            start: Instant::now(),
            network,
            clients: Clients::default(),
            history: History::new(size),
            marks: Marks::new(),
            config: configuration(size),
            limits,
            compactions: vec![Compaction::default(); count],
            services: Vec::with_capacity(count),
            gates: (0..size).map(|_| Gate::new("localhost")).collect(),
            statuses: Vec::with_capacity(count),
            running: vec![true; count],
            launches: 0,
            losses: Losses::Promised,
            clocks: vec![Clock::new(); count],
            more: vec![false; count],
            connections: vec![0; count],
            lost: vec![None; count],
            paused: vec![0; count],
            clogged: vec![0; count],
            queue: Queue::default(),
            last_number: 0,
            events: 0,
            past: VecDeque::new(),
            lanes: Lanes::new(size),
            snapshots: Snapshots::new(size),
            disks: Disks::new(disks),
            delivered: BTreeMap::new(),
            received: vec![Vec::new(); count],
            traffic: Traffic::new(size),
            latest: None,
            doom: None,
            majority_lost: None,
            was_writing: false,
            heavy: false,
            trace: None,
        };
        let mut first = Vec::new();
        for id in (0..size).map(ServerId) {
            world.launches += 1;
            let incarnation = incarnation_of(world.launches);
            let (service, actions) = world.process_of(id, incarnation, size);
            world.statuses.push(service.server().status());
            world.services.push(service);
            first.push((id, actions));
        }
        first.into_iter().for_each(|(id, actions)| world.begin(id, actions));
        if world.disks.are_mixed() {
            world.marks.hit(Mark::SomeDisks);
        }
        world
    }

    /// A new process of a server, and its first actions.
    fn process_of(
        &mut self,
        id: ServerId,
        incarnation: Incarnation,
        size: u8,
    ) -> (Service, Vec<Action>) {
        let settings = Settings {
            cluster: Cluster::new(id, size).expect("a member"),
            config: self.config.clone(),
            origin: match self.disks.disk(id) {
                Some(disk) => Origin::Disk(disk.saved().clone()),
                None => Origin::Memory(incarnation),
            },
            compaction: self.draw_compaction(id),
            rng: Rng::with_seed(self.draws.timer(self.now, id).u64(..)),
            waiting_max: self.limits.waiting_max,
            budget: AnswerBudget::default(),
            requests: HeldBytes::default(),
            memory_max: usize::MAX,
        };
        Service::start(settings, self.local_time(id))
    }

    /// When a new process of the server drops entries, and how it sends snapshots.
    fn draw_compaction(&mut self, id: ServerId) -> Compaction {
        let slot = usize::from(id.0);
        if self.limits.cuts_logs {
            self.compactions[slot] = drawn_compaction(&mut self.draws.timer(self.now, id));
        }
        self.compactions[slot]
    }

    /// Carries out the first actions of a new process. The only server of a cluster leads from the start.
    pub(crate) fn begin(&mut self, id: ServerId, actions: Vec<Action>) {
        if self.disks.disk(id).is_some() {
            self.begin_work(id);
        }
        self.perform(id, actions);
        self.schedule_tick(id);
        let after = *self.status(id);
        if after.role == RoleName::Leader {
            let disk = self.disks.disk(id);
            let last_log = disk.map(Disk::last_log).unwrap_or_default();
            let commit_index = disk.map(Disk::commit_index).unwrap_or_default();
            let role = RoleName::Follower;
            let before =
                Status { role, commit_index, last_applied: commit_index, last_log, ..after };
            let from = last_log.index.next();
            let step = Step { id, before, after, from, brings_snapshot: false };
            self.history.observe(&self.services, &self.disks.of, &step, &mut self.marks);
        }
    }

    /// The incarnation of the next process if it begins with an empty disk.
    pub(crate) fn next_incarnation(&self) -> Incarnation {
        on_disk(incarnation_of(self.launches + 1))
    }

    /// Replaces a server by a new process of it, with what is on its disk if it has one. Returns the first actions of
    /// that process.
    pub(crate) fn replace_process(&mut self, id: ServerId) -> Vec<Action> {
        let slot = usize::from(id.0);
        self.launches += 1;
        let incarnation = match self.losses {
            Losses::Unnoticed => self.statuses[slot].incarnation,
            Losses::Promised | Losses::Any => incarnation_of(self.launches),
        };
        let (service, actions) = self.process_of(id, incarnation, self.size());
        self.statuses[slot] = service.server().status();
        self.services[slot] = service;
        self.gates[slot] = Gate::new("localhost");
        if let Some(disk) = &self.disks.of[slot] {
            self.history.recover(id, disk, self.statuses[slot].last_included.index);
            self.check_recovered(id);
        }
        actions
    }

    /// Whether any server has been relaunched.
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
        self.has_process(id) && self.status(id).role != RoleName::Crashed
    }

    /// Whether the server has a process, which may be crashed.
    pub(crate) fn has_process(&self, id: ServerId) -> bool {
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
        self.ids().filter(|id| self.has_process(*id) && self.status(*id).role == RoleName::Leader)
    }

    /// The leader of the newest term that has one.
    pub(crate) fn leader(&self) -> Option<ServerId> {
        self.leaders().max_by_key(|id| self.status(*id).current_term)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Adds a line to the trace. The line is only made if a trace is wanted.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>11.6} s  {}", self.now as f64 / 1e6, line()));
        }
    }

    /// Lets the world run until `time`.
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
        if !self.has_process(happening.server()) {
            if let Happening::Arrival(letter) = happening {
                self.refuse_connection(&letter);
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
            Happening::Return(letter, outcome) => self.return_outcome(&letter, outcome),
            Happening::Echo { from, to, process, response } => {
                if self.process(to) == process {
                    self.get_reply(from, to, response);
                }
            }
            Happening::Closing { peer, to } => self.learn_of_closing(peer, to),
            Happening::Deadline(letter) => self.time_out(&letter),
            Happening::Crash(id) => self.crash(id),
            Happening::Written { id, number } => self.end_work(id, number),
            Happening::PowerLoss(id) => self.lose_power(id),
        }
    }

    /// Makes a call that the server answers at once, like every call of an operator, and returns the answer.
    pub(crate) fn ask_at_once(
        &mut self,
        id: ServerId,
        call: CallId,
        document: &[u8],
    ) -> Arc<Document> {
        let answer = self.ask_peer(id, call, document);
        answer.expect("operators, and peers without disks, are answered at once")
    }

    /// Makes a call, and returns the answer if it comes at once.
    pub(crate) fn ask_peer(
        &mut self,
        id: ServerId,
        call: CallId,
        document: &[u8],
    ) -> Option<Arc<Document>> {
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
        own
    }

    /// The input that a server reads from the bytes of a request. They arrive in one or two pieces.
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

    /// Lets a server handle an input, and passes its answers to the clients.
    pub(crate) fn step_and_answer(&mut self, id: ServerId, input: Input) {
        for (call, document) in self.step(id, input) {
            self.answer(call, &document);
        }
        self.check_waiting(id);
    }

    /// Lets a server handle an input, carries out its actions, checks all servers, and returns its answers.
    fn step(&mut self, id: ServerId, input: Input) -> Vec<(CallId, Arc<Document>)> {
        self.events += 1;
        self.note(|| format!("{}  {}", id.0, trace::told(&input)));
        let slot = usize::from(id.0);
        let before = self.statuses[slot];
        let from = changed_from(&input, &before);
        let brings_snapshot = brings_snapshot(&input);
        let last_included = self.server(id).log().last_included();
        let hurry = self.hurry_before(id, &input);
        let now = self.local_time(id);
        self.was_writing = 0 < self.service(id).reads();
        if self.was_writing {
            self.marks.hit(Mark::LargeMap);
        }
        // `handle` consumes the service. Taking it out and putting it back costs four moves for any size of cluster.
        let (service, actions) = self.services.swap_remove(slot).handle(now, input);
        let after = service.server().status();
        let has_more = service.has_more();
        self.statuses[slot] = after;
        self.services.push(service);
        let last = self.services.len() - 1;
        self.services.swap(slot, last);
        if before.role == RoleName::Crashed && after.role == RoleName::Crashed {
            // Its disk goes on.
            let harmless = |action: &Action| {
                matches!(action, Action::Answer { .. } | Action::Log(..) | Action::SaveSnapshot(_))
            };
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
        let step = Step { id, before, after, from, brings_snapshot };
        self.history.observe(&self.services, &self.disks.of, &step, &mut self.marks);
        if before.commit_index < after.commit_index {
            self.mark_early_commit(id, &after);
            self.check_compaction(id, last_included);
            self.check_promise();
        }
        if before.incarnation != after.incarnation {
            self.snapshots.forget(id);
        }
        self.check_timers(id);
        self.observe_hurry(id, hurry, &before);
        if before.role != after.role {
            self.observe_role(id, &before, &after);
        }
        answers
    }

    /// Lets a server continue with the work that it left for later.
    fn go_on(&mut self, id: ServerId) {
        self.more[usize::from(id.0)] = false;
        if self.service(id).has_more() {
            // It makes the next call of a multicall.
            self.traffic.calls += 1;
            self.step_and_answer(id, Input::Tick);
        }
    }

    fn observe_role(&mut self, id: ServerId, before: &Status, after: &Status) {
        if after.role == RoleName::Leader {
            self.snapshots.forget(id);
        }
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

    /// Carries out actions, and returns the answers among them.
    pub(crate) fn perform(
        &mut self,
        id: ServerId,
        actions: Vec<Action>,
    ) -> Vec<(CallId, Arc<Document>)> {
        // The lanes cannot run between the actions of one step, so a request before a `Disconnect` is never sent.
        let disconnects = actions.iter().any(|action| matches!(action, Action::Disconnect));
        let mut answers = Vec::new();
        for action in actions {
            match action {
                Action::Send { .. } if disconnects => {}
                Action::Send { to, request } => self.send(id, to, request),
                Action::Answer { id, document } => answers.push((id, document)),
                Action::Disconnect => {
                    self.connections[usize::from(id.0)] += 1;
                    self.close_connections(id);
                }
                Action::Discard(discarded) => drop(discarded),
                Action::Save(save) => self.save(id, save),
                Action::SaveSnapshot(snapshot) => self.save_snapshot(id, snapshot),
                Action::Log(_, line) => self.note(|| format!("{}  logs: {line}", id.0)),
            }
        }
        answers
    }
}

/// The incarnation of the process with this number. The gap to the next process is wide, because a process may take
/// further incarnations.
fn incarnation_of(process: u64) -> Incarnation {
    Incarnation(100 * process)
}

/// The empty disk of a server, if it has one.
fn first_disk(limits: &Limits, id: u8, draws: &mut Draws) -> Option<Disk> {
    let has_disk = (limits.disks >> id) & 1 == 1;
    let incarnation = on_disk(incarnation_of(u64::from(id) + 1));
    has_disk.then(|| Disk::new(incarnation, &mut draws.disk(0, ServerId(id))))
}

/// The incarnation of a server with a disk, from one without.
fn on_disk(incarnation: Incarnation) -> Incarnation {
    Incarnation::on_disk(incarnation.0)
}

/// Keeps from nothing to everything, and sends from one leaf to everything in a piece.
fn drawn_compaction(rng: &mut Rng) -> Compaction {
    let whole = Compaction::default();
    let log_bytes_min = match rng.u8(0..6) {
        0..3 => 0,
        3 | 4 => rng.usize(0..5_000),
        _ => whole.log_bytes_min,
    };
    let piece_bytes_max = match rng.u8(0..4) {
        0 | 1 => 1,
        2 => rng.usize(0..20_000),
        _ => whole.piece_bytes_max,
    };
    let log_bytes_max = if rng.u8(0..4) == 0 {
        rng.usize(log_bytes_min..log_bytes_min + 5_000)
    } else {
        usize::MAX
    };
    Compaction { log_bytes_min, log_bytes_max, piece_bytes_max }
}

/// Whether the input is a piece of a snapshot.
fn brings_snapshot(input: &Input) -> bool {
    let Input::Call { asked: Ok(Asked::One((_, Ok(TypedCall::Raft(call))))), .. } = input else {
        return false;
    };
    matches!(call, raft::Call::InstallSnapshot(_))
}

/// The first index of the log that the input may change, apart from a snapshot that takes the place of the whole log.
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

/// The configuration of a cluster.
fn configuration(size: u8) -> Config {
    let mut text = format!("M: {size}\n");
    for id in 0..size {
        text += &format!("metadata{id}: localhost:{}\n", 9001 + u16::from(id));
    }
    Config::parse(&text).expect("a configuration")
}
