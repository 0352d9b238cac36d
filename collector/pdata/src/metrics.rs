//! Metrics as plain structs. They are few and off the hot path: made by `spanmetrics` and by the collector itself,
//! read by exporters. Names and meaning follow `opentelemetry/proto/metrics/v1/metrics.proto`.

mod decode;
mod encode;

use std::net::IpAddr;

/// A payload of metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// One entry a resource.
    pub resource_metrics: Vec<ResourceMetrics>,
    /// Who sent the payload, as the receiver saw it; nothing for what is made here or was joined of several.
    pub peer: Option<IpAddr>,
}

impl Metrics {
    /// Number of data points.
    #[must_use]
    pub fn point_count(&self) -> usize {
        self.resource_metrics.iter().map(ResourceMetrics::point_count).sum()
    }
}

impl ResourceMetrics {
    /// Number of data points.
    #[must_use]
    pub fn point_count(&self) -> usize {
        self.scope_metrics.iter().map(ScopeMetrics::point_count).sum()
    }
}

impl ScopeMetrics {
    /// Number of data points.
    #[must_use]
    pub fn point_count(&self) -> usize {
        self.metrics.iter().map(Metric::point_count).sum()
    }
}

impl Metric {
    /// Number of data points.
    #[must_use]
    pub fn point_count(&self) -> usize {
        match &self.data {
            MetricData::Gauge { points } | MetricData::Sum { points, .. } => points.len(),
            MetricData::Histogram { points, .. } => points.len(),
            MetricData::ExponentialHistogram { points, .. } => points.len(),
            MetricData::Summary { points } => points.len(),
            MetricData::Empty => 0,
        }
    }
}

/// Attributes in order of insertion.
pub type Attributes = Vec<(String, Value)>;

/// An attribute's value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// An AnyValue with nothing set.
    #[default]
    Empty,
    /// UTF-8 text.
    String(String),
    /// True or false.
    Bool(bool),
    /// 64-bit signed.
    Int(i64),
    /// IEEE double.
    Double(f64),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A list.
    Array(Vec<Value>),
    /// A nested map.
    Map(Attributes),
}

/// The metrics of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceMetrics {
    /// Resource attributes.
    pub attributes: Attributes,
    /// Schema URL of the resource.
    pub schema_url: String,
    /// One entry a scope.
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// An instrumentation scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Attributes.
    pub attributes: Attributes,
}

/// The metrics of one scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeMetrics {
    /// The scope.
    pub scope: Scope,
    /// Schema URL of the scope.
    pub schema_url: String,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// One metric with its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// OTLP name, untranslated.
    pub name: String,
    /// Help text.
    pub description: String,
    /// UCUM unit.
    pub unit: String,
    /// Kind and points.
    pub data: MetricData,
}

/// What a metric holds.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricData {
    /// Last values.
    Gauge {
        /// Points.
        points: Vec<NumberPoint>,
    },
    /// Sums.
    Sum {
        /// Points.
        points: Vec<NumberPoint>,
        /// Delta or cumulative.
        temporality: AggregationTemporality,
        /// Never falls.
        monotonic: bool,
    },
    /// Histograms with explicit bounds.
    Histogram {
        /// Points.
        points: Vec<HistogramPoint>,
        /// Delta or cumulative.
        temporality: AggregationTemporality,
    },
    /// Exponential histograms.
    ExponentialHistogram {
        /// Points.
        points: Vec<ExponentialHistogramPoint>,
        /// Delta or cumulative.
        temporality: AggregationTemporality,
    },
    /// Summaries.
    Summary {
        /// Points.
        points: Vec<SummaryPoint>,
    },
    /// No data set.
    Empty,
}

/// What a point's value covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AggregationTemporality {
    /// Not said.
    #[default]
    Unspecified,
    /// Since the previous point.
    Delta,
    /// Since the start.
    Cumulative,
}

/// Integer or double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumberValue {
    /// 64-bit signed.
    Int(i64),
    /// IEEE double.
    Double(f64),
}

/// A point of a gauge or sum.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberPoint {
    /// Attributes.
    pub attributes: Attributes,
    /// Start of the interval, ns since the epoch; 0 = not known.
    pub start_unix_nano: u64,
    /// Time of the point, ns since the epoch.
    pub time_unix_nano: u64,
    /// The value.
    pub value: NumberValue,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// Bit 0: no recorded value.
    pub flags: u32,
}

/// A point of a histogram with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPoint {
    /// Attributes.
    pub attributes: Attributes,
    /// Start of the interval, ns since the epoch.
    pub start_unix_nano: u64,
    /// Time of the point, ns since the epoch.
    pub time_unix_nano: u64,
    /// Number of observations.
    pub count: u64,
    /// Sum of observations.
    pub sum: Option<f64>,
    /// Not cumulative; one more than bounds, or empty.
    pub bucket_counts: Vec<u64>,
    /// Ascending.
    pub explicit_bounds: Vec<f64>,
    /// Smallest observation.
    pub min: Option<f64>,
    /// Largest observation.
    pub max: Option<f64>,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// Bit 0: no recorded value.
    pub flags: u32,
}

/// Buckets of one sign range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialBuckets {
    /// Index of the first bucket.
    pub offset: i32,
    /// Counts.
    pub bucket_counts: Vec<u64>,
}

/// A point of an exponential histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialHistogramPoint {
    /// Attributes.
    pub attributes: Attributes,
    /// Start of the interval, ns since the epoch.
    pub start_unix_nano: u64,
    /// Time of the point, ns since the epoch.
    pub time_unix_nano: u64,
    /// Number of observations.
    pub count: u64,
    /// Sum of observations.
    pub sum: Option<f64>,
    /// base = 2^(2^-scale).
    pub scale: i32,
    /// Observations at (or near) zero.
    pub zero_count: u64,
    /// Positive range.
    pub positive: ExponentialBuckets,
    /// Negative range.
    pub negative: ExponentialBuckets,
    /// Smallest observation.
    pub min: Option<f64>,
    /// Largest observation.
    pub max: Option<f64>,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Exemplars.
    pub exemplars: Vec<Exemplar>,
    /// Bit 0: no recorded value.
    pub flags: u32,
}

/// A point of a summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryPoint {
    /// Attributes.
    pub attributes: Attributes,
    /// Start of the interval, ns since the epoch.
    pub start_unix_nano: u64,
    /// Time of the point, ns since the epoch.
    pub time_unix_nano: u64,
    /// Number of observations.
    pub count: u64,
    /// Sum of observations.
    pub sum: f64,
    /// (quantile, value) pairs.
    pub quantiles: Vec<(f64, f64)>,
    /// Bit 0: no recorded value.
    pub flags: u32,
}

/// A single observation kept as an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Attributes that aggregation dropped.
    pub filtered_attributes: Attributes,
    /// Time, ns since the epoch.
    pub time_unix_nano: u64,
    /// The value.
    pub value: NumberValue,
    /// All zero = not set.
    pub trace_id: [u8; 16],
    /// All zero = not set.
    pub span_id: [u8; 8],
}
