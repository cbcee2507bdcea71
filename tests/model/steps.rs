//! Every reached server state and every step between them, each computed once.
//!
//! The core is pure: the same server and the same event always give the same result. So a server state, an event and a
//! message each get a number, a step is identified by two of them, and the state of the cluster is a handful of
//! numbers. Properties of one server alone are checked here, once per step and once per server state.

use std::collections::BTreeSet;

use surfstore::raft::{
    Account, AppendOutcome, BallotKind, Call, CallError, CallId, Cluster, Compaction, Effect,
    Event, Failure, Flaw, Identity, Member, Position, Reply, Request, Response, RoleName, Server,
    ServerId, Status, Term, Timer,
};

use crate::disks::{self, Disk};
use crate::invariants;
use crate::marks::Marks;
use crate::network::Message;
use crate::state::Process;
use crate::table::{Numbered, Table};

/// The id of all calls that are answered in the step that handles them: those of operators.
pub(crate) const AT_ONCE: CallId = CallId(0);

/// The ids of the peers' calls begin here. The rest is the number of the request.
const PEERS: u64 = 1 << 32;

/// A server and its running timers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Local {
    pub(crate) id: ServerId,
    /// How often it was relaunched, or came back, before.
    pub(crate) launch: u8,
    pub(crate) server: Server,
    /// The timer of its role.
    pub(crate) timer: Option<Timer>,
    /// Whether the timer runs at whose end waiting callers are told that the outcome is unknown.
    pub(crate) fate: bool,
    /// What it asks the others for, as a candidate.
    pub(crate) ballot: Option<Ballot>,
    /// The leader whose connections have closed, while it is in a hurry because of that.
    pub(crate) lost: Option<Member>,
    /// The disk, if it has one.
    pub(crate) disk: Option<Disk>,
    /// The peers' calls whose answers wait for the disk.
    pub(crate) open: BTreeSet<CallId>,
}

/// A ballot, as the requests for votes describe it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ballot {
    pub(crate) kind: BallotKind,
    pub(crate) number: u64,
    pub(crate) account: Option<Account>,
    /// Whether an answer has shown a founded history.
    pub(crate) meets_founded: bool,
    /// The lost leader that has not answered yet, if the ballot waits for it.
    pub(crate) judge: Option<ServerId>,
}

/// The result of a step.
pub(crate) struct Step {
    /// The server afterwards.
    pub(crate) next: u32,
    /// The messages that it sends.
    pub(crate) sends: Box<[u32]>,
    /// Its answers to clients.
    pub(crate) answers: Box<[(CallId, Reply)]>,
    /// Its answers to peers. Without a disk there is at most one, to the request that it has handled.
    pub(crate) responses: Box<[u32]>,
    /// The sender of a message that no correct server can have sent, and the reason. This covers only processes that
    /// still live: an ended process may have led a term that everybody's vote gave to another leader.
    pub(crate) flaw: Option<(Process, Flaw)>,
    /// Whether the server answers a client, or its role, term, log, commit index, leader or incarnation changes, so
    /// that not only this server must be checked.
    pub(crate) concerns_all: bool,
    /// The situations in it.
    pub(crate) marks: Marks,
}

impl Step {
    /// Whether both have the same result.
    pub(crate) fn does_the_same(&self, other: &Step) -> bool {
        self.next == other.next && self.sends == other.sends && self.answers == other.answers
    }

    /// Whether it has no effect at server state `from` except a reply to a peer.
    pub(crate) fn only_replies(&self, from: u32) -> bool {
        self.next == from && self.sends.is_empty() && self.answers.is_empty()
    }
}

/// The part of a server state that decides which messages still matter to it.
#[derive(Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) role: RoleName,
    pub(crate) term: Term,
    pub(crate) voted_for: Option<Member>,
    pub(crate) last_log: Position,
    pub(crate) ballot: Option<(BallotKind, u64)>,
    /// Whether it has nothing left to do that it would do at any event.
    pub(crate) idle: bool,
}

/// Where a message arrives, and as which event.
#[derive(Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) at: ServerId,
    pub(crate) event: u32,
    /// The sender of the request.
    pub(crate) asker: Process,
    /// Whether it is a request.
    pub(crate) asks: bool,
    /// A reply without the position of its sender's last entry.
    pub(crate) without_position: Option<u32>,
}

/// Server states, events, messages and steps by their numbers.
pub(crate) struct Steps {
    compaction: Compaction,
    has_disks: bool,
    locals: Numbered<Local>,
    events: Numbered<Event>,
    messages: Numbered<Message>,
    deliveries: Vec<Delivery>,
    facts: Vec<Facts>,
    steps: Vec<Step>,
    known: Table,
}

