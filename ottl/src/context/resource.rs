//! Paths of `resource`.

use super::{PathEntry, Target, entry};
use crate::layout::{Level, MapSource, SlotPath};

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["attributes"], Target::Map(MapSource::Resource)),
    entry(&["dropped_attributes_count"], Target::Slot(SlotPath::DroppedAttributes(Level::Resource))),
    entry(&["schema_url"], Target::Slot(SlotPath::SchemaUrl(Level::Resource))),
];
