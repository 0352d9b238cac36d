//! Traces as text, read from their wire bytes.

use std::fmt::Write as _;

use chrono::DateTime;
use pdata::Traces;
use pdata::metrics::{Attributes, Value};
use pdata::span::{AttributesOf, SpanFields, attribute_values, events, links};
use pdata::wire::{Field, Fields};

/// One line a resource, scope and span.
pub(super) fn normal(batch: &Traces) -> String {
    let mut out = String::new();
    for resource in batch.resources() {
        let _ = write!(out, "ResourceTraces #{}", resource.index());
        push_schema(&mut out, resource.schema_url());
        push_pairs(&mut out, &attribute_values(resource.resource(), AttributesOf::Resource));
        out.push('\n');
        for (index, scope) in resource.scopes().enumerate() {
            let _ = write!(out, "ScopeTraces #{index}");
            let (name, version) = scope_identity(scope.scope());
            push_scope(&mut out, &name, &version);
            push_schema(&mut out, scope.schema_url());
            push_pairs(&mut out, &attribute_values(scope.scope(), AttributesOf::ScopeOrEvent));
            out.push('\n');
            for span in scope.spans() {
                let fields = SpanFields::read(span.bytes());
                let _ = write!(out, "{} {} {}", lossy(fields.name), hex(fields.trace_id), hex(fields.span_id));
                push_pairs(&mut out, &attribute_values(span.bytes(), AttributesOf::Span));
                out.push('\n');
            }
        }
    }
    out
}

pub(super) fn push_schema(out: &mut String, schema_url: &[u8]) {
    if !schema_url.is_empty() {
        let _ = write!(out, " [{}]", lossy(schema_url));
    }
}

pub(super) fn push_scope(out: &mut String, name: &str, version: &str) {
    if !name.is_empty() {
        let _ = write!(out, " {name}");
    }
    if !version.is_empty() {
        let _ = write!(out, "@{version}");
    }
}

pub(super) fn push_pairs(out: &mut String, attributes: &Attributes) {
    for (key, value) in attributes {
        let _ = write!(out, " {key}={}", value.to_text());
    }
}

/// Every field.
pub(super) fn detailed(batch: &Traces) -> String {
    let mut page = Page(String::new());
    for resource in batch.resources() {
        page.line(format_args!("ResourceSpans #{}", resource.index()));
        page.line(format_args!("Resource SchemaURL: {}", lossy(resource.schema_url())));
        page.attributes("Resource attributes", &attribute_values(resource.resource(), AttributesOf::Resource));
        for (index, scope) in resource.scopes().enumerate() {
            let (name, version) = scope_identity(scope.scope());
            page.line(format_args!("ScopeSpans #{index}"));
            page.line(format_args!("ScopeSpans SchemaURL: {}", lossy(scope.schema_url())));
            page.line(format_args!("InstrumentationScope {name} {version}"));
            let attributes = attribute_values(scope.scope(), AttributesOf::ScopeOrEvent);
            page.attributes("InstrumentationScope attributes", &attributes);
            for (index, span) in scope.spans().enumerate() {
                page.line(format_args!("Span #{index}"));
                page.span(span.bytes());
            }
        }
    }
    page.0
}

