//! Conditions as numbers instead of control flow: where every operand is at hand and none can fail, comparing all of them
//! is cheaper than a branch that real traffic makes hard to predict.

use cranelift_codegen::ir::{InstBuilder as _, Value, condcodes::IntCC, types};
use grammar::ast::MathOp;

use super::{Lower, number::kind};
use crate::{
    ir::{CallArg, Ir, Node, NodeId, Type},
    slot::tag,
};

/// More comparisons than these are worth a short circuit.
const MAX_COMPARISONS: usize = 4;

/// Whether [`Lower::plain`] can lower a condition: nothing but comparisons of numbers and tests of ids and presence, and few of them.
fn is_plain(ir: &Ir, id: NodeId, left: &mut usize) -> bool {
    match ir.get(id) {
        Node::And(operands) | Node::Or(operands) => {
            !operands.is_empty() && operands.iter().all(|&operand| is_plain(ir, operand, left))
        }
        Node::Not(operand) => is_plain(ir, *operand, left),
        other => {
            let Some(fewer) = left.checked_sub(1) else { return false };
            *left = fewer;
            match other {
                Node::Compare(_, left, right) => {
                    kind(ir, *left).is_some()
                        && kind(ir, *right).is_some()
                        && cannot_fail(ir, *left)
                        && cannot_fail(ir, *right)
                }
                Node::Present(slot) => matches!(ir.get(*slot), Node::Slot(_)),
                _ => root_test(ir, id).is_some(),
            }
        }
    }
}

/// Only a division fails.
fn cannot_fail(ir: &Ir, id: NodeId) -> bool {
    let mut safe = !matches!(ir.get(id), Node::Arithmetic(MathOp::Div, ..));
    ir.operands(id, &mut |operand| safe = safe && cannot_fail(ir, operand));
    safe
}

/// The parent's id, where a node is `IsRootSpan`.
fn root_test(ir: &Ir, id: NodeId) -> Option<NodeId> {
    let Node::Call(call) = ir.get(id) else { return None };
    let site = ir.call_site(*call);
    match site.args.first() {
        Some(CallArg::Node(parent)) if site.function.name == "IsRootSpan" && ir.ty(*parent) == Type::SpanId => {
            Some(*parent)
        }
        _ => None,
    }
}

impl Lower<'_, '_> {
    /// A condition as 0 or 1, without a block of its own; `None` where it needs branches, and then nothing uses what was
    /// emitted.
    pub(super) fn plain(&mut self, id: NodeId) -> Option<Value> {
        let mut left = MAX_COMPARISONS;
        if is_plain(self.ir, id, &mut left) { self.plain_value(id) } else { None }
    }

    fn plain_value(&mut self, id: NodeId) -> Option<Value> {
        match self.ir.get(id) {
            Node::And(operands) => self.folded(operands, |lower, left, right| lower.builder.ins().band(left, right)),
            Node::Or(operands) => self.folded(operands, |lower, left, right| lower.builder.ins().bor(left, right)),
            Node::Not(operand) => {
                let operand = self.plain_value(*operand)?;
                let one = self.builder.ins().iconst(types::I8, 1);
                Some(self.builder.ins().bxor(operand, one))
            }
            Node::Compare(op, left, right) => self.numbers_compared(*op, *left, *right),
            Node::Present(slot) => {
                let slot = self.slot(*slot)?;
                let tag = self.tag(slot);
                Some(self.builder.ins().icmp_imm_u(IntCC::NotEqual, tag, i64::from(tag::MISSING)))
            }
            _ => {
                let slot = self.slot(root_test(self.ir, id)?)?;
                let len = self.len(slot);
                Some(self.builder.ins().icmp_imm_s(IntCC::Equal, len, 0))
            }
        }
    }

    fn folded(&mut self, operands: &[NodeId], fold: fn(&mut Self, Value, Value) -> Value) -> Option<Value> {
        let (&first, others) = operands.split_first()?;
        let mut all = self.plain_value(first)?;
        for &operand in others {
            let value = self.plain_value(operand)?;
            all = fold(self, all, value);
        }
        Some(all)
    }
}
