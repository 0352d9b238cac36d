//! Paths of `datapoint`, of all kinds of points: what a kind does not have is nil.

use super::{PathEntry, Target, entry};
use crate::layout::{MapSource, PointField, Side, SlotPath};

const fn slot(field: PointField) -> Target {
    Target::Slot(SlotPath::Point(field))
}

pub(super) static PATHS: &[PathEntry] = &[
    entry(&["attributes"], Target::Map(MapSource::DataPoint)),
    entry(&["start_time_unix_nano"], slot(PointField::Start)),
    entry(&["time_unix_nano"], slot(PointField::Time)),
    entry(&["start_time"], Target::Time(SlotPath::Point(PointField::Start))),
    entry(&["time"], Target::Time(SlotPath::Point(PointField::Time))),
    entry(&["value_double"], slot(PointField::ValueDouble)),
    entry(&["value_int"], slot(PointField::ValueInt)),
    entry(&["exemplars"], slot(PointField::Exemplars)),
    entry(&["flags"], slot(PointField::Flags)),
    entry(&["count"], slot(PointField::Count)),
    entry(&["sum"], slot(PointField::Sum)),
    entry(&["bucket_counts"], slot(PointField::BucketCounts)),
    entry(&["explicit_bounds"], slot(PointField::ExplicitBounds)),
    entry(&["scale"], slot(PointField::Scale)),
    entry(&["zero_count"], slot(PointField::ZeroCount)),
    entry(&["positive"], slot(PointField::Buckets(Side::Positive))),
    entry(&["positive", "offset"], slot(PointField::Offset(Side::Positive))),
    entry(&["positive", "bucket_counts"], slot(PointField::SideCounts(Side::Positive))),
    entry(&["negative"], slot(PointField::Buckets(Side::Negative))),
    entry(&["negative", "offset"], slot(PointField::Offset(Side::Negative))),
    entry(&["negative", "bucket_counts"], slot(PointField::SideCounts(Side::Negative))),
    entry(&["quantile_values"], slot(PointField::Quantiles)),
];
