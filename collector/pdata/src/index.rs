//! One validating pass over an `ExportTraceServiceRequest`: afterwards every row of the batch is known to be
//! well-formed OTLP, and nothing downstream meets a malformed message.
//!
//! Everything is checked that a decoder would check, down to attributes of events and links: lengths, wire types of
//! known fields, nesting, id lengths. UTF-8 is not demanded: Go's pdata takes any bytes as a string, so a request that
//! the Go collector passes on passes here too. Nothing is decoded but trace ids, and nothing is allocated per span but
//! its row.

use bytes::Bytes;

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
                    let Checked { trace_id, order } = validate_span(message)?;
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

/// Checks a Span message, reads its trace id, and sees whether its fields come in order.
pub(crate) fn validate_span(mut cursor: Cursor<'_>) -> Result<Checked, WireError> {
    let start = cursor.position();
    let mut trace_id = TraceId::default();
    let (mut last, mut in_order) = (0, true);
    let (mut attributes_start, mut attributes_end, mut keys, mut plain) = (None, None, 0, true);
    let head = PlainHead::read(cursor.rest());
    let plain_head = head.is_some();
    if let Some(head) = head {
        trace_id = head.trace_id;
        cursor.advance(head.len);
        last = PlainHead::LAST_TAG;
        let run = plain_attributes(cursor.rest());
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
                let run = plain_attributes(cursor.rest());
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

/// The key of a KeyValue that is what nearly all are: a key below 128 bytes and one scalar, each once and in order, lengths of
/// one byte, or a string of two. Most of a request's bytes are attributes, and this takes a third of the general loop's time.
/// It only ever takes what the general loop accepts.
#[inline(always)]
fn plain_key(message: &[u8]) -> Option<&[u8]> {
    let &[0x0a, key_len @ 0..0x80, ref rest @ ..] = message else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_len))?;
    let &[0x12, value_len, ref value @ ..] = rest else { return None };
    if value_len >= 0x80 {
        return is_long_text(rest).then_some(key);
    }
    if value.len() != usize::from(value_len) {
        return None;
    }
    let plain = match *value {
        // string
        [0x0a, len @ 0..0x80, ref text @ ..] => text.len() == usize::from(len),
        // bool, int
        [0x10 | 0x18, 0..0x80] | [0x18, 0x80..=0xff, 0..0x80] => true,
        // double
        [0x21, ref bits @ ..] => bits.len() == 8,
        _ => false,
    };
    plain.then_some(key)
}

/// Whether a value field is a string whose value's length takes two bytes.
#[inline]
fn is_long_text(field: &[u8]) -> bool {
    let two = |low: u8, high: u8| usize::from(low & 0x7f) | usize::from(high) << 7;
    let &[_, low, high @ 0..0x80, ref value @ ..] = field else { return false };
    value.len() == two(low, high)
        && match *value {
            [0x0a, len @ 0..0x80, ref text @ ..] => text.len() == usize::from(len),
            [0x0a, low, high @ 0..0x80, ref text @ ..] => text.len() == two(low, high),
            _ => false,
        }
}

/// The fields before a span's attributes as nearly all senders write them: ids, a name below 128 bytes, kind, start and
/// end, in order, with or without a parent. They are recognised at once, in a third of the general loop's time.
struct PlainHead {
    trace_id: TraceId,
    len: usize,
}

impl PlainHead {
    /// The tag of the end time.
    const LAST_TAG: u32 = 0x41;

