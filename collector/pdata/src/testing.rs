//! Sample telemetry for tests and benches: deterministic, made with this crate's own writer.
//!
//! [`Sample`] makes realistic requests by the thousand, [`SpanSample`] one span at a time as a test needs it. Sizes follow
//! what instrumented HTTP services send: about 630 bytes and 12 attributes a span, 8 attributes a resource.

use bytes::Bytes;

use crate::metrics::Value;
use crate::wire::{put_bytes, put_fixed32_field, put_fixed64_field, put_message, put_varint_field};
use crate::{TraceId, Traces};

/// A request of realistic spans. Equal parameters make equal bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// ResourceSpans in the request, each with one scope.
    pub n_resources: usize,
    /// Spans in each of them.
    pub n_spans: usize,
    /// Consecutive spans with the same trace id.
    pub spans_per_trace: usize,
    /// Varies ids, names and values.
    pub seed: u64,
    /// Spans with status error, in 1000.
    pub errors_per_mille: u64,
}

impl Default for Sample {
    fn default() -> Self {
        Self { n_resources: 1, n_spans: 512, spans_per_trace: 8, seed: 1, errors_per_mille: 20 }
    }
}

impl Sample {
    /// The request's bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut random = SplitMix(self.seed);
        let mut request = Vec::with_capacity(self.n_resources * self.n_spans * 700);
        for resource in 0..self.n_resources {
            put_message(&mut request, 1, |buf| self.resource_spans(buf, resource, &mut random));
        }
        Bytes::from(request)
    }

    /// The request, indexed.
    ///
    /// # Panics
    /// Never: what it writes is well-formed.
    #[must_use]
    #[expect(clippy::expect_used, reason = "test support; the bytes are its own")]
    pub fn traces(&self) -> Traces {
        Traces::index(self.encode()).expect("sample is well-formed")
    }

    fn resource_spans(&self, buf: &mut Vec<u8>, resource: usize, random: &mut SplitMix) {
        put_message(buf, 1, |buf| {
            let pod = format!("checkout-7d9f8b6c5d-{:05x}", random.next() & 0xf_ffff);
            let service = format!("checkout-{resource}");
            for (key, value) in [
                ("service.name", service.as_str()),
                ("service.namespace", "shop"),
                ("service.version", "1.42.0"),
                ("k8s.pod.name", &pod),
                ("k8s.namespace.name", "production"),
                ("k8s.node.name", "ip-10-0-12-34.eu-west-1.compute.internal"),
                ("telemetry.sdk.language", "java"),
                ("deployment.environment.name", "production"),
            ] {
                put_attribute(buf, 1, key, &Value::String(value.into()));
            }
        });
        put_message(buf, 2, |buf| {
            put_message(buf, 1, |buf| {
                put_bytes(buf, 1, b"io.opentelemetry.servlet-5.0");
                put_bytes(buf, 2, b"2.9.0-alpha");
            });
            let mut trace_id = TraceId::default();
            for n in 0..self.n_spans {
                if n % self.spans_per_trace.max(1) == 0 {
                    trace_id = random.trace_id();
                }
                put_message(buf, 2, |buf| self.span(buf, trace_id, random));
            }
            put_bytes(buf, 3, b"https://opentelemetry.io/schemas/1.26.0");
        });
    }

    fn span(&self, buf: &mut Vec<u8>, trace_id: TraceId, random: &mut SplitMix) {
        let roll = random.next();
        let route = ROUTES[(roll % ROUTES.len() as u64) as usize];
        let is_error = (roll >> 8) % 1000 < self.errors_per_mille;
        let start = 1_700_000_000_000_000_000 + (random.next() & 0xff_ffff_ffff);
        let duration = 1_000_000 + (roll >> 20) % 400_000_000;
        let order = random.next();
        let text = |text: String| Value::String(text);
        SpanSample::new(trace_id, random.next().to_be_bytes())
            .parent(random.next().to_be_bytes())
            .name(&format!("GET {route}"))
            .kind(2)
            .times(start, start + duration)
            .flags(0x101)
            .status(if is_error { 2 } else { 0 }, if is_error { "upstream timed out" } else { "" })
            .attribute("http.request.method", text("GET".into()))
            .attribute("http.route", text(route.into()))
            .attribute("url.path", text(format!("/api/v2/orders/{}", order % 1_000_000)))
            .attribute("url.scheme", text("https".into()))
            .attribute("server.address", text("checkout.production.svc.eu-west-1.cluster.local".into()))
            .attribute("server.port", Value::Int(8443))
            .attribute("http.response.status_code", Value::Int(if is_error { 503 } else { 200 }))
            .attribute("user_agent.original", text("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36".into()))
            .attribute("client.address", text(format!("10.{}.{}.{}", order & 255, order >> 8 & 255, order >> 16 & 255)))
            .attribute("network.protocol.version", text("1.1".into()))
            .attribute("app.cart.total", Value::Double((order % 100_000) as f64 / 100.0))
            .attribute("app.session.id", text(format!("sess-{:016x}{:016x}", random.next(), random.next())))
            .write(buf);
    }
}

