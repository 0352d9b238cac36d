//! Building blocks that behave as Go's standard library does, on plain Rust types.
//!
//! A Go string is bytes that are usually UTF-8, so texts are `&[u8]` wherever Go does not check.
//! Nothing here knows OTTL beyond [`crate::value::Time`], and nothing reads a clock, a file or the environment.

pub mod charset;
pub mod csv;
pub mod duration;
pub mod fmt;
pub mod grok;
pub mod hash;
pub mod ip;
pub mod json;
pub mod locale;
pub mod log;
pub mod regexp;
pub mod strconv;
pub mod strptime;
pub mod text;
pub mod time;
pub mod url;
pub mod user_agent;
pub mod xml;
