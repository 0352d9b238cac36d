//! Spans in fewer bytes, while they wait: what an earlier span of the same name says too is not written again.
//!
//! Spans of one name mostly have the same attributes in the same order, and many of the same values. So the first ones of
//! a name in a segment are written out and become its template; others are written as what differs from it, field by
//! field. That takes a third of the bytes of common spans for about the price of copying them twice; memory that the
//! kernel has to clear first costs several times that. Compression of whole segments comes later and finds what is left.
//!
//! A packed span is a zero byte and the span, or the position of a template in the segment (three bytes, the highest bit
//! set) and operations, each of which adds to the span and moves on in the template:
//!
//! | first byte | behind it | |
//! |---|---|---|
//! | 0 to 127 | as many bytes | an attribute of the same key, a string of these bytes |
//! | 128 + n | | n + 1 fields as in the template |
//! | [`PREFIXED`] | two lengths, bytes | the same, beginning with so many bytes of the template's string |
//! | [`VALUE`] | a length, bytes | an attribute of the same key, with this AnyValue |
//! | [`TIMES`] | 10 bytes | start and end: five low bytes each, the others as in the template |
//! | [`INSERT`], [`REPLACE`] | a varint, bytes | bytes that the template does not have, or has one other field for |
//! | [`OMIT`] | | nothing, for a field of the template |
//!
//! Invariant: a template is written out in one piece, further ahead in the same segment, so a segment can be read by
//! itself; and a packed span is never longer than [`bound`] says.

use pdata::wire::{Cursor, put_varint};

/// Names that are remembered at a time. Two with the same slot drive each other out.
const SLOTS: usize = 1024;

/// An entry of [`Packer`] without a name: it is a position that nothing ever has.
const EMPTY: u32 = u32::MAX;

/// In place of a position: the name was there once, in a span that was written by another's template. Names that hold
/// numbers would never be there again, so one time is not enough to be a template.
const ONCE: usize = REACH - 1;

/// Marks a position, in its first byte.
const TEMPLATE: u8 = 0x80;

/// Positions that can be named.
const REACH: usize = 1 << 23;

/// The first byte of a copy of one field.
const COPY: u8 = 0x80;

/// Fields that one operation copies at most.
const MOST_COPIED: usize = 0x40;

const PREFIXED: u8 = 0xc0;
const VALUE: u8 = 0xc1;
const TIMES: u8 = 0xc2;
const INSERT: u8 = 0xc3;
const REPLACE: u8 = 0xc4;
const OMIT: u8 = 0xc5;

/// Bytes of the template's string that are worth naming.
const SHORTEST_PREFIX: usize = 3;

/// Bytes of an operation besides what it brings.
const OPERATION: usize = 4;

/// Bytes that are copied at once, where there are so many, and the surplus is dropped: a few instructions, while a copy of
/// a length that differs from time to time is a call and a jump that nobody foresees.
const BLOCK: usize = 32;

/// Longer spans are not taken apart.
const LONGEST: usize = 1 << 15;

/// The first field that is compared, the name: those before are ids and the trace state.
const FIRST_TAG: u8 = 0x2a;

/// The tag of a span's attributes.
const ATTRIBUTE: u8 = 0x4a;

/// Bytes of start and end, which stand together.
const TIMES_BYTES: usize = 18;

/// Bits of an entry of [`Packer`] that are its position; the others are of the hash.
const POSITION_BITS: u32 = REACH.trailing_zeros();

