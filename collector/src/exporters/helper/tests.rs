//! Queue, retries, batches and shutdown on a paused clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{Code, ConsumeError, Consumer, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::config::{Queue, Retry, Sizer};
use super::{Exporter, Request, Sender, Sent, Settings};
use crate::config::{Problems, Section};
use crate::factory::Lifecycle;
use crate::testing::{context, request, series, traces};

/// Answers from a script, then with success. Each attempt takes a permit of `gate`, so a test can hold attempts back.
struct Script {
    answers: Mutex<VecDeque<Result<(), ConsumeError>>>,
    attempts: Mutex<Vec<(Instant, usize)>>,
    messages: Mutex<Vec<ExportTraceServiceRequest>>,
    gate: Semaphore,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Result<(), ConsumeError>>) -> Arc<Self> {
        Self::with_gate(answers, Semaphore::MAX_PERMITS)
    }

    fn with_gate(answers: impl IntoIterator<Item = Result<(), ConsumeError>>, permits: usize) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect());
        let (attempts, messages) = (Mutex::default(), Mutex::default());
        Arc::new(Self { answers, attempts, messages, gate: Semaphore::new(permits) })
    }

    fn sizes(&self) -> Vec<usize> {
        self.attempts.lock().unwrap().iter().map(|attempt| attempt.1).collect()
    }

    /// Milliseconds between attempts.
    fn waits(&self) -> Vec<u128> {
        let attempts = self.attempts.lock().unwrap();
        attempts.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_millis()).collect()
    }
}

struct Shared(Arc<Script>);

impl Sender for Shared {
    fn send<'a>(&'a self, request: &'a Request) -> Sent<'a> {
        Box::pin(async move {
            self.0.attempts.lock().unwrap().push((Instant::now(), request.items));
            self.0.gate.acquire().await.unwrap().forget();
            let answer = self.0.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
            if answer.is_ok() {
                let message = ExportTraceServiceRequest::decode(request.whole()).unwrap();
                self.0.messages.lock().unwrap().push(message);
            }
            answer
        })
    }
}

struct Running {
    exporter: Arc<Exporter>,
    script: Arc<Script>,
    registry: component::telemetry::Registry,
}

fn exact_retry() -> Retry {
    Retry { randomization_factor: 0.0, ..Retry::default() }
}

async fn run(script: Arc<Script>, retry: Retry, queue: Option<&str>) -> Running {
    let context = context("otlp/x");
    let queue = queue.map(|yaml| {
        let section = Section::parse("otlp", "exporters", yaml).unwrap();
        section.decode::<Queue>(&mut Problems::default()).unwrap()
    });
    let attributes = vec![("server.address", "there".to_owned())];
    let settings = Settings { timeout: Some(Duration::from_secs(5)), retry, queue, attributes };
    let exporter = Exporter::new(&context, Signal::Traces, settings, Box::new(Shared(Arc::clone(&script))));
    exporter.start().await.unwrap();
    Running { exporter, script, registry: context.registry }
}

fn passing() -> Result<(), ConsumeError> {
    Err(ConsumeError::retryable("later"))
}

impl Running {
    async fn put(&self, spans: usize) -> Result<(), ConsumeError> {
        self.exporter.consume(traces(spans)).await
    }

