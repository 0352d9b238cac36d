//! Metrics and log records among recorded telemetry: what a request is of, and the walk over what it holds.
//!
//! The three signals share their outer levels: a request of resources, each with scopes, each with items.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottl::{Context, PointKind};
use pdata::WireError;
use pdata::span::{AttributesOf, ScopeFields, string_attribute};
use pdata::value::lossy;
use pdata::wire::{Cursor, Field, Fields, WireType};
use serde::de::IgnoredAny;

use super::{Item, Walk, hex};

/// What a request is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// The signal that a JSON document's key names; traces if none does.
pub(super) fn of_json(document: &[u8]) -> Signal {
    let keys: BTreeMap<String, IgnoredAny> = serde_json::from_slice(document).unwrap_or_default();
    let has = |names: [&str; 2]| names.iter().any(|name| keys.contains_key(*name));
    match () {
        () if has(["resourceMetrics", "resource_metrics"]) => Signal::Metrics,
        () if has(["resourceLogs", "resource_logs"]) => Signal::Logs,
        () => Signal::Traces,
    }
}

/// The signal that the first item of a request looks like; `None` if it has no item. The messages differ in the wire types
/// of what nearly all of them have: a span's ids, a record's times, a metric's name and data.
pub(super) fn of_protobuf(request: &[u8]) -> Option<Signal> {
    let item = items(request).next()?;
    let (mut id, mut log, mut data) = (false, false, false);
    for (number, value) in Fields::new(item) {
        match (number, value) {
            // trace_id and span_id; start and end
            (1, Field::Bytes(bytes)) if bytes.len() == 16 => id = true,
            (7 | 8, Field::Fixed64(_)) => id = true,
            (1 | 11, Field::Fixed64(_)) | (2, Field::Varint(_)) | (8, Field::Fixed32(_)) => log = true,
            (5 | 7 | 9 | 10 | 11, Field::Bytes(bytes)) if Fields::new(bytes).next().is_some() => data = true,
            // kind of a span
            (6, Field::Varint(_)) => id = true,
            _ => {}
        }
    }
    match (id, log, data) {
        (_, true, _) => Some(Signal::Logs),
        (false, false, true) => Some(Signal::Metrics),
        _ => Some(Signal::Traces),
    }
}

fn messages(message: &[u8], field: u32) -> impl Iterator<Item = &[u8]> {
    Fields::new(message).filter_map(move |(number, value)| match value {
        Field::Bytes(bytes) if number == field => Some(bytes),
        _ => None,
    })
}

/// All items of a request: field 2 of field 2 of field 1.
fn items(request: &[u8]) -> impl Iterator<Item = &[u8]> {
    messages(request, 1).flat_map(|resource| messages(resource, 2)).flat_map(|scope| messages(scope, 2))
}

pub(super) fn item_count(requests: &[Bytes]) -> usize {
    requests.iter().map(|request| items(request).count()).sum()
}

/// Refuses what is no ExportLogsServiceRequest down to the fields of its records.
pub(super) fn check_logs(request: &[u8]) -> Result<(), WireError> {
    check(Cursor::new(request), 0)
}

fn check(mut cursor: Cursor<'_>, level: u32) -> Result<(), WireError> {
    /// Below request, resource and scope.
    const RECORD: u32 = 3;
    while let Some((number, wire_type)) = cursor.field()? {
        match (level, number) {
            (0, 1) | (1 | 2, 2) => {
                cursor.expect(wire_type, WireType::Bytes)?;
                check(cursor.message()?, level + 1)?;
            }
            (RECORD, 1 | 11) => {
                cursor.expect(wire_type, WireType::Fixed64)?;
                cursor.skip(number, wire_type)?;
            }
            (RECORD, 3 | 5 | 6 | 9 | 10 | 12) | (1 | 2, 1) => {
                cursor.expect(wire_type, WireType::Bytes)?;
                cursor.skip(number, wire_type)?;
            }
            _ => cursor.skip(number, wire_type)?,
        }
    }
    Ok(())
}

impl<'w, E> Walk<'_, 'w, E> {
    /// A request of metrics or logs.
    pub(super) fn request(&mut self, request: &'w [u8], signal: Signal) -> Result<(), E> {
        for resource_items in messages(request, 1) {
            let schema_url = messages(resource_items, 3).last().unwrap_or_default();
            let resource = messages(resource_items, 1).last().unwrap_or_default();
            self.program.load_resource(&mut self.frame, resource, schema_url);
            let service = string_attribute(resource, AttributesOf::Resource, b"service.name").map(lossy);
            if self.context == Context::Resource {
                self.ask(Item { name: service.clone().unwrap_or_default(), service, ..Item::default() })?;
                continue;
            }
            for scope_items in messages(resource_items, 2) {
                let schema_url = messages(scope_items, 3).last().unwrap_or_default();
                let scope = messages(scope_items, 1).last().unwrap_or_default();
                self.program.load_scope(&mut self.frame, scope, schema_url);
                if self.context == Context::Scope {
                    let name = lossy(ScopeFields::read(scope).name);
                    self.ask(Item { name, service: service.clone(), ..Item::default() })?;
                    continue;
                }
                for item in messages(scope_items, 2) {
                    match signal {
                        Signal::Metrics => self.metric(item, service.as_deref())?,
                        Signal::Logs => self.log(item, service.as_deref())?,
                        Signal::Traces => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn metric(&mut self, metric: &'w [u8], service: Option<&str>) -> Result<(), E> {
        self.program.load_metric(&mut self.frame, metric);
        let name = messages(metric, 1).last().map(lossy).unwrap_or_default();
        let item = Item { name, service: service.map(str::to_owned), ..Item::default() };
        match self.context {
            Context::Metric => self.ask(item),
            Context::DataPoint => {
                for (number, value) in Fields::new(metric) {
                    let (Some(kind), Field::Bytes(data)) = (PointKind::of_data_field(number), value) else { continue };
                    for point in messages(data, 1) {
                        self.program.load_data_point(&mut self.frame, kind, point);
                        self.ask(item.clone())?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn log(&mut self, record: &'w [u8], service: Option<&str>) -> Result<(), E> {
        if self.context != Context::Log {
            return Ok(());
        }
        self.program.load_log(&mut self.frame, record);
        let id = |field| messages(record, field).last().filter(|id| !id.is_empty()).map(hex);
        // A record is recognised by its event's name, or by what it says.
        let event = messages(record, 12).last().filter(|name| !name.is_empty());
        let body = messages(record, 5).last().and_then(|body| messages(body, 1).last());
        let mut name = event.or(body).map(lossy).unwrap_or_default();
        if let Some((cut, _)) = name.char_indices().nth(MAX_NAME) {
            name.truncate(cut);
            name.push_str("..");
        }
        self.ask(Item {
            name,
            trace_id: id(9),
            span_id: id(10),
            service: service.map(str::to_owned),
            ..Item::default()
        })
    }
}

/// Characters of a record's text that are shown as its name.
const MAX_NAME: usize = 60;
