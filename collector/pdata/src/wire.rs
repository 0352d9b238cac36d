//! A cursor over protobuf bytes. Every length is checked, nothing is copied, nothing is allocated.
//!
//! Reads what `opentelemetry-proto` messages are made of; a field that a caller does not know is skipped, whatever its
//! number, groups included. Errors are small and carry the byte position in the buffer that the cursor was made on.

use bytes::BufMut;

/// Why bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WireErrorKind {
    /// The bytes end inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than ten bytes, or above 64 bits.
    #[error("a varint is longer than 64 bits")]
    Varint,
    /// Field number 0, or above 2^29 - 1.
    #[error("an invalid field number")]
    FieldNumber,
    /// Wire type 6 or 7, or one that does not fit the field.
    #[error("a wrong wire type for the field")]
    WireType,
    /// A group's end without its start, or the other way round.
    #[error("an unmatched group")]
    Group,
    /// Messages inside messages beyond the limit.
    #[error("messages are nested too deeply")]
    Depth,
    /// A trace id that has neither 0 nor 16 bytes, or a span id that has neither 0 nor 8.
    #[error("an id of wrong length")]
    IdLength,
    /// More bytes or rows than a 32-bit index can hold.
    #[error("the message is too large")]
    TooLarge,
}

/// Why and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct WireError {
    /// Why.
    pub kind: WireErrorKind,
    /// Offset into the buffer.
    pub at: u32,
}

/// The four wire types that are in use; groups are skipped where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// 0
    Varint,
    /// 1
    Fixed64,
    /// 2
    Bytes,
    /// 3, 4
    Group,
    /// 5
    Fixed32,
}

/// Groups inside groups that are followed while skipping.
const GROUP_DEPTH: u32 = 100;

