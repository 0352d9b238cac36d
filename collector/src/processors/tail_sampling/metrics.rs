//! The processor's own metrics, under contrib's names (spec 15).
//!
//! Shards count in plain integers; a batch or tick adds them here at once. Series with attributes appear when they have
//! something to say, as upstream.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::Id;
use component::telemetry::{Counter, Definition, Gauge, Histogram, Registry};

use super::counts::{Ages, Counts, Early};
use super::policy::Policies;
use super::storage::Health;
use crate::gates;

const SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor";

/// Buckets of `sampling_decision_timer_latency`, milliseconds.
const LATENCY_BOUNDS: [f64; 23] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0,
    4000.0, 5000.0, 10000.0, 20000.0, 30000.0, 50000.0,
];

/// The SDK's default buckets, which upstream uses for ages in seconds.
const AGE_BOUNDS: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

/// Labels by the order of `counts::Final`.
const OUTCOMES: [(&str, &str); 3] = [("true", "sampled"), ("false", "not_sampled"), ("false", "dropped")];

const EARLY: [Early; 3] = [Early::NumTraces, Early::MaxBufferBytes, Early::Certain];

/// contrib's gates for counts of spans and bytes by policy.
const SPANS_GATE: &str = "processor.tailsamplingprocessor.metricstatcountspanssampled";
const BYTES_GATE: &str = "processor.tailsamplingprocessor.metricstatcountbytessampled";

/// An instrument: prefix and name, unit, description.
macro_rules! definition {
    ($scope:expr, $prefix:literal, $name:literal, $unit:literal, $description:expr) => {
        Definition { name: concat!($prefix, $name), unit: $unit, description: $description, scope: $scope }
    };
}
pub(super) use definition;

/// One of upstream's.
macro_rules! upstream {
    ($name:literal, $unit:literal, $description:literal) => {
        definition!(SCOPE, "otelcol_processor_tail_sampling_", $name, $unit, concat!($description, " [Development]"))
    };
}

/// One that upstream has not.
macro_rules! ours {
    ($name:literal, $unit:literal, $description:literal) => {
        definition!(SCOPE, "ottlcol_processor_tail_sampling_", $name, $unit, $description)
    };
}

const COUNT_TRACES_SAMPLED: Definition =
    upstream!("count_traces_sampled", "{traces}", "Count of traces that were sampled or not per sampling policy");
const COUNT_SPANS_SAMPLED: Definition =
    upstream!("count_spans_sampled", "{spans}", "Count of spans that were sampled or not per sampling policy");
const COUNT_BYTES_SAMPLED: Definition =
    upstream!("count_bytes_sampled", "By", "Count of bytes that were sampled or not per sampling policy");
const UNPARSEABLE_TRACE_STATE: Definition = upstream!(
    "count_spans_with_unparseable_tracestate",
    "{spans}",
    "Count of spans whose tracestate could not be parsed, so that no sampling threshold was written"
);
const GLOBAL_COUNT_TRACES_SAMPLED: Definition = upstream!(
    "global_count_traces_sampled",
    "{traces}",
    "Global count of traces that were sampled or not by at least one policy"
);
const EARLY_RELEASES: Definition = upstream!(
    "early_releases_from_cache_decision",
    "{spans}",
    "Number of spans that were able to be immediately released due to a decision cache hit."
);
const NEW_TRACE_ID_RECEIVED: Definition =
    upstream!("new_trace_id_received", "{traces}", "Counts the arrival of new traces");
const DECISION_TIMER_LATENCY: Definition = upstream!(
    "sampling_decision_timer_latency",
    "ms",
    "Latency (in milliseconds) of each run of the sampling decision timer"
);
const LATE_SPAN_AGE: Definition = upstream!(
    "sampling_late_span_age",
    "s",
    "Time (in seconds) from the sampling decision was taken and the arrival of a late span"
);
const EVALUATION_ERROR: Definition =
    upstream!("sampling_policy_evaluation_error", "{errors}", "Count of sampling policy evaluation errors");
const EXECUTION_COUNT: Definition = upstream!(
    "sampling_policy_execution_count",
    "{executions}",
    "Total number of executions of a specific sampling policy"
);
const EXECUTION_TIME: Definition = upstream!(
    "sampling_policy_execution_time_sum",
    "us",
    "Total time spent (in microseconds) executing a specific sampling policy"
);
const DROPPED_TOO_EARLY: Definition = upstream!(
    "sampling_trace_dropped_too_early",
    "{traces}",
    "Count of traces that needed to be dropped before the configured wait time"
);
const REMOVAL_AGE: Definition = upstream!(
    "sampling_trace_removal_age",
    "s",
    "Time (in seconds) from arrival of a new trace until its removal from memory"
);
const TRACES_ON_MEMORY: Definition =
    upstream!("sampling_traces_on_memory", "{traces}", "Tracks the number of traces current on memory");
