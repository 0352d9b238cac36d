//! Values as OTTL sees them while it evaluates: borrowed from wire bytes where they come from there.
//!
//! The variants follow the Go types that contrib works with, because comparison and conversion depend on them. Strings
//! are bytes: telemetry may hold invalid UTF-8 and byte-wise cuts make it.

mod list;
mod map;
mod time;

use std::borrow::Cow;

pub use list::{List, ListIter, ListRepr};
pub(crate) use map::entry_key;
pub use map::{Entry, Map, MapIter, MapRepr, WireMap};
pub use time::{GO_ZERO_SEC, Time, Zone};

use crate::wire::{Fields, Payload, Range};

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value<'w> {
    /// `nil`, a missing attribute, an AnyValue with nothing set.
    #[default]
    Nil,
    /// A bool.
    Bool(bool),
    /// `int64`.
    Int(i64),
    /// `float64`.
    Double(f64),
    /// A string; not necessarily UTF-8.
    Str(Cow<'w, [u8]>),
    /// `[]byte`. Empty means Go's nil slice: the empty bytes attribute is one, and no literal or converter makes an
    /// empty slice that is not nil.
    Bytes(Cow<'w, [u8]>),
    /// A map.
    Map(Map<'w>),
    /// A list.
    List(List<'w>),
    /// A point in time.
    Time(Time),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A trace id, all zero when unset.
    TraceId([u8; 16]),
    /// A span id, all zero when unset.
    SpanId([u8; 8]),
    /// A struct that only `Len`, `IsEmpty`, `IsList` and identity look into.
    Opaque(Opaque<'w>),
    /// An integer of a Go type other than int64; it equals nothing but its own type.
    GoInt(GoInt),
}

/// Integers of Go types that OTTL does not know, which contrib lets escape in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoInt {
    /// `int`: `URL(..)["url.port"]`.
    Int(i64),
    /// `uint8`: an item of bytes.
    Uint8(u8),
    /// `uint64`: an item of bucket counts.
    Uint64(u64),
}

/// What an opaque struct is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpaqueKind {
    /// `status`
    Status,
    /// `events`
    SpanEvents,
    /// `links`
    SpanLinks,
    /// `data_points`
    DataPoints,
    /// `exemplars`
    Exemplars,
    /// `quantile_values`
    Quantiles,
    /// `positive`, `negative`
    Buckets,
}

/// A struct known by where it lies: two are equal if they are the same part of the same message.
#[derive(Clone, Copy, Debug)]
pub struct Opaque<'w> {
    /// What it is.
    pub kind: OpaqueKind,
    /// The message it is a part of.
    pub message: &'w [u8],
    /// The field it is, in that message.
    pub field: u32,
}

impl Opaque<'_> {
    /// Whether it is a list of items in Go (not a single struct).
    #[must_use]
    pub fn is_list(&self) -> bool {
        !matches!(self.kind, OpaqueKind::Status | OpaqueKind::Buckets)
    }

    /// Number of items of a list; for a struct the number of its occurrences, 0 or 1.
    #[must_use]
    pub fn len(&self) -> usize {
        Fields::new(self.message)
            .filter(|(field, payload)| *field == self.field && matches!(payload, Payload::Bytes(_)))
            .count()
    }

    /// Whether [`Opaque::len`] is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Same kind, same message, same field.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.field == other.field && std::ptr::eq(self.message, other.message)
    }
}

impl<'w> Value<'w> {
    /// A string that owns nothing.
    #[must_use]
    pub fn str(text: &'w str) -> Self {
        Self::Str(Cow::Borrowed(text.as_bytes()))
    }

    /// A string of its own.
    #[must_use]
    pub fn string(text: impl Into<Vec<u8>>) -> Self {
        Self::Str(Cow::Owned(text.into()))
    }

    /// A pdata map of its own.
    #[must_use]
    pub fn map(entries: Vec<Entry<'w>>) -> Self {
        Self::Map(Map::owned(entries, MapRepr::Pdata))
    }

    /// A pdata slice of its own.
    #[must_use]
    pub fn slice(items: Vec<Value<'w>>) -> Self {
        Self::List(List::owned(items, ListRepr::Slice))
    }

