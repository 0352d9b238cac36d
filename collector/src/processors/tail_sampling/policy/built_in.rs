//! Questions of policies that are not written in OTTL, as conditions of the program that OTTL conditions are in, too.

use ottl::{ConditionId, Context, Error, MapSource, PathMode, ProgramBuilder, Reading, SlotPath};

/// A question of a built-in policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BuiltIn {
    /// Is the attribute, read as an integer, within bounds?
    Number { key: String, min: i64, max: i64 },
    /// Is the attribute, read as a bool, this value?
    Boolean { key: String, value: bool },
    /// Is the attribute, read as a string, one of these (sorted, none of them empty)?
    Text { key: String, values: Vec<String> },
    /// Does one of these find something in the attribute, read as a string?
    Pattern { key: String, values: Vec<String> },
    /// Has the span one of these status codes, each the bit of its number?
    Status { codes: u8 },
    /// Has the span's tracestate one of these values, none of them empty, for the key?
    TraceState { key: String, values: Vec<String> },
    /// Is the span's sampled flag set?
    SampledFlag,
}

/// The conditions of a question: it is answered with yes where one of them holds.
#[derive(Debug)]
pub(super) struct Conditions {
    /// On the resource alone: asked once for all its spans.
    pub(super) resource: Option<ConditionId>,
    pub(super) span: Vec<ConditionId>,
}

impl BuiltIn {
    /// Adds the conditions. contrib never tests a pattern on an empty string of a span, but does on one of a resource
    /// (tailsamplingprocessor v0.164.1, `string_tag_filter.go`).
    ///
    /// # Errors
    /// A pattern that does not compile, or more conditions than a program may have.
    pub(super) fn add(&self, program: &mut ProgramBuilder) -> Result<Conditions, Error> {
        match self {
            Self::Number { key, min, max } => {
                of_attribute(program, key, |_| Reading::IntWithin { min: *min, max: *max })
            }
            Self::Boolean { key, value } => of_attribute(program, key, |_| Reading::BoolIs(*value)),
            Self::Text { key, values } => of_attribute(program, key, |_| Reading::StringIn(values.clone())),
            Self::Pattern { key, values } => of_attribute(program, key, |source| Reading::StringMatches {
                patterns: values.clone(),
                empty_too: source == MapSource::Resource,
            }),
            Self::Status { codes } => {
                let codes = (0..8).filter(|code| codes >> code & 1 == 1);
                let is = |code| program.add_reading(SlotPath::StatusCode, &Reading::IntWithin { min: code, max: code });
                of_span(codes.map(is).collect())
            }
            Self::TraceState { key, values } => {
                let member = SlotPath::TraceStateMember(key.as_str().into());
                of_span(program.add_reading(member, &Reading::StringIn(values.clone())).map(|one| vec![one]))
            }
            Self::SampledFlag => {
                // The lowest bit: an odd number.
                let odd = program.add("span.flags - span.flags / 2 * 2 == 1", Context::Span, PathMode::Prefixed);
                of_span(odd.map(|one| vec![one]).map_err(|mut errors| errors.remove(0)))
            }
        }
    }
}

fn of_span(span: Result<Vec<ConditionId>, Error>) -> Result<Conditions, Error> {
    Ok(Conditions { resource: None, span: span? })
}

/// An attribute is asked for on the resource and on the span.
fn of_attribute(
    program: &mut ProgramBuilder,
    key: &str,
    reading: impl Fn(MapSource) -> Reading,
) -> Result<Conditions, Error> {
    let mut add = |source| program.add_reading(SlotPath::attribute(source, key), &reading(source));
    Ok(Conditions { resource: Some(add(MapSource::Resource)?), span: vec![add(MapSource::Span)?] })
}
