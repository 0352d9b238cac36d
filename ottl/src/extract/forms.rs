//! The forms that every exporter writes: one-byte tags, short lengths, each field once and in order. What is written
//! otherwise, and still is protobuf, goes through the general reader.

use crate::{
    slot::{RawSlot, tag},
    wire::{Fields, Payload, Range},
};

const EMPTY: RawSlot = RawSlot { tag: tag::EMPTY, len: 0, bits: 0 };

/// Start and end of what a length prefix at `at` announces; `None` if it goes beyond the buffer.
#[inline]
pub(super) fn length(base: &[u8], at: usize) -> Option<(usize, usize)> {
    let &low = base.get(at)?;
    let (start, len) = match low < 0x80 {
        true => (at + 1, usize::from(low)),
        false => match base.get(at + 1) {
            Some(&high) if high < 0x80 => (at + 2, usize::from(low & 0x7f) | usize::from(high) << 7),
            _ => long_length(base, at)?,
        },
    };
    let end = start.checked_add(len)?;
    (end <= base.len()).then_some((start, end))
}

/// A length of three bytes or more.
#[cold]
fn long_length(base: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut cursor = pdata::wire::Cursor::new(base.get(at..)?);
    let len = usize::try_from(cursor.varint().ok()?).ok()?;
    Some((at + cursor.position(), len))
}

/// Where a KeyValue message divides that is written the usual way: key, then value, each once, with lengths of one byte
/// for the key and one or two for the value.
#[inline]
pub(super) fn plain_key_value(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, key_len @ 0..0x80, rest @ ..] = message else { return None };
    let (key, behind) = rest.split_at_checked(usize::from(*key_len))?;
    match behind {
        [0x12, len @ 0..0x80, value @ ..] if usize::from(*len) == value.len() => Some((key, value)),
        [0x12, low @ 0x80..=0xff, high @ 0..0x80, value @ ..]
            if usize::from(*low & 0x7f) | usize::from(*high) << 7 == value.len() =>
        {
            Some((key, value))
        }
        _ => None,
    }
}

/// The slot of an AnyValue in one of its usual forms, which ends at `end` of its buffer.
#[inline]
pub(super) fn plain_value(value: &[u8], end: usize) -> Option<RawSlot> {
    Some(match value {
        [0x0a, len @ 0..0x80, text @ ..] if usize::from(*len) == text.len() => {
            RawSlot { tag: tag::STR, len: u32::from(*len), bits: (end - text.len()) as u64 }
        }
        [0x18, low @ 0..0x80] => RawSlot::int(i64::from(*low)),
        [0x18, low @ 0x80..=0xff, high @ 0..0x80] => RawSlot::int(i64::from(*low & 0x7f) | i64::from(*high) << 7),
        [0x18, low @ 0x80..=0xff, middle @ 0x80..=0xff, high @ 0..0x80] => {
            let low = i64::from(*low & 0x7f) | i64::from(*middle & 0x7f) << 7;
            RawSlot::int(low | i64::from(*high) << 14)
        }
        [0x10, flag @ 0..2] => RawSlot { tag: tag::BOOL, len: 0, bits: u64::from(*flag) },
        _ => return None,
    })
}

/// The slot of a KeyValue's value. Where its field occurs more than once, protobuf merges the messages.
pub(super) fn entry_value(base: &[u8], entry: Range) -> RawSlot {
    Fields::within(base, entry).fold(EMPTY, |slot, field| match field {
        (2, Payload::Bytes(value)) => slot.merge_any(base, value),
        _ => slot,
    })
}

/// As [`RawSlot::merge_any`] over an empty slot, with the usual forms first.
#[inline]
pub(super) fn any_value(base: &[u8], range: Range) -> RawSlot {
    match base.get(range.start..range.end).and_then(|value| plain_value(value, range.end)) {
        Some(slot) => slot,
        None => EMPTY.merge_any(base, range),
    }
}
