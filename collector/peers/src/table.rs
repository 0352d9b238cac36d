//! What a node knows of each trace, found by one look-up: the part that it holds, what it has as its owner, and then the
//! decision. Most of what the exchange costs is waiting for memory, and new memory costs most. So a look-up in the index
//! touches one line of it; an open trace has a place of one cache line that does not move, and that lists and messages name, so that it need
//! not be looked up; entries lie apart; decisions are written one after the other, first in, first out; what became free last
//! is used first; and who looks many traces up can have them [warmed](Table::warm).
//!
//! A place that became free is the next trace's: who comes back to a place has to see whether it is still meant.

mod warm;

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::holder::{Held, Moved};
use crate::index::Index;
use crate::message::{Giver, Givers};
use crate::owner::{NOBODY, Record, Reported};
use crate::slab::Slab;
use crate::{Host, TraceId};

/// Room made at the start for so many decisions at most, so that the first minutes do not move them again and again.
const RESERVED: usize = 1 << 18;

/// In the index: the rest is the number of a decision, not of a place.
const DECIDED: u32 = 1 << 31;

/// So many look-ups wait for their memory together.
pub(crate) const WARMED: usize = 64;

/// Number of an open trace's place.
pub(crate) type Place = u32;

/// No place.
pub(crate) const NOWHERE: Place = u32::MAX;

/// What is known of a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known<D> {
    Open(Place),
    Decided(D),
}

/// A trace that is not decided, in one cache line. Without record and part the place is free, or the trace is being judged.
#[derive(Debug)]
#[repr(C, align(64))]
struct Open {
    id: TraceId,
    record: Option<Record>,
    held: Option<Held>,
}

const _: () = assert!(size_of::<Open>() == 64, "a trace fills one cache line");

impl Open {
    fn is_empty(&self) -> bool {
        self.record.is_none() && self.held.is_none()
    }
}

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
    index: Index,
    places: Slab<Open>,
    /// Of all records.
    links: Slab<Link<E>>,
    /// Of the few parts that have such: see [`Held::moved`].
    moved: HashMap<Place, Moved<E>, FixedState>,
    /// Of the few records that have such: see [`Record::withdrawn`].
    withdrawn: HashMap<Place, Givers, FixedState>,
    n_held: usize,
    n_owned: usize,
    /// Most decisions.
    capacity: usize,
    decided: Vec<(TraceId, D)>,
    /// Once there are as many as may be: the oldest.
    oldest: usize,
}

/// The id of what the index names. What is free or was never there has none that is asked for.
fn id_of<'a, D>(at: u32, places: &'a Slab<Open>, decided: &'a [(TraceId, D)]) -> Option<&'a TraceId> {
    if at & DECIDED == 0 {
        places.get(at).map(|open| &open.id)
    } else {
        decided.get((at & !DECIDED) as usize).map(|(id, _)| id)
    }
}

impl<E, D: Copy> Table<E, D> {
    pub(crate) fn new(capacity: usize, hash: FixedState) -> Self {
        let capacity = capacity.clamp(1, DECIDED as usize);
        Self {
            index: Index::with_room(capacity.min(RESERVED)),
            places: Slab::default(),
            links: Slab::default(),
            moved: HashMap::with_hasher(hash.clone()),
            withdrawn: HashMap::with_hasher(hash.clone()),
            hash,
            n_held: 0,
            n_owned: 0,
            capacity,
            // Memory that is not written to is not there.
            decided: Vec::with_capacity(capacity.min(RESERVED)),
            oldest: 0,
        }
    }

    fn known(&self, at: u32) -> Option<Known<D>> {
        if at & DECIDED == 0 {
            Some(Known::Open(at))
        } else {
            self.decided.get((at & !DECIDED) as usize).map(|(_, decision)| Known::Decided(*decision))
        }
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
        self.known(self.number(id, self.hash.hash_one(id))?)
    }

    /// What the index has of a trace with this hash.
    #[inline]
    fn number(&self, id: &TraceId, hash: u64) -> Option<u32> {
        self.index.find(hash, |at| id_of(at, &self.places, &self.decided) == Some(id))
    }

