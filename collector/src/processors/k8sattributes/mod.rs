//! The `k8s_attributes` processor (also `k8sattributes`): says of each resource which pod it came from.
//!
//! Watches keep a table of pods by identifier; a resource is looked up by the first association rule whose sources it
//! has, and what is missing among its attributes is added: its bytes are replaced once, spans are not touched. All
//! pipelines that name one processor share its watches. It never waits for the API while data passes.

mod associate;
mod cache;
mod config;
mod extract;
mod image;
mod object;
mod resource;
mod rules;
mod telemetry;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use component::telemetry::Registry;
use component::{Clock, Consume, ConsumeError, Consumer, MetricsConsumer, Signal, TracesConsumer};
use pdata::{Metrics, Traces};

pub use config::Config;

use self::associate::{By, Source, by_default, of_resource};
use self::cache::Cache;
use self::config::Settings;
use self::extract::Pod;
use self::resource::{Resource, merge};
use self::rules::{Conventions, From};
use self::telemetry::Associations;
use self::watch::Watches;
use super::helper::Items;
use crate::config::{Problems, Section};
use crate::factory::{Context, Factory, Lifecycle, Part, ProcessorPlan, StartError, Step};
use crate::{gates, health};

/// The factory.
pub const FACTORY: Factory<dyn ProcessorPlan> =
    Factory { kind: "k8s_attributes", alias: Some("k8sattributes"), stability: "beta", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ProcessorPlan>> {
    section.read(problems, |config: Config, problems| {
        let conventions = Conventions {
            old: !gates::enabled("processor.k8sattributes.DontEmitV0K8sConventions"),
            new: gates::enabled("processor.k8sattributes.EmitV1K8sConventions"),
        };
        let settings = config.settings(&section.path, conventions, problems)?;
        Some(Box::new(Plan { config, settings, running: Mutex::default() }) as _)
    })
}

struct Plan {
    config: Config,
    settings: Settings,
    /// What pipelines share, made with the first.
    running: Mutex<std::sync::Weak<Shared>>,
}

impl Plan {
    fn shared(&self, context: &Context) -> Arc<Shared> {
        let mut running = lock(&self.running);
        if let Some(shared) = running.upgrade() {
            return shared;
        }
        let shared = Arc::new(Shared::new(&self.config, self.settings.clone(), context));
        *running = Arc::downgrade(&shared);
        shared
    }
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let stage = Arc::new(Stage::new(self.shared(context), context, Signal::Traces, next));
        Ok(Part { input: Arc::clone(&stage) as _, lifecycle: Some(stage as _) })
    }

    fn make_metrics(&self, context: &Context, next: MetricsConsumer) -> Result<Part<MetricsConsumer>, StartError> {
        let stage = Arc::new(Stage::new(self.shared(context), context, Signal::Metrics, next));
        Ok(Part { input: Arc::clone(&stage) as _, lifecycle: Some(stage as _) })
    }
}

/// What is known of the cluster, with what applying an event needs.
struct Cluster {
    cache: RwLock<Cache>,
    registry: Registry,
    clock: Arc<dyn Clock>,
}

impl Cluster {
    /// One event. Readers wait for it: microseconds.
    fn change<T>(&self, apply: impl FnOnce(&mut Cache, Duration) -> T) -> T {
        // After a panic in between the table may lack an identifier; the next event of the pod mends it.
        apply(&mut self.cache.write().unwrap_or_else(PoisonError::into_inner), self.clock.monotonic())
    }
}

/// What all pipelines of one processor share.
struct Shared {
    settings: Settings,
    passthrough: bool,
    wait: Option<Duration>,
    cluster: Arc<Cluster>,
    watch: health::Watch,
    state: Mutex<State>,
    /// Starting takes a while, and the second pipeline waits for the first one's start.
    starting: tokio::sync::Semaphore,
}

#[derive(Default)]
struct State {
    /// Pipelines that have started and not stopped.
    users: usize,
    watches: Option<Arc<Watches>>,
}

impl Shared {
    fn new(config: &Config, settings: Settings, context: &Context) -> Self {
        let cache =
            Cache::new(settings.rules.clone(), settings.associations.clone(), config.pod_delete_grace_period.span());
        Self {
            settings,
            passthrough: config.passthrough,
            wait: config.wait_for_metadata.then(|| config.wait_for_metadata_timeout.span()),
            cluster: Arc::new(Cluster {
                cache: RwLock::new(cache),
                registry: context.registry.clone(),
                clock: Arc::clone(&context.clock),
            }),
            watch: context.watch("processor"),
            state: Mutex::default(),
            starting: tokio::sync::Semaphore::new(1),
        }
    }

