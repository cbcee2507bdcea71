//! The simulated world: a clock, a queue of what is going to happen, and servers whose effects it performs.
//!
//! Everything that is left to chance is drawn from one seed, so a run can be repeated. After every step the world
//! checks the whole; see [`History`] and [`Clients`].

use std::collections::{BTreeMap, VecDeque};

use surfstore::metadata::Update;
use surfstore::raft::{
    AppendOutcome, AppendReply, BallotKind, Call, CallId, Cluster, ELECTION_SPREAD_MS, Effect,
    Event, FATE_MS, Fault, HEARTBEAT_MS, LogIndex, Position, Reply, Request, Response, RoleName,
    SILENCE_MS, Server, ServerId, Status, Timer, VoteReply,
};

use crate::clients::{Clients, Kind, Waiting};
use crate::history::History;
use crate::marks::Marks;
use crate::network::{MILLISECOND, Network, SECOND};

/// How long a sender waits for a reply: half the silence timeout, and longer where entries are to be carried.
const DEADLINE: u64 = SILENCE_MS * MILLISECOND / 2;
const DEADLINE_ENTRIES: u64 = 2 * SECOND;

/// How many events a failing run tells of.
const TRACE_MAX: usize = 30;

/// When something happens, and in which order among what happens at the same time.
type Moment = (u64, u64);

