//! The section, with contrib's keys and defaults, and the keys that only this program has: `ring_version`, `health`.

use std::time::Duration as Span;

use component::Signal;
use serde::Deserialize;

use super::split::RoutingKey;
use crate::cluster::resolver::{self, Source};
use crate::cluster::ring::Version;
use crate::config::{Duration, Problems, optional};
use crate::exporters::helper::config::{Queue, Retry, check_timeout};
use crate::exporters::otlp;

/// The helper's limit of an attempt, which holds in contrib where `timeout` is 0 or absent.
const TIMEOUT: Span = Span::from_secs(5);

/// The section as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    timeout: Duration,
    retry_on_failure: OuterRetry,
    #[serde(deserialize_with = "optional::given")]
    sending_queue: Option<Queue>,
    protocol: Protocol,
    resolver: resolver::Config,
    routing_key: String,
    routing_attributes: Vec<String>,
    ring_version: Version,
    #[serde(deserialize_with = "optional::given")]
    health: Option<Health>,
}

/// `protocol`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Protocol {
    otlp: otlp::Config,
}

/// `retry_on_failure` of the outer layer: off unless `enabled`. Contrib then leaves absent fields at zero, which retries
/// without a pause; here they have the usual defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OuterRetry {
    enabled: bool,
    initial_interval: Duration,
    randomization_factor: f64,
    multiplier: f64,
    max_interval: Duration,
    max_elapsed_time: Duration,
}

impl Default for OuterRetry {
    fn default() -> Self {
        let Retry { initial_interval, randomization_factor, multiplier, max_interval, max_elapsed_time, .. } =
            Retry::default();
        Self { enabled: false, initial_interval, randomization_factor, multiplier, max_interval, max_elapsed_time }
    }
}

/// `health`: backends that do not answer leave the ring until they can be reached again.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Health {
    unhealthy_after: Duration,
    probe_interval: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self { unhealthy_after: Duration::from_secs(5), probe_interval: Duration::from_secs(1) }
    }
}

/// What the exporter is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of one attempt to deliver a share.
    pub timeout: Span,
    /// Outer attempts; each asks the ring anew.
    pub retry: Retry,
    /// Outer queue.
    pub queue: Option<Queue>,
    /// For each backend; the endpoint is replaced.
    pub otlp: otlp::Config,
    /// Who the backends are.
    pub source: Source,
    /// As written; empty is the signal's default.
    pub routing_key: String,
    /// For `routing_key: attributes`.
    pub routing_attributes: Vec<String>,
    /// The ring's layout.
    pub ring_version: Version,
    /// When backends leave the ring, and how often they are probed then.
    pub health: Option<Probing>,
}

/// The `health` section, checked.
#[derive(Clone, Copy, Debug)]
pub struct Probing {
    /// A backend that did not answer for this long leaves the ring.
    pub unhealthy_after: Span,
    /// How often backends are looked at.
    pub interval: Span,
}

impl Config {
    /// Reports every mistake; the settings if there is none of its own.
    pub fn check(&self, path: &str, problems: &mut Problems) -> Option<Settings> {
        check_timeout(self.timeout, path, problems);
        let retry = self.retry_on_failure.retry();
        retry.check(&format!("{path}::retry_on_failure"), problems);
        if let Some(queue) = &self.sending_queue {
            queue.check(&format!("{path}::sending_queue"), problems);
        }
        let mut otlp = self.protocol.otlp.clone();
        // Replaced for each backend; contrib ignores what the user wrote.
        otlp.endpoint = "placeholder:4317".to_owned();
        otlp.check(&format!("{path}::protocol::otlp"), problems);
        if self.routing_key == "attributes" && self.routing_attributes.is_empty() {
            problems.add(path, "routing_attributes must be specified when routing_key is \"attributes\"");
        }
        if self.routing_key != "attributes" && !self.routing_attributes.is_empty() {
            problems.add(
                path,
                format!(
                    "routing_attributes can only be used when routing_key is \"attributes\"; got {:?}. Remove \
                     routing_attributes or set routing_key to \"attributes\"",
                    self.routing_key
                ),
            );
        }
        let known = |signal| RoutingKey::new(signal, &self.routing_key, &[]).is_ok();
        if !known(Signal::Traces) && !known(Signal::Metrics) {
            problems.add(
                format!("{path}::routing_key"),
                format!(
                    "unsupported routing_key: {}; it is one of traceID, service, attributes (traces) or service, \
                     attributes, resource, metric, streamID (metrics)",
                    self.routing_key
                ),
            );
        }
        let health = self.health.as_ref().map(|health| health.check(&format!("{path}::health"), problems));
        let source = self.resolver.source(&format!("{path}::resolver"), problems)?;
        Some(Settings {
            timeout: self.timeout.positive().unwrap_or(TIMEOUT),
            retry,
            queue: self.sending_queue.clone(),
            otlp,
            source,
            routing_key: self.routing_key.clone(),
            routing_attributes: self.routing_attributes.clone(),
            ring_version: self.ring_version,
            health,
        })
    }
}

impl OuterRetry {
    fn retry(&self) -> Retry {
        Retry {
            enabled: self.enabled,
            initial_interval: self.initial_interval,
            randomization_factor: self.randomization_factor,
            multiplier: self.multiplier,
            max_interval: self.max_interval,
            max_elapsed_time: self.max_elapsed_time,
        }
    }
}

impl Health {
    fn check(&self, path: &str, problems: &mut Problems) -> Probing {
        for (key, duration) in [("unhealthy_after", self.unhealthy_after), ("probe_interval", self.probe_interval)] {
            if duration.positive().is_none() {
                problems.add(format!("{path}::{key}"), "must be positive");
            }
        }
        Probing { unhealthy_after: self.unhealthy_after.span(), interval: self.probe_interval.span() }
    }
}