/// What lies in the segment that is being written.
#[derive(Debug)]
pub(super) struct Packer {
    /// Positions of templates by a hash of what they are for, each below nine more bits of that hash.
    templates: Box<[u32]>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self { templates: vec![EMPTY; SLOTS].into() }
    }

    /// Begins a segment.
    pub(super) fn begin(&mut self) {
        self.templates.fill(EMPTY);
    }

    /// Appends a span to the segment.
    pub(super) fn pack(&mut self, span: &[u8], segment: &mut Vec<u8>) {
        let start = segment.len();
        // Behind the byte that says that the span is written out.
        let position = |name: usize| Some(start + 1 + name).filter(|position| *position < ONCE);
        let mut becomes = None;
        if span.len() <= LONGEST
            && let Some(name) = first_compared(span)
        {
            let (of_name, of_shape) = Self::hashes(span, name);
            let template = match self.find(of_name) {
                Some(ONCE) => None,
                Some(template) => Some(template),
                None => {
                    let other = self.find(of_shape);
                    if other.is_some() {
                        self.note(of_name, ONCE);
                    }
                    other
                }
            };
            if let Some(template) = template {
                if Delta::write(span, name, template, segment) {
                    return;
                }
                segment.truncate(start);
            }
            becomes = position(name).map(|position| (of_name, of_shape, position));
        }
        segment.push(0);
        segment.extend_from_slice(span);
        if let Some((of_name, of_shape, position)) = becomes {
            self.note(of_name, position);
            self.note(of_shape, position);
        }
    }

    /// Of the name with the first attribute's key, and of that key alone.
    #[inline]
    fn hashes(span: &[u8], name: usize) -> (u64, u64) {
        let word =
            |at: usize| span.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let end = field_end(span, name).unwrap_or(name);
        // Behind a kind of one byte and the times.
        let key = end + 2 + TIMES_BYTES + 2;
        let of_shape = fold(word(key), word(key + 4));
        let mut of_name = of_shape ^ (end - name) as u64;
        let mut at = name + 2;
        while at + 8 < end {
            of_name = fold(of_name, word(at));
            at += 8;
        }
        // A short name's last word would begin before it.
        let last = match end - name {
            len @ 0..8 => word(name) << (8 * (8 - len as u32) % 64),
            _ => word(end - 8),
        };
        (fold(of_name, last), of_shape)
    }

    /// An entry's number and the bits that it shows of the hash.
    #[inline]
    fn slot(hash: u64) -> (usize, u32) {
        let high = (hash.wrapping_mul(PRIME_1) >> 32) as u32;
        ((high >> (32 - SLOTS.trailing_zeros())) as usize, high & (u32::MAX >> POSITION_BITS))
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let (slot, check) = Self::slot(hash);
        let entry = *self.templates.get(slot)?;
        (entry != EMPTY && entry >> POSITION_BITS == check).then_some(entry as usize % REACH)
    }

    fn note(&mut self, hash: u64, position: usize) {
        let (slot, check) = Self::slot(hash);
        if let Some(entry) = self.templates.get_mut(slot) {
            *entry = check << POSITION_BITS | position as u32;
        }
    }
}

/// A span that is being written as what differs from a template.
struct Delta<'a> {
    span: &'a [u8],
    segment: &'a mut Vec<u8>,
    /// The fields that are to be written next, and the template's.
    at: usize,
    template: usize,
}

impl<'a> Delta<'a> {
    /// Appends it; false if that is not worth it.
    fn write(span: &'a [u8], name: usize, template: usize, segment: &'a mut Vec<u8>) -> bool {
        let start = segment.len();
        let [_, high, middle, low] = (template as u32).to_be_bytes();
        segment.extend_from_slice(&[high | TEMPLATE, middle, low]);
        let mut delta = Self { span, segment, at: 0, template };
        delta.bytes(INSERT, name);
        // A quarter less, or it is written out and other spans may do better with it as their template.
        let most = start + span.len() - span.len() / 4;
        while delta.at < span.len() {
            let Some((end, same)) = delta.copies().filter(|(end, _)| *end <= span.len()) else {
                let rest = span.len();
                if delta.segment.len() + OPERATION + (rest - delta.at) > most {
                    return false;
                }
                delta.bytes(INSERT, rest);
                return true;
            };
            if delta.at == end {
                break;
            }
            if delta.segment.len() + OPERATION + (end - delta.at) > most {
                return false;
            }
            delta.differing(end, same);
        }
        delta.segment.len() <= most
    }

