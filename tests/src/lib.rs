//! What end-to-end cases are made of: the collector as a process, a backend that remembers, clients, a scraper.
//!
//! Nothing here waits for a fixed time: every wait is for a condition, with a bound. Every case takes free loopback
//! ports and a directory of its own.

#![allow(clippy::disallowed_methods, reason = "end-to-end runs happen in real time")]

pub mod api_server;
pub mod backend;
pub mod client;
pub mod collector;
pub mod k8s_beside_go;
pub mod kill;
pub mod port;
pub mod scrape;
pub mod wait;

pub use api_server::ApiServer;
pub use backend::Backend;
pub use collector::Collector;

/// Why a case failed: a sentence for a person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The outcome of a case or a step.
pub type Outcome<T = ()> = Result<T, Failure>;

/// A failure unless `holds`; the text is made only then.
pub fn check(holds: bool, text: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure(text())) }
}
