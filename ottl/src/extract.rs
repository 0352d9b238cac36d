//! One pass over a message's wire bytes that fills the slots of its level.
//!
//! Repeated scalars: the last wins, so a message is walked to its end as soon as one scalar is wanted. Attributes: the
//! first of equal keys wins, so where only attributes are wanted the pass ends with the last of them. Only what has a slot
//! is decoded. Repeated embedded messages (`status`) merge, as protobuf says.

mod forms;
mod keys;
mod member;
mod point;
#[cfg(test)]
mod tests;

use forms::{any_value, entry_value, length, plain_key_value, plain_value};
use keys::KeyTable;
use member::Member;
use point::MetricSlots;

use pdata::SpanOrder;

use crate::{
    layout::{Base, Layout, Level, LogField, MapSource, PointKind, SlotPath},
    slot::{RawSlot, tag},
    trace_state, value,
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
    Double,
    Sint32,
}

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
    /// The extractor of the slots that are filled from one buffer; data points of other kinds have other ones.
    pub(crate) fn plan(layout: &Layout, level: Level, base: Base, kind: PointKind) -> Self {
        let own = if level == Level::Client { 0..0 } else { layout.level(level) };
        let mut extractor = Self {
            steps: Box::new([Step::General; 256]),
            actions: [None; MAX_FIELD + 1],
            keys: KeyTable::new(Vec::new()),
            to_the_end: false,
            attribute_tag: ATTRIBUTE_TAG,
            head_tag: 0,
            tail_tag: 0,
            status_code: None,
            status_message: None,
            whole: Vec::new(),
            trace_state: Vec::new(),
            members: Vec::new(),
            has_derived: false,
            metric: MetricSlots::default(),
            template: layout.template().get(own.clone()).unwrap_or_default().into(),
            level: own,
        };
        let mut keys: Vec<(Box<[u8]>, u32)> = Vec::new();
        let mut members: Vec<(usize, Member)> = Vec::new();
        for placed in layout.of(level).filter(|placed| placed.base == base) {
            let position = placed.position;
            match &placed.path {
                SlotPath::Attribute(source, key) => {
                    let field = match source {
                        MapSource::DataPoint => kind.attributes(),
                        source => source.base().1,
                    };
                    keys.push((key.as_bytes().into(), position));
                    extractor.set(field, Action::Attribute);
                    extractor.attribute_tag = tag_byte(field);
                }
                SlotPath::Metric(field) => extractor.plan_metric(*field, position),
                SlotPath::Point(field) => extractor.plan_point(*field, kind, position),
                SlotPath::Log(LogField::Body) => extractor.set(5, Action::Any(position)),
                SlotPath::Member(parent, key) => {
                    let Some(above) = layout.find(parent) else { continue };
                    members.push((placed.path.depth(), Member { parent: above.position, key: key.clone(), position }));
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
        members.sort_by_key(|(depth, _)| *depth);
        extractor.members = members.into_iter().map(|(_, member)| member).collect();
        extractor.has_derived =
            !extractor.whole.is_empty() || !extractor.trace_state.is_empty() || !extractor.members.is_empty();
        extractor.keys = KeyTable::new(keys);
        for (field, action) in (0..).zip(&extractor.actions) {
            match (action, tag_byte(field)) {
                (None | Some(Action::Attribute), _) => {}
                (Some(_), tag) if tag < ATTRIBUTE_TAG => extractor.head_tag = extractor.head_tag.max(tag | 7),
                (Some(_), tag) => extractor.tail_tag = extractor.tail_tag.max(tag | 7),
            }
        }
        for (byte, step) in extractor.steps.iter_mut().enumerate().take(0x80) {
            let action = extractor.actions.get(byte >> 3).copied().flatten();
            *step = match (action, byte & 7) {
                (None, 0) if byte > 7 => Step::SkipVarint,
                (None, 1) if byte > 7 => Step::SkipFixed64,
                (None, 2) if byte > 7 => Step::SkipBytes,
                (None, 5) if byte > 7 => Step::SkipFixed32,
                (Some(Action::Attribute), 2) => Step::Attribute,
                (Some(Action::Status), 2) => Step::Status,
                (Some(Action::Scalar(Shape::Str, position)), 2) => Step::Str(position),
                (Some(Action::Scalar(Shape::TraceId, position)), 2) => Step::TraceId(position),
                (Some(Action::Scalar(Shape::SpanId, position)), 2) => Step::SpanId(position),
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

    /// Takes the attributes from `at` on, up to another field, to `end`, or to the last one wanted. Where it stopped;
    /// `None` at damage.
    fn attributes(
        &self,
        base: &[u8],
        at: usize,
        end: usize,
        slots: &mut [RawSlot],
        wanted: &mut usize,
    ) -> Option<usize> {
        let base = base.get(..end)?;
        let rest = base.get(at..)?;
        let mut pass = AttributePass { extractor: self, base, slots, wanted: *wanted };
        let rest = pass.run(rest);
        *wanted = pass.wanted;
        rest.map(|rest| base.len() - rest.len())
    }

    /// Takes the wanted attributes of a span whose fields come in order.
    fn attributes_in_order(&self, base: &[u8], order: &SpanOrder, slots: &mut [RawSlot]) {
        let Some(base) = base.get(..order.attributes_end()) else { return };
        let Some(rest) = base.get(order.attributes_start()..) else { return };
        let mut pass = AttributePass { extractor: self, base, slots, wanted: self.keys.len() };
        // What it gives is where it stopped: behind the last one wanted, or at damage, which the index has ruled out.
        match order.has_plain_attributes() {
            true => pass.run_plain(rest),
            false => pass.run(rest),
        };
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

    /// Whether the attribute at `range` filled a slot.
    fn attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        match plain_key_value(range.of(base)) {
            Some((key, value)) => {
                let range = Range { start: range.end - value.len(), end: range.end };
                self.keys.find(key).is_some_and(|position| first(slots, position, || any_value(base, range)))
            }
            None => self.odd_attribute(base, range, slots),
        }
    }

    /// An attribute whose fields are not once each in order, or whose key is too long for a one-byte length.
    #[cold]
    fn odd_attribute(&self, base: &[u8], range: Range, slots: &mut [RawSlot]) -> bool {
        let key = value::entry_key(base, range);
        self.keys.find(key).is_some_and(|position| first(slots, position, || entry_value(base, range)))
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

/// One pass over neighbouring attributes.
///
/// Nearly all are written in one form: key, then value, each once, lengths below 128. Those are recognised by two loads,
/// and the next one's place depends on the first alone. What is rare is kept out of the loop.
struct AttributePass<'p> {
    extractor: &'p Extractor,
    base: &'p [u8],
    slots: &'p mut [RawSlot],
    wanted: usize,
}

impl<'p> AttributePass<'p> {
    /// As [`AttributePass::run`] where nothing but attributes is left, and those of short lengths are all plain.
    fn run_plain(&mut self, mut rest: &'p [u8]) -> Option<&'p [u8]> {
        let by_len = self.extractor.keys.by_len();
        while let Some(&[_, len, _, key_len]) = rest.first_chunk() {
            if len >= 0x80 {
                rest = self.unusual(rest)?;
                if self.wanted == 0 {
                    break;
                }
                continue;
            }
            let (message, next) = rest.split_at_checked(2 + usize::from(len))?;
            let of_length = by_len[usize::from(key_len & 0x7f)];
            let key_len = usize::from(key_len);
            let first = if of_length.is_empty() { 0 } else { of_length.ending_in(*message.get(3 + key_len)?) };
            if first != 0 {
                let value = message.get(6 + key_len..)?;
                if self.take(first, key_len, message, value, next) {
                    return Some(next);
                }
            }
            rest = next;
        }
        Some(rest)
    }

    fn run(&mut self, mut rest: &'p [u8]) -> Option<&'p [u8]> {
        /// The high bits of both lengths, and the tags.
        const FORM: u32 = 0x80ff_80ff;
        let form = 0x000a_0000 | u32::from(self.extractor.attribute_tag);
        let by_len = self.extractor.keys.by_len();
        // A KeyValue's tag and length, then its key's.
        while let Some(head) = rest.first_chunk() {
            let head = u32::from_le_bytes(*head);
            if head & FORM != form {
                if head as u8 != self.extractor.attribute_tag {
                    return Some(rest);
                }
                rest = self.unusual(rest)?;
                if self.wanted == 0 {
                    return Some(rest);
                }
                continue;
            }
            // The length by a load of its own: the next attribute's place waits for nothing else.
            let (message, next) = rest.split_at_checked(2 + usize::from(rest[1]))?;
            let key_len = (head >> 24) as usize;
            match message.get(4 + key_len..) {
                Some(&[0x12, len, ref value @ ..]) if value.len() == usize::from(len) => {
                    let last = message.get(3 + key_len).copied().unwrap_or_default();
                    let first = by_len[key_len & 0x7f].ending_in(last);
                    if first != 0 && self.take(first, key_len, message, value, next) {
                        return Some(next);
                    }
                    rest = next;
                }
                _ => {
                    rest = self.unusual(rest)?;
                    if self.wanted == 0 {
                        return Some(rest);
                    }
                }
            }
        }
        // The last one may be shorter than a first look.
        while let [tag, _, ..] = *rest
            && tag == self.extractor.attribute_tag
            && self.wanted > 0
        {
            rest = self.unusual(rest)?;
        }
        Some(rest)
    }

    /// Takes a KeyValue in its usual form, whose key may be wanted; whether it was the last one wanted.
    #[inline(never)]
    fn take(&mut self, first: u16, key_len: usize, message: &[u8], value: &[u8], next: &[u8]) -> bool {
        let Some(key) = message.get(4..4 + key_len) else { return false };
        let position = self.extractor.keys.find_from(first, key);
        if let Some(slot) = position.and_then(|position| self.slots.get_mut(position as usize))
            && slot.tag == tag::MISSING
        {
            let end = self.base.len() - next.len();
            *slot = plain_value(value, end)
                .unwrap_or_else(|| any_value(self.base, Range { start: end - value.len(), end }));
            self.wanted -= 1;
        }
        self.wanted == 0
    }

    /// Takes whatever attribute `rest` starts with; gives what is behind it.
    #[inline(never)]
    fn unusual(&mut self, rest: &[u8]) -> Option<&'p [u8]> {
        let (start, end) = length(self.base, self.base.len() - rest.len() + 1)?;
        self.wanted -= usize::from(self.extractor.attribute(self.base, Range { start, end }, self.slots));
        self.base.get(end..)
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

/// The first byte of a length-delimited field's tag.
fn tag_byte(field: u32) -> u8 {
    match u8::try_from(field << 3 | 2) {
        Ok(tag) if tag < 0x80 => tag,
        _ => u8::MAX,
    }
}

/// Fills a slot unless an earlier attribute of the key did; whether it did.
fn first(slots: &mut [RawSlot], position: u32, value: impl FnOnce() -> RawSlot) -> bool {
    match slots.get_mut(position as usize) {
        Some(slot) if slot.tag == tag::MISSING => {
            *slot = value();
            true
        }
        _ => false,
    }
}

#[inline]
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
        SlotPath::DroppedAttributes(Level::Log) => (7, Shape::Uint32),
        SlotPath::DroppedAttributes(_) => (4, Shape::Uint32),
        SlotPath::DroppedEvents => (12, Shape::Uint32),
        SlotPath::DroppedLinks => (14, Shape::Uint32),
        SlotPath::Flags => (16, Shape::Fixed32),
        SlotPath::ScopeName => (1, Shape::Str),
        SlotPath::ScopeVersion => (2, Shape::Str),
        SlotPath::EventUnixNano => (1, Shape::Nanos),
        SlotPath::EventName => (2, Shape::Str),
        SlotPath::Log(LogField::Time) => (1, Shape::Nanos),
        SlotPath::Log(LogField::SeverityNumber) => (2, Shape::Int32),
        SlotPath::Log(LogField::SeverityText) => (3, Shape::Str),
        SlotPath::Log(LogField::Flags) => (8, Shape::Fixed32),
        SlotPath::Log(LogField::TraceId) => (9, Shape::TraceId),
        SlotPath::Log(LogField::SpanId) => (10, Shape::SpanId),
        SlotPath::Log(LogField::ObservedTime) => (11, Shape::Nanos),
        SlotPath::Log(LogField::EventName) => (12, Shape::Str),
        SlotPath::Metric(_) | SlotPath::Point(_) | SlotPath::Log(LogField::Body) => return None,
        SlotPath::Attribute(..)
        | SlotPath::Map(_)
        | SlotPath::Member(..)
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
fn read(shape: Shape, base: &[u8], payload: Payload) -> Option<RawSlot> {
    Some(match (shape, payload) {
        (Shape::Str, Payload::Bytes(range)) => RawSlot::range(tag::STR, range),
        (Shape::TraceId, Payload::Bytes(range)) => RawSlot::trace_id(base, range),
        (Shape::SpanId, Payload::Bytes(range)) => RawSlot::span_id(base, range),
        // Go truncates to 32 bits, with sign for enums.
        (Shape::Uint32, Payload::Varint(bits)) => RawSlot::int(i64::from(bits as u32)),
        (Shape::Int32, Payload::Varint(bits)) => RawSlot::int(i64::from(bits as u32 as i32)),
        (Shape::Nanos, Payload::Fixed64(bits)) => RawSlot::int(bits.cast_signed()),
        (Shape::Fixed32, Payload::Fixed32(bits)) => RawSlot::int(i64::from(bits)),
        (Shape::Double, Payload::Fixed64(bits)) => RawSlot { tag: tag::DOUBLE, len: 0, bits },
        (Shape::Sint32, Payload::Varint(bits)) => RawSlot::int(point::sint32(bits)),
        _ => return None,
    })
}

/// The sources that only have attributes, each in a buffer of its own.
pub(crate) const CLIENT_SOURCES: [MapSource; 3] =
    [MapSource::ClientMetadata, MapSource::ClientAuth, MapSource::GrpcMetadata];
