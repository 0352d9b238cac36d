//! From the bytes of an ExportTraceServiceRequest to rows, in one pass that is also the validation.
//!
//! Whatever is indexed is well-formed OTLP down to the last attribute: known fields have their wire type, lengths fit,
//! ids have their length, values are not nested beyond a limit. UTF-8 is not demanded (the Go collector does not
//! either). A singular message that occurs twice is merged as protobuf says, by concatenation; scalars are left for the
//! last one to win when they are read.

use bytes::Bytes;

use crate::traces::{Range, ResourceRow, ScopeRow, SpanRow, TraceId, Traces};
use crate::wire::{Cursor, WireError, WireErrorKind, WireType};

/// Messages inside messages within one attribute value; prost's limit for a whole request is 100.
const VALUE_DEPTH: u32 = 90;

/// A span in the wild rarely has fewer bytes than this; used to reserve rows.
const TYPICAL_SPAN_BYTES: usize = 256;

impl Traces {
    /// Indexes the body of a request. On an error nothing of it may be used.
    pub fn index(body: Bytes) -> Result<Self, WireError> {
        let cursor = Cursor::new(&body);
        if u32::try_from(body.len()).is_err() {
            return Err(cursor.error(WireErrorKind::TooLarge));
        }
        let mut index = Index { spans: Vec::with_capacity(body.len() / TYPICAL_SPAN_BYTES), ..Index::default() };
        index.request(cursor)?;
        let Index { resources, scopes, spans, merged } = index;
        let mut buffers = Vec::with_capacity(1 + usize::from(!merged.is_empty()));
        buffers.push(body);
        if !merged.is_empty() {
            buffers.push(Bytes::from(merged));
        }
        Ok(Self { buffers, resources, scopes, spans })
    }
}

#[derive(Default)]
struct Index {
    resources: Vec<ResourceRow>,
    scopes: Vec<ScopeRow>,
    spans: Vec<SpanRow>,
    /// Buffer 1: messages that came in pieces.
    merged: Vec<u8>,
}

impl Index {
    fn request(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        while let Some((number, wire_type)) = cursor.field()? {
            if number == 1 {
                cursor.expect(wire_type, WireType::Bytes)?;
                let message = cursor.message()?;
                self.resource_spans(message)?;
            } else {
                cursor.skip(number, wire_type)?;
            }
        }
        Ok(())
    }

    fn resource_spans(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        let row = self.resources.len();
        self.resources.push(ResourceRow { resource: Range::ABSENT, schema_url: Range::ABSENT });
        let number_of_row = u32::try_from(row).map_err(|_| cursor.error(WireErrorKind::TooLarge))?;
        let whole = cursor;
        while let Some((number, wire_type)) = cursor.field()? {
            match number {
                1 => {
                    cursor.expect(wire_type, WireType::Bytes)?;
                    let message = cursor.message()?;
                    resource(message)?;
                    self.resources[row].resource = self.set(self.resources[row].resource, &message, whole)?;
                }
                2 => {
                    cursor.expect(wire_type, WireType::Bytes)?;
                    let message = cursor.message()?;
                    self.scope_spans(message, number_of_row)?;
                }
                3 => {
                    cursor.expect(wire_type, WireType::Bytes)?;
                    self.resources[row].schema_url = range(&cursor.message()?);
                }
                _ => cursor.skip(number, wire_type)?,
            }
        }
        Ok(())
    }

    fn scope_spans(&mut self, mut cursor: Cursor<'_>, resource: u32) -> Result<(), WireError> {
        let row = self.scopes.len();
        self.scopes.push(ScopeRow { resource, scope: Range::ABSENT, schema_url: Range::ABSENT });
        let number_of_row = u32::try_from(row).map_err(|_| cursor.error(WireErrorKind::TooLarge))?;
        let whole = cursor;
        while let Some((number, wire_type)) = cursor.field()? {
            match number {
                2 => {
                    cursor.expect(wire_type, WireType::Bytes)?;
                    let message = cursor.message()?;
                    let at = range(&message);
                    let trace_id = span(message)?;
                    self.spans.push(SpanRow { trace_id, scope: number_of_row, span: at });
                }
                1 => {
                    cursor.expect(wire_type, WireType::Bytes)?;
                    let message = cursor.message()?;
                    scope(message)?;
                    self.scopes[row].scope = self.set(self.scopes[row].scope, &message, whole)?;
                }
                3 => {
                    cursor.expect(wire_type, WireType::Bytes)?;
                    self.scopes[row].schema_url = range(&cursor.message()?);
                }
                _ => cursor.skip(number, wire_type)?,
            }
        }
        Ok(())
    }

    /// The range of a singular message: the first occurrence as it lies, a later one merged with what came before.
    fn set(&mut self, before: Range, message: &Cursor<'_>, whole: Cursor<'_>) -> Result<Range, WireError> {
        if before == Range::ABSENT {
            return Ok(range(message));
        }
        let start = self.merged.len();
        let (from, len) = (before.start as usize, before.len as usize);
        if before.buffer == 1 {
            self.merged.extend_from_within(from..from + len);
        } else {
            let from = from - whole.start();
            self.merged.extend_from_slice(&whole.whole()[from..from + len]);
        }
        self.merged.extend_from_slice(message.whole());
        // Each merge copies what came before: without a bound a hostile request would make it quadratic.
        if self.merged.len() > MERGED_BYTES {
            return Err(message.error(WireErrorKind::TooLarge));
        }
        let too_large = |_| message.error(WireErrorKind::TooLarge);
        Ok(Range {
            buffer: 1,
            start: u32::try_from(start).map_err(too_large)?,
            len: u32::try_from(self.merged.len() - start).map_err(too_large)?,
        })
    }
}

