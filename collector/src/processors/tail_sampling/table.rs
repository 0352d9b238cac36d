//! The traces that wait for a decision: by id, by arrival, and by the tick that decides them.
//!
//! Numbers of entries are used again after removal, and the sets of a tick are cleaned lazily: an entry is in a set if
//! the set lists it *and* the entry says so. A number that was used again within one set is found through its new
//! owner, who is in that set as well.

mod entries;

use std::collections::BTreeMap;
use std::hint::black_box;

use pdata::{TraceId, Traces};
use peers::Index;

use super::entry::{Facts, Shape};
use super::id_hash::IdHash;
use super::log::Link;
use super::policy::Moves;
use super::size::Group;
use entries::{CHUNK, Entries};

const NONE: u32 = u32::MAX;

/// No entry.
pub(super) const NOWHERE: u32 = NONE;

/// Words of answers that an entry has room for.
const INLINE_WORDS: usize = 3;

/// A waiting trace, in two cache lines that lie side by side: processors fetch them together.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(super) struct Entry {
    pub(super) id: TraceId,
    pub(super) facts: Facts,
    /// Its last record in the log.
    pub(super) last: Link,
    /// The segment of its first record.
    pub(super) born: u32,
    /// The tick that decides it.
    pub(super) due: u32,
    /// For its size as protobuf.
    pub(super) group: Group,
    /// What `maximum_trace_size_bytes` limits.
    pub(super) received_bytes: u64,
    older: u32,
    newer: u32,
    /// The answers, if they are few.
    answers: [u64; INLINE_WORDS],
}

const _: () = assert!(size_of::<Entry>() == 128, "an entry fills its cache lines");

/// Where the traces of a batch's rows wait. Senders mostly write the spans of a trace side by side: such rows are one run,
/// and looked up once. Memory that is used again for each batch.
#[derive(Default)]
pub(super) struct Located {
    /// The run of each row.
    runs: Vec<u32>,
    /// Of each run.
    ids: Vec<TraceId>,
    hashes: Vec<u64>,
    at: Vec<u32>,
}

impl Located {
    /// Hashes of the ids that did not wait.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = u64> {
        self.hashes.iter().zip(&self.at).filter(|(_, at)| **at == NOWHERE).map(|(hash, _)| *hash)
    }

    /// Of one row, [`NOWHERE`] if it did not wait.
    pub(super) fn row(&self, row: usize) -> u32 {
        self.runs.get(row).and_then(|run| self.at.get(*run as usize)).copied().unwrap_or(NOWHERE)
    }
}

/// Entries of waiting traces, and those decided ones whose spans have not been taken from the log yet.
pub(super) struct Table {
    shape: Shape,
    hash: IdHash,
    index: Index,
    entries: Entries,
    waiting: usize,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    sets: BTreeMap<u32, Vec<u32>>,
}

impl Table {
    pub(super) fn new(shape: Shape, hash: IdHash) -> Self {
        Self {
            shape,
            hash,
            index: Index::new(),
            entries: Entries::new(shape.words()),
            waiting: 0,
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            sets: BTreeMap::new(),
        }
    }

    /// Traces that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Memory that the table has taken.
    pub(super) fn bytes(&self) -> u64 {
        let listed: usize = self.sets.values().map(Vec::capacity).sum();
        let bytes = self.entries.bytes() + self.index.bytes() + (self.free.capacity() + listed) * size_of::<u32>();
        bytes as u64
    }

    pub(super) fn find(&self, id: &TraceId) -> Option<u32> {
        let entries = &self.entries;
        self.index.find(self.hash.hash(id), |at| entries.at(at).id == *id)
    }

    /// The waiting entry of a trace that may have been at `at`: a look only, if it still is.
    pub(super) fn find_from(&self, at: u32, id: &TraceId) -> Option<u32> {
        if self.waits(at, id) { Some(at) } else { self.find(id) }
    }

