//! Prometheus: names, families and their text forms.

mod delta;
pub mod model;
pub mod name;
pub mod store;
pub mod text;
pub mod translate;
