//! The client against a scripted gRPC server on loopback sockets, and the forms of the section.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use component::Code;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;

use super::{Client, Config, Endpoint, FACTORY};
use crate::config::{Problems, Section};
use crate::exporters::helper::{self, Sender};
use crate::net::address::HostPort;
use crate::net::connect::Target;
use crate::net::listen::{Listener, Place, Transport};
use crate::net::serve::{Answer, Handler, Lifetime, Protocol, Reply, Server};
use crate::net::status::Status;
use crate::testing::{context, traces};

/// Answers from a script; remembers the headers of requests.
#[derive(Default)]
struct Backend {
    answers: Mutex<VecDeque<Response<Reply>>>,
    requests: Mutex<Vec<HeaderMap>>,
}

impl Handler for Backend {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            crate::net::body::collect(body, 1 << 20).await.unwrap();
            let mut headers = head.headers;
            headers.insert("path", HeaderValue::from_str(head.uri.path()).unwrap());
            headers.insert("authority", HeaderValue::from_str(head.uri.authority().unwrap().as_str()).unwrap());
            self.requests.lock().unwrap().push(headers);
            self.answers.lock().unwrap().pop_front().unwrap_or_else(|| ok(&[]))
        })
    }
}

fn ok(message: &[u8]) -> Response<Reply> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut data = crate::net::grpc::header(false, u32::try_from(message.len()).unwrap()).to_vec();
    data.extend_from_slice(message);
    Response::new(Reply::with_trailers(data.into(), trailers))
}

fn refused(status: &Status) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.headers_mut() = status.to_trailers();
    response
}

async fn serve(port: u16) -> (Arc<Backend>, Server, u16) {
    let address = HostPort { host: "127.0.0.1".to_owned(), port };
    let listener = Listener::bind(&Place::Tcp(Transport::Tcp, address)).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let backend = Arc::new(Backend::default());
    let handler = Arc::clone(&backend) as _;
    let server = Server::spawn(listener, None, Protocol::Http2(Protocol::http2()), Lifetime::default(), handler);
    (backend, server, port)
}

