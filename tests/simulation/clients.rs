//! The callers: which calls wait for an answer, and whether an answer is correct.
//!
//! The committed log, replayed in order, must explain every answer at a point between the call and the answer. This is
//! linearizability. A definite fault says that there is no such point, now or later. The calls of a multicall are made
//! one after another, so the points that explain their answers are in the same order.

use std::collections::BTreeMap;

use surfstore::metadata::{Files, Update};
use surfstore::protocol::fault::{BUSY, CRASHED, NOT_LEADER, OUTCOME_UNKNOWN};
use surfstore::raft::{CallId, ServerId};
use surfstore::value::Value;
use surfstore::xmlrpc::Fault;

use crate::ledger::Ledger;
use crate::marks::{Mark, Marks};
use crate::network::SECOND;

/// The answer to a call.
pub(crate) type Answer = Result<Value, Fault>;

/// The calls that wait for an answer. A call is removed when it is answered or its caller disconnects.
#[derive(Default)]
pub(crate) struct Clients {
    waiting: BTreeMap<CallId, Waiting>,
    /// How many calls wait at each server, without the multicalls.
    at: [usize; 10],
    /// How many multicalls wait at each server.
    multicalls_at: [usize; 10],
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
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An update of this file to this version.
    Update(String, i64),
    Read,
    /// Something that needs no majority.
    Question,
    /// These calls, one after another. The id of an update is also the first element of its hash list.
    Multicall(Vec<(CallId, Kind)>),
}

impl Clients {
    pub(crate) fn ask(&mut self, call: CallId, waiting: Waiting) {
        *self.count_of(&waiting) += 1;
        self.waiting.insert(call, waiting);
    }

    /// How many calls wait at the server, and how many multicalls.
    pub(crate) fn count(&self, server: ServerId) -> (usize, usize) {
        let slot = usize::from(server.0);
        (self.at[slot], self.multicalls_at[slot])
    }

    fn count_of(&mut self, waiting: &Waiting) -> &mut usize {
        let at = match waiting.kind {
            Kind::Multicall(_) => &mut self.multicalls_at,
            Kind::Update(..) | Kind::Read | Kind::Question => &mut self.at,
        };
        &mut at[usize::from(waiting.server.0)]
    }

    pub(crate) fn hang_up(&mut self, call: CallId) -> Option<ServerId> {
        self.take(call).map(|waiting| waiting.server)
    }

    /// Removes the calls at a server whose process has ended. They are never answered.
    pub(crate) fn lose(&mut self, server: ServerId) {
        self.waiting.retain(|_, waiting| waiting.server != server);
        self.at[usize::from(server.0)] = 0;
        self.multicalls_at[usize::from(server.0)] = 0;
    }

    /// Checks only that a call is answered once.
    pub(crate) fn answered_somehow(&mut self, call: CallId) {
        assert!(self.take(call).is_some(), "nobody waits for an answer to {call:?}");
    }

    fn take(&mut self, call: CallId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&call)?;
        *self.count_of(&waiting) -= 1;
        Some(waiting)
    }

    pub(crate) fn waiting(&self) -> impl ExactSizeIterator<Item = (&CallId, &Waiting)> {
        self.waiting.iter()
    }

    /// The call, if it still waits.
    pub(crate) fn get(&self, call: CallId) -> Option<&Waiting> {
        self.waiting.get(&call)
    }

    /// Checks the answer to a call, and that it is the only one.
    pub(crate) fn answered(
        &mut self,
        (call, answer, now): (CallId, &Answer, u64),
        ledger: &mut Ledger,
        marks: &mut Marks,
    ) {
        let waiting = self.take(call);
        let Some(waiting) = waiting else { panic!("nobody waits for {answer:?} to {call:?}") };
        if waiting.since + 2 * SECOND < now {
            marks.hit(Mark::LongWait);
        }
        let Waiting { kind, since, committed, .. } = waiting;
        let mut check = Check { since, now, earliest: committed, ledger, marks };
        match &kind {
            Kind::Multicall(calls) => check.multicall(calls, answer),
            kind => check.one(call, kind, answer),
        }
    }
}

/// The check of the answers to one caller.
struct Check<'a> {
    since: u64,
    now: u64,
    /// The earliest point that may explain the next answer, as the number of entries that are committed there.
    earliest: usize,
    ledger: &'a mut Ledger,
    marks: &'a mut Marks,
}

