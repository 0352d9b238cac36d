//! Cost per span of extraction and of single conditions, on a span of about 500 bytes with 12 attributes.
//! `cargo bench -p ottl`; compare with the Go numbers in the README.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "the inputs are fixed")]

use criterion::{Criterion, criterion_group, criterion_main};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    resource::v1::Resource,
    trace::v1::{Span, Status},
};
use ottl::{Context, Engine, ErrorMode, Options, PathMode, ProgramBuilder};
use prost::Message as _;

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

fn span() -> Vec<u8> {
    Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        parent_span_id: (2..=9).collect(),
        name: "GET /api/v1/cart".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_600_000_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.scheme", "https"),
            text("server.address", "shop.example.com"),
            attribute("server.port", Any::IntValue(443)),
            text("url.path", "/api/v1/cart"),
            text("http.route", "/api/v1/cart"),
            attribute("http.response.status_code", Any::IntValue(503)),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            text("client.address", "203.0.113.42"),
            text("network.protocol.version", "1.1"),
            text("session.id", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
            attribute("cart.total", Any::DoubleValue(99.5)),
        ],
        status: Some(Status { code: 2, message: "upstream timeout".to_owned() }),
        ..Span::default()
    }
    .encode_to_vec()
}

fn resource() -> Vec<u8> {
    Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.version", "1.2.3"),
            text("k8s.pod.name", "checkout-7d4b9c-x2x"),
            text("k8s.namespace.name", "shop"),
            text("cloud.region", "eu-west-1"),
        ],
        ..Resource::default()
    }
    .encode_to_vec()
}

const CONDITIONS: [(&str, &str); 12] = [
    ("status", "span.status.code == STATUS_CODE_ERROR"),
    ("root", "IsRootSpan()"),
    ("name", r#"span.name == "GET /api/v1/cart""#),
    ("missing", r#"span.attributes["missing"] != nil"#),
    ("int", r#"span.attributes["http.response.status_code"] >= 500"#),
    ("resource", r#"resource.attributes["service.name"] == "checkout""#),
    ("duration", r#"span.end_time - span.start_time > Duration("500ms")"#),
    ("nanos", "span.end_time_unix_nano - span.start_time_unix_nano > 500000000"),
    ("route", r#"span.attributes["http.route"] == "/api/v1/cart""#),
    ("regex", r#"IsMatch(span.name, "^GET /api/v[0-9]+/.*")"#),
    (
        "and4",
        r#"span.kind == SPAN_KIND_SERVER and span.status.code == STATUS_CODE_ERROR and span.attributes["http.response.status_code"] >= 500 and resource.attributes["service.name"] == "checkout""#,
    ),
    (
        "or8",
        r#"span.name == "a" or span.name == "b" or span.attributes["http.route"] == "c" or span.attributes["url.path"] == "d" or span.kind == 5 or span.attributes["server.port"] == 80 or span.attributes["cart.total"] > 100 or span.status.code == 2"#,
    ),
];

fn conditions(criterion: &mut Criterion) {
    let (span, resource) = (span(), resource());
    for engine in [Engine::Interpreter, Engine::Jit] {
        for (name, condition) in CONDITIONS {
            let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
            let condition = builder.add(condition, Context::Span, PathMode::Prefixed).unwrap();
            let program = builder.build().unwrap();
            let mut frame = program.frame();
            program.load_resource(&mut frame, &resource, b"");
            program.load_span(&mut frame, &span);
            criterion.bench_function(&format!("eval/{engine:?}/{name}"), |bencher| {
                bencher.iter(|| program.eval(std::hint::black_box(&frame), condition));
            });
        }
    }
}

fn extraction(criterion: &mut Criterion) {
    let span = span();
    let sets: [(&str, &[&str]); 4] = [
        ("status", &["span.status.code == 2"]),
        ("one_attribute", &[r#"span.attributes["http.response.status_code"] >= 500"#]),
        ("early_attribute", &[r#"span.attributes["url.scheme"] == "http""#]),
        (
            "mixed",
            &[
                r#"span.attributes["http.response.status_code"] >= 500 and span.attributes["http.route"] != nil"#,
                r#"span.attributes["cart.total"] > 1.0 and span.status.code == 2"#,
                r#"IsRootSpan() and span.end_time_unix_nano - span.start_time_unix_nano > 1000"#,
            ],
        ),
    ];
    for (name, texts) in sets {
        let mut builder = ProgramBuilder::new(Options::default());
        for text in texts {
            builder.add(text, Context::Span, PathMode::Prefixed).unwrap();
        }
        let program = builder.build().unwrap();
        let mut frame = program.frame();
        criterion.bench_function(&format!("load_span/{name}"), |bencher| {
            bencher.iter(|| program.load_span(&mut frame, std::hint::black_box(&span)));
        });
    }
}

/// From a span's bytes to the answer, and lists of which no condition holds.
fn spans(criterion: &mut Criterion) {
    let (span, resource) = (span(), resource());
    let last = CONDITIONS[CONDITIONS.len() - 2..].iter().map(|(_, text)| (*text).to_owned());
    let routes = |n: usize| (0..n).map(|at| format!(r#"span.attributes["http.route"] == "/route/{at}""#));
    let mixed = |n: usize| {
        (0..n).map(|at| match at % 4 {
            0 => format!(r#"span.attributes["http.route"] == "/route/{at}""#),
            1 => format!(r#"span.attributes["http.response.status_code"] == {at}"#),
            2 => format!(r#"resource.attributes["service.name"] == "service{at}" and span.kind == 2"#),
            _ => format!(r#"IsMatch(span.name, "^POST /route/{at}/")"#),
        })
    };
    let lists: [(&str, Vec<String>); 5] = [
        ("two", last.collect()),
        ("routes20", routes(20).collect()),
        ("routes200", routes(200).collect()),
        ("mixed20", mixed(20).collect()),
        ("mixed200", mixed(200).collect()),
    ];
    for engine in [Engine::Interpreter, Engine::Jit] {
        for (name, texts) in &lists {
            let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
            let add = |text: &String| builder.add(text, Context::Span, PathMode::Prefixed).unwrap();
            let conditions: Vec<_> = texts.iter().map(add).collect();
            let list = builder.list(&conditions, ErrorMode::Ignore);
            let program = builder.build().unwrap();
            let mut frame = program.frame();
            program.load_resource(&mut frame, &resource, b"");
            criterion.bench_function(&format!("load_and_eval/{engine:?}/{name}"), |bencher| {
                bencher.iter(|| {
                    program.load_span(&mut frame, std::hint::black_box(&span));
                    program.eval_list(&frame, list, &mut |_, _| {})
                });
            });
            criterion.bench_function(&format!("eval_list/{engine:?}/{name}"), |bencher| {
                bencher.iter(|| program.eval_list(std::hint::black_box(&frame), list, &mut |_, _| {}));
            });
        }
    }
}

/// What a program of one condition costs to build.
fn build(criterion: &mut Criterion) {
    for engine in [Engine::Interpreter, Engine::Jit] {
        criterion.bench_function(&format!("build/{engine:?}/and4"), |bencher| {
            bencher.iter(|| {
                let mut builder = ProgramBuilder::new(Options { engine, ..Options::default() });
                builder.add(CONDITIONS[CONDITIONS.len() - 2].1, Context::Span, PathMode::Prefixed).unwrap();
                builder.build().unwrap()
            });
        });
    }
}

criterion_group!(benches, extraction, conditions, spans, build);
criterion_main!(benches);
