//! Against the receiver, against a scripted server, and the forms of the section.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::{Clock, Code, ManualClock, Signal};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Status;
use prost::Message;

use super::{Client, Config, FACTORY};
use crate::config::{Problems, Section};
use crate::exporters::helper::{self, Sender};
use crate::factory::{Lifecycle, Outputs};
use crate::net::address::HostPort;
use crate::net::listen::{Listener, Place, Transport};
use crate::net::serve::{Answer, Handler, Lifetime, Protocol, Reply, Server};
use crate::receivers::otlp::Receiver;
use crate::testing::{Sink, context, metrics, request, traces};

fn config(yaml: &str) -> Config {
    let mut problems = Problems::default();
    let config = Section::parse("otlp_http", "exporters", yaml).unwrap().decode(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    config
}

#[tokio::test]
async fn reaches_the_receiver_in_every_form() {
    let (sink, context) = (Sink::new(), context("otlp"));
    let section = Section::parse("otlp", "receivers", "protocols: {http: {endpoint: '127.0.0.1:0'}}").unwrap();
    let outputs = Outputs { traces: Some(Arc::clone(&sink) as _), metrics: Some(Arc::clone(&sink) as _) };
    let receiver = Receiver::new(section.decode(&mut Problems::default()).unwrap(), &context, &outputs);
    receiver.start().await.unwrap();
    let address = receiver.http_address().unwrap();
    for (encoding, compression) in [
        ("proto", "none"),
        ("json", "gzip"),
        ("proto", "zstd"),
        ("proto", "snappy"),
        ("proto", "lz4"),
        ("proto", "zlib"),
    ] {
        let yaml = format!("{{endpoint: 'http://{address}/', encoding: {encoding}, compression: {compression}}}");
        let config = config(&yaml);
        let client = Client::new(&config, Signal::Traces, &context.clock).unwrap();
        client.send(&helper::Request::from_traces(&traces(4))).await.unwrap();
        let mut expected = request(4);
        if encoding == "json" {
            // Go's JSON writes messages that are not set as empty ones.
            expected.resource_spans[0].resource = Some(Resource::default());
            expected.resource_spans[0].scope_spans[0].scope = Some(InstrumentationScope::default());
            for span in &mut expected.resource_spans[0].scope_spans[0].spans {
                span.status = Some(Status::default());
            }
        }
        assert_eq!(sink.received(), expected, "{yaml}");
        sink.batches.lock().unwrap().clear();
        let client = Client::new(&config, Signal::Metrics, &context.clock).unwrap();
        client.send(&helper::Request::from_metrics(&metrics(2))).await.unwrap();
        let received = sink.metrics.lock().unwrap().pop().unwrap();
        assert_eq!(received.resource_metrics, metrics(2).resource_metrics, "{yaml}");
    }
    sink.refuse(component::ConsumeError::retryable("sending queue is full"));
    let client = Client::new(&config(&format!("{{endpoint: 'http://{address}'}}")), Signal::Traces, &context.clock);
    let error = client.unwrap().send(&helper::Request::from_traces(&traces(1))).await.unwrap_err();
    assert_eq!(
        &*error.message,
        format!(
            "error exporting items, request to http://{address}/v1/traces responded with HTTP Status Code 503, Message=sending queue is full"
        )
    );
    receiver.shutdown().await.unwrap();
}

#[derive(Default)]
struct Backend {
    answers: Mutex<VecDeque<Response<Reply>>>,
    requests: Mutex<Vec<(String, HeaderMap)>>,
}

impl Handler for Backend {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            crate::net::body::collect(body, 1 << 20).await.unwrap();
            self.requests.lock().unwrap().push((head.uri.path().to_owned(), head.headers));
            self.answers.lock().unwrap().pop_front().unwrap_or_default()
        })
    }
}

