//! Looks up a server's host, and connects to it.
//!
//! A name server may be slow or dead, and a host may have addresses whose packets get lost. Neither may keep a server
//! or a client from another one that works:
//!
//! - A look-up runs in the thread pool, one at a time for each [`Dialer`]. It goes on when the caller that began it
//!   gives up, and the next caller waits for the same look-up. See `names`.
//! - The host is looked up for each connection, but the addresses of the last successful look-up are used if the new
//!   one takes long or fails. A server looks its peers up before it needs them.
//! - The addresses are tried side by side, each a moment after the one before it ([RFC
//!   8305](https://www.rfc-editor.org/rfc/rfc8305), "Happy Eyeballs"), the one that worked last first. See `race`.
//!
//! The module has no deadlines, which are the caller's, and knows nothing of what is sent.

mod names;
mod race;

use std::error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use smol::net::TcpStream;

use crate::config::Address;
use names::Names;

/// The time between two look-ups by [`Dialer::keep_current`].
const REFRESH: Duration = Duration::from_secs(15);

/// Connects to one server, and remembers the addresses of its host.
#[derive(Clone, Debug)]
pub struct Dialer {
    names: Arc<Names>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialError {
    /// Whether the host refuses the connection at every address that it has, so that no process listens there.
    pub is_refused: bool,
    /// One sentence for people.
    pub reason: String,
}

impl fmt::Display for DialError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl error::Error for DialError {}

impl Dialer {
    /// Does nothing yet.
    pub fn new(address: &Address) -> Dialer {
        let Address { host, port } = address.clone();
        let names = match host.parse::<IpAddr>() {
            Ok(address) => Names::fixed(SocketAddr::new(address, port)),
            Err(_) => Names::looked_up(Box::new(move || {
                (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
            })),
        };
        Dialer { names: Arc::new(names) }
    }

    /// Looks the host up, and returns its addresses, the most promising first.
    ///
    /// # Errors
    ///
    /// If it has none, as far as is known.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, DialError> {
        let addresses = Arc::clone(&self.names).current().await;
        addresses.map_err(|reason| DialError { is_refused: false, reason })
    }

    /// Looks the host up again and again, so that its addresses are known when they are needed, even if no name server
    /// answers then. Returns at once if the host is an address.
    pub async fn keep_current(self) {
        while self.names.may_change() {
            // If it fails, the next one may succeed.
            let _ = self.addresses().await;
            Timer::after(REFRESH).await;
        }
    }

    /// Connects to one of the host's addresses, after looking them up.
    ///
    /// # Errors
    ///
    /// If all of them fail. As long as one gives no sign, there is no error.
    pub async fn connect(&self) -> Result<TcpStream, DialError> {
        self.connect_to(&self.addresses().await?).await
    }

    /// Connects to one of these [`addresses`](Dialer::addresses).
    ///
    /// # Errors
    ///
    /// The same as for [`connect`](Dialer::connect).
    pub async fn connect_to(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let connected = race::connect(addresses, |address| self.names.demote(address)).await;
        let failures = match connected {
            Ok((address, stream)) => {
                self.names.promote(address);
                // A small message must not wait for the acknowledgement of the one before it.
                stream.set_nodelay(true).map_err(|error| DialError {
                    is_refused: false,
                    reason: format!("its connection cannot be set up: {error}"),
                })?;
                return Ok(stream);
            }
            Err(failures) => failures,
        };
        let refused = refused(&failures);
        let last = failures.last().map(|(address, error)| format!(" at {address}: {error}"));
        Err(DialError {
            is_refused: self.names.are_all(&refused),
            reason: format!("it cannot be reached{}", last.unwrap_or_default()),
        })
    }

