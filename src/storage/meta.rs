//! The file that says whose folder it is: [`FILE`].
//!
//! | Bytes | Content |
//! |---|---|
//! | 8 | `surfdata` |
//! | 4 | the version of the format |
//! | 1, 1 | the server's number, the size of its set |
//! | 2 | 0 |
//! | 8 | the digest of the servers' names |
//! | 8 | the incarnation that was drawn when the folder was made |
//! | 8 | the size of a segment |
//! | 4 | CRC-32C of all before it |
//!
//! Numbers have their lowest byte first. The last four bytes are the CRC-32C of all before them in every version.

use std::io;

use super::codec::Reader;
use super::disk::{Disk, DiskFile};
use super::error::damaged;
use super::{OpenError, SetIdentity};
use crate::raft::{Incarnation, ServerId};

/// The name of the file.
pub(super) const FILE: &str = "meta";

/// The name under which it is written.
pub(super) const NEW: &str = "meta.new";

const MAGIC: [u8; 8] = *b"surfdata";

/// The version of the whole folder's format.
const VERSION: u32 = 1;

/// A larger file is none of the store's.
const BYTES_MAX: u64 = 4096;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) set: SetIdentity,
    /// The incarnation that was drawn when the folder was made. It tells the folder from every other one.
    pub(super) incarnation: Incarnation,
    /// The size of a segment, in bytes.
    pub(super) segment_bytes: u64,
}

impl Meta {
    /// Writes the file. It has the old content or the new, whenever the power fails.
    pub(super) fn write(&self, disk: &mut impl Disk) -> io::Result<()> {
        let mut file = disk.create(NEW)?;
        file.write(0, &self.bytes())?;
        file.sync()?;
        disk.rename(NEW, FILE)?;
        disk.sync_folder()
    }

    /// Reads the file.
    pub(super) fn read(disk: &impl Disk) -> Result<Meta, OpenError> {
        let size = disk.size(FILE)?;
        if BYTES_MAX < size {
            return damaged(FILE, BYTES_MAX, "it is too long");
        }
        let bytes = disk.read(FILE, 0, usize::try_from(size).unwrap_or_default())?;
        let Some((content, crc)) = bytes.split_last_chunk() else {
            return damaged(FILE, 0, "it is too short");
        };
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return damaged(FILE, 0, "its CRC-32C is wrong");
        }
        let mut reader = Reader(content);
        if reader.array() != Some(MAGIC) {
            return damaged(FILE, 0, "it is not of this program");
        }
        match reader.array().map(u32::from_le_bytes) {
            Some(VERSION) => {}
            Some(version) => return Err(OpenError::NewerFormat(version)),
            None => return damaged(FILE, 8, "it is too short"),
        }
        match Meta::parse(reader) {
            Some(meta) => Ok(meta),
            None => damaged(FILE, 12, "its content is impossible"),
        }
    }

    /// Refuses the folder to another server, and to a set of another size.
    pub(super) fn check_owner(&self, id: ServerId, size: u8) -> Result<(), OpenError> {
        let set = self.set;
        if set.id != id {
            return Err(OpenError::OtherServer { owner: set.id, started: id });
        }
        if set.size != size {
            return Err(OpenError::OtherSize { folder: set.size, configured: size });
        }
        Ok(())
    }

    fn bytes(&self) -> Vec<u8> {
        let Meta { set, incarnation, segment_bytes } = self;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([set.id.0, set.size, 0, 0]);
        for number in [set.names, incarnation.0, *segment_bytes] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn parse(mut reader: Reader<'_>) -> Option<Meta> {
        let [id, size, 0, 0] = reader.array()? else { return None };
        let mut number = || reader.array().map(u64::from_le_bytes);
        let set = SetIdentity { id: ServerId(id), size, names: number()? };
        let meta = Meta { set, incarnation: Incarnation(number()?), segment_bytes: number()? };
        reader.is_at_end().then_some(meta)
    }
}
