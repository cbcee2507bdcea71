//! The addresses of one host: looked up in the background, and kept until better ones are known.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::channel::{self, Receiver};
use smol::future;

/// How long a look-up may take before the last addresses are used without it. A name server nearby has answered by
/// then, and it is the delay that RFC 8305 recommends while part of an answer is missing.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long addresses may be relied on to be all that the host has. Name servers cache their answers for at least as
/// long, so a host does not change its address faster than that.
const CONFIRMED: Duration = Duration::from_secs(30);

/// A look-up, which may block for any time.
pub(super) type Look = Box<dyn Fn() -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The addresses of a host.
pub(super) struct Names {
    /// `None` if the host is an address.
    look: Option<Look>,
    known: Mutex<Known>,
}

/// What is known of them by now.
#[derive(Debug, Default)]
struct Known {
    /// All addresses that the last successful look-up found, in the order in which they are to be tried.
    addresses: Vec<SocketAddr>,
    /// When that look-up ended.
    confirmed: Option<Instant>,
    /// Why the last look-up that failed did so; empty at first.
    failure: String,
    /// The last look-up that was begun. The channel is closed when it ends.
    running: Option<Receiver<Infallible>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Names").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Names {
    pub(super) fn fixed(address: SocketAddr) -> Names {
        let known = Known { addresses: vec![address], ..Known::default() };
        Names { look: None, known: Mutex::new(known) }
    }

    pub(super) fn looked_up(look: Look) -> Names {
        Names { look: Some(look), known: Mutex::default() }
    }

    /// Whether they are looked up.
    pub(super) fn may_change(&self) -> bool {
        self.look.is_some()
    }

    /// The addresses, in the order in which they are to be tried: those of a new look-up if it ends soon or if there
    /// are no others. The look-up goes on when this future is dropped.
    ///
    /// # Errors
    ///
    /// If there are none. The text says why.
    pub(super) async fn current(self: Arc<Self>) -> Result<Vec<SocketAddr>, String> {
        if self.may_change() {
            let running = self.begin();
            // It sends nothing, so this waits for its end.
            let ended = async {
                let _ = running.recv().await;
            };
            let late = async {
                Timer::after(PATIENCE).await;
            };
            if self.known().addresses.is_empty() {
                ended.await;
            } else {
                future::or(ended, late).await;
            }
        }
        let known = self.known();
        if known.addresses.is_empty() {
            Err(known.failure.clone())
        } else {
            Ok(known.addresses.clone())
        }
    }

    /// Begins a look-up, unless one is running.
    fn begin(self: &Arc<Self>) -> Receiver<Infallible> {
        let mut known = self.known();
        if let Some(running) = known.running.as_ref().filter(|running| !running.is_closed()) {
            return running.clone();
        }
        let (ends, running) = channel::bounded(1);
        known.running = Some(running.clone());
        let names = Arc::clone(self);
        let work = move || {
            if let Some(look) = &names.look {
                let found = look();
                names.known().learn(found);
            }
            drop(ends);
        };
        smol::unblock(work).detach();
        running
    }

    /// Moves an address that works to the front.
    pub(super) fn promote(&self, address: SocketAddr) {
        let mut known = self.known();
        if let Some(place) = known.addresses.iter().position(|other| *other == address) {
            known.addresses[..=place].rotate_right(1);
        }
    }

    /// Moves an address that gives no sign to the end, so that the next attempt begins with another one.
    pub(super) fn demote(&self, address: SocketAddr) {
        let mut known = self.known();
        if let Some(place) = known.addresses.iter().position(|other| *other == address) {
            known.addresses[place..].rotate_left(1);
        }
    }

