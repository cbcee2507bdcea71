//! The one task that owns the server: takes what happens, steps the core, and does what the core wants done.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use smol::channel::Receiver;
use smol::future;

use super::answers::Scribe;
use super::deadline::Alarm;
use super::document::Document;
use super::input::Input;
use super::peer::Peer;
use super::timing;
use crate::blocks::Blocks;
use crate::monitor::{self, Monitor};
use crate::protocol::{Answer, Call, fault};
use crate::raft::{
    self, AppendOutcome, CallId, Cluster, Effect, Event, Failure, Flaw, Identity, Incarnation,
    Reply, RoleName, Server, ServerId, Timer,
};
use crate::xmlrpc::Fault;

/// How many bytes of blocks are kept.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// What surrounds the core: peers, callers, timers, and the blocks, of which the core knows nothing.
pub(super) struct Driver {
    cluster: Cluster,
    scribe: Scribe,
    peers: BTreeMap<ServerId, Peer>,
    /// Tells the lanes to the peers whether they may send.
    is_crashed: Rc<Cell<bool>>,
    waiting: BTreeMap<CallId, oneshot::Sender<Arc<Document>>>,
    timers: Timers,
    blocks: Blocks,
    monitor: Rc<RefCell<Monitor>>,
    /// The flaws of forged requests that were warned of: each once, for they may come in floods.
    warned: BTreeSet<Flaw>,
    /// The peer's request in the present event, if it has been said why it is refused.
    explained: Option<CallId>,
}

/// What a server's lines tell of.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Told {
    role: RoleName,
    leads: bool,
    incarnation: Incarnation,
}

impl Told {
    fn of(server: &Server, status: &raft::Status) -> Told {
        Told { role: status.role, leads: server.leads(), incarnation: status.incarnation }
    }
}

impl Driver {
    pub(super) fn new(
        cluster: Cluster,
        scribe: Scribe,
        peers: BTreeMap<ServerId, Peer>,
        is_crashed: Rc<Cell<bool>>,
        monitor: Rc<RefCell<Monitor>>,
    ) -> Driver {
        Driver {
            cluster,
            scribe,
            peers,
            is_crashed,
            waiting: BTreeMap::new(),
            timers: Timers::new(),
            blocks: Blocks::new(BLOCK_BYTES_MAX),
            monitor,
            warned: BTreeSet::new(),
            explained: None,
        }
    }

    /// Drives the server, without end.
    ///
    /// # Panics
    ///
    /// If the core finds one of its invariants broken.
    pub(super) async fn run(
        mut self,
        mut server: Server,
        mut effects: Vec<Effect>,
        inbox: Receiver<Input>,
    ) -> anyhow::Result<Infallible> {
        let mut told = self.begin(&server);
        loop {
            self.perform(effects);
            let event = self.next_event(&server, &inbox).await?;
            let stands =
                matches!(event, Event::Timeout(Timer::Start | Timer::Election | Timer::Campaign));
            let ends_ballot = matches!(event, Event::Timeout(Timer::Campaign));
            let waits_for = ends_ballot.then(|| server.waits_for());
            self.note(&event, &server);
            (server, effects) = server.step(event);
            self.is_crashed.set(server.role() == RoleName::Crashed);
            told = self.report(told, &server);
            if stands {
                self.monitor.borrow_mut().stood_for_election();
            }
            if let Some(waits_for) = waits_for {
                self.end_ballot(waits_for, &server);
            }
        }
    }

    /// Says what has become of a server with its start: one that is alone leads already.
    fn begin(&self, server: &Server) -> Told {
        let told = Told::of(server, &server.status());
        if told.role != RoleName::Follower {
            self.monitor.borrow_mut().stood_for_election();
        }
        self.report(Told { role: RoleName::Follower, leads: false, ..told }, server)
    }

    /// Tells for whom a ballot has waited, unless the server has won it at its end.
    fn end_ballot(&self, waits_for: Vec<ServerId>, server: &Server) {
        if server.role() == RoleName::Candidate
            && let Some(line) = self.monitor.borrow_mut().ballot_ended(waits_for)
        {
            log::warn!("{line}");
        }
    }

