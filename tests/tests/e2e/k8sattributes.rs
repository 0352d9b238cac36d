//! `k8s_attributes` against an API server: 5,000 pods, pods that come and change, an API that goes away and comes back.

use std::collections::BTreeMap;

use e2e::{ApiServer, Backend, Collector, client, collector, port, wait};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/pods";

fn pod(number: u32, address: &str, version: &str) -> Value {
    json!({
        "metadata": {
            "uid": format!("uid-{number}"), "name": format!("cart-7d9c-{number}"), "namespace": "shop",
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"pod-template-hash": "7d9c", "version": version},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-7d9c", "uid": "rs", "controller": true}
            ]
        },
        "spec": {"nodeName": format!("node-{}", number % 50), "containers": [{"name": "app", "image": "cart:1.2"}]},
        "status": {
            "podIP": address, "startTime": "2026-01-02T03:04:06Z",
            "containerStatuses": [
                {"name": "app", "containerID": format!("containerd://c-{number}"), "restartCount": 0, "imageID": ""}
            ]
        }
    })
}

fn address(number: u32) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

fn config(grpc: u16, backend: std::net::SocketAddr, section: &str) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}}}}}}}
processors: {{k8sattributes: {section}}}
exporters: {{otlp: {{endpoint: '{backend}', tls: {{insecure: true}}}}}}
service:
  pipelines: {{traces: {{receivers: [otlp], processors: [k8sattributes], exporters: [otlp]}}}}
  telemetry: {{metrics: {{level: none}}}}
"
    )
}

struct Running {
    collector: Collector,
    backend: Backend,
    grpc: u16,
    sent: std::cell::Cell<u64>,
}

impl Running {
    fn start(server: &ApiServer, section: &str) -> Self {
        let backend = Backend::start().expect("a backend");
        let grpc = port::free().expect("a free port");
        let kubeconfig = server.kubeconfig().expect("a file");
        let environment = [("KUBECONFIG", &*kubeconfig.to_string_lossy())];
        let config = config(grpc, backend.address, section);
        let collector = Collector::start_with(&config, &environment).expect("the collector starts");
        Self { collector, backend, grpc, sent: std::cell::Cell::new(0) }
    }

