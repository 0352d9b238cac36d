//! One component's part of the configuration, and the list of what is wrong with it.

use component::Id;
use serde::de::DeserializeOwned;

use super::decode::{Decoded, decode, join};
use super::node::Node;
use super::yaml::{self, YamlError};

/// When a mistake is found: the first stage that has one decides what the report says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A value does not fit its key, or there is no such key.
    Decode,
    /// Values that fit one by one make no sense together.
    Validate,
    /// Components cannot be connected as the pipelines say.
    Graph,
}

/// A mistake in the configuration, at a key path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Go's key path: `processors::tail_sampling::policies[2]::latency`.
    pub path: String,
    /// What is wrong, without a full stop. May have several lines (an OTTL error with its caret).
    pub message: String,
    /// Found while decoding or while validating.
    pub stage: Stage,
    /// The key path whose position in the file is shown: mostly `path`, for an unknown key that key.
    pub at: String,
}

/// Every mistake found so far; reading goes on after the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    secrets: Vec<String>,
}

impl Problems {
    /// Adds a mistake at `path`: values that cannot be used, though each has the right type.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        self.list.push(Problem { at: path.clone(), path, message: message.into(), stage: Stage::Validate });
    }

    /// Adds a mistake of decoding (type, key, id), shown at `at`.
    pub fn add_decoding(&mut self, path: impl Into<String>, at: impl Into<String>, message: impl Into<String>) {
        let (path, at, message) = (path.into(), at.into(), message.into());
        self.list.push(Problem { path, message, stage: Stage::Decode, at });
    }

    /// Adds a mistake at `path` that is shown at the position of `at`.
    pub fn add_at(&mut self, path: impl Into<String>, at: impl Into<String>, message: impl Into<String>) {
        let (path, at, message) = (path.into(), at.into(), message.into());
        self.list.push(Problem { path, message, stage: Stage::Validate, at });
    }

    /// Adds a mistake of how pipelines connect. Its text names everything, so there is no key path before it; `at` is
    /// where it is shown.
    pub fn add_graph(&mut self, at: impl Into<String>, message: impl Into<String>) {
        let (path, at, message) = (String::new(), at.into(), message.into());
        self.list.push(Problem { path, message, stage: Stage::Graph, at });
    }

    /// All of them, in the order found.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Key paths of all values that were decoded as secrets.
    #[must_use]
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }
}

/// A component's section: its id, its key path, and the YAML value after expansion (null = all defaults).
#[derive(Clone, Debug)]
pub struct Section {
    /// The id as written.
    pub id: Id,
    /// `processors::tail_sampling`
    pub path: String,
    /// The value.
    pub value: Node,
}

impl Section {
    /// A section from YAML text, for tests of components: `Section::parse("tail_sampling/x", "processors", "a: 1")`.
    pub fn parse(id: &str, group: &str, yaml: &str) -> Result<Self, YamlError> {
        let parsed = Id::parse(id).map_err(|error| YamlError { message: error.to_string(), position: None })?;
        Ok(Self { path: format!("{group}::{parsed}"), id: parsed, value: yaml::parse(yaml)? })
    }

    /// Decodes the section into a struct with serde defaults; a null section is an empty map.
    ///
    /// Every unknown key and every wrong type is added to `problems` with its key path. A value comes back if nothing
    /// worse than unknown keys was found.
    /// Structs must not use `flatten` or `untagged`: neither keeps key paths.
    pub fn decode<T: DeserializeOwned>(&self, problems: &mut Problems) -> Option<T> {
        decode_at(&self.value, &self.path, problems)
    }

    /// Decodes the section and makes something of it, unless that or the decoding found a mistake: what factories do.
    pub fn read<C: DeserializeOwned, T>(
        &self,
        problems: &mut Problems,
        make: impl FnOnce(C, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        let before = problems.list().len();
        let made = self.check(problems, make)?;
        made.filter(|_| problems.list().len() == before)
    }

    /// Decodes the section and lets `check` look at it even where a value is wrong, which is then the default, so that
    /// one run reports its mistakes too. What `check` says of a value that was not the user's is left out.
    pub fn check<C: DeserializeOwned, T>(
        &self,
        problems: &mut Problems,
        check: impl FnOnce(C, &mut Problems) -> T,
    ) -> Option<T> {
        let decoded = decode_with(&self.value, &self.path, problems);
        let before = problems.list.len();
        let checked = check(decoded.value?, problems);
        let mut later = problems.list.split_off(before);
        later.retain(|problem| !decoded.wrong.iter().any(|wrong| is_about(problem, &join(&self.path, wrong))));
        problems.list.append(&mut later);
        Some(checked)
    }
}

/// Whether a mistake may come of the default that stands for the wrong value at `path`.
fn is_about(problem: &Problem, path: &str) -> bool {
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('['))
    };
    let key = path.rsplit("::").next().unwrap_or(path);
    below(&problem.path, path) || (below(path, &problem.path) && problem.message.contains(key))
}

/// Decodes any value; see [`Section::decode`].
pub(super) fn decode_at<T: DeserializeOwned>(node: &Node, path: &str, problems: &mut Problems) -> Option<T> {
    let decoded = decode_with(node, path, problems);
    decoded.value.filter(|_| decoded.wrong.is_empty())
}

/// Decodes any value and reports the mistakes found.
fn decode_with<T: DeserializeOwned>(node: &Node, path: &str, problems: &mut Problems) -> Decoded<T> {
    let mut decoded = decode(node);
    for mistake in decoded.mistakes.drain(..) {
        problems.add_decoding(join(path, &mistake.path), join(path, &mistake.at), mistake.message);
    }
    problems.secrets.extend(decoded.secrets.drain(..).map(|secret| join(path, &secret)));
    decoded
}
