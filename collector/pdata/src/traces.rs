//! A batch of spans: shared buffers of wire bytes plus a flat index of ranges.
//!
//! Invariant: every range lies inside its buffer, every span points at a scope and every scope at a resource, and rows
//! are in order: spans by scope, scopes by resource, so what belongs together is neighbours. Only `index`, `edit` and
//! `builder` make rows. This file reads them and never copies telemetry.

use std::net::IpAddr;

use bytes::Bytes;

/// 16 bytes; all zero means not set.
pub type TraceId = [u8; 16];

/// A range of one of the batch's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub(crate) buffer: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Range {
    /// A field that was not on the wire.
    pub(crate) const ABSENT: Self = Self { buffer: u32::MAX, start: 0, len: 0 };
}

/// One ResourceSpans: its Resource message and schema URL, both as payload bytes.
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
    pub(crate) order: SpanOrder,
}

/// What the index saw of a span whose fields come in ascending order, singular ones once, unknown ones nowhere: what every
/// encoder writes. Readers need not look for fields elsewhere, and may stop early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanOrder {
    /// Four times the position; two more where what stands before is a plain head, and one where all attributes are plain.
    start: u32,
    /// `u32::MAX` for a span whose fields do not come in order, or that nobody looked at.
    end: u32,
    keys: u64,
}

impl SpanOrder {
    pub(crate) const NONE: Self = Self { start: 0, end: u32::MAX, keys: u64::MAX };

    /// Without order where a position does not fit.
    pub(crate) fn new(start: usize, end: usize, keys: u64, plain_head: bool, plain: bool) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) if start <= u32::MAX >> 2 => {
                Self { start: start << 2 | u32::from(plain_head) << 1 | u32::from(plain), end, keys }
            }
            _ => Self::NONE,
        }
    }

    /// Where in the message the attributes start, which is where the fields before them end.
    #[must_use]
    #[inline]
    pub fn attributes_start(&self) -> usize {
        (self.start >> 2) as usize
    }

    /// Whether what stands before the attributes is what nearly all senders write: trace id and span id, perhaps a parent's,
    /// a name of less than 128 bytes, a kind of one byte, start and end, in this order.
    #[must_use]
    #[inline]
    pub fn has_plain_head(&self) -> bool {
        self.start & 2 != 0
    }

    /// Whether each attribute whose length is written in one byte is a key and a value, once each and in order, and their
    /// lengths are of one byte too.
    #[must_use]
    #[inline]
    pub fn has_plain_attributes(&self) -> bool {
        self.start & 1 != 0
    }

    /// Where in the message the fields behind the attributes start.
    #[must_use]
    #[inline]
    pub fn attributes_end(&self) -> usize {
        self.end as usize
    }

    /// The bits of all attributes' keys: there is no attribute of a key whose [`SpanOrder::key_bit`] is not set.
    #[must_use]
    #[inline]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// One of 64 bits for a key. Its length and last byte tell keys of one namespace apart.
    #[must_use]
    #[inline]
    pub fn key_bit(key: &[u8]) -> u64 {
        Self::bit(key.len() as u32, key.last().copied().unwrap_or_default())
    }

    /// The same, from a key's length and last byte.
    #[inline(always)]
    pub(crate) fn bit(len: u32, last: u8) -> u64 {
        1 << (len.wrapping_mul(7).wrapping_add(u32::from(last)) % 64)
    }
}

/// Spans still in wire form. Cloning shares the buffers and copies the rows.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    pub(crate) buffers: Vec<Bytes>,
    pub(crate) resources: Vec<ResourceRow>,
    pub(crate) scopes: Vec<ScopeRow>,
    pub(crate) spans: Vec<SpanRow>,
    pub(crate) peer: Option<IpAddr>,
}

impl Traces {
    /// Who sent the batch, as the receiver saw it: the far end of the connection. Nothing once batches of different
    /// peers were joined or spans were regrouped.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Says who sent the batch.
    pub fn set_peer(&mut self, peer: Option<IpAddr>) {
        self.peer = peer;
    }

    /// Number of spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// Number of ResourceSpans.
    #[must_use]
    pub fn resource_count(&self) -> usize {
        self.resources.len()
    }

