//! Serving the page: `GET /metrics`, in the form the client asks for; `name[]` selects families. Anything else is 404.

use std::sync::Arc;

use bytes::Bytes;
use component::Clock;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::Shared;
use super::negotiate::{Negotiated, negotiate, takes_gzip};
use super::{protobuf, text};
use crate::net::compression::Algorithm;
use crate::net::serve::{Answer, Handler, Reply};

/// Answers scrapes.
pub(super) struct Page {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) open_metrics: bool,
    pub(super) response_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Page {
    /// The body, and whether it is compressed. Takes milliseconds for thousands of series.
    fn render(&self, form: Negotiated, names: &[String], gzip: bool) -> (Bytes, bool) {
        let mut families = {
            let mut store = self.shared.store();
            store.expire(self.clock.monotonic());
            store.families()
        };
        self.shared.update_size();
        if !names.is_empty() {
            families.retain(|family| names.contains(&family.name));
        }
        let page = match form.syntax() {
            Some(syntax) => Bytes::from(text::write(&families, syntax, form.escaping)),
            None => Bytes::from(protobuf::write(&families, form.escaping)),
        };
        drop(families);
        // Writing to memory cannot fail; if it did, the page as it is would do.
        match gzip.then(|| Algorithm::Gzip.encode(std::slice::from_ref(&page), None)) {
            Some(Ok(packed)) => (packed, true),
            _ => (page, false),
        }
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        if request.uri().path() != "/metrics" {
            return not_found();
        }
        let form = negotiate(request.headers(), self.open_metrics);
        let gzip = takes_gzip(request.headers());
        let names = selected(request.uri().query().unwrap_or_default());
        let rendering = tokio::task::spawn_blocking({
            let page = Arc::clone(&self);
            move || page.render(form, &names, gzip)
        });
        let Ok((body, packed)) = rendering.await else {
            // The task panicked or the runtime ends: both are worth an answer that is no page.
            let mut response = Response::new(Reply::data(Bytes::from_static(b"the page could not be made\n")));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        };
        let mut response = Response::new(Reply::data(body));
        let headers = response.headers_mut();
        if let Ok(content_type) = HeaderValue::from_str(&form.content_type()) {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl Handler for Page {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let mut response = Arc::clone(&self).respond(request).await;
            for (name, value) in &self.response_headers {
                response.headers_mut().insert(name.clone(), value.clone());
            }
            response
        })
    }
}

fn not_found() -> Response<Reply> {
    let mut response = Response::new(Reply::data(Bytes::from_static(b"404 page not found\n")));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Values of `name[]` in a query.
fn selected(query: &str) -> Vec<String> {
    let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| decoded(key) == "name[]")
        .map(|(_, value)| decoded(value))
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = &tail[2..];
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::selected;

    #[test]
    fn names_are_decoded() {
        assert_eq!(selected("name[]=up&x=1&name%5B%5D=a%2Eb+c%"), ["up", "a.b c%"]);
        assert!(selected("").is_empty());
    }
}
