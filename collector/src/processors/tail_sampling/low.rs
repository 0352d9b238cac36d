//! The section as typed: keys, types and defaults, nothing else. What it means is in `config.rs` and `policy/config.rs`.

use serde::Deserialize;

use super::peers::LowPeers;
use super::storage::LowStorage;
use crate::config::Duration;

/// `tail_sampling`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Low {
    pub(super) decision_wait: Duration,
    pub(super) decision_wait_after_root_received: Duration,
    pub(super) num_traces: u64,
    pub(super) block_on_overflow: bool,
    pub(super) max_buffer_bytes: u64,
    /// Only a hint for upstream's allocations; nothing is sized by it here.
    pub(super) expected_new_traces_per_sec: u64,
    pub(super) policies: Vec<LowPolicy>,
    pub(super) decision_cache: DecisionCache,
    pub(super) sample_on_first_match: bool,
    pub(super) sampling_strategy: String,
    pub(super) drop_pending_traces_on_shutdown: bool,
    pub(super) shutdown_wait: Duration,
    pub(super) maximum_trace_size_bytes: u64,
    pub(super) num_shards: u32,
    pub(super) tail_storage: Option<String>,
    pub(super) storage: Option<LowStorage>,
    pub(super) peers: Option<LowPeers>,
    pub(super) decide_early: bool,
    pub(super) record_policy: bool,
    pub(super) record_threshold: bool,
    pub(super) dry_run: bool,
    pub(super) recent_decisions: u64,
}

impl Default for Low {
    fn default() -> Self {
        Self {
            decision_wait: Duration::from_secs(30),
            decision_wait_after_root_received: Duration::default(),
            num_traces: 50_000,
            block_on_overflow: false,
            max_buffer_bytes: 0,
            expected_new_traces_per_sec: 0,
            policies: Vec::new(),
            decision_cache: DecisionCache::default(),
            sample_on_first_match: false,
            sampling_strategy: "trace-complete".to_owned(),
            drop_pending_traces_on_shutdown: false,
            shutdown_wait: Duration::default(),
            maximum_trace_size_bytes: 0,
            num_shards: 1,
            tail_storage: None,
            storage: None,
            peers: None,
            decide_early: false,
            record_policy: false,
            record_threshold: false,
            dry_run: false,
            recent_decisions: 100,
        }
    }
}

/// `decision_cache`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DecisionCache {
    pub(super) sampled_cache_size: i64,
    pub(super) non_sampled_cache_size: i64,
}

/// A policy or sub-policy. Blocks of types other than its own are checked and ignored, as upstream ignores them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LowPolicy {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Has no settings, nor has the next.
    pub(super) always_sample: Nothing,
    pub(super) trace_flags: Nothing,
    pub(super) latency: Latency,
    pub(super) numeric_attribute: NumericAttribute,
    pub(super) probabilistic: Probabilistic,
    pub(super) status_code: StatusCode,
    pub(super) string_attribute: StringAttribute,
    pub(super) rate_limiting: RateLimiting,
    pub(super) bytes_limiting: BytesLimiting,
    pub(super) span_count: SpanCount,
    pub(super) trace_state: TraceState,
    pub(super) boolean_attribute: BooleanAttribute,
    pub(super) ottl_condition: OttlCondition,
    pub(super) not: Not,
    pub(super) and: And,
    pub(super) drop: Drop,
    pub(super) composite: Composite,
}

macro_rules! blocks {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name {
            $(pub(super) $field: $type,)*
        }
    )*};
}

blocks! {
    /// A block without keys.
    Nothing {}
    /// `latency`
    Latency { threshold_ms: i64, upper_threshold_ms: i64, }
    /// `numeric_attribute`
    NumericAttribute { key: String, min_value: i64, max_value: i64, invert_match: bool, }
    /// `probabilistic`
    Probabilistic { hash_salt: String, sampling_percentage: f64, }
    /// `status_code`
    StatusCode { status_codes: Vec<String>, }
    /// `rate_limiting`
    RateLimiting { spans_per_second: i64, burst_capacity: i64, }
    /// `bytes_limiting`
    BytesLimiting { bytes_per_second: i64, burst_capacity: i64, }
    /// `span_count`
    SpanCount { min_spans: i32, max_spans: i32, }
    /// `trace_state`
    TraceState { key: String, values: Vec<String>, }
    /// `boolean_attribute`
    BooleanAttribute { key: String, value: bool, invert_match: bool, }
    /// `ottl_condition`
    OttlCondition { error_mode: Option<String>, span: Vec<String>, spanevent: Vec<String>, }
    /// `not`
    Not { not_sub_policy: Option<Box<LowPolicy>>, }
    /// `and`
    And { and_sub_policy: Vec<LowPolicy>, }
    /// `drop`
    Drop { drop_sub_policy: Vec<LowPolicy>, }
    /// `composite`
    Composite {
        max_total_spans_per_second: i64,
        policy_order: Vec<String>,
        composite_sub_policy: Vec<LowPolicy>,
        rate_allocation: Vec<RateAllocation>,
    }
    /// An item of `rate_allocation`.
    RateAllocation { policy: String, percent: i64, }
}

/// `string_attribute`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StringAttribute {
    pub(super) key: String,
    pub(super) values: Vec<String>,
    pub(super) enabled_regex_matching: bool,
    /// The size of upstream's memory of regular expression results; matching needs none here.
    pub(super) cache_max_size: i64,
    pub(super) invert_match: bool,
}
