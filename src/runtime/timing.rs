//! How long each timer of the core runs, and how long a request to a peer may take beside them.

use std::time::Duration;

use crate::raft::{ELECTION_SPREAD_MS, FATE_MS, HEARTBEAT_MS, SILENCE_MS, START_MS, Timer};

/// A delay for `timer`, with the random part drawn anew each time so that elections seldom collide (§5.2).
pub(super) fn delay(timer: Timer) -> Duration {
    let random = || Duration::from_millis(ELECTION_SPREAD_MS).mul_f64(fastrand::f64());
    match timer {
        Timer::Silence => Duration::from_millis(SILENCE_MS),
        Timer::Start => Duration::from_millis(START_MS) + random(),
        Timer::Election => random(),
        Timer::Campaign => Duration::from_millis(SILENCE_MS) + random(),
        Timer::Heartbeat => Duration::from_millis(HEARTBEAT_MS),
        Timer::Fate => Duration::from_millis(FATE_MS),
    }
}

/// How long a heartbeat or a request for a vote may take, connecting included: half a silence timeout, so that the
/// next one is not late.
pub(super) const CONTROL_DEADLINE: Duration = Duration::from_millis(SILENCE_MS / 2);

/// How long an append with entries may make no progress before it is given up.
pub(super) const STALL_DEADLINE: Duration = Duration::from_millis(2 * SILENCE_MS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_part_of_an_election_timeout_covers_its_whole_range() {
        let spread = Duration::from_millis(ELECTION_SPREAD_MS);
        let drawn: Vec<_> = (0..10_000).map(|_| delay(Timer::Election)).collect();
        assert!(drawn.iter().all(|delay| *delay <= spread));
        assert!(drawn.iter().any(|delay| *delay < spread / 20));
        assert!(drawn.iter().any(|delay| spread * 19 / 20 < *delay));
    }

    #[test]
    fn a_heartbeat_fails_in_time_for_another_before_the_followers_lose_patience() {
        let silence = delay(Timer::Silence);
        assert!(CONTROL_DEADLINE + delay(Timer::Heartbeat) < silence);
        assert!(CONTROL_DEADLINE * 2 <= silence);
    }
}
