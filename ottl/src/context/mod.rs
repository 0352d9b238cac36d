//! Contexts: what a condition is asked of, and which names reach what from there.

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
