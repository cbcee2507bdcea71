//! Deadlines for waits.

use std::future::Future;
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::future;

/// A reusable timer for consecutive waits.
///
/// Nearly every wait ends long before its deadline, and the next one asks for a later deadline. Registering each of
/// them would cost the reactor more than the calls themselves. So the timer is only set if it would fire too late, and
/// once in a while fires too early instead.
#[derive(Debug)]
pub(super) struct Alarm {
    clock: Timer,
    /// When the timer fires; `None` once it has fired.
    rings: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> Alarm {
        Alarm { clock: Timer::never(), rings: None }
    }

    /// Waits until `at`. The future may be dropped earlier.
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

    /// Returns the output of `work` if it ends in time.
    ///
    /// # Errors
    ///
    /// If the time has elapsed; `work` is then dropped.
    pub(super) async fn within<T>(
        &mut self,
        time: Duration,
        work: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        let at = Instant::now() + time;
        let done = async { Ok(work.await) };
        let late = async {
            self.until(at).await;
            Err(anyhow::anyhow!("timed out after {} ms", time.as_millis()))
        };
        future::or(done, late).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    /// How late the alarm fires if it is set now for that time.
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
