//! The processor's section: its own keys and the tree of policies, as meant. Everything is checked here, at
//! validation, where upstream checks policies only at start.

use std::time::Duration;

use super::decode::Fields;
use super::policy::PolicyConfig;
use crate::config::{Problems, Section};

/// The configuration of one `tail_sampling` processor.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a trace waits from its first span; whole seconds, at least 1.
    pub decision_wait_seconds: u32,
    /// How long it waits from its root span, if that is earlier.
    pub decision_wait_after_root_seconds: Option<u32>,
    /// Most traces that wait, and most decisions that are remembered.
    pub num_traces: usize,
    /// Refuse to take in more instead of deciding the oldest trace early.
    pub block_on_overflow: bool,
    /// Most bytes of memory that waiting traces may take; 0 means no limit.
    pub max_buffer_bytes: u64,
    /// Ids of sampled traces to remember beyond `num_traces`; 0 means off.
    pub sampled_cache_size: usize,
    /// Ids of dropped traces to remember; 0 means off.
    pub non_sampled_cache_size: usize,
    /// Stop at the first policy that samples.
    pub sample_on_first_match: bool,
    /// Decide while spans arrive instead of when the trace is complete.
    pub strategy: Strategy,
    /// Throw waiting traces away at shutdown instead of deciding them.
    pub drop_pending_traces_on_shutdown: bool,
    /// Largest trace that is not dropped, in bytes as protobuf; 0 means no limit.
    pub maximum_trace_size_bytes: u64,
    /// Independent parts, by trace id.
    pub num_shards: u32,
    /// Policies with unique names, in the order written.
    pub policies: Vec<PolicyConfig>,
}

/// `sampling_strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Decide when the trace has waited.
    TraceComplete,
    /// Decide each time spans arrive.
    SpanIngest,
}

const MAX_SHARDS: u64 = 256;

impl Config {
    /// Reads a section; every mistake goes to `problems`.
    pub(super) fn parse(section: &Section, problems: &mut Problems) -> Option<Self> {
        let before = problems.list().len();
        let value = section.value.to_yaml();
        let mut fields = Fields::new(&value, section.path.clone(), problems);
        let wait = fields.duration("decision_wait", Duration::from_secs(30), problems);
        let after_root = fields.duration("decision_wait_after_root_received", Duration::ZERO, problems);
        let num_traces = fields.unsigned("num_traces", 50_000, problems);
        // Only a hint for upstream's allocations; nothing is sized by it here.
        fields.unsigned("expected_new_traces_per_sec", 0, problems);
        let mut caches = Fields::new(
            fields.get("decision_cache").unwrap_or(&serde_yaml::Value::Null),
            fields.path_of("decision_cache"),
            problems,
        );
        let sampled_cache_size = caches.integer("sampled_cache_size", problems);
        let non_sampled_cache_size = caches.integer("non_sampled_cache_size", problems);
        caches.finish(problems);

        let strategy = match fields.get("sampling_strategy") {
            None => Strategy::TraceComplete,
            Some(value) => match value.as_str() {
                Some("trace-complete") => Strategy::TraceComplete,
                Some("span-ingest") => Strategy::SpanIngest,
                other => {
                    problems.add(
                        fields.path(),
                        format!(
                            "invalid sampling_strategy {:?}, expected one of \"trace-complete\" or \"span-ingest\"",
                            other.unwrap_or_default()
                        ),
                    );
                    Strategy::TraceComplete
                }
            },
        };
        let shards = fields.unsigned("num_shards", 1, problems);
        if shards > MAX_SHARDS {
            problems.add(fields.path(), format!("num_shards ({shards}) must not exceed {MAX_SHARDS}"));
        }
        if fields.get("tail_storage").is_some() {
            problems.add(
                fields.path_of("tail_storage"),
                "'tail_storage' requires the \"processor.tailsamplingprocessor.tailstorageextension\" feature gate, \
                 which is not supported",
            );
        }
        let config = Self {
            decision_wait_seconds: whole_seconds(wait).max(1),
            decision_wait_after_root_seconds: (after_root > Duration::ZERO).then(|| whole_seconds(after_root)),
            num_traces: size(num_traces).max(1),
            block_on_overflow: fields.boolean("block_on_overflow", problems),
            max_buffer_bytes: fields.unsigned("max_buffer_bytes", 0, problems),
            sampled_cache_size: size(u64::try_from(sampled_cache_size).unwrap_or(0)),
            non_sampled_cache_size: size(u64::try_from(non_sampled_cache_size).unwrap_or(0)),
            sample_on_first_match: fields.boolean("sample_on_first_match", problems),
            strategy,
            drop_pending_traces_on_shutdown: fields.boolean("drop_pending_traces_on_shutdown", problems),
            maximum_trace_size_bytes: fields.unsigned("maximum_trace_size_bytes", 0, problems),
            num_shards: u32::try_from(shards.clamp(1, MAX_SHARDS)).unwrap_or(1),
            policies: fields
                .list("policies", problems)
                .into_iter()
                .filter_map(|(value, path)| PolicyConfig::parse(value, path, problems))
                .collect(),
        };
        config.check_policies(problems);
        fields.finish(problems);
        (problems.list().len() == before).then_some(config)
    }

    fn check_policies(&self, problems: &mut Problems) {
        let mut names: Vec<&str> = Vec::new();
        for policy in &self.policies {
            if policy.name.is_empty() {
                problems.add(&policy.path, "policy name cannot be empty");
            } else if names.contains(&policy.name.as_str()) {
                problems.add(&policy.path, format!("duplicate policy name {:?}", policy.name));
            }
            names.push(&policy.name);
            if self.strategy == Strategy::SpanIngest && policy.is_stateful() {
                problems.add(
                    &policy.path,
                    format!(
                        "sampling_strategy \"span-ingest\" requires all policies to be stateless, but policy {:?} is \
                         stateful",
                        policy.name
                    ),
                );
            }
        }
    }

    /// The configuration of one of `num_shards` shards: limits are divided, at least 1 each.
    pub(super) fn for_shard(&self) -> Self {
        let n = self.num_shards;
        if n <= 1 {
            return self.clone();
        }
        let divided = |size: usize| if size == 0 { 0 } else { (size / n as usize).max(1) };
        let mut config = self.clone();
        config.num_traces = divided(self.num_traces).max(1);
        config.sampled_cache_size = divided(self.sampled_cache_size);
        config.non_sampled_cache_size = divided(self.non_sampled_cache_size);
        if self.max_buffer_bytes > 0 {
            config.max_buffer_bytes = (self.max_buffer_bytes / u64::from(n)).max(1);
        }
        for policy in &mut config.policies {
            policy.divide(i64::from(n));
        }
        config
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