/// Most bytes that merging may copy for one request.
const MERGED_BYTES: usize = 64 << 20;

fn range(message: &Cursor<'_>) -> Range {
    // The body's length was checked to fit 32 bits, so offsets into it do.
    let start = u32::try_from(message.start()).unwrap_or(u32::MAX);
    Range { buffer: 0, start, len: u32::try_from(message.whole().len()).unwrap_or(u32::MAX) }
}

fn resource(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            1 => attribute(&mut cursor, wire_type, VALUE_DEPTH)?,
            2 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

fn scope(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            1 | 2 => scalar(&mut cursor, wire_type, WireType::Bytes)?,
            3 => attribute(&mut cursor, wire_type, VALUE_DEPTH)?,
            4 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

/// Validates a span and reads its trace id, the one thing that every batch needs.
fn span(mut cursor: Cursor<'_>) -> Result<TraceId, WireError> {
    let mut trace_id = TraceId::default();
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            9 => attribute(&mut cursor, wire_type, VALUE_DEPTH)?,
            1 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                trace_id = id(&mut cursor)?;
            }
            2 | 4 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                id::<8>(&mut cursor)?;
            }
            3 | 5 => scalar(&mut cursor, wire_type, WireType::Bytes)?,
            7 | 8 => scalar(&mut cursor, wire_type, WireType::Fixed64)?,
            6 | 10 | 12 | 14 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            16 => scalar(&mut cursor, wire_type, WireType::Fixed32)?,
            11 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                event(cursor.message()?)?;
            }
            13 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                link(cursor.message()?)?;
            }
            15 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                status(cursor.message()?)?;
            }
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(trace_id)
}

fn event(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            1 => scalar(&mut cursor, wire_type, WireType::Fixed64)?,
            2 => scalar(&mut cursor, wire_type, WireType::Bytes)?,
            3 => attribute(&mut cursor, wire_type, VALUE_DEPTH)?,
            4 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

fn link(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            1 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                id::<16>(&mut cursor)?;
            }
            2 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                id::<8>(&mut cursor)?;
            }
            3 => scalar(&mut cursor, wire_type, WireType::Bytes)?,
            4 => attribute(&mut cursor, wire_type, VALUE_DEPTH)?,
            5 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            6 => scalar(&mut cursor, wire_type, WireType::Fixed32)?,
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

fn status(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            2 => scalar(&mut cursor, wire_type, WireType::Bytes)?,
            3 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

/// An id of `N` bytes, or an empty one, which is all zero.
#[inline]
fn id<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[u8; N], WireError> {
    let bytes = cursor.bytes()?;
    match <[u8; N]>::try_from(bytes) {
        Ok(id) => Ok(id),
        Err(_) if bytes.is_empty() => Ok([0; N]),
        Err(_) => Err(cursor.error(WireErrorKind::IdLength)),
    }
}

#[inline]
fn scalar(cursor: &mut Cursor<'_>, got: WireType, wanted: WireType) -> Result<(), WireError> {
    cursor.expect(got, wanted)?;
    // The number is only used for groups, which a known field cannot be.
    cursor.skip(0, got)
}

/// A KeyValue whose tag was just read.
#[inline]
fn attribute(cursor: &mut Cursor<'_>, wire_type: WireType, depth: u32) -> Result<(), WireError> {
    cursor.expect(wire_type, WireType::Bytes)?;
    let mut entry = cursor.message()?;
    while let Some((number, wire_type)) = entry.field()? {
        match number {
            1 => scalar(&mut entry, wire_type, WireType::Bytes)?,
            2 => {
                entry.expect(wire_type, WireType::Bytes)?;
                any_value(entry.message()?, depth)?;
            }
            _ => entry.skip(number, wire_type)?,
        }
    }
    Ok(())
}

#[inline]
fn any_value(mut cursor: Cursor<'_>, depth: u32) -> Result<(), WireError> {
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            1 | 7 => scalar(&mut cursor, wire_type, WireType::Bytes)?,
            2 | 3 => scalar(&mut cursor, wire_type, WireType::Varint)?,
            4 => scalar(&mut cursor, wire_type, WireType::Fixed64)?,
            5 | 6 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                collection(cursor.message()?, number == 6, depth)?;
            }
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

fn collection(mut cursor: Cursor<'_>, is_map: bool, depth: u32) -> Result<(), WireError> {
    let Some(depth) = depth.checked_sub(if is_map { 3 } else { 2 }) else {
        return Err(cursor.error(WireErrorKind::Depth));
    };
    while let Some((number, wire_type)) = cursor.field()? {
        match number {
            1 if is_map => attribute(&mut cursor, wire_type, depth)?,
            1 => {
                cursor.expect(wire_type, WireType::Bytes)?;
                any_value(cursor.message()?, depth)?;
            }
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}
