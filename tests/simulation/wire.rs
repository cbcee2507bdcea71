//! How requests and replies travel between the servers of the world, under the faults of its network.
//!
//! Unless it crashes, the sender gets one outcome for each request, and also the replies that come late or twice.

use std::rc::Rc;
use std::sync::Arc;

use surfstore::protocol;
use surfstore::raft::{
    AppendEntries, AppendOutcome, AppendReply, BallotKind, CallId, Entry, Failure, Incarnation,
    InstallSnapshot, LogIndex, Member, Position, Request, RequestVote, Response, RoleName, Roster,
    SILENCE_MS, ServerId, Status, Term, VoteReply,
};
use surfstore::service::{Document, Input};

use crate::disk::Disk;
use crate::marks::Mark;
use crate::network::{MILLISECOND, SECOND};
use crate::queue::{Happening, Letter};
use crate::snapshots::Receiver;
use crate::world::World;

/// How long a sender waits for a reply: half the silence timeout, or longer if the request carries entries or files.
const DEADLINE: u64 = SILENCE_MS * MILLISECOND / 2;
const DEADLINE_ENTRIES: u64 = SILENCE_MS * MILLISECOND;

/// How many replies are kept to be repeated.
const PAST_MAX: usize = 200;

/// What each server knows as a leader about every other server, inferred from the messages on the lanes between them.
pub(crate) struct Lanes {
    size: usize,
    /// For each lane: the newest append that was answered in its own term, as the term and the number of the letter,
    /// and the process that answered it.
    answered: Vec<(Term, u64, Option<Incarnation>)>,
    /// For each lane: the sender's and the receiver's process, the sender's term, and the last entry that the sender
    /// knew the receiver to hold.
    matched: Vec<(Option<[Incarnation; 2]>, Term, LogIndex)>,
}

/// A request that has reached its receiver, which has handled it.
pub(crate) struct Delivered {
    pub(crate) letter: Rc<Letter>,
    /// The receiver before and after that.
    before: Receiver,
    after: Stored,
}

impl Delivered {
    /// Whether the disk of a server that has granted everybody's vote says who is gone: the members of its roster that
    /// have ended.
    pub(crate) fn buries_in(&self, disk: &Disk) -> bool {
        let Request::RequestVote(RequestVote { account: Some(account), .. }) = &self.letter.request
        else {
            return true;
        };
        let Some(roster) = &self.after.roster else { return true };
        let gone = &disk.saved().hard_state.gone;
        roster.members.iter().all(|(id, incarnation)| {
            account.0.get(id) == Some(&Some(*incarnation))
                || gone.contains(&Member { id: *id, incarnation: *incarnation })
        })
    }
}

/// What matters of a receiver after it has handled a request.
pub(crate) struct Stored {
    pub(crate) status: Status,
    /// Whether its log has the entries that were sent, or ends with the roster of the snapshot.
    pub(crate) agrees: bool,
    pub(crate) last_included: Position,
    /// The number of entries that its log holds.
    pub(crate) entries: usize,
    /// The roster in force, if it was asked for everybody's vote.
    roster: Option<Arc<Roster>>,
}

/// How many requests were sent on each link in the current second, and how many client calls may be the reason.
pub(crate) struct Traffic {
    size: usize,
    second: u64,
    pub(crate) calls: u64,
    calls_before: u64,
    sent: Vec<u64>,
}