    /// As [`Table::find`], of a trace that was at this place when somebody was told so.
    pub(crate) fn find_near(&self, id: &TraceId, hint: Place) -> Option<Known<D>> {
        // A place that is free has the id of the last trace there.
        match self.places.get(hint).filter(|open| open.id == *id && !open.is_empty()) {
            Some(_) => Some(Known::Open(hint)),
            None => self.find(id),
        }
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
        let place = Some(self.places.next()).filter(|place| place & DECIDED == 0)?;
        let hash = self.hash.hash_one(id);
        if let Some(at) = self.number(id, hash) {
            return self.known(at);
        }
        if !room {
            return None;
        }
        self.index.insert(hash, place);
        self.places.put(Open { id: *id, record: None, held: None });
        Some(Known::Open(place))
    }

    /// The id of the trace that has or had this place.
    pub(crate) fn id(&self, place: Place) -> Option<TraceId> {
        self.places.get(place).map(|open| open.id)
    }

    pub(crate) fn held(&self, place: Place) -> Option<&Held> {
        self.places.get(place)?.held.as_ref()
    }

    pub(crate) fn held_mut(&mut self, place: Place) -> Option<&mut Held> {
        self.places.get_mut(place)?.held.as_mut()
    }

    pub(crate) fn record(&self, place: Place) -> Option<&Record> {
        self.places.get(place)?.record.as_ref()
    }

    pub(crate) fn record_mut(&mut self, place: Place) -> Option<&mut Record> {
        self.places.get_mut(place)?.record.as_mut()
    }

    /// What the part is that is held. None if there is no such part, or not any more.
    #[inline]
    pub(crate) fn entry(&self, place: Place, host: &mut dyn Host<E>) -> Option<E>
    where
        E: Clone,
    {
        let open = self.places.get(place)?;
        let held = open.held.as_ref()?;
        let aside = self.moved.get(&place).filter(|_| held.moved).and_then(|moved| moved.entry.clone());
        aside.or_else(|| host.entry(&open.id, held.at))
    }

    pub(crate) fn held_of_mut(&mut self, id: &TraceId) -> Option<&mut Held> {
        self.held_mut(self.place(id)?)
    }

    /// All parts that are held.
    pub(crate) fn all_held(&self) -> impl Iterator<Item = (Place, &TraceId, &Held)> {
        self.places.iter().filter_map(|(place, open)| Some((place, &open.id, open.held.as_ref()?)))
    }

    pub(crate) fn all_held_mut(&mut self) -> impl Iterator<Item = (Place, &TraceId, &mut Held)> {
        self.places.iter_mut().filter_map(|(place, open)| Some((place, &open.id, open.held.as_mut()?)))
    }

    /// See [`Moved`].
    pub(crate) fn moved(&self, place: Place) -> Option<&Moved<E>> {
        self.held(place).filter(|held| held.moved)?;
        self.moved.get(&place)
    }

    /// As [`Table::moved`], made if there is none. Nothing where no part is held.
    pub(crate) fn moved_mut(&mut self, place: Place) -> Option<&mut Moved<E>> {
        self.held_mut(place)?.moved = true;
        Some(self.moved.entry(place).or_default())
    }

    /// See [`crate::Part::absorbed`].
    pub(crate) fn absorbed(&self, place: Place) -> &[Giver] {
        self.moved(place).map_or(&[], |moved| &moved.absorbed)
    }

    /// Holders whose spans another holder has now, and its report counts for both; with the run in which they gave them.
    pub(crate) fn withdrawn(&self, place: Place) -> &[Giver] {
        let any = self.record(place).is_some_and(|record| record.withdrawn);
        self.withdrawn.get(&place).filter(|_| any).map_or(&[], |givers| givers)
    }

    /// As [`Table::withdrawn`]. Nothing where there is no record.
    pub(crate) fn withdrawn_mut(&mut self, place: Place) -> Option<&mut Givers> {
        self.record_mut(place)?.withdrawn = true;
        Some(self.withdrawn.entry(place).or_default())
    }

    /// What was reported of these.
    pub(crate) fn parts(&self, parts: &Parts) -> impl Iterator<Item = &Reported<E>> {
        let mut at = parts.0;
        std::iter::from_fn(move || {
            let link = self.links.get(at)?;
            at = link.next;
            Some(&link.part)
        })
    }

    /// Parts of this holder become nobody's.
    pub(crate) fn forget_holder(&mut self, holder: u32) {
        for (_, link) in self.links.iter_mut().filter(|(_, link)| link.part.holder == holder) {
            link.part.holder = NOBODY;
        }
    }

