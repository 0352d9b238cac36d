//! Per-span questions of all policies, asked together when a batch arrives.
//!
//! Each question has a bit (or, where a failure counts, an outcome) in a trace's entry. A question that several policies
//! ask is asked once. Asking needs no lock: it reads the batch and fills [`Asked`], which the shards then fold in.

use ottl::go::regexp::Regexp;
use pdata::Traces;

use super::ErrorMode;
pub(in super::super) use super::condition::Target;
use super::condition::{Builder, Conditions};
use super::reader::{Attribute, Header, Keys, read_resource, read_span};
use super::trace_state;
use crate::config::Problems;
use crate::processors::tail_sampling::entry::Shape;

/// A question of a built-in policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Native {
    /// Is the attribute, read as an integer, within bounds?
    Number { key: String, min: i64, max: i64 },
    /// Is the attribute, read as a bool, this value?
    Boolean { key: String, value: bool },
    /// Is the attribute, read as a string, one of these (sorted, none of them empty)?
    Text { key: String, values: Vec<String> },
    /// Does one of these find something in the attribute, read as a string?
    Pattern { key: String, values: Vec<String> },
    /// Has the span one of these status codes?
    Status { codes: u8 },
    /// Has the span's tracestate one of these values for the key?
    TraceState { key: String, values: Vec<String> },
    /// Is the span's sampled flag set?
    SampledFlag,
}

#[derive(Debug)]
enum Test {
    Number { slot: u16, min: i64, max: i64 },
    Boolean { slot: u16, value: bool },
    Text { slot: u16, values: Box<[Box<[u8]>]> },
    Pattern { slot: u16, patterns: Box<[Regexp]> },
    Status { codes: u8 },
    TraceState { key: Box<[u8]>, values: Box<[Box<[u8]>]> },
    SampledFlag,
}

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

/// Collects questions while policies are compiled.
pub(super) struct Asking {
    natives: Vec<(u16, Native)>,
    conditions: Builder,
    bits: u16,
    outcomes: u16,
    generation: u32,
}

impl Asking {
    pub(super) fn new(options: ottl::Options, generation: u32) -> Self {
        Self { natives: Vec::new(), conditions: Builder::new(options), bits: 0, outcomes: 0, generation }
    }

    /// The bit of a built-in question.
    pub(super) fn native(&mut self, question: Native) -> u16 {
        if let Some((bit, _)) = self.natives.iter().find(|(_, known)| *known == question) {
            return *bit;
        }
        let bit = next(&mut self.bits);
        self.natives.push((bit, question));
        bit
    }

    /// Reports regular expressions that do not compile.
    pub(super) fn check_patterns(&self, patterns: &[String], path: &str, problems: &mut Problems) {
        for (at, pattern) in patterns.iter().enumerate() {
            if let Err(error) = Regexp::new(pattern) {
                problems.add(format!("{path}[{at}]"), format!("invalid regex `{pattern}`: {error}"));
            }
        }
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
        let (bits, outcomes) = (&mut self.bits, &mut self.outcomes);
        self.conditions.add(span, spanevent, mode, path, problems, || match mode {
            ErrorMode::Propagate => Target::Outcome(next(outcomes)),
            ErrorMode::Ignore | ErrorMode::Silent => Target::Bit(next(bits)),
        })
    }

    /// All questions, unless something is wrong with them taken together.
    pub(super) fn build(self, path: &str, problems: &mut Problems) -> Option<Questions> {
        if self.bits == u16::MAX || self.outcomes == u16::MAX {
            problems.add(path, "too many policies");
            return None;
        }
        let conditions = match self.conditions.build() {
            Ok(conditions) => conditions,
            Err(error) => {
                problems.add(path, error.to_string());
                return None;
            }
        };
        let mut keys = Keys::default();
        let bytes = |values: &[String]| values.iter().map(|value| value.as_bytes().into()).collect();
        let tests = self
            .natives
            .iter()
            .map(|(bit, native)| {
                let test = match native {
                    Native::Number { key, min, max } => Test::Number { slot: keys.slot(key), min: *min, max: *max },
                    Native::Boolean { key, value } => Test::Boolean { slot: keys.slot(key), value: *value },
                    Native::Text { key, values } => Test::Text { slot: keys.slot(key), values: bytes(values) },
                    Native::Pattern { key, values } => Test::Pattern {
                        slot: keys.slot(key),
                        // Those that do not compile are problems already.
                        patterns: values.iter().filter_map(|value| Regexp::new(value).ok()).collect(),
                    },
                    Native::Status { codes } => Test::Status { codes: *codes },
                    Native::TraceState { key, values } => {
                        Test::TraceState { key: key.as_bytes().into(), values: bytes(values) }
                    }
                    Native::SampledFlag => Test::SampledFlag,
                };
                (*bit, test)
            })
            .collect();
        let shape = Shape::new(usize::from(self.bits), usize::from(self.outcomes));
        Some(Questions { shape, keys, natives: self.natives, tests, conditions, generation: self.generation })
    }
}

