//! A shard's side: which parts have changed, judging whole traces for others, and obeying.

use component::Clock;
use pdata::{TraceId, Traces};

use super::super::counts::{Early, Final};
use super::super::decide::ask;
use super::super::log::Link;
use super::super::mark::{Late, Mark};
use super::super::part::TracePart;
use super::super::policy::{Asked, Label, Trace};
use super::super::sampler::{Sampler, Share, Taken, now};
use super::entry::{Decision, Entry};

/// A trace that goes on to change is offered after so many looks all the same.
const MAX_LOOKS: u8 = 4;

/// Traces that are due within so many ticks are offered at once.
const SOON: u32 = 2;

/// What a shard keeps for the exchange; nothing of it exists without `peers`.
#[derive(Default)]
pub(in super::super) struct Exchange {
    /// Numbers of entries that have got spans since the last look, some more than once.
    touched: Vec<u32>,
    /// Numbers of entries that were still changing then.
    waiting: Vec<u32>,
    /// By the entry's number.
    marks: Vec<Look>,
    look: u32,
    /// Decisions that this shard had to make by itself.
    settled: Vec<(TraceId, Decision)>,
    /// Decisions of an earlier process, from its storage.
    recalled: Vec<(TraceId, Decision)>,
}

#[derive(Clone, Copy, Default)]
struct Look {
    look: u32,
    looks: u8,
    /// Spans at the last look.
    seen: u64,
    /// Spans when the part was offered last.
    offered: u64,
}

/// A part that has changed.
pub(in super::super) struct Changed {
    pub(super) id: TraceId,
    /// Seconds until this shard alone would decide it.
    pub(super) due_in_seconds: u32,
    pub(super) entry: Entry,
}

impl Exchange {
    /// The entry has got a span.
    pub(in super::super) fn touch(&mut self, at: u32) {
        if self.touched.last() != Some(&at) {
            self.touched.push(at);
        }
    }

    /// The entry's number may be another trace's soon.
    pub(in super::super) fn forget(&mut self, at: u32) {
        if let Some(mark) = self.marks.get_mut(at as usize) {
            *mark = Look { look: mark.look, ..Look::default() };
        }
    }

    /// An earlier process has obeyed a decision.
    pub(in super::super) fn recall(&mut self, id: TraceId, sampled: bool) {
        let outcome = if sampled { Final::Sampled } else { Final::NotSampled };
        self.recalled.push((id, Decision { outcome, policy: u16::MAX }));
    }

    /// The shard has decided by itself.
    pub(in super::super) fn settled(&mut self, id: TraceId, decision: Decision) {
        self.settled.push((id, decision));
    }
}

impl Sampler {
    /// From now on others decide, unless there is no room for waiting.
    pub(in super::super) fn join_peers(&mut self) {
        self.exchange = Some(Box::default());
    }

    /// Parts that have changed and were quiet for a look, so that most traces are offered once; all of them if `at_once`.
    pub(super) fn take_changed(&mut self, at_once: bool) -> Vec<Changed> {
        let Some(exchange) = self.exchange.as_deref_mut() else { return Vec::new() };
        let mut changed = Vec::new();
        let mut waiting = Vec::new();
        exchange.look = exchange.look.wrapping_add(1).max(1);
        let shape = self.policies.shape();
        for at in exchange.waiting.drain(..).chain(exchange.touched.drain(..)) {
            let slot = at as usize;
            if exchange.marks.len() <= slot {
                exchange.marks.resize(slot + 1, Look::default());
            }
            let mark = &mut exchange.marks[slot];
            let Some(entry) = self.table.waiting(at).filter(|_| mark.look != exchange.look) else { continue };
            mark.look = exchange.look;
            let spans = entry.facts.spans;
            if spans == mark.offered {
                continue;
            }
            let due_in = entry.due.saturating_sub(self.tick);
            let quiet = spans == mark.seen || mark.looks >= MAX_LOOKS || due_in <= SOON;
            mark.seen = spans;
            if !quiet && !at_once {
                mark.looks += 1;
                waiting.push(at);
                continue;
            }
            (mark.offered, mark.looks) = (spans, 0);
            let part = TracePart { facts: entry.facts, answers: self.table.answers(at).into() };
            changed.push(Changed {
                id: entry.id,
                due_in_seconds: due_in,
                entry: Entry { part, received_bytes: entry.received_bytes, shape },
            });
        }
        exchange.waiting = waiting;
        changed
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
        self.take_changed(true)
    }

    /// What the policies make of traces, of which this shard may hold parts or nothing.
    pub(super) fn judge(&mut self, entries: &[(TraceId, &Entry)], clock: &dyn Clock) -> Vec<Decision> {
        let policies = self.policies.clone();
        let trace = |at: usize| {
            let (id, entry): &(TraceId, &Entry) = &entries[at];
            Trace { id, facts: &entry.part.facts, answers: &entry.part.answers }
        };
        let (first_match, noted) = (self.config.sample_on_first_match, self.recent.is_on());
        let limits = (&mut self.state, &mut self.counts);
        let judged = ask(&policies, limits, first_match, noted, clock, entries.len(), trace);
        let limit = self.config.maximum_trace_size_bytes;
        let now = now(clock);
        let mut decisions = Vec::with_capacity(entries.len());
        for (row, (id, entry)) in entries.iter().enumerate() {
            if limit > 0 && entry.received_bytes > limit {
                self.counts.too_large += 1;
                decisions.push(Decision { outcome: Final::NotSampled, policy: u16::MAX });
                continue;
            }
            let verdict = judged.verdicts[row];
            let decision = self.count(verdict, entry.part.facts.spans);
            let mark = self.mark(decision, verdict.composite);
            self.note(id, &entry.part.facts, mark, None, judged.votes(row), now);
            decisions.push(decision);
        }
        decisions
    }

    /// Decides waiting traces on the parts that are here.
    pub(super) fn decide_here(&mut self, ids: &[TraceId], clock: &dyn Clock) {
        let waiting: Vec<u32> = ids.iter().filter_map(|id| self.table.find(id)).collect();
        self.decide(&waiting, None, clock);
    }

    /// Does what was decided elsewhere with a trace that waits here.
    pub(super) fn obey(&mut self, id: &TraceId, decision: Decision, clock: &dyn Clock) {
        if let Some(at) = self.table.find(id) {
            // Where it was decided, the member of a `composite` is known; here the policy is.
            let mark = self.mark(decision, Label::NONE);
            self.settle(at, mark, true, now(clock));
        }
    }
}
