//! Two gateways and three samplers under load push their own metrics to a `keda_scaler`; KEDA's client asks it what the
//! article's ScaledObjects ask, and a Prometheus that scrapes the same processes answers the same PromQL.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use e2e::{Collector, Failure, Outcome, check, client, port, wait};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use serde_json::{Value, json};

use super::Parts;
use super::prometheus::Prometheus;

/// Spans of a trace, and traces of a request.
const SPANS: u8 = 5;
const TRACES: u64 = 20;
/// The range of the article's query.
const RANGE: Duration = Duration::from_secs(60);

const RATE: &str = "sum(rate(otelcol_receiver_accepted_spans{receiver=\"otlp\",job=\"tier1\"}[1m]))";
const WAITING: &str = "sum(otelcol_processor_tail_sampling_num_traces_sampled)";

/// Queries that Prometheus answers too, while load runs.
const RATES: [&str; 5] = [
    RATE,
    "sum(rate(otelcol_receiver_accepted_spans{job=\"tier1\"}[1m])) + sum(rate(otelcol_receiver_refused_spans{job=\"tier1\"}[1m]))",
    "sum(increase(otelcol_receiver_accepted_spans{job=~\"tier.\"}[1m])) / 60",
    "max(sum by (instance) (rate(otelcol_receiver_accepted_spans{job=\"tier1\"}[1m])))",
    "avg(rate(otelcol_receiver_accepted_spans{job=\"tier2\"}[30s])) * 3",
];
/// Queries that it answers with the same numbers, once nothing moves.
const STILL: [&str; 4] = [
    WAITING,
    "sum(otelcol_processor_tail_sampling_sampling_traces_on_memory{job=\"tier2\"})",
    "count(otelcol_processor_tail_sampling_num_traces_sampled > 0)",
    "max(otelcol_processor_tail_sampling_num_traces_sampled) - min(otelcol_processor_tail_sampling_num_traces_sampled)",
];

