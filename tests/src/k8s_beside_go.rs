//! `k8s_attributes` beside the Go processor: one API server, one stream of pods that come, change and go, an API that goes
//! away and comes back without its history; the same resources are sent through both and must come out the same.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::{Value, json};

use crate::{ApiServer, Backend, Collector, Failure, Outcome, client, collector, port, wait};

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Pods at the beginning.
    pub pods: u32,
    /// Changes of pods that both saw.
    pub changes: u32,
    /// Resources sent through both.
    pub resources: u32,
    /// Attributes that both added to them.
    pub attributes: usize,
}

/// Rounds of changes; the API is away in every third.
const ROUNDS: u32 = 6;
const PODS: &str = "/api/v1/pods";

/// Both have everything that upstream can extract, from all kinds of objects.
const SECTION: &str = "
      auth_type: kubeConfig
      wait_for_metadata: true
      wait_for_metadata_timeout: 60s
      pod_delete_grace_period: 1h
      extract:
        metadata: [k8s.namespace.name, k8s.pod.name, k8s.pod.uid, k8s.pod.hostname, k8s.pod.start_time, k8s.pod.ip,
          k8s.deployment.name, k8s.deployment.uid, k8s.replicaset.name, k8s.replicaset.uid, k8s.daemonset.name,
          k8s.daemonset.uid, k8s.statefulset.name, k8s.statefulset.uid, k8s.job.name, k8s.job.uid, k8s.cronjob.name,
          k8s.node.name, k8s.node.uid, k8s.container.name, container.id, container.image.name,
          container.image.repo_digests, service.namespace, service.name, service.version, service.instance.id,
          k8s.cluster.uid]
        otel_annotations: true
        labels:
          - {tag_name: version, key: version, from: pod}
          - {tag_name: 'label.$$1', key_regex: 'team/(.*)', from: pod}
          - {tag_name: namespace.stage, key: stage, from: namespace}
          - {tag_name: node.zone, key: zone, from: node}
        annotations:
          - {tag_name: note, key: note, from: pod}
      pod_association:
        - sources: [{from: resource_attribute, name: k8s.pod.ip}]
        - sources: [{from: resource_attribute, name: k8s.pod.uid}]
        - sources: [{from: resource_attribute, name: k8s.namespace.name}, {from: resource_attribute, name: k8s.pod.name}]
        - sources: [{from: resource_attribute, name: container.id}]
        - sources: [{from: connection}]
";

/// Runs both with `pods` pods; `peer` is the Go collector's binary.
///
/// # Errors
/// If a resource comes out different, or one of them does not see a change.
pub fn run(peer: &Path, pods: u32, mut progress: impl FnMut(&str)) -> Outcome<Report> {
    let mut server = ApiServer::start()?;
    let mut fleet = Fleet { generation: vec![0; pods as usize], gone: vec![false; pods as usize] };
    surroundings(&server);
    for number in 0..pods {
        server.put(PODS, fleet.pod(number));
    }
    server.put(PODS, marker(0));
    let kubeconfig = server.kubeconfig()?;
    let environment = [("KUBECONFIG", &*kubeconfig.to_string_lossy())];
    let ours = Side::start("ottlcol", collector::binary()?, &environment)?;
    let theirs = Side::start("the Go collector", peer, &environment)?;
    progress(&format!("both know {pods} pods"));
    let mut report = Report { pods, ..Report::default() };
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    compare(&ours, &theirs, &fleet, &mut numbers, &mut report)?;
    for round in 1..=ROUNDS {
        let changed: Vec<u32> = (0..pods / 20).map(|_| numbers.below(pods)).collect();
        let place = server.address;
        if round % 3 == 0 {
            let mut stored = server.stop();
            for number in &changed {
                // Pods cannot be deleted while it is away; both have to find out by the new list.
                fleet.change(*number);
                stored.put(PODS, fleet.pod(*number));
            }
            stored.put(PODS, marker(round));
            stored.forget_history();
            server = stored.start_on(place)?;
        } else {
            for number in &changed {
                if numbers.below(4) == 0 && !fleet.gone[*number as usize] {
                    fleet.gone[*number as usize] = true;
                    server.delete(PODS, "shop", &fleet.name(*number));
                } else {
                    fleet.change(*number);
                    server.put(PODS, fleet.pod(*number));
                }
            }
            server.put(PODS, marker(round));
        }
        for side in [&ours, &theirs] {
            side.wait_for_marker(round).map_err(|Failure(why)| {
                let requests = server.requests();
                Failure(format!("{why}; the API was asked for {:#?}", &requests[requests.len().saturating_sub(30)..]))
            })?;
        }
        report.changes += changed.len() as u32 + 1;
        compare(&ours, &theirs, &fleet, &mut numbers, &mut report)?;
        progress(&format!("round {round} of {ROUNDS}: {} changes, equal", changed.len()));
    }
    Ok(report)
}