const ROUTES: [&str; 6] =
    ["/api/v2/orders/{id}", "/api/v2/carts/{id}/items", "/api/v2/users/{id}", "/healthz", "/api/v2/search", "/login"];

/// A span a test spells out. Fields are written in the order of the calls, as `put_*` would.
#[derive(Clone, Debug)]
pub struct SpanSample {
    /// The Span message's payload so far.
    pub bytes: Vec<u8>,
}

impl SpanSample {
    /// A span with these ids and nothing else.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: [u8; 8]) -> Self {
        let mut bytes = Vec::with_capacity(640);
        put_bytes(&mut bytes, 1, &trace_id);
        put_bytes(&mut bytes, 2, &span_id);
        Self { bytes }
    }

    /// Sets the parent span id.
    #[must_use]
    pub fn parent(mut self, span_id: [u8; 8]) -> Self {
        put_bytes(&mut self.bytes, 4, &span_id);
        self
    }

    /// Sets the W3C trace state.
    #[must_use]
    pub fn trace_state(mut self, trace_state: &str) -> Self {
        put_bytes(&mut self.bytes, 3, trace_state.as_bytes());
        self
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        put_bytes(&mut self.bytes, 5, name.as_bytes());
        self
    }

    /// Sets the kind by number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    #[must_use]
    pub fn kind(mut self, kind: i32) -> Self {
        put_varint_field(&mut self.bytes, 6, i64::from(kind) as u64);
        self
    }

    /// Sets start and end, ns since the epoch.
    #[must_use]
    pub fn times(mut self, start_unix_nano: u64, end_unix_nano: u64) -> Self {
        put_fixed64_field(&mut self.bytes, 7, start_unix_nano);
        put_fixed64_field(&mut self.bytes, 8, end_unix_nano);
        self
    }

    /// Sets the flags.
    #[must_use]
    pub fn flags(mut self, flags: u32) -> Self {
        put_fixed32_field(&mut self.bytes, 16, flags);
        self
    }

    /// Sets the status: 0 unset, 1 ok, 2 error.
    #[must_use]
    pub fn status(mut self, code: i32, message: &str) -> Self {
        put_message(&mut self.bytes, 15, |buf| {
            if !message.is_empty() {
                put_bytes(buf, 2, message.as_bytes());
            }
            if code != 0 {
                put_varint_field(buf, 3, i64::from(code) as u64);
            }
        });
        self
    }

    /// Adds an attribute.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "calls read better with literals")]
    pub fn attribute(mut self, key: &str, value: Value) -> Self {
        put_attribute(&mut self.bytes, 9, key, &value);
        self
    }

    /// Adds an event.
    #[must_use]
    pub fn event(mut self, time_unix_nano: u64, name: &str, attributes: &[(&str, Value)]) -> Self {
        put_message(&mut self.bytes, 11, |buf| {
            put_fixed64_field(buf, 1, time_unix_nano);
            put_bytes(buf, 2, name.as_bytes());
            for (key, value) in attributes {
                put_attribute(buf, 3, key, value);
            }
        });
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, trace_id: TraceId, span_id: [u8; 8], attributes: &[(&str, Value)]) -> Self {
        put_message(&mut self.bytes, 13, |buf| {
            put_bytes(buf, 1, &trace_id);
            put_bytes(buf, 2, &span_id);
            for (key, value) in attributes {
                put_attribute(buf, 4, key, value);
            }
        });
        self
    }

    fn write(&self, buf: &mut Vec<u8>) {
        buf.extend_from_slice(&self.bytes);
    }
}

/// A resource's attributes and, for each of its scopes, the scope's name and spans.
pub type ResourceSample<'a> = (&'a [(&'a str, Value)], &'a [(&'a str, &'a [SpanSample])]);

/// A request of spelled-out spans.
#[must_use]
pub fn request(resources: &[ResourceSample<'_>]) -> Bytes {
    let mut request = Vec::new();
    for (attributes, scopes) in resources {
        put_message(&mut request, 1, |buf| {
            put_message(buf, 1, |buf| {
                for (key, value) in *attributes {
                    put_attribute(buf, 1, key, value);
                }
            });
            for (name, spans) in *scopes {
                put_message(buf, 2, |buf| {
                    put_message(buf, 1, |buf| put_bytes(buf, 1, name.as_bytes()));
                    for span in *spans {
                        put_bytes(buf, 2, &span.bytes);
                    }
                });
            }
        });
    }
    Bytes::from(request)
}

/// Writes a KeyValue field.
pub fn put_attribute(buf: &mut Vec<u8>, number: u32, key: &str, value: &Value) {
    crate::value::put_key_value(buf, number, key, value);
}

/// Small, fast, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn trace_id(&mut self) -> TraceId {
        let mut id = TraceId::default();
        id[..8].copy_from_slice(&self.next().to_be_bytes());
        id[8..].copy_from_slice(&self.next().to_be_bytes());
        id
    }
}
