//! The main job: RED metrics of all traffic, errors and slow traces kept, probes dropped, 5% of the rest.

use crate::probabilistic::kept_at_5_percent;
use e2e::{Backend, Collector, client, port, scrape, wait};

/// Example 3 of the article with test ports and a short wait.
fn example_3(grpc: u16, http: u16, red: u16, own: u16, backend: std::net::SocketAddr) -> String {
    format!(
        r#"
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:{grpc}" }}
      http: {{ endpoint: "127.0.0.1:{http}" }}
processors:
  memory_limiter: {{ check_interval: 1s, limit_mib: 2500, spike_limit_mib: 500 }}
  tail_sampling:
    decision_wait: 1s
    num_traces: 100000
    expected_new_traces_per_sec: 10000
    policies:
      - {{ name: keep-errors, type: status_code, status_code: {{ status_codes: [ERROR] }} }}
      - {{ name: keep-slow-traces, type: latency, latency: {{ threshold_ms: 1000 }} }}
      - {{ name: sample-normal, type: probabilistic, probabilistic: {{ sampling_percentage: 5 }} }}
  filter:
    error_mode: ignore
    traces:
      span:
        - |
          attributes["http.target"] == "/health" or
          attributes["http.target"] == "/metrics"
  batch: {{}}
connectors:
  forward: {{}}
  spanmetrics: {{ metrics_flush_interval: 200ms }}
exporters:
  otlp/tempo:
    endpoint: {backend}
    tls: {{ insecure: true }}
  prometheus: {{ endpoint: "127.0.0.1:{red}" }}
service:
  pipelines:
    traces/input:
      receivers: [otlp]
      processors: [memory_limiter]
      exporters: [spanmetrics, forward]
    traces/sampling:
      receivers: [forward]
      processors: [tail_sampling, filter, batch]
      exporters: [otlp/tempo]
    metrics:
      receivers: [spanmetrics]
      exporters: [prometheus]
  telemetry:
    metrics:
      readers:
        - pull: {{ exporter: {{ prometheus: {{ host: 127.0.0.1, port: {own} }} }} }}
"#
    )
}

#[test]
fn red_counts_are_exact_and_the_right_traces_arrive() {
    let backend = Backend::start().expect("a backend");
    let [grpc, http, red, own] = [(); 4].map(|()| port::free().expect("a free port"));
    let running = Collector::start(&example_3(grpc, http, red, own, backend.address)).expect("the collector starts");

    let mut expected = std::collections::BTreeSet::new();
    let hex = |id: [u8; 16]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut spans = Vec::new();
    for number in 0..400_u32 {
        let mut id = [7; 16];
        // Spread over all bytes: the hash hardly mixes the last ones.
        id[..8].copy_from_slice(&(u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let (error, slow, probe) = (number % 100 == 1, number % 100 == 2, number % 10 == 5);
        let mut root = client::span(id, 1, "GET /cart", if slow { 1500 } else { 20 }, false);
        if probe {
            root.attributes.push(client::attribute("http.target", "/health"));
        } else {
            spans.push(client::span(id, 2, "SELECT cart", 5, error));
            if error || slow || kept_at_5_percent(id) {
                expected.insert(hex(id));
            }
        }
        spans.push(root);
    }
    let n_spans = spans.len();
    let (by_grpc, by_http) = spans.split_at(n_spans / 2);
    client::send_grpc(grpc, client::request("shop", by_grpc.to_vec())).expect("accepted over gRPC");
    let body = serde_json::to_vec(&json_request(by_http)).expect("JSON");
    let (status, text) =
        client::post(&format!("http://127.0.0.1:{http}/v1/traces"), "application/json", &body).expect("an answer");
    assert_eq!((status, text.as_str()), (200, "{\"partialSuccess\":{}}"));

    let page = format!("http://127.0.0.1:{red}/metrics");
    let counted = wait::until("RED counts reach what was sent", 10, || {
        let samples = scrape::scrape(&page).ok()?;
        let calls = scrape::sum(&samples, "traces_span_metrics_calls_total", &[("service_name", "shop")]);
        (calls >= n_spans as f64).then_some(samples)
    })
    .expect("RED counts");
    assert_eq!(scrape::sum(&counted, "traces_span_metrics_calls_total", &[]), n_spans as f64);
    let errors = [("status_code", "STATUS_CODE_ERROR")];
    assert_eq!(scrape::sum(&counted, "traces_span_metrics_calls_total", &errors), 4.0);
    assert_eq!(scrape::sum(&counted, "traces_span_metrics_duration_milliseconds_count", &[]), n_spans as f64);

    let arrived = wait::until("the kept traces arrive", 15, || {
        let arrived = backend.arrived();
        (arrived.traces.len() >= expected.len()).then_some(arrived)
    })
    .expect("kept traces");
    assert_eq!(arrived.traces.keys().cloned().collect::<std::collections::BTreeSet<_>>(), expected);
    assert!(arrived.traces.values().all(|spans| spans.len() == 2), "every kept trace is complete");

    let samples = scrape::scrape(&format!("http://127.0.0.1:{own}/metrics")).expect("own metrics");
    assert_eq!(scrape::sum(&samples, "otelcol_receiver_accepted_spans", &[]), n_spans as f64);
    let grpc_only = [("transport", "grpc")];
    assert_eq!(scrape::sum(&samples, "otelcol_receiver_accepted_spans", &grpc_only), by_grpc.len() as f64);
    let sampled = [("sampled", "true")];
    let decided = scrape::sum(&samples, "otelcol_processor_tail_sampling_global_count_traces_sampled", &sampled);
    assert!(decided >= expected.len() as f64);

    let (status, _) = running.terminate().expect("it stops");
    assert_eq!(status.code(), Some(0));
}

/// A stop decides what is waiting and hands it on: nothing that was accepted is lost.
#[test]
fn a_stop_decides_and_delivers_what_is_waiting() {
    let backend = Backend::start().expect("a backend");
    let [grpc, http, red, own] = [(); 4].map(|()| port::free().expect("a free port"));
    let config = example_3(grpc, http, red, own, backend.address).replace("decision_wait: 1s", "decision_wait: 600s");
    let running = Collector::start(&config).expect("the collector starts");
    let error = client::span([9; 16], 1, "pay", 10, true);
    client::send_grpc(grpc, client::request("shop", vec![error])).expect("accepted");
    assert_eq!(backend.arrived().span_count(), 0);
    let (status, log) = running.terminate().expect("it stops");
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(backend.arrived().span_count(), 1, "{log}");
}

fn json_request(spans: &[opentelemetry_proto::tonic::trace::v1::Span]) -> serde_json::Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let spans: Vec<_> = spans
        .iter()
        .map(|span| {
            let attributes: Vec<_> = span
                .attributes
                .iter()
                .map(|attribute| serde_json::json!({ "key": attribute.key, "value": { "stringValue": "/health" } }))
                .collect();
            serde_json::json!({
                "traceId": hex(&span.trace_id), "spanId": hex(&span.span_id), "name": span.name, "kind": span.kind,
                "startTimeUnixNano": span.start_time_unix_nano.to_string(),
                "endTimeUnixNano": span.end_time_unix_nano.to_string(),
                "attributes": attributes,
                "status": span.status.as_ref().map(|status| serde_json::json!({ "code": status.code })),
            })
        })
        .collect();
    let service = serde_json::json!({ "key": "service.name", "value": { "stringValue": "shop" } });
    serde_json::json!({ "resourceSpans": [{
        "resource": { "attributes": [service] }, "scopeSpans": [{ "scope": {}, "spans": spans }],
    }] })
}
