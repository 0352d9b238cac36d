//! Kill and restart: a collector with `tail_sampling` and `storage` is killed with SIGKILL again and again while clients
//! send, and everything that was accepted is compared with everything that came out.
//!
//! Half of the traces have errors and are to be kept, the others to be dropped. Spans of a trace are sent over most of a
//! second, so that kills fall between them. A request without an answer is not repeated: whether its spans come out is
//! open, but not twice. What may be missing is said in `collector/src/processors/tail_sampling/README.md`: what was
//! accepted within the last `flush_interval` before a kill, and the batches that were on their way at that moment.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::{Code, Request, Response, Status};

use crate::{Collector, Failure, Outcome, check, client, collector, port, wait};

/// `decision_wait` of the collector, seconds. It decides in the second after.
const WAIT: f64 = 2.0;

/// `flush_interval` of the collector, seconds.
const FLUSH: f64 = 0.1;

/// How much later than `flush_interval` a busy machine may write.
const LATE_FLUSH: f64 = 0.4;

/// How long after its tick a batch may still be on its way.
const ON_ITS_WAY: f64 = 1.0;

const SPANS_A_TRACE: u64 = 4;

/// Traces that begin with each request.
const TRACES_A_REQUEST: u64 = 15;

/// Requests between two spans of a trace.
const STRIDE: u64 = 12;

/// Clients, each sending about 50 requests a second.
const CLIENTS: u64 = 2;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Kills.
    pub rounds: u32,
    /// Spans that the collector accepted.
    pub accepted: u64,
    /// Of those, spans of traces that are to be kept.
    pub due: u64,
    /// Missing: accepted within the last unflushed interval before a kill.
    pub unflushed: u64,
    /// The longest that any of them had been accepted before the kill, seconds.
    pub oldest_unflushed: f64,
    /// Missing: of traces that were due when the collector was killed, after their decision was logged.
    pub on_their_way: u64,
    /// Missing for no such reason.
    pub lost: u64,
    /// Delivered more than once.
    pub twice: u64,
    /// Delivered although their trace is to be dropped.
    pub undue: u64,
}

/// A span that was sent.
struct Sent {
    /// When it was sent the last time, seconds since the start.
    sent: f64,
    /// When the answer was noticed, seconds since the start; negative if there was none.
    accepted: f64,
    number: u64,
}

/// A kill and the restart after it, seconds since the start.
#[derive(Clone, Copy)]
struct Kill {
    at: f64,
    /// When the process was gone and the next one had not begun.
    gone: f64,
    ready: f64,
}

/// Kills the collector `rounds` times, at moments that `seed` gives.
///
/// # Errors
/// If the collector does not come back, or anything was lost or delivered twice that must not be.
pub fn run(rounds: u32, seed: u64, mut progress: impl FnMut(&str)) -> Outcome<Report> {
    let backend = Backend::start()?;
    let port = port::free()?;
    let directory = collector::fresh_directory("storage")?;
    let config = config(port, &backend.address, &directory);
    let mut running = Collector::start(&config)?;
    let (start, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || send(port, number, start, &stop))
        })
        .collect();
    let mut kills = Vec::new();
    let mut random = seed;
    for round in 1..=rounds {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pause = Duration::from_millis(300 + (random >> 33) % 3000);
        // The one wait for a time: the moment of the kill is what is varied.
        std::thread::sleep(pause);
        let kill = start.elapsed().as_secs_f64();
        drop(running);
        let gone = start.elapsed().as_secs_f64();
        running = Collector::start(&config)?;
        kills.push(Kill { at: kill, gone, ready: start.elapsed().as_secs_f64() });
        progress(&format!("kill {round} of {rounds}, {:.1} s after the last start", pause.as_secs_f64()));
    }
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for client in clients {
        sent.extend(client.join().map_err(|_| Failure::new("a client has panicked"))??);
    }
    let quiet = ((WAIT + 2.0) * 1000.0) as u64;
    wait::until_still("the backend", 60, quiet, || backend.count())?;
    let (status, log) = running.terminate()?;
    check(status.code() == Some(0), || format!("ended with {status}: {log}"))?;
    let (report, unexplained) = compare(rounds, &sent, &kills, &backend.delivered());
    let wrong = report.lost + report.twice + report.undue;
    check(wrong == 0, || format!("{report:?}\n{}", unexplained.join("\n")))?;
    // A run in which nothing waited at the kills proves nothing.
    check(report.due > u64::from(rounds) * 500, || format!("too little was sent: {report:?}"))?;
    Ok(report)
}

