//! What a run reads from its environment, and what it prints.

use std::env;

/// A number from the environment, or this default.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The generator of a random run. Its seed is printed if the test fails.
#[expect(clippy::print_stderr, reason = "the seed is shown if the test fails")]
pub(crate) fn random() -> fastrand::Rng {
    let seed = number("SEED", fastrand::u64(..));
    eprintln!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Figures are printed with the output of a test.
#[expect(clippy::print_stderr, reason = "a test shows its figures")]
pub(crate) fn note(figures: &str) {
    eprintln!("{figures}");
}
