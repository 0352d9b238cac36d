//! The index and the edits against prost's decoding of the same bytes.

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

proptest! {
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