    /// A dialer whose look-ups are done by a test.
    #[cfg(test)]
    pub(crate) fn with(
        look: impl Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Dialer {
        Dialer { names: Arc::new(Names::looked_up(Box::new(look))) }
    }
}

/// The addresses that refuse the connection.
///
/// On machines without IPv6, `localhost` often has the address `::1` as well. Nothing can listen there, so it counts too,
/// but alone it proves nothing: a machine without free ports fails in the same way.
fn refused(failures: &[(SocketAddr, io::Error)]) -> Vec<SocketAddr> {
    let refuses = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let is_absent = |address: &SocketAddr, error: &io::Error| {
        address.ip().is_loopback() && error.kind() == io::ErrorKind::AddrNotAvailable
    };
    let one_refuses = failures.iter().any(|(_, error)| refuses(error));
    let counts = |(address, error): &&(SocketAddr, io::Error)| {
        refuses(error) || (one_refuses && is_absent(address, error))
    };
    failures.iter().filter(counts).map(|(address, _)| *address).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Mutex;
    use std::sync::mpsc::{self, Sender};
    use std::time::Instant;

    use smol::future;

    use super::*;

    /// What a look-up finds.
    type Found = io::Result<Vec<SocketAddr>>;

    /// As long as a heartbeat may take.
    const SHORT: Duration = Duration::from_millis(375);
    const LONG: Duration = Duration::from_secs(10);

    /// An address of this machine at which something happens to connections.
    struct Place {
        address: SocketAddr,
        /// Closes the sockets when it is dropped.
        _sockets: Vec<std::net::TcpStream>,
        listener: Option<TcpListener>,
    }

    /// Accepts connections.
    fn good() -> Place {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        Place { address, _sockets: Vec::new(), listener: Some(listener) }
    }

    /// Refuses connections.
    fn refusing() -> Place {
        Place { listener: None, ..good() }
    }

    /// Gives no sign: its queue is full.
    fn silent() -> Place {
        let place = good();
        rustix::net::listen(place.listener.as_ref().unwrap(), 0).unwrap();
        let waiting = std::net::TcpStream::connect(place.address).unwrap();
        Place { _sockets: vec![waiting], ..place }
    }

    fn dialer(places: &[&Place]) -> Dialer {
        let addresses: Vec<_> = places.iter().map(|place| place.address).collect();
        Dialer::with(move || Ok(addresses.clone()))
    }

    /// The outcome if it is there in time: where the connection leads to.
    fn within(time: Duration, dialer: &Dialer) -> Option<Result<SocketAddr, DialError>> {
        smol::block_on(future::or(
            async { Some(dialer.connect().await.map(|stream| stream.peer_addr().unwrap())) },
            async {
                Timer::after(time).await;
                None
            },
        ))
    }

    /// Look-ups that wait until they are told their answer, and the number of them that have begun.
    pub(crate) fn told() -> (Sender<Found>, Arc<Mutex<usize>>, Dialer) {
        let (tell, told) = mpsc::channel();
        let (told, begun) = (Mutex::new(told), Arc::new(Mutex::new(0)));
        let count = Arc::clone(&begun);
        let dialer = Dialer::with(move || {
            *count.lock().unwrap() += 1;
            let answer = told.lock().unwrap().recv();
            answer.unwrap_or_else(|_| Err(io::Error::other("nobody answers")))
        });
        (tell, begun, dialer)
    }

    #[test]
    fn an_address_that_gives_no_sign_delays_the_next_one_once() {
        let (silent, good) = (silent(), good());
        let dialer = dialer(&[&silent, &good]);
        assert_eq!(within(LONG, &dialer), Some(Ok(good.address)));
        let start = Instant::now();
        assert_eq!(within(LONG, &dialer), Some(Ok(good.address)));
        assert!(start.elapsed() < Duration::from_millis(200), "the good one is tried first");
    }

    #[test]
    fn many_addresses_that_give_no_sign_are_passed_even_if_each_caller_gives_up_soon() {
        let silent = [silent(), silent(), silent(), silent()];
        let good = good();
        let [a, b, c, d] = &silent;
        let dialer = dialer(&[a, b, c, d, &good]);
        let outcomes: Vec<_> = (0..6).filter_map(|_| within(SHORT, &dialer)).collect();
        assert_eq!(outcomes.first(), Some(&Ok(good.address)));
        assert!(2 <= outcomes.len(), "it is remembered");
    }

    #[test]
    fn an_address_that_refuses_delays_nothing() {
        let (refusing, good) = (refusing(), good());
        let start = Instant::now();
        assert_eq!(within(LONG, &dialer(&[&refusing, &good])), Some(Ok(good.address)));
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    }

    #[test]
    fn a_host_refuses_only_if_all_of_its_addresses_do() {
        let (one, other, silent) = (refusing(), refusing(), silent());
        let is_refused = |places: &[&Place]| {
            within(2 * SHORT, &dialer(places)).map(|outcome| outcome.unwrap_err().is_refused)
        };
        assert_eq!(is_refused(&[&one, &other]), Some(true));
        assert_eq!(is_refused(&[&one, &silent]), None);
        assert_eq!(is_refused(&[&silent, &one]), None);
        // Nothing can be connected to it.
        let broadcast = SocketAddr::from((Ipv4Addr::BROADCAST, one.address.port()));
        let unreachable = Place { address: broadcast, ..refusing() };
        assert_eq!(is_refused(&[&one, &unreachable]), Some(false));
        assert_eq!(is_refused(&[&unreachable, &one]), Some(false));
    }

    #[test]
    fn an_address_that_the_machine_lacks_refuses_if_another_one_does_and_it_is_loopback() {
        use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, TimedOut};
        let [v4, v6, far] =
            ["127.0.0.1:9001", "[::1]:9001", "192.0.2.1:9001"].map(|text| text.parse().unwrap());
        let of = |failures: &[(SocketAddr, io::ErrorKind)]| {
            let failures: Vec<_> =
                failures.iter().map(|(address, kind)| (*address, (*kind).into())).collect();
            refused(&failures)
        };
        assert_eq!(of(&[(v4, ConnectionRefused), (v6, AddrNotAvailable)]), [v4, v6]);
        assert_eq!(of(&[(v6, AddrNotAvailable)]), []);
        assert_eq!(of(&[(v4, TimedOut), (v6, AddrNotAvailable)]), []);
        assert_eq!(of(&[(v4, ConnectionRefused), (far, AddrNotAvailable)]), [v4]);
    }