    async fn start(&self) -> Result<(), String> {
        if self.passthrough {
            return Ok(());
        }
        // The semaphore is never closed.
        let _turn = self.starting.acquire().await;
        let running = lock(&self.state).watches.clone();
        let watches = match running {
            Some(watches) => watches,
            None => {
                let client =
                    self.settings.access.client().await.map_err(|error| {
                        format!("{error}, or passthrough: true to record only the addresses of pods")
                    })?;
                let selection = &self.settings.selection;
                tracing::info!(labelSelector = selection.labels, fieldSelector = selection.fields, "k8s filtering");
                Arc::new(Watches::start(&client, &self.settings, &self.cluster, &self.watch))
            }
        };
        {
            let mut state = lock(&self.state);
            state.users += 1;
            state.watches = Some(Arc::clone(&watches));
        }
        match self.wait {
            Some(limit) => watches.synced(limit).await.map_err(str::to_owned),
            None => Ok(()),
        }
    }

    async fn stop(&self) {
        let last = {
            let mut state = lock(&self.state);
            state.users = state.users.saturating_sub(1);
            if state.users == 0 { state.watches.take() } else { None }
        };
        if let Some(watches) = last {
            watches.stop().await;
        }
    }

    /// Adds to one resource what is known of its pod. The cache is locked for reading meanwhile.
    fn process<'a>(
        &'a self,
        cache: &'a Cache,
        resource: &mut Resource<'a>,
        peer: Option<&'a str>,
        counted: &Associations,
    ) {
        let (rules, associations) = (&self.settings.rules, &self.settings.associations);
        let (identifier, by) = of_resource(associations, resource, peer);
        if self.passthrough || rules.wanted.pod_ip {
            let address = match by {
                By::Nothing => None,
                By::Default => by_default(resource, peer),
                By::Rule(_) => peer.filter(|_| identifier.iter().any(|(source, _)| *source == Source::Connection)),
            };
            if let Some(address) = address {
                resource.set("k8s.pod.ip", address);
            }
        }
        if self.passthrough {
            return;
        }
        let pod = if identifier.is_empty() { None } else { cache.pod(&identifier) };
        counted.count(by, pod.is_some());
        if let Some(pod) = pod {
            for (key, value) in &pod.attributes {
                resource.set(key, value);
            }
            add_container(resource, pod);
        }
        self.process_others(cache, resource, pod.map(Arc::as_ref));
    }

    /// Attributes of the pod's namespace, node and workloads; for these a resource may name them itself.
    fn process_others<'a>(&'a self, cache: &'a Cache, resource: &mut Resource<'a>, pod: Option<&'a Pod>) {
        let named = |resource: &Resource<'a>, of_pod: Option<&'a str>, attribute: &str| {
            of_pod.filter(|name| !name.is_empty()).unwrap_or_else(|| resource.text(attribute))
        };
        let namespace = named(resource, pod.map(|pod| pod.namespace.as_str()), "k8s.namespace.name");
        if !namespace.is_empty() {
            add_object(cache, resource, From::Namespace, namespace);
            if self.settings.rules.wanted.service_namespace {
                resource.set("service.namespace", namespace);
            }
        }
        let node = named(resource, pod.map(|pod| pod.node_name.as_str()), "k8s.node.name");
        if !node.is_empty() {
            add_object(cache, resource, From::Node, node);
            if let Some(object) = cache.object(From::Node, node).filter(|object| !object.uid.is_empty()) {
                resource.set("k8s.node.uid", &object.uid);
            }
        }
        for (kind, attribute) in [
            (From::Deployment, "k8s.deployment.uid"),
            (From::ReplicaSet, "k8s.replicaset.uid"),
            (From::StatefulSet, "k8s.statefulset.uid"),
            (From::DaemonSet, "k8s.daemonset.uid"),
            (From::Job, "k8s.job.uid"),
            (From::CronJob, "k8s.cronjob.uid"),
        ] {
            let uid = named(resource, pod.and_then(|pod| pod.owner(kind)), attribute);
            if !uid.is_empty() {
                add_object(cache, resource, kind, uid);
            }
        }
    }
}

