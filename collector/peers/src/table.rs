//! What a node knows of each trace, found by one look-up: the part that it holds, what it has as its owner, and then the
//! decision. Most of what the exchange costs is waiting for memory. So the index is small, four bytes a trace; an open
//! trace has a place that does not move, and lists name the place instead of the id; decisions are written one after the
//! other, first in, first out; and who looks many traces up can have them [warmed](Table::warm).
//!
//! A place that became free is the next trace's: who comes back to a place has to see whether it is still meant.

use std::hash::BuildHasher as _;
use std::hint::black_box;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::TraceId;
use crate::holder::Held;
use crate::owner::Record;

/// Room made at the start for decisions, so that the first minutes do not move them again and again.
const RESERVED: usize = 1 << 16;

/// In the index: the rest is the number of a decision, not of a place.
const DECIDED: u32 = 1 << 31;

/// So many look-ups wait for their memory together.
pub(crate) const WARMED: usize = 64;

/// Number of an open trace's place.
pub(crate) type Place = u32;

/// What is known of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<D> {
    Open(Place),
    Decided(D),
}

/// A trace that is not decided.
#[derive(Debug)]
pub(crate) struct Open<E> {
    pub(crate) id: TraceId,
    held: Option<Held<E>>,
    record: Option<Record<E>>,
}

#[derive(Debug)]
pub(crate) struct Table<E, D> {
    hash: FixedState,
    /// Numbers of places and, with [`DECIDED`], of decisions.
    index: HashTable<u32>,
    /// Those that are free have neither part nor record.
    places: Vec<Open<E>>,
    free: Vec<Place>,
    n_held: usize,
    n_owned: usize,
    /// Most decisions.
    capacity: usize,
    decided: Vec<(TraceId, D)>,
    /// Once there are as many as may be: the oldest.
    oldest: usize,
}

/// The id of what the index names. What is free or was never there has none that is asked for.
fn id_of<'a, E, D>(at: u32, places: &'a [Open<E>], decided: &'a [(TraceId, D)]) -> Option<&'a TraceId> {
    if at & DECIDED == 0 {
        places.get(at as usize).map(|open| &open.id)
    } else {
        decided.get((at & !DECIDED) as usize).map(|(id, _)| id)
    }
}

impl<E, D: Copy> Table<E, D> {
    pub(crate) fn new(capacity: usize, hash: FixedState) -> Self {
        let capacity = capacity.clamp(1, DECIDED as usize);
        Self {
            hash,
            index: HashTable::with_capacity(capacity.min(RESERVED)),
            places: Vec::new(),
            free: Vec::new(),
            n_held: 0,
            n_owned: 0,
            capacity,
            decided: Vec::with_capacity(capacity.min(RESERVED)),
            oldest: 0,
        }
    }

