//! The listener's side: two unary gRPC methods.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ::peers::Refusal;
use bytes::Bytes;
use component::Code;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::super::processor::Shared;
use super::{HAND_OVER, MAX_HAND_OVER, MAX_MESSAGE, PATH, wire};
use crate::net::grpc;
use crate::net::serve::{Answer, Handler, Reply};
use crate::net::status::{GRPC_STATUS, Status};

/// How long a message may take to arrive; senders give up before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the others until the processor is gone.
pub(super) struct Service(pub(super) Weak<Shared>);

impl Handler for Service {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            if request.method() != Method::POST {
                let mut response = Response::new(Reply::data(Bytes::from_static(b"gRPC requires the POST method")));
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                return response;
            }
            match self.call(request).await {
                Ok(frame) => success(frame),
                Err(status) => {
                    let mut response = Response::new(Reply::default());
                    *response.headers_mut() = status.to_trailers();
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                    response
                }
            }
        })
    }
}

impl Service {
    /// A frame.
    async fn call(&self, request: Request<Incoming>) -> Result<Bytes, Status> {
        let (hands_over, max) = match request.uri().path() {
            PATH => (false, MAX_MESSAGE),
            HAND_OVER => (true, MAX_HAND_OVER),
            _ => return Err(Status::new(Code::Unimplemented, "unknown method")),
        };
        let shared = self.0.upgrade().ok_or_else(|| Status::new(Code::Unavailable, "this instance stops"))?;
        // Large messages are read a few at a time, whoever sends how many.
        let turn = shared.peers.as_ref().filter(|_| hands_over).map(|peers| peers.taking_over.acquire());
        let _turn = match turn {
            Some(turn) => turn.await.ok(),
            None => None,
        };
        let mut body = request.into_body();
        let read = tokio::time::timeout(PATIENCE, grpc::read_message(&mut body, None, max)).await;
        let message = read.map_err(|_| Status::new(Code::DeadlineExceeded, "the message does not end"))??;
        let message = message.ok_or_else(|| Status::new(Code::Internal, "EOF"))?;
        if hands_over {
            shared.take_over(&message).await.map(|taken| wire::frame(&taken))
        } else {
            shared.answer(&message)
        }
    }
}

fn success(frame: Bytes) -> Response<Reply> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Reply::with_trailers(frame, trailers));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A refusal as a status. Only a member that is not known yet is worth a line at this side.
pub(super) fn refused(refusal: Refusal, from: &str) -> Status {
    let code = match refusal {
        Refusal::Unknown => Code::NotFound,
        Refusal::Incompatible => Code::FailedPrecondition,
        Refusal::Stale => Code::Aborted,
    };
    tracing::debug!(from, %refusal, "tail_sampling has refused a peer");
    Status::new(code, refusal.to_string())
}

/// A status as a refusal, at the other side.
pub(super) fn refusal(code: Code) -> Option<Refusal> {
    match code {
        Code::NotFound => Some(Refusal::Unknown),
        Code::FailedPrecondition => Some(Refusal::Incompatible),
        Code::Aborted => Some(Refusal::Stale),
        _ => None,
    }
}
