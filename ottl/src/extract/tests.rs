use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::Event};
use pdata::SpanOrder;
use proptest::prelude::*;
use prost::Message as _;

use crate::{
    layout::{Base, Layout, Level, MapSource, PointKind, SlotPath},
    slot::{RawSlot, tag},
    wire::Range,
};

use super::Extractor;

/// What extraction of a span leaves in the slots of these paths.
fn check(wire: &[u8], expected: &[(SlotPath, RawSlot)]) {
    let paths: Vec<SlotPath> = expected.iter().map(|(path, _)| path.clone()).collect();
    let layout = Layout::plan(&paths, crate::layout::KeptPlaces::default());
    let extractor = Extractor::plan(&layout, Level::Span, Base::Span, PointKind::default());
    let mut slots = layout.template().to_vec();
    extractor.extract(wire, &mut slots);
    for (at, (path, want)) in expected.iter().enumerate() {
        let id = crate::layout::SlotId(u32::try_from(at).unwrap());
        let got = slots[layout.placed(id).unwrap().position as usize];
        assert_eq!(got, *want, "{path} of {}", wire.escape_ascii());
    }
    if let Some(order) = order(wire) {
        let mut early = layout.template().to_vec();
        extractor.extract_in_order(wire, &order, &mut early);
        assert_eq!(early, slots, "stopping early on {}", wire.escape_ascii());
    }
}

/// What the index says of a span.
fn order(span: &[u8]) -> Option<SpanOrder> {
    let wrap = |field: u32, message: &[u8]| {
        let mut wrapped = Vec::new();
        pdata::wire::put_bytes(&mut wrapped, field, message);
        wrapped
    };
    let request = wrap(1, &wrap(2, &wrap(2, span)));
    pdata::Traces::index(request.into()).ok()?.spans().next()?.order().copied()
}

fn attributes_end(span: &[u8]) -> Option<usize> {
    order(span).map(|order| order.attributes_end())
}

fn key(key: &str) -> SlotPath {
    SlotPath::attribute(MapSource::Span, key)
}

fn text(start: usize, end: usize) -> RawSlot {
    RawSlot::range(tag::STR, Range { start, end })
}

const EMPTY: RawSlot = RawSlot { tag: tag::EMPTY, len: 0, bits: 0 };

#[test]
fn usual_forms() {
    let wire = b"\x2a\x02ab\x4a\x08\x0a\x01k\x12\x03\x0a\x01v\x4a\x07\x0a\x01n\x12\x02\x18\x05";
    check(wire, &[(key("k"), text(13, 14)), (key("n"), RawSlot::int(5)), (SlotPath::SpanName, text(2, 4))]);
    check(wire, &[(key("absent"), RawSlot::MISSING), (key(""), RawSlot::MISSING)]);
}

#[test]
fn first_key_and_last_scalar_win() {
    let wire = b"\x4a\x07\x0a\x01k\x12\x02\x18\x01\x4a\x07\x0a\x01k\x12\x02\x18\x02\x2a\x01a\x2a\x01b";
    check(wire, &[(key("k"), RawSlot::int(1)), (SlotPath::SpanName, text(23, 24))]);
}

#[test]
fn the_first_key_wins_even_when_empty() {
    check(b"\x4a\x03\x0a\x01k\x4a\x07\x0a\x01k\x12\x02\x18\x02", &[(key("k"), EMPTY)]);
    check(b"\x4a\x05\x0a\x01k\x12\x00", &[(key("k"), EMPTY)]);
}

#[test]
fn fields_out_of_order_and_repeated() {
    // value before key
    check(b"\x4a\x07\x12\x02\x18\x05\x0a\x01k", &[(key("k"), RawSlot::int(5))]);
    // the last key of a repeated one
    check(b"\x4a\x0a\x0a\x01x\x0a\x01k\x12\x02\x18\x05", &[(key("k"), RawSlot::int(5)), (key("x"), RawSlot::MISSING)]);
    // values merge: the last member of the oneof that is set wins
    check(b"\x4a\x0b\x0a\x01k\x12\x02\x18\x05\x12\x02\x18\x06", &[(key("k"), RawSlot::int(6))]);
    check(b"\x4a\x09\x0a\x01k\x12\x02\x18\x05\x12\x00", &[(key("k"), RawSlot::int(5))]);
    // status messages merge
    let wire = b"\x7a\x02\x18\x02\x7a\x03\x12\x01m";
    check(wire, &[(SlotPath::StatusCode, RawSlot::int(2)), (SlotPath::StatusMessage, text(8, 9))]);
}

