//! Own metrics: associations by rule and outcome, watch events by kind, size of the pod table.

use std::sync::OnceLock;

use component::telemetry::{Counter, Definition, Gauge, Registry};

use super::associate::{By, Rule, describe};
use super::cache::Change;
use super::rules::From;

const SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/processor/k8sattributesprocessor";

const fn definition(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    Definition { name, unit, description, scope: SCOPE }
}

const ASSOCIATION: Definition =
    definition("otelcol.k8s.pod.association", "{resources}", "Number of pod associations' evaluations [Development]");
const CACHE_SIZE: Definition =
    definition("otelcol.k8s.watcher.pod_cache.size", "1", "Size of cache table containing pod info [Development]");

macro_rules! watched {
    ($kind:literal) => {
        [
            definition(
                concat!("otelcol.k8s.watcher.", $kind, ".added"),
                "1",
                concat!("Number of ", $kind, " add events received [Development]"),
            ),
            definition(
                concat!("otelcol.k8s.watcher.", $kind, ".updated"),
                "1",
                concat!("Number of ", $kind, " update events received [Development]"),
            ),
            definition(
                concat!("otelcol.k8s.watcher.", $kind, ".deleted"),
                "1",
                concat!("Number of ", $kind, " delete events received [Development]"),
            ),
        ]
    };
}

/// Counters of one kind of objects.
pub(super) struct Events([Counter; 3]);

impl Events {
    pub(super) fn new(registry: &Registry, kind: From) -> Self {
        let definitions = match kind {
            From::Pod => watched!("pod"),
            From::Namespace => watched!("namespace"),
            From::Node => watched!("node"),
            From::Deployment => watched!("deployment"),
            From::ReplicaSet => watched!("replicaset"),
            From::StatefulSet => watched!("statefulset"),
            From::DaemonSet => watched!("daemonset"),
            From::Job => watched!("job"),
            From::CronJob => watched!("cronjob"),
        };
        Self(definitions.map(|definition| registry.counter(definition, &[])))
    }

    pub(super) fn count(&self, change: Change, n: u64) {
        let [added, updated, deleted] = &self.0;
        match change {
            Change::Added => added.add(n),
            Change::Updated => updated.add(n),
            Change::Deleted => deleted.add(n),
        }
    }
}

/// The size of the pod table.
pub(super) fn cache_size(registry: &Registry) -> Gauge {
    registry.gauge(CACHE_SIZE, &[])
}

/// Counts what became of resources, for one pipeline's signal. A series appears with its first resource.
pub(super) struct Associations {
    registry: Registry,
    signal: &'static str,
    /// No identifier, the default ones, then one a rule.
    names: Vec<String>,
    /// By name, failures before successes.
    counters: Vec<OnceLock<Counter>>,
}

impl Associations {
    pub(super) fn new(registry: &Registry, signal: &'static str, rules: &[Rule]) -> Self {
        let mut names = vec![String::new(), "connection".to_owned()];
        names.extend(rules.iter().map(|rule| describe(rule)));
        let counters = std::iter::repeat_with(OnceLock::new).take(names.len() * 2).collect();
        Self { registry: registry.clone(), signal, names, counters }
    }

    pub(super) fn count(&self, by: By, found: bool) {
        let at = match by {
            By::Nothing => 0,
            By::Default => 1,
            By::Rule(number) => number + 2,
        };
        let Some((name, slot)) = self.names.get(at).zip(self.counters.get(at * 2 + usize::from(found))) else { return };
        slot.get_or_init(|| {
            let status = if found { "success" } else { "error" };
            let attributes = [("status", status), ("pod_identifier", name.as_str()), ("otelcol.signal", self.signal)];
            self.registry.counter(ASSOCIATION, &attributes)
        })
        .add(1);
    }
}
