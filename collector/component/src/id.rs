//! Component and pipeline ids: `type` or `type/name` (spec `config.md` 1.1).

use std::fmt;

/// `type` or `type/name`, kept as the user wrote it: metrics and logs carry it unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    kind: Box<str>,
    name: Option<Box<str>>,
}

/// Why a text is no id. The wording is the Go collector's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing before the slash.
    #[error("in \"{0}\" id: the part before / should not be empty")]
    EmptyType(String),
    /// Nothing behind the slash.
    #[error("in \"{0}\" id: the part after / should not be empty")]
    EmptyName(String),
    /// A type must match `^[a-zA-Z][0-9a-zA-Z_]{0,62}$`.
    #[error("in \"{0}\" id: invalid character(s) in type \"{1}\"")]
    BadType(String, String),
    /// A name has 1 to 1024 characters, none of them a separator, control or symbol character.
    #[error("in \"{0}\" id: invalid character(s) in name \"{1}\"")]
    BadName(String, String),
}

impl Id {
    /// Parses `type` or `type/name`; blanks around both parts are trimmed.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        if kind.is_empty() {
            return Err(IdError::EmptyType(text.to_owned()));
        }
        if name.is_some_and(str::is_empty) {
            return Err(IdError::EmptyName(text.to_owned()));
        }
        let starts_well = kind.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_well || kind.len() > 63 || !kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(IdError::BadType(text.to_owned(), kind.to_owned()));
        }
        if let Some(name) = name {
            let bad = |c: char| c.is_control() || c.is_whitespace() || "$+<=>^`|~".contains(c);
            if name.chars().count() > 1024 || name.chars().any(bad) {
                return Err(IdError::BadName(text.to_owned(), name.to_owned()));
            }
        }
        Ok(Self { kind: kind.into(), name: name.map(Into::into) })
    }

    /// The component type, as written.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What follows the slash.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// What a pipeline carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// The name that users write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
