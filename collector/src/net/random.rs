//! Randomness for jitter. Not for keys: it only has to differ between processes and calls.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number in `[0, 1)`.
#[must_use]
pub fn unit() -> f64 {
    // Each RandomState differs from every other one, seeded once a thread by the system.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let unit = bits as f64 / (1_u64 << 53) as f64;
    unit
}

/// `value` moved by up to `factor` of itself, either way.
#[must_use]
pub fn jitter(value: std::time::Duration, factor: f64) -> std::time::Duration {
    if factor <= 0.0 {
        return value;
    }
    let scaled = value.as_secs_f64() * (1.0 + factor * (2.0 * unit() - 1.0));
    std::time::Duration::try_from_secs_f64(scaled).unwrap_or(value)
}
