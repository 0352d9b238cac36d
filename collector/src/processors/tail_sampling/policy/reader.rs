//! One pass over a span (or resource) that picks out what built-in policies ask for.
//!
//! OTTL conditions are read by their own program; these reads differ from OTTL's, because contrib's policies read an
//! attribute of another type as the zero value of the type they want, also where the attribute has no value at all.

use pdata::SpanView;
use pdata::wire::{Field, Fields};

/// An attribute that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Attribute<'w> {
    Text(&'w [u8]),
    Boolean(bool),
    Integer(i64),
    /// Of a type that no policy asks for, or without a value.
    Other,
}

impl<'w> Attribute<'w> {
    pub(super) fn text(self) -> &'w [u8] {
        if let Self::Text(text) = self { text } else { &[] }
    }

    pub(super) fn boolean(self) -> bool {
        self == Self::Boolean(true)
    }

    pub(super) fn integer(self) -> i64 {
        if let Self::Integer(value) = self { value } else { 0 }
    }
}

/// The attribute keys that policies ask for, each with a slot.
#[derive(Debug, Default)]
pub(super) struct Keys {
    keys: Vec<Box<[u8]>>,
    /// Slots by length of the key.
    by_len: Vec<Vec<u16>>,
    /// A bit for each length that some key has, modulo 64.
    lengths: u64,
}

impl Keys {
    /// The slot of a key; the same key has one.
    pub(super) fn slot(&mut self, key: &str) -> u16 {
        if let Some(known) = self.keys.iter().position(|known| **known == *key.as_bytes()) {
            return u16::try_from(known).unwrap_or(u16::MAX);
        }
        let slot = u16::try_from(self.keys.len()).unwrap_or(u16::MAX);
        if self.by_len.len() <= key.len() {
            self.by_len.resize(key.len() + 1, Vec::new());
        }
        self.by_len[key.len()].push(slot);
        self.lengths |= 1 << (key.len() % 64);
        self.keys.push(key.as_bytes().into());
        slot
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        if self.lengths >> (key.len() % 64) & 1 == 0 {
            return None;
        }
        let slots = self.by_len.get(key.len())?;
        slots.iter().map(|slot| usize::from(*slot)).find(|slot| *self.keys[*slot] == *key)
    }
}

/// What is read of a span besides its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'w> {
    pub(super) start_unix_nano: u64,
    pub(super) end_unix_nano: u64,
    pub(super) has_parent: bool,
    pub(super) trace_state: &'w [u8],
    pub(super) status_code: u64,
    pub(super) flags: u32,
}

/// Reads a span; attributes go to their slots. Of equal keys the first counts, of repeated scalars the last.
///
/// Where no attribute is asked for and the index knows where they end, they are not looked at.
#[inline]
pub(super) fn read_span<'w>(span: &SpanView<'w>, keys: &Keys, slots: &mut [Option<Attribute<'w>>]) -> Header<'w> {
    let bytes = span.bytes();
    let mut header = Header::default();
    let Some(order) = span.order() else {
        header.read(bytes, keys, slots);
        return header;
    };
    let (start, end) = (order.attributes_start(), order.attributes_end());
    let head = bytes.get(..start).unwrap_or_default();
    if !order.has_plain_head() || header.read_plain_head(head).is_none() {
        header.read(head, keys, slots);
    }
    if !slots.is_empty() {
        header.read(bytes.get(start..end).unwrap_or_default(), keys, slots);
    }
    header.read_end(bytes.get(end..).unwrap_or_default(), keys, slots);
    header
}

impl<'w> Header<'w> {
    /// Reads all fields of a message, or some of them in a row.
    fn read(&mut self, fields: &'w [u8], keys: &Keys, slots: &mut [Option<Attribute<'w>>]) {
        for (number, value) in Fields::new(fields) {
            match (number, value) {
                (9, Field::Bytes(attribute)) if !slots.is_empty() => read_attribute(attribute, keys, slots),
                _ => self.take(number, value),
            }
        }
    }

    /// Reads what stands before the attributes, if that is as [`SpanOrder::has_plain_head`](pdata::SpanOrder::has_plain_head) says:
    /// then each field's place is known. This is asked of every span there is.
    #[inline]
    fn read_plain_head(&mut self, head: &'w [u8]) -> Option<()> {
        let [_, start @ .., _, _, _, _, _, _, _, _, _] = *head.last_chunk::<18>()?;
        self.start_unix_nano = u64::from_le_bytes(start);
        self.end_unix_nano = u64::from_le_bytes(*head.last_chunk()?);
        // Behind the ids.
        self.has_parent = matches!(head.get(28..)?.first_chunk::<10>()?, [0x22, 8, parent @ ..] if *parent != [0; 8]);
        Some(())
    }

    /// Reads what stands behind the attributes, most often flags alone or nothing.
    #[inline]
    fn read_end(&mut self, fields: &'w [u8], keys: &Keys, slots: &mut [Option<Attribute<'w>>]) {
        match *fields {
            [] => {}
            [0x85, 0x01, a, b, c, d] => self.flags = u32::from_le_bytes([a, b, c, d]),
            _ => self.read(fields, keys, slots),
        }
    }

    fn take(&mut self, number: u32, value: Field<'w>) {
        match (number, value) {
            (3, Field::Bytes(text)) => self.trace_state = text,
            (4, Field::Bytes(id)) => self.has_parent = id.iter().any(|byte| *byte != 0),
            (7, Field::Fixed64(time)) => self.start_unix_nano = time,
            (8, Field::Fixed64(time)) => self.end_unix_nano = time,
            (15, Field::Bytes(status)) => {
                for (number, value) in Fields::new(status) {
                    if let (3, Field::Varint(code)) = (number, value) {
                        self.status_code = code;
                    }
                }
            }
            (16, Field::Fixed32(flags)) => self.flags = flags,
            _ => {}
        }
    }
}

