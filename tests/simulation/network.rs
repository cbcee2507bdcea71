//! The simulated network: which links are cut, and what happens to a message on one that is not.
//!
//! It knows neither servers nor messages; it draws a message's fate from the seed.

use surfstore::raft::ServerId;

pub(crate) const MILLISECOND: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000_000;

/// The longest delay of the heavy tail: ten silence timeouts.
const TAIL_MAX: u64 = 7_500 * MILLISECOND;

/// The links between the servers, each in one direction, and the chances of a message on them.
pub(crate) struct Network {
    size: u8,
    /// Row by row: whether the link from the row's server to the column's is cut.
    cut: Vec<bool>,
    /// The chance that a message is lost.
    pub(crate) drop: f64,
    /// The chance that a message arrives twice.
    pub(crate) duplicate: f64,
    /// The chance that a message is delayed far beyond the usual.
    pub(crate) tail: f64,
    /// The usual delay, in microseconds, and what it varies by.
    pub(crate) delay: (u64, u64),
}

impl Network {
    /// A network that loses nothing and delivers within `delay_max` microseconds.
    pub(crate) fn healthy(size: u8, delay_max: u64) -> Network {
        Network {
            size,
            cut: vec![false; usize::from(size) * usize::from(size)],
            drop: 0.0,
            duplicate: 0.0,
            tail: 0.0,
            delay: (100, delay_max - 100),
        }
    }

    /// A network of which every bad property is drawn, each of them from "none" up.
    pub(crate) fn drawn(rng: &mut fastrand::Rng, size: u8) -> Network {
        let mut chance = |max: f64| if rng.bool() { rng.f64() * max } else { 0.0 };
        let (drop, duplicate, tail) = (chance(0.3), chance(0.5), chance(0.05));
        let delay = (rng.u64(50..2_000), rng.u64(0..20_000));
        Network { drop, duplicate, tail, delay, ..Network::healthy(size, 200) }
    }

    fn link(&self, from: ServerId, to: ServerId) -> usize {
        usize::from(from.0) * usize::from(self.size) + usize::from(to.0)
    }

    pub(crate) fn set_cut(&mut self, from: ServerId, to: ServerId, cut: bool) {
        let link = self.link(from, to);
        self.cut[link] = cut;
    }

    pub(crate) fn heal(&mut self) {
        self.cut.fill(false);
    }

    /// Whether a message that is under way on the link gets through.
    pub(crate) fn passes(&self, from: ServerId, to: ServerId) -> bool {
        !self.cut[self.link(from, to)]
    }

    /// Whether a message is lost on the way.
    pub(crate) fn drops(&self, rng: &mut fastrand::Rng) -> bool {
        rng.f64() < self.drop
    }

    /// How long a message takes, once for each copy of it that arrives: the first is the message, others duplicates.
    pub(crate) fn delays(&self, rng: &mut fastrand::Rng) -> Vec<u64> {
        let copies = 1 + usize::from(rng.f64() < self.duplicate);
        (0..copies).map(|_| self.draw_delay(rng)).collect()
    }

    fn draw_delay(&self, rng: &mut fastrand::Rng) -> u64 {
        let (least, spread) = self.delay;
        let tail = if rng.f64() < self.tail { rng.u64(0..=TAIL_MAX) >> rng.u32(0..6) } else { 0 };
        least + rng.u64(0..=spread) + tail
    }
}
