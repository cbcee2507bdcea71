//! The requests to one peer, and the appends that are exchanged with it.

use std::mem;
use std::time::{Duration, Instant};

use super::recorder::Direction;
use crate::raft::Term;

/// The minimum time between two recorded appends of the same kind and direction in one term. It is below the interval
/// of heartbeats, so that all of them are recorded if there is nothing else.
const APPENDS_APART: Duration = Duration::from_millis(200);

/// What was exchanged with a peer since the server's start.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: u64,
    pub(super) answered: u64,
    /// The requests that got no reply.
    pub(super) failures: u64,
    pub(super) last_reply: Option<Instant>,
    /// Whether a request got no reply since the last reply.
    pub(super) is_silent: bool,
    heartbeats_sent: Appends,
    heartbeats_received: Appends,
    entries_sent: Appends,
    entries_received: Appends,
}

/// The appends of one kind and direction.
#[derive(Debug, Default)]
struct Appends {
    /// When the last one was recorded, and in which term.
    recorded: Option<(Instant, Term)>,
    /// The number of entries since.
    entries: usize,
}

impl Traffic {
    /// Counts an append. Returns the number of entries to record, with those of the appends that were left out;
    /// `None` if this one is to be left out, because one like it was recorded just before.
    pub(super) fn append(
        &mut self,
        direction: Direction,
        entries: usize,
        term: Term,
        now: Instant,
    ) -> Option<usize> {
        let appends = match (direction, entries) {
            (Direction::Sent, 0) => &mut self.heartbeats_sent,
            (Direction::Received, 0) => &mut self.heartbeats_received,
            (Direction::Sent, _) => &mut self.entries_sent,
            (Direction::Received, _) => &mut self.entries_received,
        };
        appends.entries += entries;
        let is_recent = |(at, in_term): (Instant, Term)| {
            in_term == term && now.saturating_duration_since(at) < APPENDS_APART
        };
        if appends.recorded.is_some_and(is_recent) {
            return None;
        }
        appends.recorded = Some((now, term));
        Some(mem::take(&mut appends.entries))
    }
}
