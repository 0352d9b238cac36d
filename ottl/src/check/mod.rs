//! Syntax tree to IR: names resolved, arguments bound, literals converted, every error of a text collected.
//!
//! Everything is checked, dead branches too: a condition that mentions an unknown name is refused whatever its value.
//! Types are recorded, not enforced: contrib answers a comparison of unlike types and fails arithmetic at run time.

mod call;
mod path;

use std::borrow::Cow;

pub(crate) use call::snake_case as argument_name;
use grammar::{
    ast::{BoolExpr, Key, KeyKind, MathOp, Sign, Value as Tree, ValueKind},
    span::Span,
};

use crate::{
    context::{Context, PathMode},
    error::{self, Error, EvalError},
    fold,
    ir::{Ir, Node, NodeId, Type},
    limits::Limits,
    nearest::nearest,
    program::Host,
    store,
    value::{List, ListRepr, Value},
};

/// Checks one text into a shared IR.
pub(crate) struct Checker<'c> {
    pub(crate) ir: &'c mut Ir,
    pub(crate) context: Context,
    pub(crate) mode: PathMode,
    pub(crate) limits: &'c Limits,
    pub(crate) host: &'c Host,
    pub(crate) errors: Vec<Error>,
}

impl Checker<'_> {
    fn fail<T>(&mut self, error: Error) -> Option<T> {
        self.errors.push(error);
        None
    }

    /// A condition. `None` if it has errors, which are then in `self.errors`.
    pub(crate) fn condition(&mut self, condition: &BoolExpr) -> Option<NodeId> {
        match condition {
            BoolExpr::Or(operands) => {
                let operands = self.conditions(operands)?;
                Some(fold::or(self.ir, operands))
            }
            BoolExpr::And(operands) => {
                let operands = self.conditions(operands)?;
                Some(fold::and(self.ir, operands))
            }
            BoolExpr::Not(_, operand) => {
                let operand = self.condition(operand)?;
                Some(fold::not(self.ir, operand))
            }
            BoolExpr::Compare(comparison) => {
                let left = self.value(&comparison.left);
                let right = self.value(&comparison.right);
                let literal = is_literal(&comparison.left) && is_literal(&comparison.right);
                Some(fold::compare(self.ir, comparison.op.node, left?, right?, literal))
            }
            BoolExpr::Literal(flag) => Some(self.ir.constant(Value::Bool(flag.node))),
            BoolExpr::Call(call) => {
                let value = self.call(call)?;
                if self.ir.ty(value) == Type::Bool {
                    return Some(value);
                }
                Some(self.ir.node(Node::Condition(value), Type::Bool))
            }
        }
    }

    /// All operands, so that all their errors are found.
    fn conditions(&mut self, operands: &[BoolExpr]) -> Option<Vec<NodeId>> {
        let checked: Vec<Option<NodeId>> = operands.iter().map(|operand| self.condition(operand)).collect();
        checked.into_iter().collect()
    }

    /// A value.
    pub(crate) fn value(&mut self, tree: &Tree) -> Option<NodeId> {
        match &tree.kind {
            ValueKind::Nil => Some(self.ir.constant(Value::Nil)),
            ValueKind::Bool(flag) => Some(self.ir.constant(Value::Bool(*flag))),
            ValueKind::Int(number) => Some(self.ir.constant(Value::Int(*number))),
            ValueKind::Float(number) => Some(self.ir.constant(Value::Double(*number))),
            ValueKind::String(text) => Some(self.ir.constant(Value::string(text.as_bytes()))),
            ValueKind::Bytes(bytes) => Some(self.ir.constant(Value::Bytes(Cow::Owned(bytes.clone())))),
            ValueKind::Enum(name) => self.symbol(name, tree.span),
            ValueKind::FunctionRef(name) => self.fail(Error::new(
                error::ARGUMENT_TYPE,
                tree.span,
                format!("{name} is the name of a function where a value is expected"),
            )),
            ValueKind::List(items) => self.list(tree, items),
            ValueKind::Map(entries) => {
                let values: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| (key.node.clone(), self.value(value), is_literal(value)))
                    .collect();
                self.map(tree.span, values)
            }
            ValueKind::Path(path) => self.path(path),
            ValueKind::Call(call) => self.call(call),
            ValueKind::Binary(left, op, right) => {
                let left = self.value(left);
                let right = self.value(right);
                let (left, right) = (left?, right?);
                let ty = arithmetic_type(op.node, self.ir.ty(left), self.ir.ty(right));
                Some(self.ir.node(Node::Arithmetic(op.node, left, right), ty))
            }
            ValueKind::Unary(sign, operand) => self.signed(sign.node, operand),
            ValueKind::Group(number) => self.value(number),
            ValueKind::Lambda(_) => {
                self.fail(Error::new(error::LAMBDA, tree.span, "lambdas are not supported").with_hint(
                    "upstream accepts them only with the feature gate ottl.functions.enableLambda, which is off",
                ))
            }
        }
    }

    fn symbol(&mut self, name: &str, span: Span) -> Option<NodeId> {
        let known = self.context.enums();
        if let Some((_, number)) = known.iter().find(|(known, _)| *known == name) {
            return Some(self.ir.constant(Value::Int(*number)));
        }
        let message = match known.is_empty() {
            true => format!("context {} has no enums, so {name} is unknown", self.context.name()),
            false => format!("unknown enum {name}"),
        };
        let mut error = Error::new(error::UNKNOWN_ENUM, span, message);
        error.hint = nearest(name, known.iter().map(|(known, _)| *known)).map(|near| format!("did you mean {near}?"));
        self.fail(error)
    }

    fn list(&mut self, tree: &Tree, items: &[Tree]) -> Option<NodeId> {
        let nodes: Vec<Option<NodeId>> = items.iter().map(|item| self.value(item)).collect();
        let nodes: Vec<NodeId> = nodes.into_iter().collect::<Option<_>>()?;
        if is_literal(tree) {
            let items: Option<Vec<_>> = nodes.iter().map(|&node| self.ir.as_constant(node).cloned()).collect();
            if let Some(items) = items {
                return Some(self.ir.constant(Value::List(List::owned(items, ListRepr::Raw))));
            }
        }
        Some(self.ir.node(Node::List(nodes.into()), Type::List))
    }

    /// Of equal keys the last wins.
    fn map(&mut self, span: Span, values: Vec<(String, Option<NodeId>, bool)>) -> Option<NodeId> {
        let mut entries: Vec<(String, NodeId, bool)> = Vec::with_capacity(values.len());
        let mut failed = false;
        for (key, value, literal) in values {
            let Some(value) = value else {
                failed = true;
                continue;
            };
            entries.retain(|(known, ..)| *known != key);
            entries.push((key, value, literal));
        }
        if failed {
            return None;
        }
        if entries.iter().all(|(.., literal)| *literal) {
            let constants: Option<Result<Vec<_>, EvalError>> = entries
                .iter()
                .map(|(key, node, _)| {
                    let stored = store::stored(self.ir.as_constant(*node)?.clone(), self.limits);
                    Some(stored.map(|stored| (Cow::Owned(key.clone().into_bytes()), stored)))
                })
                .collect();
            match constants {
                Some(Ok(constants)) => return Some(self.ir.constant(Value::map(constants))),
                // contrib makes literal maps when it parses: `{"a": [[{}]]}` is refused there.
                Some(Err(error)) => return self.fail(Error::new(error::TYPE_MISMATCH, span, error.to_string())),
                None => {}
            }
        }
        let entries: Vec<_> = entries.into_iter().map(|(key, value, _)| (key.into_boxed_str(), value)).collect();
        Some(self.ir.node(Node::Map(entries.into()), Type::Map))
    }

    fn signed(&mut self, sign: Sign, operand: &Tree) -> Option<NodeId> {
        let value = self.value(operand)?;
        if sign == Sign::Plus {
            return Some(value);
        }
        match (&operand.kind, self.ir.as_constant(value)) {
            (ValueKind::Int(_), Some(Value::Int(number))) => {
                let negated = number.wrapping_neg();
                Some(self.ir.constant(Value::Int(negated)))
            }
            (ValueKind::Float(_), Some(Value::Double(number))) => {
                let negated = -number;
                Some(self.ir.constant(Value::Double(negated)))
            }
            _ => {
                let ty = match self.ir.ty(value) {
                    ty @ (Type::Int | Type::Double) => ty,
                    _ => Type::Any,
                };
                Some(self.ir.node(Node::Negate(value), ty))
            }
        }
    }

    /// Keys in square brackets as nodes.
    fn keys(&mut self, keys: &[Key]) -> Option<Vec<NodeId>> {
        let nodes: Vec<Option<NodeId>> = keys
            .iter()
            .map(|key| match &key.kind {
                KeyKind::String(text) => Some(self.ir.constant(Value::string(text.as_bytes()))),
                KeyKind::Int(number) => Some(self.ir.constant(Value::Int(*number))),
                KeyKind::Expr(value) => self.value(value),
            })
            .collect();
        nodes.into_iter().collect()
    }
}

