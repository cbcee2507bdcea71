//! The newest update of every file, in a copy-on-write structure: a few of many files can change while a snapshot of
//! all is held.
//!
//! The files are ordered by name, and a *leaf* is a run of them. Clones share all leaves. A change copies the leaf that
//! contains the file, and the list of leaves, but only those that are shared. So while a leaf is held, its address
//! identifies it: its content never changes. The division into leaves depends on the order in which the files were
//! added and changed and on their sizes, and does not affect equality.
//!
//! The module does not decide which updates are accepted.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Update, VERSION_MAX};

/// A leaf is split in two when it has this many files. If files are added in order, they leave half-full leaves behind,
/// at a cost of 19 bytes per file.
const LEAF_FILES_MAX: usize = 64;

/// A leaf of several files is split if they take more bytes than this, so that a leaf can be written in a
/// short time.
const LEAF_BYTES_MAX: usize = 64 << 10;

/// A run of files that are consecutive by name; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    files: Vec<Arc<Update>>,
    /// The memory that they take.
    bytes: usize,
}

impl Leaf {
    /// A leaf of these files; `None` if there are none, if they are not ordered by name or are too many, or if one has
    /// a version that no file can have.
    pub fn new(files: Vec<Arc<Update>>) -> Option<Leaf> {
        let may_exist = |file: &Arc<Update>| (1..=VERSION_MAX).contains(&file.version);
        let are_ordered = files.is_sorted_by(|one, next| one.name < next.name);
        let leaf = Leaf::of(files);
        let is_valid = are_ordered
            && !leaf.files.is_empty()
            && !leaf.is_full()
            && leaf.files.iter().all(may_exist);
        is_valid.then_some(leaf)
    }

    /// The newest accepted update of every file in it, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Update> {
        self.files.iter().map(|newest| &**newest)
    }

    /// The number of its files.
    #[expect(clippy::len_without_is_empty, reason = "no leaf is empty")]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The memory that its files take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The name of its first file.
    pub fn first_name(&self) -> &str {
        self.files.first().map_or("", |first| &first.name)
    }

    fn last_name(&self) -> &str {
        self.files.last().map_or("", |last| &last.name)
    }

    /// The position of the file, or where to insert it.
    fn position(&self, name: &str) -> usize {
        self.files.partition_point(|newest| &*newest.name < name)
    }

    fn of(files: Vec<Arc<Update>>) -> Leaf {
        let bytes = files.iter().map(|file| file.size()).sum();
        Leaf { files, bytes }
    }

    /// Whether it must be split.
    fn is_full(&self) -> bool {
        LEAF_FILES_MAX <= self.files.len() || (LEAF_BYTES_MAX < self.bytes && 1 < self.files.len())
    }

    /// Cuts off the second half of its files or, if it has few but large ones, of its bytes. Neither half is empty.
    fn split_off(&mut self) -> Leaf {
        let at = if LEAF_FILES_MAX <= self.files.len() {
            LEAF_FILES_MAX / 2
        } else {
            let mut before = 0;
            let is_beyond_half = |file: &Arc<Update>| {
                before += file.size();
                self.bytes / 2 < before
            };
            self.files.iter().position(is_beyond_half).unwrap_or_default()
        };
        let second = Leaf::of(self.files.split_off(at.clamp(1, self.files.len() - 1)));
        self.bytes -= second.bytes;
        second
    }
}

/// The newest update of every file.
#[derive(Clone, Default)]
pub(super) struct Leaves {
    leaves: Arc<Vec<Arc<Leaf>>>,
    /// The number of files.
    len: usize,
    /// The memory that they take.
    bytes: usize,
}

/// The position of a file, or where to insert it. It is looked up once, to read the file and to change it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    leaf: usize,
    at: usize,
}

impl Leaves {
    pub(super) fn place(&self, name: &str) -> Place {
        let begun = self.leaves.partition_point(|leaf| leaf.first_name() <= name);
        // A name before all others belongs to the first leaf as well.
        let leaf = begun.saturating_sub(1);
        Place { leaf, at: self.leaves.get(leaf).map_or(0, |leaf| leaf.position(name)) }
    }

    /// The newest update of the file at this place.
    pub(super) fn get(&self, place: Place, name: &str) -> Option<&Arc<Update>> {
        let newest = self.leaves.get(place.leaf)?.files.get(place.at)?;
        (&*newest.name == name).then_some(newest)
    }