async fn serve() -> (Arc<Backend>, Server, u16) {
    let address = HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let listener = Listener::bind(&Place::Tcp(Transport::Tcp, address)).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let backend = Arc::new(Backend::default());
    let handler = Arc::clone(&backend) as _;
    let server = Server::spawn(listener, None, Protocol::Auto(Protocol::auto()), Lifetime::default(), handler);
    (backend, server, port)
}

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static [u8]) -> Response<Reply> {
    let mut response = Response::new(Reply::data(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

#[tokio::test]
async fn tells_what_may_be_tried_again_and_when() {
    let (backend, _server, port) = serve().await;
    // Thu, 01 Jan 1970 00:00:10 GMT
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(10_000_000_000));
    let config = config(&format!("{{traces_endpoint: 'http://127.0.0.1:{port}/custom', headers: {{a: b}}}}"));
    let client = Client::new(&config, Signal::Traces, &clock).unwrap();
    let cases = [
        (400, None, Code::InvalidArgument, true, None),
        (401, None, Code::Unauthenticated, true, None),
        (404, None, Code::Unimplemented, true, None),
        (418, Some("5"), Code::Unknown, true, None),
        (429, None, Code::ResourceExhausted, false, None),
        (429, Some("30"), Code::ResourceExhausted, false, Some(30)),
        (500, None, Code::Unknown, true, None),
        (502, Some("5"), Code::Unavailable, false, None),
        (503, Some("Thu, 01 Jan 1970 00:01:10 GMT"), Code::Unavailable, false, Some(60)),
        (503, Some("soon"), Code::Unavailable, false, None),
        (504, None, Code::Unavailable, false, None),
    ];
    for (status, delay, code, permanent, seconds) in cases {
        let headers: Vec<_> = delay.iter().map(|delay| ("retry-after", *delay)).collect();
        backend.answers.lock().unwrap().push_back(answer(status, &headers, b""));
        let error = client.send(&helper::Request::from_traces(&traces(1))).await.unwrap_err();
        assert_eq!((error.status, error.permanent), (Some(code), permanent), "{status}");
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{status}");
    }
    let (path, headers) = backend.requests.lock().unwrap().remove(0);
    assert_eq!(
        (path.as_str(), &headers["content-encoding"], &headers["a"]),
        ("/custom", &"gzip".parse().unwrap(), &"b".parse().unwrap())
    );
    assert_eq!(headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn reads_partial_successes_and_refuses_unreadable_answers() {
    let (backend, _server, port) = serve().await;
    let config = config(&format!("{{endpoint: 'http://127.0.0.1:{port}'}}"));
    let client = Client::new(&config, Signal::Traces, &context("x").clock).unwrap();
    let json = ("content-type", "application/json");
    let cases = [
        (answer(200, &[("content-type", "application/x-protobuf")], b"\x0a\x05\x08\x01\x12\x01x"), true),
        (answer(202, &[json], br#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"x"}}"#), true),
        (answer(200, &[json], b"{"), false),
        (answer(200, &[("content-type", "text/html")], b"<html>"), true),
        (answer(200, &[], b""), true),
    ];
    for (response, ok) in cases {
        backend.answers.lock().unwrap().push_back(response);
        let outcome = client.send(&helper::Request::from_traces(&traces(1))).await;
        assert_eq!(outcome.is_ok(), ok);
        assert!(outcome.is_ok() || outcome.unwrap_err().permanent);
    }
}

#[tokio::test]
async fn an_unreachable_server_is_tried_again() {
    let (_, server, port) = serve().await;
    server.shutdown().await;
    let config = config(&format!("{{endpoint: 'http://127.0.0.1:{port}'}}"));
    let client = Client::new(&config, Signal::Traces, &context("x").clock).unwrap();
    let error = client.send(&helper::Request::from_traces(&traces(1))).await.unwrap_err();
    assert!(!error.permanent && error.message.contains("failed to make an HTTP request"), "{error}");
}

#[test]
fn urls_are_composed_as_upstream() {
    let url = |yaml: &str, signal| config(yaml).url(signal).map(|url| url.to_string());
    assert_eq!(url("{endpoint: 'http://a:1'}", Signal::Traces).unwrap(), "http://a:1/v1/traces");
    assert_eq!(url("{endpoint: 'http://a:1/x/'}", Signal::Metrics).unwrap(), "http://a:1/x/v1/metrics");
    let own = "{endpoint: 'http://a:1', traces_endpoint: 'https://b/t'}";
    assert_eq!(url(own, Signal::Traces).unwrap(), "https://b/t");
    let error = url("{traces_endpoint: 'https://b/t'}", Signal::Metrics).unwrap_err();
    assert_eq!(error, "either endpoint or metrics_endpoint must be specified");
    assert_eq!(super::client::address(&"https://[::1]/x".parse().unwrap()).to_string(), "[::1]:443");
}

#[test]
fn mistakes_have_upstreams_texts() {
    let check = |yaml: &str, expected: &str| {
        let mut problems = Problems::default();
        assert!((FACTORY.parse)(&Section::parse("otlp_http", "exporters", yaml).unwrap(), &mut problems).is_none());
        assert!(problems.list()[0].message.starts_with(expected), "{yaml}: {problems:?}");
    };
    check("{}", "at least one endpoint must be specified");
    check("{endpoint: 'a:1'}", "endpoint must be a valid URL");
    check("{endpoint: 'http://a', compression: br}", "unsupported compression type \"br\"");
    check("{endpoint: 'http://a', compression_params: {level: 10}}", "unsupported parameters {Level:10}");
    check("{endpoint: 'http://a', proxy_url: 'http://b'}", "proxy_url is not supported");
}

#[test]
fn the_oracle_reads_what_is_sent() {
    let sent = helper::Request::from_traces(&traces(3)).whole();
    let read = opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest::decode(sent).unwrap();
    assert_eq!(read, request(3));
}
