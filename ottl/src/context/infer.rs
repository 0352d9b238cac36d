//! Context inference: which context a text without an explicit one is asked of, section 10.3 of contrib's behaviour.

use grammar::{
    ast::{Arg, BoolExpr, Call, Key, KeyKind, LambdaBody, Path, Value, ValueKind},
    span::Span,
};

use super::Context;
use crate::{
    error::{self, Error},
    func,
};

/// Prefixes from the most specific on. A text belongs to the first of them that one of its paths starts with.
const RANKS: [&str; 10] = [
    "log",
    "exemplar",
    "datapoint",
    "metric",
    "spanevent",
    "span",
    "profile",
    "scope",
    "instrumentation_scope",
    "resource",
];

/// The context of a condition whose paths all name theirs. `registered` are the contexts the component offers. The text is
/// then added with [`PathMode::Prefixed`](crate::PathMode::Prefixed).
///
/// # Errors
/// If the text does not parse, has no path with a context name, or no registered context knows all its functions and enums.
pub fn infer_context(text: &str, registered: &[Context]) -> Result<Context, Vec<Error>> {
    match grammar::parse_condition(text) {
        Ok(condition) => infer(&condition, Span::new(0, text.len()), registered).map_err(|error| vec![error]),
        Err(errors) => Err(errors.into_iter().map(Error::from).collect()),
    }
}

fn infer(condition: &BoolExpr, span: Span, registered: &[Context]) -> Result<Context, Error> {
    let mut names = Names::default();
    names.condition(condition);
    let fail = |message: String| Error::new(error::CONTEXT_INFERENCE, span, message);
    let rank = |name: &str| RANKS.iter().position(|known| *known == name).unwrap_or(RANKS.len());
    // contrib keeps the first of equally ranked prefixes.
    let Some(prefix) = names.prefixes.iter().min_by_key(|name| rank(name)) else {
        return Err(fail("cannot infer the context: no path names one".to_owned()).with_hint(names.advice(registered)));
    };
    let mut candidates: Vec<Context> = registered.iter().copied().filter(|context| context.name() == *prefix).collect();
    if candidates.is_empty() {
        return Err(fail(format!("cannot infer the context: \"{prefix}\" is not one that conditions here can have")));
    }
    let mut lower: Vec<Context> =
        registered.iter().copied().filter(|context| context.name() != *prefix && reaches(*context, prefix)).collect();
    lower.sort_by_key(|context| rank(context.name()));
    candidates.append(&mut lower);
    candidates.into_iter().find(|context| names.known_in(*context)).ok_or_else(|| {
        fail(format!("cannot infer the context: none reachable from \"{prefix}\" knows all functions and enums used"))
    })
}

fn reaches(context: Context, prefix: &str) -> bool {
    context.tables(super::PathMode::Prefixed).iter().any(|table| table.name == prefix)
}

#[derive(Default)]
struct Names<'t> {
    prefixes: Vec<&'t str>,
    /// First names of paths that name no context, in the order of the text.
    bare: Vec<&'t str>,
    functions: Vec<&'t str>,
    enums: Vec<&'t str>,
    /// All-caps arguments, which may be either.
    ambiguous: Vec<&'t str>,
    params: Vec<&'t str>,
}

impl<'t> Names<'t> {
    /// The contexts whose paths the first one may have been meant as.
    fn advice(&self, registered: &[Context]) -> String {
        let name = self.bare.iter().find(|name| !self.params.contains(name));
        let meant = name.map(|name| {
            let tables = registered.iter().map(|context| context.own_table());
            let known = tables.filter(|table| table.paths.iter().any(|entry| entry.names.first() == Some(name)));
            known.map(|table| format!("{}.{name}", table.name)).collect::<Vec<_>>().join(" or ")
        });
        match meant.filter(|meant| !meant.is_empty()) {
            Some(meant) => format!("paths start with a context name here: {meant}"),
            None => "start paths with a context name, such as span.name".to_owned(),
        }
    }

    fn known_in(&self, context: Context) -> bool {
        let function = |name: &str| match func::find(name) {
            Some(function) => function.contexts.is_empty() || function.contexts.contains(&context),
            // An unknown name is unknown everywhere; the checker says so with its position.
            None => true,
        };
        let symbol = |name: &str| context.enums().iter().any(|(known, _)| *known == name);
        self.functions.iter().all(|name| function(name))
            && self.enums.iter().all(|name| symbol(name))
            && self.ambiguous.iter().all(|name| symbol(name) || func::find(name).is_some_and(|_| function(name)))
    }

