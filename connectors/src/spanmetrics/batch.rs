//! Counting a batch: resource by resource, scope by scope, span by span.

use pdata::Traces;
use pdata::span::{AttributesOf, ScopeFields, attribute_values};
use pdata::value::AnyValueRef;
use pdata::wire::{Cursor, Field, Fields, WireError};

use super::dimensions::{Found, Held, Label, Program, Source, Sources};
use super::labels::{Facts, kind_code, pack, status_code};
use super::lru::Place;
use super::resources::Resources;
use super::series::{Example, Observation, SeriesKey, Table};
use super::weight::{Weigher, Weight};
use super::wire::{Span32, key_value, push_text};
use super::{Plan, SpanMetrics};

/// Buffers that live as long as the connector, so that no span allocates.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    resource: Found,
    span: Found,
    event: Found,
    events: Vec<Span32>,
    key: Vec<u8>,
    resource_attributes: Vec<(Span32, Span32)>,
}

/// One batch being counted. Resource, scope and span messages come in their order in the request.
struct Batch<'state, 'wire> {
    plan: &'state Plan,
    resources: &'state mut Resources,
    weigher: &'state mut Weigher,
    scratch: &'state mut Scratch,
    now_unix_nano: u64,
    /// `None` while the spans at hand do not count.
    resource: Option<Place>,
    resource_message: &'wire [u8],
    service_name: &'wire [u8],
    /// Name and version, if the scope is listed.
    scope: Option<(&'wire [u8], &'wire [u8])>,
}

/// The fields of a span that count.
#[derive(Clone, Copy, Default)]
struct Head<'wire> {
    trace_id: &'wire [u8],
    span_id: &'wire [u8],
    trace_state: &'wire [u8],
    name: &'wire [u8],
    kind: i32,
    start: u64,
    end: u64,
    status: i32,
}

impl SpanMetrics {
    /// Counts a batch that came at a time, nanoseconds since the epoch.
    pub fn observe(&mut self, traces: &Traces, now_unix_nano: u64) {
        let mut batch = self.batch(now_unix_nano);
        for resource in traces.resources() {
            batch.resource(resource.resource());
            if batch.resource.is_none() {
                continue;
            }
            for scope in resource.scopes() {
                batch.scope(scope.scope());
                scope.spans().for_each(|span| batch.span(span.bytes()));
            }
        }
    }

    /// Begins a batch at a time.
    fn batch<'wire>(&mut self, now_unix_nano: u64) -> Batch<'_, 'wire> {
        self.weigher.begin_batch();
        Batch {
            plan: &self.plan,
            resources: &mut self.resources,
            weigher: &mut self.weigher,
            scratch: &mut self.scratch,
            now_unix_nano,
            resource: None,
            resource_message: &[],
            service_name: &[],
            scope: None,
        }
    }
}

