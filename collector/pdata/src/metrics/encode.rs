//! Metrics as the bytes of an `ExportMetricsServiceRequest`. Zero and empty scalars are left out, as proto3 says;
//! Resource and InstrumentationScope are always written, as Go does.

use bytes::Bytes;

use super::{
    AggregationTemporality, Attributes, Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint,
    Metric, MetricData, Metrics, NumberPoint, NumberValue, ResourceMetrics, ScopeMetrics, SummaryPoint,
};
use crate::value::put_key_value;
use crate::wire::{
    put_bytes, put_bytes_header, put_fixed64_field, put_message, put_varint, put_varint_field, varint_len,
};

impl Metrics {
    /// The request.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        for resource in &self.resource_metrics {
            put_message(&mut out, 1, |out| resource_metrics(out, resource));
        }
        Bytes::from(out)
    }
}

fn resource_metrics(out: &mut Vec<u8>, resource: &ResourceMetrics) {
    put_message(out, 1, |out| attributes(out, 1, &resource.attributes));
    for scope in &resource.scope_metrics {
        put_message(out, 2, |out| scope_metrics(out, scope));
    }
    text(out, 3, &resource.schema_url);
}

fn scope_metrics(out: &mut Vec<u8>, scope: &ScopeMetrics) {
    put_message(out, 1, |out| {
        text(out, 1, &scope.scope.name);
        text(out, 2, &scope.scope.version);
        attributes(out, 3, &scope.scope.attributes);
    });
    for each in &scope.metrics {
        put_message(out, 2, |out| metric(out, each));
    }
    text(out, 3, &scope.schema_url);
}

fn metric(out: &mut Vec<u8>, metric: &Metric) {
    text(out, 1, &metric.name);
    text(out, 2, &metric.description);
    text(out, 3, &metric.unit);
    match &metric.data {
        MetricData::Empty => {}
        MetricData::Gauge { points } => put_message(out, 5, |out| repeated(out, points, number_point)),
        MetricData::Sum { points, temporality, monotonic } => put_message(out, 7, |out| {
            repeated(out, points, number_point);
            put_temporality(out, *temporality);
            if *monotonic {
                put_varint_field(out, 3, 1);
            }
        }),
        MetricData::Histogram { points, temporality } => put_message(out, 9, |out| {
            repeated(out, points, histogram_point);
            put_temporality(out, *temporality);
        }),
        MetricData::ExponentialHistogram { points, temporality } => put_message(out, 10, |out| {
            repeated(out, points, exponential_histogram_point);
            put_temporality(out, *temporality);
        }),
        MetricData::Summary { points } => put_message(out, 11, |out| repeated(out, points, summary_point)),
    }
}

fn repeated<T>(out: &mut Vec<u8>, points: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for point in points {
        put_message(out, 1, |out| write(out, point));
    }
}

fn put_temporality(out: &mut Vec<u8>, temporality: AggregationTemporality) {
    number(
        out,
        2,
        match temporality {
            AggregationTemporality::Unspecified => 0,
            AggregationTemporality::Delta => 1,
            AggregationTemporality::Cumulative => 2,
        },
    );
}

fn number_point(out: &mut Vec<u8>, point: &NumberPoint) {
    fixed(out, 2, point.start_unix_nano);
    fixed(out, 3, point.time_unix_nano);
    value(out, 4, point.value);
    exemplars(out, 5, &point.exemplars);
    attributes(out, 7, &point.attributes);
    number(out, 8, u64::from(point.flags));
}

fn histogram_point(out: &mut Vec<u8>, point: &HistogramPoint) {
    fixed(out, 2, point.start_unix_nano);
    fixed(out, 3, point.time_unix_nano);
    fixed(out, 4, point.count);
    optional(out, 5, point.sum);
    packed(out, 6, point.bucket_counts.iter().copied());
    packed(out, 7, point.explicit_bounds.iter().map(|bound| bound.to_bits()));
    exemplars(out, 8, &point.exemplars);
    attributes(out, 9, &point.attributes);
    number(out, 10, u64::from(point.flags));
    optional(out, 11, point.min);
    optional(out, 12, point.max);
}

fn exponential_histogram_point(out: &mut Vec<u8>, point: &ExponentialHistogramPoint) {
    attributes(out, 1, &point.attributes);
    fixed(out, 2, point.start_unix_nano);
    fixed(out, 3, point.time_unix_nano);
    fixed(out, 4, point.count);
    optional(out, 5, point.sum);
    number(out, 6, zigzag(point.scale));
    fixed(out, 7, point.zero_count);
    put_message(out, 8, |out| buckets(out, &point.positive));
    put_message(out, 9, |out| buckets(out, &point.negative));
    number(out, 10, u64::from(point.flags));
    exemplars(out, 11, &point.exemplars);
    optional(out, 12, point.min);
    optional(out, 13, point.max);
    fixed(out, 14, point.zero_threshold.to_bits());
}

fn buckets(out: &mut Vec<u8>, buckets: &ExponentialBuckets) {
    number(out, 1, zigzag(buckets.offset));
    if !buckets.bucket_counts.is_empty() {
        put_bytes_header(out, 2, buckets.bucket_counts.iter().map(|count| varint_len(*count)).sum());
        for count in &buckets.bucket_counts {
            put_varint(out, *count);
        }
    }
}

fn summary_point(out: &mut Vec<u8>, point: &SummaryPoint) {
    fixed(out, 2, point.start_unix_nano);
    fixed(out, 3, point.time_unix_nano);
    fixed(out, 4, point.count);
    fixed(out, 5, point.sum.to_bits());
    for (quantile, value) in &point.quantiles {
        put_message(out, 6, |out| {
            fixed(out, 1, quantile.to_bits());
            fixed(out, 2, value.to_bits());
        });
    }
    attributes(out, 7, &point.attributes);
    number(out, 8, u64::from(point.flags));
}

fn exemplars(out: &mut Vec<u8>, field: u32, exemplars: &[Exemplar]) {
    for exemplar in exemplars {
        put_message(out, field, |out| {
            fixed(out, 2, exemplar.time_unix_nano);
            value(out, 3, exemplar.value);
            id(out, 4, &exemplar.span_id);
            id(out, 5, &exemplar.trace_id);
            attributes(out, 7, &exemplar.filtered_attributes);
        });
    }
}

/// The value of a point or exemplar; integers are field 6 in both. Written also when zero: it is a oneof.
fn value(out: &mut Vec<u8>, double_field: u32, value: NumberValue) {
    match value {
        NumberValue::Double(double) => put_fixed64_field(out, double_field, double.to_bits()),
        NumberValue::Int(int) => put_fixed64_field(out, 6, int as u64),
    }
}

fn attributes(out: &mut Vec<u8>, field: u32, attributes: &Attributes) {
    for (key, value) in attributes {
        put_key_value(out, field, key, value);
    }
}

fn text(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

fn id(out: &mut Vec<u8>, field: u32, id: &[u8]) {
    if id.iter().any(|byte| *byte != 0) {
        put_bytes(out, field, id);
    }
}

fn number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        put_varint_field(out, field, number);
    }
}

fn fixed(out: &mut Vec<u8>, field: u32, bits: u64) {
    if bits != 0 {
        put_fixed64_field(out, field, bits);
    }
}

fn optional(out: &mut Vec<u8>, field: u32, value: Option<f64>) {
    if let Some(value) = value {
        put_fixed64_field(out, field, value.to_bits());
    }
}

fn packed(out: &mut Vec<u8>, field: u32, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() > 0 {
        put_bytes_header(out, field, values.len() * 8);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// sint32: small negative numbers are small on the wire.
fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}
