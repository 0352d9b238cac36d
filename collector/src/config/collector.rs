//! The whole configuration: sections, ids, component types, pipelines, and what they may refer to.
//!
//! Reading never stops at the first mistake. Components are parsed by their factories, so what comes out is ready to be
//! built; whether pipelines connect is the graph's question (`pipeline::graph`).

use std::sync::Arc;

use component::{Id, Signal};
use serde::Deserialize;

use super::decode::join;
use super::nearest;
use super::node::Node;
use super::section::{Problems, Section, decode_at};
use super::service_telemetry::Telemetry;
use crate::factory::{ConnectorPlan, ExporterPlan, ExtensionPlan, Factory, ProcessorPlan, ReceiverPlan};
use crate::registry::Factories;

/// A configuration that can be built.
#[derive(Default)]
pub struct Config {
    /// `receivers`
    pub receivers: Vec<Component<dyn ReceiverPlan>>,
    /// `processors`
    pub processors: Vec<Component<dyn ProcessorPlan>>,
    /// `exporters`
    pub exporters: Vec<Component<dyn ExporterPlan>>,
    /// `connectors`
    pub connectors: Vec<Component<dyn ConnectorPlan>>,
    /// `extensions`
    pub extensions: Vec<Component<dyn ExtensionPlan>>,
    /// `service`
    pub service: Service,
    /// Log lines of level warn that reading gave, such as deprecated names.
    pub warnings: Vec<String>,
}

/// A configured component.
pub struct Component<P: ?Sized> {
    /// As written.
    pub id: Id,
    /// Its checked configuration; absent if it has mistakes, which are in the problems then.
    pub plan: Option<Arc<P>>,
}

/// The `service` section.
#[derive(Default)]
pub struct Service {
    /// Own logs and metrics.
    pub telemetry: Telemetry,
    /// Extensions to run, in start order.
    pub extensions: Vec<Id>,
    /// Pipelines, in the order of the file.
    pub pipelines: Vec<Pipeline>,
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// What it carries.
    pub signal: Signal,
    /// `traces` or `traces/name`, as written.
    pub id: Arc<str>,
    /// Receivers and connectors it is fed by, without duplicates.
    pub receivers: Vec<Id>,
    /// Processors in order.
    pub processors: Vec<Id>,
    /// Exporters and connectors it feeds, without duplicates.
    pub exporters: Vec<Id>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPipeline {
    receivers: Vec<String>,
    processors: Vec<String>,
    exporters: Vec<String>,
}

const TOP: [&str; 6] = ["receivers", "processors", "exporters", "connectors", "extensions", "service"];

impl Config {
    /// Reads a resolved configuration; every mistake goes to `problems`.
    #[must_use]
    pub fn read(root: &Node, factories: &Factories, problems: &mut Problems) -> Self {
        let mut warnings = Vec::new();
        unknown_keys(root, "", &TOP, problems);
        let mut config = Self {
            receivers: components(root, "receivers", &factories.receivers, &mut warnings, problems),
            processors: components(root, "processors", &factories.processors, &mut warnings, problems),
            exporters: components(root, "exporters", &factories.exporters, &mut warnings, problems),
            connectors: components(root, "connectors", &factories.connectors, &mut warnings, problems),
            extensions: components(root, "extensions", &factories.extensions, &mut warnings, problems),
            service: Service::default(),
            warnings,
        };
        if let Some(service) = section(root, "service", "service", problems) {
            unknown_keys(service, "service", &["telemetry", "extensions", "pipelines"], problems);
            config.service = read_service(service, problems);
        }
        if config.service.telemetry.legacy_resource {
            config.warnings.push(
                "resource attributes in the inline map form are deprecated; use service::telemetry::resource::attributes"
                    .to_owned(),
            );
        }
        // A pipeline that has mistakes is one, too.
        if root.at("service::pipelines").is_none_or(|pipelines| pipelines.entries().is_empty()) {
            problems.add("service::pipelines", "service must have at least one pipeline");
        }
        config.check(problems);
        config
    }

