//! A hash table of numbers by which large tables are looked up a batch at a time.
//!
//! In a table of a million every look-up waits for memory. What a number hashes to stands beside it in eight bytes, so
//! that a look-up touches one cache line before it knows which entry to look at, and [`Index::warm`] can ask for the
//! lines of a whole batch before the first is needed. Such a table that doubles all at once would take tens of
//! milliseconds in which no span gets in: this one is 64 tables, each of which grows by itself, without looking at what
//! the numbers stand for. A host's tables of traces are looked up in it too.

use std::hint::black_box;

const PARTS: usize = 64;

/// Slots of a part when it gets its first number.
const FEWEST: usize = 8;

/// Numbers by hash: open addressing, the next slot if one is taken.
#[derive(Debug)]
pub struct Index {
    parts: Box<[Part; PARTS]>,
}

/// [`EMPTY`], or a key in the high and a number in the low half. The number of slots is a power of two or none.
#[derive(Debug, Default)]
struct Part {
    slots: Box<[u64]>,
    len: usize,
}

const EMPTY: u64 = 0;

/// The 32 bits of a hash that are kept; never 0, so that no slot that is taken looks empty.
fn key(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

fn slot(key: u32, number: u32) -> u64 {
    u64::from(key) << 32 | u64::from(number)
}

impl Part {
    /// Where the key belongs.
    fn home(&self, key: u32) -> usize {
        (key >> 1) as usize & self.slots.len().wrapping_sub(1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & self.slots.len().wrapping_sub(1)
    }

    /// Where a number with this key is that `same` says yes to.
    #[inline]
    fn position(&self, key: u32, mut same: impl FnMut(u32) -> bool) -> Option<(usize, u32)> {
        let mut at = self.home(key);
        // A quarter of the slots is empty, so this ends.
        while let Some(slot) = self.slots.get(at).filter(|slot| **slot != EMPTY) {
            if (slot >> 32) as u32 == key && same(*slot as u32) {
                return Some((at, *slot as u32));
            }
            at = self.next(at);
        }
        None
    }

    fn put(&mut self, new: u64) {
        let mut at = self.home((new >> 32) as u32);
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == EMPTY {
                *slot = new;
                return;
            }
            at = self.next(at);
        }
    }

    fn insert(&mut self, key: u32, number: u32) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            let more = vec![EMPTY; (self.slots.len() * 2).max(FEWEST)].into_boxed_slice();
            for slot in std::mem::replace(&mut self.slots, more).iter().filter(|slot| **slot != EMPTY) {
                self.put(*slot);
            }
        }
        self.put(slot(key, number));
        self.len += 1;
    }

    /// Empties the slot and moves those behind it up that a search would not reach any more.
    fn clear(&mut self, mut hole: usize) {
        let mut at = hole;
        loop {
            at = self.next(at);
            let Some(slot) = self.slots.get(at).copied().filter(|slot| *slot != EMPTY) else { break };
            let distance = |from: usize| at.wrapping_sub(from) & self.slots.len().wrapping_sub(1);
            if distance(self.home((slot >> 32) as u32)) >= distance(hole) {
                if let Some(into) = self.slots.get_mut(hole) {
                    *into = slot;
                }
                hole = at;
            }
        }
        if let Some(into) = self.slots.get_mut(hole) {
            *into = EMPTY;
        }
        self.len -= 1;
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { parts: Box::new(std::array::from_fn(|_| Part::default())) }
    }
}

impl Index {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty table with room for so many numbers, 11 to 23 bytes each: it does not grow before there are more.
    #[must_use]
    pub fn with_room(numbers: usize) -> Self {
        // Parts are not quite equal, and a part is filled to three quarters.
        let share = numbers / PARTS;
        let slots = ((share + share / 16) * 4 / 3 + 1).next_power_of_two().max(FEWEST);
        let part = || Part { slots: vec![EMPTY; slots].into_boxed_slice(), len: 0 };
        Self { parts: Box::new(std::array::from_fn(|_| part())) }
    }

