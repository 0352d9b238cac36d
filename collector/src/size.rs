//! `ottlcol size`: how large a two-tier set-up must be, from spans per second.
//!
//! Pure arithmetic, so that a chart, a manifest and a person get the same numbers; the formula of each stands beside it
//! in the printed table. Sizes are for the average pod at the given rate, with `headroom` on top; measure your own spans
//! where they differ from the defaults. What it does not do: look at a running system.
//!
//! Gateways (tier 1) hold nothing but a sending queue, samplers (tier 2) hold every trace for `decision_wait`:
//!
//! ```text
//! traces/s       = spans_per_second / spans_per_trace
//! replicas       = max(2, ceil(spans_per_second / (0.7 x capacity of one pod)))
//! num_traces     = traces/s / replicas x (decision_wait + 1 s) x headroom
//! max_buffer     = num_traces x (spans_per_trace x bytes_per_span / compression + 130 B)
//! memory limit   = (max_buffer + num_traces x 48 B + 64 MiB) / 0.6
//! storage        = num_traces x spans_per_trace x bytes_per_span + 64 MiB; its volume a tenth and 128 MiB more
//! shutdown_wait  = decision_wait + 1 s
//! grace period   = resolver_interval + dns_ttl + decision_wait + export_time + 5 s
//! KEDA, tier 1   = 0.7 x capacity of one gateway, spans/s a pod
//! KEDA, tier 2   = 0.6 x num_traces, traces waiting a pod
//! ```
//!
//! Headroom below 1/0.6 would make KEDA add pods at the very rate that the set-up is sized for.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::config::Duration;

/// A pod is loaded to this share of its capacity before the next one is added.
const UTILISATION: f64 = 0.7;
/// A sampler's traces may fill this share of `num_traces` before the next pod is added.
const FILL: f64 = 0.6;
/// `memory_limiter`: the hard limit, and how far below it refusing begins.
const LIMIT_PERCENTAGE: u32 = 80;
const SPIKE_LIMIT_PERCENTAGE: u32 = 20;
/// What the program takes before the first span, with queues and connections under load.
const BASE_BYTES: f64 = 64.0 * MIB;
/// What `tail_sampling` knows of a trace that waits, and of one that is decided.
const WAITING_TRACE_BYTES: f64 = 130.0;
const DECIDED_TRACE_BYTES: f64 = 48.0;
/// Bytes a second that one sampler compresses; above this rate compression is not counted on.
const COMPRESSED_PER_SECOND: f64 = 32.0 * MIB;
/// What waits on disk is not compressed, and a file of 32 MiB goes when the last trace in it is decided.
const STORAGE_SLACK_BYTES: f64 = 64.0 * MIB;
/// A volume has room for what is no span: decisions, file ends. A pod whose `emptyDir` overflows is evicted.
const VOLUME_FACTOR: f64 = 1.1;
const VOLUME_SLACK_BYTES: f64 = 128.0 * MIB;
/// `max_buffer_bytes` may not be less (`tail_sampling` refuses it).
const MIN_BUFFER_BYTES: f64 = 4.0 * MIB;
const MIB: f64 = 1024.0 * 1024.0;
/// Time left for what the formulas do not know, seconds.
const MARGIN_SECONDS: f64 = 5.0;

