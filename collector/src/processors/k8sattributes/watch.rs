//! Which objects are watched, and the tasks that keep the cache up to date with them.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Cluster;
use super::cache::Change;
use super::config::{Selection, Settings};
use super::object::Pod;
use super::rules::{From, Rules};
use super::telemetry::Events;
use crate::health;
use crate::k8s::watch::{Event, Wanted, follow};

/// How often deleted pods are looked at.
const SWEEP: Duration = Duration::from_secs(30);
/// The watch of pods begins when the others are in step, or after this time.
const OTHERS_FIRST: Duration = Duration::from_secs(5);

/// The running watches of one processor.
pub(super) struct Watches {
    stop: CancellationToken,
    tasks: TaskTracker,
    synced: watch::Receiver<bool>,
}

impl Watches {
    /// Starts all that the rules need. Pods come last, because what is kept of them names their owners.
    pub(super) fn start(client: &Client, settings: &Settings, cluster: &Arc<Cluster>, watch: &health::Watch) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let spawn = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stop = stop.clone();
            tasks.spawn(watch.task(async move { stop.run_until_cancelled(task).await }));
        };
        let mut others = Vec::new();
        for kind in watched_besides_pods(&settings.rules) {
            let (synced, in_step) = watch::channel(false);
            others.push(in_step);
            let (api, wanted) = metadata_of(client, kind, &settings.rules, &settings.selection);
            spawn(Box::pin(follow_metadata(kind, api, wanted, Arc::clone(cluster), synced)));
        }
        let (synced, in_step) = watch::channel(false);
        let (client, selection, pods) = (client.clone(), settings.selection.clone(), Arc::clone(cluster));
        spawn(Box::pin(async move {
            let all = async {
                for mut other in others {
                    // An error means that its task has ended: there is nothing to wait for.
                    let _ = other.wait_for(|synced| *synced).await;
                }
            };
            if tokio::time::timeout(OTHERS_FIRST, all).await.is_err() {
                tracing::warn!("Watching pods begins although other objects are not all known yet");
            }
            follow_pods(client, selection, pods, synced).await;
        }));
        let swept = Arc::clone(cluster);
        spawn(Box::pin(async move {
            let mut ticker = tokio::time::interval(SWEEP);
            loop {
                ticker.tick().await;
                swept.change(|cache, now| cache.sweep(now));
            }
        }));
        tasks.close();
        Self { stop, tasks, synced: in_step }
    }

    /// Waits until all pods are known.
    pub(super) async fn synced(&self, limit: Duration) -> Result<(), &'static str> {
        let mut synced = self.synced.clone();
        let waited = tokio::time::timeout(limit, synced.wait_for(|synced| *synced)).await;
        if matches!(waited, Ok(Ok(_))) { Ok(()) } else { Err("failed to wait for caches to sync") }
    }

    /// Ends all tasks.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Kinds whose metadata is watched.
fn watched_besides_pods(rules: &Rules) -> Vec<From> {
    let wanted = &rules.wanted;
    let looks_up_deployments =
        !rules.deployment_from_replicaset_name && (wanted.deployment_name || wanted.service_name);
    [
        (From::Namespace, rules.reads(From::Namespace) || wanted.cluster_uid),
        (
            From::ReplicaSet,
            rules.reads(From::ReplicaSet)
                || rules.reads(From::Deployment)
                || wanted.deployment_uid
                || looks_up_deployments,
        ),
        (From::Node, rules.reads(From::Node) || wanted.node_uid),
        (From::Deployment, rules.reads(From::Deployment)),
        (From::StatefulSet, rules.reads(From::StatefulSet)),
        (From::DaemonSet, rules.reads(From::DaemonSet)),
        (From::Job, rules.reads(From::Job) || rules.reads(From::CronJob) || wanted.cronjob_uid),
        (From::CronJob, rules.reads(From::CronJob)),
    ]
    .into_iter()
    .filter_map(|(kind, needed)| needed.then_some(kind))
    .collect()
}

