//! Resources and scopes of waiting spans, each kept once.
//!
//! Equal bytes (and schema URLs) get the same number, so what comes out joins them. Scopes refer to resources, and
//! segments of the log refer to scopes; a scope goes when no segment refers to it, a resource when no scope does.

use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;

/// What surrounds a span: the Resource and InstrumentationScope messages and their schema URLs, as wire bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) resource: &'a [u8],
    pub(super) resource_schema_url: &'a [u8],
    pub(super) scope: &'a [u8],
    pub(super) scope_schema_url: &'a [u8],
}

/// One message and its schema URL in one allocation, under a parent (scopes) or none (resources).
struct Part {
    parent: u32,
    refs: u32,
    /// The last segment that took a reference.
    segment: u32,
    split: u32,
    bytes: Box<[u8]>,
}

impl Part {
    fn message(&self) -> &[u8] {
        &self.bytes[..self.split as usize]
    }

    fn schema_url(&self) -> &[u8] {
        &self.bytes[self.split as usize..]
    }
}

/// Interned parts with a free list.
struct Parts {
    hasher: SeedableRandomState,
    index: HashTable<u32>,
    slots: Vec<Part>,
    free: Vec<u32>,
    bytes: u64,
}

const NO_PARENT: u32 = u32::MAX;
const NO_SEGMENT: u32 = u32::MAX;

impl Parts {
    fn new(seed: u64) -> Self {
        let hasher = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        Self { hasher, index: HashTable::new(), slots: Vec::new(), free: Vec::new(), bytes: 0 }
    }

    /// The number of the part, and whether it is new.
    fn intern(&mut self, parent: u32, message: &[u8], schema_url: &[u8]) -> (u32, bool) {
        let hash = self.hasher.hash_one((parent, message, schema_url));
        let slots = &self.slots;
        let same = |at: &u32| {
            let part = &slots[*at as usize];
            part.parent == parent && part.message() == message && part.schema_url() == schema_url
        };
        if let Some(found) = self.index.find(hash, same) {
            return (*found, false);
        }
        let part = Part {
            parent,
            refs: 0,
            segment: NO_SEGMENT,
            split: u32::try_from(message.len()).unwrap_or(u32::MAX),
            bytes: [message, schema_url].concat().into_boxed_slice(),
        };
        self.bytes += part.bytes.len() as u64;
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = part;
                at
            }
            None => {
                self.slots.push(part);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (hasher, slots) = (&self.hasher, &self.slots);
        self.index.insert_unique(hash, at, |at| hash_of(hasher, &slots[*at as usize]));
        (at, true)
    }

    fn remove(&mut self, at: u32) {
        let part = &mut self.slots[at as usize];
        let hash = hash_of(&self.hasher, part);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
            entry.remove();
            self.bytes -= part.bytes.len() as u64;
            part.bytes = Box::default();
            part.split = 0;
            self.free.push(at);
        }
    }
}

fn hash_of(hasher: &SeedableRandomState, part: &Part) -> u64 {
    hasher.hash_one((part.parent, part.message(), part.schema_url()))
}

/// The envelopes of one shard.
pub(super) struct Envelopes {
    resources: Parts,
    scopes: Parts,
}

impl Envelopes {
    /// `seed` makes hashes differ from process to process.
    pub(super) fn new(seed: u64) -> Self {
        Self { resources: Parts::new(seed), scopes: Parts::new(seed.rotate_left(32)) }
    }

    /// The envelope's number, with a reference for the caller, to be given back with [`Envelopes::release`].
    pub(super) fn intern(&mut self, envelope: &Envelope<'_>) -> u32 {
        let (resource, _) = self.resources.intern(NO_PARENT, envelope.resource, envelope.resource_schema_url);
        let (scope, new) = self.scopes.intern(resource, envelope.scope, envelope.scope_schema_url);
        if new {
            self.resources.slots[resource as usize].refs += 1;
        }
        self.scopes.slots[scope as usize].refs += 1;
        scope
    }