impl<'wire> Batch<'_, 'wire> {
    /// Spans that follow are of this resource. Without `service.name` they do not count.
    fn resource(&mut self, message: &'wire [u8]) {
        let plan = self.plan;
        let scratch = &mut *self.scratch;
        (self.resource, self.scope, self.resource_message) = (None, None, message);
        scratch.resource.clear(&plan.wanted);
        scratch.resource_attributes.clear();
        let mut service_name = None;
        for (number, field) in Fields::new(message) {
            if let (1, Field::Bytes(entry)) = (number, field) {
                scratch.resource.take(&plan.wanted, message, entry);
                let (key, value) = key_value(entry);
                if key == b"service.name" && service_name.is_none() {
                    service_name = Some(value);
                }
                scratch.resource_attributes.push((Span32::within(message, key), Span32::within(message, value)));
            }
        }
        let Some(service_name) = service_name else { return };
        // As upstream: a name that is not text counts as empty.
        self.service_name = AnyValueRef::parse(service_name).as_str().unwrap_or_default();
        if plan.wanted.list_needed {
            scratch.resource.sort(message);
        }

        let key = resource_key(plan, &mut scratch.key, &mut scratch.resource_attributes, message);
        let place = self.resources.enter(key, || plan.resource(attribute_values(message, AttributesOf::Resource)));
        if let Some(resource) = self.resources.at(place) {
            resource.last_seen_unix_nano = self.now_unix_nano;
        }
        self.resource = Some(place);
    }

    /// Spans that follow are of this scope.
    fn scope(&mut self, message: &'wire [u8]) {
        self.scope = None;
        let listed = &self.plan.config.include_scopes;
        if listed.is_empty() || self.resource.is_none() {
            return;
        }
        let ScopeFields { name, version, .. } = ScopeFields::read(message);
        if !name.is_empty() && listed.iter().any(|scope| scope.as_bytes() == name) {
            self.scope = Some((name, version));
        }
    }

    /// Counts a span.
    #[inline]
    fn span(&mut self, message: &'wire [u8]) {
        let Some(place) = self.resource else { return };
        let plan = self.plan;
        let scratch = &mut *self.scratch;
        let head = read_span(plan, scratch, message);
        let Some(resource) = self.resources.at(place) else { return };
        let weight = self.weigher.weigh(head.trace_state);
        let nanos = head.end.saturating_sub(head.start);
        let value = nanos as f64 / plan.config.unit.nanos();
        let facts = Facts {
            service_name: self.service_name,
            span_name: head.name,
            kind: kind_code(head.kind),
            status: status_code(head.status),
            scope: self.scope,
            extrapolated: weight.extrapolated,
        };
        let observation = Observation {
            now_unix_nano: self.now_unix_nano,
            weight: weight.count,
            value,
            bucket: bucket(&plan.bounds, value),
            example: plan
                .config
                .exemplars
                .filter(|_| head.trace_id.iter().any(|byte| *byte != 0))
                .map(|_| Example { trace_id: head.trace_id, span_id: head.span_id }),
            max_exemplars: plan.config.exemplars.unwrap_or(0),
            limit: plan.config.cardinality_limit,
        };
        let from = Sources {
            span: Source { found: &scratch.span, message },
            event: None,
            resource: Source { found: &scratch.resource, message: self.resource_message },
        };
        let counting = Counting { plan, facts, observation, weight };

        let key = &mut scratch.key;
        counting.begin_key(key);
        push_dimensions(key, &plan.common, from);
        let common_len = key.len();
        counting.count(key, &mut resource.calls, &plan.calls, from);
        if let Some(durations) = &mut resource.durations {
            key.truncate(common_len);
            counting.count(key, durations, &plan.durations, from);
        }
        if let Some(events) = &mut resource.events {
            for at in &scratch.events {
                let event_message = at.of(message);
                read_event(plan, &mut scratch.event, event_message);
                let from = Sources { event: Some(Source { found: &scratch.event, message: event_message }), ..from };
                // An event may have a common dimension that span and resource lack, so its key starts anew.
                counting.begin_key(key);
                push_dimensions(key, &plan.common, from);
                counting.count(key, events, &plan.events, from);
            }
        }
    }
}

/// The first bucket whose bound is not below the value. Counting bounds beats searching among few: no branch depends on
/// the value.
#[inline]
fn bucket(bounds: &[f64], value: f64) -> usize {
    if bounds.len() <= 32 {
        bounds.iter().map(|bound| usize::from(*bound < value)).sum()
    } else {
        bounds.partition_point(|bound| *bound < value)
    }
}

/// What is the same for all metrics of one span.
#[derive(Clone, Copy)]
struct Counting<'a> {
    plan: &'a Plan,
    facts: Facts<'a>,
    observation: Observation<'a>,
    weight: Weight,
}

impl Counting<'_> {
    /// Everything of a key but the dimensions.
    #[inline]
    fn begin_key(&self, key: &mut Vec<u8>) {
        let built_ins = &self.plan.built_ins;
        key.clear();
        let kind = if built_ins.span_kind { self.facts.kind } else { 0 };
        let status = if built_ins.status_code { self.facts.status } else { 0 };
        let method = u8::from(built_ins.sampling_method && self.weight.extrapolated);
        key.extend_from_slice(&[kind, status, method]);
        if built_ins.service_name {
            push_part(key, self.facts.service_name);
        }
        if built_ins.span_name {
            push_part(key, self.facts.span_name);
        }
    }

    /// Adds the metric's own dimensions to the key and counts.
    #[inline]
    fn count(&self, key: &mut Vec<u8>, table: &mut Table, program: &Program, from: Sources<'_>) {
        push_dimensions(key, program, from);
        let hash: SeriesKey = self.plan.hash(key);
        table.observe(hash, self.observation, || {
            pack(self.facts, [&self.plan.common, program], from, &self.plan.wanted)
        });
    }
}

