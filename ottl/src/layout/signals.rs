//! Slots of metrics, data points and log records.

use std::fmt;

use crate::{
    ir::Type,
    slot::{RawSlot, tag},
    value::{ListRepr, OpaqueKind},
    wire::Range,
};

/// A field of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricField {
    /// `metric.name`
    Name,
    /// `metric.description`
    Description,
    /// `metric.unit`
    Unit,
    /// `metric.type`
    Type,
    /// `metric.aggregation_temporality`; nil for gauges and summaries.
    Temporality,
    /// `metric.is_monotonic`; nil for all but sums.
    Monotonic,
    /// `metric.data_points`; nil for a metric without a type.
    DataPoints,
}

/// One of the two ranges of an exponential histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// `positive`
    Positive,
    /// `negative`
    Negative,
}

/// A field of a data point. What its kind of point does not have is nil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointField {
    /// `datapoint.start_time_unix_nano`
    Start,
    /// `datapoint.time_unix_nano`
    Time,
    /// `datapoint.value_double`; 0 for an int.
    ValueDouble,
    /// `datapoint.value_int`; 0 for a double.
    ValueInt,
    /// `datapoint.exemplars`
    Exemplars,
    /// `datapoint.flags`
    Flags,
    /// `datapoint.count`
    Count,
    /// `datapoint.sum`
    Sum,
    /// `datapoint.bucket_counts`
    BucketCounts,
    /// `datapoint.explicit_bounds`
    ExplicitBounds,
    /// `datapoint.scale`
    Scale,
    /// `datapoint.zero_count`
    ZeroCount,
    /// `datapoint.positive`, `datapoint.negative`
    Buckets(Side),
    /// `datapoint.positive.offset`
    Offset(Side),
    /// `datapoint.positive.bucket_counts`
    SideCounts(Side),
    /// `datapoint.quantile_values`
    Quantiles,
}

/// A field of a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogField {
    /// `log.time_unix_nano`
    Time,
    /// `log.observed_time_unix_nano`
    ObservedTime,
    /// `log.severity_number`
    SeverityNumber,
    /// `log.severity_text`
    SeverityText,
    /// `log.body`
    Body,
    /// `log.flags`
    Flags,
    /// `log.trace_id`
    TraceId,
    /// `log.span_id`
    SpanId,
    /// `log.event_name`
    EventName,
}

/// Which message a data point is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointKind {
    /// NumberDataPoint, of gauges and sums.
    #[default]
    Number,
    /// HistogramDataPoint.
    Histogram,
    /// ExponentialHistogramDataPoint.
    ExponentialHistogram,
    /// SummaryDataPoint.
    Summary,
}

impl PointKind {
    /// All kinds, in order.
    pub const ALL: [Self; 4] = [Self::Number, Self::Histogram, Self::ExponentialHistogram, Self::Summary];

    /// The kind of the points of a metric, by the number of the metric's data field: 5 for a gauge, 7 for a sum.
    #[must_use]
    pub fn of_data_field(field: u32) -> Option<Self> {
        match field {
            5 | 7 => Some(Self::Number),
            9 => Some(Self::Histogram),
            10 => Some(Self::ExponentialHistogram),
            11 => Some(Self::Summary),
            _ => None,
        }
    }

    /// The number of the field that attributes are.
    pub(crate) fn attributes(self) -> u32 {
        match self {
            Self::Number | Self::Summary => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 1,
        }
    }
}

impl Side {
    /// The number of its field.
    pub(crate) fn field(self) -> u32 {
        match self {
            Self::Positive => 8,
            Self::Negative => 9,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }
}

impl MetricField {
    pub(super) fn ty(self) -> Type {
        match self {
            Self::Name | Self::Description | Self::Unit => Type::String,
            Self::Type => Type::Int,
            Self::Temporality | Self::Monotonic | Self::DataPoints => Type::Any,
        }
    }
}

impl PointField {
    pub(super) fn ty(self) -> Type {
        match self {
            Self::Start | Self::Time | Self::Flags => Type::Int,
            _ => Type::Any,
        }
    }

