//! The body of one request, collected as it arrives.

use std::mem;
use std::ops::Deref;

use memmap2::{Advice, MmapMut};
use rustix::param::page_size;

use super::chunked::Chunked;
use super::{BODY_BYTES_MAX, Refusal};

/// The maximum number of bytes that are collected in the allocator's memory. Most calls have fewer, and a map of their
/// own would take longer.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// The maximum size of a map, as a multiple of the bytes that it is made for. It bounds the addresses that an announced
/// length takes. And at most an eighth of the largest body is ever moved at once.
const GROWTH_MAX: usize = 8;

/// How many addresses a new map must leave, in bytes. Their number may be limited, and a process whose allocator gets
/// none ends.
const SPARE_BYTES: usize = 64 << 20;

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
                *left -= self.content.take(unread, *left)?;
                Ok(*left == 0)
            }
            Rest::Chunks(chunks) => chunks.read(unread, &mut self.content),
        }
    }

    /// The memory in bytes that the body takes.
    pub(super) fn buffered(&self) -> usize {
        self.content.bytes.memory()
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

/// The bytes of a body, in one piece of memory.
#[derive(Debug)]
pub struct BodyBytes(Storage);

#[derive(Debug)]
enum Storage {
    /// At most [`SMALL_BYTES_MAX`] bytes.
    Small(Vec<u8>),
    /// The first `len` bytes of a map. The system adds memory page by page, when it is written, and gets all of it back
    /// as soon as the map is dropped. An allocator may keep it.
    Large { map: MmapMut, len: usize },
}

impl BodyBytes {
    /// The memory in bytes that they take.
    fn memory(&self) -> usize {
        match &self.0 {
            Storage::Small(bytes) => bytes.capacity(),
            Storage::Large { len, .. } => len.next_multiple_of(page_size()),
        }
    }

    /// How many bytes there may be before they are moved.
    fn size_max(&self) -> usize {
        match &self.0 {
            Storage::Small(_) => SMALL_BYTES_MAX,
            Storage::Large { map, .. } => map.len(),
        }
    }

    /// Adds bytes to a body of at most `bytes_max`. `None` if the system has no memory for them, or if there would be
    /// more than that.
    fn extend(&mut self, bytes: &[u8], bytes_max: usize) -> Option<()> {
        let end = self.len() + bytes.len();
        if self.size_max() < end {
            let mut map = map_for(end, bytes_max)?;
            map.get_mut(..self.len())?.copy_from_slice(self);
            self.0 = Storage::Large { len: self.len(), map };
        }
        match &mut self.0 {
            Storage::Small(small) => small.extend_from_slice(bytes),
            Storage::Large { map, len } => {
                map.get_mut(*len..end)?.copy_from_slice(bytes);
                *len = end;
            }
        }
        Some(())
    }
}

/// A map for so many bytes of a body of at most `bytes_max`. `None` if the system has no room for it.
fn map_for(bytes: usize, bytes_max: usize) -> Option<MmapMut> {
    let mut size = bytes_max;
    while bytes <= size / GROWTH_MAX {
        size /= GROWTH_MAX;
    }
    drop(MmapMut::map_anon(size + SPARE_BYTES).ok()?);
    let map = MmapMut::map_anon(size).ok()?;
    // The first byte of a huge page would take 2 MiB. A kernel without huge pages refuses the advice.
    let _ = map.advise(Advice::NoHugePage);
    Some(map)
}

impl Deref for BodyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Small(bytes) => bytes,
            Storage::Large { map, len } => map.get(..*len).unwrap_or_default(),
        }
    }
}

impl Default for BodyBytes {
    fn default() -> BodyBytes {
        BodyBytes::from(&[][..])
    }
}

impl From<&[u8]> for BodyBytes {
    fn from(bytes: &[u8]) -> BodyBytes {
        BodyBytes(Storage::Small(bytes.into()))
    }
}

