//! The index and the edits against prost's decoding of the same bytes.

mod metrics;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use pdata::Traces;
use proptest::prelude::*;
use prost::Message;

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        ".{0,6}".prop_map(|text| Some(Any::StringValue(text))),
        any::<i64>().prop_map(|whole| Some(Any::IntValue(whole))),
        any::<bool>().prop_map(|truth| Some(Any::BoolValue(truth))),
        (-1e9..1e9).prop_map(|number: f64| Some(Any::DoubleValue(number))),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|values| AnyValue { value: Some(Any::ArrayValue(ArrayValue { values })) }),
            prop::collection::vec(("[a-z]{0,3}", inner), 0..3).prop_map(|entries| AnyValue {
                value: Some(Any::KvlistValue(KeyValueList { values: entries.into_iter().map(key_value).collect() }))
            }),
        ]
    })
}

fn key_value((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue { key, value: Some(value), ..KeyValue::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    prop::collection::vec(("[a-z.]{0,5}", any_value()).prop_map(key_value), 0..4)
}

fn span() -> impl Strategy<Value = Span> {
    let id = prop_oneof![Just(Vec::new()), any::<[u8; 16]>().prop_map(|id| id.to_vec())];
    let event = (any::<u64>(), "[a-z]{0,4}", attributes()).prop_map(|(time_unix_nano, name, attributes)| Event {
        time_unix_nano,
        name,
        attributes,
        ..Event::default()
    });
    let link = attributes().prop_map(|attributes| Link { trace_id: vec![1; 16], attributes, ..Link::default() });
    let status = prop::option::of((0..3, ".{0,3}").prop_map(|(code, message)| Status { code, message }));
    let lists = (attributes(), prop::collection::vec(event, 0..2), prop::collection::vec(link, 0..2), status);
    (id, ".{0,8}", any::<u64>(), any::<u64>(), any::<u32>(), lists).prop_map(
        |(trace_id, name, start, end, flags, (attributes, events, links, status))| Span {
            trace_id,
            span_id: vec![7; 8],
            name,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            flags,
            attributes,
            events,
            links,
            status,
            ..Span::default()
        },
    )
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = prop::option::of((".{0,4}", attributes()).prop_map(|(name, attributes)| InstrumentationScope {
        name,
        attributes,
        ..InstrumentationScope::default()
    }));
    let scope_spans = (scope, prop::collection::vec(span(), 0..4), ".{0,3}")
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource = prop::option::of(attributes().prop_map(|attributes| Resource { attributes, ..Resource::default() }));
    let resource_spans = (resource, prop::collection::vec(scope_spans, 0..3), ".{0,3}")
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    prop::collection::vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn index(request: &ExportTraceServiceRequest) -> Traces {
    Traces::index(Bytes::from(request.encode_to_vec())).expect("a valid request")
}

fn decode(traces: &Traces) -> ExportTraceServiceRequest {
    let bytes = traces.encode();
    assert_eq!(traces.encode_chunks().concat(), bytes);
    assert_eq!(bytes.len(), traces.encoded_len());
    ExportTraceServiceRequest::decode(bytes).expect("what is encoded decodes")
}

fn all_spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| s.spans.iter().cloned()).collect()
}

/// The same on structs: keep by running number, drop what is empty.
fn retain(request: &mut ExportTraceServiceRequest, mut keep: impl FnMut(usize) -> bool) {
    let mut number = 0;
    for resource in &mut request.resource_spans {
        for scope in &mut resource.scope_spans {
            scope.spans.retain(|_| {
                number += 1;
                keep(number - 1)
            });
        }
        resource.scope_spans.retain(|scope| !scope.spans.is_empty());
    }
    request.resource_spans.retain(|resource| !resource.scope_spans.is_empty());
}

/// A message that a generous sender might have written: fields out of order, repeated, unknown, and in parts.
#[derive(Clone, Debug)]
enum Part {
    Known(u32, Vec<u8>),
    Varint(u32, u64),
    Fixed64(u32, u64),
    Fixed32(u32, u32),
    Group(u32, Vec<Part>),
    Message(u32, Vec<Part>),
}

impl Part {
    fn write(&self, out: &mut Vec<u8>) {
        use pdata::wire::{put_bytes, put_fixed32_field, put_fixed64_field, put_message, put_varint, put_varint_field};
        match self {
            Self::Known(field, bytes) => put_bytes(out, *field, bytes),
            Self::Varint(field, value) => put_varint_field(out, *field, *value),
            Self::Fixed64(field, value) => put_fixed64_field(out, *field, *value),
            Self::Fixed32(field, value) => put_fixed32_field(out, *field, *value),
            Self::Message(field, parts) => {
                put_message(out, *field, |out| parts.iter().for_each(|part| part.write(out)));
            }
            Self::Group(field, parts) => {
                put_varint(out, u64::from(*field) << 3 | 3);
                parts.iter().for_each(|part| part.write(out));
                put_varint(out, u64::from(*field) << 3 | 4);
            }
        }
    }
}

/// Fields of any shape whose numbers are mostly OTLP's.
fn parts() -> impl Strategy<Value = Vec<Part>> {
    let number = || prop_oneof![20 => 1_u32..17, 1 => Just(31_u32), 1 => 100_u32..900];
    let bytes = prop_oneof![
        prop::collection::vec(0_u8..4, 0..4),
        Just(vec![1; 16]),
        Just(vec![2; 8]),
        prop::collection::vec(any::<u8>(), 0..3)
    ];
    let leaf = prop_oneof![
        (number(), bytes).prop_map(|(field, bytes)| Part::Known(field, bytes)),
        (number(), any::<u64>()).prop_map(|(field, value)| Part::Varint(field, value)),
        (number(), any::<u64>()).prop_map(|(field, value)| Part::Fixed64(field, value)),
        (number(), any::<u32>()).prop_map(|(field, value)| Part::Fixed32(field, value)),
    ];
    let part = leaf.prop_recursive(8, 48, 5, move |inner| {
        let parts = prop::collection::vec(inner, 0..5);
        prop_oneof![
            8 => (prop_oneof![Just(1_u32), Just(2), Just(9), Just(15), number()], parts.clone())
                .prop_map(|(field, parts)| Part::Message(field, parts)),
            1 => (number(), parts).prop_map(|(field, parts)| Part::Group(field, parts)),
        ]
    });
    prop::collection::vec(part, 0..4)
}

/// Appends unknown fields to every message of a request, and repeats envelope fields in parts.
fn with_noise(bytes: &[u8], depth: usize) -> Vec<u8> {
    let mut out = vec![0xf8, 0x3f, 1];
    for (number, field) in pdata::wire::Fields::new(bytes) {
        match field {
            pdata::wire::Field::Bytes(inner) if depth > 0 && number < 3 => {
                let inner = with_noise(inner, depth - 1);
                // A Resource or InstrumentationScope in two parts.
                if number == 1 && depth < 3 {
                    pdata::wire::put_bytes(&mut out, number, &[0xf8, 0x3f, 1]);
                }
                pdata::wire::put_bytes(&mut out, number, &inner);
            }
            pdata::wire::Field::Bytes(inner) => {
                if number == 3 {
                    pdata::wire::put_bytes(&mut out, number, b"overwritten");
                }
                pdata::wire::put_bytes(&mut out, number, inner);
            }
            _ => unreachable!("envelopes hold length-delimited fields only"),
        }
    }
    out.extend([0xfb, 0x3f, 0x08, 1, 0xfc, 0x3f]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Accepting is the same as for prost, but for ids (prost does not look) and text (Go does not look).
    #[test]
    fn acceptance_equals_prosts(parts in parts()) {
        let mut bytes = Vec::new();
        // Straight to a span, where most of the rules are, or from the top.
        for path in [&[][..], &[1], &[1, 1], &[1, 2], &[1, 2, 1], &[1, 2, 2], &[1, 2, 2, 9], &[1, 2, 2, 9, 2]] {
            bytes.clear();
            parts.iter().for_each(|part| part.write(&mut bytes));
            for &field in path.iter().rev() {
                let inner = std::mem::take(&mut bytes);
                pdata::wire::put_bytes(&mut bytes, field, &inner);
            }
            let ours = Traces::index(Bytes::from(bytes.clone()));
            match (ours, ExportTraceServiceRequest::decode(&bytes[..])) {
                (Err(error), Ok(_)) => prop_assert_eq!(error.kind, pdata::WireErrorKind::IdLength),
                (Ok(traces), Ok(theirs)) => prop_assert_eq!(decode(&traces), theirs),
                (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("UTF-8"), "{error}"),
                (Err(_), Err(_)) => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn unknown_and_repeated_fields_change_nothing(request in request()) {
        let bytes = with_noise(&request.encode_to_vec(), 2);
        let traces = Traces::index(Bytes::from(bytes.clone())).expect("a valid request");
        let theirs = ExportTraceServiceRequest::decode(&bytes[..]).expect("a valid request");
        prop_assert_eq!(decode(&traces), theirs);
        prop_assert_eq!(traces.span_count(), all_spans(&request).len());
    }

    #[test]
    fn chunks_are_exact(request in request(), n in 1_usize..6) {
        let parts = index(&request).chunks(n);
        prop_assert!(parts.iter().rev().skip(1).all(|part| part.span_count() == n));
        let spans: Vec<Span> = parts.iter().flat_map(|part| all_spans(&decode(part))).collect();
        prop_assert_eq!(spans, all_spans(&request));
        // Of a request cut in two, no envelope is lost: an empty one is on its side of the cut.
        let parts = index(&request).chunks(index(&request).span_count().div_ceil(2).max(1));
        let n_rows: usize = parts.iter().map(Traces::resource_count).sum();
        prop_assert!(n_rows >= request.resource_spans.len());
    }

    #[test]
    fn grouping_by_trace_is_a_partition(request in request()) {
        let traces = index(&request);
        let groups = traces.group_by_trace();
        let mut seen: Vec<u32> = groups.iter().flat_map(|(_, spans)| spans.to_vec()).collect();
        prop_assert!(groups.iter().map(|(_, spans)| spans[0]).is_sorted());
        for (id, spans) in groups.iter() {
            prop_assert!(spans.is_sorted());
            prop_assert!(spans.iter().all(|&span| *traces.span(span as usize).unwrap().trace_id() == id));
            prop_assert_eq!(all_spans(&decode(&traces.select(spans))).len(), spans.len());
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..traces.span_count() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn encoding_gives_the_same_message(request in request()) {
        prop_assert_eq!(decode(&index(&request)), request);
    }

    #[test]
    fn views_show_what_prost_shows(request in request()) {
        let traces = index(&request);
        let mut seen = Vec::new();
        for (resource, expected) in traces.resources().zip(&request.resource_spans) {
            prop_assert_eq!(resource.schema_url(), expected.schema_url.as_bytes());
            for (scope, expected) in resource.scopes().zip(&expected.scope_spans) {
                prop_assert_eq!(scope.schema_url(), expected.schema_url.as_bytes());
                prop_assert_eq!(scope.spans().len(), expected.spans.len());
                seen.extend(scope.spans().map(|span| Span::decode(span.bytes()).expect("a span")));
            }
        }
        prop_assert_eq!(seen, all_spans(&request));
    }

    #[test]
    fn retaining_equals_retaining_structs(request in request(), seed in any::<u64>()) {
        let keep = |number: usize| seed >> (number % 64) & 1 == 1;
        let mut traces = index(&request);
        traces.retain_spans(keep);
        let mut expected = request;
        retain(&mut expected, keep);
        prop_assert_eq!(decode(&traces), expected);
    }

    #[test]
    fn appending_concatenates(first in request(), second in request()) {
        let mut traces = index(&first);
        traces.append(index(&second));
        let mut expected = first;
        expected.resource_spans.extend(second.resource_spans);
        prop_assert_eq!(decode(&traces), expected);
    }

    #[test]
    fn splitting_loses_nothing_and_is_exact(request in request(), n in 1_usize..6) {
        let mut rest = index(&request);
        let mut seen = Vec::new();
        while rest.span_count() > n {
            let first = rest.split_first(n);
            prop_assert_eq!(first.span_count(), n);
            seen.extend(all_spans(&decode(&first)));
        }
        seen.extend(all_spans(&decode(&rest)));
        prop_assert_eq!(seen, all_spans(&request));
    }

    #[test]
    fn splitting_by_trace_keeps_traces_together(request in request(), n in 1_usize..4) {
        let traces = index(&request);
        let parts = traces.split_by(n, |id| usize::from(id[0]) % n);
        let mut count = 0;
        for (number, part) in parts.iter().enumerate() {
            for span in all_spans(&decode(part)) {
                prop_assert_eq!(usize::from(span.trace_id.first().copied().unwrap_or(0)) % n, number);
                count += 1;
            }
        }
        prop_assert_eq!(count, traces.span_count());
    }

    #[test]
    fn damaged_bytes_never_panic_and_what_is_accepted_decodes(
        request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if byte % 3 == 0 {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
        }
        let ours = Traces::index(Bytes::from(bytes.clone()));
        let theirs = ExportTraceServiceRequest::decode(&bytes[..]);
        match (ours, theirs) {
            // prost demands UTF-8 and bounds enums and ids otherwise; what it takes, the index takes, ids aside.
            (Err(error), Ok(_)) => prop_assert_eq!(error.kind, pdata::WireErrorKind::IdLength),
            (Ok(traces), Ok(theirs)) => prop_assert_eq!(decode(&traces), theirs),
            (Ok(traces), Err(_)) => drop(traces.encode()),
            (Err(_), Err(_)) => {}
        }
    }
}
