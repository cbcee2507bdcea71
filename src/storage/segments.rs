//! The segments, and how records are appended to them.

use std::collections::VecDeque;
use std::io;

use super::disk::{Disk, DiskFile};
use super::record::{Change, Known, SECTOR_BYTES};
use super::recovery::Recovered;
use super::{SEGMENT_ENDING, SEGMENT_NEW};
use crate::raft::{Incarnation, LogIndex};

/// How much of a new segment is filled with zeros at a time, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A segment: a file of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first record.
    pub(super) first: u64,
    /// Its size, in bytes.
    pub(super) size: u64,
    /// The greatest index of an entry in it, or 0 if later records have given up all of them.
    pub(super) last_index: LogIndex,
}

impl Segment {
    /// The name of the segment that begins with that record.
    pub(super) fn name(first: u64) -> String {
        format!("{first:016x}{SEGMENT_ENDING}")
    }

    /// Names the segment that was created last.
    pub(super) fn publish(disk: &mut impl Disk, first: u64) -> io::Result<()> {
        disk.rename(SEGMENT_NEW, &Segment::name(first))?;
        disk.sync_folder()
    }
}

/// A segment that has no name of its own yet. It is filled with zeros piece by piece, so that changes can be saved in
/// between, and each piece is synced, so that none has to wait for many.
pub(super) struct Blank<F> {
    file: F,
    size: u64,
    /// How many of its bytes are on disk.
    filled: u64,
}

impl<F: DiskFile> Blank<F> {
    pub(super) fn create<D: Disk<File = F>>(disk: &mut D, size: u64) -> io::Result<Blank<F>> {
        Ok(Blank { file: disk.create(SEGMENT_NEW)?, size, filled: 0 })
    }

    /// Fills a piece. Returns whether all is filled.
    fn fill_piece(&mut self) -> io::Result<bool> {
        let left = usize::try_from(self.size - self.filled).unwrap_or(usize::MAX);
        if 0 < left {
            let zeros = vec![0; left.min(PIECE_BYTES)];
            self.file.write(self.filled, &zeros)?;
            self.file.sync()?;
            self.filled += zeros.len() as u64;
        }
        Ok(self.filled == self.size)
    }

    /// The file, once all of it is filled.
    pub(super) fn complete(mut self) -> io::Result<F> {
        while !self.fill_piece()? {}
        Ok(self.file)
    }
}

/// All segments, of which the last takes the next record.
pub(super) struct Segments<F> {
    key: Incarnation,
    /// The size of a segment that is not made for one large record.
    size: u64,
    /// Oldest first; never empty.
    all: VecDeque<Segment>,
    /// The last one.
    file: F,
    /// Where its next record goes.
    end: u64,
    /// The number of the next record.
    next: u64,
    /// What the last record has said.
    known: Known,
    /// The index of the last entry.
    last_index: LogIndex,
    /// A segment that was created ahead.
    spare: Option<Blank<F>>,
    /// How many bytes of records there are after the snapshot.
    pub(super) since_snapshot: u64,
    /// How many of them the snapshot includes that is being written.
    included: u64,
}

impl<F: DiskFile> Segments<F> {
    /// Goes on after what was recovered.
    pub(super) fn resume<D: Disk<File = F>>(
        disk: &mut D,
        key: Incarnation,
        size: u64,
        recovered: Recovered,
    ) -> io::Result<Segments<F>> {
        let Recovered { known, last_index, segments, tail, next, since_snapshot, .. } = recovered;
        let mut file = disk.open(&Segment::name(segments.last().map_or(1, |last| last.first)))?;
        file.write(tail.end as u64, &vec![0; tail.torn])?;
        // The process before may have ended before its sync, or because its sync failed. In both cases the last record
        // can be read although it is not on disk, and only writing it again makes sure that it is.
        if let Some((place, record)) = tail.last {
            file.write(place as u64, &record)?;
        }
        file.sync()?;
        Ok(Segments {
            key,
            size,
            all: segments.into(),
            file,
            end: tail.end as u64,
            next,
            known,
            last_index,
            spare: None,
            since_snapshot,
            included: 0,
        })
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// What the last record has said.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// The index of the last entry.
    pub(super) fn last_index(&self) -> LogIndex {
        self.last_index
    }

    /// The space that the segments take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let spare = self.spare.as_ref().map_or(0, |spare| spare.filled);
        spare + self.all.iter().map(|segment| segment.size).sum::<u64>()
    }

