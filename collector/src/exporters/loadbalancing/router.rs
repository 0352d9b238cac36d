//! Which backend gets what, and what happens when a backend leaves.
//!
//! A batch is divided with the ring of the moment and its shares are sent at the same time, so a backend that does not
//! answer holds up nothing but its own share. A share that fails because its backend has left the ring in the meantime is
//! divided again with the new ring, and so is what was waiting in that backend's queue.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use component::telemetry::{Counter, Definition};
use component::{ConsumeError, Signal};
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::backend::Backend;
use super::config::Settings;
use super::split::{Batch, RoutingKey};
use crate::cluster::resolver::dial_address;
use crate::cluster::ring::Ring;
use crate::exporters::helper::{Failure, Request, Sender, Sent, SentInParts};
use crate::factory::Context;

/// The ring and the backends at its points.
pub(super) struct Router {
    settings: Arc<Settings>,
    context: Context,
    signal: Signal,
    key: RoutingKey,
    routes: ArcSwap<Routes>,
    /// Told when a backend does not answer.
    pub(super) silent: Arc<Notify>,
    retiring: TaskTracker,
    handed_back: Counter,
}

struct Routes {
    ring: Ring,
    /// One for each member of the ring, in its order.
    backends: Vec<Arc<Backend>>,
}

impl Router {
    pub(super) fn new(settings: &Arc<Settings>, context: &Context, signal: Signal, key: RoutingKey) -> Arc<Self> {
        let (id, data_type) = (context.id.to_string(), signal.as_str());
        let attributes = [("exporter", id.as_str()), ("data_type", data_type)];
        let handed_back = context.registry.counter(HANDED_BACK, &attributes);
        let routes = Routes { ring: Ring::new(settings.ring_version, Vec::new()), backends: Vec::new() };
        Arc::new(Self {
            settings: Arc::clone(settings),
            context: context.clone(),
            signal,
            key,
            routes: ArcSwap::from_pointee(routes),
            silent: Arc::default(),
            retiring: TaskTracker::new(),
            handed_back,
        })
    }

    /// The backends as they are now, by member.
    pub(super) fn backends(&self) -> Vec<(String, Arc<Backend>)> {
        let routes = self.routes.load();
        routes.ring.members().iter().cloned().zip(routes.backends.iter().cloned()).collect()
    }

    /// Makes the ring of these members: starts what is new, then switches, then retires what is gone. A backend that
    /// cannot be made is logged and not in the ring (contrib leaves it there, and its share fails until the next change).
    pub(super) async fn apply(self: &Arc<Self>, members: &[String]) {
        let mut old: HashMap<String, Arc<Backend>> = self.backends().into_iter().collect();
        let mut made: HashMap<&str, Arc<Backend>> = HashMap::new();
        let (mut in_ring, mut backends) = (Vec::new(), Vec::new());
        for member in members {
            let backend = match (made.get(member.as_str()), old.remove(member)) {
                (Some(backend), _) => Arc::clone(backend),
                (None, Some(backend)) => backend,
                (None, None) => match self.make(member).await {
                    Ok(backend) => Arc::new(backend),
                    Err(error) => {
                        tracing::error!(endpoint = %member, %error, "failed to create new exporter for endpoint");
                        continue;
                    }
                },
            };
            made.insert(member, Arc::clone(&backend));
            in_ring.push(member.clone());
            backends.push(backend);
        }
        self.routes.store(Arc::new(Routes { ring: Ring::new(self.settings.ring_version, in_ring), backends }));
        for backend in old.into_values() {
            let id = self.context.id.to_string();
            // Now, not when it has ended: its successor at the same address would lose its series.
            self.context.registry.forget(|_, attributes| {
                let has = |key, value: &str| attributes.iter().any(|(k, v)| k == key && v == value);
                has("endpoint", &backend.address) && has("exporter", &id) && has("data_type", self.signal.as_str())
            });
            let successor = Arc::new(HandBack(Arc::downgrade(self)));
            self.retiring.spawn(async move { backend.retire(successor).await }.in_current_span());
        }
    }

