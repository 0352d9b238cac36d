//! Any bytes are refused or indexed, and what is indexed survives every edit: it encodes to a batch that indexes to the
//! same rows, whole and in parts.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pdata::span::{AttributesOf, SpanFields, attribute_values, events, links};
use pdata::{Metrics, Traces};

fuzz_target!(|body: &[u8]| {
    if let Ok(metrics) = Metrics::decode(body) {
        assert!(Metrics::decode(&metrics.encode()).is_ok());
    }
    let Ok(traces) = Traces::index(Bytes::copy_from_slice(body)) else { return };
    let encoded = traces.encode();
    assert_eq!(encoded.len(), traces.encoded_len());
    let again = Traces::index(encoded.clone()).expect("what is encoded is well-formed");
    assert_eq!(again.encode(), encoded);
    assert!(again.trace_ids().eq(traces.trace_ids()));

    for span in traces.spans() {
        let fields = SpanFields::read(span.bytes());
        assert!(matches!(fields.trace_id.len(), 0 | 16));
        assert!(attribute_values(span.bytes(), AttributesOf::Span).len() <= span.bytes().len());
        events(span.bytes()).chain(links(span.bytes())).for_each(|message| {
            assert!(attribute_values(message, AttributesOf::ScopeOrEvent).len() <= message.len());
        });
    }

    let n_spans = traces.span_count();
    let parts = traces.clone().chunks(3);
    assert_eq!(parts.iter().map(Traces::span_count).sum::<usize>(), n_spans);
    let parts = traces.split_by(2, |id| usize::from(id[15] & 1));
    assert_eq!(parts.iter().map(Traces::span_count).sum::<usize>(), n_spans);
    for mut part in parts {
        part.append(again.clone());
        part.retain_spans(|index| index % 2 == 0);
        assert!(Traces::index(part.encode()).is_ok());
    }
});