/// The text under construction. Lines end with a newline.
pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(text);
        self.0.push('\n');
    }

    pub(super) fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line(format_args!("    {name:<15}: {value}"));
    }

    pub(super) fn attributes(&mut self, title: &str, attributes: &Attributes) {
        if attributes.is_empty() {
            return;
        }
        self.line(format_args!("{title}:"));
        for (key, value) in attributes {
            self.line(format_args!("     -> {key}: {}", typed(value)));
        }
    }

    fn span(&mut self, span: &[u8]) {
        let fields = SpanFields::read(span);
        self.field("Trace ID", hex(fields.trace_id));
        self.field("Parent ID", hex(fields.parent_span_id));
        self.field("ID", hex(fields.span_id));
        self.field("Name", lossy(fields.name));
        self.field("Kind", kind(fields.kind));
        if !fields.trace_state.is_empty() {
            self.field("TraceState", lossy(fields.trace_state));
        }
        self.field("Start time", time(fields.start_unix_nano));
        self.field("End time", time(fields.end_unix_nano));
        self.field("Status code", status(fields.status_code));
        self.field("Status message", lossy(fields.status_message));
        for (name, count) in [
            ("DroppedAttributesCount", fields.dropped_attributes_count),
            ("DroppedEventsCount", fields.dropped_events_count),
            ("DroppedLinksCount", fields.dropped_links_count),
        ] {
            if count > 0 {
                self.field(name, count);
            }
        }
        self.attributes("Attributes", &attribute_values(span, AttributesOf::Span));
        for (index, event) in events(span).enumerate() {
            if index == 0 {
                self.line(format_args!("Events:"));
            }
            self.line(format_args!("SpanEvent #{index}"));
            let (mut name, mut at, mut dropped) = (&b""[..], 0, 0);
            for field in Fields::new(event) {
                match field {
                    (1, Field::Fixed64(nanos)) => at = nanos,
                    (2, Field::Bytes(text)) => name = text,
                    (4, Field::Varint(count)) => dropped = count,
                    _ => {}
                }
            }
            self.line(format_args!("     -> Name: {}", lossy(name)));
            self.line(format_args!("     -> Timestamp: {}", time(at)));
            self.nested(dropped, &attribute_values(event, AttributesOf::ScopeOrEvent));
        }
        for (index, link) in links(span).enumerate() {
            if index == 0 {
                self.line(format_args!("Links:"));
            }
            self.line(format_args!("SpanLink #{index}"));
            let (mut trace_id, mut span_id, mut state, mut dropped) = (&b""[..], &b""[..], &b""[..], 0);
            for field in Fields::new(link) {
                match field {
                    (1, Field::Bytes(id)) => trace_id = id,
                    (2, Field::Bytes(id)) => span_id = id,
                    (3, Field::Bytes(text)) => state = text,
                    (5, Field::Varint(count)) => dropped = count,
                    _ => {}
                }
            }
            self.line(format_args!("     -> Trace ID: {}", hex(trace_id)));
            self.line(format_args!("     -> ID: {}", hex(span_id)));
            self.line(format_args!("     -> TraceState: {}", lossy(state)));
            self.nested(dropped, &attribute_values(link, AttributesOf::Link));
        }
    }

    fn nested(&mut self, dropped: u64, attributes: &Attributes) {
        self.line(format_args!("     -> DroppedAttributesCount: {dropped}"));
        if attributes.is_empty() {
            return;
        }
        self.line(format_args!("     -> Attributes::"));
        for (key, value) in attributes {
            self.line(format_args!("          -> {key}: {}", typed(value)));
        }
    }
}

/// `Str(x)`, `Int(5)`, ...: the value with its type.
pub(super) fn typed(value: &Value) -> String {
    let kind = match value {
        Value::Empty => "Empty",
        Value::String(_) => "Str",
        Value::Bool(_) => "Bool",
        Value::Int(_) => "Int",
        Value::Double(_) => "Double",
        Value::Bytes(_) => "Bytes",
        Value::Array(_) => "Slice",
        Value::Map(_) => "Map",
    };
    format!("{kind}({})", value.to_text())
}

fn scope_identity(scope: &[u8]) -> (String, String) {
    let (mut name, mut version) = (String::new(), String::new());
    for field in Fields::new(scope) {
        match field {
            (1, Field::Bytes(text)) => name = lossy(text),
            (2, Field::Bytes(text)) => version = lossy(text),
            _ => {}
        }
    }
    (name, version)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    // An id of zeros is an unset one; Go prints it as nothing.
    if bytes.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// As Go's `Time.String` in UTC: `2020-02-11 20:26:12.000000321 +0000 UTC`, without trailing zeros of the fraction.
pub(super) fn time(unix_nano: u64) -> String {
    // Go's conversion wraps past 2^63 ns (the year 2262), chrono's signed nanoseconds do likewise.
    let time = DateTime::from_timestamp_nanos(unix_nano as i64);
    let mut out = time.format("%Y-%m-%d %H:%M:%S").to_string();
    let nanos = time.timestamp_subsec_nanos();
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        out.push('.');
        out.push_str(fraction.trim_end_matches('0'));
    }
    out.push_str(" +0000 UTC");
    out
}

fn kind(kind: i32) -> &'static str {
    match kind {
        0 => "Unspecified",
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "",
    }
}

fn status(code: i32) -> &'static str {
    match code {
        0 => "Unset",
        1 => "Ok",
        2 => "Error",
        _ => "",
    }
}
