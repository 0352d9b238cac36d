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
use crate::owner::{NOBODY, Record, Reported};

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

/// A trace that is not decided. What its owner does with it is in the first cache line, what its holder does in those that
/// follow.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Open<E> {
    pub(crate) id: TraceId,
    record: Option<Record>,
    held: Option<Held<E>>,
}

const _: () = assert!(std::mem::offset_of!(Open<[u64; 12]>, held) <= 64, "an id and a record fill one cache line");

/// The end of a list of reported parts.
const NONE: u32 = u32::MAX;

/// The parts that were reported of a record's trace: a list in [`Table`], so that none of them is allocated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts(u32);

impl Default for Parts {
    fn default() -> Self {
        Self(NONE)
    }
}

#[derive(Debug)]
struct Link<E> {
    part: Reported<E>,
    next: u32,
}

#[derive(Debug)]
pub(crate) struct Table<E, D> {
    hash: FixedState,
    /// Numbers of places and, with [`DECIDED`], of decisions.
    index: HashTable<u32>,
    /// Those that are free have neither part nor record.
    places: Vec<Open<E>>,
    free: Vec<Place>,
    /// Of all records; those that are free are in a list too, with what they had.
    links: Vec<Link<E>>,
    free_links: u32,
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
            links: Vec::new(),
            free_links: NONE,
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
                seen ^= id_of(*at, &self.places, &self.decided).map_or(0, |id| u32::from(id[0]));
                if at & DECIDED == 0 {
                    seen ^= self.held(*at).map_or(0, |held| held.version);
                }
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

    /// And for what was reported of them, which is to be done once they are warm themselves.
    pub(crate) fn warm_parts(&self, places: impl Iterator<Item = Place>) {
        let mut seen = 0;
        for open in places.take(WARMED).filter_map(|place| self.places.get(place as usize)) {
            let first = open.record.as_ref().and_then(|record| self.links.get(record.parts.0 as usize));
            seen ^= first.map_or(0, |link| link.next ^ link.part.holder);
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
            None => self.places.push(Open { id: *id, record: None, held: None }),
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

    pub(crate) fn record_mut(&mut self, place: Place) -> Option<&mut Record> {
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

    /// What was reported of these.
    pub(crate) fn parts(&self, parts: &Parts) -> impl Iterator<Item = &Reported<E>> {
        let mut at = parts.0;
        std::iter::from_fn(move || {
            let link = self.links.get(at as usize)?;
            at = link.next;
            Some(&link.part)
        })
    }

    /// Parts of this holder become nobody's.
    pub(crate) fn forget_holder(&mut self, holder: u32) {
        for link in self.links.iter_mut().filter(|link| link.part.holder == holder) {
            link.part.holder = NOBODY;
        }
    }

    /// The part stands for all that its holder has reported of the trace before. Nothing happens where there is no record.
    pub(crate) fn put_part(&mut self, place: Place, part: Reported<E>) {
        let Some(record) = self.places.get_mut(place as usize).and_then(|open| open.record.as_mut()) else { return };
        let mut at = record.parts.0;
        while let Some(link) = self.links.get_mut(at as usize) {
            if link.part.holder == part.holder {
                link.part = part;
                return;
            }
            at = link.next;
        }
        let link = Link { part, next: record.parts.0 };
        record.parts.0 = match self.links.get_mut(self.free_links as usize) {
            Some(free) => std::mem::replace(&mut self.free_links, std::mem::replace(free, link).next),
            None => {
                self.links.push(link);
                // Nobody has memory for as many as do not fit.
                u32::try_from(self.links.len() - 1).unwrap_or(NONE)
            }
        };
    }

    /// Forgets reported parts of a trace.
    pub(crate) fn retain_parts(&mut self, place: Place, keep: impl Fn(&Reported<E>) -> bool) {
        let Some(record) = self.places.get_mut(place as usize).and_then(|open| open.record.as_mut()) else { return };
        let mut at = std::mem::take(&mut record.parts).0;
        while let Some(link) = self.links.get_mut(at as usize) {
            let into = if keep(&link.part) { &mut record.parts.0 } else { &mut self.free_links };
            let next = std::mem::replace(&mut link.next, *into);
            *into = std::mem::replace(&mut at, next);
        }
    }

    /// Holds a part of a trace of which none is held.
    pub(crate) fn hold(&mut self, place: Place, held: Held<E>) {
        if let Some(open) = self.places.get_mut(place as usize) {
            self.n_held += usize::from(open.held.is_none());
            open.held = Some(held);
        }
    }

    /// The record of an open trace, made if there is none.
    pub(crate) fn record_or_insert(&mut self, place: Place, new: impl FnOnce() -> Record) -> Option<&mut Record> {
        let open = self.places.get_mut(place as usize)?;
        if open.record.is_none() {
            self.n_owned += 1;
        }
        Some(open.record.get_or_insert_with(new))
    }

    /// Forgets the part that is held.
    pub(crate) fn drop_held(&mut self, place: Place) {
        if let Some(open) = self.places.get_mut(place as usize).filter(|open| open.held.is_some()) {
            open.held = None;
            self.n_held -= 1;
        }
    }

    pub(crate) fn record(&self, place: Place) -> Option<&Record> {
        self.places.get(place as usize)?.record.as_ref()
    }

    /// Forgets the record of an open trace, and what was reported of it.
    pub(crate) fn drop_record(&mut self, place: Place) {
        self.retain_parts(place, |_| false);
        if let Some(open) = self.places.get_mut(place as usize).filter(|open| open.record.is_some()) {
            open.record = None;
            self.n_owned -= 1;
        }
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
        let before = self.index.find(hash, |at| id_of(*at, &self.places, &self.decided) == Some(id)).copied();
        let before = match before.and_then(|at| self.known(at)) {
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
        self.drop_held(place);
        self.drop_record(place);
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

    /// Against a plain map of each trace's parts: they share one list of links.
    #[test]
    fn parts_of_many_traces_stay_apart() {
        let mut random = Random::new(2);
        let mut table: Table<u64, u64> = Table::new(8, FixedState::with_seed(7));
        let mut parts: BTreeMap<u64, BTreeMap<u32, u64>> = BTreeMap::new();
        for step in 0..5_000_u64 {
            let (trace, holder) = (random.below(9), u32::try_from(random.below(4)).unwrap());
            let Some(Known::Open(place)) = table.find_or_open(&id(trace), true) else { panic!("nothing is decided") };
            table.record_or_insert(place, || Record::new(0)).unwrap();
            match random.below(5) {
                0 => {
                    table.retain_parts(place, |part| part.holder != holder);
                    parts.entry(trace).or_default().remove(&holder);
                }
                1 => {
                    table.drop_record(place);
                    table.tidy(place);
                    parts.remove(&trace);
                }
                _ => {
                    table.put_part(place, Reported::new(holder, 1, step));
                    parts.entry(trace).or_default().insert(holder, step);
                }
            }
            for trace in 0..9 {
                let record = table.place(&id(trace)).and_then(|place| table.record(place));
                let found: BTreeMap<u32, u64> =
                    record.into_iter().flat_map(|record| table.parts(&record.parts)).map(Reported::of).collect();
                assert_eq!(found, parts.get(&trace).cloned().unwrap_or_default());
            }
        }
        assert!(table.links.len() <= 36, "links are used again");
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
