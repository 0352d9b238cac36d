//! What is sent and what comes back: collects, reports, and answers that never come.

use std::sync::Arc;

use crate::member::{InFlight, Member, Outstanding, SELF, Unanswered};
use crate::message::{Answer, Collect, Part, Refusal, Report, Request, Told};
use crate::node::{Node, Output};
use crate::owner::Taken;
use crate::table::{Place, WARMED};
use crate::{Decision, Entry, Host, Millis};

/// Most members, those among them that only others list.
const MAX_MEMBERS: usize = 1024;

/// Most members that a report makes known.
const MAX_INTRODUCTIONS: usize = 64;

impl<E: Entry, D: Decision> Node<E, D> {
    /// Collects that were not answered in time are lost; what they brought is owed again.
    pub(crate) fn expire(&mut self, now: Millis) {
        for member in self.members.iter_mut().flatten() {
            if member.outstanding.as_ref().is_some_and(|sent| now > sent.lost_from)
                && let Some(lost) = member.outstanding.take()
            {
                member.owed.extend(lost.decisions);
                member.missed = true;
            }
        }
    }

    /// To those whose part it is to answer. To the others too while the owners change, which is to be known soon, and when they
    /// have not asked this node of late, or their last report has not come.
    pub(crate) fn send_requests(&mut self, now: Millis, host: &mut dyn Host<E>, out: &mut Output<E, D>) {
        let (patience, view) = (self.settings.timeout(), Some(self.view.digest()));
        let own_leaving = self.leaving;
        for number in 1..u32::try_from(self.members.len()).unwrap_or(u32::MAX) {
            let asks_in_time = |member: &Member<D>| {
                let asks = member.collected.is_some() && now.saturating_sub(member.collected_at) <= patience;
                let is_settled = member.last_view == view && !own_leaving && !member.leaving;
                asks && is_settled && !member.missed
            };
            if self.member(number).is_some_and(|member| member.is_answering || !asks_in_time(member)) {
                self.request(number, now, host, out);
            }
        }
    }

    /// Sends a collect, unless one is under way, and the report that the member waits for.
    fn request(&mut self, number: u32, now: Millis, host: &mut dyn Host<E>, out: &mut Output<E, D>) {
        let Some(collect) = self.make_collect(number, now, now.saturating_add(self.settings.timeout())) else { return };
        let unanswered = self.member_mut(number).and_then(|member| member.unanswered.take());
        let report = unanswered.and_then(|unanswered| self.make_report(number, unanswered, now, host));
        if let Some(member) = self.member_mut(number) {
            if let Some(sent) = &mut member.outstanding {
                sent.takes_leave = report.as_ref().is_some_and(|report| report.gone);
            }
            out.requests.push((member.name.clone(), Request { collect, report }));
        }
    }

    /// A collect that is to ride on the answer to this member; none if this node asks by itself.
    fn ride(&mut self, number: u32, now: Millis) -> Option<Collect<D>> {
        if self.member(number)?.is_answering {
            return None;
        }
        let wait = self.settings.timeout().saturating_mul(2);
        self.make_collect(number, now, now.saturating_add(wait))
    }

    /// None if one is under way.
    fn make_collect(&mut self, number: u32, now: Millis, lost_from: Millis) -> Option<Collect<D>> {
        let (unsettled, room, batch) = (self.is_unsettled(now), self.room(), self.settings.max_batch.max(1));
        let (view, incarnation, fingerprint) = (self.view.digest(), self.incarnation, self.fingerprint);
        let leaving = self.leaving;
        let last_asked = self.owner.last_asked;
        let member = self.member(number)?;
        // One that is gone but listed may be back any time, under its name and without knowing of this node.
        if member.outstanding.is_some() || (member.gone && !member.listed) {
            return None;
        }
        let mut asks = last_asked;
        let mut questions = Vec::new();
        // Who knows nothing of another view's has no answer to them.
        let questioned = unsettled && !(member.fresh && member.last_view == Some(view));
        if questioned {
            let asked = &self.owner.asked;
            let from = asked.partition_point(|asked| member.covered.is_some_and(|covered| asked.number <= covered));
            let waiting = asked.range(from..).take(batch).filter(|asked| self.is_asked(asked));
            questions.extend(waiting.map(|asked| asked.id));
            if let Some(next) = asked.get(from.saturating_add(batch)) {
                asks = next.number - 1;
            }
        }
        let member = self.member_mut(number)?;
        let decisions: Vec<_> = member.owed.drain(..member.owed.len().min(batch)).collect();
        let (received, afresh) = (member.reported, member.afresh);
        self.sequence += 1;
        let sequence = self.sequence;
        let collect = Collect {
            incarnation,
            sequence,
            fingerprint,
            view,
            received,
            afresh,
            leaving,
            room,
            decisions: decisions.clone(),
            questions,
        };
        self.member_mut(number)?.outstanding = Some(Outstanding {
            sequence,
            sent: now,
            lost_from,
            view,
            asks,
            afresh,
            questions: questioned || !unsettled,
            settled: !unsettled,
            decisions,
            takes_leave: false,
        });
        self.counters.decisions_sent += collect.decisions.len() as u64;
        Some(collect)
    }

