//! Paths of `metric`.

use super::{PathEntry, Target, entry};
use crate::layout::{MapSource, MetricField, SlotPath};

const fn slot(field: MetricField) -> Target {
    Target::Slot(SlotPath::Metric(field))
}

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["name"], slot(MetricField::Name)),
    entry(&["description"], slot(MetricField::Description)),
    entry(&["unit"], slot(MetricField::Unit)),
    entry(&["type"], slot(MetricField::Type)),
    entry(&["aggregation_temporality"], slot(MetricField::Temporality)),
    entry(&["is_monotonic"], slot(MetricField::Monotonic)),
    entry(&["data_points"], slot(MetricField::DataPoints)),
    entry(&["metadata"], Target::Map(MapSource::Metric)),
];
