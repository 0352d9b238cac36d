//! A condition in plain words: `true for spans whose status code is STATUS_CODE_ERROR and that are root spans`.
//!
//! The words follow the syntax tree, not what it is folded to: they say what was written. What has no good words is
//! quoted as it stands.

use grammar::ast::{BoolExpr, Call, CompareOp, KeyKind, Path, Value, ValueKind};
use ottl::Context;

/// One sentence without a full stop.
pub(super) fn sentence(condition: &BoolExpr, context: Context) -> String {
    let things = things(context);
    match condition {
        BoolExpr::Literal(flag) if flag.node => format!("true for all {things}"),
        BoolExpr::Literal(_) => format!("true for no {things}"),
        condition => {
            let words = Words { own: context.name() };
            format!("true for {things} {}", words.condition(condition, false))
        }
    }
}

/// What a context's conditions are asked of, several of them.
pub(super) fn things(context: Context) -> &'static str {
    match context {
        Context::Resource => "resources",
        Context::Scope => "scopes",
        Context::Span => "spans",
        Context::SpanEvent => "span events",
        Context::Metric => "metrics",
        Context::DataPoint => "data points",
        Context::Log => "log records",
    }
}

/// One of [`things`].
pub(super) fn thing(context: Context) -> &'static str {
    match context {
        Context::Resource => "resource",
        Context::Scope => "scope",
        Context::Span => "span",
        Context::SpanEvent => "span event",
        Context::Metric => "metric",
        Context::DataPoint => "data point",
        Context::Log => "log record",
    }
}

struct Words {
    own: &'static str,
}

impl Words {
    /// A relative clause: `whose name is "x"`, `that are root spans`.
    fn condition(&self, condition: &BoolExpr, negated: bool) -> String {
        match condition {
            // What is not (a or b) is not a and not b.
            BoolExpr::Or(operands) | BoolExpr::And(operands) => {
                let conjunction = matches!(condition, BoolExpr::And(_)) != negated;
                let clauses: Vec<String> = operands
                    .iter()
                    .map(|operand| match operand {
                        BoolExpr::Or(_) | BoolExpr::And(_) => format!("({})", self.condition(operand, negated)),
                        operand => self.condition(operand, negated),
                    })
                    .collect();
                clauses.join(if conjunction { " and " } else { " or " })
            }
            BoolExpr::Not(_, operand) => self.condition(operand, !negated),
            BoolExpr::Compare(comparison) => {
                let (left, op, right) = (&comparison.left, comparison.op.node, &comparison.right);
                // `500 < x` is said of x.
                if is_constant(left) && !is_constant(right) {
                    return self.compare(right, turned(op), left, negated);
                }
                self.compare(left, op, right, negated)
            }
            BoolExpr::Literal(flag) => {
                if flag.node == negated { "of which none is meant" } else { "of any kind" }.into()
            }
            BoolExpr::Call(call) => self.call(call, negated),
        }
    }

    fn compare(&self, left: &Value, op: CompareOp, right: &Value, negated: bool) -> String {
        // `not (x > 5)` holds for values without an order too, so it is not `at most 5`.
        let not = if negated { "not " } else { "" };
        if matches!(right.kind, ValueKind::Nil) && matches!(op, CompareOp::Eq | CompareOp::Ne) {
            let set = (op == CompareOp::Ne) != negated;
            return format!("whose {} is {}", self.value(left), if set { "set" } else { "not set" });
        }
        if let ValueKind::Bool(flag) = right.kind
            && let ValueKind::Call(call) = &left.kind
            && self.says(call)
            && matches!(op, CompareOp::Eq | CompareOp::Ne)
        {
            return self.call(call, negated != (flag != (op == CompareOp::Eq)));
        }
        let (left, right) = (self.value(left), self.value(right));
        let relation = match op {
            CompareOp::Eq => format!("is {not}{right}"),
            CompareOp::Ne if negated => format!("is {right}"),
            CompareOp::Ne => format!("is not {right}"),
            CompareOp::Lt => format!("is {not}below {right}"),
            CompareOp::Le => format!("is {not}at most {right}"),
            CompareOp::Gt => format!("is {not}above {right}"),
            CompareOp::Ge => format!("is {not}at least {right}"),
        };
        format!("whose {left} {relation}")
    }

