//! The processor's section: its own keys and the tree of policies, as meant. Everything is checked here, at
//! validation, where upstream checks policies only at start.

use std::time::Duration;

use super::decided::{CACHED_BYTES, DECISION_BYTES};
use super::low::Low;
use super::peers::PeersConfig;
use super::policy::{PolicyConfig, PolicyKind};
use super::storage::StorageConfig;
use crate::config::{Problems, Section};
use crate::gates;

/// The configuration of one `tail_sampling` processor.
#[derive(Clone, Debug)]
pub struct Config {
    /// Key path of the section, for errors.
    pub path: String,
    /// How long a trace waits from its first span; whole seconds, at least 1.
    pub decision_wait_seconds: u32,
    /// How long it waits from its root span, if that is earlier.
    pub decision_wait_after_root_seconds: Option<u32>,
    /// Most traces that wait, and most decisions that are remembered.
    pub num_traces: usize,
    /// Refuse to take in more instead of deciding the oldest trace early.
    pub block_on_overflow: bool,
    /// Most bytes of memory that waiting traces and remembered decisions may take; 0 means no limit.
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
    /// How long a stop of the process lets traces wait for their decisions before it makes them.
    pub shutdown_wait: Option<Duration>,
    /// Largest trace that is not dropped, in bytes as protobuf; 0 means no limit.
    pub maximum_trace_size_bytes: u64,
    /// Independent parts, by trace id.
    pub num_shards: u32,
    /// Where what waits is kept on disk, too.
    pub(super) storage: Option<StorageConfig>,
    /// The other instances to agree with, if any.
    pub(super) peers: Option<PeersConfig>,
    /// Send traces on before their time whose decision later spans cannot change.
    pub decide_early: bool,
    /// Write the responsible policy to instrumentation scopes.
    pub record_policy: bool,
    /// Write the sampling threshold to trace states.
    pub record_threshold: bool,
    /// Keep everything, and write what would have become of it to instrumentation scopes.
    pub dry_run: bool,
    /// Decisions of each kind, kept and not kept, that can be looked at.
    pub recent_decisions: usize,
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

const MAX_SHARDS: u32 = 256;

/// contrib's gate for what is `record_policy` here.
const RECORD_POLICY: &str = "processor.tailsamplingprocessor.recordpolicy";

/// A decision that can be looked at takes some 200 bytes.
const MAX_RECENT: u64 = 100_000;

/// Remembered decisions take this part of `max_buffer_bytes` at most.
const DECISIONS_PART: u64 = 8;

/// This part of `max_buffer_bytes` is left for what is on its way: batches that are put together from kept traces, and
/// what comes in before the oldest traces are decided for it; with what the allocator holds and nobody uses, and the rest of the
/// process, a limit of 128 MiB then comes to some 140 resident under twice the load.
const WAY_PART: u64 = 5;

/// See [`Config::spare_bytes`].
const SPARE_PART: u64 = 64;

/// Below this a shard would decide traces as they arrive: the open segment alone takes a sixteenth of it.
const MIN_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

impl Config {
    /// Reads a section; every mistake goes to `problems`. With mistakes that are no worse than a value out of place the
    /// configuration still comes back, so that its conditions are checked in the same run.
    pub(super) fn parse(section: &Section, problems: &mut Problems) -> Option<Self> {
        section.check(problems, |low, problems| Self::checked(low, &section.path, problems))
    }

