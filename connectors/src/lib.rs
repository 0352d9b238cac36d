//! Connectors as pure state machines: time and batches are arguments, metrics are results.
//!
//! Nothing here spawns, sleeps, logs or reads a clock; the collector package wraps these into running parts.

#![forbid(unsafe_code)]

pub mod spanmetrics;
