//! A shard's side: which parts have changed, judging whole traces for others, and obeying.

use std::collections::VecDeque;

use ::peers::{Millis, Offer};
use component::Clock;
use pdata::{TraceId, Traces};

use super::super::counts::{Early, Final};
use super::super::decide::{ask, scatter};
use super::super::log::Link;
use super::super::mark::{Late, Mark};
use super::super::part::TracePart;
use super::super::policy::{Asked, Label, Trace};
use super::super::sampler::{Sampler, Share, Taken, now};
use super::Obey;
use super::entry::{Decision, Entry};

/// Where traces wait for so many seconds, their parts wait for more spans for a look before they are offered.
const UNHURRIED_SECONDS: u32 = 5;

/// How far two ticks may be from their interval.
const DUE_SLACK: Millis = 50;

/// Look-ups whose memory is asked for before the first is made.
const WARMED: usize = 64;

/// What a shard keeps for the exchange; nothing of it exists without `peers`.
#[derive(Default)]
pub(in super::super) struct Exchange {
    /// Numbers of entries that have got spans since the last look, and were not listed.
    touched: Vec<u32>,
    /// Those of earlier looks, the oldest first.
    waiting: VecDeque<Vec<u32>>,
    /// Those that have waited for long enough.
    ready: Vec<u32>,
    /// How many looks an entry waits in there, so that most traces are offered once.
    delay: usize,
    /// By the entry's number, 64 a word: it is in a list. Bits, because all spans come by here.
    listed: Vec<u64>,
    /// Decisions that this shard had to make by itself.
    settled: Vec<(TraceId, Decision)>,
    /// Decisions of an earlier process, from its storage.
    recalled: Vec<(TraceId, Decision)>,
}

/// A part that has changed.
pub(in super::super) struct Changed {
    pub(super) id: TraceId,
    /// Its entry's number.
    pub(super) at: u32,
    /// Seconds until this shard alone would decide it.
    pub(super) due_in_seconds: u32,
}

impl Changed {
    /// As the node wants it. Due a little before a tick, not a little after it.
    pub(super) fn offer(&self, now: Millis) -> Offer {
        let wait = u64::from(self.due_in_seconds) * 1000;
        Offer { id: self.id, at: self.at, due: now.saturating_add(wait).saturating_sub(DUE_SLACK) }
    }
}

impl Exchange {
    /// The entry has got a span.
    pub(in super::super) fn touch(&mut self, at: u32) {
        let (word, bit) = (at as usize / 64, 1 << (at % 64));
        if self.listed.len() <= word {
            self.listed.resize(word + 1, 0);
        }
        if self.listed[word] & bit == 0 {
            self.listed[word] |= bit;
            self.touched.push(at);
        }
    }

    /// The entry's number may be another trace's soon.
    pub(in super::super) fn forget(&mut self, at: u32) {
        take_bit(&mut self.listed, at);
    }

    /// An earlier process has obeyed a decision.
    pub(in super::super) fn recall(&mut self, id: TraceId, sampled: bool) {
        let outcome = if sampled { Final::Sampled } else { Final::NotSampled };
        self.recalled.push((id, Decision::new(outcome, u16::MAX)));
    }

    /// The shard has decided by itself.
    pub(in super::super) fn settled(&mut self, id: TraceId, decision: Decision) {
        self.settled.push((id, decision));
    }
}

/// Clears a bit; true if it was set.
fn take_bit(words: &mut [u64], at: u32) -> bool {
    let Some(word) = words.get_mut(at as usize / 64) else { return false };
    let bit = 1 << (at % 64);
    let was_set = *word & bit != 0;
    *word &= !bit;
    was_set
}

impl Sampler {
    /// From now on others decide, unless there is no room for waiting.
    pub(in super::super) fn join_peers(&mut self) {
        let wait = self.config.decision_wait_seconds;
        let wait = self.config.decision_wait_after_root_seconds.map_or(wait, |after_root| after_root.min(wait));
        let delay = usize::from(wait >= UNHURRIED_SECONDS);
        self.exchange = Some(Box::new(Exchange { delay, ..Exchange::default() }));
    }

