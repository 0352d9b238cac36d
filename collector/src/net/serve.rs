//! An HTTP server over any listener: accepts, hands each connection to hyper, and ends gracefully.
//!
//! Shutdown stops accepting, tells each connection (GOAWAY, or `connection: close`), and waits until the requests that
//! are being answered are done. The wait is bounded, which upstream's is not: a client that never finishes its request
//! must not keep the data behind it from being flushed; it was told nothing, so it sends again.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::listen::Listener;
use super::paced::Paced;
use super::{Stream, random, tls};

/// How long shutdown waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take, as Go's gRPC server has it.
const HANDSHAKE: Duration = Duration::from_secs(120);

/// A response body: at most one piece of data, and trailers for gRPC.
#[derive(Debug, Default)]
pub struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    /// Data only.
    #[must_use]
    pub fn data(data: Bytes) -> Self {
        Self { data: Some(data).filter(|data| !data.is_empty()), trailers: None }
    }

    /// Data, then trailers.
    #[must_use]
    pub fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        Self { data: Some(data), trailers: Some(trailers) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// A boxed answer. One allocation a request.
pub type Answer = Pin<Box<dyn Future<Output = Response<Reply>> + Send>>;

/// Answers requests. Dropped answers (the client went away) must leave nothing half done that matters.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer;
}

/// The far end of the connection that a request came in by: an extension of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

impl Peer {
    /// That of a request.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Option<IpAddr> {
        request.extensions().get::<Self>().and_then(|peer| peer.0)
    }
}

/// Which HTTP a server speaks.
#[derive(Clone)]
pub enum Protocol {
    /// HTTP/2 only, for gRPC.
    Http2(hyper::server::conn::http2::Builder<TokioExecutor>),
    /// HTTP/1.1, and HTTP/2 where the client begins so.
    Auto(hyper_util::server::conn::auto::Builder<TokioExecutor>),
}

impl Protocol {
    /// HTTP/2 with windows that let a request of some megabytes in without waiting for the server.
    #[must_use]
    pub fn http2() -> hyper::server::conn::http2::Builder<TokioExecutor> {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(Some(4 << 20))
            .initial_connection_window_size(Some(16 << 20))
            .max_frame_size(Some(1 << 20))
            .max_concurrent_streams(None);
        builder
    }

    /// HTTP/1.1 or HTTP/2.
    #[must_use]
    pub fn auto() -> hyper_util::server::conn::auto::Builder<TokioExecutor> {
        let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new());
        builder
    }
}

/// When a connection is closed although nobody asked for it. `None` is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Closed gracefully after this long, with 10 % jitter so that clients do not return all at once.
    pub max_age: Option<Duration>,
    /// After `max_age`, how long requests under way may go on.
    pub max_age_grace: Option<Duration>,
    /// Closed gracefully when there was no request for this long.
    pub max_idle: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// No new requests; those under way go on.
    Draining,
    /// Everything is closed at once.
    Cut,
}

/// The place of a part's server: empty before start and after shutdown.
#[derive(Debug, Default)]
pub struct Running(Mutex<Option<(Server, Option<SocketAddr>)>>);

impl Running {
    /// It has started, and listens there if that is TCP.
    pub fn set(&self, server: Server, address: Option<SocketAddr>) {
        *self.lock() = Some((server, address));
    }

