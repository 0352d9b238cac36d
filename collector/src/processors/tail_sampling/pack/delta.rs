//! A span written as what differs from a template.

use super::bytes::{field_end, is_same, same_bytes, same_kind};
use super::plan::{Kind, Plain, Step, head_len};
use super::{
    BLOCK, COPY, HEAD, INSERT, KIND_BYTES, MOST_COPIED, OMIT, OPERATION, PREFIXED, REPLACE, SHORTEST_PREFIX, TEMPLATE,
    TIMES, TIMES_BYTES, VALUE,
};

/// A span that is being written as what differs from a template.
pub(super) struct Delta<'a> {
    /// The span and what stands behind it.
    span: &'a [u8],
    len: usize,
    /// The segment before it.
    segment: &'a [u8],
    /// Where it goes, and how much of it is there.
    out: &'a mut [u8],
    written: usize,
    most: usize,
    /// Fields that the last operation copies, if that is what it does.
    copied: u8,
    /// The fields that are to be written next, and the template's.
    at: usize,
    template: usize,
    /// Fields that differed without being expected to, and of those the ones that begin in the same way.
    pub(super) differing: u64,
    pub(super) prefixed: u64,
}

impl<'a> Delta<'a> {
    pub(super) fn new(span: &'a [u8], len: usize, template: usize, segment: &'a [u8], out: &'a mut [u8]) -> Self {
        // A quarter less, or it is written out and other spans may do better with it as their template.
        let most = len - len / 4;
        Self { span, len, segment, out, written: 3, most, copied: 0, at: 0, template, differing: 0, prefixed: 0 }
    }

    /// Writes it and says how many bytes it takes; nothing if that is not worth it.
    pub(super) fn write(&mut self, name: usize, steps: &[Step]) -> Option<usize> {
        let [_, high, middle, low] = (self.template as u32).to_be_bytes();
        *self.out.first_chunk_mut()? = [high | TEMPLATE, middle, low];
        self.bytes(INSERT, name)?;
        let head = head_len(self.segment.get(self.template..)?).unwrap_or(0);
        if self.head().is_none() {
            let behind = self.template + head;
            while self.template < behind && self.at < self.len {
                self.other()?;
            }
        }
        let mut field = 0;
        for step in steps {
            if self.at == self.len {
                break;
            }
            let done = match step.kind {
                Kind::Same => self.same(step),
                Kind::Differing => self.changed(step, false),
                Kind::Prefixed => self.changed(step, true),
            };
            if done.is_none() {
                self.unexpected(step, field)?;
            }
            field += u32::from(step.fields);
        }
        if self.at < self.len {
            if self.written + OPERATION + (self.len - self.at) > self.most {
                return None;
            }
            self.bytes(INSERT, self.len)?;
        }
        (self.written <= self.most).then_some(self.written)
    }

    /// Writes name, kind and times, if that is what stands there and the name is the template's.
    #[inline(always)]
    fn head(&mut self) -> Option<()> {
        let (own, other) = (self.span.get(self.at..)?, self.segment.get(self.template..)?);
        let len = head_len(own)?;
        let name = len - KIND_BYTES - TIMES_BYTES;
        if self.at + len > self.len || !is_same(own, other, name) {
            return None;
        }
        let [0x30, 0..0x80] = *other.get(name..)?.first_chunk()? else { return None };
        let kind = *own.get(name + 1)?;
        let times = Times::read(own.get(name + KIND_BYTES..)?, other.get(name + KIND_BYTES..)?)?.low();
        let out = self.out.get_mut(self.written..)?.first_chunk_mut::<12>()?;
        out[0] = HEAD;
        out[1] = kind;
        out[2..].copy_from_slice(&times);
        self.written += 12;
        self.at += len;
        self.template += len;
        Some(())
    }

    /// Copies fields that are as in the template.
    #[inline(always)]
    fn same(&mut self, step: &Step) -> Option<()> {
        let len = usize::from(step.len);
        let (own, other) = (self.span.get(self.at..)?, self.segment.get(self.template..)?);
        if self.at + len > self.len || !is_same(own, other, len) {
            return None;
        }
        self.push(COPY + (step.fields - 1))?;
        self.at += len;
        self.template += len;
        Some(())
    }

    /// Writes an attribute of the template's key and another value.
    #[inline(always)]
    fn changed(&mut self, step: &Step, prefixed: bool) -> Option<()> {
        let (own, other) = (self.span.get(self.at..)?, self.segment.get(self.template..)?);
        let plain = Plain::read(own)?;
        let key_len = usize::from(step.key_len);
        if plain.key_len != key_len
            || self.at + plain.len > self.len
            || !is_same(own.get(4..)?, other.get(4..)?, key_len)
        {
            return None;
        }
        let content = plain.len - plain.content_at;
        let (header, header_len, rest) = if prefixed {
            if !plain.is_text {
                return None;
            }
            let most = content.min(usize::from(step.len) - plain.content_at);
            let same = same_bytes(own.get(plain.content_at..)?, other.get(plain.content_at..)?, most);
            let rest = content - same;
            (u32::from(PREFIXED) | (same as u32) << 8 | (rest as u32) << 16, 3, rest)
        } else if plain.is_text {
            (content as u32, 1, content)
        } else {
            (u32::from(VALUE) | (content as u32) << 8, 2, content)
        };
        if self.written + 3 + rest > self.most {
            return None;
        }
        *self.out.get_mut(self.written..)?.first_chunk_mut()? = header.to_le_bytes();
        self.written += header_len;
        self.at += plain.len;
        self.template += usize::from(step.len);
        self.append(self.at - rest, rest)
    }

