//! Ticks and decisions of a shard.
//!
//! A tick is taken in steps of bounded length, so that arriving batches get the lock in between. Policies are asked one
//! after another over some traces at a time: the votes are those of asking trace by trace, because policies share no state.

use component::Clock;
use pdata::TraceId;

use super::config::Strategy;
use super::counts::{Counts, Early, Final, PolicyCounts};
use super::entry::Facts;
use super::mark::Mark;
use super::peers::Decision;
use super::policy::{Label, Now, Policies, State, Trace, Vote};
use super::recent::Record;
use super::sampler::{Sampler, now};
use super::threshold;

/// Traces that are decided in one step: about a millisecond. Between steps every waiting request has its turn, so that
/// many short steps would let a busy core fall behind its ticks, and what is decided late is memory.
const SLICE: usize = 8192;

/// Traces whose memory is asked for at a time before they are settled.
const LOT: usize = 64;

/// Traces that one policy is asked about before the next one is: their entries stay in the nearest cache meanwhile.
const ASKED: usize = 128;

/// Spans that are read in one step, and fewer if segments have to be decompressed: one or two milliseconds.
const WORK: usize = 8192;

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
    /// The member of the last `composite` that sampled.
    pub(super) composite: Label,
}

const UNDECIDED: Verdict =
    Verdict { dropped: false, sampled: false, threshold: u64::MAX, policy: u16::MAX, composite: Label::NONE };

/// A number that has nothing to do with the id's order, nor with the hash of `probabilistic`; the same in every run.
pub(super) fn scatter(id: &TraceId) -> u64 {
    let (first, second) = super::id_hash::halves(id);
    let product = u128::from(first ^ 0x9e37_79b9_7f4a_7c15) * u128::from(second ^ 0xbf58_476d_1ce4_e5b9);
    (product >> 64) as u64 ^ product as u64
}

/// Of a trace that no policy decides.
pub(super) const NOT_SAMPLED: Mark =
    Mark { outcome: Final::NotSampled, policy: Label::NONE, composite: Label::NONE, cached: false, threshold: 0 };

/// What policies make of some traces.
pub(super) struct Judged {
    pub(super) verdicts: Vec<Verdict>,
    /// One a trace and policy, only where decisions are remembered.
    votes: Vec<Option<Vote>>,
    n_policies: usize,
}

impl Judged {
    /// All votes on a trace, if they were noted.
    pub(super) fn votes(&self, row: usize) -> &[Option<Vote>] {
        self.votes.get(row * self.n_policies..(row + 1) * self.n_policies).unwrap_or_default()
    }
}

