//! One validating pass over an `ExportTraceServiceRequest`: afterwards every row of the batch is known to be
//! well-formed OTLP, and nothing downstream meets a malformed message.
//!
//! Everything is checked that a decoder would check, down to attributes of events and links: lengths, wire types of
//! known fields, nesting, id lengths. UTF-8 is not demanded: Go's pdata takes any bytes as a string, so a request that
//! the Go collector passes on passes here too. Nothing is decoded but trace ids, and nothing is allocated per span but
//! its row.

mod plain;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use plain::{PlainHead, plain_attributes, plain_key};

use crate::traces::{Range, ResourceRow, ScopeRow, SpanOrder, SpanRow, TraceId, Traces};
use crate::wire::{Cursor, WireError, WireErrorKind};

/// How deep lists and maps in attribute values may nest. Go has no bound and prost stops at 100 messages.
pub(crate) const MAX_VALUE_DEPTH: u32 = 100;

/// Rows are reserved for spans of this size; smaller spans make the vector grow a few times.
const EXPECTED_SPAN_BYTES: usize = 400;

impl Traces {
    /// Indexes an `ExportTraceServiceRequest` (or `TracesData`: the same bytes), refusing what is not well-formed.
    ///
    /// Of repeated scalars the last counts; repeated singular messages are merged; unknown fields are passed over.
    /// `ScopeSpans` in the retired field 1000 count when a resource has no others, as in Go's pdata.
    pub fn index(body: Bytes) -> Result<Self, WireError> {
        if u32::try_from(body.len()).is_err() {
            return Err(Cursor::error_at(usize::MAX, WireErrorKind::TooLarge));
        }
        let mut indexer = Indexer {
            body: &body,
            resources: Vec::with_capacity(1),
            scopes: Vec::with_capacity(1),
            spans: Vec::with_capacity(body.len() / EXPECTED_SPAN_BYTES + 1),
            merged: Vec::new(),
        };
        indexer.request()?;
        let Indexer { resources, scopes, spans, merged, .. } = indexer;
        let mut buffers = Vec::with_capacity(2);
        buffers.push(body);
        if !merged.is_empty() {
            buffers.push(Bytes::from(merged));
        }
        Ok(Self { buffers, resources, scopes, spans, peer: None })
    }
}

/// Buffer numbers that [`Indexer`] hands out.
const BODY: u32 = 0;
const MERGED: u32 = 1;

struct Indexer<'a> {
    body: &'a [u8],
    resources: Vec<ResourceRow>,
    scopes: Vec<ScopeRow>,
    spans: Vec<SpanRow>,
    /// Payloads of singular messages that came in several parts, put together.
    merged: Vec<u8>,
}

/// The parts of a singular message: almost always none or one.
struct Parts {
    first: Range,
    more: Vec<Range>,
}

impl Parts {
    fn new() -> Self {
        Self { first: Range::ABSENT, more: Vec::new() }
    }

    fn add(&mut self, part: Range) {
        if self.first == Range::ABSENT {
            self.first = part;
        } else {
            self.more.push(part);
        }
    }
}

impl<'a> Indexer<'a> {
    fn request(&mut self) -> Result<(), WireError> {
        let mut cursor = Cursor::new(self.body);
        while let Some(tag) = cursor.tag()? {
            match tag {
                LEN_1 => self.resource_spans(cursor.message()?)?,
                _ => unknown(&mut cursor, tag, 1)?,
            }
        }
        Ok(())
    }

    fn resource_spans(&mut self, mut cursor: Cursor<'a>) -> Result<(), WireError> {
        let row = self.resources.len();
        let first_scope = self.scopes.len();
        self.resources.push(ResourceRow { resource: Range::ABSENT, schema_url: Range::ABSENT });
        let mut resource = Parts::new();
        let mut schema_url = Range::ABSENT;
        let mut retired = Vec::new();
        while let Some(tag) = cursor.tag()? {
            match tag {
                LEN_1 => {
                    let message = cursor.message()?;
                    resource.add(body_range(&message));
                    validate_resource(message)?;
                }
                LEN_2 => self.scope_spans(cursor.message()?, row)?,
                LEN_3 => schema_url = string_range(&mut cursor)?,
                LEN_1000 => retired.push(cursor.message()?),
                _ if tag >> 3 == 1000 => return Err(wrong_wire_type(&cursor)),
                _ => unknown(&mut cursor, tag, 3)?,
            }
        }
        let (n_scopes, n_spans) = (self.scopes.len(), self.spans.len());
        for message in retired {
            self.scope_spans(message, row)?;
        }
        if n_scopes > first_scope {
            self.scopes.truncate(n_scopes);
            self.spans.truncate(n_spans);
        }
        let resource = self.join(resource);
        if let Some(row) = self.resources.get_mut(row) {
            *row = ResourceRow { resource, schema_url };
        }
        Ok(())
    }

