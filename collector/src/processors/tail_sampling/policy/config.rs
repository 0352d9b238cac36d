//! The policies of a configuration as a checked tree. OTTL conditions and regular expressions are kept as text; they
//! are compiled, and refused with their place, where the questions of all policies are put together.

use super::bucket::effective_burst;
use crate::config::{Problems, nearest};
use crate::processors::tail_sampling::low::{self, LowPolicy};

/// A policy or sub-policy.
#[derive(Clone, Debug)]
pub struct PolicyConfig {
    /// Its name; sub-policies may have none.
    pub name: String,
    /// Its key path, for errors.
    pub path: String,
    /// What it does.
    pub kind: PolicyKind,
}

/// Equal where they do the same under the same name, wherever they are written.
impl PartialEq for PolicyConfig {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind
    }
}

/// Policy types with their settings, as in the YAML.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyKind {
    /// `always_sample`
    AlwaysSample,
    /// `latency`; `upper_ms` 0 means none.
    Latency {
        /// Longer than this.
        threshold_ms: i64,
        /// And at most this.
        upper_ms: i64,
    },
    /// `numeric_attribute`; both bounds included.
    NumericAttribute {
        /// Attribute key.
        key: String,
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
        /// Sampled when nothing matches.
        invert: bool,
    },
    /// `boolean_attribute`
    BooleanAttribute {
        /// Attribute key.
        key: String,
        /// The value asked for.
        value: bool,
        /// Sampled when nothing matches.
        invert: bool,
    },
    /// `string_attribute`
    StringAttribute {
        /// Attribute key.
        key: String,
        /// Texts or regular expressions.
        values: Vec<String>,
        /// `values` are regular expressions, searched unanchored.
        regex: bool,
        /// Sampled when nothing matches.
        invert: bool,
    },
    /// `probabilistic`
    Probabilistic {
        /// Empty means the default salt.
        hash_salt: String,
        /// 0 to 100.
        sampling_percentage: f64,
    },
    /// `status_code`: a bit for each code asked for (0 unset, 1 ok, 2 error).
    StatusCode {
        /// Bit set of codes.
        codes: u8,
    },
    /// `trace_state`
    TraceState {
        /// Key of the member.
        key: String,
        /// Values asked for.
        values: Vec<String>,
    },
    /// `trace_flags`: the sampled flag.
    TraceFlags,
    /// `rate_limiting`
    RateLimiting {
        /// Spans a second.
        per_second: i64,
        /// 0 or less means twice the rate.
        burst: i64,
    },
    /// `bytes_limiting`
    BytesLimiting {
        /// Bytes a second.
        per_second: i64,
        /// 0 or less means twice the rate.
        burst: i64,
    },
    /// `span_count`; `max` 0 means none.
    SpanCount {
        /// Least number of spans.
        min: i32,
        /// Greatest number of spans.
        max: i32,
    },
    /// `ottl_condition`
    OttlCondition {
        /// What an error in a condition does.
        error_mode: ErrorMode,
        /// Conditions on spans; one that holds is enough.
        span: Vec<String>,
        /// Conditions on span events.
        spanevent: Vec<String>,
    },
    /// `not`
    Not(Box<PolicyConfig>),
    /// `and`
    And(Vec<PolicyConfig>),
    /// `drop`
    Drop(Vec<PolicyConfig>),
    /// `composite`, with sub-policies in the order in which they are asked.
    Composite {
        /// Spans a second that any one sub-policy may keep at most.
        max_total: i64,
        /// Sub-policies and their percentage of `max_total`; none means an equal share.
        members: Vec<(PolicyConfig, Option<i64>)>,
    },
}

/// `error_mode` of `ottl_condition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorMode {
    /// Go on with the next condition, and log.
    Ignore,
    /// The policy fails for the trace.
    Propagate,
    /// Go on with the next condition. Upstream behaves so too when the key is omitted.
    Silent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    InAnd,
    InDrop,
    InNot,
    InComposite,
}

impl PolicyConfig {
    pub(in super::super) fn parse(low: LowPolicy, path: String, problems: &mut Problems) -> Option<Self> {
        Self::parse_at(low, path, Level::Top, problems)
    }

    fn parse_at(low: LowPolicy, path: String, level: Level, problems: &mut Problems) -> Option<Self> {
        let name = low.name.clone();
        let kind = parse_kind(low, &path, level, problems)?;
        Some(Self { name, path, kind })
    }

    /// True if its answer depends on more than the spans of one trace that have arrived so far.
    pub(in super::super) fn is_stateful(&self) -> bool {
        match &self.kind {
            PolicyKind::RateLimiting { .. } | PolicyKind::BytesLimiting { .. } => true,
            PolicyKind::Latency { upper_ms, .. } => *upper_ms > 0,
            PolicyKind::SpanCount { max, .. } => *max > 0,
            PolicyKind::Not(member) => member.is_stateful(),
            PolicyKind::And(members) | PolicyKind::Drop(members) => members.iter().any(Self::is_stateful),
            PolicyKind::Composite { members, .. } => members.iter().any(|(member, _)| member.is_stateful()),
            _ => false,
        }
    }

