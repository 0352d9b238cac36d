//! What is sent and what comes back: collects, reports, and answers that never come.

use std::sync::Arc;

use crate::member::{InFlight, Outstanding, SELF};
use crate::message::{Collect, Part, Refusal, Report};
use crate::node::{Node, Output};
use crate::owner::Taken;
use crate::table::{Place, WARMED};
use crate::{Decision, Entry, Millis};

/// Most members, those among them that only others list.
const MAX_MEMBERS: usize = 1024;

/// Most members that a report makes known.
const MAX_INTRODUCTIONS: usize = 64;

impl<E: Entry, D: Decision> Node<E, D> {
    /// Collects that were not answered in time are lost; what they brought is owed again.
    pub(crate) fn expire(&mut self, now: Millis) {
        let timeout = self.settings.timeout();
        for member in self.members.iter_mut().flatten() {
            if member.outstanding.as_ref().is_some_and(|sent| now.saturating_sub(sent.sent) > timeout)
                && let Some(lost) = member.outstanding.take()
            {
                member.owed.extend(lost.decisions);
            }
        }
    }

    pub(crate) fn collect_from_all(&mut self, now: Millis, out: &mut Output<E, D>) {
        for number in 1..u32::try_from(self.members.len()).unwrap_or(u32::MAX) {
            self.collect_from(number, now, out);
        }
    }

    /// Sends a collect, unless one is under way.
    fn collect_from(&mut self, number: u32, now: Millis, out: &mut Output<E, D>) {
        let (unsettled, room, batch) = (self.is_unsettled(now), self.room(), self.settings.max_batch.max(1));
        let (view, incarnation, fingerprint) = (self.view.digest(), self.incarnation, self.fingerprint);
        let leaving = self.leaving;
        let (asked, last_asked) = (&self.owner.asked, self.owner.last_asked);
        let Some(Some(member)) = self.members.get_mut(number as usize) else { return };
        // One that is gone but listed may be back any time, under its name and without knowing of this node.
        if member.outstanding.is_some() || (member.gone && !member.listed) {
            return;
        }
        let mut asks = last_asked;
        let mut questions = Vec::new();
        // Who knows nothing of another view's has no answer to them.
        let questioned = unsettled && !(member.fresh && member.last_view == Some(view));
        if questioned {
            let from = asked.partition_point(|asked| member.covered.is_some_and(|covered| asked.number <= covered));
            questions.extend(asked.range(from..).take(batch).map(|asked| asked.id));
            if let Some(next) = asked.get(from + questions.len()) {
                asks = next.number - 1;
            }
        }
        let decisions: Vec<_> = member.owed.drain(..member.owed.len().min(batch)).collect();
        self.sequence += 1;
        let collect = Collect {
            incarnation,
            sequence: self.sequence,
            fingerprint,
            view,
            received: member.reported,
            afresh: member.afresh,
            leaving,
            room,
            decisions: decisions.clone(),
            questions,
        };
        let afresh = member.afresh;
        member.outstanding = Some(Outstanding {
            sequence: self.sequence,
            sent: now,
            view,
            asks,
            afresh,
            questions: questioned || !unsettled,
            decisions,
        });
        self.counters.decisions_sent += collect.decisions.len() as u64;
        out.collects.push((member.name.clone(), collect));
    }

