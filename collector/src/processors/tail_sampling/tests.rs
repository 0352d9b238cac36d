//! Ticks, eviction, late spans, limits and shutdown, on a clock that moves when told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::telemetry::Registry;
use component::{Consume, ConsumeError, Consumer, Id, ManualClock};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use pdata::{Traces, TracesBuilder};
use prost::Message;

use super::*;
use crate::factory::Lifecycle;

pub(super) fn plan(yaml: &str) -> Plan {
    let section = Section::parse("tail_sampling", "processors", yaml).unwrap();
    let mut problems = Problems::default();
    Plan::parse(&section, &mut problems).unwrap_or_else(|| panic!("{:?}", problems.list()))
}

pub(super) fn replay(yaml: &str) -> Replay {
    plan(yaml).replay(ottl::Engine::Interpreter).unwrap()
}

pub(super) const ALWAYS: &str = "\npolicies: [{name: all, type: always_sample}]";
pub(super) const ERRORS: &str = "\npolicies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]";

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Child,
    Root,
    Error,
}

pub(super) fn span(trace: u8, kind: Kind, padding: usize) -> Vec<u8> {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![1; 8],
        parent_span_id: if matches!(kind, Kind::Root) { Vec::new() } else { vec![2; 8] },
        name: "x".repeat(padding),
        status: Some(Status { code: if matches!(kind, Kind::Error) { 2 } else { 0 }, ..Status::default() }),
        ..Span::default()
    }
    .encode_to_vec()
}

pub(super) fn batch(spans: &[(u8, Kind)]) -> Traces {
    let mut builder = TracesBuilder::new();
    for (trace, kind) in spans {
        builder.span([*trace; 16], &span(*trace, *kind, 10));
    }
    builder.build()
}

/// Spans by the first byte of their trace's id.
pub(super) fn counts(batches: &[Traces]) -> BTreeMap<u8, usize> {
    let mut counts = BTreeMap::new();
    for span in batches.iter().flat_map(Traces::spans) {
        *counts.entry(span.trace_id()[0]).or_default() += 1;
    }
    counts
}

/// The second in which each trace comes out.
fn seconds(replay: &mut Replay, upto: usize) -> Vec<Vec<u8>> {
    (0..upto).map(|_| counts(&replay.second()).into_keys().collect()).collect()
}

#[test]
fn a_trace_waits_between_n_and_n_plus_one_ticks() {
    for (wait, ticks) in [("0s", 2), ("1s", 2), ("1.9s", 2), ("2s", 3), ("500ms", 2)] {
        let mut replay = replay(&format!("decision_wait: {wait}{ALWAYS}"));
        assert!(replay.take(&batch(&[(1, Kind::Child)])).is_empty());
        let expected: Vec<Vec<u8>> = (1..=4).map(|tick| if tick == ticks { vec![1] } else { vec![] }).collect();
        assert_eq!(seconds(&mut replay, 4), expected, "{wait}");
    }
}

#[test]
fn a_root_hastens_its_trace_and_nothing_slows_it_down() {
    for (after_root, ticks) in [("500ms", 1), ("1s", 2), ("2s", 3), ("60s", 6)] {
        let mut replay = replay(&format!("decision_wait: 5s\ndecision_wait_after_root_received: {after_root}{ALWAYS}"));
        replay.take(&batch(&[(1, Kind::Root), (2, Kind::Child)]));
        replay.take(&batch(&[(1, Kind::Child)]));
        let out = seconds(&mut replay, 6);
        assert_eq!(out.iter().position(|ids| ids.contains(&1)), Some(ticks - 1), "{after_root}");
        assert_eq!(out.iter().position(|ids| ids.contains(&2)), Some(5), "{after_root}");
    }
}

#[test]
fn late_spans_follow_the_decision() {
    let mut replay = replay(&format!("decision_wait: 1s{ERRORS}"));
    replay.take(&batch(&[(1, Kind::Error), (2, Kind::Child)]));
    assert_eq!(seconds(&mut replay, 2), [vec![], vec![1]]);
    let late = replay.take(&batch(&[(1, Kind::Child), (2, Kind::Error), (3, Kind::Child)]));
    assert_eq!(counts(&late), [(1, 1)].into());
    assert_eq!(seconds(&mut replay, 3), [vec![], vec![], vec![]] as [Vec<u8>; 3]);
}

