//! What is evaluated once although several conditions look at it. An answer that one function asks for more than once is
//! kept while it runs, in a register or on its stack. What several functions ask for, or is the same for many spans, and
//! every value that a converter makes for more than one place, is kept beside the slots: see [`Kept`](crate::kept::Kept).

use std::collections::HashMap;

use cranelift_codegen::ir::{Block, BlockArg, InstBuilder as _, MemFlagsData, Value, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::{
    Lower,
    operand::{BITS, LEN, Operand},
    shared,
};
use crate::{ir::NodeId, jit::shim::Shim, kept::Kept, layout::Level, simplify::fallible, slot::tag};

/// Where an answer is kept: 0, 1, an error's code, or [`tag::UNKNOWN`].
#[derive(Clone, Copy, Debug)]
enum Place {
    /// For this call, or this row of it.
    Here(Variable),
    /// In the cell there, as its tag.
    Cell(Cell),
}

/// A cell that keeps something.
#[derive(Clone, Copy, Debug)]
struct Cell {
    cells: Value,
    offset: i32,
}

/// Where this function keeps answers.
#[derive(Debug, Default)]
pub(super) struct Once(HashMap<NodeId, Variable>);

/// Cells are written, so that they are loaded again.
fn cell_memory() -> MemFlagsData {
    MemFlagsData::trusted()
}

impl Lower<'_, '_> {
    /// Makes room for the answers that more than one of these conditions, or one of them more than once, asks for; nothing
    /// is known yet.
    pub(super) fn forget(&mut self, roots: impl Iterator<Item = NodeId>) {
        for id in shared::asked_twice(self.ir, roots) {
            let variable = self.builder.declare_var(types::I32);
            let unknown = self.builder.ins().iconst(types::I32, i64::from(tag::UNKNOWN));
            self.builder.def_var(variable, unknown);
            self.once.0.insert(id, variable);
        }
    }

    /// Lowers a condition with `truth`, unless its answer is known. Errors are answers.
    pub(super) fn once(&mut self, id: NodeId, yes: Block, no: Block, truth: impl FnOnce(&mut Self, Block, Block)) {
        let here = self.once.0.get(&id).copied().map(Place::Here);
        let Some(place) = self.cell(id).map(Place::Cell).or(here) else { return truth(self, yes, no) };
        let [known, asked, holds, fails] = [(); 4].map(|()| self.builder.create_block());
        let answer = match place {
            Place::Here(variable) => self.builder.use_var(variable),
            Place::Cell(cell) => self.of_cell(cell, 0),
        };
        let unknown = self.has_tag(answer, tag::UNKNOWN);
        self.branch(unknown, asked, known);
        let can_fail = fallible(self.ir, id);

        self.builder.switch_to_block(known);
        if can_fail {
            let is_answer = self.builder.create_block();
            let failed = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, answer, 1);
            self.builder.ins().brif(failed, self.failed, &[BlockArg::Value(answer)], is_answer, &[]);
            self.builder.switch_to_block(is_answer);
        }
        self.branch(answer, yes, no);

        self.builder.switch_to_block(asked);
        let outer = self.failed;
        if can_fail {
            self.failed = self.builder.create_block();
            self.builder.append_block_param(self.failed, types::I32);
        }
        truth(self, holds, fails);
        for (block, answer, next) in [(holds, 1, yes), (fails, 0, no)] {
            self.builder.switch_to_block(block);
            let answer = self.builder.ins().iconst(types::I32, answer);
            self.keep(place, answer);
            self.builder.ins().jump(next, &[]);
        }
        if can_fail {
            self.builder.switch_to_block(self.failed);
            let code = self.builder.block_params(self.failed)[0];
            self.keep(place, code);
            self.builder.ins().jump(outer, &[BlockArg::Value(code)]);
            self.failed = outer;
        }
    }

    fn keep(&mut self, place: Place, answer: Value) {
        match place {
            Place::Here(variable) => self.builder.def_var(variable, answer),
            Place::Cell(Cell { cells, offset }) => {
                self.builder.ins().store(cell_memory(), answer, cells, offset);
            }
        }
    }

    /// A value that is kept: the interpreter's, if it was not asked for yet. `None` if nothing keeps it.
    pub(super) fn kept(&mut self, id: NodeId) -> Option<Operand> {
        let cell = self.cell(id)?;
        let [asked, known, found] = [(); 3].map(|()| self.builder.create_block());
        let before = self.of_cell(cell, 0);
        let unknown = self.has_tag(before, tag::UNKNOWN);
        self.branch(unknown, asked, known);

        self.builder.switch_to_block(asked);
        self.load_row();
        let node = self.builder.ins().iconst(types::I32, i64::from(id.0));
        self.shim(Shim::Keep, &[self.params[0], node]);
        self.builder.ins().jump(known, &[]);

        self.builder.switch_to_block(known);
        let [tag, len] = [0, LEN].map(|part| self.of_cell(cell, part));
        let failed = self.has_tag(tag, tag::FAILED);
        self.builder.ins().brif(failed, self.failed, &[BlockArg::Value(len)], found, &[]);
        self.builder.switch_to_block(found);
        let bits = self.builder.ins().load(types::I64, cell_memory(), cell.cells, cell.offset + BITS);
        Some(Operand::computed(self.ir.ty(id), [tag, len, bits]))
    }

    /// 32 bits of a cell.
    fn of_cell(&mut self, cell: Cell, part: i32) -> Value {
        self.builder.ins().load(types::I32, cell_memory(), cell.cells, cell.offset + part)
    }

    /// The cell that keeps a node's answer or value.
    fn cell(&self, id: NodeId) -> Option<Cell> {
        let places = self.layout.kept();
        let position = places.position(id)?;
        let spans = places.level(Level::Span);
        let (cells, position) = match self.row {
            Some(row) if spans.contains(&position) => (row.kept, position - spans.start),
            _ => (self.params[super::KEPT], position),
        };
        Some(Cell { cells, offset: i32::try_from(position * size_of::<Kept>()).ok()? })
    }
}
