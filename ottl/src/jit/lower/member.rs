//! Members of maps and lists that have slots of their own: the rules of paths, checked on the way down.

use cranelift_codegen::ir::InstBuilder as _;

use super::{Lower, operand::Operand};
use crate::{
    error::EvalError,
    ir::{NodeId, Type},
    slot::tag,
};

impl Lower<'_, '_> {
    /// `base[key]..`: extraction leaves the slot of a member missing where any part of the path is, so what is left to do
    /// is to see that no key stands behind something that takes none.
    pub(super) fn member(&mut self, base: NodeId, keys: &[NodeId]) -> Option<Operand> {
        let mut above = self.slot(base)?;
        let members: Option<Vec<Operand>> =
            self.ir.members(base, keys)?.into_iter().map(|slot| self.placed(slot)).collect();
        for (&key, member) in keys.iter().zip(members?) {
            self.takes_key(above, self.ir.ty(key) == Type::Int, member);
            above = member;
        }
        Some(above)
    }

    fn takes_key(&mut self, above: Operand, is_index: bool, member: Operand) {
        let (own, other) = if is_index { (tag::LIST, tag::MAP) } else { (tag::MAP, tag::LIST) };
        let [taken, not_taken, present, mismatched, scalar, next] = [(); 6].map(|()| self.builder.create_block());
        self.branch_on_tag(above, own, taken, not_taken);
        self.builder.switch_to_block(not_taken);
        // A missing key ends the path, and what follows is not looked at; an empty value is no missing one.
        self.branch_on_tag(above, tag::MISSING, next, present);
        self.builder.switch_to_block(present);
        self.branch_on_tag(above, other, mismatched, scalar);
        self.builder.switch_to_block(mismatched);
        self.fail(EvalError::KeyType);
        self.builder.switch_to_block(scalar);
        self.fail(EvalError::NotIndexable);
        self.builder.switch_to_block(taken);
        if is_index {
            let found = self.builder.create_block();
            let beyond = self.builder.create_block();
            self.branch_on_tag(member, tag::MISSING, beyond, found);
            self.builder.switch_to_block(beyond);
            self.fail(EvalError::OutOfBounds);
            self.builder.switch_to_block(found);
        }
        self.builder.ins().jump(next, &[]);
        self.builder.switch_to_block(next);
    }
}
