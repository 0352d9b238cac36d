//! The `otelcol_exporter_...` metrics.

use std::sync::{Arc, OnceLock};

use component::telemetry::{Counter, Definition, Gauge, Registry};
use component::{Id, Signal};

use super::queue::Queue;

const SCOPE: &str = "go.opentelemetry.io/collector/exporter/exporterhelper";

/// Counters of one exporter and signal.
pub(super) struct Metrics {
    registry: Registry,
    /// `exporter` and what the exporter adds (`server.address`, ...).
    attributes: Vec<(String, String)>,
    names: &'static Names,
    sent: OnceLock<Counter>,
    send_failed: OnceLock<Counter>,
    pub(super) in_flight: Gauge,
    pub(super) enqueue_failed: Counter,
}

struct Names {
    sent: Definition,
    send_failed: Definition,
    enqueue_failed: Definition,
}

impl Metrics {
    pub(super) fn new(registry: &Registry, id: &Id, signal: Signal, extra: &[(&str, String)]) -> Self {
        let id = id.to_string();
        let names = match signal {
            Signal::Traces => &SPANS,
            Signal::Metrics => &POINTS,
            Signal::Logs => &RECORDS,
        };
        let mut attributes = vec![("exporter".to_owned(), id.clone())];
        attributes.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        Self {
            registry: registry.clone(),
            attributes,
            names,
            sent: OnceLock::new(),
            send_failed: OnceLock::new(),
            in_flight: registry.up_down(IN_FLIGHT, &[("exporter", id.as_str()), ("data_type", signal.as_str())]),
            enqueue_failed: registry.counter(names.enqueue_failed, &[("exporter", id.as_str())]),
        }
    }

    /// Size and capacity, read when they are asked for.
    pub(super) fn observe(&self, id: &Id, signal: Signal, queue: &Arc<Queue>) {
        let id = id.to_string();
        let attributes = [("exporter", id.as_str()), ("data_type", signal.as_str())];
        let (size, capacity) = (Arc::clone(queue), Arc::clone(queue));
        #[expect(clippy::cast_precision_loss, reason = "a gauge; below 2^53 it is exact")]
        self.registry.observe_gauge(QUEUE_SIZE, &attributes, Box::new(move || size.used() as f64));
        #[expect(clippy::cast_precision_loss, reason = "a gauge; below 2^53 it is exact")]
        self.registry.observe_gauge(QUEUE_CAPACITY, &attributes, Box::new(move || capacity.capacity() as f64));
    }

    /// As upstream: `sent` appears with the first finished call, with 0 if that one failed; `send_failed` only after a
    /// failure.
    pub(super) fn finished(&self, items: usize, ok: bool) {
        let sent = self.sent.get_or_init(|| self.counter(self.names.sent));
        if ok {
            sent.add(items as u64);
        } else {
            self.send_failed.get_or_init(|| self.counter(self.names.send_failed)).add(items as u64);
        }
    }

    fn counter(&self, definition: Definition) -> Counter {
        let attributes: Vec<_> = self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.registry.counter(definition, &attributes)
    }
}

const fn definition(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    Definition { name, unit, description, scope: SCOPE }
}

const IN_FLIGHT: Definition = definition(
    "otelcol_exporter_in_flight_requests",
    "{request}",
    "Current number of in-flight export requests. [Development]",
);
const QUEUE_SIZE: Definition =
    definition("otelcol_exporter_queue_size", "{batch}", "Current size of the retry queue (in batches). [Alpha]");
const QUEUE_CAPACITY: Definition =
    definition("otelcol_exporter_queue_capacity", "{batch}", "Fixed capacity of the retry queue (in batches). [Alpha]");

const SPANS: Names = Names {
    sent: definition(
        "otelcol_exporter_sent_spans",
        "{span}",
        "Number of spans successfully sent to destination. [Alpha]",
    ),
    send_failed: definition(
        "otelcol_exporter_send_failed_spans",
        "{span}",
        "Number of spans in failed attempts to send to destination. [Alpha]",
    ),
    enqueue_failed: definition(
        "otelcol_exporter_enqueue_failed_spans",
        "{span}",
        "Number of spans failed to be added to the sending queue. [Alpha]",
    ),
};
const POINTS: Names = Names {
    sent: definition(
        "otelcol_exporter_sent_metric_points",
        "{datapoint}",
        "Number of metric points successfully sent to destination. [Alpha]",
    ),
    send_failed: definition(
        "otelcol_exporter_send_failed_metric_points",
        "{datapoint}",
        "Number of metric points in failed attempts to send to destination. [Alpha]",
    ),
    enqueue_failed: definition(
        "otelcol_exporter_enqueue_failed_metric_points",
        "{datapoint}",
        "Number of metric points failed to be added to the sending queue. [Alpha]",
    ),
};
const RECORDS: Names = Names {
    sent: definition(
        "otelcol_exporter_sent_log_records",
        "{record}",
        "Number of log record successfully sent to destination. [Alpha]",
    ),
    send_failed: definition(
        "otelcol_exporter_send_failed_log_records",
        "{record}",
        "Number of log records in failed attempts to send to destination. [Alpha]",
    ),
    enqueue_failed: definition(
        "otelcol_exporter_enqueue_failed_log_records",
        "{record}",
        "Number of log records failed to be added to the sending queue. [Alpha]",
    ),
};
