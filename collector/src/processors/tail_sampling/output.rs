//! What comes out of a shard: the spans of kept traces, from the log into large batches.
//!
//! A trace goes out whole, in one batch; several traces share one. Links are followed segment by segment, the newest
//! first, so that a compressed segment is opened once for all traces of a batch. Equal resources and scopes are joined.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use component::Clock;
use pdata::{TraceId, Traces, TracesBuilder};

use super::config::Strategy;
use super::counts::Early;
use super::log::Link;
use super::sampler::Sampler;

/// A batch is closed when its traces have this many bytes. Well below the 4 MiB that gRPC servers take by default.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Sampled traces that were decided early wait for the next tick, unless they are this large together.
const KEPT_BYTES: u64 = 4 * BATCH_BYTES;

/// Bytes that are compressed at once when memory is short.
const RELIEF_BYTES: usize = 1024 * 1024;

/// Traces that are decided at once when memory is short.
const RELIEF_TRACES: usize = 256;

/// A span that was copied out of the log.
struct Span {
    resource: u32,
    envelope: u32,
    /// Number of its trace within the batch.
    trace: u32,
    /// The later a span arrived, the lower.
    age: u32,
    start: usize,
    len: usize,
}

/// What freeing memory came to.
pub(super) enum Relief {
    /// Spans of kept traces, to be sent before going on.
    Output(Traces),
    /// Memory is within its limit, or nothing more can be done.
    Done,
}

impl Sampler {
    /// Spans of kept traces that should not wait for the next tick.
    pub(super) fn flush(&mut self) -> Option<Traces> {
        // With span-ingest a decision is meant to be heard at once.
        let at_once = self.config.strategy == Strategy::SpanIngest || self.kept_bytes > KEPT_BYTES;
        (at_once && !self.kept.is_empty()).then(|| self.collect())
    }

    /// One batch of kept traces, which are gone from the shard then.
    pub(super) fn collect(&mut self) -> Traces {
        let mut traces: Vec<(u32, u32)> = Vec::new();
        let mut ids: Vec<TraceId> = Vec::new();
        let mut links = BinaryHeap::new();
        let mut bytes = 0;
        while let Some(at) = self.kept.pop_front() {
            let entry = self.table.entry(at);
            links.push((entry.last, ids.len()));
            traces.push((at, entry.born));
            ids.push(entry.id);
            bytes += entry.facts.bytes;
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        self.kept_bytes = self.kept_bytes.saturating_sub(bytes);

        let mut buffer = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        let mut spans: Vec<Span> = Vec::new();
        while let Some((mut link, trace)) = links.pop() {
            let segment = link.segment;
            while link.segment == segment && link != Link::NONE {
                let record = match self.log.read(link) {
                    Ok(record) => record,
                    Err(lost) => {
                        tracing::error!(%lost, "spans of a sampled trace are lost");
                        link = Link::NONE;
                        break;
                    }
                };
                spans.push(Span {
                    resource: self.envelopes.resource_of(record.envelope),
                    envelope: record.envelope,
                    trace: u32::try_from(trace).unwrap_or(u32::MAX),
                    age: u32::try_from(spans.len()).unwrap_or(u32::MAX),
                    start: buffer.len(),
                    len: record.span.len(),
                });
                buffer.extend_from_slice(record.span);
                link = record.previous;
            }
            if link != Link::NONE {
                links.push((link, trace));
            }
        }
        spans.sort_unstable_by_key(|span| (span.resource, span.envelope, span.trace, Reverse(span.age)));
        let out = self.build(&spans, &buffer, &ids);
        for (at, born) in traces {
            self.let_go(at, born, false);
        }
        out
    }

    fn build(&self, spans: &[Span], buffer: &[u8], ids: &[TraceId]) -> Traces {
        let mut builder = TracesBuilder::new();
        let (mut resource, mut envelope) = (None, None);
        for span in spans {
            let Some(surrounding) = self.envelopes.get(span.envelope) else { continue };
            if resource != Some(span.resource) {
                builder.resource(surrounding.resource, surrounding.resource_schema_url);
                resource = Some(span.resource);
            }
            if envelope != Some(span.envelope) {
                builder.scope(surrounding.scope, surrounding.scope_schema_url);
                envelope = Some(span.envelope);
            }
            if let (Some(bytes), Some(id)) =
                (buffer.get(span.start..span.start + span.len), ids.get(span.trace as usize))
            {
                builder.span(*id, bytes);
            }
        }
        builder.build()
    }

    /// Compresses sealed segments within `budget` bytes; returns how many were read.
    pub(super) fn compress(&mut self, budget: usize) -> usize {
        self.log.compress(budget)
    }

    /// Brings memory back under `max_buffer_bytes`: compresses, then decides the oldest traces, on whose account the
    /// oldest segments are held. Nothing is thrown away undecided. To be called until it is done.
    pub(super) fn relieve(&mut self, clock: &dyn Clock) -> Relief {
        let limit = self.config.max_buffer_bytes;
        while limit > 0 && self.buffer_bytes() > limit {
            if self.log.compress(RELIEF_BYTES) > 0 {
                continue;
            }
            if !self.kept.is_empty() {
                return Relief::Output(self.collect());
            }
            if self.table.len() == 0 {
                break;
            }
            self.decide_oldest(RELIEF_TRACES, Early::MaxBufferBytes, clock);
        }
        Relief::Done
    }
}
