//! What both protocols do with a request body: index it, hand it on, count the outcome.

use std::net::IpAddr;

use bytes::Bytes;
use component::telemetry::{Counter, Definition, Registry};
use component::{Code, Id, MetricsConsumer, TracesConsumer};
use pdata::Traces;

use crate::factory::Outputs;
use crate::net::status::Status;

/// Scope that upstream's metrics carry.
const SCOPE: &str = "go.opentelemetry.io/collector/receiver/receiverhelper";

/// Where requests go, with the counters of one transport.
pub(super) struct Intake {
    traces: Option<(TracesConsumer, Counters)>,
    metrics: Option<(MetricsConsumer, Counters)>,
}

struct Counters {
    accepted: Counter,
    refused: Counter,
}

impl Intake {
    /// `transport` is `grpc` or `http`, as the metrics have it.
    pub(super) fn new(id: &Id, transport: &str, outputs: &Outputs, registry: &Registry) -> Self {
        let id = id.to_string();
        let attributes = [("receiver", id.as_str()), ("transport", transport)];
        Self {
            traces: outputs.traces.clone().map(|next| (next, Counters::new(registry, &SPANS, &attributes))),
            metrics: outputs.metrics.clone().map(|next| (next, Counters::new(registry, &POINTS, &attributes))),
        }
    }

    /// True if a traces pipeline uses the receiver.
    pub(super) fn takes_traces(&self) -> bool {
        self.traces.is_some()
    }

    /// True if a metrics pipeline uses the receiver.
    pub(super) fn takes_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Indexes and hands on an ExportTraceServiceRequest.
    pub(super) async fn traces(&self, body: Bytes, peer: Option<IpAddr>) -> Result<(), Status> {
        let Some((next, counters)) = &self.traces else { return Err(unused("traces")) };
        let mut batch = Traces::index(body).map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
        let count = batch.span_count();
        if count == 0 {
            return Ok(());
        }
        batch.set_peer(peer);
        counters.count(count, next.consume(batch).await)
    }

    /// Decodes and hands on an ExportMetricsServiceRequest.
    pub(super) async fn metrics(&self, body: Bytes, peer: Option<IpAddr>) -> Result<(), Status> {
        let Some((next, counters)) = &self.metrics else { return Err(unused("metrics")) };
        let mut batch =
            pdata::Metrics::decode(&body).map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
        let count = batch.point_count();
        if count == 0 {
            return Ok(());
        }
        batch.peer = peer;
        counters.count(count, next.consume(batch).await)
    }
}

fn unused(signal: &str) -> Status {
    Status::new(Code::Unimplemented, format!("no pipeline takes {signal} from this receiver"))
}

impl Counters {
    fn new(registry: &Registry, names: &[Definition; 3], attributes: &[(&str, &str)]) -> Self {
        // Always there and always 0 without upstream's gate: errors from below count as refused.
        let _failed = registry.counter(names[2], attributes);
        Self { accepted: registry.counter(names[0], attributes), refused: registry.counter(names[1], attributes) }
    }

    fn count(&self, items: usize, outcome: Result<(), component::ConsumeError>) -> Result<(), Status> {
        let counter = if outcome.is_ok() { &self.accepted } else { &self.refused };
        counter.add(items as u64);
        outcome.map_err(|error| Status::from(&error))
    }
}

const fn definition(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    Definition { name, unit, description, scope: SCOPE }
}

const SPANS: [Definition; 3] = [
    definition(
        "otelcol_receiver_accepted_spans",
        "{span}",
        "Number of spans successfully pushed into the pipeline. [Alpha]",
    ),
    definition(
        "otelcol_receiver_refused_spans",
        "{span}",
        "Number of spans that could not be pushed into the pipeline. [Alpha]",
    ),
    definition(
        "otelcol_receiver_failed_spans",
        "{span}",
        "The number of spans that failed to be processed by the receiver due to internal errors. [Alpha]",
    ),
];

const POINTS: [Definition; 3] = [
    definition(
        "otelcol_receiver_accepted_metric_points",
        "{datapoint}",
        "Number of metric points successfully pushed into the pipeline. [Alpha]",
    ),
    definition(
        "otelcol_receiver_refused_metric_points",
        "{datapoint}",
        "Number of metric points that could not be pushed into the pipeline. [Alpha]",
    ),
    definition(
        "otelcol_receiver_failed_metric_points",
        "{datapoint}",
        "The number of metric points that failed to be processed by the receiver due to internal errors. [Alpha]",
    ),
];