impl World {
    /// Sends a request. Its outcome is the first reply, or a failure at the deadline.
    pub(crate) fn send(&mut self, by: ServerId, to: ServerId, request: Request) {
        assert!(by != to && to.0 < self.size(), "requests go to peers");
        assert!(self.is_up(by), "a crashed server sends nothing");
        if !self.heavy {
            self.traffic.count(self.now, (by, to));
        }
        let mut deadline = DEADLINE;
        match &request {
            Request::AppendEntries(append) if append.entries.is_empty() => {
                // A leader may find out more than once that a relaunched process has lost its entries, so only
                // appends to the running process are checked. A leader that has dropped entries may not show the last
                // one that it knows its receiver to hold.
                let log = self.server(by).log();
                let shows = append.prev_log.index != LogIndex(0)
                    || log.last_included().index == LogIndex(0);
                if append.receiver == Some(self.process(to)) && shows {
                    self.lanes.check_match((by, to), append);
                }
            }
            Request::AppendEntries(_) => deadline = DEADLINE_ENTRIES,
            Request::InstallSnapshot(piece) => {
                deadline = DEADLINE_ENTRIES;
                self.note_piece(by, to, piece);
            }
            Request::RequestVote(_) => {}
        }
        self.check_request(by, &request);
        let sender = (by, self.process(by), self.connections[usize::from(by.0)]);
        let letter = Rc::new(Letter::new(self.number(), sender, to, request));
        let mut rng = self.draws.link(self.now, by, to);
        match self.network.delays(&mut rng) {
            // The sender notices a broken connection at once, but a lost packet only at the deadline.
            None if rng.bool() => deadline = MILLISECOND,
            None => {}
            Some((delay, again)) => {
                for delay in again.into_iter().chain([delay]) {
                    self.queue.push(self.now + delay, Happening::Arrival(Rc::clone(&letter)));
                }
                self.mark_delays(delay, again);
            }
        }
        let deadline = self.clocks[usize::from(by.0)].true_duration(deadline);
        self.queue.push(self.now + deadline, Happening::Deadline(letter));
    }

    fn mark_delays(&mut self, delay: u64, again: Option<u64>) {
        if again.is_some() {
            self.marks.hit(Mark::Duplication);
        }
        if SECOND < delay {
            self.marks.hit(Mark::Tail);
        }
    }

    /// A request reaches its receiver, which answers it at once unless the answer must wait for its disk.
    pub(crate) fn arrive(&mut self, letter: Rc<Letter>) {
        let Letter { by, to, .. } = *letter;
        if !self.network.passes(by, to) {
            return;
        }
        if letter.settled.get() {
            self.marks.hit(Mark::LateRequest);
        }
        self.received[usize::from(to.0)].push(self.now);
        let before = self.receiver(&letter);
        if let Request::AppendEntries(AppendEntries { has_majority: false, .. })
        | Request::InstallSnapshot(InstallSnapshot { has_majority: false, .. }) = &letter.request
        {
            self.marks.hit(Mark::AppendWithoutMajority);
        }
        let call = CallId(self.number());
        let document = self.ask_peer(to, call, letter.bytes());
        let after = self.stored(&letter);
        let delivered = Delivered { letter, before, after };
        match document {
            Some(document) => self.respond(delivered, &document),
            None => {
                assert!(self.disks.disk(to).is_some(), "what needs no disk is answered at once");
                self.marks.hit(Mark::LateAnswer);
                self.delivered.insert(call, delivered);
            }
        }
    }

    /// A server has answered a request.
    pub(crate) fn respond(&mut self, delivered: Delivered, document: &Document) {
        let Delivered { letter, before, after } = &delivered;
        let to = letter.to;
        let response = match protocol::read_response(&letter.request, &document.bytes()) {
            Ok(response) => {
                match &response {
                    Response::Vote(reply) => {
                        self.check_vote(&letter.request, reply, &before.status);
                    }
                    Response::Append(reply) => {
                        self.check_append(letter, reply, after);
                        self.check_piece(letter, reply, (before, after));
                    }
                }
                self.check_answer(&delivered, &response);
                Ok(response)
            }
            // A term that only ended processes knew can be led again, and then a late request of theirs looks forged.
            Err(_) if self.process(letter.by) != letter.process => return,
            Err(no_response) => {
                let crashed = Failure::Crashed(self.server(to).identity());
                let is_crashed = no_response.failure == crashed;
                // If it crashes before it answers, it says no more than that.
                let crashed_since = after.status.role != RoleName::Crashed
                    && self.status(to).role == RoleName::Crashed
                    && no_response.failure == Failure::Silent;
                assert!(is_crashed || crashed_since, "no reply to a correct peer: {no_response}");
                Err(no_response.failure)
            }
        };
        self.reply(delivered.letter, response);
    }

