//! Processors, one module each, named as in YAML.

pub mod batch;
pub mod filter;
pub mod helper;
pub mod k8sattributes;
pub mod memory_limiter;
pub mod tail_sampling;
