//! The stage on which a scenario is played: servers, what is under way between them, their timers and their callers.
//!
//! It does what it is told, takes down what every server does, and decides nothing.

use std::collections::BTreeMap;

use surfstore::raft::{
    Call, CallId, Cluster, Effect, Event, Fault, Reply, Request, Response, Server, ServerId, Timer,
};

use crate::clock::Clock;
use crate::links::Links;
use crate::network::{Body, Message, Network};
use crate::safety::Safety;
use crate::text;

/// The id of every call that a peer or an operator makes: both are answered at once.
const AT_ONCE: CallId = CallId(0);

/// How many messages may arrive at one command.
const ARRIVALS_MAX: usize = 10_000;

/// What is told of a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of it: changes, timers, messages and answers.
    Everything,
    /// What it changed, and answers to callers.
    Changes,
}

#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) servers: Vec<Server>,
    pub(crate) clock: Clock,
    pub(crate) network: Network,
    told: Told,
    /// The time to put before each line, where time passes.
    time: Option<u64>,
    safety: Safety,
    last_call: u64,
    out: Vec<String>,
    broken: Option<String>,
    saved: BTreeMap<String, Stage>,
}

impl Stage {
    pub(crate) fn new(size: u8) -> Stage {
        let mut stage = Stage {
            servers: Vec::new(),
            clock: Clock::new(size),
            network: Network::default(),
            told: Told::Everything,
            time: None,
            safety: Safety::default(),
            last_call: 0,
            out: Vec::new(),
            broken: None,
            saved: BTreeMap::new(),
        };
        for cluster in (0..size).filter_map(|id| Cluster::new(ServerId(id), size)) {
            let (server, effects) = Server::start(cluster);
            stage.servers.push(server);
            stage.perform(cluster.id(), effects);
        }
        stage
    }

    pub(crate) fn size(&self) -> u8 {
        u8::try_from(self.servers.len()).unwrap_or_default()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.size()).map(ServerId)
    }

    pub(crate) fn server(&self, id: ServerId) -> &Server {
        &self.servers[usize::from(id.0)]
    }

    /// What was taken down since the last call, unless a rule of Raft was broken.
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

    /// Tells no more than changes and answers of what the work brings about.
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

    /// Takes a server one step on and says what came of it; the answer, if the event was a call answered at once.
    pub(crate) fn step(&mut self, id: ServerId, event: Event) -> Option<Reply> {
        let quiet = matches!(event, Event::Unanswered { .. });
        let slot = usize::from(id.0);
        let before = self.servers[slot].clone();
        let (after, effects) = before.clone().step(event);
        let mut changes = text::change(&before, &after);
        if self.told == Told::Everything {
            changes.extend(text::timers(&effects));
            if changes.is_empty() && effects.is_empty() && !quiet {
                changes.push(if before == after { "no change" } else { "noted" }.into());
            }
        }
        if !changes.is_empty() {
            self.say(&format!("{}: {}", text::server_name(id), changes.join(", ")));
        }
        if let Err(rule) = self.safety.observe(id, &after) {
            self.broken.get_or_insert(format!("{}: {rule}", text::server_name(id)));
        }
        self.servers[slot] = after;
        self.perform(id, effects)
    }

    fn perform(&mut self, id: ServerId, effects: Vec<Effect>) -> Option<Reply> {
        let mut at_once = None;
        for effect in effects {
            match effect {
                Effect::ArmTimer(timer) => self.clock.arm(id, timer),
                Effect::StopTimers => self.clock.stop(id),
                Effect::Send { to, request } => {
                    self.say_message(id, to, &text::request(&request));
                    self.network.request(id, to, request);
                }
                Effect::Reply(AT_ONCE, reply) => at_once = Some(reply),
                Effect::Reply(call, reply) => {
                    self.say(&format!("c{}: {}", call.0, text::reply(&reply)));
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

    /// Lets a timer run out that runs.
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

    /// Begins again where something else could have happened.
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
                self.step(message.to, Event::Response { from: message.from, response });
            }
            Body::Fault => self.give_up(message.exchange),
        }
    }

    fn serve(&mut self, message: &Message, request: Request) {
        let call = match request {
            Request::RequestVote(request) => Call::RequestVote(request),
            Request::AppendEntries(request) => Call::AppendEntries(request),
        };
        let (body, text) = match self.ask(message.to, call) {
            Some(Reply::Vote(reply)) => response(Response::Vote(reply)),
            Some(Reply::Append(reply)) => response(Response::Append(reply)),
            Some(Reply::Fault(Fault::Crashed)) => (Body::Fault, text::fault(Fault::Crashed)),
            other => {
                let refused = other.as_ref().map_or("no answer".into(), text::reply);
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
        self.give_up(message.exchange);
    }

    /// The sender of a request waits for its outcome no longer.
    pub(crate) fn give_up(&mut self, exchange: u64) {
        if let Some(open) = self.network.close(exchange) {
            self.step(open.by, Event::Unanswered { by: open.to, request: open.request });
        }
    }

    /// The senders of all requests on the links wait no longer, wherever request or reply may be; how many there were.
    pub(crate) fn expire(&mut self, links: &Links) -> usize {
        let exchanges = self.network.waiting(links);
        exchanges.iter().for_each(|exchange| self.give_up(*exchange));
        exchanges.len()
    }

    /// Lets messages arrive on the links until none is under way; how many did.
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

    /// Lets time pass: timers run out when they are due, and messages take no time.
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
