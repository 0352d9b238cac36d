//! The fold that decisions rest on: however a trace is divided, merging its parts decides as the whole does.

use std::sync::Arc;

use component::ManualClock;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use pdata::Traces;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::config::Section;
use crate::processors::tail_sampling::entry::Facts;

/// One policy of every kind that reads facts or answers.
pub(in super::super) const EVERY_POLICY: &str = r#"
- {name: always, type: always_sample}
- {name: slow, type: latency, latency: {threshold_ms: 100}}
- {name: window, type: latency, latency: {threshold_ms: 50, upper_threshold_ms: 300}}
- {name: number, type: numeric_attribute, numeric_attribute: {key: n, min_value: -5, max_value: 5}}
- {name: no-number, type: numeric_attribute, numeric_attribute: {key: n, min_value: 1, max_value: 9, invert_match: true}}
- {name: yes, type: boolean_attribute, boolean_attribute: {key: b, value: true}}
- {name: not-yes, type: boolean_attribute, boolean_attribute: {key: b, value: false, invert_match: true}}
- {name: text, type: string_attribute, string_attribute: {key: s, values: [a, b]}}
- {name: pattern, type: string_attribute, string_attribute: {key: s, values: ['^a', 'z$', '.*'], enabled_regex_matching: true}}
- {name: no-pattern, type: string_attribute, string_attribute: {key: s, values: [a], enabled_regex_matching: true, invert_match: true}}
- {name: some, type: probabilistic, probabilistic: {sampling_percentage: 50}}
- {name: status, type: status_code, status_code: {status_codes: [ERROR, OK]}}
- {name: state, type: trace_state, trace_state: {key: v, values: [x]}}
- {name: flag, type: trace_flags}
- {name: rate, type: rate_limiting, rate_limiting: {spans_per_second: 3, burst_capacity: 4}}
- {name: bytes, type: bytes_limiting, bytes_limiting: {bytes_per_second: 300, burst_capacity: 400}}
- {name: few, type: span_count, span_count: {min_spans: 2, max_spans: 5}}
- {name: silent, type: ottl_condition, ottl_condition: {error_mode: silent, span: ['attributes["n"] + 1 > 3', 'name == "x"']}}
- {name: ignore, type: ottl_condition, ottl_condition: {error_mode: ignore, spanevent: ['attributes["n"] == 1']}}
- {name: fails, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['attributes["n"] + 1 > 3'], spanevent: ['name == "e"']}}
- {name: also-fails, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['kind == SPAN_KIND_CLIENT', 'attributes["s"] - 1 == 0']}}
- {name: not, type: not, not: {not_sub_policy: {name: i, type: status_code, status_code: {status_codes: [ERROR]}}}}
- {name: and, type: and, and: {and_sub_policy: [{name: i, type: latency, latency: {threshold_ms: 10}}, {name: j, type: trace_flags}]}}
- {name: drop, type: drop, drop: {drop_sub_policy: [{name: i, type: string_attribute, string_attribute: {key: s, values: [b]}}]}}
- name: composite
  type: composite
  composite:
    max_total_spans_per_second: 6
    policy_order: [j]
    composite_sub_policy:
      - {name: i, type: always_sample}
      - {name: j, type: status_code, status_code: {status_codes: [ERROR]}}
    rate_allocation: [{policy: j, percent: 50}]
"#;

fn compile(policies: &str) -> (Policies, Questions) {
    compile_for(policies, ottl::Engine::Interpreter)
}

fn compile_for(policies: &str, engine: ottl::Engine) -> (Policies, Questions) {
    let yaml = format!("policies: {policies}");
    let section = Section::parse("tail_sampling", "processors", &yaml).unwrap();
    let mut problems = Problems::default();
    let config = Config::parse(&section, &mut problems).unwrap();
    let options = ottl::Options {
        engine,
        host: crate::ottl_host::host(Arc::new(ManualClock::default())),
        ..ottl::Options::default()
    };
    Policies::compile(&config, options, None, &mut problems).unwrap_or_else(|| panic!("{:?}", problems.list()))
}

