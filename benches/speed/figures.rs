//! The result of a turn of a load.

use std::time::Duration;

/// The figures of one turn; times are in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) calls: usize,
    pub(crate) calls_per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// What a call costs each server, the leader first; empty if that was not measured.
    pub(crate) cpu: Vec<f64>,
    /// What a call costs the clients, if that is known: it should be less than what it costs the leader.
    pub(crate) client_cpu: Option<f64>,
}

impl Figures {
    pub(crate) fn new(mut took: Vec<Duration>, elapsed: Duration) -> Figures {
        assert!(!took.is_empty(), "a turn has calls");
        took.sort_unstable();
        let at = |share| percentile(&took, share).map_or(0.0, micros);
        Figures {
            calls: took.len(),
            calls_per_second: took.len() as f64 / elapsed.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            cpu: Vec::new(),
            client_cpu: None,
        }
    }
}

/// The smallest of the sorted values that is at least as large as this share of them.
pub(crate) fn percentile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The median; of an even number the lower one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    percentile(&values, 0.5).unwrap_or_default()
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
