//! What the connector is told, already checked; and the checks on dimensions, with upstream's texts.

use super::glob::Glob;

/// Settings of one connector. Durations are nanoseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Dimensions of every metric.
    pub dimensions: Vec<Dimension>,
    /// More dimensions of `calls`.
    pub calls_dimensions: Vec<Dimension>,
    /// More dimensions of `duration`.
    pub duration_dimensions: Vec<Dimension>,
    /// More dimensions of `events`; `None` turns the metric off.
    pub event_dimensions: Option<Vec<Dimension>>,
    /// Built-in dimensions to leave out.
    pub exclude_dimensions: Vec<String>,
    /// Kind of the duration metric.
    pub histogram: Histogram,
    /// Unit of the duration metric and of exemplars.
    pub unit: Unit,
    /// Exemplars kept a point; `None` = off.
    pub exemplars: Option<usize>,
    /// Resources kept, at least 1.
    pub resource_cache_size: usize,
    /// Resource attributes that tell resources apart; empty = all.
    pub resource_key_attributes: Vec<String>,
    /// Delta or cumulative.
    pub temporality: Temporality,
    /// Idle time after which a resource is forgotten; 0 = never.
    pub metrics_expiration_nano: u64,
    /// Idle time after which a series is forgotten; 0 = never.
    pub series_expiration_nano: u64,
    /// Delta only: series whose last flush time is remembered.
    pub timestamp_cache_size: usize,
    /// Put before the metric names with a dot; empty for none.
    pub namespace: String,
    /// Scopes whose name and version become attributes.
    pub include_scopes: Vec<String>,
    /// Series a metric and resource; more go to one overflow series. 0 = no limit.
    pub cardinality_limit: usize,
    /// Whether results carry the resource's attributes.
    pub resource_attributes: bool,
    /// Adds `sampling.method`.
    pub sampling_method: bool,
    /// Value of `collector.instance.id`; `None` leaves it out.
    pub instance_id: Option<String>,
    /// `otel.status_code` in place of `status.code`.
    pub otel_status_code: bool,
    /// For the hash of series keys and for rounding weights; should differ from process to process.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dimensions: Vec::new(),
            calls_dimensions: Vec::new(),
            duration_dimensions: Vec::new(),
            event_dimensions: None,
            exclude_dimensions: Vec::new(),
            histogram: Histogram::Explicit { bounds: default_bounds(Unit::Milliseconds) },
            unit: Unit::Milliseconds,
            exemplars: None,
            resource_cache_size: 1000,
            resource_key_attributes: Vec::new(),
            temporality: Temporality::Cumulative,
            metrics_expiration_nano: 0,
            series_expiration_nano: 0,
            timestamp_cache_size: 1000,
            namespace: "traces.span.metrics".to_owned(),
            include_scopes: Vec::new(),
            cardinality_limit: 0,
            resource_attributes: true,
            sampling_method: false,
            instance_id: None,
            otel_status_code: false,
            seed: 0,
        }
    }
}

/// Whether points count since the start or since the flush before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// Since the start.
    Cumulative,
    /// Since the flush before.
    Delta,
}

/// Unit of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `ms`
    Milliseconds,
    /// `s`
    Seconds,
}

impl Unit {
    /// Nanoseconds in one.
    #[must_use]
    pub fn nanos(self) -> f64 {
        match self {
            Self::Milliseconds => 1e6,
            Self::Seconds => 1e9,
        }
    }

    /// `ms` or `s`.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }
}

/// Kind of the duration metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Histogram {
    /// No duration metric.
    Disabled,
    /// Buckets with these upper bounds, ascending, in the unit.
    Explicit {
        /// The bounds.
        bounds: Vec<f64>,
    },
    /// Buckets that adapt.
    Exponential {
        /// Most buckets; clamped to 2..=16384.
        max_size: i32,
    },
}

/// Upstream's default bounds in the unit.
#[must_use]
pub fn default_bounds(unit: Unit) -> Vec<f64> {
    const MILLISECONDS: [f64; 16] = [
        2.0, 4.0, 6.0, 8.0, 10.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1000.0, 1400.0, 2000.0, 5000.0, 10_000.0, 15_000.0,
    ];
    let divisor = match unit {
        Unit::Milliseconds => 1.0,
        Unit::Seconds => 1000.0,
    };
    MILLISECONDS.iter().map(|bound| bound / divisor).collect()
}

/// One entry of a list of dimensions.
#[derive(Clone, Debug)]
pub enum Dimension {
    /// One attribute.
    Named {
        /// Its key.
        name: String,
        /// The value where the attribute is absent; `None` leaves it out.
        default: Option<String>,
    },
    /// All attributes whose keys match.
    Glob(Glob),
}

/// An entry as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DimensionEntry {
    /// `name`
    pub name: String,
    /// `default`
    pub default: Option<String>,
    /// `glob`
    pub glob: String,
}

/// Names that the connector sets itself.
const RESERVED: [&str; 4] = ["service.name", "span.kind", "status.code", "span.name"];
const INSTANCE_ID: &str = "collector.instance.id";

/// Checks one list: the dimensions, or every mistake in it with upstream's text (which stops at the first).
pub fn check_dimensions(entries: &[DimensionEntry], instance_id_reserved: bool) -> Result<Vec<Dimension>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut names: Vec<&str> = RESERVED.to_vec();
    if instance_id_reserved {
        names.push(INSTANCE_ID);
    }
    let mut dimensions = Vec::with_capacity(entries.len());
    for entry in entries {
        let DimensionEntry { name, default, glob } = entry;
        match (name.as_str(), glob.as_str()) {
            ("", "") => mistakes.push("dimension entry must set one of `name` or `glob`".to_owned()),
            (name, "") if names.contains(&name) => mistakes.push(format!("duplicate dimension name {name:?}")),
            (name, "") => {
                names.push(name);
                dimensions.push(Dimension::Named { name: name.to_owned(), default: default.clone() });
            }
            ("", glob) if default.is_some() => {
                mistakes.push(format!("`default` is not supported on `glob` dimension {glob:?}"));
            }
            ("", glob) => match Glob::new(glob) {
                Ok(glob) => dimensions.push(Dimension::Glob(glob)),
                Err(error) => mistakes.push(format!("invalid dimension glob {glob:?}: {error}")),
            },
            (name, glob) => mistakes.push(format!(
                "dimension entry must set only one of `name` or `glob`, got both: name={name:?} glob={glob:?}"
            )),
        }
    }
    for name in &names {
        for dimension in &dimensions {
            if let Dimension::Glob(glob) = dimension
                && glob.matches(name)
            {
                mistakes.push(format!("duplicate dimension name {name:?} conflicting with glob {:?}", glob.source()));
            }
        }
    }
    if mistakes.is_empty() { Ok(dimensions) } else { Err(mistakes) }
}
