//! Values that conditions look at: what of them is computed inline, and what the interpreter hands over. Whoever looks at
//! them does so inline in either case.

use cranelift_codegen::ir::{
    Block, BlockArg, InstBuilder as _, MemFlagsData, StackSlotData, StackSlotKind, Value, condcodes::IntCC, types,
};
use grammar::ast::MathOp;

use super::{
    Lower,
    number::{Kind, kind},
    operand::{BITS, LEN, Operand},
    slice::slice,
};
use crate::{
    error::EvalError,
    func::Needs,
    ir::{CallArg, CallId, Ir, Node, NodeId, Type},
    jit::shim::Shim,
    slot::{RawSlot, tag},
};

/// How a value comes to be.
#[derive(Clone, Copy, Debug)]
enum Source {
    Slot(Operand),
    /// A member of a map or list that has a slot of its own.
    Member,
    /// A number of a known type.
    Number,
    /// Arithmetic on values that turn out to be numbers or not.
    Arithmetic,
    Negation,
    /// The answer of a condition.
    Truth,
    /// `Len`, mostly of a text.
    Len(CallId),
    /// `Int` and its like, mostly of a value that is one: with its tag.
    Conversion(CallId, u32),
    /// A part of a text.
    Slice(CallId),
    /// The interpreter's.
    HandedOver,
}

impl Lower<'_, '_> {
    fn source(&self, id: NodeId) -> Option<Source> {
        if let Some(Kind::Int | Kind::Double) = kind(self.ir, id)
            && !matches!(self.ir.get(id), Node::Slot(_))
        {
            return Some(Source::Number);
        }
        match self.ir.get(id) {
            Node::Slot(_) => self.slot(id).map(Source::Slot),
            Node::Const(_) | Node::List(_) | Node::Map(_) | Node::Fail(_) | Node::UnixNano(_) => None,
            Node::PathIndex(base, keys) if self.ir.members(*base, keys).is_some() => Some(Source::Member),
            Node::Arithmetic(_, left, right) if self.is_inline_number(*left) && self.is_inline_number(*right) => {
                Some(Source::Arithmetic)
            }
            Node::Negate(operand) if self.is_inline_number(*operand) => Some(Source::Negation),
            Node::Present(_) | Node::And(_) | Node::Or(_) | Node::Not(_) => Some(Source::Truth),
            Node::Compare(..) | Node::InSet(..) | Node::Condition(_) => Some(Source::Truth),
            Node::Call(call) => {
                let site = self.ir.call_site(*call);
                if !is_pure(self.ir, id) {
                    return None;
                }
                let inline = match site.args.first() {
                    Some(CallArg::Node(target)) => self.source(*target).is_some(),
                    _ => false,
                };
                Some(match site.function.name {
                    _ if site.function.returns == Type::Bool => Source::Truth,
                    "Len" if inline => Source::Len(*call),
                    _ if inline && slice(self.ir, *call).is_some() => Source::Slice(*call),
                    "Int" if inline => Source::Conversion(*call, tag::INT),
                    "Double" if inline => Source::Conversion(*call, tag::DOUBLE),
                    "Bool" if inline => Source::Conversion(*call, tag::BOOL),
                    "String" if inline => Source::Conversion(*call, tag::STR),
                    _ => Source::HandedOver,
                })
            }
            _ => is_pure(self.ir, id).then_some(Source::HandedOver),
        }
    }

    /// Whether [`Lower::operand`] gives one.
    pub(super) fn has_operand(&self, id: NodeId) -> bool {
        self.source(id).is_some()
    }

    /// Whether extraction finds a value.
    pub(super) fn is_extracted(&self, id: NodeId) -> bool {
        matches!(self.source(id), Some(Source::Slot(_) | Source::Member))
    }

    /// Whether a value may be a number and cannot be a time or a duration, which have arithmetic of their own.
    fn is_inline_number(&self, id: NodeId) -> bool {
        match self.source(id) {
            Some(Source::Conversion(_, tag)) => tag == tag::INT || tag == tag::DOUBLE,
            Some(Source::Truth | Source::Slice(_) | Source::HandedOver) | None => false,
            Some(_) => true,
        }
    }

    /// A value to look at; errors leave through the failed block. `None` for values that are only the interpreter's, and
    /// then nothing was emitted.
    pub(super) fn operand(&mut self, id: NodeId) -> Option<Operand> {
        Some(match (self.source(id)?, self.ir.get(id)) {
            (Source::Slot(slot), _) => slot,
            (Source::Member, Node::PathIndex(base, keys)) => self.member(*base, keys)?,
            (Source::Number, _) => {
                let (kind, value) = self.number(id)?;
                self.of_number(kind, value)
            }
            (Source::Arithmetic, Node::Arithmetic(op, left, right)) => {
                let left = self.operand(*left)?;
                let right = self.operand(*right)?;
                self.arithmetic(*op, left, right)
            }
            (Source::Negation, Node::Negate(operand)) => {
                let operand = self.operand(*operand)?;
                self.negated(operand)
            }
            (Source::Len(call), _) => {
                let target = self.argument(call)?;
                self.length(id, target)
            }
            (Source::Slice(call), _) => {
                let slice = slice(self.ir, call)?;
                let target = self.argument(call)?;
                self.slice(target, slice)
            }
            (Source::Conversion(call, tag), _) => {
                let target = self.argument(call)?;
                self.converted(id, target, tag)
            }
            (Source::Truth, _) => self.of_truth(id),
            _ => self.handed_over(id),
        })
    }

