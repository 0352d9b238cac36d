//! An `ExportMetricsServiceRequest` as [`Metrics`].
//!
//! As checked as the index of traces is: malformed bytes are refused, unknown fields passed over, of repeated scalars the
//! last counts. Text that is not UTF-8 becomes U+FFFD. Not kept, for want of a reader: metric metadata, entity
//! references and counts of dropped attributes. A point without a value gets integer 0, which is what Go's accessor says.

use super::{
    AggregationTemporality, Attributes, Exemplar, ExponentialBuckets, ExponentialHistogramPoint, HistogramPoint,
    Metric, MetricData, Metrics, NumberPoint, NumberValue, ResourceMetrics, Scope, ScopeMetrics, SummaryPoint,
};
use crate::index::{read_id, skip, validate_attribute};
use crate::value::{KeyValueRef, lossy};
use crate::wire::{Cursor, WireError, WireErrorKind};

/// Wire types, as the low bits of tags have them.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LEN: u32 = 2;

const fn varint(field: u32) -> u32 {
    field << 3 | VARINT
}

const fn fixed64(field: u32) -> u32 {
    field << 3 | FIXED64
}

const fn len(field: u32) -> u32 {
    field << 3 | LEN
}

type Read<T> = Result<T, WireError>;

impl Metrics {
    /// Reads a request (or `MetricsData`: the same bytes).
    pub fn decode(body: &[u8]) -> Read<Self> {
        let mut metrics = Self::default();
        fields(Cursor::new(body), &[1], |cursor, tag| {
            match tag {
                LEN_1 => metrics.resource_metrics.push(resource_metrics(cursor.message()?)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(metrics)
    }
}

const LEN_1: u32 = len(1);
const LEN_2: u32 = len(2);
const LEN_3: u32 = len(3);
const LEN_4: u32 = len(4);
const LEN_5: u32 = len(5);
const LEN_6: u32 = len(6);
const LEN_7: u32 = len(7);
const LEN_8: u32 = len(8);
const LEN_9: u32 = len(9);
const LEN_10: u32 = len(10);
const LEN_11: u32 = len(11);
const LEN_12: u32 = len(12);
const FIXED_1: u32 = fixed64(1);
const FIXED_2: u32 = fixed64(2);
const FIXED_3: u32 = fixed64(3);
const FIXED_4: u32 = fixed64(4);
const FIXED_5: u32 = fixed64(5);
const FIXED_6: u32 = fixed64(6);
const FIXED_7: u32 = fixed64(7);
const FIXED_11: u32 = fixed64(11);
const FIXED_12: u32 = fixed64(12);
const FIXED_13: u32 = fixed64(13);
const FIXED_14: u32 = fixed64(14);
const VARINT_1: u32 = varint(1);
const VARINT_2: u32 = varint(2);
const VARINT_3: u32 = varint(3);
const VARINT_4: u32 = varint(4);
const VARINT_6: u32 = varint(6);
const VARINT_8: u32 = varint(8);
const VARINT_10: u32 = varint(10);

/// Offers each field to `take`, which says whether it took it. What it did not take is passed over, unless its number is
/// a known one: then it came with the wrong wire type.
fn fields<'a>(
    mut cursor: Cursor<'a>,
    known: &[u32],
    mut take: impl FnMut(&mut Cursor<'a>, u32) -> Read<bool>,
) -> Read<()> {
    while let Some(tag) = cursor.tag()? {
        if !take(&mut cursor, tag)? {
            if known.contains(&(tag >> 3)) {
                return Err(cursor.error(WireErrorKind::WireType));
            }
            skip(&mut cursor, tag)?;
        }
    }
    Ok(())
}

fn resource_metrics(cursor: Cursor<'_>) -> Read<ResourceMetrics> {
    let mut out = ResourceMetrics::default();
    fields(cursor, &[1, 2, 3], |cursor, tag| {
        match tag {
            LEN_1 => resource(cursor.message()?, &mut out.attributes)?,
            LEN_2 => out.scope_metrics.push(scope_metrics(cursor.message()?)?),
            LEN_3 => out.schema_url = text(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn resource(cursor: Cursor<'_>, attributes: &mut Attributes) -> Read<()> {
    crate::index::validate_resource(cursor)?;
    fields(cursor, &[], |cursor, tag| {
        match tag {
            LEN_1 => attributes.push(attribute(cursor)?),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn scope_metrics(cursor: Cursor<'_>) -> Read<ScopeMetrics> {
    let mut out = ScopeMetrics::default();
    fields(cursor, &[1, 2, 3], |cursor, tag| {
        match tag {
            LEN_1 => scope(cursor.message()?, &mut out.scope)?,
            LEN_2 => out.metrics.push(metric(cursor.message()?)?),
            LEN_3 => out.schema_url = text(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn scope(cursor: Cursor<'_>, out: &mut Scope) -> Read<()> {
    fields(cursor, &[1, 2, 3, 4], |cursor, tag| {
        match tag {
            LEN_1 => out.name = text(cursor)?,
            LEN_2 => out.version = text(cursor)?,
            LEN_3 => out.attributes.push(attribute(cursor)?),
            VARINT_4 => drop(cursor.varint()?),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn metric(cursor: Cursor<'_>) -> Read<Metric> {
    let mut out =
        Metric { name: String::new(), description: String::new(), unit: String::new(), data: MetricData::Empty };
    fields(cursor, &[1, 2, 3, 5, 7, 9, 10, 11, 12], |cursor, tag| {
        match tag {
            LEN_1 => out.name = text(cursor)?,
            LEN_2 => out.description = text(cursor)?,
            LEN_3 => out.unit = text(cursor)?,
            LEN_5 => out.data = MetricData::Gauge { points: data(cursor, &[1], number_point)?.points },
            LEN_7 => {
                let Data { points, temporality, monotonic } = data(cursor, &[1, 2, 3], number_point)?;
                out.data = MetricData::Sum { points, temporality, monotonic };
            }
            LEN_9 => {
                let Data { points, temporality, .. } = data(cursor, &[1, 2], histogram_point)?;
                out.data = MetricData::Histogram { points, temporality };
            }
            LEN_10 => {
                let Data { points, temporality, .. } = data(cursor, &[1, 2], exponential_histogram_point)?;
                out.data = MetricData::ExponentialHistogram { points, temporality };
            }
            LEN_11 => out.data = MetricData::Summary { points: data(cursor, &[1], summary_point)?.points },
            LEN_12 => drop(attribute(cursor)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

/// What the five kinds of data have between them.
struct Data<T> {
    points: Vec<T>,
    temporality: AggregationTemporality,
    monotonic: bool,
}

fn data<T>(cursor: &mut Cursor<'_>, known: &[u32], point: impl Fn(Cursor<'_>) -> Read<T>) -> Read<Data<T>> {
    let mut out = Data { points: Vec::new(), temporality: AggregationTemporality::Unspecified, monotonic: false };
    fields(cursor.message()?, known, |cursor, tag| {
        match tag {
            LEN_1 => out.points.push(point(cursor.message()?)?),
            VARINT_2 => {
                out.temporality = match cursor.varint()? as i32 {
                    1 => AggregationTemporality::Delta,
                    2 => AggregationTemporality::Cumulative,
                    _ => AggregationTemporality::Unspecified,
                };
            }
            VARINT_3 => out.monotonic = cursor.varint()? != 0,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn number_point(cursor: Cursor<'_>) -> Read<NumberPoint> {
    let mut out = NumberPoint {
        attributes: Attributes::new(),
        start_unix_nano: 0,
        time_unix_nano: 0,
        value: NumberValue::Int(0),
        exemplars: Vec::new(),
        flags: 0,
    };
    fields(cursor, &[2, 3, 4, 5, 6, 7, 8], |cursor, tag| {
        match tag {
            FIXED_2 => out.start_unix_nano = cursor.fixed64()?,
            FIXED_3 => out.time_unix_nano = cursor.fixed64()?,
            FIXED_4 => out.value = NumberValue::Double(double(cursor)?),
            LEN_5 => out.exemplars.push(exemplar(cursor.message()?)?),
            FIXED_6 => out.value = NumberValue::Int(cursor.fixed64()? as i64),
            LEN_7 => out.attributes.push(attribute(cursor)?),
            VARINT_8 => out.flags = cursor.varint()? as u32,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn histogram_point(cursor: Cursor<'_>) -> Read<HistogramPoint> {
    let mut out = HistogramPoint::default();
    fields(cursor, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], |cursor, tag| {
        match tag {
            FIXED_2 => out.start_unix_nano = cursor.fixed64()?,
            FIXED_3 => out.time_unix_nano = cursor.fixed64()?,
            FIXED_4 => out.count = cursor.fixed64()?,
            FIXED_5 => out.sum = Some(double(cursor)?),
            // Repeated numbers come packed or one by one.
            LEN_6 => packed(cursor, Cursor::fixed64, &mut out.bucket_counts)?,
            FIXED_6 => out.bucket_counts.push(cursor.fixed64()?),
            LEN_7 => packed(cursor, double, &mut out.explicit_bounds)?,
            FIXED_7 => out.explicit_bounds.push(double(cursor)?),
            LEN_8 => out.exemplars.push(exemplar(cursor.message()?)?),
            LEN_9 => out.attributes.push(attribute(cursor)?),
            VARINT_10 => out.flags = cursor.varint()? as u32,
            FIXED_11 => out.min = Some(double(cursor)?),
            FIXED_12 => out.max = Some(double(cursor)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn exponential_histogram_point(cursor: Cursor<'_>) -> Read<ExponentialHistogramPoint> {
    let mut out = ExponentialHistogramPoint::default();
    fields(cursor, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], |cursor, tag| {
        match tag {
            LEN_1 => out.attributes.push(attribute(cursor)?),
            FIXED_2 => out.start_unix_nano = cursor.fixed64()?,
            FIXED_3 => out.time_unix_nano = cursor.fixed64()?,
            FIXED_4 => out.count = cursor.fixed64()?,
            FIXED_5 => out.sum = Some(double(cursor)?),
            VARINT_6 => out.scale = zigzag(cursor.varint()?),
            FIXED_7 => out.zero_count = cursor.fixed64()?,
            LEN_8 => buckets(cursor.message()?, &mut out.positive)?,
            LEN_9 => buckets(cursor.message()?, &mut out.negative)?,
            VARINT_10 => out.flags = cursor.varint()? as u32,
            LEN_11 => out.exemplars.push(exemplar(cursor.message()?)?),
            FIXED_12 => out.min = Some(double(cursor)?),
            FIXED_13 => out.max = Some(double(cursor)?),
            FIXED_14 => out.zero_threshold = double(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn buckets(cursor: Cursor<'_>, out: &mut ExponentialBuckets) -> Read<()> {
    fields(cursor, &[1, 2], |cursor, tag| {
        match tag {
            VARINT_1 => out.offset = zigzag(cursor.varint()?),
            LEN_2 => packed(cursor, Cursor::varint, &mut out.bucket_counts)?,
            VARINT_2 => out.bucket_counts.push(cursor.varint()?),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn summary_point(cursor: Cursor<'_>) -> Read<SummaryPoint> {
    let mut out = SummaryPoint::default();
    fields(cursor, &[2, 3, 4, 5, 6, 7, 8], |cursor, tag| {
        match tag {
            FIXED_2 => out.start_unix_nano = cursor.fixed64()?,
            FIXED_3 => out.time_unix_nano = cursor.fixed64()?,
            FIXED_4 => out.count = cursor.fixed64()?,
            FIXED_5 => out.sum = double(cursor)?,
            LEN_6 => out.quantiles.push(quantile(cursor.message()?)?),
            LEN_7 => out.attributes.push(attribute(cursor)?),
            VARINT_8 => out.flags = cursor.varint()? as u32,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn quantile(cursor: Cursor<'_>) -> Read<(f64, f64)> {
    let mut out = (0.0, 0.0);
    fields(cursor, &[1, 2], |cursor, tag| {
        match tag {
            FIXED_1 => out.0 = double(cursor)?,
            FIXED_2 => out.1 = double(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn exemplar(cursor: Cursor<'_>) -> Read<Exemplar> {
    let mut out = Exemplar {
        filtered_attributes: Attributes::new(),
        time_unix_nano: 0,
        value: NumberValue::Int(0),
        trace_id: [0; 16],
        span_id: [0; 8],
    };
    fields(cursor, &[2, 3, 4, 5, 6, 7], |cursor, tag| {
        match tag {
            FIXED_2 => out.time_unix_nano = cursor.fixed64()?,
            FIXED_3 => out.value = NumberValue::Double(double(cursor)?),
            LEN_4 => out.span_id = read_id(cursor)?,
            LEN_5 => out.trace_id = read_id(cursor)?,
            FIXED_6 => out.value = NumberValue::Int(cursor.fixed64()? as i64),
            LEN_7 => out.filtered_attributes.push(attribute(cursor)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(out)
}

fn attribute(cursor: &mut Cursor<'_>) -> Read<(String, super::Value)> {
    let message = cursor.message()?;
    validate_attribute(message)?;
    let entry = KeyValueRef::parse(message.whole());
    Ok((lossy(entry.key), entry.value.to_value()))
}

fn text(cursor: &mut Cursor<'_>) -> Read<String> {
    cursor.bytes().map(lossy)
}

fn double(cursor: &mut Cursor<'_>) -> Read<f64> {
    cursor.fixed64().map(f64::from_bits)
}

fn packed<'a, T>(cursor: &mut Cursor<'a>, item: impl Fn(&mut Cursor<'a>) -> Read<T>, out: &mut Vec<T>) -> Read<()> {
    let mut items = cursor.message()?;
    while !items.is_at_end() {
        out.push(item(&mut items)?);
    }
    Ok(())
}

fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
