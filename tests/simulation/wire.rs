//! The way of requests and replies between the servers of the world, under the faults of its network.
//!
//! The sender gets exactly one outcome per request, and beyond that what the network duplicates.

use std::collections::BTreeMap;

use surfstore::raft::{
    AppendOutcome, AppendReply, BallotKind, Call, CallId, Event, Fault, Position, Reply, Request,
    Response, SILENCE_MS, ServerId, VoteReply,
};

use crate::network::{MILLISECOND, SECOND};
use crate::world::{Happening, World};

/// How long a sender waits for a reply: half the silence timeout, and longer where entries are to be carried.
const DEADLINE: u64 = SILENCE_MS * MILLISECOND / 2;
const DEADLINE_ENTRIES: u64 = 2 * SECOND;

/// How many replies may be repeated.
const PAST_MAX: usize = 200;

/// The number of no request.
const NOBODYS: u64 = 0;

/// A request whose sender waits for its outcome.
pub(crate) struct Sent {
    by: ServerId,
    to: ServerId,
    request: Request,
}

/// What was sent within the current second, and how many client calls may account for it.
#[derive(Default)]
pub(crate) struct Traffic {
    second: u64,
    pub(crate) calls: u64,
    calls_before: u64,
    sent: BTreeMap<(ServerId, ServerId), u64>,
}

impl World {
    /// Sends a request. Its outcome is the first reply or, at the deadline, that there was none.
    pub(crate) fn send(&mut self, by: ServerId, to: ServerId, request: Request) {
        assert!(by != to && usize::from(to.0) < self.servers.len(), "requests go to peers");
        assert!(self.is_up(by), "a crashed server sends nothing");
        // A log of large updates is carried in as many appends as it takes.
        if self.ballast == 0 {
            self.traffic.count(self.now, (by, to));
        }
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

    pub(crate) fn arrive(&mut self, send: u64, from: ServerId, to: ServerId, request: Request) {
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
                let newest = self.heard.entry((request.term, to)).or_default();
                *newest = send.max(*newest);
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
        let refused_or_due = !reply.vote_granted || last_log <= request.last_log;
        assert!(refused_or_due, "a vote or pre-vote for a stale log (§5.4.1)");
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

    pub(crate) fn come_back(
        &mut self,
        send: u64,
        from: ServerId,
        to: ServerId,
        response: Option<Response>,
    ) {
        if !self.network.passes(from, to) {
            return;
        }
        let Some(response) = response else { return self.miss(send) };
        if self.open.remove(&send).is_none() {
            // Exactly one outcome per request is promised; the core is to bear more.
            self.marks.hit("a reply arrives twice or too late");
        }
        if send != NOBODYS {
            self.remember(from, to, response);
        }
        if response.term() < self.server(to).current_term() {
            self.marks.hit("a reply arrives from an older term");
        }
        self.settle(to, Event::Response { from, response });
    }

    fn remember(&mut self, from: ServerId, to: ServerId, response: Response) {
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back((from, to, response));
    }

    /// Lets a new leader hear all over again what it was told in its earlier terms.
    pub(crate) fn repeat_the_past(&mut self, leader: ServerId) {
        for (from, to, response) in self.past.clone() {
            if to == leader && self.rng.f64() < self.network.duplicate {
                let delay = self.rng.u64(0..50 * MILLISECOND);
                let response = Some(response);
                self.schedule(delay, Happening::Return { send: NOBODYS, from, to, response });
            }
        }
    }

    pub(crate) fn miss(&mut self, send: u64) {
        if let Some(Sent { by, to, request }) = self.open.remove(&send) {
            self.settle(by, Event::Unanswered { by: to, request });
        }
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