    /// Upstream stops at the first of these; all are reported here.
    fn check(&self, problems: &mut Problems) {
        if self.receivers.is_empty()
            && self.processors.is_empty()
            && self.exporters.is_empty()
            && self.connectors.is_empty()
            && self.extensions.is_empty()
        {
            problems.add("", "empty configuration file");
        } else {
            if self.receivers.is_empty() && self.connectors.is_empty() {
                problems.add("", "no receiver configuration specified in config");
            }
            if self.exporters.is_empty() && self.connectors.is_empty() {
                problems.add("", "no exporter configuration specified in config");
            }
        }
        for connector in &self.connectors {
            let id = &connector.id;
            let mut clash = |kind: &str| {
                problems.add(
                    format!("connectors::{id}"),
                    format!(
                        "ambiguous ID: Found both \"{id}\" {kind} and \"{id}\" connector. Change one of the components' \
                         IDs to eliminate ambiguity (e.g. rename \"{id}\" connector to \"{id}/connector\")"
                    ),
                );
            };
            if self.exporters.iter().any(|exporter| exporter.id == *id) {
                clash("exporter");
            }
            if self.receivers.iter().any(|receiver| receiver.id == *id) {
                clash("receiver");
            }
        }
        let known: Vec<&Id> = self.extensions.iter().map(|extension| &extension.id).collect();
        for (index, id) in self.service.extensions.iter().enumerate() {
            if !known.contains(&id) {
                reference("service::extensions", &format!("[{index}]"), "extension", id, &known, problems);
            }
        }
        for pipeline in &self.service.pipelines {
            self.check_pipeline(pipeline, problems);
        }
    }

    fn check_pipeline(&self, pipeline: &Pipeline, problems: &mut Problems) {
        let path = format!("service::pipelines::{}", pipeline.id);
        if pipeline.receivers.is_empty() {
            problems.add(&path, "must have at least one receiver");
        }
        if pipeline.exporters.is_empty() {
            problems.add(&path, "must have at least one exporter");
        }
        let connectors = || self.connectors.iter().map(|connector| &connector.id);
        let receivers: Vec<&Id> = self.receivers.iter().map(|receiver| &receiver.id).chain(connectors()).collect();
        let processors: Vec<&Id> = self.processors.iter().map(|processor| &processor.id).collect();
        let exporters: Vec<&Id> = self.exporters.iter().map(|exporter| &exporter.id).chain(connectors()).collect();
        for (kind, ids, known) in [
            ("receiver", &pipeline.receivers, receivers),
            ("processor", &pipeline.processors, processors),
            ("exporter", &pipeline.exporters, exporters),
        ] {
            for (index, id) in ids.iter().enumerate() {
                if !known.contains(&id) {
                    reference(&path, &format!("{kind}s[{index}]"), kind, id, &known, problems);
                } else if kind == "processor" && ids[..index].contains(id) {
                    let at = join(&path, &format!("processors[{index}]"));
                    problems.add_at(&path, at, format!("references processor \"{id}\" multiple times"));
                }
            }
        }
    }
}

fn reference(path: &str, below: &str, kind: &str, id: &Id, known: &[&Id], problems: &mut Problems) {
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let hint = nearest::hint(&id.to_string(), names.iter().map(String::as_str));
    let message = format!("references {kind} \"{id}\" which is not configured{hint}");
    problems.add_at(path, join(path, below), message);
}

fn unknown_keys(node: &Node, path: &str, known: &[&str], problems: &mut Problems) {
    let mut unknown: Vec<&str> =
        node.entries().iter().map(|(key, _)| key.as_str()).filter(|key| !known.contains(key)).collect();
    unknown.sort_unstable();
    for key in unknown {
        let hint = nearest::hint(key, known.iter().copied());
        problems.add_decoding(path, join(path, key), format!("has invalid keys: {key}{hint}"));
    }
}

/// The map under `key`; nothing if it is absent, null or no map.
fn section<'n>(node: &'n Node, key: &str, path: &str, problems: &mut Problems) -> Option<&'n Node> {
    let value = node.get(key)?;
    let resolved = match value {
        Node::Expanded { value, .. } => value,
        value => value,
    };
    match resolved {
        Node::Null => None,
        Node::Map(_) => Some(resolved),
        other => {
            let message = format!("expected type 'map', got unconvertible type '{}'", other.type_name());
            problems.add_decoding(path, path, message);
            None
        }
    }
}

