//! From OTLP points to samples with final names and labels.
//!
//! Stateless: the exporter's store and the collector's own metrics page both call [`Translator`]; the page calls
//! [`Translator::families`], which needs no store because the registry gives every series once.

use pdata::metrics::{
    self, Attributes, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, NumberPoint,
    NumberValue, ResourceMetrics, Scope, SummaryPoint,
};

use super::model::{Bucket, Exemplar, Family, Histogram, Kind, Labels, Native, Sample, Value, sort};
use super::name::{NameError, Strategy};

/// Native histograms have schemas up to 8; finer OTLP scales are merged down.
const MAX_SCHEMA: i32 = 8;
/// And from -4.
const MIN_SCHEMA: i32 = -4;
/// What upstream takes for an OTLP zero threshold of 0.
const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;

/// Which resource attributes become labels of every point.
#[derive(Clone, Debug, Default)]
pub enum ResourceLabels {
    /// None (`job` and `instance` are made apart from this).
    #[default]
    None,
    /// All, or all but the three that make up `job` and `instance`.
    All {
        /// Leave out `service.name`, `service.namespace` and `service.instance.id`.
        except_service: bool,
    },
    /// By patterns of `*` and `?`; a key that `excluded` matches is out, and with an empty `included` all others are in.
    Patterns {
        /// Patterns of keys to take.
        included: Vec<String>,
        /// Patterns of keys to leave.
        excluded: Vec<String>,
    },
}

impl ResourceLabels {
    fn takes(&self, key: &str) -> bool {
        match self {
            Self::None => false,
            Self::All { except_service } => !(*except_service && is_service_attribute(key)),
            Self::Patterns { included, excluded } => {
                let any = |patterns: &[String]| patterns.iter().any(|pattern| matches_wildcard(pattern, key));
                !any(excluded) && (any(included) || (included.is_empty() && !excluded.is_empty()))
            }
        }
    }
}

/// What `target_info` shows and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The exporter: `job` and `instance` on every point; `target_info` for resources that have both, without the
    /// attributes they are made of.
    JobInstance,
    /// The collector's own page: no `job` and `instance`, `target_info` with all attributes.
    Attributes,
}

/// How points are turned into samples.
#[derive(Clone, Debug)]
pub struct Translator {
    /// How names are made.
    pub names: Strategy,
    /// `otel_scope_*` labels.
    pub scope_labels: bool,
    /// Labels of every sample except `target_info`. Names are used as they are.
    pub const_labels: Vec<(String, String)>,
    /// Which resource attributes become labels.
    pub resource_labels: ResourceLabels,
    /// About `target_info`.
    pub target: Target,
    /// Whether samples show their time.
    pub timestamps: bool,
}

/// Why a point is not on the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// A name cannot be translated.
    #[error("label {key:?}: {error}")]
    Label {
        /// The attribute's key.
        key: String,
        /// Why.
        error: NameError,
    },
    /// Native histograms cannot be that coarse.
    #[error("cannot convert exponential to native histogram: scale must be >= -4, was {0}")]
    Scale(i32),
}

/// Where a point comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Attributes of the resource.
    pub resource: &'a Attributes,
    /// The scope.
    pub scope: &'a Scope,
    /// The scope's schema URL.
    pub schema_url: &'a str,
}

