//! Bytes and fields compared and copied in blocks, as [`BLOCK`] says.

use super::{ATTRIBUTE, BLOCK, LONGEST_KEY};

/// Bytes of an attribute up to its content, if its key is as long as may be.
pub(super) const KEYED: usize = LONGEST_KEY + 8;

/// Which bits of an attribute say that it has a key and a type of value: for values that are no strings by the length of the
/// key, then the same for strings. All up to the string or the number, but for three lengths: those of the attribute, of its
/// value and of the string. Of these it is the highest bit, which none of a template's has.
pub(super) static FORMS: [[u8; KEYED]; 2 * STRINGS] = forms();

/// Where the forms of strings begin.
pub(super) const STRINGS: usize = LONGEST_KEY + 1;

const fn forms() -> [[u8; KEYED]; 2 * STRINGS] {
    let mut masks = [[0; KEYED]; 2 * STRINGS];
    let mut form = 0;
    while form < masks.len() {
        let len = form % STRINGS;
        let mut at = 0;
        while at < len + 7 {
            masks[form][at] = if at == 1 || at == len + 5 { 0x80 } else { u8::MAX };
            at += 1;
        }
        if form >= STRINGS {
            masks[form][at] = 0x80;
        }
        form += 1;
    }
    masks
}

/// By how many there are to be the same: those.
static LEN_MASKS: [[u8; BLOCK]; BLOCK + 1] = len_masks();

const fn len_masks() -> [[u8; BLOCK]; BLOCK + 1] {
    let mut masks = [[0; BLOCK]; BLOCK + 1];
    let mut len = 0;
    while len <= BLOCK {
        let mut at = 0;
        while at < len {
            masks[len][at] = u8::MAX;
            at += 1;
        }
        len += 1;
    }
    masks
}

/// As [`is_same`], for bytes behind which others stand.
#[inline(always)]
pub(super) fn is_same_within(one: &[u8], other: &[u8], len: usize) -> bool {
    if let Some(mask) = LEN_MASKS.get(len) {
        return match (one.first_chunk(), other.first_chunk()) {
            (Some(one), Some(other)) => is_same_where(one, other, mask),
            _ => is_same(one, other, len),
        };
    }
    is_same(one, other, len)
}

/// The bits that differ.
#[inline(always)]
fn differing(one: &[u8; BLOCK], other: &[u8; BLOCK]) -> [u64; BLOCK / 8] {
    let word = |bytes: &[u8; BLOCK], at: usize| u64::from_le_bytes(bytes.as_chunks().0[at]);
    std::array::from_fn(|at| word(one, at) ^ word(other, at))
}

/// Whether the bits are the same where the mask is set.
#[inline(always)]
pub(super) fn is_same_where<const N: usize>(one: &[u8; N], other: &[u8; N], mask: &[u8; N]) -> bool {
    let words = |bytes: &[u8; N], at: usize| u64::from_le_bytes(bytes.as_chunks().0[at]);
    let mut differs = 0;
    for at in 0..N / 8 {
        differs |= (words(one, at) ^ words(other, at)) & words(mask, at);
    }
    differs == 0
}

/// Four bytes, little-endian.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Whether the first `len` bytes of both are the same.
#[inline(always)]
pub(super) fn is_same(one: &[u8], other: &[u8], len: usize) -> bool {
    let (Some(one), Some(other)) = (one.get(..len), other.get(..len)) else { return false };
    match (one.last_chunk::<BLOCK>(), other.last_chunk::<BLOCK>()) {
        (Some(end), Some(other_end)) => {
            let mut differs = differing(end, other_end);
            for (one, other) in one.as_chunks::<BLOCK>().0.iter().zip(other.as_chunks::<BLOCK>().0) {
                for (all, bits) in differs.iter_mut().zip(differing(one, other)) {
                    *all |= bits;
                }
            }
            differs == [0; BLOCK / 8]
        }
        _ => match (one.first_chunk::<16>(), other.first_chunk::<16>()) {
            (Some(start), Some(other_start)) => {
                start == other_start && one.last_chunk::<16>() == other.last_chunk::<16>()
            }
            _ => match (one.first_chunk::<8>(), other.first_chunk::<8>()) {
                (Some(start), Some(other_start)) => {
                    start == other_start && one.last_chunk::<8>() == other.last_chunk::<8>()
                }
                _ => match (one.first_chunk::<4>(), other.first_chunk::<4>()) {
                    (Some(start), Some(other_start)) => {
                        start == other_start && one.last_chunk::<4>() == other.last_chunk::<4>()
                    }
                    _ => one.iter().zip(other).all(|(one, other)| one == other),
                },
            },
        },
    }
}

