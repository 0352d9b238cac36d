//! A small web shop's traces, made as OTLP bytes: about 1% of the traces fail, 1% are slow, 10% are health probes.
//!
//! Pure: the time and the seed are arguments, so the same seed gives the same traffic.

/// What a trace is made to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing special.
    Normal,
    /// A payment fails.
    Error,
    /// The root takes more than a second.
    Slow,
    /// A load balancer asks for `/health`.
    Probe,
}

/// How many traces of each class were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// All traces.
    pub(crate) traces: u64,
    /// All spans.
    pub(crate) spans: u64,
    /// Traces with an error.
    pub(crate) errors: u64,
    /// Slow traces.
    pub(crate) slow: u64,
    /// Health probes.
    pub(crate) probes: u64,
}

/// What the shop's traces are like, in per cent; the rest is normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mix {
    /// A payment fails.
    pub(crate) errors: u8,
    /// The root takes more than a second.
    pub(crate) slow: u8,
    /// Health probes.
    pub(crate) probes: u8,
}

impl Mix {
    /// An ordinary day.
    pub(crate) const DEMO: Self = Self { errors: 1, slow: 1, probes: 10 };
}

/// The shop.
pub(crate) struct Shop {
    state: u64,
    made: Made,
    mix: Mix,
}

const SERVICES: [&str; 5] = ["frontend", "cart", "checkout", "payment", "inventory"];
const ROUTES: [&str; 4] = ["/", "/products", "/cart", "/checkout"];
const MS: u64 = 1_000_000;

impl Shop {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_mix(seed, Mix::DEMO)
    }

    /// Shares of more than 100 per cent together leave no room for the later ones.
    pub(crate) fn with_mix(seed: u64, mix: Mix) -> Self {
        Self { state: seed | 1, made: Made::default(), mix }
    }

    /// What was made so far.
    pub(crate) fn made(&self) -> Made {
        self.made
    }

    /// One request with the spans of `traces` traces that ended at `now_unix_nano`.
    pub(crate) fn request(&mut self, traces: usize, now_unix_nano: u64) -> Vec<u8> {
        let mut by_service: [Vec<u8>; SERVICES.len()] = Default::default();
        for _ in 0..traces {
            self.trace(now_unix_nano, &mut by_service);
        }
        let mut request = Vec::new();
        for (service, spans) in SERVICES.iter().zip(by_service).filter(|(_, spans)| !spans.is_empty()) {
            let mut resource = Vec::new();
            message(&mut resource, 1, &attribute("service.name", Text(service)));
            message(&mut resource, 1, &attribute("deployment.environment", Text("demo")));
            let mut scope = Vec::new();
            message(&mut scope, 1, b"shop");
            let mut scope_spans = Vec::new();
            message(&mut scope_spans, 1, &scope);
            scope_spans.extend_from_slice(&spans);
            let mut resource_spans = Vec::new();
            message(&mut resource_spans, 1, &resource);
            message(&mut resource_spans, 2, &scope_spans);
            message(&mut request, 1, &resource_spans);
        }
        request
    }

    fn trace(&mut self, now: u64, by_service: &mut [Vec<u8>; SERVICES.len()]) {
        let Mix { errors, slow, probes } = self.mix;
        let (errors, slow, probes) = (u64::from(errors), u64::from(slow), u64::from(probes));
        let class = match self.below(100) {
            drawn if drawn < errors => Class::Error,
            drawn if drawn < errors + slow => Class::Slow,
            drawn if drawn < errors + slow + probes => Class::Probe,
            _ => Class::Normal,
        };
        self.made.traces += 1;
        self.made.errors += u64::from(class == Class::Error);
        self.made.slow += u64::from(class == Class::Slow);
        self.made.probes += u64::from(class == Class::Probe);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_be_bytes());
        id[8..].copy_from_slice(&self.next().to_be_bytes());
        if class == Class::Probe {
            let span = Span { id, number: 1, parent: 0, name: "GET /health", kind: 2, start: now - MS, end: now };
            self.span(&mut by_service[0], &span, &[("http.method", "GET"), ("http.target", "/health")], 200, false);
            return;
        }
        let route = ROUTES[usize::try_from(self.below(4)).unwrap_or(0)];
        let length = match class {
            Class::Slow => 1200 * MS + self.below(2000) * MS,
            _ => 5 * MS + self.below(400) * MS,
        };
        let start = now.saturating_sub(length);
        let failed = class == Class::Error;
        let name = format!("GET {route}");
        let root = Span { id, number: 1, parent: 0, name: &name, kind: 2, start, end: now };
        let status = if failed { 500 } else { 200 };
        self.span(&mut by_service[0], &root, &[("http.method", "GET"), ("http.target", route)], status, false);
        let calls = 1 + self.below(4);
        for number in 0..calls {
            let service = 1 + usize::try_from(self.below(4)).unwrap_or(0);
            let (service, name) = if failed && number == 0 { (3, "Pay") } else { (service, CALLS[service]) };
            let begin = start + (number + 1) * MS / 2;
            let end = begin + MS + self.below(length / (2 * MS) + 1) * MS / 2;
            let number = u8::try_from(number).unwrap_or(0) + 2;
            let span = Span { id, number, parent: 1, name, kind: 2, start: begin, end: end.min(now) };
            let failed = failed && number == 2;
            self.span(
                &mut by_service[service],
                &span,
                &[("rpc.system", "grpc")],
                if failed { 500 } else { 200 },
                failed,
            );
        }
    }

    fn span(&mut self, out: &mut Vec<u8>, span: &Span<'_>, attributes: &[(&str, &str)], status: u64, failed: bool) {
        self.made.spans += 1;
        let mut bytes = Vec::with_capacity(256);
        message(&mut bytes, 1, &span.id);
        message(&mut bytes, 2, &span.span_id(span.number));
        if span.parent != 0 {
            message(&mut bytes, 4, &span.span_id(span.parent));
        }
        message(&mut bytes, 5, span.name.as_bytes());
        number(&mut bytes, 6, span.kind);
        fixed(&mut bytes, 7, span.start);
        fixed(&mut bytes, 8, span.end);
        for (key, value) in attributes {
            message(&mut bytes, 9, &attribute(key, Text(value)));
        }
        message(&mut bytes, 9, &attribute("http.status_code", Whole(status)));
        if failed {
            let mut status = Vec::new();
            message(&mut status, 2, b"card declined");
            number(&mut status, 3, 2);
            message(&mut bytes, 15, &status);
        }
        message(out, 2, &bytes);
    }

    /// xorshift64*: good enough for a shop.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }
}

