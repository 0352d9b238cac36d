//! Policies that are replaced while traces wait, and traces that go before their time.

use std::collections::BTreeSet;
use std::sync::Arc;

use component::ManualClock;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use pdata::{Traces, TracesBuilder};
use proptest::prelude::*;
use prost::Message;

use super::id_hash::IdHash;
use super::mark::Late;
use super::sampler::{Sampler, Share, Taken};
use super::tests::{ERRORS, Kind, Running, batch, counts, plan, replay};
use super::{Plan, Replay};
use crate::config::{Problems, Section};

const ENGINE: ottl::Engine = ottl::Engine::Interpreter;

fn replace(replay: &mut Replay, yaml: &str) {
    replay.replace(&plan(yaml), ENGINE).unwrap();
}

#[test]
fn waiting_traces_are_judged_by_the_new_policies() {
    let mut replay = replay(&format!("decision_wait: 2s{ERRORS}"));
    replay.take(&batch(&[(1, Kind::Error), (2, Kind::Child), (3, Kind::Root)]));
    replay.second();
    // One question is the same at another place, one is new, the answers of spans that wait already.
    replace(
        &mut replay,
        "
decision_wait: 2s
policies:
  - {name: roots, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['IsRootSpan()']}}
  - {name: old, type: and, and: {and_sub_policy: [{type: status_code, status_code: {status_codes: [ERROR]}}]}}
",
    );
    replay.take(&batch(&[(4, Kind::Root), (2, Kind::Child)]));
    let out = [replay.second(), replay.second(), replay.second()].map(|out| counts(&out));
    assert_eq!(out, [[].into(), [(1, 1), (3, 1)].into(), [(4, 1)].into()]);
    assert_eq!(replay.summary().kept_by, [("roots".to_owned(), 2), ("old".to_owned(), 1)]);
}

#[test]
fn limits_of_policies_that_stay_and_decisions_are_kept() {
    let limit = "{name: few, type: rate_limiting, rate_limiting: {spans_per_second: 0, burst_capacity: 2}}";
    let cache = "decision_wait: 1s\ndecision_cache: {sampled_cache_size: 9}";
    let mut replay = replay(&format!("{cache}\npolicies: [{limit}]"));
    replay.take(&batch(&[(1, Kind::Child), (1, Kind::Child)]));
    replay.second();
    assert_eq!(counts(&replay.second()), [(1, 2)].into());
    // The bucket is empty and stays so, under the same name; under another it is another.
    for (name, kept) in [("few", [].into()), ("many", [(3, 1)].into())] {
        let limit = limit.replace("few", name);
        let all = "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}";
        replace(&mut replay, &format!("{cache}\npolicies: [{all}, {limit}]"));
        replay.take(&batch(&[(if name == "few" { 2 } else { 3 }, Kind::Child)]));
        replay.second();
        assert_eq!(counts(&replay.second()), kept, "{name}");
    }
    assert_eq!(counts(&replay.take(&batch(&[(1, Kind::Child)]))), [(1, 1)].into());
}

#[test]
fn what_cannot_change_while_running_is_refused() {
    let mut replay = replay(&format!("decision_wait: 1s{ERRORS}"));
    for change in
        ["num_traces: 7", "num_shards: 2", "decision_cache: {sampled_cache_size: 1}", "sampling_strategy: span-ingest"]
    {
        assert!(replay.replace(&plan(&format!("{change}{ERRORS}")), ENGINE).is_err(), "{change}");
    }
    replace(&mut replay, &format!("decision_wait: 3s\nrecord_policy: true{ERRORS}"));
}

#[test]
fn a_batch_that_was_asked_old_questions_is_asked_again() {
    let first = plan(&format!("decision_wait: 1s{ERRORS}"));
    let clock = Arc::new(ManualClock::default());
    let (policies, questions) = first.compiled(ENGINE, clock.clone()).unwrap();
    let mut sampler = Sampler::new(first.config.clone(), policies.clone(), questions.clone(), IdHash::random());
    let (new, new_questions) =
        first.compile_after(ENGINE, clock.clone(), Some(&policies), &mut Problems::default()).unwrap();
    let batch = batch(&[(1, Kind::Error)]);
    let asked = questions.ask(&batch);
    sampler.replace(first.config.clone(), new, new_questions.clone());
    let mut take = |asked| sampler.ingest(&batch, asked, Share { shard: 0, of: 1 }, 0, &*clock, &mut Late::new());
    assert_eq!(take(&asked), Taken::Outdated);
    assert_eq!(take(&new_questions.ask(&batch)), Taken::All);
}

#[tokio::test(start_paused = true)]
async fn a_reload_reaches_the_running_processor() {
    let running = Running::start("tail_sampling", &format!("decision_wait: 5s{ERRORS}")).await;
    running.input.consume(batch(&[(1, Kind::Error), (2, Kind::Child)])).await.unwrap();
    let section = |yaml: &str| Section::parse("tail_sampling", "processors", yaml).unwrap();
    let all = "decision_wait: 5s\npolicies: [{name: all, type: always_sample}]";
    let prepared = running.lifecycle.prepare(&section(all)).unwrap().unwrap();
    assert!(running.lifecycle.prepare(&section("policies: [{name: a, type: nonsense}]")).unwrap().is_err());
    assert!(running.lifecycle.prepare(&section("num_traces: 3")).is_none());
    prepared();
    running.seconds(6).await;
    assert_eq!(running.out(), [(1, 1), (2, 1)].into());
    let names = super::tests::series(&running.registry);
    assert!(names.contains("execution_count{policy=all} 2"), "{names}");
    running.lifecycle.shutdown().await.unwrap();
}

