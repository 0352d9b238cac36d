//! Hashes of trace ids for the tables: ids are random already, so one multiplication is enough, but it is seeded per
//! process, because a sender could choose ids that collide.

use std::hash::{BuildHasher, RandomState};

use pdata::TraceId;

/// A seeded hash of 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdHash {
    low: u64,
    high: u64,
}

impl IdHash {
    /// Seeds from the operating system's randomness, as the standard library's maps have them.
    pub(super) fn random() -> Self {
        let state = RandomState::new();
        Self { low: state.hash_one(1_u8), high: state.hash_one(2_u8) }
    }

    /// The same in every run, for replays: tables of a replay grow at the same moments each time.
    pub(super) fn fixed() -> Self {
        Self { low: 0x9e37_79b9_7f4a_7c15, high: 0xbf58_476d_1ce4_e5b9 }
    }

    /// A number that only this process knows, for other hashers.
    pub(super) fn seed(self) -> u64 {
        self.low
    }

    pub(super) fn hash(self, id: &TraceId) -> u64 {
        let (first, second) = halves(id);
        let product = u128::from(first ^ self.low) * u128::from(second ^ self.high);
        (product >> 64) as u64 ^ product as u64
    }
}

/// The id as two little-endian numbers.
pub(super) fn halves(id: &TraceId) -> (u64, u64) {
    let whole = u128::from_le_bytes(*id);
    (whole as u64, (whole >> 64) as u64)
}