/// Asks all policies about traces, policy by policy.
pub(super) fn ask<'a>(
    policies: &Policies,
    (state, counts): (&mut State, &mut Counts),
    first_match: bool,
    noted: bool,
    clock: &dyn Clock,
    n_traces: usize,
    trace: impl Fn(usize) -> Trace<'a>,
) -> Judged {
    let now = now(clock);
    let mut verdicts = vec![UNDECIDED; n_traces];
    let shape = policies.shape();
    let n_policies = policies.list().len();
    let mut votes = vec![None; if noted { n_traces * n_policies } else { 0 }];
    let mut before = clock.monotonic();
    for (lot, verdicts) in verdicts.chunks_mut(ASKED).enumerate() {
        for (number, policy) in policies.list().iter().enumerate() {
            let mut asked = PolicyCounts::default();
            for (at, verdict) in (lot * ASKED..).zip(&mut *verdicts) {
                if verdict.dropped || (verdict.sampled && first_match) {
                    continue;
                }
                let trace = trace(at);
                let vote = policy.vote(shape, trace, state, now);
                asked.vote(vote, trace.facts);
                if let Some(noted) = votes.get_mut(at * n_policies + number) {
                    *noted = Some(vote);
                }
                match vote {
                    Vote::Sampled => {
                        let member = policy.sampled_member(state);
                        verdict.composite = if member == Label::NONE { verdict.composite } else { member };
                        if policy.threshold < verdict.threshold || !verdict.sampled {
                            verdict.sampled = true;
                            verdict.threshold = policy.threshold;
                            verdict.policy = u16::try_from(number).unwrap_or(u16::MAX);
                        }
                    }
                    Vote::Dropped => {
                        verdict.dropped = true;
                        verdict.policy = u16::try_from(number).unwrap_or(u16::MAX);
                    }
                    Vote::NotSampled | Vote::Error => {}
                }
            }
            let after = clock.monotonic();
            asked.took(after.saturating_sub(before));
            before = after;
            counts.asked(number, &asked);
        }
    }
    Judged { verdicts, votes, n_policies }
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
        if !self.config.drops_pending() {
            // `u32::MAX` marks traces that are settled.
            self.tick = u32::MAX - 1;
            let due = self.table.take_due(self.tick);
            self.queue(due);
        }
    }

    fn queue(&mut self, mut due: Vec<u32>) {
        if self.config.record_threshold && self.policies.has_limits() {
            // Who comes first has the tokens. For what passes to stand for what does not, it must not depend on the
            // order of arrival, which may follow services; contrib decides in random order always.
            due.sort_by_cached_key(|at| scatter(&self.table.entry(*at).id));
        }
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
        // What limits have let pass is known when all of a tick's traces are decided.
        let waits = self.config.record_threshold && self.policies.has_limits() && self.due_at < self.due.len();
        if self.has_output() && !waits {
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
            self.decide(&slice, None, clock);
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
        self.state.end_tick();
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
        self.decide(&oldest, Some(why), clock);
    }

    /// With `decide_early`: decides those of the traces that later spans cannot change.
    pub(super) fn decide_certain(&mut self, clock: &dyn Clock) {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.sort_unstable();
        arrived.dedup();
        self.ask_again(&arrived);
        let policies = self.policies.clone();
        arrived.retain(|at| {
            let entry = self.table.entry(*at);
            let trace = Trace { id: &entry.id, facts: &entry.facts, answers: self.table.answers(*at) };
            // A trace that is settled already, because of a limit, is not decided again.
            entry.due != u32::MAX && policies.is_certain(trace)
        });
        self.counts.early[Early::Certain as usize] += arrived.len() as u64;
        self.decide(&arrived, Some(Early::Certain), clock);
        arrived.clear();
        self.arrived = arrived;
    }

    /// Decides waiting traces on what is known of them.
    pub(super) fn decide(&mut self, traces: &[u32], early: Option<Early>, clock: &dyn Clock) {
        if self.config.strategy == Strategy::SpanIngest {
            // Every batch has been asked about already; what was not sampled then is not sampled.
            let now = now(clock);
            for at in traces {
                self.counts.traces[Final::NotSampled as usize] += 1;
                self.settle(*at, NOT_SAMPLED, false, now);
            }
            return;
        }
        self.ask_again(traces);
        let policies = self.policies.clone();
        let (table, first_match, noted) = (&self.table, self.config.sample_on_first_match, self.recent.is_on());
        let trace = |at: usize| {
            let entry = table.entry(traces[at]);
            Trace { id: &entry.id, facts: &entry.facts, answers: table.answers(traces[at]) }
        };
        let limits = (&mut self.state, &mut self.counts);
        let judged = ask(&policies, limits, first_match, noted, clock, traces.len(), trace);
        let now = now(clock);
        let mut hashes = Vec::with_capacity(LOT);
        for (lot, traces) in traces.chunks(LOT).enumerate() {
            // So that no trace waits alone for the places that it leaves and gets.
            self.warm_settling(traces, &mut hashes);
            for (row, at) in (lot * LOT..).zip(traces) {
                self.conclude(*at, judged.verdicts[row], early, judged.votes(row), now);
            }
        }
    }

    /// Asks for the memory that settling these traces needs: where tables have them and will have the decisions. The buffer is for
    /// their hashes.
    pub(super) fn warm_settling(&self, traces: &[u32], hashes: &mut Vec<u64>) {
        hashes.clear();
        hashes.extend(self.table.hashes(traces));
        self.table.warm(hashes);
        self.decided.warm_oldest(traces.len());
        self.warm_decisions(|| hashes.iter().copied());
    }

    /// Asks for the memory where decisions on traces of these hashes are or will be remembered.
    pub(super) fn warm_decisions<I: Iterator<Item = u64>>(&self, hashes: impl Fn() -> I) {
        self.decided.warm(hashes());
        for cache in [&self.sampled_cache, &self.non_sampled_cache] {
            if cache.is_enabled() {
                cache.warm(hashes());
            }
        }
    }

    fn conclude(&mut self, at: u32, verdict: Verdict, early: Option<Early>, votes: &[Option<Vote>], now: Now) {
        let decision = self.count(verdict, self.table.entry(at).facts.spans);
        let mut mark = self.mark(decision, verdict.composite);
        if decision.is_sampled() {
            mark.threshold = self.threshold_of(at);
        }
        let entry = self.table.entry(at);
        let (id, facts) = (entry.id, entry.facts);
        self.note(&id, &facts, mark, early, votes, now);
        if let Some(exchange) = &mut self.exchange {
            exchange.settled(id, Decision { threshold: mark.threshold, ..decision });
        }
        self.settle(at, mark, true, now);
    }

    /// What spans may tell of a decision.
    pub(super) fn mark(&self, decision: Decision, composite: Label) -> Mark {
        let policy = self.policies.list().get(usize::from(decision.policy));
        let policy = policy.map_or(Label::NONE, |policy| policy.label);
        Mark { outcome: decision.outcome, policy, composite, cached: false, threshold: 0 }
    }

    /// Remembers a decision for those who ask why.
    pub(super) fn note(
        &mut self,
        id: &TraceId,
        facts: &Facts,
        mark: Mark,
        early: Option<Early>,
        votes: &[Option<Vote>],
        now: Now,
    ) {
        if !self.recent.is_on() {
            return;
        }
        let record =
            Record { id: *id, decided_unix_nano: now.unix_nano, facts: *facts, mark, early, votes: Vec::new() };
        let labels = self.policies.list().iter().map(|policy| policy.label);
        let asked = labels.zip(votes).filter_map(|(label, vote)| Some((label, (*vote)?)));
        self.recent.add(record, asked);
    }

    /// Counts a verdict on a trace of so many spans as a decision.
    pub(super) fn count(&mut self, verdict: Verdict, spans: u64) -> Decision {
        let outcome = match verdict {
            Verdict { dropped: true, .. } => Final::Dropped,
            Verdict { sampled: true, .. } => Final::Sampled,
            _ => Final::NotSampled,
        };
        self.counts.traces[outcome as usize] += 1;
        let policy = if outcome == Final::NotSampled { u16::MAX } else { verdict.policy };
        if let (Final::Sampled, Some(policy)) = (outcome, self.counts.policies.get_mut(usize::from(policy))) {
            policy.kept += 1;
            policy.kept_spans += spans;
        }
        Decision::new(outcome, policy)
    }

    /// The sampling threshold of a sampled trace: of all policies together, not of the responsible one alone. 0 if it
    /// is not asked for.
    pub(super) fn threshold_of(&self, at: u32) -> u64 {
        let entry = self.table.entry(at);
        self.threshold_on(Trace { id: &entry.id, facts: &entry.facts, answers: self.table.answers(at) })
    }

    /// As [`Sampler::threshold_of`], of a trace that need not wait here.
    pub(super) fn threshold_on(&self, trace: Trace<'_>) -> u64 {
        if !self.config.record_threshold {
            return 0;
        }
        threshold::of_probability(self.policies.inclusion(trace, &self.state))
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
            let mut votes = Vec::new();
            for (number, policy) in policies.list().iter().enumerate() {
                // A drop policy that has not dropped the trace may do so later: nothing is sampled until then.
                if verdict.dropped || verdict.sampled || (may_still_drop && number >= policies.drops()) {
                    break;
                }
                let before = clock.monotonic();
                let vote = policy.vote(shape, trace, &mut self.state, now);
                votes.push(Some(vote));
                let mut asked = PolicyCounts::default();
                asked.vote(vote, &facts);
                asked.took(clock.monotonic().saturating_sub(before));
                self.counts.asked(number, &asked);
                match vote {
                    Vote::Dropped => {
                        verdict.dropped = true;
                        verdict.policy = u16::try_from(number).unwrap_or(u16::MAX);
                    }
                    Vote::Sampled => {
                        verdict.sampled = true;
                        verdict.composite = policy.sampled_member(&self.state);
                        verdict.policy = u16::try_from(number).unwrap_or(u16::MAX);
                    }
                    Vote::NotSampled => may_still_drop |= number < policies.drops(),
                    Vote::Error => {}
                }
            }
            if verdict.dropped || verdict.sampled {
                self.conclude(*at, verdict, None, &votes, now);
            }
        }
        self.put_touched(touched);
    }
}
