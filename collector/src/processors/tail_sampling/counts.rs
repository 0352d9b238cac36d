//! What a shard counts between two looks at its numbers: plain integers, added to the registry a batch or tick at once.

use std::time::Duration;

use super::entry::Facts;
use super::policy::Vote;

/// Why a trace was decided before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    /// `num_traces` traces were waiting.
    NumTraces = 0,
    /// `max_buffer_bytes` were taken.
    MaxBufferBytes = 1,
    /// With `decide_early`: later spans cannot change the decision.
    Certain = 2,
}

impl Early {
    /// As metrics and the page of recent decisions name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NumTraces => "num_traces",
            Self::MaxBufferBytes => "max_buffer_bytes",
            Self::Certain => "certain",
        }
    }
}

/// The outcome for a whole trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Final {
    /// Kept.
    Sampled = 0,
    /// Not kept.
    NotSampled = 1,
    /// Not kept because a drop policy says so.
    Dropped = 2,
}

impl Final {
    /// As contrib's metrics name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::NotSampled => "not_sampled",
            Self::Dropped => "dropped",
        }
    }
}

/// Ages in whole seconds, each with how often it was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages(Vec<(u32, u64)>);

impl Ages {
    pub(super) fn add(&mut self, seconds: u32) {
        // Traces leave in the order in which they came, so the age is nearly always the last one seen.
        match self.0.iter_mut().rev().find(|(age, _)| *age == seconds) {
            Some((_, count)) => *count += 1,
            None => self.0.push((seconds, 1)),
        }
    }

    pub(super) fn take(&mut self) -> Vec<(u32, u64)> {
        std::mem::take(&mut self.0)
    }
}

/// What one policy did.
#[derive(Clone, Debug, Default)]
pub(super) struct PolicyCounts {
    /// Votes by [`Final`], and the spans and bytes of these traces.
    pub(super) votes: [u64; 3],
    pub(super) spans: [u64; 3],
    pub(super) bytes: [u64; 3],
    /// Traces that it is responsible for keeping.
    pub(super) kept: u64,
    /// Spans of these.
    pub(super) kept_spans: u64,
    pub(super) executions: u64,
    /// Executions that failed: no votes.
    pub(super) errors: u64,
    pub(super) nanos: u64,
}

impl PolicyCounts {
    /// It has voted on a trace.
    #[inline]
    pub(super) fn vote(&mut self, vote: Vote, facts: &Facts) {
        self.executions += 1;
        let outcome = match vote {
            Vote::Sampled => Final::Sampled,
            Vote::NotSampled => Final::NotSampled,
            Vote::Dropped => Final::Dropped,
            Vote::Error => {
                self.errors += 1;
                return;
            }
        };
        self.votes[outcome as usize] += 1;
        self.spans[outcome as usize] += facts.spans;
        self.bytes[outcome as usize] += facts.bytes;
    }

    /// The votes took so long together.
    pub(super) fn took(&mut self, time: Duration) {
        self.nanos += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    }

    fn add(&mut self, other: &Self) {
        let Self { votes, spans, bytes, kept, kept_spans, executions, errors, nanos } = other;
        for (total, more) in [(&mut self.votes, votes), (&mut self.spans, spans), (&mut self.bytes, bytes)] {
            for (total, more) in total.iter_mut().zip(more) {
                *total += more;
            }
        }
        self.kept += kept;
        self.kept_spans += kept_spans;
        self.executions += executions;
        self.errors += errors;
        self.nanos += nanos;
    }
}

/// Everything since the last [`Counts::take`].
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) new_traces: u64,
    pub(super) too_large: u64,
    /// Late spans answered from a decision cache: not sampled, sampled.
    pub(super) early_releases: [u64; 2],
    pub(super) evaluation_errors: u64,
    /// Traces by [`Final`].
    pub(super) traces: [u64; 3],
    /// Traces by [`Early`].
    pub(super) early: [u64; 3],
    pub(super) removal_ages: Ages,
    pub(super) late_ages: Ages,
    /// Spans whose trace state could not be read, so that no threshold was written.
    pub(super) unreadable_trace_states: u64,
    pub(super) policies: Vec<PolicyCounts>,
}

impl Counts {
    pub(super) fn new(policies: usize) -> Self {
        Self { policies: vec![PolicyCounts::default(); policies], ..Self::default() }
    }

    /// A policy was asked about some traces.
    pub(super) fn asked(&mut self, policy: usize, counts: &PolicyCounts) {
        self.evaluation_errors += counts.errors;
        if let Some(total) = self.policies.get_mut(policy) {
            total.add(counts);
        }
    }

    /// Hands over what arriving batches change, all but what policies did: that is added up a tick at once.
    pub(super) fn take_arrivals(&mut self) -> Self {
        let policies = std::mem::take(&mut self.policies);
        std::mem::replace(self, Self { policies, ..Self::default() })
    }

    /// Hands the numbers over and starts again at zero.
    pub(super) fn take(&mut self) -> Self {
        let fresh = Self::new(self.policies.len());
        std::mem::replace(self, fresh)
    }
}
