//! Metrics as text.

use std::fmt::Write as _;

use pdata::Metrics;
use pdata::metrics::{
    AggregationTemporality, Attributes, Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint,
    Metric, MetricData, NumberPoint, NumberValue, SummaryPoint,
};

use super::text::{Page, hex, push_pairs, push_schema, push_scope, time, typed};

/// One line a resource, scope and point.
pub(super) fn normal(batch: &Metrics) -> String {
    let mut out = String::new();
    for (index, resource) in batch.resource_metrics.iter().enumerate() {
        let _ = write!(out, "ResourceMetrics #{index}");
        push_schema(&mut out, resource.schema_url.as_bytes());
        push_pairs(&mut out, &resource.attributes);
        out.push('\n');
        for (index, scope) in resource.scope_metrics.iter().enumerate() {
            let _ = write!(out, "ScopeMetrics #{index}");
            push_scope(&mut out, &scope.scope.name, &scope.scope.version);
            push_schema(&mut out, scope.schema_url.as_bytes());
            push_pairs(&mut out, &scope.scope.attributes);
            out.push('\n');
            for metric in &scope.metrics {
                push_points(&mut out, metric);
            }
        }
    }
    out
}

fn push_points(out: &mut String, metric: &Metric) {
    let mut line = |attributes: &Attributes, value: String| {
        let labels: Vec<_> = attributes.iter().map(|(key, value)| format!("{key}={}", value.to_text())).collect();
        let _ = writeln!(out, "{}{{{}}} {}", metric.name, labels.join(","), value.trim_end());
    };
    match &metric.data {
        MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
            for point in points {
                line(&point.attributes, number(point.value));
            }
        }
        MetricData::Histogram { points, .. } => {
            for point in points {
                let mut value = summary_of(point.count, point.sum, point.min, point.max);
                for (index, count) in point.bucket_counts.iter().enumerate() {
                    let _ = match point.explicit_bounds.get(index) {
                        Some(bound) => write!(value, "le{bound}={count} "),
                        None => write!(value, "{count}"),
                    };
                }
                line(&point.attributes, value);
            }
        }
        MetricData::ExponentialHistogram { points, .. } => {
            for point in points {
                line(&point.attributes, summary_of(point.count, point.sum, point.min, point.max));
            }
        }
        MetricData::Summary { points } => {
            for point in points {
                let mut value = format!("count={} sum={} ", point.count, point.sum);
                for (quantile, at) in &point.quantiles {
                    let _ = write!(value, "q{quantile}={at} ");
                }
                line(&point.attributes, value);
            }
        }
        MetricData::Empty => {}
    }
}

fn summary_of(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut out = format!("count={count} ");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            let _ = write!(out, "{name}={value} ");
        }
    }
    out
}

fn number(value: NumberValue) -> String {
    match value {
        NumberValue::Int(value) => value.to_string(),
        NumberValue::Double(value) => value.to_string(),
    }
}

/// Every field.
pub(super) fn detailed(batch: &Metrics) -> String {
    let mut page = Page(String::new());
    for (index, resource) in batch.resource_metrics.iter().enumerate() {
        page.line(format_args!("ResourceMetrics #{index}"));
        page.line(format_args!("Resource SchemaURL: {}", resource.schema_url));
        page.attributes("Resource attributes", &resource.attributes);
        for (index, scope) in resource.scope_metrics.iter().enumerate() {
            page.line(format_args!("ScopeMetrics #{index}"));
            page.line(format_args!("ScopeMetrics SchemaURL: {}", scope.schema_url));
            page.line(format_args!("InstrumentationScope {} {}", scope.scope.name, scope.scope.version));
            page.attributes("InstrumentationScope attributes", &scope.scope.attributes);
            for (index, metric) in scope.metrics.iter().enumerate() {
                page.line(format_args!("Metric #{index}"));
                page.metric(metric);
            }
        }
    }
    page.0
}

impl Page {
    fn metric(&mut self, metric: &Metric) {
        self.line(format_args!("Descriptor:"));
        self.line(format_args!("     -> Name: {}", metric.name));
        self.line(format_args!("     -> Description: {}", metric.description));
        self.line(format_args!("     -> Unit: {}", metric.unit));
        let kind = match &metric.data {
            MetricData::Gauge { .. } => "Gauge",
            MetricData::Sum { .. } => "Sum",
            MetricData::Histogram { .. } => "Histogram",
            MetricData::ExponentialHistogram { .. } => "ExponentialHistogram",
            MetricData::Summary { .. } => "Summary",
            MetricData::Empty => "Empty",
        };
        self.line(format_args!("     -> DataType: {kind}"));
        match &metric.data {
            MetricData::Gauge { points } => self.numbers(points),
            MetricData::Sum { points, temporality, monotonic } => {
                self.line(format_args!("     -> IsMonotonic: {monotonic}"));
                self.temporality(*temporality);
                self.numbers(points);
            }
            MetricData::Histogram { points, temporality } => {
                self.temporality(*temporality);
                for (index, point) in points.iter().enumerate() {
                    self.line(format_args!("HistogramDataPoints #{index}"));
                    self.histogram(point);
                }
            }
            MetricData::ExponentialHistogram { points, temporality } => {
                self.temporality(*temporality);
                for (index, point) in points.iter().enumerate() {
                    self.line(format_args!("ExponentialHistogramDataPoints #{index}"));
                    self.exponential(point);
                }
            }
            MetricData::Summary { points } => {
                for (index, point) in points.iter().enumerate() {
                    self.line(format_args!("SummaryDataPoints #{index}"));
                    self.summary(point);
                }
            }
            MetricData::Empty => {}
        }
    }

