//! Contexts: what a condition is asked of, and which names reach what from there. One table of paths a context.

mod datapoint;
mod infer;
mod log;
mod metric;
mod otelcol;
mod resource;
mod scope;
mod span;
mod spanevent;

pub use infer::infer_context;

use crate::{
    ir::KindText,
    layout::{MapSource, SlotPath},
};

/// What a condition is evaluated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// A resource.
    Resource,
    /// An instrumentation scope.
    Scope,
    /// A span.
    Span,
    /// An event of a span.
    SpanEvent,
    /// A metric.
    Metric,
    /// A data point of a metric.
    DataPoint,
    /// A log record.
    Log,
}

/// How paths name their context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathMode {
    /// A path may start with a context name; without one it belongs to the own context. The older filter lists.
    Legacy,
    /// Every path must start with a context name. The filter's `trace_conditions` with inferred context.
    Prefixed,
    /// As [`PathMode::Prefixed`], and paths without a context name get the own one. Tail sampling.
    AutoPrefix,
}

/// What a path reads.
#[derive(Debug)]
pub(crate) enum Target {
    /// A slot as it is.
    Slot(SlotPath),
    /// A map, which takes keys.
    Map(MapSource),
    /// The hex text of an id.
    Hex(SlotPath),
    /// The text of a span kind.
    KindText(KindText),
    /// A point in time made of nanoseconds.
    Time(SlotPath),
    /// A slot that takes keys where it holds a map or a list.
    Value(SlotPath),
    /// The text of a value, as pdata's `AsString` gives it.
    Text(SlotPath),
    /// `trace_state`, which takes one literal string key.
    TraceState,
    /// The scratch map, which is empty in conditions and takes keys.
    Cache,
    /// `event_index`, which nobody sets.
    EventIndex,
}

/// A path without its context name, and what it reads.
#[derive(Debug)]
pub(crate) struct PathEntry {
    pub(crate) names: &'static [&'static str],
    pub(crate) target: Target,
}

const fn entry(names: &'static [&'static str], target: Target) -> PathEntry {
    PathEntry { names, target }
}

/// The paths behind a context name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// The context name.
    pub(crate) name: &'static str,
    pub(crate) paths: &'static [PathEntry],
    /// Paths of the own context only: `cache`.
    pub(crate) own: &'static [PathEntry],
}

impl Table {
    /// The paths reachable, as the own context or as another one's.
    pub(crate) fn entries(&self, is_own: bool) -> impl Iterator<Item = &'static PathEntry> {
        let own: &'static [PathEntry] = if is_own { self.own } else { &[] };
        self.paths.iter().chain(own)
    }
}

static CACHE: &[PathEntry] = &[entry(&["cache"], Target::Cache)];

static SPAN: Table = Table { name: "span", paths: span::PATHS, own: CACHE };
static SPAN_EVENT: Table = Table { name: "spanevent", paths: spanevent::PATHS, own: CACHE };
static METRIC: Table = Table { name: "metric", paths: metric::PATHS, own: CACHE };
static DATA_POINT: Table = Table { name: "datapoint", paths: datapoint::PATHS, own: CACHE };
static LOG: Table = Table { name: "log", paths: log::PATHS, own: CACHE };
static SCOPE: Table = Table { name: "scope", paths: scope::PATHS, own: CACHE };
static INSTRUMENTATION_SCOPE: Table = Table { name: "instrumentation_scope", paths: scope::PATHS, own: &[] };
static RESOURCE: Table = Table { name: "resource", paths: resource::PATHS, own: CACHE };
static OTELCOL: Table = Table { name: "otelcol", paths: otelcol::PATHS, own: &[] };

/// Context names known from each context, the own one first.
static FROM_SPAN: [&Table; 5] = [&SPAN, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
static FROM_SPAN_EVENT: [&Table; 6] = [&SPAN_EVENT, &SPAN, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
static FROM_METRIC: [&Table; 5] = [&METRIC, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
static FROM_DATA_POINT: [&Table; 6] = [&DATA_POINT, &METRIC, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
static FROM_LOG: [&Table; 5] = [&LOG, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
static FROM_SCOPE: [&Table; 3] = [&SCOPE, &RESOURCE, &OTELCOL];
static FROM_SCOPE_LEGACY: [&Table; 4] = [&SCOPE, &INSTRUMENTATION_SCOPE, &RESOURCE, &OTELCOL];
static FROM_RESOURCE: [&Table; 2] = [&RESOURCE, &OTELCOL];

/// Enum symbols of the span contexts.
static SPAN_ENUMS: &[(&str, i64)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
];

/// Enum symbols of the metric context; those of data points come on top.
static METRIC_ENUMS: &[(&str, i64)] = DATA_POINT_ENUMS.split_at(9).0;
static DATA_POINT_ENUMS: &[(&str, i64)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
    ("METRIC_DATA_TYPE_NONE", 0),
    ("METRIC_DATA_TYPE_GAUGE", 1),
    ("METRIC_DATA_TYPE_SUM", 2),
    ("METRIC_DATA_TYPE_HISTOGRAM", 3),
    ("METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_DATA_TYPE_SUMMARY", 5),
    ("FLAG_NONE", 0),
    ("FLAG_NO_RECORDED_VALUE", 1),
];

/// Enum symbols of the log context.
static LOG_ENUMS: &[(&str, i64)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];

impl Context {
    /// The name that OTTL paths start with.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Log => "log",
        }
    }

    /// The own paths.
    pub(crate) fn own_table(self) -> &'static Table {
        match self {
            Self::Resource => &RESOURCE,
            Self::Scope => &SCOPE,
            Self::Span => &SPAN,
            Self::SpanEvent => &SPAN_EVENT,
            Self::Metric => &METRIC,
            Self::DataPoint => &DATA_POINT,
            Self::Log => &LOG,
        }
    }

    /// The context names known, the own one first. `instrumentation_scope` is a name of `scope` everywhere but in the
    /// scope context itself, where only the legacy parser knows it.
    pub(crate) fn tables(self, mode: PathMode) -> &'static [&'static Table] {
        match self {
            Self::Span => &FROM_SPAN,
            Self::SpanEvent => &FROM_SPAN_EVENT,
            Self::Scope if mode == PathMode::Legacy => &FROM_SCOPE_LEGACY,
            Self::Scope => &FROM_SCOPE,
            Self::Resource => &FROM_RESOURCE,
            Self::Metric => &FROM_METRIC,
            Self::DataPoint => &FROM_DATA_POINT,
            Self::Log => &FROM_LOG,
        }
    }

    /// The enum symbols known.
    pub(crate) fn enums(self) -> &'static [(&'static str, i64)] {
        match self {
            Self::Span | Self::SpanEvent => SPAN_ENUMS,
            Self::Metric => METRIC_ENUMS,
            Self::DataPoint => DATA_POINT_ENUMS,
            Self::Log => LOG_ENUMS,
            Self::Resource | Self::Scope => &[],
        }
    }
}
