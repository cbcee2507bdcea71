//! A crowd of callers that are as slow as possible: each sends or reads one byte a second, of a head, a body or an
//! answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use surfstore::gate::write_post;
use surfstore::protocol::Ask;

/// The number of callers.
pub const SIZE: usize = 200;

/// The crowd. Callers that the server drops connect again. All disconnect when this is dropped.
pub struct SlowCrowd {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlowCrowd {
    /// Connects to the server at that `host:port`.
    pub fn at(address: &str) -> SlowCrowd {
        let address = address.to_owned();
        let mut members: Vec<_> = (0..SIZE).map(|number| come(&address, number)).collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || dawdle(&address, &mut members, &told));
        SlowCrowd { is_over, thread: Some(thread) }
    }
}

impl Drop for SlowCrowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The first bytes of a caller: a part of a head, of a body, or more requests than sockets can buffer answers to.
fn beginning(number: usize) -> Vec<u8> {
    match number % 10 {
        0..5 => b"P".to_vec(),
        5..9 => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n<".to_vec(),
        _ => write_post("a", &Ask::Files.document()).repeat(128),
    }
}

/// A caller that has sent its first bytes.
fn come(address: &str, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let _ = stream.write_all(&beginning(number));
    stream
}

/// Sends or reads one byte for each caller per second until it is told to stop.
fn dawdle(address: &str, members: &mut [TcpStream], is_over: &AtomicBool) {
    for number in (0..SIZE).cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        thread::sleep(Duration::from_secs(1) / SIZE as u32);
        let moved = match number % 10 {
            9 => members[number].read(&mut [0]),
            _ => members[number].write(b"x"),
        };
        if !moved.is_ok_and(|count| count == 1) {
            members[number] = come(address, number);
        }
    }
}
