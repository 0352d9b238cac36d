use std::collections::HashMap;
use std::fmt::Write as _;

use component::ManualClock;
use pdata::metrics::{
    AggregationTemporality, HistogramPoint, Metric, MetricData, NumberPoint, NumberValue, ResourceMetrics, Scope,
    ScopeMetrics, Value,
};
use tokio_stream::StreamExt;
use tonic::Request;

use super::externalscaler::external_scaler_server::ExternalScaler;
use super::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use super::query::Trigger;
use super::*;

const SECOND: u64 = 1_000_000_000;
/// Some moment of 2026.
const BEGIN: u64 = 1_790_000_000 * SECOND;

const SPANS: &str = "otelcol_receiver_accepted_spans";
const WAITING: &str = "otelcol_processor_tail_sampling_num_traces_sampled";

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn point(attributes: &[(&str, &str)], start: u64, at: u64, value: i64) -> NumberPoint {
    NumberPoint {
        attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect(),
        start_unix_nano: start,
        time_unix_nano: at,
        value: NumberValue::Int(value),
        exemplars: Vec::new(),
        flags: 0,
    }
}

fn metric(name: &str, unit: &str, data: MetricData) -> Metric {
    Metric { name: name.to_owned(), description: String::new(), unit: unit.to_owned(), data }
}

fn counter(name: &str, points: Vec<NumberPoint>) -> Metric {
    let temporality = AggregationTemporality::Cumulative;
    metric(name, "{span}", MetricData::Sum { points, temporality, monotonic: true })
}

fn gauge(name: &str, points: Vec<NumberPoint>) -> Metric {
    metric(name, "{traces}", MetricData::Gauge { points })
}

