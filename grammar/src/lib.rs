//! OTTL text to syntax tree.
//!
//! This crate never names a span, an attribute or a type of telemetry. It returns a tree with positions and never
//! panics on any input. What a name means is decided in `ottl`.

#![forbid(unsafe_code)]

pub mod ast;
pub mod span;