    fn checked(low: Low, path: &str, problems: &mut Problems) -> Self {
        let strategy = match low.sampling_strategy.as_str() {
            "span-ingest" => Strategy::SpanIngest,
            "trace-complete" => Strategy::TraceComplete,
            other => {
                problems.add(
                    path,
                    format!(
                        "invalid sampling_strategy {other:?}, expected one of \"trace-complete\" or \"span-ingest\""
                    ),
                );
                Strategy::TraceComplete
            }
        };
        if low.num_shards > MAX_SHARDS {
            problems.add(path, format!("num_shards ({}) must not exceed {MAX_SHARDS}", low.num_shards));
        }
        if low.tail_storage.is_some() {
            problems.add(
                format!("{path}::tail_storage"),
                "'tail_storage' requires the \"processor.tailsamplingprocessor.tailstorageextension\" feature gate, \
                 which is not supported",
            );
        }
        let at = format!("{path}::storage");
        let storage = low.storage.and_then(|low| StorageConfig::parse(low, &at, problems));
        if storage.as_ref().is_some_and(|storage| storage.keep_on_shutdown) && low.drop_pending_traces_on_shutdown {
            problems.add(format!("{at}::on_shutdown"), "cannot be \"keep\" with drop_pending_traces_on_shutdown");
        }
        let at = format!("{path}::peers");
        let peers = low.peers.and_then(|low| PeersConfig::parse(low, &at, problems));
        if low.shutdown_wait.positive().is_some() {
            let with = [
                (low.drop_pending_traces_on_shutdown, "drop_pending_traces_on_shutdown, which decides nothing"),
                (
                    storage.as_ref().is_some_and(|storage| storage.keep_on_shutdown),
                    "storage::on_shutdown \"keep\", which decides nothing",
                ),
                (peers.is_some(), "peers, which have a shutdown_timeout of their own"),
            ];
            for (_, reason) in with.into_iter().filter(|(is_set, _)| *is_set) {
                problems.add(format!("{path}::shutdown_wait"), format!("cannot be set with {reason}"));
            }
        }
        let policies = low.policies.into_iter().enumerate();
        let config = Self {
            path: path.to_owned(),
            decision_wait_seconds: whole_seconds(low.decision_wait.span()).max(1),
            decision_wait_after_root_seconds: low.decision_wait_after_root_received.positive().map(whole_seconds),
            num_traces: size(low.num_traces).max(1),
            block_on_overflow: low.block_on_overflow,
            max_buffer_bytes: low.max_buffer_bytes,
            sampled_cache_size: size(u64::try_from(low.decision_cache.sampled_cache_size).unwrap_or(0)),
            non_sampled_cache_size: size(u64::try_from(low.decision_cache.non_sampled_cache_size).unwrap_or(0)),
            sample_on_first_match: low.sample_on_first_match,
            strategy,
            drop_pending_traces_on_shutdown: low.drop_pending_traces_on_shutdown,
            shutdown_wait: low.shutdown_wait.positive(),
            maximum_trace_size_bytes: low.maximum_trace_size_bytes,
            num_shards: low.num_shards.clamp(1, MAX_SHARDS),
            storage,
            peers,
            decide_early: low.decide_early,
            record_policy: low.record_policy || gates::enabled(RECORD_POLICY),
            record_threshold: low.record_threshold,
            dry_run: low.dry_run,
            recent_decisions: size(low.recent_decisions.min(MAX_RECENT)),
            policies: policies
                .filter_map(|(at, low)| PolicyConfig::parse(low, format!("{path}::policies[{at}]"), problems))
                .collect(),
        };
        if config.max_buffer_bytes > 0 && config.max_buffer_bytes / u64::from(config.num_shards) < MIN_BUFFER_BYTES {
            problems.add(
                format!("{path}::max_buffer_bytes"),
                format!("must be at least {MIN_BUFFER_BYTES} for each of num_shards"),
            );
        }
        let cached = config.sampled_cache_size.saturating_add(config.non_sampled_cache_size);
        let cached = u64::try_from(cached).unwrap_or(u64::MAX).saturating_mul(CACHED_BYTES);
        if config.max_buffer_bytes > 0 && cached > config.max_buffer_bytes / 2 {
            problems.add(
                format!("{path}::decision_cache"),
                format!(
                    "takes {cached} bytes when it is full, which is more than half of max_buffer_bytes ({})",
                    config.max_buffer_bytes
                ),
            );
        }
        if config.record_threshold && config.dry_run {
            problems
                .add(format!("{path}::record_threshold"), "has no meaning with dry_run: every span stands for itself");
        }
        config.check_early(problems);
        if config.peers.is_some() {
            config.check_shared(problems);
        }
        config.check_policies(problems);
        config
    }

