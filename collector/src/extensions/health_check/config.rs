//! The `health_check` section: contrib's keys, and `stuck_after`.

use std::time::Duration as Span;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Duration, Problems};
use crate::net::http_server::{Defaults, Served};

/// The section; the server is where the page is.
pub type Config = Served<Own>;

/// Of the server's section.
pub(super) const DEFAULTS: Defaults = Defaults {
    endpoint: "localhost:13133",
    read_header_timeout: Span::ZERO,
    idle_timeout: Span::ZERO,
    keep_alives: false,
    has_bodies: false,
};

/// The extension's own keys.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Own {
    /// Where the page is. As with Go's ServeMux a path that ends in `/` stands for all below it.
    pub path: String,
    /// Fixed texts instead of the JSON answer.
    pub response_body: Option<ResponseBody>,
    // Inert upstream since the collector lost its view data.
    check_collector_pipeline: Option<IgnoredAny>,
    /// How long a pipeline may hold batches without any coming out before it counts as stuck; zero is for ever.
    pub stuck_after: Duration,
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

impl Default for Own {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            response_body: None,
            check_collector_pipeline: None,
            // Twice the 5 minutes that exporters retry by default.
            stuck_after: Duration::from_secs(600),
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
        let Self { own, server } = self;
        if server.endpoint(&DEFAULTS).is_empty() {
            problems.add(format!("{path}::endpoint"), "http endpoint required");
        } else if let Err(error) = server.place(&DEFAULTS) {
            problems.add(format!("{path}::endpoint"), error);
        }
        if !own.path.starts_with('/') {
            problems.add(format!("{path}::path"), "path must start with /");
        }
        if own.stuck_after.is_negative() {
            problems.add(format!("{path}::stuck_after"), "must not be negative");
        }
        server.check(path, problems);
        server.refuse_cors(path, problems);
        for (key, given) in [
            ("use_v2", own.use_v2),
            ("http", own.http.is_some()),
            ("grpc", own.grpc.is_some()),
            ("component_health", own.component_health.is_some()),
        ] {
            if given {
                problems.add(format!("{path}::{key}"), V2);
            }
        }
    }
}
