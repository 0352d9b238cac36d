//! zap's sampling: in each tick the first lines of a message and level pass, then one in so many.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use std::hash::BuildHasher;
use tracing::Level;

use crate::config::service_telemetry::LogSampling;

/// As zap: a fixed table of counters, so that memory is bounded; messages that meet in one counter share it.
const COUNTERS: usize = 4096;

pub(super) struct Sampler {
    settings: LogSampling,
    counters: Mutex<Vec<Counter>>,
}

#[derive(Clone, Copy, Default)]
struct Counter {
    ends: Duration,
    seen: u64,
}

impl Sampler {
    pub(super) fn new(settings: LogSampling) -> Self {
        Self { settings, counters: Mutex::new(vec![Counter::default(); COUNTERS]) }
    }

    /// Counts one line; true if it is to be written.
    pub(super) fn passes(&self, level: Level, message: &str, now: Duration) -> bool {
        let hash = FixedState::default().hash_one((level.as_str(), message));
        let at = usize::try_from(hash % COUNTERS as u64).unwrap_or(0);
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(counter) = counters.get_mut(at) else { return true };
        if now >= counter.ends {
            *counter = Counter { ends: now + self.settings.tick.span(), seen: 0 };
        }
        counter.seen += 1;
        let LogSampling { initial, thereafter, .. } = self.settings;
        match counter.seen.checked_sub(initial) {
            None | Some(0) => true,
            Some(over) => thereafter > 0 && over % thereafter == 0,
        }
    }
}