    fn scope_spans(&mut self, mut cursor: Cursor<'a>, resource: usize) -> Result<(), WireError> {
        let row = self.scopes.len();
        self.scopes.push(ScopeRow { resource: 0, scope: Range::ABSENT, schema_url: Range::ABSENT });
        let mut scope = Parts::new();
        let mut schema_url = Range::ABSENT;
        while let Some(tag) = cursor.tag()? {
            match tag {
                LEN_1 => {
                    let message = cursor.message()?;
                    scope.add(body_range(&message));
                    validate_scope(message)?;
                }
                LEN_2 => {
                    let message = cursor.long_message()?;
                    let span = body_range(&message);
                    let onward = self.body.get(message.start()..).unwrap_or_default();
                    let Checked { trace_id, order } = validate_span(message, onward)?;
                    self.spans.push(SpanRow { trace_id, scope: row as u32, span, order });
                }
                LEN_3 => schema_url = string_range(&mut cursor)?,
                _ => unknown(&mut cursor, tag, 3)?,
            }
        }
        let scope = self.join(scope);
        if let Some(row) = self.scopes.get_mut(row) {
            *row = ScopeRow { resource: resource as u32, scope, schema_url };
        }
        Ok(())
    }

    /// Concatenated payloads of a message are the merged message. All parts lie in the body, and each is copied once,
    /// so `merged` never outgrows it.
    fn join(&mut self, parts: Parts) -> Range {
        if parts.more.is_empty() {
            return parts.first;
        }
        let start = self.merged.len();
        for part in std::iter::once(parts.first).chain(parts.more) {
            let from = part.start as usize;
            self.merged.extend_from_slice(self.body.get(from..from + part.len as usize).unwrap_or_default());
        }
        Range { buffer: MERGED, start: start as u32, len: (self.merged.len() - start) as u32 }
    }
}

const LEN_1: u32 = 1 << 3 | 2;
const LEN_2: u32 = 2 << 3 | 2;
const LEN_3: u32 = 3 << 3 | 2;
const LEN_1000: u32 = 1000 << 3 | 2;

/// Tags of a Span.
const ATTRIBUTE: u32 = 0x4a;
const EVENT: u32 = 0x5a;
const LINK: u32 = 0x6a;
const FLAGS: u32 = 0x85;

/// The range of a message of the body. The body's length fits 32 bits, so do its offsets.
#[inline(always)]
fn body_range(message: &Cursor<'_>) -> Range {
    Range { buffer: BODY, start: message.start() as u32, len: message.whole().len() as u32 }
}

fn string_range(cursor: &mut Cursor<'_>) -> Result<Range, WireError> {
    Ok(body_range(&cursor.message()?))
}

#[cold]
fn wrong_wire_type(cursor: &Cursor<'_>) -> WireError {
    cursor.error(WireErrorKind::WireType)
}

/// A field that no arm took: refused where its number is one of the message's own (1 to `last`), else passed over.
#[cold]
#[inline(never)]
fn unknown(cursor: &mut Cursor<'_>, tag: u32, last: u32) -> Result<(), WireError> {
    if tag >> 3 <= last { Err(wrong_wire_type(cursor)) } else { skip(cursor, tag) }
}

/// Passes over a field whose tag was just read.
#[inline(never)]
pub(crate) fn skip(cursor: &mut Cursor<'_>, tag: u32) -> Result<(), WireError> {
    cursor.skip_tag(tag)
}

/// Checks a Resource message.
pub(crate) fn validate_resource(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_1 => key_value(cursor.message()?, MAX_VALUE_DEPTH)?,
            0x10 => drop(cursor.varint()?),
            LEN_3 => entity_ref(cursor.message()?)?,
            _ => unknown(&mut cursor, tag, 3)?,
        }
    }
    Ok(())
}

fn entity_ref(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_1 | LEN_2 | LEN_3 | 0x22 => drop(cursor.bytes()?),
            _ => unknown(&mut cursor, tag, 4)?,
        }
    }
    Ok(())
}

