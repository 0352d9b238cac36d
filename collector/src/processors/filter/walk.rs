//! One group of conditions, compiled, and its walk over a batch: resource, scope, span, event.

use bytes::Bytes;
use component::ConsumeError;
use ottl::{ConditionId, Context, ErrorMode, EvalError, ListId, Options, Outcome, Program, ProgramBuilder};
use pdata::span::events;
use pdata::wire::{Field, Fields, put_bytes};
use pdata::{ResourceView, ScopeView, SpanView, Traces};

use super::config::{Condition, Group};
use crate::config::Problems;

/// A compiled group.
pub(super) struct Walk {
    program: Program,
    resource: Option<List>,
    scope: Option<List>,
    span: Option<List>,
    event: Option<List>,
    error_mode: ErrorMode,
}

struct List {
    id: ListId,
    texts: Vec<String>,
}

/// Errors of one batch: the first is told, all are counted, so that a bad condition writes one line a batch at most.
#[derive(Default)]
struct Errors {
    count: usize,
    first: Option<(String, EvalError)>,
}

impl Errors {
    fn add(&mut self, text: &str, error: EvalError) {
        self.count += 1;
        self.first.get_or_insert_with(|| (text.to_owned(), error));
    }
}

impl Walk {
    /// Compiles the group's conditions into one program; every mistake goes to `problems`.
    pub(super) fn compile(group: &Group, options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.list().len();
        let mut builder = ProgramBuilder::new(options.clone());
        let mut lists: [Vec<(ConditionId, String)>; 4] = Default::default();
        for condition in &group.conditions {
            let Condition { path, text, context, mode } = condition;
            let added = match context {
                Some(context) => builder.add(text, *context, *mode).map(|id| (*context, id)),
                None => infer(text).and_then(|context| builder.add(text, context, *mode).map(|id| (context, id))),
            };
            match added {
                Ok((context, id)) => {
                    let at = CONTEXTS.iter().position(|known| *known == context).unwrap_or(0);
                    lists[at].push((id, text.clone()));
                }
                Err(errors) => {
                    for error in errors {
                        problems.add(path.clone(), error.render(text, false));
                    }
                }
            }
        }
        if problems.list().len() != before {
            return None;
        }
        let [resource, scope, span, event] = lists.map(|conditions| {
            let (ids, texts): (Vec<_>, Vec<_>) = conditions.into_iter().unzip();
            (!ids.is_empty()).then(|| List { id: builder.list_over_rows(&ids, group.error_mode), texts })
        });
        match builder.build() {
            Ok(program) => Some(Self { program, resource, scope, span, event, error_mode: group.error_mode }),
            Err(error) => {
                problems.add("", error.to_string());
                None
            }
        }
    }

    /// Removes what conditions hold for. An error is one of `propagate`; the batch is then not to be handed on.
    pub(super) fn run(&self, batch: &mut Traces) -> Result<(), ConsumeError> {
        let mut errors = Errors::default();
        let mut failed = Errors::default();
        let mut kept = Kept::new(batch);
        {
            let mut pass = Pass {
                walk: self,
                rows: self.program.rows(),
                indexes: Vec::with_capacity(LOT),
                errors: &mut errors,
                failed: &mut failed,
            };
            for resource in batch.resources() {
                pass.resource(&resource, &mut kept);
            }
        }
        for (index, bytes) in kept.edited {
            let edited = batch.replace_span(index, Bytes::from(bytes));
            // What is left of a valid message without some of its fields is a valid message.
            debug_assert!(edited.is_ok(), "{edited:?}");
        }
        if self.scope.is_none() && self.span.is_none() && self.event.is_none() {
            batch.retain_resources(|index| kept.resources[index]);
            // With conditions on resources only, upstream looks no further than whether there are scopes at all.
            batch.prune_resources();
        } else if kept.dropped == 0 && kept.protected {
            // Nothing to do: an element that an error protects stays even if it is empty.
        } else {
            batch.retain_spans(|index| kept.spans[index]);
        }
        if let Some((text, error)) = errors.first.filter(|_| self.error_mode == ErrorMode::Ignore) {
            tracing::warn!(condition = text, error = %error, errors = errors.count, "failed to eval condition");
        }
        match failed.first {
            Some((text, error)) => Err(ConsumeError::retryable(format!("failed to eval condition {text:?}: {error}"))),
            None => Ok(()),
        }
    }
}

/// The context of a condition that names none (spec ottl.md 10.3).
fn infer(text: &str) -> Result<Context, Vec<ottl::Error>> {
    ottl::infer_context(text, &CONTEXTS)
}

const CONTEXTS: [Context; 4] = [Context::Resource, Context::Scope, Context::Span, Context::SpanEvent];

/// What stays, by row number.
struct Kept {
    resources: Vec<bool>,
    spans: Vec<bool>,
    /// Spans with events taken out.
    edited: Vec<(usize, Vec<u8>)>,
    dropped: usize,
    protected: bool,
}

impl Kept {
    fn new(batch: &Traces) -> Self {
        Self {
            resources: vec![true; batch.resource_count()],
            spans: vec![true; batch.span_count()],
            edited: Vec::new(),
            dropped: 0,
            protected: false,
        }
    }

    fn drop_span(&mut self, index: usize) {
        self.spans[index] = false;
        self.dropped += 1;
    }
}

