//! The holder's role: parts of traces that wait here, to be reported to their owners until a decision comes.

use crate::member::SELF;
use crate::message::Givers;
use crate::node::{Judge, Node, Output};
use crate::table::{Known, Own};
use crate::{Decision, Entry, Millis, TraceId};

/// A part of a trace that waits here; its entry and time are in [`crate::table::Own`].
#[derive(Debug)]
pub(crate) struct Held {
    /// Where the entry is.
    pub(crate) own: u32,
    /// Member's number.
    pub(crate) owner: u32,
    /// It is in the owner's queue.
    pub(crate) queued: bool,
    /// The owner has the entry as it is now, or it is on its way there.
    pub(crate) told: bool,
    /// Its spans are another member's now. The part is still reported: only who reads the other's report too knows not to
    /// count it.
    pub(crate) given: bool,
    /// There is a [`Moved`].
    pub(crate) moved: bool,
}

/// What is known of spans that go from one holder to another.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// The member that may have taken them without saying so: nobody else is asked then.
    pub(crate) taker: Option<u32>,
    /// See [`crate::Part::absorbed`].
    pub(crate) absorbed: Givers,
}

impl<E: Entry, D: Decision> Node<E, D> {
    /// Offers what is known of a part of a trace that waits at this instance: all of it, not what has changed. If a
    /// decision is known, it is to be obeyed at once. False if there is no room, or the node has departed: the trace is
    /// none of this node's.
    pub fn offer(&mut self, now: Millis, id: &TraceId, due: Millis, entry: E, out: &mut Output<E, D>) -> bool {
        let room = !self.departed && self.table.n_held() < self.settings.max_traces;
        let place = match self.table.find_or_open(id, room) {
            Some(Known::Open(place)) => place,
            Some(Known::Decided(decision)) => {
                out.obey.push((*id, decision));
                return true;
            }
            None => return false,
        };
        let sweep_at = due.saturating_add(self.settings.alone_after());
        if let Some((held, own)) = self.table.own_mut(place) {
            own.entry = entry;
            held.told = false;
            if due < own.due {
                own.due = due;
                self.sweep_at = self.sweep_at.min(sweep_at);
            }
            let (owner, due) = (held.owner, own.due);
            if owner == SELF {
                self.own(place, due, now);
            } else if !held.queued
                && let Some(Some(member)) = self.members.get_mut(owner as usize)
            {
                held.queued = true;
                member.dirty.push_back(place);
            }
            return true;
        }
        if !room {
            return false;
        }
        let owner = self.view.owner(id).unwrap_or(SELF);
        let mut queued = false;
        if owner == SELF {
            self.own(place, due, now);
        } else if let Some(member) = self.member_mut(owner) {
            queued = true;
            member.dirty.push_back(place);
        }
        self.table.hold(place, Own { entry, due }, owner, queued);
        self.sweep_at = self.sweep_at.min(sweep_at);
        true
    }

    /// An earlier process of this instance has obeyed a decision, as its storage says. To be told before the first
    /// collect is answered: owners that ask get it as theirs.
    pub fn recall(&mut self, id: &TraceId, decision: D) {
        match self.table.find(id) {
            Some(Known::Open(place)) => self.table.decide(place, decision),
            Some(Known::Decided(_)) => {}
            None => self.table.decide_unknown(id, decision),
        }
        self.fresh = false;
    }

    /// The host had to decide a trace early, on its own part. The owner hears of it, and makes it everybody's decision
    /// unless it has decided already.
    pub fn decided_early(&mut self, id: &TraceId, decision: D, out: &mut Output<E, D>) {
        self.counters.alone += 1;
        self.counters.conflicts += u64::from(self.table.decision(id).is_some_and(|known| !known.agrees(&decision)));
        if let Some(place) = self.table.place(id) {
            self.table.drop_held(place);
        }
        self.conclude_alone(id, decision, out);
    }

    pub(crate) fn conclude_alone(&mut self, id: &TraceId, decision: D, out: &mut Output<E, D>) {
        if self.table.decision(id).is_some() {
            return;
        }
        let owner = self.view.owner(id).unwrap_or(SELF);
        self.learn(id, decision, None, SELF, out);
        let max_owed = self.settings.max_owed;
        if owner != SELF
            && let Some(member) = self.member_mut(owner)
        {
            member.known.push_back((*id, decision));
            if member.known.len() > max_owed {
                member.known.pop_front();
            }
        }
    }

    /// Gives up waiting for owners of traces that have been due for too long.
    pub(crate) fn despair(&mut self, now: Millis, out: &mut Output<E, D>) {
        if self.sweep_at > now {
            return;
        }
        let patience = self.settings.alone_after();
        let mut next = Millis::MAX;
        let mut given = Vec::new();
        for (place, id, held, own) in self.table.all_held() {
            let late_from = own.due.saturating_add(patience);
            if late_from > now {
                next = next.min(late_from);
            } else if held.given {
                given.push(place);
            } else {
                self.counters.alone += 1;
                out.judge.push(Judge::alone(*id, own.entry.clone()));
            }
        }
        for place in given {
            self.table.drop_held(place);
            self.table.tidy(place);
        }
        self.sweep_at = next;
    }

    /// The owners have changed: what is not reported to the right one is queued for it.
    pub(crate) fn hand_over(&mut self, now: Millis) {
        for member in self.members.iter_mut().flatten() {
            member.dirty.clear();
            if let Some(lost) = member.in_flight.take() {
                member.known.extend(lost.known);
                for place in lost.parts {
                    if let Some(held) = self.table.held_mut(place) {
                        held.told = false;
                    }
                }
            }
        }
        let mut owned = Vec::new();
        for (place, id, held, own) in self.table.all_held_mut() {
            let owner = self.view.owner(id).unwrap_or(SELF);
            if owner != held.owner {
                (held.owner, held.told) = (owner, false);
            }
            held.queued = false;
            if owner == SELF {
                owned.push((place, own.due));
            } else if !held.told
                && let Some(Some(member)) = self.members.get_mut(owner as usize)
            {
                held.queued = true;
                member.dirty.push_back(place);
            }
        }
        for (place, due) in owned {
            self.own(place, due, now);
        }
    }
}
