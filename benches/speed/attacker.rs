//! An attacker at the edge of a server: slow, garbled and broken connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use support::running::connect;

/// How many connections are kept whose requests never end.
const SLOW: usize = 200;

/// The time between two other connections.
const PAUSE: Duration = Duration::from_millis(1);

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n<methodCall>";

/// Attacks for so long. Returns how many connections it made.
pub(crate) fn attack(port: u16, time: Duration) -> usize {
    let began = Instant::now();
    let slow: Vec<_> = (0..SLOW).map(|number| begin(port, &HEAD[..number % HEAD.len()])).collect();
    let mut made = slow.len();
    while began.elapsed() < time {
        match made % 3 {
            0 => garbage(port),
            1 => reset(port),
            // The server may have closed this one by now, as it may.
            _ => _ = (&slow[made % SLOW]).write(b" "),
        }
        made += 1;
        thread::sleep(PAUSE);
    }
    made
}

/// A connection with the beginning of a request on it.
fn begin(port: u16, beginning: &[u8]) -> TcpStream {
    let mut stream = connect(port).expect("the server accepts");
    let _ = stream.write_all(beginning);
    stream
}

/// Sends something that is not HTTP, which must be refused.
fn garbage(port: u16) {
    let mut answer = Vec::new();
    let mut stream = begin(port, b"\x16\x03\x01 no request at all\r\n\r\n");
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "garbage is refused");
}

/// Breaks off the connection in the middle of a request.
fn reset(port: u16) {
    let stream = begin(port, HEAD);
    let _ = set_socket_linger(&stream, Some(Duration::ZERO));
}
