//! Spans written in YAML, with the names that OTTL paths have: `name`, `status: {code: error}`, `attributes: {k: v}`.
//!
//! A fixture is a request with one span, so that resource, scope and events can be written beside it. Every mistake goes
//! to the list of problems with its key path.

use chrono::DateTime;
use pdata::Traces;
use pdata::metrics::Value;
use pdata::value::put_key_value;
use pdata::wire::{put_bytes, put_fixed32_field, put_fixed64_field, put_message, put_varint_field};

use super::input::Sample;
use crate::config::{Node, Problems};

/// Reads one span. `None` if something is wrong with it.
pub(super) fn span(node: &Node, path: &str, problems: &mut Problems) -> Option<Sample> {
    let before = problems.list().len();
    let mut reader = Reader { problems };
    let request = reader.request(node, path);
    if problems.list().len() != before {
        return None;
    }
    match Traces::index(request.into()) {
        Ok(batch) => Some(Sample::of(batch)),
        Err(error) => {
            problems.add(path, error.to_string());
            None
        }
    }
}

const SPAN_KEYS: [&str; 22] = [
    "name",
    "kind",
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "start_time",
    "start_time_unix_nano",
    "end_time",
    "end_time_unix_nano",
    "duration",
    "attributes",
    "dropped_attributes_count",
    "events",
    "dropped_events_count",
    "links",
    "dropped_links_count",
    "status",
    "resource",
    "scope",
    "instrumentation_scope",
];

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS_CODES: [&str; 3] = ["unset", "ok", "error"];

struct Reader<'p> {
    problems: &'p mut Problems,
}

fn at(path: &str, key: &str) -> String {
    format!("{path}::{key}")
}

