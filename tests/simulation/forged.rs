//! Forged messages: whatever a server is told, it neither panics nor breaks a promise to those who call it.
//!
//! Nothing global is claimed here, since who may lie as a peer can break everything that peers agree on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use surfstore::metadata::{HashList, Leaf, Update};
use surfstore::raft::{
    Account, AppendEntries, AppendOutcome, AppendReply, BallotKind, Call, CallError, CallId,
    Cluster, Command, Compaction, Effect, Entry, Event, Failure, Identity, Incarnation,
    InstallSnapshot, LogIndex, NUMBER_MAX, Position, Reply, Request, RequestVote, Response, Roster,
    Round, Server, ServerId, Term, Timer, VoteReply,
};

/// The incarnation of the server that is attacked.
const OWN: Incarnation = Incarnation(1);

/// Draws what a forger might send: mostly numbers close to the server's own, some of them absurd.
struct Forger {
    rng: fastrand::Rng,
    /// The server's term, last index and last ballot or round, or what comes close to them.
    near: [u64; 3],
    /// The last request that the server sent, to be answered as it would like.
    last: Option<Request>,
    /// The last piece of a snapshot that it sent.
    begun: Option<InstallSnapshot>,
    /// The size of the server's set, and the history of its log.
    size: u8,
    history: Option<Incarnation>,
    /// Whether it sends absurd numbers, too. A server that believes one of them never leads again.
    absurd: bool,
}

impl Forger {
    fn number(&mut self, near: u64) -> u64 {
        match self.rng.u8(0..60) {
            _ if !self.absurd => near.saturating_add(self.rng.u64(0..4)).saturating_sub(2),
            0 => u64::MAX,
            1 => NUMBER_MAX + self.rng.u64(0..2),
            2 => self.rng.u64(..),
            _ => near.saturating_add(self.rng.u64(0..4)).saturating_sub(2),
        }
    }

    fn term(&mut self) -> Term {
        Term(self.number(self.near[0]))
    }

    fn index(&mut self) -> LogIndex {
        let near = if self.rng.bool() { self.near[1] } else { self.rng.u64(0..=self.near[1]) };
        LogIndex(self.number(near))
    }

    fn position(&mut self) -> Position {
        if self.rng.u8(0..4) == 0 {
            return Position::default();
        }
        Position { term: self.term(), index: self.index() }
    }

    fn server(&mut self) -> ServerId {
        ServerId(self.rng.u8(0..6))
    }

    fn kind(&mut self) -> BallotKind {
        if self.rng.bool() { BallotKind::PreVote } else { BallotKind::Vote }
    }

    fn entries(&mut self) -> Vec<Entry> {
        let mut term = self.term();
        let mut entries = Vec::new();
        for _ in 0..self.rng.u8(0..4) {
            let command = if self.rng.bool() {
                Command::Roster(Arc::new(self.roster()))
            } else {
                Command::Update(Arc::new(self.update()))
            };
            entries.push(Entry { term, command });
            term = if self.rng.bool() { term } else { self.term() };
        }
        entries
    }

    fn update(&mut self) -> Update {
        let version = [1, 2, 3, 0, -1, i64::MAX, i64::MIN][self.rng.usize(0..7)];
        Update { name: "a".into(), version, hashes: HashList::default() }
    }

    fn incarnation(&mut self) -> Incarnation {
        match self.rng.u8(0..30) {
            0 if self.absurd => Incarnation(0),
            1 if self.absurd => Incarnation(u64::MAX),
            _ => Incarnation(self.rng.u64(1..5)),
        }
    }

    fn history(&mut self) -> Option<Incarnation> {
        let known = self.history.filter(|_| self.rng.u8(0..4) != 0);
        known.or_else(|| (self.rng.u8(0..4) != 0).then(|| self.incarnation()))
    }

    fn roster(&mut self) -> Roster {
        let history = self.history().unwrap_or(OWN);
        let mut members = BTreeMap::new();
        for _ in 0..self.rng.u8(0..5) {
            let id = self.server();
            members.insert(id, if id.0 == 0 { OWN } else { Incarnation(u64::from(id.0) + 1) });
        }
        Roster { history, members }
    }

    /// Somebody whose last entry is of that term; mostly one that could be a peer.
    fn sender(&mut self) -> Identity {
        let mut last_log = self.position();
        let term = self.term();
        if self.rng.bool() {
            last_log.term = term;
        }
        let id = self.server();
        let history = if last_log.index.0 == 0 { None } else { self.history() };
        Identity {
            id,
            size: if self.rng.u8(0..20) == 0 { self.rng.u8(..) } else { self.size },
            names: u64::from(self.rng.u8(0..10) == 0),
            incarnation: if self.rng.bool() {
                Incarnation(u64::from(id.0) + 1)
            } else {
                self.incarnation()
            },
            term,
            history,
            founded: history.is_some() && self.rng.bool(),
            last_log,
        }
    }

