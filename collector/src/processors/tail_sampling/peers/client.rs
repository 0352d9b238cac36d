//! The asking side: one connection to each member, and unary gRPC calls over it.
//!
//! On HTTP/2 itself: a call is one write, its headers and its message together, where a client for bodies that come in
//! pieces writes the headers first, and needs tasks of its own. Nothing keeps an idle connection alive or asks whether the other
//! side still is: there is a call each tick, and one that is not answered in time ends its connection.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use component::Code;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{MAX_MESSAGE, lock};
use crate::net::connect::Connector;
use crate::net::status::{self, GRPC_MESSAGE, GRPC_STATUS};

/// An answer is one frame as a rule, and does not wait for its reader.
const MAX_FRAME: u32 = 1 << 20;
const WINDOW: u32 = 16 << 20;

/// Room that is made for an answer in pieces which says that it is so long.
const EXPECTED_MESSAGE: usize = 1 << 20;

/// What went wrong, with the other side's code if it answered.
pub(super) type Failure = (Option<Code>, String);

/// A member, and the connection to it once there is one.
pub(super) struct Client {
    connector: Connector,
    /// Taken by a call, and put back when that is answered: who is not answered in time takes its connection along.
    connection: Mutex<Option<SendRequest<Bytes>>>,
    tasks: TaskTracker,
    stop: watch::Receiver<bool>,
}

impl Client {
    /// Connects when first called. Connections are driven by `tasks`, and end when `stop` becomes true.
    pub(super) fn new(connector: Connector, tasks: TaskTracker, stop: watch::Receiver<bool>) -> Self {
        Self { connector, connection: Mutex::default(), tasks, stop }
    }

    /// One unary call of a framed message. Returns the answer's message.
    pub(super) async fn call(&self, path: &'static str, frame: Bytes) -> Result<Bytes, Failure> {
        let mut connection = self.ready().await?;
        let (response, mut body) = connection.send_request(request(path), false).map_err(|error| silent(&error))?;
        // Before anything is written.
        body.send_data(frame, true).map_err(|error| silent(&error))?;
        let (head, mut body) = response.await.map_err(|error| silent(&error))?.into_parts();
        let answer = read(&mut body).await?;
        let trailers = body.trailers().await.map_err(|error| silent(&error))?;
        *lock(&self.connection) = Some(connection);
        if head.headers.contains_key(GRPC_STATUS) {
            read_status(&head.headers)?;
        }
        read_status(&trailers.ok_or((None, "the answer has no status".to_owned()))?)?;
        match answer.first_chunk::<5>() {
            Some([0, len @ ..]) if u32::from_be_bytes(*len) as usize == answer.len() - 5 => Ok(answer.slice(5..)),
            _ => Err((None, "the answer is no message".to_owned())),
        }
    }

    /// The connection, a new one if there is none or it broke.
    async fn ready(&self) -> Result<SendRequest<Bytes>, Failure> {
        let known = lock(&self.connection).take();
        if let Some(known) = known
            && let Ok(ready) = known.ready().await
        {
            return Ok(ready);
        }
        let stream = self.connector.open().await.map_err(|error| silent(&error))?;
        let mut builder = Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).max_frame_size(MAX_FRAME);
        builder.enable_push(false);
        let (connection, driver) = builder.handshake(stream).await.map_err(|error| silent(&error))?;
        let mut stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                ended = driver => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "tail_sampling: a connection to a peer has ended");
                    }
                }
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        });
        connection.ready().await.map_err(|error| silent(&error))
    }
}

fn silent(error: &dyn std::fmt::Display) -> Failure {
    (None, error.to_string())
}

fn request(path: &'static str) -> Request<()> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(http::uri::Scheme::HTTP);
    uri.authority = Some(http::uri::Authority::from_static("peer"));
    uri.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    request
}