impl Local {
    /// A process that starts with what is on that disk, or without a disk.
    fn start(process: Process, size: u8, compaction: Compaction, disk: Option<Disk>) -> Local {
        let Process { id, launch } = process;
        let cluster = Cluster::new(id, size).expect("a server of the cluster");
        let (server, effects) = match &disk {
            Some(disk) => Server::recover(cluster, disk.saved.clone(), compaction),
            None => Server::start(cluster, process.incarnation(), compaction),
        };
        let (timer, fate, ballot, lost, open) = (None, false, None, None, BTreeSet::new());
        let mut local = Local { id, launch, server, timer, fate, ballot, lost, disk, open };
        local.run_timers(&effects);
        local.hand_over(&effects);
        local
    }

    /// The process.
    pub(crate) fn process(&self) -> Process {
        Process { id: self.id, launch: self.launch }
    }

    /// Hands the changes to the disk.
    fn hand_over(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Save(save) = effect {
                let disk = self.disk.as_mut().expect("only a server with a disk saves");
                disk.queue.push(save.clone());
            }
        }
    }

    fn run_timers(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::ArmTimer(Timer::Fate) => self.fate = true,
                Effect::ArmTimer(timer) => self.timer = Some(*timer),
                Effect::StopTimers => (self.timer, self.fate) = (None, false),
                Effect::Send { .. } | Effect::Reply(..) | Effect::Discard(_) | Effect::Save(_) => {}
            }
        }
    }

    /// Lets the server handle one event.
    pub(crate) fn step(&self, event: &Event) -> (Local, Done) {
        let mut next = self.clone();
        match event {
            Event::Timeout(Timer::Fate) => next.fate = false,
            Event::Timeout(_) => next.timer = None,
            Event::Saved(number) => next.disk.iter_mut().for_each(|disk| disk.sync(*number)),
            _ => {}
        }
        let (server, effects) = next.server.step(event.clone());
        next.server = server;
        let decided = disks::decided(self, event, &next.server, &effects);
        next.run_timers(&effects);
        next.hand_over(&effects);
        next.disk.iter_mut().for_each(|disk| disk.compact(&next.server));
        next.note_open(event, &effects);
        next.note_loss(event, &effects);
        next.note_answer(event);
        next.note_ballot(event, &decided);
        if self.has_withdrawn() && next.has_withdrawn() && self.differs_in_ballots_alone(&next) {
            next = self.clone();
        }
        (next, Done { effects, decided })
    }

    /// Records which peers' calls are not answered yet.
    fn note_open(&mut self, event: &Event, effects: &[Effect]) {
        if let Event::Call(call, _) = event
            && message_of(*call).is_some()
        {
            self.open.insert(*call);
        }
        for effect in effects {
            if let Effect::Reply(call, _) = effect {
                self.open.remove(call);
            }
        }
    }

    /// Whether this request waits here to be answered. A peer makes a call only once. So the search does not deliver
    /// it again as long as it is open.
    pub(crate) fn has_open(&self, message: u32) -> bool {
        self.open.contains(&call_of(message))
    }

    /// Whether the event has the same effect as any other.
    pub(crate) fn ignores(&self, event: Event) -> bool {
        let server = || self.server.clone();
        server().step(event) == server().step(invariants::NOTHING)
    }

    /// Whether it is in a hurry, as its timer shows.
    pub(crate) fn is_in_a_hurry(&self) -> bool {
        matches!(self.timer, Some(Timer::Hurry | Timer::Patience))
    }

    /// Records the leader that it has lost, until its hurry is over.
    fn note_loss(&mut self, event: &Event, effects: &[Effect]) {
        if let Event::Disconnected(peer) = event
            && effects.contains(&Effect::ArmTimer(Timer::Hurry))
        {
            self.lost = Some(*peer);
        }
        self.lost = self.lost.filter(|_| self.is_in_a_hurry());
    }

    /// Whether it is a candidate that has given up its ballot, without a new one.
    fn has_withdrawn(&self) -> bool {
        self.server.role() == RoleName::Candidate && self.ballot.is_none()
    }

    /// Whether the two differ only in the number of the ballot. A candidate that has given up its ballot does so again
    /// with each append of a leader without a majority: no server was asked in the one that it gives up.
    fn differs_in_ballots_alone(&self, other: &Local) -> bool {
        let without_ballots = |local: &Local| {
            let told = format!("{local:?}");
            let mut parts = told.split("ballot");
            let first = parts.next().unwrap_or_default().to_owned();
            let skip = |part: &str| part.trim_start_matches(|c| c != ',' && c != '}').to_owned();
            parts.map(skip).fold(first, |told, part| told + &part)
        };
        without_ballots(self) == without_ballots(other)
    }

    /// Records what an answer to the current ballot shows.
    fn note_answer(&mut self, event: &Event) {
        let Some((asked, by, shown)) = answer_to_candidate(event) else { return };
        let Some(ballot) = self.ballot.as_mut().filter(|it| asked == (it.kind, it.number)) else {
            return;
        };
        ballot.meets_founded |= shown.is_some_and(|shown| shown.founded);
        ballot.judge = ballot.judge.filter(|judge| *judge != by);
    }

    fn note_ballot(&mut self, event: &Event, effects: &[Effect]) {
        let is_led = accepted_leader(event, effects).is_some();
        if is_led && self.ballot.as_ref().is_some_and(|ballot| ballot.kind == BallotKind::Vote) {
            self.ballot = None;
        }
        for effect in effects {
            if let Effect::Send { request: Request::RequestVote(request), .. } = effect {
                let (kind, number) = (request.kind, request.ballot);
                let account = request.account.clone();
                let judge = self.lost.filter(|_| kind == BallotKind::PreVote).map(|lost| lost.id);
                self.ballot = Some(Ballot { kind, number, account, meets_founded: false, judge });
            }
        }
        if self.server.role() != RoleName::Candidate {
            self.ballot = None;
        }
    }
}

