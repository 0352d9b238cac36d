//! Telemetry data: OTLP bytes and an index over them.

pub mod metrics;
pub mod number;
mod traces;
mod value_text;

pub use metrics::Metrics;
pub use traces::{Range, ResourceRow, ScopeRow, SpanRow, TraceId, Traces};
