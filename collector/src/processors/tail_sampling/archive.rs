//! Compressed segments, one behind another in buffers of one size.
//!
//! A block of its own length for each would leave the allocator with holes that nothing else fits into: under a steady
//! load that was an eighth of all memory. Here every byte of the span log lies in buffers that are equal and used again.
//! Invariant: blocks are released in the order in which they were added, and a buffer goes with the last block in it.

use std::collections::VecDeque;

use super::log::SEGMENT_BYTES;

/// Where a block lies: positions count from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    start: u64,
    len: usize,
}

/// Blocks in order.
#[derive(Default)]
pub(super) struct Archive {
    /// All but the last are full.
    buffers: VecDeque<Vec<u8>>,
    /// Number of the first buffer.
    first: u64,
    end: u64,
}

impl Archive {
    /// Memory taken.
    pub(super) fn bytes(&self) -> u64 {
        (self.buffers.len() * SEGMENT_BYTES) as u64
    }

    /// Adds a block. `buffer` gives an empty buffer of [`SEGMENT_BYTES`].
    pub(super) fn append(&mut self, mut bytes: &[u8], mut buffer: impl FnMut() -> Vec<u8>) -> Block {
        let block = Block { start: self.end, len: bytes.len() };
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.buffers.back().map_or(0, |last| SEGMENT_BYTES - last.len());
            if room == 0 {
                self.buffers.push_back(buffer());
            } else if let Some(last) = self.buffers.back_mut() {
                let (here, rest) = bytes.split_at(room.min(bytes.len()));
                last.extend_from_slice(here);
                bytes = rest;
            }
        }
        block
    }

    /// The block's bytes; put together in `joined` if they lie in several buffers.
    pub(super) fn read<'a>(&'a self, block: Block, joined: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let at = |position: u64| {
            let buffer = usize::try_from((position / SEGMENT_BYTES as u64).checked_sub(self.first)?).ok()?;
            Some((self.buffers.get(buffer)?, (position % SEGMENT_BYTES as u64) as usize))
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

    /// Lets go of the block, which is the oldest; buffers that nothing is left in go to `recycle`.
    pub(super) fn release(&mut self, block: Block, mut recycle: impl FnMut(Vec<u8>)) {
        let released = block.start + block.len as u64;
        while (self.first + 1) * SEGMENT_BYTES as u64 <= released || (released == self.end && !self.buffers.is_empty())
        {
            let Some(buffer) = self.buffers.pop_front() else { return };
            self.first += 1;
            recycle(buffer);
        }
        if self.buffers.is_empty() {
            // The next block begins in a buffer of its own.
            self.end = self.first * SEGMENT_BYTES as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Blocks of any length read back until they are released, and buffers are as many as they need.
        #[test]
        fn reads_back(ops in prop::collection::vec((any::<bool>(), 1_usize..700_000), 1..60)) {
            let (mut archive, mut blocks, mut joined) = (Archive::default(), VecDeque::new(), Vec::new());
            let (mut taken, mut returned) = (0_u64, 0_u64);
            for (at, (add, len)) in ops.into_iter().enumerate() {
                if add {
                    let bytes = vec![at as u8; len];
                    let block = archive.append(&bytes, || { taken += 1; Vec::with_capacity(SEGMENT_BYTES) });
                    blocks.push_back((block, bytes));
                } else if let Some((block, _)) = blocks.pop_front() {
                    archive.release(block, |_| returned += 1);
                }
                for (block, bytes) in &blocks {
                    prop_assert_eq!(archive.read(*block, &mut joined), Some(&bytes[..]));
                }
                prop_assert_eq!(archive.bytes(), (taken - returned) * SEGMENT_BYTES as u64);
                let held: usize = blocks.iter().map(|(_, bytes)| bytes.len()).sum();
                prop_assert!(archive.buffers.len() <= held / SEGMENT_BYTES + 2);
                prop_assert!(held > 0 || archive.bytes() == 0);
            }
        }
    }
}
