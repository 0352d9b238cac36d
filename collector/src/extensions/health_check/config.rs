//! The `health_check` section: contrib's keys, and `stuck_after`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Duration, Problems, Secret, optional};
use crate::net::listen::{Place, Transport};
use crate::net::tls;

/// The section.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    endpoint: String,
    transport: Transport,
    /// TLS; none is plain text.
    #[serde(deserialize_with = "optional::unless_given")]
    pub tls: Option<tls::Server>,
    /// Where the page is. As with Go's ServeMux a path that ends in `/` stands for all below it.
    pub path: String,
    /// Fixed texts instead of the JSON answer.
    pub response_body: Option<ResponseBody>,
    // Inert upstream since the collector lost its view data.
    check_collector_pipeline: Option<IgnoredAny>,
    /// How long a pipeline may hold batches without any coming out before it counts as stuck; zero is for ever.
    pub stuck_after: Duration,

    /// Added to every response.
    pub response_headers: BTreeMap<String, Secret>,
    read_timeout: Duration,
    read_header_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Duration,
    /// Whether a connection serves more than one request.
    pub keep_alives_enabled: bool,
    max_request_body_size: i64,
    compression_algorithms: Option<Vec<String>>,
    cors: Option<IgnoredAny>,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
    include_metadata: bool,

    use_v2: bool,
    http: Option<IgnoredAny>,
    grpc: Option<IgnoredAny>,
    component_health: Option<IgnoredAny>,
}

/// `response_body`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseBody {
    /// Sent with 200.
    pub healthy: String,
    /// Sent with 503.
    pub unhealthy: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "localhost:13133".to_owned(),
            transport: Transport::Tcp,
            tls: None,
            path: "/".to_owned(),
            response_body: None,
            check_collector_pipeline: None,
            // Twice the 5 minutes that exporters retry by default.
            stuck_after: Duration::from_secs(600),
            response_headers: BTreeMap::new(),
            read_timeout: Duration::default(),
            read_header_timeout: Duration::default(),
            write_timeout: Duration::default(),
            idle_timeout: Duration::default(),
            keep_alives_enabled: false,
            max_request_body_size: 0,
            compression_algorithms: None,
            cors: None,
            auth: None,
            middlewares: None,
            include_metadata: false,
            use_v2: false,
            http: None,
            grpc: None,
            component_health: None,
        }
    }
}

const V2: &str = "the v2 health check (component status) is not supported; remove this key: the page and its /livez and \
                  /readyz tell readiness and liveness apart without it";

impl Config {
    /// Reports every mistake, with upstream's texts where it has one.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        if self.endpoint.is_empty() {
            problems.add(format!("{path}::endpoint"), "http endpoint required");
        } else if let Err(error) = self.place() {
            problems.add(format!("{path}::endpoint"), error);
        }
        if !self.path.starts_with('/') {
            problems.add(format!("{path}::path"), "path must start with /");
        }
        if let Some(tls) = &self.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        for (name, value) in &self.response_headers {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err()
                || http::HeaderValue::from_str(value.reveal()).is_err()
            {
                problems.add(format!("{path}::response_headers::{name}"), "not a valid header");
            }
        }
        for (key, value) in [
            ("stuck_after", self.stuck_after),
            ("read_timeout", self.read_timeout),
            ("read_header_timeout", self.read_header_timeout),
            ("write_timeout", self.write_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            if value.is_negative() {
                problems.add(format!("{path}::{key}"), "must not be negative");
            }
        }
        for (key, given, reason) in [
            ("write_timeout", !self.write_timeout.is_zero(), "write_timeout is not supported"),
            ("cors", self.cors.is_some(), "cross-origin requests are not supported"),
            ("auth", self.auth.is_some(), "server authentication is not supported"),
            ("middlewares", self.middlewares.is_some(), "middlewares are not supported"),
            ("include_metadata", self.include_metadata, "client metadata is not supported: nothing here reads it"),
            ("use_v2", self.use_v2, V2),
            ("http", self.http.is_some(), V2),
            ("grpc", self.grpc.is_some(), V2),
            ("component_health", self.component_health.is_some(), V2),
        ] {
            if given {
                problems.add(format!("{path}::{key}"), reason);
            }
        }
    }

    /// Where to listen.
    pub fn place(&self) -> Result<Place, String> {
        Place::parse(self.transport, &self.endpoint)
    }

    /// How long a client may take to send a request's head, which is all that is read of it.
    #[must_use]
    pub fn head_timeout(&self) -> Option<std::time::Duration> {
        self.read_header_timeout.positive().into_iter().chain(self.read_timeout.positive()).min()
    }

    /// How long an idle connection stays.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<std::time::Duration> {
        self.idle_timeout.positive()
    }
}
