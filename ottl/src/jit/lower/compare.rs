//! Comparisons: the rules of `compare.rs` for slots, literals and computed numbers. Dispatch on the slot's tag is inline;
//! operands of other shapes are the interpreter's.

use cranelift_codegen::ir::{
    Block, InstBuilder as _, Value,
    condcodes::{FloatCC, IntCC},
    types,
};
use grammar::ast::CompareOp;

use super::{
    Lower,
    bytes::MAX_INLINE,
    number::{Kind, kind},
    slots::SlotRef,
};
use crate::{
    ir::{ConstId, KindText, Node, NodeId, Type},
    jit::shims::Shim,
    slot::tag,
    value::Value as Constant,
};

impl Lower<'_, '_> {
    /// Lowers `left op right`, which is node `id`.
    pub(super) fn compare(&mut self, id: NodeId, op: CompareOp, left: NodeId, right: NodeId, yes: Block, no: Block) {
        if kind(self.ir, left).is_some() && kind(self.ir, right).is_some() {
            return match self.numbers_compared(op, left, right) {
                Some(holds) => self.branch(holds, yes, no),
                None => self.ask(id, yes, no),
            };
        }
        // Slots and constants give no errors, so their order does not matter.
        match (self.ir.get(left), self.ir.get(right)) {
            (Node::Slot(_), Node::Const(constant)) => self.slot_with_literal(id, op, left, *constant, yes, no),
            (Node::Const(constant), Node::Slot(_)) => {
                self.slot_with_literal(id, flipped(op), right, *constant, yes, no)
            }
            (Node::Slot(_), Node::Slot(_)) => self.slots_compared(id, op, left, right, yes, no),
            (Node::KindText(form, kind), Node::Const(constant))
            | (Node::Const(constant), Node::KindText(form, kind)) => {
                self.kind_text(id, op, (*form, *kind), *constant, yes, no);
            }
            _ => self.ask(id, yes, no),
        }
    }

    /// Whether `left op right` holds of two numbers; `None` where they are none, or of kinds that do not compare.
    pub(super) fn numbers_compared(&mut self, op: CompareOp, left: NodeId, right: NodeId) -> Option<Value> {
        let comparable = match (kind(self.ir, left)?, kind(self.ir, right)?) {
            (Kind::Int | Kind::Double, Kind::Int | Kind::Double) => true,
            (left, right) => left == right,
        };
        if !comparable {
            return None;
        }
        let (left_kind, left) = self.number(left)?;
        let (right_kind, right) = self.number(right)?;
        Some(match (left_kind, right_kind) {
            (Kind::Double, _) | (_, Kind::Double) => {
                let (left, right) = (self.as_double(left_kind, left), self.as_double(right_kind, right));
                self.builder.ins().fcmp(float_condition(op), left, right)
            }
            _ => self.builder.ins().icmp(signed_condition(op), left, right),
        })
    }

    fn slot_with_literal(&mut self, id: NodeId, op: CompareOp, slot: NodeId, constant: ConstId, yes: Block, no: Block) {
        let Some(slot) = self.slot(slot) else { return self.ask(id, yes, no) };
        // What is true of values that cannot be compared.
        let unequal = if op == CompareOp::Ne { yes } else { no };
        match self.ir.constant_value(constant) {
            Constant::Nil => self.with_nil(slot, op, yes, no),
            Constant::Bytes(literal) if literal.is_empty() => self.with_nil(slot, op, yes, no),
            Constant::Bool(flag) => self.with_bool(slot, op, *flag, [yes, no, unequal]),
            Constant::Int(number) => {
                let (int, double) = (*number, *number as f64);
                self.with_number(slot, op, Some(int), double, [yes, no, unequal]);
            }
            Constant::Double(number) => self.with_number(slot, op, None, *number, [yes, no, unequal]),
            Constant::Str(literal) => match op {
                CompareOp::Eq if literal.len() <= MAX_INLINE => self.is_literal(slot, tag::STR, literal, yes, no),
                CompareOp::Ne if literal.len() <= MAX_INLINE => self.is_literal(slot, tag::STR, literal, no, yes),
                _ => {
                    self.only(slot, tag::STR, unequal);
                    let order = self.shim_on_text(Shim::OrderLiteral, constant.0, slot);
                    self.branch_on_order(op, order, yes, no);
                }
            },
            Constant::Bytes(literal) if literal.len() <= MAX_INLINE && is_equality(op) => {
                let equal = if op == CompareOp::Eq { yes } else { no };
                let other = if op == CompareOp::Eq { no } else { yes };
                self.is_literal(slot, tag::BYTES, literal, equal, other);
            }
            Constant::TraceId(wanted) => self.with_id(slot, op, tag::TRACE_ID, wanted, yes, no),
            Constant::SpanId(wanted) => self.with_id(slot, op, tag::SPAN_ID, wanted, yes, no),
            _ => self.ask(id, yes, no),
        }
    }

