//! One pass over a message's wire bytes that fills the slots of its level.
//!
//! Repeated scalars: the last wins, so a message is walked to its end as soon as one scalar is wanted. Attributes: the
//! first of equal keys wins, so where only attributes are wanted the pass ends with the last of them. Only what has a slot
//! is decoded. Repeated embedded messages (`status`) merge, as protobuf says.

mod attributes;
mod forms;
mod keys;
mod member;
mod plan;
mod point;
mod scalar;
#[cfg(test)]
mod tests;

use forms::length;
use keys::KeyTable;
use member::Member;
use point::MetricSlots;
use scalar::{Shape, read};

use pdata::SpanOrder;

use crate::{
    layout::MapSource,
    slot::{RawSlot, tag},
    trace_state,
    wire::{Fields, Payload, Range},
};

/// What to do with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Attribute,
    Scalar(Shape, u32),
    Status,
    /// `trace_state` where members of it are wanted; the position is that of the raw header, if that is wanted too.
    Header(Option<u32>),
    /// An AnyValue.
    Any(u32),
    /// The data of a metric of this type.
    MetricData(i64),
    /// The value of a number point.
    Value {
        double: Option<u32>,
        int: Option<u32>,
    },
    /// The buckets of an exponential histogram, of which the offset is wanted.
    Offset(u32),
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
    /// A wanted string: its slot's position.
    Str(u32),
    /// A wanted id.
    TraceId(u32),
    SpanId(u32),
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
    steps: Box<[Step; 256]>,
    /// By field number.
    actions: [Option<Action>; MAX_FIELD + 1],
    keys: KeyTable,
    /// Whether every wanted field must be seen to its last occurrence.
    to_the_end: bool,
    /// The tag byte of attributes in this message.
    attribute_tag: u8,
    /// The highest wanted tag byte before and behind a span's attributes; 0 for none.
    head_tag: u8,
    tail_tag: u8,
    status_code: Option<u32>,
    status_message: Option<u32>,
    /// Slots that hold the whole message: maps and structs.
    whole: Vec<(u32, u32)>,
    trace_state: Vec<(Box<str>, u32)>,
    /// Members of maps and lists, those of a member behind it.
    members: Vec<Member>,
    /// Whether any of these has any.
    has_derived: bool,
    metric: MetricSlots,
    /// The slots of the level, and what they hold before anything is found. None for messages that share a level.
    level: std::ops::Range<usize>,
    template: Box<[RawSlot]>,
}

/// Highest field number of the messages read here.
const MAX_FIELD: usize = 16;

impl Extractor {
    #[inline]
    fn reset(&self, slots: &mut [RawSlot]) {
        if let Some(slots) = slots.get_mut(self.level.clone()) {
            copy(slots, &self.template);
        }
    }

    /// Whether there is nothing to walk the message for.
    fn is_idle(&self) -> bool {
        !self.to_the_end && self.keys.is_empty()
    }

    /// Fills the slots from `base`.
    pub(crate) fn extract(&self, base: &[u8], slots: &mut [RawSlot]) {
        self.reset(slots);
        let mut header = Range::default();
        if !self.is_idle() {
            self.walk(base, slots, &mut header);
        }
        if self.has_derived {
            self.derived(base, header, slots);
        }
    }

    fn walk(&self, base: &[u8], slots: &mut [RawSlot], header: &mut Range) {
        let mut wanted = self.keys.len();
        self.fields(base, 0..base.len(), u8::MAX, slots, header, &mut wanted);
    }

    /// As [`Extractor::extract`] for a span whose fields the index found in order: what stands before, between and behind
    /// the wanted fields is not looked at as far as possible, and attributes only if the wanted keys may be among theirs.
    pub(crate) fn extract_in_order(&self, base: &[u8], order: &SpanOrder, slots: &mut [RawSlot]) {
        self.reset(slots);
        let mut header = Range::default();
        if self.head_tag > 0 {
            let end = order.attributes_start();
            let plain = if order.has_plain_head() { self.plain_head(base, end, slots) } else { None };
            if plain.is_none() {
                self.head(base, end, slots, &mut header);
            }
        }
        if self.keys.bits() & order.keys() != 0 {
            self.attributes_in_order(base, order, slots);
        }
        if self.tail_tag > 0 {
            self.tail(base, order.attributes_end(), slots, &mut header);
        }
        if self.has_derived {
            self.derived(base, header, slots);
        }
    }

