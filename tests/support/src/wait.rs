//! Waiting until a condition holds, with a timeout, and checking for a while that it keeps holding.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

/// The time within which a leader is elected once a majority is up.
pub const ELECTION: Duration = Duration::from_secs(5);

/// The maximum time for anything without a promised bound: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough for several elections in a row to fail: a candidate starts another ballot after 1.5 s at the latest.
pub const SEVERAL_ELECTIONS: Duration = Duration::from_secs(4);

/// The time between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until the condition holds, at most that long.
#[track_caller]
pub fn wait_until(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        thread::sleep(PAUSE);
    }
}

/// Checks that the condition holds all the time.
#[track_caller]
pub fn holds_for(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(condition(), "not true after {:?}: {what}", start.elapsed());
        thread::sleep(5 * PAUSE);
    }
}

/// Reports what could not be tested on this machine, so that it is visible although the test passes.
pub fn loud_note(what: &str) {
    // The output of macros is shown only for failed tests.
    let _ = writeln!(io::stderr(), "\n*** NOT TESTED: {what} ***");
}
