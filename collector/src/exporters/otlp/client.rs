//! A gRPC client that sends encoded requests as they are and reads statuses and partial successes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use component::{Code, ConsumeError, Signal};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use pdata::wire::{Field, Fields};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint as Transport};
use tower::{Service, ServiceExt};

use super::balancer::Balancer;
use super::config::{Config, Endpoint};
use crate::exporters::helper;
use crate::net::compression::Algorithm;
use crate::net::connect::{Connector, Target};
use crate::net::status::{self, GRPC_DETAILS, GRPC_MESSAGE, GRPC_STATUS};
use crate::net::{grpc, tls};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Responses are a few bytes; a longer one is not read.
const MAX_RESPONSE: usize = 64 << 10;

/// Told whether the other side is there at all, whatever it answers.
pub trait Observer: Send + Sync {
    /// A response came.
    fn answered(&self);
    /// No connection, a connection that broke, or no response before the attempt was given up.
    fn silent(&self);
}

/// Connections to one endpoint, opened when they are first needed and again when they broke.
pub struct Client {
    route: Route,
    compression: Option<Algorithm>,
    headers: HeaderMap,
    observer: Option<Arc<dyn Observer>>,
}

enum Route {
    /// One connection, to the first address that answers.
    One(Channel),
    /// One to each address.
    All(Box<Balancer>),
}

impl Client {
    /// Loads certificates; connects with the first request.
    pub fn new(config: &Config, clock: &Arc<dyn component::Clock>) -> Result<Self, String> {
        let endpoint = Endpoint::parse(&config.endpoint)?;
        let origin = config.origin(&endpoint)?;
        let balances = config.balances(&endpoint);
        let tls = config.uses_tls(&endpoint).then(|| tls::Connector::load(&config.tls, &["h2"], clock)).transpose()?;
        let agent = match config.user_agent.as_str() {
            "" => user_agent(),
            agent => agent.to_owned(),
        };
        // The connector does TLS, so the transport is told of plain HTTP; requests carry the true scheme.
        let mut transport = Transport::from(Uri::from_static("http://localhost"))
            .origin(origin)
            .user_agent(agent)
            .map_err(|error| error.to_string())?;
        if let Some(keepalive) = &config.keepalive {
            transport = transport.keep_alive_while_idle(keepalive.permit_without_stream);
            if let Some(time) = keepalive.time.positive() {
                // grpc-go never pings more often than this.
                transport = transport.http2_keep_alive_interval(time.max(Duration::from_secs(10)));
            }
            if let Some(timeout) = keepalive.timeout.positive() {
                transport = transport.keep_alive_timeout(timeout);
            }
        }
        let route = match endpoint.target {
            Target::Tcp(name) if balances => Route::All(Box::new(Balancer::new(transport, name, tls))),
            target => Route::One(transport.connect_with_connector_lazy(Connector { target, tls, name: None })),
        };
        let compression = config.compression()?;
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers.0 {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(name) = compression.map(encoding_name) {
            headers.insert(GRPC_ENCODING, HeaderValue::from_static(name));
        }
        if let Some(limit) = config.timeout.positive() {
            let millis = limit.as_millis().clamp(1, 99_999_999);
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_str(&format!("{millis}m")).map_err(|e| e.to_string())?);
        }
        Ok(Self { route, compression, headers, observer: None })
    }

