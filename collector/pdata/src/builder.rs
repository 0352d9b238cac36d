//! A batch made from parts: what tail sampling hands on after a decision.

use bytes::Bytes;

use crate::traces::{Range, ResourceRow, ScopeRow, SpanOrder, SpanRow, TraceId, Traces};
use crate::wire::put_bytes_header;

/// Copies resources, scopes and spans into its own buffer, in order, so the batch does not pin where they came from.
/// Spans stand there as fields of their scope, so that [`Traces::encode_chunks`] need not copy them once more. Parts are
/// not checked again: they must be messages that an index accepted.
#[derive(Debug, Default)]
pub struct TracesBuilder {
    /// The buffer that is being written; its number is that of the full ones.
    buffer: Vec<u8>,
    /// Buffers that are full: ranges have 32 bits, so one holds less than 4 GiB.
    full: Vec<Bytes>,
    resources: Vec<ResourceRow>,
    scopes: Vec<ScopeRow>,
    spans: Vec<SpanRow>,
}

impl TracesBuilder {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one with room for `n_spans` spans and `n_bytes` bytes of parts.
    #[must_use]
    pub fn with_capacity(n_spans: usize, n_bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(n_bytes), spans: Vec::with_capacity(n_spans), ..Self::default() }
    }

    /// Spans so far.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// Starts a ResourceSpans. Empty parts are left out.
    pub fn resource(&mut self, resource: &[u8], schema_url: &[u8]) {
        let row = ResourceRow { resource: self.copy(resource), schema_url: self.copy(schema_url) };
        self.resources.push(row);
    }

    /// Starts a ScopeSpans in the last resource, which is an empty one if none was started.
    pub fn scope(&mut self, scope: &[u8], schema_url: &[u8]) {
        if self.resources.is_empty() {
            self.resource(&[], &[]);
        }
        let resource = self.resources.len() as u32 - 1;
        let row = ScopeRow { resource, scope: self.copy(scope), schema_url: self.copy(schema_url) };
        self.scopes.push(row);
    }

    /// Adds a span to the last scope of the last resource, which is an empty one if none was started.
    pub fn span(&mut self, trace_id: TraceId, span: &[u8]) {
        let resource = self.resources.len();
        if self.scopes.last().is_none_or(|row| row.resource as usize + 1 != resource) {
            self.scope(&[], &[]);
        }
        let scope = self.scopes.len() as u32 - 1;
        self.make_room(SPAN_HEADER + span.len());
        put_bytes_header(&mut self.buffer, 2, span.len());
        let range = self.range(span);
        self.spans.push(SpanRow { trace_id, scope, span: range, order: SpanOrder::NONE });
    }

    /// Bytes copied so far.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.full.iter().map(Bytes::len).sum::<usize>() + self.buffer.len()
    }

    /// The batch.
    #[must_use]
    pub fn build(self) -> Traces {
        let Self { buffer, full: mut buffers, resources, scopes, spans } = self;
        buffers.push(Bytes::from(buffer));
        Traces { buffers, resources, scopes, spans, peer: None }
    }

    fn copy(&mut self, bytes: &[u8]) -> Range {
        if bytes.is_empty() { Range::ABSENT } else { self.range(bytes) }
    }

    fn range(&mut self, bytes: &[u8]) -> Range {
        self.make_room(bytes.len());
        // Accepted messages are below 4 GiB, and so is the buffer they are added to.
        let range = Range { buffer: self.full.len() as u32, start: self.buffer.len() as u32, len: bytes.len() as u32 };
        self.buffer.extend_from_slice(bytes);
        range
    }

    /// Starts another buffer if this one would outgrow what a range can name.
    fn make_room(&mut self, len: usize) {
        if self.buffer.len() + len > MAX_BUFFER && !self.buffer.is_empty() {
            self.full.push(Bytes::from(std::mem::take(&mut self.buffer)));
        }
    }
}

/// The most that a span's tag and length take.
const SPAN_HEADER: usize = 6;

/// A test sees the buffer change without writing gigabytes.
const MAX_BUFFER: usize = if cfg!(test) { 4 << 10 } else { u32::MAX as usize };

#[cfg(test)]
mod tests;
