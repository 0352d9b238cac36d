//! Members of maps and lists that have slots of their own: found after the slot of what they are members of was filled.

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

const EMPTY: RawSlot = RawSlot { tag: tag::EMPTY, len: 0, bits: 0 };

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
    let entries = Fields::within(base, map).filter_map(|field| match field {
        (1, Payload::Bytes(entry)) => Some(entry),
        _ => None,
    });
    let mut entries = entries.filter(|&entry| value::entry_key(base, entry) == key);
    let entry = entries.next()?;
    Some(Fields::within(base, entry).fold(EMPTY, |slot, field| match field {
        (2, Payload::Bytes(value)) => slot.merge_any(base, value),
        _ => slot,
    }))
}

fn item(base: &[u8], list: Range, index: i64) -> Option<RawSlot> {
    let mut items = Fields::within(base, list).filter_map(|field| match field {
        (1, Payload::Bytes(item)) => Some(item),
        _ => None,
    });
    let item = items.nth(usize::try_from(index).ok()?)?;
    Some(EMPTY.merge_any(base, item))
}
