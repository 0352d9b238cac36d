//! Configuration in collector YAML: sources, expansion, merging, decoding, and errors with key paths.

mod duration;
mod section;

pub use duration::{Duration, DurationError};
pub use section::{Problem, Problems, Section};
