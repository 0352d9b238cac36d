//! Edits of a batch: rows are removed, regrouped, or pointed at other bytes. No telemetry is copied or re-encoded.
//!
//! Each method keeps what `traces` demands of rows. Indexing by a row's own numbers is in bounds by that invariant.

use bytes::Bytes;

use crate::index::{Checked, validate_resource, validate_scope, validate_span};
use crate::traces::{Range, ResourceRow, ScopeRow, SpanRow, TraceId, Traces};
use crate::wire::{Cursor, WireError, WireErrorKind};

/// Why an edit was refused. The batch is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The new bytes are not a well-formed message.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// There is no row of that number.
    #[error("no such row in the batch")]
    NoSuchRow,
}

impl Traces {
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

    /// Keeps the scopes that `keep` says yes to, with their spans, and drops resources that have no scopes left.
    pub fn retain_scopes(&mut self, keep: impl FnMut(usize) -> bool) {
        let kept: Vec<bool> = (0..self.scopes.len()).map(keep).collect();
        let new_scope = renumber(&kept);
        self.spans.retain(|row| kept[row.scope as usize]);
        retain_marked(&mut self.scopes, &kept);
        for row in &mut self.spans {
            row.scope = new_scope[row.scope as usize];
        }
        self.prune_resources();
    }

    /// Replaces the Span message of a row; its trace id is read anew.
    pub fn replace_span(&mut self, index: usize, message: Bytes) -> Result<(), EditError> {
        let Checked { trace_id, order } = validate_span(Cursor::new(&message), &message)?;
        if index >= self.spans.len() {
            return Err(EditError::NoSuchRow);
        }
        let span = self.add_buffer(message)?;
        let row = &mut self.spans[index];
        *row = SpanRow { trace_id, span, order, ..*row };
        Ok(())
    }

    /// Replaces the Resource message of a row.
    pub fn replace_resource(&mut self, index: usize, message: Bytes) -> Result<(), EditError> {
        validate_resource(Cursor::new(&message))?;
        if index >= self.resources.len() {
            return Err(EditError::NoSuchRow);
        }
        self.resources[index].resource = self.add_buffer(message)?;
        Ok(())
    }

    /// Replaces the InstrumentationScope message of a row.
    pub fn replace_scope(&mut self, index: usize, message: Bytes) -> Result<(), EditError> {
        validate_scope(Cursor::new(&message))?;
        if index >= self.scopes.len() {
            return Err(EditError::NoSuchRow);
        }
        self.scopes[index].scope = self.add_buffer(message)?;
        Ok(())
    }

    fn add_buffer(&mut self, message: Bytes) -> Result<Range, WireError> {
        let Ok(len) = u32::try_from(message.len()) else {
            return Err(Cursor::error_at(usize::MAX, WireErrorKind::TooLarge));
        };
        let range = Range { buffer: self.buffers.len() as u32, start: 0, len };
        self.buffers.push(message);
        Ok(range)
    }

