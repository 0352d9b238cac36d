//! Paths of `span`.

use super::{PathEntry, Target, entry};
use crate::{
    ir::KindText,
    layout::{Level, MapSource, SlotPath},
};

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["trace_id"], Target::Slot(SlotPath::TraceId)),
    entry(&["trace_id", "string"], Target::Hex(SlotPath::TraceId)),
    entry(&["span_id"], Target::Slot(SlotPath::SpanId)),
    entry(&["span_id", "string"], Target::Hex(SlotPath::SpanId)),
    entry(&["parent_span_id"], Target::Slot(SlotPath::ParentSpanId)),
    entry(&["parent_span_id", "string"], Target::Hex(SlotPath::ParentSpanId)),
    entry(&["trace_state"], Target::TraceState),
    entry(&["name"], Target::Slot(SlotPath::SpanName)),
    entry(&["kind"], Target::Slot(SlotPath::SpanKind)),
    entry(&["kind", "string"], Target::KindText(KindText::Short)),
    entry(&["kind", "deprecated_string"], Target::KindText(KindText::Deprecated)),
    entry(&["start_time_unix_nano"], Target::Slot(SlotPath::StartUnixNano)),
    entry(&["end_time_unix_nano"], Target::Slot(SlotPath::EndUnixNano)),
    entry(&["start_time"], Target::Time(SlotPath::StartUnixNano)),
    entry(&["end_time"], Target::Time(SlotPath::EndUnixNano)),
    entry(&["attributes"], Target::Map(MapSource::Span)),
    entry(&["dropped_attributes_count"], Target::Slot(SlotPath::DroppedAttributes(Level::Span))),
    entry(&["events"], Target::Slot(SlotPath::Events)),
    entry(&["dropped_events_count"], Target::Slot(SlotPath::DroppedEvents)),
    entry(&["links"], Target::Slot(SlotPath::Links)),
    entry(&["dropped_links_count"], Target::Slot(SlotPath::DroppedLinks)),
    entry(&["status"], Target::Slot(SlotPath::Status)),
    entry(&["status", "code"], Target::Slot(SlotPath::StatusCode)),
    entry(&["status", "message"], Target::Slot(SlotPath::StatusMessage)),
    entry(&["flags"], Target::Slot(SlotPath::Flags)),
];
