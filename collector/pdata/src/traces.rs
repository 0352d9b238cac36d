//! A batch of spans: shared buffers of wire bytes plus a flat index of ranges.
//!
//! Rows are in order: spans by scope, scopes by resource. Removing a span removes a row; editing a resource or a span adds
//! its new bytes as another buffer; nothing is ever changed in place. Only the index and the methods here make ranges.

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
}

/// Spans still in wire form. Cloning shares the buffers and copies the rows.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    pub(crate) buffers: Vec<Bytes>,
    pub(crate) resources: Vec<ResourceRow>,
    pub(crate) scopes: Vec<ScopeRow>,
    pub(crate) spans: Vec<SpanRow>,
}

/// A ResourceSpans with what belongs to it.
#[derive(Clone, Copy)]
pub struct ResourceView<'a> {
    traces: &'a Traces,
    index: usize,
    /// Its rows of scopes.
    first_scope: usize,
    end_scope: usize,
}

/// A ScopeSpans with what belongs to it.
#[derive(Clone, Copy)]
pub struct ScopeView<'a> {
    traces: &'a Traces,
    index: usize,
    first_span: usize,
    end_span: usize,
}

/// One span.
#[derive(Clone, Copy)]
pub struct SpanView<'a> {
    traces: &'a Traces,
    index: usize,
}

impl Traces {
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

