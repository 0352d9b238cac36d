//! Ticks and decisions of a shard.
//!
//! A tick is taken in steps of bounded length, so that arriving batches get the lock in between. Policies are asked one
//! after another over a slice of traces: the votes are those of asking trace by trace, because policies share no state.

use component::Clock;

use super::config::Strategy;
use super::counts::{Counts, Early, Final};
use super::peers::Decision;
use super::policy::{Policies, State, Trace, Vote};
use super::sampler::{Sampler, now};

/// Traces that are decided in one step: about a millisecond. Between steps every waiting request has its turn, so that
/// many short steps would let a busy core fall behind its ticks, and what is decided late is memory.
const SLICE: usize = 8192;

/// Spans that are read in one step, and fewer if segments have to be decompressed: two or three milliseconds.
const WORK: usize = 16_384;

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Spans of kept traces.
    Output(pdata::Traces),
    /// There is more to do.
    More,
    /// The tick is over.
    Done,
}

/// What the policies asked so far make of a trace.
#[derive(Clone, Copy)]
pub(super) struct Verdict {
    dropped: bool,
    sampled: bool,
    /// Of the policy that is responsible so far.
    threshold: u64,
    policy: u16,
}

const UNDECIDED: Verdict = Verdict { dropped: false, sampled: false, threshold: u64::MAX, policy: u16::MAX };

/// Asks all policies about traces, policy by policy.
pub(super) fn ask<'a>(
    policies: &Policies,
    (state, counts): (&mut State, &mut Counts),
    first_match: bool,
    clock: &dyn Clock,
    n_traces: usize,
    trace: impl Fn(usize) -> Trace<'a>,
) -> Vec<Verdict> {
    let now = now(clock);
    let mut verdicts = vec![UNDECIDED; n_traces];
    let shape = policies.shape();
    let mut before = clock.monotonic();
    for (number, policy) in policies.list().iter().enumerate() {
        let mut executions = 0;
        for (at, verdict) in verdicts.iter_mut().enumerate() {
            if verdict.dropped || (verdict.sampled && first_match) {
                continue;
            }
            executions += 1;
            let vote = policy.vote(shape, trace(at), state, now);
            counts.vote(number, vote);
            match vote {
                Vote::Sampled if policy.threshold < verdict.threshold || !verdict.sampled => {
                    verdict.sampled = true;
                    verdict.threshold = policy.threshold;
                    verdict.policy = u16::try_from(number).unwrap_or(u16::MAX);
                }
                Vote::Dropped => verdict.dropped = true,
                Vote::Sampled | Vote::NotSampled | Vote::Error => {}
            }
        }
        let after = clock.monotonic();
        counts.ran(number, executions, after.saturating_sub(before));
        before = after;
    }
    verdicts
}

impl Sampler {
    /// One second has passed: the traces that have waited long enough are up for decision.
    pub(super) fn begin_tick(&mut self) {
        self.tick = self.tick.saturating_add(1);
        let due = self.table.take_due(self.tick);
        // With peers, their owners say when traces are decided.
        if self.exchange.is_none() {
            self.queue(due);
        }
    }

    /// All waiting traces are up for decision, or are thrown away if so configured.
    pub(super) fn begin_drain(&mut self) {
        if !self.config.drop_pending_traces_on_shutdown {
            // `u32::MAX` marks traces that are settled.
            self.tick = u32::MAX - 1;
            let due = self.table.take_due(self.tick);
            self.queue(due);
        }
    }

    fn queue(&mut self, due: Vec<u32>) {
        if self.due_at >= self.due.len() {
            self.due = due;
        } else {
            self.due.drain(..self.due_at);
            self.due.extend(due);
        }
        self.due_at = 0;
    }

    /// Does a bounded part of what the tick has to do.
    pub(super) fn step(&mut self, clock: &dyn Clock) -> Step {
        if self.has_output() {
            return self.collect_some(WORK).map_or(Step::More, Step::Output);
        }
        if self.due_at < self.due.len() {
            let mut slice = Vec::with_capacity(SLICE);
            while slice.len() < SLICE {
                let Some(at) = self.due.get(self.due_at).copied() else { break };
                self.due_at += 1;
                if self.table.claim(at, self.tick) {
                    slice.push(at);
                }
            }
            self.decide(&slice, clock);
            return Step::More;
        }
        self.due = Vec::new();
        self.due_at = 0;
        if self.relocate(WORK) {
            return Step::More;
        }
        self.log.close();
        Step::Done
    }

    /// What is done once a tick when all its steps are.
    pub(super) fn end_tick(&mut self) {
        self.log.trim();
        self.table.shrink_if_empty();
        self.held_epochs = self.held_epochs.split_off(&self.tick);
    }

