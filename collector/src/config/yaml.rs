//! YAML text to [`Node`], with the scalars of Go's yaml.v3, and key paths back to lines and columns.
//!
//! The parser is `yaml_serde`. Where it differs from Go it is corrected here: `50_000` and `0777` are numbers if they
//! stand without quotes, `<<` merges, and keys must be strings.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::node::{Node, after_index, after_key};

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("yaml: {message}")]
pub struct YamlError {
    /// What is wrong, with the line.
    pub message: String,
    /// Where.
    pub position: Option<Position>,
}

impl From<serde_yaml::Error> for YamlError {
    fn from(error: serde_yaml::Error) -> Self {
        let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
        let text = error.to_string();
        // The parser ends its texts with "at line N column M"; Go starts them with the line.
        let text = text.split(" at line ").next().unwrap_or(&text);
        let message = match position {
            Some(at) => format!("line {}: {text}", at.line),
            None => text.to_owned(),
        };
        Self { message, position }
    }
}

/// Parses one document. An empty text is null.
pub(in crate::config) fn parse(text: &str) -> Result<Node, YamlError> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    // Go's decoder reads the first document only.
    let Some(document) = documents.next() else { return Ok(Node::Null) };
    Ok(Reader { text }.deserialize(document)?)
}

/// Builds a node; knows the text to see whether a scalar stood in quotes.
#[derive(Clone, Copy)]
struct Reader<'t> {
    text: &'t str,
}

impl<'de> DeserializeSeed<'de> for Reader<'de> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'de> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Uint(value), Node::Int))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node, E> {
        let number = if self.is_plain(value) { go_number(value) } else { None };
        Ok(number.unwrap_or_else(|| Node::String(value.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged: Vec<(String, Node)> = Vec::new();
        while let Some(key) = map.next_key_seed(Key { known: &entries })? {
            let value = map.next_value_seed(self)?;
            if key == "<<" {
                collect_merge(value, &mut merged).map_err(de::Error::custom)?;
            } else {
                entries.push((key, value));
            }
        }
        for (key, value) in merged {
            if entries.iter().all(|(known, _)| *known != key) {
                entries.push((key, value));
            }
        }
        Ok(Node::Map(entries))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Node, A::Error> {
        // An application tag: Go ignores it when it decodes into plain values.
        let (_tag, content) = data.variant_seed(Scalar)?;
        content.newtype_variant_seed(self)
    }
}

impl Reader<'_> {
    /// True if a scalar stood in the text without quotes and without a tag; `value` is a part of the text.
    fn is_plain(&self, value: &str) -> bool {
        let start = (value.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let Some(before) = self.text.get(..start) else { return false };
        let tagged = before.trim_end().rsplit(char::is_whitespace).next().is_some_and(|word| word.starts_with('!'));
        !before.ends_with(['"', '\'']) && !tagged
    }
}

/// `<<: *a` and `<<: [*a, *b]`; the first of several wins.
fn collect_merge(value: Node, merged: &mut Vec<(String, Node)>) -> Result<(), &'static str> {
    match value {
        Node::Map(entries) => {
            for (key, value) in entries {
                if merged.iter().all(|(known, _)| *known != key) {
                    merged.push((key, value));
                }
            }
            Ok(())
        }
        Node::List(items) => items.into_iter().try_for_each(|item| match item {
            Node::Map(_) => collect_merge(item, merged),
            _ => Err("map merge requires map or sequence of maps as the value"),
        }),
        _ => Err("map merge requires map or sequence of maps as the value"),
    }
}

/// A key: a string, not seen before in its map.
struct Key<'k> {
    known: &'k [(String, Node)],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as map key (put it in quotes)")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if self.known.iter().any(|(known, _)| known == key) {
            return Err(E::custom(format!("mapping key {key:?} already defined")));
        }
        Ok(key.to_owned())
    }
}

/// Any scalar, for tags.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = de::IgnoredAny;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_ignored_any(de::IgnoredAny)
    }
}

/// Numbers that yaml.v3 knows and the parser does not: underscores anywhere, a leading 0 for octal, `08` as a float.
pub(super) fn go_number(text: &str) -> Option<Node> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    let radix = |prefixes: [&str; 2]| prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let magnitude = if let Some(hex) = radix(["0x", "0X"]) {
        whole(hex, 16)
    } else if let Some(binary) = radix(["0b", "0B"]) {
        whole(binary, 2)
    } else if let Some(octal) = radix(["0o", "0O"]) {
        whole(octal, 8)
    } else if digits.len() > 1 && digits.starts_with('0') {
        whole(digits, 8)
    } else {
        whole(digits, 10)
    };
    if let Some(magnitude) = magnitude {
        return match (negative, i64::try_from(magnitude)) {
            (false, Ok(value)) => Some(Node::Int(value)),
            (false, Err(_)) => Some(Node::Uint(magnitude)),
            (true, Ok(value)) => Some(Node::Int(-value)),
            (true, Err(_)) => 0_i64.checked_sub_unsigned(magnitude).map(Node::Int),
        };
    }
    // Only digits, a point and an exponent: Rust would also take "inf" and "nan".
    let float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    if float { plain.parse().ok().map(Node::Float) } else { None }
}

