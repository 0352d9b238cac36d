//! Outgoing connections as a tower service, for tonic's channel and hyper's client.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tower::Service;

use super::address::HostPort;
use super::{Stream, tls};

/// gRPC's least time for one connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Host and port; every address of the name is tried in turn.
    Tcp(HostPort),
    /// Unix domain socket.
    Unix(PathBuf),
}

/// Opens connections to one target, whatever address the request names.
#[derive(Clone)]
pub struct Connector {
    /// Where to.
    pub target: Target,
    /// TLS, if any.
    pub tls: Option<tls::Connector>,
    /// The server's name for TLS, if it is not the target's host.
    pub name: Option<String>,
}

impl Connector {
    /// Opens one connection.
    pub async fn open(&self) -> io::Result<Stream> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.open_untimed())
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
    }

    async fn open_untimed(&self) -> io::Result<Stream> {
        let (stream, host) = match &self.target {
            Target::Unix(path) => (Stream::Unix(UnixStream::connect(path).await?), "localhost"),
            Target::Tcp(address) => (Stream::Tcp(dial(address).await?), address.host.as_str()),
        };
        match &self.tls {
            None => Ok(stream),
            Some(tls) => tls.connect(self.name.as_deref().unwrap_or(host), stream).await,
        }
    }
}

async fn dial(address: &HostPort) -> io::Result<TcpStream> {
    let context = |error: io::Error| io::Error::new(error.kind(), format!("dial tcp {address}: {error}"));
    let mut candidates: Vec<_> = lookup_host((address.host.as_str(), address.port)).await.map_err(context)?.collect();
    candidates.sort_by_key(std::net::SocketAddr::is_ipv6);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in candidates {
        match TcpStream::connect(candidate).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(context(last))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.open().await.map(TokioIo::new) })
    }
}
