//! A configuration value after parsing: YAML without anchors, tags and styles, numbers read as Go's YAML reads them.
//!
//! Maps keep the order of the file. Keys are strings; every other key is refused when the text is parsed.

use serde_yaml::Value;

/// A value of the configuration.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Node {
    /// Nothing behind the key, `~` or `null`: all defaults.
    #[default]
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in order, without duplicates.
    Map(Vec<(String, Node)>),
    /// What one whole `${...}` gave: a text field takes the text, every other field the value (Go's rule).
    Expanded {
        /// The text parsed as YAML.
        value: Box<Node>,
        /// The text as fetched.
        text: String,
    },
}

impl Node {
    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The entries of a map; empty for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            Self::Expanded { value, .. } => value.entries(),
            _ => &[],
        }
    }

    /// True for nothing, also where a variable without a value stood.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Expanded { value, .. } => value.is_null(),
            _ => false,
        }
    }

    /// The name of its type in Go's messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Uint(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Expanded { value, .. } => value.type_name(),
        }
    }

    /// How many bytes of `path` (`processors::batch::x[2]`) lead to something that exists here; 0 if nothing does.
    #[must_use]
    pub fn known_prefix<'p>(&self, path: &'p str) -> &'p str {
        let mut node = self;
        let mut rest = path;
        loop {
            let before = rest;
            match step(node, rest) {
                Some((next, tail)) => (node, rest) = (next, tail),
                None => return path[..path.len() - before.len()].trim_end_matches("::"),
            }
        }
    }

    /// Puts `value` at `path`, if something is there.
    pub fn replace(&mut self, path: &str, value: Self) {
        if path.is_empty() {
            *self = value;
            return;
        }
        match self {
            Self::Expanded { value: inner, .. } => inner.replace(path, value),
            Self::Map(entries) => {
                let found = entries.iter_mut().find_map(|(key, node)| Some((after_key(path, key)?, node)));
                if let Some((rest, node)) = found {
                    node.replace(rest, value);
                }
            }
            Self::List(items) => {
                if let Some((index, rest)) = after_index(path)
                    && let Some(node) = items.get_mut(index)
                {
                    node.replace(rest, value);
                }
            }
            _ => {}
        }
    }

    /// The value at exactly `path`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        let mut rest = path;
        while !rest.is_empty() {
            (node, rest) = step(node, rest)?;
        }
        Some(node)
    }
}

impl Node {
    /// The same value for a component that walks its section itself; an expanded reference becomes its parsed value.
    #[must_use]
    pub fn to_yaml(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Number((*value).into()),
            Self::Uint(value) => Value::Number((*value).into()),
            Self::Float(value) => Value::Number((*value).into()),
            Self::String(text) => Value::String(text.clone()),
            Self::List(items) => Value::Sequence(items.iter().map(Self::to_yaml).collect()),
            Self::Map(entries) => {
                Value::Mapping(entries.iter().map(|(key, value)| (key.as_str().into(), value.to_yaml())).collect())
            }
            Self::Expanded { value, .. } => value.to_yaml(),
        }
    }
}

impl From<Value> for Node {
    /// For values that were made by a program; keys that are no strings are left out.
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), ..) => Self::Int(value),
                (None, Some(value), _) => Self::Uint(value),
                (None, None, value) => Self::Float(value.unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(text),
            Value::Sequence(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Mapping(entries) => Self::Map(
                entries
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), Self::from(value))))
                    .collect(),
            ),
            Value::Tagged(tagged) => tagged.value.into(),
        }
    }
}

fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(&'n Node, &'p str)> {
    match node {
        Node::Expanded { value, .. } => step(value, path),
        Node::Map(entries) => entries.iter().find_map(|(key, value)| Some((value, after_key(path, key)?))),
        Node::List(items) => {
            let (index, rest) = after_index(path)?;
            Some((items.get(index)?, rest))
        }
        _ => None,
    }
}

/// What follows `key` at the start of `path`, without the separator; keys may themselves contain `::`.
pub(super) fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let key = key.trim();
    if key.is_empty() {
        return None;
    }
    let rest = path.strip_prefix(key)?;
    match rest.strip_prefix("::") {
        Some(rest) => Some(rest),
        None if rest.is_empty() || rest.starts_with('[') => Some(rest),
        None => None,
    }
}

/// Splits `[2]::rest`.
pub(super) fn after_index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest.strip_prefix("::").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_followed_as_far_as_they_go() {
        let root = crate::config::yaml::parse("a:\n  b::c: [1, {d: 2}]\n").unwrap();
        assert_eq!(root.at("a::b::c[1]::d"), Some(&Node::Int(2)));
        assert_eq!(root.known_prefix("a::b::c[1]::e"), "a::b::c[1]");
        assert_eq!(root.known_prefix("a::x"), "a");
        assert_eq!(root.known_prefix("x"), "");
    }
}
