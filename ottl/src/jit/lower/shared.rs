//! Which nodes are worth keeping: those that leave generated code, where several places ask for them, or where each of many
//! spans does although they are the same for all. All else is loads and arithmetic, which the code generator itself puts
//! together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Generated, part::part, slice::slice, value::is_pure};
use crate::{
    ir::{Ir, Node, NodeId, Type},
    layout::{KeptPlaces, Level},
};

/// What is kept beside the slots, of no more than `most` nodes. Answers that only one function wants are not: it keeps
/// them by itself.
pub(in crate::jit) fn kept(ir: &Ir, generated: &Generated<'_>, most: usize) -> KeptPlaces {
    let mut uses = Uses::default();
    let conditions = generated.conditions.iter().flatten().map(|&root| (vec![root], false));
    let lists =
        generated.lists.iter().map(|list| (list.entries.iter().map(|entry| entry.root).collect(), list.over_rows));
    for (function, (roots, over_rows)) in conditions.chain(lists).enumerate() {
        for root in roots {
            uses.visit(ir, root, function, over_rows);
        }
    }
    let wanted = uses.0.into_iter().filter(|(id, found)| {
        let shared = if ir.ty(*id) == Type::Bool { found.functions.len() > 1 } else { found.places > 1 };
        shared || found.is_same_for_rows
    });
    KeptPlaces::plan(ir, wanted.map(|(id, _)| id).take(most))
}

/// Who asks for a node.
#[derive(Debug, Default)]
struct Found {
    places: usize,
    functions: BTreeSet<usize>,
    is_same_for_rows: bool,
}

#[derive(Debug, Default)]
struct Uses(BTreeMap<NodeId, Found>);

impl Uses {
    /// What stands below a node is evaluated with it, once.
    fn visit(&mut self, ir: &Ir, id: NodeId, function: usize, over_rows: bool) {
        if is_worth_keeping(ir, id) && is_pure(ir, id) {
            let found = self.0.entry(id).or_default();
            let is_new = found.places == 0;
            found.places += 1;
            found.functions.insert(function);
            found.is_same_for_rows |= over_rows && ir.level(id) < Some(Level::Span);
            if !is_new {
                return;
            }
        }
        ir.operands(id, &mut |operand| self.visit(ir, operand, function, over_rows));
    }
}

/// Answers that one function asks for more than once, among these conditions.
pub(super) fn asked_twice(ir: &Ir, roots: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut counts = HashMap::new();
    roots.for_each(|root| count(ir, root, &mut counts));
    let twice = counts.into_iter().filter(|(id, count)| *count > 1 && ir.ty(*id) == Type::Bool);
    let mut twice: Vec<NodeId> = twice.map(|(id, _)| id).collect();
    twice.sort();
    twice
}

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