/// Arguments of `size`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Spans a second that all gateways together receive
    #[arg(long, value_name = "N", value_parser = positive)]
    pub spans_per_second: f64,
    /// `decision_wait` of tail_sampling
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub decision_wait: Duration,
    /// Spans of an average trace
    #[arg(long, value_name = "N", default_value = "10", value_parser = positive)]
    pub spans_per_trace: f64,
    /// Encoded bytes of an average span, its share of the resource included
    #[arg(long, value_name = "BYTES", default_value = "600", value_parser = positive)]
    pub bytes_per_span: f64,
    /// Samplers (tier 2); computed if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub replicas: Option<u32>,
    /// Gateways (tier 1); computed if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub gateway_replicas: Option<u32>,
    /// Spans a second that one sampler can take
    #[arg(long, value_name = "N", default_value = "50000", value_parser = positive)]
    pub sampler_capacity: f64,
    /// Spans a second that one gateway can take
    #[arg(long, value_name = "N", default_value = "100000", value_parser = positive)]
    pub gateway_capacity: f64,
    /// CPU seconds that a million spans cost in one tier
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = positive)]
    pub cpu_per_million: f64,
    /// How much more than the given rate fits
    #[arg(long, value_name = "FACTOR", default_value = "2", value_parser = at_least_one)]
    pub headroom: f64,
    /// How much smaller waiting spans become (LZ4; 4.7 was measured on ordinary spans)
    #[arg(long, value_name = "FACTOR", default_value = "2", value_parser = at_least_one)]
    pub compression: f64,
    /// KEDA may go up to this many times the computed replicas
    #[arg(long, value_name = "FACTOR", default_value = "4", value_parser = at_least_one)]
    pub max_scale: f64,
    /// For how long a gateway keeps what no sampler takes
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub gateway_queue: Duration,
    /// `interval` of the gateways' resolver
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub resolver_interval: Duration,
    /// TTL of the headless Service's DNS records
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub dns_ttl: Duration,
    /// The longest that exporting may take at a stop, retries included
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub export_time: Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e12 => Ok(number),
        _ => Err("must be a number above 0 and not above 1e12".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (1.0..=1e6).contains(&number) => Ok(number),
        _ => Err("must be a number from 1 to 1e6".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = Duration::parse(text).map_err(|error| error.to_string())?;
    if duration.is_negative() { Err("must not be negative".to_owned()) } else { Ok(duration) }
}

/// What the formulas give.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sizes {
    /// The rate that all of it is for.
    pub spans_per_second: f64,
    /// New traces a second, over all samplers.
    pub traces_per_second: f64,
    /// `decision_wait`, seconds.
    pub decision_wait_seconds: f64,
    /// Tier 1.
    pub gateway: Gateway,
    /// Tier 2.
    pub sampler: Sampler,
    /// What deserves a second look; empty where all is well.
    pub warnings: Vec<String>,
}

/// What both tiers have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pod {
    /// Pods at the given rate.
    pub replicas: u32,
    /// `minReplicaCount`
    pub min_replicas: u32,
    /// `maxReplicaCount`
    pub max_replicas: u32,
    /// `requests.cpu`, thousandths of a core.
    pub cpu_request_millicores: u64,
    /// `requests.memory` and `limits.memory`.
    pub memory_limit_mib: u64,
    /// `memory_limiter`
    pub memory_limiter: Limiter,
    /// `targetValue` (or `threshold`) of the KEDA trigger: the tier's total divided by this is the number of pods.
    pub keda_target: u64,
    /// `lifecycle.preStop.sleep.seconds`
    pub pre_stop_seconds: u64,
    /// `terminationGracePeriodSeconds`
    pub termination_grace_period_seconds: u64,
}

/// `memory_limiter`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limiter {
    /// `check_interval`
    pub check_interval: &'static str,
    /// `limit_percentage`
    pub limit_percentage: u32,
    /// `spike_limit_percentage`
    pub spike_limit_percentage: u32,
}

/// Tier 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gateway {
    /// Replicas, memory, KEDA.
    #[serde(flatten)]
    pub pod: Pod,
    /// `sending_queue::queue_size` with `sizer: bytes`, over all backends.
    pub sending_queue_bytes: u64,
}

/// Tier 2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampler {
    /// Replicas, memory, KEDA.
    #[serde(flatten)]
    pub pod: Pod,
    /// `tail_sampling::num_traces`
    pub num_traces: u64,
    /// `tail_sampling::shutdown_wait`, seconds: what waits is decided a tick after its `decision_wait` at the latest.
    pub shutdown_wait_seconds: u64,
    /// `tail_sampling::max_buffer_bytes`
    pub max_buffer_bytes: u64,
    /// `tail_sampling::expected_new_traces_per_sec`
    pub expected_new_traces_per_sec: u64,
    /// `tail_sampling::storage::max_size`
    pub storage_max_size_bytes: u64,
    /// The volume of `storage`: `emptyDir::sizeLimit`, or the claim's request.
    pub storage_volume_mib: u64,
}

/// The output of the command.
///
/// # Errors
/// Where a number does not fit JSON.
pub fn run(args: &Args) -> Result<String, serde_json::Error> {
    let sizes = compute(args);
    Ok(if args.json { serde_json::to_string_pretty(&sizes)? + "\n" } else { sizes.to_string() })
}

