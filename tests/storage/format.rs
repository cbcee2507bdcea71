//! What a change costs, and what stays on the disk.

use support::disk::MemoryDisk;
use surfstore::raft::{Command, Entry, Saved};
use surfstore::storage::{Sizes, Store};

use super::{LIFE, SET, SMALL, at, entry, open, reopen, save, snapshot};

/// What was written for a byte of the entries.
fn ratio(batch: u64, count: u64) -> f64 {
    let disk = MemoryDisk::default();
    let sizes = Sizes::default();
    let (mut store, state) = Store::open(disk.clone(), SET, sizes, || LIFE).unwrap();
    let bytes_of = |entry: &Entry| match &entry.command {
        Command::Update(update) => update.name.len() + update.hashes.packed().len(),
        Command::Roster(_) => 0,
    };
    let mut bytes = 0;
    let before = disk.bytes_written();
    for turn in 0..count {
        let entries: Vec<_> = (0..batch).map(|_| entry(7, &"n".repeat(60), 122)).collect();
        bytes += entries.iter().map(bytes_of).sum::<usize>();
        store.save(save(&state, 1 + turn * batch, entries)).unwrap();
    }
    (disk.bytes_written() - before) as f64 / bytes as f64
}

#[test]
fn little_more_is_written_than_the_entries() {
    for (batch, most) in [(1, 1.25), (16, 1.1), (64, 1.05)] {
        let ratio = ratio(batch, 50);
        assert!(ratio < most, "{ratio} bytes for each byte of entries in batches of {batch}");
    }
}

#[test]
fn a_change_is_one_write_and_one_sync() {
    let disk = MemoryDisk::default();
    let (mut store, state) = open(disk.clone()).unwrap();
    for index in 1..=3 {
        let before = (disk.operations(), disk.syncs());
        store.save(save(&state, index, vec![entry(1, "a", 300)])).unwrap();
        assert_eq!((disk.operations(), disk.syncs()), (before.0 + 2, before.1 + 1));
    }
}

#[test]
fn a_segment_that_was_created_ahead_is_only_renamed() {
    let disk = MemoryDisk::default();
    let (mut store, state) = open(disk.clone()).unwrap();
    while store.prepare().unwrap() {}
    let before = (disk.operations(), disk.syncs());
    assert!(!store.prepare().unwrap(), "there is nothing more to prepare");
    assert_eq!((disk.operations(), disk.syncs()), before);
    store.save(save(&state, 1, vec![entry(1, "a", 1500)])).unwrap();
    let before = (disk.operations(), disk.syncs());
    store.save(save(&state, 2, vec![entry(1, "b", 1500)])).unwrap();
    // Rename, sync of the folder, write, sync.
    assert_eq!((disk.operations(), disk.syncs()), (before.0 + 4, before.1 + 2));
    assert_eq!(reopen(&disk).entries.len(), 2);
}

#[test]
fn the_log_is_measured_from_the_last_snapshot_on() {
    let (mut store, state) = open(MemoryDisk::default()).unwrap();
    store.save(save(&state, 1, vec![entry(1, "a", 800)])).unwrap();
    let first = store.log_bytes();
    assert!((800..1000).contains(&first), "{first} bytes");
    store.save(save(&state, 2, vec![entry(1, "b", 800)])).unwrap();
    let both = store.log_bytes();
    assert!((first + 800..first + 1000).contains(&both), "{both} bytes");
    store.begin_snapshot(snapshot(at(1, 2), 3)).unwrap();
    assert_eq!(store.log_bytes(), 0, "one is being written");
    while store.write_piece().unwrap() {}
    let after = store.log_bytes();
    assert!(after < 200, "one was just written, but the log is still {after} bytes");
}

#[test]
fn the_space_stays_in_proportion_to_the_map() {
    let disk = MemoryDisk::default();
    let (mut store, mut state) = open(disk.clone()).unwrap();
    let mut most = 0;
    for index in 1..=2000 {
        let change = save(&state, index, vec![entry(1, "a", 200)]);
        assert!(state.apply(change.clone()));
        store.save(change).unwrap();
        if 1000 < store.log_bytes() {
            let snapshot = snapshot(at(1, index), 3);
            state.compact(snapshot.clone());
            store.begin_snapshot(snapshot).unwrap();
            while store.write_piece().unwrap() {}
        }
        while store.prepare().unwrap() {}
        most = most.max(store.bytes_on_disk());
        let files = disk.files();
        let bytes = files.iter().filter(|(name, _)| *name != "meta").map(|(_, bytes)| bytes.len());
        assert_eq!(bytes.sum::<usize>() as u64, store.bytes_on_disk(), "{:?}", files.keys());
    }
    assert!(most < 5 * SMALL.segment, "{most} bytes");
    assert_eq!(reopen(&disk), state);
}

#[test]
fn a_snapshot_that_others_overtake_is_not_written() {
    let disk = MemoryDisk::default();
    let (mut store, mut state) = open(disk.clone()).unwrap();
    let change = save(&state, 1, vec![entry(1, "a", 1), entry(1, "b", 1)]);
    assert!(state.apply(change.clone()));
    store.save(change).unwrap();
    store.begin_snapshot(snapshot(at(1, 2), 100)).unwrap();
    assert!(store.write_piece().unwrap());
    let mut install = save(&state, 10, vec![]);
    install.snapshot = Some(snapshot(at(2, 9), 10));
    assert!(state.apply(install.clone()));
    store.save(install).unwrap();
    assert!(!store.write_piece().unwrap());
    // Nor is one that is begun too late.
    store.begin_snapshot(snapshot(at(1, 2), 100)).unwrap();
    assert!(!store.write_piece().unwrap());
    assert_eq!(reopen(&disk), state);
    let anew = Saved::new(LIFE);
    store.begin_snapshot(snapshot(at(2, 9), 100)).unwrap();
    let change = save(&anew, 1, vec![entry(1, "c", 1)]);
    store.save(change).unwrap();
    assert_eq!(reopen(&disk).snapshot, None);
    // There is no earlier snapshot that would end with the log.
    store.begin_snapshot(snapshot(at(1, 1), 100)).unwrap();
    assert!(store.write_piece().unwrap());
    store.save(save(&anew, 1, vec![])).unwrap();
    assert!(!store.write_piece().unwrap());
    assert_eq!(reopen(&disk), anew);
}
