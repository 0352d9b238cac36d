//! Compressed segments, one behind another in buffers of one size.
//!
//! A block of its own length for each would leave the allocator with holes that nothing else fits into: under a steady
//! load that was an eighth of all memory. Here every byte of the span log lies in buffers that are equal and used again.
//! Blocks are released in any order: when memory is short, segments are compressed that were passed over before, and they
//! are freed first. A buffer goes with the last block in it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::log::SEGMENT_BYTES;

/// Where a block lies: positions count from the start of the process. Not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    start: u64,
    len: usize,
}

impl Block {
    /// Numbers of the buffers in which it lies.
    fn buffers(self) -> RangeInclusive<u64> {
        let last = (self.start + self.len as u64).saturating_sub(1);
        self.start / SEGMENT_BYTES as u64..=last / SEGMENT_BYTES as u64
    }
}

struct Buffer {
    /// Full, but in the last buffer. Without memory if there are no blocks.
    bytes: Vec<u8>,
    /// Blocks that lie here, wholly or in part.
    blocks: usize,
}

/// Blocks in the order in which they were added.
#[derive(Default)]
pub(super) struct Archive {
    /// There are blocks in the first and in the last.
    buffers: VecDeque<Buffer>,
    /// Number of the first buffer.
    first: u64,
    end: u64,
    /// Buffers that have memory.
    taken: usize,
}

impl Archive {
    /// Memory taken.
    pub(super) fn bytes(&self) -> u64 {
        (self.taken * SEGMENT_BYTES) as u64
    }

    /// Adds a block. `buffer` gives an empty buffer of [`SEGMENT_BYTES`].
    pub(super) fn append(&mut self, mut bytes: &[u8], mut buffer: impl FnMut() -> Vec<u8>) -> Block {
        let block = Block { start: self.end, len: bytes.len() };
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.buffers.back().map_or(0, |last| SEGMENT_BYTES - last.bytes.len());
            if room == 0 {
                self.buffers.push_back(Buffer { bytes: buffer(), blocks: 0 });
                self.taken += 1;
            } else if let Some(last) = self.buffers.back_mut() {
                let (here, rest) = bytes.split_at(room.min(bytes.len()));
                last.bytes.extend_from_slice(here);
                last.blocks += 1;
                bytes = rest;
            }
        }
        block
    }

    /// The block's bytes; put together in `joined` if they lie in several buffers.
    pub(super) fn read<'a>(&'a self, block: Block, joined: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let at = |position: u64| {
            let buffer = usize::try_from((position / SEGMENT_BYTES as u64).checked_sub(self.first)?).ok()?;
            Some((&self.buffers.get(buffer)?.bytes, (position % SEGMENT_BYTES as u64) as usize))
        };
        let (buffer, offset) = at(block.start)?;
        if let Some(whole) = buffer.get(offset..offset.checked_add(block.len)?) {
            return Some(whole);
        }
        joined.clear();
        while joined.len() < block.len {
            let (buffer, offset) = at(block.start + joined.len() as u64)?;
            let here = buffer.len().checked_sub(offset)?.min(block.len - joined.len());
            if here == 0 {
                return None;
            }
            joined.extend_from_slice(buffer.get(offset..offset + here)?);
        }
        Some(joined)
    }

    /// Lets go of the block; buffers that nothing is left in go to `recycle`.
    pub(super) fn release(&mut self, block: Block, mut recycle: impl FnMut(Vec<u8>)) {
        for number in block.buffers() {
            let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
            let Some(buffer) = at.and_then(|at| self.buffers.get_mut(at)) else { return };
            buffer.blocks = buffer.blocks.saturating_sub(1);
            if buffer.blocks == 0 {
                recycle(std::mem::take(&mut buffer.bytes));
                self.taken -= 1;
            }
        }
        while self.buffers.pop_front_if(|first| first.blocks == 0).is_some() {
            self.first += 1;
        }
        while self.buffers.pop_back_if(|last| last.blocks == 0).is_some() {
            // The next block begins in a buffer of its own.
            self.end = (self.first + self.buffers.len() as u64) * SEGMENT_BYTES as u64;
        }
        if self.buffers.is_empty() {
            self.end = self.first * SEGMENT_BYTES as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Blocks of any length read back until they are released, in whatever order, and buffers are as many as they need.
        #[test]
        fn reads_back(
            ops in prop::collection::vec((any::<bool>(), 1_usize..700_000, any::<prop::sample::Index>()), 1..60),
        ) {
            let (mut archive, mut blocks, mut joined) = (Archive::default(), Vec::new(), Vec::new());
            let (mut taken, mut returned) = (0_u64, 0_u64);
            for (at, (add, len, which)) in ops.into_iter().enumerate() {
                if add || blocks.is_empty() {
                    let bytes = vec![at as u8; len];
                    let block = archive.append(&bytes, || { taken += 1; Vec::with_capacity(SEGMENT_BYTES) });
                    blocks.push((block, bytes));
                } else {
                    let (block, _) = blocks.remove(which.index(blocks.len()));
                    archive.release(block, |buffer| { returned += 1; assert_eq!(buffer.capacity(), SEGMENT_BYTES); });
                }
                for (block, bytes) in &blocks {
                    prop_assert_eq!(archive.read(*block, &mut joined), Some(&bytes[..]));
                }
                prop_assert_eq!(archive.bytes(), (taken - returned) * SEGMENT_BYTES as u64);
                let needed: usize = blocks.iter().map(|(block, _)| block.buffers().count()).sum();
                prop_assert!(archive.taken <= needed);
                prop_assert!(!blocks.is_empty() || archive.buffers.is_empty());
            }
        }
    }
}
