//! Members of maps and lists that have slots of their own: found after the slot of what they are members of was filled.

use super::forms::{any_value, entry_value};
use crate::{
    layout::MemberKey,
    slot::{RawSlot, tag},
    value,
    wire::{Fields, Payload, Range},
};

/// Where a member's slot is filled from.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The slot of the map or list.
    pub(super) parent: u32,
    pub(super) key: MemberKey,
    pub(super) position: u32,
}

impl Member {
    /// Fills the slot; it stays missing where the parent is not what the key asks for, or has no such member.
    pub(super) fn extract(&self, base: &[u8], slots: &mut [RawSlot]) {
        let Some(parent) = slots.get(self.parent as usize).copied() else { return };
        let found = match (&self.key, parent.tag) {
            (MemberKey::Key(key), tag::MAP) => entry(base, parent.as_range(), key.as_bytes()),
            (MemberKey::Index(index), tag::LIST) => item(base, parent.as_range(), *index),
            _ => None,
        };
        if let (Some(found), Some(slot)) = (found, slots.get_mut(self.position as usize)) {
            *slot = found;
        }
    }
}

/// The value of the first entry with a key.
fn entry(base: &[u8], map: Range, key: &[u8]) -> Option<RawSlot> {
    let entry = messages(base, map).find(|&entry| value::entry_key(base, entry) == key)?;
    Some(entry_value(base, entry))
}

fn item(base: &[u8], list: Range, index: i64) -> Option<RawSlot> {
    let item = messages(base, list).nth(usize::try_from(index).ok()?)?;
    Some(any_value(base, item))
}

/// What a map or list holds.
fn messages(base: &[u8], range: Range) -> impl Iterator<Item = Range> {
    Fields::within(base, range).filter_map(|field| match field {
        (1, Payload::Bytes(message)) => Some(message),
        _ => None,
    })
}
