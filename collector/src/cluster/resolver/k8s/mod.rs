//! The `k8s` resolver: the ready endpoints of a Service, from a watch of its EndpointSlices.
//!
//! Changes arrive at once, without the pauses of DNS. It needs `get`, `list` and `watch` on `endpointslices` of
//! `discovery.k8s.io` in the Service's namespace. While the API is away the list stays as it was.

mod slices;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::slices::{EndpointSlice, Slices};
use super::Publisher;
use crate::k8s::client::{Access, AuthType};
use crate::k8s::watch::{Event, Wanted, follow};

/// Contrib's default of one list or watch.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// How long starting waits for the first list. Contrib waits for ever.
const FIRST_LIST: Duration = Duration::from_secs(10);
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub(super) name: String,
    /// As written; without one it is the pod's own.
    pub(super) namespace: Option<String>,
    /// Each endpoint is a member with each of these; none for endpoints without a port.
    pub(super) ports: Vec<u16>,
    /// Of one list or watch.
    pub(super) timeout: Duration,
    /// Members are the endpoints' names instead of their addresses.
    pub(super) return_hostnames: bool,
}

impl Service {
    /// Reads `name`, `name.namespace` or `name.namespace.svc.cluster.domain`. Errors have contrib's texts.
    pub(super) fn parse(text: &str) -> Result<(String, Option<String>), String> {
        let parts: Vec<&str> = text.split('.').collect();
        let invalid = |why: &str| Err(format!("invalid Kubernetes service FQDN: {why} in {text:?}"));
        match parts.as_slice() {
            [] | ["", ..] => Err("no service specified to resolve the backends".to_owned()),
            [name] | [name, ""] => Ok(((*name).to_owned(), None)),
            [_, "", ..] => Err(format!("invalid Kubernetes service FQDN: namespace segment missing in {text:?}")),
            [name, namespace] => Ok(((*name).to_owned(), Some((*namespace).to_owned()))),
            [_, _, "svc"] => invalid("missing cluster domain"),
            [name, namespace, "svc", ..] => Ok(((*name).to_owned(), Some((*namespace).to_owned()))),
            _ => invalid("expected third DNS label to be 'svc'"),
        }
    }

    /// Starts watching and waits a while for the first list. The error says what to do about access to the API.
    pub(super) async fn start(
        self,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> Result<tokio::task::JoinHandle<()>, String> {
        let client = client().await?;
        let namespace = match &self.namespace {
            Some(namespace) => namespace.clone(),
            None => own_namespace().await,
        };
        let name = format!("{}.{namespace}", self.name);
        let listed = Arc::new(Notify::new());
        let watching = self.watch(client, namespace, publisher, Arc::clone(&listed));
        let task = tokio::spawn(async move {
            stop.run_until_cancelled(watching).await;
        });
        if tokio::time::timeout(FIRST_LIST, listed.notified()).await.is_err() {
            tracing::warn!(service = name, "there is no list of endpoints from the Kubernetes API yet");
        }
        Ok(task)
    }

    async fn watch(self, client: Client, namespace: String, publisher: Publisher, listed: Arc<Notify>) {
        let api: Api<EndpointSlice> = Api::namespaced(client, &namespace);
        let wanted = Wanted {
            labels: format!("kubernetes.io/service-name={}", self.name),
            watch_for: Some(self.timeout),
            ..Wanted::default()
        };
        let name = format!("{}.{namespace}", self.name);
        let mut slices = Slices::default();
        follow("endpointslices", api, wanted, |event| {
            let is_complete = matches!(event, Event::Complete);
            if slices.take(event) {
                let found = slices.members(&self, &namespace);
                if found.nameless > 0 {
                    publisher.failed(&name, &format!("{} endpoints have no hostname (yet)", found.nameless));
                }
                // Nobody is ready: those of a moment ago are the best guess.
                if found.members.is_empty() {
                    publisher.failed(&name, &"the service has no ready endpoints");
                } else {
                    publisher.publish(found.members);
                }
            }
            if is_complete {
                listed.notify_one();
            }
        })
        .await;
    }
}

/// As contrib: a kubeconfig that the environment names, then the pod's service account, then `~/.kube/config`.
async fn client() -> Result<Client, String> {
    let given = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_pod = given("KUBERNETES_SERVICE_HOST") && !given("KUBECONFIG");
    let auth_type = if is_pod { AuthType::ServiceAccount } else { AuthType::KubeConfig };
    Access { auth_type, ..Access::default() }.client().await.map_err(|error| format!("the k8s resolver: {error}"))
}

async fn own_namespace() -> String {
    match tokio::fs::read_to_string(NAMESPACE_FILE).await {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => {
            tracing::warn!(
                "not in a pod: the k8s resolver looks in the namespace \"default\"; write service.namespace"
            );
            "default".to_owned()
        }
    }
}
