use super::plain::PlainAttributes;
use super::*;
use crate::testing::{Sample, SpanSample, request};
use crate::wire::{put_bytes, put_message, put_varint, put_varint_field};

/// The error for a request with one span of these bytes.
fn span_error(span: &[u8]) -> Option<WireErrorKind> {
    Traces::index(in_request(span)).err().map(|error| error.kind)
}

fn in_request(span: &[u8]) -> Bytes {
    request(&[(&[], &[("scope", &[SpanSample { bytes: span.to_vec() }])])])
}

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buf = Vec::new();
    write(&mut buf);
    buf
}

#[test]
fn empty_requests() {
    let empty = Traces::index(Bytes::new()).unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.encode(), Bytes::new());
    // One ResourceSpans without content is still a row.
    let bare = Traces::index(Bytes::from_static(&[0x0a, 0])).unwrap();
    assert_eq!((bare.resource_count(), bare.scope_count(), bare.span_count()), (1, 0, 0));
    assert_eq!(bare.encode(), Bytes::from_static(&[0x0a, 0]));
    // Empty scope, empty span.
    let bare = Traces::index(Bytes::from_static(&[0x0a, 4, 0x12, 2, 0x12, 0])).unwrap();
    assert_eq!((bare.resource_count(), bare.scope_count(), bare.span_count()), (1, 1, 1));
    assert_eq!(bare.spans().next().unwrap().trace_id(), &[0; 16]);
}

#[test]
fn a_realistic_request() {
    let sample = Sample { n_resources: 3, n_spans: 20, ..Sample::default() };
    let body = sample.encode();
    let traces = Traces::index(body.clone()).unwrap();
    assert_eq!((traces.resource_count(), traces.scope_count(), traces.span_count()), (3, 3, 60));
    let n_bytes: usize = traces.spans().map(|span| span.bytes().len()).sum();
    assert!((600..660).contains(&(n_bytes / 60)), "{} bytes a span", n_bytes / 60);
    // The sample is canonical, so it comes out as it went in.
    assert_eq!(traces.encode(), body);
    assert_eq!(traces.encoded_len(), body.len());
}

#[test]
fn ids_have_one_length() {
    let ids = |trace: usize, span: usize, parent: usize| {
        span_error(&message(|buf| {
            put_bytes(buf, 1, &vec![1; trace]);
            put_bytes(buf, 2, &vec![1; span]);
            put_bytes(buf, 4, &vec![1; parent]);
        }))
    };
    assert_eq!(ids(16, 8, 8), None);
    assert_eq!(ids(0, 0, 0), None);
    assert_eq!(ids(15, 8, 8), Some(WireErrorKind::IdLength));
    assert_eq!(ids(16, 16, 8), Some(WireErrorKind::IdLength));
    assert_eq!(ids(16, 8, 7), Some(WireErrorKind::IdLength));
    let link = |trace: usize, span: usize| {
        span_error(&message(|buf| {
            put_message(buf, 13, |buf| {
                put_bytes(buf, 1, &vec![1; trace]);
                put_bytes(buf, 2, &vec![1; span]);
            });
        }))
    };
    assert_eq!(link(16, 8), None);
    assert_eq!(link(8, 8), Some(WireErrorKind::IdLength));
    assert_eq!(link(16, 1), Some(WireErrorKind::IdLength));
}

#[test]
fn the_last_trace_id_counts() {
    let span = message(|buf| {
        put_bytes(buf, 1, &[1; 16]);
        put_bytes(buf, 1, &[2; 16]);
    });
    assert_eq!(Traces::index(in_request(&span)).unwrap().spans().next().unwrap().trace_id(), &[2; 16]);
    let reset = message(|buf| {
        put_bytes(buf, 1, &[1; 16]);
        put_bytes(buf, 1, &[]);
    });
    assert_eq!(Traces::index(in_request(&reset)).unwrap().spans().next().unwrap().trace_id(), &[0; 16]);
}

