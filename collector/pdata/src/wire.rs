//! A cursor over protobuf bytes. Every length is checked, nothing is copied, nothing is allocated.
//!
//! Reads what `opentelemetry-proto` messages are made of; a field that a caller does not know is skipped, whatever its
//! number, groups included. Errors are small and carry the byte position in the buffer that the cursor was made on.

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

/// A position in a buffer. `base` is added to positions in errors, so that nested cursors report whole-buffer offsets.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0 }
    }

    /// At the start of `bytes`, which stand at offset `base` of a larger buffer.
    #[inline]
    #[must_use]
    pub fn at_offset(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, at: 0, base }
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
        WireError { kind, at: u32::try_from(self.position()).unwrap_or(u32::MAX) }
    }

    /// The next field's number and wire type; `None` behind the last one.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, WireType)>, WireError> {
        let Some(&first) = self.bytes.get(self.at) else { return Ok(None) };
        // Fields 1 to 15 have one-byte tags: all but a few of OTLP's.
        let tag = if first < 0x80 {
            self.at += 1;
            u64::from(first)
        } else {
            self.varint()?
        };
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            3 | 4 => WireType::Group,
            5 => WireType::Fixed32,
            _ => return Err(self.error(WireErrorKind::WireType)),
        };
        match u32::try_from(tag >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => {
                if tag & 7 == 4 {
                    return Err(self.error(WireErrorKind::Group));
                }
                Ok(Some((number, wire_type)))
            }
            _ => Err(self.error(WireErrorKind::FieldNumber)),
        }
    }

    /// A varint.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for (place, &byte) in self.bytes[self.at.min(self.bytes.len())..].iter().take(10).enumerate() {
            if place == 9 && byte > 1 {
                return Err(self.error(WireErrorKind::Varint));
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.at += place + 1;
                return Ok(value);
            }
        }
        let left = self.bytes.len() - self.at.min(self.bytes.len());
        Err(self.error(if left < 10 { WireErrorKind::Truncated } else { WireErrorKind::Varint }))
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
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.varint()?;
        let rest = &self.bytes[self.at..];
        match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(self.error(WireErrorKind::Truncated)),
        }
    }

    /// A nested message, as a cursor over it.
    #[inline]
    pub fn message(&mut self) -> Result<Self, WireError> {
        let bytes = self.bytes()?;
        Ok(Self { bytes, at: 0, base: self.base + self.at - bytes.len() })
    }

    /// Everything this cursor is over, read or not.
    #[inline]
    #[must_use]
    pub fn whole(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of the first byte this cursor is over, in the larger buffer.
    #[inline]
    #[must_use]
    pub fn start(&self) -> usize {
        self.base
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

/// Length of a varint in bytes.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    // ceil(significant bits / 7), at least 1
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the tag and length of a length-delimited field.
#[inline]
pub fn put_bytes_header(out: &mut Vec<u8>, field: u32, len: usize) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, len as u64);
}

/// Appends a length-delimited field.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_bytes_header(out, field, bytes.len());
    out.extend_from_slice(bytes);
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

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Field<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, wire_type) = self.0.field().ok()??;
            let value = match wire_type {
                WireType::Varint => Field::Varint(self.0.varint().ok()?),
                WireType::Fixed64 => Field::Fixed64(self.0.fixed64().ok()?),
                WireType::Fixed32 => Field::Fixed32(self.0.fixed32().ok()?),
                WireType::Bytes => Field::Bytes(self.0.bytes().ok()?),
                WireType::Group => {
                    self.0.skip(number, wire_type).ok()?;
                    continue;
                }
            };
            return Some((number, value));
        }
    }
}