    /// The same with an observer.
    #[must_use]
    pub fn observed(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// One attempt.
    pub async fn export(&self, request: &helper::Request) -> Result<(), ConsumeError> {
        let Some(observer) = &self.observer else { return self.attempt(request, &mut false).await };
        let mut watched = Watched { observer: &**observer, answered: false };
        self.attempt(request, &mut watched.answered).await
    }

    /// `answered` becomes true with a response.
    async fn attempt(&self, request: &helper::Request, answered: &mut bool) -> Result<(), ConsumeError> {
        let message = frame(request, self.compression)
            .map_err(|error| ConsumeError::permanent(format!("failed to compress the request: {error}")))?;
        let path = match request.signal {
            Signal::Traces => TRACES,
            Signal::Metrics => METRICS,
            Signal::Logs => LOGS,
        };
        let balancer = match &self.route {
            Route::One(channel) => {
                let response = self.call(channel, path, message).await;
                let response = response.map_err(|error| failed(Code::Unavailable, &chain(&error), None))?;
                *answered = true;
                return finish(response, request.signal).await;
            }
            Route::All(balancer) => balancer,
        };
        let turn = balancer.turn().await.map_err(|error| failed(Code::Unavailable, &error.to_string(), None))?;
        let mut last = failed(Code::Unavailable, "name resolver error: produced zero addresses", None);
        for member in turn {
            let failures = member.failures();
            match self.call(&member.channel, path, message.clone()).await {
                Ok(response) => {
                    *answered = true;
                    return finish(response, request.signal).await;
                }
                Err(error) => last = failed(Code::Unavailable, &chain(&error), None),
            }
            if member.failures() == failures {
                // It was connected, so the request may have been sent: another try is the retries' business.
                break;
            }
        }
        Err(last)
    }

    /// One call. One that the server has certainly not begun, because the connection was being closed, is made again at
    /// once on a new connection, as gRPC does.
    async fn call(
        &self,
        channel: &Channel,
        path: &'static str,
        message: Message,
    ) -> Result<Response<Body>, tonic::transport::Error> {
        match self.call_once(channel.clone(), path, message.clone()).await {
            Err(error) if was_not_begun(&error) => self.call_once(channel.clone(), path, message).await,
            answered => answered,
        }
    }

    async fn call_once(
        &self,
        mut channel: Channel,
        path: &'static str,
        message: Message,
    ) -> Result<Response<Body>, tonic::transport::Error> {
        let mut call = Request::new(Body::new(message));
        *call.method_mut() = http::Method::POST;
        *call.uri_mut() = Uri::from_static(path);
        *call.headers_mut() = self.headers.clone();
        channel.ready().await?.call(call).await
    }
}

/// True if the connection ended in order before the server took the request: it was never handed to the connection, or
/// the server's GOAWAY or REFUSED_STREAM says so.
fn was_not_begun(error: &tonic::transport::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let left = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_remote() && (left || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        cause = error.source();
    }
    false
}

/// Tells the observer at the end of an attempt, also of one that was given up.
struct Watched<'a> {
    observer: &'a dyn Observer,
    answered: bool,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.answered { self.observer.answered() } else { self.observer.silent() }
    }
}

impl helper::Sender for Client {
    fn send<'a>(&'a self, request: &'a helper::Request) -> helper::Sent<'a> {
        Box::pin(self.export(request))
    }
}

fn encoding_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Zstd => "zstd",
        Algorithm::Snappy | Algorithm::SnappyFramed => "snappy",
        // The configuration offers no others.
        Algorithm::Gzip | Algorithm::Zlib | Algorithm::Lz4 => "gzip",
    }
}

/// A message with its header, in pieces that are sent one after the other and never put together.
#[derive(Clone)]
struct Message(VecDeque<Bytes>);

impl http_body::Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

fn frame(request: &helper::Request, compression: Option<Algorithm>) -> std::io::Result<Message> {
    let too_long = |_| std::io::Error::other("the message is longer than 4 GiB");
    let packed;
    let chunks = match compression {
        None => request.chunks.as_slice(),
        Some(algorithm) => {
            packed = [algorithm.encode(&request.chunks, grpc_level(algorithm))?];
            &packed
        }
    };
    let len: usize = chunks.iter().map(Bytes::len).sum();
    let header = grpc::header(compression.is_some(), u32::try_from(len).map_err(too_long)?);
    let mut pieces = VecDeque::with_capacity(1 + chunks.len());
    pieces.push_back(Bytes::copy_from_slice(&header));
    pieces.extend(chunks.iter().filter(|chunk| !chunk.is_empty()).cloned());
    Ok(Message(pieces))
}

/// The fastest level of gzip. Measured on 512-span requests of 324 kB: level 1 takes 2.1 us a span and leaves 1/5.1, Go's
/// default 6 takes 4.3 us and leaves 1/6.7 (zstd: 0.9 us and 1/6.7). The receiver cannot tell the difference.
fn grpc_level(algorithm: Algorithm) -> Option<i32> {
    (algorithm == Algorithm::Gzip).then_some(1)
}

