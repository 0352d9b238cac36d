//! Cheap typed reads of the messages in a batch, for native code. Of repeated scalars the last counts, of equal
//! attribute keys the first (as Go's map look-up does).

use crate::metrics::Value;
use crate::value::{AnyValueRef, Attributes, messages};
use crate::wire::{Field, Fields};

/// The scalars of a Span message, read in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanFields<'a> {
    /// Trace id as on the wire: 16 bytes or none.
    pub trace_id: &'a [u8],
    /// Span id as on the wire: 8 bytes or none.
    pub span_id: &'a [u8],
    /// Parent span id as on the wire: 8 bytes or none.
    pub parent_span_id: &'a [u8],
    /// W3C trace state.
    pub trace_state: &'a [u8],
    /// Name.
    pub name: &'a [u8],
    /// Kind, as the number on the wire.
    pub kind: i32,
    /// Nanoseconds since the epoch.
    pub start_unix_nano: u64,
    /// Nanoseconds since the epoch.
    pub end_unix_nano: u64,
    /// Status code, as the number on the wire.
    pub status_code: i32,
    /// Status message.
    pub status_message: &'a [u8],
    /// Trace flags.
    pub flags: u32,
    /// Dropped attributes.
    pub dropped_attributes_count: u32,
    /// Dropped events.
    pub dropped_events_count: u32,
    /// Dropped links.
    pub dropped_links_count: u32,
}

impl<'a> SpanFields<'a> {
    /// Reads a Span message.
    #[must_use]
    pub fn read(span: &'a [u8]) -> Self {
        let mut out = Self::default();
        for (number, field) in Fields::new(span) {
            match (number, field) {
                (1, Field::Bytes(id)) => out.trace_id = id,
                (2, Field::Bytes(id)) => out.span_id = id,
                (3, Field::Bytes(text)) => out.trace_state = text,
                (4, Field::Bytes(id)) => out.parent_span_id = id,
                (5, Field::Bytes(text)) => out.name = text,
                // Protobuf cuts a varint to the width of the field.
                (6, Field::Varint(kind)) => out.kind = kind as i32,
                (7, Field::Fixed64(time)) => out.start_unix_nano = time,
                (8, Field::Fixed64(time)) => out.end_unix_nano = time,
                (10, Field::Varint(count)) => out.dropped_attributes_count = count as u32,
                (12, Field::Varint(count)) => out.dropped_events_count = count as u32,
                (14, Field::Varint(count)) => out.dropped_links_count = count as u32,
                (15, Field::Bytes(status)) => {
                    for (number, field) in Fields::new(status) {
                        match (number, field) {
                            (2, Field::Bytes(text)) => out.status_message = text,
                            (3, Field::Varint(code)) => out.status_code = code as i32,
                            _ => {}
                        }
                    }
                }
                (16, Field::Fixed32(flags)) => out.flags = flags,
                _ => {}
            }
        }
        out
    }
}

/// The scalars of an Event message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFields<'a> {
    /// Nanoseconds since the epoch.
    pub time_unix_nano: u64,
    /// Name.
    pub name: &'a [u8],
    /// Dropped attributes.
    pub dropped_attributes_count: u32,
}

impl<'a> EventFields<'a> {
    /// Reads an Event message.
    #[must_use]
    pub fn read(event: &'a [u8]) -> Self {
        Fields::new(event).fold(Self::default(), |out, field| match field {
            (1, Field::Fixed64(time_unix_nano)) => Self { time_unix_nano, ..out },
            (2, Field::Bytes(name)) => Self { name, ..out },
            (4, Field::Varint(count)) => Self { dropped_attributes_count: count as u32, ..out },
            _ => out,
        })
    }
}

/// The scalars of a Link message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFields<'a> {
    /// Trace id as on the wire: 16 bytes or none.
    pub trace_id: &'a [u8],
    /// Span id as on the wire: 8 bytes or none.
    pub span_id: &'a [u8],
    /// W3C trace state.
    pub trace_state: &'a [u8],
    /// Dropped attributes.
    pub dropped_attributes_count: u32,
    /// Trace flags.
    pub flags: u32,
}

