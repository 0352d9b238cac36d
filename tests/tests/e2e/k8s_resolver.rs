//! The `k8s` resolver of `load_balancing` against an API server: endpoints that become ready and leave, an API that goes
//! away and comes back without its history.

use std::net::SocketAddr;

use e2e::{ApiServer, Backend, Collector, client, collector, port, scrape, wait};
use serde_json::{Value, json};

const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";

fn slice(endpoints: &[(&str, bool)]) -> Value {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|(address, ready)| json!({"addresses": [address], "conditions": {"ready": ready}}))
        .collect();
    let labels = json!({"kubernetes.io/service-name": "samplers"});
    json!({
        "metadata": {"name": "samplers-x1", "namespace": "obs", "labels": labels},
        "addressType": "IPv4", "endpoints": endpoints
    })
}

fn config(grpc: u16, metrics: u16, resolver: &str) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}}}}}}}
exporters: {{load_balancing: {{resolver: {{k8s: {resolver}}}, protocol: {{otlp: {{tls: {{insecure: true}}}}}}}}}}
service:
  pipelines: {{traces: {{receivers: [otlp], exporters: [load_balancing]}}}}
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {metrics}}}}}}}}}]}}}}
"
    )
}

/// A hundred spans of a hundred traces.
fn send(grpc: u16, number: u8) {
    let spans = (1..=100).map(|n: u8| client::span([n; 16], number, "GET", 1, false)).collect();
    client::send_grpc(grpc, client::request("shop", spans)).expect("they are taken");
}

#[test]
fn the_ring_follows_the_endpoints_and_outlives_the_api() {
    let server = ApiServer::start().expect("an API server");
    let (grpc, metrics) = (port::free().expect("a port"), port::free().expect("a port"));
    let port = port::free().expect("a port");
    let address = |n: u8| format!("127.0.6.{n}");
    let backends: Vec<Backend> =
        (1..=3).map(|n| Backend::start_on(SocketAddr::from(([127, 0, 6, n], port))).expect("a backend")).collect();
    let arrived = || backends.iter().map(|backend| backend.arrived().span_count()).collect::<Vec<_>>();
    let total = |n: usize| {
        wait::until("the spans arrive", 30, || (arrived().iter().sum::<usize>() == n).then_some(())).expect("all");
    };
    let (one, two, three) = (address(1), address(2), address(3));

    server.put(SLICES, slice(&[(&one, true), (&two, true), (&three, false)]));
    let mut other = slice(&[("127.0.6.9", true)]);
    other["metadata"]["name"] = json!("other");
    other["metadata"]["labels"]["kubernetes.io/service-name"] = json!("another");
    server.put(SLICES, other);
    let kubeconfig = server.kubeconfig().expect("a file");
    let environment = [("KUBECONFIG", &*kubeconfig.to_string_lossy())];
    let resolver = format!("{{service: samplers.obs.svc.cluster.local, ports: [{port}], timeout: 90s}}");
    let gateway = Collector::start_with(&config(grpc, metrics, &resolver), &environment).expect("it starts");
    server
        .wait_for_request(&[
            "/apis/discovery.k8s.io/v1/namespaces/obs/endpointslices?",
            "watch=true",
            "labelSelector=kubernetes.io%2Fservice-name%3Dsamplers",
            "timeoutSeconds=90",
        ])
        .expect("a watch");
    let members = |expected: f64| {
        wait::until("the ring changes", 30, || {
            let page = scrape::scrape(&format!("http://127.0.0.1:{metrics}/metrics")).ok()?;
            let labels = [("resolver", "k8s")];
            (scrape::sum(&page, "otelcol_loadbalancer_num_backends", &labels) == expected).then_some(())
        })
        .expect("the ring");
    };

    members(2.0);
    send(grpc, 1);
    total(100);
    assert!(arrived()[0] > 0 && arrived()[1] > 0 && arrived()[2] == 0, "{:?}", arrived());

    server.put(SLICES, slice(&[(&one, true), (&two, true), (&three, true)]));
    members(3.0);
    send(grpc, 2);
    total(200);
    assert!(arrived()[2] > 0, "{:?}", arrived());

    // Nobody is ready for a moment: the ring stays.
    server.put(SLICES, slice(&[(&one, false), (&two, false), (&three, false)]));
    let place = server.address;
    let mut stored = server.stop();
    send(grpc, 3);
    total(300);
    stored.put(SLICES, slice(&[(&one, true)]));
    stored.forget_history();
    let _server = stored.start_on(place).expect("the same port");
    members(1.0);
    let before = arrived();
    send(grpc, 4);
    total(400);
    assert_eq!(arrived()[0], before[0] + 100);
    assert!(gateway.terminate().expect("it ends").0.success());
}

#[test]
fn without_a_cluster_the_start_says_what_to_do() {
    let file = collector::config_file(&config(0, 0, "{service: samplers.obs}")).expect("a file");
    let environment = [("KUBECONFIG", "/nowhere/config"), ("KUBERNETES_SERVICE_HOST", "")];
    let (code, text) = collector::run_with(&["--config", &file.to_string_lossy()], &environment).expect("it runs");
    assert_eq!(code, 1);
    assert!(text.contains("the k8s resolver: error connecting to k8s with auth_type=kubeConfig"), "{text}");
    assert!(text.contains("set KUBECONFIG"), "{text}");
}
