//! Connects to the first of several addresses that answers.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use async_io::Timer;
use smol::future;
use smol::net::TcpStream;

/// How long an address is tried alone: the delay that RFC 8305 recommends. Two addresses fit into the deadline of a
/// heartbeat.
const STAGGER: Duration = Duration::from_millis(250);

/// One address, and what became of it.
type Tried<T> = (SocketAddr, T);

/// An attempt to connect to one address.
type Attempt = Pin<Box<dyn Future<Output = Tried<io::Result<TcpStream>>> + Send>>;

/// Tries the addresses in their order, each as soon as the one before it has failed or has given no sign for a while.
/// Then `is_silent` is told. The first connection wins, and the other attempts are given up.
///
/// # Errors
///
/// If all of them have failed.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    is_silent: impl Fn(SocketAddr),
) -> Result<Tried<TcpStream>, Vec<Tried<io::Error>>> {
    let mut untried = addresses.iter().copied();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut failures = Vec::new();
    loop {
        let newest = untried.next();
        if let Some(address) = newest {
            attempts.push(Box::pin(async move { (address, TcpStream::connect(address).await) }));
        }
        if attempts.is_empty() {
            return Err(failures);
        }
        match future::or(first_of(&mut attempts), silence_of(newest)).await {
            Ended::Attempt((address, Ok(stream))) => return Ok((address, stream)),
            Ended::Attempt((address, Err(error))) => failures.push((address, error)),
            Ended::Silent(address) => is_silent(address),
        }
    }
}

/// Why the next address has its turn.
enum Ended {
    Attempt(Tried<io::Result<TcpStream>>),
    /// The newest attempt has given no sign.
    Silent(SocketAddr),
}

/// The first attempt that ends, which is removed.
async fn first_of(attempts: &mut Vec<Attempt>) -> Ended {
    future::poll_fn(|context| {
        for index in 0..attempts.len() {
            if let Poll::Ready(tried) = attempts[index].as_mut().poll(context) {
                drop(attempts.swap_remove(index));
                return Poll::Ready(Ended::Attempt(tried));
            }
        }
        Poll::Pending
    })
    .await
}

async fn silence_of(address: Option<SocketAddr>) -> Ended {
    let Some(address) = address else { return future::pending().await };
    Timer::after(STAGGER).await;
    Ended::Silent(address)
}
