//! Texts for snapshot tests of conditions: how one is understood, and what several answer on recorded telemetry.
//!
//! With [`insta`](https://docs.rs/insta) a test of yours is one line, and a change in meaning is a diff to be reviewed:
//!
//! ```no_run
//! # macro_rules! assert_snapshot { ($text:expr) => { let _ = $text; } }
//! use ottl::{Context, PathMode, snapshot};
//!
//! let drops = ["span.attributes[\"http.route\"] == \"/health\"", "IsMatch(span.name, \"^GET /metrics\")"];
//! // insta::assert_snapshot!
//! assert_snapshot!(snapshot::stages(drops[0], Context::Span, PathMode::Prefixed));
//! let request = std::fs::read("tests/data/checkout.json")?;
//! assert_snapshot!(snapshot::answers(&drops, Context::Span, PathMode::Prefixed, &request)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The texts are the same on all machines. For why a condition answers what it answers see [`trace`](crate::trace).

use std::fmt::Write as _;

use crate::{
    context::{Context, PathMode},
    error::{Error, EvalError},
    frame::Frame,
    layout::PointKind,
    program::{ConditionId, Options, Outcome, Program, ProgramBuilder},
    wire::{Fields, Payload},
};

/// Why telemetry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// It starts like JSON, but is no request in OTLP's JSON form.
    #[error("no OTLP JSON: {0}")]
    Json(String),
    /// Log records are read from protobuf only.
    #[error("log records are read in protobuf form, not as JSON")]
    JsonLogs,
}

/// Every stage of a condition: syntax tree, typed IR, slots, and code before optimisation; for a text that is refused, its
/// errors as users see them.
#[must_use]
pub fn stages(text: &str, context: Context, mode: PathMode) -> String {
    let mut builder = ProgramBuilder::new(Options::default());
    let built = builder.add(text, context, mode).and_then(|condition| {
        let program = builder.build().map_err(|error| vec![error])?;
        Ok((program, condition))
    });
    match (built, grammar::parse_condition(text)) {
        (Ok((program, condition)), Ok(tree)) => format!(
            "== syntax\n{}== ir\n{}== slots\n{}== code\n{}",
            grammar::dump::condition(&tree),
            program.print_ir(condition),
            program.print_layout(),
            program.print_clif(condition)
        ),
        (Err(errors), _) => rendered(text, &errors),
        (_, Err(errors)) => rendered(text, &errors.into_iter().map(Error::from).collect::<Vec<_>>()),
    }
}

fn rendered(text: &str, errors: &[Error]) -> String {
    errors.iter().map(|error| error.render(text, false)).collect()
}

/// What conditions answer on each span, event, resource, scope, metric, data point or log record of an OTLP export request,
/// by their context; protobuf, or JSON for traces and metrics. Refused conditions are shown with their errors.
///
/// # Errors
/// If the request cannot be read.
pub fn answers(texts: &[&str], context: Context, mode: PathMode, request: &[u8]) -> Result<String, InputError> {
    let decoded;
    let request = if request.trim_ascii_start().starts_with(b"{") {
        let json = |error: pdata::json::JsonError| InputError::Json(error.to_string());
        decoded = match context {
            Context::Log => return Err(InputError::JsonLogs),
            Context::Metric | Context::DataPoint => pdata::json::metrics_from_json(request).map_err(json)?,
            _ => pdata::json::traces_from_json(request).map_err(json)?,
        };
        &decoded
    } else {
        request
    };
    let mut builder = ProgramBuilder::new(Options::default());
    let mut conditions = Vec::new();
    let mut out = String::new();
    for text in texts {
        match builder.add(text, context, mode) {
            Ok(condition) => conditions.push((*text, condition)),
            Err(errors) => out.push_str(&rendered(text, &errors)),
        }
    }
    let program = match builder.build() {
        Ok(program) => program,
        Err(error) => return Ok(out + &error.render("", false)),
    };
    let mut walk = Walk { program: &program, conditions: &conditions, context, frame: program.frame(), out };
    walk.request(request);
    Ok(walk.out)
}

/// A walk over a request. The three signals nest alike: resource, scope, items.
struct Walk<'w> {
    program: &'w Program,
    conditions: &'w [(&'w str, ConditionId)],
    context: Context,
    frame: Frame<'w>,
    out: String,
}

/// The payloads of a repeated message field.
fn messages(message: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter_map(move |(field, payload)| match payload {
        Payload::Bytes(range) if field == wanted => Some(range.of(message)),
        _ => None,
    })
}

/// The last of a field's payloads, or nothing.
fn last(message: &[u8], wanted: u32) -> &[u8] {
    messages(message, wanted).last().unwrap_or_default()
}

impl<'w> Walk<'w> {
    fn request(&mut self, request: &'w [u8]) {
        for resource in messages(request, 1) {
            self.program.load_resource(&mut self.frame, last(resource, 1), last(resource, 3));
            if self.context == Context::Resource {
                self.item("resource", b"");
                continue;
            }
            for scope in messages(resource, 2) {
                self.program.load_scope(&mut self.frame, last(scope, 1), last(scope, 3));
                if self.context == Context::Scope {
                    self.item("scope", last(last(scope, 1), 1));
                    continue;
                }
                messages(scope, 2).for_each(|item| self.below_scope(item));
            }
        }
    }

    fn below_scope(&mut self, item: &'w [u8]) {
        match self.context {
            Context::Resource | Context::Scope => {}
            Context::Span => {
                self.program.load_span(&mut self.frame, item);
                self.item("span", last(item, 5));
            }
            Context::SpanEvent => {
                self.program.load_span(&mut self.frame, item);
                for event in messages(item, 11) {
                    self.program.load_event(&mut self.frame, event);
                    self.item("event", last(event, 2));
                }
            }
            Context::Metric => {
                self.program.load_metric(&mut self.frame, item);
                self.item("metric", last(item, 1));
            }
            Context::DataPoint => {
                self.program.load_metric(&mut self.frame, item);
                for (field, payload) in Fields::new(item) {
                    if let (Some(kind), Payload::Bytes(range)) = (PointKind::of_data_field(field), payload) {
                        for point in messages(range.of(item), 1) {
                            self.program.load_data_point(&mut self.frame, kind, point);
                            self.item("data point of", last(item, 1));
                        }
                    }
                }
            }
            Context::Log => {
                self.program.load_log(&mut self.frame, item);
                self.item("log record", last(item, 12));
            }
        }
    }

    /// One line for what was loaded, and one for each answer.
    fn item(&mut self, what: &str, name: &[u8]) {
        // Writing to a string does not fail.
        let _ = match name {
            b"" => writeln!(self.out, "{what}"),
            name => writeln!(self.out, "{what} {:?}", String::from_utf8_lossy(name)),
        };
        for &(text, condition) in self.conditions {
            let (answer, why) = match self.program.eval(&self.frame, condition) {
                Outcome::True => ("true ", String::new()),
                Outcome::False => ("false", String::new()),
                Outcome::Error(error) => ("error", because(error)),
            };
            let _ = writeln!(self.out, "  {answer}  {text}{why}");
        }
    }
}

fn because(error: EvalError) -> String {
    format!("  # {error}")
}
