//! Lists before they are compiled or interpreted: neighbouring conditions that ask whether one value is a certain string
//! become one set test. Only neighbours that cannot fail, so that no mode of errors can tell.

use std::collections::{BTreeMap, HashSet};

use grammar::ast::CompareOp;

use super::builder::List;
use crate::{
    error::EvalError,
    go::regexp::{Regexp, Search},
    ir::{CallArg, CallId, Ir, Node, NodeId, Type},
    jit::{Entry, Guard, ListPlan},
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
pub(super) fn list(ir: &mut Ir, roots: &[NodeId], list: &List) -> ListPlan {
    let mut entries = Vec::with_capacity(list.conditions.len());
    let mut run: Option<Run> = None;
    for (position, condition) in list.conditions.iter().enumerate() {
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
    let guards = guards(ir, &entries);
    ListPlan { entries, error_mode: list.error_mode, guards, over_rows: list.over_rows }
}

/// From so many on, one search for all substrings costs less than a search for each.
const MIN_GUARDED: usize = 4;

/// From so many bytes on, what substrings have in common is looked for instead of them, which costs no more than one search.
const MIN_COMMON: usize = 3;

/// Searches of one slot for different substrings, `IsMatch(path, "literal")`: one search finds out that there is none of
/// them, which is the answer for most texts. Nobody can tell: a search has no effect, and a slot that holds no string is
/// left to the calls themselves.
fn guards(ir: &mut Ir, entries: &[Entry]) -> Vec<Guard> {
    let mut searches: BTreeMap<NodeId, Vec<(CallId, Vec<u8>)>> = BTreeMap::new();
    let mut seen = HashSet::new();
    entries.iter().for_each(|entry| find_searches(ir, entry.root, &mut seen, &mut searches));
    let mut guards = Vec::new();
    for (slot, searches) in searches {
        let literals: Vec<&[u8]> = searches.iter().map(|(_, literal)| literal.as_slice()).collect();
        let common = common_start(&literals);
        let any = match literals.len() {
            2.. if common.len() >= MIN_COMMON => Some(ir.common_substring(common)),
            // Too many literals for one automaton: each search is made by itself.
            MIN_GUARDED.. => ir.substrings(literals.into_iter()),
            _ => None,
        };
        if let Some(any) = any {
            guards.push(Guard { slot, any, calls: searches.into_iter().map(|(call, _)| call).collect() });
        }
    }
    guards
}

/// What all of some texts start with.
fn common_start<'l>(literals: &[&'l [u8]]) -> &'l [u8] {
    let shared = |left: &'l [u8], right: &[u8]| {
        let len = left.iter().zip(right).take_while(|(left, right)| left == right).count();
        left.get(..len).unwrap_or_default()
    };
    literals.iter().copied().reduce(|left, right| shared(left, right)).unwrap_or_default()
}

fn find_searches(
    ir: &Ir,
    id: NodeId,
    seen: &mut HashSet<NodeId>,
    searches: &mut BTreeMap<NodeId, Vec<(CallId, Vec<u8>)>>,
) {
    if !seen.insert(id) {
        return;
    }
    if let Node::Call(call) = ir.get(id) {
        let site = ir.call_site(*call);
        let pattern = site.prepared.as_ref().and_then(|prepared| prepared.downcast_ref::<Regexp>());
        if let ("IsMatch", Some(CallArg::Node(target)), Some(Search::Contains(finders))) =
            (site.function.name, site.args.first(), pattern.map(Regexp::search))
            && let [finder] = finders.as_ref()
            && matches!(ir.get(*target), Node::Slot(_))
        {
            searches.entry(*target).or_default().push((*call, finder.needle().to_vec()));
        }
    }
    ir.operands(id, &mut |operand| find_searches(ir, operand, seen, searches));
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
