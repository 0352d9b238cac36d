//! Spans to members: by trace id, or by attributes of each trace.

use std::collections::HashMap;

use pdata::span::{AttributesOf, SpanFields};
use pdata::value::AnyValueRef;
use pdata::{ResourceView, SpanView, Traces};

use super::{Shares, push_text, push_value};
use crate::cluster::ring::Ring;
use crate::exporters::helper::Request;

/// Each span goes to the owner of its trace id.
pub(super) fn by_id(traces: &Traces, ring: &Ring) -> Shares {
    let parts = traces.split_by(ring.members().len(), |id| ring.owner(id).unwrap_or_default());
    let filled = parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
    filled.map(|(member, part)| (member, Request::from_traces(part))).collect()
}

/// Each trace goes to the owner of its key. A trace of several resources has one key for each, and all its spans go to
/// each owner, as in contrib.
pub(super) fn by_attributes(traces: &Traces, names: &[String], ring: &Ring) -> Shares {
    let mut spans_of: Vec<Vec<u32>> = vec![Vec::new(); ring.members().len()];
    // The key of a resource that has all the attributes is that of every trace in it.
    let mut of_resource: HashMap<usize, Option<usize>> = HashMap::new();
    let mut key = Vec::new();
    for (_, spans) in traces.group_by_trace().iter() {
        let mut owners: Vec<usize> = Vec::with_capacity(1);
        let mut last = None;
        let views = || spans.iter().filter_map(|span| traces.span(*span as usize));
        let Some(first) = views().next() else { continue };
        for span in views() {
            let resource = span.resource_index();
            if last.replace(resource) == Some(resource) {
                continue;
            }
            let whole = *of_resource.entry(resource).or_insert_with(|| {
                key.clear();
                let complete = names.iter().all(|name| push_of_resource(&mut key, name, span.resource()));
                complete.then(|| ring.owner(&key).unwrap_or_default())
            });
            let owner = whole.unwrap_or_else(|| {
                key.clear();
                for name in names {
                    if !push_of_resource(&mut key, name, span.resource()) {
                        push_of_first_span(&mut key, name, first);
                    }
                }
                ring.owner(&key).unwrap_or_default()
            });
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        for owner in owners {
            if let Some(all) = spans_of.get_mut(owner) {
                all.extend_from_slice(spans);
            }
        }
    }
    let mut shares = Shares::new();
    for (member, mut spans) in spans_of.into_iter().enumerate().filter(|(_, spans)| !spans.is_empty()) {
        // In the order of the batch, so that what shares a scope stays together.
        spans.sort_unstable();
        shares.push((member, Request::from_traces(&traces.select(&spans))));
    }
    shares
}

fn push_of_resource(key: &mut Vec<u8>, name: &str, resource: ResourceView<'_>) -> bool {
    let found = AttributesOf::Resource.get(resource.resource(), name.as_bytes());
    found.inspect(|value| push(key, name, value)).is_some()
}

/// Scope and span are those of the trace's first span in the batch, whichever resource the key is for, as in contrib.
fn push_of_first_span(key: &mut Vec<u8>, name: &str, span: SpanView<'_>) {
    if let Some(value) = AttributesOf::ScopeOrEvent.get(span.scope().scope(), name.as_bytes()) {
        push(key, name, &value);
    } else if name == "span.kind" {
        push_text(key, name, kind(SpanFields::read(span.bytes()).kind));
    } else if name == "span.name" {
        push_text(key, name, SpanFields::read(span.bytes()).name);
    } else if let Some(value) = AttributesOf::Span.get(span.bytes(), name.as_bytes()) {
        push(key, name, &value);
    } else {
        push_text(key, name, b"");
    }
}

fn push(key: &mut Vec<u8>, name: &str, value: &AnyValueRef<'_>) {
    match value {
        AnyValueRef::String(text) => push_text(key, name, text),
        value => push_value(key, name, &value.to_value()),
    }
}

/// The names of Go's pdata; what is no kind has none.
fn kind(number: i32) -> &'static [u8] {
    match number {
        0 => b"Unspecified",
        1 => b"Internal",
        2 => b"Server",
        3 => b"Client",
        4 => b"Producer",
        5 => b"Consumer",
        _ => b"",
    }
}
