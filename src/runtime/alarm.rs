//! Waiting no longer than one may.

use std::future::Future;
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::future;

/// A clock for one wait after another.
///
/// Nearly every wait ends long before its time, and the next asks for a later one. To hear of each would cost the
/// reactor more than the calls that are waited for: the clock is set anew only if it would ring too late, and rings too
/// early once in a while instead.
#[derive(Debug)]
pub(super) struct Alarm {
    clock: Timer,
    /// When the clock rings; `None` if it was heard ringing.
    rings: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> Alarm {
        Alarm { clock: Timer::never(), rings: None }
    }

    /// Waits until `at`. May be dropped before.
    pub(super) async fn until(&mut self, at: Instant) {
        while Instant::now() < at {
            if self.rings.is_none_or(|rings| at < rings) {
                self.clock.set_at(at);
                self.rings = Some(at);
            }
            (&mut self.clock).await;
            self.rings = None;
        }
    }

    /// The output of `work`, if it comes in time.
    ///
    /// # Errors
    ///
    /// If the time is over; `work` is dropped then.
    pub(super) async fn within<T>(
        &mut self,
        time: Duration,
        work: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        let at = Instant::now() + time;
        let done = async { Ok(work.await) };
        let late = async {
            self.until(at).await;
            Err(anyhow::anyhow!("nothing came of it within {} ms", time.as_millis()))
        };
        future::or(done, late).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    /// How long the alarm rings after that time, started now.
    fn overdue(alarm: &mut Alarm, time: Duration) -> Duration {
        let at = Instant::now() + time;
        smol::block_on(alarm.until(at));
        Instant::now().checked_duration_since(at).expect("an alarm never rings too early")
    }

    #[test]
    fn a_wait_that_was_given_up_makes_the_next_neither_too_short_nor_too_long() {
        let mut alarm = Alarm::new();
        for given_up in [SHORT / 2, SHORT * 2, LONG] {
            let at = Instant::now() + given_up;
            assert_eq!(smol::block_on(future::poll_once(alarm.until(at))), None);
            assert!(overdue(&mut alarm, SHORT) < LONG / 2);
        }
        assert!(overdue(&mut alarm, SHORT) < LONG / 2);
    }

    #[test]
    fn work_that_ends_in_time_gives_its_output_and_other_work_is_given_up() {
        let mut alarm = Alarm::new();
        for _ in 0..2 {
            let done = smol::block_on(alarm.within(LONG, future::ready(7)));
            assert_eq!(done.expect("it is in time"), 7);
            assert!(smol::block_on(alarm.within(SHORT, future::pending::<()>())).is_err());
        }
    }
}