    async fn make(&self, member: &str) -> Result<Backend, String> {
        let mut config = self.settings.otlp.clone();
        config.endpoint = dial_address(member);
        let lanes = self.settings.queue.as_ref().map(|queue| usize::try_from(queue.num_consumers).unwrap_or(1));
        Backend::start(&config, lanes, &self.context, self.signal, &self.silent).await
    }

    /// Divides a batch and sends its shares. What was `accepted` before waits for room in the backends' queues.
    pub(super) async fn route(&self, batch: Batch, accepted: bool) -> Result<(), Failure> {
        let routes = self.routes.load_full();
        if routes.backends.is_empty() {
            let error = ConsumeError::retryable("couldn't find the exporter for the endpoint \"\"");
            return Err(Failure { error, rest: batch.encode() });
        }
        let shares = self.key.split(batch, &routes.ring)?;
        let sending = shares.into_iter().filter_map(|(member, request)| {
            Some(self.send(Arc::clone(routes.backends.get(member)?), request, accepted))
        });
        let mut rest: Option<Request> = None;
        let outcomes: Vec<_> = join_all(sending)
            .await
            .into_iter()
            .map(|outcome| {
                outcome.map_err(|failure| {
                    match &mut rest {
                        Some(rest) => rest.merge(failure.rest),
                        None => rest = Some(failure.rest),
                    }
                    failure.error
                })
            })
            .collect();
        match (ConsumeError::join(outcomes), rest) {
            (Err(error), Some(rest)) => Err(Failure { error, rest }),
            _ => Ok(()),
        }
    }

    /// Boxed, because a share can be divided again.
    fn send(&self, backend: Arc<Backend>, request: Request, accepted: bool) -> SentInParts<'_> {
        Box::pin(async move {
            let sent = backend.send(request.clone(), self.settings.timeout, accepted).await;
            let Err(error) = sent else { return Ok(()) };
            if error.permanent || !backend.is_retired() {
                return Err(Failure { error, rest: request });
            }
            self.handed_back.add(request.items as u64);
            self.route(Batch::read(&request)?, accepted).await
        })
    }

    /// Waits for backends that have left, then ends the others.
    pub(super) async fn shutdown(&self) {
        self.retiring.close();
        self.retiring.wait().await;
        let backends = self.backends();
        join_all(backends.iter().map(|(_, backend)| backend.shutdown())).await;
    }
}

/// What the outer queue and retries send to.
pub(super) struct Outer(pub(super) Arc<Router>);

impl Sender for Outer {
    fn send<'a>(&'a self, request: &'a Request) -> Sent<'a> {
        Box::pin(async move { self.send_in_parts(request).await.map_err(|failure| failure.error) })
    }

    fn send_in_parts<'a>(&'a self, request: &'a Request) -> SentInParts<'a> {
        Box::pin(async move { self.0.route(Batch::read(request)?, false).await })
    }

    /// Each backend has its own queue or lane.
    fn bounds_itself(&self) -> bool {
        true
    }
}

/// Takes over what a backend that has left the ring could not deliver.
struct HandBack(Weak<Router>);

impl Sender for HandBack {
    fn send<'a>(&'a self, request: &'a Request) -> Sent<'a> {
        Box::pin(async move { self.send_in_parts(request).await.map_err(|failure| failure.error) })
    }

    fn send_in_parts<'a>(&'a self, request: &'a Request) -> SentInParts<'a> {
        Box::pin(async move {
            let Some(router) = self.0.upgrade() else {
                let error = ConsumeError::retryable("the exporter has ended");
                return Err(Failure { error, rest: request.clone() });
            };
            router.handed_back.add(request.items as u64);
            router.route(Batch::read(request)?, true).await
        })
    }
}

const HANDED_BACK: Definition = Definition {
    name: "ottlcol_loadbalancer_handed_back_items",
    unit: "{item}",
    description: "Number of spans or points that went back to the ring because their backend had left it.",
    scope: "ottlcol/exporters/loadbalancing",
};
