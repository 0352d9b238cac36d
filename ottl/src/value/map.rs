//! Maps: a view over wire bytes, or entries made by a literal or a converter.

use std::{borrow::Cow, sync::Arc};

use super::Value;
use crate::wire::{Fields, Payload, Range};

/// The Go type behind a map. It shows in comparisons: see `compare.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapRepr {
    /// `pcommon.Map`: attributes, map literals, most converters.
    Pdata,
    /// `map[string]any`: `URL`, `UserAgent`.
    Raw,
}

/// A key and its value.
pub type Entry<'w> = (Cow<'w, [u8]>, Value<'w>);

/// A map in wire order or order of insertion. Keys may repeat on the wire: lookup takes the first.
#[derive(Clone, Debug)]
pub enum Map<'w> {
    /// The KeyValue fields `field` of one message; other fields of the message are skipped.
    Wire(WireMap<'w>),
    /// Entries of our own.
    Owned {
        /// In order.
        entries: Arc<Vec<Entry<'w>>>,
        /// Go type.
        repr: MapRepr,
    },
}

/// A view over the repeated KeyValue field of a message. Span attributes lie scattered in the span message, so the view
/// keeps the whole message and the field's number.
#[derive(Clone, Copy, Debug)]
pub struct WireMap<'w> {
    pub(crate) message: &'w [u8],
    pub(crate) field: u32,
}

impl<'w> WireMap<'w> {
    /// A view over field `field` of `message`.
    #[must_use]
    pub fn new(message: &'w [u8], field: u32) -> Self {
        Self { message, field }
    }

    fn entries(self) -> impl Iterator<Item = Range> {
        Fields::new(self.message).filter_map(move |(field, payload)| match payload {
            Payload::Bytes(range) if field == self.field => Some(range),
            _ => None,
        })
    }
}

/// Key and AnyValue of a KeyValue message. Repeated scalars: the last wins; a repeated `value` is merged, which for a
/// oneof means that the last one that sets anything wins.
fn key_value<'w>(base: &'w [u8], entry: Range) -> (&'w [u8], Value<'w>) {
    let mut key: &[u8] = &[];
    let mut value = Value::Nil;
    for (field, payload) in Fields::within(base, entry) {
        match (field, payload) {
            (1, Payload::Bytes(range)) => key = range.of(base),
            (2, Payload::Bytes(range)) => {
                if let Some(set) = Value::decode_any(base, range) {
                    value = set;
                }
            }
            _ => {}
        }
    }
    (key, value)
}

/// The key of a KeyValue message.
pub(crate) fn entry_key(base: &[u8], entry: Range) -> &[u8] {
    let keys = Fields::within(base, entry).filter_map(|field| match field {
        (1, Payload::Bytes(range)) => Some(range.of(base)),
        _ => None,
    });
    keys.last().unwrap_or_default()
}

impl<'w> Map<'w> {
    /// A map of our own.
    #[must_use]
    pub fn owned(entries: Vec<Entry<'w>>, repr: MapRepr) -> Self {
        Self::Owned { entries: Arc::new(entries), repr }
    }

    /// The Go type.
    #[must_use]
    pub fn repr(&self) -> MapRepr {
        match self {
            Self::Wire(_) => MapRepr::Pdata,
            Self::Owned { repr, .. } => *repr,
        }
    }

    /// Number of entries, repeated keys counted.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Wire(wire) => wire.entries().count(),
            Self::Owned { entries, .. } => entries.len(),
        }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Wire(wire) => wire.entries().next().is_none(),
            Self::Owned { entries, .. } => entries.is_empty(),
        }
    }

    /// The first entry with this key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Value<'w>> {
        match self {
            Self::Wire(wire) => wire
                .entries()
                .map(|entry| key_value(wire.message, entry))
                .find_map(|(found, value)| if found == key { Some(value) } else { None }),
            Self::Owned { entries, .. } => {
                entries.iter().find(|(found, _)| found.as_ref() == key).map(|(_, value)| value.clone())
            }
        }
    }

    /// Entries in wire order or order of insertion.
    #[must_use]
    pub fn iter(&self) -> MapIter<'_, 'w> {
        match self {
            Self::Wire(wire) => MapIter(Iter::Wire(Fields::new(wire.message), *wire)),
            Self::Owned { entries, .. } => MapIter(Iter::Owned(entries.iter())),
        }
    }
}

/// Iterator over a map's entries.
#[derive(Debug)]
pub struct MapIter<'m, 'w>(Iter<'m, 'w>);

#[derive(Debug)]
enum Iter<'m, 'w> {
    Wire(Fields<'w>, WireMap<'w>),
    Owned(std::slice::Iter<'m, Entry<'w>>),
}

impl<'w> Iterator for MapIter<'_, 'w> {
    type Item = Entry<'w>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Iter::Wire(fields, wire) => loop {
                if let (field, Payload::Bytes(range)) = fields.next()?
                    && field == wire.field
                {
                    let (key, value) = key_value(wire.message, range);
                    return Some((Cow::Borrowed(key), value));
                }
            },
            Iter::Owned(entries) => entries.next().cloned(),
        }
    }
}
