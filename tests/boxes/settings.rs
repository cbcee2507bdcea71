//! What a run is told by its environment, and what it shows.

use std::env;

/// A number from the environment, or this one.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The source of a random course, which is shown where the test fails.
#[expect(clippy::print_stderr, reason = "the seed is shown where the test fails")]
pub(crate) fn random() -> fastrand::Rng {
    let seed = number("SEED", fastrand::u64(..));
    eprintln!("SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Figures are shown where the output of a test is.
#[expect(clippy::print_stderr, reason = "a test shows its figures")]
pub(crate) fn note(figures: &str) {
    eprintln!("{figures}");
}