impl Check<'_> {
    fn multicall(&mut self, calls: &[(CallId, Kind)], answer: &Answer) {
        let Ok(Value::Array(answers)) = answer else {
            panic!("{answer:?} is no answer to a multicall");
        };
        assert!(answers.len() == calls.len(), "{} calls have {answers:?}", calls.len());
        let (mut confirmed, mut crashed) = (false, false);
        for ((call, kind), answer) in calls.iter().zip(answers) {
            let answer = part(answer);
            confirmed |= answer.is_ok() && *kind != Kind::Question;
            crashed |= matches!(&answer, Err(fault) if fault.code == CRASHED);
            self.one(*call, kind, &answer);
        }
        self.marks.hit(Mark::Multicall);
        if confirmed && crashed {
            self.marks.hit(Mark::CutMulticall);
        }
    }

    fn one(&mut self, call: CallId, kind: &Kind, answer: &Answer) {
        match (kind, answer) {
            (Kind::Update(name, version), Ok(Value::Boolean(took_effect))) => {
                self.update(call, (name, *version), *took_effect);
            }
            (Kind::Read, Ok(map)) => {
                let mut between = self.earliest..=self.ledger.len();
                let explains = between.find(|len| shows(map, self.ledger.map(*len)));
                let since = self.since;
                self.earliest = explains.unwrap_or_else(|| {
                    panic!("a read since {since} was answered with a map of another time")
                });
            }
            (Kind::Question, Ok(_)) => {}
            (kind, Err(fault)) => self.fault(call, kind, fault),
            (_, other) => panic!("{other:?} is no answer to {call:?}"),
        }
    }

    /// An update that took effect is committed. One that was refused may be missing from the log, like a read. Then its
    /// version was not the next one at some point between call and answer, and it is never committed.
    fn update(&mut self, call: CallId, (name, version): (&str, i64), took_effect: bool) {
        let Some((place, effect)) = self.ledger.outcome(call) else {
            assert!(!took_effect, "{call:?} took effect and is not committed");
            let is_refused = |len: &usize| self.ledger.map(*len).version(name) + 1 != version;
            let mut between = self.earliest..=self.ledger.len();
            self.earliest = between.find(is_refused).unwrap_or_else(|| {
                panic!("{call:?} was refused, although its version was the next one")
            });
            return self.ledger.refuse(call);
        };
        assert!(effect == took_effect, "{call:?} was told {took_effect}");
        assert!(self.earliest < place, "{call:?} took effect before it was made");
        self.earliest = place;
    }

    fn fault(&mut self, call: CallId, kind: &Kind, fault: &Fault) {
        match fault.code {
            NOT_LEADER | CRASHED | BUSY => {
                if fault.code == BUSY {
                    self.marks.hit(Mark::Busy);
                }
                if matches!(kind, Kind::Update(..)) {
                    self.ledger.refuse(call);
                    if fault.code == NOT_LEADER && self.since < self.now {
                        self.marks.hit(Mark::Overwritten);
                    }
                }
            }
            OUTCOME_UNKNOWN => {
                assert!(matches!(kind, Kind::Update(..)), "only an update has an outcome");
                self.marks.hit(Mark::OutcomeUnknown);
            }
            _ => panic!("{call:?} was told: {}", fault.message),
        }
    }
}

/// The answer to one call of a multicall.
fn part(answer: &Value) -> Answer {
    match answer {
        Value::Array(only) if only.len() == 1 => Ok(only[0].clone()),
        Value::Struct(members) => match &**members {
            [(code, Value::Int(number)), (string, Value::String(message))]
                if **code == *"faultCode" && **string == *"faultString" =>
            {
                let code = i32::try_from(*number).expect("a code has 32 bits");
                Err(Fault { code, message: message.to_string() })
            }
            _ => panic!("{members:?} is no fault"),
        },
        _ => panic!("{answer:?} is no answer to a call of a multicall"),
    }
}

/// Whether a value is this file map.
fn shows(value: &Value, files: &Files) -> bool {
    let Value::Struct(members) = value else { return false };
    let same = |(update, (name, info)): (&Update, &(Box<str>, Value))| match info {
        Value::Array(info) => match &**info {
            [Value::Int(version), Value::Array(hashes)] => {
                *update.name == **name
                    && update.version == *version
                    && update.hashes.elements() == *hashes
            }
            _ => false,
        },
        _ => false,
    };
    files.len() == members.len() && files.iter().zip(members).all(same)
}
