//! One pass over a message's wire bytes that fills the slots of its level.
//!
//! Repeated scalars: the last wins, so a message is walked to its end as soon as one scalar is wanted. Attributes: the
//! first of equal keys wins, so where only attributes are wanted the pass ends with the last of them. Only what has a slot
//! is decoded. Repeated embedded messages (`status`) merge, as protobuf says.

mod forms;
mod keys;
#[cfg(test)]
mod tests;

use forms::{length, merge_plain, plain_key_value};
use keys::KeyTable;

use crate::{
    layout::{Base, Layout, Level, MapSource, SlotPath},
    slot::{RawSlot, tag},
    trace_state,
    wire::{Fields, Payload, Range},
};

/// How a scalar field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Str,
    Uint32,
    Int32,
    Nanos,
    Fixed32,
    TraceId,
    SpanId,
}

/// What to do with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Attribute,
    Scalar(Shape, u32),
    Status,
    /// `trace_state` where members of it are wanted; the position is that of the raw header, if that is wanted too.
    Header(Option<u32>),
}

/// What to do at a one-byte tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    SkipVarint,
    SkipFixed64,
    SkipBytes,
    SkipFixed32,
    /// Attributes, by far the most fields of a span.
    Attribute,
    /// A wanted scalar of wire type 2: its slot's tag and position.
    Bytes(u32, u32),
    /// A wanted scalar of wire type 1.
    Nanos(u32),
    /// A wanted enum or count.
    Varint(Shape, u32),
    /// A status of which something is wanted.
    Status,
    /// Anything else goes through the general reader: groups, tags of several bytes, damage.
    General,
}

/// Fills the slots of one message.
#[derive(Clone, Debug)]
pub(crate) struct Extractor {
    /// By tag byte.
    steps: Box<[Step; 128]>,
    /// By field number.
    actions: [Option<Action>; MAX_FIELD + 1],
    keys: KeyTable,
    /// Whether every wanted field must be seen to its last occurrence.
    to_the_end: bool,
    status_code: Option<u32>,
    status_message: Option<u32>,
    /// Slots that hold the whole message: maps and structs.
    whole: Vec<(u32, u32)>,
    trace_state: Vec<(Box<str>, u32)>,
}

/// Highest field number of the messages read here.
const MAX_FIELD: usize = 16;

