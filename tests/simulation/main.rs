//! Runs of the core in a simulated world, drawn from seeds: first safety under every kind of fault, then progress
//! once the faults have stopped.
//!
//! `SEEDS=` sets how many seeds are run, `SEED=` runs one alone. A failing run ends with its last events and the line
//! that repeats it.

mod clients;
mod clock;
mod faults;
mod forged;
mod history;
mod marks;
mod network;
mod recovery;
mod timing;
mod wire;
mod world;

use crate::marks::Marks;

/// How many seeds are run unless told otherwise.
const SEEDS: u64 = if cfg!(debug_assertions) { 60 } else { 3_000 };

fn run(seed: u64) -> Marks {
    let (mut world, plan) = faults::drawn_world(seed);
    plan.run(&mut world);
    recovery::check(&mut world);
    world.marks.clone()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn whatever_fails_nothing_committed_is_lost_and_service_comes_back() {
    if let Some(seed) = number("SEED") {
        run(seed);
        return;
    }
    let mut marks = Marks::default();
    let seeds = number("SEEDS").unwrap_or(SEEDS);
    for seed in 0..seeds {
        marks.add(&run(seed));
    }
    marks.check();
    let late = marks.count(recovery::LATE);
    assert!(late * 10_000 <= seeds, "{late} elections of {seeds} took more than five seconds");
}
