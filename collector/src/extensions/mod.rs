//! Extensions, one module each, named as in YAML.

pub mod health_check;
