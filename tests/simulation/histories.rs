//! The check of answers, checked: histories made by hand, of which it must accept one half and refuse the other.
//!
//! `ask 1 a 2` is call 1, an update of file `a` to version 2, and `read 2` a call that reads; `commit 1` commits an
//! update and `noop` nothing. `true 1`, `false 1`, `refuse 1`, `crashed 1`, `busy 1`, `unknown 1` and `lost 1` answer;
//! `map 2 1 3` answers a read with the map that the updates of calls 1 and 3 make, applied in that order to none.

use std::collections::BTreeMap;
use std::sync::Arc;

use surfstore::metadata::{Files, Update};
use surfstore::protocol::fault::{BUSY, CRASHED, NOT_LEADER, OUTCOME_UNKNOWN};
use surfstore::raft::{CallId, Command, Incarnation, Roster, ServerId};
use surfstore::value::Value;
use surfstore::xmlrpc::Fault;

use crate::clients::{Answer, Clients, Kind, Waiting};
use crate::ledger::Ledger;
use crate::marks::Marks;
use crate::run::quietly;

const LEGAL: [&str; 22] = [
    "",
    // A refused update need not be in the log.
    "ask 1 a 2; false 1",
    "ask 1 a 1; commit 1; true 1; ask 2 a 1; false 2",
    "ask 1 a 1; ask 2 a 2; false 2; commit 1; true 1",
    "ask 1 a 1; commit 1; true 1",
    "ask 1 a 2; commit 1; false 1",
    "ask 1 a 1; ask 2 a 1; commit 1; commit 2; false 2; true 1",
    "ask 1 a 1; ask 2 a 1; commit 2; commit 1; true 2; false 1",
    "ask 1 a 1; commit 1; true 1; ask 2 a 2; commit 2; true 2; read 3; map 3 1 2",
    "read 1; map 1",
    "noop; read 1; noop; map 1",
    "ask 1 a 1; read 2; commit 1; map 2 1; true 1",
    "ask 1 a 1; read 2; commit 1; map 2; true 1",
    "ask 1 a 1; ask 2 b 1; read 3; commit 2; commit 1; map 3 2; true 1; true 2",
    "ask 1 a 1; refuse 1; read 2; map 2",
    "ask 1 a 1; crashed 1",
    "ask 1 a 1; busy 1; ask 2 a 1; commit 2; true 2",
    "ask 1 a 1; unknown 1; commit 1; read 2; map 2 1",
    "ask 1 a 1; lost 1; read 2; map 2; commit 1; read 3; map 3 1",
    "ask 1 a 1; unknown 1; ask 2 a 1; commit 1; commit 2; false 2",
    "ask 1 a 1; hangup 1; commit 1; read 2; map 2 1",
    "ask 1 a 1; commit 1; ask 2 a 1; commit 2; false 2; true 1; ask 3 b 1; commit 3; true 3; read 4; map 4 1 3",
];

const ILLEGAL: [&str; 24] = [
    "ask 1 a 2; true 1",
    "ask 1 a 2; false 1; commit 1",
    "ask 1 a 1; commit 1; true 1; ask 2 a 2; false 2",
    // An update that is not committed has an answer, or the wrong one.
    "ask 1 a 1; true 1",
    "ask 1 a 1; false 1",
    "ask 1 a 1; commit 1; false 1",
    "ask 1 a 2; commit 1; true 1",
    "ask 1 a 1; ask 2 a 1; commit 1; commit 2; true 2",
    // It is committed twice, or before it is asked for.
    "ask 1 a 1; commit 1; commit 1",
    "make 1 a 1; commit 1; ask 1 a 1; true 1",
    // A definite fault was none.
    "ask 1 a 1; refuse 1; commit 1",
    "ask 1 a 1; commit 1; refuse 1",
    "ask 1 a 1; crashed 1; noop; commit 1",
    "ask 1 a 1; commit 1; busy 1",
    // A read from the past, from the future, or of what never was.
    "ask 1 a 1; commit 1; true 1; read 2; map 2",
    "ask 1 a 1; ask 2 a 2; commit 1; commit 2; read 3; map 3 1",
    "ask 1 a 1; read 2; map 2 1; commit 1",
    "ask 1 a 1; ask 2 b 1; commit 1; read 3; commit 2; map 3 2",
    "ask 1 a 1; ask 2 a 1; commit 1; commit 2; read 3; map 3 2",
    "ask 1 a 1; refuse 1; read 2; map 2 1",
    "ask 1 a 1; hangup 1; commit 1; read 2; map 2",
    // Two answers, an answer to nobody, and a read whose outcome is open.
    "ask 1 a 1; commit 1; true 1; true 1",
    "ask 1 a 1; hangup 1; commit 1; true 1",
    "read 1; unknown 1",
];

