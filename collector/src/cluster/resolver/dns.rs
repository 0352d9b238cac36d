//! The `dns` resolver: all addresses of a name, asked for again and again through the system's resolver, so that
//! `resolv.conf`, search domains and the hosts file count as for every other program. TTLs do not count, as in contrib.
//!
//! Look-ups happen at whole multiples of the interval by the wall clock, not counted from the start as in contrib: so all
//! instances of a tier see a change at the same moment, as far as their clocks agree. Between the first and the last that
//! sees it, they send spans of one trace to different members.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use component::Clock;
use tokio::net::lookup_host;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Publisher;

/// Contrib's defaults.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Members that do not answer can bring a look-up forward, but not more often than this.
const LEAST_INTERVAL: Duration = Duration::from_millis(500);

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Dns {
    pub(super) hostname: String,
    pub(super) port: Option<u16>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl Dns {
    /// Looks up every interval, and when asked to.
    pub(super) async fn run(
        self,
        publisher: Publisher,
        clock: Arc<dyn Clock>,
        look_again: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let mut last = Instant::now();
        loop {
            tokio::select! {
                () = sleep(until_next(clock.unix_nano(), self.interval)) => {}
                () = asked(&look_again, last + LEAST_INTERVAL) => {}
                () = stop.cancelled() => return,
            }
            last = Instant::now();
            self.look_up(&publisher).await;
        }
    }

    /// One look-up.
    pub(super) async fn look_up(&self, publisher: &Publisher) {
        match self.addresses().await {
            Ok(addresses) => {
                publisher.publish(addresses.into_iter().map(|address| member(address, self.port)).collect());
            }
            Err(error) => publisher.failed(&self.hostname, &error),
        }
    }

    async fn addresses(&self) -> io::Result<Vec<IpAddr>> {
        let found = tokio::time::timeout(self.timeout, lookup_host((self.hostname.as_str(), 0)))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses"));
        }
        Ok(addresses)
    }
}

/// How long it is from this time of the wall clock to the next multiple of the interval.
pub(super) fn until_next(unix_nano: u64, interval: Duration) -> Duration {
    let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(nanos - unix_nano % nanos)
}

async fn asked(look_again: &Notify, not_before: Instant) {
    look_again.notified().await;
    sleep_until(not_before).await;
}

/// The address as contrib writes it: an IPv6 address is in brackets, with and without a port.
pub(super) fn member(address: IpAddr, port: Option<u16>) -> String {
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    match port {
        None => host,
        Some(port) => format!("{host}:{port}"),
    }
}
