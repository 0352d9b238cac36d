//! What kept spans tell of their decision: policy, dry run, threshold; and the decisions that can be looked at.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use pdata::metrics::{MetricData, NumberValue};
use pdata::{TraceId, Traces, TracesBuilder};
use prost::Message;

use super::tests::{ERRORS, Kind, Running, attribute, batch, counts, replay};

/// Trace (first byte of the id), attributes of its scope, number of spans; in order.
fn scopes(batches: &[Traces]) -> Vec<(u8, String, usize)> {
    let mut out = Vec::new();
    for scope in batches.iter().flat_map(Traces::scopes) {
        let message = InstrumentationScope::decode(scope.scope()).unwrap();
        let texts: Vec<String> = message
            .attributes
            .iter()
            .map(|attribute| {
                let value = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                    Some(Value::StringValue(text)) => text.clone(),
                    Some(Value::BoolValue(yes)) => yes.to_string(),
                    other => format!("{other:?}"),
                };
                format!("{}={value}", attribute.key.trim_start_matches("tailsampling."))
            })
            .collect();
        let mut ids: BTreeMap<u8, usize> = BTreeMap::new();
        for span in scope.spans() {
            *ids.entry(span.trace_id()[0]).or_default() += 1;
        }
        out.extend(ids.into_iter().map(|(id, spans)| (id, texts.join(" "), spans)));
    }
    out.sort();
    out
}

fn expect(batches: &[Traces], expected: &[(u8, &str, usize)]) {
    let got = scopes(batches);
    let got: Vec<(u8, &str, usize)> = got.iter().map(|(id, text, spans)| (*id, text.as_str(), *spans)).collect();
    assert_eq!(got, expected);
}

const POLICIES: &str = "
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: never, type: drop, drop: {drop_sub_policy: [{type: span_count, span_count: {min_spans: 5}}]}}
  - name: some
    type: composite
    composite:
      max_total_spans_per_second: 100
      composite_sub_policy:
        - {name: pairs, type: span_count, span_count: {min_spans: 2}}
        - {name: long, type: span_count, span_count: {min_spans: 4}}
";

/// A trace kept by two policies, one by a sub-policy, one not kept, one dropped.
fn arrivals() -> Vec<(u8, Kind)> {
    let mut all = vec![(1, Kind::Error), (1, Kind::Child), (2, Kind::Child), (2, Kind::Child), (3, Kind::Child)];
    all.extend([(4, Kind::Error); 5]);
    all
}

#[test]
fn scopes_name_the_policy_and_the_sub_policy() {
    let mut replay = replay(&format!("decision_wait: 1s\nrecord_policy: true{POLICIES}"));
    replay.take(&batch(&arrivals()));
    replay.second();
    let out = replay.second();
    // Equal scopes are joined only where they say the same.
    let both = "policy=errors composite_policy=pairs";
    expect(&out, &[(1, both, 2), (2, "policy=some composite_policy=pairs", 2)]);
    // Late spans name the policy too, which contrib leaves out.
    expect(&replay.take(&batch(&[(1, Kind::Child), (3, Kind::Child)])), &[(1, "policy=errors", 1)]);
}

#[test]
fn late_spans_of_a_cached_decision_say_so_and_values_are_replaced() {
    let cache = "decision_cache: {sampled_cache_size: 5, non_sampled_cache_size: 5}";
    let mut replay = replay(&format!("decision_wait: 1s\nrecord_policy: true\n{cache}{ERRORS}"));
    replay.take(&batch(&[(1, Kind::Error), (2, Kind::Child)]));
    replay.second();
    expect(&replay.second(), &[(1, "policy=errors", 1)]);
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    };
    let scope = InstrumentationScope {
        name: "s".to_owned(),
        attributes: vec![text("tailsampling.policy", "old"), text("mine", "x")],
        ..InstrumentationScope::default()
    };
    let mut builder = TracesBuilder::new();
    builder.resource(&attribute("a"), b"u");
    builder.scope(&scope.encode_to_vec(), b"v");
    for id in [1, 2] {
        builder.span([id; 16], &Span { trace_id: vec![id; 16], ..Span::default() }.encode_to_vec());
    }
    let out = replay.take(&builder.build());
    expect(&out, &[(1, "mine=x policy=errors cached_decision=true", 1)]);
    let scope = out[0].scope(0).unwrap();
    assert_eq!((out[0].resource(0).unwrap().schema_url(), scope.schema_url()), (&b"u"[..], &b"v"[..]));
}

