//! A YAML file that is no collector configuration, read with the same parser and the same places of mistakes. Nothing in
//! it is expanded: `$` is a character like any other.

use super::node::Node;
use super::section::Problems;
use super::yaml::{self, Position, YamlError};

/// One YAML document.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    text: String,
    root: Node,
}

impl Document {
    /// Parses a text; `name` is the file's, for messages.
    ///
    /// # Errors
    /// If it is no YAML.
    pub fn parse(name: &str, text: String) -> Result<Self, YamlError> {
        let root = yaml::parse(&text)?;
        Ok(Self { name: name.to_owned(), text, root })
    }

    /// Its value.
    #[must_use]
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Where a key path leads to; for one that leads nowhere, where it stops.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<Position> {
        yaml::locate(&self.text, self.root.known_prefix(path))
    }

    /// Every mistake with its key path and place, one after the other.
    #[must_use]
    pub fn report(&self, problems: &Problems) -> String {
        let entries: Vec<String> = problems
            .list()
            .iter()
            .map(|problem| {
                let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
                let place = self.locate(&problem.at).map(|at| format!(":{at}")).unwrap_or_default();
                format!("{path}{}\n  --> {}{place}", problem.message.trim_end(), self.name)
            })
            .collect();
        entries.join("\n")
    }
}
