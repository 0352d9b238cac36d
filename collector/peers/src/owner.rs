//! The owner's role: parts that holders have reported, asked for once more when they are due, and then judged as one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::member::SELF;
use crate::message::{Giver, Part, Told};
use crate::node::{Basis, Holders, Judge, Node, Obey, Output};
use crate::table::{Known, NOWHERE, Parts, Place, WARMED};
use crate::timetable::Timetable;
use crate::transfer::{MAX_ABSORBED, add_giver};
use crate::{Decision, Entry, Host, Millis, TraceId};

/// The holder of a part who is forgotten.
pub(crate) const NOBODY: u32 = u32::MAX;

/// A trace that this node owns, or that somebody thinks it owns. The node's own part is in [`crate::holder`].
#[derive(Debug)]
pub(crate) struct Record {
    /// When the first of its holders would decide it.
    due: Millis,
    /// The trace, as far as is known.
    began: Millis,
    /// The last report of each holder.
    pub(crate) parts: Parts,
    /// There are such: see [`crate::table::Table::withdrawn`].
    pub(crate) withdrawn: bool,
}

#[derive(Debug)]
pub(crate) struct Reported<E> {
    /// Number.
    pub(crate) holder: u32,
    /// Where the trace is there.
    place: Place,
    incarnation: u64,
    entry: E,
}

/// A trace that was due when it was listed: everybody is asked once more. It may be decided by now, or not be due any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Counts them, from 1.
    pub(crate) number: u64,
    pub(crate) at: Millis,
    /// By then it was due, and all before it.
    due_by: Millis,
    pub(crate) id: TraceId,
    pub(crate) place: Place,
}

#[derive(Debug, Default)]
pub(crate) struct Owner {
    /// A trace may be listed more than once.
    due: Timetable,
    /// In order of their numbers.
    pub(crate) asked: VecDeque<Asked>,
    pub(crate) last_asked: u64,
}

impl Owner {
    /// The number up to which all traces were due by then.
    pub(crate) fn asked_by(&self, time: Millis) -> u64 {
        let later = self.asked.partition_point(|asked| asked.due_by <= time);
        self.asked.get(later).map_or(self.last_asked, |asked| asked.number - 1)
    }
}

/// The parts of a trace as one.
struct Merged<E> {
    /// None if there is no part.
    entry: Option<E>,
    /// Who has reported one.
    holders: Holders,
    several: bool,
    /// See [`Record::began`].
    began: Millis,
}

/// What became of a reported part.
#[derive(Debug)]
pub(crate) enum Taken<D> {
    Yes,
    /// The trace is decided.
    Decided(D),
    NoRoom,
}

impl<E: Entry> Reported<E> {
    /// See [`Entry::touch`].
    pub(crate) fn touch(&self) -> u64 {
        self.entry.touch() ^ self.incarnation
    }
}

#[cfg(test)]
impl<E: Copy> Reported<E> {
    pub(crate) fn new(holder: u32, incarnation: u64, entry: E) -> Self {
        Self { holder, place: 0, incarnation, entry }
    }

    pub(crate) fn of(&self) -> (u32, E) {
        (self.holder, self.entry)
    }
}

impl Record {
    pub(crate) fn new(now: Millis) -> Self {
        Self { due: Millis::MAX, began: now, parts: Parts::default(), withdrawn: false }
    }

    /// One of its holders would decide it then, and has had it for the `wait` before.
    fn expect_at(&mut self, trace: (Place, &TraceId), due: Millis, wait: Millis, timetable: &mut Timetable) {
        // Whoever was there then may have a part of it, long before this node was its owner.
        self.began = self.began.min(due.saturating_sub(wait));
        if due < self.due {
            self.due = due;
            timetable.push(due, (trace.0, *trace.1));
        }
    }
}

impl<E: Entry, D: Decision> Node<E, D> {
    /// Makes sure of a record of a trace that is not decided.
    pub(crate) fn own(&mut self, (place, id): (Place, &TraceId), due: Millis, now: Millis) {
        let Some(record) = self.table.record_or_insert(place, || Record::new(now)) else { return };
        record.expect_at((place, id), due, self.settings.wait, &mut self.owner.due);
    }

