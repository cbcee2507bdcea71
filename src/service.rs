//! The layer around the core, without sockets, threads or a clock of its own: [`Service::handle`] takes one [`Input`]
//! and the time, and returns the [`Action`]s to carry out.
//!
//! The service owns the [`raft::Server`](crate::raft::Server). It decides which calls reach the core and which it
//! answers itself: those that a crashed server refuses, calls about blocks, and questions about the server. It holds
//! the calls that wait for the core, makes the calls of a `system.multicall` one after another, and writes large
//! answers in parts, so that other inputs are handled in between. It turns the core's timers into deadlines, the core's
//! replies into documents, and everything that it sees into the figures of the [`Monitor`].
//!
//! Like the core, it is total and synchronous: no input makes it fail or wait. So tests can drive it through any
//! schedule. The event loop of [`runtime`](crate::runtime) supplies the inputs and carries out the actions.

mod answer_cache;
mod calls;
mod document;
mod long_answers;
mod memory;
mod multicall;
mod reads;
mod report;
mod timers;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use log::Level;

use crate::blocks::Blocks;
use crate::config::Config;
use crate::monitor::{Moment, Monitor, Page, PageRequest, Process, Sight};
use crate::protocol::Asked;
use crate::raft::{
    CallId, Cluster, Compaction, Effect, Event, Failure, Member, Origin, Reply, Request, Response,
    RoleName, Save, Server, ServerId, Snapshot, Timer,
};
use crate::xmlrpc::Fault;
use answer_cache::AnswerCache;
use calls::Waiting;
use long_answers::LongAnswers;
use multicall::Multicall;
use reads::Reads;
use report::{PendingChange, Reporter};
use timers::Timers;

pub use document::{AnswerBudget, Document};
pub use memory::HeldBytes;

/// The maximum number of bytes of blocks that are kept.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Something that happens to a server.
#[derive(Debug)]
pub enum Input {
    /// A caller made a call.
    Call {
        /// Identifies the call until it is answered.
        id: CallId,
        /// What the call's document asks for, or the fault to answer if it asks for nothing that exists.
        asked: Result<Asked, Fault>,
        /// When the call had been decoded. The time that it takes is measured from then on.
        since: Instant,
    },
    /// The caller no longer waits for the answer.
    HangUp(CallId),
    /// A peer replied to a request.
    Response {
        /// The peer.
        from: ServerId,
        /// Its reply.
        response: Response,
    },
    /// A peer did not reply to a request.
    Unanswered {
        /// The peer.
        by: ServerId,
        /// The request.
        request: Request,
        /// What the failure says about the peer.
        failure: Failure,
    },
    /// The last connection by which this peer's requests came has closed, and this server has not closed it.
    Disconnected(Member),
    /// [`Action::Save`] with that number, and with it all earlier ones, is on disk.
    Saved {
        /// The number; 0 to report what is on disk at the start.
        number: u64,
        /// The bytes of the log on disk since the last snapshot.
        log_bytes: u64,
        /// The bytes of all files on disk.
        disk_bytes: u64,
        /// How long writing and syncing took.
        took: Duration,
    },
    /// Time has passed, so the [`deadline`](Service::deadline) may have been reached, or the service
    /// [has more to do](Service::has_more).
    Tick,
}

/// Something that a server wants done.
#[derive(Debug)]
pub enum Action {
    /// Bring a change of the server's state to the disk, after all earlier ones. If that fails, the process must end.
    Save(Save),
    /// Put a snapshot in the place of the log on disk, once all changes before it are there. If one is being written
    /// already, this one is not needed.
    SaveSnapshot(Snapshot),
    /// Send a request to a peer. The outcome comes back as an input, unless `Disconnect` comes first.
    Send {
        /// The peer.
        to: ServerId,
        /// The request.
        request: Request,
    },
    /// Answer a call.
    Answer {
        /// The call.
        id: CallId,
        /// The answer.
        document: Arc<Document>,
    },
    /// The server has crashed: drop all requests that are not sent yet, and close the connections to the peers.
    Disconnect,
    /// Free this on another thread, because it may take long.
    Discard(Box<dyn Any + Send>),
    /// Log a line.
    Log(Level, String),
}

/// A server: the core and the layer around it.
#[must_use = "handling an input consumes the service and gives it back"]
#[derive(Debug)]
pub struct Service {
    server: Server,
    shell: Box<Shell>,
}

