//! The table that attribute keys are looked up in: by length first, then by the last bytes, where keys of one namespace
//! differ.

use pdata::SpanOrder;

#[derive(Clone, Debug)]
struct Key {
    /// The last eight bytes; all of a shorter key, zeros behind it.
    end: u64,
    position: u32,
    bytes: Box<[u8]>,
}

/// The keys of a length below 128: in the low half one more than the place of the first, 0 if there is none; in the high
/// half a bit for each of their last bytes, modulo 16. Other keys of that length are mostly told apart by it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OfLength(u32);

impl OfLength {
    /// What [`KeyTable::find_from`] wants; 0 if no key can end in this byte.
    #[inline(always)]
    pub(super) fn ending_in(self, last: u8) -> u16 {
        if self.0 >> (16 + (last & 15)) & 1 == 0 { 0 } else { self.0 as u16 }
    }

    #[inline(always)]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Attribute keys and their slots.
#[derive(Clone, Debug)]
pub(super) struct KeyTable {
    by_len: Box<[OfLength; 128]>,
    /// Sorted by length.
    keys: Vec<Key>,
    /// The bits of all keys, as the index has them of a span's.
    bits: u64,
}

impl KeyTable {
    pub(super) fn new(mut keys: Vec<(Box<[u8]>, u32)>) -> Self {
        keys.sort_by(|left, right| (left.0.len(), &left.0).cmp(&(right.0.len(), &right.0)));
        let mut by_len = Box::new([OfLength::default(); 128]);
        for (at, (key, _)) in keys.iter().enumerate().rev() {
            if let Some(OfLength(of_length)) = by_len.get_mut(key.len()) {
                // An empty key is found whatever stands where its last byte would.
                let ends = key.last().map_or(0xffff_0000, |last| 1 << (16 + (last & 15)));
                // The limit on slots keeps positions below 2^16.
                *of_length = *of_length & 0xffff_0000 | ends | u32::from(u16::try_from(at + 1).unwrap_or(u16::MAX));
            }
        }
        let bits = keys.iter().fold(0, |bits, (key, _)| bits | SpanOrder::key_bit(key));
        let keys = keys.into_iter().map(|(bytes, position)| Key { end: end(&bytes), position, bytes });
        Self { by_len, keys: keys.collect(), bits }
    }

    #[inline]
    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// For each length below 128 the keys that have it.
    #[inline(always)]
    pub(super) fn by_len(&self) -> &[OfLength; 128] {
        &self.by_len
    }

    /// The slot of a key whose length has this entry.
    #[inline]
    pub(super) fn find_from(&self, first: u16, found: &[u8]) -> Option<u32> {
        let end = end(found);
        let candidates = self.keys.get(usize::from(first).checked_sub(1)?..)?.iter();
        candidates
            .take_while(|key| key.bytes.len() == found.len())
            .find(|key| key.end == end && same_start(&key.bytes, found))
            .map(|key| key.position)
    }

    /// The slot of a key of any length.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        match self.by_len.get(key.len()) {
            Some(of_length) => {
                let first = of_length.ending_in(key.last().copied().unwrap_or_default());
                if first == 0 { None } else { self.find_from(first, key) }
            }
            None => self.keys.iter().find(|known| known.bytes.as_ref() == key).map(|known| known.position),
        }
    }
}

/// The last eight bytes of a key, or all of it.
#[inline]
fn end(key: &[u8]) -> u64 {
    key.last_chunk().map_or_else(|| short_end(key), |last| u64::from_le_bytes(*last))
}

fn short_end(key: &[u8]) -> u64 {
    key.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Whether keys of one length whose last bytes are equal are so in all.
#[inline]
fn same_start(key: &[u8], found: &[u8]) -> bool {
    let (key, _) = key.as_chunks::<8>();
    let (found, _) = found.as_chunks::<8>();
    key.iter().zip(found).all(|(key, found)| u64::from_le_bytes(*key) == u64::from_le_bytes(*found))
}