    fn temporality(&mut self, temporality: AggregationTemporality) {
        self.line(format_args!("     -> AggregationTemporality: {temporality:?}"));
    }

    fn head(&mut self, attributes: &Attributes, start: u64, at: u64) {
        self.attributes("Data point attributes", attributes);
        self.line(format_args!("StartTimestamp: {}", time(start)));
        self.line(format_args!("Timestamp: {}", time(at)));
    }

    fn numbers(&mut self, points: &[NumberPoint]) {
        for (index, point) in points.iter().enumerate() {
            self.line(format_args!("NumberDataPoints #{index}"));
            self.head(&point.attributes, point.start_unix_nano, point.time_unix_nano);
            self.line(format_args!("Value: {}", number(point.value)));
            self.exemplars(&point.exemplars);
        }
    }

    fn statistics(&mut self, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
        self.line(format_args!("Count: {count}"));
        for (name, value) in [("Sum", sum), ("Min", min), ("Max", max)] {
            if let Some(value) = value {
                self.line(format_args!("{name}: {value}"));
            }
        }
    }

    fn histogram(&mut self, point: &HistogramPoint) {
        self.head(&point.attributes, point.start_unix_nano, point.time_unix_nano);
        self.statistics(point.count, point.sum, point.min, point.max);
        for (index, bound) in point.explicit_bounds.iter().enumerate() {
            self.line(format_args!("ExplicitBounds #{index}: {bound}"));
        }
        for (index, count) in point.bucket_counts.iter().enumerate() {
            self.line(format_args!("Buckets #{index}, Count: {count}"));
        }
        self.exemplars(&point.exemplars);
    }

    fn exponential(&mut self, point: &ExponentialHistogramPoint) {
        self.head(&point.attributes, point.start_unix_nano, point.time_unix_nano);
        self.statistics(point.count, point.sum, point.min, point.max);
        // base = 2^(2^-scale); bucket i holds (base^(offset+i), base^(offset+i+1)].
        let base = (-f64::from(point.scale)).exp2().exp2();
        let bound = |buckets: &ExponentialBuckets, index: usize| {
            let index = i32::try_from(index).unwrap_or(i32::MAX);
            base.powf(f64::from(buckets.offset.saturating_add(index)))
        };
        for (index, count) in point.negative.bucket_counts.iter().enumerate().rev().filter(|(_, count)| **count > 0) {
            let (low, high) = (-bound(&point.negative, index + 1), -bound(&point.negative, index));
            self.line(format_args!("Bucket [{low:.6}, {high:.6}), Count: {count}"));
        }
        if point.zero_count > 0 {
            self.line(format_args!("Bucket [0, 0], Count: {}", point.zero_count));
        }
        for (index, count) in point.positive.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (low, high) = (bound(&point.positive, index), bound(&point.positive, index + 1));
            self.line(format_args!("Bucket ({low:.6}, {high:.6}], Count: {count}"));
        }
        self.exemplars(&point.exemplars);
    }

    fn summary(&mut self, point: &SummaryPoint) {
        self.head(&point.attributes, point.start_unix_nano, point.time_unix_nano);
        self.line(format_args!("Count: {}", point.count));
        self.line(format_args!("Sum: {}", point.sum));
        for (index, (quantile, value)) in point.quantiles.iter().enumerate() {
            self.line(format_args!("QuantileValue #{index}: Quantile {quantile:.6}, Value {value:.6}"));
        }
    }

    fn exemplars(&mut self, exemplars: &[Exemplar]) {
        if exemplars.is_empty() {
            return;
        }
        self.line(format_args!("Exemplars:"));
        for (index, exemplar) in exemplars.iter().enumerate() {
            self.line(format_args!("Exemplar #{index}"));
            self.line(format_args!("     -> Trace ID: {}", hex(&exemplar.trace_id)));
            self.line(format_args!("     -> Span ID: {}", hex(&exemplar.span_id)));
            self.line(format_args!("     -> Timestamp: {}", time(exemplar.time_unix_nano)));
            self.line(format_args!("     -> Value: {}", number(exemplar.value)));
            for (key, value) in &exemplar.filtered_attributes {
                self.line(format_args!("     -> {key}: {}", typed(value)));
            }
        }
    }
}
