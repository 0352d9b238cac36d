//! Exporters, one module a component, named as in YAML.

pub mod helper;
pub mod otlp;
pub mod prometheus;
