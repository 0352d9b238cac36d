//! OTLP over HTTP: protobuf or JSON, with every encoding that upstream decodes.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use component::Code;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::cors::Cors;
use super::intake::Intake;
use crate::net::body::{self, BodyError};
use crate::net::compression::Algorithm;
use crate::net::serve::{Answer, Handler, Peer, Reply};
use crate::net::status::Status;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

pub(super) struct Service {
    pub(super) intake: Intake,
    pub(super) traces_path: String,
    pub(super) metrics_path: String,
    pub(super) max_body: usize,
    /// Names that are decoded; none are all. An empty list decodes nothing and looks at no header.
    pub(super) encodings: Option<Vec<String>>,
    pub(super) read_timeout: Option<std::time::Duration>,
    pub(super) response_headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) cors: Option<Cors>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Protobuf,
}

#[derive(Clone, Copy)]
enum Call {
    Traces,
    Metrics,
}

/// A refusal: a status, and whether the connection has to be closed because its body was not read.
struct Refusal {
    status: Status,
    http: StatusCode,
    close: bool,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { http: status.http(), status, close: false }
    }
}

fn bad_request(message: impl Into<String>) -> Refusal {
    Status::new(Code::InvalidArgument, message).into()
}

impl Handler for Service {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let origin = match &self.cors {
                None => HeaderMap::new(),
                Some(cors) => match cors.preflight(request.method(), request.headers()) {
                    Some(answer) => return answer,
                    None => cors.headers(request.headers()),
                },
            };
            let mut response = self.respond(request).await;
            response.headers_mut().extend(origin);
            for (name, value) in &self.response_headers {
                response.headers_mut().insert(name.clone(), value.clone());
            }
            response
        })
    }
}

impl Service {
    async fn respond(&self, request: Request<Incoming>) -> Response<Reply> {
        let path = request.uri().path();
        let call = if self.intake.takes_traces() && path == self.traces_path {
            Call::Traces
        } else if self.intake.takes_metrics() && path == self.metrics_path {
            Call::Metrics
        } else {
            return plain(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        let form = form(request.headers());
        // Decoding comes before the method and the type are looked at, as upstream's order of handlers has it.
        let encoding = match self.encoding(request.headers()) {
            Ok(encoding) => encoding,
            Err(refusal) => return refuse(&refusal, form.unwrap_or(Form::Json)),
        };
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
        }
        let Some(form) = form else {
            return plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "415 unsupported media type, supported: [application/json, application/x-protobuf]",
            );
        };
        let peer = Peer::of(&request);
        match self.call(call, form, encoding, peer, request.into_body()).await {
            Ok(()) => succeed(form),
            Err(refusal) => refuse(&refusal, form),
        }
    }

    async fn call(
        &self,
        call: Call,
        form: Form,
        encoding: Option<Algorithm>,
        peer: Option<IpAddr>,
        body: Incoming,
    ) -> Result<(), Refusal> {
        let body = self.read(body, encoding).await?;
        let message = match (form, call) {
            (Form::Protobuf, _) => body,
            (Form::Json, Call::Traces) => transcoded(pdata::json::traces_from_json(&body))?,
            (Form::Json, Call::Metrics) => transcoded(pdata::json::metrics_from_json(&body))?,
        };
        match call {
            Call::Traces => self.intake.traces(message, peer).await?,
            Call::Metrics => self.intake.metrics(message, peer).await?,
        }
        Ok(())
    }

    async fn read(&self, body: Incoming, encoding: Option<Algorithm>) -> Result<Bytes, Refusal> {
        let reading = body::collect(body, self.max_body);
        let read = match self.read_timeout {
            None => reading.await,
            Some(limit) => tokio::time::timeout(limit, reading)
                .await
                .map_err(|_| Refusal { close: true, ..bad_request("the request's body did not arrive in time") })?,
        };
        let packed = read.map_err(|error| Refusal {
            close: matches!(error, BodyError::TooLarge),
            ..bad_request(error.to_string())
        })?;
        match encoding {
            None => Ok(packed),
            Some(algorithm) => algorithm.decode(&packed, self.max_body).map_err(|error| bad_request(error.to_string())),
        }
    }

    fn encoding(&self, headers: &HeaderMap) -> Result<Option<Algorithm>, Refusal> {
        let name = headers.get(CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
        let enabled = |name: &str| match &self.encodings {
            None => true,
            Some(list) => list.iter().any(|enabled| enabled == name),
        };
        if name.is_empty() || self.encodings.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(name);
        match Algorithm::by_name(&text) {
            Some(algorithm) if enabled(&text) => Ok(Some(algorithm)),
            _ => Err(bad_request(format!("unsupported Content-Encoding: {text}"))),
        }
    }
}

fn transcoded(outcome: Result<Vec<u8>, pdata::json::JsonError>) -> Result<Bytes, Refusal> {
    outcome.map(Bytes::from).map_err(|error| bad_request(error.to_string()))
}

/// The content type without its parameters.
fn form(headers: &HeaderMap) -> Option<Form> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = text.split(';').next()?.trim();
    if kind.eq_ignore_ascii_case(PROTOBUF) {
        Some(Form::Protobuf)
    } else if kind.eq_ignore_ascii_case(JSON) {
        Some(Form::Json)
    } else {
        None
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::data(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn typed(form: Form, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::data(body));
    let kind = match form {
        Form::Json => JSON,
        Form::Protobuf => PROTOBUF,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn succeed(form: Form) -> Response<Reply> {
    typed(
        form,
        match form {
            Form::Json => Bytes::from_static(b"{\"partialSuccess\":{}}"),
            Form::Protobuf => Bytes::new(),
        },
    )
}

fn refuse(refusal: &Refusal, form: Form) -> Response<Reply> {
    let body = match form {
        Form::Json => refusal.status.to_json().into(),
        Form::Protobuf => refusal.status.to_protobuf().into(),
    };
    let mut response = typed(form, body);
    *response.status_mut() = refusal.http;
    let delayed = matches!(refusal.http, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(delay) = refusal.status.retry_after.filter(|_| delayed) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    if refusal.close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
