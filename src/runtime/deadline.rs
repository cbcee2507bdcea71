//! Waiting no longer than one may.

use std::future::Future;
use std::time::Duration;

use async_io::Timer;
use smol::future;

/// The output of `work`, if it comes in time.
///
/// # Errors
///
/// If the time is over; `work` is dropped then.
pub(super) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> anyhow::Result<T> {
    let done = async { Ok(work.await) };
    let late = async {
        Timer::after(time).await;
        Err(anyhow::anyhow!("nothing came of it within {} ms", time.as_millis()))
    };
    future::or(done, late).await
}
