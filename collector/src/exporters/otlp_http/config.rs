//! The `otlp_http` exporter's section.

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use serde::de::IgnoredAny;

use component::Signal;

use crate::config::{Duration, Headers, Problems, optional};
use crate::exporters::helper::config::{Queue, Retry, check_timeout};
use crate::net::compression::Algorithm;
use crate::net::tls;

/// How messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// OTLP/JSON.
    Json,
}

/// The whole section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Base URL; the signal's path is added.
    endpoint: String,
    traces_endpoint: String,
    metrics_endpoint: String,
    // Logs and profiles are refused before these could matter.
    logs_endpoint: String,
    profiles_endpoint: String,
    /// How messages are written.
    pub encoding: Encoding,
    /// TLS for `https` URLs.
    pub tls: tls::Client,
    compression: String,
    compression_params: CompressionParams,
    /// Sent with every request.
    pub headers: Headers,
    /// Of one attempt; 0 is none.
    pub timeout: Duration,
    // Go's own buffers: no counterpart, and no influence on what is sent.
    read_buffer_size: i64,
    write_buffer_size: i64,
    proxy_url: String,
    cookies: Option<IgnoredAny>,
    auth: Option<IgnoredAny>,
    middlewares: Option<IgnoredAny>,
    max_conns_per_host: i64,
    /// HTTP/2 where TLS negotiates it.
    pub force_attempt_http2: bool,
    disable_keep_alives: bool,
    #[serde(deserialize_with = "optional::given")]
    keepalive: Option<Keepalive>,
    /// Further attempts.
    pub retry_on_failure: Retry,
    /// The queue.
    #[serde(deserialize_with = "optional::given")]
    pub sending_queue: Option<Queue>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CompressionParams {
    level: Option<i32>,
}

/// `keepalive`: idle connections; `enabled: false` makes it `None`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keepalive {
    idle_conn_timeout: Duration,
    max_idle_conns: usize,
    max_idle_conns_per_host: usize,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle_conn_timeout: Duration::from_secs(90), max_idle_conns: 100, max_idle_conns_per_host: 0 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            traces_endpoint: String::new(),
            metrics_endpoint: String::new(),
            logs_endpoint: String::new(),
            profiles_endpoint: String::new(),
            encoding: Encoding::Proto,
            tls: tls::Client::default(),
            compression: "gzip".to_owned(),
            compression_params: CompressionParams::default(),
            headers: Headers::default(),
            timeout: Duration::from_secs(30),
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
            proxy_url: String::new(),
            cookies: None,
            auth: None,
            middlewares: None,
            max_conns_per_host: 0,
            force_attempt_http2: true,
            disable_keep_alives: false,
            keepalive: Some(Keepalive::default()),
            retry_on_failure: Retry::default(),
            sending_queue: Some(Queue::default()),
        }
    }
}

/// Idle connections that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// For how long; `None` is for ever.
    pub timeout: Option<std::time::Duration>,
    /// How many.
    pub connections: usize,
}

impl Config {
    /// The section of a reader of own metrics, which has no queue and no retries. A URL with a path is used as it is.
    pub(crate) fn of_reader(
        endpoint: &str,
        tls: tls::Client,
        compression: &str,
        headers: Headers,
        timeout: Duration,
    ) -> Self {
        let (endpoint, compression) = (endpoint.to_owned(), compression.to_owned());
        let has_path = endpoint.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        let (endpoint, metrics_endpoint) = if has_path { (String::new(), endpoint) } else { (endpoint, String::new()) };
        let common = Self { tls, compression, headers, timeout, sending_queue: None, ..Self::default() };
        Self { endpoint, metrics_endpoint, ..common }
    }

