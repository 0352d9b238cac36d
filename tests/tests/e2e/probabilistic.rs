//! The tail sampler's hash, written down a second time, so that tests know which traces are due.

/// Whether 5 % include the trace: FNV-1a 64 over the default salt and the id, as contrib's probabilistic policy.
pub(crate) fn kept_at_5_percent(id: [u8; 16]) -> bool {
    let hash = b"default-hash-seed"
        .iter()
        .chain(&id)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash <= 0x0ccc_cccc_cccc_ccff
}
