//! Why a condition answers what it answers: the value of each of its parts.
//!
//! ```
//! use ottl::{Context, Options, PathMode, trace::Tracer};
//!
//! let tracer = Tracer::new(r#"name == "pay" and kind == SPAN_KIND_SERVER"#, Context::Span, PathMode::Legacy, &Options::default())
//!     .unwrap();
//! let program = tracer.program();
//! let mut frame = program.frame();
//! // Field 5 of a Span message is its name.
//! program.load_span(&mut frame, b"\x2a\x03pay");
//! // insta::assert_snapshot!(tracer.trace(&frame)) keeps the answer and its reasons in a snapshot.
//! assert_eq!(
//!     tracer.trace(&frame).to_string(),
//!     "name == \"pay\" and kind == SPAN_KIND_SERVER  =>  false
//!   name == \"pay\"  =>  true
//!     name  =>  \"pay\"
//!   kind == SPAN_KIND_SERVER  =>  false
//!     kind  =>  0
//!     SPAN_KIND_SERVER  =>  2
//! "
//! );
//! ```
//!
//! The answer of a condition and of each of its operands is that of the engine of the [`Options`]. Values are computed by
//! the interpreter, each for itself: arguments are shown as if they had been asked for, also where a converter looks at the
//! first only. What `and` or `or` leaves out is marked as such. This is for people and tests, not for a data path.

use std::fmt::{self, Write as _};

use grammar::{
    ast::{BoolExpr, Call, KeyKind, Path, Value as Tree, ValueKind},
    span::Span,
};

use crate::{
    check::is_literal,
    context::{Context, PathMode},
    error::{Error, EvalError},
    frame::Frame,
    go::{duration, time},
    program::{ConditionId, Options, Outcome, Program, ProgramBuilder, ValueId},
    value::{GoInt, OpaqueKind, Value},
};

/// A condition or value expression with all its parts, ready to be asked.
#[derive(Debug)]
pub struct Tracer {
    program: Program,
    root: Part,
}

#[derive(Debug)]
struct Part {
    text: String,
    span: Span,
    ask: Ask,
    join: Join,
    parts: Vec<Part>,
}

impl Part {
    fn not_asked(&self) -> Trace {
        Trace { text: self.text.clone(), span: self.span, answer: Answer::NotAsked, parts: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Condition(ConditionId),
    Value(ValueId),
}

/// When an operand is the last one asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    And,
    Or,
    All,
}

/// A part and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The part as OTTL text, with canonical white space.
    pub text: String,
    /// Where it stands in the text that the tracer was made of. Parentheses around it do not count.
    pub span: Span,
    /// Its value.
    pub answer: Answer,
    /// Its operands, arguments and computed keys. Literals are left out.
    pub parts: Vec<Trace>,
}

/// What a part gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The answer of a condition.
    Bool(bool),
    /// A value, written like a literal where there is one.
    Value {
        /// The text.
        text: String,
        /// Its type: `int`, `string`, `nil`, ..
        ty: &'static str,
    },
    /// No answer.
    Error(EvalError),
    /// Not asked, because another operand decided: one before it, or one made of literals only.
    NotAsked,
}

impl Tracer {
    /// Takes a condition apart.
    ///
    /// # Errors
    /// What [`ProgramBuilder::add`] finds wrong with it.
    pub fn new(text: &str, context: Context, mode: PathMode, options: &Options) -> Result<Self, Vec<Error>> {
        let tree = grammar::parse_condition(text).map_err(from_grammar)?;
        Self::build(
            text,
            context,
            mode,
            options,
            |maker| maker.condition(&tree),
            |builder| builder.add(text, context, mode).map(Ask::Condition),
        )
    }

    /// Takes a value expression apart.
    ///
    /// # Errors
    /// What [`ProgramBuilder::add_value`] finds wrong with it.
    pub fn of_value(text: &str, context: Context, mode: PathMode, options: &Options) -> Result<Self, Vec<Error>> {
        let tree = grammar::parse_value(text).map_err(from_grammar)?;
        Self::build(
            text,
            context,
            mode,
            options,
            |maker| maker.value(&tree),
            |builder| builder.add_value(text, context, mode).map(Ask::Value),
        )
    }

