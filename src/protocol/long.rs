//! Answers about blocks. They can be so long that they are written in parts.

use std::sync::Arc;

use crate::blocks::BlockHash;
use crate::value::{Unpacker, Value};
use crate::xmlrpc;

/// The number of bytes of a block that are written at a time, a fraction of a millisecond's work: a multiple of 3, so
/// that the parts follow each other without padding.
const BLOCK_PART_BYTES: usize = 192 << 10;

/// The number of names that are looked up and written at a time, as much work.
const NAMES_PER_PART: usize = 2048;

/// Names of blocks as a caller wrote them, and the hashes that they stand for.
///
/// The names are packed, one after another. So even as many as fit into a document are dropped in no time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockNames {
    hashes: Vec<BlockHash>,
    packed: Vec<u8>,
}

impl BlockNames {
    /// The memory that they take, in bytes.
    pub fn size(&self) -> usize {
        size_of_val(&*self.hashes) + self.packed.len()
    }
}

impl FromIterator<(Value, BlockHash)> for BlockNames {
    fn from_iter<I: IntoIterator<Item = (Value, BlockHash)>>(named: I) -> BlockNames {
        let mut names = BlockNames::default();
        for (name, hash) in named {
            names.hashes.push(hash);
            names.packed.extend(name.pack());
        }
        names
    }
}

/// An answer about blocks, and how much of it has been written.
#[derive(Debug)]
pub struct LongAnswer {
    content: Content,
    /// The number of bytes of the block that have been written, or of names that have been looked up.
    done: usize,
    /// The number of bytes of the packed names that have been read.
    read: usize,
}

#[derive(Debug)]
enum Content {
    Block(Arc<[u8]>),
    Names(BlockNames),
}

impl LongAnswer {
    /// A block.
    pub fn block(block: Arc<[u8]>) -> LongAnswer {
        LongAnswer { content: Content::Block(block), done: 0, read: 0 }
    }

    /// Those of these names whose blocks are stored, in the same order.
    pub fn stored(names: BlockNames) -> LongAnswer {
        LongAnswer { content: Content::Names(names), done: 0, read: 0 }
    }

    /// Whether it is written in a single part.
    pub fn is_short(&self) -> bool {
        match &self.content {
            Content::Block(block) => block.len() <= BLOCK_PART_BYTES,
            Content::Names(names) => names.hashes.len() <= NAMES_PER_PART,
        }
    }

    /// The memory that it takes before it is written, in bytes. The block is not counted, because it is stored anyway.
    pub fn size(&self) -> usize {
        match &self.content {
            Content::Block(_) => 0,
            Content::Names(names) => names.size(),
        }
    }

    /// The number of bytes that will be written at least.
    pub fn written_bytes_min(&self) -> usize {
        match &self.content {
            Content::Block(block) => block.len().div_ceil(3) * 4,
            Content::Names(_) => 0,
        }
    }

    /// Writes the next part of the document. Returns it, and whether the document is complete.
    pub fn write(&mut self, is_stored: impl Fn(BlockHash) -> bool) -> (Vec<u8>, bool) {
        let is_first = self.done == 0;
        let LongAnswer { content, done, read } = self;
        let ([before, after], inner, left) = match content {
            Content::Block(block) => {
                let rest = block.get(*done..).unwrap_or_default();
                let (part, left) = rest.split_at(rest.len().min(BLOCK_PART_BYTES));
                *done += part.len();
                (xmlrpc::write_around_symbols(), xmlrpc::write_symbols(part), left.len())
            }
            Content::Names(names) => {
                let rest = names.hashes.get(*done..).unwrap_or_default();
                let (part, left) = rest.split_at(rest.len().min(NAMES_PER_PART));
                *done += part.len();
                let elements = xmlrpc::write_elements(|writer| {
                    for hash in part {
                        let packed = names.packed.get(*read..).unwrap_or_default();
                        if is_stored(*hash) {
                            writer.packed(packed);
                        }
                        let mut unpacker = Unpacker::new(packed);
                        unpacker.skip();
                        *read += packed.len() - unpacker.left();
                    }
                });
                (xmlrpc::write_around_elements(), elements, left.len())
            }
        };
        let is_last = left == 0;
        let before = if is_first { before } else { Vec::new() };
        let after = if is_last { after } else { Vec::new() };
        ([before, inner, after].concat(), is_last)
    }
}
