//! What extraction leaves in a slot: 16 bytes, a tag and a number or a range of the base buffer it came from.
//!
//! Ranges instead of pointers keep this module and the extractor free of unsafe code, and generated code needs one
//! addition for a string: base pointer plus offset. The bases are in the [`Frame`](crate::Frame).

use crate::wire::{Fields, Payload, Range};

/// Tags of [`RawSlot`]; generated code compares them as numbers.
pub(crate) mod tag {
    /// No such attribute. Reads as nil.
    pub(crate) const MISSING: u32 = 0;
    /// An attribute whose AnyValue has nothing set. Reads as nil; a key behind it is an error.
    pub(crate) const EMPTY: u32 = 1;
    /// `bits` is 0 or 1.
    pub(crate) const BOOL: u32 = 2;
    /// `bits` is an i64.
    pub(crate) const INT: u32 = 3;
    /// `bits` is an f64.
    pub(crate) const DOUBLE: u32 = 4;
    /// `bits` is the offset, `len` the length.
    pub(crate) const STR: u32 = 5;
    /// As [`STR`]; length 0 equals nil.
    pub(crate) const BYTES: u32 = 6;
    /// The range of the message that holds the entries.
    pub(crate) const MAP: u32 = 7;
    /// The range of an ArrayValue message.
    pub(crate) const LIST: u32 = 8;
    /// The range of 16 bytes, or an empty range for an unset id, one that is all zero, or one of another length.
    pub(crate) const TRACE_ID: u32 = 9;
    /// As [`TRACE_ID`], of 8 bytes.
    pub(crate) const SPAN_ID: u32 = 10;
    /// The range of the message the struct is a part of.
    pub(crate) const OPAQUE: u32 = 11;
    /// The range of the message that a list of numbers is a field of.
    pub(crate) const PACKED: u32 = 12;
    /// A value of a type that no slot holds, such as a time. Only generated code's own memory has these.
    pub(crate) const OTHER: u32 = 13;
    /// No value but an error, whose code is `len`. Only what is kept for generated code has these.
    pub(crate) const FAILED: u32 = 14;
    /// What was not asked for yet, where something is kept. No error has this code.
    pub(crate) const UNKNOWN: u32 = 256;
}

/// A filled slot. The layout is fixed because generated code reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct RawSlot {
    pub(crate) tag: u32,
    pub(crate) len: u32,
    pub(crate) bits: u64,
}

impl RawSlot {
    pub(crate) const MISSING: Self = Self { tag: tag::MISSING, len: 0, bits: 0 };

    /// What was not asked for yet.
    pub(crate) const UNKNOWN: Self = Self { tag: tag::UNKNOWN, len: 0, bits: 0 };

    #[inline]
    pub(crate) fn int(number: i64) -> Self {
        Self { tag: tag::INT, len: 0, bits: number.cast_unsigned() }
    }

    /// A range with a tag; a length beyond 32 bits, which `pdata` never lets through, reads as empty.
    #[inline]
    pub(crate) fn range(tag: u32, range: Range) -> Self {
        let len = range.end.saturating_sub(range.start);
        Self { tag, len: u32::try_from(len).unwrap_or(0), bits: range.start as u64 }
    }

    /// A trace id's slot.
    #[inline]
    pub(crate) fn trace_id(base: &[u8], range: Range) -> Self {
        Self::id::<16>(tag::TRACE_ID, base, range)
    }

    /// A span id's slot.
    #[inline]
    pub(crate) fn span_id(base: &[u8], range: Range) -> Self {
        Self::id::<8>(tag::SPAN_ID, base, range)
    }

    /// An id with nothing in it reads as one that is not set, so that a length says which it is.
    #[inline]
    fn id<const SIZE: usize>(tag: u32, base: &[u8], range: Range) -> Self {
        match base.get(range.start..range.end).and_then(|id| id.first_chunk::<SIZE>().filter(|_| id.len() == SIZE)) {
            Some(id) if *id != [0; SIZE] => Self { tag, len: SIZE as u32, bits: range.start as u64 },
            _ => Self { tag, len: 0, bits: 0 },
        }
    }

    /// The range, if the tag is one of those that have one.
    #[inline]
    pub(crate) fn as_range(self) -> Range {
        let start = usize::try_from(self.bits).unwrap_or(usize::MAX);
        Range { start, end: start.saturating_add(self.len as usize) }
    }

    /// Decodes the AnyValue at `range` over `self`: members of the oneof that are set replace it.
    #[inline]
    pub(crate) fn merge_any(self, base: &[u8], range: Range) -> Self {
        let mut slot = self;
        for (field, payload) in Fields::within(base, range) {
            slot = match (field, payload) {
                (1, Payload::Bytes(at)) => Self::range(tag::STR, at),
                (2, Payload::Varint(bits)) => Self { tag: tag::BOOL, len: 0, bits: u64::from(bits != 0) },
                (3, Payload::Varint(bits)) => Self { tag: tag::INT, len: 0, bits },
                (4, Payload::Fixed64(bits)) => Self { tag: tag::DOUBLE, len: 0, bits },
                (5, Payload::Bytes(at)) => Self::range(tag::LIST, at),
                (6, Payload::Bytes(at)) => Self::range(tag::MAP, at),
                (7, Payload::Bytes(at)) => Self::range(tag::BYTES, at),
                _ => slot,
            };
        }
        slot
    }
}
