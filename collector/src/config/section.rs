//! One component's part of the configuration, and the list of what is wrong with it.

use component::Id;
use serde::de::DeserializeOwned;

/// A mistake in the configuration, at a key path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Go's key path: `processors::tail_sampling::policies[2]::latency`.
    pub path: String,
    /// What is wrong, without a full stop. May have several lines (an OTTL error with its caret).
    pub message: String,
}

/// Every mistake found so far; reading goes on after the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds a mistake at `path`.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.list.push(Problem { path: path.into(), message: message.into() });
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
}

/// A component's section: its id, its key path, and the YAML value after expansion (null = all defaults).
#[derive(Clone, Debug)]
pub struct Section {
    /// The id as written.
    pub id: Id,
    /// `processors::tail_sampling`
    pub path: String,
    /// The value.
    pub value: serde_yaml::Value,
}

impl Section {
    /// Decodes the section into a struct that denies unknown fields and has serde defaults; a null section is an empty map.
    pub fn decode<T: DeserializeOwned>(&self, problems: &mut Problems) -> Option<T> {
        let value = match &self.value {
            serde_yaml::Value::Null => serde_yaml::Value::Mapping(serde_yaml::Mapping::new()),
            value => value.clone(),
        };
        match serde_yaml::from_value(value) {
            Ok(config) => Some(config),
            Err(error) => {
                problems.add(self.path.clone(), error.to_string());
                None
            }
        }
    }
}
