//! Pictures in plain characters, which every terminal shows in any locale and without colours.

use std::time::Duration;

use super::figures::Class;

/// The length of the longest bar. A row fits into 60 columns.
const BAR_MAX: u64 = 28;

/// A time in milliseconds, with three digits.
pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    let decimals = match millis {
        ..0.9995 => 3,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{millis:.decimals$}")
}

/// A number of calls in a second.
pub(super) fn rate(calls: f64) -> String {
    if calls < 99.95 { format!("{calls:.1}") } else { format!("{calls:.0}") }
}

/// A row for each class of times, with a bar for its calls.
pub(super) fn distribution(classes: &[Class]) -> Vec<String> {
    let bound = |time: Duration| (time.as_nanos() / 10_000) as f64 / 100.0;
    let label = |class: &Class| match class.to {
        Some(to) => format!("{} - {} ms", bound(class.from), bound(to)),
        None => format!("over {} ms", bound(class.from)),
    };
    let most = classes.iter().map(|class| class.calls).max().unwrap_or_default();
    let labels: Vec<_> = classes.iter().map(label).collect();
    let width = labels.iter().map(String::len).max().unwrap_or_default();
    let count_width = most.to_string().len();
    let row = |(class, label): (&Class, &String)| {
        let bar = "#".repeat(share(class.calls, most, BAR_MAX));
        let row = format!("{label:>width$}  {:>count_width$}  {bar}", class.calls);
        row.trim_end().to_owned()
    };
    classes.iter().zip(&labels).map(row).collect()
}

/// A digit for each count: ninths of the greatest, rounded up, so that 0 stands for none.
pub(super) fn digits(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().map(|count| share(*count, most, 9).to_string()).collect()
}

/// So many parts of `parts`, rounded up.
fn share(count: u64, most: u64, parts: u64) -> usize {
    let share = u128::from(count) * u128::from(parts);
    usize::try_from(share.div_ceil(u128::from(most.max(1)))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits() {
        for (micros, told) in [
            (0, "0.000"),
            (85, "0.085"),
            (999, "0.999"),
            (1000, "1.00"),
            (9994, "9.99"),
            (9996, "10.0"),
            (99_940, "99.9"),
            (99_960, "100"),
            (1_234_567, "1235"),
        ] {
            assert_eq!(millis(Duration::from_micros(micros)), told);
        }
        assert_eq!(
            (rate(0.25), rate(99.9), rate(99.96)),
            ("0.2".into(), "99.9".into(), "100".into())
        );
    }

    #[test]
    fn a_bar_is_as_long_as_its_share_of_the_longest_and_no_call_is_invisible() {
        let class = |from, to: Option<u64>, calls| Class {
            from: Duration::from_micros(from),
            to: to.map(Duration::from_micros),
            calls,
        };
        let classes = [
            class(50, Some(100), 16),
            class(100, Some(200), 32_000),
            class(200, Some(500), 0),
            class(100_000_000, None, 16_000),
        ];
        let rows = distribution(&classes);
        assert_eq!(
            rows,
            [
                " 0.05 - 0.1 ms     16  #".to_owned(),
                format!("  0.1 - 0.2 ms  32000  {}", "#".repeat(28)),
                "  0.2 - 0.5 ms      0".to_owned(),
                format!("over 100000 ms  16000  {}", "#".repeat(14)),
            ]
        );
        assert!(distribution(&[]).is_empty());
    }

    #[test]
    fn the_widest_row_fits_into_60_columns() {
        let class = Class {
            from: Duration::from_secs(50),
            to: Some(Duration::from_secs(100)),
            calls: 999_999_999,
        };
        let widest = distribution(&[class]).iter().map(String::len).max().unwrap();
        assert!(2 + widest <= 60, "{widest}");
    }

    #[test]
    fn a_digit_is_a_ninth_of_the_greatest_and_0_is_none() {
        assert_eq!(digits(&[0, 1, 500, 888, 900, 0]), "015990");
        assert_eq!(digits(&[0, 0]), "00");
        assert_eq!(digits(&[u64::MAX, 1]), "91");
    }
}
