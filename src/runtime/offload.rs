//! Offloads long computations to smol's thread pool.
//!
//! Parsing or writing an update of 4 MiB takes ten milliseconds and more. On the server's thread it would delay every
//! other caller, and the heartbeats. Only bytes and values travel to the pool and back: the service and everything that
//! is shared stay on the server's thread. State that the core has discarded travels to the pool to be freed.

use smol::lock::Mutex;

/// Work on fewer bytes is done in place: it takes less than a millisecond, and offloading has a cost as well.
const LONG_BYTES: usize = 256 << 10;

/// Whether work on this many bytes is offloaded.
pub(super) fn is_long(bytes: usize) -> bool {
    LONG_BYTES <= bytes
}

/// Frees something that may be large: memory is given back piece by piece, which takes long if there are many.
pub(super) fn free<T: Send + 'static>(large: T) {
    smol::unblock(move || drop(large)).detach();
}

/// Offloads one long computation at a time. Parsing a document takes several times the memory of the document, so this
/// bounds the total.
#[derive(Debug, Default)]
pub(super) struct OffloadQueue(Mutex<()>);

impl OffloadQueue {
    /// Runs `work`, which processes this many bytes: if it is long, in the thread pool when its turn comes, and
    /// otherwise in place.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if !is_long(bytes) {
            return work();
        }
        let _turn = self.0.lock().await;
        smol::unblock(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use smol::{block_on, future};

    use super::*;

    #[test]
    fn only_long_work_is_offloaded() {
        let (queue, here) = (OffloadQueue::default(), thread::current().id());
        for (bytes, is_here) in [(0, true), (LONG_BYTES - 1, true), (LONG_BYTES, false)] {
            let there = block_on(queue.run(bytes, || thread::current().id()));
            assert_eq!(there == here, is_here, "{bytes} bytes");
        }
    }

    #[test]
    fn long_work_waits_in_the_queue_and_short_work_does_not() {
        let queue = OffloadQueue::default();
        let turn = queue.0.try_lock();
        let done = |bytes| block_on(future::poll_once(queue.run(bytes, || 7)));
        assert_eq!((done(LONG_BYTES), done(LONG_BYTES - 1)), (None, Some(7)));
        drop(turn);
        assert_eq!(block_on(queue.run(LONG_BYTES, || 7)), 7);
    }
}
