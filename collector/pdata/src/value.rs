//! Attribute values and attributes in wire form, written from [`metrics::Value`](crate::metrics::Value).

use crate::metrics::Value;
use crate::wire::{put_bytes, put_fixed64_field, put_message, put_varint_field};

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