impl Extractor {
    /// The extractor of the slots that are filled from one buffer.
    pub(crate) fn plan(layout: &Layout, level: Level, base: Base) -> Self {
        let mut extractor = Self {
            steps: Box::new([Step::General; 128]),
            actions: [None; MAX_FIELD + 1],
            keys: KeyTable::default(),
            to_the_end: false,
            status_code: None,
            status_message: None,
            whole: Vec::new(),
            trace_state: Vec::new(),
        };
        let mut keys: Vec<(Box<[u8]>, u32)> = Vec::new();
        for placed in layout.of(level).filter(|placed| placed.base == base) {
            let position = placed.position;
            match &placed.path {
                SlotPath::Attribute(source, key) => {
                    keys.push((key.as_bytes().into(), position));
                    extractor.set(source.base().1, Action::Attribute);
                }
                SlotPath::Map(_) => extractor.whole.push((position, tag::MAP)),
                SlotPath::Events | SlotPath::Links | SlotPath::Status => {
                    extractor.whole.push((position, tag::OPAQUE));
                }
                SlotPath::StatusCode => {
                    extractor.status_code = Some(position);
                    extractor.set(15, Action::Status);
                }
                SlotPath::StatusMessage => {
                    extractor.status_message = Some(position);
                    extractor.set(15, Action::Status);
                }
                SlotPath::TraceStateMember(key) => extractor.trace_state.push((key.clone(), position)),
                path => {
                    if let Some((field, shape)) = scalar(path) {
                        extractor.set(field, Action::Scalar(shape, position));
                    }
                }
            }
        }
        if !extractor.trace_state.is_empty() {
            let raw = match extractor.actions[TRACE_STATE as usize] {
                Some(Action::Scalar(_, position)) => Some(position),
                _ => None,
            };
            extractor.set(TRACE_STATE, Action::Header(raw));
        }
        extractor.to_the_end = extractor.actions.iter().flatten().any(|action| *action != Action::Attribute);
        extractor.keys = KeyTable::new(keys);
        for (byte, step) in extractor.steps.iter_mut().enumerate() {
            let action = extractor.actions.get(byte >> 3).copied().flatten();
            *step = match (action, byte & 7) {
                (None, 0) if byte > 7 => Step::SkipVarint,
                (None, 1) if byte > 7 => Step::SkipFixed64,
                (None, 2) if byte > 7 => Step::SkipBytes,
                (None, 5) if byte > 7 => Step::SkipFixed32,
                (Some(Action::Attribute), 2) => Step::Attribute,
                (Some(Action::Status), 2) => Step::Status,
                (Some(Action::Scalar(Shape::Str, position)), 2) => Step::Bytes(tag::STR, position),
                (Some(Action::Scalar(Shape::TraceId, position)), 2) => Step::Bytes(tag::TRACE_ID, position),
                (Some(Action::Scalar(Shape::SpanId, position)), 2) => Step::Bytes(tag::SPAN_ID, position),
                (Some(Action::Scalar(Shape::Nanos, position)), 1) => Step::Nanos(position),
                (Some(Action::Scalar(shape @ (Shape::Int32 | Shape::Uint32), position)), 0) => {
                    Step::Varint(shape, position)
                }
                _ => Step::General,
            };
        }
        extractor
    }

    fn set(&mut self, field: u32, action: Action) {
        if let Some(slot) = self.actions.get_mut(field as usize) {
            *slot = Some(action);
        }
    }

    /// Whether there is nothing to walk the message for.
    fn is_idle(&self) -> bool {
        !self.to_the_end && self.keys.is_empty()
    }

    /// Fills the slots from `base`. The level's slots must hold their defaults.
    pub(crate) fn extract(&self, base: &[u8], slots: &mut [RawSlot]) {
        for &(position, tag) in &self.whole {
            put(slots, position, RawSlot::range(tag, Range { start: 0, end: base.len() }));
        }
        if self.is_idle() {
            return;
        }
        let mut header = Range::default();
        self.walk(base, slots, &mut header);
        self.members(base, header, slots);
    }

    fn walk(&self, base: &[u8], slots: &mut [RawSlot], header: &mut Range) {
        let mut wanted = self.keys.len();
        let mut at = 0;
        while let Some(&tag) = base.get(at) {
            let step = self.steps.get(usize::from(tag)).copied().unwrap_or(Step::General);
            let end = match step {
                Step::SkipVarint => {
                    let Some(len) = base[at + 1..].iter().take(10).position(|&byte| byte < 0x80) else { return };
                    at + 2 + len
                }
                Step::SkipFixed64 => at + 9,
                Step::SkipFixed32 => at + 5,
                Step::SkipBytes => match length(base, at + 1) {
                    Some((_, end)) => end,
                    None => return,
                },
                Step::Attribute => match length(base, at + 1) {
                    Some((start, end)) => {
                        if wanted > 0 {
                            wanted -= usize::from(self.attribute(base, Range { start, end }, slots));
                            if wanted == 0 && !self.to_the_end {
                                return;
                            }
                        }
                        end
                    }
                    None => return,
                },
                Step::Bytes(tag, position) => match length(base, at + 1) {
                    Some((start, end)) => {
                        put(slots, position, RawSlot::range(tag, Range { start, end }));
                        end
                    }
                    None => return,
                },
                Step::Nanos(position) => {
                    let Some(bytes) = base[at + 1..].first_chunk::<8>() else { return };
                    put(slots, position, RawSlot::int(i64::from_le_bytes(*bytes)));
                    at + 9
                }
                Step::Varint(shape, position) => {
                    let mut cursor = pdata::wire::Cursor::at_offset(&base[at + 1..], at + 1);
                    let Ok(bits) = cursor.varint() else { return };
                    if let Some(slot) = read(shape, Payload::Varint(bits)) {
                        put(slots, position, slot);
                    }
                    cursor.position()
                }
                Step::Status => match length(base, at + 1) {
                    Some((start, end)) => {
                        self.status(base, Range { start, end }, slots);
                        end
                    }
                    None => return,
                },
                Step::General => {
                    let mut fields = Fields::within(base, Range { start: at, end: base.len() });
                    let Some((field, payload)) = fields.next() else { return };
                    match self.actions.get(field as usize).copied().flatten() {
                        // A field may come under a tag that is longer than need be.
                        Some(Action::Attribute) => {
                            if let Payload::Bytes(range) = payload {
                                wanted = wanted.saturating_sub(usize::from(self.attribute(base, range, slots)));
                            }
                        }
                        Some(action) => self.scalar(action, payload, base, slots, header),
                        None => {}
                    }
                    fields.position()
                }
            };
            at = end;
        }
    }

