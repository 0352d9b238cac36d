//! What contrib tests of its processor and the other tests here do not: limits over time, late spans and drop policies,
//! `span-ingest`, arrivals from many senders, shards, telemetry, hostile bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use component::ManualClock;
use pdata::{Traces, TracesBuilder};
use proptest::prelude::*;

use super::sampler::Share;
use super::tests::{ALWAYS, ERRORS, Kind, Running, attribute, batch, counts, plan, replay, series, span};
use super::{PolicyKind, Replay};

/// Ids of the traces that a second lets out.
fn second(replay: &mut Replay) -> Vec<u8> {
    counts(&replay.second()).into_keys().collect()
}

/// Takes a batch when it is let.
struct Slow {
    asked: tokio::sync::Notify,
    open: tokio::sync::Semaphore,
    sink: Arc<crate::testing::Sink>,
}

impl component::Consumer<Traces> for Slow {
    fn consume(&self, batch: Traces) -> component::Consume<'_> {
        Box::pin(async move {
            self.asked.notify_one();
            self.open.acquire().await.unwrap().forget();
            self.sink.consume(batch).await
        })
    }
}

/// Traces of one span, by the first byte of their ids.
fn singles(ids: std::ops::Range<u8>) -> Traces {
    batch(&ids.map(|id| (id, Kind::Child)).collect::<Vec<_>>())
}

#[test]
fn a_bucket_is_full_at_first_and_fills_up_with_time() {
    let mut one = replay(ALWAYS);
    one.take(&singles(1..2));
    let bytes = one.part(&[1; 16]).unwrap().facts.bytes;
    let by_size = format!("{{bytes_per_second: {}, burst_capacity: {}}}", 2 * bytes, 4 * bytes);
    for (policy, limit) in [
        ("rate_limiting", "{spans_per_second: 2}"),
        ("rate_limiting", "{spans_per_second: 2, burst_capacity: 4}"),
        ("bytes_limiting", &by_size),
    ] {
        let mut replay =
            replay(&format!("decision_wait: 1s\npolicies: [{{name: p, type: {policy}, {policy}: {limit}}}]"));
        let mut kept = Vec::new();
        for first in [0, 20, 40] {
            replay.take(&singles(first..first + 10));
            replay.second();
            kept.push(second(&mut replay).len());
        }
        // The first four fit into the burst; two seconds pass between two looks, and bring what was spent back.
        assert_eq!(kept, [4, 4, 4], "{policy}: {limit}");
    }
}

#[test]
fn a_span_is_as_large_as_contrib_would_write_it() {
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use prost::Message;
    let mut replay = replay(&format!("maximum_trace_size_bytes: 1000{ALWAYS}"));
    for (id, status) in [(1, None), (2, Some(Status::default()))] {
        let span = Span { trace_id: vec![id; 16], span_id: vec![7; 8], status, ..Span::default() };
        let mut builder = TracesBuilder::new();
        builder.resource(b"", b"");
        builder.scope(b"", b"");
        builder.span([id; 16], &span.encode_to_vec());
        replay.take(&builder.build());
    }
    let bytes = |id| replay.part(&[id; 16]).unwrap().facts.bytes;
    // A resource and a scope with nothing in them; of the span 18 + 10 bytes of ids, and an empty parent and status.
    assert_eq!((bytes(1), bytes(2)), (2 + 2 + 2 + 2 + 2 + 32, 2 + 2 + 2 + 2 + 2 + 32));
}

#[test]
fn a_trace_that_costs_more_than_the_burst_starves_nobody() {
    let limit = "{spans_per_second: 1, burst_capacity: 3}";
    let mut replay =
        replay(&format!("decision_wait: 1s\npolicies: [{{name: p, type: rate_limiting, rate_limiting: {limit}}}]"));
    replay.take(&batch(&[(1, Kind::Child); 4]));
    replay.take(&batch(&[(2, Kind::Child), (2, Kind::Child), (3, Kind::Child), (4, Kind::Child)]));
    replay.second();
    assert_eq!(second(&mut replay), [2, 3]);
}

#[test]
fn a_composite_counts_anew_each_second() {
    let mut replay = replay(
        "
decision_wait: 1s
policies:
  - name: p
    type: composite
    composite:
      max_total_spans_per_second: 10
      policy_order: [errors, rest]
      composite_sub_policy:
        - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
        - {name: rest, type: always_sample}
      rate_allocation: [{policy: errors, percent: 50}, {policy: rest, percent: 20}]
",
    );
    for first in [0, 100] {
        let errors = (first..first + 8).map(|id| (id, Kind::Error));
        let rest = (first + 8..first + 16).map(|id| (id, Kind::Child));
        replay.take(&batch(&errors.chain(rest).collect::<Vec<_>>()));
        replay.second();
        // Five errors and two others; an error over the share is not taken by the other member.
        assert_eq!(second(&mut replay), [0, 1, 2, 3, 4, 8, 9].map(|id| first + id));
    }
}

