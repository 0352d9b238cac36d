//! A list over many spans in one call: the same code as for one span, in a loop over rows of slots. A call of a function
//! takes as long as a comparison or two, so that most conditions take longer to call than to answer.
//!
//! The loop runs over the rows that the caller counted, and writes one answer a row, where the caller says. Beside that,
//! only what is kept is written.

use cranelift_codegen::{
    ir::{Block, BlockArg, Function, InstBuilder as _, MemFlagsData, Value, condcodes::IntCC, types},
    isa::CallConv,
};

use super::{ListPlan, Lower, Lowering, Shim, operand::SLICE};
use crate::{kept::Kept, layout::Level};

/// Where a span's slots, its bytes and what is kept of it are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its slots, with room for those of all levels.
    pub(super) slots: Value,
    /// The reference to its bytes.
    pub(super) span: Value,
    /// What is kept of it.
    pub(super) kept: Value,
    /// Which row it is.
    at: Value,
}

/// Which parameter is what, behind those of a condition.
const ROWS: usize = 4;
const SPANS: usize = 5;
const KEPT_OF_ROWS: usize = 6;
const N_ROWS: usize = 7;
const ANSWERS: usize = 8;

impl Lowering<'_> {
    /// `(context, slots, bases, kept, rows, spans, kept of rows, n, answers)`: one byte a row, an answer as of a condition.
    pub(in crate::jit) fn rows(&self, plan: &ListPlan, convention: CallConv) -> Function {
        let mut signature = super::signature(convention, &[types::I64; 9], types::I64);
        signature.returns.clear();
        self.function(signature, convention, |lower| lower.rows(plan))
    }
}

impl Lower<'_, '_> {
    /// Tells the interpreter which span it is asked about.
    pub(super) fn load_row(&mut self) {
        if let Some(Row { at, .. }) = self.row {
            self.shim(Shim::Row, &[self.params[0], at]);
        }
    }

    fn rows(&mut self, plan: &ListPlan) {
        let (body, done) = (self.builder.create_block(), self.builder.create_block());
        let [slots, answer] = [body; 2].map(|body| self.builder.append_block_param(body, types::I64));
        let (n, answers) = (self.params[N_ROWS], self.params[ANSWERS]);
        let end = self.builder.ins().iadd(answers, n);
        let start = [ROWS, ANSWERS].map(|at| BlockArg::Value(self.params[at]));
        self.builder.ins().brif(n, body, &start, done, &[]);
        self.builder.switch_to_block(done);
        self.builder.ins().return_(&[]);

        self.builder.switch_to_block(body);
        // Answers are counted by the byte, spans by the reference to one. Where no span's bytes are wanted, nothing of
        // this is left in the code, and the same goes for what is kept.
        let at = self.builder.ins().isub(answer, answers);
        let span = self.builder.ins().ishl_imm_u(at, i64::from(SLICE.ilog2()));
        let span = self.builder.ins().iadd(self.params[SPANS], span);
        let n_kept = self.layout.kept().level(Level::Span).len();
        let kept = self.builder.ins().imul_imm_u(at, (n_kept * size_of::<Kept>()) as i64);
        let kept = self.builder.ins().iadd(self.params[KEPT_OF_ROWS], kept);
        self.row = Some(Row { slots, span, kept, at });
        self.forget(plan.entries.iter().map(|entry| entry.root));
        let next = self.builder.create_block();
        let code = self.builder.append_block_param(next, types::I32);
        match plan.entries.as_slice() {
            [only]
                if plan.guards.is_empty()
                    && let Some(truth) = self.plain(only.root) =>
            {
                let truth = self.builder.ins().uextend(types::I32, truth);
                self.builder.ins().jump(next, &[BlockArg::Value(truth)]);
            }
            _ => self.answer(plan, next),
        }
        self.builder.switch_to_block(next);
        self.builder.ins().istore8(MemFlagsData::trusted(), code, answer, 0);
        let stride = size_of_val(self.layout.template());
        let slots = self.builder.ins().iadd_imm_s(slots, stride as i64);
        let answer = self.builder.ins().iadd_imm_s(answer, 1);
        let more = self.builder.ins().icmp(IntCC::NotEqual, answer, end);
        self.builder.ins().brif(more, body, &[slots, answer].map(BlockArg::Value), done, &[]);
    }

    /// Goes to `next` with the answer of a list.
    fn answer(&mut self, plan: &ListPlan, next: Block) {
        let blocks: Vec<Block> = plan.entries.iter().map(|_| self.builder.create_block()).collect();
        let [yes, no] = [(); 2].map(|()| self.builder.create_block());
        let guards = self.guards(plan);
        self.builder.ins().jump(blocks.first().copied().unwrap_or(no), &[]);
        self.entries(plan, &blocks, guards, [yes, no], |lower, _| {
            let code = lower.builder.block_params(lower.failed)[0];
            lower.builder.ins().jump(next, &[BlockArg::Value(code)]);
        });
        for (block, outcome) in [(yes, 1), (no, 0)] {
            self.builder.switch_to_block(block);
            let outcome = self.builder.ins().iconst(types::I32, outcome);
            self.builder.ins().jump(next, &[BlockArg::Value(outcome)]);
        }
    }
}