#[test]
fn every_known_field_has_its_wire_type() {
    /// Wire types by number.
    const VARINT: u64 = 0;
    const FIXED64: u64 = 1;
    const LEN: u64 = 2;
    const GROUP: u64 = 3;
    const FIXED32: u64 = 5;
    let span: [u64; 16] =
        [LEN, LEN, LEN, LEN, LEN, VARINT, FIXED64, FIXED64, LEN, VARINT, LEN, VARINT, LEN, VARINT, LEN, FIXED32];
    let event = [FIXED64, LEN, LEN, VARINT];
    let link = [LEN, LEN, LEN, LEN, VARINT, FIXED32];
    let key_value = [LEN, LEN, VARINT];
    let any_value = [LEN, VARINT, VARINT, FIXED64, LEN, LEN, LEN, VARINT];
    let cases: [(&[u32], &[u64]); 6] = [
        (&[], &span),
        (&[11], &event),
        (&[13], &link),
        (&[9], &key_value),
        (&[9, 2], &any_value),
        (&[9, 2, 5, 1, 6, 1], &key_value),
    ];
    for (path, types) in cases {
        for (number, &right) in (1..).zip(types) {
            for wire_type in [VARINT, FIXED64, LEN, GROUP, FIXED32] {
                let mut span = message(|buf| {
                    put_varint(buf, number << 3 | wire_type);
                    // Zero bytes are a payload of any wire type; a group ends with its own tag.
                    match wire_type {
                        VARINT | LEN => buf.push(0),
                        FIXED64 => buf.extend([0; 8]),
                        FIXED32 => buf.extend([0; 4]),
                        _ => put_varint(buf, number << 3 | 4),
                    }
                });
                // In a map the entry's number 1 is a key.
                for &number in path.iter().rev() {
                    span = message(|buf| put_bytes(buf, number, &span));
                }
                let error = span_error(&span);
                let case = format!("{path:?} {number} {wire_type}");
                if wire_type == right {
                    assert_eq!(error, None, "{case}");
                } else {
                    assert_eq!(error, Some(WireErrorKind::WireType), "{case}");
                }
            }
        }
    }
}

#[test]
fn unknown_fields_are_passed_over_everywhere() {
    let junk = message(|buf| {
        put_varint_field(buf, 90, u64::MAX);
        put_bytes(buf, 91, b"junk");
        put_varint(buf, 92 << 3 | 3);
        put_varint_field(buf, 1, 1);
        put_varint(buf, 92 << 3 | 4);
        put_varint_field(buf, (1 << 29) - 1, 0);
    });
    let wrapped = |path: &[u32]| {
        let mut bytes = junk.clone();
        for &number in path.iter().rev() {
            bytes = message(|buf| put_bytes(buf, number, &bytes));
        }
        Traces::index(Bytes::from(bytes))
    };
    for path in [
        &[][..],
        &[1],
        &[1, 1],
        &[1, 1, 3],
        &[1, 2],
        &[1, 2, 1],
        &[1, 2, 2],
        &[1, 2, 2, 9],
        &[1, 2, 2, 9, 2],
        &[1, 2, 2, 9, 2, 5],
        &[1, 2, 2, 9, 2, 6],
        &[1, 2, 2, 11],
        &[1, 2, 2, 13],
        &[1, 2, 2, 15],
    ] {
        assert!(wrapped(path).is_ok(), "{path:?}");
    }
    // The status's first field was retired; what old senders write there is passed over too.
    assert_eq!(span_error(&message(|buf| put_message(buf, 15, |buf| put_varint_field(buf, 1, 2)))), None);
}

#[test]
fn truncation_anywhere_is_refused() {
    let body = in_request(
        &SpanSample::new([1; 16], [2; 8])
            .name("a")
            .attribute("k", crate::metrics::Value::Map(vec![("x".into(), crate::metrics::Value::Double(1.0))]))
            .event(1, "e", &[("k", crate::metrics::Value::Int(-1))])
            .link([1; 16], [2; 8], &[])
            .status(2, "m")
            .flags(1)
            .bytes,
    );
    assert!(Traces::index(body.clone()).is_ok());
    for len in 1..body.len() {
        let error = Traces::index(body.slice(..len)).unwrap_err();
        assert_eq!(error.kind, WireErrorKind::Truncated, "at {len}");
        assert!(error.at as usize <= len);
    }
}

#[test]
fn deep_values_are_refused() {
    let nested = |depth: usize, list: bool| {
        // AnyValue{list{AnyValue{..}}} or AnyValue{map{KeyValue{value AnyValue{..}}}}
        let mut value = message(|buf| put_varint_field(buf, 2, 1));
        for _ in 0..depth {
            value = if list {
                message(|buf| put_message(buf, 5, |buf| put_bytes(buf, 1, &value)))
            } else {
                message(|buf| {
                    put_message(buf, 6, |buf| put_message(buf, 1, |buf| put_bytes(buf, 2, &value)));
                })
            };
        }
        span_error(&message(|buf| put_message(buf, 9, |buf| put_bytes(buf, 2, &value))))
    };
    for list in [true, false] {
        assert_eq!(nested(MAX_VALUE_DEPTH as usize, list), None);
        assert_eq!(nested(MAX_VALUE_DEPTH as usize + 1, list), Some(WireErrorKind::Depth));
        assert_eq!(nested(2_000, list), Some(WireErrorKind::Depth));
    }
}

