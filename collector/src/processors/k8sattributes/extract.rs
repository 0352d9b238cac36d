//! From an object to what is kept of it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::image::{Image, canonical};
use super::object::{self, Metadata};
use super::rules::{Field, From, Key, Rules, Tags};

/// What is kept of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pod {
    pub(super) uid: String,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) node_name: String,
    /// Its IP; empty until it has one.
    pub(super) address: String,
    pub(super) host_network: bool,
    /// Seconds since the epoch.
    pub(super) start_time: Option<i64>,
    /// Known, but never matched.
    pub(super) ignored: bool,
    pub(super) attributes: Vec<(Key, String)>,
    /// Workloads it belongs to, by kind, with their uids.
    pub(super) owners: Vec<(From, String)>,
    pub(super) containers: Vec<Container>,
}

impl Pod {
    /// The extracted attribute of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The uid of the workload of this kind.
    pub(super) fn owner(&self, kind: From) -> Option<&str> {
        self.owners.iter().find(|(known, _)| *known == kind).map(|(_, uid)| uid.as_str())
    }

    /// The container to speak for a resource: by name, else by id, else the only one. Nothing if a given name or id is
    /// unknown.
    pub(super) fn container(&self, name: &str, id: &str) -> Option<&Container> {
        if !name.is_empty() {
            return self.containers.iter().find(|container| container.spec_name == name);
        }
        if !id.is_empty() {
            return self.containers.iter().find(|container| container.ids.iter().any(|known| known == id));
        }
        let mut with_ids = self.containers.iter().filter(|container| !container.ids.is_empty());
        match (with_ids.next(), with_ids.next()) {
            (Some(only), None) if only.ids.len() == 1 => Some(only),
            _ => match self.containers.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}

/// What is kept of a container, init containers included.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Container {
    /// Its name, whether extracted or not.
    pub(super) spec_name: String,
    pub(super) name: Option<String>,
    pub(super) image_name: Option<String>,
    pub(super) image_tag: Option<String>,
    pub(super) image_tags: Option<Vec<String>>,
    pub(super) instance_id: Option<String>,
    pub(super) version: Option<String>,
    /// Without the runtime's prefix.
    pub(super) ids: Vec<String>,
    /// By restart count.
    pub(super) runs: BTreeMap<i64, Run>,
}

/// One run of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Run {
    pub(super) id: Option<String>,
    pub(super) repo_digests: Option<Vec<String>>,
}

/// What is kept of every other object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object {
    pub(super) uid: String,
    pub(super) attributes: Vec<(Key, String)>,
    /// Name and uid of the controlling Deployment of a ReplicaSet or CronJob of a Job.
    pub(super) controller: Option<(String, String)>,
}

/// Answers about other objects while a pod is extracted.
pub(super) trait Known {
    /// The object of a kind; namespaces and nodes by name, others by uid.
    fn object(&self, kind: From, key: &str) -> Option<&Object>;
}

impl Rules {
    /// What is kept of an object that is not a pod.
    pub(super) fn object(&self, kind: From, metadata: &ObjectMeta) -> Object {
        let mut tags = Tags::new();
        self.extract_fields(kind, metadata, Field::Label, &mut tags);
        self.extract_fields(kind, metadata, Field::Annotation, &mut tags);
        let controller = match kind {
            From::ReplicaSet => metadata.controller("Deployment"),
            From::Job => metadata.controller("CronJob"),
            _ => None,
        };
        Object {
            uid: metadata.uid().to_owned(),
            attributes: tags.into_iter().collect(),
            controller: controller.map(|owner| (owner.name.clone(), owner.uid.clone())),
        }
    }

    fn extract_fields(&self, kind: From, metadata: &ObjectMeta, field: Field, tags: &mut Tags) {
        let (rules, pairs) = match field {
            Field::Label => (&self.labels, metadata.labels()),
            Field::Annotation => (&self.annotations, metadata.annotations()),
        };
        for rule in rules.iter().filter(|rule| rule.from == kind) {
            rule.extract(pairs, field, self.conventions, tags);
        }
    }