    /// Whether a call has words of its own.
    fn says(&self, call: &Call) -> bool {
        call.keys.is_empty() && !self.call(call, false).starts_with("for which")
    }

    fn call(&self, call: &Call, negated: bool) -> String {
        let arg = |index: usize| call.args.get(index).map(|arg| self.value(&arg.value)).unwrap_or_default();
        let is = if negated { "is not" } else { "is" };
        let does = |yes: &str, no: &str| if negated { no.to_owned() } else { yes.to_owned() };
        match (call.name.node.as_str(), call.args.len(), call.keys.is_empty()) {
            ("IsRootSpan", _, true) => does("that are root spans", "that are not root spans"),
            ("IsMatch", 2, true) => {
                format!("whose {} {} the pattern {}", arg(0), does("matches", "does not match"), arg(1))
            }
            ("HasPrefix", 2, true) => {
                format!("whose {} {} with {}", arg(0), does("starts", "does not start"), arg(1))
            }
            ("HasSuffix", 2, true) => format!("whose {} {} with {}", arg(0), does("ends", "does not end"), arg(1)),
            ("ContainsValue", 2, true) => {
                format!("whose {} {} {}", arg(0), does("contains", "does not contain"), arg(1))
            }
            ("IsString", 1, true) => format!("whose {} {is} a string", arg(0)),
            ("IsInt", 1, true) => format!("whose {} {is} an int", arg(0)),
            ("IsDouble", 1, true) => format!("whose {} {is} a double", arg(0)),
            ("IsBool", 1, true) => format!("whose {} {is} a bool", arg(0)),
            ("IsMap", 1, true) => format!("whose {} {is} a map", arg(0)),
            ("IsList", 1, true) => format!("whose {} {is} a list", arg(0)),
            ("IsEmpty", 1, true) => format!("whose {} {is} empty", arg(0)),
            ("IsInCIDR", 2, true) => format!("whose {} {is} in one of the networks {}", arg(0), arg(1)),
            _ => format!("for which {call} {is} true"),
        }
    }

    fn value(&self, value: &Value) -> String {
        match &value.kind {
            ValueKind::Path(path) => self.path(path),
            ValueKind::Call(call) if call.keys.is_empty() => {
                let arg = |index: usize| call.args.get(index).map(|arg| &arg.value);
                match (call.name.node.as_str(), arg(0), call.args.len()) {
                    ("Duration", Some(Value { kind: ValueKind::String(text), .. }), 1) => text.clone(),
                    ("Len", Some(inner), 1) => format!("length of {}", self.value(inner)),
                    ("ToLowerCase", Some(inner), 1) => format!("lower-cased {}", self.value(inner)),
                    ("ToUpperCase", Some(inner), 1) => format!("upper-cased {}", self.value(inner)),
                    _ => value.to_string(),
                }
            }
            ValueKind::Binary(left, op, right) => match (&left.kind, &right.kind) {
                (ValueKind::Path(end), ValueKind::Path(start)) if is_duration(end, start) => match end.to_string() {
                    text if text.ends_with("_unix_nano") => "duration in nanoseconds".to_owned(),
                    _ => "duration".to_owned(),
                },
                _ => format!("{} {} {}", self.value(left), op.node, self.value(right)),
            },
            _ => value.to_string(),
        }
    }