const CALLS: [&str; 5] = ["GET /", "GetCart", "PlaceOrder", "Pay", "Reserve"];

struct Span<'a> {
    id: [u8; 16],
    number: u8,
    parent: u8,
    name: &'a str,
    kind: u64,
    start: u64,
    end: u64,
}

impl Span<'_> {
    fn span_id(&self, number: u8) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&self.id[..8]);
        id[7] = number;
        id
    }
}

#[derive(Clone, Copy)]
enum Any<'a> {
    Text(&'a str),
    Whole(u64),
}
use Any::{Text, Whole};

fn attribute(key: &str, value: Any<'_>) -> Vec<u8> {
    let mut any = Vec::new();
    match value {
        Text(text) => message(&mut any, 1, text.as_bytes()),
        Whole(whole) => number(&mut any, 3, whole),
    }
    let mut bytes = Vec::new();
    message(&mut bytes, 1, key.as_bytes());
    message(&mut bytes, 2, &any);
    bytes
}

fn message(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    use super::*;

    #[test]
    fn requests_are_what_was_counted() {
        let mut shop = Shop::new(1);
        let mut spans = 0;
        let mut errors = 0;
        for _ in 0..200 {
            let bytes = shop.request(10, 1_700_000_000_000_000_000);
            let request = ExportTraceServiceRequest::decode(&bytes[..]).expect("OTLP");
            for span in request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
                spans += 1;
                errors += u64::from(span.status.as_ref().is_some_and(|status| status.code == 2));
                assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            }
        }
        let made = shop.made();
        assert_eq!((made.spans, made.errors), (spans, errors));
        assert_eq!(made.traces, 2000);
        assert!((5..60).contains(&made.errors) && (5..60).contains(&made.slow) && (100..300).contains(&made.probes));
    }
}
