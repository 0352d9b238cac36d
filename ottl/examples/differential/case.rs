//! One question to both sides, and this crate's answer to it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ottl::{ConditionId, Context, Engine, Frame, Host, Options, Outcome, PathMode, Program, ProgramBuilder, ValueId};

use crate::{describe, generate};

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Condition,
    Value,
}

/// A text of a context, and the request whose only span it is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) context: ContextName,
    pub(crate) mode: PathMode,
    pub(crate) text: String,
    /// A request of the context's signal with one resource, scope, and span, metric or record.
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextName {
    Span,
    SpanEvent,
    Resource,
    Scope,
    Metric,
    DataPoint,
    Log,
}

impl ContextName {
    pub(crate) const ALL: [Self; 7] =
        [Self::Span, Self::SpanEvent, Self::Resource, Self::Scope, Self::Metric, Self::DataPoint, Self::Log];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Log => "log",
        }
    }

    fn context(self) -> Context {
        match self {
            Self::Span => Context::Span,
            Self::SpanEvent => Context::SpanEvent,
            Self::Resource => Context::Resource,
            Self::Scope => Context::Scope,
            Self::Metric => Context::Metric,
            Self::DataPoint => Context::DataPoint,
            Self::Log => Context::Log,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    True,
    False,
    /// A value, as the Go peer describes it.
    Value(String),
    /// The evaluation failed.
    Error,
    /// The text was refused.
    Refused,
    /// This crate panicked, which is never right.
    Panicked,
}

/// This crate's answer, with the error's text.
pub(crate) fn answer(case: &Case, engine: Engine) -> (Answer, String) {
    catch_unwind(AssertUnwindSafe(|| evaluate(case, engine))).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        (Answer::Panicked, text.unwrap_or_default())
    })
}

/// Nanoseconds since 1970. A date without a year takes this one's, here as there.
#[allow(clippy::disallowed_methods, reason = "the peer asks the system, too")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What a text became.
#[derive(Clone, Copy)]
enum Compiled {
    Condition(ConditionId),
    Value(ValueId),
}

fn evaluate(case: &Case, engine: Engine) -> (Answer, String) {
    let host = Host { clock: Some(Arc::new(now)), ..Host::default() };
    let mut builder = ProgramBuilder::new(Options { engine, host, ..Options::default() });
    let (context, mode) = (case.context.context(), case.mode);
    let compiled = match case.kind {
        Kind::Condition => builder.add(&case.text, context, mode).map(Compiled::Condition),
        Kind::Value => builder.add_value(&case.text, context, mode).map(Compiled::Value),
    };
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(errors) => return (Answer::Refused, errors.iter().map(|error| error.one_line(&case.text)).collect()),
    };
    let program = match builder.build() {
        Ok(program) => program,
        Err(error) => return (Answer::Refused, error.one_line(&case.text)),
    };
    let signal = match case.context {
        ContextName::Metric | ContextName::DataPoint => generate::metric_parts(&case.body),
        ContextName::Log => generate::log_parts(&case.body),
        _ => return evaluate_span(case, &program, compiled),
    };
    let mut frame = program.frame();
    signal.load(&program, &mut frame);
    outcome(&program, &frame, compiled)
}

fn outcome(program: &Program, frame: &Frame<'_>, compiled: Compiled) -> (Answer, String) {
    let answered = match compiled {
        Compiled::Condition(condition) => match program.eval(frame, condition) {
            Outcome::True => Ok(Answer::True),
            Outcome::False => Ok(Answer::False),
            Outcome::Error(error) => Err(error),
        },
        Compiled::Value(value) => program.eval_value(frame, value).map(|value| Answer::Value(describe::value(&value))),
    };
    answered.map_or_else(|error| (Answer::Error, error.to_string()), |answer| (answer, String::new()))
}

fn evaluate_span(case: &Case, program: &Program, compiled: Compiled) -> (Answer, String) {
    let traces = match pdata::Traces::index(case.body.clone().into()) {
        Ok(traces) => traces,
        Err(error) => return (Answer::Panicked, format!("the request: {error}")),
    };
    let Some(span) = traces.spans().next() else { return (Answer::Panicked, "no span".to_owned()) };
    let (resource, scope) = (span.resource(), span.scope());
    let mut frame = program.frame();
    program.load_resource(&mut frame, resource.resource(), resource.schema_url());
    program.load_scope(&mut frame, scope.scope(), scope.schema_url());
    program.load_indexed_span(&mut frame, &span);
    if let Some(event) = pdata::span::events(span.bytes()).next() {
        program.load_event(&mut frame, event);
    }
    outcome(program, &frame, compiled)
}