#[test]
fn repeated_envelope_messages_are_merged() {
    let attribute =
        |key: &str| message(|buf| crate::testing::put_attribute(buf, 1, key, &crate::metrics::Value::Int(1)));
    let body = message(|buf| {
        put_message(buf, 1, |buf| {
            put_bytes(buf, 3, b"first");
            put_bytes(buf, 1, &attribute("a"));
            put_message(buf, 2, |buf| {
                put_message(buf, 1, |buf| put_bytes(buf, 1, b"n1"));
                put_bytes(buf, 2, &[]);
                put_message(buf, 1, |buf| put_bytes(buf, 2, b"v"));
                put_message(buf, 1, |buf| put_bytes(buf, 1, b"n2"));
            });
            put_bytes(buf, 1, &attribute("b"));
            put_bytes(buf, 3, b"last");
            put_bytes(buf, 1, &attribute("c"));
        });
    });
    let traces = Traces::index(Bytes::from(body)).unwrap();
    let resource = traces.resources().next().unwrap();
    assert_eq!(resource.resource(), [attribute("a"), attribute("b"), attribute("c")].concat());
    assert_eq!(resource.schema_url(), b"last");
    let scope = message(|buf| {
        put_bytes(buf, 1, b"n1");
        put_bytes(buf, 2, b"v");
        put_bytes(buf, 1, b"n2");
    });
    assert_eq!(resource.scopes().next().unwrap().scope(), scope);
    assert_eq!(Traces::index(traces.encode()).unwrap().resources().next().unwrap().resource(), resource.resource());
}

#[test]
fn many_parts_of_one_message_cost_linear_time() {
    // 100 KB, then 200 000 empty parts: copying the first part for each would be 20 GB.
    let body = message(|buf| {
        put_message(buf, 1, |buf| {
            put_message(buf, 1, |buf| crate::testing::put_attribute(buf, 1, &"k".repeat(100_000), &Default::default()));
            for _ in 0..200_000 {
                put_bytes(buf, 1, &[]);
            }
        });
    });
    assert_eq!(Traces::index(Bytes::from(body)).unwrap().resource_count(), 1);
}

#[test]
fn retired_scope_spans_count_where_there_are_no_others() {
    let scope_spans = |id: u8| message(|buf| put_message(buf, 2, |buf| put_bytes(buf, 1, &[id; 16])));
    let only = message(|buf| put_message(buf, 1, |buf| put_bytes(buf, 1000, &scope_spans(1))));
    let traces = Traces::index(Bytes::from(only)).unwrap();
    assert_eq!(traces.trace_ids().collect::<Vec<_>>(), [&[1; 16]]);
    let both = message(|buf| {
        put_message(buf, 1, |buf| {
            put_bytes(buf, 1000, &scope_spans(1));
            put_bytes(buf, 2, &scope_spans(2));
        });
    });
    let traces = Traces::index(Bytes::from(both)).unwrap();
    assert_eq!(traces.trace_ids().collect::<Vec<_>>(), [&[2; 16]]);
    assert_eq!(traces.scope_count(), 1);
}

/// A run of attributes, whatever stands behind it in the request; of bytes that nothing stands behind it is no longer.
fn run(attributes: &[u8]) -> PlainAttributes {
    let behind = |filler: &[u8]| {
        let onward = [attributes, filler].concat();
        plain_attributes(&onward, attributes.len())
    };
    let run = behind(&[0xff; 256]);
    for filler in [&[0; 256][..], &b"\x4a\x07\x0a\x01k\x12\x02\x18\x05".repeat(30)] {
        let other = behind(filler);
        assert_eq!((run.len, run.keys), (other.len, other.keys), "{attributes:02x?}");
    }
    assert!(plain_attributes(attributes, attributes.len()).len <= run.len);
    run
}

/// What is seen of a span, whatever stands behind it in the request.
fn order_of(span: &[u8]) -> SpanOrder {
    let behind = |filler: &[u8]| {
        let onward = [span, filler].concat();
        validate_span(Cursor::new(span), &onward).unwrap().order
    };
    let seen = |order: SpanOrder| {
        (order.attributes_start(), order.attributes_end(), order.keys(), order.has_plain_attributes())
    };
    let order = behind(&[0xff; 256]);
    assert_eq!(behind(&[0x4a; 256]), order, "{span:02x?}");
    // Where nothing stands behind it, a plain head may not be recognised.
    assert_eq!(seen(behind(b"")), seen(order), "{span:02x?}");
    order
}