    /// Decides waiting traces, the oldest first, before their time.
    pub(super) fn decide_oldest(&mut self, count: usize, why: Early, clock: &dyn Clock) {
        // With span-ingest what is arriving has its say first.
        self.decide_touched(clock);
        let mut oldest = Vec::with_capacity(count);
        let mut next = self.table.oldest();
        while let Some(at) = next.filter(|_| oldest.len() < count) {
            oldest.push(at);
            next = self.table.newer(at);
        }
        self.counts.early[why as usize] += oldest.len() as u64;
        self.decide(&oldest, clock);
    }

    /// Decides waiting traces on what is known of them.
    pub(super) fn decide(&mut self, traces: &[u32], clock: &dyn Clock) {
        if self.config.strategy == Strategy::SpanIngest {
            // Every batch has been asked about already; what was not sampled then is not sampled.
            let now = now(clock);
            for at in traces {
                self.counts.traces[Final::NotSampled as usize] += 1;
                self.settle(*at, false, false, now);
            }
            return;
        }
        let policies = self.policies.clone();
        let (table, first_match) = (&self.table, self.config.sample_on_first_match);
        let trace = |at: usize| {
            let entry = table.entry(traces[at]);
            Trace { id: &entry.id, facts: &entry.facts, answers: table.answers(traces[at]) }
        };
        let verdicts = ask(&policies, (&mut self.state, &mut self.counts), first_match, clock, traces.len(), trace);
        let now = now(clock);
        for (at, verdict) in traces.iter().zip(&verdicts) {
            self.conclude(*at, *verdict, now);
        }
    }

    fn conclude(&mut self, at: u32, verdict: Verdict, now: super::policy::Now) {
        let decision = self.count(verdict);
        if let Some(exchange) = &mut self.exchange {
            exchange.settled(self.table.entry(at).id, decision);
        }
        self.settle(at, decision.is_sampled(), true, now);
    }

    /// Counts a verdict as a decision.
    pub(super) fn count(&mut self, verdict: Verdict) -> Decision {
        let outcome = match verdict {
            Verdict { dropped: true, .. } => Final::Dropped,
            Verdict { sampled: true, .. } => Final::Sampled,
            _ => Final::NotSampled,
        };
        self.counts.traces[outcome as usize] += 1;
        if outcome != Final::Sampled {
            return Decision { outcome, policy: u16::MAX };
        }
        if let Some(policy) = self.counts.policies.get_mut(usize::from(verdict.policy)) {
            policy.kept += 1;
        }
        Decision { outcome, policy: verdict.policy }
    }

    /// With `span-ingest`: asks the policies about the parts of traces that the arriving ResourceSpans has brought.
    pub(super) fn decide_touched(&mut self, clock: &dyn Clock) {
        if self.config.strategy != Strategy::SpanIngest {
            return;
        }
        let touched = self.take_touched();
        let now = now(clock);
        let policies = self.policies.clone();
        let shape = policies.shape();
        let words = shape.words();
        for (slot, (at, part)) in touched.parts.iter().enumerate().filter(|(_, (at, _))| *at != u32::MAX) {
            let entry = self.table.entry(*at);
            let id = entry.id;
            // Policies see the spans of this part, but the counts of the whole trace.
            let mut facts = *part;
            (facts.spans, facts.bytes) = (entry.facts.spans, entry.facts.bytes);
            let trace = Trace { id: &id, facts: &facts, answers: &touched.answers[slot * words..][..words] };
            let mut verdict = UNDECIDED;
            let mut may_still_drop = false;
            for (number, policy) in policies.list().iter().enumerate() {
                // A drop policy that has not dropped the trace may do so later: nothing is sampled until then.
                if verdict.dropped || verdict.sampled || (may_still_drop && number >= policies.drops()) {
                    break;
                }
                let before = clock.monotonic();
                let vote = policy.vote(shape, trace, &mut self.state, now);
                self.counts.vote(number, vote);
                self.counts.ran(number, 1, clock.monotonic().saturating_sub(before));
                match vote {
                    Vote::Dropped => verdict.dropped = true,
                    Vote::Sampled => {
                        verdict.sampled = true;
                        verdict.policy = u16::try_from(number).unwrap_or(u16::MAX);
                    }
                    Vote::NotSampled => may_still_drop |= number < policies.drops(),
                    Vote::Error => {}
                }
            }
            if verdict.dropped || verdict.sampled {
                self.conclude(*at, verdict, now);
            }
        }
        self.put_touched(touched);
    }
}