const TOO_LARGE: Definition =
    upstream!("traces_dropped_too_large", "{traces}", "Count of traces that were dropped because they were too large");
/// Not upstream's, and in spite of its name no count of decisions: the KEDA triggers that are copied from one article to
/// the next ask for traces in flight under this name.
const NUM_TRACES_SAMPLED: Definition = Definition {
    name: "otelcol_processor_tail_sampling_num_traces_sampled",
    unit: "{traces}",
    description: "Number of traces waiting for their decision, the same as sampling_traces_on_memory",
    scope: SCOPE,
};
/// Not upstream's: traces that upstream loses without a decision are decided early here.
const EARLY_DECISIONS: Definition = ours!(
    "early_decisions",
    "{traces}",
    "Traces decided before their time, by reason: a limit that was reached, or certainty"
);
const MEMORY_BYTES: Definition = ours!(
    "memory",
    "By",
    "All memory of the processor, which max_buffer_bytes limits: waiting spans, recycled buffers, what is known about traces, remembered decisions"
);

const STORAGE_BYTES: Definition = ours!("storage_size", "By", "Size of the log on disk");
const STORAGE_DEGRADED: Definition =
    ours!("storage_degraded", "1", "1 while the log cannot be written and waiting spans are in memory only");
const STORAGE_UNLOGGED: Definition = ours!(
    "storage_unlogged_spans",
    "{spans}",
    "Spans that were taken in without being on disk, because the log could not be written"
);
const STORAGE_RECOVERED: Definition = ours!(
    "storage_recovered_spans",
    "{spans}",
    "Spans that waited in an earlier process and were taken over from the log"
);

/// Cells that exist with `storage` only.
struct StorageMetrics {
    size: Gauge,
    degraded: Gauge,
    unlogged: Counter,
    recovered: Counter,
    /// Of `unlogged`, what was added before.
    seen: AtomicU64,
}

const BUFFER_BYTES: Definition =
    ours!("buffer", "By", "Memory of waiting spans and of what is known about their traces");

/// What waits now, over all shards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    /// Traces.
    pub(super) traces: usize,
    /// Bytes of waiting spans and of what is known about their traces.
    pub(super) buffer_bytes: u64,
    /// All memory.
    pub(super) memory_bytes: u64,
}

/// Cells of one processor. Made once; those with attributes are looked up when needed.
pub(super) struct Metrics {
    registry: Registry,
    /// The instance's name, which comes before that of a policy.
    instance: Option<String>,
    /// Policies in their order.
    policies: Mutex<Arc<[PolicyCells]>>,
    spans: bool,
    bytes: bool,
    new_traces: Counter,
    too_large: Counter,
    evaluation_errors: Counter,
    dropped_too_early: Counter,
    latency: Histogram,
    removal_age: Histogram,
    late_span_age: Histogram,
    on_memory: Gauge,
    num_traces: Gauge,
    buffer: Gauge,
    memory: Gauge,
    storage: Option<StorageMetrics>,
}

/// What every policy has.
struct PolicyCells {
    /// Value of the `policy` attribute.
    name: String,
    executions: Counter,
    time: Counter,
    /// Nanoseconds that make no whole microsecond yet.
    rest_nanos: AtomicU64,
}

impl Metrics {
    pub(super) fn new(registry: &Registry, id: &Id, policies: &Policies, stored: bool) -> Self {
        let metrics = Self {
            instance: id.name().map(str::to_owned),
            policies: Mutex::new(Arc::default()),
            spans: gates::enabled(SPANS_GATE),
            bytes: gates::enabled(BYTES_GATE),
            new_traces: registry.counter(NEW_TRACE_ID_RECEIVED, &[]),
            too_large: registry.counter(TOO_LARGE, &[]),
            evaluation_errors: registry.counter(EVALUATION_ERROR, &[]),
            dropped_too_early: registry.counter(DROPPED_TOO_EARLY, &[]),
            latency: registry.histogram(DECISION_TIMER_LATENCY, &LATENCY_BOUNDS, &[]),
            removal_age: registry.histogram(REMOVAL_AGE, &AGE_BOUNDS, &[]),
            late_span_age: registry.histogram(LATE_SPAN_AGE, &AGE_BOUNDS, &[]),
            on_memory: registry.gauge(TRACES_ON_MEMORY, &[]),
            num_traces: registry.gauge(NUM_TRACES_SAMPLED, &[]),
            buffer: registry.gauge(BUFFER_BYTES, &[]),
            memory: registry.gauge(MEMORY_BYTES, &[]),
            storage: stored.then(|| StorageMetrics {
                size: registry.gauge(STORAGE_BYTES, &[]),
                degraded: registry.gauge(STORAGE_DEGRADED, &[]),
                unlogged: registry.counter(STORAGE_UNLOGGED, &[]),
                recovered: registry.counter(STORAGE_RECOVERED, &[]),
                seen: AtomicU64::new(0),
            }),
            registry: registry.clone(),
        };
        metrics.replace(policies);
        metrics
    }