fn client(yaml: &str) -> Client {
    let mut problems = Problems::default();
    let config: Config = Section::parse("otlp", "exporters", yaml).unwrap().decode(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    Client::new(&config, &context("otlp").clock).unwrap()
}

fn request() -> helper::Request {
    helper::Request::from_traces(&traces(2))
}

#[tokio::test]
async fn sends_upstreams_headers() {
    let (backend, _server, port) = serve(0).await;
    let client = client(&format!(
        "{{endpoint: 'http://127.0.0.1:{port}', tls: {{insecure: true}}, headers: {{x-token: secret}}, authority: me.test}}"
    ));
    client.send(&request()).await.unwrap();
    let headers = backend.requests.lock().unwrap().remove(0);
    let get = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(get("path"), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(get("authority"), "me.test");
    assert_eq!(get("x-token"), "secret");
    assert_eq!((get("grpc-encoding"), get("te"), get("grpc-timeout")), ("gzip", "trailers", "5000m"));
    assert_eq!(get("content-type"), "application/grpc");
    assert!(get("user-agent").starts_with("ottlcol/"), "{}", get("user-agent"));
}

#[tokio::test]
async fn tells_what_may_be_tried_again() {
    let (backend, _server, port) = serve(0).await;
    let client = client(&format!("{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"));
    let retryable = [1, 4, 8, 10, 11, 14, 15];
    for number in 1..=16 {
        let code = crate::net::status::code(number);
        // ResourceExhausted only because it says when.
        let retry_after = (code == Code::ResourceExhausted).then_some(Duration::from_secs(1));
        let status = Status { code, message: "why".to_owned(), retry_after };
        backend.answers.lock().unwrap().push_back(refused(&status));
        let error = client.send(&request()).await.unwrap_err();
        assert_eq!((error.status, error.permanent), (Some(code), !retryable.contains(&number)), "{error}");
        assert_eq!(error.retry_after, retry_after);
        assert_eq!(&*error.message, format!("rpc error: code = {code:?} desc = why"));
    }
    let status = Status::new(Code::ResourceExhausted, "full");
    backend.answers.lock().unwrap().push_back(refused(&status));
    assert!(client.send(&request()).await.unwrap_err().permanent);
}

#[tokio::test]
async fn partial_success_counts_as_sent() {
    let (backend, _server, port) = serve(0).await;
    let client = client(&format!("{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"));
    backend.answers.lock().unwrap().push_back(ok(b"\x0a\x05\x08\x01\x12\x01x"));
    client.send(&request()).await.unwrap();
}

#[tokio::test]
async fn answers_that_are_not_grpc_are_mapped() {
    let (backend, _server, port) = serve(0).await;
    let client = client(&format!("{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"));
    for (http, code, permanent) in
        [(503, Code::Unavailable, false), (404, Code::Unimplemented, true), (401, Code::Unauthenticated, true)]
    {
        let mut response = Response::new(Reply::data(Bytes::from_static(b"<html>")));
        *response.status_mut() = http::StatusCode::from_u16(http).unwrap();
        backend.answers.lock().unwrap().push_back(response);
        let error = client.send(&request()).await.unwrap_err();
        assert_eq!((error.status, error.permanent), (Some(code), permanent), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_connected_again() {
    let (_, server, port) = serve(0).await;
    let client = client(&format!("{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"));
    client.send(&request()).await.unwrap();
    server.shutdown().await;
    let error = client.send(&request()).await.unwrap_err();
    assert_eq!((error.status, error.permanent), (Some(Code::Unavailable), false));
    let (backend, _server, _) = serve(port).await;
    client.send(&request()).await.unwrap();
    assert_eq!(backend.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_with_a_dead_address_is_served_by_the_others() {
    // localhost has 127.0.0.1 and mostly ::1, where nobody listens.
    let (backend, _server, port) = serve(0).await;
    for balancer in ["round_robin", "pick_first"] {
        let client = client(&format!(
            "{{endpoint: 'dns:///localhost:{port}', tls: {{insecure: true}}, balancer_name: {balancer}}}"
        ));
        for _ in 0..4 {
            client.send(&request()).await.unwrap();
        }
    }
    assert_eq!(backend.requests.lock().unwrap().len(), 8);
}

#[test]
fn endpoints_in_every_form() {
    let tcp = |host: &str, port| Target::Tcp(HostPort { host: host.to_owned(), port });
    let check = |text: &str, target: Target, https: bool| {
        assert_eq!(Endpoint::parse(text), Ok(Endpoint { target, https }), "{text}");
    };
    check("a:1", tcp("a", 1), false);
    check("http://a:1", tcp("a", 1), false);
    check("https://a:1/", tcp("a", 1), true);
    check("dns:///a:1", tcp("a", 1), false);
    check("passthrough:///[::1]:1", tcp("::1", 1), false);
    check("unix:///tmp/x", Target::Unix("/tmp/x".into()), false);
    check("unix:/tmp/x", Target::Unix("/tmp/x".into()), false);
    let fails = |text: &str, message: &str| assert_eq!(Endpoint::parse(text), Err(message.to_owned()), "{text}");
    fails("", "requires a non-empty \"endpoint\"");
    fails("localhost", "address localhost: missing port in address");
    fails("a:abc", "invalid port \"abc\"");
    fails("unix://", "unix socket path cannot be empty");
    fails("xds:///a", "the resolver scheme \"xds\" is not supported");
}

#[test]
fn mistakes_have_upstreams_texts() {
    let check = |yaml: &str, expected: &str| {
        let mut problems = Problems::default();
        assert!((FACTORY.parse)(&Section::parse("otlp", "exporters", yaml).unwrap(), &mut problems).is_none());
        assert_eq!(problems.list()[0].message, expected, "{yaml}");
    };
    check("{}", "requires a non-empty \"endpoint\"");
    check("{endpoint: 'a:1', compression: lz9}", "unsupported compression type \"lz9\"");
    check("{endpoint: 'a:1', timeout: -1s}", "timeout value must be greater than or equal to 0");
    check("{endpoint: 'a:1', balancer_name: x}", "invalid balancer_name: x");
    check("{endpoint: 'a:1', nonsense: 1}", "has invalid keys: nonsense");
    check("{endpoint: 'a:1', sending_queue: {queue_size: 0}}", "`queue_size` must be positive");
    let parse =
        |yaml: &str| Section::parse("otlp", "exporters", yaml).unwrap().decode::<Config>(&mut Problems::default());
    assert!(parse("{endpoint: 'a:1', sending_queue: {enabled: false}}").unwrap().sending_queue.is_none());
    assert!(parse("{endpoint: 'a:1', headers: [{name: a, value: b}]}").unwrap().headers.0.len() == 1);
}

#[tokio::test]
async fn connections_that_the_server_ends_in_order_fail_no_request() {
    let address = HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let listener = Listener::bind(&Place::Tcp(Transport::Tcp, address)).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let backend = Arc::new(Backend::default());
    // Every connection is told to go a moment after it was opened.
    let lifetime = Lifetime { max_age: Some(Duration::from_micros(300)), ..Lifetime::default() };
    let handler = Arc::clone(&backend) as _;
    let _server = Server::spawn(listener, None, Protocol::Http2(Protocol::http2()), lifetime, handler);
    let client = client(&format!("{{endpoint: '127.0.0.1:{port}', tls: {{insecure: true}}}}"));
    for _ in 0..300 {
        client.send(&request()).await.unwrap();
    }
    assert_eq!(backend.requests.lock().unwrap().len(), 300);
}
