//! What conditions can name, for people and for editors: paths, enum symbols and functions with types and one line of help.
//!
//! Everything comes from the tables that the checker resolves names with, so that nothing is listed that is not understood
//! and nothing understood is left out. Only the help lines live here.

use crate::{
    check,
    context::{Context, PathEntry, PathMode, Target},
    func::{Function, Needs, ParamKind},
    ir::Type,
};

/// A path that a condition of some context can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// With its context name: `span.status.code`.
    pub path: String,
    /// The name of the context it starts with.
    pub prefix: &'static str,
    /// Whether the context name may be left out where paths need none.
    pub own: bool,
    /// Its static type; with keys the data decide.
    pub ty: Type,
    /// Whether keys in square brackets may follow.
    pub keys: bool,
    /// One line.
    pub help: &'static str,
}

/// All contexts that conditions can have, in the order of the levels they belong to.
pub const CONTEXTS: [Context; 7] = [
    Context::Resource,
    Context::Scope,
    Context::Span,
    Context::SpanEvent,
    Context::Metric,
    Context::DataPoint,
    Context::Log,
];

/// The paths that conditions of `context` can read, own ones first.
#[must_use]
pub fn paths(context: Context) -> Vec<PathInfo> {
    let own = context.own_table().name;
    let tables = context.tables(PathMode::AutoPrefix);
    tables
        .iter()
        .flat_map(|table| {
            let is_own = table.name == own;
            table.entries(is_own).map(move |entry| PathInfo {
                path: format!("{}.{}", table.name, entry.names.join(".")),
                prefix: table.name,
                own: is_own,
                ty: ty(entry),
                keys: matches!(entry.target, Target::Map(_) | Target::Value(_) | Target::TraceState | Target::Cache),
                help: help(table.name, entry.names),
            })
        })
        .collect()
}

/// The enum symbols that conditions of `context` know, with their numbers.
#[must_use]
pub fn enums(context: Context) -> &'static [(&'static str, i64)] {
    context.enums()
}

/// Whether conditions of `context` can call `function`.
#[must_use]
pub fn is_available(function: &Function, context: Context) -> bool {
    function.contexts.is_empty() || function.contexts.contains(&context)
}

/// `Substring(target: string, start: int, length: int, utf8_safe?: bool literal) -> string`
#[must_use]
pub fn signature(function: &Function) -> String {
    let params: Vec<String> = parameters(function)
        .map(|(name, kind, optional)| format!("{name}{}: {kind}", if optional { "?" } else { "" }))
        .collect();
    format!("{}({}) -> {}", function.name, params.join(", "), function.returns.name())
}

/// Name, type and whether it may be left out, of each parameter.
pub fn parameters(function: &Function) -> impl Iterator<Item = (String, String, bool)> {
    function.params.iter().map(|param| (check::argument_name(param.name), kind(param.kind), param.optional))
}

/// What else a function's answer depends on besides its arguments, if on anything.
#[must_use]
pub fn depends_on(function: &Function) -> Option<&'static str> {
    match function.needs {
        Needs::Nothing => None,
        Needs::Clock => Some("the time of day"),
        Needs::ClockForSome => Some("the time of day where the text has no year"),
        Needs::Randomness => Some("randomness"),
        Needs::ClockAndRandomness => Some("the time of day and randomness"),
    }
}

fn kind(kind: ParamKind) -> String {
    let name = match kind {
        ParamKind::Any => "any",
        ParamKind::String => "string",
        ParamKind::Int => "int",
        ParamKind::Float => "double",
        ParamKind::Bool => "bool",
        ParamKind::Time => "time",
        ParamKind::Duration => "duration",
        ParamKind::Map => "map",
        ParamKind::Slice => "list",
        ParamKind::StringLike => "any as string",
        ParamKind::IntLike => "any as int",
        ParamKind::FloatLike => "any as double",
        ParamKind::BoolLike => "any as bool",
        ParamKind::BytesLike => "any as bytes",
        ParamKind::LiteralString => "string literal",
        ParamKind::LiteralInt => "int literal",
        ParamKind::LiteralFloat => "double literal",
        ParamKind::LiteralBool => "bool literal",
        ParamKind::ListOf(item) => return format!("list literal of {}", self::kind(*item)),
        ParamKind::SliceOf(item) => return format!("list of {}", self::kind(*item)),
        ParamKind::FunctionRef => "function name",
        ParamKind::Lambda => "lambda",
    };
    name.to_owned()
}

fn ty(entry: &PathEntry) -> Type {
    match &entry.target {
        Target::Slot(path) | Target::Value(path) => path.ty(),
        Target::Map(_) | Target::Cache => Type::Map,
        Target::Hex(_) | Target::Text(_) | Target::KindText(_) | Target::TraceState => Type::String,
        Target::Time(_) => Type::Time,
        Target::EventIndex => Type::Int,
    }
}

