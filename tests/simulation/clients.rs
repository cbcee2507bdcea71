//! The callers: who waits for what, and whether an answer is true.
//!
//! The committed history, replayed in order, must explain every answer, and the point that explains it must lie
//! between call and answer: that is linearizability.

use std::collections::BTreeMap;

use surfstore::metadata::Files;
use surfstore::raft::{CallId, Fault, Reply, ServerId};

use crate::history::History;
use crate::marks::Marks;
use crate::network::SECOND;

/// The calls that wait for an answer. One that is answered or hung up is none any more.
#[derive(Default)]
pub(crate) struct Clients {
    waiting: BTreeMap<CallId, Waiting>,
}

/// A call that waits for an answer.
pub(crate) struct Waiting {
    pub(crate) server: ServerId,
    pub(crate) kind: Kind,
    /// When it was made, in microseconds.
    pub(crate) since: u64,
    /// How many entries were committed when it was made.
    pub(crate) committed: usize,
}

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Update,
    Read,
}

impl Clients {
    pub(crate) fn ask(&mut self, call: CallId, waiting: Waiting) {
        self.waiting.insert(call, waiting);
    }

    pub(crate) fn hang_up(&mut self, call: CallId) -> Option<ServerId> {
        self.waiting.remove(&call).map(|waiting| waiting.server)
    }

    /// The server that was asked, if the call still waits.
    pub(crate) fn server(&self, call: CallId) -> Option<ServerId> {
        self.waiting.get(&call).map(|waiting| waiting.server)
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&CallId, &Waiting)> {
        self.waiting.iter()
    }

    /// Checks the answer to a call, which is its first and only one.
    pub(crate) fn answered(
        &mut self,
        (call, reply, now): (CallId, &Reply, u64),
        history: &mut History,
        marks: &mut Marks,
    ) {
        let waiting = self.waiting.remove(&call);
        let Some(waiting) = waiting else { panic!("nobody waits for {reply:?} to {call:?}") };
        if waiting.since + 2 * SECOND < now {
            marks.hit("a caller waits for more than two seconds and is answered");
        }
        match (waiting.kind, reply) {
            (Kind::Update, Reply::Updated(took_effect)) => {
                let (place, effect) =
                    history.outcome(call).expect("an answered update is committed");
                assert!(effect == *took_effect, "{call:?} was told {took_effect}");
                assert!(waiting.committed < place, "{call:?} took effect before it was made");
            }
            (Kind::Read, Reply::Files(files)) => check_read(files, &waiting, history),
            (kind, Reply::Fault(fault)) => {
                check_fault(call, kind, (*fault, &waiting, now), history, marks)
            }
            (_, other) => panic!("{other:?} is no answer to {call:?}"),
        }
    }
}

fn check_read(files: &Files, waiting: &Waiting, history: &History) {
    let mut between = waiting.committed..=history.len();
    assert!(
        between.any(|len| history.map(len) == files),
        "a read since {} was answered with a map of another time",
        waiting.since
    );
}

fn check_fault(
    call: CallId,
    kind: Kind,
    (fault, waiting, now): (Fault, &Waiting, u64),
    history: &mut History,
    marks: &mut Marks,
) {
    match fault {
        Fault::NotLeader(_) | Fault::Crashed | Fault::Busy => {
            if fault == Fault::Busy {
                marks.hit("a bound is reached");
            }
            if kind == Kind::Update {
                history.refuse(call);
                if waiting.since < now {
                    marks.hit("an update's entry is overwritten and its caller told so");
                }
            }
        }
        Fault::OutcomeUnknown | Fault::OutcomeLost => {
            assert!(kind == Kind::Update, "a read has no outcome that could be unknown");
            marks.hit("an update's outcome is unknown to its caller");
        }
        Fault::Forged(flaw) => panic!("a client was told that {flaw}"),
    }
}
