//! The system clock: the only place of the program that reads the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use component::Clock;

/// Wall clock and monotonic clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
    fn unix_nano(&self) -> u64 {
        // A machine whose clock stands before 1970 gives 0, which OTLP reads as "unknown".
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_clock_goes_back() {
        let clock = SystemClock::new();
        let (wall, mono) = (clock.unix_nano(), clock.monotonic());
        assert!(wall > 1_700_000_000_000_000_000);
        assert!(clock.monotonic() >= mono);
    }
}
