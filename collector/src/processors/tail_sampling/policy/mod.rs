//! Policies: what the YAML asks for, compiled into per-span questions (asked once, when a span arrives) and clauses
//! over a trace's entry (read when the trace is decided).

mod asker;
mod bucket;
mod built_in;
mod chance;
mod clause;
mod config;
mod label;
mod probabilistic;
mod question;

#[cfg(test)]
pub(super) mod tests;

use std::ops::Range;

pub(super) use asker::Asked;
use bucket::Bucket;
use built_in::BuiltIn;
use chance::{Live, Tally, Ways};
use clause::{Clause, Window};
pub(super) use clause::{Now, State, Trace, Vote};
pub use config::{ErrorMode, PolicyConfig, PolicyKind};
pub(super) use label::{Label, Labels};
use probabilistic::{Probabilistic, consistent_threshold};
use question::{Asking, Target};
pub(super) use question::{Moves, Questions};

use super::config::Config;
use super::entry::Shape;
use crate::config::Problems;

/// A top-level policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) label: Label,
    clause: Clause,
    /// Names of a `composite`'s members.
    members: Box<[Label]>,
    /// What contrib compares to name the responsible policy: the smallest wins. 0 except for probabilistic ones.
    pub(super) threshold: u64,
    /// What it was made from, and the limits that are its own.
    config: PolicyConfig,
    buckets: Range<usize>,
    windows: Range<usize>,
}

/// All policies of a configuration, `drop` policies first, as contrib orders them.
#[derive(Debug)]
pub(super) struct Policies {
    list: Vec<Policy>,
    drops: usize,
    fresh: State,
    shape: Shape,
    ways: Ways,
    labels: Labels,
    generation: u32,
    weigh: bool,
}

impl Policies {
    /// Compiles the policies; mistakes in conditions and regular expressions go to `problems`, and nothing comes back.
    /// Names keep the numbers that they have in `before`, the policies that these replace.
    pub(super) fn compile(
        config: &Config,
        options: ottl::Options,
        before: Option<&Self>,
        problems: &mut Problems,
    ) -> Option<(Self, Questions)> {
        let problems_before = problems.list().len();
        let generation = before.map_or(0, |before| before.generation.wrapping_add(1));
        let mut compiler = Compiler {
            asking: Asking::new(options, generation),
            fresh: State::default(),
            ways: Ways::default(),
            labels: before.map(|before| before.labels.clone()).unwrap_or_default(),
            problems,
        };
        let (drops, others): (Vec<_>, Vec<_>) =
            config.policies.iter().partition(|policy| matches!(policy.kind, PolicyKind::Drop(_)));
        let list = drops.iter().chain(&others).map(|policy| compiler.policy(policy)).collect();
        let Compiler { asking, fresh, ways, labels, .. } = compiler;
        if problems.list().len() > problems_before {
            return None;
        }
        if config.record_threshold && !ways.are_few() {
            problems.add(
                format!("{}::record_threshold", config.path),
                "these policies have too many limits and different probabilities to tell how likely a trace is kept",
            );
            return None;
        }
        let questions = asking.build(&config.path, problems)?;
        let shape = questions.shape();
        let weigh = config.maximum_trace_size_bytes > 0 || config.policies.iter().any(PolicyConfig::weighs);
        Some((Self { list, drops: drops.len(), fresh, shape, ways, labels, generation, weigh }, questions))
    }

    pub(super) fn list(&self) -> &[Policy] {
        &self.list
    }

    /// How many of them are `drop` policies; these come first.
    pub(super) fn drops(&self) -> usize {
        self.drops
    }

