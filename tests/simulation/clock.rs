//! The timers of the servers: the delays that the core leaves to its surroundings, and who may own which timer.

use surfstore::raft::{
    ELECTION_SPREAD_MS, Event, FATE_MS, HEARTBEAT_MS, RoleName, SILENCE_MS, START_MS, ServerId,
    Timer,
};

use crate::marks::Mark;
use crate::network::MILLISECOND;
use crate::queue::Happening;
use crate::world::World;

/// A server's clock: how slow it runs, and which timers run on it, each with the number under which it was armed.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// How long its second takes, in percent of a true one.
    pub(crate) percent: u64,
    pub(crate) role: Option<(Timer, u64)>,
    fate: Option<u64>,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { percent: 100, role: None, fate: None }
    }

    pub(crate) fn stop(&mut self) {
        (self.role, self.fate) = (None, None);
    }
}

impl World {
    pub(crate) fn arm(&mut self, id: ServerId, timer: Timer) {
        let spread = self.draws.timer(self.now, id).u64(0..=ELECTION_SPREAD_MS * MILLISECOND);
        let delay = match timer {
            Timer::Start => START_MS * MILLISECOND + spread,
            Timer::Silence => SILENCE_MS * MILLISECOND,
            Timer::Election => spread,
            Timer::Campaign => SILENCE_MS * MILLISECOND + spread,
            Timer::Heartbeat => HEARTBEAT_MS * MILLISECOND,
            Timer::Fate => FATE_MS * MILLISECOND,
        };
        let armed = self.number();
        let clock = &mut self.clocks[usize::from(id.0)];
        if timer == Timer::Fate {
            clock.fate = Some(armed);
        } else {
            clock.role = Some((timer, armed));
        }
        let delay = delay * clock.percent / 100;
        self.queue.push(self.now + delay, Happening::Timeout { id, timer, armed });
    }

    /// Whether that timer still runs, armed under that number.
    pub(crate) fn runs(&self, id: ServerId, timer: Timer, armed: u64) -> bool {
        let clock = &self.clocks[usize::from(id.0)];
        clock.role == Some((timer, armed)) || (timer == Timer::Fate && clock.fate == Some(armed))
    }

    pub(crate) fn time_out(&mut self, id: ServerId, timer: Timer) {
        let clock = &mut self.clocks[usize::from(id.0)];
        if timer == Timer::Fate {
            clock.fate = None;
        } else {
            clock.role = None;
        }
        let voted_for = self.status(id).voted_for.map(|candidate| candidate.id);
        if timer == Timer::Campaign && voted_for == Some(id) {
            self.marks.hit(Mark::SplitVote);
        }
        self.settle(id, Event::Timeout(timer));
    }

    /// Every role owns exactly its own timer, and a crashed server none.
    pub(crate) fn check_timers(&self, id: ServerId) {
        let Clock { role, fate, .. } = self.clocks[usize::from(id.0)];
        let role = role.map(|(timer, _)| timer);
        let status = self.status(id);
        let fits = match status.role {
            RoleName::Follower => {
                matches!(role, Some(Timer::Start | Timer::Silence | Timer::Election))
            }
            RoleName::Candidate => role == Some(Timer::Campaign),
            RoleName::Leader => role == Some(Timer::Heartbeat),
            RoleName::Crashed => role.is_none() && fate.is_none(),
        };
        assert!(fits, "{id:?} has the timer {role:?} in the wrong role");
        let decides = status.role == RoleName::Leader || status.waiting == 0 || fate.is_some();
        assert!(decides, "{id:?} keeps callers waiting without end");
    }
}
