//! Which spans share a series, and what its attributes are.

use super::*;
use crate::spanmetrics::{DimensionEntry, Unit, check_dimensions, default_bounds};

#[test]
fn all_built_in_dimensions_in_order() {
    let config = Config { instance_id: Some("i".to_owned()), sampling_method: true, ..Config::default() };
    let spans = [span("a", 5).status(2, "bad"), SpanSample::new([1; 16], [2; 8]).kind(77)];
    assert_eq!(
        settled(Config { histogram: Histogram::Disabled, ..config }, &[batch("shop", &[], &spans)]),
        [
            "traces.span.metrics.calls{service.name=shop,span.name=,span.kind=,status.code=STATUS_CODE_UNSET,\
             collector.instance.id=i,sampling.method=counted} 1",
            "traces.span.metrics.calls{service.name=shop,span.name=a,span.kind=SPAN_KIND_SERVER,\
             status.code=STATUS_CODE_ERROR,collector.instance.id=i,sampling.method=counted} 1",
        ]
    );
}

#[test]
fn every_metric_has_its_name_unit_and_scope() {
    let mut metrics = SpanMetrics::new(Config {
        event_dimensions: Some(vec![named("e")]),
        histogram: Histogram::Explicit { bounds: default_bounds(Unit::Seconds) },
        unit: Unit::Seconds,
        ..Config::default()
    });
    observe(&mut metrics, 1, &[span("a", 250)]);
    let flushed = metrics.flush(2);
    let scope = &flushed.resource_metrics[0].scope_metrics[0];
    assert_eq!(scope.scope.name, "spanmetricsconnector");
    let heads: Vec<_> = scope.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    let prefix = "traces.span.metrics";
    assert_eq!(
        heads,
        [
            (format!("{prefix}.calls").as_str(), ""),
            (format!("{prefix}.duration").as_str(), "s"),
            (format!("{prefix}.events").as_str(), "")
        ]
    );
    let MetricData::Histogram { points, .. } = &scope.metrics[1].data else { panic!() };
    assert_eq!((points[0].sum, points[0].explicit_bounds[0]), (Some(0.25), 0.002));
    // 0.25 lies in (0.2, 0.4].
    assert_eq!(points[0].bucket_counts[8], 1);
}

#[test]
fn parts_of_a_key_do_not_run_together() {
    let config = Config { exclude_dimensions: vec!["span.kind".into(), "status.code".into()], ..brief() };
    let batches = [batch("ab", &[], &[span("c", 1)]), batch("a", &[], &[span("bc", 1)])];
    assert_eq!(calls(config, &batches), ["{service.name=a,span.name=bc} 1", "{service.name=ab,span.name=c} 1"]);
}

#[test]
fn exclusions() {
    let all = ["service.name", "span.name", "span.kind", "status.code"].map(str::to_owned).to_vec();
    let spans = [span("a", 1), span("b", 1).status(2, "")];
    let config = Config { exclude_dimensions: all, ..brief() };
    assert_eq!(calls(config, &[batch("s", &[], &spans)]), ["{} 2"]);
    let config = Config { exclude_dimensions: vec!["service.names".into()], ..brief() };
    assert_eq!(calls(config, &[batch("s", &[], &spans)]).len(), 2);
}

#[test]
fn resources_without_a_service_name_do_not_count() {
    let traces = Traces::index(request(&[
        (&[("other", text("x"))], &[("", &[span("lost", 1)])]),
        (&[("service.name", Value::Int(4))], &[("", &[span("kept", 1)])]),
    ]))
    .unwrap();
    let config = Config { exclude_dimensions: vec!["span.kind".into(), "status.code".into()], ..brief() };
    assert_eq!(calls(config, &[traces]), ["{service.name=,span.name=kept} 1"]);
}

#[test]
fn dimensions_come_from_the_span_then_the_resource_then_the_default() {
    let config = Config {
        dimensions: vec![named("both"), named("resource"), or_else("default", "d"), or_else("empty", ""), named("no")],
        ..brief()
    };
    let spans = [span("a", 1).attribute("both", text("span")).attribute("both", text("second"))];
    let resource = [("both", text("resource")), ("resource", Value::Int(5)), ("empty", text("given"))];
    let expected = ["{span.name=a,both=span,resource=5,default=d,empty=given} 1"];
    assert_eq!(calls(config.clone(), &[batch("s", &resource, &spans)]), expected);
    assert_eq!(calls(config, &[batch("s", &[], &spans)]), ["{span.name=a,both=span,default=d,empty=} 1"]);
}

