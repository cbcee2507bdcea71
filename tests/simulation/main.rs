//! Runs a cluster of servers without their sockets in a simulated world. A seed determines each run. First it checks
//! safety under every kind of fault, and then progress once the faults have stopped. docs/simulation.md says how to use
//! it.
//!
//! # What is checked where
//!
//! After every step of a server:
//!
//! | What must hold | Where it is checked |
//! |---|---|
//! | A history has at most one leader in a term | `history.rs: observe_leader` |
//! | Logs with the same entry agree before it; terms never fall along a log | `history.rs: observe_log` |
//! | A later leader has every committed entry | `history.rs: observe_leader`, `commit` |
//! | All servers apply the same entry at an index; a committed entry never changes | `history.rs: observe_commit` |
//! | When an entry is first committed, a majority holds it, on its disks if it has any | `history.rs: check_is_held` |
//! | A leader commits by counting only if the entry is of its term | `history.rs: observe_commit` |
//! | Servers that have applied equally many entries have equal maps and rosters | `history.rs: observe_commit` |
//! | Only applied entries are dropped; a log knows the term of the last one dropped | `history.rs: observe_log` |
//! | Applied entries are kept as long as they do not outweigh the map | `snapshots.rs: check_compaction` |
//! | A snapshot is put in place whole or not at all, and never over a later state | `snapshots.rs: check_piece` |
//! | A server says how many leaves it holds of the snapshot of one leader | `snapshots.rs: check_piece` |
//! | A server that accepts a snapshot has applied everything that it includes | `snapshots.rs: check_piece` |
//! | A server that has what a snapshot includes keeps its log | `snapshots.rs: check_ignored` |
//! | Versions of a file are 1, 2, 3 and so on, each applied once | `ledger.rs: commit` |
//! | The committed log explains every answer, at a point between call and answer | `clients.rs: answered` |
//! | An update that got a definite fault is never committed | `ledger.rs: refuse`, `commit` |
//! | A call is answered at most once | `clients.rs: answered`, `world.rs: ask_peer` |
//! | Applied ≤ committed ≤ last entry; no entry has a term above the current one | `history.rs: check_change` |
//! | A leader voted for itself | `history.rs: observe_leader`, `src/raft/leader.rs: check` |
//! | Match index < next index, match index ≤ last entry | `src/raft/progress.rs: check` |
//! | A candidate has its own vote, and has not won yet | `src/raft/candidate.rs: check` |
//! | Each role has exactly its own timer, and a crashed server has none | `clock.rs: check_timers` |
//! | The committed log explains the answers of a multicall in the order of its calls | `clients.rs: multicall` |
//! | A caller that has disconnected is not answered | `clients.rs: answered` |
//! | Answers about a server alone are true; such calls, and invalid ones, change nothing | `calls.rs: question` |
//! | A crashed server tells its peers its identity | `wire.rs: respond` |
//! | A server remembers exactly the calls that wait, and at most as many as may wait | `calls.rs: check_waiting` |
//! | A pending call waits for an entry that is not applied yet | `src/raft/core.rs: check` |
//! | Calls that wait at a server that is not a leader have a time limit | `clock.rs: check_timers` |
//! | The number of waiting calls is bounded | `src/raft/leader.rs: check` |
//! | A read of a small map waits for a commit in the term and replies of a majority | `wire.rs: check_confirmed` |
//! | Term, commit index and applied index never fall; one vote and one leader per term | `history.rs: check_change` |
//! | A leader leads until its term ends or it crashes | `history.rs: check_change` |
//! | A leader deletes no entry of its log; no server deletes a committed one | `history.rs: observe_log` |
//! | A match index never falls within a term, and is true | `wire.rs: check_match`, `check_append` |
//! | A crashed server only answers, and its state does not change | `world.rs: step`, `wire.rs: send` |
//! | A crash keeps term, vote, log, map and commit index | `calls.rs: control` |
//! | A restored server is a follower | `calls.rs: restore` |
//! | No server votes for a candidate with a stale log | `wire.rs: check_vote` |
//! | A server sends no more requests than there are reasons for | `wire.rs: count` |
//! | A server that learns that its leader's connections have closed is in a hurry, and keeps its term and vote | `closing.rs: learn_of_closing` |
//! | Other servers' connections do not matter | `closing.rs: learn_of_closing` |
//! | Terms, votes and entries that a peer may rely on are on the disk, or a later term is | `durability.rs: check_answer`, `check_request` |
//! | No process votes twice in a term, even if it loses its power in between | `durability.rs: note_vote` |
//! | A server comes back with what it had synced, and behind no term that it has shown | `durability.rs: check_recovered` |
//! | A folder has what was synced, or what the operation leads to at which the process ended, and nothing else | `disk.rs: stop` |
//! | A folder can be opened, whenever the process before ended | `disk.rs: open` |
//! | A change leaves no gap in the log on disk | `disk.rs: make` |
//! | What waits for a disk is answered when it is there, or when the server crashes | `durability.rs: end_work`, `calls.rs: crash` |
//!
//! When the faults have stopped, `recovery.rs` checks that a leader is elected within five seconds and stays, that all
//! maps are equal, and all logs as far as they are held, that every call has been answered, that a new update and a new
//! read succeed, and that few requests are sent at rest. It also checks that no server is in a hurry at rest, and that
//! a leader stays if all of its followers lose its connections at once.

