//! What component tests share: a context, consumers that remember or refuse, requests built with the generated types.

use std::sync::{Arc, Mutex};

use component::telemetry::Registry;
use component::{Consume, ConsumeError, Consumer, Id};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::metrics::{Metric, MetricData, NumberPoint, NumberValue, ResourceMetrics, ScopeMetrics};
use pdata::{Metrics, Traces};
use prost::Message;
use tokio::sync::Notify;

use crate::clock::SystemClock;
use crate::factory::{Context, Fatal};
use crate::health::Health;

/// A context with an empty registry and the system clock.
pub(crate) fn context(id: &str) -> Context {
    Context {
        id: Id::parse(id).unwrap(),
        pipeline: None,
        registry: Registry::new(0),
        clock: Arc::new(SystemClock::new()),
        resource: Arc::new([]),
        jit: true,
        fatal: Fatal::default(),
        health: Health::default(),
        storages: crate::storage::Storages::default(),
    }
}

/// All series as `name{key="value"} value`, sorted.
pub(crate) fn series(registry: &Registry) -> Vec<String> {
    let mut out = Vec::new();
    for scope in registry.collect(0).scope_metrics {
        for metric in scope.metrics {
            let points = match metric.data {
                MetricData::Sum { points, .. } | MetricData::Gauge { points } => points,
                _ => Vec::new(),
            };
            for point in points {
                let labels: Vec<_> =
                    point.attributes.iter().map(|(key, value)| format!("{key}={:?}", value.to_text())).collect();
                let value = match point.value {
                    NumberValue::Int(value) => value.to_string(),
                    NumberValue::Double(value) => value.to_string(),
                };
                out.push(format!("{}{{{}}} {value}", metric.name, labels.join(",")));
            }
        }
    }
    out.sort();
    out
}

/// Takes batches and remembers them; refuses with the given error while there is one.
#[derive(Default)]
pub(crate) struct Sink {
    pub(crate) batches: Mutex<Vec<Traces>>,
    pub(crate) metrics: Mutex<Vec<Metrics>>,
    pub(crate) refusal: Mutex<Option<ConsumeError>>,
    pub(crate) arrived: Notify,
}

impl Sink {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn refuse(&self, error: ConsumeError) {
        *self.refusal.lock().unwrap() = Some(error);
    }

    pub(crate) fn accept(&self) {
        *self.refusal.lock().unwrap() = None;
    }

    pub(crate) fn span_counts(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(Traces::span_count).collect()
    }

    /// Everything received as one request of generated types.
    pub(crate) fn received(&self) -> ExportTraceServiceRequest {
        let mut all = ExportTraceServiceRequest::default();
        for batch in self.batches.lock().unwrap().iter() {
            all.merge(batch.encode()).unwrap();
        }
        all
    }
}

impl Consumer<Traces> for Sink {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        Box::pin(async move {
            if let Some(error) = self.refusal.lock().unwrap().clone() {
                return Err(error);
            }
            self.batches.lock().unwrap().push(batch);
            self.arrived.notify_one();
            Ok(())
        })
    }
}

impl Consumer<Metrics> for Sink {
    fn consume(&self, batch: Metrics) -> Consume<'_> {
        Box::pin(async move {
            if let Some(error) = self.refusal.lock().unwrap().clone() {
                return Err(error);
            }
            self.metrics.lock().unwrap().push(batch);
            self.arrived.notify_one();
            Ok(())
        })
    }
}

/// A gauge of `n` points, valued 0 and up.
pub(crate) fn metrics(n: i64) -> Metrics {
    let point = |value| NumberPoint {
        attributes: Vec::new(),
        start_unix_nano: 0,
        time_unix_nano: 1,
        value: NumberValue::Int(value),
        exemplars: Vec::new(),
        flags: 0,
    };
    let metric = Metric {
        name: "gauge".to_owned(),
        description: String::new(),
        unit: String::new(),
        data: MetricData::Gauge { points: (0..n).map(point).collect() },
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    Metrics {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
        ..Metrics::default()
    }
}

/// A request of `n` spans named `span-<i>` under one resource and scope.
pub(crate) fn request(n: usize) -> ExportTraceServiceRequest {
    let span = |index: usize| Span {
        trace_id: vec![u8::try_from(index % 255).unwrap() + 1; 16],
        span_id: vec![2; 8],
        name: format!("span-{index}"),
        ..Span::default()
    };
    let scope_spans = ScopeSpans { spans: (0..n).map(span).collect(), ..ScopeSpans::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() }],
    }
}

/// The same as a batch.
pub(crate) fn traces(n: usize) -> Traces {
    Traces::index(request(n).encode_to_vec().into()).unwrap()
}