    /// What is kept of a pod.
    pub(super) fn pod(&self, pod: &object::Pod, known: &impl Known) -> Pod {
        let metadata = &pod.metadata;
        let ignored = self.ignores(metadata);
        let mut kept = Pod {
            uid: metadata.uid().to_owned(),
            name: metadata.name().to_owned(),
            namespace: metadata.namespace().to_owned(),
            node_name: pod.spec.node_name.clone(),
            address: pod.status.pod_ip.clone(),
            host_network: pod.spec.host_network,
            start_time: pod.status.start_time.as_ref().map(|time| time.0.as_second()),
            ignored,
            ..Pod::default()
        };
        for owner in metadata.owners() {
            let kind = match owner.kind.as_str() {
                "ReplicaSet" => From::ReplicaSet,
                "StatefulSet" => From::StatefulSet,
                "DaemonSet" => From::DaemonSet,
                "Job" => From::Job,
                _ => continue,
            };
            kept.owners.push((kind, owner.uid.clone()));
            let above = match kind {
                From::ReplicaSet => Some(From::Deployment),
                From::Job => Some(From::CronJob),
                _ => None,
            };
            let controller = known.object(kind, &owner.uid).and_then(|object| object.controller.as_ref());
            if let Some((above, (_, uid))) = above.zip(controller) {
                kept.owners.push((above, uid.clone()));
            }
        }
        if !ignored {
            kept.attributes = self.pod_attributes(pod, known).into_iter().collect();
            if self.reads_containers() {
                kept.containers = self.containers(pod);
            }
        }
        kept
    }

    fn ignores(&self, metadata: &ObjectMeta) -> bool {
        let annotation = metadata.annotations().and_then(|all| all.get("opentelemetry.io/k8s-processor/ignore"));
        annotation.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
            || self.excluded.iter().any(|regex| regex.is_match(metadata.name()))
    }