    /// True if it spends something when it is asked.
    pub(in super::super) fn is_limit(&self) -> bool {
        match &self.kind {
            PolicyKind::RateLimiting { .. } | PolicyKind::BytesLimiting { .. } | PolicyKind::Composite { .. } => true,
            PolicyKind::Not(member) => member.is_limit(),
            PolicyKind::And(members) | PolicyKind::Drop(members) => members.iter().any(Self::is_limit),
            _ => false,
        }
    }

    /// True if it asks for the size of a trace.
    pub(in super::super) fn weighs(&self) -> bool {
        match &self.kind {
            PolicyKind::BytesLimiting { .. } => true,
            PolicyKind::Not(member) => member.weighs(),
            PolicyKind::And(members) | PolicyKind::Drop(members) => members.iter().any(Self::weighs),
            PolicyKind::Composite { members, .. } => members.iter().any(|(member, _)| member.weighs()),
            _ => false,
        }
    }

    /// Divides limits among `n` shards, at least 1 each. A burst is not divided: one that is not set is first fixed
    /// at twice the undivided rate.
    pub(in super::super) fn divide(&mut self, n: i64) {
        let divided = |limit: &mut i64| {
            if *limit > 0 {
                *limit = (*limit / n).max(1);
            }
        };
        match &mut self.kind {
            PolicyKind::RateLimiting { per_second, burst } | PolicyKind::BytesLimiting { per_second, burst } => {
                *burst = effective_burst(*per_second, *burst);
                divided(per_second);
            }
            PolicyKind::Not(member) => member.divide(n),
            PolicyKind::And(members) | PolicyKind::Drop(members) => {
                for member in members {
                    member.divide(n);
                }
            }
            PolicyKind::Composite { max_total, members } => {
                divided(max_total);
                for (member, _) in members {
                    member.divide(n);
                }
            }
            _ => {}
        }
    }
}

/// What `type` may be, to suggest the one that was meant.
const TYPES: [&str; 17] = [
    "always_sample",
    "and",
    "boolean_attribute",
    "bytes_limiting",
    "composite",
    "drop",
    "latency",
    "not",
    "numeric_attribute",
    "ottl_condition",
    "probabilistic",
    "rate_limiting",
    "span_count",
    "status_code",
    "string_attribute",
    "trace_flags",
    "trace_state",
];

fn parse_kind(low: LowPolicy, at: &str, level: Level, problems: &mut Problems) -> Option<PolicyKind> {
    let path = format!("{at}::{}", low.kind);
    Some(match low.kind.as_str() {
        "always_sample" => PolicyKind::AlwaysSample,
        "trace_flags" => PolicyKind::TraceFlags,
        "latency" => {
            PolicyKind::Latency { threshold_ms: low.latency.threshold_ms, upper_ms: low.latency.upper_threshold_ms }
        }
        "numeric_attribute" => numeric_attribute(low.numeric_attribute, &path, problems),
        "boolean_attribute" => PolicyKind::BooleanAttribute {
            key: low.boolean_attribute.key,
            value: low.boolean_attribute.value,
            invert: low.boolean_attribute.invert_match,
        },
        "string_attribute" => PolicyKind::StringAttribute {
            key: low.string_attribute.key,
            values: low.string_attribute.values,
            regex: low.string_attribute.enabled_regex_matching,
            invert: low.string_attribute.invert_match,
        },
        "probabilistic" => probabilistic(low.probabilistic, &path, problems),
        "status_code" => status_code(&low.status_code.status_codes, &path, problems),
        "trace_state" => PolicyKind::TraceState { key: low.trace_state.key, values: low.trace_state.values },
        "rate_limiting" => PolicyKind::RateLimiting {
            per_second: low.rate_limiting.spans_per_second,
            burst: low.rate_limiting.burst_capacity,
        },
        "bytes_limiting" => PolicyKind::BytesLimiting {
            per_second: low.bytes_limiting.bytes_per_second,
            burst: low.bytes_limiting.burst_capacity,
        },
        "span_count" => PolicyKind::SpanCount { min: low.span_count.min_spans, max: low.span_count.max_spans },
        "ottl_condition" => ottl_condition(low.ottl_condition, &path, problems),
        "not" if matches!(level, Level::Top | Level::InAnd | Level::InDrop) => {
            let member = low.not.not_sub_policy.map_or_else(LowPolicy::default, |member| *member);
            let path = format!("{path}::not_sub_policy");
            PolicyKind::Not(Box::new(PolicyConfig::parse_at(member, path, Level::InNot, problems)?))
        }
        "and" if matches!(level, Level::Top | Level::InComposite) => {
            PolicyKind::And(members(low.and.and_sub_policy, &format!("{path}::and_sub_policy"), Level::InAnd, problems))
        }
        "drop" if level == Level::Top => {
            let path = format!("{path}::drop_sub_policy");
            if low.drop.drop_sub_policy.is_empty() {
                // Upstream accepts this and drops every trace.
                problems.add(&path, "needs at least one policy: without any, every trace would be dropped");
            }
            PolicyKind::Drop(members(low.drop.drop_sub_policy, &path, Level::InDrop, problems))
        }
        "composite" if level == Level::Top => composite(low.composite, &path, problems),
        kind => {
            let hint = match kind {
                "" => ": the key \"type\" is missing".to_owned(),
                "not" | "and" | "drop" | "composite" => ": it cannot be nested here".to_owned(),
                _ => nearest::hint(kind, TYPES),
            };
            problems.add(format!("{at}::type"), format!("unknown sampling policy type {kind}{hint}"));
            return None;
        }
    })
}

