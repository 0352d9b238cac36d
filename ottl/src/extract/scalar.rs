//! Scalars of messages: where they stand, and how they become slots.

use super::{TRACE_STATE, point::sint32};
use crate::{
    layout::{Level, LogField, SlotPath},
    slot::{RawSlot, tag},
    wire::Payload,
};

/// How a scalar field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
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

/// Field number and shape of a scalar.
pub(super) fn scalar(path: &SlotPath) -> Option<(u32, Shape)> {
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
#[inline]
pub(super) fn read(shape: Shape, base: &[u8], payload: Payload) -> Option<RawSlot> {
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
        (Shape::Sint32, Payload::Varint(bits)) => RawSlot::int(sint32(bits)),
        _ => return None,
    })
}
