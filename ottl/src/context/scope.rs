//! Paths of `scope`, also known as `instrumentation_scope`.

use super::{PathEntry, Target, entry};
use crate::layout::{Level, MapSource, SlotPath};

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["name"], Target::Slot(SlotPath::ScopeName)),
    entry(&["version"], Target::Slot(SlotPath::ScopeVersion)),
    entry(&["attributes"], Target::Map(MapSource::Scope)),
    entry(&["dropped_attributes_count"], Target::Slot(SlotPath::DroppedAttributes(Level::Scope))),
    entry(&["schema_url"], Target::Slot(SlotPath::SchemaUrl(Level::Scope))),
];
