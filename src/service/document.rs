//! The documents of answers, in pieces that several documents may share, and the budget for their bytes.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::xmlrpc;

/// The maximum number of bytes of answers that are held for callers that have not read them yet.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer of at most this size is sent even if the budget is exceeded, because it may report an update that took
/// effect.
pub(super) const SMALL_BYTES: usize = 4 << 10;

/// Counts the bytes of answers that are held.
#[derive(Clone, Debug, Default)]
pub struct AnswerBudget(Arc<AtomicUsize>);

impl AnswerBudget {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }

    /// The number of bytes that are held.
    pub fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Whether so much is held that callers are given less time to read their answers.
    pub fn is_much(&self) -> bool {
        ANSWER_BYTES_MAX / 2 < self.bytes()
    }

    /// Whether the budget has room for an answer of this size, of which `counted` bytes are counted already. A single
    /// answer always fits, however large the map is.
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
        budget.add(bytes.len());
        Arc::new(Piece { bytes: bytes.into(), budget: budget.clone() })
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.len());
    }
}

/// An answer as it is sent: its pieces in order.
#[derive(Debug)]
pub struct Document {
    pieces: Vec<Arc<Piece>>,
    len: usize,
}

impl Document {
    /// A document of these bytes, which it shares with no other document.
    pub(super) fn new(bytes: Vec<u8>, budget: &AnswerBudget) -> Arc<Document> {
        Document::of(vec![Piece::new(bytes, budget)])
    }

    pub(super) fn of(pieces: Vec<Arc<Piece>>) -> Arc<Document> {
        let len = pieces.iter().map(|piece| piece.bytes.len()).sum();
        Arc::new(Document { pieces, len })
    }

    /// Its size in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no document is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Its bytes, one piece after another.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &*piece.bytes)
    }

    /// All its bytes, copied if there are several pieces.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &*self.pieces {
            [only] => Cow::Borrowed(&only.bytes),
            _ => Cow::Owned(self.pieces().collect::<Vec<_>>().concat()),
        }
    }

    /// Whether it is a fault. Faults are written in one piece.
    pub fn is_fault(&self) -> bool {
        matches!(&*self.pieces, [only] if xmlrpc::is_fault(&only.bytes))
    }
}