/// Takes a number; `u16::MAX` means that there are none left.
fn next(count: &mut u16) -> u16 {
    let taken = *count;
    *count = count.saturating_add(1);
    taken
}

/// All questions of a configuration.
#[derive(Debug)]
pub(in super::super) struct Questions {
    shape: Shape,
    keys: Keys,
    /// What each of `tests` asks.
    natives: Vec<(u16, Native)>,
    tests: Vec<(u16, Test)>,
    conditions: Option<Conditions>,
    generation: u32,
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
        for (bit, native) in &self.natives {
            match before.natives.iter().find(|(_, known)| known == native) {
                Some((old, _)) => moves.same.push((Target::Bit(*old), Target::Bit(*bit))),
                None => moves.complete = false,
            }
        }
        if let Some(conditions) = &self.conditions {
            moves.complete &= conditions.moves(before.conditions.as_ref(), &mut moves.same);
        }
        moves
    }

    pub(in super::super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Asks everything about every span of a batch.
    pub(in super::super) fn ask(&self, traces: &Traces) -> Asked {
        let words = self.shape.words();
        let empty: Vec<u64> = self.shape.empty().collect();
        let mut asked = Asked {
            spans: Vec::with_capacity(traces.span_count()),
            answers: Vec::with_capacity(traces.span_count() * words),
            words,
            generation: self.generation,
            ignored_errors: 0,
        };
        let mut slots: Vec<Option<Attribute<'_>>> = vec![None; self.keys.len()];
        let mut asker = self.conditions.as_ref().map(|conditions| conditions.asker(self.shape));
        for resource in traces.resources() {
            if let Some(asker) = &mut asker {
                asker.resource(resource.resource(), resource.schema_url());
            }
            let mut of_resource = empty.clone();
            if !slots.is_empty() {
                slots.fill(None);
                read_resource(resource.resource(), &self.keys, &mut slots);
                self.test(&Header::default(), &slots, true, &mut of_resource);
            }
            for scope in resource.scopes() {
                if let Some(asker) = &mut asker {
                    asker.scope(scope.scope(), scope.schema_url());
                }
                for span in scope.spans() {
                    slots.fill(None);
                    let header = read_span(&span, &self.keys, &mut slots);
                    asked.spans.push(SpanFacts {
                        start_unix_nano: header.start_unix_nano,
                        end_unix_nano: header.end_unix_nano,
                        is_root: !header.has_parent,
                    });
                    let start = asked.answers.len();
                    match *of_resource {
                        // A copy of a length that is not known is a call.
                        [word] => asked.answers.push(word),
                        _ => asked.answers.extend_from_slice(&of_resource),
                    }
                    if let (false, Some(answers)) = (self.tests.is_empty(), asked.answers.get_mut(start..)) {
                        self.test(&header, &slots, false, answers);
                    }
                    if let Some(asker) = &mut asker {
                        asker.span(&span, &mut asked.answers);
                    }
                }
                if let Some(asker) = &mut asker {
                    asker.finish(&mut asked.answers);
                }
            }
        }
        asked.ignored_errors = asker.map_or(0, |asker| asker.ignored_errors);
        asked
    }

    fn test(&self, header: &Header<'_>, slots: &[Option<Attribute<'_>>], is_resource: bool, answers: &mut [u64]) {
        let attribute = |slot: u16| slots.get(usize::from(slot)).copied().flatten();
        for (bit, test) in &self.tests {
            let yes = match test {
                Test::Number { slot, min, max } => {
                    attribute(*slot).is_some_and(|value| (*min..=*max).contains(&value.integer()))
                }
                Test::Boolean { slot, value } => attribute(*slot).is_some_and(|found| found.boolean() == *value),
                Test::Text { slot, values } => attribute(*slot)
                    .is_some_and(|value| values.binary_search_by(|wanted| (**wanted).cmp(value.text())).is_ok()),
                // contrib never tests an empty string on a span, but does on a resource.
                Test::Pattern { slot, patterns } => attribute(*slot).is_some_and(|value| {
                    let text = value.text();
                    (is_resource || !text.is_empty()) && patterns.iter().any(|pattern| pattern.is_match(text))
                }),
                _ if is_resource => false,
                Test::Status { codes } => header.status_code < 8 && codes >> header.status_code & 1 == 1,
                Test::TraceState { key, values } => {
                    !header.trace_state.is_empty()
                        && trace_state::value(header.trace_state, key)
                            .is_some_and(|value| values.iter().any(|wanted| **wanted == *value))
                }
                Test::SampledFlag => header.flags & 1 == 1,
            };
            if yes {
                Shape::set_bit(answers, *bit);
            }
        }
    }
}
