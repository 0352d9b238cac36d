//! Configuration in collector YAML: sources, expansion, merging, decoding, and errors with key paths.

mod decode;
mod duration;
mod nearest;
mod node;
pub mod optional;
mod secret;
mod section;
mod yaml;

pub use duration::{Duration, DurationError};
pub use node::Node;
pub use secret::{REDACTED, Secret};
pub use section::{Problem, Problems, Section, Stage};
pub use yaml::{Position, YamlError};