#[test]
fn values_are_one_series_by_their_text_and_keep_their_type() {
    let config = Config { dimensions: vec![named("v")], ..brief() };
    let spans = |values: &[Value]| -> Vec<SpanSample> {
        values.iter().map(|value| span("a", 1).attribute("v", value.clone())).collect()
    };
    let same = spans(&[Value::Int(200), text("200"), Value::Double(200.0)]);
    let mut metrics = SpanMetrics::new(config.clone());
    observe(&mut metrics, 1, &same);
    let flushed = metrics.flush_last(2);
    let MetricData::Sum { points, .. } = &flushed.resource_metrics[0].scope_metrics[0].metrics[0].data else {
        panic!()
    };
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].attributes.last().unwrap().1, Value::Int(200));

    let others = spans(&[
        Value::Bool(true),
        Value::Double(0.5),
        Value::Array(vec![Value::Int(1), text("x")]),
        Value::Map(vec![("k".into(), Value::Bool(false))]),
        Value::Bytes(vec![0, 1, 255]),
        Value::Int(-12),
        Value::Empty,
    ]);
    assert_eq!(
        calls(config, &[batch("s", &[], &others)]),
        [
            "{span.name=a,v=-12} 1",
            "{span.name=a,v=0.5} 1",
            "{span.name=a,v=AAH/} 1",
            "{span.name=a,v=[1,\"x\"]} 1",
            "{span.name=a,v=true} 1",
            "{span.name=a,v={\"k\":false}} 1",
            "{span.name=a,v=} 1",
        ]
    );
}

#[test]
fn globs_take_span_keys_then_resource_keys_in_order() {
    let config = Config { dimensions: vec![glob("net.*"), named("z"), glob("rpc.**")], ..brief() };
    let spans = [span("a", 1)
        .attribute("rpc.grpc.code", Value::Int(0))
        .attribute("net.peer", text("p"))
        .attribute("net.peer.name", text("no"))
        .attribute("net.both", text("span"))
        .attribute("z", text("z"))];
    let resource = [("net.both", text("resource")), ("net.host", text("h"))];
    assert_eq!(
        calls(config, &[batch("s", &resource, &spans)]),
        ["{span.name=a,z=z,net.both=span,net.peer=p,rpc.grpc.code=0,net.host=h} 1"]
    );
}

#[test]
fn metrics_may_have_dimensions_of_their_own() {
    let config = Config {
        dimensions: vec![named("c")],
        calls_dimensions: vec![named("x"), named("c")],
        duration_dimensions: vec![named("y")],
        ..brief()
    };
    let spans = [
        span("a", 1).attribute("c", text("c")).attribute("x", text("1")).attribute("y", text("1")),
        span("a", 1).attribute("c", text("c")).attribute("x", text("2")).attribute("y", text("1")),
        span("a", 99).attribute("c", text("c")).attribute("x", text("2")).attribute("y", text("1")),
    ];
    assert_eq!(
        settled(config, &[batch("s", &[], &spans)]),
        ["calls{span.name=a,c=c,x=1} 1", "calls{span.name=a,c=c,x=2} 2", "duration{span.name=a,c=c,y=1} 3/101 [2, 1]",]
    );
}

#[test]
fn events_look_into_span_then_event_then_resource() {
    let config = Config {
        dimensions: vec![named("common")],
        event_dimensions: Some(vec![named("kind"), or_else("other", "none"), glob("g.*")]),
        ..brief()
    };
    let spans = [span("a", 1)
        .event(1, "e", &[("kind", text("event")), ("common", text("event")), ("g.b", text("event"))])
        .event(2, "e", &[("g.a", text("event"))])
        .attribute("g.z", text("span"))];
    let resource = [("kind", text("resource")), ("g.b", text("resource"))];
    let all = settled(config, &[batch("s", &resource, &spans)]);
    let events: Vec<_> = all.iter().filter(|line| line.starts_with("events")).collect();
    assert_eq!(
        events,
        [
            "events{span.name=a,common=event,kind=event,other=none,g.z=span,g.b=event} 1",
            "events{span.name=a,kind=resource,other=none,g.z=span,g.a=event,g.b=resource} 1",
        ]
    );
}

