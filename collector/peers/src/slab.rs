//! A list of items that keep their places. Places that became free are used again, the first in the list first: what comes
//! together lies together and in order then, whatever the order in which those before it have gone, and when many have
//! gone the items that are left stay near one another.

use std::hint::black_box;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    items: Vec<T>,
    /// A bit for each place that is free.
    free: Vec<u64>,
    /// A bit for each word of `free` that has one.
    words: Vec<u64>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new(), words: Vec::new() }
    }
}

fn bit(at: u32) -> u64 {
    1 << (at % 64)
}

impl<T> Slab<T> {
    /// Where the next item will be.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.first_free().unwrap_or_else(|| number(self.items.len()))
    }

    #[inline]
    fn first_free(&self) -> Option<u32> {
        let word = self.words.iter().position(|word| *word != 0)?;
        let word = word * 64 + self.words[word].trailing_zeros() as usize;
        let free = self.free.get(word).filter(|free| **free != 0)?;
        Some(number(word * 64 + free.trailing_zeros() as usize))
    }

    /// Puts an item where [`Slab::next`] says.
    #[inline]
    pub(crate) fn put(&mut self, item: T) {
        let Some(at) = self.first_free() else { return self.items.push(item) };
        if let Some(free) = self.free.get_mut(at as usize / 64) {
            *free &= !bit(at);
            if let (0, Some(words)) = (*free, self.words.get_mut(at as usize / 4096)) {
                *words &= !bit(at / 64);
            }
        }
        if let Some(place) = self.items.get_mut(at as usize) {
            *place = item;
        }
    }

    /// The place of an item that is not used any more, and stays until another takes it.
    #[inline]
    pub(crate) fn free(&mut self, at: u32) {
        let (word, words) = (at as usize / 64, at as usize / 4096);
        if self.free.len() <= word {
            self.free.resize(word + 1, 0);
            self.words.resize(words + 1, 0);
        }
        self.free[word] |= bit(at);
        self.words[words] |= bit(at / 64);
    }

    /// Asks for the memory of so many items that are put next: `touch` reads of each what is to be there.
    pub(crate) fn warm_free(&self, n: usize, touch: impl Fn(&T) -> u64) {
        let mut left = n;
        let mut seen = 0;
        for (word, free) in self.free.iter().enumerate().filter(|(_, free)| **free != 0) {
            let mut free = *free;
            while free != 0 && left > 0 {
                seen ^= self.items.get(word * 64 + free.trailing_zeros() as usize).map_or(0, &touch);
                free &= free - 1;
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        black_box(seen);
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)
    }

    /// All items with their places, those that are free among them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.items)
    }

    /// As [`Slab::iter`].
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0..).zip(&mut self.items)
    }
}

/// Nobody has memory for as many as cannot be numbered.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulator::random::Random;

    /// Against a set: the first that is free is next, of few and of more than one word of words counts.
    #[test]
    fn the_first_free_place_is_used_again() {
        let mut random = Random::new(3);
        for n in [9_u32, 700, 9_000] {
            let mut slab = Slab::default();
            let mut free = BTreeSet::new();
            for item in 0..n {
                assert_eq!(slab.next(), item);
                slab.put(item);
            }
            for step in 0..4 * n {
                let at = u32::try_from(random.below(n.into())).unwrap();
                if random.percent(60) && free.insert(at) {
                    slab.free(at);
                } else if let Some(first) = free.pop_first() {
                    assert_eq!(slab.next(), first);
                    slab.put(n + step);
                    assert_eq!(slab.get(first), Some(&(n + step)));
                }
            }
            while let Some(first) = free.pop_first() {
                assert_eq!(slab.next(), first);
                slab.put(0);
            }
            assert_eq!((slab.next(), slab.iter().count()), (n, n as usize), "and then a new one");
        }
    }
}
