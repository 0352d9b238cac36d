//! What is refused, with which words, at which key path.

use super::Plan;
use crate::config::{Problems, Section};

fn problems(yaml: &str) -> String {
    let section = Section::parse("tail_sampling", "processors", yaml).unwrap();
    let mut problems = Problems::default();
    let plan = Plan::parse(&section, &mut problems);
    assert_eq!(plan.is_none(), !problems.is_empty());
    problems.list().iter().map(|problem| format!("{}: {}\n", problem.path, problem.message)).collect()
}

#[test]
fn accepts_defaults() {
    assert_eq!(problems("null"), "");
    assert_eq!(problems("{policies: []}"), "");
    // Null is the default, as upstream.
    assert_eq!(problems("{decision_wait: null, policies: null}"), "");
}

#[test]
fn refuses_what_does_not_decode() {
    insta::assert_snapshot!(problems(
        r"
decision_wait: soon
num_traces: -5
sample_on_first_match: 'yes'
decision_cache: {sampled_cache_size: 10, sampled: 3}
hash_seed: 5
policies:
  - {name: p0, type: latency, latencyy: {threshold_ms: 1}, latency: {threshold: 5, threshold_ms: '7'}}
  - {name: p1, type: and, and: {and_sub_policy: [{name: y, type: span_count, span_count: {min_spans: 9999999999}}]}}
"
    ));
}

/// One run of `validate` tells all: a wrong value does not hide what is wrong beside it, and the default that stands for
/// it is not spoken of.
#[test]
fn a_value_that_does_not_decode_hides_no_other_mistake() {
    insta::assert_snapshot!(problems(
        r#"
decision_wait: 10x
max_buffer_bytes: much
policies:
  - {name: a, type: latencyy}
  - {name: b, type: latency, latency: {threshold_ms: soon}}
  - {name: c, type: ottl_condition, ottl_condition: {span: ['atributes["x"] == 1']}}
"#
    ));
}

#[test]
fn refuses_top_level_mistakes() {
    insta::assert_snapshot!(problems(
        r"
sampling_strategy: ''
num_shards: 257
tail_storage: file_storage
max_buffer_bytes: 1000
policies:
  - {name: a, type: always_sample}
  - {name: a, type: always_sample}
  - {type: always_sample}
"
    ));
}

#[test]
fn refuses_mistakes_in_storage() {
    assert_eq!(problems("{storage: /var/lib/ottlcol}"), "");
    assert_eq!(problems("{storage: null}"), "");
    assert_eq!(problems("{storage: file_storage/tail}"), "");
    assert_eq!(problems("{storage: {extension: file_storage, flush_interval: 1s}}"), "");
    let all = [
        "{storage: 'file storage'}",
        "{storage: ./tail}",
        "{storage: {}}",
        "{storage: {extension: file_storage, fsync: true, directory: /x, flush_interval: 1s}}",
        "{storage: 5}",
        "{storage: {directory: var, flush_interval: 0s, on_shutdown: drop, max_size: big, sync: true}}",
        "{storage: {directory: var, flush_interval: 0s, on_shutdown: drop}}",
        "{storage: {directory: /x, on_shutdown: keep}, drop_pending_traces_on_shutdown: true}",
        "{storage: {directory: /x, on_shutdown: keep}, shutdown_wait: 5s}",
        "{drop_pending_traces_on_shutdown: true, shutdown_wait: 5s}",
    ];
    insta::assert_snapshot!(all.map(problems).join("\n"));
}

#[test]
fn refuses_mistakes_in_policies() {
    insta::assert_snapshot!(problems(
        r"
policies:
  - {name: p0, type: latencyy}
  - {name: p1}
  - {name: p2, type: status_code}
  - {name: p3, type: status_code, status_code: {status_codes: [ERROR, error]}}
  - {name: p4, type: numeric_attribute, numeric_attribute: {key: k}}
  - {name: p5, type: probabilistic, probabilistic: {sampling_percentage: .nan}}
  - {name: p6, type: drop, drop: {}}
  - {name: p7, type: and, and: {and_sub_policy: [{name: x, type: drop}, {name: y, type: filesystem}]}}
  - {name: p8, type: string_attribute, string_attribute: {key: k, values: ['a(', 'b'], enabled_regex_matching: true}}
  - {name: p9, type: not}
"
    ));
}

#[test]
fn refuses_mistakes_in_conditions() {
    insta::assert_snapshot!(problems(
        r#"
policies:
  - {name: p0, type: ottl_condition}
  - {name: p1, type: ottl_condition, ottl_condition: {error_mode: '', span: ['name == "x"']}}
  - {name: p2, type: ottl_condition, ottl_condition: {span: ['name == "x"', 'attributes["a"] ='], spanevent: ['IsRootSpan()']}}
  - name: p3
    type: and
    and:
      and_sub_policy:
        - {name: x, type: not, not: {not_sub_policy: {type: ottl_condition, ottl_condition: {span: ['nme == "x"']}}}}
"#
    ));
}

#[test]
fn refuses_names_that_composite_does_not_have() {
    insta::assert_snapshot!(problems(
        r"
policies:
  - name: p0
    type: composite
    composite:
      max_total_spans_per_second: 100
      policy_order: [a, c]
      composite_sub_policy: [{name: a, type: always_sample}, {name: b, type: composite}]
      rate_allocation: [{policy: d, percent: 5}, {policy: a, percent: 5, share: 1}]
"
    ));
}

#[test]
fn span_ingest_takes_stateless_policies_only() {
    insta::assert_snapshot!(problems(
        r"
sampling_strategy: span-ingest
policies:
  - {name: ok, type: latency, latency: {threshold_ms: 5}}
  - {name: p1, type: latency, latency: {threshold_ms: 5, upper_threshold_ms: 10}}
  - {name: p2, type: not, not: {not_sub_policy: {type: rate_limiting, rate_limiting: {spans_per_second: 5}}}}
  - {name: p3, type: and, and: {and_sub_policy: [{type: span_count, span_count: {max_spans: 5}}]}}
"
    ));
}
