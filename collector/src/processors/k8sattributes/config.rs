//! The section: contrib's keys, checked with contrib's texts, turned into rules.

use regex::Regex;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::associate::{self, Rule, Source};
use super::rules::{Conventions, FieldKey, FieldRule, From, NAMES, Rules, Wanted, default_names};
use crate::config::{Duration, Problems};
use crate::k8s::client::{Access, AuthType};

/// The section.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    auth_type: AuthType,
    context: String,
    // There is no limiter to set: a start makes a list for each kind of object, and then only watches.
    kube_api_qps: f64,
    kube_api_burst: i64,
    /// Only `k8s.pod.ip` is set, from the connection; the API is not used.
    pub passthrough: bool,
    extract: Extract,
    filter: Filter,
    pod_association: Vec<Association>,
    exclude: Exclude,
    /// Start waits until all pods are known.
    pub wait_for_metadata: bool,
    /// How long, before it fails.
    pub wait_for_metadata_timeout: Duration,
    // Go's informers hand their whole store out again after this time. There is no store here that could differ.
    watch_sync_period: Duration,
    /// How long a deleted pod can still be found.
    pub pod_delete_grace_period: Duration,
    kubelet: Kubelet,
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Extract {
    metadata: Option<Vec<String>>,
    labels: Vec<FieldExtract>,
    annotations: Vec<FieldExtract>,
    otel_annotations: bool,
    // Deprecated.
    deployment_name_from_replicaset: bool,
}

