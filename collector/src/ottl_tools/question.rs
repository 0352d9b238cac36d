//! A condition as the tools take it: text, context, how paths are named, and which engine answers.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use ottl::{Context, Engine, Options, PathMode, trace::Tracer};
use serde_json::{Value as Json, json};

use super::Error;
use super::paint::Paint;
use crate::clock::SystemClock;
use crate::ottl_host;

/// A context as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ContextName {
    /// Once a resource.
    Resource,
    /// Once an instrumentation scope.
    Scope,
    /// Once a span.
    Span,
    /// Once an event of a span.
    Spanevent,
    /// Once a metric.
    Metric,
    /// Once a data point.
    Datapoint,
    /// Once a log record.
    Log,
}

impl ContextName {
    /// The context.
    #[must_use]
    pub fn context(self) -> Context {
        match self {
            Self::Resource => Context::Resource,
            Self::Scope => Context::Scope,
            Self::Span => Context::Span,
            Self::Spanevent => Context::SpanEvent,
            Self::Metric => Context::Metric,
            Self::Datapoint => Context::DataPoint,
            Self::Log => Context::Log,
        }
    }
}

/// What kinds of telemetry there are to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signals {
    pub(super) traces: bool,
    pub(super) metrics: bool,
    pub(super) logs: bool,
}

impl Signals {
    /// The contexts that a text without names of contexts may have been meant for.
    fn contexts(self) -> &'static [Context] {
        match self {
            Self { traces: false, metrics: true, .. } => &[Context::DataPoint, Context::Metric],
            Self { traces: false, logs: true, .. } => &[Context::Log],
            _ => &[Context::Span],
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            traces: self.traces || other.traces,
            metrics: self.metrics || other.metrics,
            logs: self.logs || other.logs,
        }
    }
}

/// How a condition is to be read.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Reading {
    /// What the condition is asked of [default: what its paths name, else what was recorded: spans, data points, log records]
    #[arg(long, value_enum)]
    pub(super) context: Option<ContextName>,
    /// Paths must start with a context name, as in the filter's trace_conditions
    #[arg(long)]
    pub(super) prefixed: bool,
    /// Evaluate in the interpreter instead of machine code
    #[arg(long)]
    pub(super) no_jit: bool,
}

impl Reading {
    /// The context asked for; else the one that paths name, as far as it is not one that spans, metrics and records share
    /// (a resource's path says nothing of what else is read, by paths without a name); else the first of those that fit the
    /// telemetry at hand which understands the text.
    pub(super) fn context(&self, text: &str, signals: Signals) -> Context {
        if let Some(name) = self.context {
            return name.context();
        }
        let own = [Context::Span, Context::SpanEvent, Context::Metric, Context::DataPoint, Context::Log];
        if let Ok(context) = ottl::infer_context(text, &own) {
            return context;
        }
        let fitting = signals.contexts();
        let understands = |context: &&Context| self.tracer(text, **context).is_ok();
        fitting.iter().find(understands).or(fitting.first()).copied().unwrap_or(Context::Span)
    }

    pub(super) fn mode(&self) -> PathMode {
        if self.prefixed { PathMode::Prefixed } else { PathMode::Legacy }
    }

    /// As the components compile.
    pub(super) fn options(&self) -> Options {
        let engine = if self.no_jit { Engine::Interpreter } else { Options::default().engine };
        Options { engine, host: ottl_host::host(Arc::new(SystemClock::new())), ..Options::default() }
    }

    /// Takes a condition apart.
    pub(super) fn tracer(&self, text: &str, context: Context) -> Result<Tracer, Vec<ottl::Error>> {
        Tracer::new(text, context, self.mode(), &self.options())
    }
}

/// Every mistake of a text under its line.
pub(super) fn mistakes(text: &str, errors: &[ottl::Error], paint: Paint) -> Error {
    let count = match errors.len() {
        1 => "the condition is not understood\n\n".to_owned(),
        n => format!("the condition has {n} mistakes\n\n"),
    };
    let lines: Vec<String> = errors.iter().map(|error| error.render(text, paint.on)).collect();
    Error::Text((count + &lines.join("\n")).trim_end().to_owned())
}

/// The same for scripts.
pub(super) fn mistakes_json(text: &str, errors: &[ottl::Error]) -> Json {
    let list: Vec<Json> = errors
        .iter()
        .map(|error| {
            let (line, column) = grammar::render::line_column(text, error.span);
            json!({
                "code": error.code,
                "message": error.message,
                "start": error.span.start,
                "end": error.span.end,
                "line": line,
                "column": column,
                "hint": error.hint,
            })
        })
        .collect();
    json!({ "condition": text, "errors": list })
}