    fn scalar(&self, action: Action, payload: Payload, base: &[u8], slots: &mut [RawSlot], header: &mut Range) {
        match (action, payload) {
            (Action::Scalar(shape, position), payload) => {
                if let Some(slot) = read(shape, payload) {
                    put(slots, position, slot);
                }
            }
            (Action::Header(position), Payload::Bytes(range)) => {
                *header = range;
                if let Some(position) = position {
                    put(slots, position, RawSlot::range(tag::STR, range));
                }
            }
            (Action::Status, Payload::Bytes(range)) => self.status(base, range, slots),
            _ => {}
        }
    }

    /// Whether the attribute at `range` filled a slot.
    #[inline]
    fn attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        match plain_key_value(base, range) {
            Some((key, value)) => match self.keys.find(key.of(base)) {
                Some(position) => first(slots, position, |empty| merge_plain(base, value, empty)),
                None => false,
            },
            None => self.odd_attribute(base, range, slots),
        }
    }

    /// An attribute whose fields are not once each in order, or too long for one-byte lengths.
    #[cold]
    fn odd_attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        let mut key = Range::default();
        for (field, payload) in Fields::within(base, range) {
            if let (1, Payload::Bytes(at)) = (field, payload) {
                key = at;
            }
        }
        let Some(position) = self.keys.find(key.of(base)) else { return false };
        // Where the value field occurs more than once, protobuf merges the messages.
        first(slots, position, |empty| {
            Fields::within(base, range).fold(empty, |slot, (field, payload)| match (field, payload) {
                (2, Payload::Bytes(at)) => slot.merge_any(base, at),
                _ => slot,
            })
        })
    }

    fn status(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) {
        for (field, payload) in Fields::within(base, range) {
            match (field, payload, self.status_message, self.status_code) {
                (2, Payload::Bytes(at), Some(position), _) => put(slots, position, RawSlot::range(tag::STR, at)),
                (3, payload, _, Some(position)) => {
                    if let Some(slot) = read(Shape::Int32, payload) {
                        put(slots, position, slot);
                    }
                }
                _ => {}
            }
        }
    }

    /// Members of the trace state, which are parts of the header.
    fn members(&self, base: &[u8], header: Range, slots: &mut [RawSlot]) {
        for (key, position) in &self.trace_state {
            let text = header.of(base);
            let slot = match trace_state::member(text, key.as_bytes()) {
                None => RawSlot::MISSING,
                Some(b"") => RawSlot::range(tag::STR, Range::default()),
                Some(value) => {
                    let start = (value.as_ptr() as usize).wrapping_sub(base.as_ptr() as usize);
                    RawSlot::range(tag::STR, Range { start, end: start.saturating_add(value.len()) })
                }
            };
            put(slots, *position, slot);
        }
    }
}

