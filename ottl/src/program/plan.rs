//! Lists before they are compiled or interpreted: neighbouring conditions that ask whether one value is a certain string
//! become one set test. Only neighbours that cannot fail, so that no mode of errors can tell.

use grammar::ast::CompareOp;

use super::{ConditionId, ErrorMode};
use crate::{
    error::EvalError,
    ir::{Ir, Node, NodeId, Type},
    jit::{Entry, ListPlan},
    simplify::{fallible, string_test},
};

/// Neighbours that ask about one value.
struct Run {
    value: NodeId,
    first: Entry,
    members: Vec<Box<[u8]>>,
    count: usize,
}

/// Plans a list; ids of conditions that are not of this program fail.
pub(super) fn list(ir: &mut Ir, roots: &[NodeId], conditions: &[ConditionId], error_mode: ErrorMode) -> ListPlan {
    let mut entries = Vec::with_capacity(conditions.len());
    let mut run: Option<Run> = None;
    for (position, condition) in conditions.iter().enumerate() {
        let root = match roots.get(condition.0 as usize) {
            Some(&root) => root,
            None => ir.node(Node::Fail(EvalError::Argument), Type::Any),
        };
        let entry = Entry { root, position };
        match (&mut run, membership(ir, root)) {
            (Some(run), Some((value, members))) if run.value == value => {
                run.members.extend(members);
                run.count += 1;
            }
            (_, Some((value, members))) => {
                let finished = run.replace(Run { value, first: entry, members, count: 1 });
                entries.extend(finished.map(|run| merged(ir, run)));
            }
            (_, None) => {
                entries.extend(run.take().map(|run| merged(ir, run)));
                entries.push(entry);
            }
        }
    }
    entries.extend(run.map(|run| merged(ir, run)));
    ListPlan { entries, error_mode }
}

/// The value and the strings of which a condition asks whether it is one.
fn membership(ir: &Ir, root: NodeId) -> Option<(NodeId, Vec<Box<[u8]>>)> {
    let (value, members) = match ir.get(root) {
        Node::InSet(value, set) => (*value, ir.set_members(*set).to_vec()),
        _ => {
            let (value, member) = string_test(ir, root, CompareOp::Eq)?;
            (value, vec![member])
        }
    };
    (!fallible(ir, value)).then_some((value, members))
}

fn merged(ir: &mut Ir, run: Run) -> Entry {
    if run.count == 1 {
        return run.first;
    }
    let set = ir.set(run.members);
    Entry { root: ir.node(Node::InSet(run.value, set), Type::Bool), ..run.first }
}
