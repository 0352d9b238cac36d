//! Fleets beside one instance: thresholds, and limits while members come and go.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use pdata::TracesBuilder;
use prost::Message;

use super::*;
use crate::processors::tail_sampling::tests::plan;

const SPANS: u64 = 4;

fn id(number: u64) -> pdata::TraceId {
    let mixed = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    mixed.to_be_bytes()
}

/// One span of each of these traces: every seventh is an error in its third.
fn request(numbers: std::ops::Range<u64>, round: u64) -> Traces {
    let mut builder = TracesBuilder::new();
    for number in numbers {
        let code = if number % 7 == 3 && round == 2 { 2 } else { 0 };
        let span = Span {
            trace_id: id(number).to_vec(),
            span_id: (number * SPANS + round + 1).to_be_bytes().to_vec(),
            status: Some(Status { code, ..Status::default() }),
            ..Span::default()
        };
        builder.span(id(number), &span.encode_to_vec());
    }
    builder.build()
}

/// Takes a fleet through so many seconds of so many traces each; `change` is called before each second.
fn run(fleet: &mut Fleet, seconds: u64, traces: u64, mut change: impl FnMut(&mut Fleet, u64)) -> Vec<Traces> {
    let mut kept = Vec::new();
    for second in 0..seconds {
        change(fleet, second);
        for round in 0..SPANS {
            kept.extend(fleet.take(&request(second * traces..(second + 1) * traces, round)));
        }
        kept.extend(fleet.second());
    }
    for _ in 0..100 {
        if !fleet.is_waiting() {
            break;
        }
        kept.extend(fleet.second());
    }
    assert!(!fleet.is_waiting());
    kept
}

/// Trace states of the kept spans by trace.
fn states(batches: &[Traces]) -> BTreeMap<pdata::TraceId, Vec<String>> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for span in batches.iter().flat_map(Traces::spans) {
        all.entry(*span.trace_id()).or_default().push(Span::decode(span.bytes()).unwrap().trace_state);
    }
    all
}

#[test]
fn every_holder_learns_the_threshold() {
    let plan = plan(
        "
decision_wait: 10s
record_threshold: true
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: tenth, type: probabilistic, probabilistic: {sampling_percentage: 10}}
  - {name: third, type: probabilistic, probabilistic: {hash_salt: other, sampling_percentage: 33}}
",
    );
    let kept = |n: usize| {
        let mut fleet = plan.fleet(ottl::Engine::Interpreter, n).unwrap();
        states(&run(&mut fleet, 5, 100, |_, _| ()))
    };
    let (one, three) = (kept(1), kept(3));
    assert_eq!(one, three);
    let of = |state: &str| one.values().filter(|states| **states == vec![state.to_owned(); SPANS as usize]).count();
    // Of 500 traces 71 are errors; of the others 1 - 0.9 * 0.67 = 0.397 are kept.
    let errors = of("ot=th:0");
    assert_eq!(errors, (0..500).filter(|number| number % 7 == 3).count());
    assert!((120..230).contains(&(one.len() - errors)), "{}", one.len());
    assert!(one.values().flatten().all(|state| state == "ot=th:0" || state.starts_with("ot=th:9a5e")), "{one:?}");
}

/// 3 become 5 become 2, beside one instance that sees all: 200 spans a second are offered, a fourth of them allowed.
#[test]
fn budgets_hold_while_members_change() {
    for policy in [
        "type: rate_limiting, rate_limiting: {spans_per_second: 50}",
        "type: bytes_limiting, bytes_limiting: {bytes_per_second: 2000}",
        "type: composite, composite: {max_total_spans_per_second: 50, policy_order: [all], composite_sub_policy: \
         [{name: all, type: always_sample}], rate_allocation: [{policy: all, percent: 100}]}",
    ] {
        let plan = plan(&format!("{{decision_wait: 10s, policies: [{{name: limit, {policy}}}]}}"));
        let spans = |batches: Vec<Traces>| batches.iter().map(Traces::span_count).sum::<usize>() as f64;
        let mut one = plan.fleet(ottl::Engine::Interpreter, 1).unwrap();
        let whole = spans(run(&mut one, 60, 50, |_, _| ()));
        let mut fleet = plan.instances(ottl::Engine::Interpreter, 5, 90_000).unwrap();
        let change = |fleet: &mut Fleet, second| match second {
            0 => fleet.list(vec![0, 1, 2]),
            20 => fleet.list(vec![0, 1, 2, 3, 4]),
            40 => fleet.list(vec![1, 4]),
            _ => {}
        };
        let several = spans(run(&mut fleet, 60, 50, change));
        assert!((several / whole - 1.0).abs() < 0.1, "{policy}: {several} spans, one instance {whole}");
        assert!((0.15..0.4).contains(&(whole / 12_000.0)), "{policy}: one instance {whole}");
    }
}
