//! The simulated world: a clock, a queue of what is going to happen, and servers whose effects it performs.
//!
//! Everything that is left to chance is drawn from one seed, so a run can be repeated. After every step the world
//! checks the whole; see [`History`] and [`Clients`].

use std::collections::{BTreeMap, VecDeque};

use surfstore::metadata::Update;
use surfstore::raft::{
    Call, CallId, Cluster, Effect, Event, LogIndex, Reply, Request, Response, RoleName, Server,
    ServerId, Status, Term, Timer,
};
use surfstore::value::Value;

use crate::clients::{Clients, Kind, Waiting};
use crate::clock::Timers;
use crate::history::History;
use crate::marks::Marks;
use crate::network::Network;
use crate::wire::{Sent, Traffic};

/// How many events a failing run tells of.
const TRACE_MAX: usize = 30;

/// How many characters it says of each.
const LINE_MAX: usize = 400;

/// When something happens, and in which order among what happens at the same time.
pub(crate) type Moment = (u64, u64);

/// Something that is going to happen.
pub(crate) enum Happening {
    Timeout(ServerId, Timer),
    /// A request reaches a peer.
    Arrival {
        send: u64,
        from: ServerId,
        to: ServerId,
        request: Request,
    },
    /// Its reply, or the news that there is none, reaches the sender.
    Return {
        send: u64,
        from: ServerId,
        to: ServerId,
        response: Option<Response>,
    },
    /// The sender waits no longer.
    Deadline(u64),
}

/// A cluster in its world.
pub(crate) struct World {
    /// The seed that repeats the whole run, if one does.
    pub(crate) seed: Option<u64>,
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: u64,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) history: History,
    pub(crate) marks: Marks,
    pub(crate) servers: Vec<Server>,
    pub(crate) timers: Vec<Timers>,
    pub(crate) queue: BTreeMap<Moment, Happening>,
    pub(crate) open: BTreeMap<u64, Sent>,
    last_number: u64,
    /// The latest replies that arrived.
    pub(crate) past: VecDeque<(ServerId, ServerId, Response)>,
    /// How many bytes some updates carry beside what identifies them.
    pub(crate) ballast: usize,
    /// The number of the newest append that each server got from the leader of each term.
    pub(crate) heard: BTreeMap<(Term, ServerId), u64>,
    /// When each server received requests.
    pub(crate) received: Vec<Vec<u64>>,
    pub(crate) traffic: Traffic,
    trace: VecDeque<(u64, ServerId, Event)>,
}

impl Drop for World {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (time, server, event) in &self.trace {
                let event: String = format!("{event:?}").chars().take(LINE_MAX).collect();
                eprintln!("{time:>10} us  {server:?}  {event}");
            }
            if let Some(seed) = self.seed {
                eprintln!("SEED={seed} cargo test --release --test simulation");
            }
        }
    }
}

