//! A record as it is written: a header of varints, and the packed span without what its header knows.

use pdata::TraceId;
use pdata::wire::{Cursor, put_varint};

use super::super::pack;
use super::Link;

/// The most bytes that a record's header takes: four varints of up to 33 bits. Seven are usual.
pub(super) const HEADER_BYTES: usize = 20;

/// What a span begins with whose sender writes fields in order: the tag and length of its trace id.
pub(super) const ID_FIELD: [u8; 2] = [0x0a, 16];

/// Bytes of the trace id's field. The log does not keep it: whoever has the link knows whose it is.
pub(super) const ID_BYTES: usize = ID_FIELD.len() + size_of::<TraceId>();

/// Writes what stands before a packed span: how many segments back the record before it is, counted from 1, and where
/// (0 alone if there is none); the envelope; the span's length, doubled, and odd if its trace id is left out. Where that ends.
#[inline]
pub(super) fn put(
    buf: &mut [u8],
    at: usize,
    number: u32,
    previous: Link,
    envelope: u32,
    len: usize,
    without_id: bool,
) -> Option<usize> {
    // Lengths fit 32 bits: the index refuses larger requests.
    let len = (len as u64) << 1 | u64::from(without_id);
    let at = match previous {
        Link::NONE => put_number(buf, at, 0)?,
        Link { segment, offset } => {
            let at = put_number(buf, at, u64::from(number.wrapping_sub(segment)) + 1)?;
            put_number(buf, at, u64::from(offset))?
        }
    };
    let at = put_number(buf, at, u64::from(envelope))?;
    put_number(buf, at, len)
}

/// Writes a varint and says where it ends. Four bytes are written where it has fewer: with numbers of all lengths, a loop over
/// their bytes is a jump that nobody foresees.
#[inline(always)]
pub(super) fn put_number(buf: &mut [u8], at: usize, number: u64) -> Option<usize> {
    if number >= 1 << 28 {
        return put_large_number(buf, at, number);
    }
    let number = number as u32;
    let more = u32::from(number >= 1 << 7) + u32::from(number >= 1 << 14) + u32::from(number >= 1 << 21);
    let group = |nth: u32| (number >> (7 * nth) & 0x7f) << (8 * nth);
    let continues = 0x0080_8080 & !(u32::MAX << (8 * more));
    *buf.get_mut(at..)?.first_chunk_mut()? = (group(0) | group(1) | group(2) | group(3) | continues).to_le_bytes();
    Some(at + more as usize + 1)
}

#[cold]
fn put_large_number(buf: &mut [u8], at: usize, number: u64) -> Option<usize> {
    let mut varint = Vec::with_capacity(HEADER_BYTES);
    put_varint(&mut varint, number);
    let end = at + varint.len();
    buf.get_mut(at..end)?.copy_from_slice(&varint);
    Some(end)
}

/// The link before a record and its envelope; its span is appended to `span`.
#[inline]
pub(super) fn read(bytes: &[u8], id: &TraceId, link: Link, span: &mut Vec<u8>) -> Option<(Link, u32)> {
    let offset = link.offset as usize;
    let mut header = Cursor::new(bytes.get(offset..)?);
    let mut varint = || header.varint().ok();
    let previous = match u32::try_from(varint()?).ok()? {
        0 => Link::NONE,
        back => {
            Link { segment: link.segment.wrapping_sub(back.wrapping_sub(1)), offset: u32::try_from(varint()?).ok()? }
        }
    };
    let envelope = u32::try_from(varint()?).ok()?;
    let len = varint()?;
    let mut left = usize::try_from(len >> 1).ok()?;
    if len & 1 == 1 {
        span.extend_from_slice(&ID_FIELD);
        span.extend_from_slice(id);
        left = left.checked_sub(ID_BYTES)?;
    }
    pack::unpack(bytes, offset + header.position(), left, span)?;
    Some((previous, envelope))
}
