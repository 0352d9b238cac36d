//! One pass over a message's wire bytes that fills the slots of its level.
//!
//! Repeated scalars: the last wins, so a message is walked to its end as soon as one scalar is wanted. Attributes: the
//! first of equal keys wins, so where only attributes are wanted the pass ends with the last of them. Only what has a slot
//! is decoded. Repeated embedded messages (`status`) merge, as protobuf says.

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Action {
    #[default]
    Skip,
    Attribute,
    Scalar(Shape, u32),
    Status,
}

/// Highest field number of the messages read here.
const MAX_FIELD: usize = 16;

/// Fills the slots of one message.
#[derive(Clone, Debug)]
pub(crate) struct Extractor {
    actions: [Action; MAX_FIELD + 1],
    keys: KeyTable,
    /// Whether every wanted field must be seen to its last occurrence.
    to_the_end: bool,
    status_code: Option<u32>,
    status_message: Option<u32>,
    /// Slots that hold the whole message: maps and structs.
    whole: Vec<(u32, u32)>,
    trace_state: Vec<(Box<str>, u32)>,
    /// A slot for the raw header, if members of it are wanted.
    header: bool,
}

impl Extractor {
    /// The extractor of the attributes of one source alone (`otelcol.*`), or of a whole message.
    pub(crate) fn plan(layout: &Layout, level: Level, base: Base) -> Self {
        let mut extractor = Self {
            actions: [Action::Skip; MAX_FIELD + 1],
            keys: KeyTable::default(),
            to_the_end: false,
            status_code: None,
            status_message: None,
            whole: Vec::new(),
            trace_state: Vec::new(),
            header: false,
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
                SlotPath::TraceStateMember(key) => {
                    extractor.trace_state.push((key.clone(), position));
                    extractor.header = true;
                }
                path => {
                    if let Some((field, shape)) = scalar(path) {
                        extractor.set(field, Action::Scalar(shape, position));
                    }
                }
            }
        }
        extractor.to_the_end = extractor.header
            || extractor.actions.iter().any(|action| matches!(action, Action::Scalar(..) | Action::Status));
        extractor.keys = KeyTable::new(keys);
        extractor
    }

    fn set(&mut self, field: u32, action: Action) {
        if let Some(slot) = self.actions.get_mut(field as usize) {
            *slot = action;
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
        let mut wanted = self.keys.len();
        let mut header = Range::default();
        for (field, payload) in Fields::new(base) {
            let action = self.actions.get(field as usize).copied().unwrap_or_default();
            match (action, payload) {
                (Action::Skip, Payload::Bytes(range)) if self.header && field == TRACE_STATE => header = range,
                (Action::Skip, _) => {}
                (Action::Attribute, Payload::Bytes(range)) if wanted > 0 => {
                    wanted -= usize::from(self.attribute(base, range, slots));
                    if wanted == 0 && !self.to_the_end {
                        return;
                    }
                }
                (Action::Scalar(shape, position), payload) => {
                    if let Some(slot) = read(shape, payload) {
                        put(slots, position, slot);
                        if self.header && field == TRACE_STATE {
                            header = slot.as_range();
                        }
                    }
                }
                (Action::Status, Payload::Bytes(range)) => self.status(base, range, slots),
                _ => {}
            }
        }
        self.members(base, header, slots);
    }

    /// Whether the attribute at `range` filled a slot.
    fn attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        let mut key = Range::default();
        let mut value: Option<Range> = None;
        let mut more_values = false;
        for (field, payload) in Fields::within(base, range) {
            match (field, payload) {
                (1, Payload::Bytes(at)) => key = at,
                (2, Payload::Bytes(at)) => {
                    more_values |= value.is_some();
                    value = Some(at);
                }
                _ => {}
            }
        }
        let Some(position) = self.keys.find(key.of(base)) else { return false };
        let Some(slot) = slots.get_mut(position as usize) else { return false };
        if slot.tag != tag::MISSING {
            return false;
        }
        let empty = RawSlot { tag: tag::EMPTY, len: 0, bits: 0 };
        *slot = match value {
            None => empty,
            Some(value) if !more_values => empty.merge_any(base, value),
            // The value field occurs more than once: protobuf merges the messages.
            Some(_) => Fields::within(base, range).fold(empty, |slot, (field, payload)| match (field, payload) {
                (2, Payload::Bytes(at)) => slot.merge_any(base, at),
                _ => slot,
            }),
        };
        true
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

/// Attribute keys and their slots. A key is looked up by its length first; most keys of a span end there.
#[derive(Clone, Debug, Default)]
struct KeyTable {
    /// For each length up to the longest: where its keys are.
    by_len: Vec<(u16, u16)>,
    /// Sorted by length.
    keys: Vec<(Box<[u8]>, u32)>,
}

impl KeyTable {
    fn new(mut keys: Vec<(Box<[u8]>, u32)>) -> Self {
        keys.sort_by(|left, right| (left.0.len(), &left.0).cmp(&(right.0.len(), &right.0)));
        let longest = keys.last().map_or(0, |(key, _)| key.len());
        let mut by_len = vec![(0_u16, 0_u16); longest + 1];
        for (at, (key, _)) in keys.iter().enumerate() {
            // The limit on slots keeps positions below 2^16.
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            if let Some(range) = by_len.get_mut(key.len()) {
                if range.1 == 0 {
                    range.0 = at;
                }
                range.1 = at.saturating_add(1);
            }
        }
        if keys.is_empty() {
            by_len.clear();
        }
        Self { by_len, keys }
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<u32> {
        let &(start, end) = self.by_len.get(key.len())?;
        let candidates = self.keys.get(usize::from(start)..usize::from(end))?;
        candidates.iter().find(|(known, _)| known.as_ref() == key).map(|(_, position)| *position)
    }
}

/// The sources that only have attributes, each in a buffer of its own.
pub(crate) const CLIENT_SOURCES: [MapSource; 3] =
    [MapSource::ClientMetadata, MapSource::ClientAuth, MapSource::GrpcMetadata];