#[test]
fn a_late_part_that_matches_a_drop_policy_drops_the_whole() {
    let policies = "
policies:
  - {name: all, type: always_sample}
  - {name: not-errors, type: drop, drop: {drop_sub_policy: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}}";
    for strategy in ["trace-complete", "span-ingest"] {
        let mut replay = replay(&format!("decision_wait: 2s\nsampling_strategy: {strategy}{policies}"));
        assert!(replay.take(&batch(&[(1, Kind::Child)])).is_empty(), "{strategy}");
        replay.second();
        assert!(replay.take(&batch(&[(1, Kind::Error)])).is_empty(), "{strategy}");
        assert!(replay.take(&batch(&[(1, Kind::Child)])).is_empty(), "{strategy}");
        for _ in 0..3 {
            assert!(replay.second().is_empty(), "{strategy}");
        }
        assert!(replay.take(&batch(&[(1, Kind::Child)])).is_empty(), "{strategy}");
        let summary = replay.summary();
        assert_eq!((summary.dropped, summary.sampled, summary.not_sampled), (1, 0, 0), "{strategy}");
    }
}

#[test]
fn a_dropped_or_rejected_trace_is_known_to_the_cache() {
    let policies = "
policies:
  - {name: roots, type: ottl_condition, ottl_condition: {span: ['IsRootSpan()']}}
  - {name: none, type: drop, drop: {drop_sub_policy: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}}";
    let mut replay =
        replay(&format!("decision_wait: 1s\nnum_traces: 1\ndecision_cache: {{non_sampled_cache_size: 9}}{policies}"));
    for (trace, kind) in [(1, Kind::Child), (2, Kind::Error), (3, Kind::Child)] {
        replay.take(&batch(&[(trace, kind)]));
        replay.second();
        replay.second();
    }
    assert!(replay.take(&batch(&[(1, Kind::Root), (2, Kind::Root), (3, Kind::Root)])).is_empty());
    assert!(!replay.is_waiting());
    assert_eq!(replay.summary().traces, 3);
}

#[test]
fn roots_bring_half_of_the_traces_out_at_their_own_time() {
    let mut replay = replay(
        "
decision_wait: 1m
decision_wait_after_root_received: 1s
policies: [{name: half, type: probabilistic, probabilistic: {sampling_percentage: 50}}]",
    );
    let mut builder = TracesBuilder::new();
    for n in 0_u64..128 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        id[8..].copy_from_slice(&(!n).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes());
        builder.span(id, &span(0, Kind::Root, 3));
    }
    replay.take(&builder.build());
    replay.second();
    replay.second();
    let summary = replay.summary();
    assert_eq!(summary.sampled + summary.not_sampled, 128);
    assert!((40..=88).contains(&summary.sampled), "{summary:?}");
}

#[test]
fn a_larger_limit_of_trace_sizes_holds_from_the_next_batch_on() {
    let yaml = |limit: u64| format!("decision_wait: 5s\nmaximum_trace_size_bytes: {limit}{ALWAYS}");
    let mut replay = replay(&yaml(130));
    replay.take(&batch(&[(1, Kind::Child), (2, Kind::Child)]));
    replay.replace(&plan(&yaml(1000)), ottl::Engine::Interpreter).unwrap();
    replay.take(&batch(&[(1, Kind::Child); 3]));
    replay.replace(&plan(&yaml(130)), ottl::Engine::Interpreter).unwrap();
    replay.take(&batch(&[(2, Kind::Child); 3]));
    let out: Vec<Traces> = (0..6).flat_map(|_| replay.second()).collect();
    assert_eq!(counts(&out), [(1, 4)].into());
    assert_eq!(replay.summary().too_large, 1);
}

#[test]
fn span_ingest_sees_the_arriving_part_only() {
    let mut replay = replay(
        "
decision_wait: 5s
sampling_strategy: span-ingest
policies:
  - name: both
    type: and
    and:
      and_sub_policy:
        - {name: e, type: status_code, status_code: {status_codes: [ERROR]}}
        - {name: r, type: ottl_condition, ottl_condition: {span: ['IsRootSpan()']}}
  - {name: many, type: span_count, span_count: {min_spans: 4}}
",
    );
    // Root and error come apart, so neither part has both; counts are of the whole trace.
    assert!(replay.take(&batch(&[(1, Kind::Root), (2, Kind::Root)])).is_empty());
    assert!(replay.take(&batch(&[(1, Kind::Error), (2, Kind::Child)])).is_empty());
    assert_eq!(counts(&replay.take(&batch(&[(3, Kind::Error), (3, Kind::Root)]))), [(3, 2)].into());
    assert_eq!(counts(&replay.take(&batch(&[(1, Kind::Child), (1, Kind::Child)]))), [(1, 4)].into());
    for _ in 0..6 {
        assert!(replay.second().is_empty());
    }
    let summary = replay.summary();
    // The tick asks nobody: four parts of two traces, then one each, with two votes until one samples.
    assert_eq!((summary.sampled, summary.not_sampled), (2, 1));
    assert_eq!(summary.votes, 2 + 2 + 2 + 2 + 1 + 2);
}