fn attribute(key: &str) -> impl Strategy<Value = KeyValue> + use<> {
    let key = key.to_owned();
    let value = prop_oneof![
        (-8_i64..12).prop_map(|n| Some(Value::IntValue(n))),
        "[ab]{0,2}".prop_map(|s| Some(Value::StringValue(s))),
        any::<bool>().prop_map(|b| Some(Value::BoolValue(b))),
        Just(Some(Value::DoubleValue(3.0))),
        Just(None),
    ];
    value.prop_map(move |value| KeyValue { key: key.clone(), value: Some(AnyValue { value }), ..KeyValue::default() })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let one = |key| prop::option::of(attribute(key));
    (one("n"), one("s"), one("b")).prop_map(|(n, s, b)| n.into_iter().chain(s).chain(b).collect())
}

prop_compose! {
    fn span()(
        attributes in attributes(),
        name in "[xy]",
        times in (0_u64..4, 0_u64..500, 0_u64..200),
        code in 0_i32..3,
        state in prop::sample::select(vec!["", "v=x", "v=y", "v=x,v=x"]),
        flags in 0_u32..2,
        kind in 0_i32..4,
        event in prop::option::of(("[ef]", attributes())),
    ) -> Span {
        const MS: u64 = 1_000_000;
        Span {
            trace_id: vec![7; 16],
            name,
            attributes,
            kind,
            start_time_unix_nano: if times.0 == 0 { 0 } else { 1_700_000_000_000 * MS + times.1 * MS },
            end_time_unix_nano: 1_700_000_000_000 * MS + (times.1 + times.2) * MS,
            status: Some(Status { code, ..Status::default() }),
            trace_state: state.to_owned(),
            flags,
            events: event.into_iter().map(|(name, attributes)| Event { name, attributes, ..Event::default() }).collect(),
            ..Span::default()
        }
    }
}

/// Spans of one trace, each under its own resource, with the part it goes to.
fn trace() -> impl Strategy<Value = Vec<(Vec<KeyValue>, Span, usize)>> {
    prop::collection::vec((attributes(), span(), 0_usize..3), 1..9)
}

#[derive(Clone)]
struct Part {
    facts: Facts,
    answers: Vec<u64>,
}

impl Part {
    fn empty(shape: Shape) -> Self {
        Self { facts: Facts::default(), answers: shape.empty().collect() }
    }

    fn merged(mut self, other: &Self, shape: Shape) -> Self {
        self.facts.merge(&other.facts);
        shape.merge(&mut self.answers, &other.answers);
        self
    }
}

fn batch(spans: &[(Vec<KeyValue>, Span, usize)]) -> Traces {
    let data = TracesData {
        resource_spans: spans
            .iter()
            .map(|(attributes, span, _)| ResourceSpans {
                resource: Some(Resource { attributes: attributes.clone(), ..Resource::default() }),
                scope_spans: vec![ScopeSpans { spans: vec![span.clone()], ..ScopeSpans::default() }],
                ..ResourceSpans::default()
            })
            .collect(),
    };
    Traces::index(data.encode_to_vec().into()).unwrap()
}

/// Each span as the part that it alone makes.
fn parts(spans: &[(Vec<KeyValue>, Span, usize)], questions: &Questions) -> Vec<Part> {
    let shape = questions.shape();
    let asked = questions.ask(&batch(spans));
    (0..spans.len())
        .map(|row| {
            let of = asked.facts(row);
            let arrival = 1000 + row as u64;
            let mut answers = asked.answers(row).to_vec();
            shape.stamp(&mut answers, arrival);
            let facts = Facts {
                first_arrival: arrival,
                earliest_start: of.start_unix_nano,
                latest_end: of.end_unix_nano,
                bytes: spans[row].1.encoded_len() as u64,
                spans: 1,
            };
            Part { facts, answers }
        })
        .collect()
}

fn votes(policies: &Policies, part: &Part) -> Vec<Vote> {
    let mut state = policies.fresh_state();
    let trace = Trace { id: &[7; 16], facts: &part.facts, answers: &part.answers };
    policies.list().iter().map(|policy| policy.vote(policies.shape(), trace, &mut state, Now::default())).collect()
}