    /// The fields before the attributes where the index knows what they are: each one's place is known.
    #[inline]
    fn plain_head(&self, base: &[u8], end: usize, slots: &mut [RawSlot]) -> Option<()> {
        let name = self.ids(base, slots);
        self.short_name(base, name, slots);
        self.kind_and_times(base, end.checked_sub(20)?, slots);
        Some(())
    }

    /// The fields before the attributes, up to the last one wanted: up to the name, then what nearly always follows it,
    /// then what is left.
    fn head(&self, base: &[u8], end: usize, slots: &mut [RawSlot], header: &mut Range) {
        let start = self.ids(base, slots);
        if base.get(start).is_some_and(|&next| next > self.head_tag) {
            return;
        }
        let first = self.head_tag.min(NAME_TAG);
        let start = self.short_name(base, start, slots);
        let Some(named) = self.fields(base, start..end, first, slots, header, &mut 0) else { return };
        if self.head_tag > NAME_TAG {
            let start = self.kind_and_times(base, named, slots);
            if start < end {
                self.fields(base, start..end, self.head_tag, slots, header, &mut 0);
            }
        }
    }

    /// Fills the slot of the name if that stands here and is below 128 bytes; where the field behind it starts.
    #[inline]
    fn short_name(&self, base: &[u8], at: usize, slots: &mut [RawSlot]) -> usize {
        let Some(&[NAME_TAG, len @ 0..0x80]) = base.get(at..at + 2) else { return at };
        let (start, end) = (at + 2, at + 2 + usize::from(len));
        if end > base.len() {
            return at;
        }
        if let Step::Str(position) = self.steps[usize::from(NAME_TAG)] {
            put(slots, position, RawSlot::range(tag::STR, Range { start, end }));
        }
        end
    }

    /// The fields behind the attributes, up to the last one wanted. Mostly that is a status with nothing but a code.
    fn tail(&self, base: &[u8], start: usize, slots: &mut [RawSlot], header: &mut Range) {
        if base.get(start).is_none_or(|&next| next > self.tail_tag) {
            return;
        }
        if let (Some(&[0x7a, 2, 0x18, code @ 0..0x80]), 0x78..0x80) = (base.get(start..start + 4), self.tail_tag) {
            if let Some(position) = self.status_code {
                put(slots, position, RawSlot::int(i64::from(code)));
            }
            return;
        }
        self.fields(base, start..base.len(), self.tail_tag, slots, header, &mut 0);
    }

    /// Slots that are the whole message, or parts of a field.
    #[inline(never)]
    fn derived(&self, base: &[u8], header: Range, slots: &mut [RawSlot]) {
        for &(position, tag) in &self.whole {
            put(slots, position, RawSlot::range(tag, Range { start: 0, end: base.len() }));
        }
        if !self.trace_state.is_empty() {
            self.trace_state_members(base, header, slots);
        }
        self.members.iter().for_each(|member| member.extract(base, slots));
    }

    /// Fills the slots of the ids if they stand at the start of a span, as they nearly always do; where the fields behind
    /// them start.
    #[inline]
    fn ids(&self, base: &[u8], slots: &mut [RawSlot]) -> usize {
        match base {
            [0x0a, 16, ids @ ..] if ids.get(16..18) == Some(&[0x12, 8]) && ids.len() >= 26 => {
                if let Step::TraceId(position) = self.steps[0x0a] {
                    put(slots, position, RawSlot::trace_id(base, Range { start: 2, end: 18 }));
                }
                if let Step::SpanId(position) = self.steps[0x12] {
                    put(slots, position, RawSlot::span_id(base, Range { start: 20, end: 28 }));
                }
                match ids.get(26..36) {
                    Some([0x22, 8, ..]) => {
                        if let Step::SpanId(position) = self.steps[0x22] {
                            put(slots, position, RawSlot::span_id(base, Range { start: 30, end: 38 }));
                        }
                        38
                    }
                    _ => 28,
                }
            }
            _ => 0,
        }
    }