    /// Asks for the memory of these traces, so that look-ups that follow do not wait one after the other.
    pub(crate) fn warm<'a>(&self, ids: impl Iterator<Item = &'a TraceId>) {
        let mut seen = 0;
        for id in ids {
            if let Some(at) = self.index.iter_hash(self.hash.hash_one(id)).next() {
                seen ^= id_of(*at, &self.places, &self.decided).map_or(0, |id| id[0]);
            }
        }
        black_box(seen);
    }

    /// The same for the first of these places.
    pub(crate) fn warm_places(&self, places: impl Iterator<Item = Place>) {
        let mut seen = 0;
        for open in places.take(WARMED).filter_map(|place| self.places.get(place as usize)) {
            seen ^= u64::from(open.id[0]);
            seen ^= open.held.as_ref().map_or(0, |held| u64::from(held.version) ^ held.due);
            seen ^= open.record.as_ref().map_or(0, Record::number);
        }
        black_box(seen);
    }

    fn known(&self, at: u32) -> Option<Known<D>> {
        if at & DECIDED == 0 {
            Some(Known::Open(at))
        } else {
            self.decided.get((at & !DECIDED) as usize).map(|(_, decision)| Known::Decided(*decision))
        }
    }

    fn entry(&mut self, id: &TraceId) -> Entry<'_, u32> {
        let Self { hash, index, places, decided, .. } = self;
        let is_it = |at: &u32| id_of(*at, places, decided) == Some(id);
        // What the index names is there.
        let rehash = |at: &u32| id_of(*at, places, decided).map_or(0, |id| hash.hash_one(id));
        index.entry(hash.hash_one(id), is_it, rehash)
    }

    /// Traces with a part that is held.
    pub(crate) fn n_held(&self) -> usize {
        self.n_held
    }

    /// Traces with a record.
    pub(crate) fn n_owned(&self) -> usize {
        self.n_owned
    }

    pub(crate) fn n_decided(&self) -> usize {
        self.decided.len()
    }

    pub(crate) fn find(&self, id: &TraceId) -> Option<Known<D>> {
        let is_it = |at: &u32| id_of(*at, &self.places, &self.decided) == Some(id);
        self.known(*self.index.find(self.hash.hash_one(id), is_it)?)
    }

    /// The place of a trace that is not decided.
    pub(crate) fn place(&self, id: &TraceId) -> Option<Place> {
        match self.find(id)? {
            Known::Open(place) => Some(place),
            Known::Decided(_) => None,
        }
    }

    pub(crate) fn decision(&self, id: &TraceId) -> Option<D> {
        match self.find(id)? {
            Known::Open(_) => None,
            Known::Decided(decision) => Some(decision),
        }
    }

    /// What is known of a trace. One that is not known gets a place, if there is `room`; it is to get a part or a record.
    pub(crate) fn find_or_open(&mut self, id: &TraceId, room: bool) -> Option<Known<D>> {
        let place = match self.free.last() {
            Some(free) => *free,
            None => u32::try_from(self.places.len()).ok().filter(|place| place & DECIDED == 0)?,
        };
        match self.entry(id) {
            Entry::Occupied(known) => {
                let at = *known.get();
                return self.known(at);
            }
            Entry::Vacant(_) if !room => return None,
            Entry::Vacant(vacant) => vacant.insert(place),
        };
        match self.places.get_mut(place as usize) {
            Some(open) => {
                open.id = *id;
                self.free.pop();
            }
            None => self.places.push(Open { id: *id, held: None, record: None }),
        }
        Some(Known::Open(place))
    }

    pub(crate) fn id(&self, place: Place) -> Option<TraceId> {
        self.places.get(place as usize).map(|open| open.id)
    }

    pub(crate) fn held(&self, place: Place) -> Option<&Held<E>> {
        self.places.get(place as usize)?.held.as_ref()
    }

    pub(crate) fn held_mut(&mut self, place: Place) -> Option<&mut Held<E>> {
        self.places.get_mut(place as usize)?.held.as_mut()
    }

    pub(crate) fn record_mut(&mut self, place: Place) -> Option<&mut Record<E>> {
        self.places.get_mut(place as usize)?.record.as_mut()
    }

    pub(crate) fn held_of(&self, id: &TraceId) -> Option<&Held<E>> {
        self.held(self.place(id)?)
    }

    pub(crate) fn held_of_mut(&mut self, id: &TraceId) -> Option<&mut Held<E>> {
        self.held_mut(self.place(id)?)
    }

    /// All parts that are held.
    pub(crate) fn all_held(&self) -> impl Iterator<Item = (Place, &TraceId, &Held<E>)> {
        (0..).zip(&self.places).filter_map(|(place, open)| Some((place, &open.id, open.held.as_ref()?)))
    }

    pub(crate) fn all_held_mut(&mut self) -> impl Iterator<Item = (Place, &TraceId, &mut Held<E>)> {
        (0..).zip(&mut self.places).filter_map(|(place, open)| Some((place, &open.id, open.held.as_mut()?)))
    }

    pub(crate) fn all_records_mut(&mut self) -> impl Iterator<Item = &mut Record<E>> {
        self.places.iter_mut().filter_map(|open| open.record.as_mut())
    }

    /// Holds a part of a trace of which none is held.
    pub(crate) fn hold(&mut self, place: Place, held: Held<E>) {
        if let Some(open) = self.places.get_mut(place as usize) {
            self.n_held += usize::from(open.held.replace(held).is_none());
        }
    }

    /// The record of an open trace, made if there is none.
    pub(crate) fn record_or_insert(&mut self, place: Place, new: impl FnOnce() -> Record<E>) -> Option<&mut Record<E>> {
        let open = self.places.get_mut(place as usize)?;
        if open.record.is_none() {
            self.n_owned += 1;
        }
        Some(open.record.get_or_insert_with(new))
    }

    pub(crate) fn take_held(&mut self, place: Place) -> Option<Held<E>> {
        let held = self.places.get_mut(place as usize)?.held.take()?;
        self.n_held -= 1;
        Some(held)
    }

    pub(crate) fn take_record(&mut self, place: Place) -> Option<Record<E>> {
        let record = self.places.get_mut(place as usize)?.record.take()?;
        self.n_owned -= 1;
        Some(record)
    }

    /// Forgets an open trace of which there is neither part nor record any more.
    pub(crate) fn tidy(&mut self, place: Place) {
        let Some(open) = self.places.get(place as usize) else { return };
        if open.held.is_none() && open.record.is_none() {
            let hash = self.hash.hash_one(open.id);
            if let Ok(known) = self.index.find_entry(hash, |at| *at == place) {
                known.remove();
                self.free.push(place);
            }
        }
    }

    /// Remembers a decision, the oldest of which goes if there are too many. Returns what was known: a trace that was open
    /// has its place until it is [freed](Table::free).
    pub(crate) fn decide(&mut self, id: &TraceId, decision: D) -> Option<Known<D>> {
        let hash = self.hash.hash_one(id);
        let before = match self.find(id) {
            known @ Some(Known::Decided(_)) => return known,
            before => before,
        };
        let number = if self.decided.len() < self.capacity { self.decided.len() } else { self.oldest };
        // Below the capacity.
        let at = u32::try_from(number).unwrap_or(0) | DECIDED;
        match self.decided.get_mut(number) {
            Some(oldest) => {
                if let Ok(known) = self.index.find_entry(self.hash.hash_one(oldest.0), |known| *known == at) {
                    known.remove();
                }
                *oldest = (*id, decision);
                self.oldest = (number + 1) % self.capacity;
            }
            None => self.decided.push((*id, decision)),
        }
        if let Some(Known::Open(place)) = before {
            if let Some(known) = self.index.find_mut(hash, |known| *known == place) {
                *known = at;
            }
        } else {
            let Self { hash: hasher, index, places, decided, .. } = self;
            // What the index names is there.
            let rehash = |at: &u32| id_of(*at, places, decided).map_or(0, |id| hasher.hash_one(id));
            index.insert_unique(hash, at, rehash);
        }
        before
    }

    /// The trace that was open there is decided.
    pub(crate) fn free(&mut self, place: Place) {
        self.take_held(place);
        self.take_record(place);
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;
    use crate::simulator::random::Random;

    fn id(number: u64) -> TraceId {
        u128::from(number).to_be_bytes()
    }

    /// Against two plain maps: what is open, and what is decided, of which there may be eight.
    #[test]
    fn it_knows_what_two_maps_know() {
        const DECISIONS: usize = 8;
        let mut random = Random::new(1);
        let mut table: Table<(), u64> = Table::new(DECISIONS, FixedState::with_seed(7));
        let (mut open, mut decided, mut order) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        for step in 0..20_000_u64 {
            let trace = random.below(40);
            let room = random.percent(80);
            match random.below(3) {
                0 => match table.find_or_open(&id(trace), room) {
                    Some(Known::Open(place)) => {
                        assert_eq!(table.id(place), Some(id(trace)));
                        assert!(open.insert(trace, place).is_none_or(|before| before == place));
                    }
                    Some(Known::Decided(decision)) => assert_eq!(decided.get(&trace), Some(&decision)),
                    None => assert!(!room && !open.contains_key(&trace) && !decided.contains_key(&trace)),
                },
                1 => match table.decide(&id(trace), step) {
                    Some(Known::Decided(decision)) => assert_eq!(decided.get(&trace), Some(&decision)),
                    before => {
                        let place = open.remove(&trace);
                        assert!(matches!((before, place), (None, None) | (Some(Known::Open(_)), Some(_))));
                        place.into_iter().for_each(|place| table.free(place));
                        decided.insert(trace, step);
                        order.push_back(trace);
                        if order.len() > DECISIONS {
                            order.pop_front().map(|oldest| decided.remove(&oldest));
                        }
                    }
                },
                _ => {
                    let place = open.remove(&trace);
                    place.into_iter().for_each(|place| table.tidy(place));
                }
            }
            assert_eq!(table.n_decided(), decided.len());
            for trace in 0..40 {
                assert_eq!(table.place(&id(trace)), open.get(&trace).copied());
                assert_eq!(table.decision(&id(trace)), decided.get(&trace).copied());
            }
        }
    }
}
