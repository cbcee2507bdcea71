//! The simulated world: a clock, a queue of what is going to happen, and servers whose effects it performs.
//!
//! Everything that is left to chance is drawn from one seed, so a run can be repeated. After every step the world
//! checks the whole; the list of what is checked where is in the crate's documentation.

use std::collections::VecDeque;

use surfstore::raft::{
    Call, CallId, Cluster, Effect, Event, Incarnation, LogIndex, Member, Reply, Response, RoleName,
    Server, ServerId, Status,
};

use crate::clients::Clients;
use crate::clock::Clock;
use crate::draws::Draws;
use crate::history::{History, Step};
use crate::marks::{Mark, Marks};
use crate::network::Network;
use crate::plan::Losses;
use crate::queue::{Happening, Queue};
use crate::trace;
use crate::wire::{Lanes, Traffic};

/// A cluster in its world.
pub(crate) struct World {
    pub(crate) draws: Draws,
    pub(crate) now: u64,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) history: History,
    pub(crate) marks: Marks,
    pub(crate) servers: Vec<Server>,
    /// Every server's state as of its last step.
    pub(crate) statuses: Vec<Status>,
    /// Which servers have a process; the others are as they will start.
    pub(crate) running: Vec<bool>,
    /// How many processes there have been.
    launches: u64,
    pub(crate) losses: Losses,
    pub(crate) clocks: Vec<Clock>,
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
    pub(crate) fn new(seed: u64, network: Network, size: u8) -> World {
        let start = |id| {
            let cluster = Cluster::new(ServerId(id), size).expect("a member");
            Server::start(cluster, drawn(1 + u64::from(id)))
        };
        let (servers, effects): (Vec<_>, Vec<_>) = (0..size).map(start).unzip();
        let count = usize::from(size);
        let mut world = World {
            draws: Draws::new(seed),
            now: 0,
            network,
            clients: Clients::default(),
            history: History::new(size),
            marks: Marks::new(),
            statuses: servers.iter().map(Server::status).collect(),
            servers,
            running: vec![true; count],
            launches: u64::from(size),
            losses: Losses::Promised,
            clocks: vec![Clock::new(); count],
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
        for (id, effects) in world.ids().zip(effects) {
            world.begin(id, effects);
        }
        world
    }

    /// Performs what a server wants when it starts; one that is alone leads by then.
    pub(crate) fn begin(&mut self, id: ServerId, effects: Vec<Effect>) {
        self.perform(id, effects);
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
            self.history.observe(&self.servers, &step, &mut self.marks);
        }
    }

    /// A server as a new process of it starts.
    pub(crate) fn start_anew(&mut self, id: ServerId) -> Vec<Effect> {
        let slot = usize::from(id.0);
        self.launches += 1;
        let incarnation = match self.losses {
            Losses::Unnoticed => self.statuses[slot].incarnation,
            Losses::Promised | Losses::Any => drawn(self.launches),
        };
        let cluster = Cluster::new(id, self.size()).expect("a member");
        let (server, effects) = Server::start(cluster, incarnation);
        self.statuses[slot] = server.status();
        self.servers[slot] = server;
        effects
    }

    /// Whether a process was launched in the place of another one.
    pub(crate) fn has_relaunched(&self) -> bool {
        self.servers.len() < self.launches as usize
    }

    pub(crate) fn size(&self) -> u8 {
        self.servers.len() as u8
    }

    pub(crate) fn majority(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.size()).map(ServerId)
    }

    pub(crate) fn server(&self, id: ServerId) -> &Server {
        &self.servers[usize::from(id.0)]
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
            Happening::Timeout { id, timer, armed } => {
                if self.runs(id, timer, armed) {
                    self.time_out(id, timer);
                }
            }
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

    /// A step that answers `call` itself, as those of peers and operators do.
    pub(crate) fn ask_at_once(&mut self, id: ServerId, call: CallId, request: Call) -> Reply {
        let mut own = None;
        for (answered, reply) in self.step(id, Event::Call(call, request)) {
            if answered == call {
                assert!(own.is_none(), "{call:?} was answered twice");
                own = Some(reply);
            } else {
                self.answer(answered, &reply);
            }
        }
        self.check_waiting(id);
        own.expect("peers and operators are answered at once")
    }

    /// A step that may answer clients.
    pub(crate) fn settle(&mut self, id: ServerId, event: Event) {
        for (call, reply) in self.step(id, event) {
            self.answer(call, &reply);
        }
        self.check_waiting(id);
    }

    /// Takes a server one step on, performs its effects, checks the whole, and returns its answers.
    fn step(&mut self, id: ServerId, event: Event) -> Vec<(CallId, Reply)> {
        self.events += 1;
        self.note(|| format!("{}  {}", id.0, trace::told(&event)));
        let slot = usize::from(id.0);
        let before = self.statuses[slot];
        let from = changed_from(&event, &before);
        // Taken out and put back to its place, at the cost of four moves whatever the size of the cluster.
        let (server, effects) = self.servers.swap_remove(slot).step(event);
        let after = server.status();
        self.statuses[slot] = after;
        self.servers.push(server);
        let last = self.servers.len() - 1;
        self.servers.swap(slot, last);
        if before.role == RoleName::Crashed && after.role == RoleName::Crashed {
            let answers = effects.iter().all(|effect| matches!(effect, Effect::Reply(..)));
            assert!(answers && before == after, "a crashed server did more than answer");
        }
        let replies = self.perform(id, effects);
        let from = if before.history == after.history { from } else { LogIndex(1) };
        let step = Step { id, before, after, from };
        self.history.observe(&self.servers, &step, &mut self.marks);
        if before.commit_index < after.commit_index {
            self.watch_the_promise();
        }
        self.check_timers(id);
        if before.role != after.role {
            self.observe_role(id, &before, &after);
        }
        replies
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

    pub(crate) fn perform(&mut self, id: ServerId, effects: Vec<Effect>) -> Vec<(CallId, Reply)> {
        let mut replies = Vec::new();
        for effect in effects {
            match effect {
                Effect::ArmTimer(timer) => self.arm(id, timer),
                Effect::StopTimers => self.clocks[usize::from(id.0)].stop(),
                Effect::Send { to, request } => self.send(id, to, request),
                Effect::Reply(call, reply) => replies.push((call, reply)),
            }
        }
        replies
    }
}

/// The incarnation of the process of that number. It may begin anew some times without coming near another one's.
fn drawn(process: u64) -> Incarnation {
    Incarnation(100 * process)
}

/// The first place of the log that the event may change.
fn changed_from(event: &Event, before: &Status) -> LogIndex {
    let end = before.last_log.index.next();
    match event {
        Event::Call(_, Call::AppendEntries(request)) => request.prev_log.index.next().min(end),
        _ => end,
    }
}