    /// A collect has arrived from the member of this name. Returns the answer.
    ///
    /// # Errors
    /// When the sender is not known, runs other policies, or has sent a later collect before. Nothing has changed then,
    /// except that a sender with other policies owns nothing any more, as seen from here.
    pub fn collect(
        &mut self,
        now: Millis,
        from: &str,
        collect: &Collect<D>,
        out: &mut Output<E, D>,
    ) -> Result<Report<E, D>, Refusal> {
        let number = match self.number_of(from) {
            Some(SELF) => return Err(Refusal::Unknown),
            Some(number) => number,
            None if self.settings.admit_strangers && self.members.len() < MAX_MEMBERS => self.add(from, now),
            None => return Err(Refusal::Unknown),
        };
        let incarnation = self.incarnation;
        let (fingerprint, grace) = (self.fingerprint, self.settings.grace);
        let member = self.member_mut(number).ok_or(Refusal::Unknown)?;
        if collect.fingerprint != fingerprint {
            member.incompatible = true;
            self.refresh_view(now);
            return Err(Refusal::Incompatible);
        }
        // Where a clock has gone back, a later run has a lower number. Nothing of an earlier one is under way for so long.
        let is_silent = now.saturating_sub(member.collected_at) > grace;
        let is_later = |last: (u64, u64)| {
            (collect.incarnation, collect.sequence) > last || (is_silent && collect.incarnation < last.0)
        };
        if !member.collected.is_none_or(is_later) {
            return Err(Refusal::Stale);
        }
        member.collected_at = now;
        let is_new = member.collected.is_none_or(|(last, _)| last != collect.incarnation);
        member.collected = Some((collect.incarnation, collect.sequence));
        // A new run takes back what an earlier one has said.
        member.leaving = collect.leaving;
        if is_new {
            member.gone = false;
            // It may have lost what it told this node.
            self.fresh &= self.table.n_decided() == 0;
        }
        let member = self.member_mut(number).ok_or(Refusal::Unknown)?;
        member.incompatible = false;
        self.refresh_view(now);
        self.fresh &= collect.decisions.is_empty() || collect.view == self.view.digest();
        for decisions in collect.decisions.chunks(WARMED) {
            self.table.warm(decisions.iter().map(|(id, _)| id));
            for (id, decision) in decisions {
                self.learn(id, *decision, number, out);
            }
        }
        self.acknowledge(number, collect.received, incarnation, collect.afresh || is_new);
        let mut known: Vec<_> =
            collect.questions.iter().filter_map(|id| Some((*id, self.table.decision(id)?))).collect();
        let room = (collect.room as usize).min(self.settings.max_batch.max(1));
        let (parts, places, more) = self.parts_for(number, room, now);
        self.number += 1;
        let (own_number, batch) = (self.number, self.settings.max_batch.max(1));
        let gone = self.departed && parts.is_empty() && self.is_idle();
        let own_news = match self.member_mut(number) {
            Some(member) => {
                let news: Vec<_> = member.known.drain(..member.known.len().min(batch)).collect();
                member.took_leave |= gone;
                member.in_flight = Some(InFlight { number: own_number, parts: places, known: news.clone() });
                news
            }
            None => Vec::new(),
        };
        known.extend(own_news);
        self.counters.entries_sent += parts.len() as u64;
        let member = self.member(number);
        Ok(Report {
            answers: (collect.incarnation, collect.sequence),
            incarnation,
            number: own_number,
            fingerprint,
            view: self.view.digest(),
            more: more || member.is_some_and(|member| !member.known.is_empty()),
            leaving: self.leaving,
            gone,
            fresh: self.fresh,
            lost_for: self.lost_at(now).map(|lost| now.saturating_sub(lost)),
            parts,
            known,
            others: self.introductions(now),
        })
    }

    /// The owner says which report it has: what was in a later one is to be reported again.
    fn acknowledge(&mut self, number: u32, received: Option<(u64, u64)>, incarnation: u64, afresh: bool) {
        let Some(Some(member)) = self.members.get_mut(number as usize) else { return };
        let in_flight = member.in_flight.take();
        if afresh {
            member.dirty.clear();
            for (place, _, held) in self.table.all_held_mut().filter(|(_, _, held)| held.owner == number) {
                (held.acked, held.queued) = (0, true);
                member.dirty.push_back(place);
            }
        }
        let Some(sent) = in_flight else { return };
        let arrived = received == Some((incarnation, sent.number));
        if !arrived {
            member.known.extend(sent.known);
        }
        if afresh || arrived {
            return;
        }
        // Where another trace has taken the place, that is reported once more.
        for place in sent.parts {
            let Some(held) = self.table.held_mut(place).filter(|held| held.owner == number) else { continue };
            held.acked = 0;
            if !held.queued {
                held.queued = true;
                member.dirty.push_back(place);
            }
        }
    }

    /// Changed parts for their owner, which count as known to it until it turns out that they have not arrived; where they
    /// are; and whether there are more.
    fn parts_for(&mut self, number: u32, room: usize, now: Millis) -> (Vec<Part<E>>, Vec<Place>, bool) {
        let mut parts = self.spare_parts();
        let Some(Some(member)) = self.members.get_mut(number as usize) else { return Default::default() };
        let expected = room.min(member.dirty.len());
        let mut places = Vec::with_capacity(expected);
        parts.reserve(expected);
        while parts.len() < room {
            if parts.len().is_multiple_of(WARMED) {
                self.table.warm_places(member.dirty.iter().copied());
            }
            let Some(place) = member.dirty.pop_front() else { break };
            let Some(id) = self.table.id(place) else { continue };
            let held = self.table.held_mut(place).filter(|held| held.owner == number && held.queued);
            let Some(held) = held else { continue };
            held.queued = false;
            if held.acked != held.version {
                let (due_in, absorbed) = (held.due.saturating_sub(now), held.absorbed.clone());
                held.acked = held.version;
                parts.push(Part { id, due_in, entry: held.entry.clone(), absorbed });
                places.push(place);
            }
        }
        (parts, places, !member.dirty.is_empty())
    }

