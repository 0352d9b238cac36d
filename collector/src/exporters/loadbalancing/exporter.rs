//! The running exporter: outer queue and retries, the router, and the task that follows the resolver.

use std::collections::HashSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::{Consume, Consumer, Signal};
use futures_util::future::join_all;
use pdata::{Metrics, Traces};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::config::{Probing, Settings};
use super::router::{Outer, Router};
use super::split::{Batch, RoutingKey};
use crate::cluster::resolver::{Resolver, dial_address};
use crate::exporters::helper::{self, Exporter};
use crate::exporters::otlp::Client;
use crate::factory::{Context, Lifecycle, StartError, Step};

/// How long a probe waits for a connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A `load_balancing` exporter of one signal.
pub(super) struct LoadBalancing {
    settings: Arc<Settings>,
    context: Context,
    router: Arc<Router>,
    outer: Arc<Exporter>,
    following: Mutex<Option<Following>>,
}

struct Following {
    resolver: Arc<Resolver>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl LoadBalancing {
    pub(super) fn new(settings: &Arc<Settings>, context: &Context, signal: Signal) -> Result<Self, StartError> {
        let key = RoutingKey::new(signal, &settings.routing_key, &settings.routing_attributes).map_err(StartError)?;
        // Certificates that cannot be read are found now, not with the first backend.
        Client::new(&settings.otlp, &context.clock).map_err(StartError)?;
        let router = Router::new(settings, context, signal, key);
        let outer = helper::Settings {
            // Each share has its own limit, so that what was delivered in time is known.
            timeout: None,
            retry: settings.retry.clone(),
            queue: settings.queue.clone(),
            attributes: Vec::new(),
        };
        let outer = Exporter::new(context, signal, outer, Box::new(Outer(Arc::clone(&router))));
        let (settings, context, following) = (Arc::clone(settings), context.clone(), Mutex::default());
        Ok(Self { settings, context, router, outer, following })
    }

    async fn route(&self, batch: Batch) -> Result<(), component::ConsumeError> {
        let items = batch.items();
        let attempt =
            async { self.router.route(batch, false).await.map_err(|failure| (failure.error, failure.rest.items)) };
        self.outer.attempt(items, attempt).await
    }
}

impl Consumer<Traces> for LoadBalancing {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        if batch.is_empty() || !self.outer.is_direct() {
            return self.outer.consume(batch);
        }
        Box::pin(self.route(Batch::Traces(batch)))
    }
}

impl Consumer<Metrics> for LoadBalancing {
    fn consume(&self, batch: Metrics) -> Consume<'_> {
        if batch.point_count() == 0 || !self.outer.is_direct() {
            return self.outer.consume(batch);
        }
        Box::pin(self.route(Batch::Metrics(batch)))
    }
}

impl Lifecycle for LoadBalancing {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            let Context { registry, clock, .. } = &self.context;
            let resolver = Resolver::start(&self.settings.source, registry, clock).await.map_err(StartError)?;
            let resolver = Arc::new(resolver);
            let members = resolver.members().borrow().clone();
            self.router.apply(&members).await;
            let stop = CancellationToken::new();
            let follow = Follow {
                resolver: Arc::clone(&resolver),
                router: Arc::clone(&self.router),
                probing: self.settings.health,
                unhealthy: HashSet::new(),
            };
            let watch = self.context.watch("exporter");
            let task = tokio::spawn(watch.task(follow.run(stop.clone())).in_current_span());
            *lock(&self.following) = Some(Following { resolver, task, stop });
            self.outer.start().await
        })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            // The ring is followed until the outer queue is empty.
            let stopped = self.outer.shutdown().await;
            let following = lock(&self.following).take();
            if let Some(following) = following {
                following.stop.cancel();
                if let Err(error) = following.task.await {
                    tracing::error!(%error, "the task that follows the resolver has failed");
                }
                following.resolver.stop().await;
            }
            self.router.shutdown().await;
            stopped
        })
    }
}

/// Keeps the ring as the resolver and the backends' health say.
struct Follow {
    resolver: Arc<Resolver>,
    router: Arc<Router>,
    probing: Option<Probing>,
    /// Members that are resolved but do not answer.
    unhealthy: HashSet<String>,
}

impl Follow {
    async fn run(mut self, stop: CancellationToken) {
        let mut members = self.resolver.members();
        let mut looks = self.probing.map(|probing| interval(probing.interval));
        loop {
            let look = async {
                match &mut looks {
                    Some(looks) => drop(looks.tick().await),
                    None => pending().await,
                }
            };
            let changed = tokio::select! {
                // An error means that the resolver has ended, which `stop` says too.
                changed = members.changed() => changed.is_ok(),
                () = self.router.silent.notified() => {
                    self.resolver.look_again();
                    false
                }
                () = look => {
                    let now = members.borrow().clone();
                    self.look(&now).await
                }
                () = stop.cancelled() => return,
            };
            if changed {
                let members = members.borrow_and_update().clone();
                self.unhealthy.retain(|member| members.contains(member));
                // A ring without anyone serves nobody: then all are tried.
                let all_unhealthy = members.iter().all(|member| self.unhealthy.contains(member));
                let healthy = |member: &&String| all_unhealthy || !self.unhealthy.contains(*member);
                let in_ring: Vec<String> = members.iter().filter(healthy).cloned().collect();
                self.router.apply(&in_ring).await;
            }
        }
    }

    /// Looks at backends that do not answer and at those that have left the ring for it: whoever cannot be reached is out.
    /// True if that changes the ring.
    async fn look(&mut self, members: &[String]) -> bool {
        let Some(probing) = self.probing else { return false };
        let silent = |since: Instant| since.elapsed() >= probing.unhealthy_after;
        let mut doubtful: HashSet<String> = self.unhealthy.clone();
        for (member, backend) in self.router.backends() {
            if backend.health.failing_since().is_some_and(silent) {
                doubtful.insert(member);
            }
        }
        let probes = doubtful.into_iter().filter(|member| members.contains(member)).map(|member| async move {
            let connected = tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(dial_address(&member))).await;
            (member, connected.is_ok_and(|connected| connected.is_ok()))
        });
        let mut changed = false;
        for (member, reachable) in join_all(probes).await {
            if reachable && self.unhealthy.remove(&member) {
                tracing::info!(endpoint = %member, "the backend can be reached and comes back into the ring");
                changed = true;
            } else if !reachable && self.unhealthy.insert(member.clone()) {
                tracing::warn!(endpoint = %member, "the backend does not answer and leaves the ring");
                changed = true;
            }
        }
        changed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
