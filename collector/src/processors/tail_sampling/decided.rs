//! Decisions that are remembered for spans that come late.
//!
//! [`Decided`] remembers the last `num_traces` decisions, oldest out first, as the trace table of contrib does.
//! [`Lru`] is the optional decision cache, where a late span makes the decision young again.

use std::collections::VecDeque;

use pdata::TraceId;
use peers::Index;

use super::id_hash::IdHash;
use super::mark::Note;

/// A remembered decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) id: TraceId,
    /// Unix seconds.
    pub(super) first_seen: u32,
    /// Unix seconds.
    pub(super) decided: u32,
    /// The last ResourceSpans that brought spans.
    pub(super) late_part: u32,
    pub(super) note: Note,
}

/// Memory of a remembered decision: itself, and its number in a table that may have just doubled.
pub(super) const DECISION_BYTES: u64 = size_of::<Decision>() as u64 + 22;

/// The same of an id in a decision cache.
pub(super) const CACHED_BYTES: u64 = size_of::<Node>() as u64 + 22;

/// Decisions of one chunk.
const CHUNK: usize = 1024;

/// Decisions in order. A ring of a million that doubles would copy all it has while no span gets in; this one grows by
/// chunks.
#[derive(Default)]
struct Queue {
    chunks: VecDeque<Vec<Decision>>,
    /// Decisions of the first chunk that are gone.
    gone: usize,
    len: usize,
}

impl Queue {
    fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Decision>()).sum()
    }

    fn get(&self, at: usize) -> Option<&Decision> {
        let at = self.gone + at;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    fn get_mut(&mut self, at: usize) -> Option<&mut Decision> {
        let at = self.gone + at;
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }

    fn push_back(&mut self, decision: Decision) {
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(decision),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(decision);
                self.chunks.push_back(chunk);
            }
        }
        self.len += 1;
    }

    fn pop_front(&mut self) -> Option<Decision> {
        let first = *self.get(0)?;
        (self.gone, self.len) = (self.gone + 1, self.len - 1);
        if self.gone == CHUNK {
            self.gone = 0;
            self.chunks.pop_front();
        }
        Some(first)
    }
}

/// First in, first out.
pub(super) struct Decided {
    hash: IdHash,
    capacity: usize,
    /// Sequence numbers.
    index: Index,
    base: u32,
    queue: Queue,
}

impl Decided {
    pub(super) fn new(capacity: usize, hash: IdHash) -> Self {
        Self { hash, capacity: capacity.max(1), index: Index::new(), base: 0, queue: Queue::default() }
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.index.bytes() + self.queue.bytes()) as u64
    }

    /// Remembers so many from now on. Fewer become effective as decisions are added.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    fn position(&self, sequence: u32) -> usize {
        sequence.wrapping_sub(self.base) as usize
    }

    pub(super) fn get_mut(&mut self, id: &TraceId) -> Option<&mut Decision> {
        let (base, queue) = (self.base, &self.queue);
        let same = |sequence: u32| queue.get(sequence.wrapping_sub(base) as usize).is_some_and(|known| known.id == *id);
        let at = self.position(self.index.find(self.hash.hash(id), same)?);
        self.queue.get_mut(at)
    }

    /// Asks for the memory that look-ups of these hashes begin with, without waiting for it.
    pub(super) fn warm(&self, hashes: impl Iterator<Item = u64>) {
        self.index.warm(hashes);
    }

    /// The same for the decisions that will have to go when so many are added.
    pub(super) fn warm_oldest(&self, added: usize) {
        let going = (self.queue.len + added).saturating_sub(self.capacity);
        let oldest = (0..going).map_while(|at| self.queue.get(at));
        self.index.warm(oldest.map(|oldest| self.hash.hash(&oldest.id)));
    }

    /// Remembers a decision and returns the one that had to go for it.
    pub(super) fn insert(&mut self, decision: Decision) -> Option<Decision> {
        let mut gone = None;
        while self.queue.len >= self.capacity {
            gone = self.queue.pop_front();
            let sequence = self.base;
            self.base = self.base.wrapping_add(1);
            if let Some(oldest) = &gone {
                self.index.remove(self.hash.hash(&oldest.id), sequence);
            }
        }
        let sequence = self.base.wrapping_add(u32::try_from(self.queue.len).unwrap_or(u32::MAX));
        self.queue.push_back(decision);
        self.index.insert(self.hash.hash(&decision.id), sequence);
        gone
    }
}

const NONE: u32 = u32::MAX;

