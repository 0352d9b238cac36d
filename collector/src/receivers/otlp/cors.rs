//! Cross-origin requests of browsers, as rs/cors answers them for the collector: credentials allowed, any of the
//! methods that OTLP/HTTP has.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::net::http_server;
use crate::net::serve::Reply;

/// Headers that are always allowed, beside those that no preflight asks for.
const SIMPLE: [&str; 3] = ["accept", "content-type", "x-requested-with"];

pub(super) struct Cors {
    config: http_server::Cors,
}

impl Cors {
    /// Nothing without origins: upstream ignores headers then.
    pub(super) fn new(config: &http_server::Cors) -> Option<Self> {
        if config.allowed_origins.is_empty() {
            if !config.allowed_headers.is_empty() {
                tracing::warn!(
                    "The CORS configuration specifies allowed headers but no allowed origins, and is therefore ignored."
                );
            }
            return None;
        }
        Some(Self { config: config.clone() })
    }

    /// The answer to a preflight request; nothing for other requests.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Reply>> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Reply::data(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let out = response.headers_mut();
        out.insert(
            VARY,
            HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        );
        let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD).map_or(&b""[..], HeaderValue::as_bytes);
        let wanted = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(origin) = self.origin(headers)
            && matches!(asked, b"GET" | b"POST" | b"HEAD")
            && wanted.is_none_or(|wanted| self.allows_headers(wanted))
        {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            out.extend(
                headers.get(ACCESS_CONTROL_REQUEST_METHOD).map(|asked| (ACCESS_CONTROL_ALLOW_METHODS, asked.clone())),
            );
            out.extend(wanted.map(|wanted| (ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone())));
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            if self.config.max_age > 0 {
                out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.config.max_age));
            }
        }
        Some(response)
    }

    /// Headers to add to the answer of an ordinary request.
    pub(super) fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut out = HeaderMap::new();
        out.insert(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.origin(headers) {
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if let Ok(exposed) = HeaderValue::from_str(&self.config.exposed_headers.join(", "))
                && !exposed.is_empty()
            {
                out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            }
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        out
    }

    fn origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        let allowed = self.config.allowed_origins.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &text));
        Some(origin).filter(|_| allowed)
    }

    fn allows_headers(&self, wanted: &HeaderValue) -> bool {
        let Ok(wanted) = wanted.to_str() else { return false };
        wanted.split(',').map(str::trim).all(|name| {
            SIMPLE.iter().any(|simple| name.eq_ignore_ascii_case(simple))
                || self
                    .config
                    .allowed_headers
                    .iter()
                    .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(name))
        })
    }
}

/// One `*` stands for any text, as in rs/cors.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail),
    }
}
