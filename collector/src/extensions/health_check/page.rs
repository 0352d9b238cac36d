//! The page: 200 or 503, in upstream's JSON or in the configured texts. Any method.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use component::Clock;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::config::ResponseBody;
use crate::config;
use crate::health::Health;
use crate::net::serve::{Answer, Handler, Reply};

/// Answers probes.
pub(super) struct Page {
    pub(super) path: String,
    pub(super) body: Option<ResponseBody>,
    pub(super) stuck_after: Duration,
    pub(super) response_headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) health: Health,
    pub(super) clock: Arc<dyn Clock>,
    /// Wall clock and monotonic nanoseconds of the moment when all pipelines had started; `None` before and after.
    pub(super) ready: Mutex<Option<(u64, Duration)>>,
    /// What the last probe found, so that only the change is logged and not each probe.
    pub(super) broken: AtomicBool,
}

enum Probe {
    Readiness,
    Liveness,
}

impl Page {
    /// All pipelines have started, or begin to stop.
    pub(super) fn set_ready(&self, ready: bool) {
        let since = ready.then(|| (self.clock.unix_nano(), self.clock.monotonic()));
        let mut known = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() && since.is_none() {
            return;
        }
        *known = since;
        drop(known);
        tracing::info!(status = if ready { "ready" } else { "unavailable" }, "Health Check state change");
    }

    fn probe(&self, path: &str) -> Option<Probe> {
        match path {
            "/livez" => Some(Probe::Liveness),
            "/readyz" => Some(Probe::Readiness),
            // As Go's ServeMux.
            _ if path == self.path || (self.path.ends_with('/') && path.starts_with(&self.path)) => {
                Some(Probe::Readiness)
            }
            _ => None,
        }
    }

    fn complaints(&self) -> Vec<String> {
        let complaints = self.health.complaints(self.clock.monotonic(), self.stuck_after);
        let broken = !complaints.is_empty();
        if self.broken.swap(broken, Ordering::Relaxed) != broken && broken {
            tracing::error!(reasons = complaints.join("; "), "The health check answers that the collector is broken");
        }
        complaints
    }

    fn respond(&self, path: &str) -> Response<Reply> {
        let Some(probe) = self.probe(path) else {
            let mut response = Response::new(Reply::data(Bytes::from_static(b"404 page not found\n")));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        };
        let complaints = self.complaints();
        let since = *self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let healthy = complaints.is_empty() && (since.is_some() || matches!(probe, Probe::Liveness));
        let mut response = Response::new(Reply::default());
        *response.status_mut() = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let text = match &self.body {
            Some(body) if healthy => body.healthy.clone(),
            Some(body) => body.unhealthy.clone(),
            None => {
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.json(healthy, since, &complaints)
            }
        };
        *response.body_mut() = Reply::data(text.into());
        response
    }

    /// Upstream's object; `reasons` is there only if something is broken.
    fn json(&self, healthy: bool, since: Option<(u64, Duration)>, complaints: &[String]) -> String {
        let status = if healthy { "Server available" } else { "Server not available" };
        let (up_since, uptime) = match since {
            Some((unix_nano, monotonic)) if healthy => {
                let up = self.clock.monotonic().saturating_sub(monotonic);
                (
                    rfc3339(unix_nano),
                    config::Duration::from_nanos(i64::try_from(up.as_nanos()).unwrap_or(i64::MAX)).to_string(),
                )
            }
            _ => ("0001-01-01T00:00:00Z".to_owned(), String::new()),
        };
        let mut object = serde_json::json!({ "status": status, "upSince": up_since, "uptime": uptime });
        if !complaints.is_empty() {
            object["reasons"] = complaints.into();
        }
        object.to_string()
    }
}

/// As Go's JSON: fractional digits only as far as they are not 0.
fn rfc3339(unix_nano: u64) -> String {
    let nano = i64::try_from(unix_nano).unwrap_or(i64::MAX);
    let text = chrono::DateTime::from_timestamp_nanos(nano).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let digits = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{digits}Z")
}

impl Handler for Page {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let mut response = self.respond(request.uri().path());
            for (name, value) in &self.response_headers {
                response.headers_mut().insert(name.clone(), value.clone());
            }
            response
        })
    }
}
