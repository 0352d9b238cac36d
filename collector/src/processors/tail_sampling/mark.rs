//! What spans that go out say of the decision on their trace, where it is asked for.
//!
//! `record_policy` writes attributes on instrumentation scopes, as contrib's gate `recordpolicy` does; `dry_run` adds what
//! would have become of the trace; `record_threshold` rewrites trace states (`threshold.rs`). Messages that have nothing
//! to say are handed on as the bytes they are.

use pdata::metrics::Value;
use pdata::value::{KeyValueRef, put_key_value};
use pdata::wire::{Cursor, Field, Fields, put_bytes};
use pdata::{Traces, TracesBuilder};

use super::config::Config;
use super::counts::Final;
use super::policy::{Label, Labels};
use super::threshold;

/// The decision on a trace, as far as its spans may tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Differs from [`Final::Sampled`] in a dry run only.
    pub(super) outcome: Final,
    /// The policy that is responsible for keeping it.
    pub(super) policy: Label,
    /// The sub-policy of a `composite` that sampled it.
    pub(super) composite: Label,
    /// The span is late, and a decision cache knew.
    pub(super) cached: bool,
    /// The sampling threshold, below 2^56.
    pub(super) threshold: u64,
}

/// A decision in the fewest bytes, for those that are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) outcome: Final,
    policy: Label,
    threshold: [u8; 7],
}

impl Mark {
    /// What is remembered of it.
    pub(super) fn note(&self) -> Note {
        let [threshold @ .., _] = self.threshold.to_le_bytes();
        Note { outcome: self.outcome, policy: self.policy, threshold }
    }
}

impl Note {
    /// What late spans say.
    pub(super) fn mark(self, cached: bool) -> Mark {
        let [a, b, c, d, e, f, g] = self.threshold;
        Mark {
            outcome: self.outcome,
            policy: self.policy,
            composite: Label::NONE,
            cached,
            threshold: u64::from_le_bytes([a, b, c, d, e, f, g, 0]),
        }
    }
}

/// Rows of a batch that belong to traces decided already and go on at once.
pub(super) type Late = Vec<(usize, Mark)>;

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marking {
    pub(super) policy: bool,
    pub(super) dry_run: bool,
    pub(super) threshold: bool,
}

impl Marking {
    pub(super) fn of(config: &Config) -> Self {
        Self { policy: config.record_policy, dry_run: config.dry_run, threshold: config.record_threshold }
    }

    /// True if scopes are written to: spans of traces with different marks cannot share one then.
    pub(super) fn is_on_scopes(self) -> bool {
        self.policy || self.dry_run
    }

    /// The InstrumentationScope message with the mark's attributes, which replace those of the same keys.
    pub(super) fn scope(self, message: &[u8], mark: &Mark, labels: &Labels) -> Vec<u8> {
        let mut attributes: Vec<(&str, Value)> = Vec::new();
        if self.policy {
            let text = |label| Some(labels.name(label)).filter(|name| !name.is_empty());
            if let Some(name) = text(mark.policy) {
                attributes.push(("tailsampling.policy", Value::String(name.to_owned())));
            }
            if let Some(name) = text(mark.composite) {
                attributes.push(("tailsampling.composite_policy", Value::String(name.to_owned())));
            }
            if mark.cached {
                attributes.push(("tailsampling.cached_decision", Value::Bool(true)));
            }
        }
        if self.dry_run {
            attributes.push(("tailsampling.dry_run_decision", Value::String(mark.outcome.as_str().to_owned())));
        }
        // Attributes are field 3 of an InstrumentationScope.
        let mut out = without(message, |number, raw| {
            number == 3
                && matches!(Fields::new(raw).next(), Some((_, Field::Bytes(attribute)))
                    if attributes.iter().any(|(key, _)| key.as_bytes() == KeyValueRef::parse(attribute).key))
        });
        for (key, value) in &attributes {
            put_key_value(&mut out, 3, key, value);
        }
        out
    }

    /// The Span message with its sampling threshold, or none if it stays as it is.
    pub(super) fn span(self, message: &[u8], mark: &Mark) -> Option<Vec<u8>> {
        if !self.threshold {
            return None;
        }
        let state = pdata::span::SpanFields::read(message).trace_state;
        let state = threshold::lowered(state, mark.threshold)?;
        // The trace state is field 3 of a Span.
        let mut out = without(message, |number, _| number == 3);
        put_bytes(&mut out, 3, &state);
        Some(out)
    }

    /// The late rows of a batch (ascending) as a batch of their own, and spans whose trace state cannot be read.
    pub(super) fn forward(self, mut batch: Traces, late: &Late, labels: &Labels) -> (Traces, u64) {
        if !self.is_on_scopes() && !self.threshold {
            batch.retain_spans(|row| late.binary_search_by_key(&row, |(row, _)| *row).is_ok());
            return (batch, 0);
        }
        let mut builder = TracesBuilder::new();
        let (mut resource, mut scope) = (None, None);
        let mut unreadable = 0;
        for (row, mark) in late {
            let Some(span) = batch.span(*row) else { continue };
            if resource != Some(span.resource_index()) {
                let from = span.resource();
                builder.resource(from.resource(), from.schema_url());
                resource = Some(span.resource_index());
                scope = None;
            }
            let key = (span.scope_index(), *mark);
            if scope.is_none_or(|(index, last)| index != key.0 || (self.is_on_scopes() && last != key.1)) {
                let from = span.scope();
                if self.is_on_scopes() {
                    builder.scope(&self.scope(from.scope(), mark, labels), from.schema_url());
                } else {
                    builder.scope(from.scope(), from.schema_url());
                }
                scope = Some(key);
            }
            let edited = self.span(span.bytes(), mark);
            unreadable += u64::from(self.threshold && edited.is_none());
            builder.span(*span.trace_id(), edited.as_deref().unwrap_or(span.bytes()));
        }
        (builder.build(), unreadable)
    }
}

/// Copies the fields of a validated message, except those that are not wanted.
fn without(message: &[u8], unwanted: impl Fn(u32, &[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut cursor = Cursor::new(message);
    loop {
        let start = cursor.position();
        // The index has checked the message, so both only end the loop behind its last field.
        let Ok(Some(tag)) = cursor.tag() else { return out };
        if cursor.skip_tag(tag).is_err() {
            return out;
        }
        let raw = message.get(start..cursor.position()).unwrap_or_default();
        if !unwanted(tag >> 3, raw) {
            out.extend_from_slice(raw);
        }
    }
}
