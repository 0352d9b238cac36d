//! What a span costs on its way into the sampler, and a tick that decides 100,000 traces.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where it cannot go on")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use collector::config::{Problems, Section};
use collector::processors::tail_sampling::{Plan, Replay};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use pdata::Traces;
use prost::Message;

const POLICIES: &str = r#"
decision_wait: 10s
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: slow, type: latency, latency: {threshold_ms: 500}}
  - {name: tier, type: string_attribute, string_attribute: {key: user.tier, values: [gold, platinum]}}
"#;

const CONDITION: &str = r#"
  - name: condition
    type: ottl_condition
    ottl_condition: {span: ['attributes["http.response.status_code"] >= 500 and resource.attributes["service.name"] == "orders"']}
"#;

const SPANS_A_BATCH: usize = 512;
const SPANS_A_TRACE: u64 = 8;

fn replay(config: &str) -> Replay {
    let section = Section::parse("tail_sampling", "processors", config).unwrap();
    let mut problems = Problems::default();
    Plan::parse(&section, &mut problems)
        .unwrap_or_else(|| panic!("{:?}", problems.list()))
        .replay(ottl::Engine::Jit)
        .unwrap()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A mixer: the n-th of a sequence without visible order.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// About 600 bytes with 12 attributes.
fn span(n: u64) -> Span {
    let trace = n / SPANS_A_TRACE;
    let mut trace_id = mix(trace).to_be_bytes().to_vec();
    trace_id.extend(mix(!trace).to_be_bytes());
    let start = 1_700_000_000_000_000_000 + n * 1000;
    Span {
        trace_id,
        span_id: mix(n).to_be_bytes().to_vec(),
        parent_span_id: mix(n - 1).to_be_bytes().to_vec(),
        name: "GET /api/orders/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + mix(n) % 200_000_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.path", &format!("/api/orders/{}", mix(n) % 100_000)),
            text("url.scheme", "https"),
            number("http.response.status_code", 200),
            text("server.address", "orders.shop.svc.cluster.local"),
            number("server.port", 8443),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            text("client.address", &format!("10.12.{}.{}", n % 200, mix(n) % 250)),
            text("user.tier", "silver"),
            text("session.id", &format!("{:016x}", mix(n ^ 5))),
            number("thread.id", (n % 64) as i64),
            text("network.protocol.version", "1.1"),
        ],
        status: Some(Status { code: i32::from(mix(trace).is_multiple_of(50)) * 2, ..Status::default() }),
        flags: 257,
        ..Span::default()
    }
}

fn batch(first: u64) -> Traces {
    batch_of((0..SPANS_A_BATCH as u64).map(|n| first + n + 1))
}

/// The spans of these numbers.
fn batch_of(numbers: impl Iterator<Item = u64>) -> Traces {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "orders"),
                    text("k8s.pod.name", "orders-6f9c7d5b8-x2x7q"),
                    text("k8s.namespace.name", "shop"),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope { name: "io.opentelemetry.http".to_owned(), ..Default::default() }),
                spans: numbers.map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    Traces::index(request.encode_to_vec().into()).unwrap()
}

fn batches(count: usize) -> Vec<Traces> {
    (0..count).map(|n| batch((n * SPANS_A_BATCH) as u64)).collect()
}

/// Batches that arrive one after another, over and over.
struct Arrival<'a> {
    replay: &'a mut Replay,
    batches: &'a [Traces],
    a_second: usize,
    arrived: usize,
}

impl<'a> Arrival<'a> {
    /// A second passes, unmeasured, after every `a_second` batches.
    fn new(replay: &'a mut Replay, batches: &'a [Traces], a_second: usize) -> Self {
        Self { replay, batches, a_second, arrived: 0 }
    }

    /// How long it takes to take in this many batches.
    fn time(&mut self, batches: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..batches {
            #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
            let start = Instant::now();
            black_box(self.replay.take(&self.batches[self.arrived % self.batches.len()]));
            spent += start.elapsed();
            self.arrived += 1;
            if self.arrived.is_multiple_of(self.a_second) {
                black_box(self.replay.second());
            }
        }
        spent
    }
}

