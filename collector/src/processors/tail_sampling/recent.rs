//! The last decisions, kept ones and others, with everything that led to them: what a user looks at to understand
//! a policy. Two rings of fixed length; nothing here influences a decision.

use std::collections::VecDeque;

use pdata::TraceId;

use super::counts::{Early, Final};
use super::entry::Facts;
use super::mark::Mark;
use super::policy::{Label, Labels, Vote};

/// A decision.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: TraceId,
    pub(super) decided_unix_nano: u64,
    pub(super) facts: Facts,
    pub(super) mark: Mark,
    /// Why it was decided before its time.
    pub(super) early: Option<Early>,
    /// Policies that were asked, in order.
    pub(super) votes: Vec<(Label, Vote)>,
}

/// The rings of one shard.
#[derive(Debug, Default)]
pub(super) struct Recent {
    capacity: usize,
    kept: VecDeque<Record>,
    others: VecDeque<Record>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    id: Option<TraceId>,
    outcome: Option<Final>,
    limit: Option<usize>,
}

impl Recent {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// False if nothing is remembered.
    pub(super) fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Remembers a decision; `votes` are copied into the buffer of the one that goes for it.
    pub(super) fn add(&mut self, mut record: Record, votes: impl Iterator<Item = (Label, Vote)>) {
        let ring = if record.mark.outcome == Final::Sampled { &mut self.kept } else { &mut self.others };
        if ring.len() >= self.capacity
            && let Some(gone) = ring.pop_front()
        {
            record.votes = gone.votes;
        }
        record.votes.clear();
        record.votes.extend(votes);
        ring.push_back(record);
    }

    /// The decisions that a query asks for, the newest first.
    pub(super) fn find(&self, query: &Query) -> Vec<Record> {
        let wanted = |record: &&Record| {
            query.id.is_none_or(|id| id == record.id)
                && query.outcome.is_none_or(|outcome| outcome == record.mark.outcome)
        };
        let mut found: Vec<Record> = self.kept.iter().chain(&self.others).filter(wanted).cloned().collect();
        found.sort_by_key(|record| std::cmp::Reverse(record.decided_unix_nano));
        found.truncate(query.limit());
        found
    }
}

impl Query {
    /// Most decisions that are wanted.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// Reads `trace_id=HEX&decision=sampled|not_sampled|dropped&limit=N`.
    ///
    /// # Errors
    /// Says what is wrong with it, and what there is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let wrong = |expected: &str| format!("{key}: {value:?} is not {expected}");
            match key {
                "trace_id" => query.id = Some(trace_id(value).ok_or_else(|| wrong("32 hexadecimal digits"))?),
                "decision" => {
                    let all = [Final::Sampled, Final::NotSampled, Final::Dropped];
                    let found = all.into_iter().find(|outcome| outcome.as_str() == value);
                    query.outcome = Some(found.ok_or_else(|| wrong("one of sampled, not_sampled, dropped"))?);
                }
                "limit" => query.limit = Some(value.parse().map_err(|_| wrong("a number"))?),
                _ => return Err(format!("unknown parameter {key:?}; there are trace_id, decision and limit")),
            }
        }
        Ok(query)
    }
}

fn trace_id(hex: &str) -> Option<TraceId> {
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(hex, 16).ok().map(u128::to_be_bytes)
}

impl Record {
    /// For the page.
    pub(super) fn to_json(&self, labels: &Labels) -> serde_json::Value {
        let name = |label| Some(labels.name(label)).filter(|name| !name.is_empty());
        let votes: serde_json::Map<_, _> = self
            .votes
            .iter()
            .map(|(policy, vote)| {
                let vote = match vote {
                    Vote::Sampled => "sampled",
                    Vote::NotSampled => "not_sampled",
                    Vote::Dropped => "dropped",
                    Vote::Error => "error",
                };
                (labels.name(*policy).to_owned(), vote.into())
            })
            .collect();
        let mut out = serde_json::json!({
            "trace_id": format!("{:032x}", u128::from_be_bytes(self.id)),
            "decision": self.mark.outcome.as_str(),
            "policy": name(self.mark.policy),
            "spans": self.facts.spans,
            "bytes": self.facts.bytes,
            "duration_ms": self.facts.duration_ms(),
            "first_arrival_unix_nano": self.facts.first_arrival,
            "decided_unix_nano": self.decided_unix_nano,
            "votes": votes,
        });
        if let Some(fields) = out.as_object_mut() {
            if let Some(composite) = name(self.mark.composite) {
                fields.insert("composite_policy".to_owned(), composite.into());
            }
            if let Some(early) = self.early {
                fields.insert("decided_early_by".to_owned(), early.as_str().into());
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u8, outcome: Final) -> Record {
        let mark = Mark { outcome, policy: Label::NONE, composite: Label::NONE, cached: false, threshold: 0 };
        let facts = Facts::default();
        Record { id: [n; 16], decided_unix_nano: u64::from(n), facts, mark, early: None, votes: Vec::new() }
    }

    #[test]
    fn rings_of_both_kinds_keep_the_newest() {
        let mut recent = Recent::new(2);
        for n in 0..5 {
            recent.add(record(n, Final::Sampled), [(Label::NONE, Vote::Sampled)].into_iter());
        }
        recent.add(record(9, Final::Dropped), std::iter::empty());
        let ids = |query: &str| -> Vec<u8> {
            recent.find(&Query::parse(query).unwrap()).iter().map(|record| record.id[0]).collect()
        };
        assert_eq!(ids(""), [9, 4, 3]);
        assert_eq!(ids("decision=sampled&limit=1"), [4]);
        assert_eq!(ids("trace_id=03030303030303030303030303030303"), [3]);
        assert!(ids("decision=not_sampled").is_empty());
    }

    #[test]
    fn wrong_queries_say_what_there_is() {
        let error = |query: &str| Query::parse(query).unwrap_err();
        assert_eq!(error("trace=1"), "unknown parameter \"trace\"; there are trace_id, decision and limit");
        assert_eq!(error("trace_id=+3"), "trace_id: \"+3\" is not 32 hexadecimal digits");
        assert_eq!(error("decision=kept"), "decision: \"kept\" is not one of sampled, not_sampled, dropped");
        assert_eq!(error("limit=-1"), "limit: \"-1\" is not a number");
    }
}
