//! Spans in fewer bytes, while they wait: what an earlier span of the same name says too is not written again.
//!
//! Spans of one name mostly have the same attributes in the same order, and many of the same values. So the first ones of
//! a name in a segment are written out and become its template; others are written as what differs from it, field by
//! field. That takes a quarter of the bytes of common spans; memory that the kernel has to clear first costs more than that.
//! Compression of whole segments comes later and finds what is left.
//!
//! What takes time is not comparing but branches that nobody foresees: whether a field is the same as before is chance for
//! some fields of a name and certain for others. So each template has a [`plan`] that says which fields are expected to
//! differ: these are written out without a question, and the runs between them are compared as a whole.
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
//! | [`HEAD`] | kind, 10 bytes | the template's name, this kind, start and end as above |
//! | [`INSERT`], [`REPLACE`] | a varint, bytes | bytes that the template does not have, or has one other field for |
//! | [`OMIT`] | | nothing, for a field of the template |
//! | [`SPAN_ID`] | 8 bytes | a span id |
//! | [`IDS`] | 16 bytes | a span id and its parent's |
//!
//! Invariant: a template is written out in one piece, further ahead in the same segment, so a segment can be read by
//! itself; and a packed span is never longer than [`bound`] says.

mod bytes;
mod delta;
mod plan;
#[cfg(test)]
mod tests;
mod unpack;

use bytes::field_end;
use delta::Delta;
use plan::{Plan, Step};
pub(super) use unpack::unpack;

/// Names that are remembered at a time. Three with the same pair of slots drive each other out.
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
const HEAD: u8 = 0xc6;
const SPAN_ID: u8 = 0xc7;
const IDS: u8 = SPAN_ID + 1;

/// Bytes of the template's string that are worth naming.
const SHORTEST_PREFIX: usize = 3;

/// Bytes of an operation besides what it brings.
const OPERATION: usize = 4;

/// Bytes that are copied at once, where there are so many, and the surplus is dropped: a few instructions, while a copy of
/// a length that differs from time to time is a call and a jump that nobody foresees.
const BLOCK: usize = 32;

/// Longer keys are not compared at once.
const LONGEST_KEY: usize = 40;

/// Attributes of such keys have their content before this.
const CONTENT_AT: usize = 64;

/// Bytes behind a span or a template that are read, and not looked at.
const SLACK: usize = CONTENT_AT + BLOCK;

/// Longer spans are not taken apart.
const LONGEST: usize = 1 << 15;

/// The first field that is compared, the name: those before are ids and the trace state.
const FIRST_TAG: u8 = 0x2a;

/// The tag of a span's attributes.
const ATTRIBUTE: u8 = 0x4a;

/// Bytes of a kind below 128.
const KIND_BYTES: usize = 2;

/// Bytes of start and end, which stand together.
const TIMES_BYTES: usize = 18;

/// Bits of an entry of [`Packer`] that are its position; the others are of the hash.
const POSITION_BITS: u32 = REACH.trailing_zeros();

