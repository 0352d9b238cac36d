//! Posts encoded requests and reads statuses, delays and partial successes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use component::{Clock, Code, ConsumeError, Signal};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tower::Service;

use super::config::{Config, Encoding};
use crate::exporters::{helper, otlp};
use crate::net::address::HostPort;
use crate::net::compression::Algorithm;
use crate::net::connect::{Connector, Target};
use crate::net::{Stream, status, tls};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// What is read of a response at most, as upstream.
const MAX_RESPONSE: usize = 64 << 10;

/// A client of one signal's URL.
pub struct Client {
    pool: Pool<Dialer, Full<Bytes>>,
    url: Uri,
    headers: HeaderMap,
    encoding: Encoding,
    compression: Option<(Algorithm, Option<i32>)>,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Loads certificates; connects with the first request.
    pub fn new(config: &Config, signal: Signal, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let url = config.url(signal)?;
        let address = address(&url);
        let alpn: &[&str] = if config.force_attempt_http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let tls =
            (url.scheme_str() == Some("https")).then(|| tls::Connector::load(&config.tls, alpn, clock)).transpose()?;
        let mut builder = Pool::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        let idle = config.idle();
        builder.pool_idle_timeout(idle.and_then(|idle| idle.timeout));
        builder.pool_max_idle_per_host(idle.map_or(0, |idle| idle.connections));
        let pool = builder.build(Dialer(Connector { target: Target::Tcp(address), tls, name: None }));
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_str(&otlp::user_agent()).map_err(|error| error.to_string())?);
        let kind = match config.encoding {
            Encoding::Proto => PROTOBUF,
            Encoding::Json => JSON,
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let compression = config.compression()?;
        if compression.is_some() {
            let name = HeaderValue::from_str(config.content_encoding()).map_err(|error| error.to_string())?;
            headers.insert(CONTENT_ENCODING, name);
        }
        if idle.is_none() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &config.headers.0 {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            let mut value = HeaderValue::from_str(value.reveal()).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self { pool, url, headers, encoding: config.encoding, compression, clock: Arc::clone(clock) })
    }

    /// One attempt.
    pub async fn export(&self, request: &helper::Request) -> Result<(), ConsumeError> {
        let body = self
            .body(request)
            .map_err(|error| ConsumeError::permanent(format!("failed to compress the request: {error}")))?;
        let mut call = Request::new(Full::new(body));
        *call.method_mut() = Method::POST;
        *call.uri_mut() = self.url.clone();
        *call.headers_mut() = self.headers.clone();
        let unreachable = |error: &dyn std::error::Error| {
            ConsumeError::retryable(format!("failed to make an HTTP request: {}", otlp::chain(error)))
        };
        let response = self.pool.request(call).await.map_err(|error| unreachable(&error))?;
        self.finish(response, request.signal).await
    }

    fn body(&self, request: &helper::Request) -> io::Result<Bytes> {
        let chunks = match (self.encoding, request.signal) {
            (Encoding::Proto, _) => request.chunks.clone(),
            (Encoding::Json, signal) => {
                let (message, mut out) = (request.whole(), Vec::new());
                match signal {
                    Signal::Traces => pdata::json::traces_to_json(&message, &mut out),
                    Signal::Metrics => pdata::json::metrics_to_json(&message, &mut out),
                    Signal::Logs => return Err(io::Error::other("logs are not supported")),
                }
                vec![out.into()]
            }
        };
        match self.compression {
            Some((algorithm, level)) => algorithm.encode(&chunks, level),
            None => Ok(match chunks.as_slice() {
                [one] => one.clone(),
                many => many.concat().into(),
            }),
        }
    }

    async fn finish(&self, response: Response<Incoming>, signal: Signal) -> Result<(), ConsumeError> {
        let (head, body) = response.into_parts();
        let (body, whole) = read(body).await;
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if head.status.is_success() {
            return if whole { partial_success(kind, &body, signal) } else { Ok(()) };
        }
        let mut text = format!(
            "error exporting items, request to {} responded with HTTP Status Code {}",
            self.url,
            head.status.as_u16()
        );
        if kind == PROTOBUF {
            let (message, _) = status::read(&body);
            if !message.is_empty() {
                text.push_str(", Message=");
                text.push_str(&message);
            }
        } else if kind == JSON
            && let Ok(json) = serde_json::from_slice::<serde_json::Value>(&body)
            && let Some(message) = json.get("message").and_then(serde_json::Value::as_str)
        {
            text.push_str(", Message=");
            text.push_str(message);
        }
        let may_pass = matches!(head.status.as_u16(), 429 | 502 | 503 | 504);
        let throttled = matches!(head.status.as_u16(), 429 | 503);
        let delay = head.headers.get(RETRY_AFTER).filter(|_| throttled);
        Err(ConsumeError {
            message: text.into(),
            permanent: !may_pass,
            status: Some(code(head.status)),
            retry_after: delay.and_then(|delay| retry_after(delay, self.clock.unix_nano())),
        })
    }
}

impl helper::Sender for Client {
    fn send<'a>(&'a self, request: &'a helper::Request) -> helper::Sent<'a> {
        Box::pin(self.export(request))
    }
}

/// Host and port of a URL, with the scheme's default port.
pub(super) fn address(url: &Uri) -> HostPort {
    let default = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let host = url.host().unwrap_or_default();
    // The URL's brackets are not part of an IPv6 address.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    HostPort { host: host.to_owned(), port: url.port_u16().unwrap_or(default) }
}

/// The body up to the limit, and whether that is all of it. A body that breaks off is as good as a shorter one: the
/// status has said what matters.
async fn read(mut body: Incoming) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (out, false) };
        let Ok(data) = frame.into_data() else { continue };
        let room = MAX_RESPONSE - out.len();
        if data.len() > room {
            out.extend_from_slice(&data[..room]);
            return (out, false);
        }
        out.extend_from_slice(&data);
    }
    (out, true)
}

fn partial_success(kind: &str, body: &[u8], signal: Signal) -> Result<(), ConsumeError> {
    match kind {
        _ if body.is_empty() => {}
        PROTOBUF => otlp::log_partial_success(body, signal),
        JSON => {
            let json: serde_json::Value = serde_json::from_slice(body)
                .map_err(|error| ConsumeError::permanent(format!("error parsing json response: {error}")))?;
            otlp::log_partial_success_json(&json, signal);
        }
        _ => {}
    }
    Ok(())
}

/// Seconds or an HTTP date.
fn retry_after(header: &HeaderValue, now_unix_nano: u64) -> Option<Duration> {
    let text = header.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp();
    let now = i64::try_from(now_unix_nano / 1_000_000_000).ok()?;
    u64::try_from(at - now).ok().map(Duration::from_secs)
}

fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Opens connections for the pool and says which of them speak HTTP/2.
#[derive(Clone)]
struct Dialer(Connector);

impl Service<Uri> for Dialer {
    type Response = Io;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Io>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let stream = connector.open().await?;
            let http2 = stream.alpn() == Some(b"h2");
            Ok(Io { stream: TokioIo::new(stream), http2 })
        })
    }
}

struct Io {
    stream: TokioIo<Stream>,
    http2: bool,
}

impl Connection for Io {
    fn connected(&self) -> Connected {
        if self.http2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
