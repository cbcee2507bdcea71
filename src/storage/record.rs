//! A record: one change of the persistent state, as bytes.
//!
//! | Bytes | Content |
//! |---|---|
//! | 4 | the length of the payload |
//! | 4 | the lower half of the record's number |
//! | 4 | CRC-32C of the payload |
//! | 4 | CRC-32C of the twelve bytes before it, the record's whole number, and the incarnation that the folder was made with |
//! | … | the payload: flags, the parts that they announce, the commit index, the first index, the number of entries, the entries, [`END`] |
//! | … | zeros up to the next multiple of 16 |
//!
//! Records begin at multiples of 16, so that the header is within one sector. The parts are the incarnation and the
//! members that are gone, the term and the vote, and the snapshot in force. A record has only the parts that differ
//! from the record before it, but the first of a segment has all of them.
//!
//! No sector of a record is all zeros, so that a sector that is shows that it was not written. If the payload would
//! have one, it is masked: all of it but the flags and the end is combined by exclusive or with eight bytes, which
//! follow the flags.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codec::{Reader, put_number, put_roster, put_update, signed, unsigned};
use super::snapshot_file::SnapshotRef;
use crate::raft::{Command, Entry, HardState, Incarnation, LogIndex, Member, ServerId, Term};

/// The size of the header, and what a record's place is a multiple of, in bytes.
pub(super) const HEADER_BYTES: usize = 16;

/// The disk writes this many bytes, at multiples of it, as a whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

/// The last byte of a payload. No single flipped bit makes it 0.
const END: u8 = 0xFF;

/// Every payload has this flag, so that its first byte is not 0.
const ALWAYS: u8 = 1 << 7;
/// The payload is masked.
const MASKED: u8 = 1 << 0;
/// The record has the incarnation, and the members that are gone.
const LIFE: u8 = 1 << 1;
/// The record has the term and the vote.
const BALLOT: u8 = 1 << 2;
/// The record has the snapshot in force.
const SNAPSHOT: u8 = 1 << 3;
/// The snapshot replaces the whole log.
const REPLACES: u8 = 1 << 4;

const MASK_BYTES: usize = 8;

/// What a record need not repeat, because the record before it has said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) hard_state: HardState,
    /// The snapshot that the log continues.
    pub(super) snapshot: Option<SnapshotRef>,
}

/// A change of the persistent state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What is known after it.
    pub(super) known: Known,
    /// Whether its snapshot replaces the whole log, not only the entries that led to it.
    pub(super) replaces: bool,
    /// `entries` replace this entry and all after it.
    pub(super) first: LogIndex,
    pub(super) entries: Vec<Entry>,
}

/// The header of a record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The length of the payload, in bytes.
    pub(super) length: usize,
    crc: u32,
}

/// The space that a payload of this length takes with its header, in bytes.
pub(super) fn space(length: usize) -> usize {
    (HEADER_BYTES + length).next_multiple_of(HEADER_BYTES)
}

impl Change {
    /// The whole record with that number, to be written at an offset of which `at` is the place in its sector. `before`
    /// is what the record before it has said; `None` if this is the first of a segment. `None` is the result if it is
    /// too long.
    pub(super) fn record(
        &self,
        number: u64,
        key: Incarnation,
        before: Option<&Known>,
        at: usize,
    ) -> Option<Vec<u8>> {
        let mut record = vec![0; HEADER_BYTES];
        self.put_payload(&mut record, before);
        mask(&mut record, at);
        let payload = record.get(HEADER_BYTES..).unwrap_or_default();
        let length = u32::try_from(payload.len()).ok()?;
        let header = header_bytes(length, number, crc32c::crc32c(payload), key);
        record.resize(space(payload.len()), 0);
        record.first_chunk_mut().map(|place| *place = header)?;
        Some(record)
    }

    fn put_payload(&self, out: &mut Vec<u8>, before: Option<&Known>) {
        let Change { known: Known { hard_state, snapshot }, replaces, first, entries } = self;
        let differs = |part: fn(&HardState, &HardState) -> bool| {
            before.is_none_or(|before| part(&before.hard_state, hard_state))
        };
        let has_life = differs(|before, now| {
            (before.incarnation, &before.gone) != (now.incarnation, &now.gone)
        });
        let has_ballot = differs(|before, now| {
            (before.current_term, before.voted_for) != (now.current_term, now.voted_for)
        });
        let has_snapshot = before.is_none_or(|before| before.snapshot != *snapshot);
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = ALWAYS
            | flag(has_life, LIFE)
            | flag(has_ballot, BALLOT)
            | flag(has_snapshot, SNAPSHOT)
            | flag(*replaces, REPLACES);
        out.push(flags);
        if has_life {
            put_number(out, hard_state.incarnation.0);
            put_number(out, hard_state.gone.len() as u64);
            hard_state.gone.iter().for_each(|member| put_member(out, *member));
        }
        if has_ballot {
            put_number(out, hard_state.current_term.0);
            put_number(out, u64::from(hard_state.voted_for.is_some()));
            hard_state.voted_for.iter().for_each(|member| put_member(out, *member));
        }
        if has_snapshot {
            put_number(out, u64::from(snapshot.is_some()));
            snapshot.iter().for_each(|snapshot| snapshot.put(out));
        }
        put_number(out, hard_state.commit_index.0);
        put_number(out, first.0);
        put_number(out, entries.len() as u64);
        let mut term = Term::default();
        for entry in entries {
            put_entry(out, entry, term);
            term = entry.term;
        }
        out.push(END);
    }

