//! Many spans at once: each is extracted into a row of slots, then a list is asked about all rows in one call of its
//! machine code. Every error is answered row by row through the frame, as always.

use std::sync::Arc;

use super::{ListId, Outcome, Program, outcome};
use crate::{
    error::EvalError,
    frame::Frame,
    jit::Spans,
    kept::Kept,
    layout::{Base, Layout, Level, SlotId},
    slot::{RawSlot, tag},
};

/// Spans of one scope, with their slots. Made once a batch and emptied for each next lot of spans; a few dozen at a time
/// stay in the processor's nearest cache.
#[derive(Clone, Debug)]
pub struct Rows<'w> {
    /// What the rows share: connection, resource, scope.
    frame: Frame<'w>,
    /// Of the program that filled the slots. The frame can have become another's since.
    layout: Arc<Layout>,
    /// As many a row as the frame has; only those of spans are filled.
    slots: Vec<RawSlot>,
    /// What was found out about each span, as many a row as the program keeps of spans.
    kept: Vec<Kept>,
    spans: Vec<&'w [u8]>,
    answers: Vec<u8>,
}

/// What a list says of each span of some [`Rows`], in their order.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'r>(&'r [u8]);

/// What a slot holds of a span, as far as it can be told without the span's bytes. Not a [`Slot`](crate::Slot): copies of one are
/// slower than what is asked of them here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(RawSlot);

impl Cell {
    /// The int that it is.
    #[inline]
    #[must_use]
    pub fn int(self) -> Option<i64> {
        (self.0.tag == tag::INT).then_some(self.0.bits.cast_signed())
    }

    /// Whether it is the id of a span or trace, and not one that is missing, of another length, or all zero.
    #[inline]
    #[must_use]
    pub fn is_id(self) -> bool {
        matches!(self.0.tag, tag::SPAN_ID | tag::TRACE_ID) && self.0.len > 0
    }
}

impl<'r> Answers<'r> {
    /// Whether all are false, as they are for most lots of most lists.
    #[must_use]
    pub fn are_false(self) -> bool {
        // Without a branch a row.
        self.0.iter().fold(0, |any, &answer| any | answer) == 0
    }

    /// One outcome a span.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Outcome> + 'r {
        self.0.iter().map(|&answer| outcome(u32::from(answer)))
    }
}

impl<'w> Rows<'w> {
    /// The frame to load resource and scope into. What is loaded there holds for all rows.
    pub fn frame(&mut self) -> &mut Frame<'w> {
        if !self.spans.is_empty() {
            self.kept.iter_mut().for_each(Kept::reset);
        }
        &mut self.frame
    }

    /// The number of spans.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no spans.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Makes room for what is found out about the next span.
    #[inline(never)]
    fn forget_row(&mut self, n_kept: usize) {
        let start = self.spans.len() * n_kept;
        if self.kept.len() < start + n_kept {
            self.kept.resize_with(start + n_kept, Kept::default);
        }
        if let Some(kept) = self.kept.get_mut(start..start + n_kept) {
            kept.iter_mut().for_each(Kept::reset);
        }
    }

    /// Takes the spans out; what was loaded into the frame stays.
    pub fn clear(&mut self) {
        self.spans.clear();
    }
}

impl Program {
    /// Memory for many spans.
    #[must_use]
    pub fn rows<'w>(&self) -> Rows<'w> {
        let layout = Arc::clone(&self.layout);
        Rows {
            frame: self.frame(),
            layout,
            slots: Vec::new(),
            kept: Vec::new(),
            spans: Vec::new(),
            answers: Vec::new(),
        }
    }

    #[inline]
    fn owns_rows(&self, rows: &Rows<'_>) -> bool {
        self.owns(&rows.frame) && Arc::ptr_eq(&self.layout, &rows.layout)
    }