/// Checks an InstrumentationScope message.
pub(crate) fn validate_scope(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_1 | LEN_2 => drop(cursor.bytes()?),
            LEN_3 => key_value(cursor.message()?, MAX_VALUE_DEPTH)?,
            0x20 => drop(cursor.varint()?),
            _ => unknown(&mut cursor, tag, 4)?,
        }
    }
    Ok(())
}

/// What checking a Span message finds.
pub(crate) struct Checked {
    pub(crate) trace_id: TraceId,
    pub(crate) order: SpanOrder,
}

/// Checks a Span message, reads its trace id, and sees whether its fields come in order. The message is what `onward` begins
/// with; what stands behind it makes it quicker.
pub(crate) fn validate_span(mut cursor: Cursor<'_>, onward: &[u8]) -> Result<Checked, WireError> {
    let start = cursor.position();
    let run = |cursor: &Cursor<'_>| {
        plain_attributes(onward.get(cursor.position() - start..).unwrap_or_default(), cursor.rest().len())
    };
    let mut trace_id = TraceId::default();
    let (mut last, mut in_order) = (0, true);
    let (mut attributes_start, mut attributes_end, mut keys, mut plain) = (None, None, 0, true);
    let head = PlainHead::read(onward, cursor.rest().len());
    let plain_head = head.is_some();
    if let Some(head) = head {
        trace_id = head.trace_id;
        cursor.advance(head.len);
        last = PlainHead::LAST_TAG;
        let run = run(&cursor);
        if run.len > 0 {
            (attributes_start, keys, last) = (Some(cursor.position()), run.keys, ATTRIBUTE);
            cursor.advance(run.len);
            attributes_end = take_flags(&mut cursor, &mut last);
        }
    }
    loop {
        let at = cursor.position();
        let Some(tag) = cursor.tag()? else { break };
        // Attributes, events and links repeat. A tag that is longer than need be counts as out of order.
        let repeats = matches!(tag, ATTRIBUTE | EVENT | LINK) && tag == last;
        let tag_len = cursor.position() - at;
        in_order &= (tag > last || repeats) && (tag_len == 1 || (tag == FLAGS && tag_len == 2));
        if tag >= ATTRIBUTE && last < ATTRIBUTE {
            attributes_start = Some(at);
        }
        if tag > ATTRIBUTE && last <= ATTRIBUTE {
            attributes_end = Some(at);
        }
        last = tag;
        match tag {
            // trace_id
            0x0a => trace_id = read_id(&mut cursor)?,
            // span_id, parent_span_id
            0x12 | 0x22 => drop(read_id::<8>(&mut cursor)?),
            // trace_state, name
            0x1a | 0x2a => drop(cursor.bytes()?),
            // kind, dropped attributes, events and links
            0x30 | 0x50 | 0x60 | 0x70 => drop(cursor.varint()?),
            // start and end
            0x39 | 0x41 => drop(cursor.fixed64()?),
            // Most fields are attributes behind attributes, which change nothing about the order.
            ATTRIBUTE => loop {
                let message = cursor.message()?;
                keys |= match plain_key(message.whole()) {
                    Some(key) => SpanOrder::key_bit(key),
                    None => {
                        // The length of a longer one takes two bytes.
                        plain &= message.whole().len() >= 0x80;
                        any_key_value(message, MAX_VALUE_DEPTH)?
                    }
                };
                let run = run(&cursor);
                keys |= run.keys;
                cursor.advance(run.len);
                if !cursor.take_tag(ATTRIBUTE as u8) {
                    attributes_end = attributes_end.or(take_flags(&mut cursor, &mut last));
                    break;
                }
            },
            EVENT => event(cursor.message()?)?,
            LINK => link(cursor.message()?)?,
            // status
            0x7a => status(cursor.message()?)?,
            FLAGS => drop(cursor.fixed32()?),
            _ => {
                in_order = false;
                unknown(&mut cursor, tag, 16)?;
            }
        }
    }
    let end = cursor.position();
    let within = |at: Option<usize>| at.unwrap_or(end).saturating_sub(start);
    let order = match in_order {
        true => SpanOrder::new(within(attributes_start), within(attributes_end), keys, plain_head, plain),
        false => SpanOrder::NONE,
    };
    Ok(Checked { trace_id, order })
}

