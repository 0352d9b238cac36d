//! The decision, without clock and files: what to do when so much is used at such a time.

use std::time::Duration;

/// Hard and soft limit in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At or over it memory is shed with the shorter gate.
    pub hard: u64,
    /// At or over it data is refused.
    pub soft: u64,
}

impl Limits {
    /// The soft limit is `spike` below the hard one; 0 is a fifth.
    pub fn new(hard: u64, spike: u64) -> Result<Self, String> {
        let spike = if spike == 0 { hard / 5 } else { spike };
        match hard.checked_sub(spike) {
            Some(soft) if soft > 0 => Ok(Self { hard, soft }),
            _ => Err("'spike_limit_mib' must be smaller than 'limit_mib'".to_owned()),
        }
    }
}

/// How often memory is shed: least and most time between two times, by limit. A most of zero is no back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// At or over the soft limit.
    pub soft: (Duration, Duration),
    /// At or over the hard limit.
    pub hard: (Duration, Duration),
    /// Time between two looks.
    pub check_interval: Duration,
}

/// What the last look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// As before.
    None,
    /// Refusing from now on.
    Refuses,
    /// Accepting again.
    Accepts,
}

/// What is remembered between two looks.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    soft: Gate,
    hard: Gate,
    last_shed: Option<Duration>,
    refusing: bool,
}

/// The time that must pass between two times of shedding. Doubled when shedding frees less than 5 %, up to `most`.
#[derive(Debug)]
struct Gate {
    least: Duration,
    most: Duration,
    /// Where doubling begins.
    first: Duration,
    now: Duration,
}

impl Gate {
    fn new((least, most): (Duration, Duration), check_interval: Duration) -> Self {
        Self { least, most, first: least.max(check_interval.mul_f64(0.95)), now: least }
    }

    fn shed(&mut self, before: u64, after: u64) {
        let freed = before.saturating_sub(after);
        if self.most.is_zero() || freed >= before / 20 {
            self.now = self.least;
        } else {
            self.now = self.now.max(self.first).saturating_mul(2).min(self.most);
        }
    }
}

impl Limiter {
    /// Accepts until the first look.
    #[must_use]
    pub fn new(limits: Limits, gates: Gates) -> Self {
        let gate = |bounds| Gate::new(bounds, gates.check_interval);
        Self { limits, soft: gate(gates.soft), hard: gate(gates.hard), last_shed: None, refusing: false }
    }

    /// True if data is refused.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.refusing
    }

    /// One look at time `now` (of a monotonic clock). `used` is read again after `shed`.
    pub fn look(&mut self, now: Duration, mut used: impl FnMut() -> u64, shed: impl FnOnce(bool)) -> Change {
        let mut bytes = used();
        if bytes >= self.limits.soft {
            let is_hard = bytes >= self.limits.hard;
            let gate = if is_hard { &mut self.hard } else { &mut self.soft };
            let open = self.last_shed.is_none_or(|last| now.saturating_sub(last) > gate.now);
            if open {
                shed(is_hard);
                let after = used();
                gate.shed(bytes, after);
                self.last_shed = Some(now);
                bytes = after;
            }
        } else {
            (self.soft.now, self.hard.now) = (self.soft.least, self.hard.least);
        }
        let refuses = bytes >= self.limits.soft;
        let was = std::mem::replace(&mut self.refusing, refuses);
        match (was, refuses) {
            (false, true) => Change::Refuses,
            (true, false) => Change::Accepts,
            _ => Change::None,
        }
    }
}
