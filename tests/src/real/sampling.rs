//! Random configurations of `tail_sampling` over random traffic, in the Go collector and in ottlcol side by side: the
//! same traces are kept, each with the same spans.
//!
//! A round is one traffic and many configurations: each is a pipeline of its own behind one receiver, in one process a
//! side. Spans that come after the decisions follow in a second wave. `SEED`, `ROUNDS` and `CONFIGURATIONS` in the
//! environment make others: a round takes 20 seconds. Limits are either never reached or always exceeded, because the
//! Go collector decides the traces of a tick in random order; what ottlcol means to do otherwise (the README beside
//! `tail_sampling` lists it) is not asked for.

mod policies;
mod traffic;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::{Backend, Collector, Failure, Outcome, check, client, port, wait};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::Parts;
use traffic::Traffic;

const ROUNDS: u64 = 2;
const CONFIGURATIONS: u64 = 40;

/// `decision_wait` everywhere; traces are decided in the second after. The first wave has to be in before.
const WAIT_SECONDS: u64 = 5;

/// Spans by trace, as text, so that a difference can be shown.
type Kept = BTreeMap<String, Vec<String>>;

pub(crate) fn run(parts: &Parts) -> Outcome {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, configurations) = (number("SEED", 1), number("CONFIGURATIONS", CONFIGURATIONS));
    for round in seed..seed.saturating_add(number("ROUNDS", ROUNDS)) {
        compare(parts, round, configurations)?;
    }
    Ok(())
}

fn compare(parts: &Parts, seed: u64, configurations: u64) -> Outcome {
    let mut random = Random::new(seed);
    let traffic = random.traffic();
    let processors: Vec<String> = (0..configurations).map(|_| random.processor()).collect();
    let (go, ours) = std::thread::scope(|scope| {
        let go = scope.spawn(|| kept(&processors, &traffic, Some(&parts.peer)));
        let ours = kept(&processors, &traffic, None);
        (go.join().unwrap_or_else(|_| Err(Failure::new("the Go side has panicked"))), ours)
    });
    let (go, ours) = (go?, ours?);
    let mut wrong = String::new();
    for ((processor, go), ours) in processors.iter().zip(&go).zip(&ours) {
        let ids = go.keys().chain(ours.keys());
        let differ: Vec<&String> = ids.filter(|id| go.get(*id) != ours.get(*id)).collect();
        let Some(id) = differ.first() else { continue };
        // Writing to a String cannot fail.
        let _ = writeln!(
            wrong,
            "Go keeps {} traces, ottlcol {}; {} differ, such as {id}:\nGo {:#?}\nottlcol {:#?}\nsent {:#?}\n{processor}",
            go.len(),
            ours.len(),
            differ.len(),
            go.get(*id),
            ours.get(*id),
            traffic.of_trace(id)
        );
    }
    check(wrong.is_empty(), || format!("SEED={seed} CONFIGURATIONS={configurations}: {wrong}"))?;
    // Configurations that keep all or nothing prove little.
    let n_traces = traffic.trace_count();
    let some = go.iter().filter(|kept| !kept.is_empty() && kept.len() < n_traces).count();
    check(some as u64 * 4 >= configurations, || format!("SEED={seed}: only {some} configurations make a choice"))
}

/// What comes out of each pipeline.
fn kept(processors: &[String], traffic: &Traffic, go: Option<&Path>) -> Outcome<Vec<Kept>> {
    let backends = processors.iter().map(|_| Backend::start()).collect::<Outcome<Vec<_>>>()?;
    let port = port::free()?;
    let mut config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}}}}}}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n"
    );
    for number in 0..processors.len() {
        let _ = writeln!(
            config,
            "    traces/{number}: {{receivers: [otlp], processors: [tail_sampling/{number}], exporters: [otlp/{number}]}}"
        );
    }
    config.push_str("exporters:\n");
    for (number, backend) in backends.iter().enumerate() {
        let _ = writeln!(config, "  otlp/{number}: {{endpoint: '{}', tls: {{insecure: true}}}}", backend.address);
    }
    config.push_str("processors:\n");
    for (number, processor) in processors.iter().enumerate() {
        let _ = write!(config, "  tail_sampling/{number}:\n    decision_wait: {WAIT_SECONDS}s\n{processor}");
    }
    let running = match go {
        Some(peer) => Collector::start_program(peer, &config, &[])?,
        None => Collector::start(&config)?,
    };
    let spans = || backends.iter().map(Backend::span_count).sum::<usize>();
    let began = Instant::now();
    client::send_all(port, &traffic.first)?;
    let took = began.elapsed();
    check(took < Duration::from_secs(WAIT_SECONDS - 2), || {
        format!("sending took {took:?}: the machine is too busy for a fair comparison")
    })?;
    // Nothing has to come out before the decisions, so quiet is longer than they take.
    wait::until_still("what is kept", 60, (WAIT_SECONDS + 2) * 1000, spans)?;
    client::send_all(port, &traffic.late)?;
    wait::until_still("late spans", 60, 1500, spans)?;
    // Traces that are waiting because of late spans are decided at the end.
    let (status, log) = running.terminate()?;
    check(status.success(), || format!("ended with {status}: {log}"))?;
    Ok(backends.iter().map(|backend| texts(backend.arrived().traces)).collect())
}

fn texts(traces: BTreeMap<String, Vec<(String, Span)>>) -> Kept {
    // Go writes a status to every span; one without is the same.
    let text = |(service, mut span): (String, Span)| {
        span.status.get_or_insert_default();
        format!("{service}: {span:?}")
    };
    let sorted = |spans: Vec<(String, Span)>| {
        let mut spans: Vec<String> = spans.into_iter().map(text).collect();
        spans.sort();
        spans
    };
    traces.into_iter().map(|(id, spans)| (id, sorted(spans))).collect()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap_or(0)]
    }
}
