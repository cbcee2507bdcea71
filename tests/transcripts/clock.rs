//! The servers' timers. Time passes only at the command `pass`; at all other commands the scenario says which timer
//! expires.

use surfstore::raft::{
    ELECTION_SPREAD_MS, FATE_MS, HEARTBEAT_MS, HURRY_SPREAD_MS, PATIENCE_MS, SILENCE_MS, START_MS,
    ServerId, Timer,
};

/// Which timers run, and until when, in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    pub(crate) now: u64,
    servers: Vec<Timers>,
}

#[derive(Clone)]
struct Timers {
    /// The random part of the server's election timeouts: 100 ms for S1, 200 for S2 and so on, unless it is drawn. In a
    /// hurry, the same part of the maximum there.
    random: u64,
    role: Option<(Timer, u64)>,
    fate: Option<u64>,
}

impl Clock {
    /// Adds the timers of one more server.
    pub(crate) fn add(&mut self) {
        let number = self.servers.len() as u64 + 1;
        let random = 100 * number % ELECTION_SPREAD_MS;
        self.servers.push(Timers { random, role: None, fate: None });
    }

    fn timers(&mut self, id: ServerId) -> &mut Timers {
        &mut self.servers[usize::from(id.0)]
    }

    /// Sets the random part of the server's election timeouts from now on.
    pub(crate) fn draw(&mut self, id: ServerId, random: u64) -> Result<(), String> {
        if ELECTION_SPREAD_MS < random {
            return Err(format!("the random part is at most {ELECTION_SPREAD_MS} ms"));
        }
        self.timers(id).random = random;
        Ok(())
    }

    pub(crate) fn arm(&mut self, id: ServerId, timer: Timer) {
        let now = self.now;
        let timers = self.timers(id);
        let delay = match timer {
            Timer::Start => START_MS + timers.random,
            Timer::Silence => SILENCE_MS,
            Timer::Election => timers.random,
            Timer::Campaign => SILENCE_MS + timers.random,
            Timer::Hurry => timers.random * HURRY_SPREAD_MS / ELECTION_SPREAD_MS,
            Timer::Patience => PATIENCE_MS,
            Timer::Heartbeat => HEARTBEAT_MS,
            Timer::Fate => FATE_MS,
        };
        match timer {
            Timer::Fate => timers.fate = Some(now + delay),
            _ => timers.role = Some((timer, now + delay)),
        }
    }

    pub(crate) fn stop(&mut self, id: ServerId) {
        (self.timers(id).role, self.timers(id).fate) = (None, None);
    }

    /// The timer of the server's role, if it runs.
    pub(crate) fn role_timer(&self, id: ServerId) -> Option<Timer> {
        self.servers[usize::from(id.0)].role.map(|(timer, _)| timer)
    }

    /// Ends the timer, if it runs.
    pub(crate) fn expire(&mut self, id: ServerId, timer: Timer) -> bool {
        let timers = self.timers(id);
        match timer {
            Timer::Fate => timers.fate.take().is_some(),
            _ => timers.role.take_if(|(running, _)| *running == timer).is_some(),
        }
    }

    /// The next timer that expires, if one does until then.
    pub(crate) fn next(&self, until: u64) -> Option<(u64, ServerId, Timer)> {
        let due = |(id, timers): (u8, &Timers)| {
            let role = timers.role.map(|(timer, time)| (time, ServerId(id), timer));
            let fate = timers.fate.map(|time| (time, ServerId(id), Timer::Fate));
            role.into_iter().chain(fate)
        };
        (0..).zip(&self.servers).flat_map(due).min().filter(|(time, ..)| *time <= until)
    }
}