    /// Whether a peer waits for an answer of that server.
    pub(crate) fn is_awaited(&self, id: ServerId) -> bool {
        self.delivered.values().any(|delivered| delivered.letter.to == id)
    }

    /// What a server with a disk was asked is never answered: its process has ended.
    pub(crate) fn forget_delivered(&mut self, id: ServerId) {
        self.delivered.retain(|_, delivered| delivered.letter.to != id);
    }

    /// What matters of a request's receiver after it has handled it.
    fn stored(&self, letter: &Letter) -> Stored {
        let log = self.server(letter.to).log();
        let agrees = match &letter.request {
            Request::AppendEntries(request) => {
                // It may have applied and dropped some of them at once.
                let has = |(offset, sent): (usize, &Entry)| {
                    let index = request.prev_log.index.next().plus(offset);
                    match log.get(index) {
                        Some(held) => held == sent,
                        None => {
                            index <= log.last_included().index
                                && self.history.has_committed(index, sent)
                        }
                    }
                };
                log.contains(request.prev_log) && request.entries.iter().enumerate().all(has)
            }
            Request::InstallSnapshot(piece) => log.roster() == Some(&piece.roster),
            Request::RequestVote(_) => false,
        };
        let roster = match &letter.request {
            Request::RequestVote(RequestVote { account: Some(_), .. }) => log.roster().cloned(),
            _ => None,
        };
        let (last_included, entries) = (log.last_included(), log.len());
        Stored { status: *self.status(letter.to), agrees, last_included, entries, roster }
    }

    /// Refuses the connection of a request whose receiver's process has ended.
    pub(crate) fn refuse_connection(&mut self, letter: &Rc<Letter>) {
        if self.network.passes(letter.by, letter.to) {
            self.marks.hit(Mark::EndedPeer);
            self.reply(Rc::clone(letter), Err(Failure::Ended));
        }
    }

    /// Checks that a server does not grant its vote to a candidate with a stale log.
    fn check_vote(&mut self, request: &Request, reply: &VoteReply, before: &Status) {
        let Request::RequestVote(request) = request else { return };
        let candidate = &request.sender;
        let gives_way = before.commit_index == LogIndex(0)
            && candidate.founded
            && candidate.history != before.history;
        let is_stale = candidate.last_log < before.last_log && !gives_way;
        assert!(!reply.vote_granted || !is_stale, "a vote or pre-vote for a stale log (§5.4.1)");
        if request.kind == BallotKind::Vote && is_stale {
            self.marks.hit(Mark::StaleVote);
        }
        if request.kind == BallotKind::Vote && request.account.is_some() {
            self.marks.hit(Mark::EverybodysVote);
        }
    }

    /// Checks that a follower acknowledges only entries that it holds.
    fn check_append(&mut self, letter: &Letter, reply: &AppendReply, after: &Stored) {
        let Request::AppendEntries(request) = &letter.request else { return };
        if matches!(reply.outcome, AppendOutcome::Accepted | AppendOutcome::Mismatch(_)) {
            self.note_leader(letter.to, (request.sender.member(), request.sender.term));
        }
        match reply.outcome {
            AppendOutcome::Mismatch(_) => {
                self.marks.hit(Mark::Mismatch);
                let probes =
                    !request.entries.is_empty() || self.unfounded_may_have_changed(request);
                assert!(probes, "a follower lacks what its leader took it to hold");
            }
            AppendOutcome::Accepted => {
                assert!(after.agrees, "a follower acknowledged what it does not hold");
            }
            AppendOutcome::Incomplete(_) => panic!("an append is no piece of a snapshot"),
            AppendOutcome::Refused => self.marks.hit(Mark::Refused),
            AppendOutcome::Stale => {}
        }
    }