proptest! {
    #[test]
    fn parts_decide_as_the_whole(spans in trace()) {
        let (policies, questions) = compile(EVERY_POLICY);
        let shape = policies.shape();
        let whole = parts(&spans, &questions);
        let fold = |of: &mut dyn Iterator<Item = &Part>| of.fold(Part::empty(shape), |a, b| a.merged(b, shape));
        let in_order = fold(&mut whole.iter());
        let expected = votes(&policies, &in_order);

        // Commutative: the order of merging does not matter, only the arrivals do.
        prop_assert_eq!(&votes(&policies, &fold(&mut whole.iter().rev())), &expected);
        // Associative: neither does who merged what first.
        let divided: Vec<Part> = (0..3)
            .map(|to| fold(&mut whole.iter().zip(&spans).filter(|(_, span)| span.2 == to).map(|(part, _)| part)))
            .collect();
        let rejoined = fold(&mut divided.iter().rev());
        prop_assert_eq!(rejoined.facts, in_order.facts);
        prop_assert_eq!(&rejoined.answers, &in_order.answers);
        prop_assert_eq!(&votes(&policies, &rejoined), &expected);
    }
}

const BUILT_IN: &str = r#"
- {name: number, type: numeric_attribute, numeric_attribute: {key: n, min_value: -5, max_value: 5}}
- {name: above, type: numeric_attribute, numeric_attribute: {key: n, min_value: 1, max_value: 9}}
- {name: "yes", type: boolean_attribute, boolean_attribute: {key: b, value: true}}
- {name: "no", type: boolean_attribute, boolean_attribute: {key: s, value: false}}
- {name: text, type: string_attribute, string_attribute: {key: s, values: [a, '', ab]}}
- {name: pattern, type: string_attribute, string_attribute: {key: s, values: ['^a', 'b$'], enabled_regex_matching: true}}
- {name: any, type: string_attribute, string_attribute: {key: n, values: ['x', '.*'], enabled_regex_matching: true}}
- {name: status, type: status_code, status_code: {status_codes: [ERROR, UNSET]}}
- {name: state, type: trace_state, trace_state: {key: v, values: [x, z]}}
- {name: flag, type: trace_flags}
"#;

/// What contrib's filters say of a trace of one span, read from their source (v0.164.1).
fn as_contrib(policy: &str, resource: &[KeyValue], span: &Span) -> bool {
    let find = |attributes: &[KeyValue], key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == key)?;
        Some(found.value.as_ref().and_then(|value| value.value.clone()))
    };
    let any = |key: &str, holds: &dyn Fn(Option<Value>) -> bool| {
        [resource, &span.attributes].into_iter().any(|attributes| find(attributes, key).is_some_and(holds))
    };
    let int = |value| if let Some(Value::IntValue(int)) = value { int } else { 0 };
    let bool = |value| matches!(value, Some(Value::BoolValue(true)));
    let text = |value| if let Some(Value::StringValue(text)) = value { text } else { String::new() };
    match policy {
        "number" => any("n", &|value| (-5..=5).contains(&int(value))),
        "above" => any("n", &|value| (1..=9).contains(&int(value))),
        "yes" => any("b", &bool),
        "no" => any("s", &|value| !bool(value)),
        "text" => any("s", &|value| ["a", "ab"].contains(&text(value).as_str())),
        "pattern" => any("s", &|value| {
            let text = text(value);
            text.starts_with('a') || text.ends_with('b')
        }),
        // Of an empty string on the resource only.
        "any" => find(resource, "n").is_some() || find(&span.attributes, "n").is_some_and(|n| !text(n).is_empty()),
        "status" => matches!(span.status.as_ref().map_or(0, |status| status.code), 0 | 2),
        "state" => span.trace_state == "v=x",
        "flag" => span.flags & 1 == 1,
        other => panic!("{other}"),
    }
}