fn add_object<'a>(cache: &'a Cache, resource: &mut Resource<'a>, kind: From, key: &str) {
    for (key, value) in cache.object(kind, key).into_iter().flat_map(|object| &object.attributes) {
        resource.set(key, value);
    }
}

fn add_container<'a>(resource: &mut Resource<'a>, pod: &'a Pod) {
    let (name, id) = (resource.text("k8s.container.name"), resource.text("container.id"));
    let Some(container) = pod.container(name, id) else { return };
    let texts = [
        ("k8s.container.name", &container.name),
        ("container.image.name", &container.image_name),
        ("container.image.tag", &container.image_tag),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            resource.set(key, value);
        }
    }
    if let Some(tags) = &container.image_tags {
        resource.set_list("container.image.tags", tags);
    }
    for (key, value) in [("service.instance.id", &container.instance_id), ("service.version", &container.version)] {
        if let Some(value) = value {
            resource.set(key, value);
        }
    }
    // A count that is no number picks no run; without a count it is the latest.
    let run = match resource.integer("k8s.container.restart_count") {
        Some(count) => count.ok().and_then(|count| container.runs.get(&count)),
        None => container.runs.values().next_back(),
    };
    if let Some(run) = run {
        if let Some(id) = run.id.as_ref().filter(|_| !resource.has("container.id")) {
            resource.set("container.id", id);
        }
        if let Some(digests) = &run.repo_digests {
            resource.set_list("container.image.repo_digests", digests);
        }
    }
}

/// The processor in one pipeline.
struct Stage<T> {
    shared: Arc<Shared>,
    next: Arc<dyn Consumer<T>>,
    items: Items,
    associations: Associations,
}

impl<T> Stage<T> {
    fn new(shared: Arc<Shared>, context: &Context, signal: Signal, next: Arc<dyn Consumer<T>>) -> Self {
        let associations = Associations::new(&context.registry, signal.as_str(), &shared.settings.associations);
        Self { shared, next, items: Items::new(context, signal), associations }
    }
}

impl Stage<Traces> {
    fn process(&self, batch: &mut Traces) -> Result<(), ConsumeError> {
        let peer = batch.peer().map(|peer| peer.to_string());
        let cache = self.shared.cluster.cache.read().unwrap_or_else(PoisonError::into_inner);
        let mut changed: Vec<(usize, Bytes)> = Vec::new();
        for view in batch.resources() {
            let message = view.resource();
            let mut resource = Resource::of_message(message);
            self.shared.process(&cache, &mut resource, peer.as_deref(), &self.associations);
            if resource.is_changed() {
                changed.push((view.index(), resource.write(message).into()));
            }
        }
        drop(cache);
        for (index, message) in changed {
            batch.replace_resource(index, message).map_err(|error| {
                // Only a resource of 4 GiB cannot take more attributes.
                ConsumeError::permanent(format!("attributes of a resource cannot be set: {error}"))
            })?;
        }
        Ok(())
    }
}

impl Consumer<Traces> for Stage<Traces> {
    fn consume(&self, mut batch: Traces) -> Consume<'_> {
        let items = batch.span_count();
        match self.process(&mut batch) {
            Ok(()) => {
                self.items.record(items, items);
                self.next.consume(batch)
            }
            Err(error) => {
                self.items.record(items, 0);
                Box::pin(async { Err(error) })
            }
        }
    }
}

impl Consumer<Metrics> for Stage<Metrics> {
    fn consume(&self, mut batch: Metrics) -> Consume<'_> {
        let items = batch.point_count();
        self.items.record(items, items);
        let peer = batch.peer.map(|peer| peer.to_string());
        {
            let cache = self.shared.cluster.cache.read().unwrap_or_else(PoisonError::into_inner);
            for metrics in &mut batch.resource_metrics {
                let mut resource = Resource::of_attributes(&metrics.attributes);
                self.shared.process(&cache, &mut resource, peer.as_deref(), &self.associations);
                let new = resource.into_new();
                merge(&mut metrics.attributes, new);
            }
        }
        self.next.consume(batch)
    }
}

impl<T: Send + 'static> Lifecycle for Stage<T> {
    fn start(&self) -> Step<'_> {
        Box::pin(async { self.shared.start().await.map_err(StartError) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async {
            self.shared.stop().await;
            Ok(())
        })
    }
}

/// Both are whole after every change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
