//! A map of bounded size that knows its least recently used entry.

use std::hash::Hash;

use hashbrown::HashMap;

/// No entry.
const NIL: u32 = u32::MAX;

/// A position; good until the next insert, removal or clearing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u32);

/// See the module.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    capacity: usize,
    index: HashMap<K, u32, foldhash::fast::RandomState>,
    nodes: Vec<Node<K, V>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
}

#[derive(Debug)]
struct Node<K, V> {
    key: K,
    /// `None` while the node is free.
    value: Option<V>,
    newer: u32,
    older: u32,
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.clamp(1, NIL as usize),
            index: HashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            newest: NIL,
            oldest: NIL,
        }
    }

    /// Where the entry is, which becomes the most recently used.
    pub(super) fn find(&mut self, key: K) -> Option<Place> {
        let at = *self.index.get(&key)?;
        if self.newest != at {
            self.unlink(at);
            self.link_newest(at);
        }
        Some(Place(at))
    }

    /// The value at a place found or made since the last change.
    pub(super) fn at(&mut self, place: Place) -> Option<&mut V> {
        self.nodes.get_mut(place.0 as usize)?.value.as_mut()
    }

    /// The value, which becomes the most recently used.
    pub(super) fn get(&mut self, key: K) -> Option<&mut V> {
        let place = self.find(key)?;
        self.at(place)
    }

    /// Adds a key that is not there; gives its place, and back the entry that had to go.
    pub(super) fn insert(&mut self, key: K, value: V) -> (Place, Option<(K, V)>) {
        let gone = if self.index.len() >= self.capacity { self.remove_oldest() } else { None };
        let node = Node { key, value: Some(value), newer: NIL, older: NIL };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.nodes.get_mut(at as usize) {
                    *place = node;
                }
                at
            }
            None => {
                self.nodes.push(node);
                // Not above the capacity, which fits.
                u32::try_from(self.nodes.len() - 1).unwrap_or(NIL)
            }
        };
        self.index.insert(key, at);
        self.link_newest(at);
        (Place(at), gone)
    }

    fn remove_oldest(&mut self) -> Option<(K, V)> {
        let key = self.nodes.get(self.oldest as usize)?.key;
        self.remove(key).map(|value| (key, value))
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let at = self.index.remove(&key)?;
        self.unlink(at);
        self.free.push(at);
        self.nodes.get_mut(at as usize)?.value.take()
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// All values, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.nodes.iter_mut().filter_map(|node| node.value.as_mut().map(|value| (node.key, value)))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    fn unlink(&mut self, at: u32) {
        let Some(node) = self.nodes.get(at as usize) else { return };
        let (newer, older) = (node.newer, node.older);
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, at: u32) {
        let older = self.newest;
        if let Some(node) = self.nodes.get_mut(at as usize) {
            (node.newer, node.older) = (NIL, older);
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes() {
        let mut lru = Lru::new(2);
        assert_eq!(lru.insert(1, "a").1, None);
        assert_eq!(lru.insert(2, "b").1, None);
        assert_eq!(lru.get(1), Some(&mut "a"));
        assert_eq!(lru.insert(3, "c").1, Some((2, "b")));
        assert_eq!(lru.get(2), None);
        assert_eq!(lru.remove(1), Some("a"));
        assert_eq!(lru.insert(4, "d").1, None);
        assert_eq!(lru.insert(5, "e").1, Some((3, "c")));
        assert_eq!(lru.len(), 2);
        lru.clear();
        assert_eq!((lru.len(), lru.get(4)), (0, None));
    }

    proptest::proptest! {
        #[test]
        fn behaves_like_a_list(ops in proptest::collection::vec((0u8..8, 0u8..3), 0..200)) {
            let mut lru = Lru::new(3);
            // Most recent last.
            let mut model: Vec<u8> = Vec::new();
            for (key, op) in ops {
                let known = model.iter().position(|other| *other == key);
                match (op, known) {
                    (0, Some(at)) => {
                        model.remove(at);
                        model.push(key);
                        assert_eq!(lru.get(key), Some(&mut key.clone()));
                    }
                    (1, Some(at)) => {
                        model.remove(at);
                        assert_eq!(lru.remove(key), Some(key));
                    }
                    (2, None) => {
                        let gone = if model.len() == 3 { Some(model.remove(0)) } else { None };
                        model.push(key);
                        assert_eq!(lru.insert(key, key).1, gone.map(|gone| (gone, gone)));
                    }
                    _ => {}
                }
                assert_eq!(lru.len(), model.len());
            }
        }
    }
}