    /// Number of ScopeSpans.
    #[must_use]
    pub fn scope_count(&self) -> usize {
        self.scopes.len()
    }

    /// True without spans.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of all spans as they are on the wire, without envelopes.
    #[must_use]
    pub fn span_bytes(&self) -> usize {
        self.spans.iter().map(|row| row.span.len as usize).sum()
    }

    /// Bytes of memory that the batch keeps alive: its buffers, whole even where it shares them, and its rows. What it
    /// takes on the wire is [`Traces::encoded_len`].
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.buffers.iter().map(Bytes::len).sum::<usize>()
            + self.resources.len() * size_of::<ResourceRow>()
            + self.scopes.len() * size_of::<ScopeRow>()
            + self.spans.len() * size_of::<SpanRow>()
    }

    /// The trace id of each span, in order.
    pub fn trace_ids(&self) -> impl ExactSizeIterator<Item = &TraceId> {
        self.spans.iter().map(|row| &row.trace_id)
    }

    /// All resources in order; each leads to its scopes, and those to their spans.
    pub fn resources(&self) -> impl ExactSizeIterator<Item = ResourceView<'_>> {
        (0..self.resources.len()).map(|index| ResourceView { traces: self, index })
    }

    /// All scopes in order.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = ScopeView<'_>> {
        (0..self.scopes.len()).map(|index| ScopeView { traces: self, index })
    }

    /// All spans in order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanView<'_>> {
        self.spans.iter().enumerate().map(|(index, row)| SpanView { traces: self, index, row })
    }

    /// The span of a row.
    #[must_use]
    pub fn span(&self, index: usize) -> Option<SpanView<'_>> {
        self.spans.get(index).map(|row| SpanView { traces: self, index, row })
    }

    /// The resource of a row.
    #[must_use]
    pub fn resource(&self, index: usize) -> Option<ResourceView<'_>> {
        (index < self.resources.len()).then_some(ResourceView { traces: self, index })
    }

    /// The scope of a row.
    #[must_use]
    pub fn scope(&self, index: usize) -> Option<ScopeView<'_>> {
        (index < self.scopes.len()).then_some(ScopeView { traces: self, index })
    }

    /// The bytes of a range; empty for an absent one.
    #[inline]
    pub(crate) fn bytes(&self, range: Range) -> &[u8] {
        let (start, len) = (range.start as usize, range.len as usize);
        // An absent range names no buffer; every other one was checked when it was made.
        self.buffers.get(range.buffer as usize).and_then(|buffer| buffer.get(start..start + len)).unwrap_or_default()
    }

    fn bytes_onward(&self, range: Range) -> &[u8] {
        self.buffers
            .get(range.buffer as usize)
            .and_then(|buffer| buffer.get(range.start as usize..))
            .unwrap_or_default()
    }

    /// Rows of a resource's scopes.
    fn scope_range(&self, resource: usize) -> std::ops::Range<usize> {
        let start = self.scopes.partition_point(|row| (row.resource as usize) < resource);
        let end = self.scopes.partition_point(|row| row.resource as usize <= resource);
        start..end
    }

    /// Rows of a scope's spans.
    fn span_range(&self, scope: usize) -> std::ops::Range<usize> {
        let start = self.spans.partition_point(|row| (row.scope as usize) < scope);
        let end = self.spans.partition_point(|row| row.scope as usize <= scope);
        start..end
    }

    /// Spans grouped by trace id, groups in order of their first span, spans in order within a group.
    #[must_use]
    pub fn group_by_trace(&self) -> TraceGroups {
        let mut order: Vec<u32> = (0..self.spans.len() as u32).collect();
        let id = |span: &u32| self.spans[*span as usize].trace_id;
        // Stable, so spans stay in order within their trace. Sorted input, such as one trace a request, costs one scan.
        order.sort_by_key(id);
        let mut groups: Vec<(TraceId, std::ops::Range<u32>)> = Vec::new();
        for (at, span) in (0_u32..).zip(&order) {
            match groups.last_mut() {
                Some((last, range)) if *last == id(span) => range.end = at + 1,
                _ => groups.push((id(span), at..at + 1)),
            }
        }
        groups.sort_unstable_by_key(|(_, range)| order.get(range.start as usize).copied());
        TraceGroups { order, groups }
    }
}