pub(crate) fn run(parts: &Parts) -> Outcome {
    let (push, keda) = (port::free()?, port::free()?);
    let _scaler = Collector::start(&scaler(push, keda))?;
    let ports = || port::free().and_then(|otlp| Ok((otlp, port::free()?)));
    let (samplers, gateways) = ([ports()?, ports()?, ports()?], [ports()?, ports()?]);
    let mut running = Vec::new();
    for (number, (otlp, page)) in samplers.iter().enumerate() {
        running.push(Collector::start(&sampler(*otlp, &telemetry("tier2", number, push, *page)))?);
    }
    for (number, (otlp, page)) in gateways.iter().enumerate() {
        let backends: Vec<_> = samplers.iter().map(|(otlp, _)| format!("127.0.0.1:{otlp}")).collect();
        running.push(Collector::start(&gateway(*otlp, &backends, &telemetry("tier1", number, push, *page)))?);
    }
    let pages = |ports: &[(u16, u16)]| ports.iter().map(|(_, page)| format!("127.0.0.1:{page}")).collect::<Vec<_>>();
    let prometheus = Prometheus::start(parts, &[("tier1", pages(&gateways)), ("tier2", pages(&samplers))])?;
    let mut client = Client::start(parts, keda)?;
    let objects = scaled_objects()?;
    let object = |name: &str| objects.get(name).ok_or_else(|| Failure(format!("no ScaledObject {name}")));
    let (tier1, tier2) = (object("otel-gateway-scaler")?, object("otel-tail-sampling-scaler")?);

    // Before the load: targets, and nothing active.
    for (trigger, target) in [(tier1, 10_000.0), (tier2, 80_000.0)] {
        let spec = client.call("GetMetricSpec", trigger)?;
        let spec = &spec["metricSpecs"][0];
        let named = spec["metricName"] == format!("observability-{}", trigger.name);
        check(named && spec["targetSizeFloat"] == target, || format!("GetMetricSpec: {spec}"))?;
    }
    wait::until("KEDA sees an idle tier", 60, || client.value(tier1).ok().filter(|rate| *rate == 0.0))?;
    let active = client.call("IsActive", tier1)?;
    check(active["result"] != true, || format!("idle, and IsActive says {active}"))?;
    client.open_stream(tier1)?;
    check(client.streamed(30)? == json!({"stream": false}), || "the stream began with something else".to_owned())?;

    let load = Load::start([gateways[0].0, gateways[1].0])?;
    check(client.streamed(60)? == json!({"stream": true}), || "the load is not seen by the stream".to_owned())?;
    // A rate over a minute needs a minute of load.
    wait::until("a minute of load", 200, || (load.lasted() > RANGE + Duration::from_secs(12)).then_some(()))?;
    let mut table = Vec::new();
    let pushed = close("tier 1 as in the article", client.value(tier1)?, load.rate(RANGE), 0.05, &mut table);
    let add_on = tier1.with(&[
        ("metricQuery", "sum(otelcol_receiver_accepted_spans{receiver=otlp,job=tier1})"),
        ("operationOverTime", "rate"),
    ]);
    let add_on = close("tier 1, the add-on's grammar", client.value(&add_on)?, load.rate(RANGE / 2), 0.05, &mut table);
    let active = client.call("IsActive", tier1)?;
    let compared: Vec<Outcome> = RATES
        .iter()
        .map(|query| {
            let theirs = prometheus.query(query).ok_or_else(|| Failure(format!("Prometheus: nothing for {query}")))?;
            close(query, client.value(&tier1.with(&[("metricQuery", query)]))?, theirs, 0.05, &mut table)
        })
        .collect();
    let sent = load.stop()?;

    // Decisions wait for an hour, so every trace sent waits.
    let traces = sent.traces as f64;
    let gauge =
        wait::until("every trace is in the gauge", 60, || client.value(tier2).ok().filter(|now| *now == traces));
    let gauge = match gauge {
        Ok(now) => close("tier 2 as in the article", now, traces, 0.0, &mut table),
        Err(why) => Err(Failure(format!("{}; sent {traces}, answered {:?}", why.0, client.value(tier2)))),
    };
    let mut still = Vec::new();
    for query in STILL {
        let ours = client.value(&tier2.with(&[("metricQuery", query)]))?;
        let theirs = wait::until(query, 20, || prometheus.query(query).filter(|theirs| *theirs == ours));
        still.push(close(
            query,
            ours,
            theirs.or_else(|_| prometheus.query(query).ok_or(Failure::new(query)))?,
            0.0,
            &mut table,
        ));
    }
    for line in &table {
        crate::say(&format!("   {line}"));
    }
    check(active["result"] == true, || format!("under load, and IsActive says {active}"))?;
    for outcome in [pushed, add_on, gauge].into_iter().chain(compared).chain(still) {
        outcome?;
    }

    // What cannot match is an error with a reason.
    let wrong = tier1.with(&[("metricQuery", "sum(rate(otelcol_receiver_acepted_spans[1m]))")]);
    let refused = client.call("GetMetrics", &wrong)?;
    let expected = "did you mean \"otelcol_receiver_accepted_spans\"";
    let explains = refused["error"].as_str().is_some_and(|error| error.contains(expected));
    check(refused["code"] == "FAILED_PRECONDITION" && explains, || format!("a wrong name is answered with {refused}"))?;
    drop(running);
    Ok(())
}

/// Compares, within a share, and notes both numbers.
fn close(what: &str, ours: f64, expected: f64, share: f64, table: &mut Vec<String>) -> Outcome {
    table.push(format!("{what}: {ours:.1}, expected {expected:.1}"));
    let off = (ours - expected).abs();
    check(off <= share * expected, || format!("{what}: {ours}, expected {expected} within {} %", share * 100.0))
}

fn scaler(push: u16, keda: u16) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{push}'}}}}}}}}\n\
         processors: {{memory_limiter: {{check_interval: 1s, limit_mib: 512}}}}\n\
         exporters: {{keda_scaler: {{endpoint: '127.0.0.1:{keda}', add_on_window: 30s}}}}\n\
         service:\n\
         \x20 telemetry: {{metrics: {{level: none}}}}\n\
         \x20 pipelines: {{metrics: {{receivers: [otlp], processors: [memory_limiter], exporters: [keda_scaler]}}}}\n"
    )
}

