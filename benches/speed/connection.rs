//! A keep-alive connection for one request after another.
//!
//! Each request is one write, and most answers are one read, so that the server is measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use support::running::connect;
use surfstore::gate;

/// The maximum size of an answer: more than any map that is read here.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The initial size of the buffer.
const ROOM: usize = 16 << 10;

/// A connection with at most one call in flight.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    received: usize,
}

impl Connection {
    pub(crate) fn to(port: u16) -> Connection {
        let stream = connect(port).expect("the server listens");
        Connection { stream, buffer: vec![0; ROOM], received: 0 }
    }

    pub(crate) fn send(&mut self, request: &[u8]) {
        self.received = 0;
        self.stream.write_all(request).expect("the server is there");
    }

    /// Reads what has arrived, or waits for it. Returns the answer's document once it is complete.
    pub(crate) fn receive(&mut self) -> Option<&[u8]> {
        if self.received == self.buffer.len() {
            self.buffer.resize(2 * self.received, 0);
        }
        let count = self.stream.read(&mut self.buffer[self.received..]).expect("an answer");
        assert!(0 < count, "the server closed the connection");
        self.received += count;
        let received = &self.buffer[..self.received];
        let response = gate::HttpResponse::read(received, ANSWER_BYTES_MAX).expect("a response");
        response.map(|response| {
            assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(received));
            response.body
        })
    }

    /// Sends the request and waits for the document that answers it.
    pub(crate) fn call(&mut self, request: &[u8]) -> Vec<u8> {
        self.send(request);
        self.answer()
    }

    /// Waits for the document that answers the request under way.
    pub(crate) fn answer(&mut self) -> Vec<u8> {
        loop {
            if let Some(document) = self.receive() {
                return document.to_vec();
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
