//! The documents of answers, in pieces that several documents may share, and the budget for their bytes.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::{iter, mem};

use super::memory::HeldBytes;
use crate::xmlrpc::{self, MulticallElement};

/// The maximum number of bytes of answers that are held for callers that have not read them yet, beside one whole map.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer of at most this size is sent even if the budget is exceeded, because it may report an update that took
/// effect.
pub(super) const SMALL_BYTES: usize = 4 << 10;

/// Counts the bytes of answers that are held.
#[derive(Clone, Debug, Default)]
pub struct AnswerBudget(HeldBytes);

impl AnswerBudget {
    /// The number of bytes that are held.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }

    /// Whether so much is held that callers are given less time to read their answers.
    pub fn is_much(&self) -> bool {
        ANSWER_BYTES_MAX / 2 < self.bytes()
    }

    /// Whether the budget has room for a whole map of this size, which is counted already. It has room as long as the
    /// other answers are within the limit, however large the map is. Otherwise a large map could not be read while
    /// anything else is being sent. All its readers share it, so only one comes on top of the limit.
    pub(super) fn has_room_for_map(&self, bytes: usize) -> bool {
        self.bytes() - bytes <= ANSWER_BYTES_MAX
    }

    /// Whether the budget has room for an answer of this size, of which `counted` bytes are counted already. A single
    /// answer always fits.
    pub(super) fn has_room(&self, bytes: usize, counted: usize) -> bool {
        bytes <= SMALL_BYTES || self.bytes() + bytes - counted <= ANSWER_BYTES_MAX.max(bytes)
    }
}

/// A part of a document, or all of it. It counts against the budget once, from its creation until its last owner is
/// dropped.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Box<[u8]>,
    budget: AnswerBudget,
}

impl Piece {
    pub(super) fn new(bytes: Vec<u8>, budget: &AnswerBudget) -> Arc<Piece> {
        budget.0.add(bytes.len());
        Arc::new(Piece { bytes: bytes.into(), budget: budget.clone() })
    }

    /// The bytes, which count no longer.
    pub(super) fn into_bytes(mut self) -> Box<[u8]> {
        self.budget.0.give_back(self.bytes.len());
        mem::take(&mut self.bytes)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.budget.0.give_back(self.bytes.len());
    }
}

/// The bytes of a piece that a document contains.
#[derive(Clone, Debug)]
struct Part {
    piece: Arc<Piece>,
    range: Range<usize>,
}

impl Part {
    fn whole(piece: Arc<Piece>) -> Part {
        let range = 0..piece.bytes.len();
        Part { piece, range }
    }

    fn bytes(&self) -> &[u8] {
        self.piece.bytes.get(self.range.clone()).unwrap_or_default()
    }
}

/// An answer as it is sent: its parts in order.
#[derive(Debug)]
pub struct Document {
    parts: Vec<Part>,
    len: usize,
}

impl Document {
    /// A document of these bytes, which it shares with no other document.
    pub(super) fn new(bytes: Vec<u8>, budget: &AnswerBudget) -> Arc<Document> {
        Document::of(iter::once(Piece::new(bytes, budget)))
    }

    pub(super) fn of(pieces: impl Iterator<Item = Arc<Piece>>) -> Arc<Document> {
        Document::made_of(pieces.map(Part::whole).collect())
    }

    fn made_of(parts: Vec<Part>) -> Arc<Document> {
        let len = parts.iter().map(|part| part.range.len()).sum();
        Arc::new(Document { parts, len })
    }

    /// The document that answers several calls, each of which one of these documents answers. It copies small answers,
    /// and shares the pieces of the others, because copying them would take long.
    pub(super) fn multicall(answers: &[Arc<Document>], budget: &AnswerBudget) -> Arc<Document> {
        let [mut text, after] = xmlrpc::write_around_elements();
        let mut parts = Vec::new();
        for answer in answers {
            let MulticallElement { left_out: [first, last], around: [open, close] } =
                xmlrpc::multicall_element(answer.is_fault());
            let inner = answer.inner(first, last);
            text.extend_from_slice(open.as_bytes());
            if answer.len() <= SMALL_BYTES {
                inner.for_each(|part| text.extend_from_slice(part.bytes()));
            } else {
                parts.push(Part::whole(Piece::new(mem::take(&mut text), budget)));
                parts.extend(inner);
            }
            text.extend_from_slice(close.as_bytes());
        }
        text.extend(after);
        parts.push(Part::whole(Piece::new(text, budget)));
        Document::made_of(parts)
    }

    /// Its parts without the first `skip_start` and the last `skip_end` bytes. Its first and last part are longer than
    /// these.
    fn inner(&self, skip_start: usize, skip_end: usize) -> impl Iterator<Item = Part> {
        let end = self.parts.len() - 1;
        self.parts.iter().enumerate().map(move |(at, part)| {
            let mut part = part.clone();
            part.range.start += if at == 0 { skip_start } else { 0 };
            part.range.end -= if at == end { skip_end } else { 0 };
            part
        })
    }

    /// Its size in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no document is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Its bytes, one part after another.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(Part::bytes)
    }

    /// All its bytes, copied if there are several parts.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &*self.parts {
            [only] => Cow::Borrowed(only.bytes()),
            _ => Cow::Owned(self.pieces().collect::<Vec<_>>().concat()),
        }
    }

    /// Whether it is a fault. Faults are written in one piece.
    pub fn is_fault(&self) -> bool {
        matches!(&*self.parts, [only] if xmlrpc::is_fault(only.bytes()))
    }
}
