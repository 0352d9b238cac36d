//! Attribute values in wire form: borrowed views of KeyValue and AnyValue, and conversion from and to
//! [`metrics::Value`].
//!
//! The readers are meant for bytes that an index accepted, where no error can occur; on other bytes a list ends at the
//! first malformed field and a value reads as empty. They allocate nothing.

use crate::index::MAX_VALUE_DEPTH;
use crate::metrics::{self, Value};
use crate::wire::{Field, Fields, put_bytes, put_fixed64_field, put_message, put_varint_field};

/// An attribute's value, its text and lists still in wire form.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum AnyValueRef<'a> {
    /// Nothing is set.
    #[default]
    Empty,
    /// Text; usually UTF-8, which OTLP demands and Go does not check.
    String(&'a [u8]),
    /// True or false.
    Bool(bool),
    /// 64-bit signed.
    Int(i64),
    /// IEEE double.
    Double(f64),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// A list: payload of an ArrayValue.
    Array(ArrayRef<'a>),
    /// A nested map: payload of a KeyValueList.
    Map(MapRef<'a>),
}

impl<'a> AnyValueRef<'a> {
    /// Reads an AnyValue's payload. Of several values the last is the value, as for any oneof.
    #[must_use]
    #[inline]
    pub fn parse(message: &'a [u8]) -> Self {
        Self::Empty.merge(message)
    }

    /// This value after another part of the same AnyValue message.
    #[inline]
    fn merge(self, message: &'a [u8]) -> Self {
        let mut value = self;
        for (number, payload) in Fields::new(message) {
            value = match (number, payload) {
                (1, Field::Bytes(text)) => Self::String(text),
                (2, Field::Varint(flag)) => Self::Bool(flag != 0),
                (3, Field::Varint(int)) => Self::Int(int as i64),
                (4, Field::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5, Field::Bytes(list)) => Self::Array(ArrayRef(list)),
                (6, Field::Bytes(map)) => Self::Map(MapRef(map)),
                (7, Field::Bytes(bytes)) => Self::Bytes(bytes),
                _ => continue,
            };
        }
        value
    }

    /// The text of a string value.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a [u8]> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An owned copy. Bytes that are not UTF-8 become U+FFFD in text. Nesting is bounded by the index.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.to_value_within(MAX_VALUE_DEPTH)
    }

    fn to_value_within(self, depth: u32) -> Value {
        match self {
            Self::Empty => Value::Empty,
            Self::String(text) => Value::String(lossy(text)),
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(int) => Value::Int(int),
            Self::Double(double) => Value::Double(double),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            // Only bytes that no index has seen can nest deeper.
            Self::Array(_) | Self::Map(_) if depth == 0 => Value::Empty,
            Self::Array(list) => Value::Array(list.iter().map(|value| value.to_value_within(depth - 1)).collect()),
            Self::Map(map) => {
                Value::Map(map.iter().map(|entry| (lossy(entry.key), entry.value.to_value_within(depth - 1))).collect())
            }
        }
    }
}

/// Text for people: what is not UTF-8 becomes U+FFFD.
#[must_use]
pub fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A list in wire form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrayRef<'a>(&'a [u8]);

impl<'a> ArrayRef<'a> {
    /// Its values in order.
    pub fn iter(&self) -> impl Iterator<Item = AnyValueRef<'a>> + use<'a> {
        messages(self.0, 1).map(AnyValueRef::parse)
    }

    /// Payload of the ArrayValue message.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A nested map in wire form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapRef<'a>(&'a [u8]);

impl<'a> MapRef<'a> {
    /// Its entries in order; keys may repeat.
    #[must_use]
    pub fn iter(&self) -> Attributes<'a> {
        Attributes::new(self.0, 1)
    }

    /// The value of the first entry with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<AnyValueRef<'a>> {
        self.iter().find_key(key.as_bytes())
    }

    /// Payload of the KeyValueList message.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyValueRef<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; empty if absent.
    pub value: AnyValueRef<'a>,
}

