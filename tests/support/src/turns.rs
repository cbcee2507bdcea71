//! What tests share that run at the same time: the machine and its ports.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};
use std::thread::{self, ThreadId};

/// How many tests may have running servers at once, so that the load causes no election.
const TURNS_MAX: usize = 3;

/// The threads that have turns, one for each turn.
static TAKEN: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
static GIVEN_BACK: Condvar = Condvar::new();

/// The right to run servers; returned when it is dropped.
pub struct Turn {
    /// The thread that has taken it.
    by: ThreadId,
}

impl Turn {
    /// Waits for its turn. A thread that has one already does not wait: tests that all have one and wait for a second
    /// would wait forever.
    pub fn take() -> Turn {
        let by = thread::current().id();
        let waits = |taken: &mut Vec<_>| TURNS_MAX <= taken.len() && !taken.contains(&by);
        let mut taken = GIVEN_BACK.wait_while(TAKEN.lock().unwrap(), waits).unwrap();
        taken.push(by);
        Turn { by }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap();
        if let Some(place) = taken.iter().position(|by| *by == self.by) {
            taken.swap_remove(place);
            GIVEN_BACK.notify_one();
        }
    }
}

/// The ports of the tests' servers: below those that any system gives to outgoing connections, one of which could
/// otherwise take the port of a server that is down for a while.
const PORTS: std::ops::Range<u16> = 10_000..16_000;

/// The next port to try. It starts elsewhere in each process, because several may run these tests.
static NEXT_PORT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let ports = u32::from(PORTS.end - PORTS.start);
    AtomicU16::new(u16::try_from(process::id().wrapping_mul(137) % ports).unwrap())
});

/// A port that is not in use and that no other test of this process gets.
pub fn free_port() -> u16 {
    let ports = PORTS.end - PORTS.start;
    (0..ports)
        .map(|_| PORTS.start + NEXT_PORT.fetch_add(1, Ordering::Relaxed) % ports)
        .find(|port| is_free(*port))
        .expect("a free port")
}

/// Whether the port is free on all interfaces. A machine may lack IPv6.
fn is_free(port: u16) -> bool {
    let v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
    let taken = v6.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    drop(v6);
    !taken && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}
