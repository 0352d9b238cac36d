//! From rows back to the bytes of an ExportTraceServiceRequest: ranges are concatenated, lengths recomputed, and
//! nothing inside a message is looked at.

use bytes::{BufMut, Bytes};

use crate::traces::{Range, Traces};
use crate::wire::{put_bytes, put_bytes_header, varint_len};

impl Traces {
    /// Length of what [`Traces::encode`] gives.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.plan().total
    }

    /// The request. Every resource and scope row is in it, empty ones too; absent messages stay absent.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let plan = self.plan();
        let mut out = Vec::with_capacity(plan.total);
        self.write(&plan, &mut out);
        Bytes::from(out)
    }

    /// Appends the request to a buffer, which is best given [`Traces::encoded_len`] bytes of room beforehand.
    pub fn encode_into<B: BufMut>(&self, out: &mut B) {
        self.write(&self.plan(), out);
    }

    fn write<B: BufMut>(&self, plan: &Plan, out: &mut B) {
        let (mut scope, mut span) = (0, 0);
        for (resource, row) in self.resources.iter().enumerate() {
            put_bytes_header(out, 1, plan.resources[resource]);
            self.put(out, 1, row.resource);
            while let Some(scope_row) = self.scopes.get(scope).filter(|row| row.resource as usize == resource) {
                put_bytes_header(out, 2, plan.scopes[scope]);
                self.put(out, 1, scope_row.scope);
                while let Some(span_row) = self.spans.get(span).filter(|row| row.scope as usize == scope) {
                    put_bytes(out, 2, self.bytes(span_row.span));
                    span += 1;
                }
                self.put(out, 3, scope_row.schema_url);
                scope += 1;
            }
            self.put(out, 3, row.schema_url);
        }
    }

    fn put<B: BufMut>(&self, out: &mut B, field: u32, range: Range) {
        if range != Range::ABSENT {
            put_bytes(out, field, self.bytes(range));
        }
    }

    fn plan(&self) -> Plan {
        let mut scopes: Vec<usize> =
            self.scopes.iter().map(|row| optional(row.scope) + optional(row.schema_url)).collect();
        for row in &self.spans {
            scopes[row.scope as usize] += framed(row.span.len as usize);
        }
        let mut resources: Vec<usize> =
            self.resources.iter().map(|row| optional(row.resource) + optional(row.schema_url)).collect();
        for (row, len) in self.scopes.iter().zip(&scopes) {
            resources[row.resource as usize] += framed(*len);
        }
        let total = resources.iter().map(|len| framed(*len)).sum();
        Plan { scopes, resources, total }
    }
}

/// Payload lengths of the messages to write.
struct Plan {
    scopes: Vec<usize>,
    resources: Vec<usize>,
    total: usize,
}

/// With a one-byte tag and its length.
fn framed(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn optional(range: Range) -> usize {
    if range == Range::ABSENT { 0 } else { framed(range.len as usize) }
}