    fn metric(&self, name: &str) -> String {
        let all = series(&self.registry);
        let found = all.iter().find(|line| line.starts_with(name)).cloned().unwrap_or_default();
        found.rsplit(' ').next().unwrap_or_default().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn waits_grow_and_a_servers_delay_only_raises_them() {
    let throttled = |seconds| {
        Err(ConsumeError { retry_after: Some(Duration::from_secs(seconds)), ..ConsumeError::retryable("slow") })
    };
    let script = Script::new([passing(), passing(), throttled(60), throttled(1)]);
    let running = run(script, exact_retry(), None).await;
    running.put(3).await.unwrap();
    assert_eq!(running.script.waits(), [5_000, 7_500, 60_000, 16_875]);
    assert_eq!(running.metric("otelcol_exporter_sent_spans{exporter=\"otlp/x\",server.address=\"there\"}"), "3");
    assert_eq!(running.metric("otelcol_exporter_send_failed_spans"), "");
}

#[tokio::test(start_paused = true)]
async fn gives_up_on_permanent_errors_and_after_the_time_allowed() {
    let permanent = ConsumeError { status: Some(Code::InvalidArgument), ..ConsumeError::permanent("bad") };
    let running = run(Script::new([Err(permanent)]), exact_retry(), None).await;
    let error = running.put(2).await.unwrap_err();
    assert_eq!(error.to_string(), "not retryable error: bad");
    assert_eq!((error.status, error.permanent), (Some(Code::InvalidArgument), true));
    assert_eq!(running.metric("otelcol_exporter_send_failed_spans"), "2");
    assert_eq!(running.metric("otelcol_exporter_sent_spans"), "0");

    let running = run(Script::new((0..100).map(|_| passing())), exact_retry(), None).await;
    let started = Instant::now();
    let error = running.put(1).await.unwrap_err();
    assert_eq!(error.to_string(), "no more retries left: later");
    assert!(started.elapsed() <= Duration::from_secs(300));
    assert!(!error.permanent);

    let off = Retry { enabled: false, ..exact_retry() };
    let running = run(Script::new([passing()]), off, None).await;
    assert_eq!(running.put(1).await.unwrap_err().to_string(), "later");
    assert_eq!(running.script.sizes(), [1]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_after_the_timeout_and_is_tried_again() {
    let running = run(Script::with_gate([], 0), exact_retry(), None).await;
    let put = running.put(1);
    let open = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        running.script.gate.add_permits(1);
    };
    let (outcome, ()) = tokio::join!(put, open);
    outcome.unwrap();
    assert_eq!(running.script.waits(), [10_000]);
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_room_until_it_is_finished() {
    let script = Script::with_gate([passing()], 1);
    let running = run(script, exact_retry(), Some("{queue_size: 1, num_consumers: 1}")).await;
    running.put(1).await.unwrap();
    // The only request failed and waits for its retry; it still takes the room.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = running.put(2).await.unwrap_err();
    assert_eq!((&*error.message, error.permanent), ("sending queue is full", false));
    assert_eq!(running.metric("otelcol_exporter_enqueue_failed_spans"), "2");
    assert_eq!(running.metric("otelcol_exporter_queue_size{exporter=\"otlp/x\",data_type=\"traces\"}"), "1");
    assert_eq!(running.metric("otelcol_exporter_queue_capacity"), "1");
    assert_eq!(running.metric("otelcol_exporter_in_flight_requests"), "1");
    running.script.gate.add_permits(10);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(running.metric("otelcol_exporter_queue_size"), "0");
    assert_eq!(running.metric("otelcol_exporter_in_flight_requests"), "0");
    running.put(1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_blocking_queue_makes_the_caller_wait_and_a_cancelled_caller_leaves_nothing() {
    let script = Script::with_gate([], 0);
    let running = run(script, exact_retry(), Some("{queue_size: 1, num_consumers: 1, block_on_overflow: true}")).await;
    running.put(1).await.unwrap();
    let cancelled = tokio::time::timeout(Duration::from_secs(1), running.put(2)).await;
    assert!(cancelled.is_err());
    let waiting = running.put(3);
    let open = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        running.script.gate.add_permits(10);
    };
    let (outcome, ()) = tokio::join!(waiting, open);
    outcome.unwrap();
    running.exporter.shutdown().await.unwrap();
    assert_eq!(running.script.sizes(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_counted_as_configured() {
    let running = run(Script::with_gate([], 0), exact_retry(), Some("{queue_size: 10, sizer: items}")).await;
    running.put(6).await.unwrap();
    assert_eq!(&*running.put(5).await.unwrap_err().message, "sending queue is full");
    running.put(4).await.unwrap();
    let error = running.put(11).await.unwrap_err();
    assert_eq!((&*error.message, error.permanent), ("element size too large", true));
    running.exporter.consume(pdata::Traces::default()).await.unwrap();
    assert_eq!(running.metric("otelcol_exporter_queue_size"), "10");
}

#[tokio::test(start_paused = true)]
async fn the_result_reaches_the_caller_if_it_waits() {
    let script = Script::new([Err(ConsumeError::permanent("bad")), Ok(())]);
    let running = run(script, exact_retry(), Some("{wait_for_result: true}")).await;
    assert_eq!(&*running.put(1).await.unwrap_err().message, "not retryable error: bad");
    running.put(1).await.unwrap();
    assert_eq!(running.metric("otelcol_exporter_enqueue_failed_spans"), "0");
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_waits_and_gives_each_queued_request_one_attempt() {
    let script = Script::new([passing(), Ok(()), passing()]);
    let running = run(script, exact_retry(), Some("{num_consumers: 1}")).await;
    for spans in [1, 2, 3] {
        running.put(spans).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let started = Instant::now();
    running.exporter.shutdown().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(running.script.sizes(), [1, 2, 3]);
    assert_eq!(running.metric("otelcol_exporter_sent_spans"), "2");
    assert_eq!(running.metric("otelcol_exporter_send_failed_spans"), "4");
    assert_eq!(&*running.put(1).await.unwrap_err().message, "the sending queue is stopped");
}

#[tokio::test(start_paused = true)]
async fn batches_merge_until_the_least_size_or_the_timer() {
    let yaml = "{batch: {min_size: 10, flush_timeout: 200ms}, sizer: items}";
    let running = run(Script::new([]), exact_retry(), Some(yaml)).await;
    running.put(4).await.unwrap();
    running.put(5).await.unwrap();
    tokio::time::sleep(Duration::from_millis(199)).await;
    assert_eq!(running.script.sizes(), [0; 0]);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(running.script.sizes(), [9]);
    running.put(6).await.unwrap();
    running.put(7).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(running.script.sizes(), [9, 13]);
    running.put(1).await.unwrap();
    running.exporter.shutdown().await.unwrap();
    assert_eq!(running.script.sizes(), [9, 13, 1]);
    assert_eq!(running.metric("otelcol_exporter_queue_size"), "0");
    let sent = running.script.messages.lock().unwrap();
    assert_eq!(sent[0].resource_spans, [request(4).resource_spans, request(5).resource_spans].concat());
}

#[tokio::test(start_paused = true)]
async fn oversized_batches_are_split_and_callers_wait_for_all_parts() {
    let yaml = "{batch: {min_size: 4, max_size: 4}, wait_for_result: true}";
    let script = Script::new([Ok(()), Err(ConsumeError::permanent("bad"))]);
    let running = run(script, exact_retry(), Some(yaml)).await;
    assert_eq!(&*running.put(9).await.unwrap_err().message, "not retryable error: bad");
    assert_eq!(running.script.sizes(), [4, 4, 1]);
    let yaml = "{batch: {min_size: 0, max_size: 200, sizer: bytes}}";
    let running = run(Script::new([]), exact_retry(), Some(yaml)).await;
    running.put(20).await.unwrap();
    running.exporter.shutdown().await.unwrap();
    assert_eq!(running.script.sizes().iter().sum::<usize>(), 20);
    for message in running.script.messages.lock().unwrap().iter() {
        assert!(message.encoded_len() <= 200);
    }
}

#[test]
fn metrics_are_split_by_point() {
    let mut whole = Request::from_metrics(&crate::testing::metrics(5));
    let first = whole.split_first(2, Sizer::Items).unwrap();
    assert_eq!((first.items, whole.items), (2, 3));
    let mut both = first;
    both.merge(whole);
    let max = both.bytes() as u64 - 1;
    let first = both.split_first(max, Sizer::Bytes).unwrap();
    assert!(first.bytes() as u64 <= max);
    assert_eq!(first.items + both.items, 5);
}

#[test]
fn a_span_larger_than_the_limit_goes_alone() {
    let mut whole = Request::from_traces(&traces(3));
    let mut sizes = Vec::new();
    while let Some(first) = whole.split_first(1, Sizer::Bytes) {
        sizes.push(first.items);
    }
    assert_eq!((sizes, whole.items), (vec![1, 1], 1));
}

#[test]
fn mistakes_have_upstreams_texts() {
    let check = |yaml: &str, text: &str| {
        let mut problems = Problems::default();
        let queue: Queue = Section::parse("otlp", "exporters", yaml).unwrap().decode(&mut problems).unwrap();
        queue.check("x", &mut problems);
        assert_eq!(problems.list()[0].message, text, "{yaml}");
    };
    check("{num_consumers: 0}", "`num_consumers` must be positive");
    check("{queue_size: 0}", "`queue_size` must be positive");
    check("{storage: file_storage}", "a persistent sending queue is not supported");
    check("{batch: {min_size: 5, max_size: 4}}", "`max_size` must be greater or equal to `min_size`");
    check(
        "{sizer: items, queue_size: 5, batch: {min_size: 6}}",
        "`min_size` must be less than or equal to `queue_size`",
    );
    check("{batch: {sizer: requests}}", "`batch` supports only `items` or `bytes` sizer");
    let retry = Retry { max_elapsed_time: crate::config::Duration::from_secs(1), ..Retry::default() };
    let mut problems = Problems::default();
    retry.check("x", &mut problems);
    assert_eq!(problems.list()[0].message, "'max_elapsed_time' must not be less than 'initial_interval'");
}
