//! The `prometheus` exporter's section.
//!
//! Keys of Go's HTTP server that only concern request bodies (`max_request_body_size`, `compression_algorithms`) are
//! accepted: a scrape has none. What would change the outcome and is not done is refused with its key.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::name::Strategy;
use super::translate::{ResourceLabels, Target, Translator};
use crate::config::{Duration, Problems, Secret, optional};
use crate::net::listen::{Place, Transport};
use crate::net::tls;

/// The section.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Required.
    pub endpoint: String,
    transport: Transport,
    /// TLS; none is plain text.
    #[serde(deserialize_with = "optional::unless_given")]
    pub tls: Option<tls::Server>,
    /// Added to every response.
    pub response_headers: BTreeMap<String, Secret>,
    read_timeout: Duration,
    read_header_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Duration,
    /// Whether a connection serves more than one scrape.
    pub keep_alives_enabled: bool,
    max_request_body_size: i64,
    compression_algorithms: Option<Vec<String>>,
    cors: Option<IgnoredAny>,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
    include_metadata: bool,
    sending_queue: Queue,

    namespace: String,
    const_labels: BTreeMap<String, String>,
    send_timestamps: bool,
    metric_expiration: Duration,
    resource_to_telemetry_conversion: Option<Conversion>,
    resource_constant_labels: Option<ConstantLabels>,
    /// Whether clients that ask get OpenMetrics.
    pub enable_open_metrics: bool,
    without_scope_info: bool,
    // Deprecated: upstream ignores it unless a feature gate is turned off.
    add_metric_suffixes: bool,
    translation_strategy: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            transport: Transport::Tcp,
            tls: None,
            response_headers: BTreeMap::new(),
            read_timeout: Duration::default(),
            read_header_timeout: Duration::from_secs(60),
            write_timeout: Duration::default(),
            idle_timeout: Duration::from_secs(60),
            keep_alives_enabled: true,
            max_request_body_size: 0,
            compression_algorithms: None,
            cors: None,
            auth: None,
            middlewares: None,
            include_metadata: false,
            sending_queue: Queue::default(),
            namespace: String::new(),
            const_labels: BTreeMap::new(),
            send_timestamps: false,
            metric_expiration: Duration::from_secs(300),
            resource_to_telemetry_conversion: None,
            resource_constant_labels: None,
            enable_open_metrics: false,
            without_scope_info: false,
            add_metric_suffixes: true,
            translation_strategy: String::new(),
        }
    }
}

/// Off, as upstream's default has it; turning it on is refused: nothing is sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Queue {
    enabled: bool,
}

/// `resource_to_telemetry_conversion`, deprecated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Conversion {
    enabled: bool,
    exclude_service_attributes: bool,
}

/// `resource_constant_labels`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConstantLabels {
    included: Vec<String>,
    excluded: Vec<String>,
}

