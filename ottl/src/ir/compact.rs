//! Drops what no root needs.

use std::collections::HashMap;

use super::{CallArg, CallSite, Ir, Node, NodeId, Type};
use crate::layout::SlotId;

pub(super) fn compact(old: Ir, roots: &[NodeId], keep: &[SlotId]) -> (Ir, Vec<NodeId>, Vec<SlotId>) {
    let mut new = Ir::default();
    let kept = keep.iter().filter_map(|id| old.slots.get(id.0 as usize)).map(|path| new.slot(path.clone())).collect();
    let mut mover = Mover { old, new, moved: HashMap::new() };
    let roots = roots.iter().map(|&root| mover.node(root)).collect();
    (mover.new, roots, kept)
}

struct Mover {
    old: Ir,
    new: Ir,
    moved: HashMap<NodeId, NodeId>,
}

impl Mover {
    /// Operands first, so that in the new table nodes refer to earlier ones only. The depth is that of the text.
    fn node(&mut self, id: NodeId) -> NodeId {
        if let Some(&moved) = self.moved.get(&id) {
            return moved;
        }
        let ty = self.old.ty(id);
        let moved = match self.old.get(id).clone() {
            Node::Const(id) => self.new.constant(self.old.constant_value(id).clone()),
            Node::Slot(id) => self.new.slot_node(self.old.slots[id.0 as usize].clone()),
            Node::InSet(value, set) => {
                let set = self.new.set(self.old.set_members(set).to_vec());
                let value = self.node(value);
                self.new.node(Node::InSet(value, set), ty)
            }
            Node::Call(call) => {
                let args = self.old.call_site(call).args.clone();
                let args = args.iter().map(|arg| self.arg(arg)).collect();
                let site = &mut self.old.calls[call.0 as usize];
                let site = CallSite { function: site.function, args, prepared: site.prepared.take() };
                self.new.call(site)
            }
            Node::Fail(error) => self.new.node(Node::Fail(error), ty),
            Node::Present(id) => self.one(id, Node::Present, ty),
            Node::IntOrZero(id) => self.one(id, Node::IntOrZero, ty),
            Node::Hex(id) => self.one(id, Node::Hex, ty),
            Node::Text(id) => self.one(id, Node::Text, ty),
            Node::KindText(form, id) => self.one(id, |id| Node::KindText(form, id), ty),
            Node::UnixNano(id) => self.one(id, Node::UnixNano, ty),
            Node::Negate(id) => self.one(id, Node::Negate, ty),
            Node::Not(id) => self.one(id, Node::Not, ty),
            Node::Condition(id) => self.one(id, Node::Condition, ty),
            Node::PathIndex(base, keys) => {
                let (base, keys) = (self.node(base), self.all(&keys));
                self.new.node(Node::PathIndex(base, keys), ty)
            }
            Node::ResultIndex(base, keys) => {
                let (base, keys) = (self.node(base), self.all(&keys));
                self.new.node(Node::ResultIndex(base, keys), ty)
            }
            Node::List(items) => {
                let items = self.all(&items);
                self.new.node(Node::List(items), ty)
            }
            Node::Map(entries) => {
                let entries = entries.into_iter().map(|(key, value)| (key, self.node(value))).collect();
                self.new.node(Node::Map(entries), ty)
            }
            Node::Arithmetic(op, left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                self.new.node(Node::Arithmetic(op, left, right), ty)
            }
            Node::Compare(op, left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                self.new.node(Node::Compare(op, left, right), ty)
            }
            Node::And(operands) => {
                let operands = self.all(&operands);
                self.new.node(Node::And(operands), ty)
            }
            Node::Or(operands) => {
                let operands = self.all(&operands);
                self.new.node(Node::Or(operands), ty)
            }
        };
        self.moved.insert(id, moved);
        moved
    }

    fn one(&mut self, id: NodeId, make: impl FnOnce(NodeId) -> Node, ty: Type) -> NodeId {
        let id = self.node(id);
        self.new.node(make(id), ty)
    }

    fn all(&mut self, ids: &[NodeId]) -> Box<[NodeId]> {
        ids.iter().map(|&id| self.node(id)).collect()
    }

    fn arg(&mut self, arg: &CallArg) -> CallArg {
        match arg {
            CallArg::Absent => CallArg::Absent,
            CallArg::Literal(id) => CallArg::Literal(self.new.constant_id(self.old.constant_value(*id).clone())),
            CallArg::Node(id) => CallArg::Node(self.node(*id)),
            CallArg::List(items) => CallArg::List(items.iter().map(|item| self.arg(item)).collect()),
            CallArg::Function(name) => CallArg::Function(name),
        }
    }
}

impl Ir {
    /// Calls `visit` with each operand of a node, in order of evaluation, arguments of calls included.
    pub fn operands(&self, id: NodeId, visit: &mut dyn FnMut(NodeId)) {
        match self.get(id) {
            Node::Const(_) | Node::Slot(_) | Node::Fail(_) => {}
            Node::Present(id)
            | Node::IntOrZero(id)
            | Node::Hex(id)
            | Node::Text(id)
            | Node::KindText(_, id)
            | Node::UnixNano(id)
            | Node::Negate(id)
            | Node::Not(id)
            | Node::Condition(id)
            | Node::InSet(id, _) => visit(*id),
            Node::PathIndex(base, keys) | Node::ResultIndex(base, keys) => {
                visit(*base);
                keys.iter().for_each(|&key| visit(key));
            }
            Node::List(operands) | Node::And(operands) | Node::Or(operands) => {
                operands.iter().for_each(|&operand| visit(operand));
            }
            Node::Map(entries) => entries.iter().for_each(|(_, value)| visit(*value)),
            Node::Arithmetic(_, left, right) | Node::Compare(_, left, right) => {
                visit(*left);
                visit(*right);
            }
            Node::Call(call) => self.call_site(*call).args.iter().for_each(|arg| visit_arg(arg, visit)),
        }
    }
}

fn visit_arg(arg: &CallArg, visit: &mut dyn FnMut(NodeId)) {
    match arg {
        CallArg::Node(id) => visit(*id),
        CallArg::List(items) => items.iter().for_each(|item| visit_arg(item, visit)),
        CallArg::Absent | CallArg::Literal(_) | CallArg::Function(_) => {}
    }
}
