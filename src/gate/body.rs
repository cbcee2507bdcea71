//! The body of one request, collected as it arrives.

use std::mem;

use super::chunked::Chunked;
use super::{BODY_BYTES_MAX, Refusal};

/// How the end of a body is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It has this many bytes, at most [`BODY_BYTES_MAX`].
    Length(usize),
    /// It is chunked.
    Chunks,
}

impl Framing {
    /// There is no body.
    pub(super) const EMPTY: Framing = Framing::Length(0);
}

/// A body that may be incomplete.
#[derive(Debug)]
pub(super) struct Body {
    content: BodyBytes,
    rest: Rest,
}

/// What is still to come.
#[derive(Debug)]
enum Rest {
    Bytes(usize),
    Chunks(Chunked),
}

impl Body {
    /// A body of which nothing has been received.
    pub(super) fn new(framing: Framing) -> Body {
        let (bytes_max, rest) = match framing {
            Framing::Length(length) => (length, Rest::Bytes(length)),
            Framing::Chunks => (BODY_BYTES_MAX, Rest::Chunks(Chunked::new())),
        };
        Body { content: BodyBytes { bytes: Vec::new(), bytes_max }, rest }
    }

    /// Continues reading, and returns whether the body is complete.
    pub(super) fn read(&mut self, unread: &mut &[u8]) -> Result<bool, Refusal> {
        match &mut self.rest {
            Rest::Bytes(left) => {
                *left -= self.content.take(unread, *left);
                Ok(*left == 0)
            }
            Rest::Chunks(chunks) => chunks.read(unread, &mut self.content),
        }
    }

    /// The memory in bytes that the body takes.
    pub(super) fn buffered(&self) -> usize {
        self.content.bytes.capacity()
    }

    /// The number of bytes that are known to be missing; 0 for a chunked body.
    pub(super) fn missing(&self) -> usize {
        match self.rest {
            Rest::Bytes(left) => left,
            Rest::Chunks(_) => 0,
        }
    }

    /// The bytes, once the body is complete.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.content.bytes)
    }
}

/// The bytes received so far.
#[derive(Debug)]
pub(super) struct BodyBytes {
    bytes: Vec<u8>,
    /// The maximum number of bytes.
    bytes_max: usize,
}

impl BodyBytes {
    /// How many more bytes may come.
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.len())
    }

    /// Takes up to `count` bytes, or as many as there are, and returns how many it took.
    pub(super) fn take(&mut self, unread: &mut &[u8], count: usize) -> usize {
        let (taken, rest) = unread.split_at(unread.len().min(count));
        *unread = rest;
        // The capacity doubles as the body fills. So an announced length alone allocates nothing, and the capacity
        // never exceeds the maximum length.
        if self.bytes.capacity() - self.bytes.len() < taken.len() {
            let room = self.room().min(self.bytes.len().max(taken.len()));
            self.bytes.reserve_exact(room);
        }
        self.bytes.extend_from_slice(taken);
        taken.len()
    }
}
