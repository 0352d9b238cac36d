//! A batch of spans: shared buffers of wire bytes plus a flat index of ranges. See `lib.rs` for the invariants.

use bytes::Bytes;

/// 16 bytes; all zero means not set.
pub type TraceId = [u8; 16];

/// A range of one of the batch's buffers. Only the index and the edit methods of [`Traces`] make one, from checked bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub(crate) buffer: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// One ResourceSpans: its Resource message and schema URL, both as payload bytes (empty if absent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceRow {
    pub(crate) resource: Range,
    pub(crate) schema_url: Range,
}

/// One ScopeSpans of a resource: its InstrumentationScope message and schema URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeRow {
    pub(crate) resource: u32,
    pub(crate) scope: Range,
    pub(crate) schema_url: Range,
}

/// One Span message (payload bytes, without tag and length).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRow {
    pub(crate) trace_id: TraceId,
    pub(crate) scope: u32,
    pub(crate) span: Range,
}

/// Spans still in wire form. Rows are in order: spans by scope, scopes by resource. Cheap to clone (buffers are shared).
#[derive(Clone, Debug, Default)]
pub struct Traces {
    pub(crate) buffers: Vec<Bytes>,
    pub(crate) resources: Vec<ResourceRow>,
    pub(crate) scopes: Vec<ScopeRow>,
    pub(crate) spans: Vec<SpanRow>,
}

impl Traces {
    /// Number of spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }
}
