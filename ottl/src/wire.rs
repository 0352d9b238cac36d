//! A bounds-checked reader of protobuf fields that reports positions relative to one base buffer.
//!
//! The index in `pdata` has already refused messages that are not well formed, so damage met here ends the iteration:
//! nothing panics and nothing is read outside the buffer. Groups (wire types 3 and 4) do not occur in OTLP and end it too.

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
    base: &'w [u8],
    at: usize,
    end: usize,
}

impl<'w> Fields<'w> {
    /// The fields of a whole buffer.
    pub(crate) fn new(base: &'w [u8]) -> Self {
        Self { base, at: 0, end: base.len() }
    }

    /// The fields of a message inside `base`; positions stay relative to `base`.
    pub(crate) fn within(base: &'w [u8], range: Range) -> Self {
        let end = range.end.min(base.len());
        Self { base, at: range.start.min(end), end }
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        while self.at < self.end {
            let byte = *self.base.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
        None
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<Range> {
        let end = self.at.checked_add(len)?;
        if end > self.end {
            return None;
        }
        let range = Range { start: self.at, end };
        self.at = end;
        Some(range)
    }
}

impl Iterator for Fields<'_> {
    type Item = (u32, Payload);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let field = u32::try_from(tag >> 3).ok()?;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => {
                let raw = self.take(8)?.of(self.base);
                Payload::Fixed64(u64::from_le_bytes(raw.try_into().ok()?))
            }
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Payload::Bytes(self.take(len)?)
            }
            5 => {
                let raw = self.take(4)?.of(self.base);
                Payload::Fixed32(u32::from_le_bytes(raw.try_into().ok()?))
            }
            _ => return None,
        };
        Some((field, payload))
    }
}
