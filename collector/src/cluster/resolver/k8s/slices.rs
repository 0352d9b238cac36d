//! The EndpointSlices of one Service, and the members that they make.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::Service;
use crate::k8s::read::null_is_empty;
use crate::k8s::watch::Event;

/// All slices that are known.
#[derive(Debug, Default)]
pub(super) struct Slices {
    known: HashMap<String, Vec<Endpoint>>,
    /// While a list is read: what it has so far.
    listing: HashMap<String, Vec<Endpoint>>,
}

/// What a Service's slices come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As contrib writes them.
    pub(super) members: Vec<String>,
    /// Ready endpoints left out, because names are wanted and they have none.
    pub(super) nameless: usize,
}

impl Slices {
    /// Takes an event; true if the members may be others now.
    pub(super) fn take(&mut self, event: Event<EndpointSlice>) -> bool {
        match event {
            Event::Begin => {
                self.listing.clear();
                false
            }
            Event::Listed(slice) => {
                let (name, endpoints) = slice.into_parts();
                self.listing.insert(name, endpoints);
                false
            }
            Event::Complete => {
                self.known = std::mem::take(&mut self.listing);
                true
            }
            Event::Applied(slice) => {
                let (name, endpoints) = slice.into_parts();
                self.known.insert(name, endpoints);
                true
            }
            Event::Deleted(slice) => self.known.remove(&slice.into_parts().0).is_some(),
        }
    }

    /// An endpoint counts if it is ready, or does not say.
    pub(super) fn members(&self, service: &Service, namespace: &str) -> Found {
        let mut hosts = BTreeSet::new();
        let mut nameless = 0;
        let ready = |endpoint: &&Endpoint| endpoint.conditions.ready != Some(false);
        for endpoint in self.known.values().flatten().filter(ready) {
            if !service.return_hostnames {
                hosts.extend(endpoint.addresses.iter().cloned());
            } else if endpoint.hostname.is_empty() {
                nameless += usize::from(!endpoint.addresses.is_empty());
            } else {
                hosts.insert(format!("{}.{}.{namespace}", endpoint.hostname, service.name));
            }
        }
        let with_port = |host: &String, port: u16| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        let members = if service.ports.is_empty() {
            hosts.into_iter().collect()
        } else {
            hosts.iter().flat_map(|host| service.ports.iter().map(move |port| with_port(host, *port))).collect()
        };
        Found { members, nameless }
    }
}

/// A `discovery.k8s.io/v1` EndpointSlice, as far as it is used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointSlice {
    metadata: ObjectMeta,
    #[serde(deserialize_with = "null_is_empty")]
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(deserialize_with = "null_is_empty")]
    addresses: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    hostname: String,
    #[serde(deserialize_with = "null_is_empty")]
    conditions: Conditions,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
}

impl EndpointSlice {
    fn into_parts(self) -> (String, Vec<Endpoint>) {
        (self.metadata.name.unwrap_or_default(), self.endpoints)
    }
}

impl kube::Resource for EndpointSlice {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "EndpointSlice".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "discovery.k8s.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "endpointslices".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