#[test]
fn shards_divide_what_is_limited() {
    let yaml = |shards: u32| {
        format!(
            "
num_shards: {shards}
num_traces: 10
decision_cache: {{sampled_cache_size: 3}}
policies:
  - {{name: a, type: rate_limiting, rate_limiting: {{spans_per_second: 9}}}}
  - {{name: b, type: not, not: {{not_sub_policy: {{name: n, type: bytes_limiting, bytes_limiting: {{bytes_per_second: 2, burst_capacity: 7}}}}}}}}
  - name: c
    type: composite
    composite:
      max_total_spans_per_second: 100
      composite_sub_policy: [{{name: m, type: rate_limiting, rate_limiting: {{spans_per_second: 50}}}}]"
        )
    };
    for shards in [0, 1] {
        let config = plan(&yaml(shards)).config;
        assert_eq!((config.num_shards, config.num_traces, config.sampled_cache_size), (1, 10, 3));
        assert!(matches!(config.policies[0].kind, PolicyKind::RateLimiting { per_second: 9, .. }));
    }
    let config = plan(&yaml(4)).config;
    assert_eq!((config.num_traces, config.sampled_cache_size, config.non_sampled_cache_size), (2, 1, 0));
    // The burst that is not given is twice the whole rate.
    assert!(matches!(config.policies[0].kind, PolicyKind::RateLimiting { per_second: 2, burst: 18 }));
    let PolicyKind::Not(member) = &config.policies[1].kind else { panic!("{:?}", config.policies) };
    assert!(matches!(member.kind, PolicyKind::BytesLimiting { per_second: 1, burst: 7 }));
    let PolicyKind::Composite { max_total: 25, members } = &config.policies[2].kind else {
        panic!("{:?}", config.policies)
    };
    assert!(matches!(members[0].0.kind, PolicyKind::RateLimiting { per_second: 12, burst: 100 }));
    assert_eq!(plan(&yaml(256)).config.num_traces, 1);
}

#[test]
fn shards_get_about_as_many_traces_each() {
    let mut got = [0_u32; 5];
    for n in 0..50_000_u64 {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        let takers: Vec<u32> = (0..5).filter(|shard| Share { shard: *shard, of: 5 }.takes(&id)).collect();
        assert_eq!(takers.len(), 1);
        got[takers[0] as usize] += 1;
    }
    assert!(got.iter().all(|traces| (9_500..10_500).contains(traces)), "{got:?}");
}

#[test]
fn a_resource_with_many_traces_comes_out_with_each() {
    let mut replay = replay(&format!("decision_wait: 1s\nnum_shards: 3{ALWAYS}"));
    let mut builder = TracesBuilder::new();
    builder.resource(&attribute("shop"), b"url");
    builder.scope(&[0x0a, 1, b's'], b"");
    for trace in [5, 6, 5, 7, 6] {
        builder.span([trace; 16], &span(trace, Kind::Child, 3));
    }
    replay.take(&builder.build());
    replay.second();
    let out = replay.second();
    assert_eq!(counts(&out), [(5, 2), (6, 2), (7, 1)].into());
    let resources: BTreeSet<_> =
        out.iter().flat_map(Traces::resources).map(|r| (r.resource().to_vec(), r.schema_url().to_vec())).collect();
    assert_eq!(resources, [(attribute("shop"), b"url".to_vec())].into());
}

