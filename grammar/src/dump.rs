//! The tree as text for people: one node a line, with its bytes in the source, children indented.
//!
//! ```text
//! and
//!   compare ==  0..11
//!     path name  0..4
//!     string "x"  8..11
//!   call IsMatch  16..34
//! ```
//!
//! This is what tests record and what a user is shown who asks how a text was read. It is not OTTL: that is what
//! `Display` prints.

use std::fmt::Write as _;

use crate::{
    ast::{BoolExpr, Call, Key, KeyKind, LambdaBody, Path, Root, Statement, Value, ValueKind},
    span::Span,
};

/// The tree of a whole text.
#[must_use]
pub fn root(root: &Root) -> String {
    let mut dump = Dump::default();
    match root {
        Root::Condition(condition) => dump.condition(condition),
        Root::Value(value) => dump.value(value),
        Root::Statement(statement) => dump.statement(statement),
    }
    dump.text
}

/// The tree of a condition.
#[must_use]
pub fn condition(condition: &BoolExpr) -> String {
    let mut dump = Dump::default();
    dump.condition(condition);
    dump.text
}

/// The tree of a value.
#[must_use]
pub fn value(value: &Value) -> String {
    let mut dump = Dump::default();
    dump.value(value);
    dump.text
}

/// The tree of a statement.
#[must_use]
pub fn statement(statement: &Statement) -> String {
    let mut dump = Dump::default();
    dump.statement(statement);
    dump.text
}

#[derive(Default)]
struct Dump {
    text: String,
    depth: usize,
}

impl Dump {
    fn line(&mut self, what: &str, span: Span) {
        let indent = self.depth * 2;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:indent$}{what}  {}..{}", "", span.start, span.end);
    }

    fn inside(&mut self, children: impl FnOnce(&mut Self)) {
        self.depth += 1;
        children(self);
        self.depth -= 1;
    }

    fn statement(&mut self, statement: &Statement) {
        self.call(&statement.editor);
        if let Some(condition) = &statement.condition {
            self.line("where", condition.span());
            self.inside(|dump| dump.condition(condition));
        }
    }

    fn condition(&mut self, condition: &BoolExpr) {
        let span = condition.span();
        match condition {
            BoolExpr::Or(operands) => self.operands("or", operands, span),
            BoolExpr::And(operands) => self.operands("and", operands, span),
            BoolExpr::Not(_, operand) => {
                self.line("not", span);
                self.inside(|dump| dump.condition(operand));
            }
            BoolExpr::Compare(comparison) => {
                self.line(&format!("compare {}", comparison.op.node), span);
                self.inside(|dump| {
                    dump.value(&comparison.left);
                    dump.value(&comparison.right);
                });
            }
            BoolExpr::Literal(literal) => self.line(&format!("literal {}", literal.node), span),
            BoolExpr::Call(call) => self.call(call),
        }
    }

    fn operands(&mut self, what: &str, operands: &[BoolExpr], span: Span) {
        self.line(what, span);
        self.inside(|dump| operands.iter().for_each(|operand| dump.condition(operand)));
    }

    fn value(&mut self, value: &Value) {
        let what = match &value.kind {
            ValueKind::Path(path) => return self.path(path, value.span),
            ValueKind::Call(call) => return self.call(call),
            ValueKind::Nil => "nil".to_owned(),
            ValueKind::Bool(_) => format!("bool {value}"),
            ValueKind::Int(_) => format!("int {value}"),
            ValueKind::Float(_) => format!("float {value}"),
            ValueKind::String(_) => format!("string {value}"),
            ValueKind::Bytes(_) => format!("bytes {value}"),
            ValueKind::Enum(_) => format!("enum {value}"),
            ValueKind::FunctionRef(_) => format!("function {value}"),
            ValueKind::List(_) => "list".to_owned(),
            ValueKind::Map(_) => "map".to_owned(),
            ValueKind::Binary(_, op, _) => format!("math {}", op.node),
            ValueKind::Unary(sign, _) => format!("sign {}", sign.node),
            ValueKind::Group(_) => "group".to_owned(),
            ValueKind::Lambda(lambda) => {
                let params: Vec<&str> = lambda.params.iter().map(|param| param.node.as_str()).collect();
                format!("lambda ({})", params.join(", "))
            }
        };
        self.line(&what, value.span);
        self.inside(|dump| match &value.kind {
            ValueKind::List(items) => items.iter().for_each(|item| dump.value(item)),
            ValueKind::Map(entries) => {
                for (key, value) in entries {
                    dump.line(&format!("entry {:?}", key.node), key.span);
                    dump.inside(|dump| dump.value(value));
                }
            }
            ValueKind::Binary(left, _, right) => {
                dump.value(left);
                dump.value(right);
            }
            ValueKind::Unary(_, operand) | ValueKind::Group(operand) => dump.value(operand),
            ValueKind::Lambda(lambda) => match &lambda.body {
                LambdaBody::Value(body) => dump.value(body),
                LambdaBody::Condition(body) => dump.condition(body),
            },
            _ => {}
        });
    }

    fn call(&mut self, call: &Call) {
        self.line(&format!("call {}", call.name.node), call.span);
        self.inside(|dump| {
            for arg in &call.args {
                match &arg.name {
                    Some(name) => {
                        dump.line(&format!("named {}", name.node), name.span);
                        dump.inside(|dump| dump.value(&arg.value));
                    }
                    None => dump.value(&arg.value),
                }
            }
            dump.keys(&call.keys);
        });
    }

    fn path(&mut self, path: &Path, span: Span) {
        // Names only: the keys follow as children of their segment.
        let names: Vec<&str> = path.segments.iter().map(|segment| segment.name.node.as_str()).collect();
        self.line(&format!("path {}", names.join(".")), span);
        self.inside(|dump| {
            for segment in path.segments.iter().filter(|segment| !segment.keys.is_empty()) {
                dump.line(&format!("keys of {}", segment.name.node), segment.name.span);
                dump.inside(|dump| dump.keys(&segment.keys));
            }
        });
    }

    fn keys(&mut self, keys: &[Key]) {
        for key in keys {
            match &key.kind {
                KeyKind::String(text) => self.line(&format!("key {text:?}"), key.span),
                KeyKind::Int(number) => self.line(&format!("key {number}"), key.span),
                KeyKind::Expr(value) => {
                    self.line("key", key.span);
                    self.inside(|dump| dump.value(value));
                }
            }
        }
    }
}