const TRACE_STATE: u32 = 3;

/// Fills a slot unless an earlier attribute of the key did.
#[inline]
fn first(slots: &mut [RawSlot], position: u32, value: impl FnOnce(RawSlot) -> RawSlot) -> bool {
    let empty = RawSlot { tag: tag::EMPTY, len: 0, bits: 0 };
    match slots.get_mut(position as usize) {
        Some(slot) if slot.tag == tag::MISSING => {
            *slot = value(empty);
            true
        }
        _ => false,
    }
}

fn put(slots: &mut [RawSlot], position: u32, value: RawSlot) {
    if let Some(slot) = slots.get_mut(position as usize) {
        *slot = value;
    }
}

/// Field number and shape of a scalar.
fn scalar(path: &SlotPath) -> Option<(u32, Shape)> {
    Some(match path {
        SlotPath::TraceId => (1, Shape::TraceId),
        SlotPath::SpanId => (2, Shape::SpanId),
        SlotPath::TraceState => (TRACE_STATE, Shape::Str),
        SlotPath::ParentSpanId => (4, Shape::SpanId),
        SlotPath::SpanName => (5, Shape::Str),
        SlotPath::SpanKind => (6, Shape::Int32),
        SlotPath::StartUnixNano => (7, Shape::Nanos),
        SlotPath::EndUnixNano => (8, Shape::Nanos),
        SlotPath::DroppedAttributes(Level::Resource) => (2, Shape::Uint32),
        SlotPath::DroppedAttributes(Level::Span) => (10, Shape::Uint32),
        SlotPath::DroppedAttributes(_) => (4, Shape::Uint32),
        SlotPath::DroppedEvents => (12, Shape::Uint32),
        SlotPath::DroppedLinks => (14, Shape::Uint32),
        SlotPath::Flags => (16, Shape::Fixed32),
        SlotPath::ScopeName => (1, Shape::Str),
        SlotPath::ScopeVersion => (2, Shape::Str),
        SlotPath::EventUnixNano => (1, Shape::Nanos),
        SlotPath::EventName => (2, Shape::Str),
        SlotPath::Attribute(..)
        | SlotPath::Map(_)
        | SlotPath::ClientAddress
        | SlotPath::SchemaUrl(_)
        | SlotPath::TraceStateMember(_)
        | SlotPath::Events
        | SlotPath::Links
        | SlotPath::Status
        | SlotPath::StatusCode
        | SlotPath::StatusMessage => return None,
    })
}

/// A scalar's slot; `None` where the wire type is not the field's, which reads as an unknown field.
fn read(shape: Shape, payload: Payload) -> Option<RawSlot> {
    Some(match (shape, payload) {
        (Shape::Str, Payload::Bytes(range)) => RawSlot::range(tag::STR, range),
        (Shape::TraceId, Payload::Bytes(range)) => RawSlot::range(tag::TRACE_ID, range),
        (Shape::SpanId, Payload::Bytes(range)) => RawSlot::range(tag::SPAN_ID, range),
        // Go truncates to 32 bits, with sign for enums.
        (Shape::Uint32, Payload::Varint(bits)) => RawSlot::int(i64::from(bits as u32)),
        (Shape::Int32, Payload::Varint(bits)) => RawSlot::int(i64::from(bits as u32 as i32)),
        (Shape::Nanos, Payload::Fixed64(bits)) => RawSlot::int(bits.cast_signed()),
        (Shape::Fixed32, Payload::Fixed32(bits)) => RawSlot::int(i64::from(bits)),
        _ => return None,
    })
}

/// The sources that only have attributes, each in a buffer of its own.
pub(crate) const CLIENT_SOURCES: [MapSource; 3] =
    [MapSource::ClientMetadata, MapSource::ClientAuth, MapSource::GrpcMetadata];
