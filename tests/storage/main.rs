//! What a server keeps on disk: it must outlive the end of the process, the loss of power, and errors of the disk, and
//! any damage must be noticed.
//!
//! [`History`] draws a sequence of steps and carries it out, and [`Saved::apply`] says which state each must lead to.
//! The folder is a [`MemoryDisk`], which can lose what was not synced.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(missing_docs)]

mod damage;
mod errors;
mod folder;
mod format;
mod history;
mod power;

use std::sync::Arc;

use support::disk::MemoryDisk;
use surfstore::metadata::{Files, Update};
use surfstore::raft::{
    Command, Entry, HardState, Incarnation, LogIndex, Member, Position, Roster, Save, Saved,
    ServerId, Snapshot, Term,
};
use surfstore::storage::{Disk, OpenError, SetIdentity, Sizes, Store};
use surfstore::value::Value;

/// The folder's server.
const SET: SetIdentity = SetIdentity { id: ServerId(1), size: 3, names: 0x1234 };

/// The incarnation that is drawn for it.
const LIFE: Incarnation = Incarnation((1 << 52) + 7);

/// Small files, so that a short run begins many.
const SMALL: Sizes = Sizes { segment: 2048, piece: 600 };

fn open<D: Disk>(disk: D) -> Result<(Store<D>, Saved), OpenError> {
    Store::open(disk, SET, SMALL, || LIFE)
}

/// What is read back in a folder that must be in order.
fn reopen(disk: &MemoryDisk) -> Saved {
    open(disk.clone()).unwrap_or_else(|error| panic!("{error}")).1
}

fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

fn roster(history: u64) -> Arc<Roster> {
    let members = [(ServerId(0), Incarnation(history)), (ServerId(1), LIFE)].into();
    Arc::new(Roster { history: Incarnation(history), members })
}

/// An entry with an update that takes about that many bytes.
fn entry(term: u64, name: &str, bytes: usize) -> Entry {
    let hashes = ["h".repeat(bytes).as_str().into()].into();
    let update = Update { name: name.into(), version: bytes as i64, hashes };
    Entry { term: Term(term), command: Command::Update(Arc::new(update)) }
}

/// An entry with an update of zeros, which could be taken for what was not written.
fn zeros(term: u64, name: &str, bytes: usize) -> Entry {
    let hashes = [Value::Base64(vec![0; bytes].into())].into();
    let update = Update { name: name.into(), version: -1, hashes };
    Entry { term: Term(term), command: Command::Update(Arc::new(update)) }
}

/// A change that replaces the log from `first` on.
fn save(state: &Saved, first: u64, entries: Vec<Entry>) -> Save {
    let hard_state = state.hard_state.clone();
    Save { number: 0, hard_state, snapshot: None, first: LogIndex(first), entries }
}

/// A snapshot with that many files.
fn snapshot(last_included: Position, files: usize) -> Snapshot {
    let mut map = Files::default();
    for file in 0..files {
        let hashes = ["h".repeat(file % 7).as_str().into()].into();
        let name = format!("file {:05}", file * 7919 % 10_007).into();
        assert!(map.apply(&Arc::new(Update { name, version: 1, hashes })));
    }
    Snapshot { last_included, roster: roster(77), files: map }
}

/// A hard state that votes in that term.
fn vote(term: u64, id: u8) -> HardState {
    let voted_for = Some(Member { id: ServerId(id), incarnation: Incarnation(100) });
    HardState { current_term: Term(term), voted_for, ..HardState::new(LIFE) }
}