    /// A request has arrived from the member of this name. Returns the answer, in which nothing is of what the request has
    /// made complete: what is decided in one tick everybody hears in the next, so that all obey together.
    ///
    /// # Errors
    /// When the sender is not known, runs other policies, or has sent a later collect before. Nothing has changed then,
    /// except that a sender with other policies owns nothing any more, as seen from here.
    pub fn answer(
        &mut self,
        now: Millis,
        from: &str,
        request: Request<E, D>,
        host: &mut dyn Host<E>,
        out: &mut Output<E, D>,
    ) -> Result<Answer<E, D>, Refusal> {
        let Request { collect, report } = request;
        let number = self.take_collect(now, from, &collect, out)?;
        if let Some(report) = report
            && self.take_report(now, number, report, host, out)
        {
            self.request(number, now, host, out);
        }
        let answers = (collect.incarnation, collect.sequence);
        let unanswered = Unanswered { answers, since: now, room: collect.room, questions: collect.questions };
        let report = self.make_report(number, unanswered, now, host).ok_or(Refusal::Unknown)?;
        if let Some(member) = self.member_mut(number) {
            // Who asks waits for the answer.
            member.took_leave |= report.gone;
        }
        Ok(Answer { report, collect: self.ride(number, now) })
    }

    /// The answer to a request has arrived from the member of this name.
    pub fn answered(
        &mut self,
        now: Millis,
        from: &str,
        answer: Answer<E, D>,
        host: &mut dyn Host<E>,
        out: &mut Output<E, D>,
    ) {
        let Some(number) = self.number_of(from) else { return };
        let more = self.take_report(now, number, answer.report, host, out);
        if let Some(collect) = answer.collect
            // One that is stale or does not fit is not answered: its sender gives it up.
            && let Ok(number) = self.take_collect(now, from, &collect, out)
            && let Some(member) = self.member_mut(number)
        {
            let answers = (collect.incarnation, collect.sequence);
            let (room, questions) = (collect.room, collect.questions);
            member.unanswered = Some(Unanswered { answers, since: now, room, questions });
        }
        if more {
            self.request(number, now, host, out);
        }
    }

