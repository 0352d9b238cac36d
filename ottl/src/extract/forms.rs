//! The forms that every exporter writes: one-byte tags, short lengths, each field once and in order. What is written
//! otherwise, and still is protobuf, goes through the general reader.

use crate::{
    slot::{RawSlot, tag},
    wire::Range,
};

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

/// Key and value of a KeyValue message that is written the usual way: key, then value, each once, with lengths of one
/// byte for the key and one or two for the value.
#[inline]
pub(super) fn plain_key_value(base: &[u8], range: Range) -> Option<(Range, Range)> {
    let message = base.get(range.start..range.end)?;
    let [0x0a, key_len, rest @ ..] = message else { return None };
    let key_len = usize::from(*key_len);
    if key_len >= 0x80 {
        return None;
    }
    let [0x12, value @ ..] = rest.get(key_len..)? else { return None };
    let key = Range { start: range.start + 2, end: range.start + 2 + key_len };
    let start = match value {
        [len, value @ ..] if *len < 0x80 && usize::from(*len) == value.len() => key.end + 2,
        [low, high, value @ ..]
            if *low >= 0x80 && *high < 0x80 && usize::from(*low & 0x7f) | usize::from(*high) << 7 == value.len() =>
        {
            key.end + 3
        }
        _ => return None,
    };
    Some((key, Range { start, end: range.end }))
}

/// As [`RawSlot::merge_any`], with the usual forms first.
#[inline]
pub(super) fn merge_plain(base: &[u8], value: Range, empty: RawSlot) -> RawSlot {
    match base.get(value.start..value.end) {
        Some([0x0a, len, text @ ..]) if *len < 0x80 && usize::from(*len) == text.len() => {
            RawSlot::range(tag::STR, Range { start: value.start + 2, end: value.end })
        }
        Some([0x18, low]) if *low < 0x80 => RawSlot::int(i64::from(*low)),
        Some([0x18, low, high]) if *low >= 0x80 && *high < 0x80 => {
            RawSlot::int(i64::from(*low & 0x7f) | i64::from(*high) << 7)
        }
        _ => empty.merge_any(base, value),
    }
}
