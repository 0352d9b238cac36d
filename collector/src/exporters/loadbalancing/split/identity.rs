//! The identities of contrib's `internal/exp/metrics/identity` (0.161) as texts: FNV-1a over attribute hashes, which are
//! two XXH64 over the sorted attributes (`pkg/pdatautil`).

use pdata::metrics::{AggregationTemporality, Attributes, Metric, MetricData, Scope, Value};
use xxhash_rust::xxh64::xxh64;

/// The key of a resource.
pub(super) fn resource_identity(attributes: &Attributes) -> String {
    format!("resource/{:x}", Fnv::new().write(&attributes_hash(attributes)).0)
}

/// All of a stream's identity but its point's attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetricIdentity(Fnv);

impl MetricIdentity {
    pub(super) fn new(resource: &Attributes, scope: &Scope, metric: &Metric) -> Self {
        let (kind, monotonic, temporality) = match &metric.data {
            MetricData::Empty => (0, false, AggregationTemporality::Unspecified),
            MetricData::Gauge { .. } => (1, false, AggregationTemporality::Unspecified),
            MetricData::Sum { temporality, monotonic, .. } => (2, *monotonic, *temporality),
            MetricData::Histogram { temporality, .. } => (3, true, *temporality),
            MetricData::ExponentialHistogram { temporality, .. } => (4, true, *temporality),
            MetricData::Summary { .. } => (5, false, AggregationTemporality::Unspecified),
        };
        let temporality = match temporality {
            AggregationTemporality::Unspecified => 0,
            AggregationTemporality::Delta => 1,
            AggregationTemporality::Cumulative => 2,
        };
        let hash = Fnv::new()
            .write(&attributes_hash(resource))
            .write(scope.name.as_bytes())
            .write(scope.version.as_bytes())
            .write(&attributes_hash(&scope.attributes))
            .write(metric.name.as_bytes())
            .write(metric.unit.as_bytes())
            .write(&[kind, u8::from(monotonic), temporality]);
        Self(hash)
    }

    /// The key of the stream that a point belongs to.
    pub(super) fn stream(&self, point: &Attributes) -> String {
        format!("stream/{:x}", self.0.write(&attributes_hash(point)).0)
    }
}

/// FNV-1a, 64 bits.
#[derive(Clone, Copy, Debug)]
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

/// `pdatautil.MapHash`.
fn attributes_hash(attributes: &Attributes) -> [u8; 16] {
    if attributes.is_empty() {
        return [0; 16];
    }
    let mut text = Vec::with_capacity(512);
    push_map(&mut text, attributes);
    let first = xxh64(&text, 0);
    text.push(0xf3);
    let second = xxh64(&text, 0);
    let mut hash = [0; 16];
    hash[..8].copy_from_slice(&first.to_le_bytes());
    hash[8..].copy_from_slice(&second.to_le_bytes());
    hash
}

fn push_map(out: &mut Vec<u8>, map: &Attributes) {
    let mut keys: Vec<&str> = map.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    for key in keys {
        out.push(0xf4);
        out.extend_from_slice(key.as_bytes());
        // Of equal keys Go looks the first one up each time.
        if let Some((_, value)) = map.iter().find(|(other, _)| other == key) {
            push_value(out, value);
        }
    }
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Empty => out.push(0xf5),
        Value::Bytes(bytes) => {
            out.push(0xf6);
            out.extend_from_slice(bytes);
        }
        Value::String(text) => {
            out.push(0xf7);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bool(true) => out.push(0xf8),
        Value::Bool(false) => out.push(0xf9),
        Value::Int(int) => {
            out.push(0xfa);
            out.extend_from_slice(&int.to_le_bytes());
        }
        Value::Double(double) => {
            out.push(0xfb);
            out.extend_from_slice(&double.to_bits().to_le_bytes());
        }
        Value::Map(map) => {
            out.push(0xfc);
            push_map(out, map);
            out.push(0xfd);
        }
        Value::Array(values) => {
            out.push(0xfe);
            for value in values {
                push_value(out, value);
            }
            out.push(0xff);
        }
    }
}