/// Plays a history to the check.
struct Play {
    clients: Clients,
    ledger: Ledger,
    marks: Marks,
    updates: BTreeMap<CallId, Arc<Update>>,
}

impl Play {
    fn make(&mut self, call: CallId, name: &str, version: &str) {
        let own = i64::try_from(call.0).expect("a small number").into();
        let version = version.parse().expect("a version");
        let update = Update { name: name.into(), version, hashes: [own].into() };
        self.updates.insert(call, Arc::new(update));
    }

    fn ask(&mut self, call: CallId, kind: Kind) {
        let committed = self.ledger.len();
        self.clients.ask(call, Waiting { server: ServerId(0), kind, since: 0, committed });
    }

    fn answer(&mut self, call: CallId, answer: Answer) {
        self.clients.answered((call, &answer, 1), &mut self.ledger, &mut self.marks);
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let call = |word: &str| CallId(word.parse().expect("a call"));
        let fault = |code| Err(Fault { code, message: String::new() });
        match words[..] {
            ["make", id, name, version] => self.make(call(id), name, version),
            ["ask", id, name, version] => {
                self.make(call(id), name, version);
                let version = version.parse().expect("a version");
                self.ask(call(id), Kind::Update(name.to_owned(), version));
            }
            ["read", id] => self.ask(call(id), Kind::Read),
            ["noop"] => {
                let roster = Roster { history: Incarnation(1), members: BTreeMap::new() };
                self.ledger.commit(&Command::Roster(Arc::new(roster)));
            }
            ["commit", id] => {
                let update = Arc::clone(&self.updates[&call(id)]);
                self.ledger.commit(&Command::Update(update));
            }
            ["true", id] => self.answer(call(id), Ok(Value::Boolean(true))),
            ["false", id] => self.answer(call(id), Ok(Value::Boolean(false))),
            ["refuse", id] => self.answer(call(id), fault(NOT_LEADER)),
            ["crashed", id] => self.answer(call(id), fault(CRASHED)),
            ["busy", id] => self.answer(call(id), fault(BUSY)),
            ["unknown", id] => self.answer(call(id), fault(OUTCOME_UNKNOWN)),
            ["lost", id] => self.answer(call(id), fault(OUTCOME_UNKNOWN)),
            ["hangup", id] => _ = self.clients.hang_up(call(id)),
            ["map", id, ref made_by @ ..] => {
                let mut files = Files::default();
                for maker in made_by {
                    files.apply(&self.updates[&call(maker)]);
                }
                self.answer(call(id), Ok(shown(&files)));
            }
            _ => panic!("no line of a history: {line}"),
        }
    }
}

/// The map as a caller is told it.
fn shown(files: &Files) -> Value {
    let file = |update: &Update| {
        let info = [update.version.into(), Value::Array(update.hashes.elements())];
        ((*update.name).into(), Value::Array(info.into()))
    };
    Value::Struct(files.iter().map(file).collect())
}

/// What the check has to say against a history.
fn objection(history: &str) -> Option<String> {
    let mut play = Play {
        clients: Clients::default(),
        ledger: Ledger::new(),
        marks: Marks::new(),
        updates: BTreeMap::new(),
    };
    let lines = history.split("; ").filter(|line| !line.is_empty());
    quietly(|| lines.for_each(|line| play.line(line))).err().map(|(message, _)| message)
}

#[test]
fn every_legal_history_is_accepted() {
    for history in LEGAL {
        assert_eq!(objection(history), None, "{history}");
    }
}

#[test]
fn every_illegal_history_is_refused() {
    for history in ILLEGAL {
        let objection = objection(history).unwrap_or_else(|| panic!("accepted: {history}"));
        assert!(!objection.starts_with("no line"), "{history}: {objection}");
    }
}
