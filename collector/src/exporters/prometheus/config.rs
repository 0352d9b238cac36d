//! The `prometheus` exporter's section.
//!
//! Keys of the HTTP server that only concern request bodies are accepted: a scrape has none. What would change the outcome
//! and is not done is refused with its key.

use std::collections::BTreeMap;
use std::time::Duration as Span;

use serde::Deserialize;

use super::name::Strategy;
use super::translate::{ResourceLabels, Target, Translator};
use crate::config::{Duration, Problems};
use crate::net::http_server::{Defaults, Served};

/// The section; the server is where the page is. Its endpoint is required.
pub type Config = Served<Own>;

/// Of the server's section.
pub(super) const DEFAULTS: Defaults = Defaults {
    endpoint: "",
    read_header_timeout: Span::from_secs(60),
    idle_timeout: Span::from_secs(60),
    keep_alives: true,
    has_bodies: false,
};

/// The exporter's own keys.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    sending_queue: Queue,
    namespace: String,
    const_labels: BTreeMap<String, String>,
    send_timestamps: bool,
    metric_expiration: Duration,
    resource_to_telemetry_conversion: Option<Conversion>,
    resource_constant_labels: Option<ConstantLabels>,
    enable_open_metrics: bool,
    without_scope_info: bool,
    // Deprecated: upstream ignores it unless a feature gate is turned off.
    add_metric_suffixes: bool,
    translation_strategy: String,
}

impl Default for Own {
    fn default() -> Self {
        Self {
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
        if self.server.endpoint(&DEFAULTS).trim().is_empty() {
            problems.add(
                format!("{path}::endpoint"),
                "expecting a non-blank address to run the Prometheus metrics handler",
            );
        } else if let Err(error) = self.server.place(&DEFAULTS) {
            problems.add(format!("{path}::endpoint"), error);
        }
        self.server.check(path, problems);
        self.server.refuse_cors(path, problems);
        if self.own.sending_queue.enabled {
            problems.add(format!("{path}::sending_queue"), "a sending queue is not supported: nothing is sent");
        }
        if self.strategy().is_none() {
            problems.add(path, format!("invalid translation_strategy: {}", self.own.translation_strategy));
        }
        if self.own.metric_expiration <= Duration::default() {
            // Upstream accepts it and shows an empty page for ever.
            problems.add(format!("{path}::metric_expiration"), "must be positive: nothing would ever be shown");
        }
        for name in self.own.const_labels.keys() {
            if name.is_empty() || name.starts_with("__") {
                // Upstream drops every metric at every scrape.
                problems.add(format!("{path}::const_labels"), format!("{name:?} is not a valid label name"));
            }
        }
        if self.own.resource_to_telemetry_conversion.is_some() && self.own.resource_constant_labels.is_some() {
            problems.add(path, "resource_to_telemetry_conversion and resource_constant_labels cannot be used together");
        }
    }

    /// Whether clients that ask get OpenMetrics.
    #[must_use]
    pub fn enable_open_metrics(&self) -> bool {
        self.own.enable_open_metrics
    }

    /// How long a series stays without an update.
    #[must_use]
    pub fn expiration(&self) -> std::time::Duration {
        self.own.metric_expiration.span()
    }

    fn strategy(&self) -> Option<Strategy> {
        let (escape, suffixes) = match self.own.translation_strategy.as_str() {
            "" | "UnderscoreEscapingWithSuffixes" => (true, true),
            "UnderscoreEscapingWithoutSuffixes" => (true, false),
            "NoUTF8EscapingWithSuffixes" => (false, true),
            "NoTranslation" => (false, false),
            _ => return None,
        };
        Some(Strategy { namespace: self.own.namespace.clone(), escape, unit_suffix: suffixes, type_suffix: suffixes })
    }

    fn resource_labels(&self) -> ResourceLabels {
        match (&self.own.resource_constant_labels, &self.own.resource_to_telemetry_conversion) {
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
            scope_labels: !self.own.without_scope_info,
            const_labels: self.own.const_labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            resource_labels: self.resource_labels(),
            target: Target::JobInstance,
            timestamps: self.own.send_timestamps,
        })
    }

    /// What is deprecated or has no effect, for the log.
    #[must_use]
    pub fn remarks(&self) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if self.own.resource_to_telemetry_conversion.is_some() {
            remarks.push("resource_to_telemetry_conversion is deprecated, use resource_constant_labels instead");
        }
        if !self.own.add_metric_suffixes {
            remarks.push("add_metric_suffixes is deprecated and has no effect, use translation_strategy instead");
        }
        remarks
    }
}
