use component::ConsumeError;
use ottl::{Engine, Options};
use pdata::Traces;
use pdata::span::{SpanFields, events};

use super::walk::Walk;
use super::{Config, Plan, parse};
use crate::config::{Problems, Section};
use crate::testing::{Sink, context};

const INPUT: &str = r#"{"resourceSpans":[
  {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[
    {"scope":{"name":"web"},"spans":[
      {"name":"a","kind":2,"attributes":[{"key":"http.target","value":{"stringValue":"/health"}}]},
      {"name":"b","kind":2,"events":[{"name":"e1"},{"name":"e2"}]}]},
    {"scope":{"name":"db"},"spans":[{"name":"c","kind":3}]}]},
  {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"probe"}}]},"scopeSpans":[
    {"scope":{},"spans":[{"name":"d"}]}]},
  {"resource":{}}]}"#;

fn input() -> Traces {
    let bytes = pdata::json::traces_from_json(INPUT.as_bytes()).expect("valid JSON");
    Traces::index(bytes.into()).expect("valid OTLP")
}

fn walks(yaml: &str, engine: Engine) -> Vec<Walk> {
    let section = Section::parse("filter", "processors", yaml).expect("YAML");
    let mut problems = Problems::default();
    let groups = section.decode::<Config>(&mut problems).expect("a section").groups(&section, &mut problems);
    let options = Options { engine, ..Options::default() };
    let walks = groups.iter().filter_map(|group| Walk::compile(group, &options, &mut problems)).collect();
    assert!(problems.is_empty(), "{problems:?}");
    walks
}

/// Names of the spans that are left, with the number of their events, and the outcome.
fn filtered(yaml: &str) -> (String, Result<(), ConsumeError>) {
    let run = |engine| {
        let mut traces = input();
        let results: Vec<_> = walks(yaml, engine).iter().map(|walk| walk.run(&mut traces)).collect();
        let left: Vec<String> = traces
            .spans()
            .map(|span| {
                let name = String::from_utf8_lossy(SpanFields::read(span.bytes()).name).into_owned();
                format!("{name}{}", events(span.bytes()).count())
            })
            .collect();
        (format!("{} in {}", left.join(" "), traces.resource_count()), ConsumeError::join(results))
    };
    let answer = run(Engine::Interpreter);
    assert_eq!(run(Engine::Jit), answer);
    answer
}

fn left(yaml: &str) -> String {
    let (left, outcome) = filtered(yaml);
    assert_eq!(outcome, Ok(()));
    left
}

#[test]
fn spans_are_dropped_and_what_is_left_empty_with_them() {
    assert_eq!(left(r#"{traces: {span: ['attributes["http.target"] == "/health"']}}"#), "b2 c0 d0 in 2");
    assert_eq!(left(r#"{traces: {span: ['name == "d"', 'name == "c"']}}"#), "a0 b2 in 1");
    assert_eq!(left(r#"{traces: {span: ['IsRootSpan()']}}"#), " in 0");
}

#[test]
fn resources_scopes_and_events_have_conditions_too() {
    assert_eq!(left(r#"{traces: {resource: ['attributes["service.name"] == "probe"']}}"#), "a0 b2 c0 in 1");
    assert_eq!(left(r#"{traces: {spanevent: ['name == "e1"']}}"#), "a0 b1 c0 d0 in 2");
    assert_eq!(left(r#"{trace_conditions: ['scope.name == "db"', 'spanevent.name == "e2"']}"#), "a0 b1 d0 in 2");
    let groups = r#"{trace_conditions: [{context: span, conditions: ['name == "a"']}, {context: scope, conditions: ['name == "db"']}]}"#;
    assert_eq!(left(groups), "b2 d0 in 2");
}

#[test]
fn without_settings_data_pass() {
    assert_eq!(left("{}"), "a0 b2 c0 d0 in 2");
    assert_eq!(left("{traces: {span: []}}"), "a0 b2 c0 d0 in 2");
}

#[test]
fn an_error_counts_as_false_or_refuses_the_batch() {
    let condition = r#"'attributes["http.target"]["x"] == 1', 'name == "d"'"#;
    assert_eq!(left(&format!("{{traces: {{span: [{condition}]}}}}")), "a0 b2 c0 in 1");
    assert_eq!(left(&format!("{{error_mode: silent, traces: {{span: [{condition}]}}}}")), "a0 b2 c0 in 1");
    let (left, outcome) = filtered(&format!("{{error_mode: propagate, traces: {{span: [{condition}]}}}}"));
    assert_eq!(left, "a0 b2 c0 in 1");
    let error = outcome.expect_err("refused");
    assert!(!error.permanent, "clients may retry");
    assert!(error.message.contains("http.target"), "{error}");
}

#[tokio::test]
async fn counts_before_the_outcome_and_skips_empty_batches() {
    let section = Section::parse("filter/x", "processors", r#"{traces: {span: ['name != "zz"']}}"#).expect("YAML");
    let mut problems = Problems::default();
    let plan = parse(&section, &mut problems).expect("valid");
    let sink = Sink::new();
    let context = context("filter/x");
    let part = plan.make_traces(&context, sink.clone()).expect("made");
    part.input.consume(input()).await.expect("success");
    assert!(sink.span_counts().is_empty());
    let page = crate::testing::series(&context.registry);
    assert!(page.iter().any(|line| line.contains("filter_spans.filtered") && line.ends_with(" 4")), "{page:?}");
}

fn problems(yaml: &str) -> String {
    let section = Section::parse("filter", "processors", yaml).expect("YAML");
    let mut problems = Problems::default();
    assert!(parse(&section, &mut problems).is_none());
    let texts: Vec<String> = problems.list().iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    texts.join("\n")
}

#[test]
fn mistakes_are_named_with_their_place() {
    let text = problems(r#"{error_mode: foo, traces: {span: ['nme == "x"', 'name = "y"']}}"#);
    insta::assert_snapshot!(text);
    assert!(problems(r#"{trace_conditions: ['name == "x"']}"#).contains("trace_conditions[0]"));
    assert!(problems("{metrics: {metric: ['name == \"x\"']}}").contains("processors::filter::metrics"));
    let both = problems(r#"{traces: {span: ['true']}, trace_conditions: ['span.name == "x"']}"#);
    assert!(both.contains("at the same time"), "{both}");
    let mixed = problems(r#"{trace_conditions: ['span.name == "x"', {conditions: ['span.name == "x"']}]}"#);
    assert!(mixed.contains("multiple configuration styles"), "{mixed}");
}

#[test]
fn one_plan_makes_many() {
    fn shared<T: Send + Sync>() {}
    shared::<Plan>();
}