    /// Members that live but own nothing, as seen from here: an owner need not have heard of them, but they may have
    /// parts of its traces, or have decided some.
    fn introductions(&self, now: Millis) -> Vec<Arc<str>> {
        let others = self.others().filter(|(_, member)| {
            !member.may_own() && member.reported.is_some() && member.is_waited_for(now, self.settings.grace)
        });
        others.take(MAX_INTRODUCTIONS).map(|(_, member)| member.name.clone()).collect()
    }

    /// A report has arrived from the member of this name.
    pub fn report(&mut self, now: Millis, from: &str, report: Report<E, D>, out: &mut Output<E, D>) {
        let Some(number) = self.number_of(from) else { return };
        let (incarnation, fingerprint, max_owed) = (self.incarnation, self.fingerprint, self.settings.max_owed);
        let Some(member) = self.member_mut(number) else { return };
        let Some(sent) = member.outstanding.take_if(|sent| (incarnation, sent.sequence) == report.answers) else {
            // Too late or a second time; what it brought has not been acknowledged and comes again.
            return;
        };
        member.heard = now;
        if report.fingerprint != fingerprint {
            member.incompatible = true;
            member.owed.extend(sent.decisions);
            self.refresh_view(now);
            return;
        }
        (member.incompatible, member.suspected) = (false, false);
        (member.leaving, member.gone) = (report.leaving, report.gone);
        member.reported = Some((report.incarnation, report.number));
        member.last_view = Some(report.view);
        member.fresh = report.fresh;
        member.afresh &= !sent.afresh;
        member.lost_at = report.lost_for.map(|lost| now.saturating_sub(lost));
        if member.owed.len() > max_owed {
            member.start_afresh();
        }
        for name in report.others.iter().take(MAX_INTRODUCTIONS) {
            if self.number_of(name).is_none() && self.members.len() < MAX_MEMBERS {
                self.add(name, now);
            }
        }
        self.refresh_view(now);
        self.fresh &= report.known.is_empty() || report.view == self.view.digest();
        for (id, decision) in &report.known {
            self.learn(id, *decision, number, out);
        }
        let mut all_taken = true;
        self.counters.entries_received += report.parts.len() as u64;
        let mut parts = report.parts;
        while let Some(from) = parts.len().checked_sub(1).map(|last| last - last % WARMED) {
            self.table.warm(parts.iter().skip(from).map(|part| &part.id));
            for part in parts.drain(from..) {
                let id = part.id;
                match self.take_part((number, report.incarnation), part, now) {
                    Taken::Yes => {}
                    Taken::Decided(decision) => self.owe(number, &id, decision),
                    Taken::NoRoom => {
                        self.counters.refused_entries += 1;
                        all_taken = false;
                    }
                }
            }
        }
        self.reuse(parts);
        let view = self.view.digest();
        let agrees = report.view == view;
        if let Some(member) = self.member_mut(number) {
            member.afresh |= !all_taken;
            // What was not asked for it has to know nothing of.
            let answered = sent.questions || report.fresh;
            if agrees && answered && sent.view == view && !report.more && all_taken && !member.afresh {
                member.covered = member.covered.max(Some(sent.asks));
            }
        }
        self.settle(now, out);
        if report.more && all_taken {
            self.collect_from(number, now, out);
        }
    }

    /// A collect was refused by the member of this name, or could not be sent: what it brought is owed again.
    pub fn refused(&mut self, now: Millis, from: &str, sequence: u64, why: Option<Refusal>) {
        let Some(number) = self.number_of(from) else { return };
        let Some(member) = self.member_mut(number) else { return };
        let Some(sent) = member.outstanding.take_if(|sent| sent.sequence == sequence) else { return };
        member.owed.extend(sent.decisions);
        match why {
            Some(Refusal::Incompatible) => {
                (member.heard, member.incompatible) = (now, true);
                self.refresh_view(now);
            }
            // It lives, and will answer when its resolver has caught up.
            Some(Refusal::Unknown) => member.heard = now,
            Some(Refusal::Stale) | None => {}
        }
    }
}