/// Span indexes grouped by trace id; see [`Traces::group_by_trace`].
#[derive(Clone, Debug)]
pub struct TraceGroups {
    order: Vec<u32>,
    groups: Vec<(TraceId, std::ops::Range<u32>)>,
}

impl TraceGroups {
    /// Each trace with the indexes of its spans, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TraceId, &[u32])> {
        self.groups
            .iter()
            .map(|(id, range)| (*id, self.order.get(range.start as usize..range.end as usize).unwrap_or_default()))
    }

    /// Number of traces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// No trace at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// One ResourceSpans.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a> {
    traces: &'a Traces,
    index: usize,
}

impl<'a> ResourceView<'a> {
    /// Row number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The Resource message; empty if it was not on the wire.
    #[must_use]
    pub fn resource(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.resources[self.index].resource)
    }

    /// Schema URL as sent; empty if absent.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.resources[self.index].schema_url)
    }

    /// Its scopes in order.
    pub fn scopes(&self) -> impl ExactSizeIterator<Item = ScopeView<'a>> + use<'a> {
        let traces = self.traces;
        traces.scope_range(self.index).map(move |index| ScopeView { traces, index })
    }

    /// Number of spans under it.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.scopes().map(|scope| scope.span_range().len()).sum()
    }
}

/// One ScopeSpans.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    traces: &'a Traces,
    index: usize,
}

impl<'a> ScopeView<'a> {
    /// Row number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The InstrumentationScope message; empty if it was not on the wire.
    #[must_use]
    pub fn scope(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.scopes[self.index].scope)
    }

    /// Schema URL as sent; empty if absent.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.scopes[self.index].schema_url)
    }

    /// Row number of the resource it belongs to.
    #[must_use]
    pub fn resource_index(&self) -> usize {
        self.traces.scopes[self.index].resource as usize
    }

    /// The batch's span indexes that belong to it.
    #[must_use]
    pub fn span_range(&self) -> std::ops::Range<usize> {
        self.traces.span_range(self.index)
    }

    /// Its spans in order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanView<'a>> + use<'a> {
        let traces = self.traces;
        let range = self.span_range();
        let first = range.start;
        let rows = traces.spans.get(range).unwrap_or_default();
        rows.iter().enumerate().map(move |(n, row)| SpanView { traces, index: first + n, row })
    }
}

/// One Span.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    traces: &'a Traces,
    index: usize,
    row: &'a SpanRow,
}

impl<'a> SpanView<'a> {
    /// Row number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its trace id; all zero if absent.
    #[must_use]
    #[inline]
    pub fn trace_id(&self) -> &'a TraceId {
        &self.row.trace_id
    }

    /// The Span message.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.traces.bytes(self.row.span)
    }

    /// The Span message and whatever stands behind it in its buffer, for readers that look at several bytes at a time.
    #[must_use]
    #[inline]
    pub fn bytes_onward(&self) -> &'a [u8] {
        self.traces.bytes_onward(self.row.span)
    }

    /// Where in the message the fields behind its attributes start, if its fields come in order.
    #[must_use]
    #[inline]
    pub fn attributes_end(&self) -> Option<usize> {
        self.order().map(SpanOrder::attributes_end)
    }

    /// What the index saw of the message, if its fields come in order.
    #[must_use]
    #[inline]
    pub fn order(&self) -> Option<&'a SpanOrder> {
        (self.row.order.end != u32::MAX).then_some(&self.row.order)
    }

    /// Row number of its scope.
    #[must_use]
    #[inline]
    pub fn scope_index(&self) -> usize {
        self.row.scope as usize
    }

    /// Row number of its resource.
    #[must_use]
    #[inline]
    pub fn resource_index(&self) -> usize {
        self.traces.scopes[self.scope_index()].resource as usize
    }

    /// The scope it belongs to.
    #[must_use]
    pub fn scope(&self) -> ScopeView<'a> {
        ScopeView { traces: self.traces, index: self.scope_index() }
    }

    /// The resource it belongs to.
    #[must_use]
    pub fn resource(&self) -> ResourceView<'a> {
        ResourceView { traces: self.traces, index: self.resource_index() }
    }
}
