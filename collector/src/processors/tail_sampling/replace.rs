//! Policies that are replaced while traces wait.
//!
//! Waiting traces, remembered decisions and the limits of policies that stay the same are kept. Answers to questions
//! that are asked again move to their new places. Where a question is new, spans that came before it are read back from
//! the log and asked when their trace is decided: so a replacement itself takes no longer with more spans waiting.

use std::sync::Arc;

use pdata::TracesBuilder;

use super::config::{Config, Strategy};
use super::counts::Counts;
use super::entry::Shape;
use super::log::Link;
use super::mark::Marking;
use super::policy::{Policies, Questions};
use super::sampler::Sampler;

impl Sampler {
    /// Takes over other policies, and what else [`Config::allows`] to change.
    pub(super) fn replace(&mut self, config: Arc<Config>, policies: Arc<Policies>, questions: Arc<Questions>) {
        let moves = questions.moves(&self.questions);
        self.state = policies.state_after(&self.policies, &self.state);
        self.table.move_answers(policies.shape(), &moves);
        if !moves.complete && config.strategy == Strategy::TraceComplete {
            let mut next = self.table.oldest();
            while let Some(at) = next {
                self.unasked.insert(at);
                next = self.table.newer(at);
            }
        }
        // What was counted under other policies has been taken before.
        self.counts = Counts { policies: Counts::new(policies.list().len()).policies, ..self.counts.take() };
        self.marking = Marking::of(&config);
        self.decided.set_capacity(config.decisions());
        (self.config, self.policies, self.questions) = (config, policies, questions);
    }

    /// Asks the spans of those traces that came before some question did.
    pub(super) fn ask_again(&mut self, traces: &[u32]) {
        if self.unasked.is_empty() {
            return;
        }
        let questions = self.questions.clone();
        for at in traces {
            if self.unasked.remove(at) {
                self.ask_trace(*at, &questions);
            }
        }
    }

    fn ask_trace(&mut self, at: u32, questions: &Questions) {
        let entry = self.table.entry(at);
        let (id, mut link, first_arrival) = (entry.id, entry.last, entry.facts.first_arrival);
        let mut records: Vec<(u32, Vec<u8>)> = Vec::new();
        while link != Link::NONE {
            match self.log.read(&id, link) {
                Ok(record) => {
                    records.push((record.envelope, record.span.to_vec()));
                    link = record.previous;
                }
                Err(lost) => {
                    tracing::error!(%lost, "spans of a waiting trace are lost");
                    break;
                }
            }
        }
        let mut builder = TracesBuilder::new();
        let mut envelope = None;
        for (number, span) in records.iter().rev() {
            let Some(surrounding) = self.envelopes.get(*number) else { continue };
            if envelope != Some(*number) {
                builder.resource(surrounding.resource, surrounding.resource_schema_url);
                builder.scope(surrounding.scope, surrounding.scope_schema_url);
                envelope = Some(*number);
            }
            builder.span(id, span);
        }
        let batch = builder.build();
        let asked = questions.ask(&batch);
        let shape: Shape = questions.shape();
        let mut answers: Vec<u64> = shape.empty().collect();
        for row in 0..batch.span_count() {
            let mut one = asked.answers(row).to_vec();
            // The log knows the order of arrival, not the times.
            shape.stamp(&mut one, first_arrival.saturating_add(row as u64));
            shape.merge(&mut answers, &one);
        }
        self.table.set_answers(at, &answers);
    }
}