/// The formulas of the module's head.
#[must_use]
pub fn compute(args: &Args) -> Sizes {
    let decision_wait = seconds(args.decision_wait);
    let traces_per_second = args.spans_per_second / args.spans_per_trace;
    let gateway = gateway(args);
    let sampler = sampler(args, traces_per_second);
    let mut warnings = Vec::new();
    if args.headroom * FILL < 1.0 {
        warnings.push(format!(
            "headroom {} is below 1/{FILL}: KEDA adds samplers at the very rate that this is sized for",
            args.headroom
        ));
    }
    for (tier, replicas, capacity) in [
        ("gateway", gateway.pod.replicas, args.gateway_capacity),
        ("sampler", sampler.pod.replicas, args.sampler_capacity),
    ] {
        let share = args.spans_per_second / f64::from(replicas);
        if share > capacity * UTILISATION {
            warnings.push(format!("each {tier} gets {share:.0} spans/s, more than {UTILISATION} of its capacity"));
        }
        if replicas < 2 {
            warnings.push(format!("one {tier} alone: nothing is received while it restarts"));
        }
    }
    Sizes {
        spans_per_second: args.spans_per_second,
        traces_per_second,
        decision_wait_seconds: decision_wait,
        gateway,
        sampler,
        warnings,
    }
}

fn gateway(args: &Args) -> Gateway {
    let replicas = replicas(args.gateway_replicas, args.spans_per_second, args.gateway_capacity);
    let share = args.spans_per_second / f64::from(replicas);
    let queue = (share * args.bytes_per_span * seconds(args.gateway_queue) * args.headroom).max(MIB);
    // A Service's endpoints are gone from every node within a few seconds.
    let pre_stop = 5.0;
    let stop = Stop { pre_stop, total: pre_stop + seconds(args.export_time) + MARGIN_SECONDS };
    let pod = pod(args, replicas, share, queue, args.gateway_capacity * UTILISATION, stop);
    Gateway { pod, sending_queue_bytes: whole(queue) }
}

fn sampler(args: &Args, traces_per_second: f64) -> Sampler {
    let replicas = replicas(args.replicas, args.spans_per_second, args.sampler_capacity);
    let share = traces_per_second / f64::from(replicas);
    // Decisions are made once a second, so a trace may wait that much longer.
    let num_traces = up_to(share * (seconds(args.decision_wait) + 1.0) * args.headroom, 100.0);
    let bytes_per_second = share * args.spans_per_trace * args.bytes_per_span;
    let compression = if bytes_per_second > COMPRESSED_PER_SECOND { 1.0 } else { args.compression };
    let trace_bytes = args.spans_per_trace * args.bytes_per_span / compression + WAITING_TRACE_BYTES;
    let buffer = up_to(num_traces * trace_bytes, MIB).max(MIN_BUFFER_BYTES);
    let storage = up_to(num_traces * args.spans_per_trace * args.bytes_per_span + STORAGE_SLACK_BYTES, MIB);
    // Until the last gateway has resolved the name again, spans of new traces still come here.
    let pre_stop = seconds(args.resolver_interval) + seconds(args.dns_ttl);
    let total = pre_stop + seconds(args.decision_wait) + seconds(args.export_time) + MARGIN_SECONDS;
    let kept = buffer + num_traces * DECIDED_TRACE_BYTES;
    let stop = Stop { pre_stop, total };
    let pod = pod(args, replicas, share * args.spans_per_trace, kept, num_traces * FILL, stop);
    Sampler {
        pod,
        num_traces: whole(num_traces),
        shutdown_wait_seconds: whole(seconds(args.decision_wait) + 1.0),
        max_buffer_bytes: whole(buffer),
        expected_new_traces_per_sec: whole(share),
        storage_max_size_bytes: whole(storage),
        storage_volume_mib: whole(up_to((storage * VOLUME_FACTOR + VOLUME_SLACK_BYTES) / MIB, 64.0)),
    }
}

/// How a pod ends, seconds.
#[derive(Clone, Copy)]
struct Stop {
    pre_stop: f64,
    total: f64,
}

