//! Long answers about blocks. They are written in parts, so that other inputs are handled in between.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::Shell;
use super::answer_cache::UnfinishedAnswer;
use super::calls::Waiting;
use super::document::Document;
use crate::protocol::{Answer, LongAnswer, fault};
use crate::raft::CallId;

/// The maximum number of bytes of names in calls whose answers are not complete. One call may always hold its own.
const HELD_BYTES_MAX: usize = 64 << 20;

/// The long answers that are not complete, with their calls. The first one is being written. The others have not begun,
/// so they hold little memory.
#[derive(Debug, Default)]
pub(super) struct LongAnswers(VecDeque<(CallId, Waiting, UnfinishedAnswer)>);

impl LongAnswers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is room for the names of another answer.
    fn has_room(&self, answer: &LongAnswer) -> bool {
        let held: usize = self.0.iter().map(|(.., unfinished)| unfinished.size()).sum();
        held + answer.size() <= HELD_BYTES_MAX.max(answer.size())
    }

    /// Takes the calls of all answers.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (CallId, Waiting)> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(id, call, _)| (id, call))
    }

    /// Forgets an answer whose caller has disconnected.
    pub(super) fn forget(&mut self, call: CallId) {
        self.0.retain(|(id, ..)| *id != call);
    }
}

impl Shell {
    /// Answers a call about blocks. Returns the answer if it is short. A long one is written in the following ticks.
    pub(super) fn answer_in_parts(
        &mut self,
        id: CallId,
        call: Waiting,
        answer: LongAnswer,
        now: Instant,
    ) -> Option<Arc<Document>> {
        if answer.is_short() {
            let mut unfinished = UnfinishedAnswer::new(answer);
            let document = self.answers.write_part_of(&mut unfinished, &self.blocks)?;
            self.count(call, &document, now);
            return Some(document);
        }
        if !self.long_answers.has_room(&answer) {
            let busy = fault::busy("too many names of blocks are waiting");
            return Some(self.answer(call, &Answer::Fault(busy), now));
        }
        self.long_answers.0.push_back((id, call, UnfinishedAnswer::new(answer)));
        None
    }

    /// Writes the next part of the first long answer, and gives the answer to its call if that was the last part.
    pub(super) fn write_part_of_answer(&mut self, now: Instant) {
        let Some((id, call, unfinished)) = self.long_answers.0.front_mut() else { return };
        let (id, call) = (*id, *call);
        if let Some(document) = self.answers.write_part_of(unfinished, &self.blocks) {
            self.long_answers.0.pop_front();
            self.finish(id, call, document, now);
        }
    }
}
