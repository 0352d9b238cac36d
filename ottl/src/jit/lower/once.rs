//! What is evaluated once although several conditions look at it: calls that leave generated code. All else is loads and
//! arithmetic, which the code generator itself puts together.
//!
//! What conditions of one list look at is kept while its function runs. Answers that several lists want are kept in the
//! rows of spans that they are asked about, in slots of their own.

use std::collections::{BTreeMap, HashMap};

use cranelift_codegen::ir::{Block, InstBuilder as _, MemFlagsData, StackSlot, Value, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::{Lower, part::part, slice::slice};
use crate::{
    ir::{Ir, Node, NodeId, Type},
    layout::SlotPath,
    slot::{RawSlot, tag},
};

/// Where an answer is kept: 0, 1, or that it is unknown.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// For this call, or this row of it. [`UNKNOWN`] until it was asked for.
    Here(Variable),
    /// In the slot at this offset of a row, instead of a tag, which is [`tag::UNKNOWN`] until it was asked for.
    InRow(Value, i32),
}

/// Where the answers and values of such nodes are kept.
#[derive(Debug, Default)]
pub(super) struct Once {
    /// Of conditions.
    answers: HashMap<NodeId, Variable>,
    /// Of values; their tag is [`tag::UNKNOWN`] until they were asked for.
    pub(super) values: HashMap<NodeId, StackSlot>,
}

const UNKNOWN: i64 = 2;

impl Lower<'_, '_> {
    /// Makes room for what more than one of these conditions, or one of them more than once, looks at; nothing is known yet.
    pub(super) fn forget(&mut self, roots: impl Iterator<Item = NodeId>) {
        let mut counts = HashMap::new();
        roots.for_each(|root| count(self.ir, root, &mut counts));
        let mut shared: Vec<NodeId> =
            counts.into_iter().filter(|(_, count)| *count > 1).map(|(node, _)| node).collect();
        shared.sort();
        for id in shared {
            if self.ir.ty(id) == Type::Bool {
                let variable = self.builder.declare_var(types::I32);
                let unknown = self.builder.ins().iconst(types::I32, UNKNOWN);
                self.builder.def_var(variable, unknown);
                self.once.answers.insert(id, variable);
            } else {
                let place = self.value_place();
                let unknown = self.builder.ins().iconst(types::I32, i64::from(tag::UNKNOWN));
                self.builder.ins().stack_store(types::I64, unknown, place, 0);
                self.once.values.insert(id, place);
            }
        }
    }

    /// Lowers a condition with `truth`, unless its answer is known.
    pub(super) fn once(&mut self, id: NodeId, yes: Block, no: Block, truth: impl FnOnce(&mut Self, Block, Block)) {
        let here = self.once.answers.get(&id).copied().map(Kept::Here);
        let Some(kept) = self.in_row(id).or(here) else { return truth(self, yes, no) };
        let [known, asked, holds, fails] = [(); 4].map(|()| self.builder.create_block());
        let (answer, unknown) = match kept {
            Kept::Here(variable) => (self.builder.use_var(variable), UNKNOWN),
            Kept::InRow(row, offset) => {
                (self.builder.ins().load(types::I32, row_memory(), row, offset), i64::from(tag::UNKNOWN))
            }
        };
        let unknown = self.builder.ins().icmp_imm_u(IntCC::Equal, answer, unknown);
        self.branch(unknown, asked, known);
        self.builder.switch_to_block(known);
        self.branch(answer, yes, no);
        self.builder.switch_to_block(asked);
        truth(self, holds, fails);
        for (block, answer, next) in [(holds, 1, yes), (fails, 0, no)] {
            self.builder.switch_to_block(block);
            let answer = self.builder.ins().iconst(types::I32, answer);
            match kept {
                Kept::Here(variable) => self.builder.def_var(variable, answer),
                Kept::InRow(row, offset) => {
                    self.builder.ins().store(row_memory(), answer, row, offset);
                }
            }
            self.builder.ins().jump(next, &[]);
        }
    }

    /// The slot of a row that keeps an answer for other lists.
    fn in_row(&self, id: NodeId) -> Option<Kept> {
        let row = self.row?;
        let slot = self.layout.placed(self.ir.answer(id)?)?;
        let offset = i32::try_from(slot.position as usize * size_of::<RawSlot>()).ok()?;
        Some(Kept::InRow(row.slots, offset))
    }
}

/// Slots that generated code writes.
fn row_memory() -> MemFlagsData {
    MemFlagsData::trusted()
}

impl Ir {
    /// Gives the answers that more than one of some lists' roots want slots of their own, as long as there are no more
    /// than `most` slots in all.
    pub(in crate::jit) fn add_answers<'r>(&mut self, lists: impl Iterator<Item = &'r [NodeId]>, most: usize) {
        let mut wanted: BTreeMap<NodeId, usize> = BTreeMap::new();
        for roots in lists {
            let mut counts = HashMap::new();
            roots.iter().for_each(|&root| count(self, root, &mut counts));
            for id in counts.into_keys().filter(|&id| self.ty(id) == Type::Bool) {
                *wanted.entry(id).or_default() += 1;
            }
        }
        for (id, _) in wanted.into_iter().filter(|(_, lists)| *lists > 1) {
            if self.slots().len() < most {
                self.slot(SlotPath::Answer(id));
            }
        }
    }
}

/// Counts the places that look at each node which is worth keeping. What stands below a node is evaluated with it.
fn count(ir: &Ir, id: NodeId, counts: &mut HashMap<NodeId, usize>) {
    if is_worth_keeping(ir, id) {
        let seen = counts.entry(id).or_default();
        *seen += 1;
        if *seen > 1 {
            return;
        }
    }
    ir.operands(id, &mut |operand| count(ir, operand, counts));
}

fn is_worth_keeping(ir: &Ir, id: NodeId) -> bool {
    match ir.get(id) {
        Node::Call(call) => {
            let is_inline = matches!(
                ir.call_site(*call).function.name,
                "IsRootSpan" | "IsString" | "IsInt" | "IsDouble" | "IsBool" | "HasPrefix" | "HasSuffix"
            );
            !is_inline && part(ir, *call).is_none() && slice(ir, *call).is_none()
        }
        Node::PathIndex(base, keys) => ir.members(*base, keys).is_none(),
        Node::ResultIndex(..) | Node::Text(_) => true,
        _ => false,
    }
}
