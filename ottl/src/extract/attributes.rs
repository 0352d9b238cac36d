//! Attributes of a message: the first of equal keys wins, and the pass ends with the last one wanted.

use pdata::SpanOrder;

use super::{
    Extractor,
    forms::{any_value, entry_value, length, plain_key_value, plain_value},
};
use crate::{
    slot::{RawSlot, tag},
    value,
    wire::Range,
};

impl Extractor {
    /// Takes the attributes from `at` on, up to another field, to `end`, or to the last one wanted. Where it stopped;
    /// `None` at damage.
    #[inline]
    pub(super) fn attributes(
        &self,
        base: &[u8],
        at: usize,
        end: usize,
        slots: &mut [RawSlot],
        wanted: &mut usize,
    ) -> Option<usize> {
        let base = base.get(..end)?;
        let rest = base.get(at..)?;
        let mut pass = AttributePass { extractor: self, base, slots, wanted: *wanted };
        let rest = pass.run(rest);
        *wanted = pass.wanted;
        rest.map(|rest| base.len() - rest.len())
    }

    /// Takes the wanted attributes of a span whose fields come in order.
    #[inline]
    pub(super) fn attributes_in_order(&self, base: &[u8], order: &SpanOrder, slots: &mut [RawSlot]) {
        let Some(base) = base.get(..order.attributes_end()) else { return };
        let Some(rest) = base.get(order.attributes_start()..) else { return };
        let mut pass = AttributePass { extractor: self, base, slots, wanted: self.keys.len() };
        // What it gives is where it stopped: behind the last one wanted, or at damage, which the index has ruled out.
        match order.has_plain_attributes() {
            true => pass.run_plain(rest),
            false => pass.run(rest),
        };
    }

    /// Whether the attribute at `range` filled a slot.
    pub(super) fn attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        match plain_key_value(range.of(base)) {
            Some((key, value)) => {
                let range = Range { start: range.end - value.len(), end: range.end };
                self.keys.find(key).is_some_and(|position| first(slots, position, || any_value(base, range)))
            }
            None => self.odd_attribute(base, range, slots),
        }
    }

    /// An attribute whose fields are not once each in order, or whose key is too long for a one-byte length.
    #[cold]
    fn odd_attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        let key = value::entry_key(base, range);
        self.keys.find(key).is_some_and(|position| first(slots, position, || entry_value(base, range)))
    }
}

/// One pass over neighbouring attributes.
///
/// Nearly all are written in one form: key, then value, each once, lengths below 128. Those are recognised by two loads,
/// and the next one's place depends on the first alone. What is rare is kept out of the loop.
struct AttributePass<'p> {
    extractor: &'p Extractor,
    base: &'p [u8],
    slots: &'p mut [RawSlot],
    wanted: usize,
}

impl<'p> AttributePass<'p> {
    /// As [`AttributePass::run`] where nothing but attributes is left, and those of short lengths are all plain.
    fn run_plain(&mut self, mut rest: &'p [u8]) -> Option<&'p [u8]> {
        let by_len = self.extractor.keys.by_len();
        while let Some(&[_, len, _, key_len]) = rest.first_chunk() {
            if len >= 0x80 {
                rest = self.unusual(rest)?;
                if self.wanted == 0 {
                    break;
                }
                continue;
            }
            let (message, next) = rest.split_at_checked(2 + usize::from(len))?;
            let of_length = by_len[usize::from(key_len & 0x7f)];
            let key_len = usize::from(key_len);
            let first = if of_length.is_empty() { 0 } else { of_length.ending_in(*message.get(3 + key_len)?) };
            if first != 0 {
                let value = message.get(6 + key_len..)?;
                if self.take(first, key_len, message, value, next) {
                    return Some(next);
                }
            }
            rest = next;
        }
        Some(rest)
    }

    fn run(&mut self, mut rest: &'p [u8]) -> Option<&'p [u8]> {
        /// The high bits of both lengths, and the tags.
        const FORM: u32 = 0x80ff_80ff;
        let form = 0x000a_0000 | u32::from(self.extractor.attribute_tag);
        let by_len = self.extractor.keys.by_len();
        // A KeyValue's tag and length, then its key's.
        while let Some(head) = rest.first_chunk() {
            let head = u32::from_le_bytes(*head);
            if head & FORM != form {
                if head as u8 != self.extractor.attribute_tag {
                    return Some(rest);
                }
                rest = self.unusual(rest)?;
                if self.wanted == 0 {
                    return Some(rest);
                }
                continue;
            }
            // The length by a load of its own: the next attribute's place waits for nothing else.
            let (message, next) = rest.split_at_checked(2 + usize::from(rest[1]))?;
            let key_len = (head >> 24) as usize;
            match message.get(4 + key_len..) {
                Some(&[0x12, len, ref value @ ..]) if value.len() == usize::from(len) => {
                    let last = message.get(3 + key_len).copied().unwrap_or_default();
                    let first = by_len[key_len & 0x7f].ending_in(last);
                    if first != 0 && self.take(first, key_len, message, value, next) {
                        return Some(next);
                    }
                    rest = next;
                }
                _ => {
                    rest = self.unusual(rest)?;
                    if self.wanted == 0 {
                        return Some(rest);
                    }
                }
            }
        }
        // The last one may be shorter than a first look.
        while let [tag, _, ..] = *rest
            && tag == self.extractor.attribute_tag
            && self.wanted > 0
        {
            rest = self.unusual(rest)?;
        }
        Some(rest)
    }

    /// Takes a KeyValue in its usual form, whose key may be wanted; whether it was the last one wanted.
    #[inline(never)]
    fn take(&mut self, first: u16, key_len: usize, message: &[u8], value: &[u8], next: &[u8]) -> bool {
        let Some(key) = message.get(4..4 + key_len) else { return false };
        let position = self.extractor.keys.find_from(first, key);
        if let Some(slot) = position.and_then(|position| self.slots.get_mut(position as usize))
            && slot.tag == tag::MISSING
        {
            let end = self.base.len() - next.len();
            *slot = plain_value(value, end)
                .unwrap_or_else(|| any_value(self.base, Range { start: end - value.len(), end }));
            self.wanted -= 1;
        }
        self.wanted == 0
    }

    /// Takes whatever attribute `rest` starts with; gives what is behind it.
    #[inline(never)]
    fn unusual(&mut self, rest: &[u8]) -> Option<&'p [u8]> {
        let (start, end) = length(self.base, self.base.len() - rest.len() + 1)?;
        self.wanted -= usize::from(self.extractor.attribute(self.base, Range { start, end }, self.slots));
        self.base.get(end..)
    }
}

/// Fills a slot unless an earlier attribute of the key did; whether it did.
fn first(slots: &mut [RawSlot], position: u32, value: impl FnOnce() -> RawSlot) -> bool {
    match slots.get_mut(position as usize) {
        Some(slot) if slot.tag == tag::MISSING => {
            *slot = value();
            true
        }
        _ => false,
    }
}
