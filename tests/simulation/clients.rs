//! The callers: who waits for what, and whether an answer is true.
//!
//! The committed log, replayed in order, must explain every answer, and the point that explains it must lie between
//! call and answer: that is linearizability. A definite fault says that there is no such point, now or later.

use std::collections::BTreeMap;

use surfstore::metadata::Files;
use surfstore::raft::{CallId, Fault, Reply, ServerId};

use crate::ledger::Ledger;
use crate::marks::{Mark, Marks};
use crate::network::SECOND;

/// The calls that wait for an answer. One that is answered or hung up is none any more.
#[derive(Default)]
pub(crate) struct Clients {
    waiting: BTreeMap<CallId, Waiting>,
    /// How many calls wait at each server.
    at: [usize; 10],
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
        self.at[usize::from(waiting.server.0)] += 1;
        self.waiting.insert(call, waiting);
    }

    /// How many calls wait at the server.
    pub(crate) fn count(&self, server: ServerId) -> usize {
        self.at[usize::from(server.0)]
    }

    pub(crate) fn hang_up(&mut self, call: CallId) -> Option<ServerId> {
        self.take(call).map(|waiting| waiting.server)
    }

    /// The server's process has ended, and nobody tells its callers what becomes of their calls.
    pub(crate) fn lose(&mut self, server: ServerId) {
        self.waiting.retain(|_, waiting| waiting.server != server);
        self.at[usize::from(server.0)] = 0;
    }

    /// Notes an answer of which nothing is demanded but that it is the only one.
    pub(crate) fn answered_somehow(&mut self, call: CallId) {
        assert!(self.take(call).is_some(), "nobody waits for an answer to {call:?}");
    }

    fn take(&mut self, call: CallId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&call)?;
        self.at[usize::from(waiting.server.0)] -= 1;
        Some(waiting)
    }

    pub(crate) fn waiting(&self) -> impl ExactSizeIterator<Item = (&CallId, &Waiting)> {
        self.waiting.iter()
    }

    /// The call, if it still waits.
    pub(crate) fn get(&self, call: CallId) -> Option<&Waiting> {
        self.waiting.get(&call)
    }

    /// Checks the answer to a call, which is its first and only one.
    pub(crate) fn answered(
        &mut self,
        (call, reply, now): (CallId, &Reply, u64),
        ledger: &mut Ledger,
        marks: &mut Marks,
    ) {
        let waiting = self.take(call);
        let Some(waiting) = waiting else { panic!("nobody waits for {reply:?} to {call:?}") };
        if waiting.since + 2 * SECOND < now {
            marks.hit(Mark::LongWait);
        }
        match (waiting.kind, reply) {
            (Kind::Update, Reply::Updated(took_effect)) => {
                let (place, effect) =
                    ledger.outcome(call).expect("an answered update is committed");
                assert!(effect == *took_effect, "{call:?} was told {took_effect}");
                assert!(waiting.committed < place, "{call:?} took effect before it was made");
            }
            (Kind::Read, Reply::Files(files)) => check_read(files, &waiting, ledger),
            (kind, Reply::Fault(fault)) => {
                check_fault(call, kind, (*fault, &waiting, now), ledger, marks)
            }
            (_, other) => panic!("{other:?} is no answer to {call:?}"),
        }
    }
}

fn check_read(files: &Files, waiting: &Waiting, ledger: &Ledger) {
    let mut between = waiting.committed..=ledger.len();
    assert!(
        between.any(|len| ledger.map(len) == files),
        "a read since {} was answered with a map of another time",
        waiting.since
    );
}

fn check_fault(
    call: CallId,
    kind: Kind,
    (fault, waiting, now): (Fault, &Waiting, u64),
    ledger: &mut Ledger,
    marks: &mut Marks,
) {
    match fault {
        Fault::NotLeader(_) | Fault::Crashed | Fault::Busy => {
            if fault == Fault::Busy {
                marks.hit(Mark::Busy);
            }
            if kind == Kind::Update {
                ledger.refuse(call);
                if matches!(fault, Fault::NotLeader(_)) && waiting.since < now {
                    marks.hit(Mark::Overwritten);
                }
            }
        }
        Fault::OutcomeUnknown | Fault::OutcomeLost => {
            assert!(kind == Kind::Update, "a read has no outcome that could be unknown");
            marks.hit(Mark::OutcomeUnknown);
        }
        Fault::Forged(flaw) => panic!("a client was told that {flaw}"),
    }
}
