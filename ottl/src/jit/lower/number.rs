//! Arithmetic on numbers whose types are known: the rules of `math.rs`, inline.

use cranelift_codegen::ir::{
    BlockArg, InstBuilder as _, Value,
    condcodes::{FloatCC, IntCC},
    types,
};
use grammar::ast::MathOp;

use super::{Lower, part::part};
use crate::{
    error::EvalError,
    ir::{Ir, Node, NodeId, Type},
    slot::tag,
    value::{Time, Value as Constant, Zone},
};

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Double,
    /// Nanoseconds.
    Duration,
    /// Nanoseconds since the epoch, UTC.
    Time,
}

/// The kind of a node that [`Lower::number`] can compute; `None` leaves it to the interpreter.
pub(super) fn kind(ir: &Ir, id: NodeId) -> Option<Kind> {
    match ir.get(id) {
        Node::Const(constant) => match ir.constant_value(*constant) {
            Constant::Int(_) => Some(Kind::Int),
            Constant::Double(_) => Some(Kind::Double),
            Constant::Duration(_) => Some(Kind::Duration),
            Constant::Time(time) => unix_nano(time).map(|_| Kind::Time),
            _ => None,
        },
        Node::Slot(_) => (ir.ty(id) == Type::Int).then_some(Kind::Int),
        Node::IntOrZero(slot) => matches!(ir.get(*slot), Node::Slot(_)).then_some(Kind::Int),
        Node::UnixNano(nanos) => (kind(ir, *nanos)? == Kind::Int).then_some(Kind::Time),
        Node::Negate(operand) => match kind(ir, *operand)? {
            numeric @ (Kind::Int | Kind::Double) => Some(numeric),
            Kind::Duration | Kind::Time => None,
        },
        Node::Arithmetic(op, left, right) => match (kind(ir, *left)?, kind(ir, *right)?, op) {
            (Kind::Int, Kind::Int, _) => Some(Kind::Int),
            (Kind::Int | Kind::Double, Kind::Int | Kind::Double, _) => Some(Kind::Double),
            (Kind::Time, Kind::Time, MathOp::Sub) => Some(Kind::Duration),
            (Kind::Duration, Kind::Duration, MathOp::Add | MathOp::Sub) => Some(Kind::Duration),
            // A time plus a duration may leave the range of nanoseconds.
            _ => None,
        },
        Node::Call(call) => part(ir, *call).map(|(part, _)| part.kind()),
        _ => None,
    }
}

/// A time as nanoseconds, if they say all of it.
fn unix_nano(time: &Time) -> Option<i64> {
    let nanos = time.unix_nano();
    (Time { zone: Zone::Utc, ..*time } == Time::from_unix_nano(nanos)).then_some(nanos)
}

impl Lower<'_, '_> {
    /// Computes a number for which [`kind`] gives a kind; errors leave through the failed block. `None` if it gives none,
    /// and then nothing was emitted.
    pub(super) fn number(&mut self, id: NodeId) -> Option<(Kind, Value)> {
        let kind = kind(self.ir, id)?;
        let value = match self.ir.get(id) {
            Node::Const(constant) => match self.ir.constant_value(*constant) {
                Constant::Double(number) => self.builder.ins().f64const(*number),
                Constant::Int(number) | Constant::Duration(number) => self.builder.ins().iconst(types::I64, *number),
                Constant::Time(time) => self.builder.ins().iconst(types::I64, unix_nano(time)?),
                _ => return None,
            },
            Node::Slot(_) => {
                let slot = self.slot(id)?;
                self.bits(slot)
            }
            Node::IntOrZero(slot) => {
                let slot = self.slot(*slot)?;
                let tag = self.tag(slot);
                let is_int = self.has_tag(tag, tag::INT);
                let (bits, zero) = (self.bits(slot), self.builder.ins().iconst(types::I64, 0));
                self.builder.ins().select(is_int, bits, zero)
            }
            Node::UnixNano(nanos) => self.number(*nanos)?.1,
            Node::Call(call) => {
                let (part, target) = part(self.ir, *call)?;
                self.part(part, target)?
            }
            Node::Negate(operand) => {
                let (kind, operand) = self.number(*operand)?;
                match kind {
                    Kind::Double => self.builder.ins().fneg(operand),
                    _ => self.builder.ins().ineg(operand),
                }
            }
            Node::Arithmetic(op, left, right) => {
                let (left_kind, left) = self.number(*left)?;
                let (right_kind, right) = self.number(*right)?;
                match (kind, left_kind) {
                    (Kind::Double, _) => {
                        let (left, right) = (self.as_double(left_kind, left), self.as_double(right_kind, right));
                        self.double(*op, left, right)
                    }
                    (_, Kind::Time) => self.time_difference(left, right),
                    _ => self.int(*op, left, right),
                }
            }
            _ => return None,
        };
        Some((kind, value))
    }