#[test]
fn unknown_fields_and_groups_are_skipped() {
    // group 100 { attribute with key "k" }, then a two-byte tag, then the real one
    let wire = b"\xa3\x06\x4a\x07\x0a\x01k\x12\x02\x18\x01\xa4\x06\xa0\x06\x01\x4a\x07\x0a\x01k\x12\x02\x18\x02";
    check(wire, &[(key("k"), RawSlot::int(2))]);
    // flags have a two-byte tag
    check(b"\x85\x01\x01\x00\x00\x00", &[(SlotPath::Flags, RawSlot::int(1))]);
    // a tag that is longer than need be
    check(b"\xca\x00\x07\x0a\x01k\x12\x02\x18\x02", &[(key("k"), RawSlot::int(2))]);
}

#[test]
fn long_lengths() {
    for len in [127, 128, 300, 20_000] {
        let mut value = vec![0x0a];
        pdata::wire::put_varint(&mut value, len as u64);
        value.extend(vec![b'v'; len]);
        let mut entry = b"\x0a\x01k".to_vec();
        pdata::wire::put_bytes(&mut entry, 2, &value);
        let mut wire = Vec::new();
        pdata::wire::put_bytes(&mut wire, 9, &entry);
        let end = wire.len();
        check(&wire, &[(key("k"), text(end - len, end))]);
    }
}

/// Every kind of value that the index calls plain, and its neighbours that are not.
#[test]
fn values_of_all_lengths() {
    let mut values =
        vec![b"\x10\x00".to_vec(), b"\x10\x01".to_vec(), b"\x10\x80\x01".to_vec(), b"\x10\x80\x00".to_vec()];
    values.extend([b"\x0a\x00".to_vec(), b"\x21\0\0\0\0\0\0\xf8\x3f".to_vec(), b"\x18\x85\x80\x00".to_vec()]);
    for shift in 0..64 {
        for number in [1_u64 << shift, u64::MAX >> shift] {
            let mut value = vec![0x18];
            pdata::wire::put_varint(&mut value, number);
            values.push(value);
        }
    }
    for value in values {
        let mut wire = Vec::new();
        // The one that is wanted stands between others.
        for (name, value) in [("before", &b"\x18\x01"[..]), ("wanted", &value), ("behind", b"\x18\x02")] {
            let mut entry = Vec::new();
            pdata::wire::put_bytes(&mut entry, 1, name.as_bytes());
            pdata::wire::put_bytes(&mut entry, 2, value);
            pdata::wire::put_bytes(&mut wire, 9, &entry);
        }
        let value_end = wire.len() - 14;
        let range = Range { start: value_end - value.len(), end: value_end };
        check(&wire, &[(key("wanted"), EMPTY.merge_any(&wire, range)), (key("behind"), RawSlot::int(2))]);
    }
}

/// Keys that differ in one byte, wherever it is.
#[test]
fn keys_of_all_lengths() {
    for len in 0..=130 {
        let name: String = (b'a'..=b'z').cycle().take(len).map(char::from).collect();
        let changed = (0..len).map(|at| [&name[..at], "-", &name[at + 1..]].concat());
        for other in changed.chain([format!("{name}x")]) {
            let mut wire = Vec::new();
            for (name, value) in [(&other, 1), (&name, 2)] {
                let mut entry = Vec::new();
                pdata::wire::put_bytes(&mut entry, 1, name.as_bytes());
                pdata::wire::put_bytes(&mut entry, 2, &[0x18, value]);
                pdata::wire::put_bytes(&mut wire, 9, &entry);
            }
            check(&wire, &[(key(&name), RawSlot::int(2))]);
            check(&wire, &[(key(&name), RawSlot::int(2)), (key(&other), RawSlot::int(1))]);
        }
    }
}

#[test]
fn trace_state_members_point_into_the_header() {
    let member = |key: &str| SlotPath::TraceStateMember(key.into());
    let wire = b"\x1a\x0ba=1,bb=x y ";
    check(wire, &[(member("bb"), text(9, 12)), (member("z"), text(0, 0)), (SlotPath::TraceState, text(2, 13))]);
    check(b"\x1a\x01a", &[(member("a"), RawSlot::MISSING)]);
    check(b"", &[(member("a"), text(0, 0))]);
}

