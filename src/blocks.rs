//! The blocks of file content that are stored on this server.
//!
//! A block is named by its content. It lives only in memory, on the server that it was put on. The module knows neither
//! the files nor the other servers: only the metadata is replicated.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The memory in bytes that a stored block is assumed to take in addition to its content: its hash of 64 digits, a
/// pointer and a length for both, and a generous share of tree nodes and allocator overhead.
const BLOCK_OVERHEAD: usize = 256;

/// A bounded store of blocks, each under the lower-case hexadecimal SHA-256 of its content.
#[derive(Debug)]
pub struct Blocks {
    /// The blocks by their hash.
    by_hash: BTreeMap<Box<str>, Arc<[u8]>>,
    /// The memory in bytes that the blocks take, including overhead; never above `capacity`.
    held: usize,
    /// The maximum memory of the blocks in bytes; it never changes.
    capacity: usize,
}

/// A block, and the lower-case hexadecimal SHA-256 of its content. Making one takes time in proportion to its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    hash: Box<str>,
    content: Arc<[u8]>,
}

impl Block {
    /// The block with this content.
    pub fn new(content: impl Into<Arc<[u8]>>) -> Block {
        let content = content.into();
        Block { hash: format!("{:x}", Sha256::digest(&content)).into(), content }
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        self.hash.len() + self.content.len()
    }
}

/// Why a block was not stored: the memory set aside for blocks is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Blocks {
    /// An empty store with this maximum of memory.
    pub fn new(capacity_bytes: usize) -> Blocks {
        Blocks { by_hash: BTreeMap::new(), held: 0, capacity: capacity_bytes }
    }

    /// Stores the block. A block that is already stored costs nothing. A full store evicts nothing.
    pub fn put(&mut self, Block { hash, content }: Block) -> Result<(), Full> {
        if self.by_hash.contains_key(&hash) {
            return Ok(());
        }
        let cost = content.len().saturating_add(BLOCK_OVERHEAD);
        if self.capacity - self.held < cost {
            return Err(Full);
        }
        self.held += cost;
        self.by_hash.insert(hash, content);
        Ok(())
    }

    /// The block with this hash.
    pub fn get(&self, hash: &str) -> Option<Arc<[u8]>> {
        self.by_hash.get(hash).cloned()
    }

    /// Whether a block with this hash is stored here.
    pub fn has(&self, hash: &str) -> bool {
        self.by_hash.contains_key(hash)
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the block store of this server is full")
    }
}

impl Error for Full {}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc`, from FIPS 180-4's examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// SHA-256 of nothing.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn block(content: &[u8]) -> Block {
        Block::new(content)
    }

    #[test]
    fn a_block_is_found_under_the_lower_case_sha_256_of_its_content() {
        let mut blocks = Blocks::new(10_000);
        assert_eq!(blocks.get(ABC), None);
        assert_eq!(blocks.put(block(b"abc")), Ok(()));
        assert_eq!(blocks.put(block(b"")), Ok(()));
        assert_eq!(blocks.get(ABC), Some(b"abc"[..].into()));
        assert_eq!(blocks.get(EMPTY), Some(b""[..].into()));
        assert!(blocks.has(ABC));
        assert!(!blocks.has(&ABC.to_uppercase()));
        assert!(!blocks.has(&ABC[1..]));
    }

    #[test]
    fn a_full_store_refuses_and_keeps_what_it_has() {
        let mut blocks = Blocks::new(2 * BLOCK_OVERHEAD + 5);
        assert_eq!(blocks.put(block(b"abc")), Ok(()));
        assert_eq!(blocks.put(block(b"def")), Err(Full));
        assert_eq!(blocks.put(block(b"de")), Ok(()), "exactly what is left");
        assert_eq!(blocks.put(block(b"")), Err(Full), "an empty block has a cost too");
        assert_eq!(blocks.get(ABC), Some(b"abc"[..].into()));
        assert_eq!(Blocks::new(0).put(block(b"")), Err(Full));
    }

    #[test]
    fn putting_the_same_block_again_costs_nothing() {
        let mut blocks = Blocks::new(BLOCK_OVERHEAD + 3);
        for _ in 0..3 {
            assert_eq!(blocks.put(block(b"abc")), Ok(()));
        }
        assert_eq!(blocks.held, BLOCK_OVERHEAD + 3);
    }
}
