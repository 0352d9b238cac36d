//! Random traces: attributes of the wrong type or none, odd times, trace states that cannot be read, and spans of one
//! trace spread over requests, resources and scopes.

use std::collections::BTreeSet;

use e2e::client::{attribute, span};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::Random;

const TRACES: u64 = 150;
const REQUESTS: u64 = 12;

/// What is sent, in order.
pub(super) struct Traffic {
    /// Before any decision.
    pub(super) first: Vec<ExportTraceServiceRequest>,
    /// When all traces are decided.
    pub(super) late: Vec<ExportTraceServiceRequest>,
}

impl Traffic {
    fn spans(&self) -> impl Iterator<Item = &Span> {
        let requests = self.first.iter().chain(&self.late);
        let scopes = requests.flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans)
    }

    pub(super) fn trace_count(&self) -> usize {
        self.spans().map(|span| span.trace_id.as_slice()).collect::<BTreeSet<_>>().len()
    }

    /// The spans of a trace, given in hexadecimal.
    pub(super) fn of_trace(&self, hex: &str) -> Vec<&Span> {
        let text = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.spans().filter(|span| text(&span.trace_id) == hex).collect()
    }
}

impl Random {
    pub(super) fn traffic(&mut self) -> Traffic {
        let mut first: Vec<Vec<Span>> = (0..REQUESTS).map(|_| Vec::new()).collect();
        let mut late = first.clone();
        for _ in 0..TRACES {
            let mut id = [0; 16];
            for byte in &mut id {
                *byte = u8::try_from(self.below(256)).unwrap_or(0);
            }
            let n_spans = 1 + self.below(8);
            for number in 0..n_spans {
                let at = usize::try_from(self.below(REQUESTS)).unwrap_or(0);
                let span = self.span(id, number);
                first[at].push(span);
            }
            if self.once_in(2) {
                let span = self.span(id, n_spans);
                let at = usize::try_from(self.below(REQUESTS)).unwrap_or(0);
                late[at].push(span);
            }
        }
        Traffic { first: self.requests(first), late: self.requests(late) }
    }

    fn requests(&mut self, requests: Vec<Vec<Span>>) -> Vec<ExportTraceServiceRequest> {
        requests
            .into_iter()
            .filter(|spans| !spans.is_empty())
            .map(|spans| {
                // Each request has three resources, each with two scopes; some are empty.
                let mut parts: Vec<Vec<Span>> = (0..6).map(|_| Vec::new()).collect();
                for span in spans {
                    let at = usize::try_from(self.below(6)).unwrap_or(0);
                    parts[at].push(span);
                }
                let mut parts = parts.into_iter();
                let resource_spans = (1..=3).map(|service| {
                    let scope = |name: &str, spans| {
                        let scope = InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() };
                        ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }
                    };
                    let scope_spans = vec![
                        scope("first", parts.next().unwrap_or_default()),
                        scope("second", parts.next().unwrap_or_default()),
                    ];
                    ResourceSpans { resource: Some(resource(service)), scope_spans, ..ResourceSpans::default() }
                });
                ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
            })
            .collect()
    }

    fn span(&mut self, id: [u8; 16], number: u64) -> Span {
        let name = self.one_of(&["GET /", "GET /pay", "GET /zoo", "work"]);
        let length = self.one_of(&[1, 99, 100, 101, 250, 251]);
        let mut span = span(id, u8::try_from(number + 1).unwrap_or(1), name, length, self.once_in(12));
        span.start_time_unix_nano += self.below(3) * 50_000_000;
        span.end_time_unix_nano += self.below(3) * 50_000_000 + self.below(2) * 999_999;
        if self.once_in(40) {
            span.end_time_unix_nano = 0;
        }
        span.kind = i32::try_from(self.below(5)).unwrap_or(0);
        if span.status.is_none() && self.once_in(6) {
            span.status = Some(Status { code: 1, message: String::new() });
        }
        span.parent_span_id = if number == 0 { Vec::new() } else { vec![0, 0, 0, 0, 0, 0, 0, 1] };
        span.flags = self.one_of(&[0, 0, 0x100, 0x101, 2, 0x301]);
        span.trace_state = self
            .one_of(&["", "", "vendor=a", "vendor=b,x=y", "vendor=", "x=1", "x=y,,vendor=c", "X Y=1", "x=y,x=y"])
            .to_owned();
        let mut add =
            |key: &str, value| span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
        match self.below(5) {
            0 | 1 => add("tier", text(self.one_of(&["gold", "silver", "", "none", "golden"]))),
            2 => add("tier", whole(7)),
            _ => {}
        }
        match self.below(4) {
            0 => add("http.status_code", text("200")),
            1 => {}
            _ => add("http.status_code", whole(self.one_of(&[200, 204, 404, 500, 503]))),
        }
        match self.below(8) {
            0 => add("cached", any(Value::BoolValue(true))),
            1 => add("cached", any(Value::BoolValue(false))),
            2 => add("cached", whole(1)),
            3 => add("weight", any(Value::DoubleValue(2.5))),
            4 => add("weight", whole(-3)),
            5 => add("doc", text("{\"a\": 1}")),
            6 => add("doc", text("{")),
            _ => {}
        }
        if self.once_in(6) {
            let attributes = vec![attribute("retry", self.one_of(&["1", "2", "x"]))];
            let name = self.one_of(&["exception", "retry"]).to_owned();
            span.events.push(Event { name, time_unix_nano: 1, attributes, ..Event::default() });
        }
        span
    }
}

fn resource(service: u64) -> Resource {
    let mut attributes = vec![attribute("service.name", &format!("shop-{service}"))];
    let level = match service {
        1 => None,
        2 => any(Value::StringValue("high".to_owned())),
        _ => whole(250),
    };
    if level.is_some() {
        attributes.push(KeyValue { key: "level".to_owned(), value: level, ..KeyValue::default() });
    }
    Resource { attributes, ..Resource::default() }
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(value: &str) -> Option<AnyValue> {
    any(Value::StringValue(value.to_owned()))
}

fn whole(value: i64) -> Option<AnyValue> {
    any(Value::IntValue(value))
}