    /// Waits for what concerns the core, and meanwhile answers what does not.
    async fn next_event(
        &mut self,
        server: &Server,
        inbox: &Receiver<Input>,
    ) -> anyhow::Result<Event> {
        loop {
            let timeout = async { Ok(Input::Core(Event::Timeout(self.timers.expire().await))) };
            match future::or(timeout, inbox.recv()).await? {
                Input::Core(event) => return Ok(event),
                Input::HangUp(id) => {
                    self.waiting.remove(&id);
                    return Ok(Event::HangUp(id));
                }
                Input::Call { id, method, call, answer } => {
                    self.count(&call);
                    if server.role() == RoleName::Crashed && !method.while_crashed {
                        let from_peer = call.as_ref().is_ok_and(Call::is_from_peer);
                        let sender = from_peer.then(|| server.identity());
                        self.answer(answer, &Answer::Crashed(sender));
                        continue;
                    }
                    let served = match call {
                        Ok(call) => self.serve(server, call),
                        Err(fault) => Served::Here(Answer::Fault(fault)),
                    };
                    match served {
                        Served::Here(served) => self.answer(answer, &served),
                        Served::ByCore(call) => {
                            self.waiting.insert(id, answer);
                            return Ok(Event::Call(id, call));
                        }
                    }
                }
            }
        }
    }

    /// Answers a call, unless it is the core's to answer.
    fn serve(&mut self, server: &Server, call: Call) -> Served {
        Served::Here(match call {
            Call::Raft(call) => return Served::ByCore(call),
            Call::Ping => Answer::Boolean(true),
            Call::IsLeader => Answer::Boolean(server.leads()),
            Call::IsCrashed => Answer::Boolean(server.role() == RoleName::Crashed),
            Call::Version(name) => Answer::Version(server.files().version(&name)),
            Call::Status => Answer::Status(Box::new(self.monitor.borrow().status(Instant::now()))),
            Call::PutBlock(block) => match self.blocks.put(block) {
                Ok(()) => Answer::Boolean(true),
                Err(full) => Answer::Fault(fault::busy(&full.to_string())),
            },
            Call::GetBlock(hash) => match self.blocks.get(&hash) {
                Some(block) => Answer::Block(block.into()),
                None => {
                    Answer::Fault(fault::wrong_parameters("no block of that hash is stored here"))
                }
            },
            Call::HasBlocks(hashes) => {
                Answer::Hashes(hashes.into_iter().filter(|hash| self.blocks.has(hash)).collect())
            }
            Call::ListMethods => Answer::Methods,
            Call::MethodSignature(method) => Answer::Signature(method),
            Call::MethodHelp(method) => Answer::Help(method),
            // Those that a caller asks for come one by one, so this is one of them.
            Call::Several(_) => {
                Answer::Fault(fault::wrong_parameters("system.multicall makes no call of itself"))
            }
        })
    }

    /// Counts the requests of peers; one that comes while the server is crashed has been received as well.
    fn count(&mut self, call: &Result<Call, Fault>) {
        if call.as_ref().is_ok_and(Call::is_from_peer) {
            self.monitor.borrow_mut().requested_by_peer();
        }
    }

