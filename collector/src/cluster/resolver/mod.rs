//! Who is in the group: a resolver keeps a sorted list of members and tells when it changes.
//!
//! Members are texts as contrib's resolvers make them, because the ring hashes these texts: `10.0.0.1` where no port is
//! configured, `[fd00::1]:4317` where one is. [`dial_address`] says where to connect. A look-up that fails or finds
//! nothing keeps the list as it was: the instances that were there a moment ago are the best guess.

mod config;
mod dns;
mod k8s;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, PoisonError};

use component::Clock;
use component::telemetry::{Counter, Definition, Gauge, Registry};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::{Config, Source};

/// The members, sorted.
pub type Members = Arc<[String]>;

/// The port that is dialled where a member has none.
const DEFAULT_PORT: u16 = 4317;

/// A running resolver.
pub struct Resolver {
    members: watch::Receiver<Members>,
    look_again: Arc<Notify>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Resolver {
    /// Looks for the members once and keeps looking. A failed look-up is logged and leaves the list empty.
    ///
    /// # Errors
    /// If there is no way to ask: what `k8s` needs to reach its API is missing. The text says what to do.
    pub async fn start(source: &Source, registry: &Registry, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let (list, members) = watch::channel(Members::default());
        let (look_again, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let publisher = Publisher { list, telemetry: Telemetry::new(registry, source.name()) };
        let task = match source {
            Source::Static(hostnames) => {
                publisher.publish(hostnames.clone());
                // Keeps the sending half alive: the list stays as it is.
                let stop = stop.clone();
                tokio::spawn(async move {
                    stop.cancelled().await;
                    drop(publisher);
                })
            }
            Source::Dns(dns) => {
                let dns = dns.clone();
                dns.look_up(&publisher).await;
                tokio::spawn(dns.run(publisher, Arc::clone(clock), Arc::clone(&look_again), stop.clone()))
            }
            Source::K8s(service) => service.clone().start(publisher, stop.clone()).await?,
        };
        Ok(Self { members, look_again, stop, task: Mutex::new(Some(task)) })
    }

    /// The list now, and its changes.
    #[must_use]
    pub fn members(&self) -> watch::Receiver<Members> {
        self.members.clone()
    }

    /// Asks for a look-up ahead of time, because a member does not answer. Cheap to call often. Only `dns` looks anything up;
    /// `k8s` hears of changes as they happen.
    pub fn look_again(&self) {
        self.look_again.notify_one();
    }

    /// Ends looking. The list stays.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the resolver has failed");
        }
    }
}

/// Where to connect for a member: contrib adds 4317 where the text has no colon; here an IPv6 address gets it too, with or
/// without brackets, which could never be reached without.
#[must_use]
pub fn dial_address(member: &str) -> String {
    if member.parse::<Ipv6Addr>().is_ok() {
        return format!("[{member}]:{DEFAULT_PORT}");
    }
    let bare = !member.contains(':') || (member.starts_with('[') && member.ends_with(']'));
    if bare { format!("{member}:{DEFAULT_PORT}") } else { member.to_owned() }
}

/// What a resolver's task writes to.
struct Publisher {
    list: watch::Sender<Members>,
    telemetry: Telemetry,
}

impl Publisher {
    /// A look-up succeeded.
    fn publish(&self, mut members: Vec<String>) {
        self.telemetry.succeeded.add(1);
        members.sort_unstable();
        let changed = self.list.send_if_modified(|list| {
            let changed = **list != *members;
            if changed {
                *list = members.as_slice().into();
            }
            changed
        });
        if changed {
            self.telemetry.backends.set(i64::try_from(members.len()).unwrap_or(i64::MAX));
            self.telemetry.updates.add(1);
            tracing::info!(members = members.len(), list = members.join(","), "the list of backends has changed");
        }
    }

    /// A look-up failed.
    fn failed(&self, name: &str, error: &dyn std::fmt::Display) {
        self.telemetry.failed.add(1);
        tracing::warn!(name, %error, "failed to resolve");
    }
}

/// Contrib's metrics. They do not name the component, as there.
struct Telemetry {
    succeeded: Counter,
    failed: Counter,
    backends: Gauge,
    updates: Counter,
}

impl Telemetry {
    fn new(registry: &Registry, resolver: &str) -> Self {
        Self {
            succeeded: registry.counter(RESOLUTIONS, &[("resolver", resolver), ("success", "true")]),
            failed: registry.counter(RESOLUTIONS, &[("resolver", resolver), ("success", "false")]),
            backends: registry.gauge(BACKENDS, &[("resolver", resolver)]),
            updates: registry.counter(UPDATES, &[("resolver", resolver)]),
        }
    }
}

const SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/loadbalancingexporter";
const RESOLUTIONS: Definition = Definition {
    name: "otelcol_loadbalancer_num_resolutions",
    unit: "{resolutions}",
    description: "Number of times the resolver has triggered new resolutions. [Development]",
    scope: SCOPE,
};
const BACKENDS: Definition = Definition {
    name: "otelcol_loadbalancer_num_backends",
    unit: "{backends}",
    description: "Current number of backends in use. [Development]",
    scope: SCOPE,
};
const UPDATES: Definition = Definition {
    name: "otelcol_loadbalancer_num_backend_updates",
    unit: "{updates}",
    description: "Number of times the list of backends was updated. [Development]",
    scope: SCOPE,
};