    /// Copies the fields that are as in the template. The end of the next one, or where the span ends, and how many of
    /// its bytes are as in the template.
    #[inline]
    fn copies(&mut self) -> Option<(usize, usize)> {
        let same = same_bytes(self.span.get(self.at..)?, self.segment.get(self.template..)?);
        let (first, mut fields, same_to) = (self.at, 0, self.at + same);
        let end = loop {
            if self.at == self.span.len() {
                break Some(self.at);
            }
            match field_end(self.span, self.at) {
                Some(end) if end <= same_to => (self.at, fields) = (end, fields + 1),
                end => break end,
            }
        };
        self.template += self.at - first;
        while fields > 0 {
            let copied = fields.min(MOST_COPIED);
            self.segment.push(COPY + (copied - 1) as u8);
            fields -= copied;
        }
        Some((end?, same_to - self.at))
    }

    /// Writes a field of which only the first `same` bytes are as in the template, or says that the template has one more.
    #[inline]
    fn differing(&mut self, end: usize, same: usize) {
        let other = self.segment.get(self.template..).unwrap_or_default();
        let Some(field) = self.span.get(self.at..end) else { return };
        if let Some(pair) = Pair::read(field, other, same) {
            self.template += pair.other_len;
            self.at = end;
            pair.write(self.span, end, self.segment);
            return;
        }
        if let Some(times) = Times::read(self.span.get(self.at..).unwrap_or_default(), other) {
            self.template += TIMES_BYTES;
            self.at += TIMES_BYTES;
            self.segment.push(TIMES);
            self.segment.extend_from_slice(&times.low());
            return;
        }
        let other_end = field_end(other, 0);
        let next = self.span.get(end..).unwrap_or_default();
        match other_end {
            Some(len) if same_kind(field, other.get(len..).unwrap_or_default()) => {
                self.segment.push(OMIT);
                self.template += len;
            }
            Some(len) if !same_kind(next, other) => {
                self.bytes(REPLACE, end);
                self.template += len;
            }
            _ => self.bytes(INSERT, end),
        }
    }

    /// Writes the span's bytes up to `end`.
    fn bytes(&mut self, operation: u8, end: usize) {
        let bytes = self.span.get(self.at..end).unwrap_or_default();
        if !bytes.is_empty() {
            self.segment.push(operation);
            put_varint(self.segment, bytes.len() as u64);
            append(self.segment, self.span.get(self.at..).unwrap_or_default(), bytes.len());
        }
        self.at = end;
    }
}

/// Two attributes of one key, both of less than 128 bytes.
struct Pair<'a> {
    /// The AnyValue, and the string in it, if it is one.
    value: &'a [u8],
    text: Option<&'a [u8]>,
    /// How the template's string begins like it.
    prefix: usize,
    other_len: usize,
}

impl<'a> Pair<'a> {
    /// An attribute and the one that the template goes on with, the first `same` bytes of which are equal.
    #[inline]
    fn read(field: &'a [u8], other: &[u8], same: usize) -> Option<Self> {
        let (key, value) = attribute(field)?;
        let text = text(value);
        // Tags and lengths up to the value's, and those up to its string.
        let (value_at, text_at) = (4 + key.len(), 8 + key.len());
        if let (Some(_), Some(prefix)) = (text, same.checked_sub(text_at)) {
            return Some(Self { value, text, prefix, other_len: field.len() });
        }
        let other_len = 2 + usize::from(*other.get(1)?);
        let (other_key, other_value) = attribute(other.get(..other_len)?)?;
        if same < value_at && (key.len() != other_key.len() || same_bytes(key, other_key) != key.len()) {
            return None;
        }
        let prefix = match (text, self::text(other_value)) {
            (Some(text), Some(other)) => same_bytes(text, other),
            _ => 0,
        };
        Some(Self { value, text, prefix, other_len })
    }

    /// Writes it, where `span` ends with it at `end`.
    #[inline]
    fn write(self, span: &[u8], end: usize, segment: &mut Vec<u8>) {
        match self.text {
            Some(text) if self.prefix < SHORTEST_PREFIX => {
                segment.push(text.len() as u8);
                append(segment, span.get(end - text.len()..).unwrap_or_default(), text.len());
            }
            Some(text) => {
                let rest = text.len() - self.prefix;
                segment.extend_from_slice(&[PREFIXED, self.prefix as u8, rest as u8]);
                append(segment, span.get(end - rest..).unwrap_or_default(), rest);
            }
            None => {
                let len = self.value.len();
                segment.extend_from_slice(&[VALUE, len as u8]);
                append(segment, span.get(end - len..).unwrap_or_default(), len);
            }
        }
    }
}