fn whole(digits: &str, radix: u32) -> Option<u64> {
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// Where the key or list item at `path` stands in `text`. The parser itself is asked: it reports the place of an error
/// that is raised on purpose when the path is reached.
#[must_use]
pub(in crate::config) fn locate(text: &str, path: &str) -> Option<Position> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    let reached = Cell::new(false);
    let error = Find { path, reached: &reached }.deserialize(document).err()?;
    let at = error.location()?;
    reached.get().then_some(Position { line: at.line(), column: at.column() })
}

#[derive(Clone, Copy)]
struct Find<'p> {
    path: &'p str,
    reached: &'p Cell<bool>,
}

impl Find<'_> {
    fn here<T, E: de::Error>(&self) -> Result<T, E> {
        self.reached.set(self.path.is_empty());
        Err(E::custom("here"))
    }
}

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.here()
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.here()
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.here()
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.here()
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.here()
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.here()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((index, path)) = after_index(self.path) else { return self.here() };
        for _ in 0..index {
            if seq.next_element::<de::IgnoredAny>()?.is_none() {
                return self.here();
            }
        }
        seq.next_element_seed(Find { path, ..self })?;
        self.here()
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.path.is_empty() {
            return self.here();
        }
        while let Some(rest) = map.next_key_seed(FindKey(self))? {
            match rest {
                Some(path) => map.next_value_seed(Find { path, ..self })?,
                None => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        self.here()
    }
}

/// Gives what is left of the path behind this key, or stops on it if nothing is left.
struct FindKey<'p>(Find<'p>);

impl<'de, 'p> DeserializeSeed<'de> for FindKey<'p> {
    type Value = Option<&'p str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, 'p> Visitor<'de> for FindKey<'p> {
    type Value = Option<&'p str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        match after_key(self.0.path, key) {
            Some("") => {
                self.0.reached.set(true);
                Err(E::custom("here"))
            }
            rest => Ok(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Node {
        parse(text).unwrap()
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("50_000", Node::Int(50_000)),
            ("0777", Node::Int(511)),
            ("-0777", Node::Int(-511)),
            ("0x1F", Node::Int(31)),
            ("0o777", Node::Int(511)),
            ("0b11", Node::Int(3)),
            ("1_000.5", Node::Float(1000.5)),
            ("08", Node::Float(8.0)),
            ("1e3", Node::Float(1000.0)),
            ("9223372036854775808", Node::Uint(9_223_372_036_854_775_808)),
            ("-9223372036854775808", Node::Int(i64::MIN)),
        ] {
            assert_eq!(value(text), expected, "{text}");
            assert_eq!(value(&format!("a: [{text}]")).at("a[0]"), Some(&expected), "{text}");
        }
        for text in ["'50_000'", "\"0777\"", "12:30:00", "_1", "1.2.3", "10s", "+", "0x", "1-2", "yes", "!!str 0777"] {
            assert!(matches!(value(text), Node::String(_)), "{text}: {:?}", value(text));
        }
    }

    #[test]
    fn merge_keys_and_aliases() {
        let root = value("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nuse: {<<: [*b, *m], x: 9}\n");
        assert_eq!(root.get("use"), Some(&value("{x: 9, y: 2, z: 4}")));
        assert!(parse("{<<: 1}").unwrap_err().message.contains("map merge requires"));
    }

    #[test]
    fn duplicate_and_odd_keys_are_refused_with_their_line() {
        let error = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(error.position.unwrap().line, 3);
        assert!(error.to_string().starts_with("yaml: line 3: mapping key \"a\" already defined"), "{error}");
        assert!(parse("a: {1: x}").is_err());
        assert!(parse("a: [").is_err());
        assert_eq!(parse(""), Ok(Node::Null));
    }

    #[test]
    fn paths_are_found_in_the_text() {
        let text = "receivers:\n  otlp:\nprocessors:\n  filter/a:\n    traces:\n      span:\n        - one\n        - two\n  batch: {timeout: 5s}\n";
        let at = |path| locate(text, path).map(|at| (at.line, at.column));
        assert_eq!(at("receivers::otlp"), Some((2, 3)));
        assert_eq!(at("processors::filter/a::traces::span[1]"), Some((8, 11)));
        assert_eq!(at("processors::batch::timeout"), Some((9, 11)));
        assert_eq!(at("processors::nothing"), None);
        assert_eq!(at(""), Some((1, 1)));
    }
}
