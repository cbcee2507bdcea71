//! Finds the start and the end of a head, byte by byte.
//!
//! Each byte is examined once, when it arrives. The module checks the grammar and the bounds. It interprets only what
//! cannot wait for the end of the head: if the first line is not HTTP/1.0 or HTTP/1.1, there may be no end.

use std::mem;

use super::fields::{Fields, expect_line_feed, is_of_value, is_token};
use super::request_line::RequestLine;
use super::{HEAD_BYTES_MAX, Refusal};

/// Collects one head.
#[derive(Debug)]
pub(super) struct HeadReader {
    place: HeadPart,
    /// The bytes of the part that is being read: first the request line, then the header lines.
    bytes: Vec<u8>,
    /// The number of bytes taken so far, including empty lines before the request; at most [`HEAD_BYTES_MAX`].
    taken: usize,
}

#[derive(Debug)]
enum HeadPart {
    /// Before the request. Some clients send an extra line end after the previous body.
    Start,
    /// After the CR of an empty line before the request.
    EmptyLineEnd,
    RequestLine,
    /// After the CR of the request line.
    RequestLineEnd,
    Fields(RequestLine, Fields),
}

impl HeadReader {
    pub(super) fn new() -> HeadReader {
        HeadReader { place: HeadPart::Start, bytes: Vec::new(), taken: 0 }
    }

    /// Whether anything but empty lines has been received.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.place, HeadPart::Start | HeadPart::EmptyLineEnd)
    }

    /// The memory in bytes that the head takes.
    pub(super) fn buffered(&self) -> usize {
        match &self.place {
            HeadPart::Fields(line, _) => line.target.capacity() + self.bytes.capacity(),
            _ => self.bytes.capacity(),
        }
    }

    /// Continues reading. Returns the request line and the header lines once the head is complete and consumed.
    pub(super) fn read(
        &mut self,
        unread: &mut &[u8],
    ) -> Result<Option<(RequestLine, Vec<u8>)>, Refusal> {
        // Most heads arrive in one piece. Reserve room for all of it, up to the maximum size of a head.
        self.bytes.reserve(unread.len().min(HEAD_BYTES_MAX - self.taken));
        while let Some((&byte, rest)) = unread.split_first() {
            if self.taken == HEAD_BYTES_MAX {
                return Err(self.too_long());
            }
            self.taken += 1;
            *unread = rest;
            if self.step(byte)? {
                return Ok(self.finish());
            }
            self.take_run(unread);
        }
        Ok(None)
    }

    /// Takes the bytes that only continue the line that is being read. Each byte would do so in [`step`](Self::step),
    /// at several times the cost.
    fn take_run(&mut self, unread: &mut &[u8]) {
        let part: fn(u8) -> bool = match &self.place {
            HeadPart::RequestLine => is_printable,
            HeadPart::Fields(_, fields) if fields.is_in_value() => is_of_value,
            _ => return,
        };
        let room = HEAD_BYTES_MAX - self.taken;
        let run = unread.iter().take(room).take_while(|byte| part(**byte)).count();
        let (taken, rest) = unread.split_at(run);
        self.bytes.extend_from_slice(taken);
        self.taken += run;
        *unread = rest;
    }

    /// Takes the next byte, and returns whether it was the last.
    fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        match &mut self.place {
            HeadPart::Start => self.begin(byte)?,
            HeadPart::EmptyLineEnd => {
                expect_line_feed(byte)?;
                self.place = HeadPart::Start;
            }
            HeadPart::RequestLine => match byte {
                b'\r' => self.place = HeadPart::RequestLineEnd,
                _ if is_printable(byte) => self.bytes.push(byte),
                _ => return Err(Refusal::bad_request("the request line has an invalid character")),
            },
            HeadPart::RequestLineEnd => {
                expect_line_feed(byte)?;
                let line = RequestLine::read(&self.bytes)?;
                self.bytes.clear();
                self.place = HeadPart::Fields(line, Fields::new());
            }
            HeadPart::Fields(_, fields) => {
                self.bytes.push(byte);
                return fields.step(byte);
            }
        }
        Ok(false)
    }

    fn begin(&mut self, byte: u8) -> Result<(), Refusal> {
        if byte == b'\r' {
            self.place = HeadPart::EmptyLineEnd;
            return Ok(());
        }
        // For example, the first byte of a TLS handshake is not a token.
        if !is_token(byte) {
            return Err(Refusal::bad_request("the request does not begin with a method"));
        }
        self.bytes.push(byte);
        self.place = HeadPart::RequestLine;
        Ok(())
    }

    fn finish(&mut self) -> Option<(RequestLine, Vec<u8>)> {
        match mem::replace(self, HeadReader::new()) {
            HeadReader { place: HeadPart::Fields(line, _), bytes, .. } => Some((line, bytes)),
            _ => None,
        }
    }

    fn too_long(&self) -> Refusal {
        match self.place {
            HeadPart::RequestLine | HeadPart::RequestLineEnd if self.bytes.contains(&b' ') => {
                RequestLine::TARGET_TOO_LONG
            }
            _ => Refusal { status: 431, reason: "the head is larger than 8 KiB" },
        }
    }
}

/// Whether the byte may occur in a request line.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}