    /// Sends a span with these resource attributes and gives those that arrive.
    fn through(&self, attributes: &[(&str, &str)]) -> BTreeMap<String, String> {
        let number = self.sent.get() + 1;
        self.sent.set(number);
        let mut id = [9; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let mut request = client::request("shop", vec![client::span(id, 1, "GET", 1, false)]);
        if let Some(resource) = &mut request.resource_spans[0].resource {
            resource.attributes.extend(attributes.iter().map(|(key, value)| client::attribute(key, value)));
        }
        client::send_grpc(self.grpc, request).expect("it is taken");
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        wait::until("the span arrives", 30, || self.backend.arrived().resources.get(&id).cloned()).expect("a span")
    }

    fn label(&self, address: &str) -> Option<String> {
        self.through(&[("k8s.pod.ip", address)]).remove("k8s.pod.label.version")
    }
}

const SECTION: &str = "{auth_type: kubeConfig, wait_for_metadata: true, wait_for_metadata_timeout: 30s, \
                       extract: {labels: [{key: version}]}}";

#[test]
fn five_thousand_pods_that_come_change_and_outlive_their_api() {
    let server = ApiServer::start().expect("an API server");
    for number in 0..5000 {
        server.put(PODS, pod(number, &address(number), "one"));
    }
    let running = Running::start(&server, SECTION);
    let found = running.through(&[("k8s.pod.ip", &address(4321))]);
    let expected = [
        ("k8s.pod.name", "cart-7d9c-4321"),
        ("k8s.pod.uid", "uid-4321"),
        ("k8s.namespace.name", "shop"),
        ("k8s.node.name", "node-21"),
        ("k8s.deployment.name", "cart"),
        ("k8s.pod.start_time", "2026-01-02T03:04:05Z"),
        ("container.image.name", "cart"),
        ("service.name", "shop"),
        ("k8s.pod.label.version", "one"),
    ];
    for (key, value) in expected {
        assert_eq!(found.get(key).map(String::as_str), Some(value), "{key} in {found:?}");
    }
    assert_eq!(running.label("10.99.0.1"), None);

    // A pod comes, and one changes.
    server.put(PODS, pod(6000, "10.99.0.1", "new"));
    server.put(PODS, pod(7, &address(7), "two"));
    let known = |address: &str, version: &str| {
        let same = || (running.label(address).as_deref() == Some(version)).then_some(());
        wait::until(&format!("{address} has version {version}"), 30, same).expect("the change is seen");
    };
    known("10.99.0.1", "new");
    known(&address(7), "two");

    // The API goes away: what is known stays. It comes back without its history and with changes.
    let place = server.address;
    let mut stored = server.stop();
    assert_eq!(running.label(&address(7)).as_deref(), Some("two"));
    stored.put(PODS, pod(7, &address(7), "three"));
    stored.put(PODS, pod(6001, "10.99.0.2", "later"));
    stored.forget_history();
    let server = stored.start_on(place).expect("the same port");
    known(&address(7), "three");
    known("10.99.0.2", "later");
    server.put(PODS, pod(7, &address(7), "four"));
    known(&address(7), "four");
    assert!(running.collector.terminate().expect("it ends").0.success());
}

#[test]
fn the_connection_names_the_pod() {
    let server = ApiServer::start().expect("an API server");
    server.put(PODS, pod(1, "127.0.0.1", "mine"));
    let section = SECTION.replacen('{', "{pod_association: [{sources: [{from: connection}]}], ", 1);
    let running = Running::start(&server, &section);
    assert_eq!(running.through(&[]).get("k8s.pod.uid").map(String::as_str), Some("uid-1"));
}

#[test]
fn the_server_is_asked_for_what_the_filters_select() {
    let server = ApiServer::start().expect("an API server");
    server.put(PODS, pod(1, "10.0.0.1", "a"));
    server.put(PODS, pod(51, "10.0.0.51", "b"));
    server.put(PODS, pod(2, "10.0.0.2", "a"));
    server.forbid("/apis/apps/v1/replicasets");
    server.put("/api/v1/nodes", json!({"metadata": {"name": "node-1", "uid": "n1", "labels": {"zone": "z1"}}}));
    let section = "{auth_type: kubeConfig, wait_for_metadata: true, wait_for_metadata_timeout: 30s, filter: {node: node-1, \
                   namespace: shop, labels: [{key: version, value: a}]}, extract: {metadata: [k8s.pod.name, \
                   k8s.deployment.uid], labels: [{key: zone, from: node}]}}";
    let running = Running::start(&server, section);
    let found = running.through(&[("k8s.pod.ip", "10.0.0.1")]);
    assert_eq!(found.get("k8s.pod.name").map(String::as_str), Some("cart-7d9c-1"), "{found:?}");
    assert_eq!(found.get("k8s.node.label.zone").map(String::as_str), Some("z1"), "{found:?}");
    assert!(!found.contains_key("k8s.deployment.uid"), "ReplicaSets are forbidden");
    for other in ["10.0.0.51", "10.0.0.2"] {
        assert!(!running.through(&[("k8s.pod.ip", other)]).contains_key("k8s.pod.name"));
    }
    let pods = "/api/v1/namespaces/shop/pods?";
    server
        .wait_for_request(&[pods, "fieldSelector=spec.nodeName%3Dnode-1", "labelSelector=version%3Da"])
        .expect("a list");
    server.wait_for_request(&["/api/v1/nodes?", "fieldSelector=metadata.name%3Dnode-1"]).expect("a list");
    assert!(running.collector.log().contains("give the service account a role"), "{}", running.collector.log());
}

#[test]
fn outside_a_cluster_the_start_says_what_to_do() {
    let backend = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let file = collector::config_file(&config(0, backend, "{}")).expect("a file");
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return;
    }
    let (code, text) = collector::run(&["--config", &file.to_string_lossy()]).expect("it runs");
    assert_eq!(code, 1);
    assert!(text.contains("failed to start \"k8sattributes\" processor: unable to load k8s config"), "{text}");
    assert!(text.contains("set auth_type: kubeConfig, or passthrough: true"), "{text}");
}
