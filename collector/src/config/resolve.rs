//! From the command line's URIs to one value tree, remembering the texts so that key paths lead back to lines.

use std::fmt;

use super::advice;
use super::expand::expand;
use super::merge::{merge, merge_appending, unflatten};
use super::node::Node;
use super::source::{Outside, Remark, config_to_uri, fetch};
use super::yaml::{self, Position};
use crate::gates;

/// The merged and expanded configuration.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// A map.
    pub root: Node,
    /// Where its parts were written.
    pub origins: Origins,
    /// Unset and empty variables.
    pub remarks: Vec<Remark>,
}

/// Why there is no configuration to look at. The text is the Go collector's, followed by a position where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ResolveError {
    message: String,
}

const PREFIX: &str = "failed to get config: cannot resolve the configuration: ";

/// Fetches, merges left to right and expands. `uris` are `--config` values followed by `--set` values as `yaml:` URIs.
pub fn resolve(uris: &[String], outside: &dyn Outside) -> Result<Resolved, ResolveError> {
    let error = |message: String| ResolveError { message };
    if uris.is_empty() {
        return Err(error("at least one config flag must be provided".to_owned()));
    }
    let mut remarks = Vec::new();
    let mut root = Node::Map(Vec::new());
    let mut origins = Origins::default();
    for given in uris {
        let uri = config_to_uri(given).map_err(error)?;
        let fetched = fetch(&uri, outside, &mut remarks)
            .map_err(|cause| error(format!("{PREFIX}cannot retrieve the configuration: {cause}")))?;
        let part = match fetched.value {
            Node::Null => Node::Map(Vec::new()),
            map @ Node::Map(_) => unflatten(map),
            other => {
                let hint = match fetched.not_yaml {
                    Some(cause) => {
                        let at = cause.position.map(|at| format!(" ({}:{at})", shown(&uri))).unwrap_or_default();
                        // The parser stops at the broken line or at the one behind it.
                        let line = cause.position.and_then(|at| fetched.text.lines().nth(at.line.saturating_sub(1)));
                        let advice = line.and_then(advice::on_yaml).map(|advice| format!("\n  = hint: {advice}"));
                        let advice = advice.unwrap_or_default();
                        format!(": assuming string type since contents are not valid YAML: {cause}{at}{advice}")
                    }
                    None => String::new(),
                };
                let kind = other.type_name();
                return Err(error(format!("{PREFIX}retrieved value (type={kind}) cannot be used as a Conf{hint}")));
            }
        };
        origins.list.push(Origin { name: shown(&uri), text: fetched.text, root: part.clone() });
        if gates::enabled("confmap.enableMergeAppendOption") {
            merge_appending(&mut root, part);
        } else {
            merge(&mut root, part);
        }
    }
    match expand(root, outside, &mut remarks) {
        Ok(root) => Ok(Resolved { root, origins, remarks }),
        Err(cause) => {
            let advice = advice::on_reference(&cause.message).map(|advice| format!("\n  = hint: {advice}"));
            let advice = advice.unwrap_or_default();
            let at = match origins.locate(&cause.path) {
                Some(place) => format!("\n  --> {place}, in {}", cause.path),
                None => format!("\n  --> in {}", cause.path),
            };
            Err(error(format!("{PREFIX}{cause}{advice}{at}")))
        }
    }
}

/// A file is shown by its path, everything else by the start of its URI.
fn shown(uri: &str) -> String {
    match uri.strip_prefix("file:") {
        Some(path) => path.to_owned(),
        None if uri.contains('\n') => uri.split(':').next().unwrap_or(uri).to_owned(),
        None => uri.split(' ').next().unwrap_or(uri).to_owned(),
    }
}

/// The texts that the configuration was read from, in merge order.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    list: Vec<Origin>,
}

#[derive(Clone, Debug)]
struct Origin {
    name: String,
    text: String,
    root: Node,
}

/// `file:line:column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File name or URI.
    pub source: String,
    /// Where in it.
    pub position: Position,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.position)
    }
}

impl Origins {
    /// Where the key or item at `path` was written, or the nearest of its parents that was written; the last source
    /// that has it wins, as in merging.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<Place> {
        let (origin, prefix) = self
            .list
            .iter()
            .map(|origin| (origin, origin.root.known_prefix(path)))
            .max_by_key(|(_, prefix)| prefix.len())?;
        if prefix.is_empty() {
            return None;
        }
        // A tagged value has no place of its own; its key or list has.
        let parent = || prefix.rfind(['[', ':']).map(|at| prefix[..at].trim_end_matches(':'));
        let position = yaml::locate(&origin.text, prefix)
            .or_else(|| yaml::locate(&origin.text, parent().filter(|parent| !parent.is_empty())?))?;
        Some(Place { source: origin.name.clone(), position })
    }
}

#[cfg(test)]
mod tests;
