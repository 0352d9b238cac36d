//! What the general plan of an extractor does not know: data points, whose fields have different numbers in each kind, and
//! the data of metrics.

use super::{Action, Extractor, Shape, put};
use crate::{
    layout::{MetricField, PointField, PointKind},
    slot::{RawSlot, tag},
    wire::{Fields, Payload, Range},
};

/// Slots that a metric's data fill, by position.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MetricSlots {
    ty: Option<u32>,
    temporality: Option<u32>,
    monotonic: Option<u32>,
    data_points: Option<u32>,
}

/// Fields of a Metric that hold data, with the number that `metric.type` has for them.
pub(super) const METRIC_DATA: [(u32, i64); 5] = [(5, GAUGE), (7, SUM), (9, 3), (10, 4), (11, SUMMARY)];
const GAUGE: i64 = 1;
const SUM: i64 = 2;
const SUMMARY: i64 = 5;

impl Extractor {
    pub(super) fn plan_metric(&mut self, field: MetricField, position: u32) {
        let slots = &mut self.metric;
        match field {
            MetricField::Name => return self.set(1, Action::Scalar(Shape::Str, position)),
            MetricField::Description => return self.set(2, Action::Scalar(Shape::Str, position)),
            MetricField::Unit => return self.set(3, Action::Scalar(Shape::Str, position)),
            MetricField::Type => slots.ty = Some(position),
            MetricField::Temporality => slots.temporality = Some(position),
            MetricField::Monotonic => slots.monotonic = Some(position),
            MetricField::DataPoints => slots.data_points = Some(position),
        }
        for (number, ty) in METRIC_DATA {
            self.set(number, Action::MetricData(ty));
        }
    }

    /// A metric's data; of several the last counts.
    pub(super) fn metric_data(&self, base: &[u8], range: Range, ty: i64, slots: &mut [RawSlot]) {
        let (mut temporality, mut monotonic) = (0, 0);
        for (field, payload) in Fields::within(base, range) {
            match (field, payload) {
                (2, Payload::Varint(bits)) => temporality = i64::from(bits as u32 as i32),
                (3, Payload::Varint(bits)) => monotonic = u64::from(bits != 0),
                _ => {}
            }
        }
        let temporality = match ty {
            GAUGE | SUMMARY => RawSlot::MISSING,
            _ => RawSlot::int(temporality),
        };
        let monotonic = match ty {
            SUM => RawSlot { tag: tag::BOOL, len: 0, bits: monotonic },
            _ => RawSlot::MISSING,
        };
        let found = [
            (self.metric.ty, RawSlot::int(ty)),
            (self.metric.temporality, temporality),
            (self.metric.monotonic, monotonic),
            (self.metric.data_points, RawSlot::range(tag::OPAQUE, range)),
        ];
        for (position, slot) in found {
            if let Some(position) = position {
                put(slots, position, slot);
            }
        }
    }

    pub(super) fn plan_point(&mut self, field: PointField, kind: PointKind, position: u32) {
        let Some(number) = field.number(kind) else { return };
        let at = (position as usize).checked_sub(self.level.start);
        if let Some(slot) = at.and_then(|at| self.template.get_mut(at)) {
            *slot = field.default_slot();
        }
        let shape = match field {
            field if field.is_whole() => return self.whole.push((position, field.default_slot().tag)),
            PointField::Offset(_) => return self.set(number, Action::Offset(position)),
            PointField::ValueDouble | PointField::ValueInt => {
                let known = match self.actions.get(4).copied().flatten() {
                    Some(Action::Value { double, int }) => (double, int),
                    _ => (None, None),
                };
                let (double, int) = match field {
                    PointField::ValueDouble => (Some(position), known.1),
                    _ => (known.0, Some(position)),
                };
                self.set(4, Action::Value { double, int });
                return self.set(6, Action::Value { double, int });
            }
            PointField::Flags => Shape::Uint32,
            PointField::Sum => Shape::Double,
            PointField::Scale => Shape::Sint32,
            _ => Shape::Nanos,
        };
        self.set(number, Action::Scalar(shape, position));
    }

    /// The value of a number point is a double or an int; the other reads as zero.
    pub(super) fn point_value(&self, bits: u64, is_int: bool, action: Action, slots: &mut [RawSlot]) {
        let Action::Value { double, int } = action else { return };
        let (as_double, as_int) = if is_int { (0, bits) } else { (bits, 0) };
        if let Some(position) = double {
            put(slots, position, RawSlot { tag: tag::DOUBLE, len: 0, bits: as_double });
        }
        if let Some(position) = int {
            put(slots, position, RawSlot { tag: tag::INT, len: 0, bits: as_int });
        }
    }

    /// The offset of buckets; messages that come in parts merge.
    pub(super) fn offset(&self, base: &[u8], range: Range, position: u32, slots: &mut [RawSlot]) {
        for (field, payload) in Fields::within(base, range) {
            if let (1, Payload::Varint(bits)) = (field, payload) {
                put(slots, position, RawSlot::int(sint32(bits)));
            }
        }
    }
}

/// A zigzag varint of 32 bits.
pub(super) fn sint32(bits: u64) -> i64 {
    let bits = bits as u32;
    i64::from((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()))
}
