//! The file map: which files exist, at which version, and which blocks they consist of.
//!
//! This is the state machine of §2 to which every server applies the committed log. It implements the version rule. It
//! knows nothing of Raft, calls or time, so equal logs give equal maps.

use std::sync::Arc;

mod hash_list;
mod leaves;

pub use hash_list::HashList;
pub use leaves::Leaf;
use leaves::{Leaves, Place};

/// The highest version of a file, because answers carry versions as `int`.
pub const VERSION_MAX: i64 = i32::MAX as i64;

/// The arguments of `updatefile`: from version `version` on, file `name` consists of the blocks `hashes`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Update {
    /// The file's name, compared byte for byte.
    pub name: Arc<str>,
    /// The requested version, which may be any number.
    pub version: i64,
    /// The hash list.
    pub hashes: HashList,
}

impl Update {
    /// The memory that the update takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Update>() + self.name.len() + self.hashes.packed().len()
    }
}

/// The file map, including tombstones.
///
/// A clone is a snapshot and is cheap: the map is copied on write. It shares with its snapshots everything except the
/// files updated since, and some files next to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Files {
    newest: Leaves,
    revision: u64,
}

impl Files {
    /// The file's version; 0 if the file has never existed.
    pub fn version(&self, name: &str) -> i64 {
        self.version_at(self.newest.place(name), name)
    }

    fn version_at(&self, place: Place, name: &str) -> i64 {
        self.newest.get(place, name).map_or(0, |newest| newest.version)
    }

    /// Applies the version rule: the update takes effect only if it asks for exactly the next version. Returns whether
    /// it did.
    ///
    /// A deletion is an ordinary update, so the versions of a file continue if it is deleted and created again.
    pub fn apply(&mut self, update: &Arc<Update>) -> bool {
        let place = self.newest.place(&update.name);
        let next = self.version_at(place, &update.name) + 1;
        if update.version != next || VERSION_MAX < next {
            return false;
        }
        self.newest.insert(place, Arc::clone(update));
        self.revision += 1;
        true
    }

    /// The number of updates that took effect. It identifies a state of one server's map.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of files that have ever existed.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// Whether no file has ever existed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest accepted update of every file, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Update> {
        self.leaves().flat_map(|leaf| leaf.iter())
    }

    /// The runs of files that make up the map, ordered by name. If a run has the same address as in a snapshot, it
    /// contains the same files.
    pub fn leaves(&self) -> impl Iterator<Item = &Arc<Leaf>> {
        self.newest.leaves()
    }

    /// The run with that number, counted from 0.
    pub fn leaf(&self, number: usize) -> Option<&Arc<Leaf>> {
        self.newest.leaf(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn update(name: &str, version: i64, hashes: &[Value]) -> Arc<Update> {
        let hashes = hashes.iter().cloned().collect();
        Arc::new(Update { name: name.into(), version, hashes })
    }

    #[test]
    fn an_update_takes_effect_only_at_exactly_the_next_version() {
        for (stored, asked, effect) in [
            (0, 1, true),
            (0, 0, false),
            (0, 2, false),
            (0, -1, false),
            (0, i64::MIN, false),
            (0, i64::MAX, false),
            (1, 1, false),
            (1, 2, true),
            (1, 3, false),
        ] {
            let mut files = Files::default();
            for version in 1..=stored {
                assert!(files.apply(&update("a.txt", version, &[])));
            }
            let before = files.clone();
            assert_eq!(files.apply(&update("a.txt", asked, &[])), effect, "{asked} after {stored}");
            assert_eq!(files != before, effect, "a refused update changes nothing");
        }
    }

    #[test]
    fn a_version_never_exceeds_what_an_answer_can_carry() {
        let mut files = Files::default();
        let place = files.newest.place("a.txt");
        files.newest.insert(place, update("a.txt", VERSION_MAX, &[]));
        assert!(!files.apply(&update("a.txt", VERSION_MAX + 1, &[])));
        assert_eq!(files.version("a.txt"), VERSION_MAX);
    }

    #[test]
    fn a_deleted_file_keeps_counting_when_it_is_created_again() {
        let mut files = Files::default();
        assert!(files.apply(&update("a.txt", 1, &["h1".into()])));
        assert!(files.apply(&update("a.txt", 2, &[0.into()])));
        assert!(!files.apply(&update("a.txt", 1, &["h2".into()])));
        assert!(files.apply(&update("a.txt", 3, &["h2".into()])));
        assert_eq!(
            files.iter().map(|file| &file.hashes).collect::<Vec<_>>(),
            [&["h2".into()].into()]
        );
    }

    #[test]
    fn names_are_compared_byte_for_byte() {
        let mut files = Files::default();
        for name in ["a", "A", " a", "a ", "", "\u{e4}", "a\u{308}"] {
            assert!(files.apply(&update(name, 1, &[])), "{name:?} is a separate file");
        }
        assert_eq!(files.len(), 7);
        assert_eq!(files.version("b"), 0);
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut files = Files::default();
        let before = files.clone();
        assert!(files.apply(&update("a", 1, &[])));
        assert!(before.is_empty());
        assert_eq!(files.version("a"), 1);
    }
}
