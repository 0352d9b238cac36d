//! The delimited protobuf form of a page: `io.prometheus.client.MetricFamily` of client_model 0.6, the only one that
//! shows native histograms and when counting began.

use pdata::wire::{put_bytes, put_fixed64_field, put_message, put_varint, put_varint_field};

use super::model::{Exemplar, Family, Histogram, Kind, Native, Sample, Value};
use super::text::Escaping;

/// Writes the families in the order given, each with its length in front.
#[must_use]
pub fn write(families: &[Family], escaping: Escaping) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    let mut message = Vec::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        message.clear();
        push_family(&mut message, family, escaping);
        put_varint(&mut out, message.len() as u64);
        out.extend_from_slice(&message);
    }
    out
}

fn push_family(out: &mut Vec<u8>, family: &Family, escaping: Escaping) {
    put_bytes(out, 1, escaping.apply(&family.name).as_bytes());
    put_bytes(out, 2, family.help.as_bytes());
    let kind = match family.kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Summary => 2,
        Kind::Untyped => 3,
        Kind::Histogram => 4,
    };
    put_varint_field(out, 3, kind);
    for sample in &family.samples {
        put_message(out, 4, |out| push_sample(out, family.kind, sample, escaping));
    }
}

fn push_sample(out: &mut Vec<u8>, kind: Kind, sample: &Sample, escaping: Escaping) {
    for (name, value) in sample.labels.iter() {
        push_label(out, 1, &escaping.apply(name), value);
    }
    match &sample.value {
        Value::Number { value, exemplar } => {
            let field = match kind {
                Kind::Counter => 3,
                Kind::Gauge => 2,
                _ => 5,
            };
            put_message(out, field, |out| {
                push_double(out, 1, *value);
                if kind == Kind::Counter {
                    exemplar.iter().for_each(|exemplar| push_exemplar(out, 2, exemplar));
                    push_created(out, 3, sample.created_unix_nano);
                }
            });
        }
        Value::Summary { count, sum, quantiles } => put_message(out, 4, |out| {
            put_varint_field(out, 1, *count);
            push_double(out, 2, *sum);
            for (quantile, value) in quantiles {
                put_message(out, 3, |out| {
                    push_double(out, 1, *quantile);
                    push_double(out, 2, *value);
                });
            }
            push_created(out, 4, sample.created_unix_nano);
        }),
        Value::Histogram(histogram) => {
            put_message(out, 7, |out| push_histogram(out, histogram, sample.created_unix_nano));
        }
    }
    if let Some(timestamp_ms) = sample.timestamp_ms {
        put_varint_field(out, 6, timestamp_ms.cast_unsigned());
    }
}

fn push_histogram(out: &mut Vec<u8>, histogram: &Histogram, created_unix_nano: u64) {
    put_varint_field(out, 1, histogram.count);
    push_double(out, 2, histogram.sum);
    for bucket in &histogram.buckets {
        put_message(out, 3, |out| {
            put_varint_field(out, 1, bucket.cumulative);
            push_double(out, 2, bucket.bound);
            bucket.exemplar.iter().for_each(|exemplar| push_exemplar(out, 3, exemplar));
        });
    }
    push_created(out, 15, created_unix_nano);
    if let Some(native) = &histogram.native {
        push_native(out, native);
    }
}

fn push_native(out: &mut Vec<u8>, native: &Native) {
    put_varint_field(out, 5, zigzag(native.schema.into()));
    push_double(out, 6, native.zero_threshold);
    put_varint_field(out, 7, native.zero_count);
    push_buckets(out, 9, &native.negative);
    push_buckets(out, 12, &native.positive);
    native.exemplars.iter().for_each(|exemplar| push_exemplar(out, 16, exemplar));
}

/// Spans of buckets in `field` and the differences of their counts in the next one. A gap of one or two empty buckets
/// is filled: that is shorter than a new span.
fn push_buckets(out: &mut Vec<u8>, field: u32, buckets: &[(i32, u64)]) {
    let mut spans: Vec<(i64, u32)> = Vec::new();
    let mut counts: Vec<u64> = Vec::with_capacity(buckets.len());
    let mut next = 0_i64;
    for (index, count) in buckets {
        let index = i64::from(*index);
        let gap = index - next;
        match spans.last_mut() {
            Some((_, length)) if gap <= 2 => {
                counts.extend(std::iter::repeat_n(0, usize::try_from(gap).unwrap_or(0)));
                *length += u32::try_from(gap).unwrap_or(0) + 1;
            }
            _ => spans.push((gap, 1)),
        }
        counts.push(*count);
        next = index + 1;
    }
    for (offset, length) in spans {
        put_message(out, field, |out| {
            put_varint_field(out, 1, zigzag(offset));
            put_varint_field(out, 2, length.into());
        });
    }
    let mut before = 0_u64;
    for count in counts {
        put_varint_field(out, field + 1, zigzag(count.wrapping_sub(before).cast_signed()));
        before = count;
    }
}

fn push_exemplar(out: &mut Vec<u8>, field: u32, exemplar: &Exemplar) {
    put_message(out, field, |out| {
        for (name, value) in &exemplar.labels {
            push_label(out, 1, name, value);
        }
        push_double(out, 2, exemplar.value);
        push_time(out, 3, exemplar.time_unix_nano);
    });
}

fn push_label(out: &mut Vec<u8>, field: u32, name: &str, value: &str) {
    put_message(out, field, |out| {
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    });
}

fn push_created(out: &mut Vec<u8>, field: u32, unix_nano: u64) {
    if unix_nano > 0 {
        push_time(out, field, unix_nano);
    }
}

/// `google.protobuf.Timestamp`.
fn push_time(out: &mut Vec<u8>, field: u32, unix_nano: u64) {
    put_message(out, field, |out| {
        put_varint_field(out, 1, unix_nano / 1_000_000_000);
        put_varint_field(out, 2, unix_nano % 1_000_000_000);
    });
}

fn push_double(out: &mut Vec<u8>, field: u32, value: f64) {
    put_fixed64_field(out, field, value.to_bits());
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