/// What a step does.
pub(crate) struct Done {
    /// Its effects.
    pub(crate) effects: Vec<Effect>,
    /// What its effects would be if the disk took no time: with what it holds back, and without what it releases.
    pub(crate) decided: Vec<Effect>,
}

impl Steps {
    /// No steps yet, of servers that all drop entries and send snapshots in this way.
    pub(crate) fn new(compaction: Compaction, has_disks: bool) -> Steps {
        Steps {
            compaction,
            has_disks,
            locals: Numbered::new(),
            events: Numbered::new(),
            messages: Numbered::new(),
            deliveries: Vec::new(),
            facts: Vec::new(),
            steps: Vec::new(),
            known: Table::new(),
        }
    }

    /// A server as its process starts.
    pub(crate) fn start(&mut self, process: Process, size: u8) -> u32 {
        let disk = self.has_disks.then(|| Disk::new(process));
        self.local_number(Local::start(process, size, self.compaction, disk))
    }

    /// The server that comes back after it has lost its power, with so many of the changes that it had under way.
    /// Returns its number, and the situations in this.
    pub(crate) fn recover(&mut self, local: u32, kept: u8, size: u8) -> (u32, Marks) {
        let before = self.locals.get(local);
        let disk = before.disk.as_ref().expect("it has a disk").after_loss(kept);
        let process = Process { id: before.id, launch: before.launch + 1 };
        let after = Local::start(process, size, self.compaction, Some(disk.clone()));
        disks::check_recovered(&disk, &after);
        let marks = disks::marks_of_recovery(before, kept, &after);
        (self.local_number(after), marks)
    }

    pub(crate) fn local(&self, number: u32) -> &Local {
        self.locals.get(number)
    }

    pub(crate) fn facts(&self, local: u32) -> Facts {
        self.facts[local as usize]
    }

    pub(crate) fn message(&self, number: u32) -> &Message {
        self.messages.get(number)
    }

    pub(crate) fn delivery(&self, message: u32) -> Delivery {
        self.deliveries[message as usize]
    }

    pub(crate) fn get(&self, step: u32) -> &Step {
        &self.steps[step as usize]
    }

