//! Services that exchange the bytes that servers send, through the gate. Time passes only when a test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use fastrand::Rng;
use log::Level;
use surfstore::config::{Address, Config};
use surfstore::gate::{self, Gate, HttpMethod, Received};
use surfstore::monitor::{Page, PageRequest, Process};
use surfstore::protocol::{self, Ask};
use surfstore::raft::{
    CallId, Cluster as Set, Compaction, Failure, Incarnation, Member, Origin, Request, ServerId,
};
use surfstore::service::{Action, AnswerBudget, HeldBytes, Input, Service, Settings};
use surfstore::value::Value;
use surfstore::xmlrpc::{self, Fault};

/// The answer to a caller.
pub(crate) type Answer = Result<Value, Fault>;

/// A call of a client: at which server, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Called {
    pub(crate) at: u8,
    pub(crate) id: CallId,
}

/// Which life of the server runs.
fn incarnation(id: u8) -> Incarnation {
    Incarnation(100 * (u64::from(id) + 1))
}

/// A program's request for a page.
pub(crate) fn page_request(target: &str) -> PageRequest {
    PageRequest { target: target.to_owned(), prefers_json: false, may_call: true }
}

/// A few services.
pub(crate) struct Cluster {
    services: Vec<Option<Service>>,
    pub(crate) now: Instant,
    /// The requests of servers that are not answered yet, and who sent them.
    asked: BTreeMap<Called, (ServerId, Request)>,
    /// The answers to the clients.
    pub(crate) answers: BTreeMap<Called, Answer>,
    /// The inputs in flight.
    inputs: VecDeque<(u8, Input)>,
    /// The servers that no other one can reach.
    pub(crate) isolated: BTreeSet<u8>,
    /// The log lines of all servers, without those for debugging.
    pub(crate) lines: Vec<String>,
    /// The log lines for debugging.
    pub(crate) details: Vec<String>,
    /// How often each server requested that its connections be closed.
    pub(crate) disconnected: Vec<usize>,
    /// The calls whose callers have disconnected.
    gone: BTreeSet<Called>,
    /// The budget for each server's answers.
    pub(crate) budgets: Vec<AnswerBudget>,
    last_call: u64,
    rng: Rng,
}

impl Cluster {
    /// So many servers that have just started. So many calls may wait at each of them.
    pub(crate) fn start(size: u8, waiting_max: usize, seed: u64) -> Cluster {
        let mut text = format!("M: {size}\n");
        (0..size)
            .for_each(|id| text += &format!("metadata{id}: localhost:{}\n", 9001 + u16::from(id)));
        let config = Config::parse(&text).unwrap();
        let mut cluster = Cluster {
            services: Vec::new(),
            now: Instant::now(),
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            inputs: VecDeque::new(),
            isolated: BTreeSet::new(),
            lines: Vec::new(),
            details: Vec::new(),
            disconnected: vec![0; size.into()],
            gone: BTreeSet::new(),
            budgets: Vec::new(),
            last_call: 0,
            rng: Rng::with_seed(seed),
        };
        for id in 0..size {
            let settings = Settings {
                cluster: Set::new(ServerId(id), size).unwrap(),
                config: config.clone(),
                origin: Origin::Memory(incarnation(id)),
                compaction: Compaction::default(),
                rng: Rng::with_seed(seed + u64::from(id)),
                waiting_max,
                budget: AnswerBudget::default(),
                requests: HeldBytes::default(),
                memory_max: usize::MAX,
            };
            cluster.budgets.push(settings.budget.clone());
            let (service, actions) = Service::start(settings, cluster.now);
            cluster.services.push(Some(service));
            cluster.perform(id, actions);
        }
        cluster.settle();
        cluster
    }

    /// Servers with a leader, and which one it is.
    pub(crate) fn led(size: u8, waiting_max: usize) -> (Cluster, u8) {
        let mut cluster = Cluster::start(size, waiting_max, 1);
        cluster.pass(Duration::from_secs(5));
        let leader = cluster.leader().expect("a server leads after five seconds");
        (cluster, leader)
    }

    pub(crate) fn leader(&self) -> Option<u8> {
        (0..)
            .zip(&self.services)
            .find(|(_, service)| service.as_ref().unwrap().server().leads())
            .map(|(id, _)| id)
    }

    pub(crate) fn service(&self, id: u8) -> &Service {
        self.services[usize::from(id)].as_ref().unwrap()
    }

    /// The page of a server at a target.
    pub(crate) fn page(&self, id: u8, target: &str) -> Option<Page> {
        self.service(id).page(&page_request(target), Process::default, self.now)
    }

    /// Sends the document of a call to a server.
    pub(crate) fn send(&mut self, at: u8, document: &[u8]) -> Called {
        let called = self.next_call(at);
        let asked = protocol::read_call(&self.received(document));
        self.inputs.push_back((at, Input::Call { id: called.id, asked, since: self.now }));
        self.settle();
        called
    }

