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
    /// What sharing and the allocator add to an update: reference counts of two words for it and for its name, and a
    /// header of one word for each of three allocations, which are rounded up to an even number of words.
    const OVERHEAD: usize = size_of::<usize>() * (2 * 2 + 3 + 3);

    /// The memory that the update takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Update>() + Update::OVERHEAD + self.name.len() + self.hashes.packed().len()
    }
}

/// The file map, including tombstones.
///
/// A clone is a snapshot and is cheap: the map is copied on write. It shares with its snapshots everything except the
/// files updated since, and some files next to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Files {
    newest: Leaves,
    /// The sum of the versions of all files.
    revision: u64,
}

impl Files {
    /// The file's version; 0 if the file has never existed.
    pub fn version(&self, name: &str) -> i64 {
        self.version_at(self.newest.place(name), name)
    }

    /// The newest accepted update of the file, if it has ever existed.
    pub fn newest(&self, name: &str) -> Option<&Update> {
        self.newest.get(self.newest.place(name), name).map(|newest| &**newest)
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

    /// The number of updates that took effect, which is the sum of the versions. It identifies a state of the map,
    /// because all servers apply the same updates in the same order.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of files that have ever existed.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// The memory that the newest updates of all files take, in bytes.
    pub fn bytes(&self) -> usize {
        self.newest.bytes()
    }

    /// Whether no file has ever existed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest accepted update of every file, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Update> {
        self.leaves().flat_map(|leaf| leaf.iter())
    }

    /// The leaves that make up the map, ordered by name. If a leaf has the same address as in a snapshot, it contains
    /// the same files.
    pub fn leaves(&self) -> impl Iterator<Item = &Arc<Leaf>> {
        self.newest.leaves()
    }

    /// The leaf with that number, counted from 0.
    pub fn leaf(&self, number: usize) -> Option<&Arc<Leaf>> {
        self.newest.leaf(number)
    }

    /// The number of leaves.
    pub fn leaf_count(&self) -> usize {
        self.newest.leaf_count()
    }

    /// Adds the next leaf of another map. Returns whether its files come after all others; otherwise nothing changes.
    pub fn push_leaf(&mut self, leaf: &Arc<Leaf>) -> bool {
        let follows = self.newest.push(leaf);
        if follows {
            self.revision += leaf.iter().map(|newest| newest.version.unsigned_abs()).sum::<u64>();
        }
        follows
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
    fn a_map_made_of_the_leaves_of_another_is_equal_to_it_and_lives_on() {
        let mut files = Files::default();
        for turn in 0..1000 {
            let name = format!("{:03}", turn * 617 % 500);
            assert!(files.apply(&update(&name, files.version(&name) + 1, &["h".into()])));
        }
        let mut copy = Files::default();
        assert!(files.leaves().all(|leaf| copy.push_leaf(leaf)));
        assert_eq!((&copy, copy.revision(), copy.bytes()), (&files, 1000, files.bytes()));
        for map in [&mut copy, &mut files] {
            assert!(map.apply(&update("007", 3, &["other".into()])));
        }
        assert_eq!(copy, files);
    }

    #[test]
    fn a_leaf_whose_files_do_not_follow_is_not_added() {
        let map = |names: &[&str]| {
            let mut files = Files::default();
            names.iter().for_each(|name| _ = files.apply(&update(name, 1, &[])));
            files
        };
        let mut files = map(&["b", "d"]);
        let before = files.clone();
        for names in [["a", "b"], ["c", "e"], ["d", "e"]] {
            assert!(!files.push_leaf(map(&names).leaf(0).unwrap()), "{names:?}");
            assert_eq!(files, before);
        }
        assert!(files.push_leaf(map(&["e"]).leaf(0).unwrap()));
        assert_eq!(files, map(&["b", "d", "e"]));
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