fn telemetry(tier: &str, number: usize, push: u16, page: u16) -> String {
    format!(
        "  telemetry:\n\
         \x20   resource: {{attributes: [{{name: host.name, value: {tier}-{number}}}, {{name: service.name, value: {tier}}}]}}\n\
         \x20   metrics:\n\
         \x20     readers:\n\
         \x20     - pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {page}}}}}}}\n\
         \x20     - periodic: {{interval: 2000, exporter: {{otlp: {{protocol: grpc, endpoint: 'http://127.0.0.1:{push}'}}}}}}\n"
    )
}

/// Its receiver has a name of its own: the article's query names a receiver and no tier, and would count spans twice.
fn sampler(otlp: u16, telemetry: &str) -> String {
    format!(
        "receivers: {{otlp/gateways: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{otlp}'}}}}}}}}\n\
         processors:\n\
         \x20 tail_sampling:\n\
         \x20   decision_wait: 1h\n\
         \x20   num_traces: 1000000\n\
         \x20   policies: [{{name: all, type: always_sample}}]\n\
         exporters: {{debug: }}\n\
         service:\n{telemetry}\
         \x20 pipelines: {{traces: {{receivers: [otlp/gateways], processors: [tail_sampling], exporters: [debug]}}}}\n"
    )
}

fn gateway(otlp: u16, backends: &[String], telemetry: &str) -> String {
    let backends: Vec<_> = backends.iter().map(|backend| format!("'{backend}'")).collect();
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{otlp}'}}}}}}}}\n\
         exporters:\n\
         \x20 loadbalancing:\n\
         \x20   protocol: {{otlp: {{tls: {{insecure: true}}}}}}\n\
         \x20   resolver: {{static: {{hostnames: [{}]}}}}\n\
         service:\n{telemetry}\
         \x20 pipelines: {{traces: {{receivers: [otlp], exporters: [loadbalancing]}}}}\n",
        backends.join(", ")
    )
}

/// A trigger of a ScaledObject.
#[derive(Clone)]
struct Trigger {
    name: String,
    metadata: BTreeMap<String, String>,
}

impl Trigger {
    fn with(&self, changed: &[(&str, &str)]) -> Self {
        let mut out = self.clone();
        out.metadata.extend(changed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        out
    }
}

/// The first triggers of the article's ScaledObjects, as written.
fn scaled_objects() -> Outcome<BTreeMap<String, Trigger>> {
    use serde::Deserialize as _;
    let text = std::fs::read_to_string(super::tests().join("data/keda-scaledobjects.yaml"))?;
    let mut all = BTreeMap::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let object = Value::deserialize(document).map_err(|error| Failure(error.to_string()))?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let metadata = object["spec"]["triggers"][0]["metadata"].as_object().into_iter().flatten();
        let metadata = metadata.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        all.insert(name.clone(), Trigger { name, metadata });
    }
    Ok(all)
}

/// KEDA's client; killed when dropped.
struct Client {
    child: Child,
    input: ChildStdin,
    answers: Receiver<Value>,
    streamed: Vec<Value>,
}

impl Client {
    fn start(parts: &Parts, port: u16) -> Outcome<Self> {
        let mut child = Command::new(&parts.python)
            .arg(super::tests().join("real/keda.py"))
            .arg(&parts.keda_proto)
            .arg(format!("127.0.0.1:{port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err(Failure::new("the client has no pipes")) };
        let (lines, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let answer = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if lines.send(answer).is_err() {
                    return;
                }
            }
        });
        let mut client = Self { child, input, answers, streamed: Vec::new() };
        let ready = client.next(60)?;
        check(ready == json!({"ready": true}), || format!("KEDA's client began with {ready}"))?;
        Ok(client)
    }

    fn next(&mut self, seconds: u64) -> Outcome<Value> {
        self.answers.recv_timeout(Duration::from_secs(seconds)).map_err(|error| match error {
            RecvTimeoutError::Timeout => Failure(format!("KEDA's client: no answer within {seconds} s")),
            RecvTimeoutError::Disconnected => Failure::new("KEDA's client has ended"),
        })
    }