    /// A number as double; doubles pass.
    pub(super) fn as_double(&mut self, kind: Kind, value: Value) -> Value {
        match kind {
            Kind::Double => value,
            _ => self.builder.ins().fcvt_from_sint(types::F64, value),
        }
    }

    /// The rules of `math.rs` for ints.
    pub(super) fn int(&mut self, op: MathOp, left: Value, right: Value) -> Value {
        match op {
            MathOp::Add => self.builder.ins().iadd(left, right),
            MathOp::Sub => self.builder.ins().isub(left, right),
            MathOp::Mul => self.builder.ins().imul(left, right),
            MathOp::Div => {
                let zero = self.builder.ins().icmp_imm_s(IntCC::Equal, right, 0);
                self.fail_if(zero, EvalError::DivideByZero);
                // The processor traps on MIN / -1: dividing by -1 is done by negation, which wraps.
                let minus_one = self.builder.ins().icmp_imm_s(IntCC::Equal, right, -1);
                let one = self.builder.ins().iconst(types::I64, 1);
                let divisor = self.builder.ins().select(minus_one, one, right);
                let quotient = self.builder.ins().sdiv(left, divisor);
                let negated = self.builder.ins().ineg(left);
                self.builder.ins().select(minus_one, negated, quotient)
            }
        }
    }

    /// The rules of `math.rs` for doubles.
    pub(super) fn double(&mut self, op: MathOp, left: Value, right: Value) -> Value {
        match op {
            MathOp::Add => self.builder.ins().fadd(left, right),
            MathOp::Sub => self.builder.ins().fsub(left, right),
            MathOp::Mul => self.builder.ins().fmul(left, right),
            MathOp::Div => {
                let zero = self.builder.ins().f64const(0.0);
                let is_zero = self.builder.ins().fcmp(FloatCC::Equal, right, zero);
                self.fail_if(is_zero, EvalError::DivideByZero);
                self.builder.ins().fdiv(left, right)
            }
        }
    }

    /// Saturates as Go's `Sub` does.
    fn time_difference(&mut self, left: Value, right: Value) -> Value {
        let difference = self.builder.ins().isub(left, right);
        // Overflow: the operands differ in sign, and the result has not the left one's.
        let signs = self.builder.ins().bxor(left, right);
        let flipped = self.builder.ins().bxor(left, difference);
        let both = self.builder.ins().band(signs, flipped);
        let overflow = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, both, 0);
        let most = self.builder.ins().iconst(types::I64, i64::MAX);
        let least = self.builder.ins().iconst(types::I64, i64::MIN);
        let negative = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        let limit = self.builder.ins().select(negative, least, most);
        self.builder.ins().select(overflow, limit, difference)
    }

    fn fail_if(&mut self, condition: Value, error: EvalError) {
        let code = self.builder.ins().iconst(types::I32, i64::from(error as u8));
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, self.failed, &[BlockArg::Value(code)], next, &[]);
        self.builder.switch_to_block(next);
    }
}
