//! From URIs to a configuration that can be built, or a report of everything that is wrong.

use super::collector::Config;
use super::node::Node;
use super::report::Report;
use super::resolve::{ResolveError, Resolved, resolve};
use super::section::Problems;
use super::source::{Outside, Remark};
use crate::pipeline;
use crate::registry::Factories;

/// A checked configuration.
pub struct Loaded {
    /// What is built.
    pub config: Config,
    /// What it was read from, expanded.
    pub root: Node,
    /// Key paths of secrets in `root`.
    pub secrets: Vec<String>,
    /// Unset and empty variables.
    pub remarks: Vec<Remark>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nothing to check: a source is missing, is no YAML, or a reference fails.
    #[error("{0}")]
    Resolve(#[from] ResolveError),
    /// There are mistakes in it.
    #[error("{0}")]
    Wrong(Report),
}

impl LoadError {
    /// Without the words in front of validation mistakes, as `validate` prints them.
    #[must_use]
    pub fn bare(self) -> Self {
        match self {
            Self::Wrong(mut report) => {
                report.prefixed = false;
                Self::Wrong(report)
            }
            other => other,
        }
    }
}

/// Resolves, decodes, validates and checks the pipelines' graph. Nothing is made.
pub fn load(uris: &[String], outside: &dyn Outside, factories: &Factories) -> Result<Loaded, LoadError> {
    let Resolved { root, origins, remarks } = resolve(uris, outside)?;
    let mut problems = Problems::default();
    let config = Config::read(&root, factories, &mut problems);
    if problems.is_empty() {
        pipeline::check(&config, &mut problems);
    }
    if !problems.is_empty() {
        return Err(LoadError::Wrong(Report::new(&problems, &origins)));
    }
    Ok(Loaded { config, root, secrets: problems.secrets().to_vec(), remarks })
}