/// Spans that are asked about together: their slots stay in the nearest cache.
const LOT: usize = 64;

/// One walk over one batch.
struct Pass<'p, 'w> {
    walk: &'p Walk,
    rows: ottl::Rows<'w>,
    /// Of the spans in `rows`.
    indexes: Vec<usize>,
    errors: &'p mut Errors,
    failed: &'p mut Errors,
}

impl<'w> Pass<'_, 'w> {
    fn resource(&mut self, resource: &ResourceView<'w>, kept: &mut Kept) {
        let walk = self.walk;
        walk.program.load_resource(self.rows.frame(), resource.resource(), resource.schema_url());
        match self.ask(walk.resource.as_ref()) {
            Outcome::False => {}
            Outcome::True => {
                kept.resources[resource.index()] = false;
                for span in resource.scopes().flat_map(|scope| scope.spans()) {
                    kept.drop_span(span.index());
                }
                return;
            }
            Outcome::Error(_) => {
                kept.protected = true;
                return;
            }
        }
        if walk.scope.is_none() && walk.span.is_none() && walk.event.is_none() {
            return;
        }
        for scope in resource.scopes() {
            self.scope(&scope, kept);
        }
    }

    fn scope(&mut self, scope: &ScopeView<'w>, kept: &mut Kept) {
        let walk = self.walk;
        walk.program.load_scope(self.rows.frame(), scope.scope(), scope.schema_url());
        match self.ask(walk.scope.as_ref()) {
            Outcome::False => {}
            Outcome::True => {
                for span in scope.spans() {
                    kept.drop_span(span.index());
                }
                return;
            }
            Outcome::Error(_) => {
                kept.protected = true;
                return;
            }
        }
        if walk.span.is_none() && walk.event.is_none() {
            return;
        }
        match (&walk.span, &walk.event) {
            (Some(list), None) => self.spans(list, scope, kept),
            _ => scope.spans().for_each(|span| self.span(&span, kept)),
        }
    }

    /// The spans of a scope where no condition is on events.
    fn spans(&mut self, list: &List, scope: &ScopeView<'w>, kept: &mut Kept) {
        for span in scope.spans() {
            self.walk.program.push_span(&mut self.rows, &span);
            self.indexes.push(span.index());
            if self.rows.len() == LOT {
                self.lot(list, kept);
            }
        }
        self.lot(list, kept);
    }

    fn lot(&mut self, list: &List, kept: &mut Kept) {
        let errors = &mut *self.errors;
        let mut on_error = |index: usize, error: EvalError| {
            errors.add(list.texts.get(index).map_or("", String::as_str), error);
        };
        let outcomes = self.walk.program.eval_rows(&mut self.rows, list.id, &mut on_error);
        for (outcome, &index) in outcomes.iter().zip(&self.indexes) {
            match outcome {
                Outcome::False => {}
                Outcome::True => kept.drop_span(index),
                Outcome::Error(error) => self.failed.add(list.texts.first().map_or("", String::as_str), error),
            }
        }
        self.rows.clear();
        self.indexes.clear();
    }

    fn span(&mut self, span: &SpanView<'w>, kept: &mut Kept) {
        let walk = self.walk;
        walk.program.load_indexed_span(self.rows.frame(), span);
        match self.ask(walk.span.as_ref()) {
            Outcome::False => {}
            Outcome::True => return kept.drop_span(span.index()),
            Outcome::Error(_) => return,
        }
        if walk.event.is_none() {
            return;
        }
        let gone: Vec<bool> = events(span.bytes())
            .map(|event| {
                walk.program.load_event(self.rows.frame(), event);
                self.ask(walk.event.as_ref()) == Outcome::True
            })
            .collect();
        if gone.contains(&true) {
            kept.edited.push((span.index(), without_events(span.bytes(), &gone)));
        }
    }

    fn ask(&mut self, list: Option<&List>) -> Outcome {
        let Some(list) = list else { return Outcome::False };
        let errors = &mut *self.errors;
        let mut on_error = |index: usize, error: EvalError| {
            errors.add(list.texts.get(index).map_or("", String::as_str), error);
        };
        let outcome = self.walk.program.eval_list(self.rows.frame(), list.id, &mut on_error);
        if let Outcome::Error(error) = outcome {
            self.failed.add(list.texts.first().map_or("", String::as_str), error);
        }
        outcome
    }
}

/// The span's bytes without the marked events; every other field stays as it was, in its order.
fn without_events(span: &[u8], gone: &[bool]) -> Vec<u8> {
    let mut out = Vec::with_capacity(span.len());
    let mut number_of_event = 0;
    for (number, field) in Fields::new(span) {
        if number == 11 {
            number_of_event += 1;
            if gone.get(number_of_event - 1) == Some(&true) {
                continue;
            }
        }
        put_field(&mut out, number, field);
    }
    out
}

fn put_field(out: &mut Vec<u8>, number: u32, field: Field<'_>) {
    let tag = |out: &mut Vec<u8>, wire_type: u64| pdata::wire::put_varint(out, u64::from(number) << 3 | wire_type);
    match field {
        Field::Varint(value) => {
            tag(out, 0);
            pdata::wire::put_varint(out, value);
        }
        Field::Fixed64(value) => {
            tag(out, 1);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Field::Fixed32(value) => {
            tag(out, 5);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Field::Bytes(bytes) => put_bytes(out, number, bytes),
    }
}
