//! The `otlp_grpc` exporter's section.
//!
//! `read_buffer_size` and `write_buffer_size` are Go's own buffers; they are accepted because they cannot change what
//! is sent.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Duration, Headers, Problems, optional};
use crate::exporters::helper::config::{Queue, Retry, check_timeout};
use crate::net::address::HostPort;
use crate::net::compression::Algorithm;
use crate::net::connect::Target;
use crate::net::tls;

/// The whole section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `host:port`, with or without a scheme, or `unix:///path`.
    pub endpoint: String,
    /// TLS; on by default.
    pub tls: tls::Client,
    compression: String,
    /// Sent with every request.
    pub headers: Headers,
    /// Of one attempt; 0 is none.
    pub timeout: Duration,
    /// Pings.
    #[serde(deserialize_with = "optional::unless_given")]
    pub keepalive: Option<Keepalive>,
    read_buffer_size: i64,
    write_buffer_size: i64,
    wait_for_ready: bool,
    balancer_name: String,
    authority: String,
    /// Instead of the default one.
    pub user_agent: String,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
    /// Further attempts.
    pub retry_on_failure: Retry,
    /// The queue.
    #[serde(deserialize_with = "optional::given")]
    pub sending_queue: Option<Queue>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            tls: tls::Client::default(),
            compression: "gzip".to_owned(),
            headers: Headers::default(),
            timeout: Duration::from_secs(5),
            keepalive: None,
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
            wait_for_ready: false,
            balancer_name: "round_robin".to_owned(),
            authority: String::new(),
            user_agent: String::new(),
            auth: None,
            middlewares: None,
            retry_on_failure: Retry::default(),
            sending_queue: Some(Queue::default()),
        }
    }
}

/// `keepalive` of a gRPC client.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// A ping after this long of silence.
    pub time: Duration,
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// Also while no request is under way.
    pub permit_without_stream: bool,
}

impl Default for Keepalive {
    fn default() -> Self {
        let (time, timeout) = (Duration::from_secs(10), Duration::from_secs(10));
        Self { time, timeout, permit_without_stream: false }
    }
}

/// Where to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub target: Target,
    /// `https://`: TLS whatever `tls::insecure` says.
    pub https: bool,
}

impl Endpoint {
    /// Reads every form that upstream takes.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("requires a non-empty \"endpoint\"".to_owned());
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("unix socket path cannot be empty".to_owned());
            }
            return Ok(Self { target: Target::Unix(path.into()), https: false });
        }
        let (https, address) = match text.split_once("://") {
            None => (false, text),
            Some(("http", address)) => (false, address),
            Some(("https", address)) => (true, address),
            // `dns:///host:port`; a DNS server of one's own choice is beyond the system's resolver.
            Some(("dns" | "passthrough", rest)) => match rest.strip_prefix('/') {
                Some(address) => (false, address),
                None => return Err(format!("a resolver authority is not supported: {text:?}")),
            },
            Some((scheme, _)) => return Err(format!("the resolver scheme {scheme:?} is not supported")),
        };
        let address = HostPort::parse(address.trim_end_matches('/')).map_err(|error| error.to_string())?;
        Ok(Self { target: Target::Tcp(address), https })
    }
}

impl Config {
    /// The section of a reader of own metrics, which has no queue and no retries.
    pub(crate) fn of_reader(
        endpoint: String,
        tls: tls::Client,
        compression: &str,
        headers: Headers,
        timeout: Duration,
    ) -> Self {
        let compression = compression.to_owned();
        Self { endpoint, tls, compression, headers, timeout, sending_queue: None, ..Self::default() }
    }

    /// The compression, if any.
    pub fn compression(&self) -> Result<Option<Algorithm>, String> {
        match self.compression.as_str() {
            "" | "none" => Ok(None),
            "gzip" => Ok(Some(Algorithm::Gzip)),
            // What grpc calls snappy in the collector is the framed form.
            "snappy" => Ok(Some(Algorithm::SnappyFramed)),
            "zstd" => Ok(Some(Algorithm::Zstd)),
            other => Err(format!("unsupported compression type {other:?}")),
        }
    }

    /// What goes into `:authority` and `:scheme`.
    pub fn origin(&self, endpoint: &Endpoint) -> Result<Uri, String> {
        let scheme = if self.uses_tls(endpoint) { "https" } else { "http" };
        let authority = match (&endpoint.target, self.authority.as_str()) {
            (Target::Tcp(address), "") => address.to_string(),
            (Target::Unix(_), "") => "localhost".to_owned(),
            (_, authority) => authority.to_owned(),
        };
        format!("{scheme}://{authority}").parse().map_err(|error| format!("invalid authority: {error}"))
    }

    /// True if requests go to all addresses of the name in turn. An address or a socket is one anyway.
    #[must_use]
    pub fn balances(&self, endpoint: &Endpoint) -> bool {
        let named = matches!(&endpoint.target, Target::Tcp(address) if address.host.parse::<IpAddr>().is_err());
        named && self.balancer_name != "pick_first"
    }

    /// True unless plain text was asked for.
    #[must_use]
    pub fn uses_tls(&self, endpoint: &Endpoint) -> bool {
        endpoint.https || !self.tls.is_plain()
    }

    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        match Endpoint::parse(&self.endpoint) {
            Err(error) => problems.add(path, error),
            Ok(endpoint) => {
                if let Err(error) = self.origin(&endpoint) {
                    problems.add(format!("{path}::authority"), error);
                }
            }
        }
        if let Err(error) = self.compression() {
            problems.add(path, error);
        }
        self.tls.check(&format!("{path}::tls"), problems);
        for (name, value) in &self.headers.0 {
            let binary = name.ends_with("-bin");
            if binary
                || HeaderName::from_bytes(name.as_bytes()).is_err()
                || HeaderValue::from_str(value.reveal()).is_err()
            {
                problems.add(format!("{path}::headers::{name}"), "not a valid text header");
            }
        }
        if HeaderValue::from_str(&self.user_agent).is_err() {
            problems.add(format!("{path}::user_agent"), "not a valid header value");
        }
        check_timeout(self.timeout, path, problems);
        self.retry_on_failure.check(&format!("{path}::retry_on_failure"), problems);
        if let Some(queue) = &self.sending_queue {
            queue.check(&format!("{path}::sending_queue"), problems);
        }
        if !matches!(self.balancer_name.as_str(), "" | "round_robin" | "pick_first") {
            problems.add(path, format!("invalid balancer_name: {}", self.balancer_name));
        }
        if self.read_buffer_size < 0 || self.write_buffer_size < 0 {
            problems.add(path, "buffer sizes must not be negative");
        }
        if let Some(keepalive) = &self.keepalive
            && (keepalive.time.is_negative() || keepalive.timeout.is_negative())
        {
            problems.add(format!("{path}::keepalive"), "must not be negative");
        }
        let unsupported = [
            ("auth", self.auth.is_some(), "client authentication extensions are not supported: use headers"),
            ("middlewares", self.middlewares.is_some(), "middlewares are not supported"),
            ("wait_for_ready", self.wait_for_ready, "wait_for_ready is not supported: failed attempts are retried"),
        ];
        for (key, given, message) in unsupported {
            if given {
                problems.add(format!("{path}::{key}"), message);
            }
        }
    }
}