    /// A call's first argument.
    pub(super) fn argument(&mut self, call: CallId) -> Option<Operand> {
        match self.ir.call_site(call).args.first()? {
            CallArg::Node(target) => self.operand(*target),
            _ => None,
        }
    }

    fn of_number(&mut self, kind: Kind, value: Value) -> Operand {
        let (ty, tag, bits) = match kind {
            Kind::Double => {
                (Type::Double, tag::DOUBLE, self.builder.ins().bitcast(types::I64, MemFlagsData::new(), value))
            }
            _ => (Type::Int, tag::INT, value),
        };
        self.known(ty, tag, bits)
    }

    /// A number or bool whose type is known.
    fn known(&mut self, ty: Type, tag: u32, bits: Value) -> Operand {
        let tag = self.builder.ins().iconst(types::I32, i64::from(tag));
        let len = self.builder.ins().iconst(types::I32, 0);
        Operand::computed(ty, [tag, len, bits])
    }

    /// A condition's answer as a value.
    fn of_truth(&mut self, id: NodeId) -> Operand {
        let [yes, no, done] = [(); 3].map(|()| self.builder.create_block());
        let flag = self.builder.append_block_param(done, types::I64);
        self.truth(id, yes, no);
        for (block, answer) in [(yes, 1), (no, 0)] {
            self.builder.switch_to_block(block);
            let answer = self.builder.ins().iconst(types::I64, answer);
            self.builder.ins().jump(done, &[BlockArg::Value(answer)]);
        }
        self.builder.switch_to_block(done);
        self.known(Type::Bool, tag::BOOL, flag)
    }

    /// The rules of `math.rs` for values that are ints or doubles, or neither, which is an error.
    fn arithmetic(&mut self, op: MathOp, left: Operand, right: Operand) -> Operand {
        let [ints, mixed, done] = [(); 3].map(|()| self.builder.create_block());
        let tag = self.builder.append_block_param(done, types::I32);
        let bits = self.builder.append_block_param(done, types::I64);
        let [left_tag, right_tag] = [left, right].map(|operand| self.tag(operand));
        let [left_int, right_int] = [left_tag, right_tag].map(|tag| self.has_tag(tag, tag::INT));
        let both = self.builder.ins().band(left_int, right_int);
        self.branch(both, ints, mixed);

        self.builder.switch_to_block(ints);
        let [left_bits, right_bits] = [left, right].map(|operand| self.bits(operand));
        let result = self.int(op, left_bits, right_bits);
        self.give(done, tag::INT, result);

        self.builder.switch_to_block(mixed);
        let [left, right] =
            [(left, left_tag, left_int), (right, right_tag, right_int)].map(|(operand, tag, is_int)| {
                let is_double = self.has_tag(tag, tag::DOUBLE);
                let is_number = self.builder.ins().bor(is_int, is_double);
                (self.as_double_by_tag(operand, is_int), is_number)
            });
        let numbers = self.builder.ins().band(left.1, right.1);
        self.unless(numbers, EvalError::Type);
        let result = self.double(op, left.0, right.0);
        let result = self.builder.ins().bitcast(types::I64, MemFlagsData::new(), result);
        self.give(done, tag::DOUBLE, result);

        self.builder.switch_to_block(done);
        let len = self.builder.ins().iconst(types::I32, 0);
        Operand::computed(Type::Any, [tag, len, bits])
    }

    fn negated(&mut self, operand: Operand) -> Operand {
        let tag = self.tag(operand);
        let [is_int, is_double] = [tag::INT, tag::DOUBLE].map(|wanted| self.has_tag(tag, wanted));
        let is_number = self.builder.ins().bor(is_int, is_double);
        self.unless(is_number, EvalError::Type);
        let bits = self.bits(operand);
        let int = self.builder.ins().ineg(bits);
        // The sign of a double is its highest bit.
        let sign = self.builder.ins().iconst(types::I64, i64::MIN);
        let double = self.builder.ins().bxor(bits, sign);
        let bits = self.builder.ins().select(is_int, int, double);
        let len = self.builder.ins().iconst(types::I32, 0);
        Operand::computed(Type::Any, [tag, len, bits])
    }

