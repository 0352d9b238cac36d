//! Constant folding of conditions, exactly as far as contrib goes: the effects are observable, because a folded operand is
//! never evaluated and so its error never shows.
//!
//! Only literals fold here. `simplify.rs` goes further where nobody can tell.

use grammar::ast::CompareOp;

use crate::{
    compare,
    ir::{Ir, Node, NodeId, Type},
    value::Value,
};

fn as_bool(ir: &Ir, id: NodeId) -> Option<bool> {
    match ir.as_constant(id) {
        Some(Value::Bool(flag)) => Some(*flag),
        _ => None,
    }
}

/// `and`: a constant false in any position makes the whole false, operands before it included. Constant trues go.
pub(crate) fn and(ir: &mut Ir, operands: Vec<NodeId>) -> NodeId {
    if operands.iter().any(|&operand| as_bool(ir, operand) == Some(false)) {
        return ir.constant(Value::Bool(false));
    }
    let mut rest: Vec<NodeId> = operands.into_iter().filter(|&operand| as_bool(ir, operand).is_none()).collect();
    match (rest.pop(), rest.is_empty()) {
        (None, _) => ir.constant(Value::Bool(true)),
        (Some(only), true) => only,
        (Some(last), false) => {
            rest.push(last);
            ir.node(Node::And(rest.into()), Type::Bool)
        }
    }
}

/// `or`: a constant true makes the whole true, constant falses go.
pub(crate) fn or(ir: &mut Ir, operands: Vec<NodeId>) -> NodeId {
    if operands.iter().any(|&operand| as_bool(ir, operand) == Some(true)) {
        return ir.constant(Value::Bool(true));
    }
    let mut rest: Vec<NodeId> = operands.into_iter().filter(|&operand| as_bool(ir, operand).is_none()).collect();
    match (rest.pop(), rest.is_empty()) {
        (None, _) => ir.constant(Value::Bool(false)),
        (Some(only), true) => only,
        (Some(last), false) => {
            rest.push(last);
            ir.node(Node::Or(rest.into()), Type::Bool)
        }
    }
}

/// `not`
pub(crate) fn not(ir: &mut Ir, operand: NodeId) -> NodeId {
    match as_bool(ir, operand) {
        Some(flag) => ir.constant(Value::Bool(!flag)),
        None => ir.node(Node::Not(operand), Type::Bool),
    }
}

/// A comparison; of two literals it is a constant.
pub(crate) fn compare(ir: &mut Ir, op: CompareOp, left: NodeId, right: NodeId, literal: bool) -> NodeId {
    if literal
        && let (Some(a), Some(b)) = (ir.as_constant(left), ir.as_constant(right))
        && let Ok(flag) = compare::compare(op, a, b)
    {
        return ir.constant(Value::Bool(flag));
    }
    ir.node(Node::Compare(op, left, right), Type::Bool)
}
