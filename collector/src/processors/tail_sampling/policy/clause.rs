//! Policies as a decision reads them: functions of a trace's entry, and of the limits' own state.
//!
//! Nothing here reads a span. Per-span questions are bits and outcomes of the entry already.

use std::time::Duration;

use pdata::TraceId;

use super::bucket::{self, Bucket};
use super::chance::{Chance, Tally};
use super::probabilistic::Probabilistic;
use crate::processors::tail_sampling::entry::{Facts, Outcome, Shape};

/// What a policy reads of a trace.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Trace<'a> {
    pub(in super::super) id: &'a TraceId,
    pub(in super::super) facts: &'a Facts,
    pub(in super::super) answers: &'a [u64],
}

/// The time of a decision.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Now {
    /// Since the Unix epoch.
    pub(in super::super) unix_nano: u64,
    /// Since some start; never goes back.
    pub(in super::super) monotonic: Duration,
}

impl Now {
    pub(in super::super) fn unix_seconds(self) -> u64 {
        self.unix_nano / 1_000_000_000
    }
}

/// What a policy says of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Vote {
    /// Keep it, unless another policy drops it.
    Sampled,
    /// No opinion.
    NotSampled,
    /// Do not keep it, whatever others say.
    Dropped,
    /// The policy failed; counted, and no vote.
    Error,
}

#[derive(Debug)]
pub(super) enum Clause {
    Always,
    Latency {
        threshold_ms: i64,
        upper_ms: i64,
    },
    SpanCount {
        min: i64,
        max: i64,
    },
    Probabilistic(Probabilistic),
    /// Sampled if the bit is as `wanted`: inverted policies want it unset.
    Bit {
        bit: u16,
        wanted: bool,
    },
    Outcome(u16),
    /// Index of a bucket; the cost is spans.
    RateLimiting(usize),
    /// Index of a bucket; the cost is bytes.
    BytesLimiting(usize),
    Not(Box<Clause>),
    And(Box<[Clause]>),
    Drop(Box<[Clause]>),
    Composite {
        at: usize,
        max_total: i64,
        /// With the most spans a second that each may keep.
        members: Box<[(Clause, i64)]>,
    },
}

/// What limits remember; one a shard.
#[derive(Clone, Debug)]
pub(in super::super) struct State {
    pub(super) buckets: Vec<(Bucket, Tally)>,
    pub(super) windows: Vec<Window>,
    /// Which part of each limit is this state's to spend. Below 1 where peers have the rest.
    pub(super) share: f64,
}

impl Default for State {
    fn default() -> Self {
        Self { buckets: Vec::new(), windows: Vec::new(), share: 1.0 }
    }
}

impl State {
    /// From now on this part of each limit may be spent.
    pub(in super::super) fn set_share(&mut self, share: f64) {
        for (bucket, _) in &mut self.buckets {
            bucket::rescale(bucket, self.share, share);
        }
        self.share = share;
    }

    /// A tick is over: what limits let pass in it is history.
    pub(in super::super) fn end_tick(&mut self) {
        let windows = self.windows.iter_mut().flat_map(|window| &mut window.tallies);
        for tally in self.buckets.iter_mut().map(|(_, tally)| tally).chain(windows) {
            tally.settle();
        }
    }
}

/// The counters of a `composite`: spans kept by each member in one second of wall time.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// In which each member kept something last.
    seconds: Vec<u64>,
    /// What does not fit the share of a second that it was kept in counts in the next, too.
    kept: Vec<f64>,
    tallies: Vec<Tally>,
    /// The member that sampled last.
    last: usize,
}

impl Window {
    pub(super) fn new(members: usize) -> Self {
        Self { seconds: vec![0; members], kept: vec![0.0; members], tallies: vec![Tally::default(); members], last: 0 }
    }

    /// What was offered to each member.
    pub(super) fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// The member that sampled last.
    pub(super) fn last(&self) -> usize {
        self.last
    }

    /// True if `spans` more fit below this budget's part of the member's limit; only then they are counted. What fits the
    /// whole limit but not the part is kept where nothing else was, and is paid off in the seconds that follow.
    pub(super) fn admit(&mut self, member: usize, spans: i64, limit: i64, budget: f64, second: u64) -> bool {
        let Some(kept) = self.kept.get_mut(member) else { return false };
        let part = limit as f64 * budget;
        if let Some(last) = self.seconds.get_mut(member).filter(|last| **last != second) {
            // A clock that was set back begins a new second, as upstream.
            let elapsed = second.checked_sub(*last).unwrap_or(1);
            // An owner decides when the others have answered, so that in one second it may have the traces of two and in the
            // next none: with a part of a budget, what is left of a second may be spent in the next. At least a trace's worth:
            // less than that would be lost every second.
            let floor = if budget < 1.0 { -part.max(spans as f64) } else { 0.0 };
            *kept = (*kept - part * elapsed as f64).max(floor);
            *last = second;
        }
        let after = *kept + spans as f64;
        let fits = spans <= limit && (after <= part || *kept <= 0.0);
        if fits {
            *kept = after;
            self.last = member;
        }
        if let Some(tally) = self.tallies.get_mut(member) {
            tally.note(u64::try_from(spans).unwrap_or(0), fits);
        }
        fits
    }
}

