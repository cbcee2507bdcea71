//! Reading a folder back.

use super::disk::Disk;
use super::error::damaged;
use super::meta::Meta;
use super::record::{
    Change, HEADER_BYTES, Header, Known, SECTOR_BYTES, is_partial, is_zero, space,
};
use super::replay::Replay;
use super::segments::Segment;
use super::{OpenError, SEGMENT_ENDING, SNAPSHOT_ENDING};
use crate::raft::{Incarnation, LogIndex, Saved};

/// What a folder has, and how the next record follows.
pub(super) struct Recovered {
    pub(super) saved: Saved,
    /// What the last record has said.
    pub(super) known: Known,
    /// The index of the last entry.
    pub(super) last_index: LogIndex,
    /// All segments, oldest first; never none.
    pub(super) segments: Vec<Segment>,
    /// The end of the last segment's records.
    pub(super) tail: Tail,
    /// The number of the next record.
    pub(super) next: u64,
    /// How many bytes of records there are after the snapshot.
    pub(super) since_snapshot: u64,
}

/// The end of a segment's records.
pub(super) struct Tail {
    /// Where the next record goes.
    pub(super) end: usize,
    /// The last record, after its place; `None` if the segment has none.
    pub(super) last: Option<(usize, Vec<u8>)>,
    /// How many bytes an unfinished write has left behind the end, up to the last one that is not 0.
    pub(super) torn: usize,
}

/// Reads all of a folder. Nothing is changed.
pub(super) fn recover(disk: &impl Disk, meta: &Meta) -> Result<Recovered, OpenError> {
    let numbers = numbers(&disk.list()?, SEGMENT_ENDING);
    let mut next = numbers.first().copied().unwrap_or(1);
    let mut replay = Replay::new(meta.incarnation);
    let mut segments: Vec<Segment> = Vec::new();
    let (mut tail, mut since_snapshot) = (None, 0);
    for (place, first) in numbers.iter().enumerate() {
        if *first != next {
            break;
        }
        let name = Segment::name(*first);
        let size = disk.size(&name)?;
        if size < meta.segment_bytes {
            return damaged(&name, size, "it ends before its time");
        }
        let bytes = disk.read(&name, 0, usize::try_from(size).unwrap_or(usize::MAX))?;
        let mut scan = Scan { name: &name, bytes: &bytes, key: meta.incarnation, next };
        let mut last_index = Default::default();
        let is_last = place + 1 == numbers.len();
        let end = scan.run(is_last, |number, bytes, change| {
            if change.gives_up_all() {
                segments.iter_mut().for_each(|segment| segment.last_index = Default::default());
            }
            last_index = change.last_index().max(last_index);
            since_snapshot = match change.introduces(number) {
                true => 0,
                false => since_snapshot + bytes as u64,
            };
            replay.apply(change)
        })?;
        next = scan.next;
        segments.push(Segment { first: *first, size, last_index });
        tail = Some(end);
    }
    let Some(tail) = tail.filter(|_| segments.len() == numbers.len()) else {
        return damaged(&Segment::name(next), 0, "it is missing");
    };
    let first = numbers.first().copied().unwrap_or_default();
    if !replay.is_whole() {
        return damaged(&Segment::name(first), 0, "entries are missing before it");
    }
    if next == first && 1 < first {
        return damaged(&Segment::name(first), 0, "all records are missing");
    }
    let snapshot = replay.known.snapshot.map(|it| it.load(disk, meta.incarnation)).transpose()?;
    let last_index = replay.last_index();
    let Replay { known, entries, .. } = replay;
    let saved = Saved { hard_state: known.hard_state.clone(), snapshot, entries };
    Ok(Recovered { saved, known, last_index, segments, tail, next, since_snapshot })
}

/// Whether a folder that does not say whose it is has anything of a server.
pub(super) fn has_data(disk: &impl Disk) -> Result<bool, OpenError> {
    let names = disk.list()?;
    if !numbers(&names, SNAPSHOT_ENDING).is_empty() {
        return Ok(true);
    }
    for first in numbers(&names, SEGMENT_ENDING) {
        // A folder whose making was interrupted has an empty segment.
        let name = Segment::name(first);
        let size = usize::try_from(disk.size(&name)?).unwrap_or(usize::MAX);
        if !is_zero(&disk.read(&name, 0, size)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The numbers in the names with that ending, in order.
pub(super) fn numbers(names: &[String], ending: &str) -> Vec<u64> {
    let number = |name: &String| {
        let digits = name.strip_suffix(ending)?;
        u64::from_str_radix(digits, 16).ok().filter(|number| format!("{number:016x}") == digits)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// The records of a segment, one after another.
struct Scan<'a> {
    name: &'a str,
    bytes: &'a [u8],
    key: Incarnation,
    /// The number of the next record.
    next: u64,
}

impl Scan<'_> {
    /// Reads all records. `each` gets the number of each, the space that it takes, and its content.
    fn run(
        &mut self,
        is_last: bool,
        mut each: impl FnMut(u64, usize, Change) -> Result<(), &'static str>,
    ) -> Result<Tail, OpenError> {
        let (mut at, mut last, mut known) = (0, None, None);
        while let Some(rest) = self.bytes.get(at..).filter(|rest| HEADER_BYTES <= rest.len()) {
            let header = Header::read(rest, self.next, self.key);
            let payload = header.and_then(|header| {
                let payload = rest.get(HEADER_BYTES..)?.get(..header.length)?;
                header.fits(payload).then_some(payload)
            });
            let Some(payload) = payload else {
                if let Some(flaw) = self.flaw(rest, at, is_last) {
                    return damaged(self.name, at as u64, flaw);
                }
                break;
            };
            let Some(change) = Change::read(payload, known.take()) else {
                return damaged(self.name, at as u64, "the content of a record is impossible");
            };
            known = Some(change.known.clone());
            let bytes = space(payload.len());
            if let Err(flaw) = each(self.next, bytes, change) {
                return damaged(self.name, at as u64, flaw);
            }
            last = Some(at);
            at += bytes;
            self.next += 1;
        }
        let behind = self.bytes.get(at..).unwrap_or_default();
        let torn = behind.iter().rposition(|byte| *byte != 0).map_or(0, |place| place + 1);
        let last = last.and_then(|place| Some((place, self.bytes.get(place..at)?.to_vec())));
        Ok(Tail { end: at, last, torn })
    }

    /// What is wrong with the rest of the segment, which does not begin with a record; `None` if the records end here,
    /// perhaps with one whose write was not finished. See the module's page.
    fn flaw(&self, rest: &[u8], at: usize, is_last: bool) -> Option<&'static str> {
        if is_zero(rest) {
            return None;
        }
        if !is_last {
            return Some("a record is damaged, although later ones were written");
        }
        let is_unfinished = match Header::read(rest, self.next, self.key) {
            // Nothing is written behind a record before its sync.
            Some(header) => rest.split_at_checked(HEADER_BYTES + header.length).is_some_and(
                |(record, behind)| is_partial(record, at % SECTOR_BYTES) && is_zero(behind),
            ),
            None => {
                let (header, behind) = rest.split_at(HEADER_BYTES);
                is_zero(behind) || (is_zero(header) && !self.has_record(behind))
            }
        };
        (!is_unfinished)
            .then_some("a record is damaged, and not because its write was not finished")
    }

    /// Whether a record with the next number or a later one begins in these bytes.
    fn has_record(&self, bytes: &[u8]) -> bool {
        let is_record = |bytes| Header::read_later(bytes, self.next, self.key).is_some();
        bytes.chunks(HEADER_BYTES).any(is_record)
    }
}
