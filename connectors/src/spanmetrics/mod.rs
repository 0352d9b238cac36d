//! Span metrics: calls, durations and events of spans, by service, span name, kind, status and chosen attributes.
//!
//! A port of contrib's `spanmetricsconnector` (0.159) as a state machine over wire bytes. A span is walked once; the key
//! of its series is hashed from borrowed bytes in a scratch buffer; a span whose series exists allocates nothing.
//!
//! Known differences, each where upstream loses or miscounts:
//! - delta start times are remembered by resource and series, not by series alone, so equal series of two resources do
//!   not restart each other's totals;
//! - the overflow series stays alive while it is in use;
//! - parts of a series key are length-prefixed, so no text can imitate another key.

mod batch;
mod config;
mod dimensions;
mod exponential;
mod flush;
mod glob;
mod labels;
mod lru;
mod resources;
mod series;
#[cfg(test)]
mod tests;
mod weight;
mod wire;

pub use config::{Config, Dimension, DimensionEntry, Histogram, Temporality, Unit, check_dimensions, default_bounds};
pub use glob::{Glob, GlobError};

use xxhash_rust::xxh3;

use batch::Scratch;
use dimensions::{Program, Wanted};
use labels::BuiltIns;
use lru::Lru;
use resources::{Resource, ResourceKey, Resources};
use series::{SeriesKey, Shape, Table};
use weight::Weigher;

/// The connector's state.
#[derive(Debug)]
pub struct SpanMetrics {
    plan: Plan,
    resources: Resources,
    /// Delta: when a series was last flushed.
    last_flush: Lru<(ResourceKey, SeriesKey), u64>,
    weigher: Weigher,
    scratch: Scratch,
}

impl SpanMetrics {
    /// An empty state.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let resources = Resources::new(config.resource_cache_size);
        let last_flush = Lru::new(config.timestamp_cache_size);
        let weigher = Weigher::new(config.seed);
        Self { plan: Plan::new(config), resources, last_flush, weigher, scratch: Scratch::default() }
    }
}

/// The configuration, prepared.
#[derive(Debug)]
struct Plan {
    config: Config,
    wanted: Wanted,
    common: Program,
    calls: Program,
    durations: Program,
    events: Program,
    built_ins: BuiltIns,
    bounds: Vec<f64>,
    calls_shape: Shape,
    /// Set where durations have dimensions of their own; otherwise they share the series of calls.
    durations_shape: Option<Shape>,
    hash_secret: [u8; 192],
}

impl Plan {
    fn new(config: Config) -> Self {
        let mut wanted = Wanted::default();
        let common = Program::plan(&config.dimensions, &mut wanted);
        let calls = Program::plan(&config.calls_dimensions, &mut wanted);
        let durations = Program::plan(&config.duration_dimensions, &mut wanted);
        let events = Program::plan(config.event_dimensions.as_deref().unwrap_or_default(), &mut wanted);
        let (bounds, shape) = match &config.histogram {
            Histogram::Disabled => (Vec::new(), None),
            Histogram::Explicit { bounds } => (bounds.clone(), Some(Shape::Explicit { n_buckets: bounds.len() + 1 })),
            Histogram::Exponential { max_size } => {
                (Vec::new(), Some(Shape::Exponential { max_size: exponential::clamp_max_size(*max_size) }))
            }
        };
        let shared = calls.is_empty() && durations.is_empty();
        let calls_shape = shape.filter(|_| shared).unwrap_or(Shape::Count);
        let durations_shape = shape.filter(|_| !shared);
        let built_ins = BuiltIns::of(&config);
        let hash_secret = hash_secret(config.seed);
        Self {
            config,
            wanted,
            common,
            calls,
            durations,
            events,
            built_ins,
            bounds,
            calls_shape,
            durations_shape,
            hash_secret,
        }
    }

    fn resource(&self, attributes: pdata::metrics::Attributes) -> Box<Resource> {
        Box::new(Resource {
            attributes,
            calls: Table::new(self.calls_shape),
            durations: self.durations_shape.map(Table::new),
            events: self.config.event_dimensions.as_ref().map(|_| Table::new(Shape::Count)),
            last_seen_unix_nano: 0,
        })
    }

    fn hash(&self, key: &[u8]) -> u128 {
        xxh3::xxh3_128_with_secret(key, &self.hash_secret)
    }
}

/// Key material for the hash, drawn from the seed by splitmix64.
fn hash_secret(seed: u64) -> [u8; 192] {
    let mut secret = [0; 192];
    let mut state = seed;
    for word in secret.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    secret
}