/// The same bytes are equal in whatever memory they are.
impl PartialEq for BodyBytes {
    fn eq(&self, other: &BodyBytes) -> bool {
        **self == **other
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

    /// Takes `count` bytes, for which there must be room, or as many as there are, and returns how many it took.
    /// Refuses them if the system has no memory for them.
    pub(super) fn take(&mut self, unread: &mut &[u8], count: usize) -> Result<usize, Refusal> {
        let (taken, rest) = unread.split_at(unread.len().min(count));
        *unread = rest;
        self.bytes.extend(taken, self.bytes_max).ok_or(Refusal::NO_ROOM)?;
        Ok(taken.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// The memory in bytes that the system has given to this piece of memory.
    fn touched(memory: &[u8]) -> usize {
        // There are 8 bytes about each page. Their highest two bits say that it is in memory, or swapped out.
        let place = memory.as_ptr().addr() / page_size() * 8;
        let mut about_pages = vec![0; memory.len().div_ceil(page_size()) * 8];
        let pages = File::open("/proc/self/pagemap").unwrap();
        pages.read_exact_at(&mut about_pages, place as u64).unwrap();
        about_pages.chunks(8).filter(|about| about[7] & 0b1100_0000 != 0).count() * page_size()
    }

    /// A body that has come in pieces of this size.
    fn received(body: &[u8], pieces_of: usize, bytes_max: usize) -> Content {
        let mut content = Content { bytes: BodyBytes::default(), bytes_max };
        for mut piece in body.chunks(pieces_of) {
            content.take(&mut piece, bytes_max).unwrap();
        }
        content
    }

    fn body(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| at.to_le_bytes()[at % 3]).collect()
    }

    #[test]
    fn an_eighth_of_a_body_is_moved_at_most() {
        let all = body(BODY_BYTES_MAX);
        let mut content = Content { bytes: BodyBytes::default(), bytes_max: BODY_BYTES_MAX };
        let mut moved = Vec::new();
        for mut piece in all.chunks(1000) {
            let before = (content.bytes.as_ptr(), content.bytes.len());
            content.take(&mut piece, BODY_BYTES_MAX).unwrap();
            let is_large = SMALL_BYTES_MAX < content.bytes.len();
            if is_large && content.bytes.as_ptr() != before.0 {
                moved.push(before.1);
            }
        }
        assert!(*content.bytes == *all, "it is complete");
        assert_eq!(moved.len(), 3, "it is moved seldom");
        assert!(moved[2] <= BODY_BYTES_MAX / GROWTH_MAX, "{moved:?}");
    }

    #[test]
    fn bodies_around_the_largest_small_one_are_complete() {
        for bytes in SMALL_BYTES_MAX - 1..=SMALL_BYTES_MAX + 1 {
            for pieces_of in [1, 1000, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1] {
                let content = received(&body(bytes), pieces_of, bytes);
                assert!(*content.bytes == *body(bytes), "{bytes} bytes in pieces of {pieces_of}");
                assert_eq!(content.room(), 0);
            }
        }
    }

    #[test]
    fn a_body_takes_no_more_memory_than_it_counts_and_few_addresses() {
        // Some of the maps are larger than a huge page.
        for bytes in [SMALL_BYTES_MAX + 1, 1 << 20, (1 << 20) + 1, BODY_BYTES_MAX - 5000] {
            let content = received(&body(bytes), 1000, BODY_BYTES_MAX);
            let Storage::Large { map, .. } = &content.bytes.0 else { panic!("it is large") };
            assert!(map.len() <= GROWTH_MAX * bytes, "{} addresses for {bytes} bytes", map.len());
            assert_eq!(touched(map), content.bytes.memory());
            assert_eq!(content.bytes.memory(), bytes.next_multiple_of(page_size()));
        }
    }

    #[test]
    fn there_is_no_map_that_the_system_has_no_room_for() {
        let bytes = isize::MAX.unsigned_abs();
        assert!(map_for(bytes, bytes).is_none());
    }
}