    /// Whether sizes of traces matter, so that they are to be what contrib measures.
    pub(super) fn weigh(&self) -> bool {
        self.weigh
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Limits that have spent nothing.
    pub(super) fn fresh_state(&self) -> State {
        self.fresh.clone()
    }

    /// Limits as they are under `before`, where the policy is the same there, name and all; others have spent nothing.
    pub(super) fn state_after(&self, before: &Self, state: &State) -> State {
        let mut fresh = self.fresh_state();
        for policy in &self.list {
            let Some(same) = before.list.iter().find(|old| old.config == policy.config) else { continue };
            for (to, from) in policy.buckets.clone().zip(same.buckets.clone()) {
                if let (Some(to), Some(from)) = (fresh.buckets.get_mut(to), state.buckets.get(from)) {
                    to.clone_from(from);
                }
            }
            for (to, from) in policy.windows.clone().zip(same.windows.clone()) {
                if let (Some(to), Some(from)) = (fresh.windows.get_mut(to), state.windows.get(from)) {
                    to.clone_from(from);
                }
            }
        }
        fresh
    }

    /// Names of policies and sub-policies.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Different for policies that replace others.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// True if some policy is a limit.
    pub(super) fn has_limits(&self) -> bool {
        self.ways.has_limits()
    }

    /// True if the trace will be kept whatever spans are still to come. To be asked only where nothing can drop it and
    /// no limit would be spent on it: then it can go at once, and all other decisions stay what they are.
    pub(super) fn is_certain(&self, trace: Trace<'_>) -> bool {
        self.list.iter().any(|policy| policy.clause.is_certain(self.shape, trace))
    }

    /// How likely a trace with these facts and answers was to be kept, over all hashes of its id and answers of limits.
    pub(super) fn inclusion(&self, trace: Trace<'_>, state: &State) -> f64 {
        self.ways.weigh(state, |world| {
            let mut sampled = false;
            for policy in &self.list {
                match policy.clause.vote(self.shape, trace, world) {
                    Vote::Dropped => return false,
                    Vote::Sampled => sampled = true,
                    Vote::NotSampled | Vote::Error => {}
                }
            }
            sampled
        })
    }
}

impl Policy {
    /// The policy's vote. Limits spend their tokens.
    pub(super) fn vote(&self, shape: Shape, trace: Trace<'_>, state: &mut State, now: Now) -> Vote {
        self.clause.vote(shape, trace, &mut Live { state, now })
    }

    /// The member of a `composite` that has sampled last.
    pub(super) fn sampled_member(&self, state: &State) -> Label {
        let Clause::Composite { at, .. } = &self.clause else { return Label::NONE };
        let member = state.windows.get(*at).and_then(|window| self.members.get(window.last()));
        member.copied().unwrap_or(Label::NONE)
    }
}

/// The threshold that contrib reports for a policy: its own for `probabilistic`, the largest member's for `and`.
fn threshold(policy: &PolicyConfig) -> u64 {
    match &policy.kind {
        PolicyKind::Probabilistic { sampling_percentage, .. } => consistent_threshold(*sampling_percentage),
        PolicyKind::And(members) => members.iter().map(threshold).max().unwrap_or(0),
        _ => 0,
    }
}

struct Compiler<'a> {
    asking: Asking,
    fresh: State,
    ways: Ways,
    labels: Labels,
    problems: &'a mut Problems,
}