    /// All resources in order.
    pub fn resources(&self) -> impl Iterator<Item = ResourceView<'_>> {
        let mut first_scope = 0;
        (0..self.resources.len()).map(move |index| {
            let count = self.scopes[first_scope..].iter().take_while(|row| row.resource as usize == index).count();
            let view = ResourceView { traces: self, index, first_scope, end_scope: first_scope + count };
            first_scope = view.end_scope;
            view
        })
    }

    /// All spans in order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanView<'_>> {
        (0..self.spans.len()).map(move |index| SpanView { traces: self, index })
    }

    /// The bytes of a range; empty for an absent one.
    #[inline]
    pub(crate) fn bytes(&self, range: Range) -> &[u8] {
        let (start, len) = (range.start as usize, range.len as usize);
        // An absent range names no buffer; every other one was checked when it was made.
        self.buffers.get(range.buffer as usize).and_then(|buffer| buffer.get(start..start + len)).unwrap_or_default()
    }

    /// Keeps the spans that `keep` says yes to, by row number, and drops scopes and resources that have none left,
    /// whether emptied or empty when they came.
    pub fn retain_spans(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut index = 0;
        self.spans.retain(|_| {
            index += 1;
            keep(index - 1)
        });
        self.prune();
    }

    /// Drops scopes without spans and resources without scopes.
    pub fn prune(&mut self) {
        let mut scope_used = vec![false; self.scopes.len()];
        for row in &self.spans {
            scope_used[row.scope as usize] = true;
        }
        let mut resource_used = vec![false; self.resources.len()];
        for (row, _) in self.scopes.iter().zip(&scope_used).filter(|(_, used)| **used) {
            resource_used[row.resource as usize] = true;
        }
        if resource_used.iter().all(|used| *used) && scope_used.iter().all(|used| *used) {
            return;
        }
        let new_scope = renumber(&scope_used);
        let new_resource = renumber(&resource_used);
        retain_marked(&mut self.scopes, &scope_used);
        retain_marked(&mut self.resources, &resource_used);
        for row in &mut self.spans {
            row.scope = new_scope[row.scope as usize];
        }
        for row in &mut self.scopes {
            row.resource = new_resource[row.resource as usize];
        }
    }

    /// Drops resources that have no scopes, and only those.
    pub fn prune_resources(&mut self) {
        let mut used = vec![false; self.resources.len()];
        for row in &self.scopes {
            used[row.resource as usize] = true;
        }
        if used.iter().all(|used| *used) {
            return;
        }
        let new_resource = renumber(&used);
        retain_marked(&mut self.resources, &used);
        for row in &mut self.scopes {
            row.resource = new_resource[row.resource as usize];
        }
    }

    /// Keeps the resources that `keep` says yes to, with everything below them.
    pub fn retain_resources(&mut self, keep: impl FnMut(usize) -> bool) {
        let kept: Vec<bool> = (0..self.resources.len()).map(keep).collect();
        let scope_kept: Vec<bool> = self.scopes.iter().map(|row| kept[row.resource as usize]).collect();
        let (new_resource, new_scope) = (renumber(&kept), renumber(&scope_kept));
        self.spans.retain(|row| scope_kept[row.scope as usize]);
        retain_marked(&mut self.scopes, &scope_kept);
        retain_marked(&mut self.resources, &kept);
        for row in &mut self.spans {
            row.scope = new_scope[row.scope as usize];
        }
        for row in &mut self.scopes {
            row.resource = new_resource[row.resource as usize];
        }
    }

    /// Replaces the span of a row; the trace id stays what the row says. `bytes` must be a valid Span message.
    pub fn replace_span(&mut self, index: usize, bytes: Bytes) {
        let range = self.add_buffer(bytes);
        self.spans[index].span = range;
    }

    /// Replaces the Resource message of a ResourceSpans. `bytes` must be a valid Resource message.
    pub fn replace_resource(&mut self, index: usize, bytes: Bytes) {
        let range = self.add_buffer(bytes);
        self.resources[index].resource = range;
    }

    fn add_buffer(&mut self, bytes: Bytes) -> Range {
        // An edit is at most a request's size, and requests are bounded to 32 bits.
        let range = Range { buffer: self.buffers.len() as u32, start: 0, len: bytes.len() as u32 };
        self.buffers.push(bytes);
        range
    }

    /// Appends all of `other`; equal resources are not joined.
    pub fn append(&mut self, other: Self) {
        if self.buffers.is_empty() {
            *self = other;
            return;
        }
        let (buffer, resource, scope) =
            (self.buffers.len() as u32, self.resources.len() as u32, self.scopes.len() as u32);
        let moved = |range: Range| match range {
            Range::ABSENT => range,
            Range { buffer: old, start, len } => Range { buffer: old + buffer, start, len },
        };
        self.buffers.extend(other.buffers);
        self.resources.extend(
            other
                .resources
                .iter()
                .map(|row| ResourceRow { resource: moved(row.resource), schema_url: moved(row.schema_url) }),
        );
        self.scopes.extend(other.scopes.iter().map(|row| ScopeRow {
            resource: row.resource + resource,
            scope: moved(row.scope),
            schema_url: moved(row.schema_url),
        }));
        self.spans.extend(other.spans.iter().map(|row| SpanRow {
            trace_id: row.trace_id,
            scope: row.scope + scope,
            span: moved(row.span),
        }));
    }

    /// Takes the first `n` spans out, with their envelopes; an envelope whose spans are divided is in both parts.
    pub fn split_first(&mut self, n: usize) -> Self {
        if n >= self.spans.len() {
            return std::mem::take(self);
        }
        let rest = self.spans.split_off(n);
        let first_scope = rest.first().map_or(0, |row| row.scope);
        let first_resource = self.scopes[first_scope as usize].resource;
        let last_scope = self.spans.last().map_or(0, |row| row.scope);
        let last_resource = self.scopes[last_scope as usize].resource;
        let first = Self {
            buffers: self.buffers.clone(),
            resources: self.resources[..=last_resource as usize].to_vec(),
            scopes: self.scopes[..=last_scope as usize].to_vec(),
            spans: std::mem::replace(&mut self.spans, rest),
        };
        self.resources.drain(..first_resource as usize);
        self.scopes.drain(..first_scope as usize);
        for row in &mut self.scopes {
            row.resource -= first_resource;
        }
        for row in &mut self.spans {
            row.scope -= first_scope;
        }
        self.drop_unused_buffers();
        let mut first = first;
        first.drop_unused_buffers();
        first
    }

    /// Deals the spans out to `n` batches by trace id; each keeps the order and the envelopes of what it gets.
    #[must_use]
    pub fn split_by(&self, n: usize, mut target: impl FnMut(&TraceId) -> usize) -> Vec<Self> {
        let mut parts: Vec<Self> = (0..n).map(|_| Self { buffers: self.buffers.clone(), ..Self::default() }).collect();
        let mut last = vec![(u32::MAX, u32::MAX); n];
        for row in &self.spans {
            let at = target(&row.trace_id);
            let (part, (last_resource, last_scope)) = (&mut parts[at], &mut last[at]);
            let scope = self.scopes[row.scope as usize];
            if *last_resource != scope.resource {
                part.resources.push(self.resources[scope.resource as usize]);
                *last_resource = scope.resource;
            }
            if *last_scope != row.scope {
                part.scopes.push(ScopeRow { resource: part.resources.len() as u32 - 1, ..scope });
                *last_scope = row.scope;
            }
            part.spans.push(SpanRow { scope: part.scopes.len() as u32 - 1, ..*row });
        }
        parts
    }

    /// Lets go of buffers that no row points into, so that a small rest does not pin a large request.
    fn drop_unused_buffers(&mut self) {
        if self.buffers.len() < 2 {
            return;
        }
        let mut used = vec![false; self.buffers.len()];
        for range in self.ranges_mut() {
            if let Some(used) = used.get_mut(range.buffer as usize) {
                *used = true;
            }
        }
        if used.iter().all(|used| *used) {
            return;
        }
        let new = renumber(&used);
        retain_marked(&mut self.buffers, &used);
        for range in self.ranges_mut() {
            if let Some(new) = new.get(range.buffer as usize) {
                range.buffer = *new;
            }
        }
    }

    fn ranges_mut(&mut self) -> impl Iterator<Item = &mut Range> {
        let resources = self.resources.iter_mut().flat_map(|row| [&mut row.resource, &mut row.schema_url]);
        let scopes = self.scopes.iter_mut().flat_map(|row| [&mut row.scope, &mut row.schema_url]);
        resources.chain(scopes).chain(self.spans.iter_mut().map(|row| &mut row.span))
    }
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

    /// Schema URL of the resource.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.resources[self.index].schema_url)
    }

    /// Its scopes in order.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeView<'a>> + use<'a> {
        let traces = self.traces;
        // The first span of the first scope is found by search once; from there on rows follow each other.
        let mut first_span = traces.spans.partition_point(|row| (row.scope as usize) < self.first_scope);
        (self.first_scope..self.end_scope).map(move |index| {
            let count = traces.spans[first_span..].partition_point(|row| row.scope as usize == index);
            let view = ScopeView { traces, index, first_span, end_span: first_span + count };
            first_span = view.end_span;
            view
        })
    }
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

    /// Schema URL of the scope.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.scopes[self.index].schema_url)
    }

    /// Its spans in order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanView<'a>> + use<'a> {
        let traces = self.traces;
        (self.first_span..self.end_span).map(move |index| SpanView { traces, index })
    }
}

impl<'a> SpanView<'a> {
    /// Row number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Trace id; all zero if not set.
    #[must_use]
    pub fn trace_id(&self) -> &'a TraceId {
        &self.traces.spans[self.index].trace_id
    }

    /// The Span message.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.traces.bytes(self.traces.spans[self.index].span)
    }
}

fn renumber(kept: &[bool]) -> Vec<u32> {
    let mut next = 0;
    kept.iter()
        .map(|kept| {
            let number = next;
            next += u32::from(*kept);
            number
        })
        .collect()
}

fn retain_marked<T>(rows: &mut Vec<T>, kept: &[bool]) {
    let mut marks = kept.iter();
    rows.retain(|_| *marks.next().unwrap_or(&false));
}
