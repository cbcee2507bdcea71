//! The stage on which a scenario is played: servers, what is in flight between them, their timers and their callers.
//!
//! It does what it is told, records what every server does, and decides nothing.

use std::collections::BTreeMap;

use surfstore::raft::{
    Call, CallError, CallId, Compaction, Effect, Event, Failure, Incarnation, Member, Reply,
    Request, Response, Server, ServerId, Timer,
};

use crate::clock::Clock;
use crate::links::Links;
use crate::network::{Body, Message, Network, Open};
use crate::safety::Safety;
use crate::sets::Set;
use crate::text;

/// The id of every call that a peer or an operator makes: both are answered at once.
const AT_ONCE: CallId = CallId(0);

/// How many messages may arrive in one command.
const ARRIVALS_MAX: usize = 10_000;

/// What is recorded of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of it: changes, timers, messages and answers.
    Everything,
    /// Its changes, and answers to callers.
    Changes,
}

/// What is at a place of the stage.
#[derive(Clone)]
struct Host {
    /// The servers that the configuration names with which its process was started.
    set: Set,
    /// The process; `None` before it begins, and once it has ended.
    server: Option<Server>,
    /// The incarnation that the next process draws.
    next: Incarnation,
}

#[derive(Clone)]
pub(crate) struct Stage {
    hosts: Vec<Host>,
    compaction: Compaction,
    pub(crate) clock: Clock,
    pub(crate) network: Network,
    told: Told,
    /// The time to write before each line, if time passes.
    time: Option<u64>,
    safety: Safety,
    last_call: u64,
    out: Vec<String>,
    broken: Option<String>,
    saved: BTreeMap<String, Stage>,
}

impl Stage {
    pub(crate) fn new(size: u8, compaction: Compaction) -> Stage {
        let mut stage = Stage {
            hosts: Vec::new(),
            compaction,
            clock: Clock::default(),
            network: Network::default(),
            told: Told::Everything,
            time: None,
            safety: Safety::default(),
            last_call: 0,
            out: Vec::new(),
            broken: None,
            saved: BTreeMap::new(),
        };
        let set = Set::of(size);
        stage.make_room(&set);
        for id in stage.ids() {
            stage.start(id);
        }
        stage
    }

    /// Adds the places that the set's servers have on the stage.
    fn make_room(&mut self, set: &Set) {
        for id in self.size()..set.reach() {
            let next = text::first_incarnation(ServerId(id));
            self.hosts.push(Host { set: set.clone(), server: None, next });
            self.clock.add();
        }
    }

    fn start(&mut self, id: ServerId) {
        let host = &mut self.hosts[usize::from(id.0)];
        let cluster = host.set.cluster(id).expect("a server is in its own set");
        let (server, effects) = Server::start(cluster, host.next, self.compaction);
        host.server = Some(server);
        self.note(id);
        self.perform(id, effects);
    }

    /// Starts a process if there is none; with a set, one that has read another configuration than the one before.
    pub(crate) fn launch(&mut self, id: ServerId, set: Option<Set>) -> Result<(), String> {
        let name = text::server_name(id);
        if !self.has_ended(id) {
            return Err(format!("{name} runs"));
        }
        if let Some(set) = set {
            set.id(id).ok_or(format!("{name} is not among them"))?;
            self.make_room(&set);
            self.hosts[usize::from(id.0)].set = set;
        }
        let incarnation = self.hosts[usize::from(id.0)].next;
        self.say(&format!("{name}: begins as {}", text::incarnation(incarnation)));
        self.start(id);
        Ok(())
    }

    /// Ends a process: its memory is lost. What it has sent stays in flight.
    pub(crate) fn end(&mut self, id: ServerId) {
        let Some(server) = self.hosts[usize::from(id.0)].server.take() else { return };
        let Incarnation(number) = server.status().incarnation;
        self.hosts[usize::from(id.0)].next = Incarnation(number + 1);
        self.clock.stop(id);
        self.network.end(id);
        let living: Vec<_> = self.living().map(|(_, server)| server.clone()).collect();
        self.safety.process_ended(&living);
        self.say(&format!("{}: ends", text::server_name(id)));
    }

    pub(crate) fn has_ended(&self, id: ServerId) -> bool {
        self.hosts.get(usize::from(id.0)).is_none_or(|host| host.server.is_none())
    }

