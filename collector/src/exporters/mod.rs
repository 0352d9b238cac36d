//! Exporters, one module a component, named as in YAML.

pub mod prometheus;
