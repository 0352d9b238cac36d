//! What a function evaluates once although several of its conditions look at it: calls that leave generated code. All
//! else is loads and arithmetic, which the code generator itself puts together.

use std::collections::HashMap;

use cranelift_codegen::ir::{Block, InstBuilder as _, StackSlot, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::Lower;
use crate::{
    ir::{Ir, Node, NodeId, Type},
    slot::tag,
};

/// Where the answers and values of such nodes are kept.
#[derive(Debug, Default)]
pub(super) struct Once {
    /// Of conditions: 0, 1, or [`UNKNOWN`].
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
        let Some(&variable) = self.once.answers.get(&id) else { return truth(self, yes, no) };
        let [known, asked, holds, fails] = [(); 4].map(|()| self.builder.create_block());
        let answer = self.builder.use_var(variable);
        let unknown = self.builder.ins().icmp_imm_u(IntCC::Equal, answer, UNKNOWN);
        self.branch(unknown, asked, known);
        self.builder.switch_to_block(known);
        self.branch(answer, yes, no);
        self.builder.switch_to_block(asked);
        truth(self, holds, fails);
        for (block, answer, next) in [(holds, 1, yes), (fails, 0, no)] {
            self.builder.switch_to_block(block);
            let answer = self.builder.ins().iconst(types::I32, answer);
            self.builder.def_var(variable, answer);
            self.builder.ins().jump(next, &[]);
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
        Node::Call(call) => !matches!(
            ir.call_site(*call).function.name,
            "IsRootSpan" | "IsString" | "IsInt" | "IsDouble" | "IsBool" | "HasPrefix" | "HasSuffix"
        ),
        Node::PathIndex(base, keys) => ir.members(*base, keys).is_none(),
        Node::ResultIndex(..) | Node::Text(_) => true,
        _ => false,
    }
}
