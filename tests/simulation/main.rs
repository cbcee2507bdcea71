//! Runs of servers without their sockets in a simulated world, drawn from seeds: first safety under every kind of fault,
//! then progress once the faults have stopped. docs/simulation.md says how to use it.
//!
//! # What is checked where
//!
//! After every step of a server, and of all servers:
//!
//! | What holds | Where it is checked |
//! |---|---|
//! | A term has at most one leader, over all history | `history.rs: observe_leader` |
//! | Logs with the same entry agree before it; terms never fall along a log | `history.rs: observe_log` |
//! | A later leader has every committed entry | `history.rs: observe_leader`, `commit` |
//! | Nobody applies anything else at an index; committed history never changes | `history.rs: observe_commit` |
//! | What is first committed anywhere is then on a majority | `history.rs: commit` |
//! | A leader commits by counting only entries of its term | `history.rs: observe_commit` |
//! | Whoever applied as many entries has the same map | `history.rs: observe_commit` |
//! | Versions of a file are 1, 2, 3 and so on, each applied once | `ledger.rs: commit` |
//! | An answer is the committed log's own, and its place lies within the call | `clients.rs: answered` |
//! | An update that was refused for good is never committed | `ledger.rs: refuse`, `commit` |
//! | A call is answered at most once | `clients.rs: answered`, `world.rs: ask_at_once` |
//! | Applied ≤ committed ≤ last entry; no entry has a term above the current one | `history.rs: check_change` |
//! | A leader voted for itself | `history.rs: observe_leader`, `src/raft/leader.rs: check` |
//! | Match index < next index, match index ≤ last entry | `src/raft/progress.rs: check` |
//! | A ballot counts every peer once, the own vote, and less than a majority | `src/raft/candidate.rs: check` |
//! | Every role has its one timer, a crashed server none | `clock.rs: check_timers` |
//! | The answers of a multicall are explained in the order of its calls | `clients.rs: multicall` |
//! | A caller that has hung up is not answered | `clients.rs: answered` |
//! | What a server answers alone is true of it, and changes nothing; so does what is no call | `calls.rs: question` |
//! | A peer is told which process is crashed | `wire.rs: arrive` |
//! | A server remembers the callers that wait, and no others, and not more than may | `calls.rs: check_waiting` |
//! | Whoever waits, waits for an entry that is not applied; not without end | `src/raft/core.rs: check`, `check_timers` |
//! | Waiting callers are bounded | `src/raft/leader.rs: check` |
//! | A read follows a commit of the term and an answer of a majority | `wire.rs: check_confirmed` |
//! | Term, commit and applied index never fall; one vote and one leader per term | `history.rs: check_change` |
//! | A leader leads until its term ends or it crashes | `history.rs: check_change` |
//! | A leader deletes no entry of its log; nobody deletes a committed one | `history.rs: observe_log` |
//! | The match index never falls within a term, and is true | `wire.rs: check_match`, `check_append` |
//! | A crashed server does nothing but answer, and stays as it is | `world.rs: step`, `wire.rs: send` |
//! | Who crashes and is restored keeps term, vote, log and commit index, and follows | `calls.rs: control`, `restore` |
//! | Nobody votes for a stale log | `wire.rs: check_vote` |
//! | Nobody sends without reason | `wire.rs: count` |
//!
//! When the faults have stopped, `recovery.rs`: a leader within five seconds that stays, equal logs, every caller
//! answered, a fresh update and a fresh read, few requests at rest.

mod amnesia;
mod calls;
mod clients;
mod clock;
mod draft;
mod draws;
mod faults;
mod forged;
mod histories;
mod history;
mod ledger;
mod marks;
mod network;
mod plan;
mod queue;
mod recovery;
mod run;
mod shrink;
mod timing;
mod trace;
mod wire;
mod world;

use std::io::Write;
use std::time::Instant;

use crate::plan::Plan;
use crate::run::{run, run_all};

/// How many seeds are run unless told otherwise.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 10_000 };

/// So many seeds come through every situation that has a name: fewer may lack the rarest.
const SEEDS_OF_ALL: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// The plan of a seed; `SIZE` overrides the size of the cluster, which else is drawn.
fn sized(seed: u64) -> Plan {
    let plan = Plan::drawn(seed);
    match number("SIZE") {
        Some(size) => Plan { size: u8::try_from(size).expect("a size"), ..plan },
        None => plan,
    }
}

/// The plan that the line at the end of a failing run names.
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
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    let total = run_all(seeds, sized).unwrap_or_else(|plan| panic!("{}", shrink::told(&plan)));
    // Not through the test harness, which would keep it to itself.
    let _ = writeln!(std::io::stderr(), "simulation: {}", total.summary(start));
    let missing = total.marks.missing();
    assert!(seeds < SEEDS_OF_ALL || missing.is_empty(), "never came up: {missing:#?}");
    // What the draws bring about once in tens of thousands of runs: votes that are split again and again.
    assert!(total.late * 10_000 <= total.runs, "{} elections took more than 5 s", total.late);
}

#[test]
fn a_seed_gives_the_same_run_to_the_byte() {
    // Runs without their recovery fail where they end, and so give their trace.
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
    let once = run_all(100, Plan::drawn).expect("nothing fails");
    assert!(once == run_all(100, Plan::drawn).expect("nothing fails"));
}