/// Spans go in at full speed; a second passes, unmeasured, every 20 batches. Ids come again only when they are forgotten:
/// 14,000 traces wait at a time, 16,000 decisions are remembered, and there are 40,960 ids.
fn ingest(c: &mut Criterion) {
    let mut group = c.benchmark_group("tail_sampling");
    group.throughput(Throughput::Elements(SPANS_A_BATCH as u64));
    let batches = batches(640);
    for (name, conditions) in [("ingest", ""), ("ingest_with_ottl", CONDITION)] {
        let mut replay = replay(&format!("num_traces: 16000\n{POLICIES}{conditions}"));
        let mut arrival = Arrival::new(&mut replay, &batches, 20);
        group.bench_function(name, |bencher| bencher.iter_custom(|iterations| arrival.time(iterations)));
    }
    group.finish();
}

/// One tick over 100,000 traces of 8 spans, 2 % of them kept.
fn tick(c: &mut Criterion) {
    let mut group = c.benchmark_group("tail_sampling");
    group.sample_size(10);
    group.throughput(Throughput::Elements(100_000));
    let batches = batches(100_000 * SPANS_A_TRACE as usize / SPANS_A_BATCH);
    group.bench_function("tick_100k_traces", |bencher| {
        bencher.iter_batched(
            || {
                let mut replay = replay(&format!("num_traces: 1000000\n{POLICIES}"));
                for batch in &batches {
                    black_box(replay.take(batch));
                }
                for _ in 0..10 {
                    black_box(replay.second());
                }
                replay
            },
            |mut replay| {
                black_box(replay.second());
                replay
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A batch of one span each of `traces`, from the given one on.
fn firsts(from: u64) -> Traces {
    batch_of((0..SPANS_A_BATCH as u64).map(|n| (from + n) * SPANS_A_TRACE + 1))
}

/// Spans of traces that wait already, in no order: the same with few and with a million of them.
fn ingest_waiting(c: &mut Criterion) {
    let mut group = c.benchmark_group("tail_sampling");
    group.throughput(Throughput::Elements(SPANS_A_BATCH as u64));
    // Nothing is decided meanwhile, so that the log grows by 0.3 MB an iteration before it is compressed.
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    for (name, traces) in [("ingest_10k_waiting", 10_000), ("ingest_1m_waiting", 1_000_000)] {
        let mut replay = replay(&format!("num_traces: 2000000\n{}", POLICIES.replace("10s", "100000s")));
        for from in (0..traces).step_by(SPANS_A_BATCH) {
            black_box(replay.take(&firsts(from)));
            if from % 51_200 == 0 {
                black_box(replay.second());
            }
        }
        let pool: Vec<Traces> = (0..400_u64)
            .map(|request| {
                let number = |n| mix(request * SPANS_A_BATCH as u64 + n) % traces * SPANS_A_TRACE + 2;
                batch_of((0..SPANS_A_BATCH as u64).map(number))
            })
            .collect();
        let mut arrival = Arrival::new(&mut replay, &pool, 50);
        group.bench_function(name, |bencher| bencher.iter_custom(|iterations| arrival.time(iterations)));
    }
    group.finish();
}

/// The longest time for which a tick keeps spans from getting in, with 1.1 million traces waiting of which 100,000 are
/// decided, and the longest time that a batch takes: what is shown as the time of an iteration is that longest time.
fn longest_hold(c: &mut Criterion) {
    const A_SECOND: u64 = 100_000;
    let mut group = c.benchmark_group("tail_sampling");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    for (name, of_batches) in [("longest_step_of_a_tick_1m", false), ("longest_batch_1m", true)] {
        let mut replay = replay(&format!("num_traces: 1500000\n{POLICIES}"));
        let mut from = 0;
        let mut second = move || {
            let mut longest = [Duration::ZERO; 2];
            for _ in 0..A_SECOND / SPANS_A_BATCH as u64 {
                let batch = firsts(from);
                from += SPANS_A_BATCH as u64;
                #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
                let start = Instant::now();
                black_box(replay.take(&batch));
                longest[1] = longest[1].max(start.elapsed());
            }
            #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
            let mut last = Instant::now();
            black_box(replay.second_in_steps(&mut || {
                #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
                let now = Instant::now();
                longest[0] = longest[0].max(now - last);
                last = now;
            }));
            longest
        };
        for _ in 0..12 {
            second();
        }
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| second()[usize::from(of_batches)]).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, ingest, tick, ingest_waiting, longest_hold);
criterion_main!(benches);
