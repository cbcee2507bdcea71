//! The committed commands, replayed in order: what every map and every answer must agree with.
//!
//! It applies the version rule in its own words, beside the shipped map, and compares the two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use surfstore::metadata::{Files, Update};
use surfstore::raft::{CallId, Command};
use surfstore::value::Value;

/// The replay of what is committed.
pub(crate) struct Ledger {
    /// The map after each committed entry; the first is empty.
    maps: Vec<Files>,
    /// The version of every file.
    versions: BTreeMap<Arc<str>, i64>,
    /// Where each update is committed, and whether it took effect.
    outcomes: BTreeMap<CallId, (usize, bool)>,
    /// The updates that were refused for good.
    refused: BTreeSet<CallId>,
}

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger {
            maps: vec![Files::default()],
            versions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// How many entries are committed.
    pub(crate) fn len(&self) -> usize {
        self.maps.len() - 1
    }

    /// The map after so many committed entries.
    pub(crate) fn map(&self, len: usize) -> &Files {
        &self.maps[len]
    }

    /// Where the update is committed, and whether it took effect.
    pub(crate) fn outcome(&self, call: CallId) -> Option<(usize, bool)> {
        self.outcomes.get(&call).copied()
    }

    /// Notes that the caller was told that the update had and will have no effect.
    pub(crate) fn refuse(&mut self, call: CallId) {
        assert!(
            self.outcome(call).is_none(),
            "the update of {call:?} was refused and is committed"
        );
        self.refused.insert(call);
    }

    /// Notes the next committed command.
    pub(crate) fn commit(&mut self, command: &Command) {
        let mut files = self.map(self.len()).clone();
        if let Command::Update(update) = command {
            let took_effect = self.apply(update);
            assert!(
                files.apply(update) == took_effect,
                "versions of a file are 1, 2, 3 and so on, each applied once: {update:?}"
            );
            let call = call_of(&update.hashes.elements());
            assert!(!self.refused.contains(&call), "the refused update of {call:?} is committed");
            let place = (self.maps.len(), took_effect);
            assert!(self.outcomes.insert(call, place).is_none(), "{call:?} is committed twice");
        }
        self.maps.push(files);
    }

    fn apply(&mut self, update: &Update) -> bool {
        let stored = self.versions.get(&update.name).copied().unwrap_or(0);
        let is_next = update.version.checked_sub(1) == Some(stored);
        if is_next {
            self.versions.insert(Arc::clone(&update.name), update.version);
        }
        is_next
    }
}

/// The call that made the update: every update of the simulation carries its number as its first hash.
fn call_of(hashes: &[Value]) -> CallId {
    match hashes {
        [Value::Int(call), ..] => CallId(u64::try_from(*call).expect("a call's number")),
        other => panic!("no update of this simulation: {other:?}"),
    }
}