    /// The change in a payload. `before` is as in [`record`](Change::record). `None` is the result if it is not valid.
    pub(super) fn read(payload: &[u8], before: Option<Known>) -> Option<Change> {
        let [flags, content @ .., END] = payload else { return None };
        if flags & ALWAYS == 0 {
            return None;
        }
        if flags & MASKED != 0 {
            let (mask, masked) = content.split_first_chunk::<MASK_BYTES>()?;
            let mut content = masked.to_vec();
            apply(&mut content, *mask);
            return Change::read_parts(*flags, Reader(&content), before);
        }
        Change::read_parts(*flags, Reader(content), before)
    }

    fn read_parts(flags: u8, mut reader: Reader<'_>, before: Option<Known>) -> Option<Change> {
        let all = LIFE | BALLOT | SNAPSHOT;
        if before.is_none() && flags & all != all {
            return None;
        }
        let mut known = before.unwrap_or_else(|| Known {
            hard_state: HardState::new(Incarnation(0)),
            snapshot: None,
        });
        let hard_state = &mut known.hard_state;
        if flags & LIFE != 0 {
            hard_state.incarnation = Incarnation(reader.number()?);
            let count = reader.number()?;
            let gone = (0..count).map(|_| member(&mut reader)).collect::<Option<BTreeSet<_>>>()?;
            hard_state.gone = gone;
        }
        if flags & BALLOT != 0 {
            hard_state.current_term = Term(reader.number()?);
            hard_state.voted_for = optional(&mut reader, member)?;
        }
        if flags & SNAPSHOT != 0 {
            known.snapshot = optional(&mut reader, SnapshotRef::read)?;
        }
        hard_state.commit_index = LogIndex(reader.number()?);
        let first = LogIndex(reader.number()?);
        let count = reader.number()?;
        let mut term = Term::default();
        let next = |_| {
            let entry = entry(&mut reader, term)?;
            term = entry.term;
            Some(entry)
        };
        let entries = (0..count).map(next).collect::<Option<_>>()?;
        let replaces = flags & REPLACES != 0;
        reader.is_at_end().then_some(Change { known, replaces, first, entries })
    }
}

impl Header {
    /// The header in the first bytes, if it is that of the record with that number.
    pub(super) fn read(bytes: &[u8], number: u64, key: Incarnation) -> Option<Header> {
        let mut reader = Reader(bytes.first_chunk::<HEADER_BYTES>()?);
        let length = u32::from_le_bytes(reader.array()?);
        let _number = reader.array::<4>()?;
        let crc = u32::from_le_bytes(reader.array()?);
        let header = Header { length: usize::try_from(length).ok()?, crc };
        bytes.starts_with(&header_bytes(length, number, crc, key)).then_some(header)
    }

    /// The header in the first bytes, if it is that of any record with that number or a later one.
    pub(super) fn read_later(bytes: &[u8], number: u64, key: Incarnation) -> Option<Header> {
        let lower = bytes.get(4..8)?.first_chunk().map(|lower| u32::from_le_bytes(*lower))?;
        let ahead = lower.wrapping_sub(number as u32);
        Header::read(bytes, number.checked_add(ahead.into())?, key)
    }

    /// Whether this is the payload.
    pub(super) fn fits(self, payload: &[u8]) -> bool {
        payload.len() == self.length && crc32c::crc32c(payload) == self.crc
    }
}

fn header_bytes(length: u32, number: u64, crc: u32, key: Incarnation) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let parts = [length, number as u32, crc];
    let bytes = parts.into_iter().flat_map(u32::to_le_bytes);
    header.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    let mut check = crc32c::crc32c(&header[..12]);
    for further in [number, key.0] {
        check = crc32c::crc32c_append(check, &further.to_le_bytes());
    }
    header[12..].copy_from_slice(&check.to_le_bytes());
    header
}

/// Masks the payload of a record at `at` in its sector if one of the record's sectors would be all zeros.
fn mask(record: &mut Vec<u8>, at: usize) {
    if !sectors(record, at).any(is_zero) {
        return;
    }
    let flags = HEADER_BYTES;
    record[flags] |= MASKED;
    record.splice(flags + 1..flags + 1, [0; MASK_BYTES]);
    // A sector becomes all zeros only if it is the mask over and over. There are more masks than sectors.
    let repeats = |sector: &[u8]| {
        let word = *sector.first_chunk::<MASK_BYTES>()?;
        sector.chunks(MASK_BYTES).all(|chunk| chunk == word).then_some(u64::from_le_bytes(word))
    };
    let taken: BTreeSet<u64> = sectors(record, at).filter_map(repeats).collect();
    let mask = (1..).find(|mask| !taken.contains(mask)).unwrap_or(1).to_le_bytes();
    let (begin, end) = (flags + 1 + MASK_BYTES, record.len() - 1);
    record[flags + 1..begin].copy_from_slice(&mask);
    apply(&mut record[begin..end], mask);
}

