//! Waiting for conditions, with an end; and watching that they hold, for a while.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// The time within which a leader is elected once a majority is up.
pub(crate) const ELECTION: Duration = Duration::from_secs(5);

/// How long anything may take for which no bound is promised: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for several elections in a row to fail: a candidate stands anew after 1.5 s at the latest.
pub(crate) const SEVERAL_ELECTIONS: Duration = Duration::from_secs(4);

/// The time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until the condition holds, and no longer than that.
#[track_caller]
pub(crate) fn wait_until(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        thread::sleep(PAUSE);
    }
}

/// Watches that the condition holds all the time.
#[track_caller]
pub(crate) fn holds_for(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(condition(), "not so after {:?}: {what}", start.elapsed());
        thread::sleep(5 * PAUSE);
    }
}

/// Says what could not be tried on this machine, so that it is seen though the test passes.
pub(crate) fn loud_note(what: &str) {
    // What is printed by macros is shown for tests that fail only.
    let _ = writeln!(io::stderr(), "\n*** NOT TESTED: {what} ***");
}
