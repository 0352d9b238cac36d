//! Policies: what the YAML asks for, compiled into per-span questions (asked once, when a span arrives) and clauses
//! over a trace's entry (read when the trace is decided).

mod bucket;
mod clause;
mod condition;
mod config;
mod probabilistic;
mod question;
mod reader;
mod trace_state;

#[cfg(test)]
pub(super) mod tests;

use bucket::Bucket;
use clause::{Clause, Window};
pub(super) use clause::{Now, State, Trace, Vote};
use condition::Target;
pub use config::{ErrorMode, PolicyConfig, PolicyKind};
use probabilistic::{Probabilistic, consistent_threshold};
pub(super) use question::{Asked, Questions};
use question::{Asking, Native};

use super::config::Config;
use super::entry::Shape;
use crate::config::Problems;

/// A top-level policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    clause: Clause,
    /// What contrib compares to name the responsible policy: the smallest wins. 0 except for probabilistic ones.
    pub(super) threshold: u64,
}

/// All policies of a configuration, `drop` policies first, as contrib orders them.
#[derive(Debug)]
pub(super) struct Policies {
    list: Vec<Policy>,
    drops: usize,
    fresh: State,
    shape: Shape,
}

impl Policies {
    /// Compiles the policies; mistakes in conditions and regular expressions go to `problems`, and nothing comes back.
    pub(super) fn compile(
        config: &Config,
        options: ottl::Options,
        problems: &mut Problems,
    ) -> Option<(Self, Questions)> {
        let before = problems.list().len();
        let mut compiler = Compiler { asking: Asking::new(options), fresh: State::default(), problems };
        let (drops, others): (Vec<_>, Vec<_>) =
            config.policies.iter().partition(|policy| matches!(policy.kind, PolicyKind::Drop(_)));
        let list = drops
            .iter()
            .chain(&others)
            .map(|policy| Policy {
                name: policy.name.clone(),
                clause: compiler.clause(policy),
                threshold: threshold(policy),
            })
            .collect();
        let Compiler { asking, fresh, .. } = compiler;
        if problems.list().len() > before {
            return None;
        }
        let questions = asking.build(&config.path, problems)?;
        Some((Self { list, drops: drops.len(), fresh, shape: questions.shape() }, questions))
    }

    pub(super) fn list(&self) -> &[Policy] {
        &self.list
    }

    /// How many of them are `drop` policies; these come first.
    pub(super) fn drops(&self) -> usize {
        self.drops
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Limits that have spent nothing.
    pub(super) fn fresh_state(&self) -> State {
        self.fresh.clone()
    }
}

impl Policy {
    /// The policy's vote. Limits spend their tokens.
    pub(super) fn vote(&self, shape: Shape, trace: Trace<'_>, state: &mut State, now: Now) -> Vote {
        self.clause.vote(shape, trace, state, now)
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
    problems: &'a mut Problems,
}

impl Compiler<'_> {
    fn clause(&mut self, policy: &PolicyConfig) -> Clause {
        let path = &policy.path;
        match &policy.kind {
            PolicyKind::AlwaysSample => Clause::Always,
            PolicyKind::Latency { threshold_ms, upper_ms } => {
                Clause::Latency { threshold_ms: *threshold_ms, upper_ms: *upper_ms }
            }
            PolicyKind::SpanCount { min, max } => Clause::SpanCount { min: i64::from(*min), max: i64::from(*max) },
            PolicyKind::Probabilistic { hash_salt, sampling_percentage } => {
                Clause::Probabilistic(Probabilistic::new(hash_salt, *sampling_percentage))
            }
            PolicyKind::NumericAttribute { key, min, max, invert } => {
                self.native(Native::Number { key: key.clone(), min: *min, max: *max }, *invert)
            }
            PolicyKind::BooleanAttribute { key, value, invert } => {
                self.native(Native::Boolean { key: key.clone(), value: *value }, *invert)
            }
            PolicyKind::StringAttribute { key, values, regex: false, invert } => {
                let mut values: Vec<String> = values.iter().filter(|value| !value.is_empty()).cloned().collect();
                values.sort();
                values.dedup();
                self.native(Native::Text { key: key.clone(), values }, *invert)
            }
            PolicyKind::StringAttribute { key, values, regex: true, invert } => {
                let native = Native::Pattern { key: key.clone(), values: values.clone() };
                self.asking.check_patterns(values, &format!("{path}::string_attribute::values"), self.problems);
                self.native(native, *invert)
            }
            PolicyKind::StatusCode { codes } => self.native(Native::Status { codes: *codes }, false),
            PolicyKind::TraceState { key, values } => {
                // As upstream: what cannot be a member's value is left out.
                let fits = |value: &&String| !value.is_empty() && key.len() + value.len() < 256;
                let values = values.iter().filter(fits).cloned().collect();
                self.native(Native::TraceState { key: key.clone(), values }, false)
            }
            PolicyKind::TraceFlags => self.native(Native::SampledFlag, false),
            PolicyKind::RateLimiting { per_second, burst } => {
                self.fresh.buckets.push(Bucket::new(*per_second, *burst));
                Clause::RateLimiting(self.fresh.buckets.len() - 1)
            }
            PolicyKind::BytesLimiting { per_second, burst } => {
                self.fresh.buckets.push(Bucket::new(*per_second, *burst));
                Clause::BytesLimiting(self.fresh.buckets.len() - 1)
            }
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
                let members = members
                    .iter()
                    .map(|(member, percent)| (self.clause(member), percent.map_or(equal, share)))
                    .collect();
                Clause::Composite { at, max_total: *max_total, members }
            }
        }
    }

    fn native(&mut self, question: Native, invert: bool) -> Clause {
        Clause::Bit { bit: self.asking.native(question), wanted: !invert }
    }
}
