//! The holder's role: parts of traces that wait here, to be reported to their owners until a decision comes.

use smallvec::SmallVec;

use crate::member::SELF;
use crate::message::Givers;
use crate::node::{Judge, Node, Obey, Output};
use crate::table::{Known, WARMED};
use crate::{Decision, Entry, Host, Millis, TraceId};

/// A part of a trace that waits at the host.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The trace.
    pub id: TraceId,
    /// The host's own number of the trace, so that it need not look the trace up to obey.
    pub at: u32,
    /// When this instance alone would decide it.
    pub due: Millis,
}

/// A part of a trace that waits here.
#[derive(Debug)]
pub(crate) struct Held {
    /// Where the host had the trace when it offered it last.
    pub(crate) at: u32,
    /// Member's number.
    pub(crate) owner: u32,
    /// When this node alone would decide it.
    pub(crate) due: Millis,
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
#[derive(Debug)]
pub(crate) struct Moved<E> {
    /// See [`Node::set_aside`].
    pub(crate) entry: Option<E>,
    /// The member that may have taken them without saying so: nobody else is asked then.
    pub(crate) taker: Option<u32>,
    /// See [`crate::Part::absorbed`].
    pub(crate) absorbed: Givers,
}

impl<E> Default for Moved<E> {
    fn default() -> Self {
        Self { entry: None, taker: None, absorbed: Givers::new() }
    }
}

impl<E: Entry, D: Decision> Node<E, D> {
    /// Offers a part of a trace that waits at this instance, because it is new or has changed. If a decision is known, it is to
    /// be obeyed at once. False if there is no room, or the node has departed: the trace is none of this node's.
    pub fn offer(&mut self, now: Millis, offer: &Offer, out: &mut Output<E, D>) -> bool {
        let owner = self.view.owner(&offer.id).unwrap_or(SELF);
        self.offer_to(owner, now, offer, out)
    }

    /// As [`Node::offer`], of several parts. Adds those to `refused` for which there is no room.
    pub fn offer_all(&mut self, now: Millis, offers: &[Offer], out: &mut Output<E, D>, refused: &mut Vec<TraceId>) {
        for offers in offers.chunks(WARMED) {
            self.table.warm_new(offers.iter().map(|offer| &offer.id));
            let ids: SmallVec<[TraceId; WARMED]> = offers.iter().map(|offer| offer.id).collect();
            let mut owners = [SELF; WARMED];
            self.view.owners(&ids, &mut owners);
            for (offer, owner) in offers.iter().zip(owners) {
                if !self.offer_to(owner, now, offer, out) {
                    refused.push(offer.id);
                }
            }
        }
    }

    fn offer_to(&mut self, owner: u32, now: Millis, offer: &Offer, out: &mut Output<E, D>) -> bool {
        let Offer { id, at, due } = offer;
        let (at, due) = (*at, *due);
        let room = !self.departed && self.table.n_held() < self.settings.max_traces;
        let place = match self.table.find_or_open(id, room) {
            Some(Known::Open(place)) => place,
            Some(Known::Decided(decision)) => {
                out.obey.push(Obey { id: *id, at, decision });
                return true;
            }
            None => return false,
        };
        let sweep_at = due.saturating_add(self.settings.alone_after());
        if let Some(held) = self.table.held_mut(place) {
            (held.told, held.at) = (false, at);
            if due < held.due {
                held.due = due;
                self.sweep_at = self.sweep_at.min(sweep_at);
            }
            let (owner, due, queued, moved) = (held.owner, held.due, held.queued, held.moved);
            if moved && let Some(moved) = self.table.moved_mut(place) {
                moved.entry = None;
            }
            if owner == SELF {
                self.own((place, id), due, now);
            } else if !queued && let Some(member) = self.member_mut(owner) {
                member.dirty.push_back(place);
                if let Some(held) = self.table.held_mut(place) {
                    held.queued = true;
                }
            }
            return true;
        }
        if !room {
            return false;
        }
        let mut queued = false;
        if owner == SELF {
            self.own((place, id), due, now);
        } else if let Some(member) = self.member_mut(owner) {
            queued = true;
            member.dirty.push_back(place);
        }
        self.table.hold(place, Held { at, owner, due, queued, told: false, given: false, moved: false });
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
    pub(crate) fn despair(&mut self, now: Millis, host: &mut dyn Host<E>, out: &mut Output<E, D>) {
        if self.sweep_at > now {
            return;
        }
        let patience = self.settings.alone_after();
        let mut next = Millis::MAX;
        let (mut given, mut late) = (Vec::new(), Vec::new());
        for (place, id, held) in self.table.all_held() {
            let late_from = held.due.saturating_add(patience);
            if late_from > now {
                next = next.min(late_from);
            } else if held.given {
                given.push(place);
            } else {
                late.push((place, *id));
            }
        }
        for (place, id) in late {
            match self.table.entry(place, host) {
                Some(entry) => {
                    self.counters.alone += 1;
                    out.judge.push(Judge::alone(id, entry));
                }
                // The host has decided it, and is about to say so.
                None => next = next.min(now),
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
        for (place, id, held) in self.table.all_held_mut() {
            let owner = self.view.owner(id).unwrap_or(SELF);
            if owner != held.owner {
                (held.owner, held.told) = (owner, false);
            }
            held.queued = false;
            if owner == SELF {
                owned.push((place, *id, held.due));
            } else if !held.told
                && let Some(Some(member)) = self.members.get_mut(owner as usize)
            {
                held.queued = true;
                member.dirty.push_back(place);
            }
        }
        for (place, id, due) in owned {
            self.own((place, &id), due, now);
        }
    }
}
