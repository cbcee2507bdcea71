//! Entries of the log, and leaves of the map, as bytes: the form in which servers send them to each other.
//!
//! Each is a packed list (see [`Packer`]):
//!
//! | What | List |
//! |---|---|
//! | an entry with a roster | term, history, \[id, incarnation, id, incarnation, …\] |
//! | an entry with an update | term, \[name, version, hash list\], where the hash list is bytes: itself a packed list or scalar |
//! | a leaf | the newest update of each of its files, as in an entry |
//!
//! The bytes may be untrusted. Whatever is unpacked is something that a correct server can have: numbers are at most
//! 2^53, a roster names no server twice, an update is one that a client can have made, and a leaf is one that a map can
//! have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{NAME_BYTES_MAX, UPDATE_BYTES_MAX};
use crate::metadata::{HashList, Leaf, Update};
use crate::raft::{Command, Entry, Incarnation, NUMBER_MAX, Roster, ServerId, Term};
use crate::value::{Next, Packer, Unpacker};

/// Packs an entry after what is packed already.
pub fn pack(packer: &mut Packer, entry: &Entry) {
    match &entry.command {
        Command::Roster(roster) => {
            packer.array(3);
            packer.int(int(entry.term.0));
            pack_roster(packer, roster);
        }
        Command::Update(update) => {
            packer.array(2);
            packer.int(int(entry.term.0));
            pack_update(packer, update);
        }
    }
}

/// Packs the two parts of a roster, its history and its members.
pub(super) fn pack_roster(packer: &mut Packer, roster: &Roster) {
    packer.int(int(roster.history.0));
    packer.array(2 * roster.members.len());
    for (id, incarnation) in &roster.members {
        packer.int(id.0.into());
        packer.int(int(incarnation.0));
    }
}

fn pack_update(packer: &mut Packer, update: &Update) {
    packer.array(3);
    packer.string(&update.name);
    packer.int(update.version);
    packer.bytes(update.hashes.packed());
}

/// Packs a leaf of the map.
pub fn pack_leaf(packer: &mut Packer, leaf: &Leaf) {
    packer.array(leaf.len());
    leaf.iter().for_each(|newest| pack_update(packer, newest));
}

/// Unpacks the next leaf; `None` if the next bytes are not one.
pub fn unpack_leaf(unpacker: &mut Unpacker<'_>) -> Option<Leaf> {
    let Next::Array(count) = unpacker.next()? else { return None };
    Leaf::new((0..count).map(|_| unpack_update(unpacker).map(Arc::new)).collect::<Option<_>>()?)
}

/// Unpacks the next entry; `None` if the next bytes are not one.
pub fn unpack(unpacker: &mut Unpacker<'_>) -> Option<Entry> {
    let Next::Array(parts) = unpacker.next()? else { return None };
    let term = Term(natural(unpacker)?);
    let command = match parts {
        3 => Command::Roster(Arc::new(unpack_roster(unpacker)?)),
        2 => Command::Update(Arc::new(unpack_update(unpacker)?)),
        _ => return None,
    };
    Some(Entry { term, command })
}

/// Unpacks the two parts of a roster.
pub(super) fn unpack_roster(unpacker: &mut Unpacker<'_>) -> Option<Roster> {
    let history = Incarnation(natural(unpacker)?);
    let Next::Array(count) = unpacker.next()? else { return None };
    let mut members = BTreeMap::new();
    for _ in 0..count / 2 {
        let id = ServerId(u8::try_from(natural(unpacker)?).ok()?);
        members.insert(id, Incarnation(natural(unpacker)?));
    }
    // Refuses half a member, and a duplicate.
    (members.len() as u64 * 2 == count).then_some(Roster { history, members })
}

/// An update that a client can have made, because this server may have to send it to others and to answer with it.
fn unpack_update(unpacker: &mut Unpacker<'_>) -> Option<Update> {
    let Next::Array(3) = unpacker.next()? else { return None };
    let (Next::String(name), Next::Int(version)) = (unpacker.next()?, unpacker.next()?) else {
        return None;
    };
    let Next::Bytes(hashes) = unpacker.next()? else { return None };
    // No value takes more bytes packed than written as XML.
    if NAME_BYTES_MAX < name.len() || UPDATE_BYTES_MAX < hashes.len() {
        return None;
    }
    Some(Update { name: name.into(), version, hashes: HashList::unpack(hashes.into())? })
}

/// A term, an index, an incarnation or a counter, to be packed as an `int`.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).expect("bug: terms, indexes and counters stay within 2^53")
}

/// Unpacks a term, an index, an incarnation or a counter.
pub(super) fn natural(unpacker: &mut Unpacker<'_>) -> Option<u64> {
    match unpacker.next()? {
        Next::Int(number) => u64::try_from(number).ok().filter(is_number),
        _ => None,
    }
}

pub(super) fn is_number(number: &u64) -> bool {
    *number <= NUMBER_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> [Entry; 4] {
        let members = [(0, 100), (255, NUMBER_MAX)];
        let members = members.map(|(id, incarnation)| (ServerId(id), Incarnation(incarnation)));
        let roster =
            |members| Command::Roster(Arc::new(Roster { history: Incarnation(7), members }));
        let update = |name: &str, version, hashes| {
            Command::Update(Arc::new(Update { name: name.into(), version, hashes }))
        };
        [
            Entry { term: Term(0), command: roster(BTreeMap::new()) },
            Entry { term: Term(NUMBER_MAX), command: roster(members.into()) },
            Entry { term: Term(1), command: update("", i64::MIN, HashList::default()) },
            Entry { term: Term(2), command: update("漢", 3, ["h".into(), 1.into()].into()) },
        ]
    }

    fn packed(entry: &Entry) -> Vec<u8> {
        let mut packer = Packer::with_capacity(0);
        pack(&mut packer, entry);
        packer.into_bytes()
    }

    #[test]
    fn entries_one_after_another_are_unpacked_as_they_were_packed() {
        let bytes = entries().each_ref().map(packed).concat();
        let mut unpacker = Unpacker::new(&bytes);
        for entry in entries() {
            assert_eq!(unpack(&mut unpacker), Some(entry));
        }
        assert!(unpacker.is_at_end());
        assert_eq!(unpack(&mut unpacker), None);
    }

    #[test]
    fn part_of_an_entry_is_none() {
        for entry in entries() {
            let packed = packed(&entry);
            for length in 0..packed.len() {
                assert_eq!(unpack(&mut Unpacker::new(&packed[..length])), None, "{entry:?}");
            }
        }
    }

    /// No bytes make it fail.
    #[test]
    fn whatever_is_unpacked_from_changed_bytes_is_an_entry() {
        for entry in entries() {
            let whole = packed(&entry);
            for (place, byte) in
                (0..whole.len()).flat_map(|place| (0..=255).map(move |byte| (place, byte)))
            {
                let mut changed = whole.clone();
                changed[place] = byte;
                if let Some(entry) = unpack(&mut Unpacker::new(&changed)) {
                    assert_eq!(unpack(&mut Unpacker::new(&packed(&entry))), Some(entry));
                }
            }
        }
    }
}
