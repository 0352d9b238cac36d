//! Configuration in collector YAML: sources, expansion, merging, decoding, and errors with key paths.

mod advice;
mod collector;
mod decode;
mod document;
mod duration;
mod expand;
mod headers;
mod joined;
mod load;
mod merge;
pub mod metric_readers;
pub(crate) mod nearest;
mod node;
pub mod optional;
mod report;
mod resolve;
mod secret;
mod section;
pub mod service_telemetry;
mod source;
mod yaml;

pub use collector::{Component, Config, Pipeline, Service};
pub use document::Document;
pub use duration::{Duration, DurationError};
pub use headers::Headers;
pub use joined::Joined;
pub use load::{LoadError, Loaded, load};
pub(crate) use nearest::hint;
pub use node::Node;
pub use report::Report;
pub use resolve::{Origins, Place, ResolveError, Resolved, resolve};
pub use secret::{REDACTED, Secret};
pub use section::{Problem, Problems, Section, Stage};
pub use source::{Outside, PROVIDERS, Process, Remark, set_to_uri};
pub use yaml::{Position, YamlError};
