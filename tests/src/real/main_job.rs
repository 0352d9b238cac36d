//! Example 3 as a user runs it: the Python SDK sends over gRPC and HTTP, Prometheus scrapes, a backend checks.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use e2e::{Backend, Collector, Failure, Outcome, check, wait};

use super::Parts;
use super::prometheus::Prometheus;

const TRACES: usize = 1000;

pub(crate) fn run(parts: &Parts) -> Outcome {
    let backend = Backend::start()?;
    let source = std::fs::read_to_string(super::tests().join("data/seeds/example-3-span-metrics.yaml"))?;
    let config = source
        .replace("  k8sattributes: {}\n", "")
        .replace(", k8sattributes]", "]")
        .replace("decision_wait: 10s", "decision_wait: 2s")
        .replace("spanmetrics: {}", "spanmetrics: {metrics_flush_interval: 1s}");
    let endpoint = backend.address.to_string();
    let running = Collector::start_with(&config, &[("TEMPO_ENDPOINT", &endpoint)])?;
    let prometheus = Prometheus::start(parts, &[("red", vec!["127.0.0.1:8889".to_owned()])])?;

    let by_grpc = send(parts, "grpc", "127.0.0.1:4317")?;
    let by_http = send(parts, "http", "http://127.0.0.1:4318/v1/traces")?;

    for (service, sent) in [("shop-grpc", &by_grpc), ("shop-http", &by_http)] {
        let query = format!("sum(traces_span_metrics_calls_total{{service_name=\"{service}\"}})");
        let counted = wait::until("Prometheus has counted every span", 30, || {
            prometheus.query(&query).filter(|value| *value >= sent.spans as f64)
        })?;
        check(counted == sent.spans as f64, || format!("{service}: sent {}, Prometheus has {counted}", sent.spans))?;
        let errors = format!(
            "sum(traces_span_metrics_calls_total{{service_name=\"{service}\",status_code=\"STATUS_CODE_ERROR\"}})"
        );
        let counted = prometheus.query(&errors).unwrap_or_default();
        check(counted == sent.error.len() as f64, || {
            format!("{service}: {counted} errors, sent {}", sent.error.len())
        })?;
    }

    let due: BTreeSet<_> =
        [&by_grpc, &by_http].iter().flat_map(|sent| sent.error.iter().chain(&sent.slow)).cloned().collect();
    let probes: BTreeSet<_> = [&by_grpc, &by_http].iter().flat_map(|sent| sent.probe.iter()).cloned().collect();
    let normal: BTreeSet<_> = [&by_grpc, &by_http].iter().flat_map(|sent| sent.normal.iter()).cloned().collect();
    let expected: BTreeSet<_> =
        due.iter().cloned().chain(normal.into_iter().filter(|id| kept_at_5_percent(id))).collect();
    wait::until("the kept traces arrive", 30, || {
        expected.is_subset(&backend.arrived().traces.into_keys().collect()).then_some(())
    })?;
    let arrived = wait::until_still("the backend", 30, 3000, || backend.arrived().traces.len())
        .map(|_| backend.arrived().traces)?;
    let ids: BTreeSet<_> = arrived.keys().cloned().collect();
    check(ids.is_disjoint(&probes), || "spans of /health arrived".to_owned())?;
    check(ids == expected, || {
        format!("{} traces arrived, {} expected: {:?}", ids.len(), expected.len(), ids.symmetric_difference(&expected))
    })?;
    check(arrived.values().all(|spans| spans.len() == 2), || "a kept trace is not complete".to_owned())?;
    let (status, log) = running.terminate()?;
    check(status.code() == Some(0), || format!("ended with {status}: {log}"))
}

struct Sent {
    error: Vec<String>,
    slow: Vec<String>,
    probe: Vec<String>,
    normal: Vec<String>,
    spans: u64,
}

fn send(parts: &Parts, protocol: &str, endpoint: &str) -> Outcome<Sent> {
    let script = super::tests().join("real/client.py");
    let output = Command::new(&parts.python)
        .arg(script)
        .args([protocol, endpoint, &TRACES.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let problem = || format!("the SDK over {protocol}: {text}{}", String::from_utf8_lossy(&output.stderr));
    check(output.status.success(), problem)?;
    let sent: serde_json::Value = serde_json::from_str(&text).map_err(|_| Failure(problem()))?;
    check(sent["flushed"] == true, problem)?;
    let ids = |class: &str| -> Vec<String> {
        sent[class].as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    Ok(Sent {
        error: ids("error"),
        slow: ids("slow"),
        probe: ids("probe"),
        normal: ids("normal"),
        spans: sent["spans"].as_u64().unwrap_or_default(),
    })
}

/// The tail sampler's hash, written down a second time: FNV-1a 64 over the default salt and the id.
fn kept_at_5_percent(id: &str) -> bool {
    let bytes = (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap_or_default());
    let hash = b"default-hash-seed"
        .iter()
        .copied()
        .chain(bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash <= 0x0ccc_cccc_cccc_ccff
}
