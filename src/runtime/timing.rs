//! Timeouts for requests to peers, in addition to the timers of the core.

use std::time::Duration;

use crate::raft::SILENCE_MS;

/// The timeout for a heartbeat or a vote request, including connecting: half a silence timeout, so that the next one is
/// not late.
pub(super) const CONTROL_DEADLINE: Duration = Duration::from_millis(SILENCE_MS / 2);

/// How long an append with entries may make no progress before it is abandoned: as long as a follower waits for its
/// leader.
pub(super) const STALL_DEADLINE: Duration = Duration::from_millis(SILENCE_MS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::HEARTBEAT_MS;

    #[test]
    fn a_heartbeat_fails_in_time_for_another_before_the_followers_lose_patience() {
        let [silence, heartbeat] = [SILENCE_MS, HEARTBEAT_MS].map(Duration::from_millis);
        assert!(CONTROL_DEADLINE + heartbeat < silence);
        assert!(CONTROL_DEADLINE * 2 <= silence);
    }
}