#[test]
fn listed_scopes_become_attributes_and_the_first_scope_decides() {
    let config = Config { include_scopes: vec!["lib".into(), String::new()], ..brief() };
    let traces = |scope: &str| {
        let spans = [span("a", 1)];
        Traces::index(request(&[(&[("service.name", text("s"))], &[(scope, &spans)])])).unwrap()
    };
    let listed = ["{span.name=a,span.instrumentation.scope.name=lib} 2"];
    assert_eq!(calls(config.clone(), &[traces("lib"), traces("other")]), listed);
    assert_eq!(calls(config, &[traces(""), traces("lib")]), ["{span.name=a} 2"]);
}

#[test]
fn the_status_may_follow_the_newer_convention() {
    let config = Config {
        otel_status_code: true,
        exclude_dimensions: vec!["service.name".into(), "span.kind".into(), "status.code".into()],
        ..brief()
    };
    let spans = [span("a", 1), span("a", 1).status(1, ""), span("a", 1).status(2, ""), span("a", 1).status(9, "")];
    assert_eq!(
        calls(config, &[batch("s", &[], &spans)]),
        [
            "{span.name=a,otel.status_code=ERROR} 1",
            "{span.name=a,otel.status_code=OK} 1",
            "{span.name=a} 1",
            "{span.name=a} 1"
        ]
    );
}

#[test]
fn odd_durations_count_as_zero() {
    let backwards = SpanSample::new([1; 16], [2; 8]).name("a").times(ms(9), ms(3));
    let endless = SpanSample::new([1; 16], [2; 8]).name("a").times(0, u64::MAX);
    let lines = settled(brief(), &[batch("s", &[], &[backwards, span("a", 0), span("a", 10), endless])]);
    assert_eq!(lines[1], "duration{span.name=a} 4/18446744073719.55 [3, 1]");
}

#[test]
fn exponential_histograms() {
    let config = Config { histogram: Histogram::Exponential { max_size: 4 }, ..brief() };
    let spans = [span("a", 0), span("a", 1), span("a", 2), span("a", 1000)];
    let lines = settled(config, &[batch("s", &[], &spans)]);
    assert_eq!(lines[1], "duration{span.name=a} 4/1003 scale -2 [1, 1, 0, 1]");
}

#[test]
fn mistakes_in_dimensions_have_upstreams_texts() {
    let entry = |name: &str, glob: &str| DimensionEntry { name: name.into(), glob: glob.into(), default: None };
    let mistakes = |entries: &[DimensionEntry]| check_dimensions(entries, true).err().unwrap_or_default();
    let cases = [
        (
            vec![entry("X", "G")],
            "dimension entry must set only one of `name` or `glob`, got both: name=\"X\" glob=\"G\"",
        ),
        (vec![entry("", "")], "dimension entry must set one of `name` or `glob`"),
        (
            vec![DimensionEntry { default: Some(String::new()), ..entry("", "G") }],
            "`default` is not supported on `glob` dimension \"G\"",
        ),
        (vec![entry("", "[a")], "invalid dimension glob \"[a\": unexpected end of input"),
        (vec![entry("a", ""), entry("a", "")], "duplicate dimension name \"a\""),
        (vec![entry("span.name", "")], "duplicate dimension name \"span.name\""),
        (vec![entry("collector.instance.id", "")], "duplicate dimension name \"collector.instance.id\""),
        (vec![entry("", "a.*"), entry("a.b", "")], "duplicate dimension name \"a.b\" conflicting with glob \"a.*\""),
        (vec![entry("", "*.kind")], "duplicate dimension name \"span.kind\" conflicting with glob \"*.kind\""),
    ];
    for (entries, message) in cases {
        assert_eq!(mistakes(&entries), [message]);
    }
    assert!(check_dimensions(&[entry("collector.instance.id", ""), entry("otel.status_code", "")], false).is_ok());
    // All of them, not the first alone.
    assert_eq!(mistakes(&[entry("", ""), entry("span.name", "")]).len(), 2);
}
