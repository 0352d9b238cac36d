//! The `memory_limiter` section, with upstream's rules and texts.

use std::time::Duration as Span;

use serde::Deserialize;

use super::limiter::{Gates, Limits};
use crate::config::{Duration, Problems};

/// The section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    check_interval: Duration,
    min_gc_interval_when_soft_limited: Duration,
    min_gc_interval_when_hard_limited: Duration,
    max_gc_interval_when_soft_limited: Duration,
    max_gc_interval_when_hard_limited: Duration,
    limit_mib: u32,
    spike_limit_mib: u32,
    limit_percentage: u32,
    spike_limit_percentage: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            check_interval: Duration::default(),
            min_gc_interval_when_soft_limited: Duration::from_secs(10),
            min_gc_interval_when_hard_limited: Duration::default(),
            max_gc_interval_when_soft_limited: Duration::from_secs(30),
            max_gc_interval_when_hard_limited: Duration::from_secs(30),
            limit_mib: 0,
            spike_limit_mib: 0,
            limit_percentage: 0,
            spike_limit_percentage: 0,
        }
    }
}

impl Config {
    /// Time between two looks.
    #[must_use]
    pub fn check_interval(&self) -> Span {
        self.check_interval.span()
    }

    /// When memory is shed.
    #[must_use]
    pub fn gates(&self) -> Gates {
        Gates {
            soft: (self.min_gc_interval_when_soft_limited.span(), self.max_gc_interval_when_soft_limited.span()),
            hard: (self.min_gc_interval_when_hard_limited.span(), self.max_gc_interval_when_hard_limited.span()),
            check_interval: self.check_interval(),
        }
    }

    /// The limits in bytes; `total` is asked only for percentages.
    pub fn limits(&self, total: impl FnOnce() -> Result<u64, String>) -> Result<Limits, String> {
        const MIB: u64 = 1 << 20;
        if self.limit_mib > 0 {
            let hard = u64::from(self.limit_mib) * MIB;
            return Limits::new(hard, u64::from(self.spike_limit_mib) * MIB);
        }
        let total = total()
            .map_err(|error| format!("failed to get total memory, use fixed memory settings (limit_mib): {error}"))?;
        let share = |percentage: u32| total / 100 * u64::from(percentage) + total % 100 * u64::from(percentage) / 100;
        Limits::new(share(self.limit_percentage), share(self.spike_limit_percentage))
    }

    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        let mut wrong = |broken: bool, text: &str| {
            if broken {
                problems.add(path, text);
            }
        };
        let zero = Duration::default();
        wrong(self.check_interval <= zero, "'check_interval' must be greater than zero");
        wrong(
            self.min_gc_interval_when_soft_limited < self.min_gc_interval_when_hard_limited,
            "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
        );
        let (soft, hard) = (self.max_gc_interval_when_soft_limited, self.max_gc_interval_when_hard_limited);
        wrong(
            soft > zero && hard > zero && soft < hard,
            "'max_gc_interval_when_soft_limited' should be larger than 'max_gc_interval_when_hard_limited'",
        );
        wrong(
            soft > zero && soft < self.min_gc_interval_when_soft_limited,
            "'max_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_soft_limited'",
        );
        wrong(
            hard > zero && hard < self.min_gc_interval_when_hard_limited,
            "'max_gc_interval_when_hard_limited' should be larger than 'min_gc_interval_when_hard_limited'",
        );
        wrong(
            self.limit_mib == 0 && self.limit_percentage == 0,
            "'limit_mib' or 'limit_percentage' must be greater than zero",
        );
        wrong(
            self.limit_percentage > 100 || self.spike_limit_percentage > 100,
            "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
        );
        wrong(
            self.limit_mib > 0 && self.limit_mib <= self.spike_limit_mib,
            "'spike_limit_mib' must be smaller than 'limit_mib'",
        );
        wrong(
            self.limit_percentage > 0 && self.limit_percentage <= self.spike_limit_percentage,
            "'spike_limit_percentage' must be smaller than 'limit_percentage'",
        );
    }
}
