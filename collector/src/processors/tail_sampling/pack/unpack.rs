//! Reading packed spans.

use pdata::wire::Cursor;

use super::bytes::{append, field_end};
use super::plan::Plain;
use super::{
    ATTRIBUTE, COPY, HEAD, IDS, INSERT, KIND_BYTES, OMIT, PREFIXED, REPLACE, SPAN_ID, TEMPLATE, TIMES, TIMES_BYTES,
    VALUE,
};

/// Appends the span of `len` bytes that was packed at `at`; `None` if there is none.
pub(in super::super) fn unpack(segment: &[u8], at: usize, len: usize, out: &mut Vec<u8>) -> Option<()> {
    let first = *segment.get(at)?;
    if first & TEMPLATE == 0 {
        out.extend_from_slice(segment.get(at + 1..)?.get(..len)?);
        return Some(());
    }
    let wanted = out.len().checked_add(len)?;
    let mut template =
        u32::from_be_bytes([0, first & !TEMPLATE, *segment.get(at + 1)?, *segment.get(at + 2)?]) as usize;
    let mut packed = segment.get(at + 3..)?;
    while out.len() < wanted {
        let (&operation, behind) = packed.split_first()?;
        packed = behind;
        // Behind the end of the segment if its last field there was cut; then nothing more is read of it.
        let other = segment.get(template..).unwrap_or_default();
        match operation {
            0..COPY => {
                let (text, len) = (packed, usize::from(operation));
                packed = packed.get(len..)?;
                template += put_attribute(other, &[], (text, len), out)?;
            }
            COPY..PREFIXED => {
                let mut end = 0;
                for _ in 0..=operation - COPY {
                    end = field_end(other, end)?;
                }
                out.extend_from_slice(other.get(..end)?);
                template += end;
            }
            PREFIXED => {
                let (&[prefix, rest], behind) = packed.split_first_chunk()?;
                packed = behind.get(usize::from(rest)..)?;
                let plain = Plain::read(other).filter(|plain| plain.is_text)?;
                let prefix = other.get(plain.content_at..plain.len)?.get(..usize::from(prefix))?;
                template += put_attribute(other, prefix, (behind, usize::from(rest)), out)?;
            }
            VALUE => {
                let (&len, behind) = packed.split_first()?;
                let (value, behind) = behind.split_at_checked(usize::from(len))?;
                packed = behind;
                let (key, other_len) = key_of(other)?;
                put_key(key, 2 + value.len(), out)?;
                out.extend_from_slice(&[0x12, len]);
                out.extend_from_slice(value);
                template += other_len;
            }
            SPAN_ID | IDS => {
                let (id, behind) = packed.split_first_chunk::<8>()?;
                packed = behind;
                put_id(0x12, id, out);
                if operation == IDS {
                    let (parent, behind) = packed.split_first_chunk::<8>()?;
                    packed = behind;
                    put_id(0x22, parent, out);
                }
            }
            TIMES => {
                let (low, behind) = packed.split_first_chunk()?;
                packed = behind;
                put_times(other, *low, out)?;
                template += TIMES_BYTES;
            }
            HEAD => {
                let (&kind, behind) = packed.split_first()?;
                let (low, behind) = behind.split_first_chunk()?;
                packed = behind;
                let name = field_end(other, 0)?;
                out.extend_from_slice(other.get(..name)?);
                out.extend_from_slice(&[0x30, kind]);
                put_times(other.get(name + KIND_BYTES..)?, *low, out)?;
                template += name + KIND_BYTES + TIMES_BYTES;
            }
            INSERT | REPLACE => {
                let mut cursor = Cursor::new(packed);
                let len = usize::try_from(cursor.varint().ok()?).ok()?;
                let bytes = packed.get(cursor.position()..)?;
                packed = bytes.get(len..)?;
                append(out, bytes, len);
                if operation == REPLACE {
                    template += field_end(other, 0)?;
                }
            }
            OMIT => template += field_end(other, 0)?,
            _ => return None,
        }
    }
    (out.len() == wanted).then_some(())
}

/// Adds an id of eight bytes.
#[inline]
fn put_id(tag: u8, [a, b, c, d, e, f, g, h]: &[u8; 8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[tag, 8, *a, *b, *c, *d, *e, *f, *g, *h]);
}

/// Adds start and end: these low bytes of each, the others as in the template.
#[inline]
fn put_times(other: &[u8], [a, b, c, d, e, f, g, h, i, j]: [u8; 10], out: &mut Vec<u8>) -> Option<()> {
    let [_, _, _, _, _, _, k, l, m, _, _, _, _, _, _, n, o, p] = *other.first_chunk()?;
    out.extend_from_slice(&[0x39, a, b, c, d, e, k, l, m, 0x41, f, g, h, i, j, n, o, p]);
    Some(())
}

/// Adds an attribute with the key of a template's and a string in two parts, of which the second is so many of the bytes
/// that stand there; the length of the template's attribute.
#[inline]
fn put_attribute(other: &[u8], prefix: &[u8], rest: (&[u8], usize), out: &mut Vec<u8>) -> Option<usize> {
    let (key, other_len) = key_of(other)?;
    let len = prefix.len() + rest.1;
    put_key(key, 4 + len, out)?;
    out.extend_from_slice(&[0x12, u8::try_from(len + 2).ok()?, 0x0a, u8::try_from(len).ok()?]);
    out.extend_from_slice(prefix);
    append(out, rest.0, rest.1);
    Some(other_len)
}

/// Adds an attribute up to its value's field, which has so many bytes.
#[inline]
fn put_key(key: &[u8], value_len: usize, out: &mut Vec<u8>) -> Option<()> {
    let len = u8::try_from(2 + key.len() + value_len).ok().filter(|len| *len < 0x80)?;
    out.extend_from_slice(&[ATTRIBUTE, len, 0x0a, u8::try_from(key.len()).ok()?]);
    out.extend_from_slice(key);
    Some(())
}

/// The key of the attribute that `fields` begin with, and the length of that field.
#[inline]
fn key_of(fields: &[u8]) -> Option<(&[u8], usize)> {
    let &[ATTRIBUTE, len @ 0..0x80, 0x0a, key_len @ 0..0x80, ref rest @ ..] = fields else { return None };
    Some((rest.get(..usize::from(key_len))?, 2 + usize::from(len)))
}
