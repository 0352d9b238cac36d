//! Per-span questions of all policies, asked together when a batch arrives.
//!
//! Each question has a bit (or, where a failure counts, an outcome) in a trace's entry. A question that several policies
//! ask is asked once. Asking needs no lock: it reads the batch and fills [`Asked`], which the shards then fold in.

use ottl::go::regexp::Regexp;
use pdata::Traces;

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
    natives: Vec<Native>,
    bits: usize,
    outcomes: usize,
}

impl Asking {
    pub(super) fn new() -> Self {
        Self { natives: Vec::new(), bits: 0, outcomes: 0 }
    }

    /// The bit of a built-in question.
    pub(super) fn native(&mut self, question: Native) -> u16 {
        let at = self.natives.iter().position(|known| *known == question).unwrap_or_else(|| {
            self.natives.push(question);
            self.natives.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// Reports regular expressions that do not compile.
    pub(super) fn check_patterns(&self, patterns: &[String], path: &str, problems: &mut Problems) {
        for (at, pattern) in patterns.iter().enumerate() {
            if let Err(error) = Regexp::new(pattern) {
                problems.add(format!("{path}[{at}]"), format!("invalid regex `{pattern}`: {error}"));
            }
        }
    }

    /// The bit of a list of conditions whose errors do not count.
    pub(super) fn conditions(
        &mut self,
        span: &[String],
        spanevent: &[String],
        mode: super::ErrorMode,
        path: &str,
        problems: &mut Problems,
    ) -> u16 {
        let _ = (span, spanevent, mode);
        problems.add(path, "OTTL conditions are not supported yet");
        self.bits += 1;
        0
    }

    /// The outcome of a list of conditions whose errors count.
    pub(super) fn failing_conditions(
        &mut self,
        span: &[String],
        spanevent: &[String],
        path: &str,
        problems: &mut Problems,
    ) -> u16 {
        let _ = (span, spanevent);
        problems.add(path, "OTTL conditions are not supported yet");
        self.outcomes += 1;
        0
    }

    /// All questions, unless there are problems.
    pub(super) fn build(self, problems: &Problems) -> Option<Questions> {
        if !problems.is_empty() {
            return None;
        }
        let mut keys = Keys::default();
        let bytes = |values: &[String]| values.iter().map(|value| value.as_bytes().into()).collect();
        let tests = self
            .natives
            .iter()
            .map(|native| match native {
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
            })
            .collect();
        Some(Questions { shape: Shape::new(self.natives.len() + self.bits, self.outcomes), keys, tests })
    }
}

/// All questions of a configuration.
#[derive(Debug)]
pub(in super::super) struct Questions {
    shape: Shape,
    keys: Keys,
    tests: Vec<Test>,
}

impl Questions {
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
            ignored_errors: 0,
        };
        let mut slots: Vec<Option<Attribute<'_>>> = vec![None; self.keys.len()];
        for resource in traces.resources() {
            let mut of_resource = empty.clone();
            if !slots.is_empty() {
                slots.fill(None);
                read_resource(resource.resource(), &self.keys, &mut slots);
                self.test(&Header::default(), &slots, true, &mut of_resource);
            }
            for scope in resource.scopes() {
                for span in scope.spans() {
                    slots.fill(None);
                    let header = read_span(span.bytes(), &self.keys, &mut slots);
                    asked.spans.push(SpanFacts {
                        start_unix_nano: header.start_unix_nano,
                        end_unix_nano: header.end_unix_nano,
                        is_root: !header.has_parent,
                    });
                    let start = asked.answers.len();
                    asked.answers.extend_from_slice(&of_resource);
                    if let Some(answers) = asked.answers.get_mut(start..) {
                        self.test(&header, &slots, false, answers);
                    }
                }
            }
        }
        asked
    }

    fn test(&self, header: &Header<'_>, slots: &[Option<Attribute<'_>>], is_resource: bool, answers: &mut [u64]) {
        let attribute = |slot: u16| slots.get(usize::from(slot)).copied().flatten();
        for (bit, test) in self.tests.iter().enumerate() {
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
                Shape::set_bit(answers, u16::try_from(bit).unwrap_or(u16::MAX));
            }
        }
    }
}
