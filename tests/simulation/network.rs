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
    /// The chance that a peer never learns that connections have closed, and the chance that it learns it late.
    pub(crate) unnoticed: f64,
    pub(crate) late: f64,
    /// The chance that a request without an answer costs its sender its only connection.
    pub(crate) resets: f64,
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
            unnoticed: 0.0,
            late: 0.0,
            resets: 0.0,
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
        least + rng.u64(0..=spread) + tail(rng, self.tail)
    }

    /// How long it takes until a peer learns that connections have closed; `None` if it never does. On its connection
    /// that is the last news, so it takes as long as the slowest of the usual messages, and up to a millisecond more.
    pub(crate) fn closing_delay(&self, rng: &mut fastrand::Rng) -> Option<u64> {
        if rng.f64() < self.unnoticed {
            return None;
        }
        let (least, spread) = self.delay;
        Some(least + spread + rng.u64(0..MILLISECOND) + tail(rng, self.late))
    }
}

/// A delay from the heavy tail, with this chance; otherwise 0.
fn tail(rng: &mut fastrand::Rng, chance: f64) -> u64 {
    if rng.f64() < chance { rng.u64(0..=TAIL_MAX) >> rng.u32(0..6) } else { 0 }
}
