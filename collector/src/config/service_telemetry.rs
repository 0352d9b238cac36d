//! `service.telemetry` as typed structs: own logs, own metrics, the resource that both carry.
//!
//! What upstream offers here and this program does not (log and trace processors, views) is refused by name. Periodic
//! readers are in [`super::metric_readers`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::decode::join;
use super::duration::Duration;
use super::metric_readers::{self, Periodic, PeriodicReader};
use super::node::Node;
use super::optional;
use super::section::{Problems, decode_at};

/// `service.telemetry`, checked.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// Own log.
    pub logs: Logs,
    /// Own metrics.
    pub metrics: Metrics,
    /// What the user adds to or takes from the default resource, in order. `None` removes a default.
    pub resource: Vec<(String, Option<String>)>,
    /// True if the older inline form of `resource` was used; it is accepted with a warning.
    pub legacy_resource: bool,
}

/// Least severity that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `debug`
    Debug,
    /// `info`
    #[default]
    Info,
    /// `warn`
    Warn,
    /// `error`, and the levels above it that this program never writes: `dpanic`, `panic`, `fatal`
    Error,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Tabs between time, level, caller, message and a JSON object of fields.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}

/// `service.telemetry.logs`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Logs {
    /// Least severity.
    pub level: LogLevel,
    /// Line format.
    pub encoding: Encoding,
    /// Accepted; it changes only how upstream's logger reacts to its own programming errors.
    pub development: bool,
    /// Leaves the source position out of each line.
    pub disable_caller: bool,
    /// Accepted: this program's log lines carry no stack traces.
    pub disable_stacktrace: bool,
    /// Leaves `resource` out of each line.
    pub disable_zap_resource: bool,
    /// Thins out repeated messages; on by default.
    #[serde(deserialize_with = "optional::given")]
    pub sampling: Option<LogSampling>,
    /// `stderr`, `stdout` or files.
    pub output_paths: Vec<String>,
    /// Where the logger reports trouble of its own.
    pub error_output_paths: Vec<String>,
    /// Added to each line.
    pub initial_fields: BTreeMap<String, serde_json::Value>,
    pub(crate) processors: Vec<serde_yaml::Value>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: Encoding::Console,
            development: false,
            disable_caller: false,
            disable_stacktrace: false,
            disable_zap_resource: false,
            sampling: Some(LogSampling::default()),
            output_paths: vec!["stderr".to_owned()],
            error_output_paths: vec!["stderr".to_owned()],
            initial_fields: BTreeMap::new(),
            processors: Vec::new(),
        }
    }
}

/// In each `tick`, the first `initial` lines of one message and level are written, then every `thereafter`-th.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogSampling {
    /// Length of a period.
    pub tick: Duration,
    /// Lines written at the start of each.
    pub initial: u64,
    /// One in how many is written after that; 0 for none.
    pub thereafter: u64,
}

impl Default for LogSampling {
    fn default() -> Self {
        Self { tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsLevel {
    /// No endpoint.
    None,
    /// The least.
    Basic,
    /// The default.
    #[default]
    Normal,
    /// Everything.
    Detailed,
}

/// `service.telemetry.metrics`
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// How much is measured.
    pub level: MetricsLevel,
    /// Where own metrics can be read; empty with level `none`.
    pub readers: Vec<PullReader>,
    /// Where own metrics are pushed to; empty with level `none`.
    pub periodic: Vec<PeriodicReader>,
}

/// A Prometheus endpoint for own metrics.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct PullReader {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// No `otel_scope_*` labels.
    pub without_scope_info: bool,
    /// No unit in names.
    pub without_units: bool,
    /// No `_total` in names.
    pub without_type_suffix: bool,
    /// Resource attributes that become labels of every series.
    #[serde(deserialize_with = "optional::unless_given")]
    pub with_resource_constant_labels: Option<IncludeExclude>,
}

impl Default for PullReader {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 8888,
            // Upstream's own default, also for readers that users write (it was not so between 0.120 and a later fix).
            without_scope_info: true,
            without_units: true,
            without_type_suffix: true,
            with_resource_constant_labels: None,
        }
    }
}