impl Translator {
    /// The labels of a point. `reserved` is the label that the writers add (`le`, `quantile`): an attribute of that name
    /// becomes `exported_le`, as Prometheus itself renames clashing labels (upstream prints a page that cannot be read).
    pub fn labels(&self, origin: Origin<'_>, point: &Attributes, kind: Kind) -> Result<Labels, PointError> {
        let mut pairs = Vec::with_capacity(point.len() + self.const_labels.len() + 5);
        let reserved = match kind {
            Kind::Histogram => Some("le"),
            Kind::Summary => Some("quantile"),
            Kind::Counter | Kind::Gauge | Kind::Untyped => None,
        };
        let mut push = |key: &str, value: &metrics::Value| match self.names.label(key) {
            Ok(name) if reserved == Some(name.as_str()) => {
                pairs.push((format!("exported_{name}"), value.to_text()));
                Ok(())
            }
            Ok(name) => {
                pairs.push((name, value.to_text()));
                Ok(())
            }
            Err(error) => Err(PointError::Label { key: key.to_owned(), error }),
        };
        let taken =
            |key: &str| self.resource_labels.takes(key) && origin.resource.iter().any(|(other, _)| other == key);
        // Upstream copies resource attributes over point attributes of the same key.
        let converting = !matches!(self.resource_labels, ResourceLabels::None);
        for (key, value) in point {
            if !(converting && taken(key)) {
                push(key, value)?;
            }
        }
        if converting {
            for (key, value) in origin.resource.iter().filter(|(key, _)| self.resource_labels.takes(key)) {
                push(key, value)?;
            }
        }
        if self.scope_labels {
            for (key, value) in &origin.scope.attributes {
                if !matches!(key.as_str(), "name" | "version" | "schema_url") {
                    push(&format!("otel_scope_{key}"), value)?;
                }
            }
            let fixed = [
                ("otel_scope_name", origin.scope.name.as_str()),
                ("otel_scope_version", origin.scope.version.as_str()),
                ("otel_scope_schema_url", origin.schema_url),
            ];
            pairs.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        if self.target == Target::JobInstance {
            let target = JobInstance::of(origin.resource);
            pairs.extend(target.job.map(|job| ("job".to_owned(), job)));
            pairs.extend(target.instance.map(|instance| ("instance".to_owned(), instance)));
        }
        pairs.extend(self.const_labels.iter().cloned());
        Ok(Labels::from_pairs(pairs))
    }

    /// `target_info` of a resource, if it has one, with the family's name.
    pub fn target_info(&self, resource: &Attributes) -> Option<Result<(String, Sample), PointError>> {
        let mut pairs = Vec::with_capacity(resource.len());
        let target = JobInstance::of(resource);
        if self.target == Target::JobInstance {
            match (&target.job, &target.instance) {
                (Some(job), Some(instance)) if !job.is_empty() && !instance.is_empty() => {}
                _ => return None,
            }
        } else if resource.is_empty() {
            return None;
        }
        for (key, value) in resource {
            if self.target == Target::JobInstance && is_service_attribute(key) {
                continue;
            }
            match self.names.label(key) {
                // An attribute called job is overwritten, not joined, as upstream does here.
                Ok(name) if self.target == Target::JobInstance && matches!(name.as_str(), "job" | "instance") => {}
                Ok(name) => pairs.push((name, value.to_text())),
                Err(error) => return Some(Err(PointError::Label { key: key.clone(), error })),
            }
        }
        if self.target == Target::JobInstance {
            pairs.extend(target.job.map(|job| ("job".to_owned(), job)));
            pairs.extend(target.instance.map(|instance| ("instance".to_owned(), instance)));
        }
        let namespace = self.names.label_namespace();
        let name = if namespace.is_empty() { "target_info".to_owned() } else { format!("{namespace}_target_info") };
        let value = Value::Number { value: 1.0, exemplar: None };
        Some(Ok((name, Sample { labels: Labels::from_pairs(pairs), value, timestamp_ms: None, created_unix_nano: 0 })))
    }

    /// A whole page without a store: every point once, later points of equal series included. What cannot be
    /// translated is given to `dropped`.
    pub fn families(
        &self,
        all: &[ResourceMetrics],
        dropped: &mut dyn FnMut(&str, &dyn std::fmt::Display),
    ) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        for resource in all {
            match self.target_info(&resource.attributes) {
                Some(Ok((name, sample))) => {
                    push_sample(&mut families, name, TARGET_INFO_HELP, Kind::Gauge, sample);
                }
                Some(Err(error)) => dropped("target_info", &error),
                None => {}
            }
            for scope in &resource.scope_metrics {
                let origin =
                    Origin { resource: &resource.attributes, scope: &scope.scope, schema_url: &scope.schema_url };
                for metric in &scope.metrics {
                    let Some(kind) = kind(metric) else { continue };
                    let name = match self.names.metric(&metric.name, &metric.unit, kind) {
                        Ok(name) => name,
                        Err(error) => {
                            dropped(&metric.name, &error);
                            continue;
                        }
                    };
                    for_points(metric, |point| {
                        let sample = self
                            .labels(origin, point.attributes(), kind)
                            .and_then(|labels| sample(labels, point, kind, self.timestamps));
                        match sample {
                            Ok(sample) => {
                                push_sample(&mut families, name.clone(), &metric.description, kind, sample);
                            }
                            Err(error) => dropped(&metric.name, &error),
                        }
                    });
                }
            }
        }
        sort(&mut families);
        families
    }
}

/// Help text of `target_info`.
pub const TARGET_INFO_HELP: &str = "Target metadata";

fn push_sample(families: &mut Vec<Family>, name: String, help: &str, kind: Kind, sample: Sample) {
    match families.iter_mut().find(|family| family.name == name) {
        // One name, one type: the first one stays, as in the store.
        Some(family) if family.kind == kind => family.samples.push(sample),
        Some(_) => {}
        None => families.push(Family { name, help: help.to_owned(), kind, samples: vec![sample] }),
    }
}

