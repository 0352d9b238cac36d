use bytes::Bytes;

use super::*;
use crate::testing::{Sample, SpanSample, request};

/// A span recognisable by its number.
fn span(n: u8) -> SpanSample {
    SpanSample::new([n / 2; 16], [n; 8])
}

fn numbers(traces: &Traces) -> Vec<u8> {
    traces.spans().map(|span| span.bytes().last().copied().unwrap_or_default()).collect()
}

/// Resource "a" with scopes of spans 0 1 | 2 | none, a resource without scopes' spans, resource "c" with 3 4 5.
fn batch() -> Traces {
    let name = |name: &'static str| [("service.name", crate::metrics::Value::String(name.into()))];
    let body = request(&[
        (&name("a"), &[("s0", &[span(0), span(1)]), ("s1", &[span(2)]), ("s2", &[])]),
        (&name("b"), &[]),
        (&name("c"), &[("s3", &[span(3), span(4), span(5)])]),
    ]);
    Traces::index(body).unwrap()
}

/// Resource, scope and span numbers as they nest.
fn shape(traces: &Traces) -> Vec<Vec<Vec<u8>>> {
    let shape: Vec<Vec<Vec<u8>>> = traces
        .resources()
        .map(|resource| {
            resource
                .scopes()
                .map(|scope| scope.spans().map(|span| span.bytes().last().copied().unwrap_or_default()).collect())
                .collect()
        })
        .collect();
    // The views of the index and of its encoding agree, so every edit test is a test of encode, too.
    let again = Traces::index(traces.encode()).unwrap();
    assert_eq!(again.encode(), traces.encode());
    assert_eq!(numbers(&again), numbers(traces));
    assert_eq!(traces.encoded_len(), traces.encode().len());
    shape
}

#[test]
fn retain_keeps_order_and_drops_what_is_empty() {
    let mut traces = batch();
    traces.retain_spans(|index| index != 2 && index != 4);
    assert_eq!(shape(&traces), [vec![vec![0, 1]], vec![vec![3, 5]]]);
    traces.retain_spans(|index| index >= 2);
    assert_eq!(shape(&traces), [vec![vec![3, 5]]]);
    traces.retain_spans(|_| false);
    assert_eq!((traces.resource_count(), traces.scope_count(), traces.span_count()), (0, 0, 0));
}

#[test]
fn retain_all_drops_what_came_empty() {
    let mut traces = batch();
    traces.retain_spans(|_| true);
    assert_eq!(shape(&traces), [vec![vec![0, 1], vec![2]], vec![vec![3, 4, 5]]]);
}