    fn condition(&mut self, condition: &'t BoolExpr) {
        match condition {
            BoolExpr::Or(operands) | BoolExpr::And(operands) => operands.iter().for_each(|it| self.condition(it)),
            BoolExpr::Not(_, operand) => self.condition(operand),
            BoolExpr::Compare(comparison) => {
                self.value(&comparison.left);
                self.value(&comparison.right);
            }
            BoolExpr::Literal(_) => {}
            BoolExpr::Call(call) => self.call(call),
        }
    }

    fn value(&mut self, value: &'t Value) {
        match &value.kind {
            ValueKind::Enum(name) => self.enums.push(name),
            ValueKind::FunctionRef(name) => self.functions.push(name),
            ValueKind::List(items) => items.iter().for_each(|item| self.value(item)),
            ValueKind::Map(entries) => entries.iter().for_each(|(_, value)| self.value(value)),
            ValueKind::Path(path) => self.path(path),
            ValueKind::Call(call) => self.call(call),
            ValueKind::Binary(left, _, right) => {
                self.value(left);
                self.value(right);
            }
            ValueKind::Unary(_, operand) | ValueKind::Group(operand) => self.value(operand),
            ValueKind::Lambda(lambda) => {
                let outer = self.params.len();
                self.params.extend(lambda.params.iter().map(|param| param.node.as_str()));
                match &lambda.body {
                    LambdaBody::Value(value) => self.value(value),
                    LambdaBody::Condition(condition) => self.condition(condition),
                }
                self.params.truncate(outer);
            }
            ValueKind::Nil
            | ValueKind::Bool(_)
            | ValueKind::Int(_)
            | ValueKind::Float(_)
            | ValueKind::String(_)
            | ValueKind::Bytes(_) => {}
        }
    }

    fn path(&mut self, path: &'t Path) {
        if let Some(first) = path.segments.first() {
            let name = first.name.node.as_str();
            if path.segments.len() > 1 && first.keys.is_empty() && !self.params.contains(&name) {
                self.prefixes.push(name);
            } else {
                self.bare.push(name);
            }
        }
        path.segments.iter().for_each(|segment| self.keys(&segment.keys));
    }

    fn call(&mut self, call: &'t Call) {
        self.functions.push(&call.name.node);
        for Arg { value, .. } in &call.args {
            match &value.kind {
                ValueKind::Enum(name) => self.ambiguous.push(name),
                _ => self.value(value),
            }
        }
        self.keys(&call.keys);
    }

    fn keys(&mut self, keys: &'t [Key]) {
        for key in keys {
            if let KeyKind::Expr(value) = &key.kind {
                self.value(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACES: [Context; 4] = [Context::Resource, Context::Scope, Context::Span, Context::SpanEvent];

    fn check(text: &str, expected: Option<Context>) {
        assert_eq!(infer_context(text, &TRACES).ok(), expected, "{text}");
    }

    #[test]
    fn the_most_specific_prefix_wins() {
        check(r#"span.name == "x""#, Some(Context::Span));
        check(r#"resource.attributes["a"] == "b""#, Some(Context::Resource));
        check(r#"scope.name == "x" and resource.attributes["a"] == "b""#, Some(Context::Scope));
        check(r#"span.name == spanevent.name"#, Some(Context::SpanEvent));
        check(r#"resource.attributes[span.name] == "x""#, Some(Context::Span));
        check(r#"resource.attributes["a"] == Concat([span.name], "")"#, Some(Context::Span));
    }

    #[test]
    fn functions_and_enums_move_it_down() {
        check(r#"resource.attributes["a"] == "b" and IsRootSpan()"#, Some(Context::Span));
        // spanevent ranks before span and knows the enum too, so the condition runs per event.
        check(r#"resource.attributes["a"] == SPAN_KIND_SERVER"#, Some(Context::SpanEvent));
        check("spanevent.name == SPAN_KIND_SERVER and IsRootSpan()", None);
    }

    #[test]
    fn nothing_to_go_by() {
        check("true", None);
        check("IsRootSpan()", None);
        check(r#"name == "x""#, None);
        check(r#"instrumentation_scope.name == "x""#, None);
        check("otelcol.client.addr != nil", None);
        check(r#"log.body == "x""#, None);
        check("span.name ==", None);
    }
}
