//! Turns the core's timers into deadlines.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::raft::{
    ELECTION_SPREAD_MS, FATE_MS, HEARTBEAT_MS, HURRY_SPREAD_MS, PATIENCE_MS, SILENCE_MS, START_MS,
    Timer,
};

/// The timer of the role, with its deadline and its whole duration, and the deadline of the one for the outcome of
/// updates.
#[derive(Debug)]
pub(super) struct Timers {
    role: Option<(Timer, Instant, Duration)>,
    fate: Option<Instant>,
    rng: Rng,
}

impl Timers {
    pub(super) fn new(rng: Rng) -> Timers {
        Timers { role: None, fate: None, rng }
    }

    /// Starts a timer. `Fate` replaces a running `Fate`, and any other timer the running timer of the role.
    pub(super) fn arm(&mut self, timer: Timer, now: Instant) {
        let total = self.delay(timer);
        let at = now + total;
        match timer {
            Timer::Fate => self.fate = Some(at),
            Timer::Start
            | Timer::Silence
            | Timer::Election
            | Timer::Campaign
            | Timer::Hurry
            | Timer::Patience
            | Timer::Heartbeat => self.role = Some((timer, at, total)),
        }
    }

    pub(super) fn stop(&mut self) {
        self.role = None;
        self.fate = None;
    }

    /// The timers that have neither expired nor been stopped.
    pub(super) fn running(&self) -> impl Iterator<Item = Timer> {
        let role = self.role.map(|(timer, ..)| timer);
        role.into_iter().chain(self.fate.map(|_| Timer::Fate))
    }

    /// The timer of the role, its remaining time, and its whole duration.
    pub(super) fn of_role(&self, now: Instant) -> Option<(Timer, Duration, Duration)> {
        let (timer, at, total) = self.role?;
        Some((timer, at.saturating_duration_since(now), total))
    }

    /// When the next timer expires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let role = self.role.map(|(_, at, _)| at);
        role.into_iter().chain(self.fate).min()
    }

    /// Removes a timer that has expired and returns it.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let next = self.deadline().filter(|at| *at <= now)?;
        match self.role.take_if(|(_, at, _)| *at == next) {
            Some((timer, ..)) => Some(timer),
            None => self.fate.take().map(|_| Timer::Fate),
        }
    }

    /// How long `timer` runs. The random part is drawn each time, so that elections seldom collide (§5.2).
    fn delay(&mut self, timer: Timer) -> Duration {
        let rng = &mut self.rng;
        let mut random = |spread_ms| Duration::from_millis(spread_ms).mul_f64(rng.f64());
        match timer {
            Timer::Silence => Duration::from_millis(SILENCE_MS),
            Timer::Start => Duration::from_millis(START_MS) + random(ELECTION_SPREAD_MS),
            Timer::Election => random(ELECTION_SPREAD_MS),
            Timer::Campaign => Duration::from_millis(SILENCE_MS) + random(ELECTION_SPREAD_MS),
            Timer::Hurry => random(HURRY_SPREAD_MS),
            Timer::Patience => Duration::from_millis(PATIENCE_MS),
            Timer::Heartbeat => Duration::from_millis(HEARTBEAT_MS),
            Timer::Fate => Duration::from_millis(FATE_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_random_part_of_an_election_timeout_covers_its_whole_range() {
        let spread = Duration::from_millis(ELECTION_SPREAD_MS);
        let mut timers = Timers::new(Rng::with_seed(1));
        let drawn: Vec<_> = (0..10_000).map(|_| timers.delay(Timer::Election)).collect();
        assert!(drawn.iter().all(|delay| *delay <= spread));
        assert!(drawn.iter().any(|delay| *delay < spread / 20));
        assert!(drawn.iter().any(|delay| spread * 19 / 20 < *delay));
    }

    #[test]
    fn a_timer_expires_once_and_not_before_its_deadline() {
        let now = Instant::now();
        let mut timers = Timers::new(Rng::with_seed(1));
        assert_eq!((timers.deadline(), timers.expired(now)), (None, None));
        timers.arm(Timer::Silence, now);
        timers.arm(Timer::Fate, now);
        timers.arm(Timer::Heartbeat, now);
        let due = timers.deadline().unwrap();
        assert_eq!(due, now + Duration::from_millis(HEARTBEAT_MS), "it replaces the silence timer");
        assert_eq!(timers.expired(due - Duration::from_millis(1)), None);
        assert_eq!(timers.expired(due), Some(Timer::Heartbeat));
        assert_eq!(timers.expired(due), None);
        let fate = timers.deadline().unwrap();
        assert_eq!(timers.expired(fate), Some(Timer::Fate));
        assert_eq!(timers.deadline(), None);
    }

    #[test]
    fn timers_that_are_stopped_do_not_expire() {
        let now = Instant::now();
        let mut timers = Timers::new(Rng::with_seed(1));
        timers.arm(Timer::Silence, now);
        timers.arm(Timer::Fate, now);
        timers.stop();
        assert_eq!(timers.expired(now + Duration::from_secs(3600)), None);
    }
}
