//! The section, as typed and as meant. Texts of mistakes are upstream's; all of them are reported, not the first alone.

use std::fmt;

use ::connectors::spanmetrics::{
    Config as Settings, Dimension as CheckedDimension, DimensionEntry, Histogram as HistogramKind, Temporality, Unit,
    check_dimensions, default_bounds,
};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::config::{Duration, Problems, optional};

/// The section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    dimensions: Vec<Dimension>,
    calls_dimensions: Vec<Dimension>,
    exclude_dimensions: Vec<String>,
    histogram: Histogram,
    exemplars: Exemplars,
    events: Events,
    dimensions_cache_size: i64,
    resource_metrics_cache_size: i64,
    resource_metrics_key_attributes: Vec<String>,
    aggregation_temporality: String,
    metrics_flush_interval: Duration,
    metrics_expiration: Duration,
    series_expiration: Duration,
    metric_timestamp_cache_size: Option<i64>,
    namespace: String,
    include_instrumentation_scope: Vec<String>,
    aggregation_cardinality_limit: i64,
    add_resource_attributes: bool,
    enable_metrics_sampling_method: bool,
}

const CUMULATIVE: &str = "AGGREGATION_TEMPORALITY_CUMULATIVE";
const DELTA: &str = "AGGREGATION_TEMPORALITY_DELTA";

