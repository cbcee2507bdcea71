//! The clocks of the servers: how fast each runs, when a server reaches its deadline, and which timers a role may have.

use std::time::{Duration, Instant};

use surfstore::raft::{RoleName, ServerId, Timer};
use surfstore::service::Input;

use crate::marks::Mark;
use crate::queue::Happening;
use crate::world::World;

/// A server's clock, and the next tick of the server.
#[derive(Clone, Copy, Default)]
pub(crate) struct Clock {
    /// How long a second of this clock takes, in percent of a true second: a slow clock has more than 100.
    percent: u64,
    /// When the clock last changed its speed, in microseconds of true time, and what it showed then, in nanoseconds.
    set: (u64, u64),
    /// The number of the tick that is scheduled, and its time.
    tick: Option<(u64, u64)>,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { percent: 100, ..Clock::default() }
    }

    /// The true duration in which this clock advances by `time`.
    pub(crate) fn true_duration(&self, time: u64) -> u64 {
        time * self.percent / 100
    }

    /// How much this clock advances in the true duration `time`.
    pub(crate) fn own_duration(&self, time: u64) -> u64 {
        time * 100 / self.percent
    }

    /// What this clock shows at the true time `now`, in nanoseconds.
    fn shows(&self, now: u64) -> u64 {
        let (at, shown) = self.set;
        shown + (now - at) * 100_000 / self.percent
    }

    /// The first microsecond of true time at which this clock shows `time` or more.
    fn when(&self, time: u64) -> u64 {
        let (at, shown) = self.set;
        at + (time.saturating_sub(shown) * self.percent).div_ceil(100_000)
    }

    /// Changes the speed, and cancels the tick.
    fn run_at(&mut self, percent: u64, now: u64) {
        self.set = (now, self.shows(now));
        self.percent = percent;
        self.tick = None;
    }

    /// Cancels the tick.
    pub(crate) fn stop(&mut self) {
        self.tick = None;
    }
}

impl World {
    /// What the server's clock shows.
    pub(crate) fn local_time(&self, id: ServerId) -> Instant {
        self.start + Duration::from_nanos(self.clocks[usize::from(id.0)].shows(self.now))
    }

    pub(crate) fn set_clock(&mut self, id: ServerId, percent: u64) {
        self.clocks[usize::from(id.0)].run_at(percent, self.now);
        self.schedule_tick(id);
    }

    /// Schedules a tick at the server's deadline. If an earlier one is scheduled, that one will schedule the next.
    pub(crate) fn schedule_tick(&mut self, id: ServerId) {
        if !self.has_process(id) {
            return;
        }
        let Some(deadline) = self.service(id).deadline() else { return };
        let nanoseconds = deadline.duration_since(self.start).as_nanos();
        let clock = &self.clocks[usize::from(id.0)];
        let due = clock.when(u64::try_from(nanoseconds).expect("a short run")).max(self.now);
        if clock.tick.is_none_or(|(_, time)| due < time) {
            let number = self.number();
            self.clocks[usize::from(id.0)].tick = Some((number, due));
            self.queue.push(due, Happening::Tick { id, number });
        }
    }

    pub(crate) fn tick(&mut self, id: ServerId, number: u64) {
        let clock = &mut self.clocks[usize::from(id.0)];
        if clock.tick.take_if(|(scheduled, _)| *scheduled == number).is_none() {
            return;
        }
        if self.service(id).deadline().is_none_or(|deadline| self.local_time(id) < deadline) {
            return self.schedule_tick(id);
        }
        let status = *self.status(id);
        let voted_for = status.voted_for.map(|candidate| candidate.id);
        if status.role == RoleName::Candidate && voted_for == Some(id) {
            self.marks.hit(Mark::SplitVote);
        }
        if status.role == RoleName::Candidate {
            self.mark_wait(id);
        }
        self.step_and_answer(id, Input::Tick);
    }

    /// Checks that a role has exactly its own timer, a crashed server has none, and no call waits without end.
    pub(crate) fn check_timers(&self, id: ServerId) {
        let fate = self.service(id).timers().any(|timer| timer == Timer::Fate);
        let role = self.service(id).timers().find(|timer| *timer != Timer::Fate);
        let status = self.status(id);
        let fits = match status.role {
            RoleName::Follower => {
                use Timer::{Election, Hurry, Patience, Silence, Start};
                matches!(role, Some(Start | Silence | Election | Hurry | Patience))
            }
            RoleName::Candidate => matches!(role, Some(Timer::Campaign | Timer::Patience)),
            RoleName::Leader => role == Some(Timer::Heartbeat),
            RoleName::Crashed => role.is_none() && !fate,
        };
        assert!(fits, "{id:?} has the timer {role:?} in the wrong role");
        let decides = status.role == RoleName::Leader || status.waiting == 0 || fate;
        assert!(decides, "{id:?} keeps callers waiting without end");
    }
}
