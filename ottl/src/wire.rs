//! Fields of validated protobuf messages, with positions relative to one base buffer.
//!
//! A thin iterator over `pdata`'s cursor. The index has already refused messages that are not well formed, so damage met
//! here ends the iteration: nothing panics and nothing is read outside the buffer. Groups are unknown fields and skipped.

use pdata::wire::{Cursor, WireType};

/// A byte range of a base buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Range {
    /// The bytes, or nothing if the range does not lie in `base`.
    #[inline]
    pub(crate) fn of<'w>(&self, base: &'w [u8]) -> &'w [u8] {
        base.get(self.start..self.end).unwrap_or_default()
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Range),
}

/// Iterates over the fields of one message.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'w> {
    cursor: Cursor<'w>,
}

impl<'w> Fields<'w> {
    /// The fields of a whole buffer.
    #[inline]
    pub(crate) fn new(base: &'w [u8]) -> Self {
        Self { cursor: Cursor::new(base) }
    }

    /// The fields of a message inside `base`; positions stay relative to `base`.
    #[inline]
    pub(crate) fn within(base: &'w [u8], range: Range) -> Self {
        Self { cursor: Cursor::at_offset(range.of(base), range.start) }
    }

    /// Where the next field would start.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.cursor.position()
    }
}

impl Iterator for Fields<'_> {
    type Item = (u32, Payload);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (field, wire_type) = self.cursor.field().ok()??;
            let payload = match wire_type {
                WireType::Varint => Payload::Varint(self.cursor.varint().ok()?),
                WireType::Fixed64 => Payload::Fixed64(self.cursor.fixed64().ok()?),
                WireType::Fixed32 => Payload::Fixed32(self.cursor.fixed32().ok()?),
                WireType::Bytes => {
                    let len = self.cursor.bytes().ok()?.len();
                    let end = self.cursor.position();
                    Payload::Bytes(Range { start: end - len, end })
                }
                WireType::Group => {
                    self.cursor.skip(field, wire_type).ok()?;
                    continue;
                }
            };
            return Some((field, payload));
        }
    }
}
