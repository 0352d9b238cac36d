//! Per-span questions of all policies, compiled into one program: one layout, one pass over a span, one set of functions.
//!
//! Each question has a bit (or, where a failure counts, an outcome) in a trace's entry. A question that several policies
//! ask is asked once, when a batch arrives. Asking needs no lock: it reads the batch and fills [`Asked`], which the shards
//! then fold in.

use ottl::go::regexp::Regexp;
use ottl::{ConditionId, Context, ListId, PathMode, Program, ProgramBuilder, SlotId, SlotPath};
use pdata::Traces;

use super::ErrorMode;
use super::asker::{Asked, Asker};
use super::built_in::{BuiltIn, Conditions};
use crate::config::Problems;
use crate::processors::tail_sampling::entry::Shape;

/// Where the answer of a question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Target {
    /// A bit: errors do not count.
    Bit(u16),
    /// An outcome: errors count.
    Outcome(u16),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
enum Asks {
    BuiltIn(BuiltIn),
    /// The conditions of one policy.
    Conditions {
        span: Vec<String>,
        spanevent: Vec<String>,
        mode: ErrorMode,
    },
}

/// A question and the conditions that it became.
#[derive(Debug)]
pub(super) struct Question {
    asks: Asks,
    pub(super) target: Target,
    /// On the resource alone.
    pub(super) resource: Option<ConditionId>,
    /// On the span.
    pub(super) span: Option<ListId>,
    /// On each of the span's events, if those on the span have found nothing.
    pub(super) spanevent: Option<ListId>,
}

/// Questions that have a bit, or an outcome; and the most slots that a program can have.
const MOST: usize = u16::MAX as usize;

/// Collects questions while policies are compiled.
pub(super) struct Asking {
    program: ProgramBuilder,
    questions: Vec<Question>,
    bits: u16,
    outcomes: u16,
    generation: u32,
}

impl Asking {
    pub(super) fn new(mut options: ottl::Options, generation: u32) -> Self {
        // Policies have no limit in contrib, and one that asks for an attribute takes two conditions and two slots.
        options.limits.conditions = options.limits.conditions.max(2 * MOST);
        options.limits.slots = options.limits.slots.max(MOST);
        let program = ProgramBuilder::new(options);
        Self { program, questions: Vec::new(), bits: 0, outcomes: 0, generation }
    }

    fn known(&self, asks: &Asks) -> Option<Target> {
        self.questions.iter().find(|question| question.asks == *asks).map(|question| question.target)
    }

    /// The bit of a built-in policy's question.
    pub(super) fn built_in(&mut self, question: &BuiltIn, path: &str, problems: &mut Problems) -> u16 {
        let asks = Asks::BuiltIn(question.clone());
        if let Some(Target::Bit(known)) = self.known(&asks) {
            return known;
        }
        let bit = next(&mut self.bits);
        match question.add(&mut self.program) {
            Ok(Conditions { resource, span }) => {
                // None of them fails.
                let span = Some(self.program.list_over_rows(&span, ottl::ErrorMode::Silent));
                self.questions.push(Question { asks, target: Target::Bit(bit), resource, span, spanevent: None });
            }
            Err(error) => {
                let before = problems.list().len();
                if let BuiltIn::Pattern { values, .. } = question {
                    report_patterns(values, &format!("{path}::string_attribute::values"), problems);
                }
                if problems.list().len() == before {
                    problems.add(path, error.message);
                }
            }
        }
        bit
    }

    /// Where the answer of a policy's conditions goes.
    pub(super) fn conditions(
        &mut self,
        span: &[String],
        spanevent: &[String],
        mode: ErrorMode,
        path: &str,
        problems: &mut Problems,
    ) -> Target {
        let asks = Asks::Conditions { span: span.to_vec(), spanevent: spanevent.to_vec(), mode };
        if let Some(known) = self.known(&asks) {
            return known;
        }
        let target = match mode {
            ErrorMode::Propagate => Target::Outcome(next(&mut self.outcomes)),
            ErrorMode::Ignore | ErrorMode::Silent => Target::Bit(next(&mut self.bits)),
        };
        let on_span = self.texts(span, Context::Span, &format!("{path}::span"), problems);
        let on_event = self.texts(spanevent, Context::SpanEvent, &format!("{path}::spanevent"), problems);
        let mode = match mode {
            ErrorMode::Ignore => ottl::ErrorMode::Ignore,
            ErrorMode::Propagate => ottl::ErrorMode::Propagate,
            ErrorMode::Silent => ottl::ErrorMode::Silent,
        };
        let spanevent = (!on_event.is_empty()).then(|| self.program.list(&on_event, mode));
        let span = (!on_span.is_empty()).then(|| match spanevent {
            Some(_) => self.program.list(&on_span, mode),
            None => self.program.list_over_rows(&on_span, mode),
        });
        self.questions.push(Question { asks, target, resource: None, span, spanevent });
        target
    }