    fn build(
        text: &str,
        context: Context,
        mode: PathMode,
        options: &Options,
        make: impl FnOnce(&mut Maker) -> Option<Part>,
        whole: impl FnOnce(&mut ProgramBuilder) -> Result<Ask, Vec<Error>>,
    ) -> Result<Self, Vec<Error>> {
        let mut options = options.clone();
        // One condition becomes as many as it has operands.
        options.limits.conditions = options.limits.conditions.saturating_add(text.len());
        let mut maker = Maker { builder: ProgramBuilder::new(options), context, mode };
        let ask = whole(&mut maker.builder)?;
        let span = Span::new(0, text.len());
        let root = make(&mut maker);
        let root =
            root.unwrap_or_else(|| Part { text: text.to_owned(), span, ask, join: Join::All, parts: Vec::new() });
        let program = maker.builder.build().map_err(|error| vec![error])?;
        Ok(Self { program, root: Part { ask, ..root } })
    }

    /// The program that answers: load telemetry into a frame of it.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The answer on what the frame holds, with its reasons.
    #[must_use]
    pub fn trace(&self, frame: &Frame<'_>) -> Trace {
        self.part(&self.root, frame)
    }

    /// The answer alone.
    #[must_use]
    pub fn answer(&self, frame: &Frame<'_>) -> Answer {
        self.ask(self.root.ask, frame)
    }

    fn part(&self, part: &Part, frame: &Frame<'_>) -> Trace {
        let answer = self.ask(part.ask, frame);
        let mut decided = false;
        let mut parts: Vec<Trace> = Vec::with_capacity(part.parts.len());
        for operand in &part.parts {
            if decided {
                parts.push(operand.not_asked());
                continue;
            }
            let trace = self.part(operand, frame);
            decided = match (part.join, &trace.answer) {
                (Join::All, _) => false,
                (_, Answer::Error(_)) => true,
                (join, answer) => *answer == Answer::Bool(join == Join::Or),
            };
            parts.push(trace);
        }
        // contrib folds literals when it parses: `x / 0 == 1 and 1 == 2` is false, and its first operand is never asked.
        if part.join != Join::All
            && parts.iter().rfind(|part| part.answer != Answer::NotAsked).is_some_and(|last| last.answer != answer)
        {
            let folded = part
                .parts
                .iter()
                .position(|operand| self.is_constant(operand) && self.ask(operand.ask, frame) == answer);
            if let Some(folded) = folded {
                let traces = part.parts.iter().enumerate().map(|(at, operand)| match at == folded {
                    true => self.part(operand, frame),
                    false => operand.not_asked(),
                });
                parts = traces.collect();
            }
        }
        Trace { text: part.text.clone(), span: part.span, answer, parts }
    }

    fn is_constant(&self, part: &Part) -> bool {
        match part.ask {
            Ask::Condition(id) => self.program.level(id).is_none(),
            Ask::Value(_) => false,
        }
    }

    fn ask(&self, ask: Ask, frame: &Frame<'_>) -> Answer {
        match ask {
            Ask::Condition(id) => match self.program.eval(frame, id) {
                Outcome::False => Answer::Bool(false),
                Outcome::True => Answer::Bool(true),
                Outcome::Error(error) => Answer::Error(error),
            },
            Ask::Value(id) => match self.program.eval_value(frame, id) {
                Ok(value) => Answer::Value { text: text(&value), ty: ty(&value) },
                Err(error) => Answer::Error(error),
            },
        }
    }
}

fn from_grammar(errors: Vec<grammar::Error>) -> Vec<Error> {
    errors.into_iter().map(Error::from).collect()
}

/// Adds every part of one text to a program.
struct Maker {
    builder: ProgramBuilder,
    context: Context,
    mode: PathMode,
}