    /// Replaces or inserts the update of the file at this place.
    pub(super) fn insert(&mut self, place: Place, update: Arc<Update>) {
        let leaves = Arc::make_mut(&mut self.leaves);
        self.bytes += update.size();
        let Some(leaf) = leaves.get_mut(place.leaf) else {
            leaves.push(Arc::new(Leaf::of(vec![update])));
            self.len += 1;
            return;
        };
        let leaf = Arc::make_mut(leaf);
        leaf.bytes += update.size();
        match leaf.files.get_mut(place.at).filter(|newest| newest.name == update.name) {
            Some(newest) => {
                leaf.bytes -= newest.size();
                self.bytes -= newest.size();
                *newest = update;
            }
            None => {
                leaf.files.insert(place.at, update);
                self.len += 1;
            }
        }
        split(leaves, place.leaf);
    }

    /// Adds a leaf. Returns whether its files come after all others; otherwise nothing changes.
    pub(super) fn push(&mut self, leaf: &Arc<Leaf>) -> bool {
        let follows = self.leaves.last().is_none_or(|last| last.last_name() < leaf.first_name());
        if follows {
            Arc::make_mut(&mut self.leaves).push(Arc::clone(leaf));
            self.len += leaf.len();
            self.bytes += leaf.bytes();
        }
        follows
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &Arc<Leaf>> {
        self.leaves.iter()
    }

    pub(super) fn leaf(&self, number: usize) -> Option<&Arc<Leaf>> {
        self.leaves.get(number)
    }

    pub(super) fn leaf_count(&self) -> usize {
        self.leaves.len()
    }

    fn updates(&self) -> impl Iterator<Item = &Arc<Update>> {
        self.leaves().flat_map(|leaf| &leaf.files)
    }
}

/// Splits the leaf with that number until no part of it is full.
fn split(leaves: &mut Vec<Arc<Leaf>>, number: usize) {
    let Some(leaf) = leaves.get_mut(number).filter(|leaf| leaf.is_full()) else { return };
    let second = Arc::make_mut(leaf).split_off();
    leaves.insert(number + 1, Arc::new(second));
    split(leaves, number + 1);
    split(leaves, number);
}

impl PartialEq for Leaves {
    fn eq(&self, other: &Leaves) -> bool {
        Arc::ptr_eq(&self.leaves, &other.leaves)
            || (self.len == other.len && self.updates().eq(other.updates()))
    }
}

impl Eq for Leaves {}

impl Hash for Leaves {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        self.updates().for_each(|update| update.hash(state));
    }
}