    #[test]
    fn a_host_without_an_address_refuses_nothing() {
        for answer in [|| Ok(Vec::new()), || Err(io::Error::other("no such host"))] {
            let outcome = within(LONG, &Dialer::with(answer)).unwrap();
            assert!(!outcome.unwrap_err().is_refused);
        }
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let good = good();
        let address = Address { host: "127.0.0.1".to_owned(), port: good.address.port() };
        let dialer = Dialer::new(&address);
        assert_eq!(
            future::block_on(future::poll_once(dialer.addresses())),
            Some(Ok(vec![good.address]))
        );
        assert_eq!(within(LONG, &dialer), Some(Ok(good.address)));
        drop(good);
        assert!(within(LONG, &dialer).unwrap().unwrap_err().is_refused);
    }

    #[test]
    fn a_look_up_goes_on_when_its_caller_gives_up_and_the_next_waits_for_the_same() {
        let (tell, begun, dialer) = told();
        let good = good();
        for _ in 0..3 {
            assert_eq!(within(SHORT / 10, &dialer), None);
        }
        tell.send(Ok(vec![good.address])).unwrap();
        assert_eq!(within(LONG, &dialer), Some(Ok(good.address)));
        assert!(*begun.lock().unwrap() <= 2, "the answer may have come before the last one asked");
    }

    #[test]
    fn the_last_addresses_serve_while_a_look_up_hangs_and_after_one_has_failed() {
        let (tell, begun, dialer) = told();
        let good = good();
        tell.send(Ok(vec![good.address])).unwrap();
        assert_eq!(within(LONG, &dialer), Some(Ok(good.address)));
        for _ in 0..3 {
            assert_eq!(within(SHORT, &dialer), Some(Ok(good.address)), "it hangs");
        }
        assert_eq!(*begun.lock().unwrap(), 2);
        drop(tell);
        for _ in 0..3 {
            assert_eq!(within(SHORT, &dialer), Some(Ok(good.address)), "it fails");
        }
    }

    #[test]
    fn a_host_that_has_moved_is_found_at_its_new_address() {
        let (old, new) = (good(), good());
        let answers = Mutex::new(vec![new.address, old.address]);
        let dialer = Dialer::with(move || {
            let mut answers = answers.lock().unwrap();
            Ok(vec![if 1 < answers.len() { answers.pop().unwrap() } else { answers[0] }])
        });
        assert_eq!(within(LONG, &dialer), Some(Ok(old.address)));
        assert_eq!(within(LONG, &dialer), Some(Ok(new.address)));
    }
}
