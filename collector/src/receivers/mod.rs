//! Receivers, named as in YAML.

pub mod otlp;
