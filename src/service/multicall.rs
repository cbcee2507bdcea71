//! `system.multicall`: makes its calls one after another, and answers them together.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use super::answer_cache::MulticallAnswer;
use super::document::{AnswerBudget, Document};
use super::{Action, Shell};
use crate::protocol::{Answer, Method, MethodAndCall, fault};
use crate::raft::{CallId, Server};
use crate::xmlrpc::Fault;

/// The maximum number of bytes of calls that multicalls have read and not made yet. One multicall may always hold its
/// own.
const UNMADE_BYTES_MAX: usize = 64 << 20;

/// A multicall of at most this size is always accepted, however much the others hold.
const SMALL_BYTES: usize = 16 << 10;

/// A multicall in progress.
#[derive(Debug)]
pub(super) struct Multicall {
    method: &'static Method,
    since: Instant,
    /// The calls that have not been made yet.
    calls: vec::IntoIter<Result<MethodAndCall, Fault>>,
    /// The memory that these calls take, in bytes.
    bytes: usize,
    /// The answers to the calls made so far.
    answers: MulticallAnswer,
}

impl Multicall {
    pub(super) fn new(
        method: &'static Method,
        calls: Vec<Result<MethodAndCall, Fault>>,
        since: Instant,
        budget: &AnswerBudget,
    ) -> Multicall {
        let answers = MulticallAnswer::new(budget);
        let bytes = calls.iter().map(size).sum();
        Multicall { method, since, calls: calls.into_iter(), bytes, answers }
    }

    /// The next call to make.
    fn next(&mut self) -> Option<Result<MethodAndCall, Fault>> {
        let next = self.calls.next();
        self.bytes -= next.as_ref().map_or(0, size);
        next
    }
}

/// The memory that a call takes, in bytes.
fn size(call: &Result<MethodAndCall, Fault>) -> usize {
    let parameters = match call {
        Ok((_, Ok(call))) => call.size(),
        Ok((_, Err(fault))) | Err(fault) => fault.message.len(),
    };
    size_of_val(call) + parameters
}

impl Shell {
    /// Starts a multicall, unless those that wait hold too much already.
    pub(super) fn start_multicall(&mut self, id: CallId, multicall: Multicall) {
        let held: usize = self.multicalls.values().map(|other| other.bytes).sum();
        let fits = multicall.bytes <= SMALL_BYTES
            || held + multicall.bytes <= UNMADE_BYTES_MAX.max(multicall.bytes);
        if !fits {
            let busy = Answer::Fault(fault::busy("too many bytes of multicalls are waiting"));
            let document = self.answers.write(&busy);
            self.monitor.answered(multicall.method.name, Duration::ZERO, true);
            return self.actions.push(Action::Answer { id, document });
        }
        self.multicalls.insert(id, multicall);
        self.ready.push_back(id);
    }

    /// Makes the next call of a multicall, or answers the multicall if there is none left.
    pub(super) fn make_next_call(&mut self, id: CallId, server: &Server, now: Instant) {
        // It is gone if its caller has hung up.
        let Some(multicall) = self.multicalls.get_mut(&id) else { return };
        if let Some(asked) = multicall.next() {
            if let Some(answer) = self.ask(id, asked, now, server, now) {
                self.add_answer(id, answer);
            }
        } else if let Some(Multicall { method, since, answers, .. }) = self.multicalls.remove(&id) {
            // It counts as a success even if calls in it failed, because each call is counted as well.
            self.monitor.answered(method.name, now.saturating_duration_since(since), false);
            self.actions.push(Action::Answer { id, document: answers.write() });
        }
    }

    /// Adds the answer to the call that a multicall has made, so that the next one can be made.
    pub(super) fn add_answer(&mut self, id: CallId, answer: Arc<Document>) {
        if let Some(multicall) = self.multicalls.get_mut(&id) {
            multicall.answers.push(answer);
            self.ready.push_back(id);
        }
    }
}
