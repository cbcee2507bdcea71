//! Numbering: a hash table from 64-bit keys to numbers, and values that are identified by their numbers.
//!
//! The library's hash maps are not used in this project, because their iteration order differs from run to run. This
//! one is never iterated, and its hash function has fixed keys: every run is the same.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A number in an empty slot.
const NONE: u32 = u32::MAX;

/// Numbers by key: open addressing, at most three quarters full, twelve bytes a slot.
pub(crate) struct Table {
    keys: Vec<u64>,
    numbers: Vec<u32>,
    len: usize,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table { keys: vec![0; 1024], numbers: vec![NONE; 1024], len: 0 }
    }

    /// How many keys have a number.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of the key, if it has one.
    pub(crate) fn get(&self, key: u64) -> Option<u32> {
        let number = self.numbers[self.slot(key)];
        (number != NONE).then_some(number)
    }

    /// Gives a number to a key that has none, and returns whether it had none.
    pub(crate) fn insert(&mut self, key: u64, number: u32) -> bool {
        assert!(number < NONE, "there are enough numbers");
        let slot = self.slot(key);
        if self.numbers[slot] != NONE {
            return false;
        }
        self.keys[slot] = key;
        self.numbers[slot] = number;
        self.len += 1;
        if self.keys.len() * 3 / 4 < self.len {
            self.grow();
        }
        true
    }

    /// The slot of the key: its own, or the empty one in which it belongs.
    fn slot(&self, key: u64) -> usize {
        let mask = self.keys.len() - 1;
        // The upper bits of the product depend on all bits of the key.
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (mixed >> (64 - self.keys.len().ilog2())) as usize;
        while self.numbers[slot] != NONE && self.keys[slot] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let size = 2 * self.keys.len();
        let keys = std::mem::replace(&mut self.keys, vec![0; size]);
        let numbers = std::mem::replace(&mut self.numbers, vec![NONE; size]);
        for (key, number) in keys.into_iter().zip(numbers).filter(|(_, number)| *number != NONE) {
            let slot = self.slot(key);
            self.keys[slot] = key;
            self.numbers[slot] = number;
        }
    }
}

/// 64 bits that equal values share and different values hardly ever do.
pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Values, each stored once and identified by its number. Unequal values have different numbers, whatever their
/// fingerprints.
pub(crate) struct Numbered<T> {
    values: Vec<T>,
    table: Table,
}

impl<T: Hash + Eq> Numbered<T> {
    pub(crate) fn new() -> Numbered<T> {
        Numbered { values: Vec::new(), table: Table::new() }
    }

    /// The value's number, and whether it is new.
    pub(crate) fn number(&mut self, value: T) -> (u32, bool) {
        let key = fingerprint(&value);
        if let Some(number) = self.table.get(key) {
            assert!(self.values[number as usize] == value, "two values share a fingerprint");
            return (number, false);
        }
        let number = u32::try_from(self.values.len()).expect("few values");
        self.table.insert(key, number);
        self.values.push(value);
        (number, true)
    }

    pub(crate) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}