mod amnesia;
mod calls;
mod clients;
mod clock;
mod closing;
mod disk;
mod draft;
mod draws;
mod durability;
mod faults;
mod forged;
mod histories;
mod history;
mod ledger;
mod marks;
mod mixed;
mod network;
mod plan;
mod queue;
mod recovery;
mod run;
mod shrink;
mod snapshots;
mod timing;
mod trace;
mod wire;
mod world;

use std::io::Write;
use std::time::Instant;

use crate::plan::Plan;
use crate::run::{run, run_all};

/// How many seeds are run, from 0 on, unless the variables `SEEDS` and `FIRST` say otherwise.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 10_000 };

/// The number of seeds from which on every coverage mark must be hit. Fewer seeds may miss the rarest marks.
const SEEDS_OF_ALL: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// The plan of a seed. The variable `SIZE` overrides the size of the cluster.
fn sized(seed: u64) -> Plan {
    let plan = Plan::drawn(seed);
    match number("SIZE") {
        Some(size) => Plan { size: u8::try_from(size).expect("a size"), ..plan },
        None => plan,
    }
}

/// The plan of the command that a failing run prints.
fn replayed(seed: u64) -> Plan {
    let mut plan = sized(seed);
    plan.time = number("UNTIL").unwrap_or(plan.time);
    if let Ok(kept) = std::env::var("KEEP") {
        let kept: Vec<&str> = kept.split(',').collect();
        plan.steps.retain(|step| kept.contains(&step.number.to_string().as_str()));
    }
    plan
}

#[test]
fn whatever_fails_nothing_committed_is_lost_and_service_comes_back() {
    if let Some(seed) = number("SEED") {
        let plan = replayed(seed);
        if run(&plan, false, recovery::check).is_err() {
            panic!("{}", shrink::told(&plan));
        }
        return;
    }
    let start = Instant::now();
    let (first, seeds) = (number("FIRST").unwrap_or(0), number("SEEDS").unwrap_or(SEEDS));
    let total = run_all(first..first + seeds, sized)
        .unwrap_or_else(|plan| panic!("{}", shrink::told(&plan)));
    // Not by `eprintln!`, whose output the test harness hides.
    let _ = writeln!(std::io::stderr(), "simulation: {}", total.summary(start));
    let missing = total.marks.missing();
    assert!(seeds < SEEDS_OF_ALL || missing.is_empty(), "never came up: {missing:#?}");
    // Once in tens of thousands of runs, votes are split by chance again and again.
    assert!(total.late * 10_000 <= total.runs, "{} elections took more than 5 s", total.late);
}

#[test]
fn a_seed_gives_the_same_run_to_the_byte() {
    // Only a run that fails returns its trace, so these fail when the faults stop.
    let traced = |plan: &Plan| run(plan, true, |_| panic!("it is over")).expect_err("it panics");
    for seed in 0..20 {
        let plan = Plan::drawn(seed);
        let (first, second) = (traced(&plan), traced(&plan));
        assert!(first.trace.len() > plan.steps.len(), "seed {seed}: the trace is short");
        assert!(first == second, "seed {seed}: two runs differ");
        let (one, two) = (run(&plan, false, recovery::check), run(&plan, true, recovery::check));
        assert!(one == two, "seed {seed}: a run differs when it is traced");
    }
}

#[test]
fn what_many_runs_amount_to_does_not_depend_on_the_threads() {
    let once = run_all(0..100, Plan::drawn).expect("nothing fails");
    assert!(once == run_all(0..100, Plan::drawn).expect("nothing fails"));
}
