//! The length at which contrib's pdata (v1.70.0) would write a message that came in: what its sizes of traces are made of.
//!
//! It differs from the length on the wire where the sender writes otherwise: pdata always writes ids, a span's status and an
//! attribute's value, also if there is nothing in them, and never a number that is zero, a text that is empty or a field that it
//! does not know. Of a field that comes twice the last counts; messages merge.

use std::borrow::Cow;

use pdata::wire::{Field, Fields};

/// How a field is written, as far as its length goes.
#[derive(Clone, Copy)]
enum Form {
    /// `uint32`, left out if zero.
    Uint32,
    /// An enum, left out if zero.
    Int32,
    /// Left out if zero.
    Fixed,
    /// Left out if empty.
    Text,
    /// Written always, empty if all zero.
    Id,
    /// A message that is written always.
    Message(&'static Kind),
    Repeated(&'static Kind),
    Texts,
    /// A member of a oneof, written whatever it holds: the last of them.
    Chosen,
    ChosenMessage(&'static Kind),
}

/// Fields of a message by number; those that are missing are not known.
type Kind = [(u32, Form)];

static KEY_VALUE: [(u32, Form); 2] = [(1, Form::Text), (2, Form::Message(&ANY_VALUE))];
static ANY_VALUE: [(u32, Form); 7] = [
    (1, Form::Chosen),
    (2, Form::Chosen),
    (3, Form::Chosen),
    (4, Form::Chosen),
    (5, Form::ChosenMessage(&[(1, Form::Repeated(&ANY_VALUE))])),
    (6, Form::ChosenMessage(&[(1, Form::Repeated(&KEY_VALUE))])),
    (7, Form::Chosen),
];
static STATUS: [(u32, Form); 2] = [(2, Form::Text), (3, Form::Int32)];
static EVENT: [(u32, Form); 4] =
    [(1, Form::Fixed), (2, Form::Text), (3, Form::Repeated(&KEY_VALUE)), (4, Form::Uint32)];
static LINK: [(u32, Form); 6] = [
    (1, Form::Id),
    (2, Form::Id),
    (3, Form::Text),
    (4, Form::Repeated(&KEY_VALUE)),
    (5, Form::Uint32),
    (6, Form::Fixed),
];
static SPAN: [(u32, Form); 16] = [
    (1, Form::Id),
    (2, Form::Id),
    (3, Form::Text),
    (4, Form::Id),
    (5, Form::Text),
    (6, Form::Int32),
    (7, Form::Fixed),
    (8, Form::Fixed),
    (9, Form::Repeated(&KEY_VALUE)),
    (10, Form::Uint32),
    (11, Form::Repeated(&EVENT)),
    (12, Form::Uint32),
    (13, Form::Repeated(&LINK)),
    (14, Form::Uint32),
    (15, Form::Message(&STATUS)),
    (16, Form::Fixed),
];
static ENTITY_REF: [(u32, Form); 4] = [(1, Form::Text), (2, Form::Text), (3, Form::Texts), (4, Form::Texts)];
static RESOURCE: [(u32, Form); 3] =
    [(1, Form::Repeated(&KEY_VALUE)), (2, Form::Uint32), (3, Form::Repeated(&ENTITY_REF))];
static SCOPE: [(u32, Form); 4] = [(1, Form::Text), (2, Form::Text), (3, Form::Repeated(&KEY_VALUE)), (4, Form::Uint32)];

/// Highest field number of these messages.
const MAX_FIELD: usize = 16;

/// Of a Span message.
pub(super) fn span_len(span: &[u8]) -> usize {
    len(&SPAN, span)
}

/// Of a Resource message.
pub(super) fn resource_len(resource: &[u8]) -> usize {
    len(&RESOURCE, resource)
}

/// Of an InstrumentationScope message.
pub(super) fn scope_len(scope: &[u8]) -> usize {
    len(&SCOPE, scope)
}

/// Recurses as deep as the index lets values nest.
fn len(kind: &Kind, message: &[u8]) -> usize {
    let mut repeated = 0;
    let mut singular = [0; MAX_FIELD + 1];
    let mut chosen = 0;
    let mut merged: [Option<Cow<'_, [u8]>>; MAX_FIELD + 1] = Default::default();
    for &(number, form) in kind {
        if matches!(form, Form::Id | Form::Message(_)) {
            singular[number as usize] = delimited(number, 0);
        }
    }
    for (number, field) in Fields::new(message) {
        let Some(&(_, form)) = kind.iter().find(|(known, _)| *known == number) else { continue };
        let own = &mut singular[number as usize];
        match (form, field) {
            (Form::Uint32, Field::Varint(bits)) => {
                *own = unless_zero(number, varint(u64::from(bits as u32)), bits as u32)
            }
            // Go extends the sign.
            (Form::Int32, Field::Varint(bits)) => {
                let value = i64::from(bits as u32 as i32).cast_unsigned();
                *own = unless_zero(number, varint(value), bits as u32);
            }
            (Form::Fixed, Field::Fixed64(bits)) => *own = unless_zero(number, 8, bits),
            (Form::Fixed, Field::Fixed32(bits)) => *own = unless_zero(number, 4, bits),
            (Form::Text, Field::Bytes(text)) => {
                *own = if text.is_empty() { 0 } else { delimited(number, text.len()) };
            }
            (Form::Id, Field::Bytes(id)) => {
                *own = delimited(number, if id.iter().any(|byte| *byte != 0) { id.len() } else { 0 });
            }
            (Form::Message(inner), Field::Bytes(part)) => {
                let whole = match merged[number as usize].take() {
                    None => Cow::Borrowed(part),
                    Some(before) => Cow::Owned([&before, part].concat()),
                };
                *own = delimited(number, len(inner, &whole));
                merged[number as usize] = Some(whole);
            }
            (Form::Repeated(inner), Field::Bytes(item)) => repeated += delimited(number, len(inner, item)),
            (Form::Texts, Field::Bytes(text)) => repeated += delimited(number, text.len()),
            (Form::Chosen, Field::Bytes(bytes)) => chosen = delimited(number, bytes.len()),
            // A bool.
            (Form::Chosen, Field::Varint(_)) if number == 2 => chosen = tag(number) + 1,
            (Form::Chosen, Field::Varint(bits)) => chosen = tag(number) + varint(bits),
            (Form::Chosen, Field::Fixed64(_)) => chosen = tag(number) + 8,
            (Form::ChosenMessage(inner), Field::Bytes(message)) => chosen = delimited(number, len(inner, message)),
            // The index has refused fields of another wire type.
            _ => {}
        }
    }
    repeated + chosen + singular.iter().sum::<usize>()
}

fn unless_zero<N: Copy + PartialEq + Default>(number: u32, len: usize, value: N) -> usize {
    if value == N::default() { 0 } else { tag(number) + len }
}

fn delimited(number: u32, len: usize) -> usize {
    tag(number) + varint(len as u64) + len
}

fn tag(number: u32) -> usize {
    varint(u64::from(number) << 3)
}

fn varint(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            "[a-z]{0,200}".prop_map(Value::StringValue),
            any::<bool>().prop_map(Value::BoolValue),
            any::<i64>().prop_map(Value::IntValue),
            any::<f64>().prop_map(Value::DoubleValue),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|values| {
                    let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
                    Value::ArrayValue(opentelemetry_proto::tonic::common::v1::ArrayValue { values })
                }),
                prop::collection::vec(inner, 0..4).prop_map(|values| {
                    let values = values.into_iter().map(|value| attribute("k", value)).collect();
                    Value::KvlistValue(opentelemetry_proto::tonic::common::v1::KeyValueList { values })
                }),
            ]
        })
    }

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    proptest! {
        /// prost leaves out what is empty; pdata writes two bytes for each of these.
        #[test]
        fn is_what_prost_writes_and_what_it_leaves_out(
            values in prop::collection::vec(value(), 0..5),
            (parent, status, kind, dropped, linked) in
                (any::<bool>(), prop::option::of(0..3_i32), -1..6_i32, any::<u32>(), any::<bool>()),
        ) {
            let span = Span {
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                parent_span_id: if parent { vec![3; 8] } else { Vec::new() },
                kind,
                start_time_unix_nano: u64::from(dropped),
                attributes: values.iter().map(|value| attribute("key", value.clone())).collect(),
                dropped_attributes_count: dropped,
                events: values.iter().take(1).map(|value| span::Event {
                    name: "e".to_owned(),
                    attributes: vec![attribute("key", value.clone())],
                    ..span::Event::default()
                }).collect(),
                links: vec![span::Link {
                    trace_id: if linked { vec![4; 16] } else { Vec::new() },
                    span_id: vec![5; 8],
                    flags: dropped,
                    ..span::Link::default()
                }],
                status: status.map(|code| Status { code, ..Status::default() }),
                flags: dropped,
                ..Span::default()
            };
            let left_out = usize::from(!parent) + usize::from(status.is_none()) + usize::from(!linked);
            prop_assert_eq!(span_len(&span.encode_to_vec()), span.encoded_len() + 2 * left_out);
        }
    }

    #[test]
    fn what_pdata_writes_otherwise() {
        let ids = b"\x0a\x10ABCDEFGHIJKLMNOP\x12\x08QRSTUVWX";
        let plain = ids.len() + 4;
        for (behind, len) in [
            (&b""[..], plain),
            (b"\x22\x00\x7a\x00", plain),
            // All zero.
            (b"\x22\x08\0\0\0\0\0\0\0\0", plain),
            // Zeros, empty texts, a field that is not known.
            (b"\x1a\x00\x2a\x00\x30\x00\x39\0\0\0\0\0\0\0\0\x50\x00\x7a\x02\x18\x00\xa0\x06\x01", plain),
            // The last counts, messages merge.
            (b"\x2a\x03abc\x2a\x01n", plain + 3),
            (b"\x7a\x03\x12\x01m\x7a\x02\x18\x02", plain + 5),
            // An attribute without a value, and one with two.
            (b"\x4a\x03\x0a\x01k", plain + 2 + 3 + 2),
            (b"\x4a\x0c\x0a\x01k\x12\x07\x0a\x03abc\x10\x01", plain + 2 + 3 + 4),
            // A longer varint than needed.
            (b"\x50\x81\x00", plain + 2),
        ] {
            assert_eq!(span_len(&[ids, behind].concat()), len, "{}", behind.escape_ascii());
        }
        assert_eq!(resource_len(b"\x0a\x03\x0a\x01k\x10\x00"), 7);
        assert_eq!(scope_len(b"\x0a\x01s\x12\x00"), 3);
    }
}