#[test]
fn decision_caches_outlive_the_table() {
    let mut replay = replay(&format!(
        "decision_wait: 1s\nnum_traces: 1\ndecision_cache: {{sampled_cache_size: 2, non_sampled_cache_size: 1}}{ERRORS}"
    ));
    for trace in [1, 2, 3] {
        replay.take(&batch(&[(trace, if trace == 3 { Kind::Child } else { Kind::Error })]));
        replay.second();
        replay.second();
    }
    let late = replay.take(&batch(&[(1, Kind::Child), (2, Kind::Child), (3, Kind::Error)]));
    assert_eq!(counts(&late), [(1, 1), (2, 1)].into());
}

#[test]
fn a_full_table_decides_its_oldest_trace_instead_of_losing_it() {
    let mut replay = replay(&format!("decision_wait: 5s\nnum_traces: 2{ERRORS}"));
    replay.take(&batch(&[(1, Kind::Error), (2, Kind::Child), (3, Kind::Error), (4, Kind::Error)]));
    // Those decided early go out with the next tick.
    assert_eq!(seconds(&mut replay, 6), [vec![1], vec![], vec![], vec![], vec![], vec![3, 4]]);
    let summary = replay.summary();
    assert_eq!((summary.decided_early, summary.sampled, summary.not_sampled), (2, 3, 1));
}

#[test]
fn a_full_table_that_blocks_lets_time_make_room() {
    let mut replay = replay(&format!("decision_wait: 1s\nnum_traces: 2\nblock_on_overflow: true{ALWAYS}"));
    let out = replay.take(&batch(&[(1, Kind::Child), (2, Kind::Child), (3, Kind::Child), (1, Kind::Child)]));
    // Two seconds passed while it waited, then the late span of the first trace went on.
    assert_eq!(counts(&out), [(1, 2), (2, 1)].into());
    assert_eq!(seconds(&mut replay, 2), [vec![], vec![3]]);
    assert_eq!(replay.summary().decided_early, 0);
}

#[test]
fn a_trace_that_is_too_large_is_dropped_alone() {
    let mut replay = replay(&format!("decision_wait: 1s\nmaximum_trace_size_bytes: 130{ALWAYS}"));
    replay.take(&batch(&[(1, Kind::Child), (2, Kind::Child)]));
    replay.take(&batch(&[(1, Kind::Child)]));
    replay.take(&batch(&[(1, Kind::Child)]));
    assert_eq!(seconds(&mut replay, 2), [vec![], vec![2]]);
    let summary = replay.summary();
    // It is in no other count, as upstream.
    assert_eq!((summary.too_large, summary.sampled, summary.not_sampled), (1, 1, 0));
}

#[test]
fn sample_on_first_match_asks_no_further() {
    for (first_match, asked) in [("false", 3), ("true", 1)] {
        let mut replay = replay(&format!(
            "decision_wait: 1s\nsample_on_first_match: {first_match}
policies:
  - {{name: some, type: probabilistic, probabilistic: {{sampling_percentage: 100}}}}
  - {{name: few, type: rate_limiting, rate_limiting: {{spans_per_second: 1, burst_capacity: 1}}}}
  - {{name: errors, type: and, and: {{and_sub_policy: [{{type: always_sample}}]}}}}"
        ));
        replay.take(&batch(&[(1, Kind::Child)]));
        replay.second();
        replay.second();
        let summary = replay.summary();
        assert_eq!(summary.votes, asked);
        // The first is responsible in either case, because all thresholds are 0.
        assert_eq!(summary.kept_by.iter().map(|(_, traces)| *traces).collect::<Vec<_>>(), [1, 0, 0]);
    }
}