proptest! {
    #[test]
    fn built_in_questions_answer_as_contrib(mut spans in trace(), parents in prop::collection::vec(0_usize..3, 9)) {
        for ((_, span, _), parent) in spans.iter_mut().zip(parents) {
            span.parent_span_id = [vec![], vec![0; 8], vec![0, 0, 0, 0, 0, 0, 0, 1]][parent].clone();
        }
        for engine in [ottl::Engine::Interpreter, ottl::Engine::Jit] {
            let (policies, questions) = compile_for(BUILT_IN, engine);
            for ((resource, span, _), part) in spans.iter().zip(parts(&spans, &questions)) {
                let expected = policies.list().iter().map(|policy| as_contrib(&policy.name, resource, span));
                let got = votes(&policies, &part).into_iter().map(|vote| vote == Vote::Sampled);
                prop_assert_eq!(got.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{:?} {:?}", resource, span);
            }
            let asked = questions.ask(&batch(&spans));
            for (row, (_, span, _)) in spans.iter().enumerate() {
                let facts = asked.facts(row);
                prop_assert_eq!(facts.start_unix_nano, span.start_time_unix_nano);
                prop_assert_eq!(facts.end_unix_nano, span.end_time_unix_nano);
                prop_assert_eq!(facts.is_root, span.parent_span_id.iter().all(|byte| *byte == 0));
            }
        }
    }
}

#[test]
fn equal_questions_are_asked_once() {
    let (policies, _) = compile(
        r#"
- {name: a, type: status_code, status_code: {status_codes: [ERROR]}}
- {name: b, type: and, and: {and_sub_policy: [{type: status_code, status_code: {status_codes: [ERROR]}}]}}
- {name: c, type: ottl_condition, ottl_condition: {span: ['name == "x"']}}
- {name: d, type: not, not: {not_sub_policy: {type: ottl_condition, ottl_condition: {span: ['name == "x"']}}}}
"#,
    );
    let shape = policies.shape();
    let mut answers: Vec<u64> = shape.empty().collect();
    Shape::set_bit(&mut answers, 0);
    let vote = votes(&policies, &Part { facts: Facts::default(), answers: answers.clone() });
    assert_eq!(vote, [Vote::Sampled, Vote::Sampled, Vote::NotSampled, Vote::Sampled]);
    Shape::set_bit(&mut answers, 1);
    let vote = votes(&policies, &Part { facts: Facts::default(), answers });
    assert_eq!(vote, [Vote::Sampled, Vote::Sampled, Vote::Sampled, Vote::NotSampled]);
}

/// As many policies as contrib takes, which has no limit: more than a program of texts may have conditions and paths.
#[test]
fn thousands_of_policies_are_asked() {
    let n = 3_000;
    let policies: String = (0..n)
        .map(|at| format!("- {{name: p{at}, type: numeric_attribute, numeric_attribute: {{key: k{at}, min_value: 1, max_value: 1}}}}\n"))
        .collect();
    let (policies, questions) = compile(&format!("\n{policies}"));
    let value = Some(AnyValue { value: Some(Value::IntValue(1)) });
    let last = KeyValue { key: format!("k{}", n - 1), value, ..KeyValue::default() };
    let spans = [(Vec::new(), Span { trace_id: vec![7; 16], attributes: vec![last], ..Span::default() }, 0)];
    let votes = votes(&policies, &parts(&spans, &questions)[0]);
    assert_eq!(votes.iter().position(|vote| *vote == Vote::Sampled), Some(n - 1));
}

#[test]
fn drop_policies_come_first_and_thresholds_name_the_responsible_one() {
    let (policies, _) = compile(
        r#"
- {name: half, type: probabilistic, probabilistic: {sampling_percentage: 50}}
- {name: both, type: and, and: {and_sub_policy: [{type: probabilistic, probabilistic: {sampling_percentage: 25}}]}}
- {name: none, type: drop, drop: {drop_sub_policy: [{type: always_sample}]}}
"#,
    );
    let listed: Vec<_> = policies.list().iter().map(|policy| (policy.name.as_str(), policy.threshold)).collect();
    assert_eq!(listed, [("none", 0), ("half", 1 << 55), ("both", 3 << 54)]);
    assert_eq!(policies.drops(), 1);
}