impl World {
    pub(crate) fn new(rng: fastrand::Rng, network: Network, size: u8) -> World {
        let start = |id| Server::start(Cluster::new(ServerId(id), size).expect("a member"));
        let (servers, effects): (Vec<_>, Vec<_>) = (0..size).map(start).unzip();
        let mut world = World {
            seed: None,
            rng,
            now: 0,
            network,
            clients: Clients::default(),
            history: History::new(size),
            marks: Marks::default(),
            servers,
            timers: vec![Timers::default(); usize::from(size)],
            queue: BTreeMap::new(),
            open: BTreeMap::new(),
            last_number: 0,
            past: VecDeque::new(),
            ballast: 0,
            heard: BTreeMap::new(),
            received: vec![Vec::new(); usize::from(size)],
            traffic: Traffic::default(),
            trace: VecDeque::new(),
        };
        for (id, effects) in world.ids().zip(effects) {
            world.perform(id, effects);
        }
        world
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers.len() as u8).map(ServerId)
    }

    pub(crate) fn server(&self, id: ServerId) -> &Server {
        &self.servers[usize::from(id.0)]
    }

    pub(crate) fn is_up(&self, id: ServerId) -> bool {
        self.server(id).role() != RoleName::Crashed
    }

    pub(crate) fn up(&self) -> Vec<ServerId> {
        self.ids().filter(|id| self.is_up(*id)).collect()
    }

    pub(crate) fn leaders(&self) -> Vec<ServerId> {
        self.ids().filter(|id| self.server(*id).role() == RoleName::Leader).collect()
    }

    /// The leader of the newest term that has one.
    pub(crate) fn leader(&self) -> Option<ServerId> {
        self.leaders().into_iter().max_by_key(|id| self.server(*id).current_term())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Lets the world go on until that time.
    pub(crate) fn run_until(&mut self, time: u64) {
        while let Some(next) = self.queue.first_entry().filter(|next| next.key().0 <= time) {
            let ((now, _), happening) = next.remove_entry();
            self.now = now;
            self.happen(happening);
        }
        self.now = time;
    }

    pub(crate) fn run_for(&mut self, time: u64) {
        self.run_until(self.now + time);
    }

    /// Replaces the network by a healthy one. What was under way for longer than that takes is lost.
    pub(crate) fn heal(&mut self, delay_max: u64) {
        self.network = Network::healthy(self.servers.len() as u8, delay_max);
        let latest = self.now + delay_max;
        self.queue.retain(|(time, _), happening| {
            *time <= latest || matches!(happening, Happening::Timeout(..) | Happening::Deadline(_))
        });
    }

    pub(crate) fn update(&mut self, server: ServerId, name: &str, version: i64) -> CallId {
        let call = CallId(self.number());
        let own = i64::try_from(call.0).expect("few calls").into();
        // Updates of which an append carries but a few leave followers with a part of what they lack.
        let ballast = if self.rng.u8(0..4) == 0 { self.ballast } else { 0 };
        let hashes = [own, Value::Base64(vec![0; ballast].into())].into();
        self.ask(
            server,
            call,
            Kind::Update,
            Call::Update(Update { name: name.into(), version, hashes }),
        )
    }

    pub(crate) fn read(&mut self, server: ServerId) -> CallId {
        let call = CallId(self.number());
        let status = self.server(server).status();
        let committed = self.server(server).log().get(status.commit_index);
        if status.role == RoleName::Leader
            && committed.is_none_or(|entry| entry.term < status.current_term)
        {
            self.marks.hit("a read comes before the term's first commit");
        }
        self.ask(server, call, Kind::Read, Call::ReadFiles)
    }

    fn ask(&mut self, server: ServerId, call: CallId, kind: Kind, request: Call) -> CallId {
        self.traffic.calls += 1;
        let committed = self.history.len();
        self.clients.ask(call, Waiting { server, kind, since: self.now, committed });
        self.settle(server, Event::Call(call, request));
        call
    }

    pub(crate) fn hang_up(&mut self, call: CallId) {
        if let Some(server) = self.clients.hang_up(call) {
            self.settle(server, Event::HangUp(call));
        }
    }

    pub(crate) fn crash(&mut self, id: ServerId) {
        match self.server(id).role() {
            RoleName::Leader => self.marks.hit("a leader crashes"),
            RoleName::Candidate => self.marks.hit("a candidate crashes"),
            RoleName::Follower => self.marks.hit("a follower crashes"),
            RoleName::Crashed => {}
        }
        self.control(id, Call::Crash);
        if 2 * self.up().len() == self.servers.len() {
            self.marks.hit("exactly half of the servers are up");
        }
    }

    pub(crate) fn restore(&mut self, id: ServerId) {
        self.control(id, Call::Restore);
    }

    fn control(&mut self, id: ServerId, request: Call) {
        let call = CallId(self.number());
        let before = self.server(id).status();
        let reply = self.ask_at_once(id, call, request);
        assert!(reply == Reply::Done, "crash and restore are always done");
        let after = self.server(id).status();
        let kept = |status: &Status| (status.current_term, status.voted_for, status.last_log);
        assert!(kept(&before) == kept(&after), "crash and restore keep term, vote and log");
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Timeout(id, timer) => self.time_out(id, timer),
            Happening::Arrival { send, from, to, request } => self.arrive(send, from, to, request),
            Happening::Return { send, from, to, response } => {
                self.come_back(send, from, to, response)
            }
            Happening::Deadline(send) => self.miss(send),
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
        own.expect("peers and operators are answered at once")
    }

    /// A step that may answer clients.
    pub(crate) fn settle(&mut self, id: ServerId, event: Event) {
        for (call, reply) in self.step(id, event) {
            self.answer(call, &reply);
        }
    }

    fn answer(&mut self, call: CallId, reply: &Reply) {
        if let (Reply::Files(_), Some(server)) = (reply, self.clients.server(call)) {
            self.check_confirmed(call, server);
        }
        self.clients.answered((call, reply, self.now), &mut self.history, &mut self.marks);
    }

    /// Whoever answers a read has led a majority by an append that was sent after the read came.
    fn check_confirmed(&self, read: CallId, leader: ServerId) {
        let term = self.server(leader).current_term();
        let heard = |id: &ServerId| self.heard.get(&(term, *id)).is_some_and(|sent| read.0 < *sent);
        let followers = self.ids().filter(heard).count();
        assert!(self.servers.len() < 2 * (1 + followers), "{read:?} was answered unconfirmed");
    }

    /// Takes a server one step on, performs its effects, checks the whole, and returns its answers.
    fn step(&mut self, id: ServerId, event: Event) -> Vec<(CallId, Reply)> {
        if self.trace.len() == TRACE_MAX {
            self.trace.pop_front();
        }
        self.trace.push_back((self.now, id, event.clone()));
        let slot = usize::from(id.0);
        let before = self.servers[slot].status();
        let from = changed_from(&event, &before);
        let (server, effects) = self.servers.remove(slot).step(event);
        self.servers.insert(slot, server);
        let replies = self.perform(id, effects);
        self.history.observe(&self.servers, id, (&before, from), &mut self.marks);
        self.check_timers(id);
        if before.role == RoleName::Leader
            && self.server(id).role() == RoleName::Follower
            && 0 < before.waiting
        {
            self.marks.hit("a leader is deposed while callers wait");
        }
        if before.role != RoleName::Leader && self.server(id).role() == RoleName::Leader {
            self.repeat_the_past(id);
        }
        replies
    }

    fn perform(&mut self, id: ServerId, effects: Vec<Effect>) -> Vec<(CallId, Reply)> {
        let mut replies = Vec::new();
        for effect in effects {
            match effect {
                Effect::ArmTimer(timer) => self.arm(id, timer),
                Effect::StopTimers => {
                    self.disarm_role(id);
                    self.disarm_fate(id);
                }
                Effect::Send { to, request } => self.send(id, to, request),
                Effect::Reply(call, reply) => replies.push((call, reply)),
            }
        }
        replies
    }

    pub(crate) fn schedule(&mut self, delay: u64, happening: Happening) -> Moment {
        let moment = (self.now + delay, self.number());
        self.queue.insert(moment, happening);
        moment
    }
}

/// The first place of the log that the event may change.
fn changed_from(event: &Event, before: &Status) -> LogIndex {
    let end = before.last_log.index.next();
    match event {
        Event::Call(_, Call::AppendEntries(request)) => request.prev_log.index.next().min(end),
        _ => end,
    }
}
