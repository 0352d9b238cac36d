//! Which pod a resource belongs to: identifiers of resources and of pods, made by the same rules.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::extract::Pod;
use super::resource::Resource;

/// One source of an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// The far end of the connection.
    Connection,
    /// A resource attribute.
    Attribute(String),
}

impl Source {
    /// `connection` or `resource_attribute/<name>`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Connection => "connection".to_owned(),
            Self::Attribute(name) => format!("resource_attribute/{name}"),
        }
    }
}

/// Sources with their values. The same address by connection and by attribute are two identifiers.
pub(super) type Identifier = SmallVec<[(Source, String); 1]>;

/// A rule: all its sources must have a value.
pub(super) type Rule = Vec<Source>;

/// `connection+resource_attribute/x`, for metrics and errors.
pub(super) fn describe(rule: &[Source]) -> String {
    rule.iter().map(Source::describe).collect::<Vec<_>>().join("+")
}

/// Which rule gave an identifier, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// No rule had all its values.
    Nothing,
    /// Without rules everything counts as the connection.
    Default,
    /// The rule of this number.
    Rule(usize),
}

/// The identifier of a resource: that of the first rule whose sources all have a value, whether a pod has it or not.
pub(super) fn of_resource(rules: &[Rule], resource: &Resource<'_>, peer: Option<&str>) -> (Identifier, By) {
    if rules.is_empty() {
        return match by_default(resource, peer) {
            Some(address) => (Identifier::from_iter([(Source::Connection, address.to_owned())]), By::Default),
            None => (Identifier::new(), By::Nothing),
        };
    }
    for (number, rule) in rules.iter().enumerate() {
        let values = rule.iter().map(|source| {
            let value = match source {
                Source::Connection => peer?.to_owned(),
                Source::Attribute(name) => {
                    let value = resource.text(name);
                    let usable = !value.is_empty() && (name != "host.name" || value.parse::<IpAddr>().is_ok());
                    usable.then(|| value.to_owned())?
                }
            };
            Some((source.clone(), value))
        });
        if let Some(identifier) = values.collect::<Option<Identifier>>() {
            return (identifier, By::Rule(number));
        }
    }
    (Identifier::new(), By::Nothing)
}

/// What counts as the connection where there are no rules: an address that the resource names, or the peer's.
pub(super) fn by_default<'p, 'a: 'p>(resource: &Resource<'a>, peer: Option<&'p str>) -> Option<&'p str> {
    let named = ["k8s.pod.ip", "ip"].map(|name| resource.text(name)).into_iter().find(|value| !value.is_empty());
    named.or(peer).or_else(|| Some(resource.text("host.name")).filter(|host| host.parse::<IpAddr>().is_ok()))
}

/// The identifier by which every pod is known.
pub(super) fn by_uid(uid: &str) -> Identifier {
    Identifier::from_iter([(Source::Attribute("k8s.pod.uid".to_owned()), uid.to_owned())])
}

/// All identifiers of a pod: one a rule (one a container where `container.id` is a source), its uid, its address.
pub(super) fn of_pod(rules: &[Rule], pod: &Pod) -> Vec<Identifier> {
    let mut identifiers = Vec::new();
    let address = Some(pod.address.as_str()).filter(|address| !address.is_empty());
    // Pods on the host's network share its address.
    let own_address = address.filter(|_| !pod.host_network);
    for rule in rules {
        let value = |source: &Source, container: &str| {
            let value = match source {
                Source::Connection => own_address,
                Source::Attribute(name) => match name.as_str() {
                    "k8s.namespace.name" => Some(pod.namespace.as_str()),
                    "k8s.pod.name" => Some(pod.name.as_str()),
                    "k8s.pod.uid" => Some(pod.uid.as_str()),
                    "host.name" | "k8s.pod.ip" => address,
                    "container.id" => Some(container),
                    other => pod.attribute(other),
                },
            };
            value.filter(|value| !value.is_empty()).map(|value| (source.clone(), value.to_owned()))
        };
        let mut add = |container: &str| {
            identifiers.extend(rule.iter().map(|source| value(source, container)).collect::<Option<Identifier>>());
        };
        if rule.contains(&Source::Attribute("container.id".to_owned())) {
            pod.containers.iter().flat_map(|container| &container.ids).for_each(|id| add(id));
        } else {
            add("");
        }
    }
    if !pod.uid.is_empty() {
        identifiers.push(by_uid(&pod.uid));
    }
    if let Some(address) = own_address {
        identifiers.push(Identifier::from_iter([(Source::Connection, address.to_owned())]));
        let by_attribute = (Source::Attribute("k8s.pod.ip".to_owned()), address.to_owned());
        identifiers.push(Identifier::from_iter([by_attribute]));
    }
    identifiers
}