    fn request_vote(&mut self) -> RequestVote {
        let sender = self.sender();
        let account = (self.rng.u8(0..6) == 0).then(|| self.account());
        RequestVote { sender, kind: self.kind(), ballot: self.number(self.near[2]), account }
    }

    fn account(&mut self) -> Account {
        let size = self.rng.u8(0..7);
        let living =
            |id| (ServerId(id), (self.rng.u8(0..3) != 0).then_some(Incarnation(u64::from(id) + 1)));
        Account((0..size).map(living).collect())
    }

    fn append_entries(&mut self) -> AppendEntries {
        AppendEntries {
            sender: self.sender(),
            receiver: (self.rng.u8(0..4) == 0).then(|| self.incarnation()),
            prev_log: self.position(),
            entries: self.entries(),
            leader_commit: self.index(),
            round: Round(self.number(self.near[2])),
            has_majority: self.rng.bool(),
        }
    }

    /// A piece of a snapshot: mostly the next one of the snapshot that the forger has begun.
    fn install_snapshot(&mut self) -> InstallSnapshot {
        let begun = self.begun.take().filter(|_| self.rng.u8(0..4) != 0);
        let (sender, last_included, offset) = match begun {
            Some(InstallSnapshot { sender, last_included, offset, leaves, .. }) => {
                (sender, last_included, offset.saturating_add(leaves.len() as u64))
            }
            None if self.rng.bool() => (self.sender(), self.position(), 0),
            None => {
                let (leader, last_included) = self.leader_ahead();
                (leader, last_included, 0)
            }
        };
        let offset = if self.rng.u8(0..8) == 0 { self.number(offset) } else { offset };
        let piece = InstallSnapshot {
            sender,
            receiver: (self.rng.u8(0..10) == 0).then(|| self.incarnation()),
            last_included,
            roster: Arc::new(self.roster_of(&sender)),
            offset,
            leaves: self.leaves(offset),
            done: self.rng.bool(),
            round: Round(self.number(self.near[2])),
            has_majority: self.rng.bool(),
        };
        self.begun = Some(piece.clone()).filter(|piece| !piece.done || self.rng.bool());
        piece
    }

    /// A peer that may lead, and the last entry of a snapshot that the server lacks.
    fn leader_ahead(&mut self) -> (Identity, Position) {
        let term = Term(self.near[0] + self.rng.u64(0..2));
        let index = LogIndex(self.near[1] + self.rng.u64(1..3));
        let last_log = Position { term, index };
        let history = Some(self.history.unwrap_or(OWN));
        (Identity { term, history, founded: true, last_log, ..self.sender() }, last_log)
    }

    /// A roster of that leader's history, mostly one that its cluster may have.
    fn roster_of(&mut self, leader: &Identity) -> Roster {
        let mut roster = self.roster();
        if self.rng.u8(0..10) != 0 {
            roster.history = leader.history.unwrap_or(OWN);
            roster.members.retain(|id, _| id.0 < self.size);
        }
        roster
    }

    /// Some leaves, mostly in order of their names.
    fn leaves(&mut self, offset: u64) -> Vec<Arc<Leaf>> {
        let count = self.rng.u64(0..3);
        (offset..offset.saturating_add(count))
            .filter_map(|number| self.leaf(number))
            .map(Arc::new)
            .collect()
    }

    fn leaf(&mut self, number: u64) -> Option<Leaf> {
        let number = if self.rng.u8(0..10) == 0 { self.rng.u64(0..5) } else { number };
        let name = format!("{number:03}").as_str().into();
        Leaf::new(vec![Arc::new(Update { name, version: 1, hashes: HashList::default() })])
    }

    fn response(&mut self) -> Response {
        let mut sender = self.sender();
        match (self.rng.bool(), &self.last) {
            (true, Some(Request::RequestVote(request))) => {
                sender.term = Term(self.near[0]);
                Forger::vote_for(sender, request)
            }
            (
                true,
                Some(
                    Request::AppendEntries(AppendEntries { sender: leader, round, .. })
                    | Request::InstallSnapshot(InstallSnapshot { sender: leader, round, .. }),
                ),
            ) => {
                sender.term = leader.term;
                sender.history = self.history;
                sender.founded = self.history.is_some();
                sender.last_log = leader.last_log;
                let round = *round;
                Response::Append(AppendReply { sender, round, outcome: self.outcome() })
            }
            (true, None) => {
                let (kind, ballot) = (self.kind(), self.number(self.near[2]));
                let (vote_granted, leads) = (self.rng.bool(), self.rng.bool());
                Response::Vote(VoteReply { sender, kind, ballot, vote_granted, leads })
            }
            (false, _) => {
                let round = Round(self.number(self.near[2]));
                Response::Append(AppendReply { sender, round, outcome: self.outcome() })
            }
        }
    }

    /// A vote as a candidate in that term wants it.
    fn vote_for(mut sender: Identity, request: &RequestVote) -> Response {
        (sender.size, sender.names) = (request.sender.size, request.sender.names);
        (sender.history, sender.founded, sender.last_log) = (None, false, Position::default());
        let RequestVote { kind, ballot, .. } = *request;
        Response::Vote(VoteReply { sender, kind, ballot, vote_granted: true, leads: false })
    }