#[test]
fn a_dry_run_keeps_everything_and_says_what_would_have_gone() {
    let mut replay = replay(&format!("decision_wait: 1s\ndry_run: true\nmaximum_trace_size_bytes: 400{POLICIES}"));
    replay.take(&batch(&arrivals()));
    let mut out = replay.take(&batch(&[(5, Kind::Child); 20]));
    out.extend(replay.second());
    out.extend(replay.second());
    out.extend(replay.take(&batch(&[(3, Kind::Error)])));
    let all = counts(&out);
    assert_eq!((all[&4], all[&5]), (5, 20));
    // Those from the one that was too much on went on at once.
    let late = scopes(&out[..1])[0].2;
    expect(
        &out,
        &[
            (1, "dry_run_decision=sampled", 2),
            (2, "dry_run_decision=sampled", 2),
            (3, "dry_run_decision=not_sampled", 1),
            (3, "dry_run_decision=not_sampled", 1),
            (4, "dry_run_decision=dropped", 5),
            (5, "dry_run_decision=not_sampled", late.min(20 - late)),
            (5, "dry_run_decision=not_sampled", late.max(20 - late)),
        ],
    );
    let summary = replay.summary();
    assert_eq!((summary.sampled, summary.not_sampled, summary.dropped, summary.too_large), (2, 1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn recent_decisions_can_be_asked_for() {
    let running = Running::start("tail_sampling/a", &format!("decision_wait: 1s\nrecent_decisions: 2{POLICIES}")).await;
    running.input.consume(batch(&arrivals())).await.unwrap();
    running.seconds(2).await;
    let ask = |query: &str| running.registry.ask("tail_sampling/a", query).unwrap();
    let all: serde_json::Value = serde_json::from_str(&ask("").unwrap()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap());
    let one: serde_json::Value =
        serde_json::from_str(&ask("trace_id=03030303030303030303030303030303").unwrap()).unwrap();
    assert_eq!(one[0]["decisions"][0]["decision"], "not_sampled");
    assert_eq!(one[0]["decisions"].as_array().unwrap().len(), 1);
    assert!(ask("id=3").is_err());
    running.lifecycle.shutdown().await.unwrap();
}

/// Ids that look random and are the same in every run.
fn id(number: u64) -> TraceId {
    let mix = |seed: u64| {
        let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    ((u128::from(mix(1)) << 64) | u128::from(mix(2))).to_be_bytes()
}

fn states(batches: &[Traces]) -> Vec<String> {
    let mut all: Vec<String> =
        batches.iter().flat_map(Traces::spans).map(|span| Span::decode(span.bytes()).unwrap().trace_state).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn thresholds_are_of_all_policies_together() {
    let run = |policies: &str, error: bool| {
        let mut replay = replay(&format!("decision_wait: 1s\nrecord_threshold: true\npolicies: {policies}"));
        let mut builder = TracesBuilder::new();
        for number in 0..400 {
            let code = i32::from(error) * 2;
            let status = Some(Status { code, ..Status::default() });
            let span = Span { trace_id: id(number).to_vec(), status, ..Span::default() };
            builder.span(id(number), &span.encode_to_vec());
        }
        replay.take(&builder.build());
        replay.second();
        states(&replay.second())
    };
    let errors = "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}";
    let share = |name: &str, percent: u32, salt: &str| {
        let settings = format!("{{hash_salt: '{salt}', sampling_percentage: {percent}}}");
        format!("{{name: {name}, type: probabilistic, probabilistic: {settings}}}")
    };
    let (a, b) = (share("a", 5, ""), share("b", 50, ""));
    assert_eq!(run(&format!("[{errors}, {a}]"), false), ["ot=th:f3333333333333"]);
    assert_eq!(run(&format!("[{errors}, {a}]"), true), ["ot=th:0"]);
    // With one salt the larger share holds the smaller one; with two, being kept by either is likelier than by one.
    assert_eq!(run(&format!("[{a}, {b}]"), false), ["ot=th:8"]);
    assert_eq!(run(&format!("[{b}, {}]", share("c", 50, "x")), false), ["ot=th:4"]);
    let not =
        "{name: n, type: not, not: {not_sub_policy: {type: probabilistic, probabilistic: {sampling_percentage: 25}}}}";
    assert_eq!(run(&format!("[{not}]"), false), ["ot=th:4"]);
    // A limit lets pass what it can: 100 of 400.
    let limit = "{name: l, type: rate_limiting, rate_limiting: {spans_per_second: 1, burst_capacity: 100}}";
    assert_eq!(run(&format!("[{limit}]"), false), ["ot=th:c"]);
}

#[tokio::test(start_paused = true)]
async fn trace_states_that_cannot_be_read_are_counted() {
    let running = Running::start(
        "tail_sampling",
        "decision_wait: 1s\nrecord_threshold: true\npolicies: [{name: a, type: always_sample}]",
    )
    .await;
    for _ in 0..2 {
        let span = Span { trace_id: vec![1; 16], trace_state: "no".to_owned(), ..Span::default() };
        let mut builder = TracesBuilder::new();
        builder.span([1; 16], &span.encode_to_vec());
        running.input.consume(builder.build()).await.unwrap();
        running.seconds(3).await;
    }
    assert_eq!(running.out(), [(1, 2)].into());
    let name = "otelcol_processor_tail_sampling_count_spans_with_unparseable_tracestate";
    let all = running.registry.collect(0);
    let metric = all.scope_metrics.iter().flat_map(|scope| &scope.metrics).find(|metric| metric.name == name).unwrap();
    let MetricData::Sum { points, .. } = &metric.data else { panic!("{metric:?}") };
    assert_eq!(points[0].value, NumberValue::Int(2));
    running.lifecycle.shutdown().await.unwrap();
}

/// Calls by service that span metrics count.
fn calls(batches: &[Traces]) -> BTreeMap<String, f64> {
    let mut metrics = connectors::spanmetrics::SpanMetrics::new(connectors::spanmetrics::Config::default());
    for batch in batches {
        metrics.observe(batch, 1);
    }
    // The first flush of a series starts it at zero.
    metrics.flush(2);
    let flushed = metrics.flush(3);
    let mut out = BTreeMap::new();
    for metric in flushed.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|scope| &scope.metrics) {
        let MetricData::Sum { points, .. } = &metric.data else { continue };
        for point in points {
            let service = point.attributes.iter().find(|(key, _)| key == "service.name").unwrap();
            let pdata::metrics::Value::String(service) = &service.1 else { panic!("{service:?}") };
            let value = match point.value {
                NumberValue::Int(value) => value as f64,
                NumberValue::Double(value) => value,
            };
            *out.entry(service.clone()).or_default() += value;
        }
    }
    out
}

/// 60,000 traces through policies of every random kind: span metrics of the kept tenth tell the totals of all.
#[test]
fn span_metrics_of_kept_spans_estimate_the_totals_of_all() {
    let mut replay = replay(
        "
decision_wait: 2s
num_traces: 1000000
record_threshold: true
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: noise, type: drop, drop: {drop_sub_policy: [{type: string_attribute, string_attribute: {key: service.name, values: [cart]}}, {type: probabilistic, probabilistic: {hash_salt: drop, sampling_percentage: 50}}]}}
  - {name: baseline, type: probabilistic, probabilistic: {sampling_percentage: 5}}
  - {name: other-salt, type: probabilistic, probabilistic: {hash_salt: other, sampling_percentage: 3}}
  - name: pay
    type: and
    and:
      and_sub_policy:
        - {type: string_attribute, string_attribute: {key: service.name, values: [pay]}}
        - {type: probabilistic, probabilistic: {sampling_percentage: 20}}
  - {name: limited, type: rate_limiting, rate_limiting: {spans_per_second: 500}}
",
    );
    let (mut sent, mut kept) = (Vec::new(), Vec::new());
    let services = ["cart", "pay", "ship"];
    for second in 0..30_u64 {
        for (at, service) in services.iter().enumerate() {
            let mut builder = TracesBuilder::new();
            builder.resource(&attribute(service), b"");
            for n in 0..667 {
                let number = (second * 667 + n) * 3 + at as u64;
                for span in 0..1 + number % 4 {
                    let code = if number % 50 == 7 { 2 } else { 0 };
                    let message = Span {
                        trace_id: id(number).to_vec(),
                        span_id: vec![1 + span as u8; 8],
                        name: "op".to_owned(),
                        status: Some(Status { code, ..Status::default() }),
                        ..Span::default()
                    };
                    builder.span(id(number), &message.encode_to_vec());
                }
            }
            let batch = builder.build();
            kept.extend(replay.take(&batch));
            sent.push(batch);
        }
        kept.extend(replay.second());
    }
    while replay.is_waiting() {
        kept.extend(replay.second());
    }
    let (real, estimated) = (calls(&sent), calls(&kept));
    let share = kept.iter().map(Traces::span_count).sum::<usize>() as f64 / real.values().sum::<f64>();
    assert!((0.1..0.35).contains(&share), "kept {share}");
    let error = |real: f64, estimated: f64| (estimated - real).abs() / real;
    let total = error(real.values().sum(), estimated.values().sum());
    assert!(total < 0.02, "total off by {total}: {real:?} {estimated:?}");
    for service in services {
        let off = error(real[service], estimated[service]);
        assert!(off < 0.04, "{service} off by {off}: {real:?} {estimated:?}");
    }
}
