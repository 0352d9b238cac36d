//! Numbers that converters take out of times, durations and texts: `UnixMilli`, `Hour`, `Seconds`, `Len` and their like.
//! Only of times that paths give: they are nanoseconds since the epoch, UTC.

use cranelift_codegen::ir::{InstBuilder as _, Value, condcodes::IntCC, types};

use super::{
    Lower,
    number::{Kind, kind},
};
use crate::{
    go::duration::SECOND,
    ir::{CallArg, CallId, Ir, Node, NodeId, Type},
};

/// What is taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Of a time: whole units of so many nanoseconds since the epoch.
    Since(i64),
    /// Of a time: units of so many nanoseconds, counted within a larger unit of so many of them, from an offset on.
    Within { unit: i64, count: i64, offset: i64 },
    /// Of a duration: whole units of so many nanoseconds.
    Whole(i64),
    /// Of a duration: units of so many nanoseconds, with their fraction.
    Units(i64),
    /// Of a string: its length in bytes.
    Len,
}

impl Part {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Units(_) => Kind::Double,
            _ => Kind::Int,
        }
    }
}

/// What a call takes out of which node, if it is one of these.
pub(super) fn part(ir: &Ir, call: CallId) -> Option<(Part, NodeId)> {
    let site = ir.call_site(call);
    let Some(&CallArg::Node(target)) = site.args.first() else { return None };
    let within = |unit, count| Part::Within { unit, count, offset: 0 };
    let part = match site.function.name {
        "UnixNano" => Part::Since(1),
        "UnixMicro" => Part::Since(1_000),
        "UnixMilli" => Part::Since(1_000_000),
        "UnixSeconds" => Part::Since(SECOND),
        "Nanosecond" => within(1, SECOND),
        "Second" => within(SECOND, 60),
        "Minute" => within(60 * SECOND, 60),
        "Hour" => within(3600 * SECOND, 24),
        // The epoch was a Thursday, and Sunday is 0.
        "Weekday" => Part::Within { unit: 24 * 3600 * SECOND, count: 7, offset: 4 },
        "Nanoseconds" => Part::Whole(1),
        "Microseconds" => Part::Whole(1_000),
        "Milliseconds" => Part::Whole(1_000_000),
        "Seconds" => Part::Units(SECOND),
        "Minutes" => Part::Units(60 * SECOND),
        "Hours" => Part::Units(3600 * SECOND),
        "Len" => Part::Len,
        _ => return None,
    };
    let fits = match part {
        Part::Since(_) | Part::Within { .. } => {
            matches!(ir.get(target), Node::UnixNano(_)) && kind(ir, target).is_some()
        }
        Part::Whole(_) | Part::Units(_) => kind(ir, target) == Some(Kind::Duration),
        Part::Len => matches!(ir.get(target), Node::Slot(_)) && ir.ty(target) == Type::String,
    };
    fits.then_some((part, target))
}

impl Lower<'_, '_> {
    pub(super) fn part(&mut self, part: Part, target: NodeId) -> Option<Value> {
        if let Part::Len = part {
            let slot = self.slot(target)?;
            let len = self.len(slot);
            return Some(self.builder.ins().uextend(types::I64, len));
        }
        let (_, nanos) = self.number(target)?;
        Some(match part {
            Part::Since(unit) => self.floor_div(nanos, unit),
            Part::Within { unit, count, offset } => {
                let units = self.floor_div(nanos, unit);
                let units = self.builder.ins().iadd_imm_s(units, offset);
                let whole = self.floor_div(units, count);
                let whole = self.builder.ins().imul_imm_s(whole, count);
                self.builder.ins().isub(units, whole)
            }
            Part::Whole(unit) => self.builder.ins().sdiv_imm_s(nanos, unit),
            Part::Units(unit) => {
                let whole = self.builder.ins().sdiv_imm_s(nanos, unit);
                let rest = self.builder.ins().srem_imm_s(nanos, unit);
                let [whole, rest] = [whole, rest].map(|part| self.builder.ins().fcvt_from_sint(types::F64, part));
                let unit = self.builder.ins().f64const(unit as f64);
                let fraction = self.builder.ins().fdiv(rest, unit);
                self.builder.ins().fadd(whole, fraction)
            }
            Part::Len => return None,
        })
    }

    /// Rounds down. The divisor is above 0, so nothing overflows.
    fn floor_div(&mut self, number: Value, by: i64) -> Value {
        if by == 1 {
            return number;
        }
        let quotient = self.builder.ins().sdiv_imm_s(number, by);
        let rest = self.builder.ins().srem_imm_s(number, by);
        let is_below = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, rest, 0);
        let one = self.builder.ins().uextend(types::I64, is_below);
        self.builder.ins().isub(quotient, one)
    }
}
