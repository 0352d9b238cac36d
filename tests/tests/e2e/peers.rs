//! Samplers without gateways: each request of a trace goes to another one, and they agree all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::probabilistic::kept_at_5_percent;
use e2e::{ApiServer, Backend, Collector, client, port, scrape, wait};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

const MEMBERS: usize = 3;
const TRACES: u32 = 300;
/// Requests of a trace, each with one span.
const ROUNDS: u8 = 4;

/// Three samplers that know each other, before one backend.
struct Fleet {
    backend: Backend,
    grpc: Vec<u16>,
    own: Vec<u16>,
    page: Vec<u16>,
    samplers: Vec<Option<Collector>>,
}

impl Fleet {
    /// Members that a list in their configuration names.
    fn start(decision_wait: &str, more: &str) -> Self {
        let free = |_| format!("127.0.0.1:{}", port::free().expect("a free port"));
        let names: Vec<String> = (0..MEMBERS).map(free).collect();
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let resolver = format!("static: {{ hostnames: [{}] }}", quoted.join(", "));
        Self::start_as(&names, &resolver, &[], decision_wait, more)
    }

    /// Members that listen for each other under the names that the resolver finds.
    fn start_as(
        names: &[String],
        resolver: &str,
        environment: &[(&str, &str)],
        decision_wait: &str,
        more: &str,
    ) -> Self {
        let backend = Backend::start().expect("a backend");
        let ports = || -> Vec<u16> { (0..MEMBERS).map(|_| port::free().expect("a free port")).collect() };
        let (grpc, own, page) = (ports(), ports(), ports());
        let config = |n: usize| {
            format!(
                r#"
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:{grpc}" }}
processors:
  tail_sampling:
    decision_wait: {decision_wait}
    num_traces: 100000
    peers:
      endpoint: "{name}"
      name: "{name}"
      resolver: {{ {resolver} }}
      debug_endpoint: "127.0.0.1:{page}"
      {more}
    policies:
      - {{ name: keep-errors, type: status_code, status_code: {{ status_codes: [ERROR] }} }}
      - {{ name: keep-slow-traces, type: latency, latency: {{ threshold_ms: 1000 }} }}
      - {{ name: sample-normal, type: probabilistic, probabilistic: {{ sampling_percentage: 5 }} }}
exporters:
  otlp_grpc:
    endpoint: {backend}
    tls: {{ insecure: true }}
service:
  pipelines:
    traces:
      receivers: [otlp]
      processors: [tail_sampling]
      exporters: [otlp_grpc]
  telemetry:
    metrics:
      readers:
        - pull: {{ exporter: {{ prometheus: {{ host: 127.0.0.1, port: {own} }} }} }}
"#,
                grpc = grpc[n],
                name = names[n],
                page = page[n],
                own = own[n],
                backend = backend.address,
            )
        };
        let start = |n| Collector::start_with(&config(n), environment).expect("it starts");
        let samplers = (0..MEMBERS).map(|n| Some(start(n))).collect();
        let fleet = Self { backend, grpc, own, page, samplers };
        wait::until("all know each other", 30, || {
            let knows = |n: usize| fleet.metric(n, "members") == Some((MEMBERS - 1) as f64);
            let owns = |n: usize| fleet.metric(n, "owners") == Some(MEMBERS as f64);
            (0..MEMBERS).all(|n| knows(n) && owns(n)).then_some(())
        })
        .expect("members");
        fleet
    }

    fn metric(&self, n: usize, name: &str) -> Option<f64> {
        let samples = scrape::scrape(&format!("http://127.0.0.1:{}/metrics", self.own[n])).ok()?;
        Some(scrape::sum(&samples, &format!("ottlcol_processor_tail_sampling_peers_{name}"), &[]))
    }

    /// Of those that still run.
    fn total(&self, name: &str) -> f64 {
        (0..MEMBERS).filter_map(|n| self.metric(n, name)).sum()
    }

    /// Sends the parts of all traces, one request after another, each to an instance of its own choice.
    fn send(&self) {
        for round in 0..ROUNDS {
            let mut members: Vec<Vec<Span>> = vec![Vec::new(); MEMBERS];
            for number in 0..TRACES {
                let id = id(number);
                let mut span = client::span(id, round + 1, "GET /cart", 20, is_error(number) && round == 2);
                if is_slow(number) && round == 3 {
                    // Slow only as a whole: the first spans, elsewhere, began long before.
                    span.start_time_unix_nano += 1_500_000_000;
                    span.end_time_unix_nano += 1_500_000_000;
                }
                members[(usize::from(id[usize::from(round)]) + usize::from(round)) % MEMBERS].push(span);
            }
            for (n, spans) in members.into_iter().enumerate() {
                client::send_grpc(self.grpc[n], client::request("shop", spans)).expect("accepted");
            }
        }
    }