async fn finish(response: Response<Body>, signal: Signal) -> Result<(), ConsumeError> {
    let (head, mut body) = response.into_parts();
    if head.headers.contains_key(GRPC_STATUS) {
        return read_status(&head.headers);
    }
    if head.status != StatusCode::OK {
        let text = format!("unexpected HTTP status code received from server: {}", head.status);
        return Err(failed(by_http(head.status), &text, None));
    }
    let mut data = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(Code::Unavailable, &chain(&error), None))?;
        match frame.into_data() {
            Ok(piece) if data.len() + piece.len() <= MAX_RESPONSE => data.extend_from_slice(&piece),
            Ok(_) => {
                return Err(failed(Code::ResourceExhausted, "grpc: received message larger than max", None));
            }
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    let Some(trailers) = trailers else {
        return Err(failed(Code::Internal, "server closed the stream without sending trailers", None));
    };
    read_status(&trailers)?;
    // Not compressed: no encoding was offered for responses.
    if let Some(message) = data.get(5..).filter(|_| data.first() == Some(&0)) {
        log_partial_success(message, signal);
    }
    Ok(())
}

fn read_status(headers: &HeaderMap) -> Result<(), ConsumeError> {
    let text = headers.get(GRPC_STATUS).and_then(|status| status.to_str().ok());
    let Some(number) = text.and_then(|text| text.parse::<i32>().ok()) else {
        return Err(failed(Code::Internal, "malformed grpc-status", None));
    };
    if number == 0 {
        return Ok(());
    }
    let message = headers.get(GRPC_MESSAGE).map_or_else(String::new, |text| status::percent_decode(text.as_bytes()));
    let details = headers.get(GRPC_DETAILS).and_then(status::read_details);
    let retry_after = details.and_then(|details| status::read(&details).1);
    Err(failed(status::code(number), &message, retry_after))
}

/// Which failures may pass: OTLP's list; `ResourceExhausted` only if the server says when.
fn failed(code: Code, message: &str, retry_after: Option<Duration>) -> ConsumeError {
    let may_pass = match code {
        Code::Canceled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => retry_after.is_some(),
        _ => false,
    };
    ConsumeError {
        message: format!("rpc error: code = {code:?} desc = {message}").into(),
        permanent: !may_pass,
        status: Some(code),
        retry_after,
    }
}

/// gRPC's own mapping of HTTP statuses of servers that are no gRPC servers.
fn by_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Warns if the backend took only a part. It counts as sent, as upstream.
pub(crate) fn log_partial_success(response: &[u8], signal: Signal) {
    let (mut rejected, mut message) = (0, "".into());
    for field in Fields::new(response) {
        let (1, Field::Bytes(partial)) = field else { continue };
        for field in Fields::new(partial) {
            match field {
                (1, Field::Varint(count)) => rejected = count,
                (2, Field::Bytes(text)) => message = String::from_utf8_lossy(text),
                _ => {}
            }
        }
    }
    warn_of_partial_success(rejected, &message, signal);
}

/// The same for an answer in JSON.
pub(crate) fn log_partial_success_json(response: &serde_json::Value, signal: Signal) {
    let Some(partial) = response.get("partialSuccess") else { return };
    let key = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    // 64-bit numbers are texts in OTLP/JSON; plain numbers are accepted too.
    let rejected = partial.get(key).and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    let message = partial.get("errorMessage").and_then(serde_json::Value::as_str);
    warn_of_partial_success(rejected.unwrap_or_default(), message.unwrap_or_default(), signal);
}

fn warn_of_partial_success(rejected: u64, message: &str, signal: Signal) {
    if rejected == 0 && message.is_empty() {
        return;
    }
    match signal {
        Signal::Traces => tracing::warn!(message, dropped_spans = rejected, "Partial success response"),
        Signal::Metrics => tracing::warn!(message, dropped_data_points = rejected, "Partial success response"),
        Signal::Logs => tracing::warn!(message, dropped_log_records = rejected, "Partial success response"),
    }
}

/// An error with its causes: tonic says only "transport error" itself.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// `<name>/<version> (<os>/<arch>)`, architectures named as Go names them.
pub(crate) fn user_agent() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("ottlcol/{} ({}/{arch})", env!("CARGO_PKG_VERSION"), std::env::consts::OS)
}
