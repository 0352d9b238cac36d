//! Errors of this crate: those of a text, with code and position, and those of an evaluation, small and `Copy`.
//!
//! Codes are never reused: 2xx names and types, 3xx what this implementation does not support, 4xx limits. 1xx, syntax,
//! belongs to `grammar`.

use grammar::{
    render::{self, Report, Style},
    span::Span,
};

/// A code of an [`Error`].
pub type Code = u16;

/// Unknown path.
pub const UNKNOWN_PATH: Code = 200;
/// A comparison, sign or operand that can never have a sensible type.
pub const TYPE_MISMATCH: Code = 201;
/// Unknown converter.
pub const UNKNOWN_FUNCTION: Code = 202;
/// Unknown enum symbol.
pub const UNKNOWN_ENUM: Code = 203;
/// Too few or too many arguments, or a required one left out.
pub const ARGUMENT_COUNT: Code = 204;
/// Unknown argument name, or a positional argument after a named one.
pub const ARGUMENT_NAME: Code = 205;
/// An argument that does not fit its parameter.
pub const ARGUMENT_TYPE: Code = 206;
/// A literal argument that a converter refuses: a bad regex, network, format.
pub const ARGUMENT_VALUE: Code = 207;
/// A path without a context name where one is demanded, or with one that is not reachable.
pub const CONTEXT_NAME: Code = 208;
/// Keys on a path that has none, or segments behind the last one that means anything.
pub const PATH_KEYS: Code = 209;
/// An editor where a value is expected, or a converter where an editor is.
pub const EDITOR_AS_VALUE: Code = 210;
/// No context can be inferred.
pub const CONTEXT_INFERENCE: Code = 211;
/// A lambda, which upstream accepts only behind a feature gate that is off by default.
pub const LAMBDA: Code = 300;
/// A context, path or converter that upstream has and this implementation does not.
pub const UNSUPPORTED: Code = 301;
/// A converter that needs a clock or randomness which the caller did not provide.
pub const NEEDS_HOST: Code = 302;
/// A text that is too long or nested too deeply, or a regex that is too large.
pub const LIMIT: Code = 400;
/// Code generation failed.
pub const CODE_GENERATION: Code = 401;

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its kind, for documents and tests.
    pub code: Code,
    /// One sentence without a full stop.
    pub message: String,
    /// Where, in bytes of the text.
    pub span: Span,
    /// What to write instead, if known.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    #[must_use]
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, hint: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message, the line it is about with carets below, and the hint.
    #[must_use]
    pub fn render(&self, source: &str, color: bool) -> String {
        render::lines(source, &self.report(), if color { Style::Coloured } else { Style::Plain })
    }

    /// One line: `error[200] at 1:6: message (hint)`.
    #[must_use]
    pub fn one_line(&self, source: &str) -> String {
        render::one_line(source, &self.report())
    }

    fn report(&self) -> Report<'_> {
        Report {
            code: self.code,
            message: &self.message,
            span: self.span,
            label: "",
            hint: self.hint.as_deref(),
            origin: None,
        }
    }
}

impl EvalError {
    /// The error with this number.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        const ALL: [EvalError; 14] = [
            EvalError::Type,
            EvalError::DivideByZero,
            EvalError::OutOfBounds,
            EvalError::NotIndexable,
            EvalError::KeyNotFound,
            EvalError::KeyType,
            EvalError::NotBool,
            EvalError::Argument,
            EvalError::Parse,
            EvalError::Pattern,
            EvalError::NotStorable,
            EvalError::NoEventIndex,
            EvalError::NotComparable,
            EvalError::Limit,
        ];
        ALL.get(usize::try_from(code).ok()?.checked_sub(2)?).copied()
    }
}

impl From<grammar::Error> for Error {
    fn from(error: grammar::Error) -> Self {
        Self { code: error.code.number(), message: error.message, span: error.span, hint: error.hint }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for Error {}

/// Why an evaluation gave no answer. The numbers are the codes that generated machine code returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum EvalError {
    /// An argument or operand has a type that is not accepted.
    #[error("value has the wrong type")]
    Type = 2,
    /// Division by zero, of doubles too.
    #[error("attempted to divide by 0")]
    DivideByZero = 3,
    /// An index outside a list.
    #[error("index out of bounds")]
    OutOfBounds = 4,
    /// A key on something that has no such keys.
    #[error("value does not support this kind of indexing")]
    NotIndexable = 5,
    /// A key that a converter's result does not have.
    #[error("key not found in map")]
    KeyNotFound = 6,
    /// A key expression that gave neither string nor int where one is needed.
    #[error("key has the wrong type")]
    KeyType = 7,
    /// A converter used as a condition gave no bool.
    #[error("value of a condition must be bool")]
    NotBool = 8,
    /// An argument of the right type with a value that is not accepted.
    #[error("invalid argument")]
    Argument = 9,
    /// Text that does not parse.
    #[error("cannot parse the text")]
    Parse = 10,
    /// A pattern computed at run time that is not a valid regular expression.
    #[error("invalid pattern")]
    Pattern = 11,
    /// A value that cannot be put into a map or list literal.
    #[error("value cannot be stored in a map or list")]
    NotStorable = 12,
    /// `spanevent.event_index` where the host sets none, as in filter and tail sampling.
    #[error("no 'event_index' property has been set")]
    NoEventIndex = 13,
    /// A comparison at which the Go process would crash: two results of `Split`.
    #[error("values of this type cannot be compared")]
    NotComparable = 14,
    /// A limit of this implementation.
    #[error("result exceeds a limit")]
    Limit = 15,
}
