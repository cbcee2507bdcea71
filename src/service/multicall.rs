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
        now: Instant,
        budget: &AnswerBudget,
    ) -> Multicall {
        let answers = MulticallAnswer::new(budget);
        Multicall { method, since: now, calls: calls.into_iter(), answers }
    }

    /// Adds the answer to the last call made.
    pub(super) fn push(&mut self, answer: Arc<Document>) {
        self.answers.push(answer);
    }
}

impl Shell {
    /// Makes the next calls of a multicall, up to one that waits for the core. Answers the multicall after the last.
    pub(super) fn go_on(&mut self, id: CallId, server: &Server, now: Instant) {
        while let Some(multicall) = self.multicalls.get_mut(&id) {
            if let Some(asked) = multicall.calls.next() {
                let Some(answer) = self.ask(id, asked, server, now) else { return };
                if let Some(multicall) = self.multicalls.get_mut(&id) {
                    multicall.push(answer);
                }
            } else if let Some(Multicall { method, since, answers, .. }) =
                self.multicalls.remove(&id)
            {
                // Counted as a success whatever the results of its calls, each of which is counted as well.
                self.monitor.answered(method.name, now.saturating_duration_since(since), false);
                self.actions.push(Action::Answer { id, document: answers.write() });
            }
        }
    }
}