fn from_pod(pod: &str, service: &str, metrics: Vec<Metric>) -> ResourceMetrics {
    let attributes = [("host.name", pod), ("service.name", service), ("service.instance.id", pod)];
    ResourceMetrics {
        attributes: attributes.map(|(key, value)| (key.to_owned(), text(value))).to_vec(),
        scope_metrics: vec![ScopeMetrics {
            scope: Scope { name: "s".to_owned(), ..Scope::default() },
            metrics,
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    }
}

struct Fixture {
    exporter: Exporter,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new(yaml: &str) -> Self {
        let mut problems = Problems::default();
        let yaml = format!("endpoint: 127.0.0.1:0\n{yaml}");
        let section = Section::parse("keda_scaler", "exporters", &yaml).unwrap();
        let config: Config = section.decode(&mut problems).unwrap();
        config.check("p", &mut problems);
        assert!(problems.is_empty(), "{:?}", problems.list());
        let clock = Arc::new(ManualClock::default());
        let mut context = crate::testing::context("keda_scaler");
        context.clock = Arc::clone(&clock) as _;
        Self { exporter: Exporter::new(config, &context), clock }
    }

    fn push(&self, at: u64, resources: Vec<ResourceMetrics>) {
        self.set(at);
        self.exporter.accept(&Metrics { resource_metrics: resources, ..Metrics::default() });
    }

    fn set(&self, at: u64) {
        let now = self.clock.unix_nano();
        self.clock.advance(Duration::from_nanos(at - now));
    }

    fn ask(&self, metadata: &[(&str, &str)]) -> Result<f64, String> {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let trigger = Trigger::parse(&metadata).map_err(|error| error.to_string())?;
        let value = trigger.evaluate(&self.exporter.shared.store(), self.exporter.shared.now());
        value.map_err(|error| error.to_string())
    }

    fn query(&self, query: &str) -> Result<f64, String> {
        self.ask(&[("metricQuery", query), ("targetValue", "10")])
    }

    fn scaler(&self, stop: &CancellationToken) -> Scaler {
        let shared = Arc::clone(&self.exporter.shared);
        Scaler { shared, arrivals: self.exporter.arrivals.subscribe(), stop: stop.clone() }
    }
}

/// Two gateways, one receiving 1000 spans a second and one 500, and two samplers, for three minutes.
fn tiers() -> Fixture {
    let fixture = Fixture::new("");
    for step in 0..=18u64 {
        let at = BEGIN + step * 10 * SECOND;
        let pod = |pod: &str, rate: u64| {
            let spans = i64::try_from(step * 10 * rate).unwrap();
            let refused = i64::try_from(step * 10 * rate / 100).unwrap();
            let labels = [("receiver", "otlp"), ("transport", "grpc")];
            let accepted = counter(
                SPANS,
                vec![
                    point(&labels, BEGIN, at, spans),
                    point(&[("receiver", "zipkin"), ("transport", "http")], BEGIN, at, 0),
                ],
            );
            let refused = counter("otelcol_receiver_refused_spans", vec![point(&labels, BEGIN, at, refused)]);
            from_pod(pod, "tier1", vec![accepted, refused])
        };
        let sampler =
            |pod: &str, waiting: i64| from_pod(pod, "tier2", vec![gauge(WAITING, vec![point(&[], 0, at, waiting)])]);
        fixture.push(at, vec![pod("g-0", 1000), pod("g-1", 500), sampler("s-0", 40_000), sampler("s-1", 20_010)]);
    }
    fixture
}

/// What each query of a list is answered with, a line each.
fn answers(fixture: &Fixture, queries: &[(&str, Option<&str>)]) -> String {
    let mut out = String::new();
    for (query, over_time) in queries {
        let mut metadata = vec![("metricQuery", *query), ("targetValue", "10")];
        metadata.extend(over_time.map(|operation| ("operationOverTime", operation)));
        let operation = over_time.map(|operation| format!(" [{operation}]")).unwrap_or_default();
        let answer = fixture.ask(&metadata).map_or_else(|error| format!("error: {error}"), |value| value.to_string());
        writeln!(out, "{query}{operation}\n  {answer}").unwrap();
    }
    out
}

#[test]
fn queries_of_the_add_on() {
    let answers = answers(
        &tiers(),
        &[
            ("sum(otelcol_receiver_accepted_spans{receiver=otlp})", Some("rate")),
            ("sum(otelcol_receiver_accepted_spans{receiver=\"otlp\"})", Some("rate")),
            ("otelcol_receiver_accepted_spans", Some("rate")),
            ("sum(otelcol_receiver_accepted_spans_total{receiver=otlp, transport=grpc})", Some("rate")),
            ("avg(otelcol_receiver_accepted_spans{receiver=otlp})", Some("rate")),
            ("sum(otelcol_receiver_accepted_spans{receiver=otlp})", None),
            ("sum(otelcol_processor_tail_sampling_num_traces_sampled)", None),
            ("max(otelcol_processor_tail_sampling_num_traces_sampled)", Some("max")),
            ("count(otelcol_processor_tail_sampling_num_traces_sampled)", None),
            ("sum(otelcol_processor_tail_sampling_num_traces_sampled{host_name=s-1})", Some("avg")),
            ("sum(otelcol_receiver_accepted_spans{reciever=otlp})", Some("rate")),
            ("sum(otelcol_receiver_accepted_spans{receiver=jaeger})", Some("rate")),
            ("sum(otelcol_receiver_acepted_spans{receiver=otlp})", Some("rate")),
            ("sum(otelcol_receiver_accepted_spans{receiver=otlp})", Some("rates")),
            ("sum(rate(otelcol_receiver_accepted_spans[1m]))", Some("rate")),
        ],
    );
    insta::assert_snapshot!(answers);
}

#[test]
fn queries_in_promql() {
    let answers = answers(
        &tiers(),
        &[
            // As in the article.
            ("sum(rate(otelcol_receiver_accepted_spans{receiver=\"otlp\"}[1m]))\n", None),
            (
                "sum(rate(otelcol_receiver_accepted_spans_total{job=\"tier1\"}[1m])) + sum(rate(otelcol_receiver_refused_spans_total{job=\"tier1\"}[1m]))",
                None,
            ),
            ("max(sum by (instance) (rate(otelcol_receiver_accepted_spans[2m])))", None),
            ("sum(increase(otelcol_receiver_accepted_spans{receiver=~\"ot.*\"}[1m]))", None),
            ("sum(irate(otelcol_receiver_accepted_spans{receiver!=\"zipkin\"}[1m]))", None),
            ("sum(max_over_time(otelcol_processor_tail_sampling_num_traces_sampled[1m]))", None),
            ("sum(otelcol_processor_tail_sampling_num_traces_sampled offset 1m)", None),
            ("sum(otelcol_processor_tail_sampling_num_traces_sampled) / 80000 * 100", None),
            ("count(otelcol_processor_tail_sampling_num_traces_sampled > 30000)", None),
            ("sum(otelcol_processor_tail_sampling_num_traces_sampled > 90000)", None),
            ("sum(predict_linear(otelcol_receiver_accepted_spans{receiver=\"otlp\"}[1m], 60))", None),
            (
                "sum(otelcol_receiver_refused_spans / on (host_name) otelcol_receiver_accepted_spans{receiver=\"otlp\"})",
                None,
            ),
            ("sum({__name__=~\"otelcol_receiver_.*\", receiver=\"otlp\"})", None),
            ("clamp_max(scalar(sum(otelcol_receiver_accepted_spans)), 5)", None),
            ("clamp_max(sum(otelcol_receiver_accepted_spans), 5)", None),
            ("sum(nothing) or vector(7)", None),
            ("sum(nothing)", None),
            ("sum(rate(otelcol_receiver_accepted_spans{receiver=\"otpl\"}[1m]))", None),
            ("sum(rate(otelcol_receiver_accepted_spans{job=\"tier2\"}[1m]))", None),
            ("sum(rate(otelcol_receiver_accepted_spans[10m]))", None),
            ("sum(rate(otelcol_receiver_accepted_spans[5s]))", None),
            ("rate(otelcol_receiver_accepted_spans[1m])", None),
            ("otelcol_receiver_accepted_spans + otelcol_receiver_refused_spans", None),
            ("topk(1, otelcol_receiver_accepted_spans)", None),
            ("histogram_quantile(0.9, otelcol_receiver_accepted_spans)", None),
            ("max_over_time(sum(otelcol_receiver_accepted_spans)[1m:10s])", None),
            ("sum(rate(otelcol_receiver_accepted_spans))", None),
            ("sum(rate(", None),
            ("1 / 0", None),
        ],
    );
    insta::assert_snapshot!(answers);
}

#[test]
fn metadata_is_checked() {
    let fixture = tiers();
    let query = ("metricQuery", "sum(otelcol_processor_tail_sampling_num_traces_sampled)");
    for (metadata, expected) in [
        (vec![("targetValue", "5")], "metricQuery is required"),
        (vec![query], "targetValue is required"),
        (vec![query, ("targetValue", "x")], "targetValue: \"x\" is not a number"),
        (vec![query, ("targetValue", "0")], "targetValue: 0 is not above 0"),
        (vec![query, ("targetvalue", "5")], "unknown trigger metadata \"targetvalue\" (did you mean \"targetValue\"?)"),
        (vec![query, ("targetValue", "5"), ("clampMin", "9"), ("clampMax", "8")], "clampMin 9 is above clampMax 8"),
    ] {
        let error = fixture.ask(&metadata).unwrap_err();
        assert!(error.contains(expected), "{metadata:?}: {error}");
    }
    let clamped = [query, ("targetValue", "5"), ("clampMax", "100"), ("scalerAddress", "x:1"), ("team", "a")];
    assert_eq!(fixture.ask(&clamped), Ok(100.0));
}

#[test]
fn restarts_are_rises_and_not_falls() {
    let fixture = Fixture::new("");
    // The second restart is seen only by its start: the new count is above the old one already.
    for (step, (start, value)) in
        [(0, 100), (0, 200), (15, 50), (15, 150), (35, 400), (35, 500), (35, 600)].into_iter().enumerate()
    {
        let at = BEGIN + step as u64 * 10 * SECOND;
        let counted = counter(SPANS, vec![point(&[], BEGIN + start * SECOND, at, value)]);
        fixture.push(at, vec![from_pod("g-0", "tier1", vec![counted])]);
    }
    // 100 + 50 + 100 + 400 + 100 + 100 over 60 s.
    let rate =
        [("metricQuery", "sum(otelcol_receiver_accepted_spans)"), ("operationOverTime", "rate"), ("targetValue", "1")];
    assert_eq!(fixture.ask(&rate), Ok(850.0 / 60.0));
    assert_eq!(fixture.query("sum(irate(otelcol_receiver_accepted_spans[1m]))"), Ok(10.0));
}

#[test]
fn deltas_add_up_and_histograms_count() {
    let fixture = Fixture::new("");
    for step in 0..=3u64 {
        let at = BEGIN + step * 10 * SECOND;
        let temporality = AggregationTemporality::Delta;
        let deltas = MetricData::Sum { points: vec![point(&[], 0, at, 100)], temporality, monotonic: true };
        let sizes = HistogramPoint {
            time_unix_nano: at,
            count: 3 * (step + 1),
            sum: Some(30.0),
            bucket_counts: vec![step + 1, 2 * (step + 1)],
            explicit_bounds: vec![10.0],
            ..HistogramPoint::default()
        };
        let cumulative = AggregationTemporality::Cumulative;
        let sizes = MetricData::Histogram { points: vec![sizes], temporality: cumulative };
        let all = vec![metric("requests", "1", deltas), metric("batch.size", "By", sizes)];
        fixture.push(at, vec![from_pod("p", "s", all)]);
    }
    let rate = [("metricQuery", "requests_total"), ("operationOverTime", "rate"), ("targetValue", "1")];
    assert_eq!(fixture.ask(&rate), Ok(10.0));
    assert_eq!(fixture.query("sum(batch_size_bytes_count)"), Ok(12.0));
    assert_eq!(fixture.query("sum(batch_size_bucket{le=\"+Inf\"})"), Ok(12.0));
    assert_eq!(fixture.query("sum(batch_size_bucket{le=\"10\"})"), Ok(4.0));
}

#[test]
fn a_pod_that_is_gone_is_not_counted() {
    let fixture = tiers();
    let last = BEGIN + 180 * SECOND;
    let sum = "sum(otelcol_processor_tail_sampling_num_traces_sampled)";
    for step in 1..=4 {
        let at = last + step * 10 * SECOND;
        let waiting = gauge(WAITING, vec![point(&[], 0, at, 7)]);
        fixture.push(at, vec![from_pod("s-0", "tier2", vec![waiting])]);
        // Three intervals of silence are waited for.
        assert_eq!(fixture.query(sum), Ok(if step < 4 { 20_017.0 } else { 7.0 }), "{step}");
    }
    // One that says that it ends is gone at once.
    let at = last + 50 * SECOND;
    let mut end = point(&[], 0, at, 0);
    end.flags = 1;
    fixture.push(at, vec![from_pod("s-0", "tier2", vec![gauge(WAITING, vec![end])])]);
    assert!(fixture.query(sum).unwrap_err().contains("stale"));
    // A clock that is far off is not believed.
    let waiting = gauge(WAITING, vec![point(&[], 0, 1, 9)]);
    fixture.push(at + SECOND, vec![from_pod("s-9", "tier2", vec![waiting])]);
    assert_eq!(fixture.query(sum), Ok(9.0));
}

#[test]
fn memory_is_bounded() {
    let fixture = Fixture::new("max_series: 3\nhistory: 60s\nadd_on_window: 30s");
    for number in 0..20_000u64 {
        // Every millisecond, some of it going backwards.
        let at = BEGIN + number * SECOND / 1000;
        let value = i64::try_from(number % 7).unwrap();
        fixture.push(at, vec![from_pod("s-0", "tier2", vec![counter(SPANS, vec![point(&[], 0, at, value)])])]);
    }
    let store = fixture.exporter.shared.store();
    let samples = store.family(SPANS).unwrap().series().map(|(_, series)| series.within(0, Nanos::MAX).len());
    assert!(samples.max().unwrap() <= 1200);
    drop(store);
    let at = BEGIN + 30 * SECOND;
    let many =
        (0..10).map(|pod| from_pod(&format!("p-{pod}"), "s", vec![gauge("g", vec![point(&[], 0, at, 1)])])).collect();
    fixture.push(at, many);
    assert_eq!(fixture.exporter.shared.series.get(), 3);
    assert_eq!(fixture.exporter.shared.dropped.get(), 8);
    let long = "x".repeat(9 << 10);
    let labels = [("label", long.as_str())];
    fixture.push(at, vec![from_pod("p-0", "s", vec![gauge("g", vec![point(&labels, 0, at, 1)])])]);
    assert_eq!(fixture.exporter.shared.dropped.get(), 9);
    // Room comes back when series expire.
    let later = at + 200 * SECOND;
    fixture.push(later, vec![from_pod("new", "s", vec![gauge("h", vec![point(&[], 0, later, 1)])])]);
    assert_eq!(fixture.exporter.shared.series.get(), 1);
    assert!(fixture.query("sum(g)").unwrap_err().starts_with("no metric named g has been received"));
}

fn object(query: &str) -> ScaledObjectRef {
    let metadata = [("metricQuery", query), ("targetValue", "10000.5"), ("activationTargetValue", "30000")];
    ScaledObjectRef {
        name: "samplers".to_owned(),
        namespace: "observability".to_owned(),
        scaler_metadata: metadata
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<HashMap<_, _>>(),
    }
}

#[tokio::test(start_paused = true)]
async fn kedas_calls() {
    let fixture = tiers();
    let stop = CancellationToken::new();
    let scaler = fixture.scaler(&stop);
    let query = "sum(otelcol_processor_tail_sampling_num_traces_sampled)";
    let specs = scaler.get_metric_spec(Request::new(object(query))).await.unwrap().into_inner().metric_specs;
    assert_eq!((specs[0].metric_name.as_str(), specs[0].target_size), ("observability-samplers", 10_001));
    assert!((specs[0].target_size_float - 10_000.5).abs() < f64::EPSILON);
    let request = GetMetricsRequest { scaled_object_ref: Some(object(query)), metric_name: "m".to_owned() };
    let values = scaler.get_metrics(Request::new(request)).await.unwrap().into_inner().metric_values;
    assert_eq!((values[0].metric_name.as_str(), values[0].metric_value), ("m", 60_010));
    assert!(scaler.is_active(Request::new(object(query))).await.unwrap().into_inner().result);
    let refused = scaler.is_active(Request::new(object("sum(x)"))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    let refused = scaler.get_metric_spec(Request::new(object("sum("))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert_eq!(
        scaler.stream_metric_spec(Request::new(object(query))).await.unwrap_err().code(),
        tonic::Code::Unimplemented
    );
}

#[tokio::test(start_paused = true)]
async fn activity_is_pushed_when_it_changes() {
    let fixture = tiers();
    let stop = CancellationToken::new();
    let scaler = fixture.scaler(&stop);
    let query = object("sum(otelcol_processor_tail_sampling_num_traces_sampled)");
    let mut stream = scaler.stream_is_active(Request::new(query)).await.unwrap().into_inner();
    assert!(stream.next().await.unwrap().unwrap().result);
    let at = BEGIN + 190 * SECOND;
    let quiet = |pod| from_pod(pod, "tier2", vec![gauge(WAITING, vec![point(&[], 0, at, 5)])]);
    fixture.push(at, vec![quiet("s-0"), quiet("s-1")]);
    assert!(!stream.next().await.unwrap().unwrap().result);
    // Without any more metrics the series grow stale, which is an error and not "inactive".
    fixture.set(at + 100 * SECOND);
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.message().contains("stale"), "{error}");
    assert!(stream.next().await.is_none());
    let mut open = scaler.stream_is_active(Request::new(object("vector(1)"))).await.unwrap().into_inner();
    assert!(!open.next().await.unwrap().unwrap().result);
    stop.cancel();
    assert!(open.next().await.is_none());
}

#[test]
fn configuration() {
    for (yaml, expected) in [
        ("{}", "exporters::keda_scaler: expecting a non-blank address to serve KEDA on: `endpoint`"),
        ("{endpoint: 'a:1', historyy: 1m}", "exporters::keda_scaler: has invalid keys: historyy"),
        ("{endpoint: 'a:1', add_on_window: 10m}", "must be above 0 and not longer than `history`"),
        ("{endpoint: 'a:1', max_series: 0}", "exporters::keda_scaler::max_series: must be above 0"),
    ] {
        let mut problems = Problems::default();
        assert!(parse(&Section::parse("keda_scaler", "exporters", yaml).unwrap(), &mut problems).is_none());
        let problem = &problems.list()[0];
        let found = format!("{}: {}", problem.path, problem.message);
        assert!(found.contains(expected), "{yaml}: {found}");
    }
}
