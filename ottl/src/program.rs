//! What callers hold: a builder that takes texts, and the program it builds.

use std::{fmt, sync::Arc};

use crate::{limits::Limits, value::Zone};

/// What errors of a condition do to a list of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorMode {
    /// Report the error and go on with the next condition.
    Ignore,
    /// Stop: the list's outcome is the error.
    Propagate,
    /// Go on without a report.
    Silent,
}

/// What answers conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Machine code.
    Jit,
    /// The plain evaluation of the IR.
    Interpreter,
}

/// Gives nanoseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Fills a buffer with random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What converters may take from outside. Without a clock `Now()` is refused, without randomness `UUID()` is.
#[derive(Clone, Default)]
pub struct Host {
    /// The time of day.
    pub clock: Option<Clock>,
    /// Randomness.
    pub random: Option<Random>,
    /// The process's zone, which times made without one are shown in.
    pub local_zone: Zone,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("local_zone", &self.local_zone).finish_non_exhaustive()
    }
}

/// Settings of a builder.
#[derive(Clone, Debug)]
pub struct Options {
    /// What answers.
    pub engine: Engine,
    /// Bounds.
    pub limits: Limits,
    /// What converters may take from outside.
    pub host: Host,
}

impl Default for Options {
    fn default() -> Self {
        Self { engine: Engine::Interpreter, limits: Limits::default(), host: Host::default() }
    }
}