/// Any one point.
#[derive(Clone, Copy, Debug)]
pub enum Point<'a> {
    /// Of a gauge or sum.
    Number(&'a NumberPoint),
    /// Of a histogram.
    Histogram(&'a HistogramPoint),
    /// Of an exponential histogram.
    Exponential(&'a ExponentialHistogramPoint),
    /// Of a summary.
    Summary(&'a SummaryPoint),
}

impl<'a> Point<'a> {
    /// Its attributes.
    #[must_use]
    pub fn attributes(self) -> &'a Attributes {
        match self {
            Self::Number(point) => &point.attributes,
            Self::Histogram(point) => &point.attributes,
            Self::Exponential(point) => &point.attributes,
            Self::Summary(point) => &point.attributes,
        }
    }

    /// Its time.
    #[must_use]
    pub fn time_unix_nano(self) -> u64 {
        match self {
            Self::Number(point) => point.time_unix_nano,
            Self::Histogram(point) => point.time_unix_nano,
            Self::Exponential(point) => point.time_unix_nano,
            Self::Summary(point) => point.time_unix_nano,
        }
    }

    /// When counting began.
    #[must_use]
    pub fn start_unix_nano(self) -> u64 {
        match self {
            Self::Number(point) => point.start_unix_nano,
            Self::Histogram(point) => point.start_unix_nano,
            Self::Exponential(point) => point.start_unix_nano,
            Self::Summary(point) => point.start_unix_nano,
        }
    }

    /// True for a point that says "this series has no value any more".
    #[must_use]
    pub fn no_recorded_value(self) -> bool {
        let flags = match self {
            Self::Number(point) => point.flags,
            Self::Histogram(point) => point.flags,
            Self::Exponential(point) => point.flags,
            Self::Summary(point) => point.flags,
        };
        flags & 1 != 0
    }
}

/// The Prometheus type of a metric; `None` if it has no data.
#[must_use]
pub fn kind(metric: &Metric) -> Option<Kind> {
    match &metric.data {
        MetricData::Gauge { .. } => Some(Kind::Gauge),
        MetricData::Sum { monotonic, .. } => Some(if *monotonic { Kind::Counter } else { Kind::Gauge }),
        MetricData::Histogram { .. } | MetricData::ExponentialHistogram { .. } => Some(Kind::Histogram),
        MetricData::Summary { .. } => Some(Kind::Summary),
        MetricData::Empty => None,
    }
}

/// Calls `each` with all points.
pub fn for_points<'a>(metric: &'a Metric, mut each: impl FnMut(Point<'a>)) {
    match &metric.data {
        MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
            points.iter().for_each(|point| each(Point::Number(point)));
        }
        MetricData::Histogram { points, .. } => points.iter().for_each(|point| each(Point::Histogram(point))),
        MetricData::ExponentialHistogram { points, .. } => {
            points.iter().for_each(|point| each(Point::Exponential(point)));
        }
        MetricData::Summary { points } => points.iter().for_each(|point| each(Point::Summary(point))),
        MetricData::Empty => {}
    }
}

/// The sample of a point under the labels given.
pub fn sample(labels: Labels, point: Point<'_>, kind: Kind, timestamps: bool) -> Result<Sample, PointError> {
    let value = match point {
        Point::Number(point) => number_value(point.value, point.exemplars.last(), kind),
        Point::Histogram(point) => {
            let sum = point.sum.unwrap_or_default();
            histogram_value(point.count, sum, &point.explicit_bounds, &point.bucket_counts, &point.exemplars)
        }
        Point::Exponential(point) => native_value(point)?,
        Point::Summary(point) => summary_value(point),
    };
    let timestamp_ms = timestamps.then(|| millis(point.time_unix_nano()));
    let created_unix_nano = if kind == Kind::Gauge { 0 } else { point.start_unix_nano() };
    Ok(Sample { labels, value, timestamp_ms, created_unix_nano })
}

/// Milliseconds since the epoch.
#[must_use]
pub fn millis(unix_nano: u64) -> i64 {
    i64::try_from(unix_nano / 1_000_000).unwrap_or(i64::MAX)
}

/// Value of a gauge or counter; only counters show exemplars.
#[must_use]
pub fn number_value(value: NumberValue, exemplar: Option<&metrics::Exemplar>, kind: Kind) -> Value {
    let exemplar = exemplar.filter(|_| kind == Kind::Counter).map(exemplar_of);
    Value::Number { value: number(value), exemplar }
}

/// Value of a summary.
#[must_use]
pub fn summary_value(point: &SummaryPoint) -> Value {
    let mut quantiles = point.quantiles.clone();
    quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
    Value::Summary { count: point.count, sum: point.sum, quantiles }
}

/// A number as a double. Integers beyond 2^53 lose their last digits, as in Prometheus itself.
#[must_use]
pub fn number(value: NumberValue) -> f64 {
    match value {
        NumberValue::Int(value) => value as f64,
        NumberValue::Double(value) => value,
    }
}

fn exemplar_of(exemplar: &metrics::Exemplar) -> Exemplar {
    let mut labels = Vec::with_capacity(2);
    if exemplar.trace_id != [0; 16] {
        labels.push(("trace_id", hex(&exemplar.trace_id)));
    }
    if exemplar.span_id != [0; 8] {
        labels.push(("span_id", hex(&exemplar.span_id)));
    }
    Exemplar { labels, value: number(exemplar.value), time_unix_nano: exemplar.time_unix_nano }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Value of a histogram with explicit bounds: cumulative counts in order of bounds, the last exemplar of each bucket.
#[must_use]
pub fn histogram_value(count: u64, sum: f64, bounds: &[f64], counts: &[u64], exemplars: &[metrics::Exemplar]) -> Value {
    let mut by_bound: Vec<(f64, u64)> =
        bounds.iter().copied().zip(counts.iter().copied().chain(std::iter::repeat(0))).collect();
    by_bound.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut buckets: Vec<Bucket> = Vec::with_capacity(by_bound.len());
    let mut cumulative = 0u64;
    for (bound, count) in by_bound {
        cumulative = cumulative.saturating_add(count);
        match buckets.last_mut() {
            Some(last) if last.bound == bound => last.cumulative = cumulative,
            _ => buckets.push(Bucket { bound, cumulative, exemplar: None }),
        }
    }
    for exemplar in exemplars {
        let value = number(exemplar.value);
        let at = buckets.partition_point(|bucket| bucket.bound < value);
        if at == buckets.len() {
            buckets.push(Bucket { bound: f64::INFINITY, cumulative: count, exemplar: None });
        }
        buckets[at].exemplar = Some(exemplar_of(exemplar));
    }
    Value::Histogram(Histogram { count, sum, buckets, native: None })
}

/// Whether there is a native histogram of that scale.
pub fn check_scale(scale: i32) -> Result<(), PointError> {
    if scale < MIN_SCHEMA { Err(PointError::Scale(scale)) } else { Ok(()) }
}

/// Value of an exponential histogram: a native one. Its exemplars are in a list, not in buckets.
pub fn native_value(point: &ExponentialHistogramPoint) -> Result<Value, PointError> {
    check_scale(point.scale)?;
    let shift = (point.scale - MAX_SCHEMA).max(0);
    let native = Native {
        schema: point.scale.min(MAX_SCHEMA),
        zero_threshold: if point.zero_threshold == 0.0 { DEFAULT_ZERO_THRESHOLD } else { point.zero_threshold },
        zero_count: point.zero_count,
        positive: native_buckets(&point.positive, shift),
        negative: native_buckets(&point.negative, shift),
        exemplars: point.exemplars.iter().map(exemplar_of).collect(),
    };
    let sum = point.sum.unwrap_or_default();
    Ok(Value::Histogram(Histogram { count: point.count, sum, buckets: Vec::new(), native: Some(native) }))
}

/// Prometheus numbers buckets by their upper bound, OTLP by their lower: one more.
fn native_buckets(buckets: &ExponentialBuckets, shift: i32) -> Vec<(i32, u64)> {
    let mut out: Vec<(i32, u64)> = Vec::new();
    for (index, count) in (i64::from(buckets.offset)..).zip(&buckets.bucket_counts) {
        let index = i32::try_from((index >> shift.min(63)) + 1).unwrap_or(i32::MAX);
        match out.last_mut() {
            Some(last) if last.0 == index => last.1 = last.1.saturating_add(*count),
            _ => out.push((index, *count)),
        }
    }
    out.retain(|(_, count)| *count > 0);
    out
}

/// What identifies a target in Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct JobInstance {
    /// `service.namespace` / `service.name`, or the name alone; `None` without a name.
    pub job: Option<String>,
    /// `service.instance.id`.
    pub instance: Option<String>,
}

impl JobInstance {
    /// That of a resource.
    #[must_use]
    pub fn of(resource: &Attributes) -> Self {
        let text = |wanted: &str| resource.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.to_text());
        let job = text("service.name").map(|name| match text("service.namespace") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        });
        Self { job, instance: text("service.instance.id") }
    }
}

fn is_service_attribute(key: &str) -> bool {
    matches!(key, "service.name" | "service.namespace" | "service.instance.id")
}

/// `*` stands for any run of characters, `?` for one. Linear with one point of return, so no pattern is slow.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(char) if *char == '?' || *char == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((star_at, star_from)) => {
                    star = Some((star_at, star_from + 1));
                    at = star_at + 1;
                    from = star_from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|char| *char == '*')
}
