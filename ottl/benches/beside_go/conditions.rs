//! What is measured: the span, the conditions, and the same checks by hand.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status},
};
use ottl::{Frame, MapSource, Program, Slot, SlotId, SlotPath};
use prost::Message as _;

/// One span, as a request and indexed.
pub(crate) struct Input {
    pub(crate) request: Vec<u8>,
    pub(crate) traces: pdata::Traces,
}

pub(crate) const N_ATTRIBUTES: usize = 12;

pub(crate) fn input() -> Input {
    let text = |text: &str| Any::StringValue(text.to_owned());
    let attributes: [(&str, Any); N_ATTRIBUTES] = [
        ("http.request.method", text("GET")),
        ("http.scheme", text("https")),
        ("http.route", text("/api/v1/cart")),
        ("http.target", text("/api/v1/cart?user=42")),
        ("http.response.status_code", Any::IntValue(503)),
        ("server.address", text("shop.example.com")),
        ("server.port", Any::IntValue(443)),
        ("user_agent.original", text("Mozilla/5.0 (X11; Linux x86_64)")),
        ("client.address", text("10.1.2.3")),
        ("customer.tier", text("gold")),
        ("http.response.body.size", Any::IntValue(5120)),
        ("cache.hit", Any::BoolValue(false)),
    ];
    let span = Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        name: "GET /api/v1/cart".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_750_000_000,
        attributes: attributes.into_iter().map(attribute).collect(),
        status: Some(Status { code: 2, ..Status::default() }),
        ..Span::default()
    };
    let resource = Resource {
        attributes: [
            ("service.name", "checkout"),
            ("service.version", "1.4.2"),
            ("deployment.environment", "production"),
            ("k8s.pod.name", "checkout-7d9c5b6f4-x2x9p"),
            ("host.name", "node-17"),
        ]
        .map(|(key, value)| attribute((key, text(value))))
        .to_vec(),
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: "otel-http".to_owned(), ..InstrumentationScope::default() };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec();
    Input { traces: pdata::Traces::index(request.clone().into()).expect("a request"), request }
}

