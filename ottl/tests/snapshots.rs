//! How users of the crate snapshot their conditions, with `insta` and `ottl::snapshot`: an example as much as a test.

#![allow(clippy::unwrap_used, reason = "the inputs are fixed")]

use ottl::{Context, MapSource, Options, PathMode, ProgramBuilder, Reading, SlotPath, snapshot};

const REQUEST: &str = r#"{"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
  "scopeSpans": [{"scope": {"name": "otel-http"}, "spans": [
    {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "name": "GET /cart",
     "attributes": [{"key": "http.response.status_code", "value": {"intValue": "503"}}],
     "events": [{"name": "exception", "attributes": [{"key": "exception.type", "value": {"stringValue": "Timeout"}}]}]},
    {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060709", "name": "GET /health"}
  ]}]
}]}"#;

#[test]
fn every_stage_of_a_condition() {
    let text = r#"span.name == "GET /health" or span.attributes["http.response.status_code"] >= 500"#;
    insta::assert_snapshot!(snapshot::stages(text, Context::Span, PathMode::Prefixed));
}

#[test]
fn a_condition_that_is_refused() {
    insta::assert_snapshot!(snapshot::stages(r#"span.nam = "x""#, Context::Span, PathMode::Prefixed));
    insta::assert_snapshot!(snapshot::stages(r#"span.nam == "x""#, Context::Span, PathMode::Prefixed));
}

#[test]
fn answers_on_recorded_spans() {
    let texts = [
        r#"IsMatch(name, "^GET /health")"#,
        r#"attributes["http.response.status_code"] >= 500"#,
        r#"attributes["http.response.status_code"] / 0 == 1"#,
        r#"resource.attributes["service.name"] == "checkout" and IsRootSpan()"#,
    ];
    insta::assert_snapshot!(
        snapshot::answers(&texts, Context::Span, PathMode::AutoPrefix, REQUEST.as_bytes()).unwrap()
    );
}

#[test]
fn answers_on_events_scopes_and_resources() {
    let mut text = String::new();
    for (context, condition) in [
        (Context::SpanEvent, r#"spanevent.attributes["exception.type"] == "Timeout""#),
        (Context::Scope, r#"scope.name == "otel-http""#),
        (Context::Resource, r#"resource.attributes["service.name"] == nil"#),
    ] {
        text += &snapshot::answers(&[condition], context, PathMode::Prefixed, REQUEST.as_bytes()).unwrap();
    }
    insta::assert_snapshot!(text);
    assert!(snapshot::answers(&["true"], Context::Span, PathMode::Legacy, b"{").is_err());
}

#[test]
fn answers_on_metrics() {
    let request = r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "requests", "sum": {"isMonotonic": true, "aggregationTemporality": 2,
          "dataPoints": [{"asInt": "7", "attributes": [{"key": "route", "value": {"stringValue": "/"}}]}, {"asDouble": 0.5}]}}
    ]}]}]}"#;
    let mut text = String::new();
    for (context, condition) in [
        (Context::Metric, r#"metric.is_monotonic == true and HasAttrOnDatapoint("route", "/")"#),
        (Context::DataPoint, r#"datapoint.value_int > 5 and metric.type == METRIC_DATA_TYPE_SUM"#),
    ] {
        text += &snapshot::answers(&[condition], context, PathMode::Prefixed, request.as_bytes()).unwrap();
    }
    insta::assert_snapshot!(text);
}

/// Readings have no text: their stages are the typed IR, the slots, and the code.
#[test]
fn every_stage_of_readings() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let readings = [
        ("number", "n", Reading::IntWithin { min: 5, max: 9 }),
        ("number_or_none", "n", Reading::IntWithin { min: 0, max: 9 }),
        ("no", "b", Reading::BoolIs(false)),
        ("text", "s", Reading::StringIn(texts(&["a", "b"]))),
        ("pattern", "s", Reading::StringMatches { patterns: texts(&["^GET /[a-z]+$", "health"]), empty_too: true }),
        ("pattern_of_empty", "s", Reading::StringMatches { patterns: texts(&[".*"]), empty_too: true }),
    ];
    for (name, key, reading) in readings {
        let mut builder = ProgramBuilder::new(Options::default());
        let path = SlotPath::attribute(MapSource::Span, key);
        let condition = builder.add_reading(path, &reading).unwrap();
        let program = builder.build().unwrap();
        let stages = format!(
            "{reading:?}\n== ir\n{}== slots\n{}== code\n{}",
            program.print_ir(condition),
            program.print_layout(),
            program.print_clif(condition)
        );
        insta::assert_snapshot!(format!("reading_{name}"), stages);
    }
    let mut builder = ProgramBuilder::new(Options::default());
    let bad = Reading::StringMatches { patterns: texts(&["a("]), empty_too: false };
    let error = builder.add_reading(SlotPath::SpanName, &bad).unwrap_err();
    assert!(error.message.starts_with("the pattern \"a(\" is not a valid regular expression"), "{}", error.message);
}
