//! Files with snapshots.
//!
//! A file is a sequence of frames: the length of the content in four bytes, a CRC-32C in four bytes, and the content.
//! The CRC-32C covers the incarnation that the folder was made with and all lengths and contents up to here. The first
//! frame has the last included entry and the roster, and each other frame has one leaf of the map. The record that puts
//! the snapshot in force has the number of its bytes, and the last CRC-32C. So it tells this file from every other.

use std::io;
use std::sync::Arc;

use super::codec::{Reader, put_leaf, put_number, put_roster};
use super::disk::{Disk, DiskFile};
use super::error::damaged;
use super::{OpenError, SNAPSHOT_NEW};
use crate::metadata::Files;
use crate::raft::{Incarnation, LogIndex, Position, Snapshot, Term};

/// How much of a file is read at a time, in bytes, unless a frame is longer.
const READ_BYTES: usize = 1 << 20;

const HEAD_BYTES: usize = 8;

/// A snapshot file, as the log refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotRef {
    /// The number of the record that put it in force.
    pub(super) number: u64,
    /// The last entry that it includes.
    pub(super) last_included: Position,
    /// The size of the file, in bytes.
    pub(super) bytes: u64,
    /// The CRC-32C of its last frame.
    crc: u32,
}

impl SnapshotRef {
    /// The name of the file.
    pub(super) fn file(&self) -> String {
        format!("{:016x}.snapshot", self.number)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let SnapshotRef { number, last_included: Position { term, index }, bytes, crc } = self;
        for number in [*number, term.0, index.0, *bytes, u64::from(*crc)] {
            put_number(out, number);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<SnapshotRef> {
        let number = reader.number()?;
        let term = Term(reader.number()?);
        let last_included = Position { term, index: LogIndex(reader.number()?) };
        let bytes = reader.number()?;
        Some(SnapshotRef { number, last_included, bytes, crc: reader.number()?.try_into().ok()? })
    }

    /// Reads the snapshot.
    pub(super) fn load(&self, disk: &impl Disk, key: Incarnation) -> Result<Snapshot, OpenError> {
        let file = self.file();
        let size = match disk.size(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return damaged(&file, 0, "it is missing");
            }
            size => size?,
        };
        if size != self.bytes {
            return damaged(&file, size.min(self.bytes), "its size is not what the log says");
        }
        let mut frames = Frames {
            disk,
            file: &file,
            size,
            read: 0,
            ahead: Vec::new(),
            taken: 0,
            crc: first_crc(key),
        };
        let header = frames.next()?.and_then(|content| header(&content));
        let Some((last_included, roster)) = header.filter(|(last, _)| *last == self.last_included)
        else {
            return damaged(&file, 0, "its header is wrong");
        };
        let mut files = Files::default();
        while let Some(content) = frames.next()? {
            let mut reader = Reader(&content);
            let leaf = reader.leaf().filter(|_| reader.is_at_end());
            if !leaf.is_some_and(|leaf| files.push_leaf(&Arc::new(leaf))) {
                return damaged(&file, frames.at(), "its files are not those of a map");
            }
        }
        if frames.crc != self.crc {
            return damaged(&file, size, "its last CRC-32C is not what the log says");
        }
        Ok(Snapshot { last_included, roster: Arc::new(roster), files })
    }
}

fn first_crc(key: Incarnation) -> u32 {
    crc32c::crc32c(&key.0.to_le_bytes())
}

fn frame_crc(before: u32, length: [u8; 4], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(before, &length), content)
}

fn header(content: &[u8]) -> Option<(Position, crate::raft::Roster)> {
    let mut reader = Reader(content);
    let term = Term(reader.number()?);
    let last_included = Position { term, index: LogIndex(reader.number()?) };
    let roster = reader.roster()?;
    reader.is_at_end().then_some((last_included, roster))
}

/// The frames of a file, one after another.
struct Frames<'a, D> {
    disk: &'a D,
    file: &'a str,
    size: u64,
    /// How many bytes of the file have been read.
    read: u64,
    /// What has been read, of which `taken` bytes belong to earlier frames.
    ahead: Vec<u8>,
    taken: usize,
    crc: u32,
}

