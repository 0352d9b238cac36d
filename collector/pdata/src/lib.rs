//! Telemetry data: OTLP bytes and an index over them.
//!
//! A trace batch is shared buffers plus rows of byte ranges, made in one validating pass ([`Traces::index`]); spans are
//! moved, dropped and regrouped as rows, and [`Traces::encode`] concatenates ranges. [`span`] and [`value`] read single
//! messages, [`wire`] is the cursor below all of it. Metrics are few and off the hot path: they are plain structs.
//!
//! Invariants: this crate never allocates per field on the trace path, never decodes what was not asked for, never depends
//! on generated protobuf types, and never panics on wire input. It needs no unsafe code: the checked cursor indexes a span
//! of 630 bytes in 70 ns (`benches/pdata.rs`).

#![forbid(unsafe_code)]

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
    Range, ResourceRow, ResourceView, ScopeRow, ScopeView, SpanOrder, SpanRow, SpanView, TraceGroups, TraceId, Traces,
};
pub use wire::{WireError, WireErrorKind};
