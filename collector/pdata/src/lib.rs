//! Telemetry data: OTLP bytes and an index over them.

pub mod metrics;
mod traces;

pub use metrics::Metrics;
pub use traces::{Range, ResourceRow, ScopeRow, SpanRow, TraceId, Traces};