/// A position in a message. Positions and errors count from the start of the outermost buffer, also in nested messages.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// The outermost buffer up to the end of this message: so a nested cursor is two numbers and a shorter slice.
    bytes: &'a [u8],
    /// Next byte; never behind the end.
    at: usize,
    /// First byte of this message.
    start: usize,
    /// Where `bytes` lies in a larger buffer that is not at hand.
    base: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, start: 0, base: 0 }
    }

    /// At the start of `bytes`, which stand at offset `base` of a larger buffer.
    #[inline]
    #[must_use]
    pub fn at_offset(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, start: 0, base }
    }

    /// True behind the last byte.
    #[inline]
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Offset of the next byte in the larger buffer.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.base + self.at
    }

    /// An error here.
    #[cold]
    #[must_use]
    pub fn error(&self, kind: WireErrorKind) -> WireError {
        Self::error_at(self.position(), kind)
    }

    /// An error at this offset of the larger buffer.
    #[cold]
    #[must_use]
    pub fn error_at(at: usize, kind: WireErrorKind) -> WireError {
        WireError { kind, at: u32::try_from(at).unwrap_or(u32::MAX) }
    }

    /// The next field's tag as it is on the wire, `number << 3 | wire type`, for a `match` that tests both at once;
    /// `None` behind the last one. The end of a group is an error: only skipping a group may meet one.
    #[inline(always)]
    pub fn tag(&mut self) -> Result<Option<u32>, WireError> {
        match self.bytes.get(self.at) {
            None => Ok(None),
            // Fields 1 to 15 have one-byte tags: all but a few of OTLP's.
            Some(&tag) if (8..0x80).contains(&tag) && !matches!(tag & 7, 4 | 6 | 7) => {
                self.at += 1;
                Ok(Some(u32::from(tag)))
            }
            Some(_) => self.long_tag().map(Some),
        }
    }

    #[inline(never)]
    fn long_tag(&mut self) -> Result<u32, WireError> {
        let start = self.position();
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag & 7 > 5 => Err(Self::error_at(start, WireErrorKind::WireType)),
            Ok(tag) if tag < 8 => Err(Self::error_at(start, WireErrorKind::FieldNumber)),
            Ok(tag) if tag & 7 == 4 => Err(Self::error_at(start, WireErrorKind::Group)),
            Ok(tag) => Ok(tag),
            Err(_) => Err(Self::error_at(start, WireErrorKind::FieldNumber)),
        }
    }

    /// Passes over the next field's tag if it is this one, of one byte.
    #[inline(always)]
    pub(crate) fn take_tag(&mut self, tag: u8) -> bool {
        let is_next = self.bytes.get(self.at) == Some(&tag);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes over bytes that were looked at in [`Cursor::rest`].
    #[inline(always)]
    pub(crate) fn advance(&mut self, len: usize) {
        self.at = self.bytes.len().min(self.at.saturating_add(len));
    }

    /// The next field's number and wire type; `None` behind the last one.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, WireType)>, WireError> {
        Ok(self.tag()?.map(|tag| {
            let wire_type = match tag & 7 {
                0 => WireType::Varint,
                1 => WireType::Fixed64,
                2 => WireType::Bytes,
                5 => WireType::Fixed32,
                _ => WireType::Group,
            };
            (tag >> 3, wire_type)
        }))
    }

    /// A varint.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let rest = self.rest();
        // A span's length, and that of a long text.
        if let [low @ 0x80..=0xff, high @ 0..0x80, ..] = *rest {
            self.at += 2;
            return Ok(u64::from(low & 0x7f) | u64::from(high) << 7);
        }
        if let Some((value, len)) = rest.first_chunk().and_then(|bytes| short_varint(*bytes)) {
            self.at += len;
            return Ok(value);
        }
        let mut value = 0_u64;
        for (place, &byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                // The tenth byte holds bit 63 alone.
                if place == 9 && byte > 1 {
                    break;
                }
                self.at += place + 1;
                return Ok(value);
            }
        }
        Err(self.error(if rest.len() < 10 { WireErrorKind::Truncated } else { WireErrorKind::Varint }))
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) => {
                self.at += 8;
                Ok(u64::from_le_bytes(*chunk))
            }
            None => Err(self.error(WireErrorKind::Truncated)),
        }
    }

    /// Four bytes, little-endian.
    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, WireError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<4>()) {
            Some(chunk) => {
                self.at += 4;
                Ok(u32::from_le_bytes(*chunk))
            }
            None => Err(self.error(WireErrorKind::Truncated)),
        }
    }

    /// A length and that many bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let start = self.position();
        let length = self.varint()?;
        match usize::try_from(length).ok().and_then(|length| self.rest().get(..length)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(Self::error_at(start, WireErrorKind::Truncated)),
        }
    }

    /// A nested message, as a cursor over it.
    #[inline(always)]
    pub fn message(&mut self) -> Result<Self, WireError> {
        let error_at = self.position();
        let length = self.varint()?;
        let start = self.at;
        match usize::try_from(length).ok().and_then(|length| start.checked_add(length)) {
            Some(end) if end <= self.bytes.len() => {
                self.at = end;
                Ok(Self { bytes: &self.bytes[..end], at: start, start, base: self.base })
            }
            _ => Err(Self::error_at(error_at, WireErrorKind::Truncated)),
        }
    }

    /// As [`Cursor::message`] for one whose length mostly takes two bytes, as a span's does.
    #[inline(always)]
    pub(crate) fn long_message(&mut self) -> Result<Self, WireError> {
        if let &[low @ 0x80..=0xff, high @ 0..0x80, ref rest @ ..] = self.rest() {
            let len = usize::from(low & 0x7f) | usize::from(high) << 7;
            if len <= rest.len() {
                let start = self.at + 2;
                self.at = start + len;
                return Ok(Self { bytes: &self.bytes[..self.at], at: start, start, base: self.base });
            }
        }
        self.message()
    }

    /// What is left of this message.
    #[inline(always)]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Everything this cursor is over, read or not.
    #[inline]
    #[must_use]
    pub fn whole(&self) -> &'a [u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Offset of the first byte this cursor is over, in the larger buffer.
    #[inline]
    #[must_use]
    pub fn start(&self) -> usize {
        self.base + self.start
    }

    /// An error unless the field came with the wire type it must have.
    #[inline]
    pub fn expect(&self, got: WireType, wanted: WireType) -> Result<(), WireError> {
        if got == wanted { Ok(()) } else { Err(self.error(WireErrorKind::WireType)) }
    }

    /// Skips the value of a field whose tag was just read.
    #[inline]
    pub fn skip(&mut self, number: u32, wire_type: WireType) -> Result<(), WireError> {
        match wire_type {
            WireType::Varint => self.varint().map(drop),
            WireType::Fixed64 => self.fixed64().map(drop),
            WireType::Bytes => self.bytes().map(drop),
            WireType::Fixed32 => self.fixed32().map(drop),
            WireType::Group => self.skip_group(number, GROUP_DEPTH),
        }
    }

    /// Skips the value of a field whose tag was just read with [`Cursor::tag`].
    #[inline]
    pub fn skip_tag(&mut self, tag: u32) -> Result<(), WireError> {
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            5 => WireType::Fixed32,
            _ => WireType::Group,
        };
        self.skip(tag >> 3, wire_type)
    }

    #[cold]
    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), WireError> {
        if depth == 0 {
            return Err(self.error(WireErrorKind::Depth));
        }
        loop {
            if self.is_at_end() {
                return Err(self.error(WireErrorKind::Group));
            }
            let tag = self.varint()?;
            let inner = u32::try_from(tag >> 3).map_err(|_| self.error(WireErrorKind::FieldNumber))?;
            if inner == 0 {
                return Err(self.error(WireErrorKind::FieldNumber));
            }
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed64()?),
                2 => drop(self.bytes()?),
                3 => self.skip_group(inner, depth - 1)?,
                4 if inner == number => return Ok(()),
                4 => return Err(self.error(WireErrorKind::Group)),
                5 => drop(self.fixed32()?),
                _ => return Err(self.error(WireErrorKind::WireType)),
            }
        }
    }
}

