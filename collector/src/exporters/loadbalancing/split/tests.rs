//! Keys and shares of both signals.

use component::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pdata::metrics::{
    AggregationTemporality, Attributes, Metric, MetricData, NumberPoint, NumberValue, ResourceMetrics, Scope,
    ScopeMetrics, Value,
};
use pdata::{Metrics, Traces};
use prost::Message;

use super::identity::{MetricIdentity, resource_identity};
use super::{Batch, RoutingKey};
use crate::cluster::ring::{Ring, Version};

fn ring() -> Ring {
    Ring::new(Version::Two, (1..=4).map(|n| format!("backend-{n}:4317")).collect())
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource(service: Option<&str>, spans: Vec<Span>) -> ResourceSpans {
    let attributes = service.map(|name| text("service.name", name)).into_iter().collect();
    let scope = InstrumentationScope { attributes: vec![text("scope.attr", "s")], ..InstrumentationScope::default() };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

fn span(trace: u8, name: &str, kind: i32, attributes: Vec<KeyValue>) -> Span {
    Span { trace_id: vec![trace; 16], name: name.to_owned(), kind, attributes, ..Span::default() }
}

/// Member and the names of its spans, for each share.
fn shares(key: &RoutingKey, resource_spans: Vec<ResourceSpans>) -> Vec<(String, Vec<String>)> {
    let request = ExportTraceServiceRequest { resource_spans };
    let ring = ring();
    let traces = Traces::index(request.encode_to_vec().into()).unwrap();
    key.split(Batch::Traces(traces), &ring)
        .unwrap()
        .into_iter()
        .map(|(member, share)| {
            let decoded = ExportTraceServiceRequest::decode(share.whole()).unwrap();
            let scopes = decoded.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            let names: Vec<String> = scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect();
            assert_eq!(names.len(), share.items);
            (ring.members()[member].clone(), names)
        })
        .collect()
}

fn owner(key: &str) -> String {
    let ring = ring();
    ring.members()[ring.owner(key.as_bytes()).unwrap()].clone()
}

fn attributes(names: &[&str]) -> RoutingKey {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    RoutingKey::new(Signal::Traces, "attributes", &names).unwrap()
}

#[test]
fn spans_go_to_the_owner_of_their_trace_and_keep_their_envelopes() {
    let key = RoutingKey::new(Signal::Traces, "", &[]).unwrap();
    let spans = (0..40_u8).map(|n| span(n % 10 + 1, &format!("{n}"), 0, Vec::new())).collect();
    let split = shares(&key, vec![resource(Some("shop"), spans)]);
    assert!(split.len() > 1);
    let mut all = 0;
    for (member, names) in split {
        for name in &names {
            let trace = [name.parse::<u8>().unwrap() % 10 + 1; 16];
            assert_eq!(ring().members()[ring().owner(&trace).unwrap()], member);
        }
        all += names.len();
    }
    assert_eq!(all, 40);
}

#[test]
fn a_service_is_an_attribute() {
    let key = RoutingKey::new(Signal::Traces, "service", &[]).unwrap();
    let one =
        shares(&key, vec![resource(Some("checkout"), vec![span(1, "a", 0, Vec::new()), span(2, "b", 0, Vec::new())])]);
    assert_eq!(one, [("backend-2:4317".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
    let missing = shares(&key, vec![resource(None, vec![span(1, "a", 0, Vec::new())])]);
    assert_eq!(missing[0].0, "backend-1:4317");
}

#[test]
fn attributes_come_from_resource_scope_and_first_span() {
    let spans = || vec![span(1, "first", 2, vec![text("x", "y")]), span(1, "second", 3, vec![text("x", "z")])];
    let check = |names: &[&str], key: &str| {
        let split = shares(&attributes(names), vec![resource(Some("frontend"), spans())]);
        assert_eq!(split, [(owner(key), vec!["first".to_owned(), "second".to_owned()])], "{key}");
    };
    check(&["service.name", "span.kind"], "service.name=frontend|span.kind=Server|");
    check(&["scope.attr", "span.name"], "scope.attr=s|span.name=first|");
    check(&["x", "service.name"], "x=y|service.name=frontend|");
    check(&["none"], "none=|");
}

#[test]
fn a_trace_of_several_resources_goes_whole_to_the_owner_of_each() {
    let key = RoutingKey::new(Signal::Traces, "service", &[]).unwrap();
    let services: Vec<String> = (0..8).map(|n| format!("service-{n}")).collect();
    let other = services.iter().find(|name| owner(&format!("service.name={name}|")) != owner("service.name=checkout|"));
    let other = other.unwrap().as_str();
    let split = shares(
        &key,
        vec![
            resource(Some("checkout"), vec![span(1, "a", 0, Vec::new())]),
            resource(Some(other), vec![span(1, "b", 0, Vec::new()), span(2, "c", 0, Vec::new())]),
        ],
    );
    let of = |name: &str| {
        let owner = owner(&format!("service.name={name}|"));
        split.iter().find(|share| share.0 == owner).unwrap().1.clone()
    };
    assert_eq!(of("checkout"), ["a", "b"]);
    assert_eq!(of(other), ["a", "b", "c"]);
}

fn point(key: &str, value: Value) -> NumberPoint {
    NumberPoint {
        attributes: vec![(key.to_owned(), value)],
        start_unix_nano: 0,
        time_unix_nano: 1,
        value: NumberValue::Int(1),
        exemplars: Vec::new(),
        flags: 0,
    }
}

fn gauge(name: &str, points: Vec<NumberPoint>) -> Metric {
    let data = MetricData::Gauge { points };
    Metric { name: name.to_owned(), description: String::new(), unit: "1".to_owned(), data }
}

fn string(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn batch(attributes: Attributes, metrics: Vec<Metric>) -> Metrics {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { attributes, scope_metrics, ..ResourceMetrics::default() }];
    Metrics { resource_metrics, ..Metrics::default() }
}

/// Member and number of points, for each share.
fn points(key: &str, names: &[&str], metrics: Metrics) -> Vec<(String, usize)> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = RoutingKey::new(Signal::Metrics, key, &names).unwrap();
    let ring = ring();
    let shares = key.split(Batch::Metrics(metrics), &ring).unwrap();
    shares.into_iter().map(|(member, share)| (ring.members()[member].clone(), share.items)).collect()
}

#[test]
fn metrics_go_by_service_name_metric_and_attributes() {
    let metrics = || {
        let points = |n: i64| (0..n).map(|n| point("n", Value::Int(n))).collect();
        batch(
            vec![("service.name".to_owned(), string("checkout"))],
            vec![gauge("one", points(2)), gauge("two", points(3))],
        )
    };
    assert_eq!(points("", &[], metrics()), [(owner("checkout"), 5)]);
    assert_eq!(points("service", &[], metrics()), [(owner("checkout"), 5)]);
    let mut expected = [(owner("one"), 2), (owner("two"), 3)];
    expected.sort();
    if expected[0].0 == expected[1].0 {
        assert_eq!(points("metric", &[], metrics()), [(owner("one"), 5)]);
    } else {
        assert_eq!(points("metric", &[], metrics()), expected);
    }
    assert_eq!(points("attributes", &["service.name"], metrics()), [(owner("service.name=checkout|"), 5)]);
    let by_point = points("attributes", &["n", "service.name"], metrics());
    for n in 0..3 {
        let owner = owner(&format!("service.name=checkout|n={n}|"));
        assert!(by_point.iter().any(|share| share.0 == owner), "{by_point:?}");
    }
    assert_eq!(by_point.iter().map(|share| share.1).sum::<usize>(), 5);
    assert_eq!(points("streamID", &[], metrics()).iter().map(|share| share.1).sum::<usize>(), 5);
}

#[test]
fn metrics_without_a_service_name_are_refused_only_where_nothing_else_is_left() {
    let nameless = batch(Vec::new(), vec![gauge("one", vec![point("n", Value::Int(1))])]);
    let mut both = batch(
        vec![("service.name".to_owned(), string("checkout"))],
        vec![gauge("one", vec![point("n", Value::Int(1))])],
    );
    both.resource_metrics.extend(nameless.resource_metrics.clone());
    assert_eq!(points("service", &[], both), [(owner("checkout"), 1)]);
    let key = RoutingKey::new(Signal::Metrics, "service", &[]).unwrap();
    let failure = key.split(Batch::Metrics(nameless), &ring()).unwrap_err();
    assert!(failure.error.permanent);
    assert_eq!(failure.rest.items, 1);
}

#[test]
fn keys_belong_to_signals() {
    let fails = |signal, key: &str, text: &str| {
        assert_eq!(RoutingKey::new(signal, key, &[]), Err(text.to_owned()));
    };
    fails(Signal::Traces, "metric", "unsupported routing_key: metric");
    fails(Signal::Metrics, "traceID", "unsupported routing_key: \"traceID\"");
}

#[test]
fn identities_are_those_of_contrib() {
    // Computed by internal/exp/metrics/identity of contrib 0.159.
    assert_eq!(resource_identity(&Vec::new()), "resource/88201fb960ff6465");
    let map = vec![("z".to_owned(), string("1")), ("a".to_owned(), string("2"))];
    let resource: Attributes = [
        ("service.name", string("checkout")),
        ("n", Value::Int(-7)),
        ("d", Value::Double(2.5)),
        ("t", Value::Bool(true)),
        ("f", Value::Bool(false)),
        ("e", Value::Empty),
        ("b", Value::Bytes(vec![1, 2, 255])),
        ("l", Value::Array(vec![string("x"), Value::Int(1)])),
        ("m", Value::Map(map)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    assert_eq!(resource_identity(&resource), "resource/62af2d7d6c3e2a74");
    let attributes = vec![("k".to_owned(), string("v"))];
    let scope = Scope { name: "lib".to_owned(), version: "v1".to_owned(), attributes };
    let point = vec![("route".to_owned(), string("/cart"))];
    let check = |data, stream: &str| {
        let metric = Metric { data, ..gauge("requests", Vec::new()) };
        assert_eq!(MetricIdentity::new(&resource, &scope, &metric).stream(&point), stream);
    };
    let (delta, cumulative) = (AggregationTemporality::Delta, AggregationTemporality::Cumulative);
    check(MetricData::Gauge { points: Vec::new() }, "stream/df19014d19a46fef");
    let sum = MetricData::Sum { points: Vec::new(), temporality: delta, monotonic: true };
    check(sum, "stream/cfd2369ffa12b910");
    let histogram = MetricData::Histogram { points: Vec::new(), temporality: cumulative };
    check(histogram, "stream/1de2ac92f625b1a");
    let exponential = MetricData::ExponentialHistogram { points: Vec::new(), temporality: cumulative };
    check(exponential, "stream/e64d0f439458a15f");
    check(MetricData::Summary { points: Vec::new() }, "stream/e5bceda6c960f893");
}