    /// Looks for parts that have changed, some looks ago or, if `at_once`, by now: they are ready to be taken.
    pub(super) fn look(&mut self, at_once: bool) {
        let Some(exchange) = self.exchange.as_deref_mut() else { return };
        exchange.waiting.push_back(std::mem::take(&mut exchange.touched));
        let delay = if at_once { 0 } else { exchange.delay };
        while exchange.waiting.len() > delay
            && let Some(mut list) = exchange.waiting.pop_front()
        {
            exchange.ready.append(&mut list);
            if exchange.touched.capacity() == 0 {
                exchange.touched = list;
            }
        }
    }

    /// Appends parts that are ready, about as many as asked for. False if there are no more.
    pub(super) fn take_changed(&mut self, most: usize, changed: &mut Vec<Changed>) -> bool {
        let Some(exchange) = self.exchange.as_deref_mut() else { return false };
        let from = exchange.ready.len().saturating_sub(most);
        self.table.warm_entries(exchange.ready.get(from..).unwrap_or_default().iter().copied());
        for at in exchange.ready.drain(from..) {
            // A number that was used again may be listed twice.
            if !take_bit(&mut exchange.listed, at) {
                continue;
            }
            let Some(entry) = self.table.waiting(at) else { continue };
            changed.push(Changed { id: entry.id, at, due_in_seconds: entry.due.saturating_sub(self.tick) });
        }
        from > 0
    }

    /// What is known of a trace that waits here. It may have been at `at`.
    pub(super) fn entry(&self, id: &TraceId, at: u32) -> Option<Entry> {
        let at = self.table.find_from(at, id)?;
        let entry = self.table.waiting(at)?;
        let part = TracePart { facts: entry.facts, answers: self.table.answers(at).into() };
        Some(Entry { part, received_bytes: entry.received_bytes, shape: self.policies.shape() })
    }

    /// Decisions that this shard has made by itself since the last call.
    pub(super) fn take_settled(&mut self) -> Vec<(TraceId, Decision)> {
        self.exchange.as_mut().map(|exchange| std::mem::take(&mut exchange.settled)).unwrap_or_default()
    }

    /// Decisions that storage knew of, once.
    pub(super) fn take_recalled(&mut self) -> Vec<(TraceId, Decision)> {
        self.exchange.as_mut().map(|exchange| std::mem::take(&mut exchange.recalled)).unwrap_or_default()
    }

    /// Of limits that hold for all owners together this part is this shard's to spend.
    pub(super) fn set_budget(&mut self, share: f64) {
        self.state.set_share(share);
    }