impl<'a> LinkFields<'a> {
    /// Reads a Link message.
    #[must_use]
    pub fn read(link: &'a [u8]) -> Self {
        Fields::new(link).fold(Self::default(), |out, field| match field {
            (1, Field::Bytes(trace_id)) => Self { trace_id, ..out },
            (2, Field::Bytes(span_id)) => Self { span_id, ..out },
            (3, Field::Bytes(trace_state)) => Self { trace_state, ..out },
            (5, Field::Varint(count)) => Self { dropped_attributes_count: count as u32, ..out },
            (6, Field::Fixed32(flags)) => Self { flags, ..out },
            _ => out,
        })
    }
}

/// The scalars of an InstrumentationScope message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeFields<'a> {
    /// Name.
    pub name: &'a [u8],
    /// Version.
    pub version: &'a [u8],
    /// Dropped attributes.
    pub dropped_attributes_count: u32,
}

impl<'a> ScopeFields<'a> {
    /// Reads an InstrumentationScope message.
    #[must_use]
    pub fn read(scope: &'a [u8]) -> Self {
        Fields::new(scope).fold(Self::default(), |out, field| match field {
            (1, Field::Bytes(name)) => Self { name, ..out },
            (2, Field::Bytes(version)) => Self { version, ..out },
            (4, Field::Varint(count)) => Self { dropped_attributes_count: count as u32, ..out },
            _ => out,
        })
    }
}

/// Field numbers of the repeated KeyValue of each message that has attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum AttributesOf {
    /// `Resource.attributes`
    Resource = 1,
    /// `InstrumentationScope.attributes` and `Event.attributes`
    ScopeOrEvent = 3,
    /// `Link.attributes`
    Link = 4,
    /// `Span.attributes`
    Span = 9,
}

impl AttributesOf {
    /// The attributes of a message in wire order, typed.
    #[must_use]
    pub fn iter(self, message: &[u8]) -> Attributes<'_> {
        Attributes::new(message, self as u32)
    }

    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get<'a>(self, message: &'a [u8], key: &[u8]) -> Option<AnyValueRef<'a>> {
        self.iter(message).find_key(key)
    }
}

/// The attributes of a message in wire order: key and AnyValue message (`None` where the entry has no value).
pub fn attributes(message: &[u8], of: AttributesOf) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    messages(message, of as u32).map(key_value)
}

/// The Event messages of a span.
pub fn events(span: &[u8]) -> impl Iterator<Item = &[u8]> {
    messages(span, 11)
}

/// The Link messages of a span.
pub fn links(span: &[u8]) -> impl Iterator<Item = &[u8]> {
    messages(span, 13)
}

/// The first attribute with this key, if its value is a string.
#[must_use]
pub fn string_attribute<'a>(message: &'a [u8], of: AttributesOf, key: &[u8]) -> Option<&'a [u8]> {
    of.get(message, key)?.as_str()
}

/// An AnyValue message as an owned value. Invalid UTF-8 is replaced.
#[must_use]
pub fn value(any: &[u8]) -> Value {
    AnyValueRef::parse(any).to_value()
}

/// The attributes of a message as owned values, in wire order.
#[must_use]
pub fn attribute_values(message: &[u8], of: AttributesOf) -> Vec<(String, Value)> {
    of.iter(message).to_owned_attributes()
}

fn key_value(entry: &[u8]) -> (&[u8], Option<&[u8]>) {
    Fields::new(entry).fold((&[][..], None), |(key, value), field| match field {
        (1, Field::Bytes(text)) => (text, value),
        // Parts of a value are merged, so an empty one changes nothing.
        (2, Field::Bytes([])) => (key, value.or(Some(&[]))),
        (2, Field::Bytes(any)) => (key, Some(any)),
        _ => (key, value),
    })
}

#[cfg(test)]
mod tests;
