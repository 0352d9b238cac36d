//! The first so many of each second, then every so-manieth, as zap's sampler counts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(super) struct Sampling {
    initial: u64,
    thereafter: u64,
    /// The second at hand, and how many came in it.
    seen: Mutex<(u64, u64)>,
}

impl Sampling {
    /// `thereafter` 0 drops everything behind the first.
    pub(super) fn new(initial: u64, thereafter: u64) -> Self {
        Self { initial, thereafter, seen: Mutex::default() }
    }

    pub(super) fn takes(&self, now: Duration) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != now.as_secs() {
            *seen = (now.as_secs(), 0);
        }
        seen.1 += 1;
        let beyond = seen.1.saturating_sub(self.initial);
        beyond == 0 || (self.thereafter > 0 && beyond.is_multiple_of(self.thereafter))
    }
}
