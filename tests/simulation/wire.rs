//! The way of requests and replies between the servers of the world, under the faults of its network.
//!
//! The sender gets exactly one outcome per request, and beyond that what the network duplicates.

use std::cell::Cell;
use std::rc::Rc;

use surfstore::raft::{
    AppendEntries, AppendOutcome, AppendReply, BallotKind, Call, CallId, Event, Fault, LogIndex,
    Position, Reply, Request, Response, SILENCE_MS, ServerId, Term, VoteReply,
};

use crate::marks::Mark;
use crate::network::{MILLISECOND, SECOND};
use crate::queue::{Happening, Letter};
use crate::world::World;

/// How long a sender waits for a reply: half the silence timeout, and longer where entries are to be carried.
const DEADLINE: u64 = SILENCE_MS * MILLISECOND / 2;
const DEADLINE_ENTRIES: u64 = 2 * SECOND;

/// How many replies may be repeated.
const PAST_MAX: usize = 200;

/// What every server knows of every other as a leader, told by what it sends and gets.
pub(crate) struct Lanes {
    size: usize,
    /// The newest of a term's appends that was answered in that term.
    answered: Vec<(Term, u64)>,
    /// The last entry that a term's leader took the other to hold.
    matched: Vec<(Term, LogIndex)>,
    /// Whether a process was started anew: what its predecessor held is gone.
    pub(crate) relaunched: bool,
}

/// What was sent within the current second, and how many client calls may account for it.
pub(crate) struct Traffic {
    size: usize,
    second: u64,
    pub(crate) calls: u64,
    calls_before: u64,
    sent: Vec<u64>,
}

