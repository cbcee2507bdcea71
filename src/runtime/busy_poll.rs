//! How the one thread waits: it busy-polls its sockets for a moment before it sleeps, if that pays off.
//!
//! Putting a thread to sleep and waking it takes longer than answering most calls, and for each update the servers wake
//! each other several times. So if the last waits were short, the thread polls its sockets repeatedly for a moment and
//! yields the processor in between. Under low load, when only heartbeats arrive, waits are long and it sleeps at once.
//! It also sleeps if other programs compute, because the scheduler prefers a thread that has slept to one that is
//! always ready.

use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use smol::{LocalExecutor, future};

/// How long the thread busy-polls before it sleeps. A follower nearby has answered by then.
const WATCH: Duration = Duration::from_micros(50);

/// Busy-polling pays off if the last waits were shorter than this on average.
const SHORT: Duration = Duration::from_micros(100);

/// The number of waits in the average. Older waits weigh less.
const WAITS: u32 = 8;

/// If the thread gets the processor back only after this time, the others did more than answer a few calls.
const LONG: Duration = Duration::from_micros(200);

/// How long the thread does not busy-poll after it has found that others compute.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The maximum number of tasks that run before the sockets are polled.
const TURNS_MAX: usize = 200;

/// Runs the executor's tasks until `future` is done.
pub(super) async fn run<T>(executor: &LocalExecutor<'_>, future: impl Future<Output = T>) -> T {
    future::or(future, run_tasks(executor)).await
}

async fn run_tasks<T>(executor: &LocalExecutor<'_>) -> T {
    // Nothing is known yet, so it does not busy-poll.
    let mut mean_wait = Duration::from_secs(1);
    let mut watch_from = Instant::now();
    loop {
        let idle_since = Instant::now();
        let may_watch = mean_wait < SHORT && watch_from <= idle_since;
        let seen = if may_watch { watch(executor, idle_since).await } else { Watched::Nothing };
        match seen {
            Watched::Task => {}
            Watched::Nothing => executor.tick().await,
            Watched::Others => {
                watch_from = Instant::now() + BACK_OFF;
                executor.tick().await;
            }
        }
        mean_wait = (mean_wait * (WAITS - 1) + idle_since.elapsed()) / WAITS;
        let more = (0..TURNS_MAX).all(|_| executor.try_tick());
        if more {
            look_at_sockets().await;
        }
    }
}

/// The result of busy-polling.
enum Watched {
    /// A task was ready, and has run.
    Task,
    /// There was nothing to do until the end.
    Nothing,
    /// Others compute on this processor.
    Others,
}

async fn watch(executor: &LocalExecutor<'_>, idle_since: Instant) -> Watched {
    while idle_since.elapsed() < WATCH {
        let left = Instant::now();
        thread::yield_now();
        if LONG < left.elapsed() {
            return Watched::Others;
        }
        look_at_sockets().await;
        if executor.try_tick() {
            return Watched::Task;
        }
    }
    Watched::Nothing
}

/// The executor polls the sockets, without blocking, before it polls a future again that has already been woken.
async fn look_at_sockets() {
    future::yield_now().await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use async_io::{Async, Timer};
    use rustix::time::{ClockId, clock_gettime};
    use smol::block_on;
    use smol::io::AsyncReadExt;

    use super::*;

    /// The processor time of this thread.
    fn computed() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap()
    }

    #[test]
    fn the_thread_sleeps_when_little_arrives() {
        let executor = LocalExecutor::new();
        let (began, began_computing) = (Instant::now(), computed());
        let task = executor.spawn(async {
            for _ in 0..50 {
                Timer::after(Duration::from_millis(5)).await;
                // More wake-ups soon after it, like the answers to a heartbeat.
                for _ in 0..9 {
                    Timer::after(Duration::from_micros(10)).await;
                }
            }
        });
        block_on(run(&executor, task));
        let (passed, computed) = (began.elapsed(), computed() - began_computing);
        assert!(computed < passed / 5, "computed {computed:?} of {passed:?}");
    }

    #[test]
    fn tasks_that_can_always_go_on_leave_the_sockets_their_turn() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut stream = Async::new(listener.accept().unwrap().0).unwrap();
        other.write_all(&[1]).unwrap();
        let turns = Cell::new(0);
        let executor = LocalExecutor::new();
        let reading = executor.spawn(async move { stream.read_exact(&mut [0]).await });
        let busy = executor.spawn(async {
            loop {
                turns.set(turns.get() + 1);
                future::yield_now().await;
            }
        });
        block_on(run(&executor, future::or(reading, busy))).unwrap();
        assert!(turns.get() < 1000, "{} turns", turns.get());
    }
}