impl Reader<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.problems.add(path, message);
    }

    /// The entries of a map, each of a known key.
    fn entries<'n>(&mut self, node: &'n Node, path: &str, known: &[&str]) -> Vec<(&'n str, &'n Node)> {
        if !matches!(node, Node::Map(_) | Node::Null) {
            self.wrong(path, format!("expected a map, got {}", kind(node)));
        }
        let mut found = Vec::new();
        for (key, value) in node.entries() {
            if known.contains(&key.as_str()) {
                found.push((key.as_str(), value));
            } else {
                let message = format!("has no key {key:?}; keys here are {}", known.join(", "));
                self.problems.add_at(path, at(path, key), message);
            }
        }
        found
    }

    fn request(&mut self, node: &Node, path: &str) -> Vec<u8> {
        let fields = self.entries(node, path, &SPAN_KEYS);
        let part = |wanted: &[&str]| {
            fields.iter().find(|(key, _)| wanted.contains(key)).map(|(key, value)| (at(path, key), *value))
        };
        let resource = part(&["resource"]).map(|(path, node)| self.resource(node, &path)).unwrap_or_default();
        let scope =
            part(&["scope", "instrumentation_scope"]).map(|(path, node)| self.scope(node, &path)).unwrap_or_default();
        let span = self.span(&fields, path);
        let mut request = Vec::new();
        put_message(&mut request, 1, |resource_spans| {
            put_bytes(resource_spans, 1, &resource.message);
            put_message(resource_spans, 2, |scope_spans| {
                put_bytes(scope_spans, 1, &scope.message);
                put_bytes(scope_spans, 2, &span);
                put_bytes(scope_spans, 3, scope.schema_url.as_bytes());
            });
            put_bytes(resource_spans, 3, resource.schema_url.as_bytes());
        });
        request
    }

    fn resource(&mut self, node: &Node, path: &str) -> Envelope {
        let mut envelope = Envelope::default();
        for (key, value) in self.entries(node, path, &["attributes", "schema_url", "dropped_attributes_count"]) {
            let path = at(path, key);
            match key {
                "attributes" => self.attributes(&mut envelope.message, 1, value, &path),
                "schema_url" => envelope.schema_url = self.text(value, &path),
                _ => put_varint_field(&mut envelope.message, 2, self.count(value, &path)),
            }
        }
        envelope
    }

    fn scope(&mut self, node: &Node, path: &str) -> Envelope {
        let mut envelope = Envelope::default();
        let keys = ["name", "version", "attributes", "schema_url", "dropped_attributes_count"];
        for (key, value) in self.entries(node, path, &keys) {
            let path = at(path, key);
            match key {
                "name" => put_bytes(&mut envelope.message, 1, self.text(value, &path).as_bytes()),
                "version" => put_bytes(&mut envelope.message, 2, self.text(value, &path).as_bytes()),
                "attributes" => self.attributes(&mut envelope.message, 3, value, &path),
                "schema_url" => envelope.schema_url = self.text(value, &path),
                _ => put_varint_field(&mut envelope.message, 4, self.count(value, &path)),
            }
        }
        envelope
    }

    fn span(&mut self, fields: &[(&str, &Node)], path: &str) -> Vec<u8> {
        let mut span = Vec::new();
        let mut start = None;
        let mut end = None;
        let mut duration = None;
        for (key, value) in fields {
            let path = &at(path, key);
            match *key {
                "trace_id" => self.id(&mut span, 1, 16, value, path),
                "span_id" => self.id(&mut span, 2, 8, value, path),
                "trace_state" => put_bytes(&mut span, 3, self.text(value, path).as_bytes()),
                "parent_span_id" => self.id(&mut span, 4, 8, value, path),
                "name" => put_bytes(&mut span, 5, self.text(value, path).as_bytes()),
                "kind" => put_varint_field(&mut span, 6, self.symbol(value, path, "SPAN_KIND_", &KINDS)),
                "start_time_unix_nano" => start = Some(self.count(value, path)),
                "start_time" => start = Some(self.time(value, path)),
                "end_time_unix_nano" => end = Some(self.count(value, path)),
                "end_time" => end = Some(self.time(value, path)),
                "duration" => duration = Some(self.duration(value, path)),
                "attributes" => self.attributes(&mut span, 9, value, path),
                "dropped_attributes_count" => put_varint_field(&mut span, 10, self.count(value, path)),
                "events" => {
                    self.list(value, path).into_iter().for_each(|(path, event)| self.event(&mut span, event, &path));
                }
                "dropped_events_count" => put_varint_field(&mut span, 12, self.count(value, path)),
                "links" => {
                    self.list(value, path).into_iter().for_each(|(path, link)| self.link(&mut span, link, &path));
                }
                "dropped_links_count" => put_varint_field(&mut span, 14, self.count(value, path)),
                "status" => self.status(&mut span, value, path),
                "flags" => match u32::try_from(self.count(value, path)) {
                    Ok(flags) => put_fixed32_field(&mut span, 16, flags),
                    Err(_) => self.wrong(path, "does not fit 32 bits"),
                },
                // Resource and scope stand outside the span.
                _ => {}
            }
        }
        if let Some(duration) = duration {
            if end.is_some() {
                self.wrong(&at(path, "duration"), "stands beside an end; write one of them");
            }
            end = Some(start.get_or_insert(DEFAULT_START).saturating_add(duration));
        }
        put_fixed64_field(&mut span, 7, start.unwrap_or_default());
        put_fixed64_field(&mut span, 8, end.unwrap_or_default());
        span
    }

    fn event(&mut self, span: &mut Vec<u8>, node: &Node, path: &str) {
        let mut event = Vec::new();
        for (key, value) in
            self.entries(node, path, &["name", "time", "time_unix_nano", "attributes", "dropped_attributes_count"])
        {
            let path = at(path, key);
            match key {
                "time" => put_fixed64_field(&mut event, 1, self.time(value, &path)),
                "time_unix_nano" => put_fixed64_field(&mut event, 1, self.count(value, &path)),
                "name" => put_bytes(&mut event, 2, self.text(value, &path).as_bytes()),
                "attributes" => self.attributes(&mut event, 3, value, &path),
                _ => put_varint_field(&mut event, 4, self.count(value, &path)),
            }
        }
        put_bytes(span, 11, &event);
    }

    fn link(&mut self, span: &mut Vec<u8>, node: &Node, path: &str) {
        let mut link = Vec::new();
        for (key, value) in self.entries(node, path, &["trace_id", "span_id", "trace_state", "attributes"]) {
            let path = at(path, key);
            match key {
                "trace_id" => self.id(&mut link, 1, 16, value, &path),
                "span_id" => self.id(&mut link, 2, 8, value, &path),
                "trace_state" => put_bytes(&mut link, 3, self.text(value, &path).as_bytes()),
                _ => self.attributes(&mut link, 4, value, &path),
            }
        }
        put_bytes(span, 13, &link);
    }

    fn status(&mut self, span: &mut Vec<u8>, node: &Node, path: &str) {
        let mut status = Vec::new();
        for (key, value) in self.entries(node, path, &["code", "message"]) {
            let path = at(path, key);
            match key {
                "message" => put_bytes(&mut status, 2, self.text(value, &path).as_bytes()),
                _ => put_varint_field(&mut status, 3, self.symbol(value, &path, "STATUS_CODE_", &STATUS_CODES)),
            }
        }
        put_bytes(span, 15, &status);
    }

    fn attributes(&mut self, message: &mut Vec<u8>, field: u32, node: &Node, path: &str) {
        if !matches!(node, Node::Map(_) | Node::Null) {
            self.wrong(path, format!("expected a map, got {}", kind(node)));
        }
        for (key, value) in node.entries() {
            put_key_value(message, field, key, &attribute(value));
        }
    }

    fn list<'n>(&mut self, node: &'n Node, path: &str) -> Vec<(String, &'n Node)> {
        match node {
            Node::List(items) => {
                items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
            }
            Node::Null => Vec::new(),
            other => {
                self.wrong(path, format!("expected a list, got {}", kind(other)));
                Vec::new()
            }
        }
    }

    fn text(&mut self, node: &Node, path: &str) -> String {
        match node {
            Node::String(text) => text.clone(),
            other => {
                self.wrong(path, format!("expected a string, got {}", kind(other)));
                String::new()
            }
        }
    }

    fn count(&mut self, node: &Node, path: &str) -> u64 {
        match node {
            Node::Uint(number) => *number,
            Node::Int(number) if *number >= 0 => number.unsigned_abs(),
            other => {
                self.wrong(path, format!("expected a whole number from 0 on, got {}", shown(other)));
                0
            }
        }
    }

    fn id(&mut self, message: &mut Vec<u8>, field: u32, len: usize, node: &Node, path: &str) {
        let text = match node {
            Node::String(text) => text.clone(),
            // An id of decimal digits alone is a number to YAML, which loses leading zeros.
            Node::Int(_) | Node::Uint(_) | Node::Float(_) => {
                return self.wrong(path, "is a number to YAML; write the id in quotes");
            }
            other => return self.wrong(path, format!("expected {} hex digits, got {}", len * 2, kind(other))),
        };
        let bytes: Option<Vec<u8>> =
            (0..len).map(|index| u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()).collect();
        match bytes {
            Some(bytes) if text.len() == len * 2 => put_bytes(message, field, &bytes),
            _ => self.wrong(path, format!("expected {} hex digits, got {text:?}", len * 2)),
        }
    }

    /// A number, `server`, or `SPAN_KIND_SERVER`.
    fn symbol(&mut self, node: &Node, path: &str, prefix: &str, names: &[&str]) -> u64 {
        let name = match node {
            Node::Int(number) if *number >= 0 => return number.unsigned_abs(),
            Node::String(text) => text.strip_prefix(prefix).unwrap_or(text).to_ascii_lowercase(),
            _ => String::new(),
        };
        match names.iter().position(|known| *known == name) {
            Some(number) => number as u64,
            None => {
                self.wrong(path, format!("expected one of {}, got {}", names.join(", "), shown(node)));
                0
            }
        }
    }

    fn time(&mut self, node: &Node, path: &str) -> u64 {
        let text = self.text(node, path);
        let nanos = DateTime::parse_from_rfc3339(&text).ok().and_then(|time| time.timestamp_nanos_opt());
        match nanos.map(u64::try_from) {
            Some(Ok(nanos)) => nanos,
            _ => {
                self.wrong(path, format!("expected a time such as 2026-01-31T12:00:00.5Z, got {text:?}"));
                0
            }
        }
    }

    fn duration(&mut self, node: &Node, path: &str) -> u64 {
        let text = self.text(node, path);
        match ottl::go::duration::parse(text.as_bytes()).map(u64::try_from) {
            Ok(Ok(nanos)) => nanos,
            _ => {
                self.wrong(path, format!("expected a duration such as 1.5s or 300ms, got {text:?}"));
                0
            }
        }
    }
}

