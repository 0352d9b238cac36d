//! Metrics of the whole tier as series with names and labels, as PromQL knows them.
//!
//! A family is kept under its OTLP name with everything but letters, digits and `_` turned into `_`, and found under
//! Prometheus' names for it too (`_total`, units). Labels are a point's attributes and its resource's, and `job` and
//! `instance`; the point's win. Bounds: series, samples of each, bytes of labels. Time is an argument.

use component::telemetry::Definition;
use hashbrown::HashMap;
use pdata::Metrics;
use pdata::metrics::{
    AggregationTemporality, Attributes, Metric, MetricData, NumberPoint, NumberValue, ResourceMetrics, Value,
};

use super::series::{Incoming, Labels, Nanos, Series};
use crate::exporters::prometheus::model::Kind;
use crate::exporters::prometheus::name::Strategy;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A point's own time is believed if it is this close to the time of its arrival.
const MAX_SKEW: Nanos = 30_000_000_000;
/// Bytes of labels that a series may have.
const MAX_LABEL_BYTES: usize = 8 << 10;
/// OTLP's flag for "no recorded value".
const NO_VALUE: u32 = 1;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) history: Nanos,
    pub(super) add_on_window: Nanos,
    pub(super) stale_after: Option<Nanos>,
    pub(super) max_series: usize,
}

/// See the module.
pub(super) struct Store {
    pub(super) limits: Limits,
    families: Map<String, Family>,
    /// Other names of families.
    aliases: Map<String, String>,
    n_series: usize,
    /// When expired series were looked for last.
    swept: Nanos,
}

/// The series of one metric name.
#[derive(Default)]
pub(super) struct Family {
    /// By labels and instrumentation scope.
    series: Map<(Labels, String), Series>,
}

impl Family {
    pub(super) fn series(&self) -> impl Iterator<Item = (&Labels, &Series)> {
        self.series.iter().map(|((labels, _), series)| (labels, series))
    }
}

