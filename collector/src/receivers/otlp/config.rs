//! The `otlp` receiver's section.
//!
//! `read_buffer_size` and `write_buffer_size` are Go's own buffers and have no counterpart here; they are accepted
//! because they cannot change what is received. So is `keepalive.enforcement_policy`: it says which pings are punished,
//! and this server punishes none. What would change the outcome and is not done is refused with its key.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Duration, Problems, Secret, optional};
use crate::net::compression::Algorithm;
use crate::net::listen::{Place, Transport};
use crate::net::{grpc, tls};

/// The whole section.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which protocols are served.
    pub protocols: Protocols,
}

/// Present means on, even if null.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocols {
    /// OTLP/gRPC.
    #[serde(deserialize_with = "optional::given")]
    pub grpc: Option<Grpc>,
    /// OTLP/HTTP.
    #[serde(deserialize_with = "optional::given")]
    pub http: Option<Http>,
}

/// `protocols::grpc`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    endpoint: String,
    transport: Transport,
    /// TLS; none is plain text.
    #[serde(deserialize_with = "optional::unless_given")]
    pub tls: Option<tls::Server>,
    max_recv_msg_size_mib: i64,
    /// Streams of one connection; 0 is no limit.
    pub max_concurrent_streams: u32,
    read_buffer_size: i64,
    write_buffer_size: i64,
    /// Pings and the age of connections.
    #[serde(deserialize_with = "optional::unless_given")]
    pub keepalive: Option<GrpcKeepalive>,
    include_metadata: bool,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4317".to_owned(),
            transport: Transport::Tcp,
            tls: None,
            max_recv_msg_size_mib: 0,
            max_concurrent_streams: 0,
            read_buffer_size: 512 << 10,
            write_buffer_size: 0,
            keepalive: None,
            include_metadata: false,
            auth: None,
            middlewares: None,
        }
    }
}

/// `keepalive` of a gRPC server.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcKeepalive {
    /// What the server does.
    pub server_parameters: Option<ServerParameters>,
    enforcement_policy: Option<EnforcementPolicy>,
}

/// `keepalive::server_parameters`; zero is gRPC's default.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerParameters {
    /// Closed after this long without a request.
    pub max_connection_idle: Duration,
    /// Closed after this long, so that clients re-balance.
    pub max_connection_age: Duration,
    /// What requests under way still get.
    pub max_connection_age_grace: Duration,
    /// A ping after this long of silence; 2h.
    pub time: Duration,
    /// How long to wait for the answer; 20s.
    pub timeout: Duration,
}

/// `keepalive::enforcement_policy`
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EnforcementPolicy {
    min_time: Duration,
    permit_without_stream: bool,
}

/// `protocols::http`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    endpoint: String,
    transport: Transport,
    /// TLS; none is plain text.
    #[serde(deserialize_with = "optional::unless_given")]
    pub tls: Option<tls::Server>,
    traces_url_path: String,
    metrics_url_path: String,
    // A logs pipeline is refused before this could matter.
    logs_url_path: String,
    /// Cross-origin requests of browsers.
    #[serde(deserialize_with = "optional::unless_given")]
    pub cors: Option<Cors>,
    max_request_body_size: i64,
    compression_algorithms: Option<Vec<String>>,
    include_metadata: bool,
    /// Added to every response.
    pub response_headers: BTreeMap<String, Secret>,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
    /// For the whole request including its body; zero is none.
    pub read_timeout: Duration,
    /// For the request's header; zero is none.
    pub read_header_timeout: Duration,
    write_timeout: Duration,
    #[serde(deserialize_with = "optional::given")]
    keepalive: Option<HttpKeepalive>,
    idle_timeout: Option<Duration>,
    keep_alives_enabled: Option<bool>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4318".to_owned(),
            transport: Transport::Tcp,
            tls: None,
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
            cors: None,
            max_request_body_size: DEFAULT_BODY,
            compression_algorithms: None,
            include_metadata: false,
            response_headers: BTreeMap::new(),
            auth: None,
            middlewares: None,
            read_timeout: Duration::default(),
            read_header_timeout: Duration::default(),
            write_timeout: Duration::default(),
            keepalive: Some(HttpKeepalive { implied: true, ..HttpKeepalive::default() }),
            idle_timeout: None,
            keep_alives_enabled: None,
        }
    }
}

const DEFAULT_BODY: i64 = 20 << 20;

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

/// `keepalive` of an HTTP server; `enabled: false` makes it `None`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpKeepalive {
    idle_timeout: Duration,
    /// Not in the file: the default is at work.
    #[serde(skip)]
    implied: bool,
}

impl Default for HttpKeepalive {
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(60), implied: false }
    }
}

impl Config {
    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if self.protocols.grpc.is_none() && self.protocols.http.is_none() {
            problems.add(path, "must specify at least one protocol when using the OTLP receiver");
        }
        if let Some(grpc) = &self.protocols.grpc {
            grpc.check(&format!("{path}::protocols::grpc"), problems);
        }
        if let Some(http) = &self.protocols.http {
            http.check(&format!("{path}::protocols::http"), problems);
        }
    }
}