    fn texts(&mut self, texts: &[String], context: Context, path: &str, problems: &mut Problems) -> Vec<ConditionId> {
        let mut conditions = Vec::with_capacity(texts.len());
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
        conditions
    }

    /// All questions, unless something is wrong with them taken together.
    pub(super) fn build(mut self, path: &str, problems: &mut Problems) -> Option<Questions> {
        if [self.bits, self.outcomes].into_iter().any(|taken| usize::from(taken) == MOST) {
            problems.add(path, "too many policies");
            return None;
        }
        let facts = FactSlots {
            start: self.program.slot(SlotPath::StartUnixNano),
            end: self.program.slot(SlotPath::EndUnixNano),
            parent: self.program.slot(SlotPath::ParentSpanId),
        };
        let program = match self.program.build() {
            Ok(program) => program,
            Err(error) => {
                problems.add(path, error.to_string());
                return None;
            }
        };
        let shape = Shape::new(usize::from(self.bits), usize::from(self.outcomes));
        Some(Questions { shape, program, facts, list: self.questions, generation: self.generation })
    }
}

/// Reports regular expressions that do not compile, each with its place.
fn report_patterns(patterns: &[String], path: &str, problems: &mut Problems) {
    for (at, pattern) in patterns.iter().enumerate() {
        if let Err(error) = Regexp::new(pattern) {
            problems.add(format!("{path}[{at}]"), format!("invalid regex `{pattern}`: {error}"));
        }
    }
}

/// Takes a number; `u16::MAX` means that there are none left.
fn next(count: &mut u16) -> u16 {
    let taken = *count;
    *count = count.saturating_add(1);
    taken
}

/// Where a span's facts are.
#[derive(Clone, Copy, Debug)]
pub(super) struct FactSlots {
    pub(super) start: SlotId,
    pub(super) end: SlotId,
    pub(super) parent: SlotId,
}

/// All questions of a configuration.
#[derive(Debug)]
pub(in super::super) struct Questions {
    pub(super) shape: Shape,
    pub(super) program: Program,
    pub(super) facts: FactSlots,
    pub(super) list: Vec<Question>,
    pub(super) generation: u32,
}

/// Where answers go when questions are replaced.
#[derive(Debug)]
pub(in super::super) struct Moves {
    /// The same question before and after.
    pub(in super::super) same: Vec<(Target, Target)>,
    /// False if there are questions that were not asked before: then waiting spans have to be asked again.
    pub(in super::super) complete: bool,
}

impl Moves {
    /// A trace's answers laid out as `after`; the answers to new questions are those of no span.
    pub(in super::super) fn apply(&self, before: Shape, after: Shape, answers: &[u64]) -> Vec<u64> {
        let mut out: Vec<u64> = after.empty().collect();
        for (from, to) in &self.same {
            match (*from, *to) {
                (Target::Bit(from), Target::Bit(to)) => {
                    if Shape::bit(answers, from) {
                        Shape::set_bit(&mut out, to);
                    }
                }
                (Target::Outcome(from), Target::Outcome(to)) => {
                    after.set_outcome_word(&mut out, to, before.outcome_word(answers, from));
                }
                // The same question has the same kind of answer.
                (Target::Bit(_), Target::Outcome(_)) | (Target::Outcome(_), Target::Bit(_)) => {}
            }
        }
        out
    }
}

impl Questions {
    /// What becomes of the answers to the questions `before`.
    pub(in super::super) fn moves(&self, before: &Self) -> Moves {
        let mut moves = Moves { same: Vec::new(), complete: true };
        for question in &self.list {
            match before.list.iter().find(|known| known.asks == question.asks) {
                Some(old) => moves.same.push((old.target, question.target)),
                None => moves.complete = false,
            }
        }
        moves
    }

    pub(in super::super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Asks everything about every span of a batch.
    pub(in super::super) fn ask(&self, traces: &Traces) -> Asked {
        let mut asker = Asker::new(self, traces.span_count());
        for resource in traces.resources() {
            asker.resource(resource.resource(), resource.schema_url());
            for scope in resource.scopes() {
                asker.scope(scope.scope(), scope.schema_url());
                scope.spans().for_each(|span| asker.span(&span));
                asker.finish();
            }
        }
        asker.into_asked()
    }
}
