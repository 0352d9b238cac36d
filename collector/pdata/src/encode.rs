//! From rows back to the bytes of an ExportTraceServiceRequest: ranges are concatenated, lengths recomputed, and
//! nothing inside a message is looked at. Where many spans still lie as they arrived, one after the other, not even a
//! copy is made: see [`Traces::encode_chunks`].

use std::ops;

use bytes::{BufMut, Bytes};

use crate::traces::{Range, Traces};
use crate::wire::{put_bytes, put_bytes_header, varint_len};

/// Spans that lie as they arrived are shared from this many bytes on; fewer are copied, because each piece costs
/// whoever sends it more than the copy would.
const SHARED_BYTES: usize = 16 * 1024;

/// What is copied is cut into pieces of about this size, which allocators and caches handle better than megabytes.
const COPIED_BYTES: usize = 128 * 1024;

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
        self.write(&plan, &mut Whole(&mut out));
        Bytes::from(out)
    }

    /// The request in pieces, which concatenated are what [`Traces::encode`] gives. Long runs of spans share the batch's
    /// buffers, but only buffers of which at least half is still wanted: a small rest of a large request does not pin it.
    #[must_use]
    pub fn encode_chunks(&self) -> Vec<Bytes> {
        let plan = self.plan();
        let mut wanted = vec![0; self.buffers.len()];
        for row in &self.spans {
            if let Some(wanted) = wanted.get_mut(row.span.buffer as usize) {
                *wanted += row.span.len as usize;
            }
        }
        let shared = self.buffers.iter().zip(wanted).map(|(buffer, wanted)| wanted >= buffer.len() / 2).collect();
        let mut pieces = Pieces { shared, left: plan.total, done: Vec::new(), open: Vec::new() };
        pieces.open.reserve_exact(plan.total.min(COPIED_BYTES));
        self.write(&plan, &mut pieces);
        pieces.close();
        pieces.done
    }

    /// Appends the request to a buffer, which is best given [`Traces::encoded_len`] bytes of room beforehand.
    pub fn encode_into<B: BufMut>(&self, out: &mut B) {
        self.write(&self.plan(), &mut Whole(out));
    }

    fn write<O: Out>(&self, plan: &Plan, out: &mut O) {
        let (mut scope, mut span) = (0, 0);
        for (resource, row) in self.resources.iter().enumerate() {
            put_bytes_header(out.buffer(), 1, plan.resources[resource]);
            self.put(out.buffer(), 1, row.resource);
            while let Some(scope_row) = self.scopes.get(scope).filter(|row| row.resource as usize == resource) {
                put_bytes_header(out.buffer(), 2, plan.scopes[scope]);
                self.put(out.buffer(), 1, scope_row.scope);
                let first = span;
                while self.spans.get(span).is_some_and(|row| row.scope as usize == scope) {
                    span += 1;
                }
                out.spans(self, first..span);
                self.put(out.buffer(), 3, scope_row.schema_url);
                scope += 1;
            }
            self.put(out.buffer(), 3, row.schema_url);
        }
    }

    /// The end of the run of span fields that starts with row `first`: they lie one after the other in one buffer, and
    /// between two payloads is what this encoder would write there.
    fn run(&self, first: usize, end: usize) -> usize {
        let mut at = first;
        while at + 1 < end {
            let (span, next) = (self.spans[at].span, self.spans[at + 1].span);
            let start = span.start as usize + span.len as usize + header_len(next);
            // A gap of just that length has room for nothing but the field's tag and length in their shortest form.
            if next.buffer != span.buffer || next.start as usize != start {
                break;
            }
            at += 1;
        }
        at + 1
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

/// Where a request is written to.
trait Out {
    type Buffer: BufMut;

    /// For what surrounds spans.
    fn buffer(&mut self) -> &mut Self::Buffer;

    /// Writes the span fields of some rows of one scope.
    fn spans(&mut self, traces: &Traces, rows: ops::Range<usize>);
}

struct Whole<'a, B>(&'a mut B);

