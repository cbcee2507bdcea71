//! The body of one request, gathered as it comes.

use std::mem;

use super::chunked::Chunked;
use super::{BODY_BYTES_MAX, Refusal};

/// How a body is told from what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It has this many bytes, at most [`BODY_BYTES_MAX`].
    Length(usize),
    /// It comes in chunks.
    Chunks,
}

impl Framing {
    /// There is none.
    pub(super) const EMPTY: Framing = Framing::Length(0);
}

/// A body of which a part may be missing.
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    rest: Rest,
}

/// What is to come.
#[derive(Debug)]
enum Rest {
    Bytes(usize),
    Chunks(Chunked),
}

impl Body {
    /// A body of which nothing has come.
    pub(super) fn new(framing: Framing) -> Body {
        let (bytes_max, rest) = match framing {
            Framing::Length(length) => (length, Rest::Bytes(length)),
            Framing::Chunks => (BODY_BYTES_MAX, Rest::Chunks(Chunked::new())),
        };
        Body { content: Content { bytes: Vec::new(), bytes_max }, rest }
    }

    /// Reads on, and tells whether the body is whole.
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

    /// The bytes that are known to be missing: of a body in chunks, none.
    pub(super) fn missing(&self) -> usize {
        match self.rest {
            Rest::Bytes(left) => left,
            Rest::Chunks(_) => 0,
        }
    }

    /// The bytes, once all have come.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.content.bytes)
    }
}

/// The bytes that have come.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// The bytes that there can be at most.
    bytes_max: usize,
}

impl Content {
    /// How many bytes may still come.
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.len())
    }

    /// Takes up to `count` bytes, as many as there are, and tells how many.
    pub(super) fn take(&mut self, unread: &mut &[u8], count: usize) -> usize {
        let (taken, rest) = unread.split_at(unread.len().min(count));
        *unread = rest;
        // Doubled as it fills, so that nothing is held for a body that was only announced, and never beyond what can come.
        if self.bytes.capacity() - self.bytes.len() < taken.len() {
            let room = self.room().min(self.bytes.len().max(taken.len()));
            self.bytes.reserve_exact(room);
        }
        self.bytes.extend_from_slice(taken);
        taken.len()
    }
}
