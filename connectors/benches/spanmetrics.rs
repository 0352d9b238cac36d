//! Cost of counting a span whose series exists: 512-span batches of realistic spans (630 bytes, 12 attributes).

use connectors::spanmetrics::{Config, Dimension, Histogram, SpanMetrics};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pdata::testing::Sample;

fn named(names: &[&str]) -> Vec<Dimension> {
    names.iter().map(|name| Dimension::Named { name: (*name).to_owned(), default: None }).collect()
}

fn observe(c: &mut Criterion) {
    let sample = Sample::default();
    let traces = sample.traces();
    let keys: Vec<String> = {
        let mut keys: Vec<String> = traces
            .spans()
            .flat_map(|span| pdata::span::attribute_values(span.bytes(), pdata::span::AttributesOf::Span))
            .map(|(key, _)| key)
            .collect();
        keys.sort();
        keys.dedup();
        keys
    };
    let low: Vec<&str> =
        ["http.request.method", "http.response.status_code", "server.address", "http.method", "http.status_code"]
            .into_iter()
            .filter(|key| keys.iter().any(|known| known == key))
            .take(3)
            .collect();
    let mut group = c.benchmark_group("observe");
    group.throughput(Throughput::Elements(sample.n_spans as u64));
    let cases = [
        ("no dimensions", Config::default()),
        ("3 dimensions", Config { dimensions: named(&low), ..Config::default() }),
        (
            "3 dimensions, exponential",
            Config {
                dimensions: named(&low),
                histogram: Histogram::Exponential { max_size: 160 },
                ..Config::default()
            },
        ),
        (
            "1 and 2 dimensions, two look-ups",
            Config { dimensions: named(&low[..1]), duration_dimensions: named(&low[1..]), ..Config::default() },
        ),
    ];
    for (name, config) in cases {
        let mut metrics = SpanMetrics::new(config);
        metrics.observe(&traces, 1);
        group.bench_function(name, |b| b.iter(|| metrics.observe(&traces, 2)));
    }
    group.finish();
}

criterion_group!(benches, observe);
criterion_main!(benches);
