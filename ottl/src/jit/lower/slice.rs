//! Converters that give a part of a text: `Substring`, `TrimPrefix`, `TrimSuffix` with literal arguments. Nothing is
//! copied: a part is an address and a length.

use cranelift_codegen::ir::{BlockArg, InstBuilder as _, condcodes::IntCC, types};

use super::{Lower, bytes::MAX_INLINE, operand::Operand};
use crate::{
    error::EvalError,
    ir::{CallArg, CallId, Ir, Type},
    slot::tag,
    value::Value as Constant,
};

/// Which part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slice<'l> {
    /// What is behind this, if it begins with it.
    Behind(&'l [u8]),
    /// What is before this, if it ends with it.
    Before(&'l [u8]),
    /// So many bytes from one on; a text that has not as many is an error.
    Range { start: u32, len: u32 },
}

/// The part that a call asks for, if it is one of these.
pub(super) fn slice(ir: &Ir, call: CallId) -> Option<Slice<'_>> {
    let site = ir.call_site(call);
    let literal = |at: usize| match site.args.get(at)? {
        CallArg::Literal(constant) => Some(ir.constant_value(*constant)),
        _ => None,
    };
    let text = || match literal(1)? {
        Constant::Str(text) if (1..=MAX_INLINE).contains(&text.len()) => Some(text.as_ref()),
        _ => None,
    };
    let number = |at: usize| match literal(at)? {
        Constant::Int(number) => u32::try_from(*number).ok().filter(|number| *number <= i32::MAX.cast_unsigned()),
        _ => None,
    };
    match site.function.name {
        "TrimPrefix" => text().map(Slice::Behind),
        "TrimSuffix" => text().map(Slice::Before),
        // With `utf8_safe` its ends depend on what they fall into.
        "Substring" if matches!(site.args.get(3), None | Some(CallArg::Absent)) => {
            Some(Slice::Range { start: number(1)?, len: number(2).filter(|len| *len > 0)? })
        }
        _ => None,
    }
}

impl Lower<'_, '_> {
    /// A part of a text; what is no text is an error.
    pub(super) fn slice(&mut self, target: Operand, slice: Slice<'_>) -> Operand {
        self.only_text(target);
        let (start, len) = (self.address(target), self.len(target));
        let done = self.builder.create_block();
        let [part, part_len] = [types::I64, types::I32].map(|ty| self.builder.append_block_param(done, ty));
        match slice {
            Slice::Range { start: skip, len: wanted } => {
                let [enough, short] = [(); 2].map(|()| self.builder.create_block());
                let end = i64::from(skip) + i64::from(wanted);
                let fits = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, len, end);
                self.branch(fits, enough, short);
                self.builder.switch_to_block(short);
                self.fail(EvalError::Argument);
                self.builder.switch_to_block(enough);
                let part = self.builder.ins().iadd_imm_s(start, i64::from(skip));
                let len = self.builder.ins().iconst(types::I32, i64::from(wanted));
                self.builder.ins().jump(done, &[part, len].map(BlockArg::Value));
            }
            Slice::Behind(literal) | Slice::Before(literal) => {
                let [holds, other] = [(); 2].map(|()| self.builder.create_block());
                let skipped = match slice {
                    Slice::Before(_) => {
                        self.has_suffix(target, literal, holds, other);
                        0
                    }
                    _ => {
                        self.has_prefix(target, literal, holds, other);
                        literal.len() as i64
                    }
                };
                self.builder.switch_to_block(other);
                self.builder.ins().jump(done, &[start, len].map(BlockArg::Value));
                self.builder.switch_to_block(holds);
                let part = self.builder.ins().iadd_imm_s(start, skipped);
                let len = self.builder.ins().iadd_imm_s(len, -(literal.len() as i64));
                self.builder.ins().jump(done, &[part, len].map(BlockArg::Value));
            }
        }
        self.builder.switch_to_block(done);
        let tag = self.builder.ins().iconst(types::I32, i64::from(tag::STR));
        Operand::computed(Type::String, [tag, part_len, part])
    }
}