/// Passes over a span's flags if they are all that is left of it, as behind the attributes of most. Where they begin.
#[inline(always)]
fn take_flags(cursor: &mut Cursor<'_>, last: &mut u32) -> Option<usize> {
    let [0x85, 0x01, _, _, _, _] = cursor.rest() else { return None };
    let at = cursor.position();
    *last = FLAGS;
    cursor.advance(6);
    Some(at)
}

/// An id of `N` bytes; an empty one is all zero.
#[inline]
pub(crate) fn read_id<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[u8; N], WireError> {
    let at = cursor.position();
    let bytes = cursor.bytes()?;
    if bytes.is_empty() {
        return Ok([0; N]);
    }
    <[u8; N]>::try_from(bytes).map_err(|_| Cursor::error_at(at, WireErrorKind::IdLength))
}

fn event(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            0x09 => drop(cursor.fixed64()?),
            LEN_2 => drop(cursor.bytes()?),
            LEN_3 => key_value(cursor.message()?, MAX_VALUE_DEPTH)?,
            0x20 => drop(cursor.varint()?),
            _ => unknown(&mut cursor, tag, 4)?,
        }
    }
    Ok(())
}

fn link(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_1 => drop(read_id::<16>(&mut cursor)?),
            LEN_2 => drop(read_id::<8>(&mut cursor)?),
            LEN_3 => drop(cursor.bytes()?),
            0x22 => key_value(cursor.message()?, MAX_VALUE_DEPTH)?,
            0x28 => drop(cursor.varint()?),
            0x35 => drop(cursor.fixed32()?),
            _ => unknown(&mut cursor, tag, 6)?,
        }
    }
    Ok(())
}

fn status(mut cursor: Cursor<'_>) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_2 => drop(cursor.bytes()?),
            0x18 => drop(cursor.varint()?),
            // Field 1 is reserved: old senders put a deprecated code there, so it is unknown, not wrong.
            _ if tag >> 3 == 1 => skip(&mut cursor, tag)?,
            _ => unknown(&mut cursor, tag, 3)?,
        }
    }
    Ok(())
}

/// Checks a KeyValue message.
pub(crate) fn validate_attribute(cursor: Cursor<'_>) -> Result<(), WireError> {
    key_value(cursor, MAX_VALUE_DEPTH)
}

/// Checks a KeyValue message whose value may nest `depth` levels.
#[inline(always)]
fn key_value(cursor: Cursor<'_>, depth: u32) -> Result<(), WireError> {
    if plain_key(cursor.whole()).is_none() {
        any_key_value(cursor, depth)?;
    }
    Ok(())
}

/// Checks any KeyValue message; the bit of its key, which is the last one where there are several.
#[inline(never)]
fn any_key_value(mut cursor: Cursor<'_>, depth: u32) -> Result<u64, WireError> {
    let mut key: &[u8] = &[];
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_1 => key = cursor.bytes()?,
            LEN_2 => any_value(cursor.message()?, depth)?,
            0x18 => drop(cursor.varint()?),
            _ => unknown(&mut cursor, tag, 3)?,
        }
    }
    Ok(SpanOrder::key_bit(key))
}

#[inline]
fn any_value(mut cursor: Cursor<'_>, depth: u32) -> Result<(), WireError> {
    while let Some(tag) = cursor.tag()? {
        match tag {
            // string, bytes
            0x0a | 0x3a => drop(cursor.bytes()?),
            // bool, int, string index
            0x10 | 0x18 | 0x40 => drop(cursor.varint()?),
            // double
            0x21 => drop(cursor.fixed64()?),
            // list, map
            0x2a | 0x32 => nested(cursor.message()?, depth, tag == 0x32)?,
            _ => unknown(&mut cursor, tag, 8)?,
        }
    }
    Ok(())
}

/// Checks an ArrayValue, or a KeyValueList if `map`.
#[inline(never)]
fn nested(mut cursor: Cursor<'_>, depth: u32, map: bool) -> Result<(), WireError> {
    let Some(depth) = depth.checked_sub(1) else { return Err(cursor.error(WireErrorKind::Depth)) };
    while let Some(tag) = cursor.tag()? {
        match tag {
            LEN_1 if map => key_value(cursor.message()?, depth)?,
            LEN_1 => any_value(cursor.message()?, depth)?,
            _ => unknown(&mut cursor, tag, 1)?,
        }
    }
    Ok(())
}
