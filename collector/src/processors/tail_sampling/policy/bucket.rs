//! The token bucket of `rate_limiting` and `bytes_limiting`, with the arithmetic of golang.org/x/time/rate.

use std::time::Duration;

const NANOS: f64 = 1e9;

/// One bucket a policy instance (and shard). Full at the start.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: f64,
    burst: i64,
    tokens: f64,
    last: Duration,
}

impl Bucket {
    /// `per_second` may be 0 or less: then nothing is refilled. A `burst` of 0 or less means twice the rate.
    pub(super) fn new(per_second: i64, burst: i64) -> Self {
        let burst = effective_burst(per_second, burst);
        Self { rate: per_second as f64, burst, tokens: burst as f64, last: Duration::ZERO }
    }

    /// Takes `cost` tokens if they are there; a refusal leaves the bucket as it was. Of rate and burst only the `share`
    /// is this bucket's. What fits the whole burst but not the share passes when the bucket is full, and is paid off later:
    /// otherwise traces that one instance keeps would be too large for each of several.
    pub(super) fn allow(&mut self, cost: u64, now: Duration, share: f64) -> bool {
        let Ok(cost) = i64::try_from(cost) else { return false };
        let (rate, burst) = (self.rate * share, self.burst as f64 * share);
        let elapsed = now.saturating_sub(self.last).as_secs_f64();
        let refill = if rate > 0.0 { elapsed * rate } else { 0.0 };
        let filled = (self.tokens + refill).min(burst);
        let missing = (cost as f64).min(burst) - filled;
        // Go truncates the wait to whole nanoseconds, so a deficit that refills within one still passes.
        let in_time = missing <= 0.0 || (rate > 0.0 && (missing / rate * NANOS).trunc() <= 0.0);
        let allowed = cost <= self.burst && in_time;
        if allowed {
            self.tokens = filled - cost as f64;
            self.last = now.max(self.last);
        }
        allowed
    }
}

/// What is left when the share of a bucket changes: the buckets of all owners together keep what they have.
pub(super) fn rescale(bucket: &mut Bucket, before: f64, after: f64) {
    if before > 0.0 && bucket.tokens > 0.0 {
        bucket.tokens *= after / before;
    }
}

/// The configured burst, or upstream's default of two seconds' worth.
pub(super) fn effective_burst(per_second: i64, burst: i64) -> i64 {
    if burst > 0 { burst } else { per_second.saturating_mul(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_refill() {
        let mut bucket = Bucket::new(10, 0);
        let start = Duration::from_secs(5);
        assert!(!bucket.allow(21, start, 1.0), "more than the burst never passes");
        assert!(bucket.allow(20, start, 1.0));
        assert!(!bucket.allow(1, start, 1.0));
        assert!(!bucket.allow(11, start + Duration::from_secs(1), 1.0));
        assert!(bucket.allow(10, start + Duration::from_secs(1), 1.0));
        assert!(bucket.allow(20, start + Duration::from_secs(60), 1.0));
    }

    #[test]
    fn rate_zero_spends_its_burst_once() {
        let mut bucket = Bucket::new(0, 16);
        assert!(bucket.allow(16, Duration::ZERO, 1.0));
        assert!(!bucket.allow(1, Duration::from_secs(3600), 1.0));
        assert!(!Bucket::new(0, 0).allow(1, Duration::ZERO, 1.0));
    }

    #[test]
    fn a_deficit_below_a_nanosecond_passes() {
        let mut bucket = Bucket::new(1_000_000_000_000, 10);
        assert!(bucket.allow(10, Duration::ZERO, 1.0));
        // 1 ns refills 1000 tokens but the burst holds 10; nothing elapsed, a deficit of 10 is worth 0.01 ns.
        assert!(bucket.allow(10, Duration::ZERO, 1.0));
    }

    #[test]
    fn shares_together_pass_what_one_bucket_does() {
        // 100 a second for a minute in pieces of 8, by one and by three that share it unevenly.
        let passed = |shares: &[f64]| {
            let mut buckets = vec![Bucket::new(100, 0); shares.len()];
            for (bucket, share) in buckets.iter_mut().zip(shares) {
                rescale(bucket, 1.0, *share);
            }
            let mut passed = 0;
            for piece in 0..60_000_u64 {
                let at = (piece % shares.len() as u64) as usize;
                let now = Duration::from_millis(piece);
                passed += u64::from(buckets[at].allow(8, now, shares[at])) * 8;
            }
            passed
        };
        let one = passed(&[1.0]);
        assert!((6_100..=6_200).contains(&one), "{one}");
        for shares in [&[0.5, 0.3, 0.2][..], &[0.02; 50]] {
            let several = passed(shares);
            assert!(several.abs_diff(one) < 620, "{shares:?}: {several}, one: {one}");
        }
    }

    #[test]
    fn what_fits_the_whole_burst_passes_a_share_of_it_and_is_paid_off() {
        let mut bucket = Bucket::new(10, 20);
        rescale(&mut bucket, 1.0, 0.25);
        assert!(!bucket.allow(21, Duration::ZERO, 0.25));
        assert!(bucket.allow(20, Duration::ZERO, 0.25));
        // 15 are owed, at 2.5 a second; full again after two seconds more.
        assert!(!bucket.allow(1, Duration::from_secs(6), 0.25));
        assert!(!bucket.allow(20, Duration::from_millis(7_900), 0.25));
        assert!(bucket.allow(20, Duration::from_secs(8), 0.25));
    }
}
