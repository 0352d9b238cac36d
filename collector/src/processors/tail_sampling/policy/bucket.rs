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

    /// Takes `cost` tokens if they are there; a refusal leaves the bucket as it was.
    pub(super) fn allow(&mut self, cost: u64, now: Duration) -> bool {
        let Ok(cost) = i64::try_from(cost) else { return false };
        let elapsed = now.saturating_sub(self.last).as_secs_f64();
        let refill = if self.rate > 0.0 { elapsed * self.rate } else { 0.0 };
        let tokens = (self.tokens + refill).min(self.burst as f64) - cost as f64;
        // Go truncates the wait to whole nanoseconds, so a deficit that refills within one still passes.
        let in_time = tokens >= 0.0 || (self.rate > 0.0 && (-tokens / self.rate * NANOS).trunc() <= 0.0);
        let allowed = cost <= self.burst && in_time;
        if allowed {
            self.tokens = tokens;
            self.last = now.max(self.last);
        }
        allowed
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
        assert!(!bucket.allow(21, start), "more than the burst never passes");
        assert!(bucket.allow(20, start));
        assert!(!bucket.allow(1, start));
        assert!(!bucket.allow(11, start + Duration::from_secs(1)));
        assert!(bucket.allow(10, start + Duration::from_secs(1)));
        assert!(bucket.allow(20, start + Duration::from_secs(60)));
    }

    #[test]
    fn rate_zero_spends_its_burst_once() {
        let mut bucket = Bucket::new(0, 16);
        assert!(bucket.allow(16, Duration::ZERO));
        assert!(!bucket.allow(1, Duration::from_secs(3600)));
        assert!(!Bucket::new(0, 0).allow(1, Duration::ZERO));
    }

    #[test]
    fn a_deficit_below_a_nanosecond_passes() {
        let mut bucket = Bucket::new(1_000_000_000_000, 10);
        assert!(bucket.allow(10, Duration::ZERO));
        // 1 ns refills 1000 tokens but the burst holds 10; nothing elapsed, a deficit of 10 is worth 0.01 ns.
        assert!(bucket.allow(10, Duration::ZERO));
    }
}