impl fmt::Debug for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.updates().map(|update| (&update.name, update))).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hash::DefaultHasher;

    use super::*;

    fn update(file: usize, version: i64) -> Arc<Update> {
        Arc::new(Update { name: format!("{file:04}").into(), version, hashes: [].into() })
    }

    fn insert(leaves: &mut Leaves, update: Arc<Update>) {
        leaves.insert(leaves.place(&update.name), update);
    }

    fn get<'l>(leaves: &'l Leaves, name: &str) -> Option<&'l Arc<Update>> {
        leaves.get(leaves.place(name), name)
    }

    /// The numbers below 1000, each once: ascending, descending, and shuffled.
    fn orders() -> [Vec<usize>; 3] {
        [
            (0..1000).collect(),
            (0..1000).rev().collect(),
            (0..1000).map(|turn| turn * 617 % 1000).collect(),
        ]
    }

    fn of(files: &[usize]) -> Leaves {
        let mut leaves = Leaves::default();
        files.iter().for_each(|file| insert(&mut leaves, update(*file, 1)));
        leaves
    }

    fn hash_of(leaves: &Leaves) -> u64 {
        let mut hasher = DefaultHasher::new();
        leaves.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn in_whatever_order_files_come_they_are_found_and_stand_as_in_a_map() {
        for order in orders() {
            let (mut leaves, mut map) = (Leaves::default(), BTreeMap::new());
            for (version, file) in (1..).zip(order.iter().chain(&order[..500])) {
                let update = update(*file, version);
                assert_eq!(
                    get(&leaves, &update.name),
                    map.insert(update.name.clone(), update.clone()).as_ref()
                );
                insert(&mut leaves, Arc::clone(&update));
                assert_eq!(get(&leaves, &update.name), Some(&update));
                assert_eq!(leaves.len(), map.len());
            }
            assert!(leaves.updates().eq(map.values()));
            assert_eq!(get(&leaves, "0500a"), None);
        }
    }

    #[test]
    fn every_leaf_is_at_least_half_full_and_none_is_full() {
        let sizes = LEAF_FILES_MAX / 2..LEAF_FILES_MAX;
        for order in orders() {
            assert!(of(&order).leaves().all(|leaf| sizes.contains(&leaf.files.len())));
        }
    }

    #[test]
    fn a_leaf_of_several_files_has_no_more_bytes_than_it_may() {
        for order in orders() {
            let mut leaves = Leaves::default();
            for (turn, file) in order.iter().enumerate() {
                let large = if file % 40 == 0 { 100_000 } else { 5_000 };
                let hash = "h".repeat([10, 100, large][turn % 3]);
                let hashes = [hash.as_str().into()].into();
                insert(&mut leaves, Arc::new(Update { hashes, ..(*update(*file, 1)).clone() }));
                if turn % 7 == 0 {
                    // Its leaf has fewer bytes again.
                    insert(&mut leaves, update(*file, 2));
                }
            }
            assert_eq!(leaves.updates().count(), 1000);
            assert_eq!(leaves.bytes(), leaves.updates().map(|it| it.size()).sum::<usize>());
            for leaf in leaves.leaves() {
                assert_eq!(leaf.bytes, leaf.iter().map(Update::size).sum::<usize>());
                assert!(leaf.bytes <= LEAF_BYTES_MAX || leaf.files.len() == 1, "{}", leaf.bytes);
            }
            let count = leaves.leaves().count();
            assert!(count < 200, "{count} leaves for 1000 files, most of which are small");
        }
    }

    #[test]
    fn files_from_elsewhere_make_a_leaf_only_if_a_map_can_have_it() {
        let of = |files: &[(usize, i64)]| {
            Leaf::new(files.iter().map(|(file, version)| update(*file, *version)).collect())
        };
        let most: Vec<_> = (0..LEAF_FILES_MAX).map(|file| (file, 1)).collect();
        for files in [&[(1, 1)][..], &[(1, 7), (2, VERSION_MAX)], &most[1..]] {
            assert_eq!(of(files).map(|leaf| leaf.len()), Some(files.len()));
        }
        let impossible = [
            &[][..],
            &[(2, 1), (1, 1)],
            &[(1, 1), (1, 2)],
            &[(1, 0)],
            &[(1, -1)],
            &[(1, VERSION_MAX + 1)],
            &most,
        ];
        for files in impossible {
            assert_eq!(of(files), None, "{files:?}");
        }
        let large = |file| {
            let hashes = ["h".repeat(LEAF_BYTES_MAX).as_str().into()].into();
            Arc::new(Update { hashes, ..(*update(file, 1)).clone() })
        };
        assert!(Leaf::new(vec![large(1)]).is_some());
        assert_eq!(Leaf::new(vec![large(1), large(2)]), None);
    }

    #[test]
    fn the_same_files_are_equal_however_they_are_divided() {
        let [upwards, downwards, disorder] = orders().map(|order| of(&order));
        let sizes =
            |leaves: &Leaves| leaves.leaves().map(|leaf| leaf.files.len()).collect::<Vec<_>>();
        assert_ne!(sizes(&upwards), sizes(&disorder), "they are split differently");
        for other in [downwards, disorder] {
            assert_eq!(other, upwards);
            assert_eq!(hash_of(&other), hash_of(&upwards));
        }
        let mut newer = upwards.clone();
        insert(&mut newer, update(500, 2));
        assert_ne!(newer, upwards);
        assert_ne!(of(&[1, 2]), of(&[1, 3]));
        assert_ne!(of(&[1, 2]), of(&[1, 2, 3]));
    }

    #[test]
    fn a_change_leaves_a_snapshot_as_it_was_and_copies_one_leaf() {
        let mut leaves = of(&orders()[0]);
        let snapshot = leaves.clone();
        insert(&mut leaves, update(500, 2));
        assert_eq!(get(&snapshot, "0500"), Some(&update(500, 1)));
        assert_eq!(get(&leaves, "0500"), Some(&update(500, 2)));
        let pairs = snapshot.leaves().zip(leaves.leaves());
        assert_eq!(pairs.filter(|(before, now)| !Arc::ptr_eq(before, now)).count(), 1);
        assert_eq!(snapshot.leaves().count(), leaves.leaves().count());
    }

    #[test]
    fn nothing_is_copied_while_there_is_no_snapshot() {
        let mut leaves = of(&orders()[0]);
        let before = leaves.leaves().map(Arc::as_ptr).collect::<Vec<_>>();
        insert(&mut leaves, update(500, 2));
        assert_eq!(leaves.leaves().map(Arc::as_ptr).collect::<Vec<_>>(), before);
    }
}
