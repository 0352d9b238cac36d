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
    operand::Operand,
};
use crate::{
    ir::{ConstId, KindText, Node, NodeId, Type},
    jit::shim::Shim,
    slot::tag,
    value::Value as Constant,
};

impl<'l> Lower<'l, '_> {
    /// Lowers `left op right`, which is node `id`.
    pub(super) fn compare(&mut self, id: NodeId, op: CompareOp, left: NodeId, right: NodeId, yes: Block, no: Block) {
        if kind(self.ir, left).is_some() && kind(self.ir, right).is_some() {
            return match self.numbers_compared(op, left, right) {
                Some(holds) => self.branch(holds, yes, no),
                None => self.ask(id, yes, no),
            };
        }
        for (kind, literal) in [(left, right), (right, left)] {
            if let Some((form, slot, literal)) = self.kind_test(op, kind, literal) {
                return self.kind_text(op, (form, slot), literal, yes, no);
            }
        }
        // Constants give no errors, so the order does not matter.
        for (value, literal, op) in [(left, right, op), (right, left, flipped(op))] {
            if let Node::Const(constant) = *self.ir.get(literal)
                && self.is_inline_literal(value, op, constant)
                && let Some(operand) = self.operand(value)
            {
                return self.with_literal(id, op, operand, constant, yes, no);
            }
        }
        if self.has_operand(left)
            && self.has_operand(right)
            && let (Some(left), Some(right)) = (self.operand(left), self.operand(right))
        {
            return self.values_compared(id, op, left, right, yes, no);
        }
        self.ask(id, yes, no);
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

    /// Whether a value is compared with a constant inline.
    fn is_inline_literal(&self, value: NodeId, op: CompareOp, constant: ConstId) -> bool {
        let inline = match self.ir.constant_value(constant) {
            Constant::Nil | Constant::Bool(_) | Constant::Int(_) | Constant::Double(_) | Constant::Str(_) => true,
            Constant::Bytes(literal) => literal.is_empty() || literal.len() <= MAX_INLINE && is_equality(op),
            // Only extraction finds ids that are not set.
            Constant::TraceId(_) | Constant::SpanId(_) => self.slot(value).is_some(),
            _ => false,
        };
        inline && self.has_operand(value)
    }

    fn with_literal(&mut self, id: NodeId, op: CompareOp, slot: Operand, constant: ConstId, yes: Block, no: Block) {
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
    fn only(&mut self, slot: Operand, tag: u32, other: Block) {
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

    fn with_nil(&mut self, slot: Operand, op: CompareOp, yes: Block, no: Block) {
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
        let absent = self.is_absent(tag);
        let set = self.builder.create_block();
        self.branch(absent, nil, set);
        self.builder.switch_to_block(set);
        // Empty bytes are nil.
        self.is_literal(slot, tag::BYTES, &[], nil, other);
    }

    fn with_bool(&mut self, slot: Operand, op: CompareOp, flag: bool, [yes, no, unequal]: [Block; 3]) {
        self.only(slot, tag::BOOL, unequal);
        let bits = self.bits(slot);
        let holds = self.builder.ins().icmp_imm_s(signed_condition(op), bits, i64::from(flag));
        self.branch(holds, yes, no);
    }

    /// Compares with an int, or with a double: doubles are compared as doubles whichever side they are on.
    fn with_number(&mut self, slot: Operand, op: CompareOp, int: Option<i64>, double: f64, outcomes: [Block; 3]) {
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

    fn with_id(&mut self, slot: Operand, op: CompareOp, tag: u32, wanted: &[u8], yes: Block, no: Block) {
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
    pub(super) fn is_unset_id(&mut self, slot: Operand, yes: Block, no: Block) {
        let len = self.len(slot);
        self.branch(len, no, yes);
    }

    /// Two values, of which the data decide what they are. Inline are those of equal types, numbers, and values that
    /// cannot be compared; the others, such as maps, are the interpreter's.
    fn values_compared(&mut self, id: NodeId, op: CompareOp, left: Operand, right: Operand, yes: Block, no: Block) {
        if [left.ty, right.ty] == [Type::String; 2] {
            return self.texts_compared(op, left, right, yes, no);
        }
        let unequal = if op == CompareOp::Ne { yes } else { no };
        let nils = if matches!(op, CompareOp::Eq | CompareOp::Le | CompareOp::Ge) { yes } else { no };
        let [same, different, texts, not_texts, ints, not_ints, others, doubles] =
            [(); 8].map(|()| self.builder.create_block());
        let [left_tag, right_tag] = [left, right].map(|operand| self.tag(operand));
        let is_same = self.builder.ins().icmp(IntCC::Equal, left_tag, right_tag);
        self.branch(is_same, same, different);

        self.builder.switch_to_block(same);
        let is_text = self.has_tag(left_tag, tag::STR);
        self.branch(is_text, texts, not_texts);
        self.builder.switch_to_block(texts);
        self.texts_compared(op, left, right, yes, no);
        self.builder.switch_to_block(not_texts);
        let [is_int, is_bool] = [tag::INT, tag::BOOL].map(|wanted| self.has_tag(left_tag, wanted));
        let has_order = self.builder.ins().bor(is_int, is_bool);
        self.branch(has_order, ints, not_ints);
        self.builder.switch_to_block(ints);
        let [left_bits, right_bits] = [left, right].map(|operand| self.bits(operand));
        let holds = self.builder.ins().icmp(signed_condition(op), left_bits, right_bits);
        self.branch(holds, yes, no);
        self.builder.switch_to_block(not_ints);
        let is_double = self.has_tag(left_tag, tag::DOUBLE);
        let nil_or_other = self.builder.create_block();
        self.branch(is_double, doubles, nil_or_other);
        self.builder.switch_to_block(nil_or_other);
        let absent = self.is_absent(left_tag);
        self.branch(absent, nils, others);

        self.builder.switch_to_block(different);
        // Bytes may be nil, and what comes behind them has rules of its own.
        let [scalars, unlike] = [(); 2].map(|()| self.builder.create_block());
        let highest = self.builder.ins().umax(left_tag, right_tag);
        let lowest = self.builder.ins().umin(left_tag, right_tag);
        let simple = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, highest, i64::from(tag::BYTES));
        self.branch(simple, scalars, others);
        self.builder.switch_to_block(scalars);
        let absent = self.is_absent(highest);
        self.branch(absent, nils, unlike);
        self.builder.switch_to_block(unlike);
        // Bool, int, double, string: an int below a double.
        let [is_int, is_double] = [(lowest, tag::INT), (highest, tag::DOUBLE)].map(|(tag, own)| self.has_tag(tag, own));
        let numbers = self.builder.ins().band(is_int, is_double);
        self.branch(numbers, doubles, unequal);

        self.builder.switch_to_block(doubles);
        let [left, right] = [(left, left_tag), (right, right_tag)].map(|(operand, tag)| {
            let is_int = self.has_tag(tag, tag::INT);
            self.as_double_by_tag(operand, is_int)
        });
        let holds = self.builder.ins().fcmp(float_condition(op), left, right);
        self.branch(holds, yes, no);

        self.builder.switch_to_block(others);
        self.ask(id, yes, no);
    }

    fn texts_compared(&mut self, op: CompareOp, left: Operand, right: Operand, yes: Block, no: Block) {
        let (left_start, left_len) = (self.address(left), self.len(left));
        let (right_start, right_len) = (self.address(right), self.len(right));
        if is_equality(op) {
            let unequal = if op == CompareOp::Ne { yes } else { no };
            let compared = self.builder.create_block();
            let same = self.builder.ins().icmp(IntCC::Equal, left_len, right_len);
            self.branch(same, compared, unequal);
            self.builder.switch_to_block(compared);
        }
        let order = self.shim(Shim::Order, &[left_start, left_len, right_start, right_len]);
        self.branch_on_order(op, order, yes, no);
    }

    fn branch_on_order(&mut self, op: CompareOp, order: Value, yes: Block, no: Block) {
        let holds = self.builder.ins().icmp_imm_s(signed_condition(op), order, 0);
        self.branch(holds, yes, no);
    }

    /// The slot of a kind whose text is compared with a literal, if that says which kinds those are.
    fn kind_test(&self, op: CompareOp, kind: NodeId, literal: NodeId) -> Option<(KindText, Operand, &'l [u8])> {
        let Node::KindText(form, kind) = self.ir.get(kind) else { return None };
        let slot = self.slot(*kind).filter(|slot| slot.ty == Type::Int)?;
        match self.ir.as_constant(literal)? {
            Constant::Str(literal) if is_equality(op) && !literal.is_empty() => Some((*form, slot, literal.as_ref())),
            _ => None,
        }
    }

    /// The text of a span kind against a literal: the kinds that have that text.
    fn kind_text(&mut self, op: CompareOp, (form, slot): (KindText, Operand), literal: &[u8], yes: Block, no: Block) {
        let (equal, other) = if op == CompareOp::Eq { (yes, no) } else { (no, yes) };
        let known = (0..=5).find(|&kind| crate::interp::kind_text(form, kind).as_bytes() == literal);
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
