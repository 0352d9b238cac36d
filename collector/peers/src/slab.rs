//! A list of items that keep their places. Places that became free are used again, the last one first, so that what comes
//! together lies together.

use std::hint::black_box;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    items: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Where the next item will be.
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        // Nobody has memory for as many as cannot be numbered.
        self.free.last().copied().unwrap_or_else(|| u32::try_from(self.items.len()).unwrap_or(u32::MAX))
    }

    /// Puts an item where [`Slab::next`] says.
    #[inline]
    pub(crate) fn put(&mut self, item: T) {
        match self.free.pop().and_then(|at| self.items.get_mut(at as usize)) {
            Some(free) => *free = item,
            None => self.items.push(item),
        }
    }

    /// The place of an item that is not used any more, and stays until another takes it.
    #[inline]
    pub(crate) fn free(&mut self, at: u32) {
        self.free.push(at);
    }

    /// Asks for the memory of so many items that are put next: `touch` reads of each what is to be there.
    pub(crate) fn warm_free(&self, n: usize, touch: impl Fn(&T) -> u64) {
        let free = self.free.iter().rev().take(n).filter_map(|at| self.get(*at));
        black_box(free.fold(0, |seen, item| seen ^ touch(item)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_the_last_one_first() {
        let mut slab = Slab::default();
        for item in 0..9_u32 {
            assert_eq!(slab.next(), item);
            slab.put(item);
        }
        slab.free(7);
        slab.free(2);
        assert_eq!(slab.next(), 2);
        slab.put(10);
        slab.put(11);
        assert_eq!((slab.next(), slab.get(2), slab.get(7), slab.get(9)), (9, Some(&10), Some(&11), None));
    }
}