/// What follows from a pod's share of spans and the bytes that it keeps.
fn pod(args: &Args, replicas: u32, spans_per_second: f64, kept: f64, keda_target: f64, stop: Stop) -> Pod {
    let soft = f64::from(LIMIT_PERCENTAGE - SPIKE_LIMIT_PERCENTAGE) / 100.0;
    Pod {
        replicas,
        min_replicas: replicas.min(2),
        max_replicas: narrow((f64::from(replicas) * args.max_scale).ceil()),
        cpu_request_millicores: whole(up_to(spans_per_second * args.cpu_per_million / 1000.0 * args.headroom, 50.0)),
        memory_limit_mib: whole(up_to((kept + BASE_BYTES) / soft / MIB, 64.0)),
        memory_limiter: Limiter {
            check_interval: "1s",
            limit_percentage: LIMIT_PERCENTAGE,
            spike_limit_percentage: SPIKE_LIMIT_PERCENTAGE,
        },
        keda_target: whole(keda_target),
        pre_stop_seconds: whole(stop.pre_stop),
        termination_grace_period_seconds: whole(stop.total),
    }
}

fn replicas(given: Option<u32>, spans_per_second: f64, capacity: f64) -> u32 {
    given.unwrap_or_else(|| narrow((spans_per_second / (capacity * UTILISATION)).ceil()).max(2))
}

fn seconds(duration: Duration) -> f64 {
    duration.span().as_secs_f64()
}

/// The next multiple of `step`, at least one.
fn up_to(value: f64, step: f64) -> f64 {
    (value / step).ceil().max(1.0) * step
}

/// Up to a whole number. Inputs are bounded, and the conversion saturates.
fn whole(value: f64) -> u64 {
    value.ceil() as u64
}

fn narrow(value: f64) -> u32 {
    value as u32
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "For {} spans/s, {} traces/s, decided after {} s:",
            self.spans_per_second, self.traces_per_second, self.decision_wait_seconds
        )?;
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["", "gateway", "sampler", "from"]);
        let (gateway, sampler) = (&self.gateway.pod, &self.sampler.pod);
        let mut row = |name: &str, gateway: String, sampler: String, from: &str| {
            table.add_row([name.to_owned(), gateway, sampler, from.to_owned()]);
        };
        let mut both = |name: &str, value: fn(&Pod) -> u64, from: &str| {
            row(name, value(gateway).to_string(), value(sampler).to_string(), from);
        };
        both("replicas", |pod| pod.replicas.into(), "spans/s / (0.7 x capacity of a pod), at least 2");
        both("minReplicaCount", |pod| pod.min_replicas.into(), "");
        both("maxReplicaCount", |pod| pod.max_replicas.into(), "replicas x max-scale");
        both("requests.cpu, m", |pod| pod.cpu_request_millicores, "share of spans x cpu-per-million x headroom");
        both("limits.memory, Mi", |pod| pod.memory_limit_mib, "(what is kept + 64 MiB) / 0.6");
        both("memory_limiter, %", |pod| pod.memory_limiter.limit_percentage.into(), "hard limit");
        both("  spike, %", |pod| pod.memory_limiter.spike_limit_percentage.into(), "refuses from 60 % on");
        both("KEDA targetValue", |pod| pod.keda_target, "0.7 x capacity, spans/s; 0.6 x num_traces");
        both("preStop sleep, s", |pod| pod.pre_stop_seconds, "5; resolver-interval + dns-ttl");
        both(
            "terminationGracePeriod, s",
            |pod| pod.termination_grace_period_seconds,
            "preStop + decision-wait (sampler) + export-time + 5",
        );
        let none = String::new;
        let queue = self.gateway.sending_queue_bytes.to_string();
        row("sending_queue, bytes", queue, none(), "share of bytes/s x gateway-queue x headroom");
        let traces = self.sampler.num_traces.to_string();
        row("num_traces", none(), traces, "share of traces/s x (decision-wait + 1 s) x headroom");
        let wait = self.sampler.shutdown_wait_seconds.to_string();
        row("shutdown_wait, s", none(), wait, "decision-wait + 1 s");
        let expected = self.sampler.expected_new_traces_per_sec.to_string();
        row("expected_new_traces_per_sec", none(), expected, "share of traces/s");
        let buffer = self.sampler.max_buffer_bytes.to_string();
        row("max_buffer_bytes", none(), buffer, "num_traces x (spans x bytes / compression + 130)");
        let storage = self.sampler.storage_max_size_bytes.to_string();
        row("storage max_size, bytes", none(), storage, "num_traces x spans x bytes + 64 MiB");
        let volume = self.sampler.storage_volume_mib.to_string();
        row("storage volume, Mi", none(), volume, "1.1 x storage + 128 MiB");
        writeln!(f, "{table}")?;
        let mut warnings = String::new();
        for warning in &self.warnings {
            writeln!(warnings, "warning: {warning}")?;
        }
        f.write_str(&warnings)
    }
}
