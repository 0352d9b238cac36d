//! What is known of the cluster: pods by identifier, other objects by name or uid. A state machine without a clock:
//! watches apply their events, resources are looked up, and time is an argument.
//!
//! A deleted pod stays for the grace period, because its last telemetry is still on the way. A newer pod takes over an
//! identifier (an address is given out again), an older one never does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::associate::{Identifier, Rule, by_uid, of_pod};
use super::extract::{Known, Object, Pod};
use super::object::{self, Metadata};
use super::rules::{From, Rules};

/// Pods and other objects.
pub(super) struct Cache {
    rules: Rules,
    associations: Vec<Rule>,
    /// How long a deleted pod can still be found.
    grace: Duration,
    pods: HashMap<Identifier, Arc<Pod>, RandomState>,
    /// Uids of pods that exist, as the watch has it.
    living: HashSet<String, RandomState>,
    /// Uids that the list under way has shown.
    listed: HashSet<String, RandomState>,
    /// Oldest first.
    deletions: VecDeque<Deletion>,
    objects: Objects,
}

struct Deletion {
    identifier: Identifier,
    /// Only this very pod is removed: the identifier may have been taken again meanwhile.
    pod: Arc<Pod>,
    at: Duration,
}

/// What an event was, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Updated,
    Deleted,
}

/// Objects other than pods.
#[derive(Default)]
pub(super) struct Objects {
    /// Namespaces and nodes by name, others by uid.
    known: HashMap<(From, String), Object, RandomState>,
    listed: HashSet<(From, String), RandomState>,
}

impl Known for Objects {
    fn object(&self, kind: From, key: &str) -> Option<&Object> {
        self.known.get(&Lookup(kind, key))
    }
}

/// A key that borrows.
#[derive(Hash)]
struct Lookup<'a>(From, &'a str);