struct Node {
    id: TraceId,
    older: u32,
    newer: u32,
    note: Note,
}

/// Least recently used out first. Whole ids are compared; contrib compares their low 8 bytes only.
pub(super) struct Lru {
    hash: IdHash,
    capacity: usize,
    index: Index,
    nodes: Vec<Node>,
    oldest: u32,
    newest: u32,
}

impl Lru {
    /// A cache of `capacity` ids; with 0 it remembers nothing.
    pub(super) fn new(capacity: usize, hash: IdHash) -> Self {
        let capacity = capacity.min(NONE as usize - 1);
        Self { hash, capacity, index: Index::new(), nodes: Vec::new(), oldest: NONE, newest: NONE }
    }

    /// False if nothing is remembered.
    pub(super) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.index.bytes() + self.nodes.capacity() * size_of::<Node>()) as u64
    }

    /// Asks for the memory that look-ups of these hashes begin with, without waiting for it.
    pub(super) fn warm(&self, hashes: impl Iterator<Item = u64>) {
        self.index.warm(hashes);
    }

    /// What is remembered of the id; it is young again then.
    pub(super) fn touch(&mut self, id: &TraceId) -> Option<Note> {
        let nodes = &self.nodes;
        let at = self.index.find(self.hash.hash(id), |at| nodes[at as usize].id == *id)?;
        self.unlink(at);
        self.push(at);
        Some(self.nodes[at as usize].note)
    }

    /// Remembers the id.
    pub(super) fn insert(&mut self, id: TraceId, note: Note) {
        if self.capacity == 0 || self.touch(&id).is_some() {
            return;
        }
        let at = if self.nodes.len() < self.capacity {
            self.nodes.push(Node { id, older: NONE, newer: NONE, note });
            u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
        } else {
            let at = self.oldest;
            let hash = self.hash.hash(&self.nodes[at as usize].id);
            self.index.remove(hash, at);
            self.unlink(at);
            let node = &mut self.nodes[at as usize];
            (node.id, node.note) = (id, note);
            at
        };
        self.push(at);
        self.index.insert(self.hash.hash(&id), at);
    }

    fn unlink(&mut self, at: u32) {
        let Node { older, newer, .. } = self.nodes[at as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
    }

    fn push(&mut self, at: u32) {
        let newest = self.newest;
        let node = &mut self.nodes[at as usize];
        (node.older, node.newer) = (newest, NONE);
        match newest {
            NONE => self.oldest = at,
            newest => self.nodes[newest as usize].newer = at,
        }
        self.newest = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> TraceId {
        [n; 16]
    }

    fn note(threshold: u64) -> Note {
        use crate::processors::tail_sampling::counts::Final;
        use crate::processors::tail_sampling::mark::Mark;
        use crate::processors::tail_sampling::policy::Label;
        let mark =
            Mark { outcome: Final::Sampled, policy: Label::NONE, composite: Label::NONE, cached: true, threshold };
        assert_eq!(mark.note().mark(true), mark);
        mark.note()
    }

    fn decision(n: u8) -> Decision {
        Decision { id: id(n), first_seen: 0, decided: 0, late_part: 0, note: note(0xff_ffff_ffff_ffff) }
    }

    #[test]
    fn the_oldest_decision_goes_first() {
        let mut decided = Decided::new(3, IdHash::random());
        for n in 0..3 {
            assert_eq!(decided.insert(decision(n)), None);
        }
        assert_eq!(decided.insert(decision(3)), Some(decision(0)));
        assert_eq!(decided.insert(decision(4)), Some(decision(1)));
        assert_eq!(decided.get_mut(&id(1)), None);
        assert_eq!(decided.get_mut(&id(3)).copied(), Some(decision(3)));
        assert_eq!(decided.index.len(), 3);
    }

    #[test]
    fn the_least_recently_used_id_goes_first() {
        let mut cache = Lru::new(2, IdHash::random());
        cache.insert(id(1), note(1));
        cache.insert(id(2), note(2));
        assert_eq!(cache.touch(&id(1)), Some(note(1)));
        cache.insert(id(3), note(3));
        assert_eq!(cache.touch(&id(2)), None);
        assert_eq!(cache.touch(&id(1)), Some(note(1)));
        assert_eq!(cache.touch(&id(3)), Some(note(3)));
        let mut off = Lru::new(0, IdHash::random());
        off.insert(id(1), note(1));
        assert_eq!(off.touch(&id(1)), None);
    }
}