/// What the points of one metric have in common.
struct Origin<'a> {
    resource: &'a [(String, String)],
    scope: &'a str,
    now: Nanos,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Points dropped because of `max_series` or too many bytes of labels.
    pub(super) dropped: u64,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, families: Map::default(), aliases: Map::default(), n_series: 0, swept: 0 }
    }

    /// Series kept.
    pub(super) fn len(&self) -> usize {
        self.n_series
    }

    /// The family of a name in any of its forms.
    pub(super) fn family(&self, name: &str) -> Option<&Family> {
        self.families.get(name).or_else(|| self.families.get(self.aliases.get(name)?))
    }

    /// All families with their names.
    pub(super) fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.families.iter().map(|(name, family)| (name.as_str(), family))
    }

    /// Takes a batch.
    pub(super) fn accept(&mut self, batch: &Metrics, now: Nanos) -> Accepted {
        if now - self.swept > self.limits.history / 10 {
            self.sweep(now);
        }
        let mut accepted = Accepted::default();
        for resource in &batch.resource_metrics {
            self.accept_resource(resource, now, &mut accepted);
        }
        accepted
    }

    /// Forgets series that have no sample within the history.
    fn sweep(&mut self, now: Nanos) {
        let oldest = now - self.limits.history;
        for family in self.families.values_mut() {
            family.series.retain(|_, series| series.updated().is_some_and(|at| at >= oldest));
        }
        self.families.retain(|_, family| !family.series.is_empty());
        let families = &self.families;
        self.aliases.retain(|_, name| families.contains_key(name));
        self.n_series = self.families.values().map(|family| family.series.len()).sum();
        self.swept = now;
    }

    fn accept_resource(&mut self, resource: &ResourceMetrics, now: Nanos, accepted: &mut Accepted) {
        let labels = resource_labels(&resource.attributes);
        for scope in &resource.scope_metrics {
            let origin = Origin { resource: &labels, scope: &scope.scope.name, now };
            for metric in &scope.metrics {
                self.accept_metric(&origin, metric, accepted);
            }
        }
    }

    fn accept_metric(&mut self, origin: &Origin<'_>, metric: &Metric, accepted: &mut Accepted) {
        let mut put = |suffix: &str, kind: Kind, point: Point<'_>| {
            if !self.put(origin, metric, suffix, kind, &point) {
                accepted.dropped += 1;
            }
        };
        let is_delta = |temporality: &AggregationTemporality| *temporality == AggregationTemporality::Delta;
        match &metric.data {
            MetricData::Gauge { points } => {
                for point in points {
                    put("", Kind::Gauge, Reading::of_number(point, false).value(as_double(point.value)));
                }
            }
            MetricData::Sum { points, temporality, monotonic } => {
                let kind = if *monotonic { Kind::Counter } else { Kind::Gauge };
                for point in points {
                    put("", kind, Reading::of_number(point, is_delta(temporality)).value(as_double(point.value)));
                }
            }
            MetricData::Histogram { points, temporality } => {
                for point in points {
                    let (at, start) = (point.time_unix_nano, point.start_unix_nano);
                    let reading = Reading::new(&point.attributes, at, start, point.flags, is_delta(temporality));
                    put_totals(&mut put, Kind::Histogram, reading, point.count, point.sum);
                    let mut below = 0;
                    let bounds = point.explicit_bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                    for (count, bound) in point.bucket_counts.iter().zip(bounds) {
                        below += count;
                        put("_bucket", Kind::Histogram, reading.value(below as f64).bucket(bound));
                    }
                }
            }
            MetricData::ExponentialHistogram { points, temporality } => {
                for point in points {
                    let (at, start) = (point.time_unix_nano, point.start_unix_nano);
                    let reading = Reading::new(&point.attributes, at, start, point.flags, is_delta(temporality));
                    put_totals(&mut put, Kind::Histogram, reading, point.count, point.sum);
                }
            }
            MetricData::Summary { points } => {
                for point in points {
                    let (at, start) = (point.time_unix_nano, point.start_unix_nano);
                    let reading = Reading::new(&point.attributes, at, start, point.flags, false);
                    put_totals(&mut put, Kind::Summary, reading, point.count, Some(point.sum));
                }
            }
            MetricData::Empty => {}
        }
    }

    /// False if there is no room.
    fn put(&mut self, origin: &Origin<'_>, metric: &Metric, suffix: &str, kind: Kind, point: &Point<'_>) -> bool {
        let Some(labels) = point.labels(origin.resource) else { return false };
        let name = normal(&metric.name) + suffix;
        if !self.families.contains_key(&name) {
            if self.n_series >= self.limits.max_series {
                return false;
            }
            self.add_aliases(&name, metric, suffix, kind);
        }
        let family = self.families.entry(name).or_default();
        let key = (labels, origin.scope.to_owned());
        let series = match family.series.entry(key) {
            hashbrown::hash_map::Entry::Occupied(series) => series.into_mut(),
            hashbrown::hash_map::Entry::Vacant(_) if self.n_series >= self.limits.max_series => return false,
            hashbrown::hash_map::Entry::Vacant(place) => {
                self.n_series += 1;
                place.insert(Series::default())
            }
        };
        series.push(point.incoming(origin.now), self.limits.history);
        true
    }

    /// Prometheus' names of a metric, and the name without the `_total` that it came with.
    fn add_aliases(&mut self, name: &str, metric: &Metric, suffix: &str, kind: Kind) {
        let strategy =
            |unit_suffix, type_suffix| Strategy { namespace: String::new(), escape: true, unit_suffix, type_suffix };
        let forms = [strategy(false, true), strategy(true, false), strategy(true, true)];
        let named = forms.iter().filter_map(|form| form.metric(&metric.name, &metric.unit, kind).ok());
        let short = name.strip_suffix("_total").map(str::to_owned);
        for alias in named.map(|named| named + suffix).chain(short) {
            if alias != name {
                self.aliases.entry(alias).or_insert_with(|| name.to_owned());
            }
        }
    }
}

/// What all series of one point have in common.
#[derive(Clone, Copy)]
struct Reading<'a> {
    attributes: &'a Attributes,
    at: u64,
    start: u64,
    delta: bool,
    ended: bool,
}

impl<'a> Reading<'a> {
    fn new(attributes: &'a Attributes, at: u64, start: u64, flags: u32, delta: bool) -> Self {
        Self { attributes, at, start, delta, ended: flags & NO_VALUE != 0 }
    }

    fn of_number(point: &'a NumberPoint, delta: bool) -> Self {
        Self::new(&point.attributes, point.time_unix_nano, point.start_unix_nano, point.flags, delta)
    }

    fn value(self, value: f64) -> Point<'a> {
        Point { reading: self, value, bucket: None }
    }
}

