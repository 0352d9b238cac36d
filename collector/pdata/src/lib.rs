//! Telemetry data: OTLP bytes and an index over them.
//!
//! A trace batch is shared buffers plus rows of byte ranges, made in one validating pass; nothing is decoded into trees.
//! This crate never allocates per field, never decodes what was not asked for, and never depends on generated protobuf
//! types. Metrics are few and off the hot path: they are plain structs.

mod builder;
mod edit;
mod encode;
mod index;
pub mod json;
pub mod metrics;
pub mod number;
pub mod span;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod traces;
pub mod value;
mod value_text;
pub mod wire;

pub use builder::TracesBuilder;
pub use edit::EditError;
pub use metrics::Metrics;
pub use traces::{
    Range, ResourceRow, ResourceView, ScopeRow, ScopeView, SpanRow, SpanView, TraceGroups, TraceId, Traces,
};
pub use wire::{WireError, WireErrorKind};
