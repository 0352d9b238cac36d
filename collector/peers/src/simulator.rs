//! A fleet of nodes in one thread: seeded delays, losses, repetitions, cuts, crashes, hangs and rings that disagree, and
//! the protocol's invariants checked after every event. The same seed is the same run, on every machine.
//!
//! A trace's entry is the set of its spans, and a decision is the set that was judged: any difference between two
//! decisions shows. What is checked is in `check.rs`, what goes wrong on purpose in `plan.rs`.

mod check;
mod plan;
pub(crate) mod random;
mod transfer;
mod world;

pub use plan::Profile;

use world::World;

/// What a run without violation came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Traces with at least one span.
    pub traces: u64,
    /// Decisions by how they were made.
    pub agreed: u64,
    /// See [`crate::Basis::Incomplete`].
    pub incomplete: u64,
    /// See [`crate::Basis::Alone`].
    pub alone: u64,
    /// Traces with different decisions at different members, each counted as one of the two above.
    pub broken: u64,
    /// Messages sent.
    pub messages: u64,
}

impl Outcome {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.traces += other.traces;
        self.agreed += other.agreed;
        self.incomplete += other.incomplete;
        self.alone += other.alone;
        self.broken += other.broken;
        self.messages += other.messages;
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The run.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// All that happened to the trace concerned and to the fleet, in order, one event a line.
    pub events: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}: {}\n{}", self.seed, self.what, self.events)
    }
}

/// Runs one seed, which chooses the profile too.
///
/// # Errors
/// When an invariant does not hold.
pub fn run(seed: u64) -> Result<Outcome, Box<Violation>> {
    run_as(Profile::of(seed), seed)
}

/// Runs one seed with a profile of faults.
///
/// # Errors
/// When an invariant does not hold.
pub fn run_as(profile: Profile, seed: u64) -> Result<Outcome, Box<Violation>> {
    World::new(profile, seed, None).run().map_err(|failure| {
        // The same run again, this time written down.
        let mut world = World::new(profile, seed, Some(failure.trace));
        let what = world.run().err().map_or(failure.what, |again| again.what);
        Box::new(Violation { seed, what, events: world.events() })
    })
}

/// All that happened to each trace of a seed that members have obeyed differently, one text a trace: faults have weakened the
/// second invariant for it, or it would be a violation.
///
/// # Errors
/// When an invariant does not hold.
pub fn broken_as(profile: Profile, seed: u64) -> Result<Vec<String>, Box<Violation>> {
    if run_as(profile, seed)?.broken == 0 {
        return Ok(Vec::new());
    }
    let mut first = World::new(profile, seed, None);
    let _ran_well = first.run();
    let events = |trace: u64| {
        let mut world = World::new(profile, seed, Some(Some(trace)));
        let _ran_well = world.run();
        format!("seed {seed}: trace {trace} is broken\n{}", world.events())
    };
    Ok(first.broken.into_iter().map(events).collect())
}