/// Something that is going to happen.
enum Happening {
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

/// A request whose sender waits for its outcome.
struct Sent {
    by: ServerId,
    to: ServerId,
    request: Request,
}

/// The moments at which a server's timers run out.
#[derive(Clone, Copy, Default)]
struct Timers {
    role: Option<(Timer, Moment)>,
    fate: Option<Moment>,
}

/// A cluster in its world.
pub(crate) struct World {
    seed: u64,
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: u64,
    pub(crate) network: Network,
    pub(crate) clients: Clients,
    pub(crate) history: History,
    pub(crate) marks: Marks,
    servers: Vec<Server>,
    timers: Vec<Timers>,
    queue: BTreeMap<Moment, Happening>,
    open: BTreeMap<u64, Sent>,
    last_number: u64,
    /// When each server received requests.
    pub(crate) received: Vec<Vec<u64>>,
    traffic: Traffic,
    trace: VecDeque<(u64, ServerId, Event)>,
}

/// What was sent within the current second, and how many client calls may account for it.
#[derive(Default)]
struct Traffic {
    second: u64,
    calls: u64,
    calls_before: u64,
    sent: BTreeMap<(ServerId, ServerId), u64>,
}

impl Drop for World {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (time, server, event) in &self.trace {
                eprintln!("{time:>10} us  {server:?}  {event:?}");
            }
            eprintln!("SEED={} cargo test --release --test simulation", self.seed);
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64, mut rng: fastrand::Rng, network: Network, size: u8) -> World {
        let start = |id| Server::start(Cluster::new(ServerId(id), size).expect("a member"));
        let (servers, effects): (Vec<_>, Vec<_>) = (0..size).map(start).unzip();
        let mut world = World {
            seed,
            rng: rng.fork(),
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
        let hashes = [i64::try_from(call.0).expect("few calls").into()].into();
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

    fn time_out(&mut self, id: ServerId, timer: Timer) {
        let timers = &mut self.timers[usize::from(id.0)];
        if timer == Timer::Fate {
            timers.fate = None;
        } else {
            timers.role = None;
        }
        let status = self.server(id).status();
        if timer == Timer::Campaign && status.voted_for == Some(id) {
            self.marks.hit("an election ends without a winner");
        }
        self.settle(id, Event::Timeout(timer));
    }

    fn arrive(&mut self, send: u64, from: ServerId, to: ServerId, request: Request) {
        if !self.network.passes(from, to) {
            return;
        }
        if !self.open.contains_key(&send) {
            self.marks.hit("a request arrives twice or too late");
        }
        self.received[usize::from(to.0)].push(self.now);
        let last_log = self.server(to).status().last_log;
        let call = CallId(self.number());
        let reply = match request.clone() {
            Request::RequestVote(request) => self.ask_at_once(to, call, Call::RequestVote(request)),
            Request::AppendEntries(request) => {
                if !request.has_majority {
                    self.marks
                        .hit("an append is marked as coming from a leader without a majority");
                }
                self.ask_at_once(to, call, Call::AppendEntries(request))
            }
        };
        let response = match reply {
            Reply::Vote(reply) => {
                self.mark_vote(&request, &reply, last_log);
                Some(Response::Vote(reply))
            }
            Reply::Append(reply) => {
                self.mark_append(&reply);
                Some(Response::Append(reply))
            }
            Reply::Fault(Fault::Crashed) => None,
            other => panic!("{other:?} is no reply to a correct peer"),
        };
        self.reply(send, to, from, response);
    }

    fn mark_vote(&mut self, request: &Request, reply: &VoteReply, last_log: Position) {
        let Request::RequestVote(request) = request else { return };
        if request.kind == BallotKind::Vote && !reply.vote_granted && request.last_log < last_log {
            self.marks.hit("a vote is refused for a stale log");
        }
    }

    fn mark_append(&mut self, reply: &AppendReply) {
        if matches!(reply.outcome, AppendOutcome::Mismatch(_)) {
            self.marks.hit("an append is refused for lack of its previous entry");
        }
    }

    /// Sends a reply back, or the fault of a crashed server.
    fn reply(&mut self, send: u64, from: ServerId, to: ServerId, response: Option<Response>) {
        if self.network.drops(&mut self.rng) {
            return;
        }
        for delay in self.network.delays(&mut self.rng) {
            self.schedule(delay, Happening::Return { send, from, to, response });
        }
    }

    fn come_back(&mut self, send: u64, from: ServerId, to: ServerId, response: Option<Response>) {
        if !self.network.passes(from, to) {
            return;
        }
        let Some(response) = response else { return self.miss(send) };
        if self.open.remove(&send).is_none() {
            // Exactly one outcome per request is promised; the core is to bear more.
            self.marks.hit("a reply arrives twice or too late");
        }
        if response.term() < self.server(to).current_term() {
            self.marks.hit("a reply arrives from an older term");
        }
        self.settle(to, Event::Response { from, response });
    }

    fn miss(&mut self, send: u64) {
        if let Some(Sent { by, to, request }) = self.open.remove(&send) {
            self.settle(by, Event::Unanswered { by: to, request });
        }
    }

    /// A step that answers `call` itself, as those of peers and operators do.
    fn ask_at_once(&mut self, id: ServerId, call: CallId, request: Call) -> Reply {
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
    fn settle(&mut self, id: ServerId, event: Event) {
        for (call, reply) in self.step(id, event) {
            self.answer(call, &reply);
        }
    }

    fn answer(&mut self, call: CallId, reply: &Reply) {
        self.clients.answered((call, reply, self.now), &mut self.history, &mut self.marks);
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

    fn arm(&mut self, id: ServerId, timer: Timer) {
        let spread = self.rng.u64(0..=ELECTION_SPREAD_MS * MILLISECOND);
        let delay = match timer {
            Timer::Silence => SILENCE_MS * MILLISECOND,
            Timer::Election => spread,
            Timer::Campaign => SILENCE_MS * MILLISECOND + spread,
            Timer::Heartbeat => HEARTBEAT_MS * MILLISECOND,
            Timer::Fate => FATE_MS * MILLISECOND,
        };
        if timer == Timer::Fate {
            self.disarm_fate(id);
            let moment = self.schedule(delay, Happening::Timeout(id, timer));
            self.timers[usize::from(id.0)].fate = Some(moment);
        } else {
            self.disarm_role(id);
            let moment = self.schedule(delay, Happening::Timeout(id, timer));
            self.timers[usize::from(id.0)].role = Some((timer, moment));
        }
    }

    fn disarm_role(&mut self, id: ServerId) {
        if let Some((_, moment)) = self.timers[usize::from(id.0)].role.take() {
            self.queue.remove(&moment);
        }
    }

    fn disarm_fate(&mut self, id: ServerId) {
        if let Some(moment) = self.timers[usize::from(id.0)].fate.take() {
            self.queue.remove(&moment);
        }
    }

    /// Sends a request. Its outcome is the first reply or, at the deadline, that there was none.
    fn send(&mut self, by: ServerId, to: ServerId, request: Request) {
        assert!(by != to && usize::from(to.0) < self.servers.len(), "requests go to peers");
        assert!(self.is_up(by), "a crashed server sends nothing");
        self.traffic.count(self.now, (by, to));
        let send = self.number();
        let carries =
            matches!(&request, Request::AppendEntries(append) if !append.entries.is_empty());
        let deadline = if carries { DEADLINE_ENTRIES } else { DEADLINE };
        if self.network.drops(&mut self.rng) {
            // A refused connection is known at once, a lost packet is not.
            let known = if self.rng.bool() { MILLISECOND } else { deadline };
            self.schedule(known, Happening::Deadline(send));
        } else {
            for delay in self.network.delays(&mut self.rng) {
                let request = request.clone();
                self.schedule(delay, Happening::Arrival { send, from: by, to, request });
            }
            self.schedule(deadline, Happening::Deadline(send));
        }
        self.open.insert(send, Sent { by, to, request });
    }

    fn schedule(&mut self, delay: u64, happening: Happening) -> Moment {
        let moment = (self.now + delay, self.number());
        self.queue.insert(moment, happening);
        moment
    }

    /// Every role owns exactly its own timer, and a crashed server none.
    fn check_timers(&self, id: ServerId) {
        let Timers { role, fate } = self.timers[usize::from(id.0)];
        let role = role.map(|(timer, _)| timer);
        let fits = match self.server(id).role() {
            RoleName::Follower => matches!(role, Some(Timer::Silence | Timer::Election)),
            RoleName::Candidate => role == Some(Timer::Campaign),
            RoleName::Leader => role == Some(Timer::Heartbeat),
            RoleName::Crashed => role.is_none() && fate.is_none(),
        };
        assert!(fits, "{id:?} has the timer {role:?} in the wrong role");
        let status = self.server(id).status();
        let decides = status.role == RoleName::Leader || status.waiting == 0 || fate.is_some();
        assert!(decides, "{id:?} keeps callers waiting without end");
    }
}

impl Traffic {
    /// Counts a request, and refuses more of them on a link than heartbeats, ballots, repairs and calls account for.
    fn count(&mut self, now: u64, link: (ServerId, ServerId)) {
        if self.second != now / SECOND {
            self.second = now / SECOND;
            self.calls_before = std::mem::take(&mut self.calls);
            self.sent.clear();
        }
        let sent = self.sent.entry(link).or_default();
        *sent += 1;
        let accounted = 60 + 4 * (self.calls + self.calls_before);
        assert!(*sent <= accounted, "{sent} requests within a second on the link {link:?}");
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
