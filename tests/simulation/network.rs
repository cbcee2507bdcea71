//! The simulated network: which links are cut, and what happens to a message on one that is not.
//!
//! It knows neither servers nor messages; it draws a message's fate from the seed.

use surfstore::raft::{ELECTION_SPREAD_MS, SILENCE_MS, ServerId};

pub(crate) const MILLISECOND: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000_000;

/// The longest delay of the heavy tail: ten election timeouts.
const TAIL_MAX: u64 = 10 * (SILENCE_MS + ELECTION_SPREAD_MS) * MILLISECOND;

/// The links between the servers, each in one direction, and the chances of a message on them.
pub(crate) struct Network {
    size: u8,
    /// Row by row: whether the link from the row's server to the column's is cut.
    cut: Vec<bool>,
    /// The chance that a message is lost.
    pub(crate) loss: f64,
    /// The chance that a message arrives twice.
    pub(crate) duplication: f64,
    /// The chance that a message is delayed far beyond the usual.
    pub(crate) tail: f64,
    /// The least usual delay, in microseconds, and what it varies by: messages overtake each other.
    pub(crate) delay: (u64, u64),
}

impl Network {
    /// A network that loses nothing and delivers within `delay_max` microseconds.
    pub(crate) fn healthy(size: u8, delay_max: u64) -> Network {
        Network {
            size,
            cut: vec![false; usize::from(size) * usize::from(size)],
            loss: 0.0,
            duplication: 0.0,
            tail: 0.0,
            delay: (100, delay_max - 100),
        }
    }

    fn link(&self, from: ServerId, to: ServerId) -> usize {
        usize::from(from.0) * usize::from(self.size) + usize::from(to.0)
    }

    pub(crate) fn set_cut(&mut self, from: ServerId, to: ServerId, cut: bool) {
        let link = self.link(from, to);
        self.cut[link] = cut;
    }

    /// Cuts the links of which `cut` says so, and mends all others.
    pub(crate) fn cut_where(&mut self, cut: impl Fn(u8, u8) -> bool) {
        for from in 0..self.size {
            for to in 0..self.size {
                self.set_cut(ServerId(from), ServerId(to), cut(from, to));
            }
        }
    }

    pub(crate) fn mend(&mut self) {
        self.cut.fill(false);
    }

    /// Whether a message that is under way on the link gets through.
    pub(crate) fn passes(&self, from: ServerId, to: ServerId) -> bool {
        !self.cut[self.link(from, to)]
    }

    /// How long a message takes, and its duplicate if there is one; `None` if it is lost.
    pub(crate) fn delays(&self, rng: &mut fastrand::Rng) -> Option<(u64, Option<u64>)> {
        if rng.f64() < self.loss {
            return None;
        }
        let first = self.delay(rng);
        let again = rng.f64() < self.duplication;
        Some((first, again.then(|| self.delay(rng))))
    }

    fn delay(&self, rng: &mut fastrand::Rng) -> u64 {
        let (least, spread) = self.delay;
        let tail = if rng.f64() < self.tail { rng.u64(0..=TAIL_MAX) >> rng.u32(0..6) } else { 0 };
        least + rng.u64(0..=spread) + tail
    }
}