    /// What the member's collect says and brings. Returns its number.
    fn take_collect(
        &mut self,
        now: Millis,
        from: &str,
        collect: &Collect<D>,
        out: &mut Output<E, D>,
    ) -> Result<u32, Refusal> {
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
        // It waits for the answer to the last one only.
        member.unanswered = None;
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
            self.table.warm_places(decisions.iter().map(|told| told.place));
            self.table.warm_index(decisions.iter().map(|told| &told.id));
            self.table.warm_oldest(decisions.len());
            for Told { id, place, decision } in decisions {
                self.learn(id, *decision, Some(*place), number, out);
            }
        }
        self.acknowledge(number, collect.received, incarnation, collect.afresh || is_new);
        Ok(number)
    }

    /// Answers a collect of the member.
    fn make_report(
        &mut self,
        number: u32,
        unanswered: Unanswered,
        now: Millis,
        host: &mut dyn Host<E>,
    ) -> Option<Report<E, D>> {
        let Unanswered { answers, since, room, questions } = unanswered;
        let mut known: Vec<_> = questions.iter().filter_map(|id| Some((*id, self.table.decision(id)?))).collect();
        let room = (room as usize).min(self.settings.max_batch.max(1));
        let (parts, places, more) = self.parts_for(number, room, now, host);
        self.number += 1;
        let (own_number, batch) = (self.number, self.settings.max_batch.max(1));
        let gone = self.departed && parts.is_empty() && self.is_idle();
        let member = self.member_mut(number)?;
        let news: Vec<_> = member.known.drain(..member.known.len().min(batch)).collect();
        known.extend(news.iter().copied());
        let more = more || !member.known.is_empty();
        member.in_flight = Some(InFlight { number: own_number, parts: places, known: news });
        self.counters.entries_sent += parts.len() as u64;
        Some(Report {
            answers,
            incarnation: self.incarnation,
            number: own_number,
            fingerprint: self.fingerprint,
            view: self.view.digest(),
            waited: now.saturating_sub(since),
            more,
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
                (held.told, held.queued) = (false, true);
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
            held.told = false;
            if !held.queued {
                held.queued = true;
                member.dirty.push_back(place);
            }
        }
    }

    /// Changed parts for their owner, which count as known to it until it turns out that they have not arrived; where they
    /// are; and whether there are more.
    fn parts_for(
        &mut self,
        number: u32,
        room: usize,
        now: Millis,
        host: &mut dyn Host<E>,
    ) -> (Vec<Part<E>>, Vec<Place>, bool) {
        let mut parts = self.spare_parts();
        let Some(Some(member)) = self.members.get_mut(number as usize) else { return Default::default() };
        let expected = room.min(member.dirty.len());
        let mut places = Vec::with_capacity(expected);
        parts.reserve(expected);
        while parts.len() < room {
            if parts.len().is_multiple_of(WARMED) {
                self.table.warm_places(member.dirty.iter().copied());
                self.table.warm_parts(member.dirty.iter().copied(), host);
            }
            let Some(place) = member.dirty.pop_front() else { break };
            let Some(id) = self.table.id(place) else { continue };
            let Some(held) = self.table.held_mut(place) else { continue };
            if held.owner != number || !held.queued {
                continue;
            }
            held.queued = false;
            if !held.told {
                let due_in = held.due.saturating_sub(now);
                // What the host has decided itself it is about to say.
                let Some(entry) = self.table.entry(place, host) else { continue };
                if let Some(held) = self.table.held_mut(place) {
                    held.told = true;
                }
                let absorbed = self.table.absorbed(place).into();
                parts.push(Part { id, place, due_in, entry, absorbed });
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

    /// A report has arrived from the member. True if it has more to report, and there is room for it.
    fn take_report(
        &mut self,
        now: Millis,
        number: u32,
        report: Report<E, D>,
        host: &mut dyn Host<E>,
        out: &mut Output<E, D>,
    ) -> bool {
        let (incarnation, fingerprint, max_owed) = (self.incarnation, self.fingerprint, self.settings.max_owed);
        let Some(member) = self.member_mut(number) else { return false };
        let Some(sent) = member.outstanding.take_if(|sent| (incarnation, sent.sequence) == report.answers) else {
            // Too late or a second time; what it brought has not been acknowledged and comes again.
            return false;
        };
        member.heard = now;
        member.took_leave |= sent.takes_leave;
        if report.fingerprint != fingerprint {
            member.incompatible = true;
            member.owed.extend(sent.decisions);
            self.refresh_view(now);
            return false;
        }
        (member.incompatible, member.suspected, member.missed) = (false, false, false);
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
            self.learn(id, *decision, None, number, out);
        }
        let mut all_taken = true;
        self.counters.entries_received += report.parts.len() as u64;
        let mut parts = report.parts;
        while let Some(from) = parts.len().checked_sub(1).map(|last| last - last % WARMED) {
            self.table.warm_reported(parts[from..].iter().map(|part| &part.id));
            for part in parts.drain(from..) {
                let (id, place) = (part.id, part.place);
                match self.take_part((number, report.incarnation), part, now) {
                    Taken::Yes => {}
                    Taken::Decided(decision) => self.owe(number, Told { id, place, decision }),
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
        let asks = if sent.settled || report.fresh {
            self.ask(now);
            // Clocks do not run alike.
            sent.asks.max(self.owner.asked_by(sent.sent.saturating_add(report.waited - report.waited / 64)))
        } else {
            sent.asks
        };
        if let Some(member) = self.member_mut(number) {
            member.afresh |= !all_taken;
            // What was not asked for it has to know nothing of.
            let answered = sent.questions || report.fresh;
            if agrees && answered && sent.view == view && !report.more && all_taken && !member.afresh {
                member.covered = member.covered.max(Some(asks));
            }
        }
        self.settle(now, host, out);
        report.more && all_taken
    }

    /// A request was refused by the member of this name, or could not be sent: what its collect brought is owed again.
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
