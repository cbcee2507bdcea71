//! Chance, cut into streams: one per link, one per server's timers, one for the rest.
//!
//! Each draw is a function of the seed, its stream and the time. So a run without one of its steps draws the same as
//! before wherever the step had no effect, and a failing run can be shrunk.

use surfstore::raft::ServerId;

/// More than the number of servers, and the same for every cluster: streams keep their numbers when it shrinks.
const WIDTH: usize = 16;

/// What is left to chance.
pub(crate) struct Draws {
    seed: u64,
    /// When each stream was last drawn from, and how often at that time.
    latest: [(u64, u64); WIDTH * (WIDTH + 1)],
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Draws {
        Draws { seed, latest: [(0, 0); WIDTH * (WIDTH + 1)] }
    }

    /// The next draw for messages from one server to another.
    pub(crate) fn link(&mut self, now: u64, from: ServerId, to: ServerId) -> fastrand::Rng {
        self.stream(now, usize::from(from.0) * WIDTH + usize::from(to.0))
    }

    /// The next draw for a server's timers.
    pub(crate) fn timer(&mut self, now: u64, id: ServerId) -> fastrand::Rng {
        self.stream(now, WIDTH * WIDTH + usize::from(id.0))
    }

    /// The next draw for a server's disk. No message goes from a server to itself.
    pub(crate) fn disk(&mut self, now: u64, id: ServerId) -> fastrand::Rng {
        self.link(now, id, id)
    }

    /// The next draw for what belongs to no server.
    pub(crate) fn rest(&mut self, now: u64) -> fastrand::Rng {
        self.stream(now, WIDTH * WIDTH + WIDTH - 1)
    }

    fn stream(&mut self, now: u64, stream: usize) -> fastrand::Rng {
        let (time, count) = &mut self.latest[stream];
        *count = if *time == now { *count + 1 } else { 0 };
        *time = now;
        let place = ((stream as u64) << 48) + (*count << 40);
        fastrand::Rng::with_seed(mixed(self.seed ^ mixed(place ^ now)))
    }
}

/// Spreads every bit over all others (the finalizer of splitmix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
