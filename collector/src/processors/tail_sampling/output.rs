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
use super::mark::Mark;
use super::processor::COMPRESS_BYTES;
use super::sampler::Sampler;

/// A batch is closed when its traces have this many bytes. Well below the 4 MiB that gRPC servers take by default.
const BATCH_BYTES: u64 = 1024 * 1024;

/// Resources, scopes and marks take less than this part of their spans' bytes, mostly.
const SURROUNDING_PART: usize = 16;

/// Spans of a batch of ordinary size.
const MOST_SPANS: usize = 8192;

/// Sampled traces that were decided early wait for the next tick, unless they are this large together.
const KEPT_BYTES: u64 = 4 * BATCH_BYTES;

/// Segments that have waited for longer than this part of `decision_wait` are not compressed unless memory is short: they
/// are about to be freed.
const YOUNG_PART: u32 = 4;

/// Bytes that are compressed at once when memory is short.
const RELIEF_BYTES: usize = 1024 * 1024;

/// When memory is short, this part of the waiting traces is decided at once, within limits: enough for batches worth
/// sending, and not more than has to be.
const RELIEF_PART: usize = 64;
const FEWEST_RELIEF_TRACES: usize = 64;
const MOST_RELIEF_TRACES: usize = 1024;

/// Spans that are moved or read under one hold of the lock when memory is short.
const RELIEF_WORK: usize = 8192;

/// Decompressing a segment takes as long as reading this many spans of one that is not compressed.
pub(super) const DECOMPRESSION_WORK: usize = 1024;

/// A span that was copied out of the log.
struct Span {
    resource: u32,
    envelope: u32,
    /// Number of its trace within the batch.
    trace: u32,
    /// Number of the mark on its scope; 0 for all where scopes are not marked.
    mark: u32,
    /// The later a span arrived, the lower.
    age: u32,
    start: usize,
    len: usize,
}

