//! A shard and the durable log: what the shard wants logged, what it no longer needs, and how it takes in again what an
//! earlier process had waiting. Everything here is off the path of a span, and none of it runs without `storage`.

use component::Clock;
use pdata::Traces;

use super::counts::Final;
use super::decide::NOT_SAMPLED;
use super::decided;
use super::log::Link;
use super::mark::{Late, Mark};
use super::policy::Questions;
use super::sampler::{Sampler, Share};
use super::storage::{Decision, Event};

const NANOS: u64 = 1_000_000_000;

/// The moment at which a batch of an earlier process arrived.
struct Arrival(u64);

impl Clock for Arrival {
    fn unix_nano(&self) -> u64 {
        self.0
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }
}

impl Sampler {
    /// From now on decisions are kept for [`Sampler::take_unlogged`].
    pub(super) fn log_decisions(&mut self) {
        self.unlogged = Some(Vec::new());
    }

    /// The spans of a trace with this decision are about to be handed on.
    pub(super) fn hands_on(&mut self, at: u32, outcome: Final) {
        if let Some(unlogged) = &mut self.unlogged {
            let entry = self.table.entry(at);
            let first_seen = whole_seconds(entry.facts.first_arrival);
            let sampled = outcome == Final::Sampled;
            let decided = self.settled_seconds;
            unlogged.push(Decision { id: entry.id, first_seen, decided, sampled, forgotten: false });
        }
    }

    /// Decisions that are to be logged, in order: those not to keep a trace since they were made, those to keep one when
    /// its spans have been handed to the caller.
    pub(super) fn take_unlogged(&mut self) -> Vec<Decision> {
        self.unlogged.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The file of the durable log that the oldest waiting span is in, or an older one; none if nothing waits.
    pub(super) fn oldest_epoch(&self) -> Option<u32> {
        let waits = self.table.len() > 0 || self.has_output();
        let held = self.held_epochs.values().copied();
        waits.then(|| held.chain(self.log.oldest_epoch()).min()).flatten()
    }

    /// Takes in what the log of an earlier process says, as far as it concerns this shard.
    pub(super) fn recover(&mut self, event: &Event, questions: &Questions, share: Share, now_unix_nano: u64) {
        match event {
            Event::Batch { epoch, arrival_unix_nano, traces } => {
                self.log.set_epoch(*epoch);
                self.restore(traces, questions, share, *arrival_unix_nano, now_unix_nano);
            }
            Event::Decision(decision) if share.takes(&decision.id) => self.remember(*decision),
            Event::Decision(_) => {}
        }
    }

    /// Takes in spans that waited in an earlier process, at the time they arrived. They are decided when they would have
    /// been, or at the next tick if that has passed.
    fn restore(&mut self, traces: &Traces, questions: &Questions, share: Share, arrival: u64, now_unix_nano: u64) {
        let age = whole_seconds(now_unix_nano.saturating_sub(arrival));
        self.recovering = Some(age);
        self.begin_batch(traces.resource_count());
        let asked = questions.ask(traces);
        // Spans of traces that are decided were handed on or dropped when they arrived.
        let mut late = Late::new();
        self.ingest(traces, &asked, share, 0, &Arrival(arrival), &mut late);
        self.recovering = None;
    }

    /// Remembers a decision of an earlier process.
    fn remember(&mut self, decision: Decision) {
        let Decision { id, first_seen, decided, sampled, forgotten } = decision;
        if let Some(exchange) = &mut self.exchange {
            exchange.recall(id, sampled);
        }
        if let Some(at) = self.table.find(&id) {
            // Spans are given only if no later decision is known, so somebody has written to the log who should not
            // have. What was decided last holds.
            let (born, empty) = (self.table.entry(at).born, self.table.entry(at).last == Link::NONE);
            self.table.settle(at);
            self.let_go(at, born, empty);
        }
        if forgotten {
            return;
        }
        let cache = if sampled { &mut self.sampled_cache } else { &mut self.non_sampled_cache };
        // The log knows no more of a decision: late spans after a restart name no policy and stand for themselves.
        let outcome = if sampled { Final::Sampled } else { Final::NotSampled };
        let note = Mark { outcome, ..NOT_SAMPLED }.note();
        if cache.is_enabled() {
            cache.insert(id, note);
        } else {
            self.decided.insert(decided::Decision { id, first_seen, decided, late_part: u32::MAX, note });
        }
    }
}

fn whole_seconds(nanos: u64) -> u32 {
    u32::try_from(nanos / NANOS).unwrap_or(u32::MAX)
}
