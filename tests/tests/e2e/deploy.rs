//! The folder `deploy/`: configurations load, numbers are those of `ottlcol size`, and what KEDA and the dashboard ask for
//! exists. Schemas are checked by `tests/deploy.py`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::{ApiServer, Backend, Collector, client, collector, port, scrape, wait};
use serde_json::Value;

fn deploy() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy"))
}

fn read(file: &str) -> String {
    let path = deploy().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn validate(configs: &[&Path]) {
    let mut arguments = vec!["validate".to_owned()];
    for config in configs {
        arguments.extend(["--config".to_owned(), config.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // What the manifests take from the pod.
    let environment = [("POD_NAME", "pod-0"), ("POD_NAMESPACE", "observability"), ("POD_IP", "10.0.0.1")];
    let (code, text) = collector::run_with(&arguments, &environment).expect("it runs");
    assert!(code == 0 && text.is_empty(), "{configs:?}: {code}: {text}");
}

#[test]
fn every_configuration_is_valid() {
    let tiers = ["gateway", "sampler"].map(|tier| deploy().join(format!("k8s/base/config/{tier}.yaml")));
    for tier in &tiers {
        validate(&[tier]);
        for way in ["otel-add-on", "keda-scaler"] {
            validate(&[tier, &deploy().join(format!("keda/{way}/push.yaml"))]);
        }
    }
    validate(&[&tiers[1], &deploy().join("k8s/components/peers/peers.yaml")]);
    validate(&[&deploy().join("k8s/overlays/kind/sampler.yaml")]);
}

#[test]
fn the_numbers_are_those_of_the_size_command() {
    let (code, text) = collector::run(&["size", "--spans-per-second", "20000", "--json"]).expect("it runs");
    assert_eq!(code, 0, "{text}");
    let sizes: Value = serde_json::from_str(&text).expect("JSON");
    let keda = read("keda/prometheus/scaledobjects.yaml");
    for tier in ["gateway", "sampler"] {
        let (size, manifest) = (&sizes[tier], read(&format!("k8s/base/{tier}.yaml")));
        let config = read(&format!("k8s/base/config/{tier}.yaml"));
        let mut expected = vec![
            (&manifest, format!("limits: {{memory: {}Mi}}", size["memory_limit_mib"])),
            (&manifest, format!("cpu: {}m, memory: {}Mi", size["cpu_request_millicores"], size["memory_limit_mib"])),
            (&manifest, format!("replicas: {}\n", size["replicas"])),
            (&manifest, format!("terminationGracePeriodSeconds: {}\n", size["termination_grace_period_seconds"])),
            (&manifest, format!("preStop: {{sleep: {{seconds: {}}}}}", size["pre_stop_seconds"])),
            (&config, format!("limit_percentage: {}\n", size["memory_limiter"]["limit_percentage"])),
            (&config, format!("spike_limit_percentage: {}\n", size["memory_limiter"]["spike_limit_percentage"])),
            (&keda, format!("threshold: \"{}\"", size["keda_target"])),
            (&keda, format!("maxReplicaCount: {}\n", size["max_replicas"])),
        ];
        if tier == "sampler" {
            for key in ["num_traces", "max_buffer_bytes", "expected_new_traces_per_sec"] {
                expected.push((&config, format!("{key}: {}\n", size[key])));
            }
            expected.push((&config, format!("max_size: {}}}\n", size["storage_max_size_bytes"])));
            expected.push((&manifest, format!("emptyDir: {{sizeLimit: {}Mi}}\n", size["storage_volume_mib"])));
        } else {
            expected.push((&config, format!("queue_size: {}\n", size["sending_queue_bytes"])));
        }
        for (text, wanted) in expected {
            assert!(text.contains(&wanted), "{tier}: no {wanted:?} in\n{text}");
        }
    }
}

/// Names of metrics in a query or a dashboard.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_word(c));
    let is_metric = |word: &&str| ["otelcol_", "ottlcol_", "traces_span_metrics_"].iter().any(|p| word.starts_with(p));
    words.filter(is_metric).map(str::to_owned).collect()
}

/// Both tiers run as deployed, with other ports; then every name that is asked for is on one of their pages.
#[test]
fn what_keda_and_the_dashboard_ask_for_exists() {
    let server = ApiServer::start().expect("an API server");
    let kubeconfig = server.kubeconfig().expect("a file");
    let environment = [("KUBECONFIG", &*kubeconfig.to_string_lossy()), ("POD_NAME", "pod-0"), ("POD_NAMESPACE", "x")];
    let backend = Backend::start().expect("a backend");
    let [otlp, red, tier2, tier2_health, grpc, http, tier1, tier1_health] =
        [(); 8].map(|()| port::free().expect("a free port"));
    let storage: PathBuf = collector::fresh_directory("waiting").expect("a directory");
    let local = |text: String, ports: &[(u16, u16)]| {
        ports.iter().fold(text, |text, (from, to)| text.replace(&format!("0.0.0.0:{from}"), &format!("127.0.0.1:{to}")))
    };
    let sampler = local(read("k8s/base/config/sampler.yaml"), &[(4317, otlp), (8889, red), (13133, tier2_health)])
        .replace("${env:BACKEND_ENDPOINT:-jaeger-collector.observability.svc:4317}", &backend.address.to_string())
        .replace("host: 0.0.0.0, port: 8888", &format!("host: 127.0.0.1, port: {tier2}"))
        .replace("/var/lib/ottlcol", &storage.canonicalize().expect("a path").to_string_lossy())
        .replace("decision_wait: 30s", "decision_wait: 1s")
        .replace("span_metrics:\n", "span_metrics:\n    metrics_flush_interval: 200ms\n");
    let gateway = local(read("k8s/base/config/gateway.yaml"), &[(4317, grpc), (4318, http), (13133, tier1_health)])
        .replace("host: 0.0.0.0, port: 8888", &format!("host: 127.0.0.1, port: {tier1}"))
        .replace("k8s_attributes: {}", "k8s_attributes: {auth_type: kubeConfig}")
        .replace("hostname: otel-tail-sampling-headless.observability.svc.cluster.local", "hostname: 127.0.0.1")
        .replace("port: 4317\n", &format!("port: {otlp}\n"));
    let sampler = Collector::start_with(&sampler, &environment).expect("the sampler starts");
    let gateway = Collector::start_with(&gateway, &environment).expect("the gateway starts");

    let mut spans = vec![client::span([5; 16], 1, "GET", 20, true)];
    // Served 3 s before it ended: its RED series is there, and the trace is kept.
    spans.push(client::span([5; 16], 2, "POST", 3000, false));
    client::send_grpc(grpc, client::request("shop", spans)).expect("it is taken");
    wait::until("the trace is kept", 60, || (backend.arrived().span_count() == 2).then_some(())).expect("a trace");

    let asked: BTreeSet<String> = ["keda/prometheus/scaledobjects.yaml", "grafana/two-tiers.json"]
        .iter()
        .flat_map(|file| metric_names(&read(file)))
        .collect();
    assert!(asked.len() > 12, "{asked:?}");
    // These appear with the first event of their kind.
    let rare = [
        "otelcol_exporter_send_failed_spans_total",
        "otelcol_processor_tail_sampling_sampling_late_span_age_seconds_count",
        "ottlcol_processor_tail_sampling_early_decisions_total",
    ];
    let missing = || {
        let pages = [tier1, tier2, red].map(|port| format!("http://127.0.0.1:{port}/metrics"));
        let samples: Vec<_> = pages.iter().filter_map(|url| scrape::scrape(url).ok()).flatten().collect();
        let missing: Vec<_> =
            asked.iter().filter(|name| !samples.iter().any(|sample| sample.name == **name)).cloned().collect();
        missing.into_iter().filter(|name| !rare.contains(&name.as_str())).collect::<Vec<_>>()
    };
    let found = wait::until("all names are there", 20, || missing().is_empty().then_some(()));
    assert!(found.is_ok(), "nobody has {:?}", missing());

    // The article's query names a receiver and no tier: it must count each span once.
    let pages = [tier1, tier2].map(|port| scrape::scrape(&format!("http://127.0.0.1:{port}/metrics")).expect("a page"));
    let name = "otelcol_receiver_accepted_spans_total";
    let counted: f64 = pages.iter().map(|page| scrape::sum(page, name, &[("receiver", "otlp")])).sum();
    assert!((counted - 2.0).abs() < f64::EPSILON, "2 spans were sent, {counted} are counted");

    // Probes as the manifests have them.
    for (port, path) in [(tier1_health, "/readyz"), (tier1_health, "/livez"), (tier2_health, "/readyz")] {
        let (status, text) =
            client::post(&format!("http://127.0.0.1:{port}{path}"), "text/plain", b"").expect("an answer");
        assert_eq!(status, 200, "{text}");
    }
    assert!(gateway.terminate().expect("it ends").0.success());
    assert!(sampler.terminate().expect("it ends").0.success());
}