/// A batch that is being put together.
#[derive(Default)]
pub(super) struct Collecting {
    /// Number of the entry and segment of the first record.
    traces: Vec<(u32, u32)>,
    ids: Vec<(TraceId, Mark)>,
    /// Where scopes are marked, the different marks.
    marks: Vec<Mark>,
    /// Where each trace goes on, newest first, with its place in `ids`.
    links: BinaryHeap<(Link, usize)>,
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl Collecting {
    /// Empties it for the next batch, and keeps the memory of one of ordinary size.
    fn clear(&mut self) {
        let Self { traces, ids, marks, links, buffer, spans } = self;
        traces.clear();
        ids.clear();
        marks.clear();
        links.clear();
        buffer.clear();
        buffer.shrink_to(2 * BATCH_BYTES as usize);
        spans.clear();
        spans.shrink_to(MOST_SPANS);
    }

    /// The number of the mark that the trace's scopes get. Thresholds are on spans.
    fn mark_of(&mut self, trace: usize) -> u32 {
        let Some((_, mark)) = self.ids.get(trace) else { return 0 };
        let mark = Mark { threshold: 0, ..*mark };
        let at = self.marks.iter().position(|known| *known == mark).unwrap_or_else(|| {
            self.marks.push(mark);
            self.marks.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// What freeing memory came to.
pub(super) enum Relief {
    /// Spans of kept traces, to be sent before going on.
    Output(Traces),
    /// There is more to do.
    More,
    /// Memory is within its limit, or nothing more can be done.
    Done,
}

impl Sampler {
    /// Spans of kept traces that should not wait for the next tick.
    pub(super) fn flush(&mut self) -> Option<Traces> {
        self.flushes().then(|| self.collect())
    }

    fn flushes(&self) -> bool {
        // With span-ingest a decision is meant to be heard at once.
        let at_once =
            self.config.strategy == Strategy::SpanIngest || self.config.decide_early || self.kept_bytes > KEPT_BYTES;
        at_once && self.has_output()
    }

    /// True if [`Sampler::flush`] or [`Sampler::relieve`] has something to do.
    pub(super) fn overflows(&self) -> bool {
        self.flushes() || self.is_short() || self.surplus() > 0
    }

    /// True while spans of kept traces are in the log.
    pub(super) fn has_output(&self) -> bool {
        !self.kept.is_empty() || self.collecting.is_some()
    }

    /// One batch of kept traces, which are gone from the shard then.
    pub(super) fn collect(&mut self) -> Traces {
        loop {
            if let Some(traces) = self.collect_some(usize::MAX) {
                return traces;
            }
        }
    }

    /// Goes on with a batch of kept traces, until about `work` spans were read, or fewer if segments had to be
    /// decompressed. Until the batch is complete, its traces keep their spans in the log.
    pub(super) fn collect_some(&mut self, work: usize) -> Option<Traces> {
        let mut collecting = self.collecting.take().unwrap_or_else(|| self.begin_collecting());
        let (spans_before, opened_before) = (collecting.spans.len(), self.log.decompressions());
        while let Some((newest, _)) = collecting.links.peek() {
            let read = collecting.spans.len() - spans_before;
            if read + DECOMPRESSION_WORK * (self.log.decompressions() - opened_before) >= work {
                break;
            }
            let segment = newest.segment;
            while let Some((link, trace)) = collecting.links.peek().copied().filter(|(link, _)| link.segment == segment)
            {
                collecting.links.pop();
                let rest = self.follow(link, trace, &mut collecting);
                if rest != Link::NONE {
                    collecting.links.push((rest, trace));
                }
            }
        }
        if !collecting.links.is_empty() {
            self.collecting = Some(collecting);
            return None;
        }
        collecting
            .spans
            .sort_unstable_by_key(|span| (span.resource, span.envelope, span.mark, span.trace, Reverse(span.age)));
        let out = self.build(&collecting);
        for ((at, born), (_, mark)) in collecting.traces.iter().zip(&collecting.ids) {
            self.hands_on(*at, mark.outcome);
            self.let_go(*at, *born, false);
        }
        collecting.clear();
        self.emptied = collecting;
        Some(out)
    }

    fn begin_collecting(&mut self) -> Collecting {
        let mut collecting = std::mem::take(&mut self.emptied);
        let mut bytes = 0;
        while let Some((at, mut mark)) = self.kept.pop_front() {
            if self.policies.has_limits() && self.exchange.is_none() {
                // Only now is it known what limits have let pass. With peers the owner knows.
                mark.threshold = self.threshold_of(at);
            }
            let entry = self.table.entry(at);
            collecting.links.push((entry.last, collecting.ids.len()));
            collecting.traces.push((at, entry.born));
            collecting.ids.push((entry.id, mark));
            bytes += entry.facts.bytes;
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        self.kept_bytes = self.kept_bytes.saturating_sub(bytes);
        collecting
    }

    /// Copies the spans of a trace that lie in the link's segment, newest first; returns the link that leads out of it.
    fn follow(&mut self, mut link: Link, trace: usize, into: &mut Collecting) -> Link {
        let segment = link.segment;
        let mark = if self.marking.is_on_scopes() { into.mark_of(trace) } else { 0 };
        let Some((id, _)) = into.ids.get(trace).copied() else { return Link::NONE };
        while link != Link::NONE && link.segment == segment {
            let start = into.buffer.len();
            let (previous, envelope) = match self.log.read_into(&id, link, &mut into.buffer) {
                Ok(found) => found,
                Err(lost) => {
                    tracing::error!(%lost, "spans of a sampled trace are lost");
                    return Link::NONE;
                }
            };
            into.spans.push(Span {
                resource: self.envelopes.resource_of(envelope),
                envelope,
                trace: u32::try_from(trace).unwrap_or(u32::MAX),
                mark,
                age: u32::try_from(into.spans.len()).unwrap_or(u32::MAX),
                start,
                len: into.buffer.len() - start,
            });
            link = previous;
        }
        link
    }

    fn build(&mut self, collected: &Collecting) -> Traces {
        // Spans and what surrounds them: a buffer that grows is copied, into memory that was never touched.
        let bytes = collected.buffer.len();
        let mut builder = TracesBuilder::with_capacity(collected.spans.len(), bytes + bytes / SURROUNDING_PART);
        let (mut resource, mut envelope) = (None, None);
        for span in &collected.spans {
            let Some(surrounding) = self.envelopes.get(span.envelope) else { continue };
            let Some((id, mark)) = collected.ids.get(span.trace as usize) else { continue };
            if resource != Some(span.resource) {
                builder.resource(surrounding.resource, surrounding.resource_schema_url);
                resource = Some(span.resource);
            }
            if envelope != Some((span.envelope, span.mark)) {
                if self.marking.is_on_scopes() {
                    let scope = self.marking.scope(surrounding.scope, mark, self.policies.labels());
                    builder.scope(&scope, surrounding.scope_schema_url);
                } else {
                    builder.scope(surrounding.scope, surrounding.scope_schema_url);
                }
                envelope = Some((span.envelope, span.mark));
            }
            let Some(bytes) = collected.buffer.get(span.start..span.start + span.len) else { continue };
            let edited = self.marking.span(bytes, mark);
            self.counts.unreadable_trace_states += u64::from(self.marking.threshold && edited.is_none());
            builder.span(*id, edited.as_deref().unwrap_or(bytes));
        }
        builder.build()
    }

    /// Compresses sealed segments within `budget` bytes; returns how many were read.
    pub(super) fn compress(&mut self, budget: usize) -> usize {
        self.log.compress(budget)
    }

    /// The same for segments that will wait for long enough to be worth it, and nothing in a second in which more has arrived than
    /// can be compressed: then only the ones that are freed next would be, at a tenth of the cost of all that is done to a span.
    pub(super) fn compress_in_time(&mut self, budget: usize) -> usize {
        if self.log.filled() > COMPRESS_BYTES {
            return 0;
        }
        self.log.compress_young(budget, (self.config.decision_wait_seconds / YOUNG_PART).max(1))
    }

    /// As far as compression goes towards `max_buffer_bytes`.
    pub(super) fn relieve_by_compressing(&mut self) {
        while self.is_short() && self.log.compress(RELIEF_BYTES) > 0 {}
        self.log.shed(self.surplus());
    }

    /// True if what waits and what is remembered take more than `max_buffer_bytes` leaves for them.
    fn is_short(&self) -> bool {
        let high_water = self.config.high_water();
        high_water > 0 && self.buffer_bytes() > high_water.saturating_sub(self.config.spare_bytes())
    }

    /// Bytes of recycled buffers that there is no room for.
    fn surplus(&self) -> u64 {
        match self.config.high_water() {
            0 => 0,
            high_water => {
                let free = self.log.usage().free;
                let excess = (self.buffer_bytes() + free).saturating_sub(high_water);
                excess.min(free.saturating_sub(self.config.spare_bytes()))
            }
        }
    }

    /// Brings memory back under `max_buffer_bytes`: compresses, then decides the oldest traces, on whose account the
    /// oldest segments are held. Nothing is thrown away undecided. To be called until it is done.
    pub(super) fn relieve(&mut self, clock: &dyn Clock) -> Relief {
        while self.is_short() {
            if self.log.compress(RELIEF_BYTES) > 0 {
                continue;
            }
            if self.has_output() {
                return self.collect_some(RELIEF_WORK).map_or(Relief::More, Relief::Output);
            }
            if self.relocate(RELIEF_WORK) {
                return Relief::More;
            }
            if self.table.len() == 0 {
                // What is left is memory that a burst of small traces has taken for its entries.
                self.table.shrink_if_empty();
                break;
            }
            let count = (self.table.len() / RELIEF_PART).clamp(FEWEST_RELIEF_TRACES, MOST_RELIEF_TRACES);
            self.decide_oldest(count, Early::MaxBufferBytes, clock);
        }
        self.log.close();
        self.log.shed(self.surplus());
        Relief::Done
    }
}
