//! Handing over: a leaving holder that may not wait gives its spans to another member, and its part of each trace with
//! them.
//!
//! Each span must count once, whoever the owner is by then and whatever it has heard already. So the giver goes on to
//! report its part, and the taker's part names whose it has absorbed: an owner that knows both counts the taker's only.

use std::sync::Arc;

use crate::member::SELF;
use crate::message::{Giver, Givers};
use crate::node::Node;
use crate::{Decision, Entry, Millis, TraceId};

/// Most members that hand their spans of one trace on, one to the other.
pub(crate) const MAX_ABSORBED: usize = 64;

/// Traces for one member to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who is to take them.
    pub to: Arc<str>,
    /// The traces, each with whose spans are among the giver's ([`crate::Part::absorbed`]).
    pub traces: Vec<(TraceId, Givers)>,
}

impl<E: Entry, D: Decision> Node<E, D> {
    /// What is held for owners that answer. It is held until it is [given](Node::given). Where it stays unknown whether a
    /// member has taken a trace, only that member is asked again.
    pub fn transfers(&self, now: Millis) -> Vec<Transfer> {
        let grace = self.settings.grace;
        let mut transfers: Vec<Transfer> = Vec::new();
        for (place, id, held) in self.table.all_held().filter(|(_, _, held)| held.owner != SELF && !held.given) {
            let taker = self.table.moved(place).and_then(|moved| moved.taker);
            let Some(member) = self.member(taker.unwrap_or(held.owner)) else { continue };
            let answers = member.reported.is_some() && !member.suspected && member.is_waited_for(now, grace);
            if !answers || member.leaving {
                continue;
            }
            let trace = (*id, self.table.absorbed(place).to_vec());
            match transfers.iter_mut().find(|transfer| transfer.to == member.name) {
                Some(transfer) => transfer.traces.push(trace),
                None => transfers.push(Transfer { to: member.name.clone(), traces: vec![trace] }),
            }
        }
        transfers
    }

    /// The host is about to take the spans of a trace out, to give them away: until it offers the trace again, this is the part
    /// that is reported and judged.
    pub fn set_aside(&mut self, id: &TraceId, entry: E) {
        if let Some(moved) = self.table.place(id).and_then(|place| self.table.moved_mut(place)) {
            moved.entry = Some(entry);
        }
    }

    /// A member has taken the spans of these traces: nothing is to be obeyed here any more.
    pub fn given<'a>(&mut self, traces: impl IntoIterator<Item = &'a TraceId>) {
        for id in traces {
            if let Some(held) = self.table.held_of_mut(id) {
                held.given = true;
            }
        }
    }

    /// The member was asked to take these traces and has not answered: it may have them, and nobody else is asked.
    pub fn maybe_given<'a>(&mut self, to: &str, traces: impl IntoIterator<Item = &'a TraceId>) {
        let number = self.number_of(to);
        for id in traces {
            if let Some(moved) = self.table.place(id).and_then(|place| self.table.moved_mut(place)) {
                moved.taker = moved.taker.or(number);
            }
        }
    }

    /// True if what this run of the member held of the trace is here already: its answer was lost, and it asks again.
    pub fn has_absorbed(&self, id: &TraceId, giver: &str, incarnation: u64) -> bool {
        let absorbed = self.table.place(id).map_or(&[][..], |place| self.table.absorbed(place));
        absorbed.iter().any(|(name, until)| &**name == giver && *until >= incarnation)
    }

    /// May spans of so many traces be taken that a member of this name hands over?
    pub fn admits_transfer(&self, from: &str, traces: usize) -> bool {
        let has_room = self.table.n_held().saturating_add(traces) <= self.settings.max_traces;
        let member = self.number_of(from).filter(|number| *number != SELF).and_then(|number| self.member(number));
        // One with other policies has other owners, and would not give anything to this one.
        has_room && !self.departed && member.is_some_and(|member| !member.incompatible)
    }

    /// The spans of a trace that a member has handed over are in the part that was offered last.
    pub fn absorb(&mut self, id: &TraceId, givers: &[Giver]) {
        for (name, incarnation) in givers.iter().take(MAX_ABSORBED) {
            self.withdraw_part(id, name, *incarnation);
            let Some(moved) = self.table.place(id).and_then(|place| self.table.moved_mut(place)) else { continue };
            add_giver(&mut moved.absorbed, name, *incarnation);
        }
    }
}

/// Makes sure that a giver and its run are in the list; those beyond the bound are left out.
pub(crate) fn add_giver(givers: &mut Givers, name: &Arc<str>, incarnation: u64) {
    if let Some((_, until)) = givers.iter_mut().find(|(giver, _)| giver == name) {
        *until = incarnation.max(*until);
    } else if givers.len() < MAX_ABSORBED {
        givers.push((name.clone(), incarnation));
    }
}
