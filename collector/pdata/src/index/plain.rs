//! What nearly all senders write, recognised in a few words: the head of a span, and runs of attributes.
//!
//! Nothing here refuses anything. What is not recognised goes through the general loop, and what is recognised is what that
//! loop accepts. Bytes are looked at in windows of a fixed size, so that one check of a length covers all looks into one;
//! a window may reach behind the span, into whatever stands there in the request, and what lies behind the span counts
//! for nothing.

use crate::traces::{SpanOrder, TraceId};

/// The highest bits of an attribute's length and of its key's, and the tags before these.
const FORM: u32 = 0x80ff_80ff;
const ATTRIBUTE_FORM: u32 = 0x000a_0000 | super::ATTRIBUTE;

/// The longest head: ids, a name and a kind, start and end.
const HEAD_WINDOW: usize = 38 + 2 + 127 + 20;

/// Tags and lengths, the longest key, and what a value begins with, or a number and the eight bytes that it is looked for in.
const ATTRIBUTE_WINDOW: usize = 4 + 127 + 3 + 8;

/// The fields before a span's attributes as nearly all senders write them: ids, a name below 128 bytes, kind, start and
/// end, in order, with or without a parent.
pub(super) struct PlainHead {
    pub(super) trace_id: TraceId,
    pub(super) len: usize,
}

impl PlainHead {
    /// The tag of the end time.
    pub(super) const LAST_TAG: u32 = 0x41;

    /// Of the span of `len` bytes that `onward` begins with.
    #[inline(always)]
    pub(super) fn read(onward: &[u8], len: usize) -> Option<Self> {
        let window = onward.first_chunk::<HEAD_WINDOW>()?;
        let has_parent = window[28..30] == [0x22, 8];
        let name_at = if has_parent { 38 } else { 28 };
        let name_len = window[name_at + 1];
        let behind = name_at + 2 + usize::from(name_len & 0x7f);
        let is_plain = window[..2] == [0x0a, 16]
            && window[18..20] == [0x12, 8]
            && window[name_at] == 0x2a
            && name_len < 0x80
            && window[behind] == 0x30
            && window[behind + 1] < 0x80
            && window[behind + 2] == 0x39
            && window[behind + 11] == 0x41
            && behind + 20 <= len;
        let trace_id = *window[2..].first_chunk()?;
        is_plain.then_some(Self { trace_id, len: behind + 20 })
    }
}

/// A run of plain attributes.
pub(super) struct PlainAttributes {
    /// Bytes, tags included.
    pub(super) len: usize,
    /// The bits of their keys.
    pub(super) keys: u64,
}

/// The attributes that `onward` begins with, in its first `limit` bytes, that are what nearly all are: see [`plain_key`], and
/// integers of up to eight bytes. Each is recognised by two words, and the place of the next depends on the first alone.
#[inline(always)]
pub(super) fn plain_attributes(onward: &[u8], limit: usize) -> PlainAttributes {
    let (mut at, mut keys) = (0, 0);
    // The field's tag and length, then its key's; the value's tag and length, then those of what is in it.
    while let Some(window) = onward.get(at..).and_then(|rest| rest.first_chunk::<ATTRIBUTE_WINDOW>()) {
        let head = word(window, 0);
        if head & FORM != ATTRIBUTE_FORM {
            let Some((len, key)) = onward.get(at..limit).and_then(long_attribute) else { break };
            keys |= SpanOrder::key_bit(key);
            at += len;
            continue;
        }
        let (len, key_len) = (head >> 8 & 0x7f, head >> 24 & 0x7f);
        let value_at = 4 + key_len as usize;
        let value = word(window, value_at);
        let value_len = value >> 8 & 0xff;
        let end = at + 2 + len as usize;
        if len != key_len + value_len + 4 || end > limit {
            break;
        }
        let is_text = value & 0x00ff_00ff == 0x000a_0012 && value_len == 2 + (value >> 24);
        if !is_text && !is_plain_number(window, value_at, value) {
            break;
        }
        keys |= SpanOrder::bit(key_len, window[value_at - 1]);
        at = end;
    }
    PlainAttributes { len: at, keys }
}