/// Reads the attributes of a resource into their slots.
pub(super) fn read_resource<'w>(resource: &'w [u8], keys: &Keys, slots: &mut [Option<Attribute<'w>>]) {
    for field in Fields::new(resource) {
        if let (1, Field::Bytes(attribute)) = field {
            read_attribute(attribute, keys, slots);
        }
    }
}

fn read_attribute<'w>(message: &'w [u8], keys: &Keys, slots: &mut [Option<Attribute<'w>>]) {
    // Most attributes are not asked for, and nearly all senders write key and value once and in this order.
    if plain_key(message).is_some_and(|key| keys.find(key).is_none()) {
        return;
    }
    let mut key: &[u8] = &[];
    let mut value = Attribute::Other;
    for field in Fields::new(message) {
        match field {
            (1, Field::Bytes(text)) => key = text,
            (2, Field::Bytes(any)) => value = read_value(any, value),
            _ => {}
        }
    }
    if let Some(slot @ None) = keys.find(key).and_then(|slot| slots.get_mut(slot)) {
        *slot = Some(value);
    }
}

/// The key of a message that is exactly a key of less than 128 bytes and a value of less than 16 KiB.
#[inline]
fn plain_key(message: &[u8]) -> Option<&[u8]> {
    let (&[0x0a, key_len @ 0..0x80], rest) = message.split_first_chunk()? else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
    let value_len = match *rest {
        [0x12, len @ 0..0x80, ..] => usize::from(len) + 2,
        [0x12, low @ 0x80..=0xff, high @ 0..0x80, ..] => usize::from(low & 0x7f) + (usize::from(high) << 7) + 3,
        _ => return None,
    };
    (rest.len() == value_len).then_some(key)
}

/// The last member of the oneof wins; a value that is given twice is merged.
fn read_value<'w>(any: &'w [u8], before: Attribute<'w>) -> Attribute<'w> {
    let mut value = before;
    for field in Fields::new(any) {
        match field {
            (1, Field::Bytes(text)) => value = Attribute::Text(text),
            (2, Field::Varint(number)) => value = Attribute::Boolean(number != 0),
            (3, Field::Varint(number)) => value = Attribute::Integer(number as i64),
            (4, Field::Fixed64(_)) | (5..=7, Field::Bytes(_)) => value = Attribute::Other,
            _ => {}
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
    use pdata::Traces;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn attribute(key: &str, value: i64) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    proptest! {
        /// The short cuts for spans as most senders write them find what a walk over all fields finds.
        #[test]
        fn reads_what_a_walk_finds(
            ids in (0_usize..2, 0_usize..2, 0_usize..3),
            trace_state in prop_oneof![Just(""), Just("a=b")],
            name in 0_usize..140,
            (kind, start, end) in (0_i32..3, 0_u64..3, any::<u64>()),
            attributes in prop::collection::vec((0_usize..3, any::<i64>()), 0..4),
            events in 0_usize..2,
            status in prop::option::of(0_i32..3),
            flags in prop_oneof![Just(0_u32), Just(0x101), any::<u32>()],
        ) {
            let span = Span {
                trace_id: vec![1; 16 * ids.0],
                span_id: vec![2; 8 * ids.1],
                parent_span_id: [vec![], vec![0; 8], vec![0, 0, 0, 0, 0, 0, 0, 1]][ids.2].clone(),
                trace_state: trace_state.to_owned(),
                name: "n".repeat(name),
                kind,
                start_time_unix_nano: start,
                end_time_unix_nano: end,
                attributes: attributes.iter().map(|(key, value)| attribute(["a", "b", "cc"][*key], *value)).collect(),
                events: vec![Event::default(); events],
                status: status.map(|code| Status { code, ..Status::default() }),
                flags,
                ..Span::default()
            };
            let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
            let request = ExportTraceServiceRequest {
                resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
            };
            let traces = Traces::index(request.encode_to_vec().into()).unwrap();
            let span = traces.span(0).unwrap();
            let mut keys = Keys::default();
            for asked in ["", "a", "cc"] {
                if !asked.is_empty() {
                    keys.slot(asked);
                }
                let (mut found, mut walked) = (vec![None; keys.len()], vec![None; keys.len()]);
                let header = read_span(&span, &keys, &mut found);
                let mut walk = Header::default();
                walk.read(span.bytes(), &keys, &mut walked);
                prop_assert_eq!((header, found), (walk, walked));
            }
        }
    }
}