/// How many bytes both begin with, of the first `most`.
#[inline(always)]
pub(super) fn same_bytes(one: &[u8], other: &[u8], most: usize) -> usize {
    let mut same = 0;
    for (one, other) in one.as_chunks::<BLOCK>().0.iter().zip(other.as_chunks::<BLOCK>().0) {
        let equal = same_of_block(one, other);
        same += equal;
        if equal < BLOCK || same >= most {
            return same.min(most);
        }
    }
    same_rest(one, other, same, most)
}

#[inline(always)]
fn same_of_block(one: &[u8; BLOCK], other: &[u8; BLOCK]) -> usize {
    let word = |at: usize| {
        let word = |bytes: &[u8; BLOCK]| u64::from_le_bytes(bytes.as_chunks().0[at]);
        word(one) ^ word(other)
    };
    let (a, b, c, d) = (word(0), word(1), word(2), word(3));
    let (low, low_at) = if a != 0 { (a, 0) } else { (b, 8) };
    let (high, high_at) = if c != 0 { (c, 16) } else { (d, 24) };
    let (word, at) = if low != 0 { (low, low_at) } else { (high, high_at) };
    at + word.trailing_zeros() as usize / 8
}

#[cold]
#[inline(never)]
fn same_rest(one: &[u8], other: &[u8], same: usize, most: usize) -> usize {
    let rest = one.iter().zip(other).take(most).skip(same);
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Whether two messages begin with fields that belong together: attributes that start with the same part of a key, or
/// fields of the same tag.
#[inline]
pub(super) fn same_kind(fields: &[u8], other: &[u8]) -> bool {
    match (fields, other) {
        (&[ATTRIBUTE, _, _, ref key @ ..], &[ATTRIBUTE, _, _, ref other @ ..]) => {
            match (key.first_chunk::<8>(), other.first_chunk()) {
                (Some(key), Some(other)) => key == other,
                _ => false,
            }
        }
        (&[tag, ..], &[other, ..]) => tag == other && tag != ATTRIBUTE,
        _ => false,
    }
}

/// Appends the first `len` bytes of `from`.
#[inline]
pub(super) fn append(to: &mut Vec<u8>, from: &[u8], len: usize) {
    match from.first_chunk::<BLOCK>() {
        Some(block) if len <= BLOCK => {
            let end = to.len() + len;
            to.extend_from_slice(block);
            to.truncate(end);
        }
        _ => to.extend_from_slice(from.get(..len).unwrap_or_default()),
    }
}

/// Where the field at `at` ends, if it has a tag of one byte and, with bytes, a length of at most two: what the index has
/// let through ends within the span.
#[inline]
pub(super) fn field_end(message: &[u8], at: usize) -> Option<usize> {
    match *message.get(at..)? {
        // An attribute, as most fields are.
        [ATTRIBUTE, len @ 0..0x80, ..] => Some(at + 2 + usize::from(len)),
        // Flags, behind most spans' attributes.
        [0x85, 0x01, ..] => Some(at + 6),
        [tag @ 0..0x80, low, ..] => match tag & 7 {
            0 => message.get(at + 1..)?.iter().position(|byte| *byte < 0x80).map(|len| at + len + 2),
            1 => Some(at + 9),
            2 if low < 0x80 => Some(at + 2 + usize::from(low)),
            2 => {
                let high = *message.get(at + 2).filter(|high| **high < 0x80)?;
                Some(at + 3 + (usize::from(low & 0x7f) | usize::from(high) << 7))
            }
            5 => Some(at + 5),
            _ => None,
        },
        _ => None,
    }
}