#[inline]
fn push_part(key: &mut Vec<u8>, part: &[u8]) {
    key.extend_from_slice(&(part.len() as u32).to_le_bytes());
    key.extend_from_slice(part);
}

/// Values go in as text: 200 and "200" are one series, as upstream has it.
#[inline]
fn push_dimensions(key: &mut Vec<u8>, program: &Program, from: Sources<'_>) {
    program.walk(from, |label, value| {
        match label {
            Label::Slot(slot) => key.extend_from_slice(&slot.to_le_bytes()),
            Label::Key(name) => {
                // Above all slots.
                key.extend_from_slice(&[0xff, 0xff]);
                push_part(key, name);
            }
        }
        let at = key.len();
        key.extend_from_slice(&[0; 4]);
        match value {
            Held::Any(any) => push_text(key, any),
            Held::Default(text) => key.extend_from_slice(text.as_bytes()),
        }
        let len = (key.len() - at - 4) as u32;
        if let Some(place) = key.get_mut(at..at + 4) {
            place.copy_from_slice(&len.to_le_bytes());
        }
    });
}

#[inline]
fn read_span<'wire>(plan: &Plan, scratch: &mut Scratch, message: &'wire [u8]) -> Head<'wire> {
    let mut head = Head::default();
    scratch.span.clear(&plan.wanted);
    scratch.events.clear();
    // Validated with the index: damage would only end the walk.
    let _ = read_fields(plan, scratch, message, &mut head);
    if plan.wanted.list_needed {
        scratch.span.sort(message);
    }
    head
}

/// Tags as they are on the wire, field number and wire type in one: the common fields are found by one comparison each.
#[inline]
fn read_fields<'wire>(
    plan: &Plan,
    scratch: &mut Scratch,
    message: &'wire [u8],
    head: &mut Head<'wire>,
) -> Result<(), WireError> {
    let with_events = plan.config.event_dimensions.is_some();
    let mut cursor = Cursor::new(message);
    while let Some(tag) = cursor.tag()? {
        match tag {
            0x4a => scratch.span.take(&plan.wanted, message, cursor.bytes()?),
            0x0a => head.trace_id = cursor.bytes()?,
            0x12 => head.span_id = cursor.bytes()?,
            0x1a => head.trace_state = cursor.bytes()?,
            0x2a => head.name = cursor.bytes()?,
            // Protobuf cuts a varint to the width of the field.
            0x30 => head.kind = cursor.varint()? as i32,
            0x39 => head.start = cursor.fixed64()?,
            0x41 => head.end = cursor.fixed64()?,
            0x5a if with_events => {
                let event = cursor.bytes()?;
                scratch.events.push(Span32::within(message, event));
            }
            0x7a => {
                for (number, field) in Fields::new(cursor.bytes()?) {
                    if let (3, Field::Varint(code)) = (number, field) {
                        head.status = code as i32;
                    }
                }
            }
            other => cursor.skip_tag(other)?,
        }
    }
    Ok(())
}

fn read_event(plan: &Plan, event: &mut Found, message: &[u8]) {
    event.clear(&plan.wanted);
    for (number, field) in Fields::new(message) {
        if let (3, Field::Bytes(entry)) = (number, field) {
            event.take(&plan.wanted, message, entry);
        }
    }
    if plan.wanted.list_needed {
        event.sort(message);
    }
}

/// The hash of what identifies a resource, whatever the order of its attributes.
fn resource_key(plan: &Plan, key: &mut Vec<u8>, attributes: &mut Vec<(Span32, Span32)>, message: &[u8]) -> u128 {
    let only = &plan.config.resource_key_attributes;
    attributes.retain(|(key, _)| only.is_empty() || only.iter().any(|wanted| wanted.as_bytes() == key.of(message)));
    attributes.sort_by(|a, b| a.0.of(message).cmp(b.0.of(message)));
    key.clear();
    for (name, value) in attributes.iter() {
        push_part(key, name.of(message));
        push_part(key, value.of(message));
    }
    plan.hash(key)
}
