//! The timers of the servers: the delays that the core leaves to its surroundings, and who may own which timer.

use surfstore::raft::{
    ELECTION_SPREAD_MS, Event, FATE_MS, HEARTBEAT_MS, RoleName, SILENCE_MS, ServerId, Timer,
};

use crate::network::MILLISECOND;
use crate::world::{Happening, Moment, World};

/// The moments at which a server's timers run out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Timers {
    role: Option<(Timer, Moment)>,
    fate: Option<Moment>,
}

impl World {
    pub(crate) fn arm(&mut self, id: ServerId, timer: Timer) {
        let spread = self.rng.u64(0..=ELECTION_SPREAD_MS * MILLISECOND);
        let delay = match timer {
            Timer::Silence => SILENCE_MS * MILLISECOND,
            Timer::Election => spread,
            Timer::Campaign => SILENCE_MS * MILLISECOND + spread,
            Timer::Heartbeat => HEARTBEAT_MS * MILLISECOND,
            Timer::Fate => FATE_MS * MILLISECOND,
        };
        if timer == Timer::Fate {
            self.disarm_fate(id);
            let moment = self.schedule(delay, Happening::Timeout(id, timer));
            self.timers[usize::from(id.0)].fate = Some(moment);
        } else {
            self.disarm_role(id);
            let moment = self.schedule(delay, Happening::Timeout(id, timer));
            self.timers[usize::from(id.0)].role = Some((timer, moment));
        }
    }

    pub(crate) fn disarm_role(&mut self, id: ServerId) {
        if let Some((_, moment)) = self.timers[usize::from(id.0)].role.take() {
            self.queue.remove(&moment);
        }
    }

    pub(crate) fn disarm_fate(&mut self, id: ServerId) {
        if let Some(moment) = self.timers[usize::from(id.0)].fate.take() {
            self.queue.remove(&moment);
        }
    }

    pub(crate) fn time_out(&mut self, id: ServerId, timer: Timer) {
        let timers = &mut self.timers[usize::from(id.0)];
        if timer == Timer::Fate {
            timers.fate = None;
        } else {
            timers.role = None;
        }
        let status = self.server(id).status();
        if timer == Timer::Campaign && status.voted_for == Some(id) {
            self.marks.hit("an election ends without a winner");
        }
        self.settle(id, Event::Timeout(timer));
    }

    /// Every role owns exactly its own timer, and a crashed server none.
    pub(crate) fn check_timers(&self, id: ServerId) {
        let Timers { role, fate } = self.timers[usize::from(id.0)];
        let role = role.map(|(timer, _)| timer);
        let fits = match self.server(id).role() {
            RoleName::Follower => matches!(role, Some(Timer::Silence | Timer::Election)),
            RoleName::Candidate => role == Some(Timer::Campaign),
            RoleName::Leader => role == Some(Timer::Heartbeat),
            RoleName::Crashed => role.is_none() && fate.is_none(),
        };
        assert!(fits, "{id:?} has the timer {role:?} in the wrong role");
        let status = self.server(id).status();
        let decides = status.role == RoleName::Leader || status.waiting == 0 || fate.is_some();
        assert!(decides, "{id:?} keeps callers waiting without end");
    }
}