    /// Names the policies whose counts come from now on.
    pub(super) fn replace(&self, policies: &Policies) {
        let cells = |policy: &str| {
            let name = match &self.instance {
                Some(instance) => format!("{instance}.{policy}"),
                None => policy.to_owned(),
            };
            PolicyCells {
                executions: self.registry.counter(EXECUTION_COUNT, &[("policy", &name)]),
                time: self.registry.counter(EXECUTION_TIME, &[("policy", &name)]),
                rest_nanos: AtomicU64::new(0),
                name,
            }
        };
        let all = policies.list().iter().map(|policy| cells(&policy.name)).collect();
        *self.policies.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// Adds what a shard has counted: of arriving batches each time, of policies once a tick.
    pub(super) fn add(&self, mut counts: Counts) {
        self.new_traces.add(counts.new_traces);
        self.too_large.add(counts.too_large);
        self.evaluation_errors.add(counts.evaluation_errors);
        // Upstream counts here what it lost without a decision; nothing is lost so.
        self.dropped_too_early.add(0);
        record(&self.removal_age, &mut counts.removal_ages);
        record(&self.late_span_age, &mut counts.late_ages);
        for (count, (sampled, decision)) in counts.traces.iter().zip(OUTCOMES) {
            let attributes = [("sampled", sampled), ("decision", decision)];
            self.count(GLOBAL_COUNT_TRACES_SAMPLED, &attributes, *count);
        }
        for (count, sampled) in counts.early_releases.iter().zip(["false", "true"]) {
            self.count(EARLY_RELEASES, &[("sampled", sampled)], *count);
        }
        for (count, reason) in counts.early.iter().zip(EARLY) {
            self.count(EARLY_DECISIONS, &[("reason", reason.as_str())], *count);
        }
        self.count(UNPARSEABLE_TRACE_STATE, &[], counts.unreadable_trace_states);
        let cells = self.policies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (policy, cells) in counts.policies.iter().zip(&*cells) {
            let counted = policy.votes.iter().zip(&policy.spans).zip(&policy.bytes);
            for (((traces, spans), bytes), (sampled, decision)) in counted.zip(OUTCOMES) {
                let attributes = [("policy", cells.name.as_str()), ("sampled", sampled), ("decision", decision)];
                self.count(COUNT_TRACES_SAMPLED, &attributes, *traces);
                self.count(COUNT_SPANS_SAMPLED, &attributes, if self.spans { *spans } else { 0 });
                self.count(COUNT_BYTES_SAMPLED, &attributes, if self.bytes { *bytes } else { 0 });
            }
            cells.executions.add(policy.executions);
            let nanos = cells.rest_nanos.load(Ordering::Relaxed) + policy.nanos;
            cells.rest_nanos.store(nanos % 1000, Ordering::Relaxed);
            cells.time.add(nanos / 1000);
        }
    }

    /// A tick has ended.
    pub(super) fn tick(&self, took: Duration) {
        self.latency.record(took.as_millis() as f64);
    }

    /// What waits now.
    pub(super) fn show(&self, waiting: Waiting) {
        let traces = i64::try_from(waiting.traces).unwrap_or(i64::MAX);
        self.on_memory.set(traces);
        self.num_traces.set(traces);
        self.buffer.set(i64::try_from(waiting.buffer_bytes).unwrap_or(i64::MAX));
        self.memory.set(i64::try_from(waiting.memory_bytes).unwrap_or(i64::MAX));
    }

    /// How the log on disk is, once a tick.
    pub(super) fn storage(&self, health: &Health) {
        let Some(cells) = &self.storage else { return };
        cells.size.set(i64::try_from(health.bytes.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        cells.degraded.set(i64::from(health.degraded.load(Ordering::Relaxed)));
        let unlogged = health.unlogged_spans.load(Ordering::Relaxed);
        cells.unlogged.add(unlogged.saturating_sub(cells.seen.swap(unlogged, Ordering::Relaxed)));
    }

    /// Spans were taken over.
    pub(super) fn recovered(&self, spans: u64) {
        if let Some(cells) = &self.storage {
            cells.recovered.add(spans);
        }
    }

    fn count(&self, definition: Definition, attributes: &[(&str, &str)], count: u64) {
        if count > 0 {
            self.registry.counter(definition, attributes).add(count);
        }
    }
}

fn record(histogram: &Histogram, ages: &mut Ages) {
    for (seconds, count) in ages.take() {
        histogram.record_n(f64::from(seconds), count);
    }
}