impl Config {
    /// Reports every mistake, with upstream's texts where it has one.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if self.endpoint.trim().is_empty() {
            problems.add(
                format!("{path}::endpoint"),
                "expecting a non-blank address to run the Prometheus metrics handler",
            );
        } else if let Err(error) = self.place() {
            problems.add(format!("{path}::endpoint"), error);
        }
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        for (name, value) in &self.response_headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err()
                || http::HeaderValue::from_str(value.reveal()).is_err()
            {
                problems.add(format!("{path}::response_headers::{name}"), "not a valid header");
            }
        }
        self.check_unsupported(path, problems);
        if self.strategy().is_none() {
            problems.add(path, format!("invalid translation_strategy: {}", self.translation_strategy));
        }
        if self.metric_expiration <= Duration::default() {
            // Upstream accepts it and shows an empty page for ever.
            problems.add(format!("{path}::metric_expiration"), "must be positive: nothing would ever be shown");
        }
        for name in self.const_labels.keys() {
            if name.is_empty() || name.starts_with("__") {
                // Upstream drops every metric at every scrape.
                problems.add(format!("{path}::const_labels"), format!("{name:?} is not a valid label name"));
            }
        }
        if self.resource_to_telemetry_conversion.is_some() && self.resource_constant_labels.is_some() {
            problems.add(path, "resource_to_telemetry_conversion and resource_constant_labels cannot be used together");
        }
    }

    fn check_unsupported(&self, path: &str, problems: &mut Problems) {
        let durations = [
            ("read_timeout", self.read_timeout),
            ("read_header_timeout", self.read_header_timeout),
            ("write_timeout", self.write_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        for (key, value) in durations {
            if value.is_negative() {
                problems.add(format!("{path}::{key}"), "must not be negative");
            }
        }
        if !self.write_timeout.is_zero() {
            problems.add(format!("{path}::write_timeout"), "write_timeout is not supported");
        }
        let refused = [
            ("cors", self.cors.is_some(), "cross-origin requests are not supported"),
            ("auth", self.auth.is_some(), "server authentication is not supported"),
            ("middlewares", self.middlewares.is_some(), "middlewares are not supported"),
            ("include_metadata", self.include_metadata, "client metadata is not supported: nothing here reads it"),
            ("sending_queue", self.sending_queue.enabled, "a sending queue is not supported: nothing is sent"),
        ];
        for (key, given, reason) in refused {
            if given {
                problems.add(format!("{path}::{key}"), reason);
            }
        }
    }

    /// Where to listen.
    pub fn place(&self) -> Result<Place, String> {
        Place::parse(self.transport, self.endpoint.trim())
    }

    /// How long a client may take to send a request's head. The whole request is its head here.
    #[must_use]
    pub fn head_timeout(&self) -> Option<std::time::Duration> {
        self.read_header_timeout.positive().into_iter().chain(self.read_timeout.positive()).min()
    }

    /// How long an idle connection stays.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<std::time::Duration> {
        self.idle_timeout.positive()
    }

    /// How long a series stays without an update.
    #[must_use]
    pub fn expiration(&self) -> std::time::Duration {
        self.metric_expiration.span()
    }

    fn strategy(&self) -> Option<Strategy> {
        let (escape, suffixes) = match self.translation_strategy.as_str() {
            "" | "UnderscoreEscapingWithSuffixes" => (true, true),
            "UnderscoreEscapingWithoutSuffixes" => (true, false),
            "NoUTF8EscapingWithSuffixes" => (false, true),
            "NoTranslation" => (false, false),
            _ => return None,
        };
        Some(Strategy { namespace: self.namespace.clone(), escape, unit_suffix: suffixes, type_suffix: suffixes })
    }

    fn resource_labels(&self) -> ResourceLabels {
        match (&self.resource_constant_labels, &self.resource_to_telemetry_conversion) {
            (Some(labels), _) => {
                ResourceLabels::Patterns { included: labels.included.clone(), excluded: labels.excluded.clone() }
            }
            (None, Some(Conversion { enabled: true, exclude_service_attributes })) => {
                ResourceLabels::All { except_service: *exclude_service_attributes }
            }
            _ => ResourceLabels::None,
        }
    }

    /// How points become samples; `None` only for a configuration that [`Config::check`] refuses.
    #[must_use]
    pub fn translator(&self) -> Option<Translator> {
        Some(Translator {
            names: self.strategy()?,
            scope_labels: !self.without_scope_info,
            const_labels: self.const_labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            resource_labels: self.resource_labels(),
            target: Target::JobInstance,
            timestamps: self.send_timestamps,
        })
    }

    /// What is deprecated or has no effect, for the log.
    #[must_use]
    pub fn remarks(&self) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if self.resource_to_telemetry_conversion.is_some() {
            remarks.push("resource_to_telemetry_conversion is deprecated, use resource_constant_labels instead");
        }
        if !self.add_metric_suffixes {
            remarks.push("add_metric_suffixes is deprecated and has no effect, use translation_strategy instead");
        }
        remarks
    }
}
