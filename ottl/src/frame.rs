//! The memory of one evaluation: slots and the buffers they point into.

use std::{borrow::Cow, sync::Arc};

use crate::{
    kept::Kept,
    layout::{Base, Layout, Level, MapSource, Placed, PointField, PointKind, SlotId, SlotPath},
    slot::{RawSlot, tag},
    value::{GoInt, List, ListRepr, Map, Opaque, Value, WireMap},
    wire::{Fields, Payload},
};

/// Slots filled by the `load_*` methods of a [`Program`](crate::Program), valid as long as the buffers that were loaded.
/// Made once a batch.
#[derive(Clone, Debug)]
pub struct Frame<'w> {
    pub(crate) layout: Arc<Layout>,
    pub(crate) slots: Box<[RawSlot]>,
    pub(crate) bases: [&'w [u8]; Base::COUNT],
    /// What was found out about what is loaded.
    pub(crate) kept: Box<[Kept]>,
    /// Of the data point that was loaded.
    pub(crate) point_kind: PointKind,
}

/// What a slot holds, for native readers: a copy that points into the wire bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot<'w> {
    /// Missing, or an AnyValue with nothing set.
    Nil,
    /// A bool.
    Bool(bool),
    /// An int.
    Int(i64),
    /// A double.
    Double(f64),
    /// A string; not necessarily UTF-8.
    Str(&'w [u8]),
    /// Bytes.
    Bytes(&'w [u8]),
    /// A KeyValueList message, or for a whole map of attributes the message that holds them.
    Map(&'w [u8]),
    /// An ArrayValue message.
    List(&'w [u8]),
    /// A trace id, all zero when unset.
    TraceId([u8; 16]),
    /// A span id, all zero when unset.
    SpanId([u8; 8]),
    /// The message that `events`, `links` or `status` is a part of.
    Struct(&'w [u8]),
}

impl<'w> Frame<'w> {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        let slots = layout.template().into();
        let kept = (0..layout.kept().len()).map(|_| Kept::default()).collect();
        Self { layout, slots, bases: [&[]; Base::COUNT], kept, point_kind: PointKind::default() }
    }

    /// A frame without slots, for expressions that read none.
    pub(crate) fn empty() -> Self {
        Self::new(Arc::new(Layout::default()))
    }

    /// Forgets what was found out about a level and inner ones, before the level is loaded.
    #[inline]
    pub(crate) fn forget(&mut self, level: Level) {
        if let Some(kept) = self.kept.get_mut(self.layout.kept().from(level)) {
            kept.iter_mut().for_each(Kept::reset);
        }
    }

    /// Makes a row of a span's slots, which is as wide as a frame, and the bytes that they were filled from this frame's span.
    pub(crate) fn take_row(&mut self, row: &[RawSlot], span: &'w [u8]) {
        self.forget(Level::Span);
        let own = self.layout.level(Level::Span);
        if let (Some(to), Some(from)) = (self.slots.get_mut(own.clone()), row.get(own)) {
            to.copy_from_slice(from);
        }
        self.bases[Base::Span as usize] = span;
    }

    #[inline]
    fn placed(&self, id: SlotId) -> Option<(&Placed, RawSlot)> {
        let placed = self.layout.placed(id)?;
        Some((placed, *self.slots.get(placed.position as usize)?))
    }

    /// Whether there is no such attribute, as opposed to one with nothing in it.
    pub(crate) fn is_missing(&self, id: SlotId) -> bool {
        self.placed(id).is_none_or(|(_, slot)| slot.tag == tag::MISSING)
    }

    /// A slot's content.
    #[inline]
    pub(crate) fn get(&self, id: SlotId) -> Slot<'w> {
        let Some((placed, slot)) = self.placed(id) else { return Slot::Nil };
        let bytes = || slot.as_range().of(self.bases[placed.base as usize]);
        match slot.tag {
            tag::BOOL => Slot::Bool(slot.bits != 0),
            tag::INT => Slot::Int(slot.bits.cast_signed()),
            tag::DOUBLE => Slot::Double(f64::from_bits(slot.bits)),
            tag::STR => Slot::Str(bytes()),
            tag::BYTES => Slot::Bytes(bytes()),
            tag::MAP => Slot::Map(bytes()),
            tag::LIST => Slot::List(bytes()),
            tag::TRACE_ID => Slot::TraceId(bytes().try_into().unwrap_or_default()),
            tag::SPAN_ID => Slot::SpanId(bytes().try_into().unwrap_or_default()),
            tag::OPAQUE | tag::PACKED => Slot::Struct(bytes()),
            _ => Slot::Nil,
        }
    }

    /// The field behind a map or struct slot.
    fn field(&self, placed: &Placed) -> u32 {
        match placed.path {
            SlotPath::Map(MapSource::DataPoint) => self.point_kind.attributes(),
            SlotPath::Point(field) => field.number(self.point_kind).unwrap_or_default(),
            _ => placed.field,
        }
    }

    fn is_packed(&self, id: SlotId) -> bool {
        self.placed(id).is_some_and(|(_, slot)| slot.tag == tag::PACKED)
    }

    /// A list of numbers, packed or not.
    fn numbers(&self, id: SlotId, message: &'w [u8], field: u32) -> Value<'w> {
        let path = self.layout.placed(id).map(|placed| &placed.path);
        let Some(SlotPath::Point(point)) = path else { return Value::Nil };
        let Some(repr) = point.list_repr() else { return Value::Nil };
        let mut items = Vec::new();
        for (number, payload) in Fields::new(message).filter(|(number, _)| *number == field) {
            match (point, payload) {
                // Counts of one side of an exponential histogram are a field of a message, and varints.
                (PointField::SideCounts(_), Payload::Bytes(range)) => push_varints(range.of(message), &mut items),
                (_, Payload::Bytes(range)) => range
                    .of(message)
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .for_each(|bits| items.push(fixed64(repr, u64::from_le_bytes(*bits)))),
                (_, Payload::Fixed64(bits)) => items.push(fixed64(repr, bits)),
                _ => debug_assert_eq!(number, field),
            }
        }
        Value::List(List::owned(items, repr))
    }

    /// A slot's content as a value.
    pub(crate) fn value(&self, id: SlotId) -> Value<'w> {
        let field = self.layout.placed(id).map_or(1, |placed| self.field(placed));
        match self.get(id) {
            Slot::Nil => Value::Nil,
            Slot::Bool(flag) => Value::Bool(flag),
            Slot::Int(number) => Value::Int(number),
            Slot::Double(number) => Value::Double(number),
            Slot::Str(text) => Value::Str(Cow::Borrowed(text)),
            Slot::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Slot::Map(message) => Value::Map(Map::Wire(WireMap::new(message, field))),
            Slot::List(message) => Value::List(List::Wire(message)),
            Slot::TraceId(id) => Value::TraceId(id),
            Slot::SpanId(id) => Value::SpanId(id),
            Slot::Struct(message) if self.is_packed(id) => self.numbers(id, message, field),
            Slot::Struct(message) => match self.layout.placed(id).and_then(|placed| placed.path.opaque_kind()) {
                Some(kind) => Value::Opaque(Opaque { kind, message, field }),
                None => Value::Nil,
            },
        }
    }
}

/// An item of a list of 64-bit numbers.
fn fixed64(repr: ListRepr, bits: u64) -> Value<'static> {
    match repr {
        ListRepr::Doubles => Value::Double(f64::from_bits(bits)),
        _ => Value::GoInt(GoInt::Uint64(bits)),
    }
}

/// The bucket counts of a Buckets message.
fn push_varints(message: &[u8], items: &mut Vec<Value<'_>>) {
    for (field, payload) in Fields::new(message) {
        match (field, payload) {
            (2, Payload::Varint(bits)) => items.push(Value::GoInt(GoInt::Uint64(bits))),
            (2, Payload::Bytes(range)) => {
                let mut cursor = pdata::wire::Cursor::new(range.of(message));
                while !cursor.is_at_end() {
                    let Ok(bits) = cursor.varint() else { break };
                    items.push(Value::GoInt(GoInt::Uint64(bits)));
                }
            }
            _ => {}
        }
    }
}
