//! Asking for memory before it is needed: what is asked for together comes together, where each look-up by itself waits.
//!
//! A processor goes on while it waits, but only a few hundred instructions: so what is asked for is found first, and then
//! asked for in loops that do nothing else.

use std::hash::BuildHasher as _;
use std::hint::black_box;

use smallvec::SmallVec;

use super::{NOWHERE, Place, Table, WARMED, id_of};
use crate::{Entry, Host, TraceId};

impl<E: Entry, D: Copy> Table<E, D> {
    /// Asks for the memory of these traces, so that look-ups that follow do not wait one after the other. Nothing is decided
    /// by what has not come yet: a processor that guesses wrong forgets what it has asked for since. Returns how many they are.
    pub(crate) fn warm<'a>(&self, ids: impl Iterator<Item = &'a TraceId>) -> usize {
        self.warm_found(ids, |_| 0)
    }

    /// The same, and then what `more` reads of that which is found.
    fn warm_found<'a>(&self, mut ids: impl Iterator<Item = &'a TraceId>, more: impl Fn(u32) -> u32) -> usize {
        let (mut seen, mut read, mut all) = (0, 0, 0);
        loop {
            let mut hashes = [0; WARMED];
            let mut n = 0;
            for (hash, id) in hashes.iter_mut().zip(&mut ids) {
                *hash = self.hash.hash_one(id);
                n += 1;
            }
            let hashes = &hashes[..n];
            self.index.warm(hashes.iter().copied());
            // As good as always it is the trace's, if the trace is known.
            let found = hashes.iter().filter_map(|hash| self.index.find(*hash, |_| true));
            let found: SmallVec<[u32; WARMED]> = found.collect();
            for at in &found {
                seen ^= id_of(*at, &self.places, &self.decided).map_or(0, |id| id[0]);
            }
            for at in found {
                read ^= more(at);
            }
            all += n;
            if n < WARMED {
                break;
            }
        }
        black_box((seen, read));
        all
    }

    /// As [`Table::warm`] for traces that mostly are new, and so many places that they will have.
    pub(crate) fn warm_new<'a>(&self, ids: impl ExactSizeIterator<Item = &'a TraceId>) {
        let n = ids.len();
        self.warm(ids);
        self.places.warm_free(n, |open| open.id[0].into());
    }

    /// As [`Table::warm`] for traces that others report.
    pub(crate) fn warm_reported<'a>(&self, ids: impl ExactSizeIterator<Item = &'a TraceId>) {
        let n = ids.len();
        // Where others have reported it too, their parts are looked at.
        let first_link = |at| self.places.get(at).and_then(|open| self.links.get(open.record.as_ref()?.parts.0));
        self.warm_found(ids, |at| first_link(at).map_or(0, |link| link.part.holder));
        self.places.warm_free(n, |open| open.id[0].into());
        self.links.warm_free(n, |link| u64::from(link.next) ^ link.part.touch());
    }

    /// As [`Table::warm`] for the first of these places.
    pub(crate) fn warm_places(&self, places: impl Iterator<Item = Place>) {
        let mut seen = 0;
        for open in places.take(WARMED).filter_map(|place| self.places.get(place)) {
            seen ^= open.id[0];
        }
        black_box(seen);
    }

    /// And for the parts of them, which is to be done once they are warm themselves.
    pub(crate) fn warm_parts(&self, places: impl Iterator<Item = Place>, host: &mut dyn Host<E>) {
        let mut held = SmallVec::<[(TraceId, u32); WARMED]>::new();
        let mut links = SmallVec::<[u32; WARMED]>::new();
        for open in places.take(WARMED).filter_map(|place| self.places.get(place)) {
            held.extend(open.held.as_ref().map(|held| (open.id, held.at)));
            links.push(open.record.as_ref().map_or(NOWHERE, |record| record.parts.0));
        }
        host.warm(&held);
        let mut seen = 0;
        // The first of each and then the next, where two others have reported it.
        for _ in 0..2 {
            for at in &mut links {
                if let Some(link) = self.links.get(*at) {
                    seen ^= link.part.touch();
                    *at = link.next;
                }
            }
        }
        black_box(seen);
    }

    /// And where the index has the decisions that have to go when so many are remembered.
    pub(crate) fn warm_oldest(&self, n: usize) {
        let going = (self.decided.len() + n).saturating_sub(self.capacity).min(n);
        let (before, from) = self.decided.split_at_checked(self.oldest).unwrap_or_default();
        let oldest = from.iter().chain(before).take(going);
        self.index.warm(oldest.map(|(id, _)| self.hash.hash_one(id)));
    }

    /// And where the index has them.
    pub(crate) fn warm_index<'a>(&self, ids: impl Iterator<Item = &'a TraceId>) {
        self.index.warm(ids.map(|id| self.hash.hash_one(id)));
    }
}
