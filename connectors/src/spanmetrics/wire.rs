//! Parts of a message as positions, so that tables of them outlive the message; and attribute values as key text.
//!
//! Reads with pdata's cursor over messages that the index has validated.

use pdata::value::AnyValueRef;
use pdata::wire::{Field, Fields};

/// A range of the message at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span32 {
    start: u32,
    len: u32,
}

impl Span32 {
    /// Where `part`, a slice of `message`, lies in it. A batch's buffers are below 4 GiB.
    #[inline]
    pub(super) fn within(message: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
        // An empty part may point anywhere.
        if part.is_empty() { Self::default() } else { Self { start: start as u32, len: part.len() as u32 } }
    }

    /// The bytes of `message` that it stands for; empty if it was made for another message.
    #[inline]
    pub(super) fn of(self, message: &[u8]) -> &[u8] {
        let start = self.start as usize;
        message.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// Key and AnyValue of a KeyValue message; empty if absent.
#[inline]
pub(super) fn key_value(entry: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for (number, field) in Fields::new(entry) {
        match (number, field) {
            (1, Field::Bytes(text)) => key = text,
            (2, Field::Bytes(any)) => value = any,
            _ => {}
        }
    }
    (key, value)
}

/// The key of a KeyValue message and what follows it, if it has the usual form (key first, shorter than 128 bytes):
/// enough to pass over an attribute that nobody wants without reading its value.
#[inline]
pub(super) fn leading_key(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    match entry {
        // A second key would replace the first. Nobody writes one; such an attribute may be missed.
        [0x0a, len @ 0..0x80, rest @ ..] => rest.split_at_checked(usize::from(*len)),
        _ => None,
    }
}

/// The AnyValue behind a key, if it is short and the last field.
#[inline]
pub(super) fn sole_value(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [0x12, len @ 0..0x80, value @ ..] if value.len() == usize::from(*len) => Some(value),
        _ => None,
    }
}

/// Appends what Go's `AsString` gives for an AnyValue. Only values that are no text, bool or integer allocate.
#[inline]
pub(super) fn push_text(out: &mut Vec<u8>, any: &[u8]) {
    // The usual form of a text: one field that fills the message.
    if let [0x0a, len @ 0..0x80, text @ ..] = any
        && text.len() == usize::from(*len)
    {
        out.extend_from_slice(text);
        return;
    }
    match AnyValueRef::parse(any) {
        AnyValueRef::Empty => {}
        AnyValueRef::String(text) => out.extend_from_slice(text),
        AnyValueRef::Bool(true) => out.extend_from_slice(b"true"),
        AnyValueRef::Bool(false) => out.extend_from_slice(b"false"),
        AnyValueRef::Int(value) => push_int(out, value),
        value => out.extend_from_slice(value.to_value().to_text().as_bytes()),
    }
}

fn push_int(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}
