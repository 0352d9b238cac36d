//! Members of maps and lists as slots: where constant keys say which one is meant, extraction finds it while it is at the
//! map, and generated code reads a slot.

use super::{Ir, Node, NodeId};
use crate::{
    layout::{LogField, MemberKey, SlotId, SlotPath},
    value::Value,
};

impl Ir {
    /// Gives all such members slots, as long as there are no more than `most` slots in all.
    pub(crate) fn add_members(&mut self, most: usize) {
        for id in 0..self.nodes.len() {
            let Some(Node::PathIndex(base, keys)) = self.nodes.get(id) else { continue };
            let Some(paths) = self.member_paths(*base, keys) else { continue };
            if self.slots.len() + paths.len() > most {
                return;
            }
            for path in paths {
                self.slot(path);
            }
        }
    }

    /// The slots of `base[key]`, `base[key][key]` and so on, if they have any.
    pub(crate) fn members(&self, base: NodeId, keys: &[NodeId]) -> Option<Vec<SlotId>> {
        self.member_paths(base, keys)?.iter().map(|path| self.known_slots.get(path).copied()).collect()
    }

    fn member_paths(&self, base: NodeId, keys: &[NodeId]) -> Option<Vec<SlotPath>> {
        let Node::Slot(slot) = self.get(base) else { return None };
        let path = self.slots.get(slot.0 as usize)?;
        if !matches!(path, SlotPath::Attribute(..) | SlotPath::Log(LogField::Body)) {
            return None;
        }
        let mut path = path.clone();
        let mut paths = Vec::with_capacity(keys.len());
        for &key in keys {
            let key = match self.as_constant(key)? {
                Value::Str(text) => MemberKey::Key(std::str::from_utf8(text).ok()?.into()),
                Value::Int(index) => MemberKey::Index(*index),
                _ => return None,
            };
            path = SlotPath::Member(path.into(), key);
            paths.push(path.clone());
        }
        Some(paths)
    }
}
