//! The section of an HTTP server (Go's `confighttp.ServerConfig`), which components take into their own, and the server
//! that it describes.
//!
//! What would change the outcome and is not done is refused with its key. Components differ in their [`Defaults`] and in
//! what they do with bodies; `max_request_body_size` and `compression_algorithms` matter only to those that read any.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration as Span;

use component::Clock;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::listen::{Listener, Place, Transport};
use super::serve::{Handler, Lifetime, Protocol, Server};
use super::tls;
use crate::config::{Duration, Joined, Problems, Secret, optional};

/// The section as written. What is absent has the component's default.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpServer {
    endpoint: Option<String>,
    transport: Transport,
    /// TLS; none is plain text.
    #[serde(deserialize_with = "optional::unless_given")]
    tls: Option<tls::Server>,
    response_headers: BTreeMap<String, Secret>,
    /// For the whole request including its body; zero is none.
    pub read_timeout: Duration,
    read_header_timeout: Option<Duration>,
    write_timeout: Duration,
    /// How long an idle connection stays; zero is for ever.
    pub idle_timeout: Option<Duration>,
    /// Whether a connection serves more than one request.
    pub keep_alives_enabled: Option<bool>,
    /// Bytes, before and after decompression.
    pub max_request_body_size: Option<i64>,
    /// The encodings that are decoded; `None` are all, an empty list none (bodies are then read as they come).
    pub compression_algorithms: Option<Vec<String>>,
    /// Cross-origin requests of browsers.
    #[serde(deserialize_with = "optional::unless_given")]
    pub cors: Option<Cors>,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
    include_metadata: bool,
}

/// `cors`
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins, with `*` inside.
    pub allowed_origins: Vec<String>,
    /// Request headers beyond the simple ones; `*` for all.
    pub allowed_headers: Vec<String>,
    /// Response headers that a script may read.
    pub exposed_headers: Vec<String>,
    /// Seconds that a preflight answer may be kept; 0 sends no header.
    pub max_age: u32,
}

/// The section of a component that is a server: its own keys and the server's, side by side.
#[derive(Clone, Default, Deserialize)]
#[serde(from = "Joined<Own, HttpServer>", bound(deserialize = "Own: Deserialize<'de>"))]
pub struct Served<Own> {
    /// The component's own keys.
    pub own: Own,
    /// The server's.
    pub server: HttpServer,
}

impl<Own> From<Joined<Own, HttpServer>> for Served<Own> {
    fn from(Joined(own, server): Joined<Own, HttpServer>) -> Self {
        Self { own, server }
    }
}

/// What holds where a section says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// `endpoint`
    pub endpoint: &'static str,
    /// `read_header_timeout`; zero is none.
    pub read_header_timeout: Span,
    /// `idle_timeout`; zero is none.
    pub idle_timeout: Span,
    /// `keep_alives_enabled`
    pub keep_alives: bool,
    /// Whether bodies are read, by somebody who keeps to `read_timeout`. Where they are not, a request is its head.
    pub has_bodies: bool,
}

impl HttpServer {
    /// Reports every mistake but those in the endpoint, whose text is the component's.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        for name in self.response_headers.keys().filter(|name| self.header(name).is_none()) {
            problems.add(format!("{path}::response_headers::{name}"), "not a valid header");
        }
        for (key, value) in [
            ("read_timeout", self.read_timeout),
            ("read_header_timeout", self.read_header_timeout.unwrap_or_default()),
            ("write_timeout", self.write_timeout),
            ("idle_timeout", self.idle_timeout.unwrap_or_default()),
        ] {
            if value.is_negative() {
                problems.add(format!("{path}::{key}"), "must not be negative");
            }
        }
        if !self.write_timeout.is_zero() {
            problems.add(format!("{path}::write_timeout"), "write_timeout is not supported");
        }
        refuse_unsupported(path, self.include_metadata, self.auth.as_ref(), self.middlewares.as_ref(), problems);
    }

    /// For components that no script in a browser asks.
    pub fn refuse_cors(&self, path: &str, problems: &mut Problems) {
        if self.cors.is_some() {
            problems.add(format!("{path}::cors"), "cross-origin requests are not supported");
        }
    }

    /// The endpoint as written.
    #[must_use]
    pub fn endpoint<'a>(&'a self, defaults: &Defaults) -> &'a str {
        self.endpoint.as_deref().unwrap_or(defaults.endpoint)
    }

    /// Where to listen.
    ///
    /// # Errors
    /// If the endpoint is no address.
    pub fn place(&self, defaults: &Defaults) -> Result<Place, String> {
        Place::parse(self.transport, self.endpoint(defaults).trim())
    }

    /// Headers that every response has.
    #[must_use]
    pub fn response_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.response_headers.keys().filter_map(|name| self.header(name)).collect()
    }

    fn header(&self, name: &str) -> Option<(HeaderName, HeaderValue)> {
        let value = HeaderValue::from_str(self.response_headers.get(name)?.reveal()).ok()?;
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    }

    /// Listens and serves; gives the address where it is TCP.
    ///
    /// # Errors
    /// If certificates cannot be read or the socket cannot be bound. The text names the place.
    pub async fn serve(
        &self,
        defaults: &Defaults,
        clock: &Arc<dyn Clock>,
        handler: Arc<dyn Handler>,
    ) -> Result<(Server, Option<SocketAddr>), String> {
        let tls = self.tls.as_ref().map(|tls| tls::Acceptor::load(tls, &["h2", "http/1.1"], clock)).transpose()?;
        let listener = Listener::bind(&self.place(defaults)?).await?;
        let address = listener.local_address();
        let positive = |span: Span| (!span.is_zero()).then_some(span);
        let given = |key: Option<Duration>, default| key.map_or_else(|| positive(default), Duration::positive);
        let whole = if defaults.has_bodies { None } else { self.read_timeout.positive() };
        let head = given(self.read_header_timeout, defaults.read_header_timeout).into_iter().chain(whole).min();
        let mut builder = Protocol::auto();
        builder.http1().keep_alive(self.keep_alives_enabled.unwrap_or(defaults.keep_alives)).header_read_timeout(head);
        let max_idle = given(self.idle_timeout, defaults.idle_timeout);
        let lifetime = Lifetime { max_idle, ..Lifetime::default() };
        Ok((Server::spawn(listener, tls, Protocol::Auto(builder), lifetime, handler), address))
    }
}

/// Keys that HTTP and gRPC servers have in common and that nothing here can do.
pub fn refuse_unsupported(
    path: &str,
    include_metadata: bool,
    auth: Option<&IgnoredAny>,
    middlewares: Option<&IgnoredAny>,
    problems: &mut Problems,
) {
    for (key, given, reason) in [
        ("include_metadata", include_metadata, "client metadata is not supported: nothing here reads it"),
        ("auth", auth.is_some(), "server authentication is not supported"),
        ("middlewares", middlewares.is_some(), "middlewares are not supported"),
    ] {
        if given {
            problems.add(format!("{path}::{key}"), reason);
        }
    }
}