    /// Takes a reported part.
    pub(crate) fn take_part(&mut self, (holder, incarnation): (u32, u64), part: Part<E>, now: Millis) -> Taken<D> {
        let Part { id, place: at_holder, due_in, entry, absorbed } = part;
        // Its own traces, of which there are as many at most, have their records in any case.
        let full = self.table.n_owned() >= self.settings.max_traces.saturating_mul(2);
        let place = match self.table.find_or_open(&id, !full) {
            Some(Known::Open(place)) => place,
            Some(Known::Decided(decision)) => return Taken::Decided(decision),
            None => return Taken::NoRoom,
        };
        if full && self.table.record_mut(place).is_none() {
            return Taken::NoRoom;
        }
        let Some(record) = self.table.record_or_insert(place, || Record::new(now)) else { return Taken::NoRoom };
        record.expect_at((place, &id), now.saturating_add(due_in), self.settings.wait, &mut self.owner.due);
        for (name, incarnation) in absorbed.into_iter().take(MAX_ABSORBED) {
            self.withdraw(place, &name, incarnation);
        }
        let gave = |(giver, until): &Giver| self.names.get(giver).copied() == Some(holder) && *until >= incarnation;
        if !self.table.withdrawn(place).iter().any(gave) {
            self.table.put_part(place, Reported { holder, place: at_holder, incarnation, entry });
        }
        Taken::Yes
    }

    /// What this run of the member held of a trace counts in another's part.
    fn withdraw(&mut self, place: Place, name: &Arc<str>, incarnation: u64) {
        let number = self.number_of(name);
        self.table.retain_parts(place, |part| Some(part.holder) != number || part.incarnation > incarnation);
        if let Some(withdrawn) = self.table.withdrawn_mut(place) {
            add_giver(withdrawn, name, incarnation);
        }
    }

    /// The member has handed its spans of a trace to another, in whose part they count from now on.
    pub(crate) fn withdraw_part(&mut self, id: &TraceId, name: &Arc<str>, incarnation: u64) {
        if let Some(place) = self.table.place(id) {
            self.withdraw(place, name, incarnation);
        }
    }

    /// Most parts that the next report may bring.
    pub(crate) fn room(&self) -> u32 {
        let free = self.settings.max_traces.saturating_mul(2).saturating_sub(self.table.n_owned());
        // One, so that a part of a trace that has a record gets through.
        u32::try_from(free.clamp(1, self.settings.max_batch.max(1))).unwrap_or(u32::MAX)
    }

    /// Traces whose time has come: reports count for them that were made since. Whether they still wait shows when they are
    /// settled, so that nothing is looked up here.
    pub(crate) fn ask(&mut self, now: Millis) {
        while let Some((due, traces)) = self.owner.due.pop(now) {
            let due_by = due.max(self.owner.asked.back().map_or(0, |asked| asked.due_by));
            let numbers = self.owner.last_asked + 1..;
            self.owner.last_asked += traces.len() as u64;
            let asked = numbers.zip(traces).map(|(number, (place, id))| Asked { number, at: now, due_by, id, place });
            self.owner.asked.extend(asked);
        }
    }

    /// True if the trace still waits for what is asked.
    pub(crate) fn is_asked(&self, asked: &Asked) -> bool {
        let record = self.table.record(asked.place).filter(|_| self.table.id(asked.place) == Some(asked.id));
        record.is_some_and(|record| record.due <= asked.at)
    }