    /// Goes on where the tag is this, to `other` otherwise.
    fn only(&mut self, slot: SlotRef, tag: u32, other: Block) {
        let Some(own) = tag_of(slot.ty) else {
            let matching = self.builder.create_block();
            self.branch_on_tag(slot, tag, matching, other);
            self.builder.switch_to_block(matching);
            return;
        };
        if own != tag {
            self.builder.ins().jump(other, &[]);
            let unreachable = self.builder.create_block();
            self.builder.switch_to_block(unreachable);
        }
    }

    fn with_nil(&mut self, slot: SlotRef, op: CompareOp, yes: Block, no: Block) {
        let (nil, other) = match op {
            CompareOp::Eq | CompareOp::Le | CompareOp::Ge => (yes, no),
            CompareOp::Ne => (no, yes),
            CompareOp::Lt | CompareOp::Gt => (no, no),
        };
        if tag_of(slot.ty).is_some_and(|tag| tag != tag::BYTES) {
            self.builder.ins().jump(other, &[]);
            return;
        }
        let tag = self.tag(slot);
        let absent = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, tag, i64::from(tag::EMPTY));
        let set = self.builder.create_block();
        self.branch(absent, nil, set);
        self.builder.switch_to_block(set);
        // Empty bytes are nil.
        self.is_literal(slot, tag::BYTES, &[], nil, other);
    }

    fn with_bool(&mut self, slot: SlotRef, op: CompareOp, flag: bool, [yes, no, unequal]: [Block; 3]) {
        self.only(slot, tag::BOOL, unequal);
        let bits = self.bits(slot);
        let holds = self.builder.ins().icmp_imm_s(signed_condition(op), bits, i64::from(flag));
        self.branch(holds, yes, no);
    }

    /// Compares with an int, or with a double: doubles are compared as doubles whichever side they are on.
    fn with_number(&mut self, slot: SlotRef, op: CompareOp, int: Option<i64>, double: f64, outcomes: [Block; 3]) {
        let [yes, no, unequal] = outcomes;
        let (is_int, not_int, is_double) =
            (self.builder.create_block(), self.builder.create_block(), self.builder.create_block());
        self.branch_on_tag(slot, tag::INT, is_int, not_int);
        self.builder.switch_to_block(is_int);
        let bits = self.bits(slot);
        let holds = match int {
            Some(int) => self.builder.ins().icmp_imm_s(signed_condition(op), bits, int),
            None => {
                let found = self.builder.ins().fcvt_from_sint(types::F64, bits);
                let wanted = self.builder.ins().f64const(double);
                self.builder.ins().fcmp(float_condition(op), found, wanted)
            }
        };
        self.branch(holds, yes, no);
        self.builder.switch_to_block(not_int);
        self.branch_on_tag(slot, tag::DOUBLE, is_double, unequal);
        self.builder.switch_to_block(is_double);
        let found = self.double_bits(slot);
        let wanted = self.builder.ins().f64const(double);
        let holds = self.builder.ins().fcmp(float_condition(op), found, wanted);
        self.branch(holds, yes, no);
    }

    fn with_id(&mut self, slot: SlotRef, op: CompareOp, tag: u32, wanted: &[u8], yes: Block, no: Block) {
        let (equal, other) = match op {
            CompareOp::Eq => (yes, no),
            CompareOp::Ne => (no, yes),
            _ => (no, no),
        };
        self.only(slot, tag, other);
        if wanted.iter().any(|&byte| byte != 0) {
            return self.is_literal(slot, tag, wanted, equal, other);
        }
        self.is_unset_id(slot, equal, other);
    }

    /// Whether an id is unset or all zero: extraction leaves an empty range for both.
    pub(super) fn is_unset_id(&mut self, slot: SlotRef, yes: Block, no: Block) {
        let len = self.len(slot);
        self.branch(len, no, yes);
    }

    fn slots_compared(&mut self, id: NodeId, op: CompareOp, left: NodeId, right: NodeId, yes: Block, no: Block) {
        let (Some(left), Some(right)) = (self.slot(left), self.slot(right)) else { return self.ask(id, yes, no) };
        if [left.ty, right.ty] != [Type::String; 2] {
            return self.ask(id, yes, no);
        }
        let (left_start, left_len) = (self.address(left), self.len(left));
        let (right_start, right_len) = (self.address(right), self.len(right));
        let order = self.shim(Shim::Order, &[left_start, left_len, right_start, right_len]);
        self.branch_on_order(op, order, yes, no);
    }

    fn branch_on_order(&mut self, op: CompareOp, order: Value, yes: Block, no: Block) {
        let holds = self.builder.ins().icmp_imm_s(signed_condition(op), order, 0);
        self.branch(holds, yes, no);
    }

    /// The text of a span kind against a literal: the kinds that have that text.
    fn kind_text(
        &mut self,
        id: NodeId,
        op: CompareOp,
        (form, kind): (KindText, NodeId),
        constant: ConstId,
        yes: Block,
        no: Block,
    ) {
        let (Some(slot), Constant::Str(literal)) = (self.slot(kind), self.ir.constant_value(constant)) else {
            return self.ask(id, yes, no);
        };
        if slot.ty != Type::Int || !is_equality(op) || literal.is_empty() {
            return self.ask(id, yes, no);
        }
        let (equal, other) = if op == CompareOp::Eq { (yes, no) } else { (no, yes) };
        let known = (0..=5).find(|&kind| crate::interp::kind_text(form, kind).as_bytes() == literal.as_ref());
        match known {
            Some(kind) => {
                let bits = self.bits(slot);
                let same = self.builder.ins().icmp_imm_s(IntCC::Equal, bits, kind);
                self.branch(same, equal, other);
            }
            None => {
                self.builder.ins().jump(other, &[]);
            }
        }
    }
}

