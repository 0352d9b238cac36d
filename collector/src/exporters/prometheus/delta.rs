//! Adding delta points to what is stored: the page is always cumulative.

use pdata::metrics::{ExponentialBuckets, ExponentialHistogramPoint, NumberValue};

/// The sum of two numbers; integers stay integers, as far as they do not overflow.
#[must_use]
pub(super) fn add_numbers(a: NumberValue, b: NumberValue) -> NumberValue {
    match (a, b) {
        (NumberValue::Int(a), NumberValue::Int(b)) => NumberValue::Int(a.saturating_add(b)),
        (NumberValue::Double(a), NumberValue::Double(b)) => NumberValue::Double(a + b),
        (NumberValue::Int(a), NumberValue::Double(b)) | (NumberValue::Double(b), NumberValue::Int(a)) => {
            NumberValue::Double(a as f64 + b)
        }
    }
}

/// Adds bucket counts of equal bounds.
pub(super) fn add_counts(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = to.saturating_add(*from);
    }
}

/// Adds `from` to `to`: at the coarser scale and the wider zero bucket of the two. Times and exemplars are not touched.
pub(super) fn add_exponential(to: &mut ExponentialHistogramPoint, from: &ExponentialHistogramPoint) {
    let scale = to.scale.min(from.scale);
    let zero_threshold = to.zero_threshold.max(from.zero_threshold);
    let mut zero_count = to.zero_count.saturating_add(from.zero_count);
    let mut merge = |a: &ExponentialBuckets, b: &ExponentialBuckets| {
        let mut sides = [(a, to.scale, to.zero_threshold), (b, from.scale, from.zero_threshold)].map(
            |(buckets, own_scale, own_threshold)| {
                let mut buckets = downscaled(buckets, own_scale - scale);
                if zero_threshold > own_threshold {
                    zero_count = zero_count.saturating_add(take_below(&mut buckets, scale, zero_threshold));
                }
                buckets
            },
        );
        let [a, b] = &mut sides;
        merged(std::mem::take(a), std::mem::take(b))
    };
    let positive = merge(&to.positive, &from.positive);
    let negative = merge(&to.negative, &from.negative);
    (to.positive, to.negative) = (positive, negative);
    (to.scale, to.zero_threshold, to.zero_count) = (scale, zero_threshold, zero_count);
    to.count = to.count.saturating_add(from.count);
    to.sum = to.sum.zip(from.sum).map(|(a, b)| a + b);
    to.min = to.min.into_iter().chain(from.min).reduce(f64::min);
    to.max = to.max.into_iter().chain(from.max).reduce(f64::max);
}

fn downscaled(buckets: &ExponentialBuckets, by: i32) -> ExponentialBuckets {
    if by <= 0 || buckets.bucket_counts.is_empty() {
        return buckets.clone();
    }
    let shift = by.min(31);
    let offset = buckets.offset >> shift;
    let mut counts: Vec<u64> = Vec::new();
    for (index, count) in (i64::from(buckets.offset)..).zip(&buckets.bucket_counts) {
        // Never negative: the shift keeps the order.
        let at = usize::try_from((index >> shift) - i64::from(offset)).unwrap_or(0);
        if at >= counts.len() {
            counts.resize(at + 1, 0);
        }
        counts[at] = counts[at].saturating_add(*count);
    }
    ExponentialBuckets { offset, bucket_counts: counts }
}

/// Takes out the buckets that lie below the zero threshold as a whole, and says how much was in them.
fn take_below(buckets: &mut ExponentialBuckets, scale: i32, zero_threshold: f64) -> u64 {
    let upper = |index: i64| ((index + 1) as f64 * 2f64.powi(-scale)).exp2();
    let below = (i64::from(buckets.offset)..)
        .zip(&buckets.bucket_counts)
        .take_while(|(index, _)| upper(*index) <= zero_threshold)
        .count();
    let taken = buckets.bucket_counts.drain(..below).sum();
    buckets.offset = buckets.offset.saturating_add(i32::try_from(below).unwrap_or(i32::MAX));
    taken
}

/// A range of buckets wider than this is not built; the newer side alone is kept. OTLP senders use 160.
const MAX_WIDTH: i64 = 1 << 16;

fn merged(a: ExponentialBuckets, b: ExponentialBuckets) -> ExponentialBuckets {
    if a.bucket_counts.is_empty() {
        return b;
    }
    if b.bucket_counts.is_empty() {
        return a;
    }
    let end = |buckets: &ExponentialBuckets| {
        i64::from(buckets.offset) + i64::try_from(buckets.bucket_counts.len()).unwrap_or(i64::MAX / 2)
    };
    let offset = a.offset.min(b.offset);
    let width = end(&a).max(end(&b)) - i64::from(offset);
    if width > MAX_WIDTH {
        return b;
    }
    let mut counts = vec![0; usize::try_from(width).unwrap_or(0)];
    for side in [&a, &b] {
        let start = usize::try_from(i64::from(side.offset) - i64::from(offset)).unwrap_or(0);
        if let Some(place) = counts.get_mut(start..) {
            add_counts(place, &side.bucket_counts);
        }
    }
    ExponentialBuckets { offset, bucket_counts: counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(scale: i32, offset: i32, counts: &[u64], zero_threshold: f64) -> ExponentialHistogramPoint {
        ExponentialHistogramPoint {
            scale,
            count: counts.iter().sum(),
            sum: Some(1.0),
            positive: ExponentialBuckets { offset, bucket_counts: counts.to_vec() },
            zero_threshold,
            ..ExponentialHistogramPoint::default()
        }
    }

    #[test]
    fn equal_scales_add_where_they_overlap() {
        let mut to = point(0, 1, &[1, 2], 0.0);
        add_exponential(&mut to, &point(0, 2, &[3, 4], 0.0));
        assert_eq!(to.positive, ExponentialBuckets { offset: 1, bucket_counts: vec![1, 5, 4] });
        assert_eq!((to.count, to.sum), (10, Some(2.0)));
    }

    #[test]
    fn the_coarser_scale_wins() {
        let mut to = point(1, -3, &[1, 1, 1, 1], 0.0);
        add_exponential(&mut to, &point(0, 0, &[5], 0.0));
        assert_eq!(to.scale, 0);
        // Indexes -3, -2, -1, 0 become -2, -1, -1, 0.
        assert_eq!(to.positive, ExponentialBuckets { offset: -2, bucket_counts: vec![1, 2, 6] });
    }

    #[test]
    fn the_wider_zero_bucket_takes_what_it_covers() {
        let mut to = point(0, -2, &[1, 2, 4], 0.0);
        add_exponential(&mut to, &point(0, 3, &[1], 1.0));
        // Buckets up to 0.5 and 1 lie below the threshold.
        assert_eq!((to.zero_count, to.zero_threshold), (3, 1.0));
        assert_eq!(to.positive, ExponentialBuckets { offset: 0, bucket_counts: vec![4, 0, 0, 1] });
    }

    #[test]
    fn absurd_widths_are_not_built() {
        let mut to = point(0, i32::MIN, &[1], 0.0);
        add_exponential(&mut to, &point(0, i32::MAX, &[2], 0.0));
        assert_eq!(to.positive.bucket_counts, [2]);
    }
}