    /// Whether the receiver of an append may have changed to another history since it accepted the append before. It
    /// may if it could not know yet that the leader's history is founded.
    fn unfounded_may_have_changed(&self, request: &AppendEntries) -> bool {
        self.history.promise_is_void || !request.sender.founded
    }

    /// Sends the outcome of a request back: a reply, the fault of a crashed server, or a refused connection.
    fn reply(&mut self, letter: Rc<Letter>, outcome: Result<Response, Failure>) {
        let mut rng = self.draws.link(self.now, letter.to, letter.by);
        let Some((delay, again)) = self.network.delays(&mut rng) else {
            return self.marks.hit(Mark::Loss);
        };
        for delay in again.into_iter().chain([delay]) {
            let letter = Rc::clone(&letter);
            self.queue.push(self.now + delay, Happening::Return(letter, outcome));
        }
    }

    /// The outcome of a request reaches its sender.
    pub(crate) fn return_outcome(&mut self, letter: &Letter, outcome: Result<Response, Failure>) {
        let Letter { by, process, to, .. } = *letter;
        if !self.network.passes(to, by) || self.process(by) != process || self.is_dropped(letter) {
            return;
        }
        let response = match outcome {
            Ok(response) => response,
            Err(failure) => return self.fail(letter, failure),
        };
        if letter.settled.replace(true) {
            // The runtime reports exactly one outcome, but the core must tolerate more.
            self.marks.hit(Mark::LateReply);
            if matches!(response, Response::Vote(_)) {
                self.marks.hit(Mark::DoubleVoteReply);
            }
        }
        self.lanes.answer(letter, &response);
        if 0.0 < self.network.duplication {
            if self.past.len() == PAST_MAX {
                self.past.pop_front();
            }
            self.past.push_back((to, Member { id: by, incarnation: process }, response));
        }
        self.get_reply(to, by, response);
    }

    /// Whether the sender has crashed since it sent this request, and closed its connections, so that it gets no
    /// outcome.
    fn is_dropped(&mut self, letter: &Letter) -> bool {
        let is_dropped = letter.connection != self.connections[usize::from(letter.by.0)];
        if is_dropped {
            self.marks.hit(Mark::Dropped);
        }
        is_dropped
    }

    /// A server gets a reply, perhaps not for the first time.
    pub(crate) fn get_reply(&mut self, from: ServerId, to: ServerId, response: Response) {
        if response.sender().term < self.status(to).current_term {
            self.marks.hit(Mark::OldReply);
        }
        self.step_and_answer(to, Input::Response { from, response });
    }

    /// Repeats to a new leader some of the replies that it got in earlier terms.
    pub(crate) fn repeat_the_past(&mut self, leader: ServerId) {
        for &(from, to, response) in &self.past {
            let Member { id: to, incarnation: process } = to;
            if to == leader {
                let mut rng = self.draws.link(self.now, from, to);
                if rng.f64() < self.network.duplication {
                    let time = self.now + rng.u64(0..50 * MILLISECOND);
                    self.queue.push(time, Happening::Echo { from, to, process, response });
                }
            }
        }
    }

    /// The deadline of a request has passed.
    pub(crate) fn time_out(&mut self, letter: &Letter) {
        if self.process(letter.by) == letter.process && !self.is_dropped(letter) {
            if !letter.settled.get() {
                self.give_up_connection(letter);
            }
            self.fail(letter, Failure::Silent);
        }
    }

    /// Reports to the sender that a request failed, unless it already has an outcome.
    fn fail(&mut self, letter: &Letter, failure: Failure) {
        if !letter.settled.replace(true) {
            let (by, request) = (letter.to, letter.request.clone());
            self.step_and_answer(letter.by, Input::Unanswered { by, request, failure });
        }
    }

