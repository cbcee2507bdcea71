//! The blocks of file content that are stored on this server.
//!
//! A block is named by its content. It lives only in memory, on the server that it was put on. The module knows neither
//! the files nor the other servers: only the metadata is replicated.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The memory in bytes that a stored block is assumed to take in addition to its content: its hash, a pointer and a
/// length, and a generous share of tree nodes and allocator overhead.
const BLOCK_OVERHEAD: usize = 256;

/// The SHA-256 of a block's content.
///
/// Clients write it in several ways, all of which name the same block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// The hash that consists of these bytes.
    pub fn new(bytes: [u8; 32]) -> BlockHash {
        BlockHash(bytes)
    }

    /// The hash with this name: hexadecimal in any case, also without its leading zeros, or base64 of either alphabet.
    pub fn named(name: &str) -> Option<BlockHash> {
        hexadecimal(name).or_else(|| base64_of_hash(name)).map(BlockHash)
    }
}

/// The bytes of at most 64 hexadecimal digits, the last of which belongs to the last byte.
fn hexadecimal(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.is_empty() || 2 * bytes.len() < digits.len() {
        return None;
    }
    for (at, digit) in digits.chars().rev().enumerate() {
        let digit = u8::try_from(digit.to_digit(16)?).ok()?;
        *bytes.get_mut(31 - at / 2)? |= if at % 2 == 0 { digit } else { digit << 4 };
    }
    Some(bytes)
}

/// The 32 bytes of 43 symbols and, usually, one of padding.
fn base64_of_hash(symbols: &str) -> Option<[u8; 32]> {
    let symbols = symbols.strip_suffix('=').unwrap_or(symbols);
    // Nothing longer need be decoded.
    if symbols.len() != 43 {
        return None;
    }
    let alphabets = [base64::STANDARD_NO_PAD, base64::URL_SAFE_NO_PAD];
    let decoded = |alphabet| base64::decode_config(symbols, alphabet).ok();
    alphabets.into_iter().find_map(decoded)?.try_into().ok()
}

/// A bounded store of blocks, each under the SHA-256 of its content.
#[derive(Debug)]
pub struct Blocks {
    /// The blocks by their hash.
    by_hash: BTreeMap<BlockHash, Arc<[u8]>>,
    /// The memory in bytes that the blocks take, including overhead; never above `capacity`.
    held: usize,
    /// The maximum memory of the blocks in bytes; it never changes.
    capacity: usize,
}

/// A block, and the SHA-256 of its content. Making one takes time in proportion to its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    hash: BlockHash,
    content: Arc<[u8]>,
}

impl Block {
    /// The block with this content.
    pub fn new(content: impl Into<Arc<[u8]>>) -> Block {
        let content = content.into();
        Block { hash: BlockHash(Sha256::digest(&content).into()), content }
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Block>() + self.content.len()
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

    /// The number of blocks.
    pub fn count(&self) -> usize {
        self.by_hash.len()
    }

    /// The memory that the blocks take, in bytes.
    pub fn bytes(&self) -> usize {
        self.held
    }

    /// The block with this hash.
    pub fn get(&self, hash: BlockHash) -> Option<Arc<[u8]>> {
        self.by_hash.get(&hash).cloned()
    }

    /// Whether a block with this hash is stored here.
    pub fn has(&self, hash: BlockHash) -> bool {
        self.by_hash.contains_key(&hash)
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

    fn named(name: &str) -> BlockHash {
        BlockHash::named(name).expect("it names a block")
    }

    #[test]
    fn a_block_is_found_under_the_sha_256_of_its_content() {
        let mut blocks = Blocks::new(10_000);
        assert_eq!(blocks.get(named(ABC)), None);
        assert_eq!(blocks.put(block(b"abc")), Ok(()));
        assert_eq!(blocks.put(block(b"")), Ok(()));
        assert_eq!(blocks.get(named(ABC)), Some(b"abc"[..].into()));
        assert_eq!(blocks.get(named(EMPTY)), Some(b""[..].into()));
        assert!(blocks.has(named(ABC)));
        assert!(!blocks.has(named(&ABC[1..])));
    }

    #[test]
    fn a_hash_may_be_written_in_several_ways() {
        for (name, same) in [
            (ABC.to_uppercase().as_str(), ABC),
            ("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", ABC),
            ("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0", ABC),
            ("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=", ABC),
            ("7b", &format!("{:064x}", 0x7b)),
            ("B7b", &format!("{:064x}", 0xb7b)),
            (&format!("{:063x}", 0x7b), &format!("{:064x}", 0x7b)),
            ("0", &"0".repeat(64)),
        ] {
            assert_eq!(named(name), named(same), "{name}");
        }
        let [first, .., last] = named(ABC).0;
        assert_eq!([first, last], [0xba, 0xad]);
    }

    #[test]
    fn no_other_text_names_a_block() {
        let zero = format!("0{ABC}");
        let symbols = "g".repeat(43);
        for name in [
            "",
            "hash1",
            "0x7b",
            "-7b",
            " 7b",
            "7b\n",
            "\u{663}",
            "=",
            &zero,
            &symbols[..42],
            &format!("{symbols}=="),
            &format!("{symbols}g"),
            &format!("{}B=", &symbols[..42]),
            &format!("+_{}", &symbols[..41]),
        ] {
            assert_eq!(BlockHash::named(name), None, "{name}");
        }
    }

    #[test]
    fn a_full_store_refuses_and_keeps_what_it_has() {
        let mut blocks = Blocks::new(2 * BLOCK_OVERHEAD + 5);
        assert_eq!(blocks.put(block(b"abc")), Ok(()));
        assert_eq!(blocks.put(block(b"def")), Err(Full));
        assert_eq!(blocks.put(block(b"de")), Ok(()), "exactly what is left");
        assert_eq!(blocks.put(block(b"")), Err(Full), "an empty block has a cost too");
        assert_eq!(blocks.get(named(ABC)), Some(b"abc"[..].into()));
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
