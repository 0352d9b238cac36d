//! Hostile and unlucky input: what the client is told, what is counted, and that the server goes on.

use e2e::{Backend, Collector, client, port, scrape, wait};
use tonic::Code;

fn plain(grpc: u16, http: u16, own: u16, backend: std::net::SocketAddr, more: &str) -> String {
    format!(
        r#"
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:{grpc}" }}
      http: {{ endpoint: "127.0.0.1:{http}" }}
{more}
exporters:
  otlp:
    endpoint: {backend}
    tls: {{ insecure: true }}
    retry_on_failure: {{ initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: "${{env:MAX_ELAPSED:-20s}}" }}
service:
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp], processors: [{processors}] }}
  telemetry:
    metrics:
      readers:
        - pull: {{ exporter: {{ prometheus: {{ host: 127.0.0.1, port: {own} }} }} }}
"#,
        processors = if more.is_empty() { "" } else { "memory_limiter" }
    )
}

#[test]
fn malformed_requests_are_refused_whole_and_the_server_goes_on() {
    let backend = Backend::start().expect("a backend");
    let [grpc, http, own] = [(); 3].map(|()| port::free().expect("a free port"));
    let running = Collector::start(&plain(grpc, http, own, backend.address, "")).expect("the collector starts");
    let url = format!("http://127.0.0.1:{http}/v1/traces");

    let whole = prost::Message::encode_to_vec(&client::request("shop", vec![client::span([1; 16], 1, "a", 1, false)]));
    for cut in [whole.len() - 1, whole.len() / 2, 3] {
        let (status, text) = client::post(&url, "application/x-protobuf", &whole[..cut]).expect("an answer");
        assert_eq!(status, 400, "{text}");
    }
    let (status, text) = client::post(&url, "application/json", b"{\"resourceSpans\": [").expect("an answer");
    assert_eq!(status, 400);
    assert!(text.contains("\"code\":3"), "{text}");
    let short_id = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abcd"}]}]}]}"#;
    assert_eq!(client::post(&url, "application/json", short_id).expect("an answer").0, 400);
    assert_eq!(client::post(&url, "text/plain", b"x").expect("an answer").0, 415);

    let mut bad_id = client::span([1; 16], 1, "a", 1, false);
    bad_id.trace_id = vec![1, 2, 3];
    let refused = client::send_grpc(grpc, client::request("shop", vec![bad_id])).expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");

    client::send_grpc(grpc, client::request("shop", vec![client::span([2; 16], 1, "a", 1, false)])).expect("accepted");
    wait::until("the good span arrives", 10, || (backend.arrived().span_count() == 1).then_some(())).expect("arrives");
    let samples = scrape::scrape(&format!("http://127.0.0.1:{own}/metrics")).expect("own metrics");
    assert_eq!(scrape::sum(&samples, "otelcol_receiver_accepted_spans", &[]), 1.0);
    drop(running);
}

#[test]
fn over_the_memory_limit_clients_are_told_to_come_back() {
    let backend = Backend::start().expect("a backend");
    let [grpc, http, own] = [(); 3].map(|()| port::free().expect("a free port"));
    let limiter = "processors:\n  memory_limiter: { check_interval: 10ms, limit_mib: 2, spike_limit_mib: 1 }";
    let running = Collector::start(&plain(grpc, http, own, backend.address, limiter)).expect("the collector starts");
    let one = || client::request("shop", vec![client::span([3; 16], 1, "a", 1, false)]);
    let refused = wait::until("gRPC is refused", 10, || client::send_grpc(grpc, one()).err()).expect("refused");
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "data refused due to high memory usage");
    let body = prost::Message::encode_to_vec(&one());
    let url = format!("http://127.0.0.1:{http}/v1/traces");
    assert_eq!(client::post(&url, "application/x-protobuf", &body).expect("an answer").0, 503);
    let samples = scrape::scrape(&format!("http://127.0.0.1:{own}/metrics")).expect("own metrics");
    assert!(scrape::sum(&samples, "otelcol_receiver_refused_spans", &[]) >= 2.0);
    assert!(scrape::sum(&samples, "otelcol_processor_memory_limiter_refused_spans", &[]) >= 2.0);
    drop(running);
}

#[test]
fn a_backend_that_is_down_is_retried_until_it_is_back() {
    let port = port::free().expect("a free port");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let [grpc, http, own] = [(); 3].map(|()| port::free().expect("a free port"));
    let running = Collector::start(&plain(grpc, http, own, address, "")).expect("the collector starts");
    let one = client::request("shop", vec![client::span([4; 16], 1, "a", 1, false)]);
    client::send_grpc(grpc, one).expect("accepted: the queue holds it");
    let backend = Backend::start_on(address).expect("the backend comes up");
    wait::until("the span arrives", 20, || (backend.arrived().span_count() == 1).then_some(())).expect("arrives");
    drop(running);
}

#[test]
fn what_is_dropped_in_the_end_is_counted_and_logged() {
    let port = port::free().expect("a free port");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let [grpc, http, own] = [(); 3].map(|()| port::free().expect("a free port"));
    let config = plain(grpc, http, own, address, "");
    let running = Collector::start_with(&config, &[("MAX_ELAPSED", "300ms")]).expect("the collector starts");
    let two = vec![client::span([5; 16], 1, "a", 1, false), client::span([5; 16], 2, "b", 1, false)];
    client::send_grpc(grpc, client::request("shop", two)).expect("accepted: the queue holds it");
    let page = format!("http://127.0.0.1:{own}/metrics");
    wait::until("the loss is counted", 20, || {
        let samples = scrape::scrape(&page).ok()?;
        (scrape::sum(&samples, "otelcol_exporter_send_failed_spans", &[]) == 2.0).then_some(())
    })
    .expect("counted");
    let (status, log) = running.terminate().expect("it stops");
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("Exporting failed. Dropping data."), "{log}");
}