    /// Looks the traces of a batch up, [`NOWHERE`] for those that do not wait. In a large table a look-up waits for
    /// memory twice, for the index and for the entry; here all rows ask for theirs before the first is waited for.
    pub(super) fn locate(&self, traces: &Traces, located: &mut Located) {
        let Located { runs, ids, hashes, at: ats } = located;
        runs.clear();
        ids.clear();
        runs.extend(traces.trace_ids().map(|id| {
            if ids.last() != Some(id) {
                ids.push(*id);
            }
            // Rows fit 32 bits: the index refuses larger requests.
            ids.len() as u32 - 1
        }));
        self.find_all(ids, hashes, ats);
    }

    /// Where each of these waits, [`NOWHERE`] if it does not.
    pub(super) fn find_all(&self, ids: &[TraceId], hashes: &mut Vec<u64>, ats: &mut Vec<u32>) {
        hashes.clear();
        ats.clear();
        hashes.extend(ids.iter().map(|id| self.hash.hash(id)));
        self.index.warm(hashes.iter().copied());
        // As good as always it is the entry that the trace has, if it has one.
        ats.extend(hashes.iter().map(|hash| self.index.find(*hash, |_| true).unwrap_or(NOWHERE)));
        self.warm_entries(ats.iter().copied());
        for ((id, hash), at) in ids.iter().zip(&*hashes).zip(ats) {
            if self.entries.get(*at).is_some_and(|entry| entry.id != *id) {
                *at = self.index.find(*hash, |at| self.entries.at(at).id == *id).unwrap_or(NOWHERE);
            }
        }
    }

    /// Asks for the memory that settling traces of these hashes needs first, without waiting for it.
    pub(super) fn warm(&self, hashes: &[u64]) {
        self.index.warm(hashes.iter().copied());
    }

    /// Asks for the memory of these entries.
    pub(super) fn warm_entries(&self, traces: impl Iterator<Item = u32>) {
        // Of both lines, and in few instructions each: then many come at once.
        let mut seen = 0;
        for entry in traces.filter_map(|at| self.entries.get(at)) {
            seen ^= u64::from(entry.id[0]) ^ u64::from(entry.due) ^ entry.received_bytes ^ entry.answers[0];
        }
        black_box(seen);
    }

    /// Asks for the memory of so many entries that are taken next.
    pub(super) fn warm_free(&self, n: usize) {
        self.warm_entries(self.free.iter().rev().take(n).copied());
    }

    /// Asks for the memory of those that arrived before and after these traces: what is settled one out of order has them
    /// linked anew.
    pub(super) fn warm_neighbours(&self, traces: &[u32]) {
        let neighbours = traces.iter().map(|at| self.entries.at(*at)).flat_map(|entry| [entry.older, entry.newer]);
        let mut seen = 0;
        for entry in neighbours.filter_map(|at| self.entries.get(at)) {
            seen ^= entry.older;
        }
        black_box(seen);
    }

    /// The hashes of these traces' ids.
    pub(super) fn hashes(&self, traces: &[u32]) -> impl Iterator<Item = u64> {
        traces.iter().map(|at| self.hash.hash(&self.entries.at(*at).id))
    }

    /// True if what [`Table::locate`] found still is the entry of this trace, and the trace still waits.
    fn waits(&self, at: u32, id: &TraceId) -> bool {
        self.entries.get(at).is_some_and(|entry| entry.due != u32::MAX && entry.id == *id)
    }

    pub(super) fn entry(&self, at: u32) -> &Entry {
        self.entries.at(at)
    }

    pub(super) fn entry_mut(&mut self, at: u32) -> &mut Entry {
        self.entries.at_mut(at)
    }

    pub(super) fn answers(&self, at: u32) -> &[u64] {
        self.entries.answers(at)
    }

    /// Folds the answers of a part into the entry's.
    pub(super) fn merge_answers(&mut self, at: u32, part: &[u64]) {
        self.shape.merge(self.entries.answers_mut(at), part);
    }

