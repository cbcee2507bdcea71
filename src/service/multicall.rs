//! `system.multicall`: makes its calls one after another, and answers them together.

use std::sync::Arc;
use std::time::Instant;
use std::vec;

use super::answer_cache::MulticallAnswer;
use super::document::{AnswerBudget, Document};
use super::{Action, Shell};
use crate::protocol::{Method, MethodAndCall};
use crate::raft::{CallId, Server};
use crate::xmlrpc::Fault;

/// A multicall in progress.
#[derive(Debug)]
pub(super) struct Multicall {
    method: &'static Method,
    since: Instant,
    /// The calls that have not been made yet.
    calls: vec::IntoIter<Result<MethodAndCall, Fault>>,
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
        Multicall { method, since, calls: calls.into_iter(), answers }
    }
}

impl Shell {
    /// Makes the next call of a multicall, or answers the multicall if there is none left.
    pub(super) fn make_next_call(&mut self, id: CallId, server: &Server, now: Instant) {
        // It is gone if its caller has hung up.
        let Some(multicall) = self.multicalls.get_mut(&id) else { return };
        if let Some(asked) = multicall.calls.next() {
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
