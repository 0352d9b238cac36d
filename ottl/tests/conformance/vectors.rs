//! Runs recorded answers of the Go OTTL module against this crate, with every engine and both ways of naming contexts.
//! Shared by the example `vectors` and the test `conformance`.

#![allow(clippy::unwrap_used, reason = "damage to the recorded files must stop the run")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ottl::{
    Context, Engine, Host, Options, Outcome, PathMode, Program, ProgramBuilder,
    value::{GoInt, ListRepr, MapRepr, OpaqueKind, Value},
};
use serde_json::Value as Json;

/// The three files, one JSON object a line.
pub(crate) struct Texts {
    pub(crate) inputs: String,
    pub(crate) cases: Vec<String>,
}

/// Answers that differ, by group.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) passed: BTreeMap<String, usize>,
    pub(crate) failed: BTreeMap<String, Vec<String>>,
}

impl Report {
    pub(crate) fn n_passed(&self) -> usize {
        self.passed.values().sum()
    }

    pub(crate) fn n_failed(&self) -> usize {
        self.failed.values().map(Vec::len).sum()
    }
}

struct Input {
    resource: Vec<u8>,
    resource_schema: Vec<u8>,
    scope: Vec<u8>,
    scope_schema: Vec<u8>,
    span: Vec<u8>,
}

impl Input {
    fn read(line: &Json) -> Self {
        let body = STANDARD.decode(line["proto_base64"].as_str().unwrap()).unwrap();
        let traces = pdata::Traces::index(body.into()).unwrap();
        let resource = traces.resources().next().unwrap();
        let scope = resource.scopes().next().unwrap();
        let span = scope.spans().next().unwrap();
        Self {
            resource: resource.resource().to_vec(),
            resource_schema: resource.schema_url().to_vec(),
            scope: scope.scope().to_vec(),
            scope_schema: scope.schema_url().to_vec(),
            span: span.bytes().to_vec(),
        }
    }
}

/// What a case gave: a condition's answer, a value's description, or why there is none.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Condition(bool),
    Value(Json),
    EvalError,
    ParseError,
}

/// Runs all cases of a set of texts.
pub(crate) fn run(texts: &Texts, engines: &[Engine]) -> Report {
    let parse = |line: &str| -> Json { serde_json::from_str(line).unwrap() };
    let inputs: Vec<Input> = texts.inputs.lines().map(|line| Input::read(&parse(line))).collect();
    let mut report = Report::default();
    for line in texts.cases.iter().flat_map(|text| text.lines()) {
        let case = parse(line);
        let input = &inputs[usize::try_from(case["input"].as_u64().unwrap()).unwrap()];
        let group = case["group"].as_str().unwrap();
        let mut failures = Vec::new();
        for &engine in engines {
            for mode in [PathMode::Legacy, PathMode::AutoPrefix] {
                let expected = expected(&case, mode);
                let (got, why) = answer(&case, input, mode, engine);
                if !same(&got, &expected) {
                    failures.push(format!("{engine:?} {mode:?}: expected {expected:?}, got {got:?} {why}"));
                }
            }
        }
        match failures.is_empty() {
            true => *report.passed.entry(group.to_owned()).or_default() += 1,
            false => {
                let id = case["id"].as_str().unwrap();
                let text = case["condition"].as_str().or(case["expression"].as_str()).unwrap();
                let go = case["error"].as_str().unwrap_or("");
                let lines = failures.join("\n    ");
                let entry = report.failed.entry(group.to_owned()).or_default();
                entry.push(format!("{id} (input {}): {text}\n    {lines}\n    go: {go}", case["input"]));
            }
        }
    }
    report
}

fn expected(case: &Json, mode: PathMode) -> Answer {
    let named = (mode != PathMode::Legacy).then(|| case.get("expect_context_names")).flatten();
    match named.or(case.get("expect")) {
        Some(Json::Bool(flag)) => Answer::Condition(*flag),
        Some(Json::String(text)) if text == "eval_error" => Answer::EvalError,
        Some(Json::String(text)) if text == "parse_error" => Answer::ParseError,
        _ => Answer::Value(case["expect_value"].clone()),
    }
}

/// The recordings were made in 2026, and they ask for random values that differ.
fn host() -> Host {
    let calls = AtomicU8::new(0);
    Host {
        clock: Some(Arc::new(|| 1_795_000_000_123_456_789)),
        random: Some(Arc::new(move |bytes| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            bytes.iter_mut().zip(call..).for_each(|(byte, at)| *byte = at);
        })),
        ..Host::default()
    }
}

fn answer(case: &Json, input: &Input, mode: PathMode, engine: Engine) -> (Answer, String) {
    let context = match case["context"].as_str().unwrap() {
        "span" => Context::Span,
        "spanevent" => Context::SpanEvent,
        "resource" => Context::Resource,
        "scope" => Context::Scope,
        other => panic!("context {other}"),
    };
    let mut builder = ProgramBuilder::new(Options { engine, host: host(), ..Options::default() });
    let refused = |errors: Vec<ottl::Error>| (Answer::ParseError, errors[0].message.clone());
    if case["kind"] == "condition" {
        let condition = match builder.add(case["condition"].as_str().unwrap(), context, mode) {
            Ok(condition) => condition,
            Err(errors) => return refused(errors),
        };
        let program = builder.build().unwrap();
        let mut frame = program.frame();
        load(&program, &mut frame, input, case);
        match program.eval(&frame, condition) {
            Outcome::True => (Answer::Condition(true), String::new()),
            Outcome::False => (Answer::Condition(false), String::new()),
            Outcome::Error(error) => (Answer::EvalError, error.to_string()),
        }
    } else {
        let value = match builder.add_value(case["expression"].as_str().unwrap(), context, mode) {
            Ok(value) => value,
            Err(errors) => return refused(errors),
        };
        let program = builder.build().unwrap();
        let mut frame = program.frame();
        load(&program, &mut frame, input, case);
        match program.eval_value(&frame, value) {
            Ok(value) => (Answer::Value(describe(&value)), String::new()),
            Err(error) => (Answer::EvalError, format!("{error:?}")),
        }
    }
}

