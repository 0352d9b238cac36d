//! What generated code looks at: a slot in its place, or a value that was computed.
//!
//! Slots lie at constant offsets in the frame, whose layout `slot.rs` fixes. A computed value has the same three parts, in
//! registers; where it is a range, its bits are the address.

use cranelift_codegen::ir::{Block, InstBuilder as _, MemFlagsData, Type as ClifType, Value, types};

use super::Lower;
use crate::{
    ir::{Node, NodeId, Type},
    layout::{Base, Level, SlotId},
    slot::RawSlot,
};

/// A value and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) ty: Type,
    /// Whether it may be a struct or a list of numbers although its type is [`Type::Any`].
    pub(super) is_handle: bool,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Slot {
        offset: i32,
        base: i32,
        /// Whether each row has its own.
        of_span: bool,
    },
    Registers {
        tag: Value,
        len: Value,
        bits: Value,
    },
}

/// Size of a slice reference in `Frame::bases`.
pub(super) const SLICE: i32 = 16;
pub(super) const LEN: i32 = 4;
pub(super) const BITS: i32 = 8;

/// Slots do not change while a function runs.
fn slot_memory() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly()
}

/// Wire bytes lie anywhere; a slot's range lies in its buffer.
pub(super) fn wire_memory() -> MemFlagsData {
    MemFlagsData::new().with_notrap().with_readonly()
}

impl Operand {
    /// A computed value: its tag, its length as 32 bits, and a number's bits or a range's address.
    pub(super) fn computed(ty: Type, [tag, len, bits]: [Value; 3]) -> Self {
        Self { ty, is_handle: false, place: Place::Registers { tag, len, bits } }
    }
}

impl Lower<'_, '_> {
    /// The slot that a node reads, if it is a slot.
    pub(super) fn slot(&self, id: NodeId) -> Option<Operand> {
        let Node::Slot(slot) = self.ir.get(id) else { return None };
        self.placed(*slot)
    }

    /// A slot in its place.
    pub(super) fn placed(&self, slot: SlotId) -> Option<Operand> {
        let placed = self.layout.placed(slot)?;
        let offset = i32::try_from(placed.position as usize * size_of::<RawSlot>()).ok()?;
        let of_span = placed.path.level() == Level::Span;
        let place = Place::Slot { offset, base: placed.base as i32, of_span };
        Some(Operand { ty: placed.path.ty(), is_handle: placed.path.is_handle(), place })
    }

    fn load(&mut self, ty: ClifType, (offset, of_span): (i32, bool), part: i32) -> Value {
        let slots = match self.row {
            Some(row) if of_span => row.slots,
            _ => self.params[1],
        };
        self.builder.ins().load(ty, slot_memory(), slots, offset + part)
    }

    pub(super) fn tag(&mut self, operand: Operand) -> Value {
        match operand.place {
            Place::Slot { offset, of_span, .. } => self.load(types::I32, (offset, of_span), 0),
            Place::Registers { tag, .. } => tag,
        }
    }

    pub(super) fn len(&mut self, operand: Operand) -> Value {
        match operand.place {
            Place::Slot { offset, of_span, .. } => self.load(types::I32, (offset, of_span), LEN),
            Place::Registers { len, .. } => len,
        }
    }

    /// Tag and length as one number, as [`head`] makes it.
    pub(super) fn head(&mut self, operand: Operand) -> Value {
        match operand.place {
            Place::Slot { offset, of_span, .. } => self.load(types::I64, (offset, of_span), 0),
            Place::Registers { tag, len, .. } => {
                let [tag, len] = [tag, len].map(|part| self.builder.ins().uextend(types::I64, part));
                let len = self.builder.ins().ishl_imm_u(len, 32);
                self.builder.ins().bor(len, tag)
            }
        }
    }

    /// The bits of a number.
    pub(super) fn bits(&mut self, operand: Operand) -> Value {
        match operand.place {
            Place::Slot { offset, of_span, .. } => self.load(types::I64, (offset, of_span), BITS),
            Place::Registers { bits, .. } => bits,
        }
    }

    /// A double.
    pub(super) fn double_bits(&mut self, operand: Operand) -> Value {
        match operand.place {
            Place::Slot { offset, of_span, .. } => self.load(types::F64, (offset, of_span), BITS),
            Place::Registers { bits, .. } => self.builder.ins().bitcast(types::F64, MemFlagsData::new(), bits),
        }
    }

    /// Where a range starts in memory.
    pub(super) fn address(&mut self, operand: Operand) -> Value {
        let base = match operand.place {
            Place::Slot { base, .. } => base,
            Place::Registers { bits, .. } => return bits,
        };
        let (bases, at) = match self.row {
            Some(row) if base == Base::Span as i32 => (row.span, self.slice_pointer),
            _ => (self.params[2], base * SLICE + self.slice_pointer),
        };
        let start = self.builder.ins().load(types::I64, slot_memory(), bases, at);
        let offset = self.bits(operand);
        self.builder.ins().iadd(start, offset)
    }

    pub(super) fn branch_on_tag(&mut self, operand: Operand, tag: u32, yes: Block, no: Block) {
        let found = self.tag(operand);
        let same = self.has_tag(found, tag);
        self.branch(same, yes, no);
    }
}

/// Tag and length of a slot as one little-endian number.
pub(super) fn head(tag: u32, len: usize) -> Option<i64> {
    let len = u32::try_from(len).ok()?;
    Some((u64::from(len) << 32 | u64::from(tag)).cast_signed())
}