    /// Has those judged for which all have answered, or time is up.
    pub(crate) fn settle(&mut self, now: Millis, host: &mut dyn Host<E>, out: &mut Output<E, D>) {
        if self.owner.asked.is_empty() {
            return;
        }
        let grace = self.settings.grace;
        let waited_for = self.others().filter(|(_, member)| member.is_waited_for(now, grace));
        // `None` is less than any number.
        let covered = waited_for.map(|(_, member)| member.covered).min().unwrap_or(Some(self.owner.last_asked));
        let lost_at = self.lost_at(now).max(self.others().filter_map(|(_, member)| member.lost_at).max());
        let slack = self.settings.suspect_after();
        let mut n_settled = 0_usize;
        while let Some(asked) = self.owner.asked.front().copied() {
            let is_covered = covered.is_some_and(|covered| asked.number <= covered);
            if !is_covered && now <= self.settings.waits_until(asked.at, self.view_changed) {
                return;
            }
            if n_settled.is_multiple_of(WARMED) {
                self.table.warm_places(self.owner.asked.iter().map(|asked| asked.place));
                self.table.warm_parts(self.owner.asked.iter().map(|asked| asked.place), host);
            }
            n_settled += 1;
            self.owner.asked.pop_front();
            let place = asked.place;
            if !self.is_asked(&asked) {
                continue;
            }
            let owner = self.table.held(place).map(|held| held.owner).or_else(|| self.view.owner(&asked.id));
            let is_owner = owner.is_none_or(|owner| owner == SELF);
            if !is_owner {
                if self.let_go((place, &asked.id), is_covered, now) {
                    continue;
                }
                // The owner, as seen from here, is another.
                self.fresh = false;
            }
            let Some(Merged { entry, holders, several, began }) = self.merge_parts(place, host) else {
                // The host has decided the part that was held here, and is about to say so.
                self.ask_again((place, &asked.id), now);
                continue;
            };
            self.table.drop_record(place);
            // Without any, the part that made the record is gone: its holder has decided it.
            let Some(entry) = entry else {
                self.table.tidy(place);
                continue;
            };
            // Who was lost when the trace began cannot have a part of it.
            let missed = lost_at.is_some_and(|lost| lost.saturating_add(slack) >= began);
            let basis = if is_covered && !missed { Basis::Agreed } else { Basis::Incomplete };
            self.counters.judged += 1;
            self.counters.merged += u64::from(several);
            self.counters.incomplete += u64::from(basis == Basis::Incomplete);
            let held = self.table.held(place).filter(|held| !held.given).map(|held| held.at);
            self.table.drop_held(place);
            out.judge.push(Judge { id: asked.id, entry, basis, place, holders, held });
        }
    }

    /// All that is known of a trace here. None if the part is gone that this node holds.
    fn merge_parts(&self, place: Place, host: &mut dyn Host<E>) -> Option<Merged<E>> {
        let record = self.table.record(place)?;
        let (withdrawn, absorbed) = (self.table.withdrawn(place), self.table.absorbed(place));
        let givers = || withdrawn.iter().chain(absorbed);
        let counts_elsewhere = |holder: u32, incarnation: u64| {
            givers().any(|(giver, until)| self.names.get(giver).copied() == Some(holder) && *until >= incarnation)
        };
        let mut merged: Merged<E> =
            Merged { entry: None, holders: Holders::new(), several: false, began: record.began };
        let mut add = |entry: &E| match &mut merged.entry {
            Some(all) => {
                all.merge(entry);
                merged.several = true;
            }
            none => *none = Some(entry.clone()),
        };
        for part in self.table.parts(&record.parts) {
            merged.holders.push((part.holder, part.place));
            if !counts_elsewhere(part.holder, part.incarnation) {
                add(&part.entry);
            }
        }
        if self.table.held(place).is_some() && !counts_elsewhere(SELF, self.incarnation) {
            add(&self.table.entry(place, host)?);
        }
        Some(merged)
    }

    /// A trace whose holders see the same other owner as this node is that one's to decide. Where all have seen it once, but
    /// one has changed its mind since and reports its part here, they are asked again. False if time is up and some holder
    /// still sees another owner.
    fn let_go(&mut self, (place, id): (Place, &TraceId), is_covered: bool, now: Millis) -> bool {
        let Some(record) = self.table.record(place) else { return true };
        let has_left_it = |part: &Reported<E>| {
            let member = self.members.get(part.holder as usize).and_then(Option::as_ref);
            member.is_none_or(|member| member.last_view == Some(self.view.digest()))
        };
        if self.table.parts(&record.parts).all(has_left_it) {
            self.table.drop_record(place);
            self.table.tidy(place);
        } else if is_covered {
            self.ask_again((place, id), now);
        } else {
            return false;
        }
        true
    }

