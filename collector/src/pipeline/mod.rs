//! Pipelines: which components connect, the running parts and their order of start and stop.
//!
//! `graph` checks what connects, `build` makes the parts downstream first, `service` starts them in that order
//! (exporters first, receivers last) and stops them the other way round.

mod build;
#[cfg(test)]
pub(crate) mod fakes;
mod fanout;
mod graph;
mod service;

pub use build::{BuildError, Parts, build};
pub use fanout::FanOut;
pub use graph::check;
pub use service::{Service, ServiceError, Settings};

#[cfg(test)]
mod tests;
