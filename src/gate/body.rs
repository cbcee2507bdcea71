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
    content: Content,
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
        Body { content: Content { bytes: BodyBytes::default(), bytes_max }, rest }
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
    pub(super) fn take(&mut self) -> BodyBytes {
        mem::take(&mut self.content.bytes)
    }
}

/// The bytes of a body, in the buffers that they were received into.
#[derive(Clone, Debug, Default)]
pub struct BodyBytes {
    /// The buffers before the last one, which are full.
    full: Vec<Vec<u8>>,
    /// Their bytes.
    full_bytes: usize,
    last: Vec<u8>,
}

impl BodyBytes {
    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.full_bytes + self.last.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in a single buffer. They are copied if there are several.
    pub fn join(self) -> Vec<u8> {
        if self.full.is_empty() { self.last } else { self.buffers().collect::<Vec<_>>().concat() }
    }

    fn buffers(&self) -> impl Iterator<Item = &[u8]> {
        self.full.iter().chain([&self.last]).map(Vec::as_slice)
    }

    /// The memory in bytes that they take.
    fn capacity(&self) -> usize {
        self.full_bytes + self.last.capacity()
    }

    /// Adds bytes, of which no more than `room` may come, these included.
    fn extend(&mut self, bytes: &[u8], room: usize) {
        let free = self.last.capacity() - self.last.len();
        let (first, rest) = bytes.split_at(bytes.len().min(free));
        self.last.extend_from_slice(first);
        if rest.is_empty() {
            return;
        }
        // The capacity doubles as the body fills. So an announced length alone allocates nothing, and the capacity
        // never exceeds the maximum length. It grows by another buffer, because moving several MiB takes milliseconds.
        let more = (room - first.len()).min(self.len().max(rest.len()));
        let full = mem::replace(&mut self.last, Vec::with_capacity(more));
        if !full.is_empty() {
            self.full_bytes += full.len();
            self.full.push(full);
        }
        self.last.extend_from_slice(rest);
    }
}

impl From<&[u8]> for BodyBytes {
    fn from(bytes: &[u8]) -> BodyBytes {
        BodyBytes { last: bytes.into(), ..BodyBytes::default() }
    }
}

/// The same bytes are equal in whatever buffers they are.
impl PartialEq for BodyBytes {
    fn eq(&self, other: &BodyBytes) -> bool {
        self.len() == other.len() && self.buffers().flatten().eq(other.buffers().flatten())
    }
}

impl Eq for BodyBytes {}

/// The bytes received so far.
#[derive(Debug)]
pub(super) struct Content {
    bytes: BodyBytes,
    /// The maximum number of bytes.
    bytes_max: usize,
}

impl Content {
    /// How many more bytes may come.
    pub(super) fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.len())
    }

    /// Takes up to `count` bytes, at most as many as there is room for, or as many as there are, and returns how many
    /// it took.
    pub(super) fn take(&mut self, unread: &mut &[u8], count: usize) -> usize {
        let (taken, rest) = unread.split_at(unread.len().min(count));
        *unread = rest;
        let room = self.room();
        self.bytes.extend(taken, room);
        taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_body_is_never_moved() {
        const BYTES: usize = 1 << 20;
        let all: Vec<u8> = (0..BYTES).map(|at| at.to_le_bytes()[at % 3]).collect();
        let mut content = Content { bytes: BodyBytes::default(), bytes_max: BYTES };
        let mut begins: Vec<*const u8> = Vec::new();
        for mut piece in all.chunks(1000) {
            content.take(&mut piece, BYTES);
            assert!(content.bytes.capacity() <= BYTES.min(2 * content.bytes.len()));
            let now: Vec<_> = content.bytes.buffers().map(<[u8]>::as_ptr).collect();
            assert!(now.starts_with(&begins), "what has arrived stays where it is");
            begins = now;
        }
        assert_eq!(begins.len(), 12, "the capacity doubles");
        assert!(content.bytes == BodyBytes::from(&*all) && content.bytes.join() == all);
    }
}
