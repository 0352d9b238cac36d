//! The `otelcol_exporter_...` metrics.

use std::sync::{Arc, OnceLock};

use component::telemetry::{Counter, Definition, Gauge, Registry};
use component::{Id, Signal};

use super::queue::Queue;

const SCOPE: &str = "go.opentelemetry.io/collector/exporter/exporterhelper";

/// Counters of one exporter and signal, or of one endpoint of an exporter that has several.
pub(super) struct Metrics {
    registry: Registry,
    names: &'static Names,
    /// `exporter` and what the exporter adds (`server.address`, ...).
    attributes: Vec<(String, String)>,
    /// `exporter` and `data_type`, for what is read when it is asked for.
    state_attributes: Vec<(String, String)>,
    sent: OnceLock<Counter>,
    send_failed: OnceLock<Counter>,
    pub(super) in_flight: Gauge,
    pub(super) enqueue_failed: Counter,
}

struct Names {
    sent: Definition,
    send_failed: Definition,
    enqueue_failed: Definition,
    in_flight: Definition,
    queue_size: Definition,
    queue_capacity: Definition,
}

impl Metrics {
    pub(super) fn new(registry: &Registry, id: &Id, signal: Signal, extra: &[(&str, String)]) -> Self {
        let names = match signal {
            Signal::Traces => &SPANS,
            Signal::Metrics => &POINTS,
            Signal::Logs => &RECORDS,
        };
        let exporter = ("exporter".to_owned(), id.to_string());
        let mut attributes = vec![exporter.clone()];
        attributes.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let state_attributes = vec![exporter.clone(), ("data_type".to_owned(), signal.to_string())];
        let enqueue_failed = registry.counter(names.enqueue_failed, &borrowed(&[exporter]));
        Self::with(registry, names, attributes, state_attributes, enqueue_failed)
    }

    /// All series name the endpoint, so that [`Registry::forget`] can find them.
    pub(super) fn of_endpoint(registry: &Registry, id: &Id, signal: Signal, endpoint: &str) -> Self {
        let attributes: Vec<(String, String)> =
            [("exporter", id.to_string()), ("data_type", signal.to_string()), ("endpoint", endpoint.to_owned())]
                .map(|(key, value)| (key.to_owned(), value))
                .into();
        let enqueue_failed = registry.counter(ENDPOINT.enqueue_failed, &borrowed(&attributes));
        let metrics = Self::with(registry, &ENDPOINT, attributes.clone(), attributes, enqueue_failed);
        // All at once: a series that appeared later, while the endpoint is being given up, would stay for good.
        metrics.finished(0, 0);
        metrics.send_failed.get_or_init(|| metrics.counter(ENDPOINT.send_failed));
        metrics
    }

    fn with(
        registry: &Registry,
        names: &'static Names,
        attributes: Vec<(String, String)>,
        state_attributes: Vec<(String, String)>,
        enqueue_failed: Counter,
    ) -> Self {
        let in_flight = registry.up_down(names.in_flight, &borrowed(&state_attributes));
        let (sent, send_failed) = (OnceLock::new(), OnceLock::new());
        Self {
            registry: registry.clone(),
            names,
            attributes,
            state_attributes,
            sent,
            send_failed,
            in_flight,
            enqueue_failed,
        }
    }

    /// Size and capacity, read when they are asked for.
    pub(super) fn observe(&self, queue: &Arc<Queue>) {
        let attributes = borrowed(&self.state_attributes);
        let (size, capacity) = (Arc::clone(queue), Arc::clone(queue));
        #[expect(clippy::cast_precision_loss, reason = "a gauge; below 2^53 it is exact")]
        self.registry.observe_gauge(self.names.queue_size, &attributes, Box::new(move || size.used() as f64));
        #[expect(clippy::cast_precision_loss, reason = "a gauge; below 2^53 it is exact")]
        self.registry.observe_gauge(
            self.names.queue_capacity,
            &attributes,
            Box::new(move || capacity.capacity() as f64),
        );
    }

    /// As upstream: `sent` appears with the first finished call, with 0 if that one failed; `send_failed` only after a
    /// failure.
    pub(super) fn finished(&self, sent: usize, failed: usize) {
        self.sent.get_or_init(|| self.counter(self.names.sent)).add(sent as u64);
        if failed > 0 {
            self.send_failed.get_or_init(|| self.counter(self.names.send_failed)).add(failed as u64);
        }
    }

    fn counter(&self, definition: Definition) -> Counter {
        self.registry.counter(definition, &borrowed(&self.attributes))
    }
}

fn borrowed(attributes: &[(String, String)]) -> Vec<(&str, &str)> {
    attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
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
    in_flight: IN_FLIGHT,
    queue_size: QUEUE_SIZE,
    queue_capacity: QUEUE_CAPACITY,
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
    in_flight: IN_FLIGHT,
    queue_size: QUEUE_SIZE,
    queue_capacity: QUEUE_CAPACITY,
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
    in_flight: IN_FLIGHT,
    queue_size: QUEUE_SIZE,
    queue_capacity: QUEUE_CAPACITY,
};

/// Contrib's load_balancing exporter keeps its inner exporters silent, so these names are ours.
const ENDPOINT: Names = Names {
    sent: definition(
        "ottlcol_loadbalancer_backend_sent_items",
        "{item}",
        "Number of spans or points sent to the backend.",
    ),
    send_failed: definition(
        "ottlcol_loadbalancer_backend_send_failed_items",
        "{item}",
        "Number of spans or points that the backend did not take and that were not passed to another.",
    ),
    enqueue_failed: definition(
        "ottlcol_loadbalancer_backend_enqueue_failed_items",
        "{item}",
        "Number of spans or points that the backend's queue did not take.",
    ),
    in_flight: definition(
        "ottlcol_loadbalancer_backend_in_flight_requests",
        "{request}",
        "Number of requests being sent to the backend, or waiting for another attempt.",
    ),
    queue_size: definition(
        "ottlcol_loadbalancer_backend_queue_size",
        "{batch}",
        "Size of the backend's queue, in its sizer's unit.",
    ),
    queue_capacity: definition(
        "ottlcol_loadbalancer_backend_queue_capacity",
        "{batch}",
        "Capacity of the backend's queue, in its sizer's unit.",
    ),
};