fn load<'w>(program: &Program, frame: &mut ottl::Frame<'w>, input: &'w Input, case: &Json) {
    program.load_resource(frame, &input.resource, &input.resource_schema);
    program.load_scope(frame, &input.scope, &input.scope_schema);
    program.load_span(frame, &input.span);
    if let Some(event) = case["event"].as_u64() {
        let event = pdata::span::events(&input.span).nth(usize::try_from(event).unwrap()).unwrap();
        program.load_event(frame, event);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The form that the vectors write values in.
fn describe(value: &Value<'_>) -> Json {
    use serde_json::json;
    match value {
        Value::Nil => json!({"type": "nil"}),
        Value::Bool(flag) => json!({"type": "bool", "value": flag}),
        Value::Int(number) => json!({"type": "int", "value": number.to_string()}),
        Value::Double(number) => json!({"type": "double", "bits": format!("{:016x}", number.to_bits())}),
        Value::Str(text) => match std::str::from_utf8(text) {
            Ok(text) => json!({"type": "string", "value": text}),
            Err(_) => json!({"type": "string", "invalid_utf8_hex": hex(text)}),
        },
        Value::Bytes(bytes) => json!({"type": "bytes", "value": hex(bytes)}),
        Value::Duration(nanos) => json!({"type": "duration", "value": nanos.to_string()}),
        Value::Time(time) => json!({
            "type": "time", "sec": time.sec.to_string(), "nsec": time.nsec, "zone_offset": time.offset_seconds(),
            "text": time.rfc3339(),
        }),
        Value::TraceId(id) => json!({"type": "trace_id", "value": hex(id)}),
        Value::SpanId(id) => json!({"type": "span_id", "value": hex(id)}),
        Value::Map(map) => {
            let mut entries: Vec<(String, Json)> =
                map.iter().map(|(key, value)| (String::from_utf8_lossy(&key).into_owned(), describe(&value))).collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            let repr = if map.repr() == MapRepr::Pdata { "pcommon.Map" } else { "map[string]any" };
            json!({"type": "map", "repr": repr, "value": entries})
        }
        Value::List(list) => {
            let repr = match list.repr() {
                ListRepr::Slice => "pcommon.Slice",
                ListRepr::Raw => "[]any",
                ListRepr::Strings => "[]string",
                ListRepr::Ints => "[]int64",
                ListRepr::UInts => "[]uint64",
                ListRepr::Doubles | ListRepr::MadeDoubles => "[]float64",
                ListRepr::Bools => "[]bool",
            };
            let items: Vec<Json> = list.iter().map(|item| describe(&item)).collect();
            json!({"type": "slice", "repr": repr, "value": items})
        }
        Value::Opaque(opaque) => match opaque.kind {
            OpaqueKind::SpanEvents => json!({"type": "span_events", "len": opaque.len()}),
            OpaqueKind::SpanLinks => json!({"type": "span_links", "len": opaque.len()}),
            _ => json!({"type": "status"}),
        },
        Value::GoInt(GoInt::Int(number)) => json!({"type": "other", "go": "int", "value": number.to_string()}),
        Value::GoInt(_) => json!({"type": "other"}),
    }
}

fn same(got: &Answer, expected: &Answer) -> bool {
    match (got, expected) {
        (Answer::Value(got), Answer::Value(expected)) => same_value(got, expected),
        _ => got == expected,
    }
}

fn same_value(got: &Json, expected: &Json) -> bool {
    if got["type"] != expected["type"] {
        return false;
    }
    match expected["type"].as_str().unwrap() {
        "double" => {
            let nan = |json: &Json| {
                json["bits"]
                    .as_str()
                    .is_some_and(|bits| u64::from_str_radix(bits, 16).is_ok_and(|bits| f64::from_bits(bits).is_nan()))
            };
            got["bits"] == expected["bits"] || nan(got) && nan(expected)
        }
        "map" | "slice" => {
            let (got_items, expected_items) = (got["value"].as_array(), expected["value"].as_array());
            let (Some(got_items), Some(expected_items)) = (got_items, expected_items) else { return false };
            got["repr"] == expected["repr"]
                && got_items.len() == expected_items.len()
                && got_items.iter().zip(expected_items).all(|(got, expected)| match (got, expected) {
                    (Json::Array(got), Json::Array(expected)) => {
                        got[0] == expected[0] && same_value(&got[1], &expected[1])
                    }
                    _ => same_value(got, expected),
                })
        }
        "string" => got["value"] == expected["value"] && got["invalid_utf8_hex"] == expected["invalid_utf8_hex"],
        "time" => ["sec", "nsec", "zone_offset", "text"].iter().all(|key| got[*key] == expected[*key]),
        "span_events" | "span_links" => got["len"] == expected["len"],
        "status" | "other" | "nil" => true,
        _ => got["value"] == expected["value"],
    }
}