/// Whether the value field that begins with `value` is a bool, an integer of up to eight bytes or a double.
#[inline(always)]
fn is_plain_number(window: &[u8; ATTRIBUTE_WINDOW], at: usize, value: u32) -> bool {
    if value & 0xff != 0x12 {
        return false;
    }
    let value_len = value >> 8 & 0xff;
    match value >> 16 & 0xff {
        0x10 | 0x18 => window[at + 3..].first_chunk().is_some_and(|bytes| is_varint(*bytes, value_len)),
        0x21 => value_len == 9,
        _ => false,
    }
}

/// Whether the bytes begin with a varint that makes a message of `len` bytes with its tag.
#[inline(always)]
fn is_varint(bytes: [u8; 8], len: u32) -> bool {
    // The highest bit of the last byte is the first that is not set.
    let ends = !u64::from_le_bytes(bytes) & 0x8080_8080_8080_8080;
    ends != 0 && ends.trailing_zeros() / 8 + 2 == len
}

/// Four bytes, little-endian. `at` is below the window's end by so many, as the compiler sees too.
#[inline(always)]
fn word(window: &[u8; ATTRIBUTE_WINDOW], at: usize) -> u32 {
    window[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
}

/// How long the attribute is that the bytes begin with, and its key, if both its lengths take two bytes: a long string.
#[inline]
fn long_attribute(field: &[u8]) -> Option<(usize, &[u8])> {
    let &[0x4a, low @ 0x80..=0xff, high @ 0..0x80, 0x0a, key_len @ 0..0x80, ref behind @ ..] = field else {
        return None;
    };
    let len = usize::from(low & 0x7f) | usize::from(high) << 7;
    let message = behind.get(..len.checked_sub(2)?)?;
    let (key, value) = message.split_at_checked(usize::from(key_len))?;
    (matches!(value, [0x12, 0x80..=0xff, ..]) && is_long_text(value)).then_some((3 + len, key))
}

/// The key of a KeyValue that is what nearly all are: a key below 128 bytes and one scalar, each once and in order, lengths of
/// one byte, or a string of two. Most of a request's bytes are attributes, and this takes a third of the general loop's time.
/// It only ever takes what the general loop accepts.
#[inline(always)]
pub(super) fn plain_key(message: &[u8]) -> Option<&[u8]> {
    let &[0x0a, key_len @ 0..0x80, ref rest @ ..] = message else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
    let &[0x12, value_len, ref value @ ..] = rest else { return None };
    if value_len >= 0x80 {
        return is_long_text(rest).then_some(key);
    }
    if value.len() != usize::from(value_len) {
        return None;
    }
    let plain = match *value {
        // string
        [0x0a, len @ 0..0x80, ref text @ ..] => text.len() == usize::from(len),
        // bool, int
        [0x10 | 0x18, 0..0x80] | [0x18, 0x80..=0xff, 0..0x80] => true,
        // double
        [0x21, ref bits @ ..] => bits.len() == 8,
        _ => false,
    };
    plain.then_some(key)
}

/// Whether a value field is a string whose value's length takes two bytes.
#[inline]
fn is_long_text(field: &[u8]) -> bool {
    let two = |low: u8, high: u8| usize::from(low & 0x7f) | usize::from(high) << 7;
    let &[_, low, high @ 0..0x80, ref value @ ..] = field else { return false };
    value.len() == two(low, high)
        && match *value {
            [0x0a, len @ 0..0x80, ref text @ ..] => text.len() == usize::from(len),
            [0x0a, low, high @ 0..0x80, ref text @ ..] => text.len() == two(low, high),
            _ => false,
        }
}