impl<'a> KeyValueRef<'a> {
    /// Reads a KeyValue's payload.
    #[must_use]
    #[inline]
    pub fn parse(message: &'a [u8]) -> Self {
        let mut entry = Self::default();
        for (number, payload) in Fields::new(message) {
            match (number, payload) {
                (1, Field::Bytes(key)) => entry.key = key,
                (2, Field::Bytes(value)) => entry.value = entry.value.merge(value),
                _ => {}
            }
        }
        entry
    }
}

/// The attributes of a message, in order: its KeyValue fields of one number.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    number: u32,
}

impl<'a> Attributes<'a> {
    /// The KeyValue fields numbered `number` of `message`.
    #[must_use]
    #[inline]
    pub fn new(message: &'a [u8], number: u32) -> Self {
        Self { fields: Fields::new(message), number }
    }

    /// The value of the first attribute with this key: of equal keys Go's pdata returns the first.
    #[must_use]
    pub fn find_key(self, key: &[u8]) -> Option<AnyValueRef<'a>> {
        let Self { fields, number } = self;
        fields
            .filter_map(|(field, payload)| match payload {
                Field::Bytes(message) if field == number => Some(message),
                _ => None,
            })
            .find(|message| key_of(message) == key)
            .map(|message| KeyValueRef::parse(message).value)
    }

    /// Owned copies of all.
    #[must_use]
    pub fn to_owned_attributes(self) -> metrics::Attributes {
        self.map(|entry| (lossy(entry.key), entry.value.to_value())).collect()
    }
}

/// The key of a KeyValue, without reading its value: most entries are not the one that is looked for.
#[inline]
fn key_of(message: &[u8]) -> &[u8] {
    // The usual form: a key, then a value up to the end, both below 128 bytes.
    if let &[0x0a, key_len @ 0..0x80, ref rest @ ..] = message
        && let Some((key, &[0x12, value_len @ 0..0x80, ref value @ ..])) = rest.split_at_checked(key_len.into())
        && value.len() == usize::from(value_len)
    {
        return key;
    }
    Fields::new(message).fold(&[], |key, field| match field {
        (1, Field::Bytes(text)) => text,
        _ => key,
    })
}

impl<'a> Iterator for Attributes<'a> {
    type Item = KeyValueRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.fields.next()? {
                (number, Field::Bytes(message)) if number == self.number => return Some(KeyValueRef::parse(message)),
                _ => {}
            }
        }
    }
}

/// The payloads of a message's length-delimited fields numbered `wanted`.
pub(crate) fn messages(message: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter_map(move |(number, field)| match field {
        Field::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

/// Writes a KeyValue field.
pub fn put_key_value(buf: &mut Vec<u8>, number: u32, key: &str, value: &Value) {
    put_message(buf, number, |buf| {
        put_bytes(buf, 1, key.as_bytes());
        put_message(buf, 2, |buf| put_any_value(buf, value));
    });
}

/// Writes the payload of an AnyValue.
pub fn put_any_value(buf: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Empty => {}
        Value::String(text) => put_bytes(buf, 1, text.as_bytes()),
        Value::Bool(flag) => put_varint_field(buf, 2, u64::from(*flag)),
        Value::Int(int) => put_varint_field(buf, 3, *int as u64),
        Value::Double(double) => put_fixed64_field(buf, 4, double.to_bits()),
        Value::Array(list) => put_message(buf, 5, |buf| {
            for value in list {
                put_message(buf, 1, |buf| put_any_value(buf, value));
            }
        }),
        Value::Map(map) => put_message(buf, 6, |buf| {
            for (key, value) in map {
                put_key_value(buf, 1, key, value);
            }
        }),
        Value::Bytes(bytes) => put_bytes(buf, 7, bytes),
    }
}

#[cfg(test)]
mod tests;