    /// Lays the answers of all entries out anew, for other questions.
    pub(super) fn move_answers(&mut self, shape: Shape, moves: &Moves) {
        let (before, words) = (self.shape, self.shape.words());
        let (outside, inline) = (shape.words() > INLINE_WORDS, words <= INLINE_WORDS);
        for chunk in &mut self.entries.chunks {
            let mut answers = Vec::with_capacity(if outside { CHUNK * shape.words() } else { 0 });
            for (at, entry) in chunk.entries.iter_mut().enumerate() {
                let row =
                    if inline { entry.answers.get(..words) } else { chunk.answers.get(at * words..(at + 1) * words) };
                let moved = moves.apply(before, shape, row.unwrap_or_default());
                if outside {
                    answers.extend(moved);
                } else {
                    for (word, moved) in entry.answers.iter_mut().zip(moved) {
                        *word = moved;
                    }
                }
            }
            if outside {
                answers.resize(CHUNK * shape.words(), 0);
            }
            chunk.answers = answers;
        }
        self.entries.words = shape.words();
        self.shape = shape;
    }

    /// Replaces the answers of an entry.
    pub(super) fn set_answers(&mut self, at: u32, answers: &[u64]) {
        self.entries.answers_mut(at).copy_from_slice(answers);
    }

    /// The waiting trace that arrived first.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The waiting trace that arrived next.
    pub(super) fn newer(&self, at: u32) -> Option<u32> {
        Some(self.entries.at(at).newer).filter(|newer| *newer != NONE)
    }

    /// Adds a trace that is not in the table, to be decided at tick `due`.
    pub(super) fn insert(&mut self, id: TraceId, due: u32) -> u32 {
        let entry = Entry {
            id,
            facts: Facts::default(),
            last: Link::NONE,
            born: 0,
            due,
            group: Group::default(),
            received_bytes: 0,
            older: self.newest,
            newer: NONE,
            answers: [0; INLINE_WORDS],
        };
        let at = match self.free.pop() {
            Some(at) => {
                *self.entries.at_mut(at) = entry;
                at
            }
            None => self.entries.push(entry),
        };
        for (word, empty) in self.entries.answers_mut(at).iter_mut().zip(self.shape.empty()) {
            *word = empty;
        }
        match self.newest {
            NONE => self.oldest = at,
            before => self.entries.at_mut(before).newer = at,
        }
        self.newest = at;
        self.index.insert(self.hash.hash(&id), at);
        self.waiting += 1;
        self.sets.entry(due).or_default().push(at);
        at
    }

    /// Moves the trace to an earlier tick; a later one changes nothing.
    pub(super) fn hasten(&mut self, at: u32, due: u32) {
        let entry = self.entries.at_mut(at);
        if due < entry.due {
            entry.due = due;
            self.sets.entry(due).or_default().push(at);
        }
    }

    /// Takes the set of tick `due` and all before it, in order; to be checked one by one with [`Table::claim`].
    pub(super) fn take_due(&mut self, due: u32) -> Vec<u32> {
        let later = self.sets.split_off(&due.saturating_add(1));
        let mut sets = std::mem::replace(&mut self.sets, later).into_values();
        let first = sets.next().unwrap_or_default();
        sets.fold(first, |mut all, set| {
            all.extend(set);
            all
        })
    }

    /// The last tick that has traces to decide.
    pub(super) fn last_due(&self) -> Option<u32> {
        self.sets.keys().next_back().copied()
    }

