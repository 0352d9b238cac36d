//! Extensions, one module each, named as in YAML.

pub mod file_storage;
pub mod health_check;