    fn write(&mut self, method: &str, trigger: &Trigger) -> Outcome {
        let call = json!({
            "method": method,
            "name": trigger.name,
            "namespace": "observability",
            "metadata": trigger.metadata,
            "metric": "asked",
        });
        Ok(writeln!(self.input, "{call}").and_then(|()| self.input.flush())?)
    }

    fn call(&mut self, method: &str, trigger: &Trigger) -> Outcome<Value> {
        self.write(method, trigger)?;
        loop {
            let answer = self.next(30)?;
            if answer.get("stream").is_none() {
                return Ok(answer);
            }
            self.streamed.push(answer);
        }
    }

    /// What GetMetrics gives.
    fn value(&mut self, trigger: &Trigger) -> Outcome<f64> {
        let answer = self.call("GetMetrics", trigger)?;
        let metric = &answer["metricValues"][0];
        check(metric["metricName"] == "asked", || format!("GetMetrics: {answer}"))?;
        // proto3 leaves zeros out of its JSON.
        Ok(metric["metricValueFloat"].as_f64().unwrap_or_default())
    }

    fn open_stream(&mut self, trigger: &Trigger) -> Outcome {
        self.write("StreamIsActive", trigger)
    }

    /// The next message of the stream.
    fn streamed(&mut self, seconds: u64) -> Outcome<Value> {
        if self.streamed.is_empty() {
            return self.next(seconds);
        }
        Ok(self.streamed.remove(0))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Spans sent so far, by time.
type Sent = Arc<Mutex<Vec<(Instant, u64)>>>;

/// Two senders at constant rates: the first gateway gets twice as much as the second.
struct Load {
    sent: Sent,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<Result<u64, String>>,
    begin: Instant,
}

struct Total {
    traces: u64,
}

impl Load {
    fn start(ports: [u16; 2]) -> Outcome<Self> {
        let (sent, stop) = (Sent::default(), Arc::<std::sync::atomic::AtomicBool>::default());
        let thread = {
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|error| error.to_string())?.block_on(send(ports, &sent, &stop))
            })
        };
        Ok(Self { sent, stop, thread, begin: Instant::now() })
    }

    fn lasted(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Spans a second within the last `range`.
    fn rate(&self, range: Duration) -> f64 {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let from = Instant::now() - range;
        let spans: u64 = sent.iter().filter(|(at, _)| *at > from).map(|(_, spans)| spans).sum();
        spans as f64 / range.as_secs_f64()
    }

    fn stop(self) -> Outcome<Total> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let traces = self.thread.join().map_err(|_| Failure::new("the load has panicked"))?.map_err(Failure)?;
        Ok(Total { traces })
    }
}

async fn send(ports: [u16; 2], sent: &Sent, stop: &std::sync::atomic::AtomicBool) -> Result<u64, String> {
    let connect = |port: u16| TraceServiceClient::connect(format!("http://127.0.0.1:{port}"));
    let failed = |error: &dyn std::fmt::Display| format!("the load: {error}");
    let mut first = connect(ports[0]).await.map_err(|error| failed(&error))?;
    let mut second = connect(ports[1]).await.map_err(|error| failed(&error))?;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut trace = 0u64;
    let mut request = || {
        let spans = (0..TRACES).flat_map(|_| {
            trace += 1;
            // Spread over the ring: ids that only count up would hash well too, but real ones are random.
            let id = (u128::from(trace).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes();
            (1..=SPANS).map(move |number| client::span(id, number, "GET /cart", 20, false))
        });
        (client::request("shop", spans.collect()), trace)
    };
    let mut traces = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        ticks.tick().await;
        for client in [&mut first, &mut second] {
            let (request, _) = request();
            client.export(request).await.map_err(|error| failed(&error))?;
            let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push((Instant::now(), TRACES * u64::from(SPANS)));
        }
        let (request, total) = request();
        first.export(request).await.map_err(|error| failed(&error))?;
        traces = total;
        sent.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), TRACES * u64::from(SPANS)));
    }
    Ok(traces)
}
