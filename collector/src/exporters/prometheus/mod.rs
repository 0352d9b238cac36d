//! Prometheus: names, families and their text forms.

pub mod model;
pub mod name;
mod number;
pub mod text;
pub mod translate;
mod value_text;
