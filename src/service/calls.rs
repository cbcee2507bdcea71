//! Calls: which of them the service answers itself, which the core answers, and which are refused while the server is
//! crashed.

use std::sync::Arc;
use std::time::Instant;

use super::document::Document;
use super::multicall::Multicall;
use super::report::Brought;
use super::{Action, Shell};
use crate::protocol::{Answer, Asked, LongAnswer, Method, MethodAndCall, TypedCall, fault};
use crate::raft::{self, CallId, Event, Reply, RoleName, Server, ServerId};
use crate::xmlrpc::Fault;

/// A call that waits for the core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    method: &'static Method,
    since: Instant,
    /// The peer that makes it.
    pub(super) peer: Option<ServerId>,
    /// What the peer brings if it leads.
    pub(super) brought: Option<Brought>,
}

/// Which part answers a call.
enum Served {
    /// The service, with this answer.
    Here(Answer),
    /// The service, with this answer, which may be long.
    InParts(LongAnswer),
    /// The core, after this call has become an event.
    ByCore(raft::Call),
}

impl Shell {
    /// Handles a caller's document, which holds one call or several.
    pub(super) fn call(
        &mut self,
        id: CallId,
        asked: Result<Asked, Fault>,
        since: Instant,
        server: &Server,
        now: Instant,
    ) {
        let one = match asked {
            Ok(Asked::Several(method, calls)) => {
                let multicall = Multicall::new(method, calls, since, self.answers.budget());
                return self.start_multicall(id, multicall);
            }
            Ok(Asked::One(call)) => Ok(call),
            Err(fault) => Err(fault),
        };
        if let Some(document) = self.ask(id, one, since, server, now) {
            self.actions.push(Action::Answer { id, document });
        }
    }

    /// Makes a call. Returns the answer, or `None` if the core will answer or the answer is long.
    pub(super) fn ask(
        &mut self,
        id: CallId,
        asked: Result<MethodAndCall, Fault>,
        since: Instant,
        server: &Server,
        now: Instant,
    ) -> Option<Arc<Document>> {
        let (method, call) = match asked {
            Ok(asked) => asked,
            Err(fault) => {
                self.monitor.not_understood();
                return Some(self.answers.write(&Answer::Fault(fault)));
            }
        };
        let peer = call.as_ref().ok().and_then(|call| call.peer()).map(|peer| peer.id);
        let brought = call.as_ref().ok().and_then(Brought::by);
        let waiting = Waiting { method, since, peer, brought };
        match self.serve(method, call, server, now) {
            Served::Here(answer) => Some(self.answer(waiting, &answer, now)),
            Served::InParts(answer) => self.answer_in_parts(id, waiting, answer, now),
            Served::ByCore(call) => {
                self.waiting.insert(id, waiting);
                self.events.push_back(Event::Call(id, call));
                None
            }
        }
    }

    /// Decides which part answers a call, and computes the answer if it is the service.
    fn serve(
        &mut self,
        method: &'static Method,
        call: Result<TypedCall, Fault>,
        server: &Server,
        now: Instant,
    ) -> Served {
        let is_from_peer = call.as_ref().is_ok_and(|call| call.peer().is_some());
        if is_from_peer {
            self.monitor.requested_by_peer();
        }
        if server.role() == RoleName::Crashed && !method.while_crashed {
            return Served::Here(Answer::Crashed(is_from_peer.then(|| server.identity())));
        }
        let call = match call {
            Ok(call) => call,
            Err(fault) => return Served::Here(Answer::Fault(fault)),
        };
        if call.may_wait() && self.waiting_max <= self.waiting.len() + self.reads.len() {
            return Served::Here(Answer::Fault(fault::busy("too many calls are waiting")));
        }
        if let TypedCall::Raft(raft::Call::Update(update)) = &call
            && server.leads()
            && self.has_no_room_for(update, server)
        {
            return Served::Here(Answer::Fault(fault::busy("this server's memory is used up")));
        }
        Served::Here(match call {
            TypedCall::Raft(call) => return Served::ByCore(call),
            TypedCall::Ping => Answer::Boolean(true),
            TypedCall::IsLeader => Answer::Boolean(server.leads()),
            TypedCall::IsCrashed => Answer::Boolean(server.role() == RoleName::Crashed),
            TypedCall::Version(name) => Answer::Version(server.files().version(&name)),
            TypedCall::Status => {
                Answer::Status(Box::new(self.monitor.status(self.moment(server, now))))
            }
            TypedCall::PutBlock(block) => match self.blocks.put(block) {
                Ok(()) => Answer::Boolean(true),
                Err(full) => Answer::Fault(fault::busy(&full.to_string())),
            },
            TypedCall::GetBlock(hash) => match hash.and_then(|hash| self.blocks.get(hash)) {
                Some(block) => return Served::InParts(LongAnswer::block(block)),
                None => {
                    Answer::Fault(fault::wrong_parameters("no block with that hash is stored here"))
                }
            },
            TypedCall::HasBlocks(names) => return Served::InParts(LongAnswer::stored(names)),
            TypedCall::ListMethods => Answer::Methods,
            TypedCall::MethodSignature(method) => Answer::Signature(method),
            TypedCall::MethodHelp(method) => Answer::Help(method),
        })
    }

    /// Answers the call that waits for the core's reply.
    pub(super) fn answer_waiting(&mut self, id: CallId, reply: Reply, now: Instant) {
        let Some(waiting) = self.waiting.remove(&id) else { return };
        if let Reply::Files(files) = reply {
            return self.read_map(id, waiting, files, now);
        }
        let document = self.answers.write(&Answer::Raft(reply));
        self.finish(id, waiting, document, now);
    }

    /// Passes an answer to its call, or to the multicall that has made it.
    pub(super) fn finish(
        &mut self,
        id: CallId,
        call: Waiting,
        document: Arc<Document>,
        now: Instant,
    ) {
        self.count(call, &document, now);
        if self.multicalls.contains_key(&id) {
            self.add_answer(id, document);
        } else {
            self.actions.push(Action::Answer { id, document });
        }
    }

    /// Writes the answer to a call, and counts it.
    pub(super) fn answer(&mut self, call: Waiting, answer: &Answer, now: Instant) -> Arc<Document> {
        let document = self.answers.write(answer);
        self.count(call, &document, now);
        document
    }

    pub(super) fn count(&mut self, call: Waiting, answer: &Document, now: Instant) {
        let took = now.saturating_duration_since(call.since);
        self.monitor.answered(call.method.name, took, answer.is_fault());
    }
}