/// The varint that eight bytes begin with and its length, if it ends in them.
#[inline]
fn short_varint(bytes: [u8; 8]) -> Option<(u64, usize)> {
    const MORE: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(bytes);
    let ends = !word & MORE;
    if ends == 0 {
        return None;
    }
    // Up to the first high bit that is not set.
    let sevens = word & (ends ^ (ends - 1)) & !MORE;
    let pairs = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    let value = fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4;
    Some((value, ends.trailing_zeros() as usize / 8 + 1))
}

/// Length of a varint in bytes.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    // ceil(significant bits / 7), at least 1
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint.
#[inline]
pub fn put_varint<B: BufMut>(out: &mut B, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends the tag and length of a length-delimited field.
#[inline]
pub fn put_bytes_header<B: BufMut>(out: &mut B, field: u32, len: usize) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, len as u64);
}

/// Appends a length-delimited field.
#[inline]
pub fn put_bytes<B: BufMut>(out: &mut B, field: u32, bytes: &[u8]) {
    put_bytes_header(out, field, bytes.len());
    out.put_slice(bytes);
}

/// Appends a varint field: int32, int64, uint32, uint64, bool or enum.
#[inline]
pub fn put_varint_field(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, value);
}

/// Appends a fixed64 or double field.
#[inline]
pub fn put_fixed64_field(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a fixed32 field.
#[inline]
pub fn put_fixed32_field(out: &mut Vec<u8>, field: u32, value: u32) {
    put_varint(out, u64::from(field) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a message whose length is not known beforehand.
///
/// One byte is kept free for the length, and the payload is moved when it needs more: right for small messages, which
/// most are.
pub fn put_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let at = begin_message(out, field);
    write(out);
    end_message(out, at);
}

/// Appends a message's tag and keeps a byte free for its length; gives the place for [`end_message`].
pub(crate) fn begin_message(out: &mut Vec<u8>, field: u32) -> usize {
    put_varint(out, u64::from(field) << 3 | 2);
    out.push(0);
    out.len()
}

/// Puts the length of what was appended since [`begin_message`] in its place.
pub(crate) fn end_message(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    let mut header = [0_u8; 10];
    let mut free = &mut header[..];
    put_varint(&mut free, len as u64);
    let n_header = 10 - free.len();
    // Room for what the length needs beyond the byte that was kept.
    out.extend_from_slice(&[0; 10][..n_header - 1]);
    out.copy_within(start..start + len, start + n_header - 1);
    out[start - 1..start - 1 + n_header].copy_from_slice(&header[..n_header]);
}

/// What a field of an already validated message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 5.
    Fixed32(u32),
    /// Wire type 2: a string, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message that the index has validated: (number, value) in wire order, groups left out. Damage, which
/// validation has ruled out, would end the iteration; nothing is guessed and nothing panics.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(Cursor<'a>);

impl<'a> Fields<'a> {
    /// The fields of `message`.
    #[inline]
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self(Cursor::new(message))
    }
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn read(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        let cursor = &mut self.0;
        while let Some((number, wire_type)) = cursor.field()? {
            let value = match wire_type {
                WireType::Varint => Field::Varint(cursor.varint()?),
                WireType::Fixed64 => Field::Fixed64(cursor.fixed64()?),
                WireType::Fixed32 => Field::Fixed32(cursor.fixed32()?),
                WireType::Bytes => Field::Bytes(cursor.bytes()?),
                WireType::Group => {
                    cursor.skip(number, wire_type)?;
                    continue;
                }
            };
            return Ok(Some((number, value)));
        }
        Ok(None)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Field<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.read();
        if field.is_err() {
            // What follows damage is not a field, whatever it looks like.
            self.0 = Cursor::new(&[]);
        }
        field.ok().flatten()
    }
}

#[cfg(test)]
mod tests;
