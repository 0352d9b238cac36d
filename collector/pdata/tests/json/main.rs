//! OTLP/JSON against recorded answers of Go's pdata 1.65: what it refuses, the JSON it writes for what it read, and the
//! protobuf bytes of the same.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pdata::testing::Sample;
use pdata::{Metrics, Traces, json};
use serde_json::Value;

/// Where this reader deliberately differs: null is the default for numbers, too, as protobuf says, ...
const NULL_NUMBER: &str = "unsupported value type";

fn cases() -> Vec<Value> {
    include_str!("go_pdata_1.65.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a recorded case"))
        .collect()
}

/// The document's own end: ... and what follows it is refused.
fn has_trailing_text(input: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(input).into_iter::<Value>();
    matches!(values.next(), Some(Ok(_))) && values.next().is_some()
}

fn read(kind: &str, text: &str) -> Result<Vec<u8>, json::JsonError> {
    match kind {
        "traces" => json::traces_from_json(text.as_bytes()),
        _ => json::metrics_from_json(text.as_bytes()),
    }
}

fn write(kind: &str, bytes: &[u8]) -> String {
    let mut out = Vec::new();
    if kind == "traces" {
        let traces = Traces::index(Bytes::copy_from_slice(bytes)).expect("well-formed");
        json::traces_to_json(&traces.encode(), &mut out);
    } else {
        json::metrics_to_json(bytes, &mut out);
    }
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn answers_are_gos() {
    let mut n_refused = 0;
    for case in cases() {
        let [kind, input] = ["kind", "input"].map(|key| case[key].as_str().unwrap());
        match (case["refused"].as_str(), read(kind, input)) {
            (Some(_), Err(_)) => n_refused += 1,
            (Some(reason), Ok(_)) => {
                assert!(reason.contains(NULL_NUMBER) && input.contains("null"), "{input}: Go refuses with {reason}");
            }
            (None, Err(error)) => assert!(has_trailing_text(input), "{input}: {error}"),
            (None, Ok(bytes)) => {
                let expected = case["json"].as_str().unwrap();
                assert_eq!(write(kind, &bytes), expected, "{input}");
                let proto = BASE64_STANDARD.decode(case["proto"].as_str().unwrap()).unwrap();
                assert_eq!(write(kind, &proto), expected, "{input}, from Go's bytes");
                if kind == "metrics" {
                    Metrics::decode(&bytes).unwrap();
                }
            }
        }
    }
    assert!(n_refused > 60, "{n_refused}");
}

#[test]
fn samples_survive_both_ways() {
    let sample = Sample { n_resources: 2, n_spans: 20, ..Sample::default() };
    let mut text = Vec::new();
    json::traces_to_json(&sample.encode(), &mut text);
    let again = Traces::index(Bytes::from(json::traces_from_json(&text).unwrap())).unwrap();
    let mut text_again = Vec::new();
    json::traces_to_json(&again.encode(), &mut text_again);
    assert_eq!(String::from_utf8(text_again), String::from_utf8(text));
    assert_eq!(again.span_count(), 40);
    assert!(again.trace_ids().eq(sample.traces().trace_ids()));
}

#[test]
fn damaged_text_never_panics() {
    let sample = Sample { n_spans: 1, ..Sample::default() };
    let mut text = Vec::new();
    json::traces_to_json(&sample.encode(), &mut text);
    for at in 0..text.len() {
        assert!(json::traces_from_json(&text[..at]).is_err());
        for byte in [b'"', b'{', b']', b',', b'\\', b'0', b'n', 0, 0xff] {
            let mut changed = text.clone();
            changed[at] = byte;
            if let Ok(bytes) = json::traces_from_json(&changed) {
                Traces::index(Bytes::from(bytes)).unwrap();
            }
        }
    }
}

#[test]
fn depth_is_bounded() {
    let value = |depth: usize| {
        let (open, close) = ("{\"arrayValue\":{\"values\":[".repeat(depth), "]}}".repeat(depth));
        let text =
            format!("{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"value\":{open}{{}}{close}}}]}}}}]}}");
        json::traces_from_json(text.as_bytes()).map(|bytes| Traces::index(Bytes::from(bytes)).is_ok())
    };
    assert_eq!(value(100), Ok(true));
    assert!(!value(101).unwrap_or(false));
    assert!(value(10_000).is_err());
    let skipped = |depth: usize| {
        let text = format!("{{\"unknown\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        json::traces_from_json(text.as_bytes())
    };
    assert_eq!(skipped(500), Ok(Vec::new()));
    assert!(skipped(100_000).is_err());
}

#[test]
fn text_need_not_be_utf8() {
    let bytes = json::traces_from_json(b"{\"resourceSpans\":[{\"schemaUrl\":\"a\xff\"}]}").unwrap();
    let mut out = Vec::new();
    json::traces_to_json(&bytes, &mut out);
    assert_eq!(out, b"{\"resourceSpans\":[{\"resource\":{},\"schemaUrl\":\"a\xff\"}]}");
}
