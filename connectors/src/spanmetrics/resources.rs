//! The resources that are counted for, in a cache of bounded size.
//!
//! What the cache evicts stays readable until the next flush has shown it once more; a hit until then brings it back.

use hashbrown::HashMap;
use pdata::metrics::Attributes;

use super::lru::{Lru, Place};
use super::series::Table;

/// Hash of the attributes that identify a resource.
pub(super) type ResourceKey = u128;

/// Everything counted for one resource.
#[derive(Debug)]
pub(super) struct Resource {
    /// Of the first resource seen under the key.
    pub(super) attributes: Attributes,
    /// Calls; with durations in the same series where both have the same dimensions.
    pub(super) calls: Table,
    /// Durations, where they have dimensions of their own.
    pub(super) durations: Option<Table>,
    /// Events.
    pub(super) events: Option<Table>,
    pub(super) last_seen_unix_nano: u64,
}

impl Resource {
    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        [Some(&mut self.calls), self.durations.as_mut(), self.events.as_mut()].into_iter().flatten()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Resources {
    cache: Lru<ResourceKey, Box<Resource>>,
    evicted: HashMap<ResourceKey, Box<Resource>, foldhash::fast::RandomState>,
}

impl Resources {
    pub(super) fn new(capacity: usize) -> Self {
        Self { cache: Lru::new(capacity), evicted: HashMap::default() }
    }

    /// The resource's place, made if it is not there.
    pub(super) fn enter(&mut self, key: ResourceKey, make: impl FnOnce() -> Box<Resource>) -> Place {
        if let Some(place) = self.cache.find(key) {
            return place;
        }
        let resource = self.evicted.remove(&key).unwrap_or_else(make);
        let (place, gone) = self.cache.insert(key, resource);
        self.evicted.extend(gone);
        place
    }

    /// The resource entered last.
    #[inline]
    pub(super) fn at(&mut self, place: Place) -> Option<&mut Resource> {
        self.cache.at(place).map(Box::as_mut)
    }

    /// Resources in the cache.
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// All, evicted ones too.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (ResourceKey, &mut Resource)> {
        let evicted = self.evicted.iter_mut().map(|(key, resource)| (*key, resource.as_mut()));
        self.cache.values_mut().map(|(key, resource)| (key, resource.as_mut())).chain(evicted)
    }

    /// Forgets what was evicted before the flush.
    pub(super) fn forget_evicted(&mut self) {
        self.evicted = HashMap::default();
    }

    /// Evicts: the resource is shown once more.
    pub(super) fn evict(&mut self, key: ResourceKey) {
        if let Some(resource) = self.cache.remove(key) {
            self.evicted.insert(key, resource);
        }
    }

    pub(super) fn clear(&mut self) {
        self.cache.clear();
        self.forget_evicted();
    }
}
