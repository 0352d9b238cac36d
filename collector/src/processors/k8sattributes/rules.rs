//! What is to be extracted: names of metadata, and rules for labels and annotations.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;

use super::object::Pairs;

/// An attribute's key. Most are known beforehand.
pub(super) type Key = Cow<'static, str>;
/// Attributes in the making: a later rule wins a key.
pub(super) type Tags = BTreeMap<Key, String>;

/// Which names are given to attributes (feature gates of upstream).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conventions {
    /// `k8s.pod.labels.x`, `container.image.tag`
    pub(super) old: bool,
    /// `k8s.pod.label.x`, `container.image.tags`
    pub(super) new: bool,
}

macro_rules! metadata {
    ($($field:ident = $name:literal,)*) => {
        /// Which metadata is extracted: one switch a name of `extract.metadata`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(clippy::struct_excessive_bools, reason = "a set of names, each asked for by its own code")]
        pub(super) struct Wanted {
            $(pub(super) $field: bool,)*
        }

        /// All names, in the order of upstream's documentation.
        pub(super) const NAMES: &[&str] = &[$($name),*];

        impl Wanted {
            /// Switches a name on; false if there is no such name.
            pub(super) fn add(&mut self, name: &str) -> bool {
                match name {
                    $($name => self.$field = true,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

metadata! {
    namespace = "k8s.namespace.name",
    pod_name = "k8s.pod.name",
    pod_uid = "k8s.pod.uid",
    pod_hostname = "k8s.pod.hostname",
    pod_start_time = "k8s.pod.start_time",
    pod_ip = "k8s.pod.ip",
    deployment_name = "k8s.deployment.name",
    deployment_uid = "k8s.deployment.uid",
    replicaset_name = "k8s.replicaset.name",
    replicaset_uid = "k8s.replicaset.uid",
    daemonset_name = "k8s.daemonset.name",
    daemonset_uid = "k8s.daemonset.uid",
    statefulset_name = "k8s.statefulset.name",
    statefulset_uid = "k8s.statefulset.uid",
    job_name = "k8s.job.name",
    job_uid = "k8s.job.uid",
    cronjob_name = "k8s.cronjob.name",
    cronjob_uid = "k8s.cronjob.uid",
    node_name = "k8s.node.name",
    node_uid = "k8s.node.uid",
    container_name = "k8s.container.name",
    container_id = "container.id",
    image_name = "container.image.name",
    image_tag = "container.image.tag",
    image_tags = "container.image.tags",
    repo_digests = "container.image.repo_digests",
    service_namespace = "service.namespace",
    service_name = "service.name",
    service_version = "service.version",
    service_instance_id = "service.instance.id",
    cluster_uid = "k8s.cluster.uid",
}

/// Extracted where `extract.metadata` is not given.
pub(super) fn default_names(conventions: Conventions) -> Vec<&'static str> {
    let mut names = vec![
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "k8s.pod.start_time",
        "k8s.node.name",
        "k8s.deployment.name",
        "container.image.name",
    ];
    names.extend(conventions.old.then_some("container.image.tag"));
    names.extend(conventions.new.then_some("container.image.tags"));
    names
}

/// What labels and annotations are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum From {
    #[default]
    Pod,
    Namespace,
    Node,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
}

impl From {
    const ALL: [Self; 9] = [
        Self::Pod,
        Self::Namespace,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
        Self::Node,
    ];

    /// The name in YAML and in attributes.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Namespace => "namespace",
            Self::Node => "node",
            Self::Deployment => "deployment",
            Self::ReplicaSet => "replicaset",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::CronJob => "cronjob",
        }
    }

    /// By its name; empty is the pod.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name.is_empty() { Some(Self::Pod) } else { Self::ALL.into_iter().find(|from| from.as_str() == name) }
    }

    /// All names, for errors.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// Before names were settled, these three had the plural.
    fn had_plural(self) -> bool {
        matches!(self, Self::Pod | Self::Namespace | Self::Node)
    }
}

/// One entry of `extract.labels` or `extract.annotations`.
#[derive(Clone, Debug)]
pub(super) struct FieldRule {
    pub(super) from: From,
    /// Name of the attribute, or its template; empty for the default name.
    pub(super) tag_name: String,
    pub(super) key: FieldKey,
}

#[derive(Clone, Debug)]
pub(super) enum FieldKey {
    Exact(String),
    /// Anchored at both ends.
    Pattern(Regex),
}

/// What a rule reads: the middle of the default names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Label,
    Annotation,
}

impl Field {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Annotation => "annotation",
        }
    }
}

impl FieldRule {
    /// Adds what the rule finds in the labels or annotations of an object of its kind.
    pub(super) fn extract(&self, pairs: Pairs<'_>, field: Field, conventions: Conventions, tags: &mut Tags) {
        let Some(pairs) = pairs else { return };
        match &self.key {
            FieldKey::Exact(key) => {
                if let Some(value) = pairs.get(key) {
                    self.add(key, value, field, conventions, None, tags);
                }
            }
            FieldKey::Pattern(regex) => {
                for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
                    let Some(found) = regex.captures(key) else { continue };
                    // A template without a group to refer to is not one: upstream falls back to the default name.
                    let template = regex.captures_len() > 1 && !self.tag_name.is_empty();
                    let name = template.then(|| {
                        let mut name = String::new();
                        found.expand(&self.tag_name, &mut name);
                        name
                    });
                    self.add(key, value, field, conventions, Some(name), tags);
                }
            }
        }
    }

    fn add(
        &self,
        key: &str,
        value: &str,
        field: Field,
        conventions: Conventions,
        expanded: Option<Option<String>>,
        tags: &mut Tags,
    ) {
        let given = match expanded {
            Some(expanded) => expanded,
            None => Some(self.tag_name.clone()).filter(|name| !name.is_empty()),
        };
        if let Some(name) = given {
            tags.insert(name.into(), value.to_owned());
            return;
        }
        let (from, field) = (self.from.as_str(), field.as_str());
        if self.from.had_plural() && conventions.old {
            tags.insert(format!("k8s.{from}.{field}s.{key}").into(), value.to_owned());
        }
        if !self.from.had_plural() || conventions.new {
            tags.insert(format!("k8s.{from}.{field}.{key}").into(), value.to_owned());
        }
    }
}

/// Everything that is extracted.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) wanted: Wanted,
    pub(super) labels: Vec<FieldRule>,
    pub(super) annotations: Vec<FieldRule>,
    /// False: the deployment is looked up through its ReplicaSet, not guessed from that one's name.
    pub(super) deployment_from_replicaset_name: bool,
    pub(super) conventions: Conventions,
    /// Pods whose names match are never used.
    pub(super) excluded: Vec<Regex>,
}

impl Rules {
    /// True if labels or annotations of objects of this kind are read.
    pub(super) fn reads(&self, from: From) -> bool {
        self.labels.iter().chain(&self.annotations).any(|rule| rule.from == from)
    }

    /// True if anything of containers is extracted.
    pub(super) fn reads_containers(&self) -> bool {
        let wanted = &self.wanted;
        wanted.image_name
            || wanted.container_name
            || wanted.image_tag
            || wanted.image_tags
            || wanted.repo_digests
            || wanted.container_id
            || wanted.service_version
            || wanted.service_instance_id
    }
}