    /// Goes on to the end of the step's fields one by one.
    #[inline(never)]
    fn unexpected(&mut self, step: &Step, mut field: u32) -> Option<()> {
        let end = self.template + usize::from(step.len);
        self.copied = 0;
        while self.template < end && self.at < self.len {
            let template = self.template;
            let written = self.written;
            if self.attribute(field).is_none() {
                self.written = written;
                self.other()?;
            }
            field += u32::from(self.template > template);
        }
        Some(())
    }

    /// Writes one of the template's key that is shorter than 128 bytes.
    fn attribute(&mut self, field: u32) -> Option<()> {
        let (own, other) = (self.span.get(self.at..)?, self.segment.get(self.template..)?);
        let (plain, known) = (Plain::read(own)?, Plain::read(other)?);
        if plain.key_len != known.key_len
            || self.at + plain.len > self.len
            || !is_same(own.get(4..)?, other.get(4..)?, plain.key_len)
        {
            return None;
        }
        if plain.len == known.len && is_same(own, other, plain.len) {
            return None;
        }
        let bit = 1_u64.checked_shl(field).unwrap_or(0);
        self.differing |= bit;
        let mut prefixed = false;
        if plain.is_text && known.is_text {
            let most = plain.len.min(known.len) - plain.content_at;
            prefixed =
                same_bytes(own.get(plain.content_at..)?, other.get(plain.content_at..)?, most) >= SHORTEST_PREFIX;
            if prefixed {
                self.prefixed |= bit;
            }
        }
        let step = Step { kind: Kind::Differing, fields: 1, key_len: plain.key_len as u8, len: known.len as u16 };
        self.copied = 0;
        self.changed(&step, prefixed)
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) -> Option<()> {
        *self.out.get_mut(self.written)? = byte;
        self.written += 1;
        Some(())
    }

    /// Writes any field.
    #[inline(never)]
    fn other(&mut self) -> Option<()> {
        let other = self.segment.get(self.template..).unwrap_or_default();
        let end = field_end(self.span, self.at).filter(|end| *end <= self.len);
        let next = end.unwrap_or(self.len);
        let other_end = field_end(other, 0);
        let len = next - self.at;
        if end.is_some() && other_end == Some(len) && is_same(self.span.get(self.at..)?, other, len) {
            self.written -= usize::from(self.copied > 0);
            self.push(COPY + self.copied)?;
            self.copied = (self.copied + 1) & (MOST_COPIED as u8 - 1);
            self.at = next;
            self.template += len;
            return Some(());
        }
        self.copied = 0;
        if self.written + OPERATION + len > self.most {
            return None;
        }
        let Some(other_len) = other_end.filter(|_| end.is_some()) else { return self.bytes(INSERT, next) };
        if let Some(times) = Times::read(self.span.get(self.at..self.len)?, other) {
            self.template += TIMES_BYTES;
            self.at += TIMES_BYTES;
            self.push(TIMES)?;
            self.out.get_mut(self.written..)?.first_chunk_mut::<10>()?.copy_from_slice(&times.low());
            self.written += 10;
            return Some(());
        }
        let field = self.span.get(self.at..next)?;
        let behind = self.span.get(next..self.len).unwrap_or_default();
        if same_kind(field, other.get(other_len..).unwrap_or_default()) {
            self.push(OMIT)?;
            self.template += other_len;
        } else if !same_kind(behind, other) {
            self.bytes(REPLACE, next)?;
            self.template += other_len;
        } else {
            self.bytes(INSERT, next)?;
        }
        Some(())
    }

    /// Writes the span's bytes up to `end`.
    #[inline]
    fn bytes(&mut self, operation: u8, end: usize) -> Option<()> {
        let len = end - self.at;
        if len == 0 {
            return Some(());
        }
        self.push(operation)?;
        let mut rest = len;
        while rest >= 0x80 {
            self.push(rest as u8 | 0x80)?;
            rest >>= 7;
        }
        self.push(rest as u8)?;
        self.append(self.at, len)?;
        self.at = end;
        Some(())
    }

    /// Writes `len` of the span's bytes.
    #[inline(always)]
    fn append(&mut self, at: usize, len: usize) -> Option<()> {
        let (from, to) = (self.span.get(at..)?, self.out.get_mut(self.written..)?);
        match (from.first_chunk::<BLOCK>(), to.first_chunk_mut::<BLOCK>()) {
            (Some(from), Some(to)) if len <= BLOCK => *to = *from,
            _ => match (from.get(..len), to.get_mut(..len)) {
                (Some(from), Some(to)) => to.copy_from_slice(from),
                // There is no room, which callers see to: then nothing of this is used.
                _ => self.most = 0,
            },
        }
        self.written += len;
        Some(())
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