    /// Decodes an AnyValue message. What is not well formed reads as nil.
    #[must_use]
    pub fn from_any_value(message: &'w [u8]) -> Self {
        Self::decode_any(message, Range { start: 0, end: message.len() }).unwrap_or(Self::Nil)
    }

    /// Decodes the AnyValue at `range`; `None` if nothing is set in it. The last member of the oneof wins.
    pub(crate) fn decode_any(base: &'w [u8], range: Range) -> Option<Self> {
        let mut value = None;
        for (field, payload) in Fields::within(base, range) {
            value = match (field, payload) {
                (1, Payload::Bytes(at)) => Some(Self::Str(Cow::Borrowed(at.of(base)))),
                (2, Payload::Varint(bits)) => Some(Self::Bool(bits != 0)),
                (3, Payload::Varint(bits)) => Some(Self::Int(bits.cast_signed())),
                (4, Payload::Fixed64(bits)) => Some(Self::Double(f64::from_bits(bits))),
                (5, Payload::Bytes(at)) => Some(Self::List(List::Wire(at.of(base)))),
                (6, Payload::Bytes(at)) => Some(Self::Map(Map::Wire(WireMap::new(at.of(base), 1)))),
                (7, Payload::Bytes(at)) => Some(Self::Bytes(Cow::Borrowed(at.of(base)))),
                _ => value,
            };
        }
        value
    }

    /// Whether it is `nil`. (A nil byte slice is not `nil` here; comparison treats it so.)
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// A copy that borrows from this value instead of cloning its text.
    #[must_use]
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Str(text) => Value::Str(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            other => other.clone(),
        }
    }

    /// The value with nothing borrowed; `None` for values that cannot stand alone.
    pub(crate) fn into_owned(self) -> Option<Value<'static>> {
        Some(match self {
            Self::Nil => Value::Nil,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(number) => Value::Int(number),
            Self::Double(number) => Value::Double(number),
            Self::Str(text) => Value::string(text.into_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.into_owned().into()),
            Self::Time(time) => Value::Time(time),
            Self::Duration(nanos) => Value::Duration(nanos),
            Self::TraceId(id) => Value::TraceId(id),
            Self::SpanId(id) => Value::SpanId(id),
            Self::GoInt(number) => Value::GoInt(number),
            Self::Map(map) => {
                let entries: Option<Vec<_>> =
                    map.iter().map(|(key, value)| Some((key.into_owned().into(), value.into_owned()?))).collect();
                Value::Map(Map::owned(entries?, map.repr()))
            }
            Self::List(list) => {
                let items: Option<Vec<_>> = list.iter().map(Self::into_owned).collect();
                Value::List(List::owned(items?, list.repr()))
            }
            Self::Opaque(_) => return None,
        })
    }

    /// The Go type's name, as contrib's messages spell it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int64",
            Self::Double(_) => "float64",
            Self::Str(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::Map(map) => match map.repr() {
                MapRepr::Pdata => "pcommon.Map",
                MapRepr::Raw => "map[string]any",
            },
            Self::List(list) => list.repr().type_name(),
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::TraceId(_) => "pcommon.TraceID",
            Self::SpanId(_) => "pcommon.SpanID",
            Self::Opaque(opaque) => match opaque.kind {
                OpaqueKind::Status => "ptrace.Status",
                OpaqueKind::SpanEvents => "ptrace.SpanEventSlice",
                OpaqueKind::SpanLinks => "ptrace.SpanLinkSlice",
                OpaqueKind::DataPoints => "pmetric.NumberDataPointSlice",
                OpaqueKind::Exemplars => "pmetric.ExemplarSlice",
                OpaqueKind::Quantiles => "pmetric.SummaryDataPointValueAtQuantileSlice",
                OpaqueKind::Buckets => "pmetric.ExponentialHistogramDataPointBuckets",
            },
            Self::GoInt(GoInt::Int(_)) => "int",
            Self::GoInt(GoInt::Uint8(_)) => "uint8",
            Self::GoInt(GoInt::Uint64(_)) => "uint64",
        }
    }
}
