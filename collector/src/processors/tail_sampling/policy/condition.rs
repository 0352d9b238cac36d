//! OTTL conditions of all policies, compiled into one program. Conditions on spans are asked about many spans in one call
//! of machine code; where some are on events, all are asked span by span.

use ottl::{ConditionId, Context, ListId, Options, Outcome, PathMode, Program, ProgramBuilder, Rows};
use pdata::SpanView;

use super::ErrorMode;
use crate::config::Problems;
use crate::processors::tail_sampling::entry::Shape;

/// Where the answer of a policy's conditions goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Target {
    /// A bit: errors do not count.
    Bit(u16),
    /// An outcome: errors count.
    Outcome(u16),
}

/// The conditions of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Texts {
    span: Vec<String>,
    spanevent: Vec<String>,
    mode: ErrorMode,
}

#[derive(Debug)]
struct Question {
    span: Option<ListId>,
    spanevent: Option<ListId>,
    target: Target,
}

/// Collects conditions while policies are compiled.
pub(super) struct Builder {
    program: ProgramBuilder,
    known: Vec<Texts>,
    questions: Vec<Question>,
}

impl Builder {
    pub(super) fn new(options: Options) -> Self {
        Self { program: ProgramBuilder::new(options), known: Vec::new(), questions: Vec::new() }
    }

    /// Where the answer of these conditions goes; `fresh` is asked where, unless another policy has the same ones.
    pub(super) fn add(
        &mut self,
        span: &[String],
        spanevent: &[String],
        mode: ErrorMode,
        path: &str,
        problems: &mut Problems,
        fresh: impl FnOnce() -> Target,
    ) -> Target {
        let texts = Texts { span: span.to_vec(), spanevent: spanevent.to_vec(), mode };
        if let Some(at) = self.known.iter().position(|known| *known == texts)
            && let Some(question) = self.questions.get(at)
        {
            return question.target;
        }
        let target = fresh();
        let span = self.list(span, Context::Span, mode, &format!("{path}::span"), problems);
        let spanevent = self.list(spanevent, Context::SpanEvent, mode, &format!("{path}::spanevent"), problems);
        self.known.push(texts);
        self.questions.push(Question { span, spanevent, target });
        target
    }

    fn list(
        &mut self,
        texts: &[String],
        context: Context,
        mode: ErrorMode,
        path: &str,
        problems: &mut Problems,
    ) -> Option<ListId> {
        let mut conditions: Vec<ConditionId> = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            // A path without a context name gets the list's own.
            match self.program.add(text, context, PathMode::AutoPrefix) {
                Ok(condition) => conditions.push(condition),
                Err(errors) => {
                    for error in errors {
                        problems.add(format!("{path}[{at}]"), error.render(text, false).trim_end());
                    }
                }
            }
        }
        let mode = match mode {
            ErrorMode::Ignore => ottl::ErrorMode::Ignore,
            ErrorMode::Propagate => ottl::ErrorMode::Propagate,
            ErrorMode::Silent => ottl::ErrorMode::Silent,
        };
        (!conditions.is_empty()).then(|| match context {
            Context::Span => self.program.list_over_rows(&conditions, mode),
            _ => self.program.list(&conditions, mode),
        })
    }

    /// The program, or none if there is no condition.
    pub(super) fn build(self) -> Result<Option<Conditions>, ottl::Error> {
        if self.questions.is_empty() {
            return Ok(None);
        }
        let on_events = self.questions.iter().any(|question| question.spanevent.is_some());
        let program = self.program.build()?;
        Ok(Some(Conditions { program, known: self.known, questions: self.questions, on_events }))
    }
}

/// All conditions of a configuration.
#[derive(Debug)]
pub(super) struct Conditions {
    program: Program,
    /// What each question asks.
    known: Vec<Texts>,
    questions: Vec<Question>,
    /// Some conditions are on events.
    on_events: bool,
}

