//! Texts as snapshots, the sampler, and the texts of mistakes.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Status, span};
use pdata::metrics::{
    AggregationTemporality, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData,
    NumberPoint, NumberValue, ResourceMetrics, Scope, ScopeMetrics, SummaryPoint, Value,
};
use pdata::{Metrics, Traces};
use prost::Message;

use super::sampling::Sampling;
use super::{FACTORY, metrics_text, text};
use crate::config::{Problems, Section};
use crate::testing::{context, request};

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn batch() -> Traces {
    let mut request = request(2);
    let resource = &mut request.resource_spans[0];
    let text = |text: &str| any_value::Value::StringValue(text.to_owned());
    resource.resource = Some(Resource { attributes: vec![pair("service.name", text("shop"))], ..Resource::default() });
    resource.schema_url = "https://schema".to_owned();
    let scope = &mut resource.scope_spans[0];
    scope.scope = Some(InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        ..InstrumentationScope::default()
    });
    let first = &mut scope.spans[0];
    first.parent_span_id = vec![3; 8];
    first.kind = 3;
    first.trace_state = "ot=th:8".to_owned();
    first.start_time_unix_nano = 1_581_452_772_000_000_321;
    first.end_time_unix_nano = 1_581_452_773_500_000_000;
    first.status = Some(Status { code: 2, message: "broken".to_owned() });
    first.attributes =
        vec![pair("http.status_code", any_value::Value::IntValue(503)), pair("ok", any_value::Value::BoolValue(false))];
    first.events = vec![span::Event {
        name: "exception".to_owned(),
        time_unix_nano: 1_581_452_773_000_000_000,
        attributes: vec![pair("exception.type", text("E"))],
        ..span::Event::default()
    }];
    first.links = vec![span::Link { trace_id: vec![9; 16], span_id: vec![8; 8], ..span::Link::default() }];
    Traces::index(request.encode_to_vec().into()).unwrap()
}

#[test]
fn traces_as_text() {
    insta::assert_snapshot!("traces_normal", text::normal(&batch()));
    insta::assert_snapshot!("traces_detailed", text::detailed(&batch()));
}

#[test]
fn metrics_as_text() {
    let attributes = vec![("route".to_owned(), Value::String("/a".to_owned()))];
    let number = NumberPoint {
        attributes: attributes.clone(),
        start_unix_nano: 0,
        time_unix_nano: 1_000_000_000,
        value: NumberValue::Int(7),
        exemplars: Vec::new(),
        flags: 0,
    };
    let temporality = AggregationTemporality::Cumulative;
    let histogram = HistogramPoint {
        count: 3,
        sum: Some(4.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![2.5],
        ..HistogramPoint::default()
    };
    let exponential = ExponentialHistogramPoint {
        count: 3,
        sum: Some(6.0),
        zero_count: 1,
        positive: ExponentialBuckets { offset: 0, bucket_counts: vec![1, 0, 1] },
        ..ExponentialHistogramPoint::default()
    };
    let summary = SummaryPoint { count: 2, sum: 3.0, quantiles: vec![(0.5, 1.5)], ..SummaryPoint::default() };
    let metric =
        |name: &str, data| Metric { name: name.to_owned(), description: "d".to_owned(), unit: "1".to_owned(), data };
    let batch = Metrics {
        resource_metrics: vec![ResourceMetrics {
            attributes,
            scope_metrics: vec![ScopeMetrics {
                scope: Scope { name: "lib".to_owned(), ..Scope::default() },
                metrics: vec![
                    metric("calls", MetricData::Sum { points: vec![number], temporality, monotonic: true }),
                    metric("duration", MetricData::Histogram { points: vec![histogram], temporality }),
                    metric("size", MetricData::ExponentialHistogram { points: vec![exponential], temporality }),
                    metric("old", MetricData::Summary { points: vec![summary] }),
                ],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
        ..Metrics::default()
    };
    insta::assert_snapshot!("metrics_normal", metrics_text::normal(&batch));
    insta::assert_snapshot!("metrics_detailed", metrics_text::detailed(&batch));
}

#[test]
fn samples_each_second_anew() {
    let taken = |initial, thereafter, n: u64| {
        let sampling = Sampling::new(initial, thereafter);
        (0..n).filter(|_| sampling.takes(Duration::from_secs(5))).count()
    };
    assert_eq!(taken(2, 1, 10), 10);
    assert_eq!(taken(2, 4, 10), 4);
    assert_eq!(taken(2, 0, 10), 2);
    let sampling = Sampling::new(1, 0);
    let takes: Vec<_> = [1, 1, 2, 2].map(|second| sampling.takes(Duration::from_secs(second))).into();
    assert_eq!(takes, [true, false, true, false]);
}

#[test]
fn reports_mistakes() {
    for (yaml, text) in [
        ("{verbosity: loud}", "verbosity level \"loud\" is not supported"),
        ("{output_paths: [stdout]}", "`output_paths` requires `use_internal_logger` to be set to false"),
        ("{sending_queue: {enabled: true}}", "a sending queue is not supported: nothing is sent"),
    ] {
        let mut problems = Problems::default();
        assert!((FACTORY.parse)(&Section::parse("debug", "exporters", yaml).unwrap(), &mut problems).is_none());
        assert_eq!(problems.list()[0].message, text);
    }
}

#[tokio::test]
async fn writes_to_files() {
    let path = std::env::temp_dir().join(format!("ottlcol-debug-{}.txt", std::process::id()));
    let yaml = format!("{{verbosity: normal, use_internal_logger: false, output_paths: ['{}']}}", path.display());
    let section = Section::parse("debug", "exporters", &yaml).unwrap();
    let plan = (FACTORY.parse)(&section, &mut Problems::default()).unwrap();
    let part = plan.make_traces(&context("debug")).unwrap();
    part.input.consume(batch()).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(text.starts_with("info\tTraces\t{\"resource spans\": 1, \"spans\": 2}\ninfo\tResourceTraces #0"), "{text}");
}
