//! One question to both sides, and this crate's answer to it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ottl::{Context, Engine, Options, Outcome, PathMode, ProgramBuilder};

/// A condition of a context, and the request whose only span it is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) context: ContextName,
    pub(crate) mode: PathMode,
    pub(crate) text: String,
    /// An ExportTraceServiceRequest with one resource, scope and span.
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContextName {
    Span,
    SpanEvent,
    Resource,
    Scope,
}

impl ContextName {
    pub(crate) const ALL: [Self; 4] = [Self::Span, Self::SpanEvent, Self::Resource, Self::Scope];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::Resource => "resource",
            Self::Scope => "scope",
        }
    }

    fn context(self) -> Context {
        match self {
            Self::Span => Context::Span,
            Self::SpanEvent => Context::SpanEvent,
            Self::Resource => Context::Resource,
            Self::Scope => Context::Scope,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    True,
    False,
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

fn evaluate(case: &Case, engine: Engine) -> (Answer, String) {
    let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
    let condition = match builder.add(&case.text, case.context.context(), case.mode) {
        Ok(condition) => condition,
        Err(errors) => return (Answer::Refused, errors.iter().map(|error| error.one_line(&case.text)).collect()),
    };
    let program = match builder.build() {
        Ok(program) => program,
        Err(error) => return (Answer::Refused, error.one_line(&case.text)),
    };
    let traces = match pdata::Traces::index(case.body.clone().into()) {
        Ok(traces) => traces,
        Err(error) => return (Answer::Panicked, format!("the request: {error}")),
    };
    let Some(span) = traces.spans().next() else { return (Answer::Panicked, "no span".to_owned()) };
    let (resource, scope) = (span.resource(), span.scope());
    let mut frame = program.frame();
    program.load_resource(&mut frame, resource.resource(), resource.schema_url());
    program.load_scope(&mut frame, scope.scope(), scope.schema_url());
    program.load_span(&mut frame, span.bytes());
    if let Some(event) = pdata::span::events(span.bytes()).next() {
        program.load_event(&mut frame, event);
    }
    match program.eval(&frame, condition) {
        Outcome::True => (Answer::True, String::new()),
        Outcome::False => (Answer::False, String::new()),
        Outcome::Error(error) => (Answer::Error, error.to_string()),
    }
}