#[test]
fn retain_asks_once_per_span_in_order() {
    let mut asked = Vec::new();
    batch().retain_spans(|index| {
        asked.push(index);
        index % 2 == 0
    });
    assert_eq!(asked, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn retain_envelopes() {
    let mut traces = batch();
    traces.retain_resources(|index| index != 0);
    assert_eq!(shape(&traces), [vec![], vec![vec![3, 4, 5]]]);
    let mut traces = batch();
    traces.retain_scopes(|index| index == 1);
    assert_eq!(shape(&traces), [vec![vec![2]]]);
}

#[test]
fn replaced_bytes_are_sent() {
    let mut traces = batch();
    let resource = Bytes::from(SpanSample::new([0; 16], [0; 8]).bytes);
    assert!(matches!(traces.replace_resource(0, resource), Err(EditError::Malformed(_))));
    assert_eq!(traces.encode(), batch().encode());
    assert_eq!(traces.replace_span(6, Bytes::new()), Err(EditError::NoSuchRow));

    traces.replace_span(1, span(9).bytes.into()).unwrap();
    assert_eq!(numbers(&traces), [0, 9, 2, 3, 4, 5]);
    assert_eq!(traces.span(1).unwrap().trace_id(), &[4; 16]);
    let mut attribute = Vec::new();
    crate::testing::put_attribute(&mut attribute, 1, "k", &crate::metrics::Value::Bool(true));
    traces.replace_resource(2, attribute.clone().into()).unwrap();
    traces.replace_scope(0, Bytes::new()).unwrap();
    let again = Traces::index(traces.encode()).unwrap();
    assert_eq!(again.resource(2).unwrap().resource(), attribute);
    assert_eq!(again.scope(0).unwrap().scope(), b"");
    assert_eq!(numbers(&again), [0, 9, 2, 3, 4, 5]);
}

#[test]
fn append_is_concatenation() {
    let mut traces = Traces::default();
    traces.append(batch());
    assert_eq!(traces.encode(), batch().encode());
    traces.append(batch());
    assert_eq!(traces.encode(), [batch().encode(), batch().encode()].concat());
    traces.append(Traces::default());
    assert_eq!(traces.span_count(), 12);
}

#[test]
fn split_first_is_exact() {
    for n in 0..=7 {
        let mut rest = batch();
        let first = rest.split_first(n);
        assert_eq!(first.span_count(), n.min(6));
        assert_eq!(rest.span_count(), 6 - n.min(6));
        shape(&first);
        shape(&rest);
        assert_eq!([numbers(&first), numbers(&rest)].concat(), [0, 1, 2, 3, 4, 5]);
    }
    let mut rest = batch();
    assert_eq!(shape(&rest.split_first(1)), [vec![vec![0]]]);
    assert_eq!(shape(&rest), [vec![vec![1], vec![2], vec![]], vec![], vec![vec![3, 4, 5]]]);
    let mut rest = batch();
    assert_eq!(shape(&rest.split_first(3)), [vec![vec![0, 1], vec![2], vec![]], vec![]]);
    assert_eq!(shape(&rest), [vec![vec![3, 4, 5]]]);
    let mut rest = batch();
    assert_eq!(shape(&rest.split_first(6)).len(), 3);
    assert_eq!(rest.resource_count(), 0);
}

#[test]
fn chunks_are_exact_and_in_order() {
    let mut traces = batch();
    for _ in 0..4 {
        traces.append(batch());
    }
    let all = numbers(&traces);
    for max in 1..=31 {
        let parts = traces.clone().chunks(max);
        assert_eq!(parts.iter().flat_map(numbers).collect::<Vec<_>>(), all);
        assert!(parts.iter().rev().skip(1).all(|part| part.span_count() == max));
        parts.iter().for_each(|part| drop(shape(part)));
        // A part holds only the requests that it has spans of.
        assert!(parts.iter().all(|part| part.buffers.len() <= max.div_ceil(6) + 2));
    }
    assert_eq!(traces.clone().chunks(0).len(), 1);
    assert_eq!(Traces::default().chunks(5).len(), 1);
}

#[test]
fn split_by_trace_id() {
    let parts = batch().split_by(3, |id| usize::from(id[0] % 2) * 2);
    assert_eq!(parts.len(), 3);
    assert_eq!(shape(&parts[0]), [vec![vec![0, 1]], vec![vec![4, 5]]]);
    assert!(parts[1].is_empty());
    assert_eq!(shape(&parts[2]), [vec![vec![2]], vec![vec![3]]]);
    assert_eq!(parts[2].resource(1).unwrap().resource(), batch().resource(2).unwrap().resource());
    // A key beyond the number of parts makes parts.
    assert_eq!(batch().split_by(0, |_| 1).len(), 2);
}

#[test]
fn group_by_trace_in_order_of_arrival() {
    let traces = batch().select(&[4, 0, 5, 1]);
    assert_eq!(numbers(&traces), [4, 0, 5, 1]);
    let groups = traces.group_by_trace();
    let groups: Vec<_> = groups.iter().map(|(id, spans)| (id[0], spans.to_vec())).collect();
    assert_eq!(groups, [(2, vec![0, 2]), (0, vec![1, 3])]);
    assert!(Traces::default().group_by_trace().is_empty());
}

#[test]
fn memory_size_counts_buffers_and_rows() {
    let traces = Sample::default().traces();
    let body = Sample::default().encode().len();
    assert!((body + 512 * 40..body + 512 * 56).contains(&traces.memory_size()));
}