    /// Fills the slots of kind, start and end if they stand together, as they nearly always do; where the fields behind
    /// them start.
    #[inline]
    fn kind_and_times(&self, base: &[u8], at: usize, slots: &mut [RawSlot]) -> usize {
        match base.get(at..at + 20) {
            Some(&[0x30, kind @ 0..0x80, 0x39, s0, s1, s2, s3, s4, s5, s6, s7, 0x41, ref end @ ..]) => {
                if let Step::Varint(_, position) = self.steps[0x30] {
                    put(slots, position, RawSlot::int(i64::from(kind)));
                }
                if let Step::Nanos(position) = self.steps[0x39] {
                    put(slots, position, RawSlot::int(i64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7])));
                }
                if let (Step::Nanos(position), Some(end)) = (self.steps[0x41], end.first_chunk()) {
                    put(slots, position, RawSlot::int(i64::from_le_bytes(*end)));
                }
                at + 20
            }
            _ => at,
        }
    }

    /// Walks the fields of a range up to the first whose tag byte is above `stop`. Where it stopped; `None` at damage, or
    /// when nothing more is wanted.
    fn fields(
        &self,
        base: &[u8],
        range: std::ops::Range<usize>,
        stop: u8,
        slots: &mut [RawSlot],
        header: &mut Range,
        wanted: &mut usize,
    ) -> Option<usize> {
        let mut at = range.start;
        let base = base.get(..range.end)?;
        while let Some(&tag) = base.get(at) {
            if tag > stop {
                break;
            }
            at = match self.steps[usize::from(tag)] {
                Step::SkipVarint => at + 2 + base[at + 1..].iter().take(10).position(|&byte| byte < 0x80)?,
                Step::SkipFixed64 => at + 9,
                Step::SkipFixed32 => at + 5,
                Step::SkipBytes => length(base, at + 1)?.1,
                Step::Attribute if *wanted == 0 => length(base, at + 1)?.1,
                Step::Attribute => {
                    let end = self.attributes(base, at, base.len(), slots, wanted)?;
                    // A tag with nothing behind it is damage; without this it would be looked at forever.
                    if end == at || *wanted == 0 && !self.to_the_end {
                        return None;
                    }
                    end
                }
                Step::Str(position) => {
                    let (start, end) = length(base, at + 1)?;
                    put(slots, position, RawSlot::range(tag::STR, Range { start, end }));
                    end
                }
                Step::TraceId(position) => {
                    let (start, end) = length(base, at + 1)?;
                    put(slots, position, RawSlot::trace_id(base, Range { start, end }));
                    end
                }
                Step::SpanId(position) => {
                    let (start, end) = length(base, at + 1)?;
                    put(slots, position, RawSlot::span_id(base, Range { start, end }));
                    end
                }
                Step::Nanos(position) => {
                    let bytes = base[at + 1..].first_chunk::<8>()?;
                    put(slots, position, RawSlot::int(i64::from_le_bytes(*bytes)));
                    at + 9
                }
                Step::Varint(shape, position) => {
                    let mut cursor = pdata::wire::Cursor::at_offset(&base[at + 1..], at + 1);
                    let bits = cursor.varint().ok()?;
                    if let Some(slot) = read(shape, base, Payload::Varint(bits)) {
                        put(slots, position, slot);
                    }
                    cursor.position()
                }
                Step::Status => {
                    let (start, end) = length(base, at + 1)?;
                    self.status(base, Range { start, end }, slots);
                    end
                }
                Step::General => self.general(base, at, slots, header, wanted)?,
            };
        }
        Some(at)
    }

    /// A field as nobody writes it, or one that no step is for; where the next one starts.
    #[cold]
    fn general(
        &self,
        base: &[u8],
        at: usize,
        slots: &mut [RawSlot],
        header: &mut Range,
        wanted: &mut usize,
    ) -> Option<usize> {
        let mut fields = Fields::within(base, Range { start: at, end: base.len() });
        let (field, payload) = fields.next()?;
        match self.actions.get(field as usize).copied().flatten() {
            // A field may come under a tag that is longer than need be.
            Some(Action::Attribute) => {
                if let Payload::Bytes(range) = payload {
                    *wanted = wanted.saturating_sub(usize::from(self.attribute(base, range, slots)));
                }
            }
            Some(action) => self.scalar(field, action, payload, base, slots, header),
            None => {}
        }
        Some(fields.position())
    }

    fn scalar(
        &self,
        field: u32,
        action: Action,
        payload: Payload,
        base: &[u8],
        slots: &mut [RawSlot],
        header: &mut Range,
    ) {
        match (action, payload) {
            (Action::Scalar(shape, position), payload) => {
                if let Some(slot) = read(shape, base, payload) {
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
            (Action::Any(position), Payload::Bytes(range)) => {
                if let Some(slot) = slots.get_mut(position as usize) {
                    *slot = slot.merge_any(base, range);
                }
            }
            (Action::MetricData(ty), Payload::Bytes(range)) => self.metric_data(base, range, ty, slots),
            (Action::Value { .. }, Payload::Fixed64(bits)) => self.point_value(bits, field == 6, action, slots),
            (Action::Offset(position), Payload::Bytes(range)) => self.offset(base, range, position, slots),
            _ => {}
        }
    }

    #[inline]
    fn status(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) {
        if let (Some(&[0x18, code @ 0..0x80]), Some(position)) = (base.get(range.start..range.end), self.status_code) {
            return put(slots, position, RawSlot::int(i64::from(code)));
        }
        for (field, payload) in Fields::within(base, range) {
            match (field, payload, self.status_message, self.status_code) {
                (2, Payload::Bytes(at), Some(position), _) => put(slots, position, RawSlot::range(tag::STR, at)),
                (3, payload, _, Some(position)) => {
                    if let Some(slot) = read(Shape::Int32, base, payload) {
                        put(slots, position, slot);
                    }
                }
                _ => {}
            }
        }
    }

    /// Members of the trace state, which are parts of the header.
    fn trace_state_members(&self, base: &[u8], header: Range, slots: &mut [RawSlot]) {
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

/// Copies slots of the same number: mostly a few, for which a call of `memcpy` would take longer than the copy.
#[inline]
fn copy(to: &mut [RawSlot], from: &[RawSlot]) {
    match (to, from) {
        ([a], [x]) => *a = *x,
        ([a, b], [x, y]) => (*a, *b) = (*x, *y),
        ([a, b, c], [x, y, z]) => (*a, *b, *c) = (*x, *y, *z),
        (to, from) => {
            let ((to, to_rest), (from, from_rest)) = (to.as_chunks_mut::<4>(), from.as_chunks::<4>());
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            if !from_rest.is_empty() {
                copy(to_rest, from_rest);
            }
        }
    }
}

const TRACE_STATE: u32 = 3;

/// The name of a span.
const NAME_TAG: u8 = 5 << 3 | 2;

/// Attributes of a span.
const ATTRIBUTE_TAG: u8 = 9 << 3 | 2;

#[inline]
fn put(slots: &mut [RawSlot], position: u32, value: RawSlot) {
    if let Some(slot) = slots.get_mut(position as usize) {
        *slot = value;
    }
}

/// The sources that only have attributes, each in a buffer of its own.
pub(crate) const CLIENT_SOURCES: [MapSource; 3] =
    [MapSource::ClientMetadata, MapSource::ClientAuth, MapSource::GrpcMetadata];