/// Where a span starts that has a duration and no start: 2026-01-01T00:00:00Z.
const DEFAULT_START: u64 = 1_767_225_600_000_000_000;

#[derive(Default)]
struct Envelope {
    message: Vec<u8>,
    schema_url: String,
}

fn attribute(node: &Node) -> Value {
    match node {
        Node::Null => Value::Empty,
        Node::Bool(flag) => Value::Bool(*flag),
        Node::Int(number) => Value::Int(*number),
        // OTLP has no unsigned ints; senders write such numbers as doubles.
        Node::Uint(number) => Value::Double(*number as f64),
        Node::Float(number) => Value::Double(*number),
        Node::String(text) => Value::String(text.clone()),
        Node::List(items) => Value::Array(items.iter().map(attribute).collect()),
        Node::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), attribute(value))).collect()),
        Node::Expanded { value, .. } => attribute(value),
    }
}

/// The kind of a value in the words of YAML.
pub(super) fn kind(node: &Node) -> &'static str {
    match node {
        Node::Null => "nothing",
        Node::Bool(_) => "a bool",
        Node::Int(_) | Node::Uint(_) | Node::Float(_) => "a number",
        Node::String(_) => "a string",
        Node::List(_) => "a list",
        Node::Map(_) => "a map",
        Node::Expanded { value, .. } => kind(value),
    }
}

fn shown(node: &Node) -> String {
    match node {
        Node::String(text) => format!("{text:?}"),
        Node::Int(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}