/// Sends what names 200 pods, and some that nobody knows, through both.
fn compare(ours: &Side, theirs: &Side, fleet: &Fleet, numbers: &mut Numbers, report: &mut Report) -> Outcome {
    let mut asked = Vec::new();
    for turn in 0..200 {
        let number = numbers.below(fleet.generation.len() as u32);
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        asked.push(match turn % 8 {
            0 | 1 => vec![text("k8s.pod.ip", &fleet.address(number))],
            2 => vec![text("k8s.pod.uid", &fleet.uid(number))],
            3 => vec![text("k8s.namespace.name", "shop"), text("k8s.pod.name", &fleet.name(number))],
            4 => vec![text("container.id", &fleet.container(number))],
            // What is there stays, what is empty is filled.
            5 => vec![text("k8s.pod.ip", &fleet.address(number)), text("version", "mine"), text("k8s.node.name", "")],
            6 => vec![
                text("k8s.pod.ip", &fleet.address(number)),
                text("k8s.container.name", if turn % 16 == 6 { "app" } else { "sidecar" }),
            ],
            _ => vec![text("k8s.pod.ip", "192.0.2.1"), text("k8s.node.name", "node-1")],
        });
    }
    // Go's processor says that it is in step a moment before it has looked at every pod.
    let mut difference = String::new();
    let equal = wait::until("both answer the same", 30, || {
        let (left, right) = (ours.through(&asked).ok()?, theirs.through(&asked).ok()?);
        let different = asked.iter().zip(left.iter().zip(&right)).find(|(_, (left, right))| left != right);
        if let Some((sent, (left, right))) = different {
            difference = format!("{sent:?}: here {:?}, Go {:?}", only(left, right), only(right, left));
            return None;
        }
        Some(left)
    });
    let equal = equal.map_err(|Failure(why)| Failure(format!("{why}: {difference}")))?;
    for (sent, came) in asked.iter().zip(&equal) {
        report.resources += 1;
        report.attributes += came.len().saturating_sub(sent.len());
    }
    Ok(())
}

/// What one has and the other has not, or otherwise.
fn only(one: &Texts, other: &Texts) -> Vec<String> {
    let different = one.iter().filter(|(key, value)| other.get(*key) != Some(*value));
    different.map(|(key, value)| format!("{key}={value}")).collect()
}

type Texts = BTreeMap<String, String>;

/// A collector and its backend.
struct Side {
    name: &'static str,
    _collector: Collector,
    backend: Backend,
    grpc: u16,
    sent: std::cell::Cell<u64>,
}

impl Side {
    fn start(name: &'static str, program: &Path, environment: &[(&str, &str)]) -> Outcome<Self> {
        let backend = Backend::start()?;
        let grpc = port::free()?;
        let collector = Collector::start_program(program, &config(grpc, backend.address), environment)?;
        Ok(Self { name, _collector: collector, backend, grpc, sent: std::cell::Cell::new(0) })
    }

    /// What resources with these attributes come out with.
    fn through(&self, asked: &[Vec<(String, String)>]) -> Outcome<Vec<Texts>> {
        let mut request = ExportTraceServiceRequest::default();
        let mut ids = Vec::new();
        for attributes in asked {
            self.sent.set(self.sent.get() + 1);
            let mut id = [7; 16];
            id[..8].copy_from_slice(&self.sent.get().to_be_bytes());
            ids.push(id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            let mut one = client::request("sent", vec![client::span(id, 1, "GET", 1, false)]);
            for resource in one.resource_spans.iter_mut().filter_map(|spans| spans.resource.as_mut()) {
                resource.attributes.clear();
                resource.attributes.extend(attributes.iter().map(|(key, value)| client::attribute(key, value)));
            }
            request.resource_spans.append(&mut one.resource_spans);
        }
        client::send_grpc(self.grpc, request).map_err(|status| Failure(format!("refused: {status}")))?;
        wait::until("what was sent arrives", 30, || self.backend.resources(&ids))
    }

    fn wait_for_marker(&self, round: u32) -> Outcome {
        let asked = [vec![("k8s.pod.ip".to_owned(), "10.99.0.1".to_owned())]];
        wait::until(&format!("{} sees the last change", self.name), 60, || {
            let found = self.through(&asked).ok()?;
            (found.first()?.get("version") == Some(&format!("round-{round}"))).then_some(())
        })
    }
}

fn config(grpc: u16, backend: SocketAddr) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}', max_recv_msg_size_mib: 64}}}}}}}}
processors:
    k8s_attributes:{SECTION}
exporters: {{otlp_grpc: {{endpoint: '{backend}', tls: {{insecure: true}}}}}}
service:
  pipelines: {{traces: {{receivers: [otlp], processors: [k8s_attributes], exporters: [otlp_grpc]}}}}
  telemetry: {{metrics: {{level: none}}}}
"
    )
}

/// Pods as they are now.
struct Fleet {
    generation: Vec<u32>,
    gone: Vec<bool>,
}

impl Fleet {
    /// A new generation: the pod changes, or a deleted one is replaced by another at its address.
    fn change(&mut self, number: u32) {
        self.generation[number as usize] += if self.gone[number as usize] { 1000 } else { 1 };
        self.gone[number as usize] = false;
    }

