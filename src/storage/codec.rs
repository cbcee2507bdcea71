//! Numbers, updates and rosters as bytes.
//!
//! A number takes seven bits of a byte, the lowest first; the eighth bit says that more follow. A text, a hash list and
//! whatever else has a length follows its length.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metadata::{HashList, Leaf, Update};
use crate::raft::{Incarnation, Roster, ServerId};

/// Appends a number.
pub(super) fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut left = number;
    while 0x80 <= left {
        out.push((left & 0x7F) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// A number with a sign as one in which the sign is the lowest bit, so that small ones stay small.
pub(super) fn unsigned(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The number that [`unsigned`] makes this of.
pub(super) fn signed(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Appends an update: its version, its name, and its hash list as it is packed.
pub(super) fn put_update(out: &mut Vec<u8>, update: &Update) {
    put_number(out, unsigned(update.version));
    put_number(out, update.name.len() as u64);
    out.extend_from_slice(update.name.as_bytes());
    let hashes = update.hashes.packed();
    put_number(out, hashes.len() as u64);
    out.extend_from_slice(hashes);
}

/// Appends a roster: its history and its members.
pub(super) fn put_roster(out: &mut Vec<u8>, roster: &Roster) {
    put_number(out, roster.history.0);
    put_number(out, roster.members.len() as u64);
    for (id, incarnation) in &roster.members {
        out.push(id.0);
        put_number(out, incarnation.0);
    }
}

/// Appends a leaf: the number of its files, and their newest updates.
pub(super) fn put_leaf(out: &mut Vec<u8>, leaf: &Leaf) {
    put_number(out, leaf.len() as u64);
    leaf.iter().for_each(|newest| put_update(out, newest));
}

/// Reads values one after another. `None` means that the bytes are not valid.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Bytes after their length.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn update(&mut self) -> Option<Update> {
        let version = signed(self.number()?);
        let name = str::from_utf8(self.bytes()?).ok()?.into();
        Some(Update { name, version, hashes: HashList::unpack(self.bytes()?.into())? })
    }

    pub(super) fn roster(&mut self) -> Option<Roster> {
        let history = Incarnation(self.number()?);
        let count = self.number()?;
        let member = |_| Some((ServerId(self.byte()?), Incarnation(self.number()?)));
        let members: BTreeMap<_, _> = (0..count).map(member).collect::<Option<_>>()?;
        Some(Roster { history, members })
    }

    pub(super) fn leaf(&mut self) -> Option<Leaf> {
        let count = self.number()?;
        Leaf::new((0..count).map(|_| self.update().map(Arc::new)).collect::<Option<_>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_version_is_read_as_it_was_written() {
        let edges = (0..u64::BITS).flat_map(|bit| [(1 << bit) - 1, 1 << bit]).chain([u64::MAX]);
        for number in edges {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(Reader(&bytes).number(), Some(number));
            let version = number.cast_signed();
            let update = Update { name: "a".into(), version, hashes: ["h".into()].into() };
            let mut bytes = Vec::new();
            put_update(&mut bytes, &update);
            assert_eq!(Reader(&bytes).update(), Some(update));
        }
    }
}
