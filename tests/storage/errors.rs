//! Errors of the disk. After one the store takes nothing more, and what it had acknowledged is read back.

use std::io::ErrorKind;

use support::disk::{Fault, MemoryDisk};
use surfstore::raft::Saved;
use surfstore::storage::Store;

use super::history::{History, Run, Step};
use super::{LIFE, at, entry, open, reopen, save, snapshot, zeros};

/// Takes the steps on a folder in which a fault happens. Returns what may be read back, the disk, and the store that
/// met the fault; `None` if it was not opened.
fn run_with(
    steps: &[Step],
    operation: u64,
    fault: Fault,
) -> (Run, MemoryDisk, Option<Store<MemoryDisk>>, bool) {
    let disk = MemoryDisk::default();
    disk.plan(operation, fault);
    let mut run = Run::after(Saved::new(LIFE));
    let Ok((mut store, _)) = open(disk.clone()) else { return (run, disk, None, true) };
    let has_failed = run.go(&mut store, steps).is_err();
    (run, disk, Some(store), has_failed)
}

/// Fails unless the next process, and the one after a loss of power, read back what they may, and the same.
fn check(run: &Run, disk: &MemoryDisk, random: &mut fastrand::Rng, what: &str) {
    let lost = reopen(&disk.lose_power(&mut |of| random.usize(..of)));
    assert!(run.allows(&lost), "{what}, without power: {lost:?}\nis not {:?}", run.state);
    let next = disk.restart();
    let read = reopen(&next);
    assert!(run.allows(&read), "{what}: {read:?}\nis not {:?}\nnor {:?}", run.state, run.next);
    // What the next process does is on disk, although the names of its files came from the one before.
    let other = disk.restart();
    let (mut store, mut state) = open(other.clone()).unwrap();
    let first = state.base().plus(state.entries.len()).next();
    let change = save(&state, first.0, vec![entry(9, "next", 9)]);
    assert!(state.apply(change.clone()));
    store.save(change).unwrap();
    assert_eq!(reopen(&other.lose_power(&mut |_| 0)), state, "{what}: the next change is lost");
    // What the next process has read, it may have shown to others.
    for _ in 0..4 {
        let lost = reopen(&next.lose_power(&mut |of| random.usize(..of)));
        assert_eq!(lost, read, "{what}: read by the next process, but lost with the power");
    }
}

/// Meets the fault at each operation.
fn check_all(steps: &[Step], fault: Fault, random: &mut fastrand::Rng) {
    for operation in 0.. {
        let what = format!("{fault:?} at operation {operation}");
        let (run, disk, store, has_failed) = run_with(steps, operation, fault);
        check(&run, &disk, random, &what);
        if !has_failed {
            return;
        }
        if let Some(mut store) = store {
            let before = disk.operations();
            let last = run.state.base().plus(run.state.entries.len());
            let change = save(&run.state, last.next().0, vec![entry(9, "late", 1)]);
            assert!(store.save(change).is_err(), "{what}: a later change is acknowledged");
            assert!(store.begin_snapshot(snapshot(at(1, 1), 1)).is_err(), "{what}");
            assert!(store.write_piece().is_err(), "{what}");
            assert!(store.prepare().is_err(), "{what}");
            assert_eq!(disk.operations(), before, "{what}: the disk is touched after it");
        }
    }
}

#[test]
fn after_an_error_nothing_is_taken_and_everything_acknowledged_is_read_back() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let history = History::draw(&mut random, Saved::new(LIFE), 40);
        check_all(&history.steps, Fault::Fails(ErrorKind::Other), &mut random);
        check_all(&history.steps, Fault::Short(random.usize(..3000)), &mut random);
    }
}

#[test]
fn a_write_that_is_cut_short_at_any_byte_leaves_what_was_saved_before() {
    let mut random = fastrand::Rng::with_seed(1);
    let empty = Saved::new(LIFE);
    let steps = [
        Step::Save(save(&empty, 1, vec![entry(1, "a", 300)])),
        Step::Save(save(&empty, 2, vec![zeros(1, "b", 1100), entry(1, "c", 10)])),
    ];
    let (_, disk, ..) = run_with(&steps, u64::MAX, Fault::Stop);
    let write = disk.operations() - 2;
    let before = {
        let (run, disk, ..) = run_with(&steps[..1], u64::MAX, Fault::Stop);
        assert_eq!(reopen(&disk.restart()), run.state);
        run.state
    };
    for length in 0..1180 {
        let (run, disk, _, has_failed) = run_with(&steps, write, Fault::Short(length));
        assert!(has_failed);
        assert_eq!(run.state, before);
        check(&run, &disk, &mut random, &format!("{length} bytes"));
    }
}

#[test]
fn a_start_that_fails_changes_nothing_that_the_next_one_reads() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let history = History::draw(&mut random, Saved::new(LIFE), 30);
        let (run, disk, ..) = run_with(&history.steps, u64::MAX, Fault::Stop);
        for operation in 0..10 {
            for fault in [Fault::Fails(ErrorKind::Other), Fault::Short(100)] {
                let next = disk.restart();
                next.plan(operation, fault);
                let result = open(next.clone()).map(|(_, saved)| saved);
                assert!(result.is_err() || run.allows(result.as_ref().unwrap()));
                assert!(
                    run.allows(&reopen(&next.restart())),
                    "SEED={seed}, {operation}, {fault:?}"
                );
            }
        }
    }
}

#[test]
fn a_start_writes_the_last_record_again_and_nothing_else_if_nothing_is_torn() {
    let disk = MemoryDisk::default();
    let (mut store, state) = open(disk.clone()).unwrap();
    store.save(save(&state, 1, vec![entry(1, "a", 900)])).unwrap();
    store.save(save(&state, 2, vec![entry(1, "b", 20)])).unwrap();
    let (files, next) = (disk.files(), disk.restart());
    let before = next.bytes_written();
    assert_eq!(reopen(&next).entries.len(), 2);
    assert_eq!(next.files(), files);
    assert!(next.bytes_written() - before < 100, "more than the last record is written");
}

#[test]
fn changes_and_snapshots_that_do_not_fit_are_refused() {
    let ready = || {
        let (mut store, state) = open(MemoryDisk::default()).unwrap();
        store.save(save(&state, 1, vec![entry(1, "a", 1), entry(1, "b", 1)])).unwrap();
        store.begin_snapshot(snapshot(at(1, 1), 1)).unwrap();
        while store.write_piece().unwrap() {}
        (store, state)
    };
    for first in [0, 4, 100] {
        let (mut store, state) = ready();
        assert!(store.save(save(&state, first, vec![])).is_err(), "first is {first}");
    }
    let (mut store, state) = ready();
    let mut install = save(&state, 8, vec![]);
    install.snapshot = Some(snapshot(at(1, 8), 1));
    assert!(store.save(install).is_err());
    let (mut store, _) = ready();
    assert!(store.begin_snapshot(snapshot(at(1, 3), 1)).is_err());
}