fn components<P: ?Sized>(
    root: &Node,
    group: &str,
    factories: &[Factory<P>],
    warnings: &mut Vec<String>,
    problems: &mut Problems,
) -> Vec<Component<P>> {
    let mut out: Vec<Component<P>> = Vec::new();
    let Some(entries) = section(root, group, group, problems) else { return out };
    for (key, value) in entries.entries() {
        let path = join(group, key);
        let id = match Id::parse(key) {
            Ok(id) => id,
            Err(error) => {
                problems.add_decoding(group, &path, error.to_string());
                continue;
            }
        };
        if out.iter().any(|known| known.id == id) {
            problems.add_decoding(group, &path, format!("duplicate name \"{id}\" after unmarshaling {key}"));
            continue;
        }
        let Some(factory) =
            factories.iter().find(|factory| factory.kind == id.kind() || factory.alias == Some(id.kind()))
        else {
            problems.add_decoding(group, &path, unknown_type(group, &id, factories));
            // Kept, so that pipelines that name it are not told that it is not configured.
            out.push(Component { id, plan: None });
            continue;
        };
        if factory.kind != id.kind() {
            warnings.push(format!("\"{}\" alias is deprecated; use \"{}\" instead", id.kind(), factory.kind));
        }
        let section = Section { path: format!("{group}::{id}"), id, value: value.clone() };
        let before = problems.list().len();
        let plan = (factory.parse)(&section, problems);
        if plan.is_none() && problems.list().len() == before {
            // A factory that refuses without a reason is a bug of the factory; the user must still see a refusal.
            problems.add(&section.path, "is refused by its component");
        }
        out.push(Component { id: section.id, plan: plan.map(Arc::from) });
    }
    out
}

fn unknown_type<P: ?Sized>(group: &str, id: &Id, factories: &[Factory<P>]) -> String {
    let kind = id.kind();
    if group == "exporters" && kind == "logging" {
        return "the logging exporter has been deprecated, use the debug exporter instead".to_owned();
    }
    let mut known: Vec<&str> =
        factories.iter().flat_map(|factory| [Some(factory.kind), factory.alias]).flatten().collect();
    known.sort_unstable();
    let hint = nearest::hint(kind, known.iter().copied());
    format!("unknown type: \"{kind}\" for id: \"{id}\" (valid values: [{}]){hint}", known.join(" "))
}

fn read_service(service: &Node, problems: &mut Problems) -> Service {
    let telemetry = match section(service, "telemetry", "service::telemetry", problems) {
        Some(node) => Telemetry::read(node, "service::telemetry", problems),
        None => Telemetry::read(&Node::Null, "service::telemetry", problems),
    };
    let extensions = match service.get("extensions") {
        Some(node) => {
            let names =
                decode_at::<Names>(&Node::Map(vec![("extensions".to_owned(), node.clone())]), "service", problems);
            ids(&names.unwrap_or_default().extensions, "service::extensions", false, problems)
        }
        None => Vec::new(),
    };
    let mut pipelines = Vec::new();
    if let Some(node) = section(service, "pipelines", "service::pipelines", problems) {
        for (key, value) in node.entries() {
            let path = join("service::pipelines", key);
            let Some(signal) = pipeline_signal(key, &path, problems) else { continue };
            let Some(raw) = decode_at::<RawPipeline>(value, &path, problems) else { continue };
            pipelines.push(Pipeline {
                signal,
                id: key.split('/').map(str::trim).collect::<Vec<_>>().join("/").into(),
                receivers: ids(&raw.receivers, &join(&path, "receivers"), false, problems),
                processors: ids(&raw.processors, &join(&path, "processors"), true, problems),
                exporters: ids(&raw.exporters, &join(&path, "exporters"), false, problems),
            });
        }
    }
    Service { telemetry, extensions, pipelines }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Names {
    extensions: Vec<String>,
}

fn pipeline_signal(key: &str, path: &str, problems: &mut Problems) -> Option<Signal> {
    let id = match Id::parse(key) {
        Ok(id) => id,
        Err(error) => {
            problems.add_decoding("service::pipelines", path, error.to_string());
            return None;
        }
    };
    match id.kind() {
        "traces" => Some(Signal::Traces),
        "metrics" => Some(Signal::Metrics),
        "logs" => Some(Signal::Logs),
        "profiles" => {
            let message = format!(
                "pipeline \"{id}\": profiling signal support is at alpha level, gated under the \
                 \"service.profilesSupport\" feature gate"
            );
            problems.add_at("service::pipelines", path, message);
            None
        }
        other => {
            let hint = nearest::hint(other, ["traces", "metrics", "logs"]);
            let message = format!("in \"{key}\" id: unknown pipeline signal: \"{other}\"{hint}");
            problems.add_decoding("service::pipelines", path, message);
            None
        }
    }
}

/// Parses ids; a receiver or exporter that is listed twice counts once, a processor must be seen twice to be refused.
fn ids(names: &[String], path: &str, keep_duplicates: bool, problems: &mut Problems) -> Vec<Id> {
    let mut out: Vec<Id> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Id::parse(name) {
            Ok(id) if keep_duplicates || !out.contains(&id) => out.push(id),
            Ok(_) => {}
            Err(error) => problems.add_decoding(path, format!("{path}[{index}]"), error.to_string()),
        }
    }
    out
}

#[cfg(test)]
mod tests;
