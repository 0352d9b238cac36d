//! Processors, one module each, named as in YAML.

pub mod tail_sampling;
