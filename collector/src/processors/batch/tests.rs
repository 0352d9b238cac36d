//! Triggers, cuts and the flush at shutdown, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use component::{ConsumeError, Consumer};
use pdata::Metrics;
use pdata::metrics::{Metric, MetricData, NumberPoint, NumberValue, ResourceMetrics, ScopeMetrics};
use proptest::prelude::*;

use super::payload::Payload;
use super::{Batch, Config, FACTORY};
use crate::config::{Problems, Section};
use crate::factory::Lifecycle;
use crate::testing::{Sink, context, series, traces};

struct Running {
    batch: Arc<Batch<pdata::Traces>>,
    sink: Arc<Sink>,
    registry: component::telemetry::Registry,
}

async fn run(yaml: &str) -> Running {
    let config: Config = Section::parse("batch", "processors", yaml).unwrap().decode(&mut Problems::default()).unwrap();
    let (sink, context) = (Sink::new(), context("batch"));
    let batch = Batch::new(&config, &context, Arc::clone(&sink) as _);
    batch.start().await.unwrap();
    Running { batch, sink, registry: context.registry }
}

impl Running {
    async fn put(&self, spans: usize) {
        self.batch.consume(traces(spans)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn sends_at_the_size_and_keeps_the_rest() {
    let running = run("{send_batch_size: 10, send_batch_max_size: 10, timeout: 5s}").await;
    running.put(25).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(running.sink.span_counts(), [10, 10]);
    tokio::time::sleep(Duration::from_millis(4001)).await;
    assert_eq!(running.sink.span_counts(), [10, 10, 5]);
    let names: Vec<_> = running
        .sink
        .received()
        .resource_spans
        .into_iter()
        .flat_map(|r| r.scope_spans)
        .flat_map(|s| s.spans)
        .map(|s| s.name)
        .collect();
    assert_eq!(names, (0..25).map(|i| format!("span-{i}")).collect::<Vec<_>>());
    assert_eq!(
        series(&running.registry),
        [
            "otelcol_processor_batch_batch_size_trigger_send{processor=\"batch\"} 2",
            "otelcol_processor_batch_metadata_cardinality{processor=\"batch\"} 1",
            "otelcol_processor_batch_timeout_trigger_send{processor=\"batch\"} 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_maximum_everything_goes_in_one() {
    let running = run("{send_batch_size: 10, timeout: 5s}").await;
    running.put(9).await;
    running.put(16).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(running.sink.span_counts(), [25]);
}

#[tokio::test(start_paused = true)]
async fn a_zero_timeout_or_size_sends_at_once() {
    for yaml in ["{timeout: 0s}", "{send_batch_size: 0}", "{send_batch_size: 0, send_batch_max_size: 2}"] {
        let running = run(yaml).await;
        running.put(3).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(running.sink.span_counts().iter().sum::<usize>(), 3, "{yaml}");
        assert_eq!(running.sink.span_counts().len(), if yaml.contains("max") { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_flushes_what_waits() {
    let running = run("{timeout: 1h, send_batch_size: 100, send_batch_max_size: 100}").await;
    running.put(40).await;
    running.put(50).await;
    running.batch.shutdown().await.unwrap();
    assert_eq!(running.sink.span_counts(), [90]);
    assert!(running.batch.consume(traces(1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn errors_below_do_not_reach_the_caller() {
    let running = run("{timeout: 0s}").await;
    running.sink.refuse(ConsumeError::permanent("no"));
    running.put(1).await;
    running.batch.shutdown().await.unwrap();
    assert!(running.sink.span_counts().is_empty());
}

#[test]
fn reports_mistakes() {
    for (yaml, text) in [
        ("{send_batch_max_size: 100}", "send_batch_max_size must be greater or equal to send_batch_size"),
        ("{timeout: -1s}", "timeout must be greater or equal to 0"),
        ("{metadata_keys: [a, A]}", "duplicate entry in metadata_keys: \"a\" (case-insensitive)"),
        ("{metadata_keys: [a]}", "batching by client metadata is not supported: no component here keeps it"),
    ] {
        let mut problems = Problems::default();
        assert!((FACTORY.parse)(&Section::parse("batch", "processors", yaml).unwrap(), &mut problems).is_none());
        assert_eq!(problems.list()[0].message, text);
    }
}

fn metrics(shape: &[Vec<Vec<usize>>]) -> Metrics {
    let mut serial = 0;
    let mut metric = |points: &usize| Metric {
        name: "m".to_owned(),
        description: String::new(),
        unit: String::new(),
        data: MetricData::Gauge {
            points: (0..*points)
                .map(|_| {
                    serial += 1;
                    NumberPoint {
                        attributes: Vec::new(),
                        start_unix_nano: 0,
                        time_unix_nano: 0,
                        value: NumberValue::Int(serial),
                        exemplars: Vec::new(),
                        flags: 0,
                    }
                })
                .collect(),
        },
    };
    let mut scope = |metrics: &Vec<usize>| ScopeMetrics {
        metrics: metrics.iter().map(&mut metric).collect(),
        ..ScopeMetrics::default()
    };
    let resource = |scopes: &Vec<Vec<usize>>| ResourceMetrics {
        scope_metrics: scopes.iter().map(&mut scope).collect(),
        ..ResourceMetrics::default()
    };
    Metrics { resource_metrics: shape.iter().map(resource).collect(), ..Metrics::default() }
}

fn values(metrics: &Metrics) -> Vec<NumberValue> {
    let metrics = metrics.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    metrics
        .flat_map(|metric| match &metric.data {
            MetricData::Gauge { points } => points.iter().map(|point| point.value).collect(),
            _ => Vec::new(),
        })
        .collect()
}

proptest! {
    #[test]
    fn metrics_are_cut_exactly_and_in_order(
        shape in prop::collection::vec(prop::collection::vec(prop::collection::vec(0..5_usize, 0..4), 0..4), 0..4),
        n in 0..40_usize,
    ) {
        let mut rest = metrics(&shape);
        let all = values(&rest);
        let first = rest.split_first(n);
        prop_assert_eq!(first.items(), n.min(all.len()));
        let mut joined = values(&first);
        joined.extend(values(&rest));
        prop_assert_eq!(joined, all);
    }
}
