//! OTTL text to syntax tree.
//!
//! ```
//! let tree = grammar::parse_condition(r#"status.code == 2 and not IsMatch(name, "^/health")"#).unwrap();
//! assert_eq!(tree.to_string(), r#"status.code == 2 and not IsMatch(name, "^/health")"#);
//! ```
//!
//! This crate never names a span, an attribute or a type of telemetry. It returns a tree with positions and never
//! panics on any input. What a name means is decided in `ottl`.
//!
//! A text goes through `scan` (characters, strings, nesting), the grammar in `ottl.pest`, and `tree`
//! (pairs to tree, and what the grammar cannot say). Each of them answers with [`Error`]s, which [`render`] shows
//! under the line they are about.

#![forbid(unsafe_code)]

pub mod ast;
pub mod dump;
pub mod error;
mod expect;
mod hint;
mod literal;
mod parse;
mod print;
pub mod render;
mod scan;
pub mod span;
mod tree;

pub use error::{Code, Error};
pub use parse::{
    Limits, parse_condition, parse_condition_within, parse_statement, parse_statement_within, parse_value,
    parse_value_within,
};