/// The tag of all values of a static type; `None` where the data decide.
pub(super) fn tag_of(ty: Type) -> Option<u32> {
    match ty {
        Type::Bool => Some(tag::BOOL),
        Type::Int => Some(tag::INT),
        Type::Double => Some(tag::DOUBLE),
        Type::String => Some(tag::STR),
        Type::Bytes => Some(tag::BYTES),
        Type::TraceId => Some(tag::TRACE_ID),
        Type::SpanId => Some(tag::SPAN_ID),
        Type::Map => Some(tag::MAP),
        Type::List => Some(tag::LIST),
        Type::Opaque => Some(tag::OPAQUE),
        Type::Nil | Type::Time | Type::Duration | Type::Any => None,
    }
}

fn is_equality(op: CompareOp) -> bool {
    matches!(op, CompareOp::Eq | CompareOp::Ne)
}

/// The operator with its sides exchanged.
fn flipped(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::Le => CompareOp::Ge,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Le,
        same => same,
    }
}

fn signed_condition(op: CompareOp) -> IntCC {
    match op {
        CompareOp::Eq => IntCC::Equal,
        CompareOp::Ne => IntCC::NotEqual,
        CompareOp::Lt => IntCC::SignedLessThan,
        CompareOp::Le => IntCC::SignedLessThanOrEqual,
        CompareOp::Gt => IntCC::SignedGreaterThan,
        CompareOp::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}

/// All but `!=` are false where a NaN takes part.
fn float_condition(op: CompareOp) -> FloatCC {
    match op {
        CompareOp::Eq => FloatCC::Equal,
        CompareOp::Ne => FloatCC::NotEqual,
        CompareOp::Lt => FloatCC::LessThan,
        CompareOp::Le => FloatCC::LessThanOrEqual,
        CompareOp::Gt => FloatCC::GreaterThan,
        CompareOp::Ge => FloatCC::GreaterThanOrEqual,
    }
}