    /// Writes a change, and syncs it.
    pub(super) fn append<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        change: Change,
    ) -> io::Result<()> {
        let before = Some(&self.known).filter(|_| 0 < self.end);
        let at = usize::try_from(self.end % SECTOR_BYTES as u64).unwrap_or_default();
        let mut record = self.record(&change, before, at)?;
        if !self.has_space(record.len()) {
            record = self.record(&change, None, 0)?;
            self.begin_segment(disk, record.len())?;
        }
        self.file.write(self.end, &record)?;
        self.file.sync()?;
        self.since_snapshot += record.len() as u64;
        if change.introduces(self.next) {
            let included = if change.replaces { self.since_snapshot } else { self.included };
            self.since_snapshot -= included;
            self.included = 0;
        }
        self.end += record.len() as u64;
        self.next += 1;
        self.last_index = change.last_index();
        let gives_up_all = change.gives_up_all();
        if let Some((last, earlier)) = self.all.make_contiguous().split_last_mut() {
            last.last_index = last.last_index.max(self.last_index);
            earlier.iter_mut().filter(|_| gives_up_all).for_each(|it| it.last_index = LogIndex(0));
        }
        self.known = change.known;
        Ok(())
    }

    /// Notes that a snapshot of all that is on disk is begun.
    pub(super) fn begin_snapshot(&mut self) {
        self.included = self.since_snapshot;
    }

    /// Creates a piece of a segment ahead, unless there is one. Returns whether there is more to do.
    pub(super) fn prepare<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<bool> {
        match &mut self.spare {
            Some(spare) => Ok(!spare.fill_piece()?),
            None => {
                self.spare = Some(Blank::create(disk, self.size)?);
                Ok(true)
            }
        }
    }

    /// Removes the oldest segment if the snapshot includes all of its entries. Returns whether it did.
    ///
    /// The last record is never removed: the hard state and the snapshot in force are in it, or in records before it. It
    /// is not in the last segment if that was empty at the start.
    pub(super) fn purge<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<bool> {
        let base = self.known.base();
        let may_go = 0 < self.end && 1 < self.all.len();
        let Some(oldest) = self.all.front().filter(|it| may_go && it.last_index <= base) else {
            return Ok(false);
        };
        disk.remove(&Segment::name(oldest.first))?;
        // Before the next one is removed: a gap would look like damage.
        disk.sync_folder()?;
        self.all.pop_front();
        Ok(true)
    }

    fn record(&self, change: &Change, before: Option<&Known>, at: usize) -> io::Result<Vec<u8>> {
        let record = change.record(self.next, self.key, before, at);
        record.ok_or_else(|| io::Error::other("a change takes more than 4 GiB"))
    }

    /// Whether the last segment takes a record of this size. A segment of another size than usual has only one record.
    fn has_space(&self, bytes: usize) -> bool {
        let size = self.all.back().map_or(0, |last| last.size);
        (self.end == 0 || size == self.size) && self.end + bytes as u64 <= size
    }

    /// Begins a segment whose first record has this size. An empty one is replaced.
    fn begin_segment<D: Disk<File = F>>(&mut self, disk: &mut D, bytes: usize) -> io::Result<()> {
        let size = self.size.max(bytes as u64);
        let spare = self.spare.take().filter(|_| size == self.size);
        self.file = match spare {
            Some(spare) => spare.complete()?,
            None => Blank::create(disk, size)?.complete()?,
        };
        Segment::publish(disk, self.next)?;
        if self.end == 0 {
            self.all.pop_back();
        }
        self.all.push_back(Segment { first: self.next, size, last_index: LogIndex(0) });
        self.end = 0;
        Ok(())
    }
}
