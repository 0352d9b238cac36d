//! OTLP/JSON to protobuf bytes and back: what comes in as JSON goes on as if it had come in as protobuf.
//!
//! As Go's pdata reads it: ids are hex in any case, 64-bit integers are strings or numbers, enums are numbers or names,
//! keys are lowerCamelCase or snake_case, unknown keys are ignored. Null is the default everywhere, as protobuf says
//! (Go's reader refuses some). Unlike Go's, this reader refuses what follows the document, and names the place of a mistake.
//! Nothing is built in between: text is read and bytes are written in one pass, so a request costs no tree.

mod read;
mod schema;
mod text;
mod write;

use std::fmt;

/// Why a text is no OTLP/JSON request, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct JsonError {
    /// `resourceSpans[0].scopeSpans[1].spans[2].traceId`, empty for the document itself.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
    /// Offset in the text where reading stopped.
    pub at: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} at byte {}", self.problem, self.at)
    }
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It ends too early.
    #[error("unexpected end of JSON")]
    End,
    /// It is no JSON.
    #[error("invalid JSON")]
    Syntax,
    /// Something follows the document.
    #[error("unexpected text after the document")]
    Trailing,
    /// A control character in a string.
    #[error("control character in a string")]
    Control,
    /// A backslash in a string, and what follows it.
    #[error("invalid escape in a string")]
    Escape,
    /// Objects and lists inside each other beyond the limit.
    #[error("nested too deeply")]
    Depth,
    /// A value of another kind than the field's.
    #[error("expected {0}")]
    Expected(&'static str),
    /// Not a number.
    #[error("invalid number")]
    Number,
    /// A number that the field cannot hold.
    #[error("number out of range")]
    Range,
    /// An enum's name that is not known.
    #[error("unknown enum value")]
    EnumName,
    /// An id with too few or too many digits. The words are Go's.
    #[error("length mismatch")]
    IdLength,
    /// A digit of an id.
    #[error("invalid hex digit")]
    Hex,
    /// Bytes that are no base64.
    #[error("invalid base64")]
    Base64,
}

/// An ExportTraceServiceRequest as protobuf bytes. They are yet to be indexed, which bounds the depth of values.
pub fn traces_from_json(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::read(text, &schema::TRACES)
}

/// An ExportMetricsServiceRequest as protobuf bytes.
pub fn metrics_from_json(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::read(text, &schema::METRICS)
}

/// An ExportLogsServiceRequest as protobuf bytes.
pub fn logs_from_json(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::read(text, &schema::LOGS)
}

/// Appends the JSON of an ExportTraceServiceRequest that an index accepted, such as [`crate::Traces::encode`] gives.
pub fn traces_to_json(request: &[u8], out: &mut Vec<u8>) {
    write::write(out, request, &schema::TRACES);
}

/// Appends the JSON of an ExportMetricsServiceRequest, such as [`crate::Metrics::encode`] gives.
pub fn metrics_to_json(request: &[u8], out: &mut Vec<u8>) {
    write::write(out, request, &schema::METRICS);
}

#[cfg(test)]
mod tests;