    /// Takes a reference for a segment, unless it was the last to take one already. True if it was taken.
    pub(super) fn refer(&mut self, envelope: u32, segment: u32) -> bool {
        match self.scopes.slots.get_mut(envelope as usize) {
            Some(part) if part.segment != segment => {
                part.segment = segment;
                part.refs += 1;
                true
            }
            _ => false,
        }
    }

    /// Gives a reference back.
    pub(super) fn release(&mut self, envelope: u32) {
        let Some(part) = self.scopes.slots.get_mut(envelope as usize) else { return };
        part.refs = part.refs.saturating_sub(1);
        if part.refs == 0 {
            self.remove(envelope);
        }
    }

    fn remove(&mut self, envelope: u32) {
        let resource = self.scopes.slots[envelope as usize].parent;
        self.scopes.remove(envelope);
        let part = &mut self.resources.slots[resource as usize];
        part.refs = part.refs.saturating_sub(1);
        if part.refs == 0 {
            self.resources.remove(resource);
        }
    }

    /// The envelope's resource, equal for envelopes that share it.
    pub(super) fn resource_of(&self, envelope: u32) -> u32 {
        self.scopes.slots.get(envelope as usize).map_or(NO_PARENT, |part| part.parent)
    }

    /// The bytes.
    pub(super) fn get(&self, envelope: u32) -> Option<Envelope<'_>> {
        let scope = self.scopes.slots.get(envelope as usize)?;
        let resource = self.resources.slots.get(scope.parent as usize)?;
        Some(Envelope {
            resource: resource.message(),
            resource_schema_url: resource.schema_url(),
            scope: scope.message(),
            scope_schema_url: scope.schema_url(),
        })
    }

    /// Envelopes that are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.scopes.index.len()
    }

    /// Memory of the parts and their slots.
    pub(super) fn bytes(&self) -> u64 {
        let slots = self.resources.slots.capacity() + self.scopes.slots.capacity();
        self.resources.bytes + self.scopes.bytes + (slots * size_of::<Part>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope<'a>(resource: &'a [u8], scope: &'a [u8], schema_url: &'a [u8]) -> Envelope<'a> {
        Envelope { resource, resource_schema_url: b"", scope, scope_schema_url: schema_url }
    }

    #[test]
    fn equal_bytes_are_one_envelope_and_a_schema_url_makes_another() {
        let mut all = Envelopes::new(3);
        let a = all.intern(&envelope(b"r", b"s", b""));
        assert_eq!(all.intern(&envelope(b"r", b"s", b"")), a);
        let b = all.intern(&envelope(b"r", b"s", b"u"));
        // The same concatenation cut elsewhere is not the same.
        let c = all.intern(&envelope(b"r", b"", b"s"));
        let d = all.intern(&envelope(b"q", b"s", b""));
        assert_eq!([a, b, c, d].iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_eq!(all.resource_of(a), all.resource_of(b));
        assert_ne!(all.resource_of(a), all.resource_of(d));
        assert_eq!(all.get(b), Some(envelope(b"r", b"s", b"u")));
    }

    #[test]
    fn goes_with_its_last_reference() {
        let mut all = Envelopes::new(3);
        let a = all.intern(&envelope(b"r", b"a", b""));
        let b = all.intern(&envelope(b"r", b"b", b""));
        assert!(all.refer(a, 0));
        assert!(!all.refer(a, 0));
        assert!(all.refer(a, 1));
        all.release(a);
        all.release(b);
        assert_eq!(all.len(), 1);
        all.release(a);
        assert_eq!(all.len(), 1);
        all.release(a);
        assert_eq!(all.len(), 0);
        assert_eq!(all.resources.index.len(), 0);
        assert_eq!(all.scopes.bytes + all.resources.bytes, 0);
        // A number that is used again takes its own reference, in the same segment too.
        let c = all.intern(&envelope(b"r", b"c", b""));
        assert!(all.refer(c, 1));
    }
}
