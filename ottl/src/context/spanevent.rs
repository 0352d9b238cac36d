//! Paths of `spanevent`.

use super::{PathEntry, Target, entry};
use crate::layout::{Level, MapSource, SlotPath};

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["time_unix_nano"], Target::Slot(SlotPath::EventUnixNano)),
    entry(&["time"], Target::Time(SlotPath::EventUnixNano)),
    entry(&["name"], Target::Slot(SlotPath::EventName)),
    entry(&["attributes"], Target::Map(MapSource::Event)),
    entry(&["dropped_attributes_count"], Target::Slot(SlotPath::DroppedAttributes(Level::Event))),
    entry(&["event_index"], Target::EventIndex),
];