    /// Appends all of `other`; equal resources are not joined.
    pub fn append(&mut self, other: Self) {
        if self.buffers.is_empty() {
            *self = other;
            return;
        }
        if self.peer != other.peer {
            self.peer = None;
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
            order: row.order,
        }));
    }

    /// Takes the first `n` spans out, with their envelopes; an envelope whose spans are divided is in both parts, and
    /// one without spans is in the part where it stood.
    pub fn split_first(&mut self, n: usize) -> Self {
        if n >= self.spans.len() {
            return std::mem::take(self);
        }
        let rest = self.cut(n);
        let mut first = std::mem::replace(self, rest);
        first.drop_unused_buffers();
        self.drop_unused_buffers();
        first
    }

    /// Cuts the batch into parts of `max` spans, of which the last may have fewer. A batch that fits is one part, and so
    /// is any if `max` is 0. Takes time linear in the batch, which repeated [`Traces::split_first`] does not.
    #[must_use]
    pub fn chunks(mut self, max: usize) -> Vec<Self> {
        if max == 0 || self.spans.len() <= max {
            return vec![self];
        }
        let mut parts = Vec::with_capacity(self.spans.len().div_ceil(max));
        // From the end, so that each cut moves only the part it makes.
        while self.spans.len() > max {
            let n_left = (self.spans.len() - 1) / max * max;
            parts.push(self.cut(n_left));
        }
        parts.push(self);
        parts.reverse();
        for part in &mut parts {
            part.drop_unused_buffers();
        }
        parts
    }

    /// Keeps the first `n` spans, of more than `n`, and returns the rest.
    fn cut(&mut self, n: usize) -> Self {
        let spans = self.spans.split_off(n);
        // The cut goes through, or stands right before, the envelope of the first span of the rest.
        let scope = spans.first().map_or(0, |row| row.scope);
        let resource = self.scopes.get(scope as usize).map_or(0, |row| row.resource);
        let mut rest = Self {
            buffers: self.buffers.clone(),
            resources: self.resources[resource as usize..].to_vec(),
            scopes: self.scopes[scope as usize..].to_vec(),
            spans,
            peer: self.peer,
        };
        for row in &mut rest.spans {
            row.scope -= scope;
        }
        for row in &mut rest.scopes {
            row.resource -= resource;
        }
        let scope_is_cut = self.spans.last().is_some_and(|row| row.scope == scope);
        self.scopes.truncate(scope as usize + usize::from(scope_is_cut));
        let resource_is_cut = self.scopes.last().is_some_and(|row| row.resource == resource);
        self.resources.truncate(resource as usize + usize::from(resource_is_cut));
        rest
    }

    /// Deals the spans out to `n` batches by trace id; each keeps the order and the envelopes of what it gets, and none
    /// keeps an envelope without spans. `target` is asked once for neighbours of one trace.
    #[must_use]
    pub fn split_by(&self, n: usize, mut target: impl FnMut(&TraceId) -> usize) -> Vec<Self> {
        let mut parts = Vec::new();
        parts.resize_with(n, || Part::of(self));
        let mut last: Option<(TraceId, usize)> = None;
        for row in &self.spans {
            let at = match last {
                Some((id, at)) if id == row.trace_id => at,
                _ => target(&row.trace_id),
            };
            last = Some((row.trace_id, at));
            // A target beyond `n` makes room for itself: no span is lost to it.
            if at >= parts.len() {
                parts.resize_with(at + 1, || Part::of(self));
            }
            parts[at].push(row);
        }
        parts.into_iter().map(Part::finish).collect()
    }

    /// A batch of these spans, in the order given, with their envelopes. Row numbers that do not exist are passed over.
    #[must_use]
    pub fn select(&self, spans: &[u32]) -> Self {
        let mut part = Part::of(self);
        for row in spans.iter().filter_map(|&span| self.spans.get(span as usize)) {
            part.push(row);
        }
        part.finish()
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

/// A batch in the making from spans of another.
struct Part<'a> {
    from: &'a Traces,
    to: Traces,
    /// Rows of `from` that the last rows of `to` are copies of.
    resource: Option<u32>,
    scope: Option<u32>,
}

impl<'a> Part<'a> {
    fn of(from: &'a Traces) -> Self {
        Self { from, to: Traces::default(), resource: None, scope: None }
    }

    fn push(&mut self, span: &SpanRow) {
        if self.scope != Some(span.scope) {
            let scope = self.from.scopes[span.scope as usize];
            if self.resource != Some(scope.resource) {
                self.to.resources.push(self.from.resources[scope.resource as usize]);
                self.resource = Some(scope.resource);
            }
            self.to.scopes.push(ScopeRow { resource: self.to.resources.len() as u32 - 1, ..scope });
            self.scope = Some(span.scope);
        }
        self.to.spans.push(SpanRow { scope: self.to.scopes.len() as u32 - 1, ..*span });
    }

    fn finish(mut self) -> Traces {
        if !self.to.spans.is_empty() {
            self.to.buffers.clone_from(&self.from.buffers);
            self.to.drop_unused_buffers();
        }
        self.to.peer = self.from.peer;
        self.to
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

#[cfg(test)]
mod tests;
