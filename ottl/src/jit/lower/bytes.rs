//! Equality of wire bytes with literals: tag and length as one compare, then as few loads as the length needs.

use std::collections::BTreeMap;

use cranelift_codegen::ir::{Block, InstBuilder as _, Type as ClifType, Value, condcodes::IntCC, types};
use cranelift_frontend::Switch;

use super::{
    Lower,
    operand::{Operand, head, wire_memory},
};
use crate::jit::shim::Shim;
use crate::{
    ir::{NodeId, SetId},
    slot::tag,
};

/// Longer literals are compared by a shim: the code for 8 bytes takes about 20.
pub(super) const MAX_INLINE: usize = 128;

/// Larger sets are searched by a shim.
const MAX_INLINE_SET: usize = 512;

impl Lower<'_, '_> {
    /// Whether a slot is a range with this tag and content.
    pub(super) fn is_literal(&mut self, slot: Operand, tag: u32, literal: &[u8], yes: Block, no: Block) {
        let Some(wanted) = head(tag, literal.len()) else {
            self.builder.ins().jump(no, &[]);
            return;
        };
        let found = self.head(slot);
        let same_head = self.builder.ins().icmp_imm_s(IntCC::Equal, found, wanted);
        if literal.is_empty() {
            self.branch(same_head, yes, no);
            return;
        }
        let content = self.builder.create_block();
        self.branch(same_head, content, no);
        self.builder.switch_to_block(content);
        let start = self.address(slot);
        let difference = self.difference(start, 0, literal);
        self.branch(difference, no, yes);
    }

    /// Zero if the bytes `offset` behind `start` are `literal`, which is not empty; as many must be readable there.
    pub(super) fn difference(&mut self, start: Value, offset: i32, literal: &[u8]) -> Value {
        let mut differences = Vec::new();
        let width = match literal.len() {
            8.. => 8,
            4..8 => 4,
            2..4 => 2,
            _ => 1,
        };
        let mut at = 0;
        while at < literal.len() {
            // The last load overlaps the one before it.
            let from = at.min(literal.len() - width);
            differences.push(self.chunk(start, offset, from, &literal[from..from + width]));
            at = from + width;
        }
        let mut all = differences[0];
        for &difference in &differences[1..] {
            all = self.builder.ins().bor(all, difference);
        }
        all
    }

    fn chunk(&mut self, start: Value, offset: i32, from: usize, literal: &[u8]) -> Value {
        let ty = integer(literal.len());
        let at = offset.saturating_add(i32::try_from(from).unwrap_or(i32::MAX));
        let found = self.builder.ins().load(ty, wire_memory(), start, at);
        let wanted = self.builder.ins().iconst(ty, word(literal).cast_signed());
        self.builder.ins().bxor(found, wanted)
    }

    /// A set test: a search by tag and length, then by the last bytes, where keys and routes differ most, then a compare.
    pub(super) fn in_set(&mut self, id: NodeId, value: NodeId, set: SetId, yes: Block, no: Block) {
        let Some(slot) = self.operand(value) else { return self.ask(id, yes, no) };
        let members: Vec<&[u8]> = self.ir.set_members(set).iter().map(AsRef::as_ref).collect();
        if members.len() > MAX_INLINE_SET || members.iter().any(|member| member.len() > MAX_INLINE) {
            return self.in_large_set(slot, set, yes, no);
        }
        self.among(slot, members, yes, no);
    }

    /// Whether a slot is one of a few strings.
    pub(super) fn among(&mut self, slot: Operand, mut members: Vec<&[u8]>, yes: Block, no: Block) {
        if let [single] = members.as_slice() {
            return self.is_literal(slot, tag::STR, single, yes, no);
        }
        members.sort_by_key(|member| member.len());
        let mut lengths = Switch::new();
        let mut groups = Vec::new();
        for same_length in members.chunk_by(|left, right| left.len() == right.len()) {
            // Lengths are small: no literal is too long for a slot.
            let Some(wanted) = same_length.first().and_then(|first| head(tag::STR, first.len())) else { continue };
            let block = self.builder.create_block();
            lengths.set_entry(u128::from(wanted.cast_unsigned()), block);
            groups.push((block, same_length));
        }
        let found = self.head(slot);
        lengths.emit(&mut self.builder, found, no);
        for (block, same_length) in groups {
            self.builder.switch_to_block(block);
            self.one_of(slot, same_length, yes, no);
        }
    }

    /// Whether a string, which has the length of all members, is one of them.
    fn one_of(&mut self, slot: Operand, members: &[&[u8]], yes: Block, no: Block) {
        let width = match members.first().map_or(0, |first| first.len()) {
            0 => {
                self.builder.ins().jump(yes, &[]);
                return;
            }
            8.. => 8,
            4..8 => 4,
            2..4 => 2,
            _ => 1,
        };
        let mut by_end: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
        for &member in members {
            by_end.entry(word(&member[member.len() - width..])).or_default().push(member);
        }
        let start = self.address(slot);
        let at = members.first().map_or(0, |first| first.len() - width);
        let at = i32::try_from(at).unwrap_or(i32::MAX);
        let end = self.builder.ins().load(integer(width), wire_memory(), start, at);
        let mut ends = Switch::new();
        let mut groups = Vec::new();
        for (end, same_end) in by_end {
            let block = self.builder.create_block();
            ends.set_entry(u128::from(end), block);
            groups.push((block, same_end));
        }
        ends.emit(&mut self.builder, end, no);
        for (block, same_end) in groups {
            self.builder.switch_to_block(block);
            for member in same_end {
                let next = self.builder.create_block();
                match &member[..member.len() - width] {
                    [] => {
                        self.builder.ins().jump(yes, &[]);
                    }
                    rest => {
                        let difference = self.difference(start, 0, rest);
                        self.branch(difference, next, yes);
                    }
                }
                self.builder.switch_to_block(next);
            }
            self.builder.ins().jump(no, &[]);
        }
    }

    fn in_large_set(&mut self, slot: Operand, set: SetId, yes: Block, no: Block) {
        let is_string = self.builder.create_block();
        self.branch_on_tag(slot, tag::STR, is_string, no);
        self.builder.switch_to_block(is_string);
        let found = self.shim_on_text(Shim::InSet, set.0, slot);
        self.branch(found, yes, no);
    }

    /// Calls a shim with the context, an id and a slot's range.
    pub(super) fn shim_on_text(&mut self, shim: Shim, id: u32, slot: Operand) -> Value {
        let id = self.builder.ins().iconst(types::I32, i64::from(id));
        let start = self.address(slot);
        let len = self.len(slot);
        let context = self.params[0];
        self.shim(shim, &[context, id, start, len])
    }
}

/// Up to eight bytes as a little-endian number.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

fn integer(width: usize) -> ClifType {
    match width {
        8 => types::I64,
        4 => types::I32,
        2 => types::I16,
        _ => types::I8,
    }
}
