//! The tables of upstream's answers, over real loopback sockets.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use component::{Code, ConsumeError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Config, FACTORY, Receiver};
use crate::config::{Problems, Section};
use crate::exporters::helper::{Request, Sender};
use crate::exporters::otlp as exporter;
use crate::factory::{Lifecycle, Outputs};
use crate::net::compression::Algorithm;
use crate::testing::{Sink, context, request, series};

struct Running {
    receiver: Receiver,
    sink: Arc<Sink>,
    context: crate::factory::Context,
}

async fn run(yaml: &str) -> Running {
    let section = Section::parse("otlp", "receivers", yaml).unwrap();
    let mut problems = Problems::default();
    let config: Config = section.decode(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let (sink, context) = (Sink::new(), context("otlp"));
    let outputs = Outputs { traces: Some(Arc::clone(&sink) as _), metrics: None };
    let receiver = Receiver::new(config, &context, &outputs);
    receiver.start().await.unwrap();
    Running { receiver, sink, context }
}

const BOTH: &str = "protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}";

/// One HTTP/1.1 exchange: status line and headers, and the body.
async fn http(running: &Running, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(running.receiver.http_address().unwrap()).await.unwrap();
    let request = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    // The server may refuse, answer and close before it has read a long body.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..at]).to_lowercase(), answer[at + 4..].to_vec())
}

const JSON: &str = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json";
const PROTOBUF: &str = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf";

async fn check_http(running: &Running, head: &str, body: &[u8], status: &str, expected: &str) {
    let (answer, got) = http(running, head, body).await;
    assert!(answer.starts_with(&format!("http/1.1 {status}")), "{head}: {answer}");
    assert_eq!(String::from_utf8_lossy(&got), expected, "{head}");
}

#[tokio::test]
async fn http_answers_as_upstream() {
    let running = run(BOTH).await;
    let ok = r#"{"partialSuccess":{}}"#;
    check_http(&running, JSON, br#"{"resourceSpans":[]}"#, "200", ok).await;
    check_http(&running, JSON, br#"{"unknown":1}"#, "200", ok).await;
    check_http(&running, PROTOBUF, b"", "200", "").await;
    check_http(
        &running,
        "GET /v1/traces HTTP/1.1\r\nContent-Type: application/json",
        b"",
        "405",
        "405 method not allowed, supported: [POST]",
    )
    .await;
    check_http(
        &running,
        "POST /v1/traces HTTP/1.1\r\nContent-Type: text/plain",
        b"{}",
        "415",
        "415 unsupported media type, supported: [application/json, application/x-protobuf]",
    )
    .await;
    for unused in ["/v1/metrics", "/v1/logs", "/"] {
        let head = format!("POST {unused} HTTP/1.1\r\nContent-Type: application/json");
        check_http(&running, &head, b"{}", "404", "404 page not found\n").await;
    }
    let brotli = format!("{JSON}\r\nContent-Encoding: br");
    let refused = r#"{"code":3, "message":"unsupported Content-Encoding: br"}"#;
    check_http(&running, &brotli, b"{}", "400", refused).await;
    let gzip = format!("{JSON}\r\nContent-Encoding: gzip");
    check_http(&running, &gzip, b"this is no gzip", "400", r#"{"code":3, "message":"gzip: invalid header"}"#).await;
    let charset = "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json; charset=utf-8";
    check_http(&running, charset, b"{}", "200", ok).await;
    let (answer, _) = http(&running, JSON, b"").await;
    assert!(answer.starts_with("http/1.1 400"), "an empty body is no JSON: {answer}");
    let (answer, body) = http(&running, PROTOBUF, b"\xff\xff").await;
    assert!(answer.starts_with("http/1.1 400"), "{answer}");
    assert!(answer.contains("content-type: application/x-protobuf"), "{answer}");
    assert_eq!(body[..2], [8, 3], "a Status of code 3");
    assert!(running.sink.span_counts().is_empty());
    running.receiver.shutdown().await.unwrap();
}

#[tokio::test]
async fn http_maps_errors_of_the_pipeline() {
    let running = run(BOTH).await;
    let body = request(1).encode_to_vec();
    let cases = [
        (ConsumeError::retryable("sending queue is full"), "503", None),
        (ConsumeError::permanent("no"), "500", None),
        (ConsumeError { status: Some(Code::InvalidArgument), ..ConsumeError::permanent("x") }, "400", None),
        (
            ConsumeError {
                status: Some(Code::ResourceExhausted),
                retry_after: Some(Duration::from_millis(7900)),
                ..ConsumeError::retryable("slow down")
            },
            "429",
            Some("retry-after: 7"),
        ),
        (
            ConsumeError { retry_after: Some(Duration::from_secs(3)), ..ConsumeError::retryable("x") },
            "503",
            Some("retry-after: 3"),
        ),
    ];
    for (error, status, header) in cases {
        running.sink.refuse(error);
        let (answer, _) = http(&running, PROTOBUF, &body).await;
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
        assert_eq!(answer.contains("retry-after"), header.is_some(), "{answer}");
        assert!(header.is_none_or(|header| answer.contains(header)), "{answer}");
    }
    running.sink.refuse(ConsumeError::retryable("data refused due to high memory usage"));
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}"#;
    let expected = r#"{"code":14, "message":"data refused due to high memory usage"}"#;
    check_http(&running, JSON, json, "503", expected).await;
    running.sink.accept();
    check_http(&running, JSON, json, "200", r#"{"partialSuccess":{}}"#).await;
    assert_eq!(
        series(&running.context.registry),
        [
            "otelcol_receiver_accepted_spans{receiver=\"otlp\",transport=\"grpc\"} 0",
            "otelcol_receiver_accepted_spans{receiver=\"otlp\",transport=\"http\"} 1",
            "otelcol_receiver_failed_spans{receiver=\"otlp\",transport=\"grpc\"} 0",
            "otelcol_receiver_failed_spans{receiver=\"otlp\",transport=\"http\"} 0",
            "otelcol_receiver_refused_spans{receiver=\"otlp\",transport=\"grpc\"} 0",
            "otelcol_receiver_refused_spans{receiver=\"otlp\",transport=\"http\"} 6",
        ]
    );
}

#[tokio::test]
async fn http_decodes_every_encoding() {
    let running = run(BOTH).await;
    let sent = request(3);
    let body = sent.encode_to_vec().into();
    let encodings = [
        ("gzip", Algorithm::Gzip),
        ("zstd", Algorithm::Zstd),
        ("zlib", Algorithm::Zlib),
        ("deflate", Algorithm::Zlib),
        ("snappy", Algorithm::Snappy),
        ("snappy", Algorithm::SnappyFramed),
        ("x-snappy-framed", Algorithm::SnappyFramed),
        ("lz4", Algorithm::Lz4),
    ];
    for (name, algorithm) in encodings {
        let packed = algorithm.encode(std::slice::from_ref(&body), None).unwrap();
        let head = format!("{PROTOBUF}\r\nContent-Encoding: {name}");
        check_http(&running, &head, &packed, "200", "").await;
        let got = ExportTraceServiceRequest::decode(running.sink.batches.lock().unwrap().pop().unwrap().encode());
        assert_eq!(got.unwrap(), sent, "{name}");
    }
}

#[tokio::test]
async fn http_bounds_the_body_before_and_after_decoding() {
    let running = run("protocols: {http: {endpoint: '127.0.0.1:0', max_request_body_size: 1000}}").await;
    let expected = r#"{"code":3, "message":"http: request body too large"}"#;
    let (answer, body) = http(&running, JSON, &[b' '; 1001]).await;
    assert!(answer.starts_with("http/1.1 400") && answer.contains("connection: close"), "{answer}");
    assert_eq!(String::from_utf8_lossy(&body), expected);
    let packed = Algorithm::Gzip.encode(&[vec![b' '; 5000].into()], None).unwrap();
    let gzip = format!("{JSON}\r\nContent-Encoding: gzip");
    check_http(&running, &gzip, &packed, "400", expected).await;
}

#[tokio::test]
async fn cors_allows_what_is_configured() {
    let running = run(
        "protocols: {http: {endpoint: '127.0.0.1:0', response_headers: {X-Here: 'yes'}, cors: {allowed_origins: ['https://*.example.com'], allowed_headers: [x-token], max_age: 60}}}",
    )
    .await;
    let preflight = |origin: &str, header: &str| {
        format!(
            "OPTIONS /v1/traces HTTP/1.1\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {header}"
        )
    };
    let (answer, _) = http(&running, &preflight("https://a.example.com", "x-token"), b"").await;
    assert!(answer.starts_with("http/1.1 204"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a.example.com"), "{answer}");
    assert!(answer.contains("access-control-max-age: 60"), "{answer}");
    let (answer, _) = http(&running, &preflight("https://evil.com", "x-token"), b"").await;
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");
    let (answer, _) = http(&running, &preflight("https://a.example.com", "x-other"), b"").await;
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");
    let (answer, _) = http(&running, &format!("{JSON}\r\nOrigin: https://a.example.com"), b"{}").await;
    assert!(answer.contains("access-control-allow-credentials: true") && answer.contains("x-here: yes"), "{answer}");
}

fn client(running: &Running, compression: &str) -> exporter::Client {
    let address = running.receiver.grpc_address().unwrap();
    let yaml = format!("{{endpoint: '{address}', tls: {{insecure: true}}, compression: {compression}}}");
    let mut problems = Problems::default();
    let config = Section::parse("otlp", "exporters", &yaml).unwrap().decode(&mut problems).unwrap();
    exporter::Client::new(&config, &running.context.clock).unwrap()
}

#[tokio::test]
async fn grpc_round_trip_in_every_compression() {
    let running = run(BOTH).await;
    let sent = request(100);
    for compression in ["none", "gzip", "snappy", "zstd"] {
        let batch = pdata::Traces::index(sent.encode_to_vec().into()).unwrap();
        client(&running, compression).send(&Request::from_traces(&batch)).await.unwrap();
        let got = running.sink.batches.lock().unwrap().pop().unwrap();
        assert_eq!(ExportTraceServiceRequest::decode(got.encode()).unwrap(), sent, "{compression}");
    }
}

#[tokio::test]
async fn metrics_go_through_both_protocols() {
    let (sink, context) = (Sink::new(), context("otlp"));
    let section = Section::parse("otlp", "receivers", BOTH).unwrap();
    let outputs = Outputs { traces: None, metrics: Some(Arc::clone(&sink) as _) };
    let receiver = Receiver::new(section.decode(&mut Problems::default()).unwrap(), &context, &outputs);
    receiver.start().await.unwrap();
    let running = Running { receiver, sink, context };
    let batch = crate::testing::metrics(3);
    client(&running, "gzip").send(&Request::from_metrics(&batch)).await.unwrap();
    let head = "POST /v1/metrics HTTP/1.1\r\nContent-Type: application/x-protobuf";
    check_http(&running, head, &batch.encode(), "200", "").await;
    let peer = Some(std::net::IpAddr::from([127, 0, 0, 1]));
    let expected = pdata::Metrics { peer, ..batch };
    assert_eq!(*running.sink.metrics.lock().unwrap(), [expected.clone(), expected]);
    check_http(&running, PROTOBUF, b"", "404", "404 page not found\n").await;
    let json = "POST /v1/metrics HTTP/1.1\r\nContent-Type: application/json";
    let body = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#;
    check_http(&running, json, body, "200", r#"{"partialSuccess":{}}"#).await;
    assert_eq!(running.sink.metrics.lock().unwrap()[2].point_count(), 1);
    let all = series(&running.context.registry);
    assert!(
        all.iter()
            .any(|line| line == "otelcol_receiver_accepted_metric_points{receiver=\"otlp\",transport=\"grpc\"} 3"),
        "{all:?}"
    );
}

#[tokio::test]
async fn grpc_passes_statuses_through() {
    let running = run(BOTH).await;
    let client = client(&running, "none");
    let batch = crate::testing::traces(1);
    let throttled = ConsumeError {
        status: Some(Code::ResourceExhausted),
        retry_after: Some(Duration::from_secs(2)),
        ..ConsumeError::retryable("slow down")
    };
    let cases = [
        (ConsumeError::retryable("sending queue is full"), Code::Unavailable, false),
        (ConsumeError::permanent("no"), Code::Internal, true),
        (ConsumeError { retry_after: None, ..throttled.clone() }, Code::ResourceExhausted, true),
        (throttled, Code::ResourceExhausted, false),
    ];
    for (error, code, permanent) in cases {
        running.sink.refuse(error.clone());
        let got = client.send(&Request::from_traces(&batch)).await.unwrap_err();
        assert_eq!((got.status, got.permanent, got.retry_after), (Some(code), permanent, error.retry_after));
        assert!(got.message.contains(&*error.message), "{got}");
    }
}

#[tokio::test]
async fn grpc_bounds_messages() {
    let running = run("protocols: {grpc: {endpoint: '127.0.0.1:0', max_recv_msg_size_mib: 1}}").await;
    let batch = crate::testing::traces(30_000);
    for (compression, text) in [("none", "larger than max ("), ("zstd", "after decompression larger than max 1048576")]
    {
        let error = client(&running, compression).send(&Request::from_traces(&batch)).await.unwrap_err();
        assert_eq!(error.status, Some(Code::ResourceExhausted), "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

#[tokio::test]
async fn grpc_refuses_what_is_not_otlp() {
    let running = run(BOTH).await;
    let client = client(&running, "none");
    let chunks = vec![bytes::Bytes::from_static(b"\xff\xff")];
    let broken = Request { signal: component::Signal::Traces, chunks, items: 1 };
    let error = client.send(&broken).await.unwrap_err();
    assert_eq!(error.status, Some(Code::InvalidArgument), "{error}");
    let metrics = Request { signal: component::Signal::Metrics, ..broken };
    let error = client.send(&metrics).await.unwrap_err();
    assert_eq!(error.status, Some(Code::Unimplemented), "{error}");
    assert!(error.message.contains("unknown service opentelemetry.proto.collector.metrics.v1.MetricsService"));
}

#[tokio::test]
async fn shutdown_waits_for_requests_under_way() {
    let running = run(BOTH).await;
    let mut stream = TcpStream::connect(running.receiver.http_address().unwrap()).await.unwrap();
    let body = request(1).encode_to_vec();
    let head = format!("{PROTOBUF}\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..5]).await.unwrap();
    // The answer to a second connection's request proves that the first one's head was accepted before it.
    http(&running, JSON, b"{}").await;
    let finish = async {
        stream.write_all(&body[5..]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (answer, stopped) = tokio::join!(finish, running.receiver.shutdown());
    stopped.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(running.sink.span_counts(), [1]);
}

#[tokio::test]
async fn listens_on_unix_sockets_and_removes_them() {
    let path = std::env::temp_dir().join(format!("ottlcol-test-{}.sock", std::process::id()));
    let running = run(&format!("protocols: {{grpc: {{transport: unix, endpoint: '{}'}}}}", path.display())).await;
    let yaml = format!("{{endpoint: 'unix://{}', tls: {{insecure: true}}}}", path.display());
    let config = Section::parse("otlp", "exporters", &yaml).unwrap().decode(&mut Problems::default()).unwrap();
    let client = exporter::Client::new(&config, &running.context.clock).unwrap();
    client.send(&Request::from_traces(&crate::testing::traces(2))).await.unwrap();
    assert_eq!(running.sink.span_counts(), [2]);
    drop(client);
    running.receiver.shutdown().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_port_in_use_is_an_error_of_start() {
    let running = run(BOTH).await;
    let address = running.receiver.grpc_address().unwrap();
    let section = Section::parse("otlp", "receivers", &format!("protocols: {{grpc: {{endpoint: '{address}'}}}}"));
    let config: Config = section.unwrap().decode(&mut Problems::default()).unwrap();
    let second = Receiver::new(config, &running.context, &Outputs::default());
    let error = second.start().await.unwrap_err();
    assert_eq!(error.0, format!("listen tcp {address}: bind: address already in use"));
}

#[test]
fn reports_mistakes_with_their_paths() {
    let problems = |yaml: &str| {
        let mut problems = Problems::default();
        let section = Section::parse("otlp", "receivers", yaml).unwrap();
        let plan = (FACTORY.parse)(&section, &mut problems);
        assert_eq!(plan.is_some(), problems.is_empty());
        let mut out = Vec::new();
        for problem in problems.list() {
            writeln!(out, "{}: {}", problem.path, problem.message).unwrap();
        }
        String::from_utf8(out).unwrap()
    };
    assert_eq!(problems("protocols: {grpc: , http: {}}"), "");
    insta::assert_snapshot!(
        [
            "{}",
            "protocols: {thrift: {}}",
            "protocols: {grpc: {endpoint: localhost, max_recv_msg_size_mib: -1, auth: {authenticator: x}}}",
            "protocols: {grpc: {include_metadata: true, tls: {cert_file: a}, keepalive: {server_parameters: {time: -1s}}}}",
            "protocols: {http: {compression_algorithms: [br], write_timeout: 1s, middlewares: []}}",
            "protocols: {http: {keepalive: {idle_timeout: 1s}, idle_timeout: 1s}}",
        ]
        .map(|yaml| format!("{yaml}\n{}", problems(yaml)))
        .join("\n")
    );
}