    #[inline(always)]
    fn read(span: &[u8]) -> Option<Self> {
        let (&[0x0a, 16, ref trace_id @ ..], rest) = span.split_first_chunk::<18>()? else { return None };
        let ([0x12, 8, ..], rest) = rest.split_first_chunk::<10>()? else { return None };
        let rest = match rest {
            [0x22, 8, parent @ ..] => parent.get(8..)?,
            rest => rest,
        };
        let [0x2a, name_len @ 0..0x80, rest @ ..] = rest else { return None };
        let times = rest.get(usize::from(*name_len)..)?.first_chunk::<20>()?;
        let [0x30, 0..0x80, 0x39, _, _, _, _, _, _, _, _, 0x41, ..] = times else { return None };
        let len = span.len() - rest.len() + usize::from(*name_len) + times.len();
        Some(Self { trace_id: *trace_id, len })
    }
}

/// A run of plain attributes.
struct PlainAttributes {
    /// Bytes, tags included.
    len: usize,
    /// The bits of their keys.
    keys: u64,
}

/// The attributes that `rest` begins with and that are what nearly all are: see [`plain_key`], and integers of up to eight
/// bytes. Each is recognised by two words, and the place of the next depends on the first alone.
#[inline(always)]
fn plain_attributes(rest: &[u8]) -> PlainAttributes {
    /// The high bits of both lengths, and the tags.
    const FORM: u32 = 0x80ff_80ff;
    let (mut at, mut keys) = (0, 0);
    // The field's tag and length, then its key's; the value's tag and length, then those of what is in it.
    while let Some(head) = word(rest, at) {
        if head & FORM != 0x000a_0000 | ATTRIBUTE {
            let Some((end, key)) = long_attribute(rest, at) else { break };
            keys |= SpanOrder::key_bit(key);
            at = end;
            continue;
        }
        let end = at + 2 + (head >> 8 & 0x7f) as usize;
        let key_end = at + 4 + (head >> 24) as usize;
        let Some(value) = word(rest, key_end) else { break };
        let value_len = (value >> 8 & 0xff) as usize;
        let is_value = value & 0xff == 0x12 && key_end + 2 + value_len == end && end <= rest.len();
        let is_text = value >> 16 & 0xff == 0x0a && value_len == 2 + (value >> 24) as usize;
        if !(is_value && (is_text || is_plain_number(rest, key_end, value, value_len))) {
            break;
        }
        keys |= SpanOrder::key_bit(rest.get(at + 4..key_end).unwrap_or_default());
        at = end;
    }
    PlainAttributes { len: at, keys }
}

/// Whether the value that begins with these bytes is a bool, an integer or a double.
#[inline(always)]
fn is_plain_number(rest: &[u8], key_end: usize, value: u32, value_len: usize) -> bool {
    match value >> 16 & 0xff {
        0x10 | 0x18 => value_len > 1 && is_varint(rest, key_end + 3, value_len - 1),
        0x21 => value_len == 9,
        _ => false,
    }
}

/// Where the attribute at `at` ends, and its key, if both its lengths take two bytes: a long string.
#[inline]
fn long_attribute(rest: &[u8], at: usize) -> Option<(usize, &[u8])> {
    let &[0x4a, low @ 0x80..=0xff, high @ 0..0x80, 0x0a, key_len @ 0..0x80, ref behind @ ..] = rest.get(at..)? else {
        return None;
    };
    let len = usize::from(low & 0x7f) | usize::from(high) << 7;
    let message = behind.get(..len.checked_sub(2)?)?;
    let (key, value) = message.split_at_checked(usize::from(key_len))?;
    (matches!(value, [0x12, 0x80..=0xff, ..]) && is_long_text(value)).then_some((at + 3 + len, key))
}

/// Four bytes, little-endian.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// True if a varint of `len` bytes, at most eight, is at `at`. It looks at eight bytes: where there are fewer, the answer is no.
#[inline(always)]
fn is_varint(bytes: &[u8], at: usize, len: usize) -> bool {
    let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return false };
    // The highest bit of the last byte is the first that is not set.
    let ends = !u64::from_le_bytes(*word) & 0x8080_8080_8080_8080;
    ends != 0 && ends.trailing_zeros() as usize / 8 + 1 == len
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

#[cfg(test)]
mod tests;