    /// How many server states and steps there are.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.locals.len(), self.steps.len())
    }

    pub(crate) fn event_number(&mut self, event: Event) -> u32 {
        self.events.number(event).0
    }

    pub(crate) fn message_number(&mut self, message: Message) -> u32 {
        let (asker, asks) = (message.asker(), message.is_request());
        let (number, is_new) = self.messages.number(message);
        if is_new {
            let (at, event) = self.messages.get(number).delivery(call_of(number));
            let event = self.event_number(event);
            let delivery = Delivery { at, event, asker, asks, without_position: None };
            self.deliveries.push(delivery);
            let less = self.messages.get(number).without_position();
            let less = less.map(|less| self.message_number(less));
            self.deliveries[number as usize].without_position = less;
        }
        number
    }

    /// The response of the host of a server whose process has ended to a request.
    pub(crate) fn refusal(&mut self, request: u32) -> Option<u32> {
        let refusal = self.messages.get(request).refusal()?;
        Some(self.message_number(refusal))
    }

    fn local_number(&mut self, local: Local) -> u32 {
        let (number, is_new) = self.locals.number(local);
        if is_new {
            let local = self.locals.get(number);
            let Status { role, current_term: term, voted_for, last_log, .. } =
                local.server.status();
            let ballot = local.ballot.as_ref().map(|ballot| (ballot.kind, ballot.number));
            invariants::check_state(local);
            let idle = invariants::is_idle(local);
            self.facts.push(Facts { role, term, voted_for, last_log, ballot, idle });
            invariants::check_deafness(local);
        }
        number
    }

    /// The step of a server at an event, by their numbers.
    pub(crate) fn step(&mut self, local: u32, event: u32) -> u32 {
        let key = u64::from(local) << 32 | u64::from(event);
        if let Some(step) = self.known.get(key) {
            return step;
        }
        let step = self.take(local, event);
        let number = u32::try_from(self.steps.len()).expect("few steps");
        self.steps.push(step);
        self.known.insert(key, number);
        number
    }

    fn take(&mut self, local: u32, event: u32) -> Step {
        let (before, event) = (self.locals.get(local).clone(), self.events.get(event).clone());
        let (after, Done { effects, decided }) = before.step(&event);
        invariants::check_change(&before, &event, &after, &decided);
        let mut marks = invariants::marks(&before, &event, &after, &decided);
        disks::mark(&mut marks, &before, &event, &after, &effects);
        let (mut sends, mut answers) = (Vec::new(), Vec::new());
        let (mut responses, mut flaw) = (Vec::new(), None);
        for effect in effects {
            match effect {
                Effect::Send { to, request } => {
                    disks::check_request(&after, &request);
                    let by = after.process();
                    sends.push(self.message_number(Message::Request { by, to, request }));
                }
                Effect::Reply(AT_ONCE, Reply::Done) => {}
                Effect::Reply(call, reply) => match (message_of(call), reply) {
                    (None, reply) => answers.push((call, reply)),
                    (Some(request), Reply::Failed(CallError::Forged(why))) => {
                        flaw = Some((self.delivery(request).asker, why));
                    }
                    (Some(request), reply) => {
                        let request = self.messages.get(request);
                        disks::check_reply(&after, request, &reply);
                        let message = request.answer(&after.server.identity(), reply);
                        responses.push(self.message_number(message));
                    }
                },
                Effect::ArmTimer(_) | Effect::StopTimers | Effect::Discard(_) | Effect::Save(_) => {
                }
            }
        }
        let concerns_all = !answers.is_empty()
            || differ(&before.server, &after.server)
            || before.disk.as_ref().map(|disk| &disk.saved)
                != after.disk.as_ref().map(|disk| &disk.saved);
        let next = self.local_number(after);
        Step {
            next,
            sends: sends.into(),
            answers: answers.into(),
            responses: responses.into(),
            flaw,
            concerns_all,
            marks,
        }
    }
}

/// The id of the call that a request makes.
fn call_of(message: u32) -> CallId {
    CallId(PEERS + u64::from(message))
}

/// The request that made the call, if a peer made it.
pub(crate) fn message_of(CallId(call): CallId) -> Option<u32> {
    call.checked_sub(PEERS).and_then(|message| u32::try_from(message).ok())
}

/// The leader that makes the request in the event and whether it has a majority, if the server takes it for its leader.
pub(crate) fn accepted_leader<'a>(
    event: &'a Event,
    effects: &[Effect],
) -> Option<(&'a Identity, bool)> {
    let leader = match event {
        Event::Call(_, Call::AppendEntries(request)) => (&request.sender, request.has_majority),
        Event::Call(_, Call::InstallSnapshot(request)) => (&request.sender, request.has_majority),
        _ => return None,
    };
    match append_outcome(effects)? {
        AppendOutcome::Accepted | AppendOutcome::Mismatch(_) | AppendOutcome::Incomplete(_) => {
            Some(leader)
        }
        AppendOutcome::Stale | AppendOutcome::Refused => None,
    }
}

/// What a leader is told came of its request.
pub(crate) fn append_outcome(effects: &[Effect]) -> Option<AppendOutcome> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(_, Reply::Append(reply)) => Some(reply.outcome),
        _ => None,
    })
}

/// The ballot that an answer to a candidate belongs to, who gave it, and what it shows about them: nothing if their
/// process has ended. Silence is no answer.
pub(crate) fn answer_to_candidate(
    event: &Event,
) -> Option<((BallotKind, u64), ServerId, Option<&Identity>)> {
    match event {
        Event::Response { from, response: Response::Vote(reply) } => {
            Some(((reply.kind, reply.ballot), *from, Some(&reply.sender)))
        }
        Event::Unanswered { by, request: Request::RequestVote(request), failure } => {
            let asked = (request.kind, request.ballot);
            match failure {
                Failure::Crashed(sender) => Some((asked, *by, Some(sender))),
                Failure::Ended => Some((asked, *by, None)),
                Failure::Silent => None,
            }
        }
        _ => None,
    }
}

/// Whether the servers differ in what concerns the others.
fn differ(before: &Server, after: &Server) -> bool {
    let concern = |server: &Server| {
        let Status { role, current_term, incarnation, commit_index, .. } = server.status();
        let Status { leader, leader_history, .. } = server.status();
        (role, current_term, incarnation, commit_index, leader, leader_history)
    };
    concern(before) != concern(after) || before.log() != after.log()
}