/// Start and end of a span.
struct Times<'a>(&'a [u8; TIMES_BYTES]);

impl<'a> Times<'a> {
    /// If both have them, near to each other: within 18 minutes mostly.
    #[inline]
    fn read(fields: &'a [u8], other: &[u8]) -> Option<Self> {
        let (times, other): (&[u8; TIMES_BYTES], &[u8; TIMES_BYTES]) = (fields.first_chunk()?, other.first_chunk()?);
        let (
            [0x39, _, _, _, _, _, a, b, c, 0x41, _, _, _, _, _, d, e, f],
            [0x39, _, _, _, _, _, g, h, i, 0x41, _, _, _, _, _, j, k, l],
        ) = (times, other)
        else {
            return None;
        };
        ([a, b, c, d, e, f] == [g, h, i, j, k, l]).then_some(Self(times))
    }

    fn low(&self) -> [u8; 10] {
        let [_, a, b, c, d, e, _, _, _, _, f, g, h, i, j, ..] = *self.0;
        [a, b, c, d, e, f, g, h, i, j]
    }
}

/// Room that is needed to pack a span of `len` bytes.
pub(super) fn bound(len: usize) -> usize {
    len + 2 * OPERATION + BLOCK
}

/// Appends the span of `len` bytes that was packed at `at`; `None` if there is none.
pub(super) fn unpack(segment: &[u8], at: usize, len: usize, out: &mut Vec<u8>) -> Option<()> {
    let first = *segment.get(at)?;
    if first & TEMPLATE == 0 {
        out.extend_from_slice(segment.get(at + 1..)?.get(..len)?);
        return Some(());
    }
    let wanted = out.len().checked_add(len)?;
    let mut template =
        u32::from_be_bytes([0, first & !TEMPLATE, *segment.get(at + 1)?, *segment.get(at + 2)?]) as usize;
    let mut packed = segment.get(at + 3..)?;
    while out.len() < wanted {
        let (&operation, behind) = packed.split_first()?;
        packed = behind;
        // Behind the end of the segment if its last field there was cut; then nothing more is read of it.
        let other = segment.get(template..).unwrap_or_default();
        match operation {
            0..COPY => {
                let (text, len) = (packed, usize::from(operation));
                packed = packed.get(len..)?;
                template += put_attribute(other, &[], (text, len), out)?;
            }
            COPY..PREFIXED => {
                let mut end = 0;
                for _ in 0..=operation - COPY {
                    end = field_end(other, end)?;
                }
                out.extend_from_slice(other.get(..end)?);
                template += end;
            }
            PREFIXED => {
                let (&[prefix, rest], behind) = packed.split_first_chunk()?;
                packed = behind.get(usize::from(rest)..)?;
                let other_field = other.get(..2 + usize::from(*other.get(1)?))?;
                let prefix = text(attribute(other_field)?.1)?.get(..usize::from(prefix))?;
                template += put_attribute(other, prefix, (behind, usize::from(rest)), out)?;
            }
            VALUE => {
                let (&len, behind) = packed.split_first()?;
                let (value, behind) = behind.split_at_checked(usize::from(len))?;
                packed = behind;
                let (key, other_len) = key_of(other)?;
                put_key(key, 2 + value.len(), out)?;
                out.extend_from_slice(&[0x12, len]);
                out.extend_from_slice(value);
                template += other_len;
            }
            TIMES => {
                let (&[a, b, c, d, e, f, g, h, i, j], behind) = packed.split_first_chunk()?;
                packed = behind;
                let [_, _, _, _, _, _, k, l, m, _, _, _, _, _, _, n, o, p] = *other.first_chunk()?;
                out.extend_from_slice(&[0x39, a, b, c, d, e, k, l, m, 0x41, f, g, h, i, j, n, o, p]);
                template += TIMES_BYTES;
            }
            INSERT | REPLACE => {
                let mut cursor = Cursor::new(packed);
                let len = usize::try_from(cursor.varint().ok()?).ok()?;
                let bytes = packed.get(cursor.position()..)?;
                packed = bytes.get(len..)?;
                append(out, bytes, len);
                if operation == REPLACE {
                    template += field_end(other, 0)?;
                }
            }
            OMIT => template += field_end(other, 0)?,
            _ => return None,
        }
    }
    (out.len() == wanted).then_some(())
}