    /// Makes a call.
    pub(crate) fn call(&mut self, at: u8, ask: &Ask<'_>) -> Called {
        self.send(at, &ask.document())
    }

    /// Makes a call that is answered at once.
    #[track_caller]
    pub(crate) fn answer(&mut self, at: u8, ask: &Ask<'_>) -> Answer {
        let called = self.call(at, ask);
        self.answers.remove(&called).expect("it is answered at once")
    }

    pub(crate) fn hang_up(&mut self, called: Called) {
        self.gone.insert(called);
        self.inputs.push_back((called.at, Input::HangUp(called.id)));
        self.settle();
    }

    /// Tells a server that the connections of another one to it have closed.
    pub(crate) fn disconnect(&mut self, other: u8, at: u8) {
        let peer = Member { id: ServerId(other), incarnation: incarnation(other) };
        self.inputs.push_back((at, Input::Disconnected(peer)));
        self.settle();
    }

    /// Ticks at a server before its deadline has come.
    pub(crate) fn tick(&mut self, at: u8) {
        self.inputs.push_back((at, Input::Tick));
        self.settle();
    }

    /// Lets time pass, from one deadline to the next.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let deadlines = (0..)
                .zip(&self.services)
                .filter_map(|(id, service)| Some((service.as_ref().unwrap().deadline()?, id)));
            let Some((deadline, id)) = deadlines.min().filter(|(deadline, _)| *deadline <= end)
            else {
                break;
            };
            self.now = self.now.max(deadline);
            self.inputs.push_back((id, Input::Tick));
            self.settle();
        }
        self.now = end;
    }

    /// Delivers everything that is in flight.
    fn settle(&mut self) {
        while let Some((id, input)) = self.inputs.pop_front() {
            let slot = &mut self.services[usize::from(id)];
            let (service, actions) = slot.take().unwrap().handle(self.now, input);
            if service.has_more() {
                self.inputs.push_back((id, Input::Tick));
            }
            *slot = Some(service);
            self.perform(id, actions);
        }
    }

    fn perform(&mut self, by: u8, actions: Vec<Action>) {
        // The lanes do not run between the actions of one batch: what comes before a `Disconnect` is never sent.
        let disconnects = actions.iter().any(|action| matches!(action, Action::Disconnect));
        for action in actions {
            match action {
                Action::Send { .. } if disconnects => {}
                Action::Send { to, request } => self.carry(by, to, request),
                Action::Answer { id, document } => {
                    let called = Called { at: by, id };
                    let bytes = document.bytes();
                    let Some((asker, request)) = self.asked.remove(&called) else {
                        let answer = xmlrpc::parse_response(&bytes).expect("it is well-formed");
                        assert!(
                            !self.gone.contains(&called),
                            "{called:?} is answered although it disconnected"
                        );
                        let earlier = self.answers.insert(called, answer);
                        assert_eq!(earlier, None, "{called:?} is answered once");
                        continue;
                    };
                    let from = ServerId(by);
                    let input = match protocol::read_response(&request, &bytes) {
                        Ok(response) => Input::Response { from, response },
                        Err(told) => Input::Unanswered { by: from, request, failure: told.failure },
                    };
                    self.inputs.push_back((asker.0, input));
                }
                Action::Disconnect => self.disconnected[usize::from(by)] += 1,
                Action::Save(_) | Action::SaveSnapshot(_) => panic!("it has no disk"),
                Action::Discard(_) => {}
                Action::Log(Level::Debug, line) => self.details.push(line),
                Action::Log(_, line) => self.lines.push(line),
            }
        }
    }

    /// Carries a request to a peer. If one of them is isolated, there is no reply.
    fn carry(&mut self, by: u8, to: ServerId, request: Request) {
        if self.isolated.contains(&by) || self.isolated.contains(&to.0) {
            let failure = Failure::Silent;
            self.inputs.push_back((by, Input::Unanswered { by: to, request, failure }));
            return;
        }
        let called = self.next_call(to.0);
        let asked = protocol::read_call(&self.received(&protocol::write_request(&request)));
        self.asked.insert(called, (ServerId(by), request));
        self.inputs.push_back((to.0, Input::Call { id: called.id, asked, since: self.now }));
    }

    /// The document of a request that arrives at a server in pieces of any size.
    fn received(&mut self, document: &[u8]) -> Vec<u8> {
        let address = Address { host: "localhost".to_owned(), port: 9001 };
        let request = gate::write_post(&address, document);
        let mut gate = Gate::new("localhost");
        let mut rest = &*request;
        loop {
            match gate.next().expect("it is a request") {
                Received::Request(request) => {
                    assert!(rest.is_empty() && request.method == HttpMethod::Post);
                    return request.body.to_vec();
                }
                Received::NeedMore => {
                    let (piece, after) = rest.split_at(self.rng.usize(1..=rest.len()));
                    gate.push(piece);
                    rest = after;
                }
                Received::Continue => {}
            }
        }
    }

    fn next_call(&mut self, at: u8) -> Called {
        self.last_call += 1;
        Called { at, id: CallId(self.last_call) }
    }
}