impl hashbrown::Equivalent<(From, String)> for Lookup<'_> {
    fn equivalent(&self, key: &(From, String)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl Cache {
    /// An empty one.
    pub(super) fn new(rules: Rules, associations: Vec<Rule>, grace: Duration) -> Self {
        Self {
            rules,
            associations,
            grace,
            pods: HashMap::default(),
            living: HashSet::default(),
            listed: HashSet::default(),
            deletions: VecDeque::new(),
            objects: Objects::default(),
        }
    }

    /// The pod of an identifier; nothing for pods that are to be ignored.
    pub(super) fn pod(&self, identifier: &Identifier) -> Option<&Arc<Pod>> {
        self.pods.get(identifier).filter(|pod| !pod.ignored)
    }

    /// An object other than a pod.
    pub(super) fn object(&self, kind: From, key: &str) -> Option<&Object> {
        self.objects.object(kind, key)
    }

    /// Identifiers in the table.
    pub(super) fn len(&self) -> usize {
        self.pods.len()
    }

    /// A list of all pods begins.
    pub(super) fn begin_pods(&mut self) {
        self.listed.clear();
    }

    /// A pod of that list.
    pub(super) fn list_pod(&mut self, pod: &object::Pod, now: Duration) -> Change {
        self.listed.insert(pod.metadata.uid().to_owned());
        self.apply_pod(pod, now)
    }

    /// The list is complete: pods that were not in it are gone. Gives their number.
    pub(super) fn end_pods(&mut self, now: Duration) -> u64 {
        let listed = std::mem::take(&mut self.listed);
        let gone: Vec<_> = self.living.iter().filter(|uid| !listed.contains(*uid)).cloned().collect();
        for uid in &gone {
            self.forget(uid, now);
        }
        gone.len() as u64
    }

    /// A pod is there or has changed.
    pub(super) fn apply_pod(&mut self, pod: &object::Pod, now: Duration) -> Change {
        let new = Arc::new(self.rules.pod(pod, &self.objects));
        let identifiers = of_pod(&self.associations, &new);
        let own = by_uid(&new.uid);
        let old = self.pods.get(&own).filter(|old| !new.uid.is_empty() && old.uid == new.uid).cloned();
        for identifier in &identifiers {
            let older = |known: &Arc<Pod>| new.start_time.zip(known.start_time).is_some_and(|(new, old)| new < old);
            if !self.pods.get(identifier).is_some_and(older) {
                self.pods.insert(identifier.clone(), Arc::clone(&new));
            }
        }
        let taken = self.pods.get(&own).is_some_and(|current| Arc::ptr_eq(current, &new));
        if let Some(old) = old.filter(|_| taken) {
            // A new address, a container that was started anew: what pointed here before goes the way of deleted pods.
            for identifier in of_pod(&self.associations, &old) {
                if !identifiers.contains(&identifier) {
                    self.queue(identifier, &old.uid, now);
                }
            }
        }
        if self.living.insert(new.uid.clone()) { Change::Added } else { Change::Updated }
    }

    /// A pod was deleted. The event's own object may lack its address by now, so the known one counts.
    pub(super) fn delete_pod(&mut self, pod: &object::Pod, now: Duration) -> Change {
        if self.pods.contains_key(&by_uid(pod.metadata.uid())) {
            self.forget(pod.metadata.uid(), now);
        }
        Change::Deleted
    }

    fn forget(&mut self, uid: &str, now: Duration) {
        self.living.remove(uid);
        let Some(known) = self.pods.get(&by_uid(uid)).cloned() else { return };
        for identifier in of_pod(&self.associations, &known) {
            self.queue(identifier, uid, now);
        }
    }

    fn queue(&mut self, identifier: Identifier, uid: &str, now: Duration) {
        if let Some(pod) = self.pods.get(&identifier).filter(|pod| pod.uid == uid) {
            let pod = Arc::clone(pod);
            self.deletions.push_back(Deletion { identifier, pod, at: now });
        }
    }

    /// Removes what was deleted longer ago than the grace period.
    pub(super) fn sweep(&mut self, now: Duration) {
        while let Some(first) = self.deletions.front()
            && first.at + self.grace <= now
            && let Some(Deletion { identifier, pod, .. }) = self.deletions.pop_front()
        {
            if self.pods.get(&identifier).is_some_and(|current| Arc::ptr_eq(current, &pod)) {
                self.pods.remove(&identifier);
            }
        }
        if self.pods.len() * 4 < self.pods.capacity() {
            self.pods.shrink_to_fit();
        }
    }

    /// A list of all objects of a kind begins.
    pub(super) fn begin_objects(&mut self, kind: From) {
        self.objects.listed.retain(|(listed, _)| *listed != kind);
    }

    /// An object of that list.
    pub(super) fn list_object(&mut self, kind: From, metadata: &ObjectMeta) -> Change {
        self.objects.listed.insert((kind, key_of(kind, metadata).to_owned()));
        self.apply_object(kind, metadata)
    }

    /// The list is complete: objects that were not in it are gone. Gives their number.
    pub(super) fn end_objects(&mut self, kind: From) -> u64 {
        let Objects { known, listed } = &mut self.objects;
        let before = known.len();
        known.retain(|key, _| key.0 != kind || listed.contains(key));
        let gone = before - known.len();
        listed.retain(|(listed, _)| *listed != kind);
        gone as u64
    }

    /// An object is there or has changed.
    pub(super) fn apply_object(&mut self, kind: From, metadata: &ObjectMeta) -> Change {
        let object = self.rules.object(kind, metadata);
        match self.objects.known.insert((kind, key_of(kind, metadata).to_owned()), object) {
            None => Change::Added,
            Some(_) => Change::Updated,
        }
    }

    /// An object was deleted. At once: its pods went before it.
    pub(super) fn delete_object(&mut self, kind: From, metadata: &ObjectMeta) -> Change {
        self.objects.known.remove(&Lookup(kind, key_of(kind, metadata)));
        Change::Deleted
    }
}

fn key_of(kind: From, metadata: &ObjectMeta) -> &str {
    match kind {
        From::Namespace | From::Node => metadata.name(),
        _ => metadata.uid(),
    }
}
