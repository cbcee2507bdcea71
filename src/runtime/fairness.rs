//! Fairness between connections on the one thread.
//!
//! A socket that is always ready never makes its task wait, and the executor does not poll the other sockets while any
//! task is ready. So a task that transfers much waits after each chunk until the reactor reports its socket as ready
//! again: by then the reactor has also reported the others.

use std::io;
use std::net;
use std::sync::Arc;

use async_io::Async;
use smol::net::TcpStream;

/// Waits until all sockets have been polled and this one can be written.
pub(super) async fn writable(stream: &TcpStream) -> io::Result<()> {
    socket(stream).writable().await
}

/// Waits until all sockets have been polled and this one can be read, or has ended.
pub(super) async fn readable(stream: &TcpStream) -> io::Result<()> {
    socket(stream).readable().await
}

fn socket(stream: &TcpStream) -> Arc<Async<net::TcpStream>> {
    stream.clone().into()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener};
    use std::rc::Rc;

    use smol::io::AsyncReadExt;
    use smol::{LocalExecutor, block_on, future};

    use super::*;
    use crate::runtime::busy_poll;

    /// Fewer than the number of tasks after which the sockets are polled anyway.
    const TURNS: usize = 150;

    fn pair() -> (TcpStream, net::TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Async::new(listener.accept().unwrap().0).unwrap().into(), other)
    }

    #[test]
    fn a_task_that_waits_for_a_turn_lets_tasks_with_ready_sockets_go_first() {
        for reads in [false, true] {
            assert_eq!(order(reads), ["little", "much"], "reads: {reads}");
        }
    }

    /// The order in which two transfers end: one gets its byte at once, and one takes many turns to read or to write.
    fn order(reads: bool) -> Vec<&'static str> {
        let executor = LocalExecutor::new();
        let order = Rc::new(RefCell::new(Vec::new()));
        let ((much, mut other), (mut little, mut giver)) = (pair(), pair());
        // It is never read, so the socket is always readable.
        other.write_all(&[1]).unwrap();
        let done = Rc::clone(&order);
        let reading = executor.spawn(async move {
            little.read_exact(&mut [0]).await.unwrap();
            done.borrow_mut().push("little");
        });
        while executor.try_tick() {}
        // The reader is already waiting when the byte arrives.
        giver.write_all(&[1]).unwrap();
        let done = Rc::clone(&order);
        let moving = executor.spawn(async move {
            for _ in 0..TURNS {
                if reads { readable(&much).await } else { writable(&much).await }.unwrap();
            }
            done.borrow_mut().push("much");
        });
        block_on(busy_poll::run(&executor, future::zip(reading, moving)));
        order.take()
    }
}