/// All data of a body; that which came in one piece is not copied.
async fn read(body: &mut h2::RecvStream) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| silent(&error))?;
        body.flow_control().release_capacity(piece.len()).map_err(|error| silent(&error))?;
        if first.len().max(all.len()) + piece.len() > MAX_MESSAGE {
            return Err((None, "the answer is too long".to_owned()));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            if let Some([_, len @ ..]) = first.first_chunk::<5>() {
                all.reserve((u32::from_be_bytes(*len) as usize).min(EXPECTED_MESSAGE) + 5);
            }
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn read_status(headers: &HeaderMap) -> Result<(), Failure> {
    let number = headers.get(GRPC_STATUS).and_then(|status| status.to_str().ok()?.parse::<i32>().ok());
    match number {
        Some(0) => Ok(()),
        Some(number) => {
            let text = headers.get(GRPC_MESSAGE).map(|text| status::percent_decode(text.as_bytes()));
            Err((Some(status::code(number)), text.unwrap_or_default()))
        }
        None => Err((None, "malformed grpc-status".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::net::address::HostPort;
    use crate::net::connect::Target;
    use crate::processors::tail_sampling::peers::wire;

    /// A member that answers each request with its own message, in pieces of so many bytes; on its first connection with nothing
    /// if `hangs`. Each connection ends after so many answers.
    struct Member {
        hangs: bool,
        piece: usize,
        answers: usize,
    }

    impl Member {
        async fn start(self) -> (Client, Arc<AtomicUsize>, watch::Sender<bool>) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let connections = Arc::new(AtomicUsize::new(0));
            let seen = connections.clone();
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let first = connections.fetch_add(1, Ordering::Relaxed) == 0;
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    let mut left = self.answers;
                    let mut unanswered = Vec::new();
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        if self.hangs && first {
                            unanswered.push(respond);
                            continue;
                        }
                        let mut body = request.into_body();
                        let message = body.data().await.unwrap().unwrap();
                        let mut answer = respond.send_response(http::Response::new(()), false).unwrap();
                        for piece in message.chunks(self.piece) {
                            answer.send_data(Bytes::copy_from_slice(piece), false).unwrap();
                        }
                        let mut trailers = HeaderMap::new();
                        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
                        answer.send_trailers(trailers).unwrap();
                        left -= 1;
                        if left == 0 {
                            connection.graceful_shutdown();
                        }
                    }
                }
            });
            let target = Target::Tcp(HostPort { host: "127.0.0.1".to_owned(), port });
            let stop = watch::Sender::new(false);
            let connector = Connector { target, tls: None, name: None };
            (Client::new(connector, TaskTracker::new(), stop.subscribe()), seen, stop)
        }
    }

    async fn call(client: &Client, message: &[u8]) -> Option<Result<Bytes, Failure>> {
        tokio::time::timeout(Duration::from_millis(500), client.call("/x", wire::frame(message))).await.ok()
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_replaced_when_it_has_ended() {
        let (client, connections, _stop) = Member { hangs: false, piece: 3, answers: 3 }.start().await;
        for n in 0..7_u8 {
            let answer = call(&client, &[n; 20]).await.expect("an answer in time").unwrap();
            assert_eq!(answer, [n; 20].as_slice());
        }
        assert_eq!(connections.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn who_does_not_answer_in_time_is_connected_to_again() {
        let (client, connections, _stop) = Member { hangs: true, piece: 100, answers: 3 }.start().await;
        assert!(call(&client, b"one").await.is_none());
        let answer = call(&client, b"two").await.expect("an answer in time").unwrap();
        assert_eq!((&answer[..], connections.load(Ordering::Relaxed)), (&b"two"[..], 2));
    }

    #[tokio::test]
    async fn connections_end_with_the_instance() {
        let (client, _, stop) = Member { hangs: false, piece: 100, answers: 3 }.start().await;
        call(&client, b"one").await.expect("an answer in time").unwrap();
        stop.send_replace(true);
        client.tasks.close();
        tokio::time::timeout(Duration::from_secs(5), client.tasks.wait()).await.expect("no task is left");
    }
}