impl Compiler<'_> {
    fn policy(&mut self, policy: &PolicyConfig) -> Policy {
        let (buckets, windows) = (self.fresh.buckets.len(), self.fresh.windows.len());
        let clause = self.clause(policy);
        let members = match &policy.kind {
            PolicyKind::Composite { members, .. } => {
                members.iter().map(|(member, _)| self.labels.add(&member.name)).collect()
            }
            _ => Box::default(),
        };
        Policy {
            name: policy.name.clone(),
            label: self.labels.add(&policy.name),
            clause,
            members,
            threshold: threshold(policy),
            config: policy.clone(),
            buckets: buckets..self.fresh.buckets.len(),
            windows: windows..self.fresh.windows.len(),
        }
    }

    fn bucket(&mut self, per_second: i64, burst: i64) -> usize {
        self.fresh.buckets.push((Bucket::new(per_second, burst), Tally::default()));
        self.ways.add_bucket();
        self.fresh.buckets.len() - 1
    }

    fn clause(&mut self, policy: &PolicyConfig) -> Clause {
        let path = &policy.path;
        match &policy.kind {
            PolicyKind::AlwaysSample => Clause::Always,
            PolicyKind::Latency { threshold_ms, upper_ms } => {
                Clause::Latency { threshold_ms: *threshold_ms, upper_ms: *upper_ms }
            }
            PolicyKind::SpanCount { min, max } => Clause::SpanCount { min: i64::from(*min), max: i64::from(*max) },
            PolicyKind::Probabilistic { hash_salt, sampling_percentage } => {
                let policy = Probabilistic::new(hash_salt, *sampling_percentage);
                self.ways.add_hash(policy);
                Clause::Probabilistic(policy)
            }
            PolicyKind::NumericAttribute { key, min, max, invert } => {
                self.built_in(&BuiltIn::Number { key: key.clone(), min: *min, max: *max }, path, *invert)
            }
            PolicyKind::BooleanAttribute { key, value, invert } => {
                self.built_in(&BuiltIn::Boolean { key: key.clone(), value: *value }, path, *invert)
            }
            PolicyKind::StringAttribute { key, values, regex: false, invert } => {
                let mut values: Vec<String> = values.iter().filter(|value| !value.is_empty()).cloned().collect();
                values.sort();
                values.dedup();
                self.built_in(&BuiltIn::Text { key: key.clone(), values }, path, *invert)
            }
            PolicyKind::StringAttribute { key, values, regex: true, invert } => {
                self.built_in(&BuiltIn::Pattern { key: key.clone(), values: values.clone() }, path, *invert)
            }
            PolicyKind::StatusCode { codes } => self.built_in(&BuiltIn::Status { codes: *codes }, path, false),
            PolicyKind::TraceState { key, values } => {
                // As upstream: what cannot be a member's value is left out.
                let fits = |value: &&String| !value.is_empty() && key.len() + value.len() < 256;
                let values = values.iter().filter(fits).cloned().collect();
                self.built_in(&BuiltIn::TraceState { key: key.clone(), values }, path, false)
            }
            PolicyKind::TraceFlags => self.built_in(&BuiltIn::SampledFlag, path, false),
            PolicyKind::RateLimiting { per_second, burst } => Clause::RateLimiting(self.bucket(*per_second, *burst)),
            PolicyKind::BytesLimiting { per_second, burst } => Clause::BytesLimiting(self.bucket(*per_second, *burst)),
            PolicyKind::OttlCondition { error_mode, span, spanevent } => {
                let path = format!("{path}::ottl_condition");
                match self.asking.conditions(span, spanevent, *error_mode, &path, self.problems) {
                    Target::Bit(bit) => Clause::Bit { bit, wanted: true },
                    Target::Outcome(outcome) => Clause::Outcome(outcome),
                }
            }
            PolicyKind::Not(member) => Clause::Not(Box::new(self.clause(member))),
            PolicyKind::And(members) => Clause::And(members.iter().map(|member| self.clause(member)).collect()),
            PolicyKind::Drop(members) => Clause::Drop(members.iter().map(|member| self.clause(member)).collect()),
            PolicyKind::Composite { max_total, members } => {
                let equal = (*max_total as f64 / members.len().max(1) as f64) as i64;
                // Truncated, as Go converts floats.
                let share = |percent: i64| (percent as f64 / 100.0 * *max_total as f64) as i64;
                let at = self.fresh.windows.len();
                self.fresh.windows.push(Window::new(members.len()));
                self.ways.add_window(members.len());
                let members = members
                    .iter()
                    .map(|(member, percent)| (self.clause(member), percent.map_or(equal, share)))
                    .collect();
                Clause::Composite { at, max_total: *max_total, members }
            }
        }
    }

    fn built_in(&mut self, question: &BuiltIn, path: &str, invert: bool) -> Clause {
        Clause::Bit { bit: self.asking.built_in(question, path, self.problems), wanted: !invert }
    }
}
