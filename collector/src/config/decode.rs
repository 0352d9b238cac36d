//! [`Node`] to Rust structs through serde, with the exact key path of every mistake.
//!
//! Strict as the Go collector's decoder: no key that the struct does not name, no conversion between types, except that
//! a string becomes a list at its commas, and null keeps the default. Unlike serde alone it goes on after a mistake:
//! the wrong value is left out and decoding repeated, so one run reports all of them.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use super::nearest;
use super::node::Node;

/// Newtype name under which an optional section asks for its `enabled` key to be taken out.
pub(super) const OPTIONAL: &str = "$config::optional";
/// Newtype name under which a secret asks to be remembered for redaction.
pub(super) const SECRET: &str = "$config::secret";

/// Newtype name under which two structs ask to read the keys of one section side by side.
pub(super) const JOINED: &str = "$config::joined";

/// What decoding one section found.
pub(super) struct Decoded<T> {
    /// The value, with the default where a key's value is wrong; none if there is no default.
    pub(super) value: Option<T>,
    /// Paths below the section whose values are wrong, so the default stands in `value`.
    pub(super) wrong: Vec<String>,
    /// Path below the section, message, and the path to show the position of.
    pub(super) mistakes: Vec<Mistake>,
    /// Paths below the section that hold secrets.
    pub(super) secrets: Vec<String>,
}

/// One mistake. Paths are relative: empty for the section itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) path: String,
    pub(super) message: String,
    /// Where to point, if not at `path`.
    pub(super) at: String,
}

/// Decodes `node`; null is an empty map.
pub(super) fn decode<T: DeserializeOwned>(node: &Node) -> Decoded<T> {
    let empty = Node::Map(Vec::new());
    let node = if node.is_null() { &empty } else { node };
    let mut skipped: Vec<String> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    let mut mistakes: Vec<Mistake> = Vec::new();
    loop {
        let notes = Notes { skipped, unknown: RefCell::default(), secrets: RefCell::default() };
        let result = T::deserialize(NodeDeserializer::new(node, &Path::Root, &notes));
        let unknown = notes.unknown.into_inner();
        let secrets = notes.secrets.into_inner();
        skipped = notes.skipped;
        for mistake in unknown {
            if !mistakes.contains(&mistake) {
                mistakes.push(mistake);
            }
        }
        let error = match result {
            Ok(value) => {
                // Without a wrong item the later ones would be spoken of by the wrong index.
                let value = if wrong.iter().any(|path| path.ends_with(']')) { None } else { Some(value) };
                return Decoded { value, wrong, mistakes, secrets };
            }
            Err(error) => error,
        };
        let path = error.path.unwrap_or_default();
        match error.kind {
            Kind::NullKeepsDefault => {}
            // What was left out because it is wrong is not also missing.
            Kind::Missing(field) if wrong.iter().any(|wrong| *wrong == join(&path, field)) => {}
            kind => mistakes.push(Mistake { at: path.clone(), path: path.clone(), message: kind.to_string() }),
        }
        if path.is_empty() || skipped.contains(&path) {
            return Decoded { value: None, wrong, mistakes, secrets };
        }
        if !error.null {
            wrong.push(path.clone());
        }
        skipped.push(path);
    }
}

/// `a` and `b` give `a::b`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else if key.is_empty() || key.starts_with('[') {
        format!("{path}{key}")
    } else {
        format!("{path}::{key}")
    }
}

struct Notes {
    skipped: Vec<String>,
    unknown: RefCell<Vec<Mistake>>,
    secrets: RefCell<Vec<String>>,
}

impl Notes {
    fn skips(&self, path: &Path<'_>) -> bool {
        !self.skipped.is_empty() && self.skipped.contains(&path.to_string())
    }
}

enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Path::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}::{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Debug)]
enum Kind {
    /// Null where a value must be: upstream keeps the default.
    NullKeepsDefault,
    Missing(&'static str),
    Other(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NullKeepsDefault => f.write_str("must not be null"),
            Self::Missing(field) => write!(f, "requires the key \"{field}\""),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// A decoding error; the innermost value that it passes adds the path.
#[derive(Debug)]
struct DecodeError {
    kind: Kind,
    path: Option<String>,
    null: bool,
}

impl DecodeError {
    fn new(kind: Kind) -> Self {
        Self { null: matches!(kind, Kind::NullKeepsDefault), kind, path: None }
    }

    fn at(mut self, path: &Path<'_>) -> Self {
        self.path.get_or_insert_with(|| path.to_string());
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let got = match unexpected {
            de::Unexpected::Bool(_) => "bool",
            de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "int",
            de::Unexpected::Float(_) => "float64",
            de::Unexpected::Str(_) | de::Unexpected::Char(_) => "string",
            de::Unexpected::Unit | de::Unexpected::Option => return Self::new(Kind::NullKeepsDefault),
            de::Unexpected::Seq => "list",
            de::Unexpected::Map => "map",
            other => return Self::custom(format_args!("unexpected {other}, expected {expected}")),
        };
        Self::custom(format_args!("expected type '{}', got unconvertible type '{got}'", go_type(&expected.to_string())))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        match unexpected {
            de::Unexpected::Signed(value) => {
                Self::custom(format_args!("cannot parse, {value} overflows {}", go_type(&expected)))
            }
            de::Unexpected::Unsigned(value) => {
                Self::custom(format_args!("cannot parse, {value} overflows {}", go_type(&expected)))
            }
            other => Self::custom(format_args!("invalid value: {other}, expected {expected}")),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest::hint(variant, expected.iter().copied());
        Self::custom(format_args!("invalid value \"{variant}\" (valid values: [{}]){hint}", expected.join(" ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest::hint(field, expected.iter().copied());
        Self::custom(format_args!("has invalid keys: {field}{hint}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::Missing(field))
    }
}

/// Go's name of what a serde visitor says that it expects.
fn go_type(expected: &str) -> &str {
    match expected {
        "i64" | "isize" => "int",
        "u64" | "usize" => "uint64",
        "i8" => "int8",
        "i16" => "int16",
        "i32" => "int32",
        "u8" => "uint8",
        "u16" => "uint16",
        "u32" => "uint32",
        "f32" => "float32",
        "f64" => "float64",
        "a string" | "a character" => "string",
        "a boolean" => "bool",
        "a sequence" => "list",
        "a map" => "map",
        other if other.starts_with("struct ") => "map",
        other => other,
    }
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
    path: &'a Path<'a>,
    notes: &'a Notes,
    /// True where `enabled` is the optional section's key and not the struct's.
    optional: bool,
    /// Where structs that share a section note their keys, instead of refusing each other's.
    sides: Option<&'a RefCell<Vec<&'static str>>>,
}

impl<'a> NodeDeserializer<'a> {
    fn new(node: &'a Node, path: &'a Path<'a>, notes: &'a Notes) -> Self {
        Self { node, path, notes, optional: false, sides: None }
    }

    /// The value behind an expanded reference.
    fn resolved(self) -> Self {
        match self.node {
            Node::Expanded { value, .. } => Self { node: value, ..self },
            _ => self,
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node {
            Node::Expanded { text, .. } => visitor.visit_str(text).map_err(|error: DecodeError| error.at(self.path)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.resolved().deserialize_any(visitor)
    }

    /// Go's decoder takes `1e3` for a whole number; it also cuts `1.5` to 1, which is refused here.
    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.resolved().node {
            Node::Float(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
                #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
                let whole = *value as i64;
                visitor.visit_i64(whole).map_err(|error: DecodeError| error.at(self.path))
            }
            _ => self.resolved().deserialize_any(visitor),
        }
    }

    fn map<'de, V: Visitor<'de>>(
        self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let this = self.resolved();
        let Node::Map(entries) = this.node else { return this.deserialize_any(visitor) };
        if let Some(fields) = fields {
            match this.sides {
                Some(known) => known.borrow_mut().extend(fields),
                None => this.note_unknown(entries, fields),
            }
        }
        let access = Entries { rest: entries.iter(), value: None, fields, parent: this };
        visitor.visit_map(access).map_err(|error| error.at(this.path))
    }

    fn note_unknown(self, entries: &[(String, Node)], fields: &[&'static str]) {
        let known = |key: &str| fields.contains(&key) || (self.optional && key == "enabled");
        let mut unknown: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).filter(|key| !known(key)).collect();
        unknown.sort_unstable();
        if let Some(first) = unknown.first() {
            let hint = if unknown.len() == 1 { nearest::hint(first, fields.iter().copied()) } else { String::new() };
            let path = self.path.to_string();
            let at = join(&path, first);
            let message = format!("has invalid keys: {}{hint}", unknown.join(", "));
            self.notes.unknown.borrow_mut().push(Mistake { path, message, at });
        }
    }
}

macro_rules! forward {
    ($to:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.$to(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Int(value) => visitor.visit_i64(*value),
            Node::Uint(value) => visitor.visit_u64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::String(value) => visitor.visit_str(value),
            Node::List(_) => return self.deserialize_seq(visitor),
            Node::Map(_) => return self.map(None, visitor),
            Node::Expanded { .. } => return self.resolved().deserialize_any(visitor),
        }
        .map_err(|error: DecodeError| error.at(self.path))
    }

    forward! { integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    forward! { float: deserialize_f32 deserialize_f64 }
    forward! { text: deserialize_str deserialize_string deserialize_char deserialize_bytes deserialize_byte_buf
    deserialize_identifier }
    forward! { deserialize_any: deserialize_bool deserialize_unit deserialize_ignored_any }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        // An unset variable in an optional text is the empty text, as for any text.
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self).map_err(|error| error.at(self.path)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match name {
            SECRET => self.notes.secrets.borrow_mut().push(self.path.to_string()),
            OPTIONAL => {
                let this = self.resolved();
                if this.node.is_null() {
                    return visitor.visit_unit();
                }
                if let Some(enabled) = this.node.get("enabled") {
                    let path = Path::Key(this.path, "enabled");
                    let value = NodeDeserializer::new(enabled, &path, this.notes);
                    if !enabled.is_null() && !this.notes.skips(&path) && !<bool as de::Deserialize>::deserialize(value)?
                    {
                        return visitor.visit_none();
                    }
                }
                return visitor.visit_newtype_struct(Self { optional: true, ..this });
            }
            JOINED => {
                let this = self.resolved();
                let known = RefCell::default();
                let value =
                    visitor.visit_seq(Sides { left: 2, section: NodeDeserializer { sides: Some(&known), ..this } })?;
                if let Node::Map(entries) = this.node {
                    this.note_unknown(entries, &known.into_inner());
                }
                return Ok(value);
            }
            _ => {}
        }
        visitor.visit_newtype_struct(self).map_err(|error| error.at(self.path))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let this = self.resolved();
        match this.node {
            Node::List(items) => visitor
                .visit_seq(Items { rest: items.iter().enumerate(), parent: this })
                .map_err(|error| error.at(this.path)),
            // Upstream splits at commas; an empty text is an empty list.
            Node::String(text) => {
                let parts: Vec<&str> = if text.is_empty() { Vec::new() } else { text.split(',').collect() };
                visitor
                    .visit_seq(de::value::SeqDeserializer::new(parts.into_iter()))
                    .map_err(|error: DecodeError| error.at(this.path))
            }
            Node::Null => Err(DecodeError::new(Kind::NullKeepsDefault).at(this.path)),
            Node::Map(_) => {
                let expected: &dyn de::Expected = &"a sequence";
                Err(<DecodeError as de::Error>::invalid_type(de::Unexpected::Map, expected).at(this.path))
            }
            _ => this.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.map(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let this = self.resolved();
        if let Node::List(_) = this.node {
            let expected: &dyn de::Expected = &"a map";
            return Err(<DecodeError as de::Error>::invalid_type(de::Unexpected::Seq, expected).at(this.path));
        }
        this.map(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let text = match self.node {
            Node::Expanded { text, value } if !matches!(**value, Node::Map(_)) => Some(text),
            Node::String(text) => Some(text),
            _ => None,
        };
        if let Some(text) = text {
            let variant: de::value::StrDeserializer<'_, DecodeError> = text.as_str().into_deserializer();
            return visitor.visit_enum(variant).map_err(|error| error.at(self.path));
        }
        let this = self.resolved();
        match this.node {
            Node::Map(entries) if entries.len() == 1 => {
                let access = Entries { rest: entries.iter(), value: None, fields: None, parent: this };
                visitor.visit_enum(de::value::MapAccessDeserializer::new(access)).map_err(|error| error.at(this.path))
            }
            Node::Map(_) => Err(<DecodeError as de::Error>::custom("needs exactly one key").at(this.path)),
            Node::Null => Err(DecodeError::new(Kind::NullKeepsDefault).at(this.path)),
            other => {
                let message = format!("expected type 'string', got unconvertible type '{}'", other.type_name());
                Err(<DecodeError as de::Error>::custom(message).at(this.path))
            }
        }
    }
}

/// The same section again for each struct that reads it.
struct Sides<'a> {
    left: usize,
    section: NodeDeserializer<'a>,
}

impl<'de> SeqAccess<'de> for Sides<'_> {
    type Error = DecodeError;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.section).map(Some)
    }
}

struct Items<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    parent: NodeDeserializer<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        for (index, node) in self.rest.by_ref() {
            let path = Path::Index(self.parent.path, index);
            if !self.parent.notes.skips(&path) {
                return match seed.deserialize(NodeDeserializer::new(node, &path, self.parent.notes)) {
                    // There is no default behind a list item.
                    Err(DecodeError { null: true, path: Some(at), .. }) if at == path.to_string() => {
                        Err(<DecodeError as de::Error>::custom("must not be null").at(&path))
                    }
                    result => result.map(Some),
                };
            }
        }
        Ok(None)
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, (String, Node)>,
    value: Option<&'a (String, Node)>,
    /// Keys that the struct knows; all for a map.
    fields: Option<&'static [&'static str]>,
    parent: NodeDeserializer<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        for entry in self.rest.by_ref() {
            let key = entry.0.as_str();
            let unknown = self.fields.is_some_and(|fields| !fields.contains(&key));
            let path = Path::Key(self.parent.path, key);
            // `enabled` of an optional section is no key of the struct in it, even if a plain map is what is in it.
            if unknown || (self.parent.optional && key == "enabled") || self.parent.notes.skips(&path) {
                continue;
            }
            self.value = Some(entry);
            let key: de::value::StrDeserializer<'_, DecodeError> = key.into_deserializer();
            return seed.deserialize(key).map(Some).map_err(|error| error.at(&path));
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        let Some((key, node)) = self.value.take() else {
            return Err(<DecodeError as de::Error>::custom("value before its key"));
        };
        let path = Path::Key(self.parent.path, key);
        seed.deserialize(NodeDeserializer::new(node, &path, self.parent.notes)).map_err(|error| error.at(&path))
    }
}

#[cfg(test)]
mod tests;