    fn born(&self, number: u32) -> u32 {
        self.generation[number as usize] / 1000
    }

    fn name(&self, number: u32) -> String {
        match number % 5 {
            0 => format!("cart-7d9c-{number}x{}", self.born(number)),
            1 => format!("store-{number}"),
            2 => format!("agent-{number}"),
            3 => format!("report-28000000-{number}x{}", self.born(number)),
            _ => format!("alone-{number}"),
        }
    }

    fn uid(&self, number: u32) -> String {
        format!("uid-{number}-{}", self.born(number))
    }

    fn container(&self, number: u32) -> String {
        format!("c-{number}-{}", self.generation[number as usize])
    }

    fn address(&self, number: u32) -> String {
        format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
    }

    fn pod(&self, number: u32) -> Value {
        let generation = self.generation[number as usize];
        let owner = |kind: &str, name: &str| json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": format!("{name}-uid"), "controller": true}]);
        let owners = match number % 5 {
            0 => owner("ReplicaSet", "cart-7d9c"),
            1 => owner("StatefulSet", "store"),
            2 => owner("DaemonSet", "agent"),
            3 => owner("Job", "report-28000000"),
            _ => json!([]),
        };
        let mut labels = json!({"version": format!("v{generation}"), "team/owner": format!("team-{}", number % 7)});
        if number.is_multiple_of(5) {
            labels["pod-template-hash"] = json!("7d9c");
        }
        if number.is_multiple_of(11) {
            labels["app.kubernetes.io/name"] = json!("named");
        }
        if number.is_multiple_of(13) {
            labels["app.kubernetes.io/instance"] = json!(format!("instance-{}", number % 3));
        }
        if number.is_multiple_of(17) {
            labels["app.kubernetes.io/version"] = json!(format!("{generation}.0"));
        }
        let mut annotations = json!({"note": format!("n{generation}")});
        if number.is_multiple_of(19) {
            annotations["resource.opentelemetry.io/service.name"] = json!("annotated");
        }
        if number % 97 == 1 {
            annotations["opentelemetry.io/k8s-processor/ignore"] = json!("true");
        }
        let images =
            ["cart:1.2", "registry.test:5000/shop/cart", "cart@sha256:0a1b", "registry.test/cart:3@sha256:0a1b"];
        let image = images[number as usize % 4];
        let mut containers = vec![json!({"name": "app", "image": image})];
        let mut statuses = vec![
            json!({"name": "app", "containerID": format!("containerd://{}", self.container(number)),
            "restartCount": generation % 3, "image": image, "imageID": "registry.test/cart@sha256:0a1b", "ready": true}),
        ];
        if number.is_multiple_of(3) {
            containers.push(json!({"name": "sidecar", "image": "proxy:9"}));
            statuses.push(json!({"name": "sidecar", "containerID": format!("containerd://s-{number}-{generation}"),
                "restartCount": 0, "image": "proxy:9", "imageID": "", "ready": true}));
        }
        // Only seconds that exist: pods that were born later started later.
        let second = self.born(number).min(50);
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": self.name(number), "namespace": "shop", "uid": self.uid(number),
                "creationTimestamp": format!("2026-01-02T03:04:{second:02}Z"),
                "labels": labels, "annotations": annotations, "ownerReferences": owners
            },
            "spec": {"nodeName": format!("node-{}", number % 50), "hostname": format!("host-{number}"),
                "hostNetwork": number % 101 == 3, "containers": containers},
            "status": {"podIP": self.address(number), "startTime": format!("2026-01-02T03:05:{second:02}Z"),
                "phase": "Running", "containerStatuses": statuses}
        })
    }
}

/// The pod that is changed last in a round.
fn marker(round: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "marker", "namespace": "shop", "uid": "marker-uid",
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"version": format!("round-{round}")}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "marker:1"}]},
        "status": {"podIP": "10.99.0.1", "startTime": "2026-01-02T03:04:05Z", "phase": "Running"}
    })
}

/// Namespaces, nodes and owners.
fn surroundings(server: &ApiServer) {
    let object = |kind: &str, version: &str, name: &str, namespace: Option<&str>, labels: Value| {
        let mut metadata = json!({"name": name, "uid": format!("{name}-uid"), "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z"});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": version, "kind": kind, "metadata": metadata})
    };
    for (name, stage) in [("shop", "production"), ("kube-system", "system")] {
        server.put("/api/v1/namespaces", object("Namespace", "v1", name, None, json!({"stage": stage})));
    }
    for number in 0..50 {
        let labels = json!({"zone": format!("z{}", number % 3)});
        server.put("/api/v1/nodes", object("Node", "v1", &format!("node-{number}"), None, labels));
    }
    let mut set = object("ReplicaSet", "apps/v1", "cart-7d9c", Some("shop"), json!({}));
    set["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "uid": "cart-uid", "controller": true}
    ]);
    server.put("/apis/apps/v1/replicasets", set);
    let job = object("Job", "batch/v1", "report-28000000", Some("shop"), json!({}));
    server.put("/apis/batch/v1/jobs", job);
}

/// A sequence that looks random and is the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}
