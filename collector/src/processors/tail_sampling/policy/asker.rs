//! Questions asked about the spans of one batch: many spans in one call of machine code. Only conditions on events are asked
//! span by span.

use ottl::{Cell, Frame, ListId, Outcome, Program, Rows};
use pdata::SpanView;

use super::question::{Questions, Target};
use crate::processors::tail_sampling::entry::Shape;

/// What a shard needs to know of a span besides the answers.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct SpanFacts {
    pub(in super::super) start_unix_nano: u64,
    pub(in super::super) end_unix_nano: u64,
    pub(in super::super) is_root: bool,
}

/// A batch's facts and answers, by row.
#[derive(Debug, Default)]
pub(in super::super) struct Asked {
    spans: Vec<SpanFacts>,
    answers: Vec<u64>,
    words: usize,
    /// Of the questions.
    pub(in super::super) generation: u32,
    /// Conditions that failed under `error_mode: ignore`, to be logged once a batch.
    pub(in super::super) ignored_errors: u64,
}

impl Asked {
    pub(in super::super) fn facts(&self, row: usize) -> SpanFacts {
        self.spans.get(row).copied().unwrap_or_default()
    }

    /// The row's answers, not stamped with an arrival.
    pub(in super::super) fn answers(&self, row: usize) -> &[u64] {
        self.answers.get(row * self.words..(row + 1) * self.words).unwrap_or_default()
    }
}

/// Spans that are asked about together: their slots stay in the nearest cache.
const LOT: usize = 64;

/// Asks about the spans of one batch.
pub(super) struct Asker<'q, 'w> {
    questions: &'q Questions,
    rows: Rows<'w>,
    /// Where some questions are on events: what those are asked with.
    frame: Option<Frame<'w>>,
    /// The answers that all spans of the resource have.
    of_resource: Vec<u64>,
    asked: Asked,
}

impl<'q, 'w> Asker<'q, 'w> {
    pub(super) fn new(questions: &'q Questions, spans: usize) -> Self {
        let Questions { program, shape, list, generation, .. } = questions;
        let words = shape.words();
        let asked = Asked {
            spans: Vec::with_capacity(spans),
            answers: Vec::with_capacity(spans * words),
            words,
            generation: *generation,
            ignored_errors: 0,
        };
        let on_events = list.iter().any(|question| question.spanevent.is_some());
        let frame = on_events.then(|| program.frame());
        Self { questions, rows: program.rows(), frame, of_resource: shape.empty().collect(), asked }
    }

    pub(super) fn resource(&mut self, resource: &'w [u8], schema_url: &'w [u8]) {
        let Questions { program, shape, list, .. } = self.questions;
        let frame = self.rows.frame();
        program.load_resource(frame, resource, schema_url);
        self.of_resource.clear();
        self.of_resource.extend(shape.empty());
        for question in list {
            if let Some(condition) = question.resource {
                shape.answer(&mut self.of_resource, program.eval(frame, condition), question.target);
            }
        }
        if let Some(frame) = &mut self.frame {
            program.load_resource(frame, resource, schema_url);
        }
    }

    pub(super) fn scope(&mut self, scope: &'w [u8], schema_url: &'w [u8]) {
        let program = &self.questions.program;
        program.load_scope(self.rows.frame(), scope, schema_url);
        if let Some(frame) = &mut self.frame {
            program.load_scope(frame, scope, schema_url);
        }
    }

    /// Asks about a span of the scope, now or with the next ones.
    pub(super) fn span(&mut self, span: &SpanView<'w>) {
        let Questions { program, shape, list, .. } = self.questions;
        let start = self.asked.answers.len();
        match *self.of_resource {
            // A copy of a length that is not known is a call.
            [word] => self.asked.answers.push(word),
            _ => self.asked.answers.extend_from_slice(&self.of_resource),
        }
        if let (Some(frame), Some(answers)) = (&mut self.frame, self.asked.answers.get_mut(start..)) {
            program.load_indexed_span(frame, span);
            for question in list {
                let Some(on_event) = question.spanevent else { continue };
                let lists = (question.span, on_event);
                let outcome = span_and_events(program, frame, lists, span, &mut self.asked.ignored_errors);
                shape.answer(answers, outcome, question.target);
            }
        }
        program.push_span(&mut self.rows, span);
        if self.rows.len() == LOT {
            self.finish();
        }
    }

    /// Asks what is left to be asked about spans of the scope.
    pub(super) fn finish(&mut self) {
        let Questions { program, shape, list, facts, .. } = self.questions;
        let Asked { spans, answers, words, ignored_errors, .. } = &mut self.asked;
        let columns = program.columns(&self.rows, [facts.start, facts.end, facts.parent]);
        let nanos = |cell: Cell| cell.int().unwrap_or_default().cast_unsigned();
        spans.extend(columns.map(|[start, end, parent]| SpanFacts {
            start_unix_nano: nanos(start),
            end_unix_nano: nanos(end),
            is_root: !parent.is_id(),
        }));
        let words = (*words).max(1);
        let first = answers.len().saturating_sub(self.rows.len() * words);
        for question in list.iter().filter(|question| question.spanevent.is_none()) {
            let Some(list) = question.span else { continue };
            let outcomes = program.eval_rows(&mut self.rows, list, &mut |_, _| *ignored_errors += 1);
            if outcomes.are_false() {
                continue;
            }
            let rows = answers.get_mut(first..).unwrap_or_default().chunks_exact_mut(words);
            for (outcome, row) in outcomes.iter().zip(rows) {
                shape.answer(row, outcome, question.target);
            }
        }
        self.rows.clear();
    }

    pub(super) fn into_asked(self) -> Asked {
        self.asked
    }
}

/// Asks a question on events: the span's own conditions first, then those on its events, event by event.
fn span_and_events<'w>(
    program: &Program,
    frame: &mut Frame<'w>,
    (on_span, on_event): (Option<ListId>, ListId),
    span: &SpanView<'w>,
    ignored_errors: &mut u64,
) -> Outcome {
    let mut on_error = |_, _| *ignored_errors += 1;
    if let Some(list) = on_span {
        let outcome = program.eval_list(frame, list, &mut on_error);
        if outcome != Outcome::False {
            return outcome;
        }
    }
    for event in pdata::span::events(span.bytes()) {
        program.load_event(frame, event);
        let outcome = program.eval_list(frame, on_event, &mut on_error);
        if outcome != Outcome::False {
            return outcome;
        }
    }
    Outcome::False
}

impl Shape {
    /// Puts what a question's conditions said about one span in its place.
    fn answer(self, answers: &mut [u64], outcome: Outcome, target: Target) {
        match (outcome, target) {
            (Outcome::True, Target::Bit(bit)) => Self::set_bit(answers, bit),
            (Outcome::True, Target::Outcome(at)) => self.set_outcome(answers, at, false),
            (Outcome::Error(_), Target::Outcome(at)) => self.set_outcome(answers, at, true),
            (Outcome::False | Outcome::Error(_), _) => {}
        }
    }
}
