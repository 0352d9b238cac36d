//! Decisions that are remembered, so that a late part of a trace gets the same answer. First in, first out.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::TraceId;

#[derive(Debug)]
pub(crate) struct Decisions<D> {
    capacity: usize,
    known: HashMap<TraceId, D, FixedState>,
    order: VecDeque<TraceId>,
}

impl<D: Copy> Decisions<D> {
    pub(crate) fn new(capacity: usize, hash: FixedState) -> Self {
        Self { capacity: capacity.max(1), known: HashMap::with_hasher(hash), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, id: &TraceId) -> Option<D> {
        self.known.get(id).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Remembers a decision, unless one is known: that is what comes back. The oldest goes if there are too many.
    pub(crate) fn insert(&mut self, id: TraceId, decision: D) -> Option<D> {
        match self.known.entry(id) {
            Entry::Occupied(known) => return Some(*known.get()),
            Entry::Vacant(free) => free.insert(decision),
        };
        self.order.push_back(id);
        if self.known.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        None
    }
}