    /// The URL of a signal.
    pub fn url(&self, signal: Signal) -> Result<Uri, String> {
        let (own, path) = match signal {
            Signal::Traces => (&self.traces_endpoint, "v1/traces"),
            Signal::Metrics => (&self.metrics_endpoint, "v1/metrics"),
            Signal::Logs => (&self.logs_endpoint, "v1/logs"),
        };
        let text = match (own.as_str(), self.endpoint.as_str()) {
            ("", "") => return Err(format!("either endpoint or {signal}_endpoint must be specified")),
            ("", base) => format!("{}/{path}", base.strip_suffix('/').unwrap_or(base)),
            (own, _) => own.to_owned(),
        };
        let url: Uri = text.parse().map_err(|error| format!("endpoint must be a valid URL: {text:?}: {error}"))?;
        match (url.scheme_str(), url.host()) {
            (Some("http" | "https"), Some(_)) => Ok(url),
            _ => Err(format!("endpoint must be a valid URL: {text:?}: the scheme must be http or https")),
        }
    }

    /// The compression and its level.
    pub fn compression(&self) -> Result<Option<(Algorithm, Option<i32>)>, String> {
        let algorithm = match self.compression.as_str() {
            "" | "none" => return Ok(None),
            name => Algorithm::by_name(name).ok_or_else(|| format!("unsupported compression type {name:?}"))?,
        };
        let level = match (algorithm, self.compression_params.level) {
            (_, None | Some(0)) => None,
            (Algorithm::Gzip | Algorithm::Zlib, Some(-1)) => None,
            (Algorithm::Gzip | Algorithm::Zlib, Some(level @ 1..=9)) => Some(level),
            (Algorithm::Zstd, Some(level @ 1..=22)) => Some(level),
            (_, Some(level)) => {
                return Err(format!(
                    "unsupported parameters {{Level:{level}}} for compression type {:?}",
                    self.compression
                ));
            }
        };
        Ok(Some((algorithm, level)))
    }

    /// The name for `Content-Encoding`: as configured.
    #[must_use]
    pub fn content_encoding(&self) -> &str {
        &self.compression
    }

    /// Idle connections; `None` closes each after its request.
    #[must_use]
    pub fn idle(&self) -> Option<Idle> {
        let keepalive = self.keepalive.as_ref().filter(|_| !self.disable_keep_alives)?;
        let limit = |count: usize| if count == 0 { usize::MAX } else { count };
        let connections = limit(keepalive.max_idle_conns).min(limit(keepalive.max_idle_conns_per_host));
        Some(Idle { timeout: keepalive.idle_conn_timeout.positive(), connections })
    }

    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        let endpoints = [
            &self.endpoint,
            &self.traces_endpoint,
            &self.metrics_endpoint,
            &self.logs_endpoint,
            &self.profiles_endpoint,
        ];
        if endpoints.iter().all(|endpoint| endpoint.is_empty()) {
            problems.add(path, "at least one endpoint must be specified");
        }
        for (signal, own) in [(Signal::Traces, &self.traces_endpoint), (Signal::Metrics, &self.metrics_endpoint)] {
            if !(own.is_empty() && self.endpoint.is_empty())
                && let Err(error) = self.url(signal)
            {
                problems.add(path, error);
            }
        }
        if let Err(error) = self.compression() {
            problems.add(path, error);
        }
        self.tls.check(&format!("{path}::tls"), problems);
        for (name, value) in &self.headers.0 {
            if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(value.reveal()).is_err() {
                problems.add(format!("{path}::headers::{name}"), "not a valid header");
            }
        }
        check_timeout(self.timeout, path, problems);
        self.retry_on_failure.check(&format!("{path}::retry_on_failure"), problems);
        if let Some(queue) = &self.sending_queue {
            queue.check(&format!("{path}::sending_queue"), problems);
        }
        if self.read_buffer_size < 0 || self.write_buffer_size < 0 {
            problems.add(path, "buffer sizes must not be negative");
        }
        for (key, given) in [
            ("proxy_url", !self.proxy_url.is_empty()),
            ("cookies", self.cookies.is_some()),
            ("auth", self.auth.is_some()),
            ("middlewares", self.middlewares.is_some()),
            ("max_conns_per_host", self.max_conns_per_host != 0),
        ] {
            if given {
                problems.add(format!("{path}::{key}"), format!("{key} is not supported"));
            }
        }
    }
}