    /// Whether the host has no other addresses than these. It may have if no look-up has succeeded for long.
    pub(super) fn are_all(&self, addresses: &[SocketAddr]) -> bool {
        let known = self.known();
        let is_confirmed = known.confirmed.is_some_and(|at| at.elapsed() < CONFIRMED);
        (is_confirmed || !self.may_change())
            && known.addresses.iter().all(|address| addresses.contains(address))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Takes over what a look-up has found. Addresses that were known keep their places.
    fn learn(&mut self, found: io::Result<Vec<SocketAddr>>) {
        match found {
            Ok(found) if found.is_empty() => self.failure = "its name has no address".to_owned(),
            Ok(found) => {
                self.addresses.retain(|address| found.contains(address));
                for address in in_turn(found) {
                    if !self.addresses.contains(&address) {
                        self.addresses.push(address);
                    }
                }
                self.confirmed = Some(Instant::now());
            }
            Err(error) => self.failure = format!("its name cannot be resolved: {error}"),
        }
    }
}

/// The addresses with the two families in turn, so that a broken family delays the other only once. The first stays the
/// first: it is the one that the system prefers.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut families = [one, other];
    let mut ordered = Vec::new();
    while families.iter().any(|family| !family.is_empty()) {
        ordered.extend(families.iter_mut().filter_map(VecDeque::pop_front));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns_and_the_first_address_stays_the_first() {
        for (found, ordered) in [
            (&["1.0.0.1:1", "1.0.0.2:1"][..], &["1.0.0.1:1", "1.0.0.2:1"][..]),
            (&["[::1]:1", "[::2]:1", "1.0.0.1:1"], &["[::1]:1", "1.0.0.1:1", "[::2]:1"]),
            (
                &["1.0.0.1:1", "1.0.0.2:1", "[::1]:1", "1.0.0.3:1"],
                &["1.0.0.1:1", "[::1]:1", "1.0.0.2:1", "1.0.0.3:1"],
            ),
            (&[], &[]),
        ] {
            assert_eq!(in_turn(addresses(found)), addresses(ordered));
        }
    }

    #[test]
    fn a_new_look_up_keeps_the_order_and_drops_what_is_gone() {
        let names = Names::looked_up(Box::new(|| Ok(Vec::new())));
        let [a, b, c, d] = ["1.0.0.1:1", "1.0.0.2:1", "1.0.0.3:1", "1.0.0.4:1"];
        let known = || names.known().addresses.clone();
        names.known().learn(Ok(addresses(&[a, b, c, a])));
        assert_eq!(known(), addresses(&[a, b, c]));
        names.promote(addresses(&[c])[0]);
        assert_eq!(known(), addresses(&[c, a, b]));
        names.demote(addresses(&[a])[0]);
        assert_eq!(known(), addresses(&[c, b, a]));
        names.known().learn(Ok(addresses(&[a, b, d])));
        assert_eq!(known(), addresses(&[b, a, d]));
        // One that is not known any more is not put back.
        names.promote(addresses(&[c])[0]);
        names.demote(addresses(&[c])[0]);
        assert_eq!(known(), addresses(&[b, a, d]));
        names.known().learn(Err(io::Error::other("no name server")));
        names.known().learn(Ok(Vec::new()));
        assert_eq!(known(), addresses(&[b, a, d]));
    }

    /// A host may have moved if its name server has not said otherwise for long.
    #[test]
    fn addresses_are_all_that_a_host_has_only_as_long_as_they_are_confirmed() {
        let [a, b] = ["1.0.0.1:1", "1.0.0.2:1"];
        let (one, both) = (addresses(&[a]), addresses(&[a, b]));
        let names = Names::looked_up(Box::new(|| Ok(Vec::new())));
        names.known().learn(Ok(one.clone()));
        assert!(names.are_all(&one));
        names.known().confirmed = Instant::now().checked_sub(CONFIRMED);
        assert!(!names.are_all(&one));
        names.known().learn(Err(io::Error::other("no name server")));
        assert!(!names.are_all(&one));
        // Found after the first one was tried.
        names.known().learn(Ok(both.clone()));
        assert!(!names.are_all(&one));
        assert!(names.are_all(&both));
        assert!(Names::fixed(one[0]).are_all(&one));
    }
}
