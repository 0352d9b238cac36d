//! Reading slots: constant offsets into the frame, whose layout `slot.rs` fixes.

use cranelift_codegen::ir::{Block, InstBuilder as _, MemFlagsData, Type as ClifType, Value, condcodes::IntCC, types};

use super::Lower;
use crate::{
    ir::{Node, NodeId, Type},
    layout::{Base, Level},
    slot::RawSlot,
};

/// A slot in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotRef {
    offset: i32,
    base: i32,
    /// Whether each row has its own.
    of_span: bool,
    pub(super) ty: Type,
    pub(super) is_handle: bool,
}

/// Size of a slice reference in `Frame::bases`.
pub(super) const SLICE: i32 = 16;
const LEN: i32 = 4;
const BITS: i32 = 8;

/// Slots do not change while a function runs.
fn slot_memory() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly()
}

/// Wire bytes lie anywhere; a slot's range lies in its buffer.
pub(super) fn wire_memory() -> MemFlagsData {
    MemFlagsData::new().with_notrap().with_readonly()
}

impl Lower<'_, '_> {
    /// The slot that a node reads, if it is a slot.
    pub(super) fn slot(&self, id: NodeId) -> Option<SlotRef> {
        let Node::Slot(slot) = self.ir.get(id) else { return None };
        let placed = self.layout.placed(*slot)?;
        let offset = i32::try_from(placed.position as usize * size_of::<RawSlot>()).ok()?;
        let of_span = placed.path.level() == Level::Span;
        let is_handle = placed.path.is_handle();
        Some(SlotRef { offset, base: placed.base as i32, of_span, ty: self.ir.ty(id), is_handle })
    }

    fn load(&mut self, ty: ClifType, slot: SlotRef, part: i32) -> Value {
        let slots = match self.row {
            Some(row) if slot.of_span => row.slots,
            _ => self.params[1],
        };
        self.builder.ins().load(ty, slot_memory(), slots, slot.offset + part)
    }

    pub(super) fn tag(&mut self, slot: SlotRef) -> Value {
        self.load(types::I32, slot, 0)
    }

    pub(super) fn len(&mut self, slot: SlotRef) -> Value {
        self.load(types::I32, slot, LEN)
    }

    /// Tag and length as one number, as [`head`] makes it.
    pub(super) fn head(&mut self, slot: SlotRef) -> Value {
        self.load(types::I64, slot, 0)
    }

    pub(super) fn bits(&mut self, slot: SlotRef) -> Value {
        self.load(types::I64, slot, BITS)
    }

    /// The bits of a double.
    pub(super) fn double_bits(&mut self, slot: SlotRef) -> Value {
        self.load(types::F64, slot, BITS)
    }

    /// Where a slot's range starts in memory.
    pub(super) fn address(&mut self, slot: SlotRef) -> Value {
        let (bases, at) = match self.row {
            Some(row) if slot.base == Base::Span as i32 => (row.span, self.slice_pointer),
            _ => (self.params[2], slot.base * SLICE + self.slice_pointer),
        };
        let start = self.builder.ins().load(types::I64, slot_memory(), bases, at);
        let offset = self.bits(slot);
        self.builder.ins().iadd(start, offset)
    }

    pub(super) fn branch_on_tag(&mut self, slot: SlotRef, tag: u32, yes: Block, no: Block) {
        let found = self.tag(slot);
        let same = self.builder.ins().icmp_imm_u(IntCC::Equal, found, u64::from(tag) as i64);
        self.branch(same, yes, no);
    }
}

/// Tag and length of a slot as one little-endian number.
pub(super) fn head(tag: u32, len: usize) -> Option<i64> {
    let len = u32::try_from(len).ok()?;
    Some((u64::from(len) << 32 | u64::from(tag)).cast_signed())
}