    /// Takes waiting traces out, undecided, with all their spans.
    pub(super) fn take_out<'a>(&mut self, ids: impl Iterator<Item = &'a TraceId>) -> Vec<Traces> {
        let mut out = Vec::new();
        // What is decided already goes its own way.
        if self.has_output() {
            return out;
        }
        // Spans go as they came, and nobody has decided anything.
        let marking = std::mem::take(&mut self.marking);
        let mark =
            Mark { outcome: Final::Sampled, policy: Label::NONE, composite: Label::NONE, cached: false, threshold: 0 };
        for id in ids {
            let Some(at) = self.table.find(id) else { continue };
            self.table.settle(at);
            if let Some(exchange) = &mut self.exchange {
                exchange.forget(at);
            }
            let entry = self.table.entry(at);
            if entry.last == Link::NONE {
                let born = entry.born;
                self.let_go(at, born, true);
            } else {
                self.kept_bytes += entry.facts.bytes;
                self.kept.push_back((at, mark));
            }
        }
        while self.has_output() {
            out.push(self.collect());
        }
        self.marking = marking;
        out
    }

    /// Takes in spans that another instance held, and returns all that has changed since the last look, theirs included.
    /// Rows of traces that are sampled already go to `forward`.
    pub(super) fn take_in(
        &mut self,
        traces: &Traces,
        asked: &Asked,
        share: Share,
        clock: &dyn Clock,
        forward: &mut Late,
    ) -> Vec<Changed> {
        self.begin_batch(traces.resource_count());
        let mut from = 0;
        // A table that may not overflow takes these all the same: they come from one that is about to end.
        while let Taken::UpTo(row) = self.ingest(traces, asked, share, from, clock, forward) {
            self.decide_oldest(1, Early::NumTraces, clock);
            from = row;
        }
        self.look(true);
        let mut changed = Vec::new();
        self.take_changed(usize::MAX, &mut changed);
        changed
    }

    /// What the policies make of traces, of which this shard may hold parts or nothing.
    pub(super) fn judge(&mut self, entries: &[(TraceId, &Entry)], clock: &dyn Clock) -> Vec<Decision> {
        let policies = self.policies.clone();
        let mut order: Vec<usize> = (0..entries.len()).collect();
        if self.config.record_threshold && policies.has_limits() {
            // As where one instance decides, see `Sampler::queue`.
            order.sort_by_cached_key(|at| scatter(&entries[*at].0));
        }
        let trace = |row: usize| {
            let (id, entry): &(TraceId, &Entry) = &entries[order[row]];
            Trace { id, facts: &entry.part.facts, answers: &entry.part.answers }
        };
        let (first_match, noted) = (self.config.sample_on_first_match, self.recent.is_on());
        let limits = (&mut self.state, &mut self.counts);
        let judged = ask(&policies, limits, first_match, noted, clock, entries.len(), trace);
        let limit = self.config.maximum_trace_size_bytes;
        let now = now(clock);
        let mut decisions = vec![Decision::new(Final::NotSampled, u16::MAX); entries.len()];
        for (row, at) in order.iter().enumerate() {
            let (id, entry) = &entries[*at];
            if limit > 0 && entry.received_bytes > limit {
                self.counts.too_large += 1;
                continue;
            }
            let verdict = judged.verdicts[row];
            let mut decision = self.count(verdict, entry.part.facts.spans);
            if decision.is_sampled() {
                decision.threshold = self.threshold_on(trace(row));
            }
            let mark = Mark { threshold: decision.threshold, ..self.mark(decision, verdict.composite) };
            self.note(id, &entry.part.facts, mark, None, judged.votes(row), now);
            decisions[*at] = decision;
        }
        decisions
    }

    /// Decides waiting traces on the parts that are here.
    pub(super) fn decide_here(&mut self, ids: &[TraceId], clock: &dyn Clock) {
        let waiting: Vec<u32> = ids.iter().filter_map(|id| self.table.find(id)).collect();
        self.decide(&waiting, None, clock);
    }

    /// Does what was decided elsewhere with the traces that wait here. In the order of their entries, so that numbers that become
    /// free together stay together and what comes next lies side by side.
    pub(super) fn obey(&mut self, decisions: &[Obey], share: Share, clock: &dyn Clock) {
        let now = now(clock);
        // Numbers of entries above places in the list: what is one word is sorted in half the time.
        let mut order: Vec<u64> = Vec::with_capacity(decisions.len());
        let mine = (0_u64..).zip(decisions).filter(|(_, told)| share.takes(&told.id));
        order.extend(mine.map(|(place, told)| u64::from(told.at) << 32 | place));
        order.sort_unstable();
        let told = |key: &u64| decisions.get(*key as u32 as usize);
        let mut hashes = Vec::with_capacity(WARMED);
        let (mut found, mut outcomes) = (Vec::with_capacity(WARMED), Vec::with_capacity(WARMED));
        for keys in order.chunks(WARMED) {
            // Each trace waits for memory, for its entry and for where tables have it; so these wait together.
            self.table.warm_entries(keys.iter().map(|key| (key >> 32) as u32));
            for told in keys.iter().filter_map(told) {
                if let Some(at) = self.table.find_from(told.at, &told.id) {
                    found.push(at);
                    outcomes.push(told.decision);
                }
            }
            self.table.warm_neighbours(&found);
            self.warm_settling(&found, &mut hashes);
            for (at, decision) in found.drain(..).zip(outcomes.drain(..)) {
                // Told twice, it waits the first time only.
                if self.table.waiting(at).is_none() {
                    continue;
                }
                // Where it was decided, the member of a `composite` is known; here the policy is.
                let mark = Mark { threshold: decision.threshold, ..self.mark(decision, Label::NONE) };
                self.settle(at, mark, true, now);
            }
        }
    }
}

#[cfg(test)]
#[path = "shard_tests.rs"]
mod tests;