fn members(low: Vec<LowPolicy>, path: &str, level: Level, problems: &mut Problems) -> Vec<PolicyConfig> {
    low.into_iter()
        .enumerate()
        .filter_map(|(at, low)| PolicyConfig::parse_at(low, format!("{path}[{at}]"), level, problems))
        .collect()
}

fn numeric_attribute(low: low::NumericAttribute, path: &str, problems: &mut Problems) -> PolicyKind {
    let low::NumericAttribute { key, min_value: min, max_value: max, invert_match: invert } = low;
    if min == 0 && max == 0 {
        // Upstream logs this text, starts, and panics at the first decision. A bound of 0 cannot be expressed.
        problems.add(path, "At least one of minValue or maxValue must be set");
    }
    let (min, max) = (if min == 0 { i64::MIN } else { min }, if max == 0 { i64::MAX } else { max });
    PolicyKind::NumericAttribute { key, min, max, invert }
}

fn probabilistic(low: low::Probabilistic, path: &str, problems: &mut Problems) -> PolicyKind {
    if low.sampling_percentage.is_nan() {
        // Upstream panics.
        problems.add(format!("{path}::sampling_percentage"), "must be a number");
    }
    PolicyKind::Probabilistic { hash_salt: low.hash_salt, sampling_percentage: low.sampling_percentage }
}

fn status_code(names: &[String], path: &str, problems: &mut Problems) -> PolicyKind {
    if names.is_empty() {
        problems.add(path, "expected at least one status code to filter on");
    }
    let mut codes = 0;
    for (at, name) in names.iter().enumerate() {
        match name.as_str() {
            "UNSET" => codes |= 1,
            "OK" => codes |= 1 << 1,
            "ERROR" => codes |= 1 << 2,
            other => problems.add(
                format!("{path}::status_codes[{at}]"),
                format!("unknown status code {other:?}, supported: OK, ERROR, UNSET"),
            ),
        }
    }
    PolicyKind::StatusCode { codes }
}

fn ottl_condition(low: low::OttlCondition, path: &str, problems: &mut Problems) -> PolicyKind {
    let low::OttlCondition { error_mode, span, spanevent } = low;
    let is = |mode: &str, name: &str| mode.eq_ignore_ascii_case(name);
    let error_mode = match error_mode.as_deref() {
        None => ErrorMode::Silent,
        Some(mode) if is(mode, "ignore") => ErrorMode::Ignore,
        Some(mode) if is(mode, "propagate") => ErrorMode::Propagate,
        Some(mode) if is(mode, "silent") => ErrorMode::Silent,
        Some(mode) => {
            problems.add(format!("{path}::error_mode"), format!("unknown error mode {mode:?}"));
            ErrorMode::Silent
        }
    };
    if span.is_empty() && spanevent.is_empty() {
        problems.add(path, "expected at least one OTTL condition to filter on");
    }
    PolicyKind::OttlCondition { error_mode, span, spanevent }
}

fn composite(low: low::Composite, path: &str, problems: &mut Problems) -> PolicyKind {
    let order = low.policy_order;
    let known: Vec<String> = low.composite_sub_policy.iter().map(|member| member.name.clone()).collect();
    let check = |name: &String, path: String, problems: &mut Problems| {
        if !known.contains(name) {
            problems.add(path, format!("{name:?} is the name of no composite_sub_policy"));
        }
    };
    // Upstream reads `policy_order` and never uses it; here it is the order, and the rest follow as listed. Unknown
    // names mean nothing upstream; here they are mistakes.
    for (at, name) in order.iter().enumerate() {
        check(name, format!("{path}::policy_order[{at}]"), problems);
    }
    for (at, share) in low.rate_allocation.iter().enumerate() {
        check(&share.policy, format!("{path}::rate_allocation[{at}]::policy"), problems);
    }
    let sub_path = format!("{path}::composite_sub_policy");
    let mut members = members(low.composite_sub_policy, &sub_path, Level::InComposite, problems);
    members.sort_by_key(|member| order.iter().position(|name| *name == member.name).unwrap_or(order.len()));
    let share = |member: &PolicyConfig| {
        let listed = low.rate_allocation.iter().rev().find(|share| share.policy == member.name)?;
        (listed.percent > 0).then_some(listed.percent)
    };
    PolicyKind::Composite {
        max_total: low.max_total_spans_per_second,
        members: members
            .into_iter()
            .map(|member| {
                let share = share(&member);
                (member, share)
            })
            .collect(),
    }
}