#[tokio::test(start_paused = true)]
async fn spans_from_many_senders_are_all_counted() {
    let running = Running::start("tail_sampling", &format!("num_shards: 2{ALWAYS}")).await;
    let senders = (0..8).map(|_| {
        let input = running.input.clone();
        tokio::spawn(async move {
            for id in 0..100 {
                input.consume(batch(&[(id, Kind::Child)])).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    running.lifecycle.shutdown().await.unwrap();
    let out = running.out();
    assert!(out.len() == 100 && out.values().all(|spans| *spans == 8), "{out:?}");
    let series = series(&running.registry);
    assert!(series.contains("otelcol_processor_tail_sampling_new_trace_id_received{} 100 {traces}"), "{series}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_gives_up_takes_nothing_of_others_with_it() {
    let slow = Arc::new(Slow {
        asked: tokio::sync::Notify::new(),
        open: tokio::sync::Semaphore::new(0),
        sink: crate::testing::Sink::new(),
    });
    let context = crate::testing::context("tail_sampling");
    let plan = plan(&format!("decide_early: true{ERRORS}"));
    let part = crate::factory::ProcessorPlan::make_traces(&plan, &context, slow.clone()).unwrap();
    part.input.consume(batch(&[(1, Kind::Child)])).await.unwrap();
    tokio::select! {
        biased;
        // The trace is certain to be kept now, with the span of another sender.
        _ = part.input.consume(batch(&[(1, Kind::Error)])) => panic!("nothing was let through"),
        () = slow.asked.notified() => {}
    }
    slow.open.add_permits(1);
    slow.sink.arrived.notified().await;
    assert_eq!(slow.sink.span_counts(), [2]);
    part.lifecycle.unwrap().shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_never_started_stops() {
    let context = crate::testing::context("tail_sampling");
    let part =
        crate::factory::ProcessorPlan::make_traces(&plan(ALWAYS), &context, crate::testing::Sink::new()).unwrap();
    part.lifecycle.unwrap().shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn telemetry_of_drops_errors_caches_and_ages() {
    let yaml = "
decision_wait: 1s
decision_cache: {sampled_cache_size: 9, non_sampled_cache_size: 9}
policies:
  - {name: fails, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['Len(name) > 0 and attributes[\"a\"] + 1 > 0']}}
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: roots, type: drop, drop: {drop_sub_policy: [{name: r, type: ottl_condition, ottl_condition: {span: ['IsRootSpan()']}}]}}";
    let running = Running::start("tail_sampling", yaml).await;
    running.input.consume(batch(&[(1, Kind::Error), (2, Kind::Child), (3, Kind::Root)])).await.unwrap();
    running.seconds(3).await;
    running
        .input
        .consume(batch(&[(1, Kind::Child), (1, Kind::Child), (2, Kind::Error), (3, Kind::Error)]))
        .await
        .unwrap();
    running.seconds(1).await;
    insta::assert_snapshot!(series(&running.registry));
    running.lifecycle.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn telemetry_of_span_ingest() {
    let running =
        Running::start("tail_sampling/in", &format!("decision_wait: 1s\nsampling_strategy: span-ingest{ERRORS}")).await;
    running.input.consume(batch(&[(1, Kind::Child), (2, Kind::Child)])).await.unwrap();
    running.input.consume(batch(&[(1, Kind::Error)])).await.unwrap();
    running.seconds(3).await;
    running.input.consume(batch(&[(1, Kind::Child)])).await.unwrap();
    running.seconds(1).await;
    insta::assert_snapshot!(series(&running.registry));
    running.lifecycle.shutdown().await.unwrap();
}

proptest! {
    /// Bytes that are no OTLP are refused before they come here; whatever is taken is sampled or not, and nothing panics.
    #[test]
    fn hostile_bytes_are_refused_or_sampled(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = batch(&[(1, Kind::Error), (2, Kind::Root), (1, Kind::Child)]).encode().to_vec();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len() + 1).max(bytes.len() / 2));
        if let Ok(traces) = Traces::index(bytes.into()) {
            let spans = traces.span_count();
            let mut replay = replay(&format!("decision_wait: 1s\nnum_shards: 2{ALWAYS}"));
            let mut out = replay.take(&traces);
            while replay.is_waiting() {
                out.extend(replay.second());
            }
            prop_assert_eq!(out.iter().map(Traces::span_count).sum::<usize>(), spans);
        }
    }
}

/// A clock of no use but to show that arrivals with one time still have an order.
#[test]
fn times_that_stand_still_change_nothing() {
    let clock = Arc::new(ManualClock::new(0));
    let (policies, questions) = plan(ALWAYS).compiled(ottl::Engine::Interpreter, clock.clone()).unwrap();
    let config = plan(&format!("decision_wait: 1s{ALWAYS}")).config;
    let mut sampler =
        super::sampler::Sampler::new(config, policies, questions.clone(), super::id_hash::IdHash::random());
    let batch = singles(0..9);
    let asked = questions.ask(&batch);
    let mut late = super::mark::Late::new();
    sampler.begin_batch(batch.resource_count());
    sampler.ingest(&batch, &asked, Share { shard: 0, of: 1 }, 0, &*clock, &mut late);
    let arrivals: BTreeSet<u64> =
        (0..9).filter_map(|id| sampler.part(&[id; 16])).map(|part| part.facts.first_arrival).collect();
    assert_eq!(arrivals.len(), 9);
}