impl Maker {
    /// `None` for a part that cannot stand alone, which only some arguments are.
    fn condition(&mut self, tree: &BoolExpr) -> Option<Part> {
        let text = tree.to_string();
        let ask = Ask::Condition(self.builder.add(&text, self.context, self.mode).ok()?);
        let (join, parts) = match tree {
            BoolExpr::Or(operands) => (Join::Or, self.conditions(operands)),
            BoolExpr::And(operands) => (Join::And, self.conditions(operands)),
            BoolExpr::Not(_, operand) => (Join::All, self.condition(operand).into_iter().collect()),
            BoolExpr::Compare(comparison) => (Join::All, self.values([&comparison.left, &comparison.right])),
            BoolExpr::Literal(_) => (Join::All, Vec::new()),
            BoolExpr::Call(call) => (Join::All, self.call(call)),
        };
        Some(Part { text, span: tree.span(), ask, join, parts })
    }

    fn conditions(&mut self, operands: &[BoolExpr]) -> Vec<Part> {
        operands.iter().filter_map(|operand| self.condition(operand)).collect()
    }

    fn values<'t>(&mut self, trees: impl IntoIterator<Item = &'t Tree>) -> Vec<Part> {
        trees
            .into_iter()
            .filter(|tree| !is_literal(tree) || matches!(tree.kind, ValueKind::Enum(_)))
            .filter_map(|tree| self.value(tree))
            .collect()
    }

    fn value(&mut self, tree: &Tree) -> Option<Part> {
        let text = tree.to_string();
        let ask = Ask::Value(self.builder.add_value(&text, self.context, self.mode).ok()?);
        let parts = match &tree.kind {
            ValueKind::Path(path) => self.keys(path),
            ValueKind::Call(call) => self.call(call),
            ValueKind::Binary(left, _, right) => self.values([left.as_ref(), right.as_ref()]),
            ValueKind::Unary(_, operand) | ValueKind::Group(operand) => self.values([operand.as_ref()]),
            ValueKind::List(items) => self.values(items),
            ValueKind::Map(entries) => self.values(entries.iter().map(|(_, value)| value)),
            _ => Vec::new(),
        };
        Some(Part { text, span: tree.span, ask, join: Join::All, parts })
    }

    fn keys(&mut self, path: &Path) -> Vec<Part> {
        let keys = path.segments.iter().flat_map(|segment| &segment.keys);
        let computed = keys.filter_map(|key| match &key.kind {
            KeyKind::Expr(value) => Some(value.as_ref()),
            KeyKind::String(_) | KeyKind::Int(_) => None,
        });
        self.values(computed)
    }

    /// The arguments; of a call with keys the call without them, then the keys.
    fn call(&mut self, call: &Call) -> Vec<Part> {
        if call.keys.is_empty() {
            return self.values(call.args.iter().map(|arg| &arg.value));
        }
        let bare = Tree { kind: ValueKind::Call(Call { keys: Vec::new(), ..call.clone() }), span: call.span };
        let keys = call.keys.iter().filter_map(|key| match &key.kind {
            KeyKind::Expr(value) => Some(value.as_ref()),
            KeyKind::String(_) | KeyKind::Int(_) => None,
        });
        let mut parts = self.values([&bare]);
        parts.extend(self.values(keys));
        parts
    }
}

/// One line a part, operands indented below it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(f, 0)
    }
}

impl Trace {
    fn lines(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        writeln!(f, "{:indent$}{}  =>  {}", "", self.text, self.answer, indent = depth * 2)?;
        self.parts.iter().try_for_each(|part| part.lines(f, depth + 1))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => flag.fmt(f),
            Self::Value { text, .. } => f.write_str(text),
            Self::Error(error) => write!(f, "error: {error}"),
            Self::NotAsked => f.write_str("not asked"),
        }
    }
}

impl Answer {
    /// `true`, `false`, `error`, `not asked`, or the type of a value.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Value { ty, .. } => ty,
            Self::Error(_) => "error",
            Self::NotAsked => "not asked",
        }
    }
}