#[test]
fn span_ingest_decides_at_once() {
    let mut replay = replay(&format!("decision_wait: 2s\nsampling_strategy: span-ingest{ERRORS}"));
    assert!(replay.take(&batch(&[(1, Kind::Child), (2, Kind::Child)])).is_empty());
    assert_eq!(counts(&replay.take(&batch(&[(1, Kind::Error)]))), [(1, 2)].into());
    assert_eq!(counts(&replay.take(&batch(&[(1, Kind::Child)]))), [(1, 1)].into());
    seconds(&mut replay, 3);
    // What was not sampled in time is forgotten, and a new trace if it comes again.
    assert_eq!(counts(&replay.take(&batch(&[(2, Kind::Error)]))), [(2, 1)].into());
    let summary = replay.summary();
    assert_eq!((summary.traces, summary.sampled, summary.not_sampled), (3, 2, 1));
}

#[test]
fn memory_is_kept_below_its_limit_by_deciding_the_oldest() {
    const LIMIT: u64 = 4 * 1024 * 1024;
    const SLOW: &str = "\n  - {name: slow, type: latency, latency: {threshold_ms: 500}}";
    let errors = ERRORS.replace("policies: [", "policies:\n  - ").replace("}}]", "}}");
    let mut replay =
        replay(&format!("decision_wait: 60s\nnum_traces: 1000000\nmax_buffer_bytes: {LIMIT}{errors}{SLOW}"));
    let (mut sent, mut kept) = (0, 0);
    let mut state = 1_u64;
    for request in 0..300_u32 {
        let mut builder = TracesBuilder::new();
        for n in 0..64_u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&request.to_be_bytes());
            id[4..8].copy_from_slice(&n.to_be_bytes());
            // A quarter has errors, a quarter is slow.
            let mut bytes = span(0, if n % 4 == 0 { Kind::Error } else { Kind::Child }, 0);
            let start_time_unix_nano = 1_700_000_000_000_000_000;
            let end_time_unix_nano = start_time_unix_nano + if n % 4 == 1 { 600_000_000 } else { 5_000_000 };
            // Names that do not compress.
            let noise: String = (0..60)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    format!("{:016x}", state >> 16)
                })
                .collect();
            let rest = Span { name: noise, start_time_unix_nano, end_time_unix_nano, ..Span::default() };
            bytes.extend(rest.encode_to_vec());
            builder.span(id, &bytes);
            sent += 1;
        }
        kept += replay.take(&builder.build()).iter().map(Traces::span_count).sum::<usize>();
        assert!(replay.memory_bytes() <= LIMIT, "{}", replay.memory_bytes());
    }
    let early = replay.summary();
    assert!(early.decided_early > 1000, "{early:?}");
    assert!(early.peak_buffer_bytes <= LIMIT + LIMIT / 8, "{early:?}");
    while replay.is_waiting() {
        kept += replay.second().iter().map(Traces::span_count).sum::<usize>();
    }
    // Nothing was thrown away undecided: not one error, not one slow trace.
    assert_eq!(kept * 2, sent);
}

#[test]
fn equal_resources_and_scopes_are_joined_and_schema_urls_kept() {
    let mut replay = replay(&format!("decision_wait: 1s{ALWAYS}"));
    for trace in [1, 2, 1] {
        let mut builder = TracesBuilder::new();
        for (resource, url, scope) in [("a", "u1", "s"), ("a", "u2", "s"), ("a", "u1", "t"), ("a", "u1", "s")] {
            builder.resource(&attribute(resource), url.as_bytes());
            builder.scope(&[0x0a, 1, scope.as_bytes()[0]], b"v");
            builder.span([trace; 16], &span(trace, Kind::Child, 3));
        }
        assert!(replay.take(&builder.build()).is_empty());
    }
    replay.second();
    let out = replay.second();
    assert_eq!(out.len(), 1);
    let shape: Vec<_> = out[0]
        .resources()
        .flat_map(|resource| {
            resource.scopes().map(move |scope| {
                let ids: Vec<u8> = scope.spans().map(|span| span.trace_id()[0]).collect();
                let texts = [resource.schema_url(), scope.schema_url(), &scope.scope()[2..]];
                (resource.index(), texts.map(|text| String::from_utf8(text.to_vec()).unwrap()).join(" "), ids)
            })
        })
        .collect();
    // Within an envelope trace by trace, and each trace's spans as they arrived.
    assert_eq!(
        shape,
        [
            (0, "u1 v s".to_owned(), vec![1, 1, 1, 1, 2, 2]),
            (0, "u1 v t".to_owned(), vec![1, 1, 2]),
            (1, "u2 v s".to_owned(), vec![1, 1, 2]),
        ]
    );
}