/// Count and sum of a histogram or summary.
fn put_totals(
    put: &mut impl FnMut(&str, Kind, Point<'_>),
    kind: Kind,
    reading: Reading<'_>,
    count: u64,
    sum: Option<f64>,
) {
    put("_count", kind, reading.value(count as f64));
    if let Some(sum) = sum {
        put("_sum", kind, reading.value(sum));
    }
}

/// A sample on its way in.
struct Point<'a> {
    reading: Reading<'a>,
    value: f64,
    bucket: Option<String>,
}

impl Point<'_> {
    fn bucket(self, bound: String) -> Self {
        Self { bucket: Some(bound), ..self }
    }

    /// Nothing if they take too much room.
    fn labels(&self, resource: &[(String, String)]) -> Option<Labels> {
        let mut all: Vec<(String, String)> = self.bucket.iter().map(|bound| ("le".to_owned(), bound.clone())).collect();
        push_labels(&mut all, self.reading.attributes);
        for (name, value) in resource {
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name.clone(), value.clone()));
            }
        }
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_LABEL_BYTES {
            return None;
        }
        all.sort_unstable();
        Some(Labels(all))
    }

    /// Points are placed at their own time, which is when the value was read; a clock that is off by more than
    /// [`MAX_SKEW`] is not believed.
    fn incoming(&self, now: Nanos) -> Incoming {
        let nanos = |unsigned: u64| Nanos::try_from(unsigned).unwrap_or(Nanos::MAX);
        let Reading { at, start, delta, ended, .. } = self.reading;
        let at = Some(nanos(at)).filter(|at| at.abs_diff(now) <= MAX_SKEW.unsigned_abs());
        // With a clock of its own the start says nothing about our times.
        let start = if at.is_some() { nanos(start) } else { 0 };
        Incoming { at: at.unwrap_or(now), start, value: self.value, delta, ended }
    }
}

fn as_double(value: NumberValue) -> f64 {
    match value {
        NumberValue::Int(int) => int as f64,
        NumberValue::Double(double) => double,
    }
}

/// Letters, digits and `_`; a name does not begin with a digit.
fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }));
    out
}

/// Adds what can be a label; the first of equal names stays.
fn push_labels(out: &mut Vec<(String, String)>, attributes: &Attributes) {
    for (key, value) in attributes {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Bool(bool) => bool.to_string(),
            Value::Int(int) => int.to_string(),
            Value::Double(double) => double.to_string(),
            Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => continue,
        };
        let name = normal(key).replace(':', "_");
        if !value.is_empty() && !out.iter().any(|(known, _)| *known == name) {
            out.push((name, value));
        }
    }
}

/// A resource's labels: its attributes, and what Prometheus makes of a service's identity.
fn resource_labels(attributes: &Attributes) -> Vec<(String, String)> {
    let mut out = Vec::new();
    push_labels(&mut out, attributes);
    let get = |name: &str| out.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let job = match (get("service_namespace"), get("service_name")) {
        (Some(namespace), Some(service)) => Some(format!("{namespace}/{service}")),
        (None, service) => service,
        (Some(_), None) => None,
    };
    let made = [("job", job), ("instance", get("service_instance_id"))];
    let missing = made.into_iter().filter(|(name, _)| get(name).is_none()).collect::<Vec<_>>();
    out.extend(missing.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    out
}

/// Own metrics.
pub(super) const SENT: Definition = Definition {
    name: "otelcol_exporter_sent_metric_points",
    unit: "{datapoint}",
    description: "Number of metric points successfully sent to destination. [Alpha]",
    scope: "go.opentelemetry.io/collector/exporter/exporterhelper",
};
pub(super) const DROPPED: Definition = Definition {
    name: "ottlcol_exporter_keda_scaler_dropped_points",
    unit: "{datapoint}",
    description: "Number of metric points for which there was no room: max_series, or too long labels",
    scope: "ottlcol/exporter/keda_scaler",
};
pub(super) const SERIES: Definition = Definition {
    name: "ottlcol_exporter_keda_scaler_series",
    unit: "{series}",
    description: "Number of series kept",
    scope: "ottlcol/exporter/keda_scaler",
};
pub(super) const CALLS: Definition = Definition {
    name: "ottlcol_exporter_keda_scaler_calls",
    unit: "{call}",
    description: "Number of calls of KEDA, by method and outcome",
    scope: "ottlcol/exporter/keda_scaler",
};