    /// Where it listens, once started on TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.lock().as_ref()?.1
    }

    /// See [`Server::shutdown`]; nothing to do where none runs.
    pub async fn shutdown(&self) {
        let running = self.lock().take();
        if let Some((server, _)) = running {
            server.shutdown().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Server, Option<SocketAddr>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that runs until it is shut down.
#[derive(Debug)]
pub struct Server {
    phase: watch::Sender<Phase>,
    tracker: TaskTracker,
}

impl Server {
    /// Starts accepting.
    pub fn spawn(
        listener: Listener,
        tls: Option<tls::Acceptor>,
        protocol: Protocol,
        lifetime: Lifetime,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let (phase, stopped) = watch::channel(Phase::Serving);
        let tracker = TaskTracker::new();
        let shared = Arc::new(Shared { tls, protocol, lifetime, handler });
        tracker.spawn(accept(listener, shared, stopped, tracker.clone()));
        Self { phase, tracker }
    }

    /// Stops accepting, waits for requests under way, and closes.
    pub async fn shutdown(&self) {
        self.phase.send_replace(Phase::Draining);
        self.tracker.close();
        if tokio::time::timeout(DRAIN, self.tracker.wait()).await.is_err() {
            let open = self.tracker.len();
            tracing::warn!(open, "Connections with unfinished requests were cut at shutdown");
            self.phase.send_replace(Phase::Cut);
            self.tracker.wait().await;
        }
    }
}

struct Shared {
    tls: Option<tls::Acceptor>,
    protocol: Protocol,
    lifetime: Lifetime,
    handler: Arc<dyn Handler>,
}

async fn accept(listener: Listener, shared: Arc<Shared>, mut stopped: watch::Receiver<Phase>, tracker: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok(stream) => {
                tracker.spawn(connection(stream, Arc::clone(&shared), stopped.clone()));
            }
            Err(error) => {
                tracing::warn!(error = %error, "Failed to accept a connection");
                // Out of file handles: trying again at once would only burn a core.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: Stream, shared: Arc<Shared>, stopped: watch::Receiver<Phase>) {
    let stream = match &shared.tls {
        None => stream,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(error = %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!("TLS handshake timed out"),
        },
    };
    let activity = Arc::new(Activity::default());
    let peer = Peer(stream.peer());
    let service = Counted { handler: Arc::clone(&shared.handler), activity: Arc::clone(&activity), peer };
    let io = TokioIo::new(Paced::new(stream));
    match &shared.protocol {
        Protocol::Http2(builder) => {
            drive(builder.serve_connection(io, service), shared.lifetime, activity, stopped).await;
        }
        Protocol::Auto(builder) => {
            drive(builder.serve_connection(io, service), shared.lifetime, activity, stopped).await;
        }
    }
}

/// Requests of one connection, for `max_idle`.
#[derive(Debug, Default)]
struct Activity {
    open: AtomicU64,
    seen: AtomicU64,
}

/// The handler as hyper wants it, counting what is under way. A named type: the compiler cannot prove the closure's
/// future `Send` for every lifetime.
struct Counted {
    handler: Arc<dyn Handler>,
    activity: Arc<Activity>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Counted {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let busy = Busy::new(Arc::clone(&self.activity));
        let answer = Arc::clone(&self.handler).answer(request);
        Box::pin(async move {
            let _busy = busy;
            Ok(answer.await)
        })
    }
}

struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::Relaxed);
        activity.seen.fetch_add(1, Ordering::Relaxed);
        Self(activity)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a connection and closes it gracefully on shutdown, old age or idleness.
async fn drive<C>(connection: C, lifetime: Lifetime, activity: Arc<Activity>, mut stopped: watch::Receiver<Phase>)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let far = deadline(None);
    let mut age = deadline(lifetime.max_age.map(|age| random::jitter(age, 0.1)));
    let mut idle = deadline(lifetime.max_idle);
    let mut seen = 0;
    let mut cut = far;
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "Connection ended with an error");
                }
                return;
            }
            changed = stopped.changed() => {
                if changed.is_err() || *stopped.borrow_and_update() == Phase::Cut {
                    return;
                }
                closing = true;
            }
            () = sleep_until(age), if !closing && lifetime.max_age.is_some() => {
                closing = true;
                age = far;
                cut = deadline(lifetime.max_age_grace);
            }
            () = sleep_until(idle), if !closing && lifetime.max_idle.is_some() => {
                idle = deadline(lifetime.max_idle);
                let now_seen = activity.seen.load(Ordering::Relaxed);
                // Between two looks there was no request and none is open: idle for at least one period.
                closing = now_seen == seen && activity.open.load(Ordering::Relaxed) == 0;
                seen = now_seen;
                if !closing {
                    continue;
                }
            }
            () = sleep_until(cut), if closing && cut < far => return,
        }
        if closing {
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// When a wait ends; a century from now for none.
fn deadline(after: Option<Duration>) -> Instant {
    Instant::now() + after.unwrap_or(Duration::from_secs(100 * 365 * 86400))
}
