//! What can be wrong with a text, each kind with a number that never changes its meaning.
//!
//! The numbers 101 to 199 belong to this crate; `ottl` continues with 201. A number whose check disappears is not
//! given out again.

use crate::{
    render::{self, Report, Style},
    span::Span,
};

/// A kind of syntax error. The discriminant is the number users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Code {
    /// Something else was expected here.
    Unexpected = 101,
    /// The text ends too early.
    UnexpectedEnd = 102,
    /// No part of the language begins with this character.
    StrayCharacter = 103,
    /// A quote without its partner.
    OpenString = 104,
    /// A backslash sequence that strings do not have.
    BadEscape = 105,
    /// An int that does not fit 64 bits with a sign.
    IntRange = 106,
    /// A float that overflows.
    FloatRange = 107,
    /// A bytes literal with half a byte.
    OddBytes = 108,
    /// Nested deeper than [`Limits::nesting`](crate::Limits::nesting).
    NestingLimit = 109,
    /// Longer than [`Limits::length`](crate::Limits::length).
    LengthLimit = 110,
    /// A value stands where a condition is needed.
    NotACondition = 111,
    /// A condition stands where a value is needed.
    ConditionAsValue = 112,
    /// Parentheses around something that is neither arithmetic nor a condition.
    GroupedLiteral = 113,
    /// An editor (lower-case function) stands where a value or a condition is needed.
    EditorAsValue = 114,
    /// A statement begins with a converter (upper-case function).
    ConverterAsStatement = 115,
    /// Keys behind an editor call.
    EditorKeys = 116,
    /// A lambda whose body is a lambda.
    LambdaInLambda = 117,
    /// A lambda anywhere but as an argument of its own.
    LambdaPlace = 118,
}

impl Code {
    /// Every code, in order of its number.
    pub const ALL: [Self; 18] = [
        Self::Unexpected,
        Self::UnexpectedEnd,
        Self::StrayCharacter,
        Self::OpenString,
        Self::BadEscape,
        Self::IntRange,
        Self::FloatRange,
        Self::OddBytes,
        Self::NestingLimit,
        Self::LengthLimit,
        Self::NotACondition,
        Self::ConditionAsValue,
        Self::GroupedLiteral,
        Self::EditorAsValue,
        Self::ConverterAsStatement,
        Self::EditorKeys,
        Self::LambdaInLambda,
        Self::LambdaPlace,
    ];

    /// The number users see.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// One thing wrong with a text.
///
/// `Display` gives the message alone; [`Error::render`] and [`Error::one_line`] show where it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// What is wrong, without a full stop.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What could have stood here, for [`Code::Unexpected`] and [`Code::UnexpectedEnd`].
    pub expected: Vec<&'static str>,
    /// What to write instead, where that can be guessed.
    pub hint: Option<String>,
}

impl Error {
    pub(crate) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, expected: Vec::new(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The shape that [`render`] takes.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        Report {
            code: self.code.number(),
            message: &self.message,
            span: self.span,
            label: "",
            hint: self.hint.as_deref(),
            origin: None,
        }
    }

    /// Several lines: the message, the line of `source` with carets, and the hint.
    #[must_use]
    pub fn render(&self, source: &str, style: Style) -> String {
        render::lines(source, &self.report(), style)
    }

    /// One line: `error[101] at 1:6: message (hint)`.
    #[must_use]
    pub fn one_line(&self, source: &str) -> String {
        render::one_line(source, &self.report())
    }
}