impl<D: Disk> Frames<'_, D> {
    /// Where the next frame begins.
    fn at(&self) -> u64 {
        self.read - (self.ahead.len() - self.taken) as u64
    }

    /// The content of the next frame; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<u8>>, OpenError> {
        let at = self.at();
        if at == self.size {
            return Ok(None);
        }
        let head =
            self.take(HEAD_BYTES)?.and_then(|head| head.first_chunk::<HEAD_BYTES>().copied());
        let Some([a, b, c, d, crc @ ..]) = head else {
            return damaged(self.file, at, "a frame is cut off");
        };
        let length = u32::from_le_bytes([a, b, c, d]);
        let Some(content) = self.take(usize::try_from(length).unwrap_or(usize::MAX))? else {
            return damaged(self.file, at, "a frame is longer than its file");
        };
        self.crc = frame_crc(self.crc, [a, b, c, d], &content);
        if self.crc != u32::from_le_bytes(crc) {
            return damaged(self.file, at, "a CRC-32C is wrong");
        }
        Ok(Some(content))
    }

    /// The next bytes; `None` if there are fewer.
    fn take(&mut self, length: usize) -> Result<Option<Vec<u8>>, OpenError> {
        if self.size - self.at() < length as u64 {
            return Ok(None);
        }
        let held = self.ahead.len() - self.taken;
        if held < length {
            self.ahead.drain(..self.taken);
            self.taken = 0;
            let left = usize::try_from(self.size - self.read).unwrap_or(usize::MAX);
            let more = (length - held).max(READ_BYTES).min(left);
            self.ahead.extend(self.disk.read(self.file, self.read, more)?);
            self.read += more as u64;
        }
        let end = self.taken + length;
        let bytes = self.ahead.get(self.taken..end).map(<[u8]>::to_vec);
        self.taken = end;
        Ok(bytes)
    }
}

/// A snapshot that is being written.
pub(super) struct Writer<F> {
    snapshot: Snapshot,
    file: F,
    /// The number of leaves that the file has.
    leaves: usize,
    bytes: u64,
    crc: u32,
}

impl<F: DiskFile> Writer<F> {
    /// Begins a file.
    pub(super) fn begin<D: Disk<File = F>>(
        disk: &mut D,
        snapshot: Snapshot,
        key: Incarnation,
    ) -> io::Result<Writer<F>> {
        let file = disk.create(SNAPSHOT_NEW)?;
        let mut writer = Writer { snapshot, file, leaves: 0, bytes: 0, crc: first_crc(key) };
        let mut content = Vec::new();
        let Position { term, index } = writer.snapshot.last_included;
        put_number(&mut content, term.0);
        put_number(&mut content, index.0);
        put_roster(&mut content, &writer.snapshot.roster);
        let mut piece = Vec::new();
        writer.put_frame(&mut piece, &content)?;
        writer.write(&piece)?;
        Ok(writer)
    }

    /// The last entry that the snapshot includes.
    pub(super) fn last_included(&self) -> Position {
        self.snapshot.last_included
    }

    /// Writes and syncs the next leaves, about so many bytes of them. Returns whether they were the last.
    pub(super) fn write_piece(&mut self, bytes: usize) -> io::Result<bool> {
        let mut piece = Vec::new();
        let files = self.snapshot.files.clone();
        while let Some(leaf) = files.leaf(self.leaves)
            && piece.len() < bytes
        {
            let mut content = Vec::new();
            put_leaf(&mut content, leaf);
            self.put_frame(&mut piece, &content)?;
            self.leaves += 1;
        }
        self.write(&piece)?;
        // Synced piece by piece, so that no sync takes long.
        self.file.sync()?;
        Ok(self.leaves == files.leaf_count())
    }

    /// Gives the complete file its name, which says the record that puts it in force.
    pub(super) fn publish<D: Disk<File = F>>(
        self,
        disk: &mut D,
        number: u64,
    ) -> io::Result<SnapshotRef> {
        let Writer { snapshot, bytes, crc, .. } = self;
        let published = SnapshotRef { number, last_included: snapshot.last_included, bytes, crc };
        disk.rename(SNAPSHOT_NEW, &published.file())?;
        disk.sync_folder()?;
        Ok(published)
    }

    fn put_frame(&mut self, piece: &mut Vec<u8>, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).map_err(io::Error::other)?.to_le_bytes();
        self.crc = frame_crc(self.crc, length, content);
        piece.extend(length);
        piece.extend(self.crc.to_le_bytes());
        piece.extend(content);
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write(self.bytes, piece)?;
        self.bytes += piece.len() as u64;
        Ok(())
    }
}
