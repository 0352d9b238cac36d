//! The checklist of upstream's tests, on short texts for metrics.

mod keys;
mod limits;
mod time;
mod weights;

use pdata::Traces;
use pdata::metrics::{Attributes, MetricData, Metrics, NumberValue, Value};
use pdata::testing::{SpanSample, request};

use super::{Config, Dimension, Glob, Histogram, SpanMetrics, Temporality};

/// A time in milliseconds, as nanoseconds.
const fn ms(millis: u64) -> u64 {
    millis * 1_000_000
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// A server span of so many milliseconds.
fn span(name: &str, millis: u64) -> SpanSample {
    SpanSample::new([1; 16], [2; 8]).name(name).kind(2).times(ms(1000), ms(1000 + millis))
}

fn named(name: &str) -> Dimension {
    Dimension::Named { name: name.to_owned(), default: None }
}

fn or_else(name: &str, default: &str) -> Dimension {
    Dimension::Named { name: name.to_owned(), default: Some(default.to_owned()) }
}

fn glob(source: &str) -> Dimension {
    Dimension::Glob(Glob::new(source).unwrap())
}

/// Two buckets; no built-in dimensions but the span's name.
fn brief() -> Config {
    let exclude = ["service.name", "span.kind", "status.code"];
    Config {
        exclude_dimensions: exclude.map(str::to_owned).to_vec(),
        histogram: Histogram::Explicit { bounds: vec![10.0] },
        namespace: String::new(),
        ..Config::default()
    }
}

/// A batch of one resource with this `service.name` and other attributes.
fn batch(service: &str, attributes: &[(&str, Value)], spans: &[SpanSample]) -> Traces {
    let mut all = vec![("service.name", text(service))];
    all.extend_from_slice(attributes);
    Traces::index(request(&[(&all, &[("scope", spans)])])).unwrap()
}

fn observe(metrics: &mut SpanMetrics, now: u64, spans: &[SpanSample]) {
    metrics.observe(&batch("s", &[], spans), now);
}

fn labels(attributes: &Attributes) -> String {
    let pairs: Vec<_> = attributes.iter().map(|(key, value)| format!("{key}={}", value.to_text())).collect();
    pairs.join(",")
}

/// Every point as `name{labels} value`, sorted; histograms as `count/sum [buckets]`.
fn show(metrics: &Metrics) -> Vec<String> {
    let mut out = Vec::new();
    for resource in &metrics.resource_metrics {
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let name = &metric.name;
            match &metric.data {
                MetricData::Sum { points, .. } => out.extend(points.iter().map(|point| {
                    let NumberValue::Int(value) = point.value else { panic!("{point:?}") };
                    format!("{name}{{{}}} {value}", labels(&point.attributes))
                })),
                MetricData::Histogram { points, .. } => out.extend(points.iter().map(|point| {
                    let (labels, sum) = (labels(&point.attributes), point.sum.unwrap());
                    format!("{name}{{{labels}}} {}/{sum} {:?}", point.count, point.bucket_counts)
                })),
                MetricData::ExponentialHistogram { points, .. } => out.extend(points.iter().map(|point| {
                    let (labels, sum) = (labels(&point.attributes), point.sum.unwrap());
                    let buckets = &point.positive.bucket_counts;
                    format!("{name}{{{labels}}} {}/{sum} scale {} {buckets:?}", point.count, point.scale)
                })),
                other => panic!("{other:?}"),
            }
        }
    }
    out.sort();
    out
}

/// The values of the second flush, when counts no longer start at zero.
fn settled(config: Config, batches: &[Traces]) -> Vec<String> {
    let mut metrics = SpanMetrics::new(config);
    batches.iter().for_each(|batch| metrics.observe(batch, 1));
    metrics.flush(2);
    show(&metrics.flush(3))
}

fn calls(config: Config, batches: &[Traces]) -> Vec<String> {
    let all = settled(Config { histogram: Histogram::Disabled, ..config }, batches);
    all.into_iter().filter_map(|line| line.strip_prefix("calls").map(str::to_owned)).collect()
}
