//! gRPC's `round_robin`: one connection to each address of the name, requests in turn, the dead ones left out.
//!
//! The name is looked up again when a connection had to be opened anew, which is what a server's `max_connection_age`
//! is for, and at most every 30 s, as grpc-go does. An address that cannot be reached rests for a second, then longer,
//! up to two minutes; a request that met it goes to the next one at once, since it was not sent.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::lookup_host;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint as Transport};
use tower::Service;

use crate::net::address::HostPort;
use crate::net::connect::{Connector, Target};
use crate::net::{Stream, tls};

/// grpc-go's least time between two look-ups.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(30);
/// grpc's connection back-off.
const REST: Duration = Duration::from_secs(1);
const REST_GROWTH: f64 = 1.6;
const LONGEST_REST: Duration = Duration::from_secs(120);

/// Connections to the addresses of one name.
pub(super) struct Balancer {
    transport: Transport,
    name: HostPort,
    tls: Option<tls::Connector>,
    members: Mutex<Members>,
    next: AtomicUsize,
    /// Some connection had to be opened again since the last look-up.
    stale: Arc<AtomicBool>,
}

#[derive(Default)]
struct Members {
    all: Vec<Member>,
    looked_up: Option<Instant>,
}

/// A connection to one address.
#[derive(Clone)]
pub(super) struct Member {
    address: SocketAddr,
    pub(super) channel: Channel,
    health: Arc<Mutex<Health>>,
}

#[derive(Debug, Default)]
struct Health {
    opened: bool,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Member {
    /// Attempts to connect that failed since the last success: growing means that a request was not sent.
    pub(super) fn failures(&self) -> u32 {
        lock(&self.health).failures
    }

    fn rests(&self, now: Instant) -> bool {
        lock(&self.health).rests_until.is_some_and(|until| until > now)
    }
}

impl Balancer {
    pub(super) fn new(transport: Transport, name: HostPort, tls: Option<tls::Connector>) -> Self {
        let (members, next, stale) = (Mutex::default(), AtomicUsize::new(0), Arc::new(AtomicBool::new(true)));
        Self { transport, name, tls, members, next, stale }
    }

    /// The members to try, the one whose turn it is first, resting ones last.
    pub(super) async fn turn(&self) -> io::Result<Vec<Member>> {
        let now = Instant::now();
        let due = {
            let members = lock(&self.members);
            let rested = members.looked_up.is_none_or(|last| now - last >= LOOKUP_INTERVAL);
            members.all.is_empty() || (rested && self.stale.load(Ordering::Relaxed))
        };
        if due {
            self.look_up(now).await?;
        }
        let mut turn = lock(&self.members).all.clone();
        let count = turn.len();
        if count > 1 {
            turn.rotate_left(self.next.fetch_add(1, Ordering::Relaxed) % count);
            turn.sort_by_key(|member| member.rests(now));
        }
        Ok(turn)
    }

    async fn look_up(&self, now: Instant) -> io::Result<()> {
        let found = lookup_host((self.name.host.as_str(), self.name.port)).await;
        let mut members = lock(&self.members);
        members.looked_up = Some(now);
        match found {
            Ok(addresses) => {
                self.stale.store(false, Ordering::Relaxed);
                let mut all = Vec::new();
                for address in addresses {
                    if all.iter().any(|member: &Member| member.address == address) {
                        continue;
                    }
                    let known = members.all.iter().find(|member| member.address == address);
                    all.push(known.cloned().unwrap_or_else(|| self.member(address)));
                }
                members.all = all;
                Ok(())
            }
            // The old addresses may still be good.
            Err(_) if !members.all.is_empty() => Ok(()),
            Err(error) => Err(io::Error::new(error.kind(), format!("name resolver error: {}: {error}", self.name))),
        }
    }

    fn member(&self, address: SocketAddr) -> Member {
        let health = Arc::<Mutex<Health>>::default();
        let target = Target::Tcp(HostPort { host: address.ip().to_string(), port: address.port() });
        let connector = Connector { target, tls: self.tls.clone(), name: Some(self.name.host.clone()) };
        let watched = Watched { connector, health: Arc::clone(&health), stale: Arc::clone(&self.stale) };
        Member { address, channel: self.transport.connect_with_connector_lazy(watched), health }
    }
}

/// A connector that keeps the health of its address.
struct Watched {
    connector: Connector,
    health: Arc<Mutex<Health>>,
    stale: Arc<AtomicBool>,
}

impl Service<Uri> for Watched {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (connector, health, stale) = (self.connector.clone(), Arc::clone(&self.health), Arc::clone(&self.stale));
        Box::pin(async move {
            if lock(&health).opened {
                stale.store(true, Ordering::Relaxed);
            }
            let opened = connector.open().await;
            let mut health = lock(&health);
            if opened.is_ok() {
                *health = Health { opened: true, ..Health::default() };
            } else {
                let growth = REST_GROWTH.powi(i32::try_from(health.failures).unwrap_or(i32::MAX).min(32));
                health.failures = health.failures.saturating_add(1);
                health.rests_until = Some(Instant::now() + REST.mul_f64(growth).min(LONGEST_REST));
                stale.store(true, Ordering::Relaxed);
            }
            opened.map(TokioIo::new)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
