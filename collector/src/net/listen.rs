//! Listening sockets. A Unix socket's file is removed when the listener is dropped; a stale file makes binding fail,
//! as upstream.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use tokio::net::{TcpListener, UnixListener, lookup_host};

use super::Stream;
use super::address::HostPort;

/// The `transport` key of a server. Datagram transports are refused: no server here could use one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    #[default]
    Tcp,
    /// TCP over IPv4 only.
    Tcp4,
    /// TCP over IPv6 only.
    Tcp6,
    /// Unix domain socket; the endpoint is its path.
    Unix,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tcp4 => "tcp4",
            Self::Tcp6 => "tcp6",
            Self::Unix => "unix",
        })
    }
}

/// Where to listen, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Host and port.
    Tcp(Transport, HostPort),
    /// Path.
    Unix(PathBuf),
}

impl Place {
    /// Checks an endpoint against its transport.
    pub fn parse(transport: Transport, endpoint: &str) -> Result<Self, String> {
        match transport {
            Transport::Unix if endpoint.is_empty() => Err("unix socket path cannot be empty".to_owned()),
            Transport::Unix => Ok(Self::Unix(endpoint.into())),
            transport => HostPort::parse(endpoint)
                .map(|address| Self::Tcp(transport, address))
                .map_err(|error| error.to_string()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(transport, address) => write!(f, "{transport} {address}"),
            Self::Unix(path) => write!(f, "unix {}", path.display()),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix; the path is removed on drop.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds. The error text is Go's: `listen tcp 127.0.0.1:4317: bind: address already in use`.
    pub async fn bind(place: &Place) -> Result<Self, String> {
        let failed = |error: &io::Error| format!("listen {place}: bind: {}", cause(error));
        match place {
            Place::Unix(path) => match UnixListener::bind(path) {
                Ok(listener) => Ok(Self::Unix(listener, path.clone())),
                Err(error) => Err(failed(&error)),
            },
            Place::Tcp(transport, address) => {
                let candidates =
                    resolve(*transport, address).await.map_err(|error| format!("listen {place}: {error}"))?;
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for candidate in candidates {
                    match TcpListener::bind(candidate).await {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => last = error,
                    }
                }
                Err(failed(&last))
            }
        }
    }

    /// The TCP address, with the port that was chosen for port 0.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// The next connection. Errors are those of one connection or a lack of file handles; listening goes on.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self
            && let Err(error) = std::fs::remove_file(&*path)
        {
            tracing::warn!(path = %path.display(), error = %error, "Failed to remove the socket file");
        }
    }
}

async fn resolve(transport: Transport, address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    let port = address.port;
    let all: Vec<SocketAddr> = if address.host.is_empty() {
        // An empty host is both families where the machine has both: a v6 wildcard takes v4 too.
        vec![(Ipv6Addr::UNSPECIFIED, port).into(), ([0, 0, 0, 0], port).into()]
    } else if let Ok(ip) = address.host.parse::<IpAddr>() {
        vec![(ip, port).into()]
    } else {
        // Go prefers IPv4 for a name, so `localhost` is 127.0.0.1.
        let mut found: Vec<_> = lookup_host((address.host.as_str(), port)).await?.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        found
    };
    Ok(all
        .into_iter()
        .filter(|address| match transport {
            Transport::Tcp4 => address.is_ipv4(),
            Transport::Tcp6 => address.is_ipv6(),
            Transport::Tcp | Transport::Unix => true,
        })
        .collect())
}

/// The system's text as Go prints it: lower case, no error number.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_ascii_lowercase()
}