/// Combines the content after the flags and the mask with the mask. Eight bytes of it that begin at a multiple of eight
/// in the file meet the mask from its first byte on.
fn apply(content: &mut [u8], mask: [u8; MASK_BYTES]) {
    let turned = mask.iter().cycle().skip(1);
    content.iter_mut().zip(turned).for_each(|(byte, mask)| *byte ^= mask);
}

/// The parts of a record in each sector, except those in the sector with its header: that one is written as a whole.
fn sectors(record: &[u8], at: usize) -> impl Iterator<Item = &[u8]> {
    let first = SECTOR_BYTES - at % SECTOR_BYTES;
    record.get(first..).unwrap_or_default().chunks(SECTOR_BYTES)
}

/// Whether the record, from its header to the end of its payload, has a sector that was not written, or ends before its
/// time. `at` is the place of its header in its sector.
pub(super) fn is_partial(record: &[u8], at: usize) -> bool {
    record.last() == Some(&0) || sectors(record, at).any(is_zero)
}

/// Whether all bytes are 0.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn put_member(out: &mut Vec<u8>, member: Member) {
    out.push(member.id.0);
    put_number(out, member.incarnation.0);
}

fn member(reader: &mut Reader<'_>) -> Option<Member> {
    Some(Member { id: ServerId(reader.byte()?), incarnation: Incarnation(reader.number()?) })
}

/// What may be absent follows a 1, and 0 stands for its absence.
fn optional<T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Option<Option<T>> {
    match reader.number()? {
        0 => Some(None),
        1 => read(reader).map(Some),
        _ => None,
    }
}

/// Appends an entry. Its term is relative to that of the entry before it, and its lowest bit says whether it is a
/// roster.
fn put_entry(out: &mut Vec<u8>, entry: &Entry, term: Term) {
    let ahead = unsigned(entry.term.0.wrapping_sub(term.0).cast_signed()) << 1;
    match &entry.command {
        Command::Update(update) => {
            put_number(out, ahead);
            put_update(out, update);
        }
        Command::Roster(roster) => {
            put_number(out, ahead | 1);
            put_roster(out, roster);
        }
    }
}

fn entry(reader: &mut Reader<'_>, term: Term) -> Option<Entry> {
    let ahead = reader.number()?;
    let command = match ahead & 1 {
        0 => Command::Update(Arc::new(reader.update()?)),
        _ => Command::Roster(Arc::new(reader.roster()?)),
    };
    let term = Term(term.0.wrapping_add(signed(ahead >> 1).cast_unsigned()));
    Some(Entry { term, command })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Update;
    use crate::value::Value;

    const KEY: Incarnation = Incarnation(7);

    fn change(name: &str, content: Vec<u8>) -> Change {
        let hashes = [Value::Base64(content.into())].into();
        let update = Update { name: name.into(), version: 1, hashes };
        let entries = vec![Entry { term: Term(1), command: Command::Update(Arc::new(update)) }];
        let known = Known { hard_state: HardState::new(KEY), snapshot: None };
        Change { known, replaces: false, first: LogIndex(1), entries }
    }

    #[test]
    fn no_record_has_a_sector_of_zeros_wherever_it_begins_and_whatever_it_contains() {
        // Sectors of zeros, and sectors that the masks tried first would make zeros.
        let words = (0..4_u64).flat_map(|word| [word.to_le_bytes(); 2 * SECTOR_BYTES / 8]);
        let content: Vec<u8> = words.flatten().collect();
        for (at, shift) in (0..SECTOR_BYTES)
            .step_by(HEADER_BYTES)
            .flat_map(|at| (0..8).map(move |shift| (at, shift)))
        {
            let change = change(&"n".repeat(shift), content.clone());
            let record = change.record(9, KEY, None, at).unwrap();
            let header = Header::read(&record, 9, KEY).unwrap();
            let written = &record[..HEADER_BYTES + header.length];
            assert!(!is_partial(written, at), "at {at}, shifted by {shift}");
            assert_eq!(Change::read(&written[HEADER_BYTES..], None), Some(change));
        }
    }

    #[test]
    fn a_header_is_that_of_its_record_alone() {
        let record = change("a", Vec::new()).record(1 << 40, KEY, None, 0).unwrap();
        assert!(Header::read(&record, 1 << 40, KEY).is_some());
        assert!(Header::read_later(&record, (1 << 40) - 5, KEY).is_some());
        for number in [(1 << 40) + 1, 1 << 41, 0] {
            assert_eq!(Header::read(&record, number, KEY), None);
        }
        assert_eq!(Header::read_later(&record, (1 << 40) + 1, KEY), None);
        assert_eq!(Header::read(&record, 1 << 40, Incarnation(8)), None);
    }
}