/// What a service needs at its start.
#[derive(Debug)]
pub struct Settings {
    /// Which server this is, and of which set.
    pub cluster: Cluster,
    /// The configuration, for the addresses of the servers.
    pub config: Config,
    /// What the server starts with.
    pub origin: Origin,
    /// When entries are dropped, and how snapshots are sent.
    pub compaction: Compaction,
    /// Draws the random parts of timeouts.
    pub rng: Rng,
    /// The maximum number of calls that wait for the core. If it is 2, two updates may wait for a majority. A third
    /// one, or a read, is answered with the fault *busy* at once, but `isLeader` or a peer's request is still served.
    pub waiting_max: usize,
    /// The budget for the bytes of all answers, wherever they are held.
    pub budget: AnswerBudget,
    /// The bytes of requests that have not arrived completely.
    pub requests: HeldBytes,
    /// The maximum memory in bytes; updates that would exceed it are answered with the fault *busy*.
    pub memory_max: usize,
}

/// Everything in the service but the core.
#[derive(Debug)]
struct Shell {
    answers: AnswerCache,
    blocks: Blocks,
    monitor: Monitor,
    /// A random number that identifies this process.
    boot: u64,
    reporter: Reporter,
    timers: Timers,
    /// The calls that the core has not answered yet.
    waiting: BTreeMap<CallId, Waiting>,
    waiting_max: usize,
    /// The bytes of requests that have not arrived completely.
    requests: HeldBytes,
    memory_max: usize,
    /// Whether a line has been logged since memory was used up.
    warned_of_memory: bool,
    /// The reads that the core has answered and whose map is not written yet.
    reads: Reads,
    /// The long answers that are being written.
    long_answers: LongAnswers,
    /// The multicalls in progress. If one of its calls waits for the core, it is in `waiting` under the same id.
    multicalls: BTreeMap<CallId, Multicall>,
    /// The multicalls whose next call can be made, in turn.
    ready: VecDeque<CallId>,
    /// The events to pass to the core next.
    events: VecDeque<Event>,
    actions: Vec<Action>,
}

impl Service {
    /// Starts the service of a server, and returns the first actions.
    pub fn start(settings: Settings, now: Instant) -> (Service, Vec<Action>) {
        let Settings {
            cluster,
            config,
            origin,
            compaction,
            rng,
            waiting_max,
            budget,
            requests,
            memory_max,
        } = settings;
        let (server, effects) = match origin {
            Origin::Memory(incarnation) => Server::start(cluster, incarnation, compaction),
            Origin::Disk(saved) => Server::recover(cluster, saved, compaction),
        };
        let mut shell = Box::new(Shell {
            answers: AnswerCache::new(config.clone(), budget),
            blocks: Blocks::new(BLOCK_BYTES_MAX.min(memory_max / 8)),
            monitor: Monitor::new(cluster.id(), config, now, server.status()),
            // Drawn from a copy of the generator, so that it changes no timeout of a seeded run.
            boot: rng.clone().u64(..),
            reporter: Reporter::new(&server),
            timers: Timers::new(rng),
            waiting: BTreeMap::new(),
            waiting_max,
            requests,
            memory_max,
            warned_of_memory: false,
            reads: Reads::default(),
            long_answers: LongAnswers::default(),
            multicalls: BTreeMap::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            actions: Vec::new(),
        });
        shell.has_started(&server, now);
        shell.perform(effects, now);
        let actions = std::mem::take(&mut shell.actions);
        (Service { server, shell }, actions)
    }

    /// Handles an input and returns the actions to carry out. `now` never decreases from one call to the next.
    ///
    /// # Panics
    ///
    /// If the core finds one of its invariants broken. No input causes that.
    pub fn handle(self, now: Instant, input: Input) -> (Service, Vec<Action>) {
        let Service { server, mut shell } = self;
        match input {
            Input::Call { id, asked, since } => shell.call(id, asked, since, &server, now),
            Input::HangUp(id) => {
                shell.multicalls.remove(&id);
                shell.reads.forget(id);
                shell.long_answers.forget(id);
                if shell.waiting.remove(&id).is_some() {
                    shell.events.push_back(Event::HangUp(id));
                }
            }
            Input::Response { from, response } => {
                shell.events.push_back(Event::Response { from, response });
            }
            Input::Unanswered { by, request, failure } => {
                shell.events.push_back(Event::Unanswered { by, request, failure });
            }
            Input::Disconnected(peer) => shell.events.push_back(Event::Disconnected(peer)),
            Input::Saved { number, log_bytes, disk_bytes, took } => {
                shell.monitor.disk_holds(disk_bytes);
                if 0 < number {
                    shell.monitor.synced(took);
                }
                shell.events.push_back(Event::Saved(number));
                shell.actions.extend(server.snapshot_due(log_bytes).map(Action::SaveSnapshot));
            }
            Input::Tick => {
                shell.events.extend(shell.timers.expired(now).map(Event::Timeout));
                shell.write_part(now);
                shell.write_part_of_answer(now);
                if let Some(id) = shell.ready.pop_front() {
                    shell.make_next_call(id, &server, now);
                }
            }
        }
        let server = shell.step(server, now);
        let evicted = shell.answers.take_evicted();
        if !evicted.is_empty() {
            shell.actions.push(Action::Discard(Box::new(evicted)));
        }
        let actions = std::mem::take(&mut shell.actions);
        (Service { server, shell }, actions)
    }

