//! The loss of power, at every operation, with everything that a disk may be left with.

use std::io::{self, Write};

use support::disk::{Fault, MemoryDisk, each_choice};
use surfstore::raft::Saved;

use super::history::{History, Run, Step};
use super::{LIFE, at, entry, open, reopen, save, snapshot, vote, zeros};

/// Opens a new folder and takes the steps, until the operation with that number, at which the process ends. Returns
/// what may be read back, the disk, and whether the process has ended.
fn run_until(steps: &[Step], operation: u64) -> (Run, MemoryDisk, bool) {
    let disk = MemoryDisk::default();
    disk.plan(operation, Fault::Stop);
    let mut run = Run::after(Saved::new(LIFE));
    let result = match open(disk.clone()) {
        Ok((mut store, saved)) => {
            assert_eq!(saved, run.state);
            run.go(&mut store, steps)
        }
        // The folder is new, or still empty.
        Err(_) => Err(io::ErrorKind::Other.into()),
    };
    (run, disk, result.is_err())
}

/// Fails unless a server that lost its power starts with what it may start with, and goes on from there, even if it
/// loses the power again at any operation of its start.
fn check(run: &Run, disk: &MemoryDisk, choose: &mut dyn FnMut(usize) -> usize, what: &str) {
    let left = disk.lose_power(choose);
    let intact = MemoryDisk::with(left.files());
    let first = open(intact.clone()).unwrap_or_else(|error| panic!("{what}: {error}")).1;
    assert!(run.allows(&first), "{what}: read {first:?}\nafter {:?}\nor {:?}", run.state, run.next);
    let names: Vec<_> = intact.files().into_keys().collect();
    assert!(!names.iter().any(|name| name.ends_with(".new")), "{what}: left over: {names:?}");
    let snapshots = names.iter().filter(|name| name.ends_with(".snapshot")).count();
    assert_eq!(snapshots, usize::from(first.snapshot.is_some()), "{what}: left over: {names:?}");
    for operation in 0..intact.operations() {
        let again = MemoryDisk::with(left.files());
        again.plan(operation, Fault::Stop);
        assert!(open(again.clone()).is_err());
        let second = reopen(&again.lose_power(choose));
        assert_eq!(second, first, "{what}: stopped at operation {operation} of the start");
    }
    // It goes on from there.
    let (mut store, mut state) =
        open(intact.clone()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let next = state.base().plus(state.entries.len()).next().0;
    while store.go_on().unwrap() {}
    let idle = intact.lose_power(&mut |_| 0);
    assert_eq!(reopen(&idle), state, "{what}: something is lost although nothing was changed");
    let change = save(&state, next, vec![entry(9, "afterwards", 30)]);
    assert!(state.apply(change.clone()));
    store.save(change).unwrap();
    let lost = intact.lose_power(&mut |_| 0);
    assert_eq!(reopen(&lost), state, "{what}: the next change is lost");
}

/// Takes the steps until each operation.
fn check_all(steps: &[Step], mut check: impl FnMut(&Run, &MemoryDisk, u64)) {
    for operation in 0.. {
        let (run, disk, has_ended) = run_until(steps, operation);
        check(&run, &disk, operation);
        if !has_ended {
            return;
        }
    }
}

#[test]
fn whenever_the_power_fails_and_whatever_the_disk_keeps_nothing_saved_is_lost() {
    let mut state = Saved::new(LIFE);
    let mut steps = Vec::new();
    let mut add = |change: surfstore::raft::Save| {
        assert!(state.apply(change.clone()));
        steps.push(Step::Save(change));
        state.clone()
    };
    let empty = Saved::new(LIFE);
    add(save(&empty, 1, vec![entry(1, "a", 1000), entry(1, "b", 300)]));
    let voted = Saved { hard_state: vote(2, 1), ..Saved::new(LIFE) };
    add(save(&voted, 2, vec![]));
    add(save(&voted, 2, vec![entry(2, "c", 700), zeros(2, "d", 2500)]));
    add(save(&voted, 3, vec![entry(2, "e", 10)]));
    let last_included = at(2, 2);
    steps.extend([Step::Begin(snapshot(last_included, 5)), Step::Piece]);
    steps.push(Step::Save(save(&voted, 4, vec![entry(3, "f", 900)])));
    steps.extend([Step::Piece, Step::Prepare, Step::Prepare, Step::Prepare, Step::Prepare]);
    let mut install = save(&voted, 10, vec![entry(3, "g", 10)]);
    install.snapshot = Some(snapshot(at(3, 9), 3));
    steps.push(Step::Save(install));
    steps.push(Step::Save(save(&voted, 1, vec![entry(4, "h", 10)])));
    steps.push(Step::Prepare);
    let mut random = fastrand::Rng::with_seed(7);
    let (mut tried, mut whole, mut left_out) = (0, 0, 0.0);
    check_all(&steps, |run, disk, operation| {
        let ways = each_choice(
            400,
            |of| random.usize(..of),
            |choose| check(run, disk, choose, &format!("stopped at operation {operation}")),
        );
        tried += ways.tried;
        left_out += (ways.all - ways.tried as f64).max(0.0);
        whole += usize::from(ways.all <= ways.tried as f64);
    });
    // Not by `eprintln!`, whose output the test harness hides.
    let _ = writeln!(
        io::stderr(),
        "loss of power: {tried} ways tried, {whole} operations in each way, about {left_out:.0e} ways left out"
    );
    assert!(1000 < tried, "only {tried} ways to fail");
    assert!(10 < whole, "only {whole} operations were tried in each way");
}

#[test]
fn whenever_the_power_fails_while_segments_are_removed_nothing_is_missing() {
    let mut state = Saved::new(LIFE);
    let mut steps = Vec::new();
    for index in 1..=8 {
        let change = save(&state, index, vec![entry(1, "a", 1100)]);
        assert!(state.apply(change.clone()));
        steps.push(Step::Save(change));
    }
    steps.extend([Step::Begin(snapshot(at(1, 6), 1)), Step::Piece]);
    steps.extend((0..12).map(|_| Step::Prepare));
    let mut random = fastrand::Rng::with_seed(7);
    check_all(&steps, |run, disk, operation| {
        each_choice(
            64,
            |of| random.usize(..of),
            |choose| check(run, disk, choose, &format!("stopped at operation {operation}")),
        );
    });
}

/// A segment that was begun for a record may still be empty at the next start. Then the last record is in the one before,
/// and that is not removed, although the snapshot includes all of its entries.
#[test]
fn a_segment_with_the_last_record_is_not_removed_while_the_next_one_is_empty() {
    let mut state = Saved::new(LIFE);
    let mut steps = Vec::new();
    for index in 1..=4 {
        let change = save(&state, index, vec![entry(1, "a", 1100)]);
        assert!(state.apply(change.clone()));
        steps.push(Step::Save(change));
    }
    let snapshot = snapshot(at(1, 4), 1);
    steps.extend([Step::Begin(snapshot.clone()), Step::Piece]);
    state.compact(snapshot);
    steps.push(Step::Save(save(&state, 5, vec![entry(1, "b", 1100)])));
    check_all(&steps, |run, disk, operation| {
        check(run, disk, &mut |_| 0, &format!("stopped at operation {operation}"));
    });
}

#[test]
fn whatever_was_done_before_nothing_saved_is_lost() {
    let seeds = std::env::var("SEEDS").map_or(12, |seeds| seeds.parse().unwrap());
    let first = std::env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    for seed in first..first + seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let history = History::draw(&mut random, Saved::new(LIFE), 40);
        check_all(&history.steps, |run, disk, operation| {
            let what = format!("SEED={seed}, operation {operation}");
            check(run, disk, &mut |of| random.usize(..of), &what);
        });
    }
}

#[test]
fn whatever_is_done_is_read_back() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = MemoryDisk::default();
        let mut state = Saved::new(LIFE);
        for _ in 0..4 {
            let (mut store, saved) =
                open(disk.clone()).unwrap_or_else(|error| panic!("{seed}: {error}"));
            assert_eq!(saved, state, "SEED={seed}");
            let mut run = Run::after(saved);
            let history = History::draw(&mut random, state, 30);
            run.go(&mut store, &history.steps).unwrap_or_else(|error| panic!("{seed}: {error}"));
            state = run.state;
        }
    }
}