/// The short cut for plain attributes accepts nothing that the general loop refuses.
#[test]
fn the_short_cut_is_no_loophole() {
    use crate::metrics::Value;
    let check = |message: &[u8]| {
        let plain = plain_key(message);
        let checked = any_key_value(Cursor::new(message), 0);
        assert!(plain.is_none() || checked.is_ok(), "{message:02x?}");
        // The same attribute in a run, with a field behind it.
        let field = [&[0x4a, u8::try_from(message.len()).unwrap()], message, &[0x7a, 2, 0x18, 2, 0x85, 1, 0, 0, 0, 0]];
        let run = run(&field.concat());
        if run.len > 0 {
            assert_eq!((run.len, Some(run.keys)), (2 + message.len(), checked.ok()), "{message:02x?}");
        }
        assert!(run.len > 0 || plain.is_none(), "{message:02x?}");
        plain.is_some()
    };
    for value in [
        Value::String("ab".into()),
        Value::Bool(true),
        Value::Int(5),
        Value::Int(200),
        Value::Int(70_000),
        Value::Int(i64::MAX),
        Value::Int(-1),
        Value::Double(1.5),
        Value::Bytes(vec![1]),
        Value::Array(vec![Value::Int(1)]),
        Value::Empty,
    ] {
        let mut field = Vec::new();
        crate::testing::put_attribute(&mut field, 1, "key", &value);
        let entry = &field[2..];
        let scalar = !matches!(
            value,
            Value::Bytes(_) | Value::Array(_) | Value::Empty | Value::Int(i64::MIN..0) | Value::Int(0x4000..)
        );
        assert_eq!(check(entry), scalar, "{value:?}");
        for at in 0..=entry.len() {
            check(&entry[..at]);
            for byte in 0..=255 {
                let mut changed = entry.to_vec();
                changed.insert(at, byte);
                check(&changed);
                if at < entry.len() {
                    changed.remove(at + 1);
                    check(&changed);
                    // Two lengths that agree with each other and not with the rest.
                    for later in at + 1..entry.len() {
                        changed[later] = changed[later].wrapping_sub(1);
                        check(&changed);
                        changed[later] = entry[later];
                    }
                    changed.remove(at);
                    check(&changed);
                }
            }
        }
    }
}

/// The same for strings whose lengths take two bytes.
#[test]
fn the_short_cut_for_long_strings_is_no_loophole() {
    let check = |field: &[u8]| {
        let run = run(field);
        if run.len > 0 {
            let mut cursor = Cursor::new(field);
            assert!(cursor.take_tag(0x4a), "{field:02x?}");
            let checked = cursor.message().and_then(|message| any_key_value(message, 0));
            assert_eq!((run.len, Some(run.keys)), (cursor.position(), checked.ok()), "{field:02x?}");
        }
        run.len > 0
    };
    for (key, text, is_taken) in
        [(1, 121, false), (1, 124, false), (1, 127, true), (1, 128, true), (5, 300, true), (100, 30, false)]
    {
        let text = "v".repeat(text);
        let mut field = Vec::new();
        crate::testing::put_attribute(&mut field, 9, &"k".repeat(key), &crate::metrics::Value::String(text));
        assert_eq!(check(&field), is_taken);
        for at in 0..field.len() {
            check(&field[..at]);
            for byte in (0..16).chain(100..=140) {
                let mut changed = field.clone();
                changed[at] = byte;
                check(&changed);
                changed.insert(at, byte);
                check(&changed);
            }
        }
    }
}

/// What is seen of a span does not depend on whether its head was passed over at once.
#[test]
fn the_order_of_fields_behind_a_head() {
    let long = [b"\x4a\x8a\x01\x0a\x01k\x12\x84\x01\x0a\x81\x01".as_slice(), &[b'x'; 129]].concat();
    let attributes: [&[u8]; 5] =
        [b"", b"\x4a\x07\x0a\x01k\x12\x02\x18\x05", &long, b"\x4a\x07\x12\x02\x18\x05\x0a\x01k", b"\x50\x01"];
    let ends: [&[u8]; 5] = [
        b"",
        b"\x85\x01\x01\x01\x00\x00",
        b"\x7a\x02\x18\x02\x85\x01\x01\x01\x00\x00",
        b"\x5a\x00",
        b"\x85\x01\x01\x01\x00\x00\x4a\x07\x0a\x01k\x12\x02\x18\x05",
    ];
    let ids = [&[0x0a, 16][..], &[1; 16], &[0x12, 8], &[2; 8]].concat();
    let rest = [&b"\x2a\x01n\x30\x02\x39"[..], &[3; 8], &[0x41], &[4; 8]].concat();
    for (first, second) in attributes.iter().flat_map(|first| attributes.iter().map(move |second| (first, second))) {
        for end in ends {
            let behind = [&rest[..], first, second, end].concat();
            let order = |trace_state: &[u8]| {
                let span = [&ids[..], trace_state, &behind].concat();
                let order = order_of(&span);
                assert_eq!(order.has_plain_head(), trace_state.is_empty() && order != SpanOrder::NONE);
                let at = |at: usize| at - if order == SpanOrder::NONE { 0 } else { trace_state.len() };
                (at(order.attributes_start()), at(order.attributes_end()), order.keys(), order.has_plain_attributes())
            };
            assert_eq!(order(b""), order(b"\x1a\x00"), "{behind:02x?}");
        }
    }
}

