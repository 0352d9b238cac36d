//! Exponential histograms that choose their own scale: lightstep/go-expohisto, which the Go connector uses.
//!
//! The scale starts at 20 and is halved until all observations fit into `max_size` buckets. Only non-negative values
//! come in: durations.

use pdata::metrics::ExponentialBuckets;

const MAX_SCALE: i32 = 20;
const MIN_SCALE: i32 = -10;
/// Bits of a double's fraction.
const SIGNIFICAND_BITS: u32 = 52;
const EXPONENT_BIAS: i32 = 1023;
const MIN_NORMAL_EXPONENT: i32 = -1022;

/// Sizes are clamped as the Go library clamps them.
pub(super) fn clamp_max_size(max_size: i32) -> u32 {
    u32::try_from(max_size.clamp(2, 16384)).unwrap_or(2)
}

/// One histogram.
#[derive(Clone, Debug)]
pub(super) struct Exponential {
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) min: f64,
    pub(super) max: f64,
    count: u64,
    start: i32,
    counts: Vec<u64>,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { scale: MAX_SCALE, zero_count: 0, min: 0.0, max: 0.0, count: 0, start: 0, counts: Vec::new() }
    }
}

impl Exponential {
    /// Counts `value` `weight` times.
    pub(super) fn observe(&mut self, value: f64, weight: u64, max_size: u32) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        } else {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
        self.count = self.count.saturating_add(weight);
        if value <= 0.0 || !value.is_finite() {
            self.zero_count = self.zero_count.saturating_add(weight);
            return;
        }
        let mut index = index_of(value, self.scale);
        let (mut low, mut high) = match self.counts.len() {
            0 => (index, index),
            len => (self.start.min(index), (self.start + len as i32 - 1).max(index)),
        };
        let mut change = 0;
        while i64::from(high) - i64::from(low) >= i64::from(max_size) && self.scale - change > MIN_SCALE {
            low >>= 1;
            high >>= 1;
            change += 1;
        }
        if change > 0 {
            self.downscale(change);
            index = index_of(value, self.scale);
        }
        self.add(index, weight);
    }

    fn add(&mut self, index: i32, weight: u64) {
        if self.counts.is_empty() {
            self.start = index;
        }
        if index < self.start {
            let missing = (self.start - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.start = index;
        }
        let at = (index - self.start) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(weight);
    }

    fn downscale(&mut self, by: i32) {
        let start = self.start >> by;
        let mut merged: Vec<u64> = Vec::with_capacity((self.counts.len() >> by) + 2);
        for (index, count) in (self.start..).zip(&self.counts) {
            let at = ((index >> by) - start) as usize;
            if at >= merged.len() {
                merged.resize(at + 1, 0);
            }
            merged[at] += count;
        }
        (self.start, self.counts) = (start, merged);
        self.scale -= by;
    }

    /// The scale as shown: with nothing but zeros it does not matter and is 0.
    pub(super) fn shown_scale(&self) -> i32 {
        if self.counts.is_empty() { 0 } else { self.scale }
    }

    /// The positive range.
    pub(super) fn buckets(&self) -> ExponentialBuckets {
        ExponentialBuckets { offset: self.start, bucket_counts: self.counts.clone() }
    }
}

/// The bucket of a positive finite value: (base^index, base^(index+1)], base = 2^(2^-scale).
fn index_of(value: f64, scale: i32) -> i32 {
    let bits = value.to_bits();
    let significand = bits & ((1 << SIGNIFICAND_BITS) - 1);
    let raw_exponent = ((bits >> SIGNIFICAND_BITS) & 0x7ff) as i32;
    if scale <= 0 {
        // Subnormal values count as the least normal one.
        let (exponent, exact) = match raw_exponent {
            0 => (MIN_NORMAL_EXPONENT, true),
            raw => (raw - EXPONENT_BIAS, significand == 0),
        };
        return (exponent - i32::from(exact)) >> -scale;
    }
    if raw_exponent == 0 || (raw_exponent == 1 && significand == 0) {
        return (MIN_NORMAL_EXPONENT << scale) - 1;
    }
    if significand == 0 {
        // Exact powers of two lie on a boundary, which belongs to the bucket below.
        return ((raw_exponent - EXPONENT_BIAS) << scale) - 1;
    }
    let max_index = (1024 << scale) - 1;
    let factor = std::f64::consts::LOG2_E * f64::from(1u32 << scale);
    ((value.ln() * factor).floor() as i32).min(max_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: &[f64], max_size: u32) -> Exponential {
        let mut histogram = Exponential::default();
        for value in values {
            histogram.observe(*value, 1, max_size);
        }
        histogram
    }

    #[test]
    fn one_value_keeps_the_finest_scale() {
        let histogram = filled(&[3.0, 3.0], 160);
        assert_eq!(histogram.shown_scale(), 20);
        let buckets = histogram.buckets();
        assert_eq!(buckets.bucket_counts, [2]);
        // Schema 8 of the exposition then has index (offset >> 12) + 1 = 406, as recorded from Go.
        assert_eq!((buckets.offset >> 12) + 1, 406);
        assert_eq!((filled(&[250.0], 160).buckets().offset >> 12) + 1, 2040);
    }

    #[test]
    fn zeros_have_no_scale() {
        let histogram = filled(&[0.0, 0.0], 160);
        assert_eq!((histogram.zero_count, histogram.shown_scale(), histogram.buckets().bucket_counts.len()), (2, 0, 0));
    }

    #[test]
    fn bounds_hold_their_values() {
        for scale in [-10, -3, -1, 0, 1, 4, 8, 20] {
            for value in [1e-9, 0.5, 1.0, 1.5, 2.0, 3.7, 1024.0, 1e9, 86_400_000.0] {
                let index = f64::from(index_of(value, scale));
                let base_log = 2f64.powi(-scale);
                let (low, high) = ((index * base_log).exp2(), ((index + 1.0) * base_log).exp2());
                assert!(low < value * (1.0 + 1e-9) && value <= high * (1.0 + 1e-9), "{value} at {scale}: {low} {high}");
            }
        }
        assert_eq!(index_of(f64::MIN_POSITIVE / 4.0, 0), index_of(f64::MIN_POSITIVE, 0));
    }

    proptest::proptest! {
        #[test]
        fn size_is_kept_and_nothing_is_lost(
            values in proptest::collection::vec(0.0f64..1e12, 1..200), max_size in 2u32..40
        ) {
            let histogram = filled(&values, max_size);
            let buckets = histogram.buckets();
            assert!(buckets.bucket_counts.len() <= max_size as usize);
            assert_eq!(buckets.bucket_counts.iter().sum::<u64>() + histogram.zero_count, values.len() as u64);
        }
    }
}
