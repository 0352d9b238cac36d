//! `probabilistic`: the Go collector's hash of the trace id and its threshold, bit for bit.
//!
//! The threshold is computed by contrib with a 64-bit mantissa (math/big), not with `f64`: so here in `u128`.
//! FNV-1a mixes the last bytes badly into the top bits; it is kept, because decisions must agree between collectors.

use pdata::TraceId;

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;
const DEFAULT_SALT: &str = "default-hash-seed";

/// Keeps a fixed share of trace ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probabilistic {
    salted: u64,
    at_most: u64,
}

impl Probabilistic {
    /// An empty salt means the default one, as upstream.
    pub(super) fn new(hash_salt: &str, sampling_percentage: f64) -> Self {
        let salt = if hash_salt.is_empty() { DEFAULT_SALT } else { hash_salt };
        Self { salted: fnv1a(OFFSET_BASIS, salt.as_bytes()), at_most: threshold(sampling_percentage / 100.0) }
    }

    /// The hash state after the salt, and the largest hash that is kept.
    pub(super) fn parts(self) -> (u64, u64) {
        (self.salted, self.at_most)
    }

    pub(super) fn keeps(self, id: &TraceId) -> bool {
        fnv1a(self.salted, id) <= self.at_most
    }
}

fn fnv1a(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The largest hash that is kept, for a ratio of 0 to 1.
fn threshold(ratio: f64) -> u64 {
    if ratio.is_nan() || ratio <= 0.0 {
        return 0;
    }
    if ratio >= 1.0 {
        return u64::MAX;
    }
    // ratio = mantissa * 2^exponent, exactly. A subnormal ratio has no hidden bit.
    let bits = ratio.to_bits();
    let biased = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = match i32::try_from(biased) {
        Ok(0) | Err(_) => (fraction, -1074),
        Ok(biased) => (fraction | 1 << 52, biased - 1075),
    };
    let product = u128::from(u64::MAX) * u128::from(mantissa);
    let surplus = (128 - product.leading_zeros()).saturating_sub(64);
    let rounded = round_half_even(product, surplus);
    let shift = i64::from(surplus) + i64::from(exponent);
    // A ratio below 1 always shifts right: the mantissa has 53 bits and the exponent is at most -53.
    let whole = match u32::try_from(-shift) {
        Ok(right) if right < 128 => rounded >> right,
        Ok(_) => 0,
        Err(_) => u128::MAX,
    };
    u64::try_from(whole).unwrap_or(u64::MAX)
}

/// `value / 2^shift`, to the nearest integer, ties to even.
fn round_half_even(value: u128, shift: u32) -> u128 {
    if shift == 0 {
        return value;
    }
    let whole = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    whole + u128::from(rest > half || (rest == half && whole & 1 == 1))
}

/// The 56-bit threshold that contrib compares to name the responsible policy: larger keeps less, `2^56` never keeps.
pub(super) fn consistent_threshold(sampling_percentage: f64) -> u64 {
    const SPACE: f64 = 72_057_594_037_927_936.0;
    let ratio = sampling_percentage / 100.0;
    if ratio.is_nan() || ratio < 1.0 / SPACE {
        return 1 << 56;
    }
    if ratio >= 1.0 {
        return 0;
    }
    // `round` goes half away from zero, as Go's does; the product is below 2^56 and exact in an `f64` after rounding.
    (1 << 56) - (ratio * SPACE).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hex: &str) -> TraceId {
        let mut id = [0; 16];
        for (at, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        }
        id
    }

    /// Recorded from tailsamplingprocessor v0.164.1: trace id, salt, percentage, hash, threshold, kept.
    const RECORDED: &[(&str, &str, f64, u64, u64, bool)] = &[
        ("4bf92f3577b34da6a3ce929d0e0e4736", "", 10.0, 0xa54533ba2e4970b5, 0x19999999999999ff, false),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "", 50.0, 0xa54533ba2e4970b5, 0x7fffffffffffffff, false),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "", 60.0, 0xa54533ba2e4970b5, 0x99999999999997ff, false),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "custom-salt", 50.0, 0xfcb74addd5ed06fd, 0x7fffffffffffffff, false),
        ("0af7651916cd43dd8448eb211c80319c", "", 25.0, 0x33bf83d45f51634c, 0x3fffffffffffffff, true),
        ("0af7651916cd43dd8448eb211c80319c", "", 50.0, 0x33bf83d45f51634c, 0x7fffffffffffffff, true),
        ("0af7651916cd43dd8448eb211c80319c", "custom-salt", 25.0, 0x5dd757d1b8261934, 0x3fffffffffffffff, false),
        ("00000000000000000000000000000000", "", 50.0, 0xe19536eed1bbac3d, 0x7fffffffffffffff, false),
        ("00000000000000000000000000000001", "", 50.0, 0xe19535eed1bbaa8a, 0x7fffffffffffffff, false),
        ("ffffffffffffffffffffffffffffffff", "", 50.0, 0x17bec3739634fe2d, 0x7fffffffffffffff, true),
        ("0123456789abcdef0123456789abcdef", "", 75.0, 0x854248234c26b03d, 0xbfffffffffffffff, true),
        ("0123456789abcdef0123456789abcdef", "", 100.0, 0x854248234c26b03d, 0xffffffffffffffff, true),
        ("0123456789abcdef0123456789abcdef", "", 150.0, 0x854248234c26b03d, 0xffffffffffffffff, true),
        ("0123456789abcdef0123456789abcdef", "", 0.0, 0x854248234c26b03d, 0x0000000000000000, false),
        ("0123456789abcdef0123456789abcdef", "", -50.0, 0x854248234c26b03d, 0x0000000000000000, false),
        ("0123456789abcdef0123456789abcdef", "a", 33.3, 0x57c4971c3016db4c, 0x553f7ced91686fff, false),
        ("5b8efff798038103d269b633813fc60c", "", 0.1, 0x95f176d291b1d3f7, 0x004189374bc6a7ef, false),
        ("5b8efff798038103d269b633813fc60c", "", 99.9, 0x95f176d291b1d3f7, 0xffbe76c8b4395fff, true),
        ("5b8efff798038103d269b633813fc60c", "test-salt", 12.5, 0x52bb8437f22984d2, 0x1fffffffffffffff, false),
        ("80f198ee56343ba864fe8b2a57d3eff7", "", 1.0, 0xe3ca30168209a196, 0x028f5c28f5c28f5f, false),
        ("80f198ee56343ba864fe8b2a57d3eff7", "", 95.0, 0xe3ca30168209a196, 0xf333333333332fff, true),
        ("80f198ee56343ba864fe8b2a57d3eff7", "layer-2", 95.0, 0x5914047225b740a2, 0xf333333333332fff, true),
        ("463ac35c9f6413ad48485a3953bb6124", "", 66.6667, 0xd66122d757fbbe97, 0xaaaab042528ae7ff, false),
        (
            "463ac35c9f6413ad48485a3953bb6124",
            "\u{fc}n\u{ef}code",
            66.6667,
            0xcdb65f7d7dfbe025,
            0xaaaab042528ae7ff,
            false,
        ),
        ("aa0000000000000000000000000a4400", "", 0.1, 0x003dcd32a3cb2261, 0x004189374bc6a7ef, true),
        ("aa0000000000000000000000000a4000", "", 1.0, 0x004b6532a3d6af05, 0x028f5c28f5c28f5f, true),
        ("aa000000000000000000000000512302", "", 0.0001, 0x0000003181527b1d, 0x000010c6f7a0b5ed, true),
    ];

    #[test]
    fn hashes_and_thresholds_are_those_of_contrib() {
        for (hex, salt, percentage, hash, at_most, kept) in RECORDED {
            let policy = Probabilistic::new(salt, *percentage);
            assert_eq!(fnv1a(policy.salted, &id(hex)), *hash, "{hex} {salt}");
            assert_eq!(policy.at_most, *at_most, "{percentage}");
            assert_eq!(policy.keeps(&id(hex)), *kept, "{hex} {salt} {percentage}");
        }
    }

    #[test]
    fn thresholds_of_common_percentages() {
        // Percentage, threshold of the hash, 56-bit threshold (shown upstream without trailing zeros).
        let recorded = [
            (0.001, 0x0000a7c5ac471b47, 0xffff583a53b8e5),
            (0.01, 0x00068db8bac710cb, 0xfff972474538ef),
            (0.1, 0x004189374bc6a7ef, 0xffbe76c8b43958),
            (1.0, 0x028f5c28f5c28f5f, 0xfd70a3d70a3d71),
            (5.0, 0x0cccccccccccccff, 0xf3333333333333),
            (10.0, 0x19999999999999ff, 0xe6666666666666),
            (12.5, 0x1fffffffffffffff, 0xe0000000000000),
            (20.0, 0x33333333333333ff, 0xcccccccccccccc),
            (25.0, 0x3fffffffffffffff, 0xc0000000000000),
            (30.0, 0x4ccccccccccccbff, 0xb3333333333334),
            (33.333, 0x55551d68c692f3ff, 0xaaaae297396d0c),
            (50.0, 0x7fffffffffffffff, 0x80000000000000),
            (66.7, 0xaac083126e978fff, 0x553f7ced916870),
            (75.0, 0xbfffffffffffffff, 0x40000000000000),
            (90.0, 0xe6666666666667ff, 0x19999999999998),
            (99.0, 0xfd70a3d70a3d6fff, 0x028f5c28f5c290),
            (99.9, 0xffbe76c8b4395fff, 0x004189374bc6a0),
            (100.0, 0xffffffffffffffff, 0),
            (1e-15, 0x00000000000000b8, 1 << 56),
        ];
        for (percentage, at_most, consistent) in recorded {
            assert_eq!(threshold(percentage / 100.0), at_most, "{percentage}");
            assert_eq!(consistent_threshold(percentage), consistent, "{percentage}");
        }
    }

    #[test]
    fn default_salt_state() {
        assert_eq!(Probabilistic::new("", 1.0).salted, 0x39f8_8fe9_4395_b4fd);
    }

    #[test]
    fn a_subnormal_ratio_keeps_next_to_nothing() {
        assert_eq!(threshold(f64::from_bits(1)), 0);
    }
}