    /// When [`Input::Tick`] is due; `None` if no timer is running.
    pub fn deadline(&self) -> Option<Instant> {
        self.shell.timers.deadline()
    }

    /// The timers that are running.
    pub fn timers(&self) -> impl Iterator<Item = Timer> {
        self.shell.timers.running()
    }

    /// Whether another [`Input::Tick`] is due as soon as other tasks have had their turn. The calls of a multicall are
    /// made in separate ticks, so that no input takes longer than a single call.
    pub fn has_more(&self) -> bool {
        !self.shell.ready.is_empty()
            || self.shell.answers.is_writing()
            || !self.shell.long_answers.is_empty()
    }

    /// The page that a GET asks for; `None` if there is no such page. `process` is called only for `/metrics`.
    pub fn page(
        &self,
        request: &PageRequest,
        process: impl FnOnce() -> Process,
        now: Instant,
    ) -> Option<Page> {
        let Service { server, shell } = self;
        let moment = shell.moment(server, now);
        match request.path() {
            "/view" => Some(shell.monitor.view(
                request.number("since"),
                &Sight {
                    moment,
                    boot: shell.boot,
                    server,
                    blocks: &shell.blocks,
                    timer: shell.timers.of_role(now),
                    may_call: request.may_call,
                },
            )),
            path @ "/metrics" => {
                let progress = &server.progress();
                shell.monitor.page(path, Moment { progress, process: process(), ..moment })
            }
            "/" if request.prefers_json => Some(shell.monitor.root_for_programs(moment)),
            path => shell.monitor.page(path, moment),
        }
    }

    /// The number of reads that the core has answered and whose map is still being written.
    pub fn reads(&self) -> usize {
        self.shell.reads.len()
    }

    /// The core.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Shell {
    /// The state that all pages of the monitor need, without what only some of them show.
    fn moment(&self, server: &Server, now: Instant) -> Moment<'static> {
        Moment {
            now,
            has_majority: server.has_majority(),
            memory: self.memory(server),
            progress: &[],
            process: Process::default(),
        }
    }

    /// Passes the core all pending events and those that follow from them.
    fn step(&mut self, mut server: Server, now: Instant) -> Server {
        while let Some(event) = self.events.pop_front() {
            let ends_ballot = matches!(event, Event::Timeout(Timer::Campaign));
            let stands = ends_ballot
                || matches!(event, Event::Timeout(Timer::Start | Timer::Election | Timer::Hurry));
            let waits_for = ends_ballot.then(|| server.waits_for());
            let was_crashed = server.role() == RoleName::Crashed;
            let disconnected = match event {
                Event::Disconnected(peer) => Some(peer),
                _ => None,
            };
            self.note(&event, &server, now);
            let change = PendingChange::of(&event, &server);
            let effects;
            (server, effects) = server.step(event);
            self.report(&server, now);
            if let Some(change) = change {
                self.note_change(change, &server, now);
            }
            if stands {
                self.monitor.stood_for_election();
            }
            if let Some(waits_for) = waits_for {
                self.end_ballot(waits_for, &server);
            }
            // The hint has no effect unless this server counted on that peer.
            let has_lost = server.role() == RoleName::Follower && !effects.is_empty();
            if let Some(peer) = disconnected.filter(|_| has_lost) {
                self.report_lost_leader(peer);
            }
            if server.role() == RoleName::Crashed && !was_crashed {
                self.actions.push(Action::Disconnect);
                self.end_reads(now);
            }
            self.perform(effects, now);
        }
        server
    }

    fn perform(&mut self, effects: Vec<Effect>, now: Instant) {
        for effect in effects {
            match effect {
                Effect::Save(save) => self.actions.push(Action::Save(save)),
                Effect::ArmTimer(timer) => self.timers.arm(timer, now),
                Effect::StopTimers => self.timers.stop(),
                Effect::Send { to, request } => {
                    self.monitor.sent(to, &request, now);
                    self.actions.push(Action::Send { to, request });
                }
                Effect::Reply(call, reply) => self.reply(call, reply, now),
                Effect::Discard(discarded) => {
                    self.actions.push(Action::Discard(Box::new(discarded)))
                }
            }
        }
    }

    /// Passes on the core's reply.
    fn reply(&mut self, id: CallId, reply: Reply, now: Instant) {
        self.note_reply(id, &reply, now);
        self.answer_waiting(id, reply, now);
    }

    fn log(&mut self, level: Level, line: String) {
        self.actions.push(Action::Log(level, line));
    }
}
