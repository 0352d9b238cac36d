//! What the exchange does, in numbers. None of these are upstream's.

use std::sync::Mutex;

use ::peers::{Counters, Millis, Node};
use component::telemetry::{Counter, Definition, Gauge, Histogram, Registry};

use super::super::metrics::definition;
use super::entry::{Decision, Entry};
use super::lock;

const SCOPE: &str = "ottlcol/tail_sampling/peers";

/// Milliseconds.
const ROUND_TRIP_BOUNDS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

macro_rules! ours {
    ($name:literal, $unit:literal, $description:literal) => {
        definition!(SCOPE, "ottlcol_processor_tail_sampling_peers_", $name, $unit, $description)
    };
}

const COUNTERS: [Definition; 11] = [
    ours!("entries_sent", "{entries}", "Entries of parts of traces reported to their owners"),
    ours!("entries_received", "{entries}", "Entries of parts of traces that other instances have reported"),
    ours!("decisions_sent", "{decisions}", "Decisions told to other instances"),
    ours!("traces_judged", "{traces}", "Traces decided here as their owner"),
    ours!("traces_merged", "{traces}", "Of those, traces with parts at more than one instance"),
    ours!("traces_incomplete", "{traces}", "Of those, traces that an unheard instance may have had a part of"),
    ours!("traces_alone", "{traces}", "Traces decided on this instance's part: no owner answered, or no room"),
    ours!("traces_adopted", "{traces}", "Decisions taken over from an instance that knew them"),
    ours!("conflicts", "{decisions}", "Decisions heard of that differ from the one obeyed here"),
    ours!("ring_changes", "{changes}", "Times that the owners as seen from here have changed"),
    ours!("entries_refused", "{entries}", "Entries not taken for lack of room; they are reported again"),
];
const BYTES_SENT: Definition = ours!("bytes_sent", "By", "Bytes of messages sent to other instances");
const BYTES_RECEIVED: Definition = ours!("bytes_received", "By", "Bytes of messages received from other instances");
const FAILED: Definition = ours!("exchanges_failed", "{exchanges}", "Exchanges without a good answer");
const ROUND_TRIP: Definition = ours!("round_trip", "ms", "Time from a collect to its report");
const HANDED_OVER: Definition = ours!(
    "traces_handed_over",
    "{traces}",
    "Traces whose spans another instance has taken from this one as it stopped"
);
const TAKEN_OVER: Definition =
    ours!("traces_taken_over", "{traces}", "Traces whose spans this instance has taken from one that stopped");
const MEMBERS: Definition = ours!("members", "{instances}", "Other instances that answer");
const OWNERS: Definition = ours!("owners", "{instances}", "Instances that own traces, as seen from here");
const HELD: Definition = ours!("traces_held", "{traces}", "Traces with spans here that wait for a decision");
const OWNED: Definition = ours!("traces_owned", "{traces}", "Traces that wait here to be decided for all");

pub(super) struct Metrics {
    counters: [Counter; 11],
    seen: Mutex<Counters>,
    pub(super) sent: Counter,
    pub(super) received: Counter,
    pub(super) failed: Counter,
    pub(super) handed_over: Counter,
    pub(super) taken_over: Counter,
    pub(super) round_trip: Histogram,
    members: Gauge,
    owners: Gauge,
    held: Gauge,
    owned: Gauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            counters: COUNTERS.map(|definition| registry.counter(definition, &[])),
            seen: Mutex::default(),
            sent: registry.counter(BYTES_SENT, &[]),
            received: registry.counter(BYTES_RECEIVED, &[]),
            failed: registry.counter(FAILED, &[]),
            handed_over: registry.counter(HANDED_OVER, &[]),
            taken_over: registry.counter(TAKEN_OVER, &[]),
            round_trip: registry.histogram(ROUND_TRIP, &ROUND_TRIP_BOUNDS, &[]),
            members: registry.gauge(MEMBERS, &[]),
            owners: registry.gauge(OWNERS, &[]),
            held: registry.gauge(HELD, &[]),
            owned: registry.gauge(OWNED, &[]),
        }
    }

    /// Adds what the node has counted, and says when something changed that a person wants to know.
    pub(super) fn show(&self, node: &Node<Entry, Decision>, now: Millis) {
        let counters = node.counters();
        let before = std::mem::replace(&mut *lock(&self.seen), counters);
        for ((cell, now), before) in self.counters.iter().zip(list(&counters)).zip(list(&before)) {
            cell.add(now.saturating_sub(before));
        }
        let states = node.states(now);
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.members.set(count(states.iter().filter(|state| state.condition == "answers").count()));
        self.owners.set(count(node.owners()));
        let (held, owned, _) = node.sizes();
        self.held.set(count(held));
        self.owned.set(count(owned));
        if counters.view_changes != before.view_changes {
            let others: Vec<String> =
                states.iter().map(|state| format!("{} ({})", state.name, state.condition)).collect();
            tracing::info!(
                owners = node.owners(),
                owns = node.is_owner(),
                others = others.join(", "),
                "tail_sampling: the ring of owners has changed"
            );
        }
        let (alone, incomplete) = (counters.alone - before.alone, counters.incomplete - before.incomplete);
        if alone > 0 || incomplete > 0 {
            tracing::warn!(alone, incomplete, "tail_sampling has decided traces without hearing all its peers");
        }
    }
}

/// In the order of [`COUNTERS`].
pub(super) fn list(counters: &Counters) -> [u64; 11] {
    [
        counters.entries_sent,
        counters.entries_received,
        counters.decisions_sent,
        counters.judged,
        counters.merged,
        counters.incomplete,
        counters.alone,
        counters.adopted,
        counters.conflicts,
        counters.view_changes,
        counters.refused_entries,
    ]
}