/// Adds an attribute with the key of a template's and a string in two parts, of which the second is so many of the bytes
/// that stand there; the length of the template's attribute.
#[inline]
fn put_attribute(other: &[u8], prefix: &[u8], rest: (&[u8], usize), out: &mut Vec<u8>) -> Option<usize> {
    let (key, other_len) = key_of(other)?;
    let len = prefix.len() + rest.1;
    put_key(key, 4 + len, out)?;
    out.extend_from_slice(&[0x12, u8::try_from(len + 2).ok()?, 0x0a, u8::try_from(len).ok()?]);
    out.extend_from_slice(prefix);
    append(out, rest.0, rest.1);
    Some(other_len)
}

/// Adds an attribute up to its value's field, which has so many bytes.
#[inline]
fn put_key(key: &[u8], value_len: usize, out: &mut Vec<u8>) -> Option<()> {
    let len = u8::try_from(2 + key.len() + value_len).ok().filter(|len| *len < 0x80)?;
    out.extend_from_slice(&[ATTRIBUTE, len, 0x0a, u8::try_from(key.len()).ok()?]);
    out.extend_from_slice(key);
    Some(())
}

/// The key of the attribute that `fields` begin with, and the length of that field.
#[inline]
fn key_of(fields: &[u8]) -> Option<(&[u8], usize)> {
    let &[ATTRIBUTE, len @ 0..0x80, 0x0a, key_len @ 0..0x80, ref rest @ ..] = fields else { return None };
    Some((rest.get(..usize::from(key_len))?, 2 + usize::from(len)))
}

/// Key and AnyValue of a field that is an attribute of less than 128 bytes, written as nearly all are: both once, in order.
#[inline]
fn attribute(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[ATTRIBUTE, len @ 0..0x80, 0x0a, key_len @ 0..0x80, ref rest @ ..] = field else { return None };
    let (key, value) = rest.split_at_checked(usize::from(key_len))?;
    match *value {
        [0x12, value_len @ 0..0x80, ref value @ ..]
            if value.len() == usize::from(value_len) && field.len() == 2 + usize::from(len) =>
        {
            Some((key, value))
        }
        _ => None,
    }
}

/// The string that an AnyValue of less than 128 bytes is.
#[inline]
fn text(value: &[u8]) -> Option<&[u8]> {
    match *value {
        [0x0a, len @ 0..0x80, ref text @ ..] if text.len() == usize::from(len) => Some(text),
        _ => None,
    }
}

