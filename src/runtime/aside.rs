//! What is long is read and written aside, by the threads on which names are resolved too: an update of 4 MiB takes ten
//! milliseconds and more, and everybody else would wait for it, the peers with their heartbeats as well.
//!
//! Only bytes and values go there and come back. The server, and all that is shared, stay with the one thread.

use smol::lock::Mutex;

/// What has fewer bytes is done where it is: it takes less than a millisecond, and going aside has a price.
const LONG_BYTES: usize = 256 << 10;

/// The output of `work`, which is on so many bytes.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if is_long(bytes) { smol::unblock(work).await } else { work() }
}

/// Whether work on so many bytes is done aside.
pub(super) fn is_long(bytes: usize) -> bool {
    LONG_BYTES <= bytes
}

/// Where long documents are read: one after another, since what is made of them meanwhile takes several times their
/// memory.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<()>);

impl Desk {
    /// The output of `work`, which is on so many bytes.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let _turn = if is_long(bytes) { Some(self.0.lock().await) } else { None };
        aside(bytes, work).await
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use smol::{block_on, future};

    use super::*;

    #[test]
    fn only_what_is_long_is_done_by_another_thread() {
        let here = thread::current().id();
        for (bytes, is_here) in [(0, true), (LONG_BYTES - 1, true), (LONG_BYTES, false)] {
            let there = block_on(aside(bytes, || thread::current().id()));
            assert_eq!(there == here, is_here, "{bytes} bytes");
        }
    }

    #[test]
    fn a_long_document_waits_for_the_one_before_it_and_a_short_one_does_not() {
        let desk = Desk::default();
        let turn = desk.0.try_lock();
        let answered = |bytes| block_on(future::poll_once(desk.aside(bytes, || 7)));
        assert_eq!((answered(LONG_BYTES), answered(LONG_BYTES - 1)), (None, Some(7)));
        drop(turn);
        assert_eq!(block_on(desk.aside(LONG_BYTES, || 7)), 7);
    }
}