/// What contrib counts as a literal: no path, no call, no arithmetic, not even `1 + 1`; one sign before a number is fine,
/// a minus before a number in parentheses is not.
pub(crate) fn is_literal(tree: &Tree) -> bool {
    match &tree.kind {
        ValueKind::Nil
        | ValueKind::Bool(_)
        | ValueKind::Int(_)
        | ValueKind::Float(_)
        | ValueKind::String(_)
        | ValueKind::Bytes(_)
        | ValueKind::Enum(_) => true,
        ValueKind::Unary(sign, operand) => match operand.kind {
            ValueKind::Int(_) | ValueKind::Float(_) => true,
            ValueKind::Group(_) => sign.node == Sign::Plus,
            _ => false,
        },
        ValueKind::Group(number) => is_literal(number),
        ValueKind::List(items) => items.iter().all(is_literal),
        ValueKind::Map(entries) => entries.iter().all(|(_, value)| is_literal(value)),
        ValueKind::Path(_)
        | ValueKind::Call(_)
        | ValueKind::Binary(..)
        | ValueKind::FunctionRef(_)
        | ValueKind::Lambda(_) => false,
    }
}

/// The static type of arithmetic; [`Type::Any`] where it depends on the data or always fails.
fn arithmetic_type(op: MathOp, left: Type, right: Type) -> Type {
    let additive = matches!(op, MathOp::Add | MathOp::Sub);
    match (left, right) {
        (Type::Int, Type::Int) => Type::Int,
        (Type::Int | Type::Double, Type::Double) | (Type::Double, Type::Int) => Type::Double,
        (Type::Time, Type::Time) if op == MathOp::Sub => Type::Duration,
        (Type::Time, Type::Duration) if additive => Type::Time,
        (Type::Duration, Type::Time) if op == MathOp::Add => Type::Time,
        (Type::Duration, Type::Duration) if additive => Type::Duration,
        _ => Type::Any,
    }
}
