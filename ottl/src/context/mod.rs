//! Contexts: what a condition is asked of, and which names reach what from there. One table of paths a context.

mod infer;
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
static SCOPE: Table = Table { name: "scope", paths: scope::PATHS, own: CACHE };
static INSTRUMENTATION_SCOPE: Table = Table { name: "instrumentation_scope", paths: scope::PATHS, own: &[] };
static RESOURCE: Table = Table { name: "resource", paths: resource::PATHS, own: CACHE };
static OTELCOL: Table = Table { name: "otelcol", paths: otelcol::PATHS, own: &[] };

/// Context names known from each context, the own one first.
static FROM_SPAN: [&Table; 5] = [&SPAN, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
static FROM_SPAN_EVENT: [&Table; 6] = [&SPAN_EVENT, &SPAN, &RESOURCE, &SCOPE, &INSTRUMENTATION_SCOPE, &OTELCOL];
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

    /// The own paths; `None` for contexts that are not implemented.
    pub(crate) fn own_table(self) -> Option<&'static Table> {
        match self {
            Self::Resource => Some(&RESOURCE),
            Self::Scope => Some(&SCOPE),
            Self::Span => Some(&SPAN),
            Self::SpanEvent => Some(&SPAN_EVENT),
            Self::Metric | Self::DataPoint | Self::Log => None,
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
            Self::Metric | Self::DataPoint | Self::Log => &[],
        }
    }

    /// The enum symbols known.
    pub(crate) fn enums(self) -> &'static [(&'static str, i64)] {
        match self {
            Self::Span | Self::SpanEvent => SPAN_ENUMS,
            _ => &[],
        }
    }
}
