//! Time as a parameter: nothing below the collector binary reads a clock of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where components get the time from.
pub trait Clock: Send + Sync {
    /// Wall clock, nanoseconds since the Unix epoch.
    fn unix_nano(&self) -> u64;
    /// A clock that never goes back, since an arbitrary start.
    fn monotonic(&self) -> Duration;
}

/// A clock that stands still until it is told to move; for tests and replay.
#[derive(Debug, Default)]
pub struct ManualClock {
    start_unix_nano: u64,
    elapsed_nano: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `start_unix_nano`.
    #[must_use]
    pub fn new(start_unix_nano: u64) -> Self {
        Self { start_unix_nano, elapsed_nano: AtomicU64::new(0) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_nano.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_nano(&self) -> u64 {
        self.start_unix_nano + self.elapsed_nano.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.elapsed_nano.load(Ordering::Relaxed))
    }
}