    /// The entry of this number, if it stands for a trace that waits.
    pub(super) fn waiting(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at).filter(|entry| entry.due != u32::MAX)
    }

    /// True if the number still stands for a waiting trace that tick `due` decides. True once only.
    pub(super) fn claim(&mut self, at: u32, due: u32) -> bool {
        if self.entries.get(at).is_none_or(|entry| entry.due > due) {
            return false;
        }
        self.entries.at_mut(at).due = u32::MAX;
        true
    }

    /// Makes the trace the newest in order of arrival.
    pub(super) fn renew(&mut self, at: u32) {
        self.unlink(at);
        let newest = self.newest;
        let entry = self.entries.at_mut(at);
        (entry.older, entry.newer) = (newest, NONE);
        match newest {
            NONE => self.oldest = at,
            before => self.entries.at_mut(before).newer = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Entry { older, newer, .. } = *self.entries.at(at);
        match older {
            NONE => self.oldest = newer,
            older => self.entries.at_mut(older).newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.entries.at_mut(newer).older = older,
        }
    }

    /// Takes the trace out of index and order: it no longer waits. Its entry stays until [`Table::free`].
    pub(super) fn settle(&mut self, at: u32) {
        self.unlink(at);
        let entry = self.entries.at_mut(at);
        // No tick decides it any more, however often it is listed.
        entry.due = u32::MAX;
        let hash = self.hash.hash(&entry.id);
        if self.index.remove(hash, at) {
            self.waiting -= 1;
        }
    }

    /// The number may be used again.
    pub(super) fn free(&mut self, at: u32) {
        self.free.push(at);
    }

    /// Gives memory back that a burst has left behind: when the table is empty and was large.
    pub(super) fn shrink_if_empty(&mut self) {
        const KEEP: usize = 4096;
        if self.free.len() == self.entries.len && self.entries.len > KEEP && self.sets.is_empty() {
            *self = Self::new(self.shape, self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> TraceId {
        [n; 16]
    }

    #[test]
    fn order_survives_removal_and_numbers_are_used_again() {
        let mut table = Table::new(Shape::new(1, 0), IdHash::random());
        let ats: Vec<u32> = (0..4).map(|n| table.insert(id(n), 3)).collect();
        table.settle(ats[0]);
        table.settle(ats[2]);
        assert_eq!(table.oldest(), Some(ats[1]));
        assert_eq!(table.find(&id(2)), None);
        assert_eq!(table.find(&id(3)), Some(ats[3]));
        table.free(ats[2]);
        let again = table.insert(id(9), 5);
        assert_eq!(again, ats[2]);
        table.settle(ats[1]);
        table.settle(ats[3]);
        assert_eq!(table.oldest(), Some(again));
        let due: Vec<u32> = table.take_due(3).into_iter().filter(|at| table.claim(*at, 3)).collect();
        assert!(due.is_empty());
    }

    #[test]
    fn rows_are_located_wherever_the_spans_of_a_trace_stand() {
        let mut table = Table::new(Shape::new(1, 0), IdHash::random());
        let ats: Vec<u32> = (0..3).map(|n| table.insert(id(n), 3)).collect();
        table.settle(ats[1]);
        let mut builder = pdata::TracesBuilder::new();
        for n in [0, 0, 7, 2, 2, 0, 1, 1, 2] {
            builder.span(id(n), &[]);
        }
        let mut located = Located::default();
        // The second batch finds what the first has left behind.
        for traces in [builder.build(), pdata::TracesBuilder::new().build()] {
            table.locate(&traces, &mut located);
            let rows: Vec<u32> = (0..10).map(|row| located.row(row)).collect();
            let expected = [ats[0], ats[0], NOWHERE, ats[2], ats[2], ats[0], NOWHERE, NOWHERE, ats[2], NOWHERE];
            assert_eq!(rows, if traces.is_empty() { [NOWHERE; 10] } else { expected });
            assert_eq!(located.elsewhere().count(), if traces.is_empty() { 0 } else { 2 });
        }
    }

    #[test]
    fn a_renewed_trace_is_the_newest() {
        let mut table = Table::new(Shape::new(1, 0), IdHash::random());
        let ats: Vec<u32> = (0..3).map(|n| table.insert(id(n), 3)).collect();
        table.renew(ats[0]);
        table.renew(ats[2]);
        table.renew(ats[2]);
        let mut order = Vec::new();
        let mut next = table.oldest();
        while let Some(at) = next {
            order.push(at);
            next = table.newer(at);
        }
        assert_eq!(order, [ats[1], ats[0], ats[2]]);
        for at in ats {
            table.settle(at);
        }
        assert_eq!((table.oldest(), table.len()), (None, 0));
    }

    #[test]
    fn hastened_traces_are_decided_once() {
        let mut table = Table::new(Shape::new(1, 0), IdHash::random());
        let at = table.insert(id(1), 7);
        table.hasten(at, 9);
        table.hasten(at, 4);
        assert_eq!(table.take_due(4), [at]);
        assert!(table.claim(at, 4));
        assert!(!table.claim(at, 4));
        table.settle(at);
        assert_eq!(table.take_due(7), [at]);
        assert!(!table.claim(at, 7));
    }
}