/// The type of a value, as `explain` names types.
fn ty(value: &Value<'_>) -> &'static str {
    match value {
        Value::GoInt(_) => value.type_name(),
        other => crate::ir::Type::of(other).name(),
    }
}

/// A value as a literal, or like the call that makes it where there is none.
#[must_use]
pub fn text(value: &Value<'_>) -> String {
    let mut text = String::new();
    put(&mut text, value);
    text
}

fn put(out: &mut String, value: &Value<'_>) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Nil => write!(out, "nil"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Double(number) => write!(out, "{number:?}"),
        Value::Str(text) => write!(out, "{:?}", String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => write!(out, "0x{}", bytes.escape_hex()),
        Value::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                let _ = write!(out, "{}{:?}: ", if at > 0 { ", " } else { "" }, String::from_utf8_lossy(&key));
                put(out, &value);
            }
            write!(out, "}}")
        }
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                put(out, &item);
            }
            write!(out, "]")
        }
        Value::Time(moment) => write!(out, "{}", time::rfc3339_nano(moment)),
        Value::Duration(nanos) => write!(out, "{}", duration::format(*nanos)),
        Value::TraceId(id) => write!(out, "TraceID(0x{})", id.escape_hex()),
        Value::SpanId(id) => write!(out, "SpanID(0x{})", id.escape_hex()),
        Value::Opaque(opaque) => {
            let name = match opaque.kind {
                OpaqueKind::Status => return out.push_str("a status"),
                OpaqueKind::Buckets => return out.push_str("buckets"),
                OpaqueKind::SpanEvents => "events",
                OpaqueKind::SpanLinks => "links",
                OpaqueKind::DataPoints => "data points",
                OpaqueKind::Exemplars => "exemplars",
                OpaqueKind::Quantiles => "quantiles",
            };
            write!(out, "{} {name}", opaque.len())
        }
        Value::GoInt(GoInt::Int(number)) => write!(out, "{number}"),
        Value::GoInt(GoInt::Uint8(number)) => write!(out, "{number}"),
        Value::GoInt(GoInt::Uint64(number)) => write!(out, "{number}"),
    };
}

trait EscapeHex {
    fn escape_hex(&self) -> String;
}

impl EscapeHex for [u8] {
    fn escape_hex(&self) -> String {
        String::from_utf8_lossy(&crate::go::text::hex(self)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A span named `pay`.
    const SPAN: &[u8] = b"\x2a\x03pay";

    fn trace(condition: &str) -> String {
        let options = Options::default();
        let tracer = Tracer::new(condition, Context::Span, PathMode::AutoPrefix, &options).expect(condition);
        let mut frame = tracer.program().frame();
        tracer.program().load_span(&mut frame, SPAN);
        tracer.trace(&frame).to_string()
    }

    #[test]
    fn what_is_not_asked_is_marked() {
        insta::assert_snapshot!(trace(r#"name == "x" and IsRootSpan() or not (kind == 0 or name == "y")"#));
    }

    #[test]
    fn calls_show_arguments_and_what_keys_are_taken_of() {
        insta::assert_snapshot!(trace(r#"Split(Concat([name, "b"], ","), ",")[Len("a")] == "b""#));
    }

    #[test]
    fn errors_are_shown_where_they_arise() {
        insta::assert_snapshot!(trace(r#"1 == 1 and attributes["n"] / 0 == 1 and IsRootSpan()"#));
    }

    #[test]
    fn literals_that_decide_do_so_before_anything_is_asked() {
        insta::assert_snapshot!(trace(r#"attributes["n"] / 0 == 1 and 1 == 2 and IsRootSpan()"#));
    }

    #[test]
    fn functions_as_arguments_are_left_out() {
        insta::assert_snapshot!(trace(
            r#"TruncateTime(start_time, Duration("1s")) != nil and end_time - start_time < Duration("1ms")"#
        ));
    }

    #[test]
    fn mistakes_are_those_of_the_whole_text() {
        let options = Options::default();
        let errors = Tracer::new("nam == 1", Context::Span, PathMode::Legacy, &options).expect_err("an error");
        assert_eq!(errors.len(), 1);
        assert!(Tracer::of_value("name ==", Context::Span, PathMode::Legacy, &options).is_err());
        let value = Tracer::of_value("Len(name)", Context::Span, PathMode::Legacy, &options).expect("a value");
        assert_eq!(value.trace(&value.program().frame()).to_string(), "Len(name)  =>  0\n  name  =>  \"\"\n");
    }
}