impl Default for Extract {
    fn default() -> Self {
        Self {
            metadata: None,
            labels: Vec::new(),
            annotations: Vec::new(),
            otel_annotations: false,
            deployment_name_from_replicaset: true,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FieldExtract {
    tag_name: String,
    key: String,
    key_regex: String,
    from: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Filter {
    node: String,
    node_from_env_var: String,
    namespace: String,
    fields: Vec<FieldFilter>,
    labels: Vec<FieldFilter>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FieldFilter {
    key: String,
    value: String,
    op: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Association {
    sources: Vec<AssociationSource>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AssociationSource {
    from: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Exclude {
    pods: Vec<ExcludedPod>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ExcludedPod {
    name: String,
}

/// Behind an alpha gate upstream.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kubelet {
    enabled: bool,
    poll_interval: Option<IgnoredAny>,
    request_timeout: Option<IgnoredAny>,
    endpoint: Option<IgnoredAny>,
    insecure_skip_verify: Option<IgnoredAny>,
    allow_insecure_http: Option<IgnoredAny>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            auth_type: AuthType::ServiceAccount,
            context: String::new(),
            kube_api_qps: 0.0,
            kube_api_burst: 0,
            passthrough: false,
            extract: Extract::default(),
            filter: Filter::default(),
            pod_association: Vec::new(),
            exclude: Exclude::default(),
            wait_for_metadata: false,
            wait_for_metadata_timeout: Duration::from_secs(10),
            watch_sync_period: Duration::from_secs(300),
            pod_delete_grace_period: Duration::from_secs(120),
            kubelet: Kubelet::default(),
        }
    }
}

/// A checked section.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) access: Access,
    pub(super) rules: Rules,
    pub(super) associations: Vec<Rule>,
    pub(super) selection: Selection,
}

/// Which pods are watched; the server selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) node: String,
    pub(super) namespace: String,
    /// Selectors as the API takes them.
    pub(super) labels: String,
    pub(super) fields: String,
}

const MAX_SOURCES: usize = 4;
const DEFAULT_EXCLUDED: [&str; 2] = ["jaeger-agent", "jaeger-collector"];

impl Config {
    /// Checks everything and makes the rules; nothing if there is a mistake, which is in `problems` then.
    pub(super) fn settings(&self, path: &str, conventions: Conventions, problems: &mut Problems) -> Option<Settings> {
        let before = problems.list().len();
        let access = Access { auth_type: self.auth_type, context: self.context.clone() };
        if let Err(reason) = access.check() {
            problems.add(format!("{path}::auth_type"), reason);
        }
        if self.kube_api_qps < 0.0 {
            problems.add(format!("{path}::kube_api_qps"), "kube_api_qps must be greater than 0");
        }
        if self.kube_api_burst < 0 {
            problems.add(format!("{path}::kube_api_burst"), "kube_api_burst must be greater than 0");
        }
        for (key, value) in [
            ("watch_sync_period", self.watch_sync_period),
            ("pod_delete_grace_period", self.pod_delete_grace_period),
            ("wait_for_metadata_timeout", self.wait_for_metadata_timeout),
        ] {
            if value.is_negative() {
                problems.add(format!("{path}::{key}"), format!("{key} must be greater than or equal to 0"));
            }
        }
        let kubelet = &self.kubelet;
        let details = [
            &kubelet.poll_interval,
            &kubelet.request_timeout,
            &kubelet.endpoint,
            &kubelet.insecure_skip_verify,
            &kubelet.allow_insecure_http,
        ];
        if kubelet.enabled || details.iter().any(|given| given.is_some()) {
            problems.add(
                format!("{path}::kubelet"),
                "reading pods from the kubelet is not supported; remove kubelet and use filter::node_from_env_var",
            );
        }
        if !conventions.old && !conventions.new {
            problems.add(
                path,
                "processor.k8sattributes.DontEmitV0K8sConventions cannot be enabled without enabling \
                 processor.k8sattributes.EmitV1K8sConventions",
            );
        }
        let rules = self.rules(path, conventions, problems);
        let associations = self.associations(path, problems);
        let selection = self.selection(path, problems);
        (problems.list().len() == before).then_some(Settings { access, rules, associations, selection })
    }

    fn rules(&self, path: &str, conventions: Conventions, problems: &mut Problems) -> Rules {
        let mut wanted = Wanted::default();
        match &self.extract.metadata {
            None => default_names(conventions).into_iter().for_each(|name| {
                wanted.add(name);
            }),
            Some(names) => {
                for (index, name) in names.iter().enumerate() {
                    if !wanted.add(name) {
                        let hint = crate::config::hint(name, NAMES.iter().copied());
                        problems.add(
                            format!("{path}::extract::metadata[{index}]"),
                            format!("\"{name}\" is not a supported metadata field{hint}"),
                        );
                    }
                }
            }
        }
        let mut fields = |key: &str, list: &[FieldExtract]| -> Vec<FieldRule> {
            list.iter()
                .enumerate()
                .filter_map(|(index, field)| {
                    field.rule().map_err(|text| problems.add(format!("{path}::extract::{key}[{index}]"), text)).ok()
                })
                .collect()
        };
        let labels = fields("labels", &self.extract.labels);
        let mut annotations = fields("annotations", &self.extract.annotations);
        if self.extract.otel_annotations {
            let rule = FieldExtract {
                tag_name: "$1".to_owned(),
                key_regex: r"resource\.opentelemetry\.io/(.+)".to_owned(),
                ..FieldExtract::default()
            };
            annotations.extend(rule.rule());
        }
        let mut excluded: Vec<&str> = self.exclude.pods.iter().map(|pod| pod.name.as_str()).collect();
        if excluded.is_empty() {
            excluded.extend(DEFAULT_EXCLUDED);
        }
        let mut compiled = Vec::new();
        for (index, name) in excluded.into_iter().enumerate() {
            match Regex::new(name) {
                Ok(regex) => compiled.push(regex),
                Err(error) => problems.add(
                    format!("{path}::exclude::pods[{index}]"),
                    format!("invalid pod exclude name \"{name}\": {error}"),
                ),
            }
        }
        Rules {
            wanted,
            labels,
            annotations,
            deployment_from_replicaset_name: self.extract.deployment_name_from_replicaset,
            conventions,
            excluded: compiled,
        }
    }

    fn associations(&self, path: &str, problems: &mut Problems) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for (index, association) in self.pod_association.iter().enumerate() {
            let at = format!("{path}::pod_association[{index}]");
            if association.sources.len() > MAX_SOURCES {
                problems.add(&at, format!("too many association sources. limit is {MAX_SOURCES}"));
            }
            if association.sources.is_empty() {
                // Upstream takes such a rule for every resource, and then finds no pod.
                problems.add(&at, "needs at least one source");
            }
            let mut rule = Rule::new();
            for (number, source) in association.sources.iter().enumerate() {
                let at = format!("{at}::sources[{number}]");
                match (source.from.as_str(), source.name.as_str()) {
                    ("connection", _) => rule.push(Source::Connection),
                    ("resource_attribute", "") => problems.add(at, "resource_attribute needs a name"),
                    ("resource_attribute", name) => rule.push(Source::Attribute(name.to_owned())),
                    (other, _) => problems.add(
                        format!("{at}::from"),
                        format!("\"{other}\" is not a source of an association: use connection or resource_attribute"),
                    ),
                }
            }
            let same = |known: &Rule| known.len() == rule.len() && rule.iter().all(|source| known.contains(source));
            if !rule.is_empty() && rules.iter().any(same) {
                problems.add(&at, format!("duplicate pod association: {}", associate::describe(&rule)));
            }
            rules.push(rule);
        }
        rules
    }

    fn selection(&self, path: &str, problems: &mut Problems) -> Selection {
        let filter = &self.filter;
        let mut node = filter.node.clone();
        if !filter.node_from_env_var.is_empty() {
            match std::env::var(&filter.node_from_env_var) {
                Ok(value) => node = value,
                Err(_) => problems.add(
                    format!("{path}::filter"),
                    format!("`node_from_env_var` is configured but envvar \"{}\" is not set", filter.node_from_env_var),
                ),
            }
        }
        let mut terms = |key: &str, list: &[FieldFilter], is_label: bool| -> Vec<String> {
            list.iter()
                .enumerate()
                .filter_map(|(index, filter)| {
                    let at = format!("{path}::filter::{key}[{index}]");
                    filter.term(is_label).map_err(|text| problems.add(at, text)).ok()
                })
                .collect()
        };
        let labels = terms("labels", &filter.labels, true);
        let mut fields = terms("fields", &filter.fields, false);
        if !node.is_empty() {
            fields.push(format!("spec.nodeName={}", escaped(&node)));
        }
        Selection { node, namespace: filter.namespace.clone(), labels: labels.join(","), fields: fields.join(",") }
    }
}

impl FieldExtract {
    fn rule(&self) -> Result<FieldRule, String> {
        let key = match (self.key.as_str(), self.key_regex.as_str()) {
            // Upstream looks for the label of the empty name.
            ("", "") => return Err("needs key or key_regex".to_owned()),
            (key, "") => FieldKey::Exact(key.to_owned()),
            ("", pattern) => {
                FieldKey::Pattern(Regex::new(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?)
            }
            (key, pattern) => {
                return Err(format!(
                    "Out of Key or KeyRegex only one option is expected to be configured at a time, currently \
                     Key:{key} and KeyRegex:{pattern}"
                ));
            }
        };
        let from = From::parse(&self.from).ok_or_else(|| {
            format!("{} is not a valid choice for From. Must be one of: {}", self.from, From::names())
        })?;
        Ok(FieldRule { from, tag_name: self.tag_name.clone(), key })
    }
}

impl FieldFilter {
    fn term(&self, is_label: bool) -> Result<String, String> {
        let Self { key, value, op } = self;
        if key.is_empty() {
            return Err("needs a key".to_owned());
        }
        let value = if is_label { value.clone() } else { escaped(value) };
        match op.as_str() {
            "" | "equals" => Ok(format!("{key}={value}")),
            "not-equals" => Ok(format!("{key}!={value}")),
            "exists" if is_label => Ok(key.clone()),
            "does-not-exist" if is_label => Ok(format!("!{key}")),
            _ => Err(format!("'{op}' is not a valid label filter operation for key={key}, value={}", self.value)),
        }
    }
}

/// A value in a field selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}
