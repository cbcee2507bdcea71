//! Documents on their way to their callers, in pieces that they may share, and how many bytes are held for them.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::xmlrpc;

/// How many bytes of answers may be held for callers that have not taken them yet.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer of this size is given whatever else is held, for it may tell of an update that took effect.
pub(super) const SMALL_BYTES: usize = 4 << 10;

/// How many bytes of answers are held.
#[derive(Clone, Debug, Default)]
pub struct AnswerBudget(Arc<AtomicUsize>);

impl AnswerBudget {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Relaxed);
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }

    /// How many they are.
    pub fn bytes(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Whether so much is held that callers are no longer given all the time they might take.
    pub fn is_much(&self) -> bool {
        ANSWER_BYTES_MAX / 2 < self.bytes()
    }

    /// Whether there is room for an answer of that size, which counts already. There always is for the only one, however
    /// large the map is.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes <= SMALL_BYTES || self.bytes() <= ANSWER_BYTES_MAX.max(bytes)
    }
}

/// A part of a document, or all of it. It counts as held once, from its making until nobody has it any more.
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

/// An answer as it is sent: its pieces one after another.
#[derive(Debug)]
pub struct Document {
    pieces: Vec<Arc<Piece>>,
    len: usize,
}

impl Document {
    /// The document of these bytes, which it shares with no other.
    pub(super) fn new(bytes: Vec<u8>, budget: &AnswerBudget) -> Arc<Document> {
        Document::of(vec![Piece::new(bytes, budget)])
    }

    pub(super) fn of(pieces: Vec<Arc<Piece>>) -> Arc<Document> {
        let len = pieces.iter().map(|piece| piece.bytes.len()).sum();
        Arc::new(Document { pieces, len })
    }

    /// How many bytes it has.
    #[expect(clippy::len_without_is_empty, reason = "no document is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Its bytes, one piece after another.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &*piece.bytes)
    }

    /// All its bytes together, which are copied if there are several pieces.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &*self.pieces {
            [only] => Cow::Borrowed(&only.bytes),
            _ => Cow::Owned(self.pieces().collect::<Vec<_>>().concat()),
        }
    }

    /// Whether it is a fault, each of which is written in one piece.
    pub fn is_fault(&self) -> bool {
        matches!(&*self.pieces, [only] if xmlrpc::is_fault(&only.bytes))
    }
}