impl Conditions {
    /// Adds where the answers go that `before` has too, there and here. False if some question is new.
    pub(super) fn moves(&self, before: Option<&Self>, moves: &mut Vec<(Target, Target)>) -> bool {
        let mut all = true;
        for (texts, question) in self.known.iter().zip(&self.questions) {
            let old = before.and_then(|before| {
                let at = before.known.iter().position(|known| known == texts)?;
                before.questions.get(at)
            });
            match old {
                Some(old) => moves.push((old.target, question.target)),
                None => all = false,
            }
        }
        all
    }

    /// What one batch is asked with.
    pub(super) fn asker<'w>(&self, shape: Shape) -> Asker<'_, 'w> {
        Asker { conditions: self, shape, rows: self.program.rows(), ignored_errors: 0 }
    }
}

/// Spans that are asked about together: their slots stay in the nearest cache.
const LOT: usize = 64;

/// Asks about the spans of one batch.
pub(super) struct Asker<'c, 'w> {
    conditions: &'c Conditions,
    shape: Shape,
    rows: Rows<'w>,
    /// Errors that `error_mode: ignore` wants logged.
    pub(super) ignored_errors: u64,
}

impl<'w> Asker<'_, 'w> {
    pub(super) fn resource(&mut self, resource: &'w [u8], schema_url: &'w [u8]) {
        self.conditions.program.load_resource(self.rows.frame(), resource, schema_url);
    }

    pub(super) fn scope(&mut self, scope: &'w [u8], schema_url: &'w [u8]) {
        self.conditions.program.load_scope(self.rows.frame(), scope, schema_url);
    }

    /// Asks about a span of the scope, now or with the next ones. Its answers are the last row of `answers`, the rows of
    /// those before it stand before it.
    pub(super) fn span(&mut self, span: &SpanView<'w>, answers: &mut [u64]) {
        if self.conditions.on_events {
            let row = answers.len().saturating_sub(self.shape.words());
            self.span_and_events(span, answers.get_mut(row..).unwrap_or_default());
            return;
        }
        self.conditions.program.push_span(&mut self.rows, span);
        if self.rows.len() == LOT {
            self.finish(answers);
        }
    }

    /// Asks what is left to be asked about spans of the scope.
    pub(super) fn finish(&mut self, answers: &mut [u64]) {
        let Conditions { program, questions, .. } = self.conditions;
        let words = self.shape.words().max(1);
        let first = answers.len().saturating_sub(self.rows.len() * words);
        for question in questions {
            let Some(list) = question.span else { continue };
            let outcomes = program.eval_rows(&mut self.rows, list, &mut |_, _| self.ignored_errors += 1);
            if outcomes.are_false() {
                continue;
            }
            let rows = answers.get_mut(first..).unwrap_or_default().chunks_exact_mut(words);
            for (outcome, row) in outcomes.iter().zip(rows) {
                self.shape.answer(row, outcome, question.target);
            }
        }
        self.rows.clear();
    }

    /// Asks a span's own conditions first, then those on its events, event by event.
    fn span_and_events(&mut self, span: &SpanView<'w>, answers: &mut [u64]) {
        let Conditions { program, questions, .. } = self.conditions;
        let frame = self.rows.frame();
        program.load_indexed_span(frame, span);
        for question in questions {
            let mut outcome = Outcome::False;
            if let Some(list) = question.span {
                outcome = program.eval_list(frame, list, &mut |_, _| self.ignored_errors += 1);
            }
            if let (Outcome::False, Some(list)) = (outcome, question.spanevent) {
                for event in pdata::span::events(span.bytes()) {
                    program.load_event(frame, event);
                    outcome = program.eval_list(frame, list, &mut |_, _| self.ignored_errors += 1);
                    if outcome != Outcome::False {
                        break;
                    }
                }
            }
            self.shape.answer(answers, outcome, question.target);
        }
    }
}

impl Shape {
    /// Puts what a list said about one span in its place.
    fn answer(self, answers: &mut [u64], outcome: Outcome, target: Target) {
        match (outcome, target) {
            (Outcome::True, Target::Bit(bit)) => Self::set_bit(answers, bit),
            (Outcome::True, Target::Outcome(at)) => self.set_outcome(answers, at, false),
            (Outcome::Error(_), Target::Outcome(at)) => self.set_outcome(answers, at, true),
            (Outcome::False | Outcome::Error(_), _) => {}
        }
    }
}
