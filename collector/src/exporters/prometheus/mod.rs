//! Prometheus: names, families and their text forms.

pub mod model;
pub mod name;
pub mod text;
pub mod translate;