    pub(crate) fn size(&self) -> u8 {
        u8::try_from(self.hosts.len()).unwrap_or_default()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.size()).map(ServerId)
    }

    /// The process of a server, which must not have ended.
    pub(crate) fn server(&self, id: ServerId) -> &Server {
        let server = self.hosts[usize::from(id.0)].server.as_ref();
        server.unwrap_or_else(|| panic!("the process of {} has ended", text::server_name(id)))
    }

    /// The servers with a process that has not ended.
    pub(crate) fn living(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        let servers = self.hosts.iter().map(|host| host.server.as_ref());
        (0..).map(ServerId).zip(servers).filter_map(|(id, server)| Some((id, server?)))
    }

    pub(crate) fn set(&self, id: ServerId) -> &Set {
        &self.hosts[usize::from(id.0)].set
    }

    /// What was recorded since the last call, unless a rule of Raft was violated.
    pub(crate) fn take_lines(&mut self) -> Result<Vec<String>, String> {
        match self.broken.take() {
            Some(broken) => Err(broken),
            None => Ok(std::mem::take(&mut self.out)),
        }
    }

    pub(crate) fn say(&mut self, line: &str) {
        let time = self.time.map(|time| format!("{time:>4} ms  ")).unwrap_or_default();
        self.out.push(format!("  {time}{line}"));
    }

    /// Records only changes and answers while the work runs.
    pub(crate) fn quietly(
        &mut self,
        work: impl FnOnce(&mut Stage) -> Result<(), String>,
    ) -> Result<(), String> {
        self.told = Told::Changes;
        let done = work(self);
        self.told = Told::Everything;
        done
    }

    fn say_message(&mut self, from: ServerId, to: ServerId, text: &str) {
        if self.told == Told::Everything {
            self.say(&format!("{} -> {} {text}", text::server_name(from), text::server_name(to)));
        }
    }

    /// Lets a server handle one event and records the result. Returns the answer, if the event was a call that is
    /// answered at once.
    pub(crate) fn step(&mut self, id: ServerId, event: Event) -> Option<Reply> {
        let quiet = matches!(event, Event::Unanswered { .. });
        let before = self.server(id).clone();
        let (after, effects) = before.clone().step(event);
        let mut changes = text::change(self.set(id), &before, &after);
        if self.told == Told::Everything {
            changes.extend(text::timers(&effects));
            if changes.is_empty() && effects.is_empty() && !quiet {
                changes.push(if before == after { "no change" } else { "noted" }.into());
            }
        }
        if !changes.is_empty() {
            self.say(&format!("{}: {}", text::server_name(id), changes.join(", ")));
        }
        self.hosts[usize::from(id.0)].server = Some(after);
        self.note(id);
        self.perform(id, effects)
    }

    /// Checks the state of a server.
    fn note(&mut self, id: ServerId) {
        let server = self.hosts[usize::from(id.0)].server.as_ref();
        if let Some(Err(rule)) = server.map(|server| self.safety.observe(server)) {
            self.broken.get_or_insert(format!("{}: {rule}", text::server_name(id)));
        }
    }

    fn perform(&mut self, id: ServerId, effects: Vec<Effect>) -> Option<Reply> {
        let mut at_once = None;
        for effect in effects {
            match effect {
                Effect::ArmTimer(timer) => self.clock.arm(id, timer),
                Effect::StopTimers => self.clock.stop(id),
                Effect::Discard(_) | Effect::Save(_) => {}
                Effect::Send { to, request } => {
                    let to = self.set(id).place(to);
                    self.say_message(id, to, &text::request(&request));
                    self.network.request(id, to, request);
                }
                Effect::Reply(AT_ONCE, reply) => at_once = Some(reply),
                Effect::Reply(call, reply) => {
                    let reply = text::reply(self.set(id), &reply);
                    self.say(&format!("c{}: {reply}", call.0));
                }
            }
        }
        at_once
    }

    /// A client's call, numbered from 1 on.
    pub(crate) fn call(&mut self, id: ServerId, call: Call) {
        self.last_call += 1;
        let number = self.last_call;
        let waiting = self.server(id).status().waiting;
        self.step(id, Event::Call(CallId(number), call));
        if waiting < self.server(id).status().waiting {
            self.say(&format!("c{number} waits"));
        }
    }

    pub(crate) fn hang_up(&mut self, id: ServerId, call: u64) {
        self.step(id, Event::HangUp(CallId(call)));
    }

    /// A call of a peer or an operator.
    pub(crate) fn ask(&mut self, id: ServerId, call: Call) -> Option<Reply> {
        self.step(id, Event::Call(AT_ONCE, call))
    }

    /// Lets a running timer expire.
    pub(crate) fn time_out(&mut self, id: ServerId, timer: Timer) -> Result<(), String> {
        if !self.clock.expire(id, timer) {
            let running = self.clock.role_timer(id).map_or("none", text::timer_name);
            let (server, timer) = (text::server_name(id), text::timer_name(timer));
            return Err(format!("{server}'s timer {timer} does not run; its role's is: {running}"));
        }
        self.step(id, Event::Timeout(timer));
        Ok(())
    }

    pub(crate) fn save(&mut self, name: &str) {
        self.saved.insert(name.into(), self.clone());
    }

    /// Starts over, to try what else could have happened.
    pub(crate) fn go_back(&mut self, name: &str) -> Result<(), String> {
        let stage = self.saved.get(name).cloned().ok_or(format!("nothing is saved as {name}"))?;
        *self = Stage { saved: std::mem::take(&mut self.saved), ..stage };
        Ok(())
    }

    /// Lets a message reach its receiver, unless its link is cut.
    pub(crate) fn arrive(&mut self, message: Message) {
        if self.network.loses(&message) {
            return self.lose(&message);
        }
        match message.body.clone() {
            Body::Request(request) => self.serve(&message, request),
            Body::Response(response) => {
                self.network.close(message.exchange);
                let from = self.known_as(message.from, message.to);
                self.step(message.to, Event::Response { from, response });
            }
            Body::Failure(failure) => self.give_up(message.exchange, failure),
        }
    }

    /// The id that a server has in another's configuration.
    fn known_as(&self, id: ServerId, by: ServerId) -> ServerId {
        self.set(by).id(id).expect("only servers of the same set are asked")
    }

    fn serve(&mut self, message: &Message, request: Request) {
        if self.has_ended(message.to) {
            let body = Body::Failure(Failure::Ended);
            self.say_message(message.to, message.from, "connection refused");
            return self.network.answer(message, body);
        }
        let is_stranger = self.set(message.from) != self.set(message.to);
        let call = match request {
            Request::RequestVote(request) => Call::RequestVote(request),
            Request::AppendEntries(request) => Call::AppendEntries(request),
            Request::InstallSnapshot(request) => Call::InstallSnapshot(request),
        };
        let (body, text) = match self.ask(message.to, call) {
            Some(Reply::Vote(reply)) => response(Response::Vote(reply)),
            Some(Reply::Append(reply)) => response(Response::Append(reply)),
            Some(Reply::Failed(CallError::Crashed)) => {
                let crashed = Failure::Crashed(self.server(message.to).identity());
                (Body::Failure(crashed), "this server is crashed".into())
            }
            Some(Reply::Failed(CallError::Forged(flaw))) if is_stranger => {
                (Body::Failure(Failure::Silent), flaw.into())
            }
            other => {
                let text = |reply| text::reply(self.set(message.to), reply);
                let refused = other.as_ref().map_or("no answer".into(), text);
                let server = text::server_name(message.to);
                self.broken.get_or_insert(format!("{server} refuses a correct peer: {refused}"));
                return;
            }
        };
        self.say_message(message.to, message.from, &text);
        self.network.answer(message, body);
    }

    /// A message that never arrives. The sender of the request is told that there is no reply.
    pub(crate) fn lose(&mut self, message: &Message) {
        self.say_message(message.from, message.to, "lost");
        self.give_up(message.exchange, Failure::Silent);
    }

    /// The sender of a request stops waiting for its outcome.
    fn give_up(&mut self, exchange: u64, failure: Failure) {
        if let Some(Open { by: asker, to, request }) = self.network.close(exchange) {
            let by = self.known_as(to, asker);
            self.step(asker, Event::Unanswered { by, request, failure });
        }
    }

    /// The senders of all requests on the links stop waiting, wherever request or reply may be. Returns how many there
    /// were.
    pub(crate) fn expire(&mut self, links: &Links) -> usize {
        let exchanges = self.network.waiting(links);
        exchanges.iter().for_each(|exchange| self.give_up(*exchange, Failure::Silent));
        exchanges.len()
    }

    /// A server is told that the connections of another one to it have closed. Returns whether there can have been any.
    pub(crate) fn close(&mut self, from: ServerId, to: ServerId) -> bool {
        let Some(id) = self.set(to).id(from).filter(|_| !self.has_ended(to)) else { return false };
        let Host { server, next: Incarnation(next), .. } = &self.hosts[usize::from(from.0)];
        let living = server.as_ref().map(|server| server.status().incarnation);
        let incarnation = living.unwrap_or(Incarnation(next - 1));
        self.step(to, Event::Disconnected(Member { id, incarnation }));
        true
    }

    /// Lets messages arrive on the links until none is in flight. Returns how many did.
    pub(crate) fn settle(&mut self, links: &Links) -> Result<usize, String> {
        let mut count = 0;
        while let Some(message) = self.network.take_first(links) {
            self.arrive(message);
            count += 1;
            if ARRIVALS_MAX < count {
                return Err(format!(
                    "the servers do not fall silent after {ARRIVALS_MAX} messages"
                ));
            }
        }
        Ok(count)
    }

    /// Lets time pass: timers expire when they are due, and messages take no time.
    pub(crate) fn pass(&mut self, duration: u64) -> Result<(), String> {
        let start = self.clock.now;
        let end = start + duration;
        let everywhere = Links::everywhere(self.size());
        self.settle(&everywhere)?;
        while let Some((time, id, timer)) = self.clock.next(end) {
            self.clock.now = time;
            self.time = Some(time - start);
            self.time_out(id, timer)?;
            self.settle(&everywhere)?;
        }
        self.clock.now = end;
        self.time = None;
        Ok(())
    }
}

fn response(response: Response) -> (Body, String) {
    (Body::Response(response), text::response(&response))
}
