//! Reads of the file map that wait until the map is written.
//!
//! A large map is written in parts, between which other inputs are handled. A read may get a later map than that of its
//! confirmation, because the later one is committed as well, but never an earlier one. So if a map is being written, a
//! read gets the next one.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::Shell;
use super::calls::Waiting;
use crate::metadata::Files;
use crate::protocol::Answer;
use crate::raft::CallId;

/// The reads that the core has confirmed and whose map is not written yet.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Those that get the map that is being written.
    current: Vec<(CallId, Waiting)>,
    /// Those that get the next one, and the newest map among theirs.
    next: Option<(Files, Vec<(CallId, Waiting)>)>,
}

impl Reads {
    /// The number of reads.
    pub(super) fn len(&self) -> usize {
        self.current.len() + self.next.as_ref().map_or(0, |(_, reads)| reads.len())
    }

    /// Takes all reads.
    fn take(&mut self) -> Vec<(CallId, Waiting)> {
        let next = self.next.take().map_or_else(Vec::new, |(_, reads)| reads);
        mem::take(&mut self.current).into_iter().chain(next).collect()
    }

    /// Forgets a read whose caller has disconnected.
    pub(super) fn forget(&mut self, call: CallId) {
        let next = self.next.iter_mut().map(|(_, reads)| reads);
        next.chain([&mut self.current]).for_each(|reads| reads.retain(|(id, _)| *id != call));
    }
}

impl Shell {
    /// Answers a read that the core has confirmed, at once if the map is small or written already.
    pub(super) fn read_map(&mut self, id: CallId, call: Waiting, files: Files, now: Instant) {
        if let Some(document) = self.answers.map(&files) {
            self.finish(id, call, document, now);
        } else if self.answers.is_writing() {
            let (newest, reads) = self.reads.next.get_or_insert_with(Default::default);
            *newest = files;
            reads.push((id, call));
        } else {
            self.answers.start_map(files);
            self.reads.current.push((id, call));
            self.write_part(now);
        }
    }

    /// Answers all reads as a crashed server does, and all calls whose answers are being written.
    pub(super) fn end_reads(&mut self, now: Instant) {
        for (id, call) in self.reads.take().into_iter().chain(self.long_answers.take()) {
            let document = self.answers.write(&Answer::Crashed(None));
            self.finish(id, call, document, now);
        }
    }

    /// Writes the next part of the map, and answers its reads if it was the last.
    pub(super) fn write_part(&mut self, now: Instant) {
        let Some(document) = self.answers.write_part() else { return };
        for (id, call) in mem::take(&mut self.reads.current) {
            self.finish(id, call, Arc::clone(&document), now);
        }
        if let Some((files, reads)) = self.reads.next.take() {
            self.answers.start_map(files);
            self.reads.current = reads;
        }
    }
}
