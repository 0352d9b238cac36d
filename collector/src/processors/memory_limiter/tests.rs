//! Limits, the order of looks and shedding, and the gate of a pipeline.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use component::{Code, Consumer, Signal};

use super::{Change, Config, FACTORY, Gate, Gates, Limiter, Limits, Plan, Watch};
use crate::config::{Problems, Section};
use crate::factory::{Lifecycle, ProcessorPlan};
use crate::testing::{Sink, context, series, traces};

const MIB: u64 = 1 << 20;

fn config(yaml: &str) -> Config {
    Section::parse("memory_limiter", "processors", yaml).unwrap().decode(&mut Problems::default()).unwrap()
}

#[test]
fn limits_are_upstreams() {
    let check = |yaml: &str, hard: u64, soft: u64| {
        let limits = config(yaml).limits(|| Ok(100 * MIB)).unwrap();
        assert_eq!(limits, Limits { hard, soft }, "{yaml}");
    };
    check("{limit_mib: 100}", 100 * MIB, 80 * MIB);
    check("{limit_mib: 100, spike_limit_mib: 10}", 100 * MIB, 90 * MIB);
    check("{limit_percentage: 50}", 50 * MIB, 40 * MIB);
    check("{limit_percentage: 50, spike_limit_percentage: 10}", 50 * MIB, 40 * MIB);
    check("{limit_mib: 10, limit_percentage: 50}", 10 * MIB, 8 * MIB);
}

#[test]
fn reports_mistakes() {
    let first = |yaml: &str| {
        let mut problems = Problems::default();
        assert!(
            (FACTORY.parse)(&Section::parse("memory_limiter", "processors", yaml).unwrap(), &mut problems).is_none()
        );
        problems.list()[0].message.clone()
    };
    assert_eq!(first("{limit_mib: 1}"), "'check_interval' must be greater than zero");
    assert_eq!(first("{check_interval: 1s}"), "'limit_mib' or 'limit_percentage' must be greater than zero");
    assert_eq!(
        first("{check_interval: 1s, limit_mib: 1, spike_limit_mib: 1}"),
        "'spike_limit_mib' must be smaller than 'limit_mib'"
    );
    assert_eq!(
        first("{check_interval: 1s, limit_percentage: 101}"),
        "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred"
    );
    assert_eq!(
        first("{check_interval: 1s, limit_mib: 1, min_gc_interval_when_hard_limited: 11s}"),
        "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'"
    );
}

/// Runs looks one second apart over readings; gives what changed and at which looks memory was shed.
fn looks(gates: Gates, readings: &[&[u64]]) -> (Vec<Change>, Vec<usize>) {
    let mut limiter = Limiter::new(Limits { hard: 100, soft: 80 }, gates);
    let mut shed_at = Vec::new();
    let mut changes = Vec::new();
    for (second, readings) in readings.iter().enumerate() {
        let queue = RefCell::new(readings.iter().copied().collect::<VecDeque<_>>());
        let mut shed = false;
        let now = Duration::from_secs(100 + second as u64);
        changes.push(limiter.look(now, || queue.borrow_mut().pop_front().unwrap(), |_| shed = true));
        if shed {
            shed_at.push(second);
        }
        assert!(queue.into_inner().is_empty(), "second {second}");
    }
    (changes, shed_at)
}

fn gates(soft: (u64, u64), hard: (u64, u64)) -> Gates {
    let seconds = |(least, most)| (Duration::from_secs(least), Duration::from_secs(most));
    Gates { soft: seconds(soft), hard: seconds(hard), check_interval: Duration::from_secs(1) }
}

#[test]
fn refuses_over_the_soft_limit_and_resumes_under_it() {
    use Change::{Accepts, None, Refuses};
    let (changes, shed) = looks(gates((10, 0), (0, 0)), &[&[79], &[80, 70], &[85], &[90], &[79], &[120, 10]]);
    assert_eq!(changes, [None, None, Refuses, None, Accepts, None]);
    // The soft gate holds for ten seconds, the hard one not at all.
    assert_eq!(shed, [1, 5]);
}

#[test]
fn fruitless_shedding_backs_off_to_the_cap_and_an_effective_one_resets() {
    // Doubling from 0.95 s: 1.9 s, 3.8 s, then the cap of 5 s.
    let full: &[u64] = &[120, 120];
    let one: &[u64] = &[120];
    let (_, shed) =
        looks(gates((0, 5), (0, 5)), &[full, one, full, one, one, one, full, one, one, one, one, one, full]);
    assert_eq!(shed, [0, 2, 6, 12]);
    let (_, shed) = looks(gates((0, 5), (0, 5)), &[full, one, &[120, 100], &[120, 100]]);
    assert_eq!(shed, [0, 2, 3]);
}

#[tokio::test]
async fn the_gate_refuses_with_upstreams_text() {
    let (sink, context) = (Sink::new(), context("memory_limiter"));
    let limits = Limits { hard: 100, soft: 80 };
    let watch = Arc::new(Watch::new(limits, &config("{check_interval: 1s, limit_mib: 1}"), Arc::clone(&context.clock)));
    let gate = Gate::new(&context, Signal::Traces, Arc::clone(&watch), Arc::clone(&sink) as _);
    gate.consume(traces(2)).await.unwrap();
    watch.refusing.store(true, Ordering::Relaxed);
    let error = gate.consume(traces(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "data refused due to high memory usage");
    assert_eq!((error.code(), error.permanent), (Code::Unavailable, false));
    assert_eq!(
        series(&context.registry),
        [
            "otelcol_processor_incoming_items{processor=\"memory_limiter\",otel.signal=\"traces\"} 5",
            "otelcol_processor_memory_limiter_accepted_spans{processor=\"memory_limiter\"} 2",
            "otelcol_processor_memory_limiter_refused_spans{processor=\"memory_limiter\"} 3",
            "otelcol_processor_outgoing_items{processor=\"memory_limiter\",otel.signal=\"traces\"} 2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pipelines_share_one_watch_that_ends_with_the_last() {
    let plan = Plan { config: config("{check_interval: 1s, limit_mib: 1}"), shared: std::sync::Mutex::default() };
    let (sink, context) = (Sink::new(), context("memory_limiter"));
    let first = plan.make_traces(&context, Arc::clone(&sink) as _).unwrap();
    let second = plan.make_traces(&context, Arc::clone(&sink) as _).unwrap();
    let (first_life, second_life): (Arc<dyn Lifecycle>, _) = (first.lifecycle.unwrap(), second.lifecycle.unwrap());
    first_life.start().await.unwrap();
    second_life.start().await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    // A test process is larger than one MiB.
    assert!(first.input.consume(traces(1)).await.is_err());
    assert!(second.input.consume(traces(1)).await.is_err());
    first_life.shutdown().await.unwrap();
    let watch = plan.watch(&context).unwrap();
    assert!(watch.running.lock().unwrap().task.is_some());
    second_life.shutdown().await.unwrap();
    assert!(watch.running.lock().unwrap().task.is_none());
}