    /// Waits for the traces that one instance would keep; they are whole, and nothing else has come.
    fn expect_kept(&self) {
        let hex = |id: [u8; 16]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let is_kept = |number: &u32| is_error(*number) || is_slow(*number) || kept_at_5_percent(id(*number));
        let expected: BTreeSet<String> = (0..TRACES).filter(is_kept).map(|number| hex(id(number))).collect();
        let arrived = wait::until("the kept traces arrive whole", 60, || {
            let arrived = self.backend.arrived();
            let whole = arrived.traces.values().filter(|spans| spans.len() == usize::from(ROUNDS)).count();
            (whole >= expected.len()).then_some(arrived)
        })
        .expect("kept traces");
        assert_eq!(arrived.traces.keys().cloned().collect::<BTreeSet<_>>(), expected);
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for spans in arrived.traces.values() {
            *sizes.entry(spans.len()).or_default() += 1;
        }
        assert_eq!(sizes, BTreeMap::from([(usize::from(ROUNDS), expected.len())]));
    }

    fn stop(&mut self, n: usize) {
        let (status, log) = self.samplers[n].take().expect("it runs").terminate().expect("it stops");
        assert!(status.success(), "{log}");
    }
}

fn id(number: u32) -> [u8; 16] {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&(u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id
}

fn is_error(number: u32) -> bool {
    number % 30 == 1
}

fn is_slow(number: u32) -> bool {
    number % 30 == 2
}

#[test]
fn the_kept_set_is_that_of_one_instance_and_every_kept_trace_is_whole() {
    let mut fleet = Fleet::start("4s", "grace: 20s");
    fleet.send();
    fleet.expect_kept();
    wait::until("every trace is decided", 30, || (fleet.total("traces_judged") >= f64::from(TRACES)).then_some(()))
        .expect("decisions");
    assert_eq!(fleet.total("traces_judged"), f64::from(TRACES));
    let faults = ["traces_alone", "traces_incomplete", "conflicts"].map(|name| fleet.total(name));
    assert_eq!(faults, [0.0; 3]);
    assert!(fleet.total("traces_merged") > f64::from(TRACES) / 2.0);
    let url = format!("http://127.0.0.1:{}/json", fleet.page[0]);
    let page = ureq::get(&url).call().and_then(|mut answer| answer.body_mut().read_to_string()).expect("the page");
    let page: Value = serde_json::from_str(&page).expect("JSON");
    let shares = page["owners"].as_array().expect("owners").iter().filter_map(|owner| owner["share"].as_f64());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{page}");
    let conditions: Vec<_> = page["members"].as_array().expect("members").iter().map(|m| &m["condition"]).collect();
    assert_eq!(conditions, ["answers"; MEMBERS - 1]);
    for n in 0..MEMBERS {
        fleet.stop(n);
    }
}

#[test]
fn an_instance_that_may_not_wait_hands_its_spans_over() {
    let mut fleet = Fleet::start("15s", "grace: 20s\n      shutdown_timeout: 100ms");
    fleet.send();
    // Long before anything is decided.
    fleet.stop(0);
    let taken = fleet.total("traces_taken_over");
    assert!(taken > 0.0);
    fleet.expect_kept();
    assert_eq!(fleet.total("conflicts"), 0.0);
}

/// What the EndpointSlices of a headless Service say.
fn slice(ready: &[&str]) -> Value {
    let endpoint = |address: &&str| json!({"addresses": [address], "conditions": {"ready": true}});
    json!({
        "metadata": {
            "name": "samplers-x1", "namespace": "obs", "labels": {"kubernetes.io/service-name": "samplers"}
        },
        "addressType": "IPv4", "endpoints": ready.iter().map(endpoint).collect::<Vec<_>>()
    })
}

#[test]
fn members_that_the_kubernetes_api_names_agree_and_follow_its_endpoints() {
    const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
    let server = ApiServer::start().expect("an API server");
    let addresses = ["127.0.7.1", "127.0.7.2", "127.0.7.3"];
    server.put(SLICES, slice(&addresses));
    let kubeconfig = server.kubeconfig().expect("a file");
    let environment = [("KUBECONFIG", &*kubeconfig.to_string_lossy())];
    let port = port::free().expect("a port");
    let names = addresses.map(|address| format!("{address}:{port}"));
    let resolver = format!("k8s: {{ service: samplers.obs, ports: [{port}] }}");
    // The backend, and what is shown, are at 127.0.0.1 as elsewhere.
    let mut fleet = Fleet::start_as(&names, &resolver, &environment, "4s", "grace: 20s");
    fleet.send();
    fleet.expect_kept();
    assert_eq!(["traces_alone", "traces_incomplete", "conflicts"].map(|name| fleet.total(name)), [0.0; 3]);

    // Who is not ready any more owns nothing, as all see at once.
    server.put(SLICES, slice(&addresses[..2]));
    wait::until("two own all", 30, || {
        (0..MEMBERS).all(|n| fleet.metric(n, "owners") == Some((MEMBERS - 1) as f64)).then_some(())
    })
    .expect("owners");
    fleet.stop(2);
}
