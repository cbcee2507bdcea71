//! The blocks of file content that this server was given.
//!
//! Blocks are named by their content and live on the server they were put on, in memory alone. The module knows
//! neither the files that are made of them nor the other servers: replication is for the metadata.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use sha2::{Digest, Sha256};

/// The memory in bytes that a stored block is taken to need beside its content: its hash of 64 digits, a pointer and a
/// length for both, and a generous share of tree nodes and allocator.
const BLOCK_OVERHEAD: usize = 256;

/// A bounded store of blocks, each under the lower-case hexadecimal SHA-256 of its content.
#[derive(Debug)]
pub struct Blocks {
    /// The blocks by their hash.
    by_hash: BTreeMap<String, Box<[u8]>>,
    /// The memory in bytes that the blocks take, overhead included; never above `capacity`.
    held: usize,
    /// The memory in bytes that the blocks may take, fixed from the start.
    capacity: usize,
}

/// Why a block was not stored: the memory set aside for blocks is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Blocks {
    /// An empty store that takes up to this much memory.
    pub fn new(capacity_bytes: usize) -> Blocks {
        Blocks { by_hash: BTreeMap::new(), held: 0, capacity: capacity_bytes }
    }

    /// Stores the block; one that is stored already costs nothing. A full store keeps what it has.
    pub fn put(&mut self, block: Box<[u8]>) -> Result<(), Full> {
        let hash = hash(&block);
        if self.by_hash.contains_key(&hash) {
            return Ok(());
        }
        let cost = block.len().saturating_add(BLOCK_OVERHEAD);
        if self.capacity - self.held < cost {
            return Err(Full);
        }
        self.held += cost;
        self.by_hash.insert(hash, block);
        Ok(())
    }

    /// The block with this hash.
    pub fn get(&self, hash: &str) -> Option<&[u8]> {
        self.by_hash.get(hash).map(AsRef::as_ref)
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

/// The lower-case hexadecimal SHA-256 of the block.
fn hash(block: &[u8]) -> String {
    Sha256::digest(block).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc`, from FIPS 180-4's examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    /// SHA-256 of nothing.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn block(content: &[u8]) -> Box<[u8]> {
        content.into()
    }

    #[test]
    fn a_block_is_found_under_the_lower_case_sha_256_of_its_content() {
        let mut blocks = Blocks::new(10_000);
        assert_eq!(blocks.get(ABC), None);
        assert_eq!(blocks.put(block(b"abc")), Ok(()));
        assert_eq!(blocks.put(block(b"")), Ok(()));
        assert_eq!(blocks.get(ABC), Some(b"abc".as_slice()));
        assert_eq!(blocks.get(EMPTY), Some(b"".as_slice()));
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
        assert_eq!(blocks.get(ABC), Some(b"abc".as_slice()));
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
