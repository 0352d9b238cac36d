//! A span written as what differs from a template.

use super::bytes::{FORMS, KEYED, field_end, is_same, is_same_where, is_same_within, same_bytes, same_kind};
use super::plan::{Plain, Step, Then};
use super::{
    BLOCK, CONTENT_AT, COPY, HEAD, INSERT, KIND_BYTES, MOST_COPIED, OMIT, OPERATION, PREFIXED, REPLACE,
    SHORTEST_PREFIX, SLACK, SPAN_ID, TEMPLATE, TIMES, TIMES_BYTES, VALUE,
};

/// Bytes behind the most that a span may take, so that what is written needs no exact length.
const ROOM: usize = 4 + BLOCK;

/// A span that is being written as what differs from a template.
pub(super) struct Delta<'a> {
    /// The span, and [`SLACK`] behind it.
    span: &'a [u8],
    len: usize,
    /// The template, and [`SLACK`] behind it.
    known: &'a [u8],
    /// Where it goes: as much as may be written, and [`ROOM`].
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

/// How far steps went as expected: what was not done yet, in bytes and steps.
struct Left {
    own: usize,
    known: usize,
    out: usize,
    steps: usize,
    /// Of the first of the steps that are left, the fields that are the same are done.
    same_done: bool,
}

impl<'a> Delta<'a> {
    /// None if `out` is too small.
    pub(super) fn new((span, len): (&'a [u8], usize), known: &'a [u8], out: &'a mut [u8]) -> Option<Self> {
        // A quarter less, or it is written out and other spans may do better with it as their template.
        let most = len - len / 4;
        let out = out.get_mut(..most + ROOM)?;
        Some(Self { span, len, known, out, written: 0, most, copied: 0, at: 0, template: 0, differing: 0, prefixed: 0 })
    }

    /// Writes it and says how many bytes it takes; nothing if that is not worth it. `position` is the template's in the segment,
    /// `name` where the fields begin that are compared, and `head` the bytes of the first of them in the template.
    pub(super) fn write(&mut self, position: usize, name: usize, head: usize, steps: &[Step]) -> Option<usize> {
        let [_, high, middle, low] = (position as u32).to_be_bytes();
        *self.out.first_chunk_mut()? = [high | TEMPLATE, middle, low];
        self.written = 3;
        self.ids(name)?;
        if self.head(head).is_none() {
            while self.template < head && self.at < self.len {
                self.other()?;
            }
        }
        let mut at = 0;
        loop {
            let rest = steps.get(at..)?;
            let left = expected(
                self.span.get(self.at..)?,
                self.known.get(self.template..)?,
                self.out.get_mut(self.written..)?,
                rest,
            );
            self.at = self.span.len() - left.own;
            self.template = self.known.len() - left.known;
            self.written = self.out.len() - left.out;
            at = steps.len() - left.steps;
            let Some(step) = steps.get(at).filter(|_| self.at < self.len) else { break };
            let before: u32 = steps.get(..at)?.iter().map(Step::fields).sum();
            let (len, fields) = if left.same_done { (0, step.same) } else { (step.same_len, 0) };
            let end = self.template + usize::from(len) + usize::from(step.len);
            self.unexpected(end, before + u32::from(fields))?;
            at += 1;
        }
        if self.at < self.len {
            if self.written + OPERATION + (self.len - self.at) > self.most {
                return None;
            }
            self.bytes(INSERT, self.len)?;
        }
        (self.written <= self.most).then_some(self.written)
    }

    /// Writes the bytes before the name, mostly a span's id and its parent's.
    #[inline(always)]
    fn ids(&mut self, name: usize) -> Option<()> {
        let ids: &[u8; 20] = self.span.first_chunk()?;
        let has_parent = ids[10..12] == [0x22, 8];
        if ids[..2] != [0x12, 8] || name != if has_parent { 20 } else { 10 } {
            return self.bytes(INSERT, name);
        }
        let out: &mut [u8; 17] = self.out.get_mut(self.written..)?.first_chunk_mut()?;
        out[0] = SPAN_ID + u8::from(has_parent);
        out[1..9].copy_from_slice(&ids[2..10]);
        // Written over, if there is none.
        out[9..].copy_from_slice(&ids[12..]);
        self.written += if has_parent { 17 } else { 9 };
        self.at = name;
        Some(())
    }

    /// Writes name, kind and times, if that is what stands there and the name is the template's, where they take `len` bytes.
    #[inline(always)]
    fn head(&mut self, len: usize) -> Option<()> {
        // Up to the tag of the kind.
        let name = len.checked_sub(KIND_BYTES - 1 + TIMES_BYTES)?;
        let (own, other) = (self.span.get(self.at..)?, self.known.get(self.template..)?);
        if self.at + len > self.len || !is_same_within(own, other, name) {
            return None;
        }
        let kind = *own.get(name).filter(|kind| **kind < 0x80)?;
        let times = Times::read(own.get(name + 1..)?, other.get(name + 1..)?)?.low();
        let out = self.out.get_mut(self.written..)?.first_chunk_mut::<12>()?;
        out[0] = HEAD;
        out[1] = kind;
        out[2..].copy_from_slice(&times);
        self.written += 12;
        self.at += len;
        self.template += len;
        Some(())
    }

    /// Goes on to the end of the step's fields one by one.
    #[inline(never)]
    fn unexpected(&mut self, end: usize, mut field: u32) -> Option<()> {
        self.copied = 0;
        while self.template < end && self.at < self.len {
            let template = self.template;
            if self.attribute(field).is_none() {
                self.other()?;
            }
            field += u32::from(self.template > template);
        }
        Some(())
    }

    /// Writes one of the template's key that is shorter than 128 bytes and has another value.
    fn attribute(&mut self, field: u32) -> Option<()> {
        let at = self.at;
        let (own, other) = (self.span.get(at..)?, self.known.get(self.template..)?);
        let (plain, known) = (Plain::read(own)?, Plain::read(other)?);
        if plain.key_len != known.key_len
            || at + plain.len > self.len
            || !is_same(own.get(4..)?, other.get(4..)?, plain.key_len)
        {
            return None;
        }
        if plain.len == known.len && is_same(own, other, plain.len) {
            return None;
        }
        let bit = 1_u64.checked_shl(field).unwrap_or(0);
        self.differing |= bit;
        let content = plain.len - plain.content_at;
        let (mut same, mut prefixed) = (0, false);
        if plain.is_text && known.is_text {
            let most = plain.len.min(known.len) - plain.content_at;
            same = same_bytes(own.get(plain.content_at..)?, other.get(plain.content_at..)?, most);
            prefixed = same >= SHORTEST_PREFIX;
            if prefixed {
                self.prefixed |= bit;
            } else {
                same = 0;
            }
        }
        let rest = content - same;
        if self.written + 3 + rest > self.most {
            return None;
        }
        self.copied = 0;
        if prefixed {
            self.push(PREFIXED)?;
            self.push(same as u8)?;
        } else if !plain.is_text {
            self.push(VALUE)?;
        }
        self.push(rest as u8)?;
        self.at += plain.len;
        self.template += known.len;
        self.append(self.at - rest, rest)
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
        let other = self.known.get(self.template..).unwrap_or_default();
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

/// Takes steps as long as all is as expected. `own` and `known` are what is left of the span and of the template, with
/// [`SLACK`] behind them, and `out` what may be written, with [`ROOM`] behind it: so that one look at a length is enough for
/// what is read or written and for where it has to end.
fn expected(mut own: &[u8], mut known: &[u8], mut out: &mut [u8], mut steps: &[Step]) -> Left {
    let mut same_done = false;
    while let Some((step, behind)) = steps.split_first() {
        if step.same > 0 {
            let len = usize::from(step.same_len);
            if own.len() < len + SLACK
                || known.len() < len + SLACK
                || out.len() <= ROOM
                || !is_same_within(own, known, len)
            {
                break;
            }
            out[0] = COPY + (step.same - 1);
            (own, known, out) = (&own[len..], &known[len..], &mut out[1..]);
            same_done = true;
        }
        if step.then != Then::More {
            let [_, len, ..] = *own else { break };
            let end = usize::from(len) + 2;
            if own.len() < end + SLACK || known.len() < usize::from(step.len) + SLACK {
                break;
            }
            let Some((start, other)) = own.first_chunk::<SLACK>().zip(known.first_chunk::<SLACK>()) else { break };
            let (key_len, content_at) = (usize::from(step.key_len) % CONTENT_AT, usize::from(step.content_at));
            // As in `Plain::read`; tags and high bits are the template's.
            let content = end.wrapping_sub(content_at);
            if !has_form(start, other, step.form)
                || usize::from(start[key_len + 5]) + key_len + 6 != end
                || (start[key_len + 7] ^ content as u8) & step.text != 0
            {
                break;
            }
            // A string has a length only.
            let value = !step.text;
            let mut header = u32::from(VALUE & value) | (content as u32) << (8 & value);
            let mut header_len = 1 + usize::from(value & 1);
            let mut same = 0;
            if step.then == Then::Prefixed {
                let most = content.min(usize::from(step.len).wrapping_sub(content_at));
                let Some((own, known)) = own.get(content_at..).zip(known.get(content_at..)) else { break };
                same = same_bytes(own, known, most);
                header = u32::from(PREFIXED) | (same as u32) << 8 | ((content - same) as u32) << 16;
                header_len = 3;
            }
            let (rest, written) = (content - same, header_len + content - same);
            if out.len() < written + ROOM {
                break;
            }
            let Some(block) = out.first_chunk_mut::<ROOM>() else { break };
            block[..4].copy_from_slice(&header.to_le_bytes());
            let Some(from) = own.get(content_at + same..) else { break };
            match from.first_chunk::<BLOCK>() {
                Some(from) if rest <= BLOCK => block[header_len..header_len + BLOCK].copy_from_slice(from),
                _ => copy_long(from, &mut out[header_len..], rest),
            }
            (own, known, out) = (&own[end..], &known[usize::from(step.len)..], &mut out[written..]);
        }
        (steps, same_done) = (behind, false);
    }
    Left { own: own.len(), known: known.len(), out: out.len(), steps: steps.len(), same_done }
}

/// Whether the attribute has the template's key and type of value; lengths are still to be compared.
#[inline(always)]
fn has_form(own: &[u8; SLACK], known: &[u8; SLACK], form: u8) -> bool {
    match (own.first_chunk(), known.first_chunk(), FORMS.get(usize::from(form))) {
        (Some(own), Some(known), Some(mask)) => is_same_where::<KEYED>(own, known, mask),
        _ => false,
    }
}

/// Apart, or the copy of a block would be a call as well.
#[cold]
#[inline(never)]
fn copy_long(from: &[u8], to: &mut [u8], len: usize) {
    to[..len].copy_from_slice(&from[..len]);
}

/// Start and end of a span.
struct Times {
    start: u64,
    end: u64,
}

impl Times {
    /// If both have them, near to each other: within 18 minutes mostly.
    #[inline(always)]
    fn read(fields: &[u8], other: &[u8]) -> Option<Self> {
        let (times, other): (&[u8; TIMES_BYTES], &[u8; TIMES_BYTES]) = (fields.first_chunk()?, other.first_chunk()?);
        let word = |bytes: &[u8; TIMES_BYTES], at: usize| {
            let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            word(&bytes[at..])
        };
        // A tag and seven bytes each, the last of which overlap with the eighth of the start and the second tag.
        let (start, end) = (word(times, 0), word(times, 9));
        let last = |bytes: &[u8; TIMES_BYTES]| u16::from_be_bytes([bytes[8], bytes[17]]);
        let tags = start & 0xff == 0x39 && end & 0xff == 0x41;
        // All but five bytes each.
        let high = ((start ^ word(other, 0)) | (end ^ word(other, 9))) & 0xffff_0000_0000_00ff;
        (tags && high == 0 && last(times) == last(other)).then_some(Self { start, end })
    }

    fn low(&self) -> [u8; 10] {
        let [_, a, b, c, d, e, ..] = self.start.to_le_bytes();
        let [_, f, g, h, i, j, ..] = self.end.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }
}
