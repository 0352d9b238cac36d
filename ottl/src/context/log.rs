//! Paths of `log`.

use super::{PathEntry, Target, entry};
use crate::layout::{Level, LogField, MapSource, SlotPath};

const fn slot(field: LogField) -> Target {
    Target::Slot(SlotPath::Log(field))
}

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["time_unix_nano"], slot(LogField::Time)),
    entry(&["observed_time_unix_nano"], slot(LogField::ObservedTime)),
    entry(&["time"], Target::Time(SlotPath::Log(LogField::Time))),
    entry(&["observed_time"], Target::Time(SlotPath::Log(LogField::ObservedTime))),
    entry(&["severity_number"], slot(LogField::SeverityNumber)),
    entry(&["severity_text"], slot(LogField::SeverityText)),
    entry(&["body"], Target::Value(SlotPath::Log(LogField::Body))),
    entry(&["body", "string"], Target::Text(SlotPath::Log(LogField::Body))),
    entry(&["attributes"], Target::Map(MapSource::Log)),
    entry(&["dropped_attributes_count"], Target::Slot(SlotPath::DroppedAttributes(Level::Log))),
    entry(&["flags"], slot(LogField::Flags)),
    entry(&["trace_id"], slot(LogField::TraceId)),
    entry(&["trace_id", "string"], Target::Hex(SlotPath::Log(LogField::TraceId))),
    entry(&["span_id"], slot(LogField::SpanId)),
    entry(&["span_id", "string"], Target::Hex(SlotPath::Log(LogField::SpanId))),
    entry(&["event_name"], slot(LogField::EventName)),
];