/// Which names, with `*` and `?` as wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IncludeExclude {
    /// Names taken; all if empty.
    pub included: Vec<String>,
    /// Names left out again.
    pub excluded: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawTelemetry {
    logs: Logs,
    metrics: RawMetrics,
    traces: RawTraces,
    #[serde(rename = "resource")]
    _resource: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
#[serde(default)]
struct RawMetrics {
    level: MetricsLevel,
    readers: Vec<RawReader>,
    views: Vec<serde_yaml::Value>,
}

impl Default for RawMetrics {
    fn default() -> Self {
        let exporter = RawExporter { prometheus: Some(PullReader::default()) };
        let readers = vec![RawReader { pull: Some(RawPull { exporter }), periodic: None }];
        Self { level: MetricsLevel::Normal, readers, views: Vec::new() }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawReader {
    pull: Option<RawPull>,
    #[serde(deserialize_with = "optional::given")]
    periodic: Option<Periodic>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawPull {
    exporter: RawExporter,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawExporter {
    #[serde(deserialize_with = "optional::given")]
    prometheus: Option<PullReader>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawTraces {
    #[serde(rename = "level")]
    _level: MetricsLevel,
    propagators: Vec<String>,
    pub(crate) processors: Vec<serde_yaml::Value>,
    sampler: Option<serde_yaml::Value>,
}

/// Enums that are read from text in any case, with upstream's message.
macro_rules! level {
    ($name:ident: $($text:literal => $variant:ident),*) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                match text.to_ascii_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(serde::de::Error::custom(format_args!("unrecognized level: {text:?}"))),
                }
            }
        }
    };
}

level!(LogLevel: "debug" => Debug, "info" => Info, "warn" => Warn, "error" => Error, "dpanic" => Error,
    "panic" => Error, "fatal" => Error);
level!(MetricsLevel: "none" => None, "basic" => Basic, "normal" => Normal, "detailed" => Detailed);

impl Telemetry {
    /// Reads the section at `path`; every mistake goes to `problems`.
    pub(super) fn read(node: &Node, path: &str, problems: &mut Problems) -> Self {
        let (resource, legacy_resource) = match node.get("resource") {
            Some(resource) => read_resource(resource, &join(path, "resource"), problems),
            None => Default::default(),
        };
        let Some(raw) = decode_at::<RawTelemetry>(node, path, problems) else { return Self::default() };
        if !raw.logs.processors.is_empty() {
            problems.add(join(path, "logs::processors"), "own logs are written to output_paths, not exported");
        }
        if !raw.traces.processors.is_empty() {
            problems.add(join(path, "traces::processors"), "the program makes no traces of its own");
        }
        if raw.traces.sampler.is_some() {
            problems.add(join(path, "traces::sampler"), "the program makes no traces of its own");
        }
        for (index, name) in raw.traces.propagators.iter().enumerate() {
            if !["tracecontext", "b3"].contains(&name.as_str()) {
                let at = join(path, &format!("traces::propagators[{index}]"));
                problems.add(at, format!("unsupported trace propagator {name:?}"));
            }
        }
        let metrics = read_metrics(raw.metrics, path, problems);
        Self { logs: raw.logs, metrics, resource, legacy_resource }
    }
}

fn read_metrics(raw: RawMetrics, path: &str, problems: &mut Problems) -> Metrics {
    if !raw.views.is_empty() {
        if raw.level < MetricsLevel::Detailed {
            problems.add(
                path,
                "service::telemetry::metrics::views can only be set when service::telemetry::metrics::level is detailed",
            );
        }
        problems.add(join(path, "metrics::views"), "views are not supported");
    }
    if raw.level == MetricsLevel::None {
        return Metrics { level: raw.level, ..Metrics::default() };
    }
    if raw.readers.is_empty() {
        problems.add(path, "collector telemetry metrics reader should exist when metric level is not none");
    }
    let (mut readers, mut periodic) = (Vec::new(), Vec::new());
    for (index, reader) in raw.readers.into_iter().enumerate() {
        let at = join(path, &format!("metrics::readers[{index}]"));
        let pushes = reader.periodic.is_some();
        if let Some(written) = reader.periodic {
            periodic.extend(metric_readers::check(written, &join(&at, "periodic"), problems));
        }
        match reader.pull {
            Some(_) if pushes => problems.add(at, "must not specify both pull and periodic"),
            Some(RawPull { exporter: RawExporter { prometheus: Some(prometheus) } }) => readers.push(prometheus),
            Some(_) => problems.add(join(&at, "pull"), "must specify exporter"),
            None if !pushes => problems.add(at, "must specify pull or periodic"),
            None => {}
        }
    }
    Metrics { level: raw.level, readers, periodic }
}

type Attributes = Vec<(String, Option<String>)>;

/// `attributes: [{name, value, type}]`, or the older map of `key: value` in which null removes a default.
fn read_resource(node: &Node, path: &str, problems: &mut Problems) -> (Attributes, bool) {
    #[derive(Deserialize)]
    struct Attribute {
        name: String,
        #[serde(default)]
        value: serde_json::Value,
        #[serde(default, rename = "type")]
        kind: String,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Declarative {
        attributes: Vec<Attribute>,
        schema_url: String,
    }
    let entries = node.entries();
    let declarative = |key: &str| matches!(key, "attributes" | "schema_url");
    let legacy: Vec<_> = entries.iter().filter(|(key, _)| !declarative(key)).collect();
    if !legacy.is_empty() && legacy.len() < entries.len() {
        problems.add(path, "resource::attributes cannot be used together with legacy inline resource attributes");
        return Default::default();
    }
    let mut out = Vec::new();
    if legacy.is_empty() {
        let Some(raw) = decode_at::<Declarative>(node, path, problems) else { return Default::default() };
        if !raw.schema_url.is_empty() {
            problems.add(join(path, "schema_url"), "is not supported");
        }
        for (index, attribute) in raw.attributes.into_iter().enumerate() {
            let at = join(path, &format!("attributes[{index}]"));
            if !["", "string", "bool", "int", "double"].contains(&attribute.kind.as_str()) {
                problems.add(join(&at, "type"), format!("unsupported attribute type {:?}", attribute.kind));
            }
            match attribute.value {
                serde_json::Value::String(text) => out.push((attribute.name, Some(text))),
                value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => {
                    out.push((attribute.name, Some(value.to_string())));
                }
                _ => problems.add(join(&at, "value"), "must be a string, a number or a boolean"),
            }
        }
        return (out, false);
    }
    for (key, value) in legacy {
        match value {
            Node::Null => out.push((key.clone(), None)),
            Node::String(text) | Node::Expanded { text, .. } => out.push((key.clone(), Some(text.clone()))),
            _ => problems.add(join(path, key), format!("legacy resource attribute {key:?} must be string or null")),
        }
    }
    (out, true)
}

/// The resource of own telemetry: the defaults, then what the user says, in order.
#[must_use]
pub fn resource_attributes(telemetry: &Telemetry, instance_id: String) -> Vec<(String, String)> {
    let mut out = vec![
        ("service.instance.id".to_owned(), instance_id),
        ("service.name".to_owned(), crate::NAME.to_owned()),
        ("service.version".to_owned(), crate::VERSION.to_owned()),
    ];
    for (key, value) in &telemetry.resource {
        out.retain(|(known, _)| known != key);
        if let Some(value) = value {
            out.push((key.clone(), value.clone()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    fn read(text: &str) -> (Telemetry, Vec<String>) {
        let mut problems = Problems::default();
        let telemetry = Telemetry::read(&yaml::parse(text).unwrap(), "service::telemetry", &mut problems);
        (telemetry, problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect())
    }

    #[test]
    fn defaults() {
        let (telemetry, problems) = read("");
        assert!(problems.is_empty());
        assert_eq!(telemetry.metrics.readers, [PullReader::default()]);
        assert_eq!(telemetry.logs, Logs::default());
        assert!(telemetry.logs.sampling.is_some());
    }

    #[test]
    fn a_written_reader_keeps_the_three_switches_on() {
        let (telemetry, problems) = read(
            "logs: {level: WARN, encoding: json, sampling: {enabled: false}}\nmetrics: {level: Detailed, readers: \
             [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9999, without_units: false}}}}]}",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let expected =
            PullReader { host: "0.0.0.0".to_owned(), port: 9999, without_units: false, ..PullReader::default() };
        assert_eq!(telemetry.metrics.readers, [expected]);
        assert_eq!(telemetry.metrics.level, MetricsLevel::Detailed);
        assert_eq!((telemetry.logs.level, telemetry.logs.sampling), (LogLevel::Warn, None));
        assert!(read("metrics: {level: none}").0.metrics.readers.is_empty());
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("metrics: {address: x}", "service::telemetry::metrics: has invalid keys: address"),
            ("metrics: {level: foo}", "service::telemetry::metrics::level: unrecognized level: \"foo\""),
            (
                "metrics: {readers: []}",
                "service::telemetry: collector telemetry metrics reader should exist when metric level is not none",
            ),
            (
                "metrics: {views: [{}]}",
                "service::telemetry: service::telemetry::metrics::views can only be set when \
                 service::telemetry::metrics::level is detailed",
            ),
            (
                "resource: {a: 5}",
                "service::telemetry::resource::a: legacy resource attribute \"a\" must be string or null",
            ),
            (
                "resource: {a: b, attributes: []}",
                "service::telemetry::resource: resource::attributes cannot be used together with legacy inline resource \
                 attributes",
            ),
            (
                "traces: {processors: [{batch: {}}]}",
                "service::telemetry::traces::processors: the program makes no traces of its own",
            ),
        ] {
            let found = read(text).1;
            assert_eq!(found.first().map(String::as_str), Some(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn both_forms_of_the_resource() {
        let shown = |text| resource_attributes(&read(text).0, "id".to_owned());
        let names = |text| shown(text).into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        let version = format!("service.version={}", crate::VERSION);
        assert_eq!(names(""), ["service.instance.id=id", "service.name=ottlcol", &version]);
        assert_eq!(
            names("resource: {service.instance.id: , service.name: x, k: v}"),
            [version.as_str(), "service.name=x", "k=v"]
        );
        assert_eq!(
            names("resource: {attributes: [{name: service.name, value: y}, {name: n, value: 5, type: int}]}"),
            ["service.instance.id=id", version.as_str(), "service.name=y", "n=5"]
        );
    }
}