impl<B: BufMut> Out for Whole<'_, B> {
    type Buffer = B;

    fn buffer(&mut self) -> &mut B {
        self.0
    }

    fn spans(&mut self, traces: &Traces, rows: ops::Range<usize>) {
        for row in &traces.spans[rows] {
            put_bytes(self.0, 2, traces.bytes(row.span));
        }
    }
}

struct Pieces {
    /// Which buffers may be shared.
    shared: Vec<bool>,
    /// Bytes that are not in closed pieces.
    left: usize,
    done: Vec<Bytes>,
    open: Vec<u8>,
}

impl Pieces {
    fn close(&mut self) {
        if !self.open.is_empty() {
            self.left = self.left.saturating_sub(self.open.len());
            self.done.push(Bytes::from(std::mem::take(&mut self.open)));
        }
    }

    /// Makes room for `len` bytes in the open piece.
    fn room(&mut self, len: usize) {
        if self.open.capacity() - self.open.len() < len {
            self.close();
            self.open.reserve_exact(self.left.min(COPIED_BYTES).max(len));
        }
    }
}

impl Out for Pieces {
    type Buffer = Vec<u8>;

    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.open
    }

    fn spans(&mut self, traces: &Traces, rows: ops::Range<usize>) {
        let mut at = rows.start;
        while at < rows.end {
            let first = traces.spans[at].span;
            let end = traces.run(at, rows.end);
            let last = traces.spans[end - 1].span;
            let (from, to) = (first.start as usize, last.start as usize + last.len as usize);
            let buffer = first.buffer as usize;
            if to - from >= SHARED_BYTES && self.shared.get(buffer) == Some(&true) {
                put_bytes_header(&mut self.open, 2, first.len as usize);
                self.close();
                self.left = self.left.saturating_sub(to - from);
                self.done.push(traces.buffers[buffer].slice(from..to));
            } else {
                self.room(header_len(first) + to - from);
                put_bytes_header(&mut self.open, 2, first.len as usize);
                self.open.extend_from_slice(&traces.buffers[buffer][from..to]);
            }
            at = end;
        }
    }
}

/// Length of a span field's tag and length.
fn header_len(span: Range) -> usize {
    1 + varint_len(u64::from(span.len))
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

#[cfg(test)]
mod tests {
    use crate::{Traces, TracesBuilder};

    /// One scope with spans of 1,000 bytes that are only a trace id and a name.
    fn arrived(spans: u8) -> Traces {
        let mut builder = TracesBuilder::new();
        builder.resource(b"", b"");
        builder.scope(b"", b"");
        for n in 0..spans {
            let span = [&[0x0a, 16][..], &[n + 1; 16], &[0x2a, 0xd3, 0x07], &[b'n'; 979]].concat();
            builder.span([n + 1; 16], &span);
        }
        Traces::index(builder.build().encode()).unwrap()
    }

    #[test]
    fn spans_as_they_arrived_are_shared() {
        let traces = arrived(200);
        let chunks = traces.encode_chunks();
        assert_eq!(chunks.concat(), traces.encode());
        let shared = chunks.iter().find(|chunk| chunk.len() > 190_000).unwrap();
        let span = traces.span(7).unwrap().bytes().as_ptr_range();
        assert!(shared.as_ptr_range().contains(&span.start));
    }

    #[test]
    fn a_run_ends_where_spans_were_removed() {
        let mut traces = arrived(200);
        traces.retain_spans(|row| row % 50 != 49);
        let chunks = traces.encode_chunks();
        assert_eq!(chunks.concat(), traces.encode());
        assert_eq!(chunks.iter().filter(|chunk| chunk.len() > 45_000).count(), 4);
    }

    #[test]
    fn a_rest_is_copied() {
        let mut traces = arrived(200);
        traces.retain_spans(|row| row < 80);
        let chunks = traces.encode_chunks();
        assert_eq!(chunks.concat(), traces.encode());
        assert_eq!(chunks.len(), 1);
    }
}