/// A Resource with one attribute.
pub(super) fn attribute(value: &str) -> Vec<u8> {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    let attribute = KeyValue { key: "service.name".to_owned(), value: Some(value), ..KeyValue::default() };
    opentelemetry_proto::tonic::resource::v1::Resource { attributes: vec![attribute], ..Default::default() }
        .encode_to_vec()
}

#[test]
fn shards_keep_what_one_would() {
    let spans: Vec<(u8, Kind)> =
        (0..=255).flat_map(|n| [(n, Kind::Child), (n, if n % 3 == 0 { Kind::Error } else { Kind::Root })]).collect();
    let mut kept = Vec::new();
    for shards in [1, 4, 7] {
        let mut replay = replay(&format!("decision_wait: 1s\nnum_shards: {shards}{ERRORS}"));
        for chunk in spans.chunks(100) {
            replay.take(&batch(chunk));
        }
        replay.second();
        kept.push(counts(&replay.second()));
        assert_eq!(replay.summary().traces, 256);
    }
    assert_eq!(kept[0].len(), 86);
    assert!(kept[0].values().all(|spans| *spans == 2));
    assert_eq!(kept[0], kept[1]);
    assert_eq!(kept[0], kept[2]);
}

/// Takes batches and remembers them; refuses those with a trace id that ends in 13.
#[derive(Default)]
pub(super) struct Sink(Mutex<Vec<Traces>>);

impl Consumer<Traces> for Sink {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        Box::pin(async move {
            let refused = batch.spans().any(|span| span.trace_id()[15] == 13);
            self.0.lock().unwrap().push(batch);
            if refused { Err(ConsumeError::retryable("no")) } else { Ok(()) }
        })
    }
}

pub(super) struct Running {
    pub(super) input: TracesConsumer,
    pub(super) lifecycle: Arc<dyn Lifecycle>,
    pub(super) sink: Arc<Sink>,
    clock: Arc<ManualClock>,
    pub(super) registry: Registry,
}

impl Running {
    pub(super) async fn start(id: &str, yaml: &str) -> Self {
        let (sink, clock) = (Arc::new(Sink::default()), Arc::new(ManualClock::new(1_700_000_000_000_000_000)));
        let registry = Registry::new(0);
        let context = Context {
            id: Id::parse(id).unwrap(),
            registry: registry.clone(),
            clock: clock.clone(),
            jit: false,
            pipeline: None,
            resource: Arc::from([]),
            fatal: crate::factory::Fatal::default(),
            health: crate::health::Health::default(),
            storages: crate::storage::Storages::default(),
        };
        let part = plan(yaml).make_traces(&context, sink.clone()).unwrap();
        let lifecycle = part.lifecycle.unwrap();
        lifecycle.start().await.unwrap();
        Self { input: part.input, lifecycle, sink, clock, registry }
    }

