//! The figures of a load. Their size does not depend on the number of calls.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::load::Call;

/// The number of slices of the time in which calls are counted.
pub(super) const SLICES: usize = 30;

/// Times are kept to three digits, so a figure is at most 0.1 % too large.
const DIGITS: u8 = 3;

/// A longer time counts as this one: a year, the longest wait of a client.
const NANOS_MAX: u64 = 365 * 86400 * 1_000_000_000;

/// The bounds of the rows of the distribution, in nanoseconds: 1, 2 and 5 times each power of ten from 10 µs to 100 s.
/// The last row has no upper bound.
const BOUNDS: [u64; 22] = bounds();

const fn bounds() -> [u64; 22] {
    let mut bounds = [0; 22];
    let (mut place, mut power) = (0, 10_000);
    while place < bounds.len() {
        let factor = [1, 2, 5][place % 3];
        bounds[place] = factor * power;
        if factor == 5 {
            power *= 10;
        }
        place += 1;
    }
    bounds
}

/// The calls of a load.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) call: Call,
    pub(super) clients: usize,
    /// How long clients began calls that count.
    pub(super) asked: Duration,
    /// The time until the last of these calls was answered.
    pub(super) time: Duration,
    /// The number of calls that an attempt before the last had failed for, so that they were sent again.
    pub(super) resent: u64,
    /// The number of files in the map that was read last.
    pub(super) in_map: Option<usize>,
    /// The answers in each slice of the time that was asked for. Those that came later are in none.
    pub(super) slices: [u64; SLICES],
    nanos: Histogram<u64>,
}

/// The calls that took longer than `from`, and at most as long as `to`, if that is not `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) from: Duration,
    pub(super) to: Option<Duration>,
    pub(super) calls: u64,
}

impl Figures {
    pub(super) fn new(call: Call, clients: usize, asked: Duration) -> Figures {
        Figures {
            call,
            clients,
            asked,
            time: Duration::ZERO,
            resent: 0,
            in_map: None,
            slices: [0; SLICES],
            nanos: Histogram::new_with_bounds(1, NANOS_MAX, DIGITS)
                .expect("bug: the bounds are valid"),
        }
    }

    /// Counts a call that was answered so long after the begin.
    pub(super) fn add(
        &mut self,
        took: Duration,
        answered: Duration,
        is_first_attempt: bool,
        in_map: Option<usize>,
    ) {
        self.nanos.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.time = self.time.max(answered);
        self.resent += u64::from(!is_first_attempt);
        self.in_map = in_map.or(self.in_map);
        let slice = answered.as_nanos() * SLICES as u128 / self.asked.as_nanos().max(1);
        if let Some(count) =
            usize::try_from(slice).ok().and_then(|slice| self.slices.get_mut(slice))
        {
            *count += 1;
        }
    }

    /// The number of calls.
    pub(super) fn calls(&self) -> u64 {
        self.nanos.len()
    }

    pub(super) fn calls_per_second(&self) -> f64 {
        // So many calls are exact in a double.
        self.calls() as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time that this share of the calls did not exceed.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_quantile(share))
    }

    /// The longest time.
    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.nanos.max())
    }

    /// The distribution, from the first to the last class that has calls.
    pub(super) fn classes(&self) -> Vec<Class> {
        let mut counts = [0; BOUNDS.len() + 1];
        for step in self.nanos.iter_recorded() {
            let value = step.value_iterated_to();
            let class =
                BOUNDS.partition_point(|bound| *bound < self.nanos.lowest_equivalent(value));
            if let Some(count) = counts.get_mut(class) {
                *count += step.count_at_value();
            }
        }
        let bound = |place: usize| BOUNDS.get(place).copied().map(Duration::from_nanos);
        let class = |(place, calls): (usize, u64)| Class {
            from: place.checked_sub(1).and_then(bound).unwrap_or_default(),
            to: bound(place),
            calls,
        };
        let first = counts.iter().position(|count| 0 < *count).unwrap_or_default();
        let last = counts.iter().rposition(|count| 0 < *count).unwrap_or_default();
        counts.into_iter().enumerate().map(class).skip(first).take(last + 1 - first).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(micros: impl IntoIterator<Item = u64>) -> Figures {
        let mut figures = Figures::new(Call::Update, 1, Duration::from_secs(3));
        for micros in micros {
            let took = Duration::from_micros(micros);
            figures.add(took, took, true, None);
        }
        figures
    }

    #[test]
    fn a_quantile_is_at_most_a_thousandth_too_large() {
        let figures = figures(1..=100_000);
        for (share, micros) in [(0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0), (1.0, 1e5)] {
            let shown = figures.quantile(share).as_secs_f64() * 1e6;
            assert!((micros..=micros * 1.001).contains(&shown), "{share}: {shown} µs");
        }
        let max = figures.max().as_secs_f64() * 1e6;
        assert!((1e5..=1e5 * 1.001).contains(&max), "{max} µs");
        assert_eq!(figures.calls(), 100_000);
        let one = self::figures([777]);
        assert_eq!(one.quantile(0.5), one.max());
    }

    #[test]
    fn every_call_is_in_one_class_of_the_distribution() {
        let told = |micros: &[u64]| {
            let classes = figures(micros.iter().copied()).classes();
            let micros = |time: Duration| time.as_micros();
            let told = |class: Class| (micros(class.from), class.to.map(micros), class.calls);
            classes.into_iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(told(&[1, 10]), [(0, Some(10), 2)]);
        assert_eq!(
            told(&[15, 20, 60, 100, 120]),
            [(10, Some(20), 2), (20, Some(50), 0), (50, Some(100), 2), (100, Some(200), 1)]
        );
        assert_eq!(told(&[100_000_000]), [(50_000_000, Some(100_000_000), 1)]);
        assert_eq!(told(&[101_000_000, 1 << 60]), [(100_000_000, None, 2)]);
    }

    #[test]
    fn the_memory_does_not_depend_on_the_calls() {
        let (few, many) = (figures([1]), figures((0..1000).map(|place| place * place * place)));
        assert_eq!(few.nanos.distinct_values(), many.nanos.distinct_values());
        assert!(few.nanos.distinct_values() < 100_000);
    }

    #[test]
    fn an_answer_counts_in_the_slice_in_which_it_came_unless_that_was_after_the_time() {
        let mut figures = figures([]);
        for (millis, took) in [(0, 1), (99, 1), (100, 1), (2999, 1), (3000, 1), (7000, 5000)] {
            let took = Duration::from_millis(took);
            figures.add(took, Duration::from_millis(millis), false, Some(3));
        }
        assert_eq!((figures.slices[0], figures.slices[1], figures.slices[SLICES - 1]), (2, 1, 1));
        assert_eq!((figures.slices.iter().sum::<u64>(), figures.calls()), (4, 6));
        assert_eq!((figures.time, figures.resent), (Duration::from_secs(7), 6));
        assert!((figures.calls_per_second() - 6.0 / 7.0).abs() < 1e-9);
    }
}
