//! Cost per span of indexing, encoding, reads and JSON, with prost's decoding and encoding beside it.
//!
//! Each element is one span of about 630 bytes with 12 attributes; a request has 512.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use pdata::span::{AttributesOf, SpanFields};
use pdata::testing::Sample;
use pdata::value::AnyValueRef;
use pdata::{Traces, json};
use prost::Message;

fn traces(c: &mut Criterion) {
    let sample = Sample::default();
    let body = sample.encode();
    let batch = sample.traces();
    let mut group = c.benchmark_group("traces");
    group.throughput(Throughput::Elements(batch.span_count() as u64));
    group.bench_function("index", |b| b.iter(|| Traces::index(black_box(body.clone()))));
    group.bench_function("encode", |b| b.iter(|| black_box(&batch).encode()));
    group.bench_function("encode_reused_buffer", |b| {
        let mut buf = Vec::with_capacity(batch.encoded_len());
        b.iter(|| {
            buf.clear();
            black_box(&batch).encode_into(&mut buf);
        });
    });
    group.bench_function("retain_half", |b| {
        b.iter(|| {
            let mut half = black_box(&batch).clone();
            half.retain_spans(|index| index % 2 == 0);
            half
        });
    });
    group.bench_function("group_by_trace", |b| b.iter(|| black_box(&batch).group_by_trace()));
    group.bench_function("split_by_4", |b| {
        b.iter(|| black_box(&batch).split_by(4, |id| usize::from(id[15] & 3)));
    });
    group.finish();

    let mut group = c.benchmark_group("span");
    group.throughput(Throughput::Elements(batch.span_count() as u64));
    group.bench_function("fields", |b| {
        b.iter(|| batch.spans().map(|span| SpanFields::read(span.bytes()).end_unix_nano).fold(0, u64::wrapping_add));
    });
    group.bench_function("attribute", |b| {
        let get = |span: pdata::SpanView<'_>| {
            matches!(AttributesOf::Span.get(span.bytes(), b"http.response.status_code"), Some(AnyValueRef::Int(500..)))
        };
        b.iter(|| batch.spans().filter(|span| get(*span)).count());
    });
    group.finish();

    let mut group = c.benchmark_group("json");
    group.throughput(Throughput::Elements(batch.span_count() as u64));
    let mut text = Vec::new();
    json::traces_to_json(&body, &mut text);
    group.bench_function("read", |b| b.iter(|| json::traces_from_json(black_box(&text))));
    group.bench_function("write", |b| {
        let mut out = Vec::with_capacity(text.len());
        b.iter(|| {
            out.clear();
            json::traces_to_json(black_box(&body), &mut out);
        });
    });
    group.finish();

    let mut group = c.benchmark_group("prost");
    group.throughput(Throughput::Elements(batch.span_count() as u64));
    group.bench_function("decode", |b| b.iter(|| ExportTraceServiceRequest::decode(black_box(body.clone()))));
    let decoded = ExportTraceServiceRequest::decode(body).unwrap_or_default();
    group.bench_function("encode", |b| b.iter(|| Bytes::from(black_box(&decoded).encode_to_vec())));
    group.finish();
}

criterion_group!(benches, traces);
criterion_main!(benches);
