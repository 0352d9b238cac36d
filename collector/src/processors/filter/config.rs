//! The `filter` section: which lists there are, in which style, and what each condition's key path is.

use ottl::{Context, ErrorMode, PathMode};
use serde::Deserialize;
use serde_yaml::Value;

use crate::config::{Problems, Section};

/// The section as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    error_mode: Option<String>,
    traces: Option<Lists>,
    trace_conditions: Value,
    metrics: Value,
    logs: Value,
    spans: Value,
    profiles: Value,
    metric_conditions: Value,
    log_conditions: Value,
    profile_conditions: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Lists {
    resource: Option<Vec<String>>,
    span: Option<Vec<String>>,
    spanevent: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TypedGroup {
    context: Option<String>,
    error_mode: Option<String>,
    conditions: Vec<String>,
}

/// Conditions that are run over the batch in one walk; several groups are several walks.
#[derive(Debug)]
pub(super) struct Group {
    /// What an error does.
    pub(super) error_mode: ErrorMode,
    /// Old lists remove emptied groups even without conditions.
    pub(super) conditions: Vec<Condition>,
}

/// One condition with the place it was written at.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) path: String,
    pub(super) text: String,
    /// `None`: to be inferred from the text.
    pub(super) context: Option<Context>,
    pub(super) mode: PathMode,
}

impl Config {
    /// The groups as meant. Mistakes go to `problems`.
    pub(super) fn groups(self, section: &Section, problems: &mut Problems) -> Vec<Group> {
        let at = |key: &str| format!("{}::{key}", section.path);
        for (key, value) in [
            ("metrics", &self.metrics),
            ("logs", &self.logs),
            ("spans", &self.spans),
            ("profiles", &self.profiles),
            ("metric_conditions", &self.metric_conditions),
            ("log_conditions", &self.log_conditions),
            ("profile_conditions", &self.profile_conditions),
        ] {
            if !value.is_null() {
                problems.add(at(key), "is not supported yet: this filter takes `traces` and `trace_conditions`");
            }
        }
        let default_mode = error_mode(self.error_mode.as_deref(), ErrorMode::Ignore, &at("error_mode"), problems);
        let mut old = Vec::new();
        if let Some(lists) = self.traces {
            let named = [
                ("resource", lists.resource, Context::Resource),
                ("span", lists.span, Context::Span),
                ("spanevent", lists.spanevent, Context::SpanEvent),
            ];
            for (key, texts, context) in named {
                for (number, text) in texts.unwrap_or_default().into_iter().enumerate() {
                    let path = at(&format!("traces::{key}[{number}]"));
                    old.push(Condition { path, text, context: Some(context), mode: PathMode::Legacy });
                }
            }
        }
        if self.trace_conditions.is_null() {
            return vec![Group { error_mode: default_mode, conditions: old }];
        }
        if !old.is_empty() {
            problems.add(
                section.path.clone(),
                "cannot use context inferred trace conditions \"trace_conditions\" and the settings \
                 \"traces.resource\", \"traces.span\", \"traces.spanevent\" at the same time",
            );
        }
        inferred(self.trace_conditions, default_mode, &at("trace_conditions"), problems)
    }
}

fn inferred(value: Value, default_mode: ErrorMode, path: &str, problems: &mut Problems) -> Vec<Group> {
    let Value::Sequence(entries) = value else {
        problems.add(path, "expected an array of conditions or of groups");
        return Vec::new();
    };
    let strings = entries.iter().filter(|entry| entry.is_string()).count();
    if strings != 0 && strings != entries.len() {
        problems.add(
            path,
            "configuring multiple configuration styles is not supported, please use only Basic configuration or only \
             Advanced configuration",
        );
        return Vec::new();
    }
    if strings != 0 {
        let conditions = entries.into_iter().enumerate().filter_map(|(number, entry)| match entry {
            Value::String(text) => {
                let path = format!("{path}[{number}]");
                Some(Condition { path, text, context: None, mode: PathMode::Prefixed })
            }
            _ => None,
        });
        return vec![Group { error_mode: default_mode, conditions: conditions.collect() }];
    }
    let mut groups = Vec::new();
    for (number, entry) in entries.into_iter().enumerate() {
        let path = format!("{path}[{number}]");
        if entry.is_null() {
            problems.add(path, "condition cannot be empty");
            continue;
        }
        match serde_yaml::from_value::<TypedGroup>(entry) {
            Ok(group) => groups.push(typed(group, default_mode, &path, problems)),
            Err(error) => problems.add(path, error.to_string()),
        }
    }
    groups
}

fn typed(group: TypedGroup, default_mode: ErrorMode, path: &str, problems: &mut Problems) -> Group {
    let context = match group.context.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("") => None,
        Some("resource") => Some(Context::Resource),
        Some("scope") => Some(Context::Scope),
        Some("span") => Some(Context::Span),
        Some("spanevent") => Some(Context::SpanEvent),
        Some(other) => {
            let message = format!("unknown context {other}, expected one of resource, scope, span, spanevent");
            problems.add(format!("{path}::context"), message);
            None
        }
    };
    let mode = if context.is_some() { PathMode::AutoPrefix } else { PathMode::Prefixed };
    let conditions = group.conditions.into_iter().enumerate().map(|(number, text)| Condition {
        path: format!("{path}::conditions[{number}]"),
        text,
        context,
        mode,
    });
    Group {
        error_mode: error_mode(group.error_mode.as_deref(), default_mode, &format!("{path}::error_mode"), problems),
        conditions: conditions.collect(),
    }
}

fn error_mode(text: Option<&str>, default: ErrorMode, path: &str, problems: &mut Problems) -> ErrorMode {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None => default,
        Some("ignore") => ErrorMode::Ignore,
        Some("propagate") => ErrorMode::Propagate,
        Some("silent") => ErrorMode::Silent,
        Some(other) => {
            problems.add(path, format!("unknown error mode {other}: expected ignore, propagate or silent"));
            default
        }
    }
}