impl Grpc {
    /// Where to listen.
    pub fn place(&self) -> Result<Place, String> {
        Place::parse(self.transport, &self.endpoint)
    }

    /// Bytes of the largest message.
    #[must_use]
    pub fn max_message(&self) -> usize {
        match usize::try_from(self.max_recv_msg_size_mib) {
            Ok(0) | Err(_) => grpc::DEFAULT_MAX_MESSAGE,
            Ok(mib) => mib << 20,
        }
    }

    fn check(&self, path: &str, problems: &mut Problems) {
        if let Err(error) = self.place() {
            problems.add(format!("{path}::endpoint"), error);
        }
        // A message is indexed by 32-bit offsets.
        const MOST: i64 = 4095;
        if !(0..=MOST).contains(&self.max_recv_msg_size_mib) {
            let got = self.max_recv_msg_size_mib;
            problems.add(path, format!("invalid max_recv_msg_size_mib value, must be between 1 and {MOST}: {got}"));
        }
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        if let Some(parameters) = self.keepalive.as_ref().and_then(|keepalive| keepalive.server_parameters.as_ref()) {
            let all = [
                ("max_connection_idle", parameters.max_connection_idle),
                ("max_connection_age", parameters.max_connection_age),
                ("max_connection_age_grace", parameters.max_connection_age_grace),
                ("time", parameters.time),
                ("timeout", parameters.timeout),
            ];
            not_negative(&format!("{path}::keepalive::server_parameters"), &all, problems);
        }
        refuse_unsupported(path, self.include_metadata, self.auth.as_ref(), self.middlewares.as_ref(), problems);
    }
}

impl Http {
    /// Where to listen.
    pub fn place(&self) -> Result<Place, String> {
        Place::parse(self.transport, &self.endpoint)
    }

    /// Bytes of the largest body, before and after decompression.
    #[must_use]
    pub fn max_body(&self) -> usize {
        // As upstream: zero and less are the default.
        let size = if self.max_request_body_size > 0 { self.max_request_body_size } else { DEFAULT_BODY };
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// Path of traces.
    #[must_use]
    pub fn traces_path(&self) -> String {
        rooted(&self.traces_url_path)
    }

    /// Path of metrics.
    #[must_use]
    pub fn metrics_path(&self) -> String {
        rooted(&self.metrics_url_path)
    }

    /// The encodings that are decoded; `None` are all, an empty list none (bodies are then read as they come).
    #[must_use]
    pub fn encodings(&self) -> Option<&[String]> {
        self.compression_algorithms.as_deref()
    }

    /// Whether a connection serves more than one request.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.keepalive.is_some() && self.keep_alives_enabled.unwrap_or(true)
    }

    /// How long an idle connection stays.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<std::time::Duration> {
        self.idle_timeout.or(self.keepalive.as_ref().map(|keepalive| keepalive.idle_timeout))?.positive()
    }

    fn check(&self, path: &str, problems: &mut Problems) {
        if let Err(error) = self.place() {
            problems.add(format!("{path}::endpoint"), error);
        }
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        for name in self.compression_algorithms.iter().flatten() {
            if !name.is_empty() && Algorithm::by_name(name).is_none() {
                problems.add(
                    format!("{path}::compression_algorithms"),
                    format!("unsupported compression algorithm: {name:?}"),
                );
            }
        }
        let all = [
            ("read_timeout", self.read_timeout),
            ("read_header_timeout", self.read_header_timeout),
            ("write_timeout", self.write_timeout),
        ];
        not_negative(path, &all, problems);
        if !self.write_timeout.is_zero() {
            problems.add(format!("{path}::write_timeout"), "write_timeout is not supported");
        }
        if self.keepalive.as_ref().is_none_or(|keepalive| !keepalive.implied)
            && (self.idle_timeout.is_some() || self.keep_alives_enabled.is_some())
        {
            problems.add(path, "idle_timeout and keep_alives_enabled cannot be used together with keepalive");
        }
        for (name, value) in &self.response_headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err()
                || http::HeaderValue::from_str(value.reveal()).is_err()
            {
                problems.add(format!("{path}::response_headers::{name}"), "not a valid header");
            }
        }
        refuse_unsupported(path, self.include_metadata, self.auth.as_ref(), self.middlewares.as_ref(), problems);
    }
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn not_negative(path: &str, all: &[(&str, Duration)], problems: &mut Problems) {
    for (key, value) in all {
        if value.is_negative() {
            problems.add(format!("{path}::{key}"), "must not be negative");
        }
    }
}

fn refuse_unsupported(
    path: &str,
    include_metadata: bool,
    auth: Option<&IgnoredAny>,
    middlewares: Option<&IgnoredAny>,
    problems: &mut Problems,
) {
    if include_metadata {
        problems.add(
            format!("{path}::include_metadata"),
            "include_metadata is not supported: no component here reads client metadata",
        );
    }
    if auth.is_some() {
        problems.add(format!("{path}::auth"), "server authentication is not supported");
    }
    if middlewares.is_some() {
        problems.add(format!("{path}::middlewares"), "middlewares are not supported");
    }
}
