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
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// On the resource alone: asked once for all its spans.
    pub(super) resource: Option<ConditionId>,
    pub(super) span: Vec<ConditionId>,
}

impl BuiltIn {
    /// Adds the conditions. Attributes are asked of resource and span; contrib never tests a pattern on an empty string of a
    /// span, but does on one of a resource (tailsamplingprocessor v0.164.1, `string_attribute.go`).
    ///
    /// # Errors
    /// A pattern that does not compile, or more conditions than a program may have.
    pub(super) fn add(&self, program: &mut ProgramBuilder) -> Result<Conditions, Error> {
        let reading = |or_empty: bool| match self {
            Self::Number { key, min, max } => Some((key, Reading::IntWithin { min: *min, max: *max })),
            Self::Boolean { key, value } => Some((key, Reading::BoolIs(*value))),
            Self::Text { key, values } => Some((key, Reading::StringIn(values.clone()))),
            Self::Pattern { key, values } => Some((key, Reading::StringMatches { patterns: values.clone(), or_empty })),
            Self::Status { .. } | Self::TraceState { .. } | Self::SampledFlag => None,
        };
        if let (Some((key, of_resource)), Some((_, of_span))) = (reading(true), reading(false)) {
            let resource = program.add_reading(SlotPath::attribute(MapSource::Resource, key), &of_resource)?;
            let span = program.add_reading(SlotPath::attribute(MapSource::Span, key), &of_span)?;
            return Ok(Conditions { resource: Some(resource), span: vec![span] });
        }
        let mut conditions = Conditions::default();
        match self {
            Self::Status { codes } => {
                for code in (0..8).filter(|code| codes >> code & 1 == 1) {
                    let is_code = Reading::IntWithin { min: code, max: code };
                    conditions.span.push(program.add_reading(SlotPath::StatusCode, &is_code)?);
                }
            }
            Self::TraceState { key, values } => {
                let member = SlotPath::TraceStateMember(key.as_str().into());
                conditions.span.push(program.add_reading(member, &Reading::StringIn(values.clone()))?);
            }
            _ => {
                // The lowest bit: an odd number.
                let text = "span.flags - span.flags / 2 * 2 == 1";
                let condition = program.add(text, Context::Span, PathMode::Prefixed);
                conditions.span.push(condition.map_err(|mut errors| errors.remove(0))?);
            }
        }
        Ok(conditions)
    }
}