    /// The part stands for all that its holder has reported of the trace before. Nothing happens where there is no record.
    pub(crate) fn put_part(&mut self, place: Place, part: Reported<E>) {
        let Some(record) = self.places.get_mut(place).and_then(|open| open.record.as_mut()) else { return };
        let first = record.parts.0;
        let mut at = first;
        while let Some(link) = self.links.get_mut(at) {
            if link.part.holder == part.holder {
                link.part = part;
                return;
            }
            at = link.next;
        }
        record.parts.0 = self.links.next();
        self.links.put(Link { part, next: first });
    }

    /// Forgets reported parts of a trace.
    pub(crate) fn retain_parts(&mut self, place: Place, keep: impl Fn(&Reported<E>) -> bool) {
        let Some(record) = self.places.get_mut(place).and_then(|open| open.record.as_mut()) else { return };
        let mut at = std::mem::take(&mut record.parts).0;
        while let Some(link) = self.links.get_mut(at) {
            let next = link.next;
            if keep(&link.part) {
                link.next = std::mem::replace(&mut record.parts.0, at);
            } else {
                self.links.free(at);
            }
            at = next;
        }
    }

    /// Holds a part of a trace of which none is held.
    pub(crate) fn hold(&mut self, place: Place, held: Held) {
        if let Some(open) = self.places.get_mut(place).filter(|open| open.held.is_none()) {
            open.held = Some(held);
            self.n_held += 1;
        }
    }

    /// The record of an open trace, made if there is none.
    pub(crate) fn record_or_insert(&mut self, place: Place, new: impl FnOnce() -> Record) -> Option<&mut Record> {
        let open = self.places.get_mut(place)?;
        self.n_owned += usize::from(open.record.is_none());
        Some(open.record.get_or_insert_with(new))
    }

    /// Forgets the part that is held.
    pub(crate) fn drop_held(&mut self, place: Place) {
        if let Some(held) = self.places.get_mut(place).and_then(|open| open.held.take()) {
            self.forget_held(place, &held);
        }
    }

    fn forget_held(&mut self, place: Place, held: &Held) {
        self.n_held -= 1;
        if held.moved {
            self.moved.remove(&place);
        }
    }

    /// Forgets the record of an open trace, and what was reported of it.
    pub(crate) fn drop_record(&mut self, place: Place) {
        if let Some(record) = self.places.get_mut(place).and_then(|open| open.record.take()) {
            self.forget_record(place, &record);
        }
    }

    fn forget_record(&mut self, place: Place, record: &Record) {
        let mut at = record.parts.0;
        while let Some(link) = self.links.get(at) {
            let next = link.next;
            self.links.free(at);
            at = next;
        }
        self.n_owned -= 1;
        if record.withdrawn {
            self.withdrawn.remove(&place);
        }
    }

    /// Forgets an open trace of which there is neither part nor record any more.
    pub(crate) fn tidy(&mut self, place: Place) {
        let Some(open) = self.places.get(place).filter(|open| open.is_empty()) else { return };
        if self.index.remove(self.hash.hash_one(open.id), place) {
            self.places.free(place);
        }
    }

    /// Remembers a decision on an open trace, whose place is free then.
    pub(crate) fn decide(&mut self, place: Place, decision: D) {
        let Some(open) = self.places.get_mut(place) else { return };
        let (id, held, record) = (open.id, open.held.take(), open.record.take());
        if let Some(held) = held {
            self.forget_held(place, &held);
        }
        if let Some(record) = record {
            self.forget_record(place, &record);
        }
        let number = self.remember(id, decision);
        self.index.replace(self.hash.hash_one(id), place, number);
        self.places.free(place);
    }

    /// Remembers a decision on a trace of which nothing is known.
    pub(crate) fn decide_unknown(&mut self, id: &TraceId, decision: D) {
        let number = self.remember(*id, decision);
        self.index.insert(self.hash.hash_one(id), number);
    }

    /// Writes the decision down, in place of the oldest if there are too many. Returns what the index is to say.
    fn remember(&mut self, id: TraceId, decision: D) -> u32 {
        let number = if self.decided.len() < self.capacity { self.decided.len() } else { self.oldest };
        // Below the capacity.
        let at = u32::try_from(number).unwrap_or(0) | DECIDED;
        match self.decided.get_mut(number) {
            Some(oldest) => {
                self.index.remove(self.hash.hash_one(oldest.0), at);
                *oldest = (id, decision);
                self.oldest = (number + 1) % self.capacity;
            }
            None => self.decided.push((id, decision)),
        }
        at
    }
}

#[cfg(test)]
mod tests;
