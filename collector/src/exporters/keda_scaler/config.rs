//! The `keda_scaler` exporter's section.

use serde::Deserialize;

use super::store::Limits;
use crate::config::{Duration, Problems, optional};
use crate::net::listen::{Place, Transport};
use crate::net::tls;

/// The section.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where KEDA finds the scaler. Required.
    pub endpoint: String,
    transport: Transport,
    /// TLS; none is plain text.
    #[serde(deserialize_with = "optional::unless_given")]
    pub tls: Option<tls::Server>,
    /// How far back samples are kept; no query may look further.
    history: Duration,
    /// What the operations over time of the otel-add-on's grammar look at.
    add_on_window: Duration,
    /// A series without a sample for longer is gone; 0 takes three of its own intervals, at least 15 s.
    stale_after: Duration,
    /// Series kept; points of further ones are dropped and counted.
    max_series: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            transport: Transport::Tcp,
            tls: None,
            history: Duration::from_secs(300),
            add_on_window: Duration::from_secs(120),
            stale_after: Duration::default(),
            max_series: 50_000,
        }
    }
}

impl Config {
    /// Where to listen.
    pub fn place(&self) -> Result<Place, String> {
        Place::parse(self.transport, &self.endpoint)
    }

    /// What is kept for how long.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            history: self.history.nanos(),
            add_on_window: self.add_on_window.nanos(),
            stale_after: Some(self.stale_after.nanos()).filter(|nanos| *nanos > 0),
            max_series: self.max_series,
        }
    }

    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if self.endpoint.is_empty() {
            problems.add(path, "expecting a non-blank address to serve KEDA on: `endpoint`");
        } else if let Err(error) = self.place() {
            problems.add(format!("{path}::endpoint"), error);
        }
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        if self.history < Duration::from_secs(1) || self.history > Duration::from_secs(86_400) {
            problems.add(format!("{path}::history"), "must be from 1s to 24h");
        }
        if self.add_on_window <= Duration::default() || self.add_on_window > self.history {
            problems.add(format!("{path}::add_on_window"), "must be above 0 and not longer than `history`");
        }
        if self.stale_after.is_negative() {
            problems.add(format!("{path}::stale_after"), "must not be negative");
        }
        if self.max_series == 0 {
            problems.add(format!("{path}::max_series"), "must be above 0");
        }
    }
}