    /// Makes rows of another program empty ones of this, with what this program has loaded for them.
    #[inline(never)]
    fn take_over<'w>(&self, rows: &mut Rows<'w>) {
        let mut own = self.rows();
        if self.owns(&rows.frame) {
            std::mem::swap(&mut own.frame, &mut rows.frame);
        }
        *rows = own;
    }

    /// Adds a span of an indexed batch. Rows of another program become empty ones of this.
    #[inline]
    pub fn push_span<'w>(&self, rows: &mut Rows<'w>, span: &pdata::SpanView<'w>) {
        if !self.owns_rows(rows) {
            self.take_over(rows);
        }
        let n_kept = self.layout.kept().level(Level::Span).len();
        if n_kept > 0 {
            rows.forget_row(n_kept);
        }
        let bytes = span.bytes();
        let width = rows.frame.slots.len();
        let start = rows.spans.len() * width;
        if rows.slots.len() < start + width {
            rows.slots.resize(start + width, RawSlot::MISSING);
        }
        let Some(slots) = rows.slots.get_mut(start..start + width) else { return };
        match span.order() {
            Some(order) => self.span.extract_in_order(bytes, order, slots),
            None => self.span.extract(bytes, slots),
        }
        rows.spans.push(bytes);
    }

    /// What slots of [`ProgramBuilder::slot`](super::ProgramBuilder::slot) hold of each span; nothing for those that are not filled from
    /// spans. No row if another program has pushed them.
    #[inline]
    pub fn columns<'r, const N: usize>(
        &self,
        rows: &'r Rows<'_>,
        slots: [SlotId; N],
    ) -> impl Iterator<Item = [Cell; N]> + use<'r, N> {
        let positions = slots.map(|slot| {
            let placed = self.slots.get(slot.0 as usize).and_then(|&slot| self.layout.placed(slot));
            placed.filter(|placed| placed.base == Base::Span).map_or(usize::MAX, |placed| placed.position as usize)
        });
        let width = rows.frame.slots.len();
        let mut left = if self.owns_rows(rows) { rows.spans.len() } else { 0 };
        let mut rest = rows.slots.as_slice();
        // Not zipped chunks: those leave a call a row, which takes longer than all of this.
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let (row, after) = rest.split_at_checked(width)?;
            rest = after;
            Some(positions.map(|at| Cell(row.get(at).copied().unwrap_or(RawSlot::MISSING))))
        })
    }

    /// Evaluates a list for each span, as [`Program::eval_list`] does for one. Spans that another program has pushed give
    /// [`EvalError::Argument`].
    #[inline]
    pub fn eval_rows<'r>(
        &self,
        rows: &'r mut Rows<'_>,
        list: ListId,
        on_error: &mut dyn FnMut(usize, EvalError),
    ) -> Answers<'r> {
        // Machine code writes every answer; what is there before does not matter.
        rows.answers.resize(rows.spans.len(), 0);
        if !self.owns_rows(rows) {
            rows.answers.fill(EvalError::Argument as u8);
            return Answers(&rows.answers);
        }
        let native = self.code.as_ref().is_some_and(|code| {
            let interpreter = self.interpreter(&rows.frame);
            let spans = Spans { slots: &rows.slots, bytes: &rows.spans, kept: &rows.kept };
            code.rows(list.0 as usize, &interpreter, spans, &mut rows.answers)
        });
        // Without a branch a row: a few comparisons of vectors in all.
        let highest = rows.answers.iter().fold(0, |highest, &answer| highest.max(answer));
        if !native || highest > 1 {
            self.eval_rows_alone(rows, list, native, on_error);
        }
        Answers(&rows.answers)
    }

    /// Asks about the rows that have no answer yet, one by one.
    #[inline(never)]
    fn eval_rows_alone(
        &self,
        rows: &mut Rows<'_>,
        list: ListId,
        native: bool,
        on_error: &mut dyn FnMut(usize, EvalError),
    ) {
        for at in 0..rows.spans.len() {
            if native && rows.answers.get(at).is_some_and(|&answer| answer <= 1) {
                continue;
            }
            let width = rows.frame.slots.len();
            if let (Some(row), Some(span)) = (rows.slots.get(at * width..(at + 1) * width), rows.spans.get(at)) {
                rows.frame.take_row(row, span);
            }
            let outcome = self.eval_list(&rows.frame, list, on_error);
            if let Some(answer) = rows.answers.get_mut(at) {
                *answer = match outcome {
                    Outcome::False => 0,
                    Outcome::True => 1,
                    Outcome::Error(error) => error as u8,
                };
            }
        }
    }
}
