//! A resource's attributes as they are and as they are to become; written back once, as bytes.

use pdata::metrics;
use pdata::value::{AnyValueRef, Attributes, KeyValueRef, put_key_value};
use pdata::wire::{Field, Fields, put_bytes, put_message};
use smallvec::SmallVec;

/// Field of attributes in a Resource message.
const ATTRIBUTES: u32 = 1;

/// The attributes of one resource. New ones borrow from what is known of the cluster.
pub(super) struct Resource<'a> {
    existing: SmallVec<[(&'a [u8], Existing<'a>); 16]>,
    new: SmallVec<[(&'a str, New<'a>); 24]>,
}

#[derive(Clone, Copy, Debug)]
enum Existing<'a> {
    Text(&'a [u8]),
    Int(i64),
    Other { empty: bool },
}

/// A value that is set here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum New<'a> {
    Text(&'a str),
    List(&'a [String]),
}

impl<'a> Resource<'a> {
    /// Of a Resource message.
    pub(super) fn of_message(message: &'a [u8]) -> Self {
        let existing = Attributes::new(message, ATTRIBUTES).map(|KeyValueRef { key, value }| {
            let value = match value {
                AnyValueRef::String(text) => Existing::Text(text),
                AnyValueRef::Int(int) => Existing::Int(int),
                AnyValueRef::Empty => Existing::Other { empty: true },
                AnyValueRef::Bytes(bytes) => Existing::Other { empty: bytes.is_empty() },
                _ => Existing::Other { empty: false },
            };
            (key, value)
        });
        Self { existing: existing.collect(), new: SmallVec::new() }
    }

    /// Of decoded attributes.
    pub(super) fn of_attributes(attributes: &'a metrics::Attributes) -> Self {
        let existing = attributes.iter().map(|(key, value)| {
            let value = match value {
                metrics::Value::String(text) => Existing::Text(text.as_bytes()),
                metrics::Value::Int(int) => Existing::Int(*int),
                metrics::Value::Empty => Existing::Other { empty: true },
                metrics::Value::Bytes(bytes) => Existing::Other { empty: bytes.is_empty() },
                _ => Existing::Other { empty: false },
            };
            (key.as_bytes(), value)
        });
        Self { existing: existing.collect(), new: SmallVec::new() }
    }

    fn get_new(&self, key: &str) -> Option<New<'a>> {
        self.new.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn get_existing(&self, key: &str) -> Option<Existing<'a>> {
        self.existing.iter().find(|(known, _)| *known == key.as_bytes()).map(|(_, value)| *value)
    }

    /// The string value; empty if there is none or it is of another type.
    pub(super) fn text(&self, key: &str) -> &'a str {
        match (self.get_new(key), self.get_existing(key)) {
            (Some(New::Text(text)), _) => text,
            (None, Some(Existing::Text(text))) => std::str::from_utf8(text).unwrap_or_default(),
            _ => "",
        }
    }

    /// An integer or its decimal text; an error for what is there and neither.
    pub(super) fn integer(&self, key: &str) -> Option<Result<i64, ()>> {
        match self.get_existing(key)? {
            Existing::Int(int) => Some(Ok(int)),
            Existing::Text(text) => Some(std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(())),
            Existing::Other { .. } => Some(Err(())),
        }
    }

    /// True if there is an attribute of this name, whatever it holds.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get_new(key).is_some() || self.get_existing(key).is_some()
    }

    /// Sets an attribute that is missing or whose text form is empty.
    pub(super) fn set(&mut self, key: &'a str, value: &'a str) {
        if let Some(known) = self.new.iter_mut().find(|(known, _)| *known == key) {
            if known.1 == New::Text("") {
                known.1 = New::Text(value);
            }
            return;
        }
        let keeps = match self.get_existing(key) {
            None => false,
            Some(Existing::Text(text)) => !text.is_empty(),
            Some(Existing::Int(_)) => true,
            Some(Existing::Other { empty }) => !empty,
        };
        if !keeps {
            self.new.push((key, New::Text(value)));
        }
    }

    /// Sets a list, if there is no attribute of this name.
    pub(super) fn set_list(&mut self, key: &'a str, values: &'a [String]) {
        if !self.has(key) {
            self.new.push((key, New::List(values)));
        }
    }

    /// True if anything was set.
    pub(super) fn is_changed(&self) -> bool {
        !self.new.is_empty()
    }

    /// The message with what was set. Everything else stays the bytes it was.
    pub(super) fn write(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + self.new.len() * 64);
        let replaced = |key: &str| self.existing.iter().any(|(known, _)| *known == key.as_bytes());
        if self.new.iter().any(|(key, _)| replaced(key)) {
            self.copy_without_replaced(message, &mut out);
        } else {
            out.extend_from_slice(message);
        }
        for (key, value) in &self.new {
            match value {
                New::Text(text) => put_message(&mut out, ATTRIBUTES, |out| {
                    put_bytes(out, 1, key.as_bytes());
                    put_message(out, 2, |out| put_bytes(out, 1, text.as_bytes()));
                }),
                New::List(_) => put_key_value(&mut out, ATTRIBUTES, key, &value.to_value()),
            }
        }
        out
    }

    /// Attributes whose text form was empty and that are set now are left out: the first of equal keys would win.
    fn copy_without_replaced(&self, message: &[u8], out: &mut Vec<u8>) {
        for (number, field) in Fields::new(message) {
            match field {
                Field::Bytes(payload) => {
                    let is_replaced = number == ATTRIBUTES && {
                        let key = KeyValueRef::parse(payload).key;
                        self.new.iter().any(|(new, _)| new.as_bytes() == key)
                    };
                    if !is_replaced {
                        put_bytes(out, number, payload);
                    }
                }
                Field::Varint(value) => pdata::wire::put_varint_field(out, number, value),
                Field::Fixed64(value) => pdata::wire::put_fixed64_field(out, number, value),
                Field::Fixed32(value) => pdata::wire::put_fixed32_field(out, number, value),
            }
        }
    }

    /// What was set, apart from what it was read from: for decoded attributes.
    pub(super) fn into_new(self) -> Vec<(String, metrics::Value)> {
        self.new.iter().map(|(key, value)| ((*key).to_owned(), value.to_value())).collect()
    }
}

impl New<'_> {
    fn to_value(self) -> metrics::Value {
        match self {
            Self::Text(text) => metrics::Value::String(text.to_owned()),
            Self::List(list) => metrics::Value::Array(list.iter().cloned().map(metrics::Value::String).collect()),
        }
    }
}

/// Puts new attributes in: an existing key keeps its place.
pub(super) fn merge(attributes: &mut metrics::Attributes, new: Vec<(String, metrics::Value)>) {
    for (key, value) in new {
        match attributes.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => attributes.push((key, value)),
        }
    }
}
