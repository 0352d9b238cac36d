//! Protobuf bytes to JSON text, byte for byte as Go's pdata writes it: fields in the order of the tables, 64-bit integers
//! as strings, enums as numbers, zero and empty fields left out but for messages that Go always writes.
//!
//! Meant for bytes that an index accepted. Text is copied as it is, even where it is not UTF-8, as Go does.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::schema::{Field, Kind, Label, Message};
use crate::number::push_go_float;
use crate::wire::{Cursor, Field as Payload, Fields};

/// Attribute values do not nest deeper once indexed; deeper ones are written as empty messages.
const MESSAGE_DEPTH: u32 = 320;

/// The most fields that a message has.
const MAX_FIELDS: usize = 16;

pub(super) fn write(out: &mut Vec<u8>, bytes: &[u8], message: &Message) {
    object(out, bytes, message, MESSAGE_DEPTH);
}

fn object(out: &mut Vec<u8>, bytes: &[u8], message: &Message, depth: u32) {
    // Of each field the last value, and how often it came.
    let mut last: [Option<Payload<'_>>; MAX_FIELDS] = [None; MAX_FIELDS];
    let mut count = [0_u32; MAX_FIELDS];
    let mut chosen = None;
    for (number, payload) in Fields::new(bytes) {
        let Some(index) = message.fields.iter().position(|field| field.number == number) else { continue };
        last[index] = Some(payload);
        count[index] += 1;
        if message.fields[index].label == Label::Oneof {
            chosen = Some(index);
        }
    }
    let mut separator = b'{';
    for (index, field) in message.fields.iter().enumerate() {
        let payload = match (field.label, last[index]) {
            (Label::Always, payload) => payload.unwrap_or(Payload::Bytes(&[])),
            (Label::Oneof, _) if chosen != Some(index) => continue,
            (Label::Plain, Some(payload)) if is_zero(field.kind, payload) => continue,
            (_, Some(payload)) => payload,
            (_, None) => continue,
        };
        if field.label == Label::Repeated {
            let mut items = List { name: field.name, separator, is_open: false };
            for (_, payload) in Fields::new(bytes).filter(|(number, _)| *number == field.number) {
                items.write(out, field, payload, depth);
            }
            if items.is_open {
                out.push(b']');
                separator = b',';
            }
            continue;
        }
        out.push(separator);
        separator = b',';
        key(out, field.name);
        let merged;
        let payload = if count[index] > 1 && matches!(field.kind, Kind::Message(_)) && field.label != Label::Oneof {
            // Parts of one message, put together.
            merged = crate::value::messages(bytes, field.number).collect::<Vec<_>>().concat();
            Payload::Bytes(&merged)
        } else {
            payload
        };
        value(out, field.kind, payload, depth);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// A list in the making: its key is written with its first item, so an empty one leaves nothing.
struct List {
    name: &'static str,
    separator: u8,
    is_open: bool,
}

impl List {
    fn write(&mut self, out: &mut Vec<u8>, field: &Field, payload: Payload<'_>, depth: u32) {
        match (field.kind, payload) {
            (Kind::Message(_) | Kind::Text, _) | (_, Payload::Fixed64(_) | Payload::Varint(_)) => {
                self.next(out);
                value(out, field.kind, payload, depth);
            }
            (kind, Payload::Bytes(packed)) => {
                let mut cursor = Cursor::new(packed);
                while !cursor.is_at_end() {
                    let item = match kind {
                        Kind::Fixed64 | Kind::Double => cursor.fixed64().map(Payload::Fixed64),
                        _ => cursor.varint().map(Payload::Varint),
                    };
                    let Ok(item) = item else { break };
                    self.next(out);
                    value(out, kind, item, depth);
                }
            }
            _ => {}
        }
    }

    fn next(&mut self, out: &mut Vec<u8>) {
        if self.is_open {
            out.push(b',');
        } else {
            out.push(self.separator);
            key(out, self.name);
            out.push(b'[');
            self.is_open = true;
        }
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// What a field without presence says by being there: nothing. So also an id of zeros, and minus zero.
fn is_zero(kind: Kind, payload: Payload<'_>) -> bool {
    match (kind, payload) {
        (Kind::Double, Payload::Fixed64(bits)) => f64::from_bits(bits) == 0.0,
        (Kind::Id(_), Payload::Bytes(id)) => id.iter().all(|byte| *byte == 0),
        (_, Payload::Varint(0) | Payload::Fixed64(0) | Payload::Fixed32(0) | Payload::Bytes([])) => true,
        _ => false,
    }
}

fn value(out: &mut Vec<u8>, kind: Kind, payload: Payload<'_>, depth: u32) {
    match (kind, payload) {
        (Kind::Message(message), Payload::Bytes(bytes)) => match depth.checked_sub(1) {
            Some(depth) => object(out, bytes, message, depth),
            None => out.extend_from_slice(b"{}"),
        },
        (Kind::Text, Payload::Bytes(text)) => string(out, text),
        (Kind::Bytes, Payload::Bytes(bytes)) => quoted(out, BASE64_STANDARD.encode(bytes)),
        (Kind::Id(_), Payload::Bytes(id)) => {
            out.push(b'"');
            for byte in id {
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            out.push(b'"');
        }
        (Kind::Bool, Payload::Varint(flag)) => out.extend_from_slice(if flag == 0 { b"false" } else { b"true" }),
        (Kind::Int32 | Kind::Enum(_), Payload::Varint(int)) => plain(out, int as i32),
        (Kind::Sint32, Payload::Varint(int)) => plain(out, (int as u32 >> 1) as i32 ^ -((int & 1) as i32)),
        (Kind::Uint32, Payload::Varint(int)) => plain(out, int as u32),
        (Kind::Fixed32, Payload::Fixed32(int)) => plain(out, int),
        (Kind::Int64, Payload::Varint(int)) => quoted(out, int as i64),
        (Kind::Uint64, Payload::Varint(int)) | (Kind::Fixed64, Payload::Fixed64(int)) => quoted(out, int),
        (Kind::Sfixed64, Payload::Fixed64(int)) => quoted(out, int as i64),
        (Kind::Double, Payload::Fixed64(bits)) => double(out, f64::from_bits(bits)),
        // Bytes that no index has seen: the wrong wire type for the field.
        _ => out.extend_from_slice(b"null"),
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn plain(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

fn quoted(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "\"{value}\"");
}

fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        let mut text = String::new();
        push_go_float(&mut text, value);
        out.extend_from_slice(text.as_bytes());
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    // No early end, so that it runs on many bytes at once: nearly all text has nothing to escape.
    let is_plain = !text.iter().fold(false, |found, &byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
    if is_plain {
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
    while let Some(len) = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (plain, tail) = rest.split_at(len);
        out.extend_from_slice(plain);
        match tail.first() {
            Some(&byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
            Some(b'\n') => out.extend_from_slice(b"\\n"),
            Some(b'\r') => out.extend_from_slice(b"\\r"),
            Some(b'\t') => out.extend_from_slice(b"\\t"),
            Some(&byte) => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            None => {}
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