type Meta = PartialObjectMeta<DynamicObject>;

fn metadata_of(client: &Client, kind: From, rules: &Rules, selection: &Selection) -> (Api<Meta>, Wanted) {
    let (group, name) = match kind {
        From::Namespace => ("", "Namespace"),
        From::Node => ("", "Node"),
        From::Pod => ("", "Pod"),
        From::Deployment => ("apps", "Deployment"),
        From::ReplicaSet => ("apps", "ReplicaSet"),
        From::StatefulSet => ("apps", "StatefulSet"),
        From::DaemonSet => ("apps", "DaemonSet"),
        From::Job => ("batch", "Job"),
        From::CronJob => ("batch", "CronJob"),
    };
    let version = kube::core::GroupVersionKind::gvk(group, "v1", name);
    let resource = ApiResource::from_gvk_with_plural(&version, &plural(kind));
    let is_namespaced = !matches!(kind, From::Namespace | From::Node);
    let api = if is_namespaced && !selection.namespace.is_empty() {
        Api::namespaced_with(client.clone(), &selection.namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    };
    let fields = match kind {
        From::Namespace if !rules.reads(From::Namespace) => "metadata.name=kube-system".to_owned(),
        From::Node if !selection.node.is_empty() => format!("metadata.name={}", selection.node),
        _ => String::new(),
    };
    (api, Wanted { fields, ..Wanted::default() })
}

fn plural(kind: From) -> String {
    format!("{}s", kind.as_str())
}

async fn follow_metadata(
    kind: From,
    api: Api<Meta>,
    wanted: Wanted,
    cluster: Arc<Cluster>,
    synced: watch::Sender<bool>,
) {
    let events = Events::new(&cluster.registry, kind);
    follow(&plural(kind), api, wanted, |event| {
        let is_listed = matches!(event, Event::Complete);
        let (change, n) = cluster.change(|cache, _| match event {
            Event::Begin => {
                cache.begin_objects(kind);
                (Change::Updated, 0)
            }
            Event::Listed(object) => (cache.list_object(kind, &object.metadata), 1),
            Event::Complete => (Change::Deleted, cache.end_objects(kind)),
            Event::Applied(object) => (cache.apply_object(kind, &object.metadata), 1),
            Event::Deleted(object) => (cache.delete_object(kind, &object.metadata), 1),
        });
        events.count(change, n);
        if is_listed {
            synced.send_replace(true);
        }
    })
    .await;
}

async fn follow_pods(client: Client, selection: Selection, cluster: Arc<Cluster>, synced: watch::Sender<bool>) {
    let events = Events::new(&cluster.registry, From::Pod);
    let size = super::telemetry::cache_size(&cluster.registry);
    let api: Api<Pod> =
        if selection.namespace.is_empty() { Api::all(client) } else { Api::namespaced(client, &selection.namespace) };
    let wanted = Wanted { labels: selection.labels, fields: selection.fields, ..Wanted::default() };
    follow("pods", api, wanted, |event| {
        let is_listed = matches!(event, Event::Complete);
        let (change, n, table) = cluster.change(|cache, now| {
            let (change, n) = match event {
                Event::Begin => {
                    cache.begin_pods();
                    (Change::Updated, 0)
                }
                Event::Listed(pod) => (cache.list_pod(&pod, now), 1),
                Event::Complete => (Change::Deleted, cache.end_pods(now)),
                Event::Applied(pod) => (cache.apply_pod(&pod, now), 1),
                Event::Deleted(pod) => (cache.delete_pod(&pod, now), 1),
            };
            (change, n, cache.len())
        });
        events.count(change, n);
        size.set(i64::try_from(table).unwrap_or(i64::MAX));
        if is_listed {
            tracing::info!(identifiers = table, "All pods are known");
            synced.send_replace(true);
        }
    })
    .await;
}