fn attribute((key, value): (&str, Any)) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(crate) type ByHand = fn(&Program, &Frame<'_>, &[SlotId]) -> bool;

/// A condition, and the same check over slots.
pub(crate) struct Single {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    pub(crate) slots: &'static [fn() -> SlotPath],
    pub(crate) by_hand: Option<ByHand>,
}

const STATUS: fn() -> SlotPath = || SlotPath::StatusCode;
const STATUS_ATTRIBUTE: fn() -> SlotPath = || SlotPath::attribute(MapSource::Span, "http.response.status_code");
const SERVICE: fn() -> SlotPath = || SlotPath::attribute(MapSource::Resource, "service.name");
const ROUTE: fn() -> SlotPath = || SlotPath::attribute(MapSource::Span, "http.route");
const TIMES: &[fn() -> SlotPath] = &[|| SlotPath::StartUnixNano, || SlotPath::EndUnixNano];

/// What lasted longer than half a second.
fn slow(program: &Program, frame: &Frame<'_>, slots: &[SlotId]) -> bool {
    match (program.get(frame, slots[0]), program.get(frame, slots[1])) {
        (Slot::Int(start), Slot::Int(end)) => end.wrapping_sub(start) > 500_000_000,
        _ => false,
    }
}

fn failed(slot: Slot<'_>) -> bool {
    match slot {
        Slot::Int(code) => code >= 500,
        Slot::Double(code) => code >= 500.0,
        _ => false,
    }
}

pub(crate) const SINGLES: &[Single] = &[
    Single {
        name: "status",
        text: "span.status.code == STATUS_CODE_ERROR",
        slots: &[STATUS],
        by_hand: Some(|program, frame, slots| program.get(frame, slots[0]) == Slot::Int(2)),
    },
    Single {
        name: "root",
        text: "IsRootSpan()",
        slots: &[|| SlotPath::ParentSpanId],
        by_hand: Some(|program, frame, slots| program.get(frame, slots[0]) == Slot::SpanId([0; 8])),
    },
    Single {
        name: "name",
        text: r#"span.name == "GET /api/v1/cart""#,
        slots: &[|| SlotPath::SpanName],
        by_hand: Some(|program, frame, slots| program.get(frame, slots[0]) == Slot::Str(b"GET /api/v1/cart")),
    },
    Single {
        name: "missing",
        text: r#"span.attributes["missing"] != nil"#,
        slots: &[|| SlotPath::attribute(MapSource::Span, "missing")],
        by_hand: Some(|program, frame, slots| {
            let slot = program.get(frame, slots[0]);
            slot != Slot::Nil && slot != Slot::Bytes(b"")
        }),
    },
    Single {
        name: "int",
        text: r#"span.attributes["http.response.status_code"] >= 500"#,
        slots: &[STATUS_ATTRIBUTE],
        by_hand: Some(|program, frame, slots| failed(program.get(frame, slots[0]))),
    },
    Single {
        name: "resource",
        text: r#"resource.attributes["service.name"] == "checkout""#,
        slots: &[SERVICE],
        by_hand: Some(|program, frame, slots| program.get(frame, slots[0]) == Slot::Str(b"checkout")),
    },
    Single {
        name: "route",
        text: r#"span.attributes["http.route"] == "/api/v1/cart""#,
        slots: &[ROUTE],
        by_hand: Some(|program, frame, slots| program.get(frame, slots[0]) == Slot::Str(b"/api/v1/cart")),
    },
    Single {
        name: "nanoseconds",
        text: "span.end_time_unix_nano - span.start_time_unix_nano > 500000000",
        slots: TIMES,
        by_hand: Some(slow),
    },
    Single {
        name: "duration",
        text: r#"span.end_time - span.start_time > Duration("500ms")"#,
        slots: TIMES,
        by_hand: Some(slow),
    },
    Single { name: "regex", text: r#"IsMatch(span.name, "^GET /api/v[0-9]+/.*")"#, slots: &[], by_hand: None },
    Single {
        name: "prefix regex",
        text: r#"IsMatch(span.name, "^GET /api/.*")"#,
        slots: &[|| SlotPath::SpanName],
        by_hand: Some(|program, frame, slots| match program.get(frame, slots[0]) {
            Slot::Str(name) => name.starts_with(b"GET /api/"),
            _ => false,
        }),
    },
    Single {
        name: "and of 4",
        text: r#"span.kind == SPAN_KIND_SERVER and span.status.code == STATUS_CODE_ERROR and span.attributes["http.response.status_code"] >= 500 and resource.attributes["service.name"] == "checkout""#,
        slots: &[|| SlotPath::SpanKind, STATUS, STATUS_ATTRIBUTE, SERVICE],
        by_hand: Some(|program, frame, slots| {
            program.get(frame, slots[0]) == Slot::Int(2)
                && program.get(frame, slots[1]) == Slot::Int(2)
                && failed(program.get(frame, slots[2]))
                && program.get(frame, slots[3]) == Slot::Str(b"checkout")
        }),
    },
    Single {
        name: "or of 8",
        text: r#"span.name == "a" or span.name == "b" or span.attributes["http.route"] == "c" or span.attributes["http.target"] == "d" or span.kind == 5 or span.attributes["server.port"] == 80 or span.attributes["http.response.body.size"] > 10000 or span.status.code == 2"#,
        slots: &[],
        by_hand: None,
    },
];

/// Lists of which no condition holds, which is what filters and samplers meet most.
pub(crate) fn lists() -> Vec<(String, Vec<String>)> {
    [20, 200]
        .into_iter()
        .flat_map(|n| {
            [
                (
                    format!("{n} routes"),
                    (0..n).map(|at| format!(r#"span.attributes["http.route"] == "/route/{at}""#)).collect(),
                ),
                (
                    format!("{n} prefixes"),
                    (0..n).map(|at| format!(r#"IsMatch(span.name, "^GET /api/v2/{at}/.*")"#)).collect(),
                ),
                (format!("{n} mixed"), (0..n).map(mixed).collect()),
            ]
        })
        .collect()
}

/// Conditions as they stand in real lists, no two alike.
fn mixed(at: usize) -> String {
    match at % 8 {
        0 => format!(r#"span.attributes["http.route"] == "/route/{at}""#),
        1 => format!(r#"span.attributes["http.response.status_code"] == {at}"#),
        2 => format!(r#"resource.attributes["service.name"] == "service-{at}" and span.kind == SPAN_KIND_SERVER"#),
        3 => format!(r#"IsMatch(span.name, "^POST /route/{at}/")"#),
        4 => format!(r#"span.attributes["customer.tier"] != nil and span.attributes["server.port"] == {}"#, 9000 + at),
        5 => format!("span.end_time_unix_nano - span.start_time_unix_nano > {}000000000", 1 + at),
        6 => format!(r#"span.name == "health-{at}" or span.attributes["http.target"] == "/health-{at}""#),
        _ => format!(r#"IsMatch(span.attributes["user_agent.original"], "bot-{at}")"#),
    }
}

pub(crate) fn compiled() -> Vec<(&'static str, Vec<String>)> {
    let single = |name: &str| {
        let single = SINGLES.iter().find(|single| single.name == name);
        single.map(|single| single.text.to_owned()).into_iter().collect()
    };
    vec![
        ("status", single("status")),
        ("regex", single("regex")),
        ("and of 4", single("and of 4")),
        ("200 mixed", (0..200).map(mixed).collect()),
    ]
}
