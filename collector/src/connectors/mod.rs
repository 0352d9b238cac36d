//! Connectors as running parts, one module a component, named as in YAML. What they compute is in package `connectors`.

pub mod forward;
pub mod spanmetrics;
