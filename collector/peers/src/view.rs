//! Who may own traces, as one node sees it: the resolver's list without those that are suspected, leave, or run other
//! policies. Two nodes with the same digest of the list agree on the owner of every trace.

use std::sync::Arc;

use crate::TraceId;
use crate::member::SELF;
use crate::table::WARMED;

/// Finds owners. All instances must be given the same one.
pub trait Ring {
    /// Position of the trace's owner in the list that the ring was made of. The list is not empty.
    fn owner(&self, id: &TraceId) -> usize;
    /// Those of several, in a loop that does nothing else: then none waits for the one before it.
    fn owners(&self, ids: &[TraceId], owners: &mut [usize]) {
        for (id, owner) in ids.iter().zip(owners) {
            *owner = self.owner(id);
        }
    }
    /// Which part of all traces each member of that list owns; together 1.
    fn shares(&self) -> Vec<f64>;
}

/// Makes the ring of a sorted list of names.
pub(crate) type MakeRing = Box<dyn Fn(&[Arc<str>]) -> Box<dyn Ring + Send> + Send>;

pub(crate) struct View {
    make: MakeRing,
    ring: Option<Box<dyn Ring + Send>>,
    /// Sorted by name, with the member's number.
    owners: Vec<(Arc<str>, u32)>,
    digest: u64,
    /// Of the first member, which is the node itself; 0 where it owns nothing.
    own_share: f64,
}

impl View {
    pub(crate) fn new(make: MakeRing) -> Self {
        Self { make, ring: None, owners: Vec::new(), digest: 0, own_share: 0.0 }
    }

    /// Takes the owners; false if they are the same as before.
    pub(crate) fn set(&mut self, mut owners: Vec<(Arc<str>, u32)>) -> bool {
        owners.sort_unstable();
        if owners == self.owners && self.digest != 0 {
            return false;
        }
        let names: Vec<Arc<str>> = owners.iter().map(|(name, _)| name.clone()).collect();
        self.ring = (!names.is_empty()).then(|| (self.make)(&names));
        self.digest = digest(&names);
        let own = owners.iter().position(|(_, number)| *number == SELF);
        let shares = self.ring.as_ref().map(|ring| ring.shares()).unwrap_or_default();
        self.own_share = own.and_then(|own| shares.get(own).copied()).unwrap_or(0.0);
        self.owners = owners;
        true
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn own_share(&self) -> f64 {
        self.own_share
    }

    /// The names of the owners with what each owns.
    pub(crate) fn shares(&self) -> Vec<(Arc<str>, f64)> {
        let shares = self.ring.as_ref().map(|ring| ring.shares()).unwrap_or_default();
        self.owners.iter().zip(shares).map(|((name, _), share)| (name.clone(), share)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn contains(&self, member: u32) -> bool {
        self.owners.iter().any(|(_, number)| *number == member)
    }

    /// The owner's number; nobody's if the list is empty.
    pub(crate) fn owner(&self, id: &TraceId) -> Option<u32> {
        let at = self.ring.as_ref()?.owner(id);
        self.owners.get(at).map(|(_, number)| *number)
    }

    /// The owners of several, as many as there is room for; the node itself where nobody is.
    pub(crate) fn owners(&self, ids: &[TraceId], numbers: &mut [u32; WARMED]) {
        let mut positions = [usize::MAX; WARMED];
        if let Some(ring) = &self.ring {
            ring.owners(ids, &mut positions);
        }
        for (number, at) in numbers.iter_mut().zip(positions) {
            *number = self.owners.get(at).map_or(SELF, |(_, number)| *number);
        }
    }
}

/// FNV-1a over the names, each with an end that is in no name: the same in every process and version.
fn digest(names: &[Arc<str>]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in names.iter().flat_map(|name| name.bytes().chain([0xff])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // 0 stands for no view yet.
    hash.max(1)
}
