//! Configuration in collector YAML: sources, expansion, merging, decoding, and errors with key paths.

mod section;

pub use section::{Problem, Problems, Section};