    pub(super) async fn seconds(&self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            tokio::time::advance(Duration::from_secs(1)).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(super) fn out(&self) -> BTreeMap<u8, usize> {
        counts(&std::mem::take(&mut *self.sink.0.lock().unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_come_once_a_second_and_errors_downstream_are_not_the_senders() {
    let running = Running::start("tail_sampling", &format!("decision_wait: 1s{ALWAYS}")).await;
    running.input.consume(batch(&[(13, Kind::Child), (2, Kind::Child)])).await.unwrap();
    running.seconds(1).await;
    assert_eq!(running.out(), BTreeMap::new());
    running.seconds(1).await;
    assert_eq!(running.out(), [(2, 1), (13, 1)].into());
    running.input.consume(batch(&[(13, Kind::Child)])).await.unwrap();
    assert_eq!(running.out(), [(13, 1)].into());
    running.lifecycle.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn shutdown_decides_or_drops_what_waits() {
    for (drop, expected) in [("false", BTreeMap::from([(1, 1)])), ("true", BTreeMap::new())] {
        let yaml = format!("drop_pending_traces_on_shutdown: {drop}{ERRORS}");
        let running = Running::start("tail_sampling", &yaml).await;
        running.input.consume(batch(&[(1, Kind::Error), (2, Kind::Child)])).await.unwrap();
        running.lifecycle.shutdown().await.unwrap();
        assert_eq!(running.out(), expected);
    }
}

/// Decisions are made at their times, also on what comes in meanwhile; what is not due within the wait is the stop's.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_decisions_if_it_is_told_to() {
    for (wait, seconds, decided) in [("10s", 4, true), ("2s", 2, false), ("0s", 0, false)] {
        let yaml = format!("decision_wait: 3s\nshutdown_wait: {wait}{ERRORS}");
        let running = Running::start("tail_sampling", &yaml).await;
        running.input.consume(batch(&[(1, Kind::Error), (2, Kind::Child)])).await.unwrap();
        let lifecycle = running.lifecycle.clone();
        let lingering = tokio::spawn(async move { lifecycle.linger().await });
        tokio::task::yield_now().await;
        assert_eq!(lingering.is_finished(), seconds == 0, "{wait}");
        running.input.consume(batch(&[(1, Kind::Child)])).await.unwrap();
        running.seconds(seconds).await;
        lingering.await.unwrap();
        let both = BTreeMap::from([(1, 2)]);
        assert_eq!(running.out(), if decided { both.clone() } else { BTreeMap::new() }, "{wait}");
        running.lifecycle.shutdown().await.unwrap();
        assert_eq!(running.out(), if decided { BTreeMap::new() } else { both }, "{wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blocked_batch_goes_on_after_a_tick() {
    let yaml = format!("decision_wait: 1s\nnum_traces: 1\nblock_on_overflow: true{ALWAYS}");
    let running = Running::start("tail_sampling", &yaml).await;
    let input = running.input.clone();
    let blocked = tokio::spawn(async move { input.consume(batch(&[(1, Kind::Child), (2, Kind::Child)])).await });
    running.seconds(1).await;
    assert!(!blocked.is_finished());
    running.seconds(1).await;
    assert!(blocked.is_finished());
    running.seconds(2).await;
    assert_eq!(running.out(), [(1, 1), (2, 1)].into());
    running.lifecycle.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn metrics_have_upstreams_names() {
    let yaml = format!("decision_wait: 1s\nnum_traces: 3\nmaximum_trace_size_bytes: 300{ERRORS}");
    let running = Running::start("tail_sampling/a", &yaml).await;
    let spans = [(1, Kind::Error), (2, Kind::Child), (3, Kind::Child), (4, Kind::Error)];
    running.input.consume(batch(&spans)).await.unwrap();
    running.input.consume(batch(&[(4, Kind::Child); 10])).await.unwrap();
    running.seconds(5).await;
    running.input.consume(batch(&[(3, Kind::Child)])).await.unwrap();
    running.seconds(1).await;
    insta::assert_snapshot!(series(&running.registry));
    running.lifecycle.shutdown().await.unwrap();
}

/// All series as `name{attributes} value`; histograms by count and sum.
pub(super) fn series(registry: &Registry) -> String {
    use pdata::metrics::{MetricData, NumberValue, Value};
    let mut lines = Vec::new();
    for metric in registry.collect(0).scope_metrics.iter().flat_map(|scope| &scope.metrics) {
        let labels = |attributes: &[(String, Value)]| {
            let texts: Vec<String> = attributes
                .iter()
                .map(|(key, value)| match value {
                    Value::String(text) => format!("{key}={text}"),
                    other => format!("{key}={other:?}"),
                })
                .collect();
            texts.join(",")
        };
        match &metric.data {
            MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
                for point in points {
                    let value = match point.value {
                        // Depends on the size of a segment.
                        _ if metric.unit == "By" => "?".to_owned(),
                        NumberValue::Int(value) => value.to_string(),
                        NumberValue::Double(value) => value.to_string(),
                    };
                    lines.push(format!("{}{{{}}} {value} {}", metric.name, labels(&point.attributes), metric.unit));
                }
            }
            MetricData::Histogram { points, .. } => {
                for point in points {
                    let sum = point.sum.unwrap_or_default();
                    lines.push(format!("{}{{}} count {} sum {sum} {}", metric.name, point.count, metric.unit));
                }
            }
            other => lines.push(format!("{other:?}")),
        }
    }
    lines.sort();
    lines.join("\n")
}