/// What a path holds. Contexts share names that mean the same in each.
fn help(prefix: &str, names: &[&str]) -> &'static str {
    match (prefix, names) {
        ("metric", ["name"]) => "name of the metric",
        ("metric", ["description"]) => "description of the metric",
        ("metric", ["unit"]) => "unit of the metric",
        ("metric", ["type"]) => "kind of its points, one of METRIC_DATA_TYPE_..",
        ("metric", ["aggregation_temporality"]) => "one of AGGREGATION_TEMPORALITY_..; nil for gauges and summaries",
        ("metric", ["is_monotonic"]) => "whether a sum only grows; nil if it is no sum",
        ("metric", ["data_points"]) => "the points; for Len, IsEmpty and IsList only",
        ("metric", ["metadata"]) => "metadata of the metric",
        ("datapoint", ["value_double"]) => "value of a number point as double",
        ("datapoint", ["value_int"]) => "value of a number point as int",
        ("datapoint", ["exemplars"]) => "the exemplars; for Len, IsEmpty and IsList only",
        ("datapoint", ["flags"]) => "flags of the point, FLAG_NO_RECORDED_VALUE among them",
        ("datapoint", ["count"]) => "number of values of a histogram or summary point",
        ("datapoint", ["sum"]) => "sum of the values of a histogram or summary point",
        ("datapoint", ["bucket_counts"]) => "counts of a histogram point's buckets",
        ("datapoint", ["explicit_bounds"]) => "bounds of a histogram point's buckets",
        ("datapoint", ["scale"]) => "scale of an exponential histogram point",
        ("datapoint", ["zero_count"]) => "values near zero of an exponential histogram point",
        ("datapoint", ["positive" | "negative"]) => "buckets of an exponential histogram point",
        ("datapoint", [_, "offset"]) => "index of the first of these buckets",
        ("datapoint", [_, "bucket_counts"]) => "counts of these buckets",
        ("datapoint", ["quantile_values"]) => "quantiles of a summary point; for Len, IsEmpty and IsList only",
        ("datapoint", ["start_time_unix_nano"]) => "start in nanoseconds since 1970",
        ("datapoint", ["start_time"]) => "start as a time",
        ("log", ["body"]) => "what the record says",
        ("log", ["body", "string"]) => "what the record says as text",
        ("log", ["severity_number"]) => "severity, one of SEVERITY_NUMBER_..",
        ("log", ["severity_text"]) => "severity as its source wrote it",
        ("log", ["event_name"]) => "name of the event that the record is",
        ("log", ["observed_time_unix_nano"]) => "when it was seen, in nanoseconds since 1970",
        ("log", ["observed_time"]) => "when it was seen, as a time",
        ("log", ["flags"]) => "flags of the record",
        ("spanevent", ["name"]) => "name of the event",
        ("spanevent", ["event_index"]) => {
            "Place of the event in its span; an error where the component does not set it"
        }
        ("scope" | "instrumentation_scope", ["name"]) => "name of the instrumentation library",
        ("scope" | "instrumentation_scope", ["version"]) => "version of the instrumentation library",
        (_, ["name"]) => "name of the span",
        (_, ["client", "addr"]) => "address of the peer that sent the request",
        (_, ["client", "metadata"]) => "metadata of the request: lists of strings",
        (_, ["client", "auth", "attributes"]) => "what authentication found out about the sender",
        (_, ["grpc", "metadata"]) => "headers of an incoming gRPC request: lists of strings",
        (_, ["trace_id"]) => "id of the trace; compare with TraceID(0x..)",
        (_, ["trace_id", "string"]) => "id of the trace as 32 hex digits",
        (_, ["span_id"]) => "id of the span; compare with SpanID(0x..)",
        (_, ["span_id", "string"]) => "id of the span as 16 hex digits",
        (_, ["parent_span_id"]) => "id of the parent span, all zero for roots",
        (_, ["parent_span_id", "string"]) => "id of the parent span as 16 hex digits",
        (_, ["trace_state"]) => "W3C tracestate header; with a literal key one member of it",
        (_, ["kind"]) => "one of SPAN_KIND_..",
        (_, ["kind", "string"]) => "kind as text: Server, Client, Internal, ..",
        (_, ["kind", "deprecated_string"]) => "kind as text: SPAN_KIND_SERVER, ..",
        (_, ["start_time_unix_nano"]) => "start in nanoseconds since 1970",
        (_, ["end_time_unix_nano"]) => "end in nanoseconds since 1970",
        (_, ["start_time"]) => "start as a time; end_time - start_time is a duration",
        (_, ["end_time"]) => "end as a time; end_time - start_time is a duration",
        (_, ["time_unix_nano"]) => "when it happened, in nanoseconds since 1970",
        (_, ["time"]) => "when it happened, as a time",
        (_, ["attributes"]) => "attributes; with a key the first of that name, nil if there is none",
        (_, ["dropped_attributes_count"]) => "attributes that were left out at the source",
        (_, ["events"]) => "events of the span; for Len, IsEmpty and IsList only",
        (_, ["dropped_events_count"]) => "events that were left out at the source",
        (_, ["links"]) => "links of the span; for Len, IsEmpty and IsList only",
        (_, ["dropped_links_count"]) => "links that were left out at the source",
        (_, ["status"]) => "status of the span; see status.code and status.message",
        (_, ["status", "code"]) => "one of STATUS_CODE_..",
        (_, ["status", "message"]) => "what the source says about the status",
        (_, ["flags"]) => "W3C trace flags and whether the parent is remote",
        (_, ["schema_url"]) => "schema that names follow",
        (_, ["cache"]) => "scratch map of statements; empty in conditions",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::func;

    #[test]
    fn everything_has_help() {
        for context in CONTEXTS {
            for info in paths(context) {
                assert!(!info.help.is_empty(), "ottl/src/catalog.rs has no help for {}", info.path);
            }
        }
        for function in func::all() {
            assert!(!function.help.is_empty(), "{} has no help", function.name);
        }
    }

    #[test]
    fn signatures_show_names_that_reach_the_parameters() {
        let text = |name| signature(func::find(name).expect(name));
        insta::assert_snapshot!(["IsMatch", "Substring", "Concat", "SHA256", "IsRootSpan"].map(text).join("\n"));
    }

    #[test]
    fn own_paths_come_first() {
        let paths = paths(Context::SpanEvent);
        assert_eq!(paths[0].path, "spanevent.time_unix_nano");
        assert!(paths[0].own && !paths.iter().any(|info| info.own && info.prefix != "spanevent"));
        assert!(paths.iter().any(|info| info.path == "otelcol.client.addr"));
    }
}
