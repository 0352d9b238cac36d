//! A hash table that never grows all at once.
//!
//! A table of a million entries that doubles has to hash all of them again: tens of milliseconds in which no span gets
//! in. This one is 64 tables, each of which grows by itself, for about a millisecond at that size.

use hashbrown::HashTable;
use hashbrown::hash_table::{AbsentEntry, OccupiedEntry};

const PARTS: usize = 64;

/// Numbers by hash, as `HashTable<u32>`.
pub(super) struct Index {
    parts: Box<[HashTable<u32>; PARTS]>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { parts: Box::new([const { HashTable::new() }; PARTS]) }
    }

    /// Within a part the lowest and the highest bits place and tell entries; these are neither.
    fn part(hash: u64) -> usize {
        (hash >> 40) as usize % PARTS
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, same: impl FnMut(&u32) -> bool) -> Option<&u32> {
        self.parts[Self::part(hash)].find(hash, same)
    }

    pub(super) fn find_entry(
        &mut self,
        hash: u64,
        same: impl FnMut(&u32) -> bool,
    ) -> Result<OccupiedEntry<'_, u32>, AbsentEntry<'_, u32>> {
        self.parts[Self::part(hash)].find_entry(hash, same)
    }

    /// Adds a number that is not in the table.
    pub(super) fn insert_unique(&mut self, hash: u64, number: u32, rehash: impl Fn(&u32) -> u64) {
        self.parts[Self::part(hash)].insert_unique(hash, number, rehash);
    }

    /// Memory taken.
    pub(super) fn bytes(&self) -> usize {
        let capacity: usize = self.parts.iter().map(HashTable::capacity).sum();
        capacity * 8 / 7 * (size_of::<u32>() + 1)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(HashTable::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_added_until_it_is_removed() {
        let hash = |n: &u32| u64::from(*n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::new();
        for n in 0..10_000 {
            index.insert_unique(hash(&n), n, hash);
        }
        assert_eq!(index.len(), 10_000);
        assert!((0..10_000).all(|n| index.find(hash(&n), |other| *other == n).is_some()));
        for n in (0..10_000).step_by(2) {
            index.find_entry(hash(&n), |other| *other == n).unwrap().remove();
        }
        assert!((0..10_000).all(|n| index.find(hash(&n), |other| *other == n).is_some() == (n % 2 == 1)));
        // All parts are used about equally.
        assert!(index.parts.iter().all(|part| (40..120).contains(&part.len())));
    }
}