/// What lies in the segment that is being written.
#[derive(Debug)]
pub(super) struct Packer {
    /// Positions of templates by a hash of what they are for, each below nine more bits of that hash.
    templates: Box<[u32]>,
    /// How to compare with each of them.
    plans: Box<[Plan]>,
    /// Of all plans.
    steps: Vec<Step>,
    /// Segments that were begun, modulo 2^32.
    begun: u32,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            templates: vec![EMPTY; SLOTS].into(),
            plans: vec![Plan::default(); SLOTS].into(),
            steps: Vec::new(),
            begun: 0,
        }
    }

    /// Begins a segment.
    pub(super) fn begin(&mut self) {
        self.templates.fill(EMPTY);
        self.steps.clear();
        self.begun = self.begun.wrapping_add(1);
    }

    /// Writes the span of `len` bytes that `span` begins with at `start` of the segment and says where it ends there; what stands
    /// behind it makes it quicker. `None` if there is no room.
    pub(super) fn pack(&mut self, span: &[u8], len: usize, segment: &mut [u8], start: usize) -> Option<usize> {
        // Behind the byte that says that the span is written out.
        let position = |name: usize| Some(start + 1 + name).filter(|position| *position < ONCE);
        let mut becomes = None;
        let (written, free) = segment.split_at_mut_checked(start)?;
        let alone = span.get(..len)?;
        if len <= LONGEST
            && let Some(name) = first_compared(alone)
        {
            let (of_name, of_shape) = Self::hashes(alone, name);
            let template = match self.find(of_name) {
                Some((_, ONCE)) => None,
                Some(template) => Some(template),
                None => {
                    let other = self.find(of_shape);
                    if other.is_some() {
                        self.note(of_name, ONCE, &[]);
                    }
                    other
                }
            };
            if let Some((slot, template)) = template
                && let Some(plan) = self.plans.get_mut(slot)
            {
                let steps = self.steps.get(plan.first as usize..).and_then(|steps| steps.get(..plan.steps as usize));
                let (known, known_len) = (written.get(template..)?, plan.len as usize);
                let padded;
                let (own, known) = match (span.get(..len + SLACK), known.get(..known_len + SLACK)) {
                    (Some(own), Some(known)) => (own, known),
                    _ => {
                        padded = (pad(span, len), pad(known, known_len));
                        (&*padded.0, &*padded.1)
                    }
                };
                let mut delta = Delta::new((own, len), known, free)?;
                let packed = delta.write(template, name, plan.head.into(), steps.unwrap_or_default());
                let (differing, prefixed) = (delta.differing, delta.prefixed);
                if plan.learn(differing, prefixed) {
                    let bytes = written.get(template..).and_then(|bytes| bytes.get(..plan.len as usize));
                    plan.lay_out(bytes.unwrap_or_default(), &mut self.steps);
                }
                if let Some(packed) = packed {
                    return Some(start + packed);
                }
            }
            becomes = position(name).map(|position| (of_name, of_shape, position, name));
        }
        *free.first_mut()? = 0;
        free.get_mut(1..=len)?.copy_from_slice(alone);
        if let Some((of_name, of_shape, position, name)) = becomes {
            let template = alone.get(name..).unwrap_or_default();
            self.note(of_name, position, template);
            self.note(of_shape, position, template);
        }
        Some(start + 1 + len)
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
        let (start, len) = (name + 2, end.saturating_sub(name + 2));
        let Some(last) = len.checked_sub(8) else {
            // A short name's last word would begin before it.
            let short = word(start) << (8 * (8 - len) as u32 % 64);
            return (fold(of_shape ^ short, len as u64), of_shape);
        };
        // Four words, which overlap where the name is shorter, are all of most names: no step waits for another.
        let nth = |nth: usize| word(start + (8 * nth).min(last));
        let mut of_name = fold(of_shape ^ nth(0), nth(1)) ^ fold(nth(2) ^ len as u64, nth(usize::MAX / 8));
        for nth in 3..len.div_ceil(8) - 1 {
            of_name = fold(of_name, word(start + 8 * nth));
        }
        (of_name, of_shape)
    }

    /// An entry's number and the bits that it shows of the hash.
    #[inline]
    fn slot(hash: u64) -> (usize, u32) {
        let high = (hash.wrapping_mul(PRIME_1) >> 32) as u32;
        ((high >> (32 - SLOTS.trailing_zeros())) as usize, high & (u32::MAX >> POSITION_BITS))
    }

    /// An entry's number and the position in it.
    #[inline]
    fn find(&self, hash: u64) -> Option<(usize, usize)> {
        let (slot, check) = Self::slot(hash);
        let (first, second) = (*self.templates.get(slot)?, *self.templates.get(slot ^ 1)?);
        let (slot, entry) = if first >> POSITION_BITS == check { (slot, first) } else { (slot ^ 1, second) };
        (entry != EMPTY && entry >> POSITION_BITS == check).then_some((slot, entry as usize % REACH))
    }

    fn note(&mut self, hash: u64, position: usize, template: &[u8]) {
        let (slot, check) = Self::slot(hash);
        let is_free = |slot: usize| {
            self.templates.get(slot).is_some_and(|entry| *entry == EMPTY || entry >> POSITION_BITS == check)
        };
        let slot = if !is_free(slot) && is_free(slot ^ 1) { slot ^ 1 } else { slot };
        if let (Some(entry), Some(plan)) = (self.templates.get_mut(slot), self.plans.get_mut(slot)) {
            *entry = check << POSITION_BITS | position as u32;
            plan.doubt(self.begun);
            plan.lay_out(template, &mut self.steps);
        }
    }
}

/// The first `len` bytes with [`SLACK`] behind them, where the last span of a request or of the segment has nothing there.
#[cold]
fn pad(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut padded = bytes.get(..len).unwrap_or_default().to_vec();
    padded.resize(len + SLACK, 0);
    padded
}

/// Room that is needed to pack a span of `len` bytes.
pub(super) fn bound(len: usize) -> usize {
    len + 2 * OPERATION + BLOCK
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

/// Odd constants of xxHash64.
const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// Both halves of a product, so that every bit of either word counts.
#[inline]
fn fold(low: u64, high: u64) -> u64 {
    let product = u128::from(low ^ PRIME_1) * u128::from(high ^ PRIME_2);
    product as u64 ^ (product >> 64) as u64
}