impl Default for Config {
    fn default() -> Self {
        Self {
            dimensions: Vec::new(),
            calls_dimensions: Vec::new(),
            exclude_dimensions: Vec::new(),
            histogram: Histogram::default(),
            exemplars: Exemplars::default(),
            events: Events::default(),
            dimensions_cache_size: 0,
            resource_metrics_cache_size: 1000,
            resource_metrics_key_attributes: Vec::new(),
            aggregation_temporality: CUMULATIVE.to_owned(),
            metrics_flush_interval: Duration::from_secs(60),
            metrics_expiration: Duration::default(),
            series_expiration: Duration::default(),
            metric_timestamp_cache_size: None,
            namespace: "traces.span.metrics".to_owned(),
            include_instrumentation_scope: Vec::new(),
            aggregation_cardinality_limit: 0,
            add_resource_attributes: false,
            enable_metrics_sampling_method: false,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Dimension {
    name: String,
    default: Option<String>,
    glob: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Histogram {
    disable: bool,
    unit: UnitName,
    #[serde(deserialize_with = "optional::unless_given")]
    explicit: Option<Explicit>,
    #[serde(deserialize_with = "optional::unless_given")]
    exponential: Option<Exponential>,
    dimensions: Vec<Dimension>,
}

/// `ms` or `s` in any letter case.
#[derive(Clone, Copy, Debug)]
struct UnitName(Unit);

impl Default for UnitName {
    fn default() -> Self {
        Self(Unit::Milliseconds)
    }
}

impl<'de> Deserialize<'de> for UnitName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = UnitName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"ms\" or \"s\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<UnitName, E> {
                match text.to_ascii_lowercase().as_str() {
                    "ms" => Ok(UnitName(Unit::Milliseconds)),
                    "s" => Ok(UnitName(Unit::Seconds)),
                    other => Err(E::custom(format_args!("unknown Unit {other:?}, allowed units are \"ms\" and \"s\""))),
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Explicit {
    buckets: Option<Vec<Duration>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Exponential {
    max_size: i32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Exemplars {
    enabled: bool,
    max_per_data_point: i64,
}

impl Default for Exemplars {
    fn default() -> Self {
        Self { enabled: false, max_per_data_point: 5 }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Events {
    enabled: bool,
    dimensions: Vec<Dimension>,
}

impl Config {
    /// What the connector is told; `None` if a mistake was reported.
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<Settings> {
        let before = problems.list().len();
        let mut list = |label: &str, dimensions: &[Dimension]| {
            checked(dimensions).unwrap_or_else(|mistakes| {
                for mistake in mistakes {
                    problems.add(path, format!("failed validating {label} {mistake}"));
                }
                Vec::new()
            })
        };
        let dimensions = list("dimensions:", &self.dimensions);
        let calls_dimensions = list("calls dimensions:", &self.calls_dimensions);
        let duration_dimensions = list("histogram dimensions:", &self.histogram.dimensions);
        // Upstream does not look at them while events are off.
        let event_dimensions = self.events.enabled.then(|| list("event dimensions:", &self.events.dimensions));
        if self.events.enabled && self.events.dimensions.is_empty() {
            problems.add(path, "failed validating event dimensions: no dimensions configured for events");
        }
        let histogram = self.histogram();
        if self.histogram.explicit.is_some() && self.histogram.exponential.is_some() {
            problems.add(path, "use either `explicit` or `exponential` buckets histogram");
        }
        self.check_numbers(path, problems);
        let temporality = match self.aggregation_temporality.as_str() {
            DELTA => Temporality::Delta,
            CUMULATIVE | "" => Temporality::Cumulative,
            other => {
                // Upstream takes any other text for cumulative, a misspelt delta too.
                let message =
                    format!("unknown aggregation_temporality {other:?}, allowed are {CUMULATIVE} and {DELTA}");
                problems.add(format!("{path}::aggregation_temporality"), message);
                Temporality::Cumulative
            }
        };
        let timestamp_cache_size = self.metric_timestamp_cache_size.unwrap_or(1000);
        if temporality == Temporality::Delta && timestamp_cache_size <= 0 {
            let message = format!(
                "invalid delta timestamp cache size: {timestamp_cache_size}, \
                 the maximum number of the items in the cache should be positive"
            );
            problems.add(path, message);
        }
        let nanos = |duration: Duration| u64::try_from(duration.nanos()).unwrap_or(0);
        (problems.list().len() == before).then(|| Settings {
            dimensions,
            calls_dimensions,
            duration_dimensions,
            event_dimensions,
            exclude_dimensions: self.exclude_dimensions.clone(),
            histogram,
            unit: self.histogram.unit.0,
            exemplars: self.exemplars.enabled.then_some(size(self.exemplars.max_per_data_point)),
            resource_cache_size: size(self.resource_metrics_cache_size),
            resource_key_attributes: self.resource_metrics_key_attributes.clone(),
            temporality,
            metrics_expiration_nano: nanos(self.metrics_expiration),
            series_expiration_nano: nanos(self.series_expiration),
            timestamp_cache_size: size(timestamp_cache_size),
            namespace: self.namespace.clone(),
            include_scopes: self.include_instrumentation_scope.clone(),
            cardinality_limit: size(self.aggregation_cardinality_limit),
            sampling_method: self.enable_metrics_sampling_method,
            ..Settings::default()
        })
    }

    fn check_numbers(&self, path: &str, problems: &mut Problems) {
        let durations = [
            // Zero passes upstream's validation and then crashes it.
            ("metrics_flush_interval", self.metrics_flush_interval, self.metrics_flush_interval.is_zero()),
            ("metrics_expiration", self.metrics_expiration, false),
            ("series_expiration", self.series_expiration, false),
        ];
        for (key, value, refused) in durations {
            if value.is_negative() || refused {
                problems.add(path, format!("invalid {key}: {value}, the duration should be positive"));
            }
        }
        if self.resource_metrics_cache_size <= 0 {
            // Upstream says so only when it starts.
            problems.add(format!("{path}::resource_metrics_cache_size"), "must provide a positive size");
        }
        let limit = self.aggregation_cardinality_limit;
        if limit < 0 {
            problems.add(path, format!("invalid aggregation_cardinality_limit: {limit}, the limit should be positive"));
        }
        let most = self.exemplars.max_per_data_point;
        if self.exemplars.enabled && most < 0 {
            problems.add(path, format!("invalid max_per_data_point: {most}, the value should be positive"));
        }
    }

    fn histogram(&self) -> HistogramKind {
        let unit = self.histogram.unit.0;
        if self.histogram.disable {
            return HistogramKind::Disabled;
        }
        if let Some(Exponential { max_size }) = self.histogram.exponential {
            return HistogramKind::Exponential { max_size: if max_size == 0 { 160 } else { max_size } };
        }
        let Some(explicit) = &self.histogram.explicit else {
            return HistogramKind::Explicit { bounds: default_bounds(unit) };
        };
        let buckets = explicit.buckets.as_deref().unwrap_or_default();
        let mut bounds: Vec<f64> = buckets.iter().map(|bound| bound.nanos() as f64 / unit.nanos()).collect();
        // Upstream searches the list as written, and miscounts where it is not ascending.
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        HistogramKind::Explicit { bounds }
    }

    /// Time between flushes.
    pub(super) fn flush_interval(&self) -> std::time::Duration {
        self.metrics_flush_interval.span()
    }

    /// What has no effect, for the log.
    pub(super) fn remarks(&self) -> Vec<String> {
        const BUILT_IN: [&str; 5] = ["service.name", "span.name", "span.kind", "status.code", "collector.instance.id"];
        let mut remarks = Vec::new();
        if self.dimensions_cache_size != 0 {
            remarks.push(
                "dimensions_cache_size is deprecated and has no effect, use aggregation_cardinality_limit instead"
                    .to_owned(),
            );
        }
        let unknown = self.exclude_dimensions.iter().filter(|name| !BUILT_IN.contains(&name.as_str()));
        remarks.extend(unknown.map(|name| format!("exclude_dimensions: {name:?} is no built-in dimension")));
        remarks
    }
}

fn checked(dimensions: &[Dimension]) -> Result<Vec<CheckedDimension>, Vec<String>> {
    let entries: Vec<_> = dimensions
        .iter()
        .map(|Dimension { name, default, glob }| DimensionEntry {
            name: name.clone(),
            default: default.clone(),
            glob: glob.clone(),
        })
        .collect();
    check_dimensions(&entries, true)
}

/// A count that was checked to be positive.
fn size(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}