    /// `attribute "http.route"`, `resource attribute "service.name"`, `status code`.
    fn path(&self, path: &Path) -> String {
        let segments: Vec<&str> = path.segments.iter().map(|segment| segment.name.node.as_str()).collect();
        let (prefix, names) = match segments.split_first() {
            Some((&first, rest)) if !rest.is_empty() && is_context(first) && path.segments[0].keys.is_empty() => {
                (Some(first), rest)
            }
            _ => (None, segments.as_slice()),
        };
        let owner = match prefix {
            Some(name) if name != self.own => format!("{} ", owner(name)),
            _ => String::new(),
        };
        let keys = path.segments.last().map_or(&[][..], |segment| &segment.keys);
        if let ([name @ ("attributes" | "trace_state" | "metadata")], [key, deeper @ ..]) = (names, keys) {
            let what = match *name {
                "attributes" => "attribute",
                "metadata" => "metadata",
                _ => "trace state member",
            };
            let key = match &key.kind {
                KeyKind::String(text) => format!("{text:?}"),
                KeyKind::Int(number) => number.to_string(),
                KeyKind::Expr(value) => format!("named {}", self.value(value)),
            };
            let deeper: String = deeper.iter().map(ToString::to_string).collect();
            return format!("{owner}{what} {key}{deeper}");
        }
        let keys: String = keys.iter().map(ToString::to_string).collect();
        format!("{owner}{}{keys}", names.join(" ").replace('_', " "))
    }
}

fn owner(context: &str) -> &str {
    match context {
        "instrumentation_scope" => "scope",
        "spanevent" => "event",
        "datapoint" => "data point",
        "otelcol" => "connection's",
        other => other,
    }
}

fn is_context(name: &str) -> bool {
    matches!(
        name,
        "resource"
            | "scope"
            | "instrumentation_scope"
            | "span"
            | "spanevent"
            | "metric"
            | "datapoint"
            | "log"
            | "otelcol"
    )
}

/// `end_time - start_time`, in either form.
fn is_duration(end: &Path, start: &Path) -> bool {
    let (end, start) = (end.to_string(), start.to_string());
    let strip = |text: &str| text.strip_prefix("span.").unwrap_or(text).to_owned();
    matches!(
        (strip(&end).as_str(), strip(&start).as_str()),
        ("end_time", "start_time") | ("end_time_unix_nano", "start_time_unix_nano")
    )
}

fn is_constant(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Path(_) => false,
        ValueKind::Call(call) => call.args.iter().all(|arg| is_constant(&arg.value)),
        ValueKind::Binary(left, _, right) => is_constant(left) && is_constant(right),
        ValueKind::Unary(_, operand) | ValueKind::Group(operand) => is_constant(operand),
        _ => true,
    }
}

fn turned(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::Le => CompareOp::Ge,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Le,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str, context: Context) -> String {
        sentence(&grammar::parse_condition(text).expect(text), context)
    }

    #[test]
    fn conditions_of_spans() {
        let texts = [
            r#"status.code == STATUS_CODE_ERROR and IsRootSpan()"#,
            r#"attributes["http.status_code"] >= 500 and not IsMatch(span.name, "^/health")"#,
            r#"end_time_unix_nano - start_time_unix_nano > 500000000"#,
            r#"end_time - start_time > Duration("500ms") or 3 < Len(events)"#,
            r#"resource.attributes["service.name"] != nil and (kind == 2 or kind == 5)"#,
            r#"not (name == "a" or attributes["k"] != nil)"#,
            r#"not (attributes["n"] > 5)"#,
            r#"IsMatch(name, "x") == false"#,
            r#"Concat([name, "x"], "-") == "y-x" and ToLowerCase(name) == "z""#,
            r#"attributes["a"]["b"][0] == 1 and trace_state["k"] == "v" and attributes[Concat([name],"")] == 1"#,
            r#"otelcol.client.addr == "10.0.0.1" and instrumentation_scope.name == "x""#,
            r#"HasPrefix(name, "GET") and IsString(attributes["x"])"#,
            "true",
            "false",
        ];
        let said: Vec<String> = texts.iter().map(|text| format!("{text}\n  {}", say(text, Context::Span))).collect();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn other_contexts() {
        assert_eq!(
            say(r#"spanevent.name == "exception" and span.name == "x""#, Context::SpanEvent),
            r#"true for span events whose name is "exception" and whose span name is "x""#
        );
        assert_eq!(
            say(r#"attributes["service.name"] == "shop""#, Context::Resource),
            r#"true for resources whose attribute "service.name" is "shop""#
        );
    }
}