#[test]
fn certain_traces_go_early() {
    let mut replay = replay(&format!("decision_wait: 3s\ndecide_early: true{ERRORS}"));
    let out = replay.take(&batch(&[(1, Kind::Child), (2, Kind::Child), (1, Kind::Error), (1, Kind::Child)]));
    assert_eq!(counts(&out), [(1, 3)].into());
    assert_eq!(counts(&replay.take(&batch(&[(1, Kind::Child), (2, Kind::Error)]))), [(1, 1), (2, 2)].into());
    let summary = replay.summary();
    assert_eq!((summary.sampled, summary.decided_early), (2, 0));
}

#[test]
fn decide_early_is_refused_where_it_would_change_decisions() {
    let yaml = "
decide_early: true
maximum_trace_size_bytes: 100
policies:
  - {name: a, type: drop, drop: {drop_sub_policy: [{type: always_sample}]}}
  - {name: b, type: and, and: {and_sub_policy: [{type: bytes_limiting, bytes_limiting: {bytes_per_second: 5}}]}}
  - {name: c, type: composite, composite: {composite_sub_policy: [{name: x, type: always_sample}]}}
";
    let mut problems = Problems::default();
    Plan::parse(&Section::parse("tail_sampling", "processors", yaml).unwrap(), &mut problems);
    let texts: Vec<&str> = problems.list().iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        texts,
        [
            "would change decisions: maximum_trace_size_bytes may still drop a trace",
            "would change decisions: policy \"a\" may still drop a trace",
            "would change decisions: policy \"b\" has a limit that would be spent at another time",
            "would change decisions: policy \"c\" has a limit that would be spent at another time",
        ]
    );
}

/// Spans of traces: id, start, length, status, kind.
type Request = Vec<(u8, u64, u64, i32, i32)>;

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let span = (0_u8..12, 0_u64..300, 0_u64..200, 0_i32..3, 0_i32..4);
    prop::collection::vec(prop::collection::vec(span, 1..8), 1..8)
}

fn traces(request: &Request) -> Traces {
    const MS: u64 = 1_000_000;
    let mut builder = TracesBuilder::new();
    for (id, start, length, code, kind) in request {
        let start = 1_700_000_000_000 * MS + start * MS;
        let span = Span {
            trace_id: vec![*id; 16],
            kind: *kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + length * MS,
            status: Some(Status { code: *code, ..Status::default() }),
            ..Span::default()
        };
        builder.span([*id; 16], &span.encode_to_vec());
    }
    builder.build()
}

/// Ids and numbers of spans of everything that comes out.
fn run(replay: &mut Replay, requests: &[Request], mut before: impl FnMut(usize, &mut Replay)) -> BTreeSet<(u8, usize)> {
    let mut out = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        before(number, replay);
        out.extend(replay.take(&traces(request)));
    }
    while replay.is_waiting() {
        out.extend(replay.second());
    }
    counts(&out).into_iter().collect()
}

const SOME: &str = "
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: slow, type: latency, latency: {threshold_ms: 250}}
  - {name: many, type: span_count, span_count: {min_spans: 4}}
  - {name: window, type: latency, latency: {threshold_ms: 20, upper_threshold_ms: 60}}
  - {name: fails, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['kind == SPAN_KIND_CLIENT', 'attributes[\"s\"] - 1 == 0 and kind == SPAN_KIND_SERVER']}}
  - {name: some, type: probabilistic, probabilistic: {sampling_percentage: 20}}
  - {name: both, type: and, and: {and_sub_policy: [{type: span_count, span_count: {min_spans: 2}}, {type: status_code, status_code: {status_codes: [OK]}}]}}
";
const OTHER: &str = "
policies:
  - {name: unset, type: and, and: {and_sub_policy: [{type: status_code, status_code: {status_codes: [UNSET]}}, {type: not, not: {not_sub_policy: {type: status_code, status_code: {status_codes: [ERROR]}}}}]}}
  - {name: no-slow, type: drop, drop: {drop_sub_policy: [{type: latency, latency: {threshold_ms: 350}}]}}
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The kept set is what it is without `decide_early`, with the same number of spans.
    #[test]
    fn deciding_early_changes_no_decision(requests in requests()) {
        let late = run(&mut replay(&format!("decision_wait: 2s{SOME}")), &requests, |_, _| {});
        let mut early = replay(&format!("decision_wait: 2s\ndecide_early: true{SOME}"));
        prop_assert_eq!(run(&mut early, &requests, |_, _| {}), late);
    }

    /// Wherever policies are replaced, waiting traces are judged as if the new ones had always been there.
    #[test]
    fn replaced_policies_decide_as_if_always_there(requests in requests(), at in 0_usize..8) {
        let yaml = |policies: &str| format!("decision_wait: 2s{policies}");
        for (before, after) in [(SOME, OTHER), (OTHER, SOME)] {
            let expected = run(&mut replay(&yaml(after)), &requests, |_, _| {});
            let at = at.min(requests.len() - 1);
            let got = run(&mut replay(&yaml(before)), &requests, |number, replay| {
                if number == at {
                    replace(replay, &yaml(after));
                }
            });
            prop_assert_eq!(got, expected);
        }
    }
}