/// The head of a span is passed over only where the general loop would accept it, and see its fields in order.
#[test]
fn the_short_cut_through_the_head_is_no_loophole() {
    let head = |with_parent: bool| {
        message(|buf| {
            put_bytes(buf, 1, &[1; 16]);
            put_bytes(buf, 2, &[2; 8]);
            if with_parent {
                put_bytes(buf, 4, &[4; 8]);
            }
            put_bytes(buf, 5, b"name");
            put_varint_field(buf, 6, 2);
            buf.extend([0x39, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0, 0]);
        })
    };
    let check = |span: &[u8]| {
        let Some(head) = PlainHead::read(&[span, &[0xff; 256]].concat(), span.len()) else { return false };
        let fields: Vec<_> = crate::wire::Fields::new(&span[..head.len]).collect();
        let numbers: Vec<_> = fields.iter().map(|(number, _)| *number).filter(|number| *number != 4).collect();
        assert_eq!(numbers, [1, 2, 5, 6, 7, 8], "{span:02x?}");
        assert_eq!(fields[0].1, crate::wire::Field::Bytes(&head.trace_id));
        let general = [&span[..head.len], &[0x40, 0]].concat();
        // One more field, out of order, of the wrong type: nothing else is wrong.
        assert_eq!(span_error(&general), Some(WireErrorKind::WireType), "{span:02x?}");
        true
    };
    for with_parent in [false, true] {
        let span = [head(with_parent), vec![0x85, 1, 0, 0, 0, 0]].concat();
        assert!(check(&span));
        for at in 0..span.len() {
            check(&span[..at]);
            for byte in 0..=255 {
                let mut changed = span.clone();
                changed[at] = byte;
                check(&changed);
                changed.insert(at, byte);
                check(&changed);
            }
        }
    }
}

/// A key's bit is always among those of its span, also where nobody writes attributes so.
#[test]
fn bits_of_keys() {
    let span = |attributes: &[u8]| {
        let mut span = vec![0x2a, 1, b'n'];
        span.extend(attributes);
        span.extend([0x7a, 2, 0x18, 2]);
        order_of(&span)
    };
    let plain = span(b"\x4a\x07\x0a\x01k\x12\x02\x18\x05\x4a\x09\x0a\x03abc\x12\x02\x18\x05");
    assert_eq!((plain.attributes_start(), plain.attributes_end()), (3, 23));
    assert_eq!(plain.keys(), SpanOrder::key_bit(b"k") | SpanOrder::key_bit(b"abc"));
    // value first; the last of two keys; no key; a length that is longer than need be
    for (odd, key) in [
        (&b"\x4a\x07\x12\x02\x18\x05\x0a\x01k"[..], &b"k"[..]),
        (b"\x4a\x07\x0a\x01a\x0a\x02kk", b"kk"),
        (b"\x4a\x00", b""),
        (b"\x4a\x06\x0a\x83\x00xyz", b"xyz"),
    ] {
        let order = span(odd);
        assert_eq!(order.keys() & SpanOrder::key_bit(key), SpanOrder::key_bit(key), "{odd:02x?}");
        assert!(!order.has_plain_attributes(), "{odd:02x?}");
    }
    assert!(plain.has_plain_attributes());
    // A list; a text whose message's length takes two bytes.
    assert!(!span(b"\x4a\x07\x0a\x01k\x12\x02\x2a\x00").has_plain_attributes());
    let long = [b"\x4a\x8a\x01\x0a\x01k\x12\x84\x01\x0a\x81\x01".as_slice(), &[b'x'; 129]].concat();
    assert!(span(&long).has_plain_attributes());
    assert_eq!(span(b"").keys(), 0);
    assert_eq!(span(b"").attributes_start(), span(b"").attributes_end());
}
