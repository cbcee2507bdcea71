//! Even the inputs that take longest to read take time in proportion to their length: eight times as long an input,
//! about eight times as much time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use support::claims;
use support::worst::{self, Worst};
use surfstore::gate::{Gate, Received};
use surfstore::xmlrpc::parse_call;

/// The length of the shorter input, in bytes.
const SHORT: usize = if cfg!(debug_assertions) { 32 << 10 } else { 128 << 10 };

/// How many times longer the longer one is.
const TIMES: usize = 8;

/// How many times longer reading may take. If the time grows with the square of the length, it is 64 times as long.
const TIMES_MAX: u32 = 24;

/// A difference that proves nothing.
const MOMENT: Duration = Duration::from_millis(1);

/// The shortest time that a thread computed to read the input, over several attempts, because other work on the machine
/// slows it down.
fn time(read: fn(&[u8]), input: &[u8]) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let attempt = |_| {
        let start = now();
        read(input);
        now() - start
    };
    (0..7).map(attempt).min().unwrap_or_default()
}

fn assert_linear(inputs: &[Worst], read: fn(&[u8])) {
    for worst in inputs {
        let (short, long) = (worst.of(SHORT), worst.of(TIMES * SHORT));
        let (before, after) = (time(read, &short), time(read, &long));
        assert!(
            after <= before * TIMES_MAX + MOMENT,
            "much of {}: {before:?} for {} bytes, {after:?} for {}",
            worst.name,
            short.len(),
            long.len()
        );
    }
}

#[test]
fn documents_are_read_in_time_in_proportion_to_their_length() {
    assert_linear(&worst::DOCUMENTS, |document| _ = parse_call(document));
}

#[test]
fn connections_are_read_in_time_in_proportion_to_their_length() {
    assert_linear(&worst::CONNECTIONS, pass_the_gate);
}

#[test]
fn messages_of_peers_are_taken_in_time_in_proportion_to_their_length() {
    assert_linear(&worst::MESSAGES, claims::peers);
}

/// Reads a connection in pieces, as they arrive from a socket.
fn pass_the_gate(bytes: &[u8]) {
    let mut gate = Gate::new("localhost");
    for piece in bytes.chunks(8 << 10) {
        gate.push(piece);
        while gate.next().expect("no input is refused") != Received::NeedMore {}
    }
}