    /// Checks that a leader that answers a read has committed an entry of its term, and that a majority has answered,
    /// in its term, an append that it sent after the read had arrived.
    pub(crate) fn check_confirmed(&self, read: CallId, leader: ServerId) {
        let status = self.status(leader);
        let term = status.current_term;
        let roster = self.server(leader).log().roster().expect("a leader has a roster");
        let names = |id, incarnation| roster.names(Member { id, incarnation });
        let confirms = |id: &ServerId| {
            let (answered_in, number, by) = self.lanes.answered[self.lanes.place((leader, *id))];
            let counts = by.is_some_and(|incarnation| names(*id, incarnation));
            answered_in == term && read.0 < number && counts
        };
        let itself = usize::from(names(leader, status.incarnation));
        let confirmed = itself + self.ids().filter(confirms).count();
        assert!(self.majority() <= confirmed, "{read:?} was answered unconfirmed");
        let newest = self.server(leader).log().position(status.commit_index);
        let newest = newest.map(|position| position.term);
        assert!(newest == Some(term), "{read:?} was answered before the term's first commit");
    }
}

impl Lanes {
    pub(crate) fn new(size: u8) -> Lanes {
        let size = usize::from(size);
        let count = size * size;
        let (answered, matched) =
            (vec![Default::default(); count], vec![Default::default(); count]);
        Lanes { size, answered, matched }
    }

    /// Forgets what was answered to a server whose process has ended, because its terms may start from 0 again.
    pub(crate) fn forget(&mut self, leader: ServerId) {
        let first = usize::from(leader.0) * self.size;
        self.answered[first..first + self.size].fill(Default::default());
    }

    fn place(&self, (by, to): (ServerId, ServerId)) -> usize {
        usize::from(by.0) * self.size + usize::from(to.0)
    }

    /// Checks that a follower's match index never falls within a term. An empty append shows it: the previous entry is
    /// the last one that the leader knows its receiver to hold.
    fn check_match(&mut self, link: (ServerId, ServerId), append: &AppendEntries) {
        let place = self.place(link);
        let sender = &append.sender;
        let processes = append.receiver.map(|receiver| [sender.incarnation, receiver]);
        let matched = (processes, sender.term, append.prev_log.index);
        let before = std::mem::replace(&mut self.matched[place], matched);
        let is_same = processes.is_some() && before.0 == processes && sender.founded;
        assert!(!is_same || before <= matched, "the match index of {link:?} fell");
    }

    /// Records an answered append.
    fn answer(&mut self, letter: &Letter, response: &Response) {
        let Response::Append(reply) = response else { return };
        let refused = matches!(reply.outcome, AppendOutcome::Stale | AppendOutcome::Refused);
        if reply.sender.term == letter.request.sender().term && !refused {
            let place = self.place((letter.by, letter.to));
            let newest = &mut self.answered[place];
            let answered = (reply.sender.term, letter.number, Some(reply.sender.incarnation));
            *newest = (*newest).max(answered);
        }
    }
}

impl Traffic {
    pub(crate) fn new(size: u8) -> Traffic {
        let size = usize::from(size);
        Traffic { size, second: 0, calls: 0, calls_before: 0, sent: vec![0; size * size] }
    }

    /// Counts a request, and checks that a link does not carry more of them than heartbeats, ballots, repairs and calls
    /// explain.
    fn count(&mut self, now: u64, link: (ServerId, ServerId)) {
        if self.second != now / SECOND {
            self.second = now / SECOND;
            self.calls_before = std::mem::take(&mut self.calls);
            self.sent.fill(0);
        }
        let sent = &mut self.sent[usize::from(link.0.0) * self.size + usize::from(link.1.0)];
        *sent += 1;
        let accounted = 60 + 4 * (self.calls + self.calls_before);
        assert!(*sent <= accounted, "{sent} requests within a second on the link {link:?}");
    }
}