    /// What keeps several instances from deciding as one.
    pub(super) fn check_shared(&self, problems: &mut Problems) {
        if self.strategy == Strategy::SpanIngest {
            problems.add(
                format!("{}::sampling_strategy", self.path),
                "\"span-ingest\" decides before traces are whole: instances with peers cannot agree on that",
            );
        }
        if self.decide_early {
            problems.add(
                format!("{}::decide_early", self.path),
                "would change decisions: with peers, the instance that owns a trace says when it is decided",
            );
        }
    }

    /// Decisions are the same with and without `decide_early`, or it is refused.
    fn check_early(&self, problems: &mut Problems) {
        let path = format!("{}::decide_early", self.path);
        let mut refuse = |why: &str| {
            if self.decide_early {
                problems.add(&path, format!("would change decisions: {why}"));
            }
        };
        if self.strategy == Strategy::SpanIngest {
            refuse("sampling_strategy \"span-ingest\" decides while spans arrive already");
        }
        if self.maximum_trace_size_bytes > 0 {
            refuse("maximum_trace_size_bytes may still drop a trace");
        }
        for policy in &self.policies {
            if matches!(policy.kind, PolicyKind::Drop(_)) {
                refuse(&format!("policy {:?} may still drop a trace", policy.name));
            } else if policy.is_limit() {
                refuse(&format!("policy {:?} has a limit that would be spent at another time", policy.name));
            }
        }
    }

    /// True if waiting traces are thrown away at shutdown. A dry run throws nothing away.
    pub(super) fn drops_pending(&self) -> bool {
        self.drop_pending_traces_on_shutdown && !self.dry_run
    }

    /// True if a running processor can take over `new` without being made again.
    pub(super) fn allows(&self, new: &Self) -> bool {
        let fixed = |config: &Self| {
            (
                config.num_shards,
                config.num_traces,
                config.sampled_cache_size,
                config.non_sampled_cache_size,
                config.strategy,
                config.recent_decisions,
                config.storage.clone(),
            )
        };
        // Peers agree because they ask the same; who changes its policies joins again, and is known to be another.
        self.peers.is_none() && new.peers.is_none() && fixed(self) == fixed(new)
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

    /// How many decisions a shard remembers beside its caches.
    pub(super) fn decisions(&self) -> usize {
        match self.max_buffer_bytes {
            0 => self.num_traces,
            limit => self.num_traces.min(size(limit / DECISIONS_PART / DECISION_BYTES)),
        }
    }

    /// Bytes that waiting traces and recycled buffers of a shard may take; 0 means no limit. What remembered decisions take
    /// is set aside from the beginning: buffers that would make room for them later go back to the allocator one by one,
    /// and stay there as long as their neighbours are in use.
    pub(super) fn high_water(&self) -> u64 {
        let bytes = |number: usize, each: u64| u64::try_from(number).unwrap_or(u64::MAX).saturating_mul(each);
        let cached = bytes(self.sampled_cache_size.saturating_add(self.non_sampled_cache_size), CACHED_BYTES);
        let limit = self.max_buffer_bytes;
        (limit - limit / WAY_PART).saturating_sub(bytes(self.decisions(), DECISION_BYTES)).saturating_sub(cached)
    }

    /// Recycled buffers that a shard keeps also when it makes room. It needs them again at once, and what goes back and
    /// forth between here and the allocator leaves memory there that nobody uses.
    pub(super) fn spare_bytes(&self) -> u64 {
        self.max_buffer_bytes / SPARE_PART
    }

    /// How many decisions all shards remember together.
    pub(super) fn remembered(&self) -> usize {
        let shard = self.num_traces.max(self.sampled_cache_size).max(self.non_sampled_cache_size);
        shard.saturating_mul(size(u64::from(self.num_shards)))
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