    fn failure(&mut self) -> Failure {
        match self.rng.u8(0..3) {
            0 => Failure::Ended,
            1 => Failure::Crashed(self.sender()),
            _ => Failure::Silent,
        }
    }

    fn outcome(&mut self) -> AppendOutcome {
        match self.rng.u8(0..10) {
            0 => AppendOutcome::Stale,
            1 => AppendOutcome::Refused,
            2 | 3 => AppendOutcome::Mismatch(self.position()),
            4 => AppendOutcome::Incomplete(self.number(1)),
            _ => AppendOutcome::Accepted,
        }
    }

    fn event(&mut self, call: CallId) -> Event {
        use Timer::{Campaign, Election, Fate, Heartbeat, Hurry, Patience, Silence, Start};
        let request = match self.rng.u8(0..20) {
            0..=2 => Call::Update(self.update()),
            3 => Call::ReadFiles,
            4 if self.rng.u8(0..8) == 0 => Call::Crash,
            5 => Call::Restore,
            6 | 7 => Call::RequestVote(self.request_vote()),
            8 | 9 => Call::AppendEntries(self.append_entries()),
            10 => Call::InstallSnapshot(self.install_snapshot()),
            11 => return Event::HangUp(CallId(self.rng.u64(0..=call.0))),
            12 => {
                let forged = Request::AppendEntries(self.append_entries());
                let request = self.last.clone().filter(|_| self.rng.bool()).unwrap_or(forged);
                return Event::Unanswered { by: self.server(), request, failure: self.failure() };
            }
            13 | 14 => {
                let timers = [Start, Silence, Election, Campaign, Hurry, Patience, Heartbeat, Fate];
                return Event::Timeout(timers[self.rng.usize(0..timers.len())]);
            }
            _ => return Event::Response { from: self.server(), response: self.response() },
        };
        Event::Call(call, request)
    }

    /// Learns the numbers with which it can do harm from what the server sends.
    fn observe(&mut self, server: &Server, effects: &[Effect]) {
        let status = server.status();
        self.near[0] = status.current_term.0;
        self.near[1] = status.last_log.index.0;
        self.history = status.history;
        for effect in effects {
            let Effect::Send { request, .. } = effect else { continue };
            self.near[2] = match request {
                Request::AppendEntries(append) => append.round.0,
                Request::InstallSnapshot(piece) => piece.round.0,
                Request::RequestVote(vote) => vote.ballot,
            };
            self.last = Some(request.clone());
        }
    }
}

/// Feeds one server with forged events. Returns whether it led, and whether it put a snapshot in place.
fn attack(seed: u64) -> [bool; 2] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let size = rng.u8(1..6);
    let cluster = Cluster::new(ServerId(0), size).expect("a member");
    let compaction = Compaction {
        log_bytes_min: if rng.bool() { 0 } else { rng.usize(0..2_000) },
        log_bytes_max: usize::MAX,
        piece_bytes_max: rng.usize(0..200),
    };
    let (mut server, _) = Server::start(cluster, OWN, compaction);
    let absurd = seed.is_multiple_of(2);
    let mut forger =
        Forger { rng, size, near: [0; 3], history: None, last: None, begun: None, absurd };
    let mut waiting = BTreeSet::new();
    let (mut led, mut installed) = (false, false);
    for number in 0..1_000 {
        let event = forger.event(CallId(number));
        match &event {
            Event::Call(call, _) => _ = waiting.insert(*call),
            Event::HangUp(call) => _ = waiting.remove(call),
            _ => {}
        }
        let before = server.clone();
        let (after, effects) = server.step(event);
        for effect in &effects {
            let Effect::Reply(call, reply) = effect else { continue };
            assert!(
                waiting.remove(call),
                "seed {seed}: {call:?} was answered twice, or never asked"
            );
            let refused = matches!(reply, Reply::Failed(CallError::Forged(_)));
            assert!(!refused || before == after, "seed {seed}: what is refused changes nothing");
        }
        led |= after.leader() == Some(cluster.id());
        installed |= after.log().len() == 0 && LogIndex(0) < after.status().last_applied;
        forger.observe(&after, &effects);
        server = after;
    }
    assert!(
        waiting.len() == server.status().waiting,
        "seed {seed}: every call waits or is answered"
    );
    [led, installed]
}

#[test]
fn no_forged_message_makes_a_server_panic_or_answer_twice() {
    let seeds = crate::number("SEEDS").unwrap_or(if cfg!(debug_assertions) { 200 } else { 2_000 });
    let attacks: Vec<_> = (0..seeds).map(attack).collect();
    let led = attacks.iter().filter(|[led, _]| *led).count() as u64;
    assert!(seeds / 4 < led, "the forger seldom makes a leader: {led} of {seeds}");
    let installed = attacks.iter().filter(|[_, installed]| *installed).count() as u64;
    assert!(seeds / 4 < installed, "the forger seldom brings a snapshot: {installed} of {seeds}");
}