impl World {
    /// Sends a request. Its outcome is the first reply or, at the deadline, that there was none.
    pub(crate) fn send(&mut self, by: ServerId, to: ServerId, request: Request) {
        assert!(by != to && to.0 < self.size(), "requests go to peers");
        assert!(self.is_up(by), "a crashed server sends nothing");
        if !self.heavy {
            self.traffic.count(self.now, (by, to));
        }
        let mut deadline = DEADLINE;
        if let Request::AppendEntries(append) = &request {
            if append.entries.is_empty() {
                self.lanes.check_match((by, to), append);
            } else {
                deadline = DEADLINE_ENTRIES;
            }
        }
        let settled = Cell::new(false);
        let letter = Rc::new(Letter { number: self.number(), by, to, request, settled });
        let mut rng = self.draws.link(self.now, by, to);
        match self.network.delays(&mut rng) {
            // A refused connection is known at once, a lost packet is not.
            None if rng.bool() => deadline = MILLISECOND,
            None => {}
            Some((delay, again)) => {
                for delay in again.into_iter().chain([delay]) {
                    self.queue.push(self.now + delay, Happening::Arrival(Rc::clone(&letter)));
                }
                self.mark_delays(delay, again);
            }
        }
        let deadline = deadline * self.clocks[usize::from(by.0)].percent / 100;
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

    pub(crate) fn arrive(&mut self, letter: Rc<Letter>) {
        let Letter { by, to, .. } = *letter;
        if !self.network.passes(by, to) {
            return;
        }
        if letter.settled.get() {
            self.marks.hit(Mark::LateRequest);
        }
        self.received[usize::from(to.0)].push(self.now);
        let last_log = self.status(to).last_log;
        let call = CallId(self.number());
        let request = match letter.request.clone() {
            Request::RequestVote(request) => Call::RequestVote(request),
            Request::AppendEntries(request) => {
                if !request.has_majority {
                    self.marks.hit(Mark::UnmajoredAppend);
                }
                Call::AppendEntries(request)
            }
        };
        let response = match self.ask_at_once(to, call, request) {
            Reply::Vote(reply) => {
                self.check_vote(&letter.request, &reply, last_log);
                Some(Response::Vote(reply))
            }
            Reply::Append(reply) => {
                self.check_append(&letter.request, &reply);
                Some(Response::Append(reply))
            }
            Reply::Fault(Fault::Crashed) => None,
            other => panic!("{other:?} is no reply to a correct peer"),
        };
        self.reply(letter, response);
    }

    fn check_vote(&mut self, request: &Request, reply: &VoteReply, last_log: Position) {
        let Request::RequestVote(request) = request else { return };
        let refused_or_due = !reply.vote_granted || last_log <= request.last_log;
        assert!(refused_or_due, "a vote or pre-vote for a stale log (§5.4.1)");
        if request.kind == BallotKind::Vote && !reply.vote_granted && request.last_log < last_log {
            self.marks.hit(Mark::StaleVote);
        }
    }

    fn check_append(&mut self, request: &Request, reply: &AppendReply) {
        let Request::AppendEntries(request) = request else { return };
        if matches!(reply.outcome, AppendOutcome::Mismatch(_)) {
            self.marks.hit(Mark::Mismatch);
            let probes = !request.entries.is_empty() || self.lanes.relaunched;
            assert!(probes, "a follower lacks what its leader took it to hold");
        }
    }

    /// Sends a reply back, or the fault of a crashed server.
    fn reply(&mut self, letter: Rc<Letter>, response: Option<Response>) {
        let mut rng = self.draws.link(self.now, letter.to, letter.by);
        let Some((delay, again)) = self.network.delays(&mut rng) else {
            return self.marks.hit(Mark::Loss);
        };
        for delay in again.into_iter().chain([delay]) {
            let letter = Rc::clone(&letter);
            self.queue.push(self.now + delay, Happening::Return(letter, response));
        }
    }

    pub(crate) fn come_back(&mut self, letter: &Letter, response: Option<Response>) {
        let Letter { by, to, .. } = *letter;
        if !self.network.passes(to, by) {
            return;
        }
        let Some(response) = response else { return self.miss(letter) };
        if letter.settled.replace(true) {
            // Exactly one outcome per request is promised; the core is to bear more.
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
            self.past.push_back((to, by, response));
        }
        self.hear_again(to, by, response);
    }

    /// A reply reaches a server, the first time or not.
    pub(crate) fn hear_again(&mut self, from: ServerId, to: ServerId, response: Response) {
        if response.term() < self.status(to).current_term {
            self.marks.hit(Mark::OldReply);
        }
        self.settle(to, Event::Response { from, response });
    }

    /// Lets a new leader hear all over again what it was told in its earlier terms.
    pub(crate) fn repeat_the_past(&mut self, leader: ServerId) {
        for &(from, to, response) in &self.past {
            if to == leader {
                let mut rng = self.draws.link(self.now, from, to);
                if rng.f64() < self.network.duplication {
                    let time = self.now + rng.u64(0..50 * MILLISECOND);
                    self.queue.push(time, Happening::Echo { from, to, response });
                }
            }
        }
    }

    pub(crate) fn miss(&mut self, letter: &Letter) {
        if !letter.settled.replace(true) {
            let (by, request) = (letter.to, letter.request.clone());
            self.settle(letter.by, Event::Unanswered { by, request });
        }
    }

    /// Whoever answers a read has been answered by a majority, in its term, an append that was sent after the read
    /// came, and has committed an entry of its term.
    pub(crate) fn check_confirmed(&self, read: CallId, leader: ServerId) {
        let status = self.status(leader);
        let term = status.current_term;
        let confirms = |id: &ServerId| {
            let (answered_in, number) = self.lanes.answered[self.lanes.place((leader, *id))];
            answered_in == term && read.0 < number
        };
        let confirmed = 1 + self.ids().filter(confirms).count();
        assert!(self.majority() <= confirmed, "{read:?} was answered unconfirmed");
        let newest = self.server(leader).log().get(status.commit_index).map(|entry| entry.term);
        assert!(newest == Some(term), "{read:?} was answered before the term's first commit");
    }
}

impl Lanes {
    pub(crate) fn new(size: u8) -> Lanes {
        let size = usize::from(size);
        let count = size * size;
        let (answered, matched) =
            (vec![Default::default(); count], vec![Default::default(); count]);
        Lanes { size, answered, matched, relaunched: false }
    }

    fn place(&self, (by, to): (ServerId, ServerId)) -> usize {
        usize::from(by.0) * self.size + usize::from(to.0)
    }

    /// An empty append follows the last entry that its receiver is known to hold, which never falls within a term.
    fn check_match(&mut self, link: (ServerId, ServerId), append: &AppendEntries) {
        let place = self.place(link);
        let matched = (append.term, append.prev_log.index);
        let before = std::mem::replace(&mut self.matched[place], matched);
        assert!(before <= matched || self.relaunched, "the match index of {link:?} fell");
    }

    fn answer(&mut self, letter: &Letter, response: &Response) {
        let (Request::AppendEntries(request), Response::Append(reply)) =
            (&letter.request, response)
        else {
            return;
        };
        if reply.term == request.term {
            let place = self.place((letter.by, letter.to));
            let newest = &mut self.answered[place];
            *newest = (*newest).max((request.term, letter.number));
        }
    }
}

impl Traffic {
    pub(crate) fn new(size: u8) -> Traffic {
        let size = usize::from(size);
        Traffic { size, second: 0, calls: 0, calls_before: 0, sent: vec![0; size * size] }
    }

    /// Counts a request, and refuses more of them on a link than heartbeats, ballots, repairs and calls account for.
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