fn config(port: u16, backend: &str, directory: &Path) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{port}'}}}}}}}}
processors:
  tail_sampling:
    decision_wait: {WAIT}s
    num_traces: 200000
    policies: [{{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}]
    storage: {{directory: {}, flush_interval: {FLUSH}s}}
exporters:
  otlp: {{endpoint: '{backend}', tls: {{insecure: true}}, sending_queue: {{enabled: false}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [tail_sampling], exporters: [otlp]}}}}
",
        directory.display()
    )
}

fn trace_of(number: u64) -> u64 {
    number / SPANS_A_TRACE
}

/// Every second trace has errors.
fn is_due(number: u64) -> bool {
    trace_of(number).is_multiple_of(2)
}

/// Traces of a client are numbered in the order in which they begin.
fn numbers(client: u64, request: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for part in 0..SPANS_A_TRACE {
        let Some(begun) = request.checked_sub(part * STRIDE) else { break };
        let first = (begun * CLIENTS + client) * TRACES_A_REQUEST;
        numbers.extend((first..first + TRACES_A_REQUEST).map(|trace| trace * SPANS_A_TRACE + part));
    }
    numbers
}

fn span(number: u64) -> Span {
    let mut trace_id = [7; 16];
    trace_id[8..].copy_from_slice(&trace_of(number).to_be_bytes());
    let span = client::span(trace_id, 0, "GET /kill/and/restart", 20, is_due(number));
    Span { span_id: (number + 1).to_be_bytes().to_vec(), ..span }
}

/// Sends until told to stop, and gives what was sent.
fn send(port: u16, client: u64, start: Instant, stop: &AtomicBool) -> Outcome<Vec<Sent>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
            .map_err(|error| Failure(error.to_string()))?
            .timeout(Duration::from_secs(10));
        let mut service = TraceServiceClient::new(endpoint.connect_lazy());
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sent = Vec::new();
        for request in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            pace.tick().await;
            let numbers = numbers(client, request);
            let message = client::request("kill", numbers.iter().copied().map(span).collect());
            let (at, accepted) = loop {
                let at = start.elapsed().as_secs_f64();
                match service.export(message.clone()).await {
                    Ok(_) => break (at, start.elapsed().as_secs_f64()),
                    // No connection: it cannot have been taken, and is sent again.
                    Err(status) if status.code() == Code::Unavailable && is_refused(&status) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(_) => break (at, -1.0),
                }
            };
            sent.extend(numbers.into_iter().map(|number| Sent { sent: at, accepted, number }));
        }
        Ok(sent)
    })
}

fn is_refused(status: &Status) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(status);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// When a trace began for the processes that waited for it.
#[derive(Clone, Copy)]
struct Begun {
    /// With a span that was not answered it may have begun sooner than with one that was.
    earliest: f64,
    /// With a span that a kill took it has not begun.
    latest: f64,
}

/// Most spans that are told one by one.
const TOLD: usize = 40;

/// The kill that found a span unflushed. On a busy machine a client notices an answer when the process that gave it is
/// gone already, but it was sent before.
fn unflushed(span: &Sent, kills: &[Kill]) -> Option<Kill> {
    let finds = |kill: &&Kill| kill.at <= span.accepted + FLUSH + LATE_FLUSH && span.sent <= kill.gone;
    kills.iter().find(finds).copied()
}

