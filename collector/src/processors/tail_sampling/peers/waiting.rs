//! What waits in the shards, as the node asks for it.

use std::sync::MutexGuard;

use ::peers::Host;
use pdata::TraceId;

use super::super::processor::Shared;
use super::super::sampler::Sampler;
use super::entry::Entry;
use super::{LOOKED_AT, lock};

/// The traces that wait in the shards, for the node. A shard is locked while some hundred of them are read, not for each.
pub(super) struct Waiting<'a> {
    shared: &'a Shared,
    /// The shard's number, and how many may be read before it is let go for others.
    locked: Option<(usize, MutexGuard<'a, Sampler>, usize)>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self { shared, locked: None }
    }

    /// The trace's shard.
    fn shard(&mut self, id: &TraceId) -> Option<&Sampler> {
        let number = self.shared.shares().position(|(_, share)| share.takes(id))?;
        if self.locked.as_ref().is_none_or(|(shard, _, left)| *shard != number || *left == 0) {
            // One lock at a time, and others first who wait for this one.
            self.locked = None;
            self.locked = Some((number, lock(self.shared.shards.get(number)?), LOOKED_AT));
        }
        let (_, shard, left) = self.locked.as_mut()?;
        *left -= 1;
        Some(shard)
    }
}

impl Host<Entry> for Waiting<'_> {
    fn entry(&mut self, id: &TraceId, at: u32) -> Option<Entry> {
        self.shard(id)?.entry(id, at)
    }

    fn warm(&mut self, traces: &[(TraceId, u32)]) {
        for (_, share) in self.shared.shares() {
            let mut mine = traces.iter().filter(|(id, _)| share.takes(id)).peekable();
            if let Some((first, _)) = mine.peek()
                && let Some(shard) = self.shard(first)
            {
                shard.table.warm_entries(mine.map(|(_, at)| *at));
            }
        }
    }
}