    /// Takes note of what an event tells about the peers, before the server takes it.
    fn note(&mut self, event: &Event, server: &Server) {
        let shown = |asked, sender: &Identity| {
            if self.monitor.borrow().has_been_shown(asked, sender) {
                return false;
            }
            let own = server.identity();
            let lines = self.monitor.borrow_mut().shown(asked, sender, &own, Instant::now());
            lines.iter().for_each(|line| log::warn!("{line}"));
            monitor::explains_refusal(sender, &own)
        };
        self.explained = None;
        match event {
            Event::Response { from, response } => {
                shown(Some(*from), response.sender());
                self.monitor.borrow_mut().heard(Instant::now());
            }
            Event::Unanswered { by, failure, .. } => {
                match failure {
                    Failure::Crashed(sender) => _ = shown(Some(*by), sender),
                    Failure::Ended => self.monitor.borrow_mut().ended(*by),
                    Failure::Silent => {}
                }
                self.monitor.borrow_mut().unanswered_by(*by);
            }
            Event::Call(call, raft::Call::RequestVote(request)) => {
                self.explained = shown(None, &request.sender).then_some(*call);
            }
            Event::Call(call, raft::Call::AppendEntries(request)) => {
                self.explained = shown(None, &request.sender).then_some(*call);
            }
            Event::Timeout(_) | Event::Call(..) | Event::HangUp(_) => {}
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::ArmTimer(timer) => self.timers.arm(timer),
                Effect::StopTimers => self.timers.stop(),
                Effect::Send { to, request } => {
                    if let Some(peer) = self.peers.get(&to) {
                        peer.send(request);
                    }
                }
                Effect::Reply(call, reply) => self.reply(call, reply),
            }
        }
    }

    fn reply(&mut self, call: CallId, reply: Reply) {
        match &reply {
            Reply::Fault(raft::Fault::Forged(flaw))
                if self.explained != Some(call) && self.warned.insert(flaw) =>
            {
                log::warn!("refused a peer's request: {flaw}");
            }
            Reply::Append(reply) => match reply.outcome {
                AppendOutcome::Accepted | AppendOutcome::Mismatch(_) => {
                    self.monitor.borrow_mut().heard(Instant::now());
                }
                AppendOutcome::Stale | AppendOutcome::Refused => {}
            },
            _ => {}
        }
        if let Some(answer) = self.waiting.remove(&call) {
            self.answer(answer, &Answer::Raft(reply));
        }
    }

    /// Hands an answer over. A caller that is gone in this moment misses it.
    fn answer(&mut self, to: oneshot::Sender<Arc<Document>>, answer: &Answer) {
        let _ = to.send(self.scribe.write(answer));
    }

    /// Shows how the server is after a step: to those who ask, and with a line for each change of role. A candidate that
    /// stands anew is none.
    fn report(&self, before: Told, server: &Server) -> Told {
        let status = server.status();
        let roster = server.log().roster();
        self.monitor.borrow_mut().observe(status, server.files().len(), roster);
        let now = Told::of(server, &status);
        let (id, term) = (self.cluster.id().0, status.current_term.0);
        if before.incarnation != now.incarnation {
            log::info!("server {id} gives up its history, which has no updates, for another");
        }
        if (before.role, before.leads) == (now.role, now.leads) {
            return now;
        }
        match now.role {
            RoleName::Leader if now.leads => log::info!("server {id} is the leader of term {term}"),
            RoleName::Leader => log::info!("server {id} founds a new history in term {term}"),
            RoleName::Candidate => log::info!("server {id} stands for election after term {term}"),
            RoleName::Follower => log::info!("server {id} is a follower in term {term}"),
            RoleName::Crashed => log::info!("server {id} is crashed in term {term}"),
        }
        now
    }
}

/// What becomes of a call.
enum Served {
    /// It is answered already.
    Here(Answer),
    /// It becomes an event.
    ByCore(raft::Call),
}

/// The core's timers: one of the role, and the one for the fate of updates.
struct Timers {
    role: Option<(Timer, Instant)>,
    fate: Option<Instant>,
    alarm: Alarm,
}

impl Timers {
    fn new() -> Timers {
        Timers { role: None, fate: None, alarm: Alarm::new() }
    }

    fn arm(&mut self, timer: Timer) {
        let at = Instant::now() + timing::delay(timer);
        match timer {
            Timer::Fate => self.fate = Some(at),
            Timer::Start
            | Timer::Silence
            | Timer::Election
            | Timer::Campaign
            | Timer::Heartbeat => self.role = Some((timer, at)),
        }
    }

    fn stop(&mut self) {
        self.role = None;
        self.fate = None;
    }

    /// Waits until a timer runs out, and says which.
    async fn expire(&mut self) -> Timer {
        let role = self.role.map(|(timer, at)| (at, timer));
        let fate = self.fate.map(|at| (at, Timer::Fate));
        let next = role.into_iter().chain(fate).min_by_key(|(at, _)| *at);
        let Some((at, timer)) = next else { return future::pending().await };
        self.alarm.until(at).await;
        match timer {
            Timer::Fate => self.fate = None,
            Timer::Start
            | Timer::Silence
            | Timer::Election
            | Timer::Campaign
            | Timer::Heartbeat => self.role = None,
        }
        timer
    }
}
