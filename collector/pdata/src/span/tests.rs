use super::*;
use crate::testing::SpanSample;
use crate::wire::{put_bytes, put_message, put_varint_field};

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn sample() -> SpanSample {
    SpanSample::new([1; 16], [2; 8])
        .parent([3; 8])
        .trace_state("a=b")
        .name("GET /")
        .kind(2)
        .times(10, 20)
        .status(2, "late")
        .flags(0x101)
        .attribute("k", text("first"))
        .attribute("n", Value::Int(-1))
        .attribute("k", text("second"))
        .event(15, "e", &[("x", Value::Bool(true))])
        .link([4; 16], [5; 8], &[("y", Value::Double(0.5))])
}

#[test]
fn all_scalars_in_one_pass() {
    let span = sample();
    let expected = SpanFields {
        trace_id: &[1; 16],
        span_id: &[2; 8],
        parent_span_id: &[3; 8],
        trace_state: b"a=b",
        name: b"GET /",
        kind: 2,
        start_unix_nano: 10,
        end_unix_nano: 20,
        status_code: 2,
        status_message: b"late",
        flags: 0x101,
        ..SpanFields::default()
    };
    assert_eq!(SpanFields::read(&span.bytes), expected);
    assert_eq!(SpanFields::read(&[]), SpanFields::default());
}

#[test]
fn the_last_scalar_counts_and_statuses_are_merged() {
    let mut span = sample();
    put_bytes(&mut span.bytes, 5, b"later");
    put_message(&mut span.bytes, 15, |buf| put_bytes(buf, 2, b"later"));
    let fields = SpanFields::read(&span.bytes);
    assert_eq!((fields.name, fields.status_code, fields.status_message), (&b"later"[..], 2, &b"later"[..]));
    // A negative enum is ten bytes on the wire.
    put_varint_field(&mut span.bytes, 6, -7_i64 as u64);
    assert_eq!(SpanFields::read(&span.bytes).kind, -7);
}

#[test]
fn the_first_of_equal_keys_counts() {
    let span = sample();
    let get = |key: &str| AttributesOf::Span.get(&span.bytes, key.as_bytes());
    assert_eq!(get("k"), Some(AnyValueRef::String(b"first")));
    assert_eq!(get("n"), Some(AnyValueRef::Int(-1)));
    assert_eq!(get("missing"), None);
    assert_eq!(string_attribute(&span.bytes, AttributesOf::Span, b"k"), Some(&b"first"[..]));
    assert_eq!(string_attribute(&span.bytes, AttributesOf::Span, b"n"), None);
    let all = [("k".into(), text("first")), ("n".into(), Value::Int(-1)), ("k".into(), text("second"))];
    assert_eq!(attribute_values(&span.bytes, AttributesOf::Span), all);
}

#[test]
fn events_and_links() {
    let span = sample();
    let events: Vec<_> = events(&span.bytes).collect();
    assert_eq!(events.len(), 1);
    assert_eq!(EventFields::read(events[0]), EventFields { time_unix_nano: 15, name: b"e", ..Default::default() });
    assert_eq!(attribute_values(events[0], AttributesOf::ScopeOrEvent), [("x".into(), Value::Bool(true))]);
    let links: Vec<_> = links(&span.bytes).collect();
    assert_eq!(links.len(), 1);
    assert_eq!(LinkFields::read(links[0]), LinkFields { trace_id: &[4; 16], span_id: &[5; 8], ..Default::default() });
    assert_eq!(attribute_values(links[0], AttributesOf::Link), [("y".into(), Value::Double(0.5))]);
}

#[test]
fn scopes() {
    let mut scope = Vec::new();
    put_bytes(&mut scope, 1, b"io.a");
    put_bytes(&mut scope, 2, b"1.0");
    put_varint_field(&mut scope, 4, 3);
    let expected = ScopeFields { name: b"io.a", version: b"1.0", dropped_attributes_count: 3 };
    assert_eq!(ScopeFields::read(&scope), expected);
}