    /// The trace is due once more, a little later.
    fn ask_again(&mut self, (place, id): (Place, &TraceId), now: Millis) {
        if let Some(record) = self.table.record_mut(place) {
            record.due = now.saturating_add(self.settings.timeout());
            self.owner.due.push(record.due, (place, *id));
        }
    }

    /// The host has judged what was given to it.
    pub(crate) fn conclude_owned(&mut self, judge: &Judge<E>, decision: D, out: &mut Output<E, D>) {
        // Nothing else has been told to the node since.
        if let Some(Known::Open(place)) = self.table.find_near(&judge.id, judge.place) {
            self.table.decide(place, decision);
        }
        out.obey.extend(judge.held.map(|at| Obey { id: judge.id, at, decision }));
        for (holder, place) in &judge.holders {
            self.owe(*holder, Told { id: judge.id, place: *place, decision });
        }
    }

    /// When the last of those that are not waited for any more was heard. One that is still listed may be well, but cut
    /// off from here.
    pub(crate) fn lost_at(&self, now: Millis) -> Option<Millis> {
        let lost = |member: &crate::member::Member<D>| {
            !member.gone && !member.incompatible && member.is_lost(now, self.settings.grace)
        };
        let lost = self.others().filter(|(_, member)| lost(member));
        lost.map(|(_, member)| if member.listed { now } else { member.heard }).max()
    }

    /// A decision is known from here on, unless one was known before: what is held is to be obeyed, and who has
    /// reported a part is told.
    pub(crate) fn learn(
        &mut self,
        id: &TraceId,
        decision: D,
        hint: Option<Place>,
        source: u32,
        out: &mut Output<E, D>,
    ) {
        let place = match self.table.find_near(id, hint.unwrap_or(NOWHERE)) {
            None => {
                self.table.decide_unknown(id, decision);
                return self.learnt_from(id, None, source);
            }
            Some(Known::Open(place)) => place,
            Some(Known::Decided(known)) => {
                self.counters.conflicts += u64::from(!known.agrees(&decision) && source != SELF);
                return;
            }
        };
        let held = self.table.held(place);
        let at = held.filter(|held| !held.given).map(|held| held.at);
        self.learnt_from(id, held.map(|held| held.owner), source);
        out.obey.extend(at.map(|at| Obey { id: *id, at, decision }));
        if let Some(record) = self.table.record(place) {
            let reported = self.table.parts(&record.parts).filter(|part| part.holder != source);
            let holders: Holders = reported.map(|part| (part.holder, part.place)).collect();
            self.counters.adopted += u64::from(source != SELF);
            for (holder, place) in holders {
                self.owe(holder, Told { id: *id, place, decision });
            }
        }
        self.table.decide(place, decision);
    }

    /// A decision that somebody else than the trace's owner has told, who may have made it in an earlier view, is one that the
    /// owner has to ask for. What this node has made without the owner it says. `owner` is the one of a part that is held.
    fn learnt_from(&mut self, id: &TraceId, owner: Option<u32>, source: u32) {
        if self.fresh && source != SELF {
            // Where nobody owns anything, parts count as the node's own.
            let owner = owner.filter(|_| self.view.len() > 0).or_else(|| self.view.owner(id));
            self.fresh = owner.is_some_and(|owner| owner == source || owner == SELF);
        }
    }

    pub(crate) fn owe(&mut self, holder: u32, told: Told<D>) {
        let max_owed = self.settings.max_owed;
        if let Some(member) = self.member_mut(holder) {
            member.owed.push_back(told);
            if member.owed.len() > max_owed {
                member.start_afresh();
            }
        }
    }
}
