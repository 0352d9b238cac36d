//! The `otlp` receiver's section.
//!
//! `read_buffer_size` and `write_buffer_size` are Go's own buffers and have no counterpart here; they are accepted
//! because they cannot change what is received. So is `keepalive.enforcement_policy`: it says which pings are punished,
//! and this server punishes none. What would change the outcome and is not done is refused with its key.

use std::time::Duration as Span;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Duration, Problems, optional};
use crate::net::compression::Algorithm;
use crate::net::http_server::{Defaults, Served, refuse_unsupported};
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

/// `protocols::http`; the server is where it listens.
pub(super) type Http = Served<HttpKeys>;

/// The receiver's own keys of `protocols::http`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpKeys {
    traces_url_path: String,
    metrics_url_path: String,
    // A logs pipeline is refused before this could matter.
    logs_url_path: String,
    #[serde(deserialize_with = "optional::given")]
    keepalive: Option<HttpKeepalive>,
}

impl Default for HttpKeys {
    fn default() -> Self {
        Self {
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
            keepalive: Some(HttpKeepalive { implied: true, ..HttpKeepalive::default() }),
        }
    }
}

const DEFAULT_BODY: i64 = 20 << 20;

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
            for (key, value) in [
                ("max_connection_idle", parameters.max_connection_idle),
                ("max_connection_age", parameters.max_connection_age),
                ("max_connection_age_grace", parameters.max_connection_age_grace),
                ("time", parameters.time),
                ("timeout", parameters.timeout),
            ] {
                if value.is_negative() {
                    problems.add(format!("{path}::keepalive::server_parameters::{key}"), "must not be negative");
                }
            }
        }
        refuse_unsupported(path, self.include_metadata, self.auth.as_ref(), self.middlewares.as_ref(), problems);
    }
}

impl Http {
    /// Of the server's section.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        let keepalive = self.own.keepalive.as_ref();
        Defaults {
            endpoint: "localhost:4318",
            read_header_timeout: Span::ZERO,
            idle_timeout: keepalive.and_then(|keepalive| keepalive.idle_timeout.positive()).unwrap_or_default(),
            keep_alives: keepalive.is_some(),
            has_bodies: true,
        }
    }

    /// Bytes of the largest body, before and after decompression.
    #[must_use]
    pub fn max_body(&self) -> usize {
        // As upstream: zero and less are the default.
        let size = self.server.max_request_body_size.filter(|size| *size > 0).unwrap_or(DEFAULT_BODY);
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// Path of traces.
    #[must_use]
    pub fn traces_path(&self) -> String {
        rooted(&self.own.traces_url_path)
    }

    /// Path of metrics.
    #[must_use]
    pub fn metrics_path(&self) -> String {
        rooted(&self.own.metrics_url_path)
    }

    fn check(&self, path: &str, problems: &mut Problems) {
        let Self { own, server } = self;
        if let Err(error) = server.place(&self.defaults()) {
            problems.add(format!("{path}::endpoint"), error);
        }
        for name in server.compression_algorithms.iter().flatten() {
            if !name.is_empty() && Algorithm::by_name(name).is_none() {
                problems.add(
                    format!("{path}::compression_algorithms"),
                    format!("unsupported compression algorithm: {name:?}"),
                );
            }
        }
        if own.keepalive.as_ref().is_none_or(|keepalive| !keepalive.implied)
            && (server.idle_timeout.is_some() || server.keep_alives_enabled.is_some())
        {
            problems.add(path, "idle_timeout and keep_alives_enabled cannot be used together with keepalive");
        }
        server.check(path, problems);
    }
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
