//! From a batch to one request for each backend: routing keys, and cutting on the wire bytes.
//!
//! Keys are the bytes that contrib hashes (0.161), so that both choose the same backend: the raw trace id, or texts such
//! as `service.name=checkout|`.

mod identity;
mod metrics;
#[cfg(test)]
mod tests;
mod traces;

use component::{ConsumeError, Signal};
use pdata::metrics::Value;
use pdata::{Metrics, Traces};

use crate::cluster::ring::Ring;
use crate::exporters::helper::{Failure, Request};

/// A batch of either signal.
#[derive(Clone, Debug)]
pub(super) enum Batch {
    /// Spans.
    Traces(Traces),
    /// Points.
    Metrics(Metrics),
}

impl Batch {
    /// Spans or points.
    pub(super) fn items(&self) -> usize {
        match self {
            Self::Traces(traces) => traces.span_count(),
            Self::Metrics(metrics) => metrics.point_count(),
        }
    }

    /// The whole batch as one request.
    pub(super) fn encode(&self) -> Request {
        match self {
            Self::Traces(traces) => Request::from_traces(traces),
            Self::Metrics(metrics) => Request::from_metrics(metrics),
        }
    }

    /// Reads a request that was encoded here, which cannot fail; if it did, nothing of it was delivered.
    pub(super) fn read(request: &Request) -> Result<Self, Failure> {
        let read = match request.signal {
            Signal::Metrics => Metrics::decode(&request.whole()).map(Self::Metrics).map_err(|error| error.to_string()),
            Signal::Traces | Signal::Logs => {
                Traces::index(request.whole()).map(Self::Traces).map_err(|error| error.to_string())
            }
        };
        read.map_err(|error| Failure { error: ConsumeError::permanent(error), rest: request.clone() })
    }
}

/// The request for each member that gets something.
pub(super) type Shares = Vec<(usize, Request)>;

/// What is hashed, by signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoutingKey {
    /// Traces: the 16 bytes of the trace id.
    TraceId,
    /// Traces: attributes of a trace, `service` being `service.name`.
    TraceAttributes(Vec<String>),
    /// Metrics: the bare service name.
    Service,
    /// Metrics: the identity of the resource.
    Resource,
    /// Metrics: the metric's name.
    Metric,
    /// Metrics: the identity of the stream.
    Stream,
    /// Metrics: attributes of resource, scope and point.
    Attributes(Vec<String>),
}

impl RoutingKey {
    /// Reads `routing_key`. The texts are contrib's.
    pub(super) fn new(signal: Signal, key: &str, attributes: &[String]) -> Result<Self, String> {
        match (signal, key) {
            (Signal::Traces, "" | "traceID") => Ok(Self::TraceId),
            (Signal::Traces, "service") => Ok(Self::TraceAttributes(vec!["service.name".to_owned()])),
            (Signal::Traces, "attributes") => Ok(Self::TraceAttributes(attributes.to_vec())),
            (Signal::Metrics, "" | "service") => Ok(Self::Service),
            (Signal::Metrics, "resource") => Ok(Self::Resource),
            (Signal::Metrics, "metric") => Ok(Self::Metric),
            (Signal::Metrics, "streamID") => Ok(Self::Stream),
            (Signal::Metrics, "attributes") => Ok(Self::Attributes(attributes.to_vec())),
            (Signal::Traces, other) => Err(format!("unsupported routing_key: {other}")),
            (_, other) => Err(format!("unsupported routing_key: {other:?}")),
        }
    }

    /// Divides a batch over the members of a ring that is not empty.
    pub(super) fn split(&self, batch: Batch, ring: &Ring) -> Result<Shares, Failure> {
        match batch {
            // With one member there is nothing to ask.
            Batch::Traces(traces) if ring.members().len() == 1 => Ok(vec![(0, Request::from_traces(&traces))]),
            Batch::Traces(traces) => Ok(match self {
                Self::TraceAttributes(attributes) => traces::by_attributes(&traces, attributes, ring),
                _ => traces::by_id(&traces, ring),
            }),
            Batch::Metrics(metrics) => metrics::split(metrics, self, ring),
        }
    }
}

/// `name=value|`, where the value is the text that Go's `AsString` gives; strings as they are, whatever their bytes.
fn push_value(key: &mut Vec<u8>, name: &str, value: &Value) {
    push_text(key, name, value.to_text().as_bytes());
}

fn push_text(key: &mut Vec<u8>, name: &str, value: &[u8]) {
    key.extend_from_slice(name.as_bytes());
    key.push(b'=');
    key.extend_from_slice(value);
    key.push(b'|');
}