    /// `Len`: inline of texts and bytes.
    fn length(&mut self, id: NodeId, target: Operand) -> Operand {
        let [text, other, done] = [(); 3].map(|()| self.builder.create_block());
        let len = self.builder.append_block_param(done, types::I64);
        let tag = self.tag(target);
        let [is_str, is_bytes] = [tag::STR, tag::BYTES].map(|wanted| self.has_tag(tag, wanted));
        let is_text = self.builder.ins().bor(is_str, is_bytes);
        self.branch(is_text, text, other);
        self.builder.switch_to_block(text);
        let found = self.len(target);
        let found = self.builder.ins().uextend(types::I64, found);
        self.builder.ins().jump(done, &[BlockArg::Value(found)]);
        self.builder.switch_to_block(other);
        let counted = self.handed_over(id);
        let counted = self.bits(counted);
        self.builder.ins().jump(done, &[BlockArg::Value(counted)]);
        self.builder.switch_to_block(done);
        self.known(Type::Int, tag::INT, len)
    }

    /// A conversion: what has the type already, or is nil, stays what it is.
    fn converted(&mut self, id: NodeId, target: Operand, own: u32) -> Operand {
        let [same, other, done] = [(); 3].map(|()| self.builder.create_block());
        let parts = [types::I32, types::I32, types::I64].map(|ty| self.builder.append_block_param(done, ty));
        let tag = self.tag(target);
        let is_own = self.has_tag(tag, own);
        let is_nil = self.is_absent(tag);
        let stays = self.builder.ins().bor(is_own, is_nil);
        self.branch(stays, same, other);
        self.builder.switch_to_block(same);
        let len = self.len(target);
        let bits = if own == tag::STR { self.address(target) } else { self.bits(target) };
        self.builder.ins().jump(done, &[tag, len, bits].map(BlockArg::Value));
        self.builder.switch_to_block(other);
        let converted = self.handed_over(id);
        let converted = [self.tag(converted), self.len(converted), self.bits(converted)];
        self.builder.ins().jump(done, &converted.map(BlockArg::Value));
        self.builder.switch_to_block(done);
        Operand::computed(Type::Any, parts)
    }

    fn give(&mut self, done: Block, tag: u32, bits: Value) {
        let tag = self.builder.ins().iconst(types::I32, i64::from(tag));
        self.builder.ins().jump(done, &[tag, bits].map(BlockArg::Value));
    }

    pub(super) fn has_tag(&mut self, found: Value, tag: u32) -> Value {
        self.builder.ins().icmp_imm_u(IntCC::Equal, found, i64::from(tag))
    }

    /// Whether a tag says that there is no value.
    pub(super) fn is_absent(&mut self, found: Value) -> Value {
        self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, found, i64::from(tag::EMPTY))
    }

    /// A number as double, whichever of the two it is.
    pub(super) fn as_double_by_tag(&mut self, operand: Operand, is_int: Value) -> Value {
        let bits = self.bits(operand);
        let from_int = self.builder.ins().fcvt_from_sint(types::F64, bits);
        let double = self.double_bits(operand);
        self.builder.ins().select(is_int, from_int, double)
    }

    fn unless(&mut self, holds: Value, error: EvalError) {
        let code = self.builder.ins().iconst(types::I32, i64::from(error as u8));
        let next = self.builder.create_block();
        self.builder.ins().brif(holds, next, &[], self.failed, &[BlockArg::Value(code)]);
        self.builder.switch_to_block(next);
    }

    /// Has the interpreter evaluate a node, once if several places look at it.
    fn handed_over(&mut self, id: NodeId) -> Operand {
        if let Some(kept) = self.kept(id) {
            return kept;
        }
        let place = match self.handed {
            Some(place) => place,
            None => self.value_place(),
        };
        self.handed = Some(place);
        self.load_row();
        let node = self.builder.ins().iconst(types::I32, i64::from(id.0));
        let out = self.builder.ins().stack_addr(types::I64, place, 0);
        let failed = self.shim(Shim::Value, &[self.params[0], node, out]);
        let known = self.builder.create_block();
        self.builder.ins().brif(failed, self.failed, &[BlockArg::Value(failed)], known, &[]);
        self.builder.switch_to_block(known);
        let tag = self.builder.ins().stack_load(types::I64, types::I32, place, 0);
        let len = self.builder.ins().stack_load(types::I64, types::I32, place, LEN);
        let bits = self.builder.ins().stack_load(types::I64, types::I64, place, BITS);
        Operand::computed(self.ir.ty(id), [tag, len, bits])
    }

    /// Memory of this function that a value fits in.
    pub(super) fn value_place(&mut self) -> cranelift_codegen::ir::StackSlot {
        let size = size_of::<RawSlot>() as u32;
        self.builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3))
    }
}

/// Whether equal evaluations of a node give equal values.
pub(super) fn is_pure(ir: &Ir, id: NodeId) -> bool {
    let mut pure = match ir.get(id) {
        Node::Call(call) => ir.call_site(*call).function.needs == Needs::Nothing,
        _ => true,
    };
    ir.operands(id, &mut |operand| pure = pure && is_pure(ir, operand));
    pure
}