    fn pod_attributes(&self, pod: &object::Pod, known: &impl Known) -> Tags {
        let (metadata, wanted) = (&pod.metadata, &self.wanted);
        let mut tags = Tags::new();
        let mut set = |on: bool, key: &'static str, value: &str| {
            if on {
                tags.insert(key.into(), value.to_owned());
            }
        };
        set(wanted.pod_name, "k8s.pod.name", metadata.name());
        set(wanted.service_name, "service.name", metadata.name());
        // Upstream sets these even where they are empty.
        set(wanted.pod_hostname, "k8s.pod.hostname", &pod.spec.hostname);
        set(wanted.pod_ip, "k8s.pod.ip", &pod.status.pod_ip);
        set(wanted.namespace, "k8s.namespace.name", metadata.namespace());
        set(wanted.service_namespace, "service.namespace", metadata.namespace());
        set(wanted.pod_uid, "k8s.pod.uid", metadata.uid());
        set(wanted.node_name, "k8s.node.name", &pod.spec.node_name);
        if let Some(created) = &metadata.creation_timestamp {
            set(wanted.pod_start_time, "k8s.pod.start_time", &created.0.to_string());
        }
        if let Some(system) = known.object(From::Namespace, "kube-system") {
            set(wanted.cluster_uid, "k8s.cluster.uid", &system.uid);
        }
        for owner in metadata.owners() {
            self.owner_attributes(pod, owner, known, &mut tags);
        }
        self.extract_fields(From::Pod, metadata, Field::Label, &mut tags);
        // The instance has a higher precedence than the name.
        for label in ["app.kubernetes.io/name", "app.kubernetes.io/instance"] {
            if let Some(value) = metadata.label(label).filter(|_| wanted.service_name) {
                tags.insert("service.name".into(), value.to_owned());
            }
        }
        if let Some(value) = metadata.label("app.kubernetes.io/version").filter(|_| wanted.service_version) {
            tags.insert("service.version".into(), value.to_owned());
        }
        // After the labels, so that OpenTelemetry annotations win over the well-known labels.
        self.extract_fields(From::Pod, metadata, Field::Annotation, &mut tags);
        tags
    }

    fn owner_attributes(&self, pod: &object::Pod, owner: &OwnerReference, known: &impl Known, tags: &mut Tags) {
        let wanted = &self.wanted;
        let (kind, name_on, name_key, uid_on, uid_key) = match owner.kind.as_str() {
            "ReplicaSet" => (
                From::ReplicaSet,
                wanted.replicaset_name,
                "k8s.replicaset.name",
                wanted.replicaset_uid,
                "k8s.replicaset.uid",
            ),
            "DaemonSet" => (
                From::DaemonSet,
                wanted.daemonset_name,
                "k8s.daemonset.name",
                wanted.daemonset_uid,
                "k8s.daemonset.uid",
            ),
            "StatefulSet" => (
                From::StatefulSet,
                wanted.statefulset_name,
                "k8s.statefulset.name",
                wanted.statefulset_uid,
                "k8s.statefulset.uid",
            ),
            "Job" => (From::Job, wanted.job_name, "k8s.job.name", wanted.job_uid, "k8s.job.uid"),
            _ => return,
        };
        let mut set = |on: bool, key: &'static str, value: &str| {
            if on {
                tags.insert(key.into(), value.to_owned());
            }
        };
        set(uid_on, uid_key, &owner.uid);
        set(name_on, name_key, &owner.name);
        set(wanted.service_name, "service.name", &owner.name);
        let (above_name_on, above_name, above_uid_on, above_uid) = match kind {
            From::ReplicaSet => {
                (wanted.deployment_name, "k8s.deployment.name", wanted.deployment_uid, "k8s.deployment.uid")
            }
            From::Job => (wanted.cronjob_name, "k8s.cronjob.name", wanted.cronjob_uid, "k8s.cronjob.uid"),
            _ => return,
        };
        let looked_up = known.object(kind, &owner.uid);
        let controller = looked_up.and_then(|object| object.controller.as_ref());
        if let Some((_, uid)) = controller.filter(|(_, uid)| !uid.is_empty()) {
            set(above_uid_on, above_uid, uid);
        }
        let guessed = || match kind {
            From::ReplicaSet => deployment_name(&owner.name, pod.metadata.label("pod-template-hash")?),
            _ => cronjob_name(&owner.name, pod.metadata.creation_timestamp.as_ref()?.0.as_second()),
        };
        let name = match looked_up {
            Some(_) => controller.map(|(name, _)| name.as_str()),
            None => guessed(),
        };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            set(above_name_on, above_name, name);
            set(wanted.service_name, "service.name", name);
        }
    }

    fn containers(&self, pod: &object::Pod) -> Vec<Container> {
        let wanted = &self.wanted;
        let mut containers: Vec<Container> = Vec::new();
        let reads_specs = wanted.image_name
            || wanted.image_tag
            || wanted.image_tags
            || wanted.service_version
            || wanted.service_instance_id;
        let specs = pod.spec.containers.iter().chain(&pod.spec.init_containers).filter(|_| reads_specs);
        for spec in specs {
            let mut container = Container { spec_name: spec.name.clone(), ..Container::default() };
            if let Some(image) = Image::parse(&spec.image) {
                let tag = image.tag_or_latest();
                container.image_name = wanted.image_name.then(|| image.name.to_owned());
                container.image_tag = (wanted.image_tag && self.conventions.old).then(|| tag.to_owned());
                container.image_tags = (wanted.image_tags && self.conventions.new).then(|| vec![tag.to_owned()]);
                container.version = image.version().filter(|_| wanted.service_version);
            }
            containers.push(container);
        }
        for status in pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses) {
            let at = containers.iter().position(|container| container.spec_name == status.name).unwrap_or_else(|| {
                containers.push(Container { spec_name: status.name.clone(), ..Container::default() });
                containers.len() - 1
            });
            let container = &mut containers[at];
            container.name = wanted.container_name.then(|| status.name.clone());
            container.instance_id = wanted
                .service_instance_id
                .then(|| [pod.metadata.namespace(), pod.metadata.name(), &status.name].join("."));
            let id = status.container_id.split_once("://").map_or(status.container_id.as_str(), |(_, id)| id);
            if !id.is_empty() {
                container.ids.push(id.to_owned());
            }
            if wanted.container_id || wanted.repo_digests {
                let digest = wanted.repo_digests.then(|| canonical(&status.image_id)).flatten();
                let run = Run {
                    id: Some(id.to_owned()).filter(|id| wanted.container_id && !id.is_empty()),
                    repo_digests: digest.map(|digest| vec![digest]),
                };
                container.runs.insert(status.restart_count, run);
            }
        }
        containers
    }
}

/// A ReplicaSet of a Deployment is named `<deployment>-<pod-template-hash>`.
fn deployment_name<'a>(replicaset: &'a str, hash: &str) -> Option<&'a str> {
    if hash.is_empty() {
        return None;
    }
    replicaset.strip_suffix(hash)?.strip_suffix('-')
}

/// A Job of a CronJob is named `<cronjob>-<minutes since 1970>`. Digits that are not near the pod's creation are a
/// person's, for example a date.
fn cronjob_name(job: &str, created_unix: i64) -> Option<&str> {
    const MOST_MINUTES_APART: u64 = 24 * 60;
    let (name, minutes) = job.rsplit_once('-')?;
    if minutes.len() != 8 || !minutes.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let minutes: i64 = minutes.parse().ok()?;
    (created_unix / 60).abs_diff(minutes).le(&MOST_MINUTES_APART).then_some(name)
}
