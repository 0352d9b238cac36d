//! A batch made from parts: what tail sampling hands on after a decision.

use bytes::Bytes;

use crate::traces::{Range, ResourceRow, ScopeRow, SpanRow, TraceId, Traces};

/// Copies resources, scopes and spans into one buffer, in order. Parts must be valid messages.
#[derive(Debug, Default)]
pub struct TracesBuilder {
    buffer: Vec<u8>,
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
        let range = self.range(span);
        self.spans.push(SpanRow { trace_id, scope, span: range });
    }

    /// Bytes copied so far.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.buffer.len()
    }

    /// The batch.
    #[must_use]
    pub fn build(self) -> Traces {
        let Self { buffer, resources, scopes, spans } = self;
        Traces { buffers: vec![Bytes::from(buffer)], resources, scopes, spans }
    }

    fn copy(&mut self, bytes: &[u8]) -> Range {
        if bytes.is_empty() { Range::ABSENT } else { self.range(bytes) }
    }

    fn range(&mut self, bytes: &[u8]) -> Range {
        // A batch is cut long before 4 GiB: callers hand over what they hold at a tick.
        let range = Range { buffer: 0, start: self.buffer.len() as u32, len: bytes.len() as u32 };
        self.buffer.extend_from_slice(bytes);
        range
    }
}