    /// The number of the field behind it in points of a kind; `None` if they do not have it.
    pub(crate) fn number(self, kind: PointKind) -> Option<u32> {
        use PointKind as K;
        Some(match (self, kind) {
            (Self::Start, _) => 2,
            (Self::Time, _) => 3,
            (Self::ValueDouble, K::Number) => 4,
            (Self::ValueInt, K::Number) => 6,
            (Self::Exemplars, K::Number) => 5,
            (Self::Exemplars, K::Histogram) => 8,
            (Self::Exemplars, K::ExponentialHistogram) => 11,
            (Self::Flags, K::Number | K::Summary) => 8,
            (Self::Flags, _) => 10,
            (Self::Count, K::Histogram | K::ExponentialHistogram | K::Summary) => 4,
            (Self::Sum, K::Histogram | K::ExponentialHistogram | K::Summary) => 5,
            (Self::BucketCounts, K::Histogram) => 6,
            (Self::ExplicitBounds, K::Histogram) => 7,
            (Self::Scale, K::ExponentialHistogram) => 6,
            (Self::ZeroCount, K::ExponentialHistogram) => 7,
            (Self::Buckets(side) | Self::Offset(side) | Self::SideCounts(side), K::ExponentialHistogram) => {
                side.field()
            }
            (Self::Quantiles, K::Summary) => 6,
            _ => return None,
        })
    }

    /// What its slot holds in a point of a kind that has it, where the field does not occur.
    pub(crate) fn default_slot(self) -> RawSlot {
        match self {
            Self::ValueDouble | Self::Sum => RawSlot { tag: tag::DOUBLE, len: 0, bits: 0 },
            Self::ValueInt | Self::Count | Self::Scale | Self::ZeroCount | Self::Offset(_) => RawSlot::int(0),
            Self::Start | Self::Time | Self::Flags => RawSlot::int(0),
            Self::Exemplars | Self::Buckets(_) | Self::Quantiles => RawSlot::range(tag::OPAQUE, Range::default()),
            Self::BucketCounts | Self::ExplicitBounds | Self::SideCounts(_) => {
                RawSlot::range(tag::PACKED, Range::default())
            }
        }
    }

    /// Whether its slot is the whole message, in which a reader then looks for the field.
    pub(crate) fn is_whole(self) -> bool {
        self.opaque_kind().is_some() || self.list_repr().is_some()
    }

    pub(super) fn opaque_kind(self) -> Option<OpaqueKind> {
        match self {
            Self::Exemplars => Some(OpaqueKind::Exemplars),
            Self::Buckets(_) => Some(OpaqueKind::Buckets),
            Self::Quantiles => Some(OpaqueKind::Quantiles),
            _ => None,
        }
    }

    /// The Go type of a list of numbers.
    pub(crate) fn list_repr(self) -> Option<ListRepr> {
        match self {
            Self::BucketCounts | Self::SideCounts(_) => Some(ListRepr::UInts),
            Self::ExplicitBounds => Some(ListRepr::Doubles),
            _ => None,
        }
    }
}

impl LogField {
    pub(super) fn ty(self) -> Type {
        match self {
            Self::Time | Self::ObservedTime | Self::SeverityNumber | Self::Flags => Type::Int,
            Self::SeverityText | Self::EventName => Type::String,
            Self::TraceId => Type::TraceId,
            Self::SpanId => Type::SpanId,
            Self::Body => Type::Any,
        }
    }
}

impl fmt::Display for MetricField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "metric.name",
            Self::Description => "metric.description",
            Self::Unit => "metric.unit",
            Self::Type => "metric.type",
            Self::Temporality => "metric.aggregation_temporality",
            Self::Monotonic => "metric.is_monotonic",
            Self::DataPoints => "metric.data_points",
        })
    }
}

impl fmt::Display for PointField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("datapoint.")?;
        match self {
            Self::Start => f.write_str("start_time_unix_nano"),
            Self::Time => f.write_str("time_unix_nano"),
            Self::ValueDouble => f.write_str("value_double"),
            Self::ValueInt => f.write_str("value_int"),
            Self::Exemplars => f.write_str("exemplars"),
            Self::Flags => f.write_str("flags"),
            Self::Count => f.write_str("count"),
            Self::Sum => f.write_str("sum"),
            Self::BucketCounts => f.write_str("bucket_counts"),
            Self::ExplicitBounds => f.write_str("explicit_bounds"),
            Self::Scale => f.write_str("scale"),
            Self::ZeroCount => f.write_str("zero_count"),
            Self::Buckets(side) => f.write_str(side.name()),
            Self::Offset(side) => write!(f, "{}.offset", side.name()),
            Self::SideCounts(side) => write!(f, "{}.bucket_counts", side.name()),
            Self::Quantiles => f.write_str("quantile_values"),
        }
    }
}

impl fmt::Display for LogField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "log.time_unix_nano",
            Self::ObservedTime => "log.observed_time_unix_nano",
            Self::SeverityNumber => "log.severity_number",
            Self::SeverityText => "log.severity_text",
            Self::Body => "log.body",
            Self::Flags => "log.flags",
            Self::TraceId => "log.trace_id",
            Self::SpanId => "log.span_id",
            Self::EventName => "log.event_name",
        })
    }
}
