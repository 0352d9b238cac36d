//! OTLP over gRPC.

use std::sync::Arc;

use bytes::Bytes;
use component::Code;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::intake::Intake;
use crate::net::grpc;
use crate::net::serve::{Answer, Handler, Peer, Reply};
use crate::net::status::{GRPC_STATUS, Status};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// An empty message: a response without partial success.
const EMPTY: &[u8] = &[0; 5];

pub(super) struct Service {
    pub(super) intake: Intake,
    pub(super) max_message: usize,
}

#[derive(Clone, Copy)]
enum Call {
    Traces,
    Metrics,
}

impl Handler for Service {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            if let Some(refusal) = not_grpc(&request) {
                return refusal;
            }
            match self.call(request).await {
                Ok(()) => succeed(),
                Err(status) => fail(&status),
            }
        })
    }
}

impl Service {
    async fn call(&self, request: Request<Incoming>) -> Result<(), Status> {
        let call = self.route(request.uri().path())?;
        let peer = Peer::of(&request);
        let (head, mut body) = request.into_parts();
        let encoding = grpc::encoding(head.headers.get(GRPC_ENCODING))?;
        let work = async {
            let message = grpc::read_message(&mut body, encoding, self.max_message).await?;
            // A client that closes without a message has made no call.
            let message = message.ok_or_else(|| Status::new(Code::Internal, "EOF"))?;
            match call {
                Call::Traces => self.intake.traces(message, peer).await,
                Call::Metrics => self.intake.metrics(message, peer).await,
            }
        };
        match head.headers.get(GRPC_TIMEOUT).and_then(grpc::timeout) {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "context deadline exceeded"))),
        }
    }

    /// Only services of signals that a pipeline uses exist, as upstream.
    fn route(&self, path: &str) -> Result<Call, Status> {
        match path {
            TRACES if self.intake.takes_traces() => return Ok(Call::Traces),
            METRICS if self.intake.takes_metrics() => return Ok(Call::Metrics),
            _ => {}
        }
        let unimplemented = |message: String| Err(Status::new(Code::Unimplemented, message));
        let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) else {
            return unimplemented(format!("malformed method name: {path:?}"));
        };
        let known = |call: &str, used| {
            used && call.get(1..).and_then(|call| call.rsplit_once('/')).map(|call| call.0) == Some(service)
        };
        if known(TRACES, self.intake.takes_traces()) || known(METRICS, self.intake.takes_metrics()) {
            return unimplemented(format!("unknown method {method} for service {service}"));
        }
        unimplemented(format!("unknown service {service}"))
    }
}

/// What grpc-go answers to requests that are not gRPC.
fn not_grpc(request: &Request<Incoming>) -> Option<Response<Reply>> {
    if request.method() != Method::POST {
        let mut response = Response::new(Reply::data(Bytes::from_static(b"gRPC requires the POST method")));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Some(response);
    }
    let content_type = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let rest = content_type.strip_prefix(b"application/grpc");
    if rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'+' || rest[0] == b';') {
        return None;
    }
    let text = format!("invalid gRPC request content-type {:?}", String::from_utf8_lossy(content_type));
    let mut response = Response::new(Reply::data(text.into()));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

fn succeed() -> Response<Reply> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::with_trailers(Bytes::from_static(EMPTY), trailers));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// Trailers only: the status is in the one header block.
fn fail(status: &Status) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.headers_mut() = status.to_trailers();
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}