/// A span as encoders write it, all fields set, with wanted and other keys of one length.
#[test]
fn in_order() {
    let mut wire = b"\x0a\x10ABCDEFGHIJKLMNOP\x12\x08QRSTUVWX\x1a\x03a=1\x22\x08abcdefgh\x2a\x02ab\x30\x02".to_vec();
    wire.extend(b"\x39\x01\0\0\0\0\0\0\0\x41\x02\0\0\0\0\0\0\0");
    for (key, value) in [("http.request.method", "GET"), ("http.request.mithod", "x"), ("k", ""), ("http.route", "/")] {
        let mut entry = Vec::new();
        pdata::wire::put_bytes(&mut entry, 1, key.as_bytes());
        let mut any = vec![0x0a, u8::try_from(value.len()).unwrap()];
        any.extend(value.bytes());
        pdata::wire::put_bytes(&mut entry, 2, &any);
        pdata::wire::put_bytes(&mut wire, 9, &entry);
    }
    let attributes = wire.len();
    wire.extend(b"\x50\x03\x5a\x00\x60\x04\x6a\x00\x70\x05\x7a\x05\x12\x01m\x18\x02\x85\x01\x09\0\0\0");
    assert_eq!(attributes_end(&wire), Some(attributes));
    let at = |needle: &[u8]| wire.windows(needle.len()).position(|found| found == needle).unwrap();
    let route = at(b"/");
    let method = at(b"GET");
    let paths = [
        (SlotPath::TraceId, RawSlot::range(tag::TRACE_ID, Range { start: 2, end: 18 })),
        (SlotPath::SpanId, RawSlot::range(tag::SPAN_ID, Range { start: 20, end: 28 })),
        (SlotPath::ParentSpanId, RawSlot::range(tag::SPAN_ID, Range { start: 35, end: 43 })),
        (SlotPath::SpanName, text(45, 47)),
        (SlotPath::SpanKind, RawSlot::int(2)),
        (SlotPath::StartUnixNano, RawSlot::int(1)),
        (SlotPath::EndUnixNano, RawSlot::int(2)),
        (key("http.route"), text(route, route + 1)),
        (key("http.request.method"), text(method, method + 3)),
        (key("http.request.absent"), RawSlot::MISSING),
        (SlotPath::DroppedEvents, RawSlot::int(4)),
        (SlotPath::StatusCode, RawSlot::int(2)),
        (SlotPath::Flags, RawSlot::int(9)),
    ];
    check(&wire, &paths);
    paths.iter().for_each(|path| check(&wire, std::slice::from_ref(path)));
    for pair in paths.windows(2) {
        check(&wire, pair);
    }
}

/// Unset, all zero, of another length: no id.
#[test]
fn ids_with_nothing_in_them_are_unset() {
    let unset = |tag| RawSlot { tag, len: 0, bits: 0 };
    let (trace, parent) = (SlotPath::TraceId, SlotPath::ParentSpanId);
    let start = b"\x0a\x10ABCDEFGHIJKLMNOP\x12\x08QRSTUVWX";
    let set = (trace.clone(), RawSlot { tag: tag::TRACE_ID, len: 16, bits: 2 });
    for behind in
        [&b""[..], b"\x22\x08\0\0\0\0\0\0\0\0", b"\x22\x00", b"\x22\x08abcdefgh\x22\x00", b"\x22\x04abcd\x2a\x01n"]
    {
        let wire = [&start[..], behind].concat();
        check(&wire, &[set.clone(), (parent.clone(), unset(tag::SPAN_ID))]);
        check(&wire, &[(parent.clone(), unset(tag::SPAN_ID))]);
    }
    let last = RawSlot { tag: tag::SPAN_ID, len: 8, bits: 34 };
    check(&[&start[..], b"\x1a\x02ab\x22\x08abcdefgh"].concat(), &[(parent.clone(), last)]);
    let last = RawSlot { tag: tag::SPAN_ID, len: 8, bits: 40 };
    check(&[&start[..], b"\x22\x08\0\0\0\0\0\0\0\0\x22\x08abcdefgh"].concat(), &[(parent, last)]);
    check(&[b"\x0a\x10", &[0; 16][..], &start[18..]].concat(), &[(trace, unset(tag::TRACE_ID))]);
}