/// Whether two messages begin with fields that belong together: attributes that start with the same part of a key, or
/// fields of the same tag.
#[inline]
fn same_kind(fields: &[u8], other: &[u8]) -> bool {
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
fn append(to: &mut Vec<u8>, from: &[u8], len: usize) {
    match from.first_chunk::<BLOCK>() {
        Some(block) if len <= BLOCK => {
            let end = to.len() + len;
            to.extend_from_slice(block);
            to.truncate(end);
        }
        _ => to.extend_from_slice(from.get(..len).unwrap_or_default()),
    }
}

/// How many bytes both begin with.
#[inline]
fn same_bytes(one: &[u8], other: &[u8]) -> usize {
    let mut same = 0;
    let blocks = one.as_chunks::<BLOCK>().0.iter().zip(other.as_chunks::<BLOCK>().0);
    same += BLOCK * blocks.take_while(|(one, other)| one == other).count();
    let (words, others) = (one.get(same..).unwrap_or_default(), other.get(same..).unwrap_or_default());
    for (one, other) in words.as_chunks::<8>().0.iter().zip(others.as_chunks::<8>().0) {
        let differing = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differing != 0 {
            return same + differing.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    let rest = one.iter().zip(other).skip(same);
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Where the first field is that is compared.
#[inline]
fn first_compared(span: &[u8]) -> Option<usize> {
    // Span id, and mostly a parent's: the trace id is left out by the log.
    let mut at = match span {
        [0x12, 8, rest @ ..] => match rest.get(8..10) {
            Some([0x22, 8]) => 20,
            _ => 10,
        },
        _ => 0,
    };
    while *span.get(at)? < FIRST_TAG {
        at = field_end(span, at)?;
    }
    (span.get(at) == Some(&FIRST_TAG)).then_some(at)
}

/// Where the field at `at` ends, if it has a tag of one byte and, with bytes, a length of at most two: what the index has
/// let through ends within the span.
#[inline]
fn field_end(message: &[u8], at: usize) -> Option<usize> {
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

/// Odd constants of xxHash64.
const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// Both halves of a product, so that every bit of either word counts.
#[inline]
fn fold(low: u64, high: u64) -> u64 {
    let product = u128::from(low ^ PRIME_1) * u128::from(high ^ PRIME_2);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use pdata::wire::put_bytes;
    use proptest::prelude::*;

    use super::*;

    fn attribute(key: &str, value: &str) -> Vec<u8> {
        let (mut any, mut pair, mut field) = (Vec::new(), Vec::new(), Vec::new());
        put_bytes(&mut any, 1, value.as_bytes());
        put_bytes(&mut pair, 1, key.as_bytes());
        put_bytes(&mut pair, 2, &any);
        put_bytes(&mut field, 9, &pair);
        field
    }

    /// A span without its trace id.
    fn span(name: &str, start: u64, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut span = [&[0x12, 8][..], &start.wrapping_mul(PRIME_1).to_le_bytes()].concat();
        put_bytes(&mut span, 5, name.as_bytes());
        span.extend([0x30, 2, 0x39]);
        span.extend(start.to_le_bytes());
        span.push(0x41);
        span.extend((start + 1_000_000).to_le_bytes());
        span.extend(attributes.concat());
        span.extend([0x85, 1, 1, 1, 0, 0]);
        span
    }

    fn packed(spans: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut packer, mut segment) = (Packer::new(), Vec::new());
        packer.begin();
        let places = spans
            .iter()
            .map(|span| {
                let place = segment.len();
                packer.pack(span, &mut segment);
                assert!(segment.len() - place <= bound(span.len()));
                place
            })
            .collect();
        (segment, places)
    }

    /// Bytes that each span takes; all read back as they were.
    fn lens(spans: &[Vec<u8>]) -> Vec<usize> {
        let (segment, places) = packed(spans);
        for (span, place) in spans.iter().zip(&places) {
            let mut out = b"before".to_vec();
            unpack(&segment, *place, span.len(), &mut out).unwrap();
            assert_eq!(out[6..].escape_ascii().to_string(), span.escape_ascii().to_string());
        }
        let ends = places.iter().skip(1).copied().chain([segment.len()]);
        places.iter().zip(ends).map(|(start, end)| end - start).collect()
    }

    const START: u64 = 1_750_000_000_000_000_000;

    fn request(session: &str, page: &str) -> [Vec<u8>; 4] {
        [
            attribute("http.method", "GET"),
            attribute("http.target", &format!("/api/products?page={page}")),
            attribute("http.user_agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            attribute("session.id", session),
        ]
    }

    #[test]
    fn what_a_template_says_is_not_written_again() {
        let first = span("GET /api/products", START, &request("12345678", "7"));
        let second = span("GET /api/products", START + 9_000_000, &request("abcdefgh", "30"));
        // A template and what begins it; ids, name and kind, times, method, page, agent, session, flags.
        let delta = 3 + (2 + 10) + 1 + 11 + 1 + (3 + 2) + 1 + (1 + 8) + 1;
        assert_eq!(lens(&[first.clone(), second]), [first.len() + 1, delta]);
    }

    #[test]
    fn attributes_more_or_fewer_are_skipped() {
        let all = request("12345678", "7");
        let more = [&all[..2], &[attribute("customer.tier", "gold")], &all[2..]].concat();
        for (first, second) in [(&all[..], &more[..]), (&more, &all)] {
            let spans = [span("GET", START, first), span("GET", START, second)];
            let [_, second] = lens(&spans)[..] else { panic!("two spans") };
            assert!(second < 60, "{second}");
        }
    }

    /// A name that holds a number is not a template, and is packed by those before it.
    #[test]
    fn names_that_are_never_the_same() {
        let spans: Vec<_> = (100..140)
            .map(|n| span(&format!("GET /users/{n}"), START + n, &request(&format!("1234567{n}"), "7")))
            .collect();
        let lens = lens(&spans);
        assert!(lens[1..].iter().all(|len| *len < 70), "{lens:?}");
    }

    #[test]
    fn a_name_that_comes_again_is_a_template() {
        let route = |route: &str| [attribute("http.route", &route.repeat(12)), attribute("http.host", "shop")];
        let spans = ["/a", "/b", "/b", "/b"].map(|name| span(name, START, &route(name)));
        let lens = lens(&spans);
        assert_eq!(lens[2], spans[2].len() + 1);
        assert!(lens[3] < 30 && lens[1] > lens[3], "{lens:?}");
    }

    #[test]
    fn values_of_any_kind_and_long_ones() {
        let int = |key: &str, value: &[u8]| {
            let pair =
                [&[0x0a, key.len() as u8][..], key.as_bytes(), &[0x12, value.len() as u8 + 1, 0x18], value].concat();
            [&[ATTRIBUTE, pair.len() as u8][..], &pair].concat()
        };
        let attributes = |n: usize, value: &[u8]| {
            [
                attribute("http.method", "GET"),
                int("http.status_code", value),
                attribute("db.statement", &"SELECT ".repeat(n)),
                attribute("", ""),
            ]
        };
        let spans: Vec<_> = [(20, &[5][..]), (20, &[0x90, 3]), (30, &[5]), (3000, &[5]), (6000, &[5]), (20, &[7])]
            .map(|(n, value)| span("query", START, &attributes(n, value)))
            .into();
        let lens = lens(&spans);
        assert!(lens[1] < 40, "{lens:?}");
    }

    proptest! {
        /// Spans of few different fields, whole or cut, and bytes that are none.
        #[test]
        fn reads_back(
            spans in prop::collection::vec(
                (
                    0_usize..3,
                    prop::collection::vec((0_usize..4, 0_usize..9), 0..12),
                    prop::collection::vec(any::<u8>(), 0..20),
                    prop_oneof![Just(usize::MAX - 20), 0_usize..300],
                    prop_oneof![Just(0_u64), any::<u64>()],
                ),
                1..40,
            ),
        ) {
            let spans: Vec<Vec<u8>> = spans
                .into_iter()
                .map(|(name, fields, bytes, len, start)| {
                    let attributes: Vec<_> = fields
                        .into_iter()
                        .map(|(key, value)| {
                            let key = ["k", "http.method", "http.route", "url.full"][key];
                            attribute(key, &"value/".repeat(value * value))
                        })
                        .collect();
                    let mut span = span(["a", "GET", "a longer name"][name], start >> 1, &attributes);
                    span.extend(bytes);
                    span.truncate(span.len().min(len + 20));
                    span
                })
                .collect();
            lens(&spans);
        }

        /// Fields in any order and of any kind are no worse than written out.
        #[test]
        fn reads_back_any_bytes(spans in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..60)) {
            let spans: Vec<Vec<u8>> = spans.into_iter().map(|bytes| [&[0x2a, 0, 0x30, 1][..], &bytes].concat()).collect();
            lens(&spans);
        }

        /// Bytes that were never packed are refused or read as something of the wanted length; nothing panics.
        #[test]
        fn reads_anything(
            first in prop_oneof![Just(vec![]), Just(vec![TEMPLATE, 0, 9])],
            segment in prop::collection::vec(prop_oneof![any::<u8>(), 0x7f..0x82_u8, 0xc0..0xc7_u8], 0..200),
            at in 0_usize..220,
            len in 0_usize..300,
        ) {
            let at = if first.is_empty() { at } else { 0 };
            let segment = [first, segment].concat();
            let mut out = Vec::new();
            if unpack(&segment, at, len, &mut out).is_some() {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