impl Clause {
    /// The policy's vote. Limits spend their tokens here, also when another policy decides otherwise.
    pub(super) fn vote(&self, shape: Shape, trace: Trace<'_>, chance: &mut impl Chance) -> Vote {
        let sampled_if = |yes: bool| if yes { Vote::Sampled } else { Vote::NotSampled };
        match self {
            Self::Always => Vote::Sampled,
            Self::Latency { threshold_ms, upper_ms } => {
                let duration = trace.facts.duration_ms();
                sampled_if(duration > *threshold_ms && (*upper_ms == 0 || duration <= *upper_ms))
            }
            Self::SpanCount { min, max } => {
                let spans = signed(trace.facts.spans);
                sampled_if(spans >= *min && (*max == 0 || spans <= *max))
            }
            Self::Probabilistic(policy) => sampled_if(chance.keeps(*policy, trace.id)),
            Self::Bit { bit, wanted } => sampled_if(Shape::bit(trace.answers, *bit) == *wanted),
            Self::Outcome(outcome) => match shape.outcome(trace.answers, *outcome) {
                Outcome::Nothing => Vote::NotSampled,
                Outcome::Match => Vote::Sampled,
                Outcome::Error => Vote::Error,
            },
            Self::RateLimiting(at) => sampled_if(chance.take(*at, trace.facts.spans)),
            Self::BytesLimiting(at) => sampled_if(chance.take(*at, trace.facts.bytes)),
            Self::Not(member) => match member.vote(shape, trace, chance) {
                Vote::Sampled => Vote::NotSampled,
                Vote::NotSampled => Vote::Sampled,
                other => other,
            },
            Self::And(members) => all(members, Vote::Sampled, shape, trace, chance),
            Self::Drop(members) => all(members, Vote::Dropped, shape, trace, chance),
            Self::Composite { at, max_total, members } => {
                for (number, (member, share)) in members.iter().enumerate() {
                    match member.vote(shape, trace, chance) {
                        // The first that samples decides, also when its share is spent: later ones are not asked.
                        Vote::Sampled => {
                            let spans = signed(trace.facts.spans);
                            return sampled_if(chance.admit(*at, number, spans, *share, *max_total));
                        }
                        Vote::Error => return Vote::Error,
                        Vote::NotSampled | Vote::Dropped => {}
                    }
                }
                Vote::NotSampled
            }
        }
    }
}

impl Clause {
    /// True if the policy samples the trace whatever spans are still to come: what it says now it will always say.
    /// Limits and bounds that a trace can grow out of are never certain.
    pub(super) fn is_certain(&self, shape: Shape, trace: Trace<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Latency { threshold_ms, upper_ms: 0 } => trace.facts.duration_ms() > *threshold_ms,
            Self::SpanCount { min, max: 0 } => signed(trace.facts.spans) >= *min,
            Self::Probabilistic(policy) => policy.keeps(trace.id),
            Self::Bit { bit, wanted: true } => Shape::bit(trace.answers, *bit),
            // The earliest outcome stands, and later spans are not earlier.
            Self::Outcome(outcome) => shape.outcome(trace.answers, *outcome) == Outcome::Match,
            Self::Not(member) => matches!(&**member, Self::Probabilistic(policy) if !policy.keeps(trace.id)),
            Self::And(members) => members.iter().all(|member| member.is_certain(shape, trace)),
            Self::Latency { .. }
            | Self::SpanCount { .. }
            | Self::Bit { .. }
            | Self::RateLimiting(_)
            | Self::BytesLimiting(_)
            | Self::Drop(_)
            | Self::Composite { .. } => false,
        }
    }
}

/// Members in order; the first that does not sample, or fails, ends it.
fn all(members: &[Clause], yes: Vote, shape: Shape, trace: Trace<'_>, chance: &mut impl Chance) -> Vote {
    for member in members {
        match member.vote(shape, trace, chance) {
            Vote::NotSampled => return Vote::NotSampled,
            Vote::Error => return Vote::Error,
            Vote::Sampled | Vote::Dropped => {}
        }
    }
    yes
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8 spans each, offered to owners whose decisions come in batches at uneven times; spans kept in 60 seconds.
    fn kept(budgets: &[f64], uneven: bool) -> i64 {
        let mut windows = vec![Window::new(1); budgets.len()];
        let mut kept = 0;
        for second in 0..60_u64 {
            for (owner, budget) in budgets.iter().enumerate() {
                // Two seconds' worth in every other one.
                let due = if !uneven { 200 } else { 400 * ((second + owner as u64) % 2) };
                let fit = |_: &u64| windows[owner].admit(0, 8, 1000, *budget, second);
                kept += 8 * i64::try_from((0..due).filter(fit).count()).unwrap();
            }
        }
        kept
    }

    #[test]
    fn parts_of_a_budget_together_keep_what_the_whole_does() {
        assert_eq!(kept(&[1.0], false), 60_000);
        for budgets in [&[0.2; 5][..], &[0.5, 0.3, 0.2], &[0.005; 200]] {
            for uneven in [false, true] {
                let several = kept(budgets, uneven);
                assert!((54_000..=63_000).contains(&several), "{budgets:?}, uneven {uneven}: {several}");
            }
        }
    }
}