fn compare(rounds: u32, sent: &[Sent], kills: &[Kill], delivered: &HashMap<u64, u32>) -> (Report, Vec<String>) {
    let mut report = Report { rounds, ..Report::default() };
    let mut unexplained = Vec::new();
    let mut begun: HashMap<u64, Begun> = HashMap::new();
    for span in sent {
        let none = Begun { earliest: f64::MAX, latest: f64::MAX };
        let begun = begun.entry(trace_of(span.number)).or_insert(none);
        begun.earliest = begun.earliest.min(span.sent);
        if span.accepted >= 0.0 && unflushed(span, kills).is_none() {
            begun.latest = begun.latest.min(span.accepted);
        }
    }
    for span in sent {
        let came = delivered.get(&span.number).copied().unwrap_or(0);
        report.twice += u64::from(came.saturating_sub(1));
        if !is_due(span.number) {
            report.undue += u64::from(came);
        }
        if span.accepted < 0.0 {
            continue;
        }
        report.accepted += 1;
        if !is_due(span.number) {
            continue;
        }
        report.due += 1;
        if came > 0 {
            continue;
        }
        // This span is answered, so one was before or this is the first.
        let Some(begun) = begun.get(&trace_of(span.number)).copied() else { continue };
        if let Some(kill) = unflushed(span, kills) {
            report.unflushed += 1;
            report.oldest_unflushed = report.oldest_unflushed.max(kill.at - span.accepted);
        } else if was_on_its_way(span, begun, kills) {
            report.on_their_way += 1;
        } else {
            report.lost += 1;
            if unexplained.len() < TOLD {
                unexplained.push(story(span, begun, sent, kills, delivered));
            }
        }
    }
    (report, unexplained)
}

/// Everything about a span that is missing, and about its trace.
fn story(span: &Sent, begun: Begun, sent: &[Sent], kills: &[Kill], delivered: &HashMap<u64, u32>) -> String {
    let of_trace = sent.iter().filter(|other| trace_of(other.number) == trace_of(span.number));
    let spans: Vec<String> = of_trace
        .map(|other| {
            let came = delivered.get(&other.number).copied().unwrap_or(0);
            format!("{} sent {:.3} accepted {:.3} came {came}", other.number, other.sent, other.accepted)
        })
        .collect();
    let near = kills.iter().filter(|kill| (kill.at - begun.earliest - WAIT).abs() < 2.0 * WAIT);
    let kills: Vec<String> =
        near.map(|kill| format!("{:.3} gone {:.3} ready {:.3}", kill.at, kill.gone, kill.ready)).collect();
    format!("span {} is missing; its trace: {}; kills: {}", span.number, spans.join(", "), kills.join(", "))
}

/// True if a kill came when a span may have been on its way: its trace, when that was due, or itself, if it came later.
fn was_on_its_way(span: &Sent, begun: Begun, kills: &[Kill]) -> bool {
    const STEP: f64 = 0.05;
    let (from, to) = (begun.earliest + WAIT, begun.latest + WAIT);
    let steps = ((to - from).max(0.0) / STEP).ceil() as u32;
    let dues = (0..=steps).map(|step| (from + f64::from(step) * STEP).min(to.max(from)));
    // A late span goes out as soon as it arrives, the others with their trace.
    dues.map(|due| due.max(span.accepted)).any(|due| was_being_sent(due, kills))
}

/// True if a kill came when a trace that was due then was being sent. What was due while there was no process is decided
/// in the first second of the next one.
fn was_being_sent(due: f64, kills: &[Kill]) -> bool {
    let mut decided_by = due + 1.0;
    for kill in kills {
        if kill.at < due - 0.1 {
            decided_by = decided_by.max(kill.ready + 1.0);
        } else if kill.at <= decided_by + ON_ITS_WAY {
            return true;
        }
    }
    false
}

/// A backend that counts each span.
struct Backend {
    address: String,
    spans: Arc<Mutex<HashMap<u64, u32>>>,
    requests: Arc<AtomicU32>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Backend {
    fn start() -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?.to_string();
        let (spans, requests) = (Arc::default(), Arc::default());
        let service = Service { spans: Arc::clone(&spans), requests: Arc::clone(&requests) };
        let service = TraceServiceServer::new(service)
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .max_decoding_message_size(64 << 20);
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Ok(Self { address, spans, requests, runtime: Some(runtime) })
    }

    fn count(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    fn delivered(&self) -> HashMap<u64, u32> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service {
    spans: Arc<Mutex<HashMap<u64, u32>>>,
    requests: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let all = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in all.flat_map(|scope| scope.spans) {
            if let Ok(id) = <[u8; 8]>::try_from(span.span_id.as_slice()) {
                *spans.entry(u64::from_be_bytes(id).wrapping_sub(1)).or_default() += 1;
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