    /// Bits that are not in [`key`].
    fn part(&self, hash: u64) -> &Part {
        &self.parts[hash as usize % PARTS]
    }

    fn part_mut(&mut self, hash: u64) -> &mut Part {
        &mut self.parts[hash as usize % PARTS]
    }

    /// Asks for the memory that searches for these begin with, without waiting for it. Hashes that take time are to be made
    /// before: a processor goes on for a few hundred instructions while it waits, and what is asked for within these comes
    /// together.
    #[inline]
    pub fn warm(&self, hashes: impl Iterator<Item = u64>) {
        let mut seen = 0;
        for hash in hashes {
            let part = self.part(hash);
            seen ^= part.slots.get(part.home(key(hash))).copied().unwrap_or(EMPTY);
        }
        black_box(seen);
    }

    /// The number of this hash that `same` says yes to. It is asked of few others: 32 bits of the hash are equal then.
    #[inline]
    pub fn find(&self, hash: u64, same: impl FnMut(u32) -> bool) -> Option<u32> {
        self.part(hash).position(key(hash), same).map(|(_, number)| number)
    }

    /// Adds a number that is not in the table.
    pub fn insert(&mut self, hash: u64, number: u32) {
        self.part_mut(hash).insert(key(hash), number);
    }

    /// Another number stands for the same. Nothing happens if the first is not in the table.
    pub fn replace(&mut self, hash: u64, number: u32, by: u32) {
        let part = self.part_mut(hash);
        let found = part.position(key(hash), |other| other == number);
        if let Some(known) = found.and_then(|(at, _)| part.slots.get_mut(at)) {
            *known = slot(key(hash), by);
        }
    }

    /// Takes the number out. False if it is not in the table.
    pub fn remove(&mut self, hash: u64, number: u32) -> bool {
        let part = self.part_mut(hash);
        let Some((at, _)) = part.position(key(hash), |other| other == number) else { return false };
        part.clear(at);
        true
    }

    /// True if it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory taken.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.slots.len() * size_of::<u64>()).sum()
    }

    /// How many numbers it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulator::random::Random;

    #[test]
    fn parts_are_used_equally() {
        let mut index = Index::new();
        for number in 0..10_000 {
            index.insert(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32), number);
        }
        assert_eq!(index.len(), 10_000);
        assert!(index.parts.iter().all(|part| (80..240).contains(&part.len)));
    }

    #[test]
    fn room_is_there_at_the_start() {
        for n in [0, 1, 100, 5_000, 60_000] {
            let mut index = Index::with_room(n);
            let bytes = index.bytes();
            for number in 0..u32::try_from(n).unwrap() {
                index.insert(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32), number);
            }
            assert_eq!((index.len(), index.bytes()), (n, bytes));
            assert!(bytes <= (n + 512) * 32, "{bytes} bytes for {n}");
        }
    }

    /// Few hashes, so that many numbers have the same, and homes that collide and wrap around.
    #[test]
    fn is_a_set() {
        let mut random = Random::new(4);
        for run in 0..320_u64 {
            let bits = 1 + run % 5;
            let hash = |number: u32| (u64::from(number) % (1 << bits)) << 33 | 1 << 32;
            let (mut index, mut set) = (Index::new(), BTreeSet::new());
            for _ in 0..random.below(400) {
                let number = u32::try_from(random.below(80)).unwrap();
                let other = u32::try_from(random.below(80)).unwrap();
                match random.below(3) {
                    0 if set.insert(number) => index.insert(hash(number), number),
                    1 => assert_eq!(index.remove(hash(number), number), set.remove(&number)),
                    2 if hash(other) == hash(number) && !set.contains(&other) => {
                        index.replace(hash(number), number, other);
                        if set.remove(&number) {
                            set.insert(other);
                        }
                    }
                    _ => {}
                }
                assert_eq!(index.len(), set.len());
            }
            for number in 0..80 {
                let found = index.find(hash(number), |other| other == number);
                assert_eq!(found, set.get(&number).copied());
            }
        }
    }
}
