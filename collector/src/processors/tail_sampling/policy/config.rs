//! The policies of a configuration as a checked tree. OTTL conditions and regular expressions are kept as text; they
//! are compiled, and refused with their place, where the questions of all policies are put together.

use serde_yaml::Value;

use super::bucket::effective_burst;
use crate::config::Problems;
use crate::processors::tail_sampling::decode::Fields;

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

/// Policy types with their settings, as in the YAML.
#[derive(Clone, Debug)]
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

/// Settings blocks that a policy may carry for types other than its own; upstream ignores them.
const BLOCKS: [&str; 17] = [
    "latency",
    "numeric_attribute",
    "probabilistic",
    "status_code",
    "string_attribute",
    "rate_limiting",
    "bytes_limiting",
    "span_count",
    "trace_state",
    "boolean_attribute",
    "ottl_condition",
    "trace_flags",
    "always_sample",
    "not",
    "and",
    "drop",
    "composite",
];

impl PolicyConfig {
    pub(in super::super) fn parse(value: &Value, path: String, problems: &mut Problems) -> Option<Self> {
        Self::parse_at(value, path, Level::Top, problems)
    }

    fn parse_at(value: &Value, path: String, level: Level, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::new(value, path.clone(), problems);
        let name = fields.string("name", problems);
        let kind = fields.string("type", problems);
        for block in BLOCKS {
            fields.get(block);
        }
        // Only the block of the policy's own type is read.
        let own = BLOCKS.into_iter().find(|block| *block == kind);
        let settings = own.and_then(|block| fields.get(block)).unwrap_or(&Value::Null);
        let mut block = Fields::new(settings, format!("{path}::{kind}"), problems);
        let parsed = parse_kind(&kind, level, &mut block, problems);
        if own.is_some() {
            block.finish(problems);
        }
        fields.finish(problems);
        match parsed {
            Some(kind) => Some(Self { name, path, kind }),
            None => {
                let hint = if own.is_some() { ": it cannot be nested here" } else { "" };
                problems.add(path, format!("unknown sampling policy type {kind}{hint}"));
                None
            }
        }
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

fn parse_kind(kind: &str, level: Level, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<PolicyKind> {
    Some(match kind {
        "always_sample" => PolicyKind::AlwaysSample,
        "trace_flags" => PolicyKind::TraceFlags,
        "latency" => PolicyKind::Latency {
            threshold_ms: fields.integer("threshold_ms", problems),
            upper_ms: fields.integer("upper_threshold_ms", problems),
        },
        "numeric_attribute" => numeric_attribute(fields, problems),
        "boolean_attribute" => PolicyKind::BooleanAttribute {
            key: fields.string("key", problems),
            value: fields.boolean("value", problems),
            invert: fields.boolean("invert_match", problems),
        },
        "string_attribute" => {
            // Upstream's memory of regular expression results; matching needs none here.
            fields.integer("cache_max_size", problems);
            PolicyKind::StringAttribute {
                key: fields.string("key", problems),
                values: fields.strings("values", problems),
                regex: fields.boolean("enabled_regex_matching", problems),
                invert: fields.boolean("invert_match", problems),
            }
        }
        "probabilistic" => PolicyKind::Probabilistic {
            hash_salt: fields.string("hash_salt", problems),
            sampling_percentage: fields.float("sampling_percentage", problems),
        },
        "status_code" => status_code(fields, problems),
        "trace_state" => {
            PolicyKind::TraceState { key: fields.string("key", problems), values: fields.strings("values", problems) }
        }
        "rate_limiting" => PolicyKind::RateLimiting {
            per_second: fields.integer("spans_per_second", problems),
            burst: fields.integer("burst_capacity", problems),
        },
        "bytes_limiting" => PolicyKind::BytesLimiting {
            per_second: fields.integer("bytes_per_second", problems),
            burst: fields.integer("burst_capacity", problems),
        },
        "span_count" => PolicyKind::SpanCount {
            min: fields.integer32("min_spans", problems),
            max: fields.integer32("max_spans", problems),
        },
        "ottl_condition" => ottl_condition(fields, problems),
        "not" if matches!(level, Level::Top | Level::InAnd | Level::InDrop) => {
            let path = fields.path_of("not_sub_policy");
            let value = fields.get("not_sub_policy").unwrap_or(&Value::Null);
            PolicyKind::Not(Box::new(PolicyConfig::parse_at(value, path, Level::InNot, problems)?))
        }
        "and" if matches!(level, Level::Top | Level::InComposite) => {
            PolicyKind::And(members(fields, "and_sub_policy", Level::InAnd, problems))
        }
        "drop" if level == Level::Top => {
            let count = fields.get("drop_sub_policy").and_then(Value::as_sequence).map_or(0, Vec::len);
            if count == 0 {
                // Upstream accepts this, also when the key is misspelt, and drops every trace.
                problems.add(
                    fields.path_of("drop_sub_policy"),
                    "needs at least one policy: without any, all traces are dropped",
                );
            }
            PolicyKind::Drop(members(fields, "drop_sub_policy", Level::InDrop, problems))
        }
        "composite" if level == Level::Top => composite(fields, problems),
        _ => return None,
    })
}

fn members(fields: &mut Fields<'_>, key: &'static str, level: Level, problems: &mut Problems) -> Vec<PolicyConfig> {
    let list = fields.list(key, problems);
    list.into_iter().filter_map(|(value, path)| PolicyConfig::parse_at(value, path, level, problems)).collect()
}

fn numeric_attribute(fields: &mut Fields<'_>, problems: &mut Problems) -> PolicyKind {
    let min = fields.integer("min_value", problems);
    let max = fields.integer("max_value", problems);
    if min == 0 && max == 0 {
        // Upstream logs this text, starts, and panics at the first decision. A bound of 0 cannot be expressed.
        problems.add(fields.path(), "At least one of minValue or maxValue must be set");
    }
    PolicyKind::NumericAttribute {
        key: fields.string("key", problems),
        min: if min == 0 { i64::MIN } else { min },
        max: if max == 0 { i64::MAX } else { max },
        invert: fields.boolean("invert_match", problems),
    }
}

fn status_code(fields: &mut Fields<'_>, problems: &mut Problems) -> PolicyKind {
    let names = fields.strings("status_codes", problems);
    if names.is_empty() {
        problems.add(fields.path(), "expected at least one status code to filter on");
    }
    let mut codes = 0;
    for (at, name) in names.iter().enumerate() {
        match name.as_str() {
            "UNSET" => codes |= 1,
            "OK" => codes |= 1 << 1,
            "ERROR" => codes |= 1 << 2,
            other => problems.add(
                format!("{}[{at}]", fields.path_of("status_codes")),
                format!("unknown status code {other:?}, supported: OK, ERROR, UNSET"),
            ),
        }
    }
    PolicyKind::StatusCode { codes }
}

fn ottl_condition(fields: &mut Fields<'_>, problems: &mut Problems) -> PolicyKind {
    let error_mode = match fields.get("error_mode").map(|value| value.as_str().unwrap_or_default()) {
        None => ErrorMode::Silent,
        Some(mode) if mode.eq_ignore_ascii_case("ignore") => ErrorMode::Ignore,
        Some(mode) if mode.eq_ignore_ascii_case("propagate") => ErrorMode::Propagate,
        Some(mode) if mode.eq_ignore_ascii_case("silent") => ErrorMode::Silent,
        Some(mode) => {
            problems.add(fields.path_of("error_mode"), format!("unknown error mode {mode}"));
            ErrorMode::Silent
        }
    };
    let span = fields.strings("span", problems);
    let spanevent = fields.strings("spanevent", problems);
    if span.is_empty() && spanevent.is_empty() {
        problems.add(fields.path(), "expected at least one OTTL condition to filter on");
    }
    PolicyKind::OttlCondition { error_mode, span, spanevent }
}

fn composite(fields: &mut Fields<'_>, problems: &mut Problems) -> PolicyKind {
    let max_total = fields.integer("max_total_spans_per_second", problems);
    let mut members = members(fields, "composite_sub_policy", Level::InComposite, problems);
    let known = |name: &str, members: &[PolicyConfig]| members.iter().any(|member| member.name == name);

    // Upstream reads `policy_order` and never uses it; here it is the order, and the rest follow as listed.
    let order = fields.strings("policy_order", problems);
    for (at, name) in order.iter().enumerate() {
        if !known(name, &members) {
            let path = format!("{}[{at}]", fields.path_of("policy_order"));
            problems.add(path, format!("{name:?} is the name of no composite_sub_policy"));
        }
    }
    members.sort_by_key(|member| order.iter().position(|name| *name == member.name).unwrap_or(order.len()));

    let mut shares: Vec<Option<i64>> = vec![None; members.len()];
    for (value, path) in fields.list("rate_allocation", problems) {
        let mut item = Fields::new(value, path, problems);
        let name = item.string("policy", problems);
        let percent = item.integer("percent", problems);
        if !known(&name, &members) {
            problems.add(item.path_of("policy"), format!("{name:?} is the name of no composite_sub_policy"));
        }
        for (member, share) in members.iter().zip(&mut shares) {
            if member.name == name {
                *share = (percent > 0).then_some(percent);
            }
        }
        item.finish(problems);
    }
    PolicyKind::Composite { max_total, members: members.into_iter().zip(shares).collect() }
}