#[test]
fn fields_out_of_order_are_seen_by_the_index() {
    for wire in
        [&b"\x2a\x01a\x2a\x01b"[..], b"\x30\x02\x2a\x01a", b"\x7a\x00\x4a\x00", b"\xaa\x00\x01a", b"\xa0\x06\x01"]
    {
        assert_eq!(attributes_end(wire), None, "{}", wire.escape_ascii());
    }
    assert_eq!(attributes_end(b""), Some(0));
    assert_eq!(attributes_end(b"\x2a\x01a"), Some(3));
    assert_eq!(attributes_end(b"\x4a\x00\x4a\x00\x7a\x00"), Some(4));
}

#[test]
fn damage_ends_the_pass() {
    check(
        b"\x4a\x07\x0a\x01k\x12\x02\x18\x05\x2a\x7fab",
        &[(key("k"), RawSlot::int(5)), (SlotPath::SpanName, text(0, 0))],
    );
    check(b"\x4a\x7f\x0a\x01k", &[(key("k"), RawSlot::MISSING)]);
    check(b"\x39\x01", &[(SlotPath::StartUnixNano, RawSlot::int(0))]);
}

/// Found by fuzzing: the pass stood still before an attribute's tag that ends the message.
#[test]
fn a_tag_with_nothing_behind_it_ends_the_pass() {
    check(b"\x4a", &[(key("k"), RawSlot::MISSING)]);
    check(b"\x2a\x01a\x4a", &[(key("k"), RawSlot::MISSING), (SlotPath::SpanName, text(2, 3))]);
    check(b"\x4a\x07\x0a\x01k\x12\x02\x18\x05\x4a", &[(key("k"), RawSlot::int(5)), (key("l"), RawSlot::MISSING)]);
}

fn attribute(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

proptest! {
    /// The short cuts for spans as most senders write them find what a walk over all fields finds.
    #[test]
    fn short_cuts_find_what_a_walk_finds(
        ids in (0_usize..2, 0_usize..2, 0_usize..3),
        trace_state in prop_oneof![Just(""), Just("a=b")],
        name in 0_usize..140,
        (kind, start, end) in (0_i32..3, 0_u64..3, any::<u64>()),
        attributes in prop::collection::vec((0_usize..3, any::<i64>()), 0..4),
        events in 0_usize..2,
        status in prop::option::of(0_i32..3),
        flags in prop_oneof![Just(0_u32), Just(0x101), any::<u32>()],
        wanted in prop::collection::vec(any::<bool>(), 11),
    ) {
        let span = Span {
            trace_id: vec![1; 16 * ids.0],
            span_id: vec![2; 8 * ids.1],
            parent_span_id: [vec![], vec![0; 8], vec![0, 0, 0, 0, 0, 0, 0, 1]][ids.2].clone(),
            trace_state: trace_state.to_owned(),
            name: "n".repeat(name),
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes: attributes.iter().map(|(key, value)| attribute(["a", "b", "cc"][*key], *value)).collect(),
            events: vec![Event::default(); events],
            status: status.map(|code| Status { code, ..Status::default() }),
            flags,
            ..Span::default()
        };
        let wire = span.encode_to_vec();
        let paths = [
            SlotPath::TraceId,
            SlotPath::SpanId,
            SlotPath::ParentSpanId,
            SlotPath::TraceStateMember("a".into()),
            SlotPath::SpanName,
            SlotPath::SpanKind,
            SlotPath::StartUnixNano,
            SlotPath::EndUnixNano,
            key("cc"),
            SlotPath::StatusCode,
            SlotPath::Flags,
        ];
        let paths: Vec<SlotPath> =
            paths.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(path, _)| path).collect();
        let layout = Layout::plan(&paths, crate::layout::KeptPlaces::default());
        let extractor = Extractor::plan(&layout, Level::Span, Base::Span, PointKind::default());
        let (mut walked, mut found) = (layout.template().to_vec(), layout.template().to_vec());
        extractor.extract(&wire, &mut walked);
        let order = order(&wire);
        prop_assert!(order.is_some() || ids.0 == 0, "the index sees the order that encoders write");
        if let Some(order) = order {
            extractor.extract_in_order(&wire, &order, &mut found);
            prop_assert_eq!(found, walked);
        }
    }
}
