//! Random requests and random conditions over them. The same seed gives the same pairs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point::Value as NumberValue,
    summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use ottl::{Frame, PointKind, Program};
use prost::Message;

// By path, because this file is a module of the differential example too.
#[path = "calls.rs"]
mod calls;
#[path = "converters.rs"]
mod converters;

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // A seed of zero would stay zero.
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03 | 1);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) as usize) % bound
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const KEYS: &[&str] = &["s", "n", "d", "b", "m", "l", "x", "http.method", "http.status_code", "empty", "bytes", "time"];
const WORDS: &[&str] = &[
    "",
    "a",
    "b",
    "ab",
    "GET",
    "POST",
    "hello",
    "h\u{e9}llo",
    "42",
    "-7",
    "3.5",
    "true",
    "/cart",
    "/health",
    "A b",
    "1h30m",
    "10.0.0.1",
    "a=1 b=2",
    "a,b,c",
    "{\"a\":1,\"b\":[true,null]}",
    "[1,\"x\"]",
    "http://h:80/p?q=1",
    "2024-01-02",
    "0102030405060708",
    "YQ==",
    "line\nbreak",
    "\u{130}stanbul",
];
const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.5,
    42.0,
    3.25,
    1e21,
    1e-7,
    9_007_199_254_740_992.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];
const INTEGERS: &[i64] = &[0, 1, -1, 2, 3, 7, 42, 200, 404, 500, 503, i64::MAX, i64::MIN, 9_007_199_254_740_993];

fn any(random: &mut Random, depth: usize) -> AnyValue {
    let value = match random.below(if depth == 0 { 6 } else { 9 }) {
        0 | 1 => Some(Any::StringValue(random.pick(WORDS).to_owned())),
        2 => Some(Any::IntValue(INTEGERS[random.below(INTEGERS.len())])),
        3 => Some(Any::DoubleValue(DOUBLES[random.below(DOUBLES.len())])),
        4 => Some(Any::BoolValue(random.one_in(2))),
        5 if random.one_in(2) => None,
        5 => Some(Any::BytesValue((0..random.below(4)).map(|byte| byte as u8 + 1).collect())),
        6 => Some(Any::KvlistValue(KeyValueList { values: attributes(random, 3, depth - 1) })),
        _ => {
            let values = (0..random.below(4)).map(|_| any(random, depth - 1)).collect();
            Some(Any::ArrayValue(ArrayValue { values }))
        }
    };
    AnyValue { value }
}

fn attributes(random: &mut Random, most: usize, depth: usize) -> Vec<KeyValue> {
    let attribute = |random: &mut Random| {
        let key = random.pick(KEYS).to_owned();
        KeyValue { key, value: Some(any(random, depth)), ..KeyValue::default() }
    };
    (0..random.below(most + 1)).map(|_| attribute(random)).collect()
}

/// One resource, one scope, one span with one or two events.
pub(crate) fn request(random: &mut Random) -> ExportTraceServiceRequest {
    let start = 1_700_000_000_000_000_000 + random.below(1_000_000_000) as u64;
    let times = [(0, 0), (start, start + 750_000_000), (start, start + 1_500_000_000), (start + 5, start)];
    let (start, end) = times[random.below(times.len())];
    let id = |random: &mut Random, n: usize| -> Vec<u8> {
        match random.below(5) {
            0 => Vec::new(),
            1 => vec![0; n],
            _ => (0..n).map(|byte| byte as u8 + 1).collect(),
        }
    };
    let events = (0..1 + random.below(2))
        .map(|_| Event {
            time_unix_nano: start,
            name: random.pick(WORDS).to_owned(),
            attributes: attributes(random, 3, 1),
            dropped_attributes_count: random.below(2) as u32,
        })
        .collect();
    let span = Span {
        trace_id: id(random, 16),
        span_id: id(random, 8),
        parent_span_id: id(random, 8),
        trace_state: random.pick(&["", "k1=v1", "k1=v1,k2=v2", "bad", "ot=th:8", "a=1,a=2", " k = v "]).to_owned(),
        flags: [0, 1, 0x300, u32::MAX][random.below(4)],
        name: random.pick(&["GET /x", "GET /api/v1/cart", "", "SELECT 1", "hello"]).to_owned(),
        kind: random.below(7) as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: attributes(random, 8, 2),
        dropped_attributes_count: random.below(3) as u32,
        events,
        links: (0..random.below(2)).map(|_| Link::default()).collect(),
        status: (!random.one_in(4))
            .then(|| Status { code: random.below(3) as i32, message: random.pick(WORDS).to_owned() }),
        ..Span::default()
    };
    let scope = InstrumentationScope {
        name: random.pick(&["", "lib", "otel-http"]).to_owned(),
        version: random.pick(&["", "1.2"]).to_owned(),
        attributes: attributes(random, 2, 1),
        ..InstrumentationScope::default()
    };
    let mut resource = Resource { attributes: attributes(random, 3, 1), ..Resource::default() };
    let service = AnyValue { value: Some(Any::StringValue(random.pick(&["checkout", "cart"]).to_owned())) };
    resource.attributes.push(KeyValue { key: "service.name".to_owned(), value: Some(service), ..KeyValue::default() });
    let url = |random: &mut Random| random.pick(&["", "https://opentelemetry.io/schemas/1.27.0"]).to_owned();
    let scope_spans = ScopeSpans { scope: Some(scope), spans: vec![span], schema_url: url(random) };
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans], schema_url: url(random) };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

/// One resource, one scope, one metric with at most one data point.
pub(crate) fn metrics_request(random: &mut Random) -> ExportMetricsServiceRequest {
    let ExportTraceServiceRequest { mut resource_spans } = request(random);
    let traces = resource_spans.remove(0);
    let scope = traces.scope_spans.into_iter().next();
    let scope_metrics = ScopeMetrics {
        schema_url: scope.as_ref().map(|scope| scope.schema_url.clone()).unwrap_or_default(),
        scope: scope.and_then(|scope| scope.scope),
        metrics: vec![metric(random)],
    };
    let resource_metrics = ResourceMetrics {
        resource: traces.resource,
        scope_metrics: vec![scope_metrics],
        schema_url: traces.schema_url,
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

fn metric(random: &mut Random) -> Metric {
    let n_points = usize::from(!random.one_in(6));
    let aggregation_temporality = random.below(4) as i32;
    let (start, time) = (1_700_000_000_000_000_000, 1_700_000_000_750_000_000 + random.below(3) as u64);
    let flags = random.below(3) as u32;
    let count = [0, 1, 7, u64::MAX][random.below(4)];
    let sum = (!random.one_in(3)).then(|| DOUBLES[random.below(DOUBLES.len())]);
    let attributes = |random: &mut Random| attributes(random, 4, 2);
    let data = match random.below(6) {
        0 | 1 => {
            let points = (0..n_points)
                .map(|_| NumberDataPoint {
                    attributes: attributes(random),
                    start_time_unix_nano: start,
                    time_unix_nano: time,
                    exemplars: vec![Exemplar::default(); random.below(2)],
                    flags,
                    value: match random.below(3) {
                        0 => None,
                        1 => Some(NumberValue::AsInt(INTEGERS[random.below(INTEGERS.len())])),
                        _ => Some(NumberValue::AsDouble(DOUBLES[random.below(DOUBLES.len())])),
                    },
                })
                .collect();
            match random.one_in(2) {
                true => Some(Data::Gauge(Gauge { data_points: points })),
                false => Some(Data::Sum(Sum {
                    data_points: points,
                    aggregation_temporality,
                    is_monotonic: random.one_in(2),
                })),
            }
        }
        2 => {
            let points = (0..n_points).map(|_| HistogramDataPoint {
                attributes: attributes(random),
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum,
                bucket_counts: (0..random.below(4) as u64).collect(),
                explicit_bounds: DOUBLES[..random.below(3)].to_vec(),
                flags,
                ..HistogramDataPoint::default()
            });
            Some(Data::Histogram(Histogram { data_points: points.collect(), aggregation_temporality }))
        }
        3 => {
            let buckets = |random: &mut Random| {
                (!random.one_in(3)).then(|| Buckets {
                    offset: [0, 3, -7, i32::MIN][random.below(4)],
                    bucket_counts: [0, 1, 300, u64::MAX][..random.below(4)].to_vec(),
                })
            };
            let points = (0..n_points).map(|_| ExponentialHistogramDataPoint {
                attributes: attributes(random),
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum,
                scale: [0, 5, -3, i32::MAX][random.below(4)],
                zero_count: random.below(3) as u64,
                positive: buckets(random),
                negative: buckets(random),
                flags,
                ..ExponentialHistogramDataPoint::default()
            });
            let data_points = points.collect();
            Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
        }
        4 => {
            let points = (0..n_points).map(|_| SummaryDataPoint {
                attributes: attributes(random),
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum: sum.unwrap_or_default(),
                quantile_values: vec![ValueAtQuantile::default(); random.below(2)],
                flags,
            });
            Some(Data::Summary(Summary { data_points: points.collect() }))
        }
        _ => None,
    };
    Metric {
        name: random.pick(&["http.server.duration", "", "hello"]).to_owned(),
        description: random.pick(WORDS).to_owned(),
        unit: random.pick(&["", "ms", "By"]).to_owned(),
        metadata: attributes(random),
        data,
    }
}

/// One resource, one scope, one record.
pub(crate) fn logs_request(random: &mut Random) -> ExportLogsServiceRequest {
    let ExportTraceServiceRequest { mut resource_spans } = request(random);
    let mut traces = resource_spans.remove(0);
    let scope = traces.scope_spans.remove(0);
    let span = scope.spans.into_iter().next().unwrap_or_default();
    let record = LogRecord {
        time_unix_nano: span.start_time_unix_nano,
        observed_time_unix_nano: span.end_time_unix_nano,
        severity_number: random.below(26) as i32,
        severity_text: random.pick(&["", "ERROR", "hello"]).to_owned(),
        body: (!random.one_in(5)).then(|| any(random, 2)),
        attributes: attributes(random, 5, 2),
        dropped_attributes_count: random.below(3) as u32,
        flags: [0, 1, u32::MAX][random.below(3)],
        trace_id: span.trace_id,
        span_id: span.span_id,
        event_name: random.pick(WORDS).to_owned(),
    };
    let scope_logs = ScopeLogs { scope: scope.scope, log_records: vec![record], schema_url: scope.schema_url };
    let resource_logs =
        ResourceLogs { resource: traces.resource, scope_logs: vec![scope_logs], schema_url: traces.schema_url };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

/// The messages of a request that are loaded one by one.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) resource: Vec<u8>,
    pub(crate) resource_schema: String,
    pub(crate) scope: Vec<u8>,
    pub(crate) scope_schema: String,
    pub(crate) metric: Option<Vec<u8>>,
    pub(crate) point: Option<(PointKind, Vec<u8>)>,
    pub(crate) record: Option<Vec<u8>>,
}

impl Parts {
    pub(crate) fn load<'w>(&'w self, program: &Program, frame: &mut Frame<'w>) {
        program.load_resource(frame, &self.resource, self.resource_schema.as_bytes());
        program.load_scope(frame, &self.scope, self.scope_schema.as_bytes());
        if let Some(metric) = &self.metric {
            program.load_metric(frame, metric);
        }
        if let Some((kind, point)) = &self.point {
            program.load_data_point(frame, *kind, point);
        }
        if let Some(record) = &self.record {
            program.load_log(frame, record);
        }
    }
}

/// The parts of a request of metrics; a metric without points gets an empty one of its kind.
pub(crate) fn metric_parts(body: &[u8]) -> Parts {
    fn first<P: Message + Default>(kind: PointKind, points: &[P]) -> (PointKind, Vec<u8>) {
        (kind, points.first().map(Message::encode_to_vec).unwrap_or_default())
    }
    let request = ExportMetricsServiceRequest::decode(body).unwrap_or_default();
    let Some(resource) = request.resource_metrics.into_iter().next() else { return Parts::default() };
    let Some(scope) = resource.scope_metrics.into_iter().next() else { return Parts::default() };
    let Some(metric) = scope.metrics.into_iter().next() else { return Parts::default() };
    let point = match &metric.data {
        Some(Data::Gauge(data)) => first(PointKind::Number, &data.data_points),
        Some(Data::Sum(data)) => first(PointKind::Number, &data.data_points),
        Some(Data::Histogram(data)) => first(PointKind::Histogram, &data.data_points),
        Some(Data::ExponentialHistogram(data)) => first(PointKind::ExponentialHistogram, &data.data_points),
        Some(Data::Summary(data)) => first(PointKind::Summary, &data.data_points),
        None => (PointKind::Number, Vec::new()),
    };
    Parts {
        resource: resource.resource.unwrap_or_default().encode_to_vec(),
        resource_schema: resource.schema_url,
        scope: scope.scope.unwrap_or_default().encode_to_vec(),
        scope_schema: scope.schema_url,
        metric: Some(metric.encode_to_vec()),
        point: Some(point),
        record: None,
    }
}

/// The parts of a request of logs.
pub(crate) fn log_parts(body: &[u8]) -> Parts {
    let request = ExportLogsServiceRequest::decode(body).unwrap_or_default();
    let Some(resource) = request.resource_logs.into_iter().next() else { return Parts::default() };
    let Some(scope) = resource.scope_logs.into_iter().next() else { return Parts::default() };
    Parts {
        resource: resource.resource.unwrap_or_default().encode_to_vec(),
        resource_schema: resource.schema_url,
        scope: scope.scope.unwrap_or_default().encode_to_vec(),
        scope_schema: scope.schema_url,
        record: scope.log_records.first().map(Message::encode_to_vec),
        ..Parts::default()
    }
}

/// A value expression for this context: mostly a call of a converter.
pub(crate) fn expression(random: &mut Random, context: &str, depth: usize) -> String {
    let text = match random.below(8) {
        0 => value(random, context, depth),
        1 => number(random, context, depth),
        2 => time(random, context, depth),
        _ => calls::call(random, context, depth),
    };
    if random.one_in(30) { calls::damaged(random, &text) } else { text }
}

/// A condition for this context; mostly well typed, sometimes not, and a few of them with damage.
pub(crate) fn question(random: &mut Random, context: &str, depth: usize) -> String {
    let text = match random.below(6) {
        0 => {
            format!("{} {} {}", calls::call(random, context, depth), comparator(random), value(random, context, depth))
        }
        1 => calls::call(random, context, depth),
        _ => condition(random, context, depth),
    };
    if random.one_in(20) { calls::damaged(random, &text) } else { text }
}

/// A condition for this context; mostly well typed, sometimes not.
pub(crate) fn condition(random: &mut Random, context: &str, depth: usize) -> String {
    match random.below(if depth == 0 { 4 } else { 10 }) {
        0..=3 => comparison(random, context, depth),
        4 => format!("{} and {}", operand(random, context, depth - 1), operand(random, context, depth - 1)),
        5 => format!("{} or {}", operand(random, context, depth - 1), operand(random, context, depth - 1)),
        6 => format!("not {}", operand(random, context, depth - 1)),
        7 => predicate(random, context, depth - 1),
        8 => random.pick(&["true", "false", "1 == 1", "nil == nil", "2 < 1"]).to_owned(),
        _ => format!(
            "{} or {} and {}",
            operand(random, context, depth - 1),
            operand(random, context, depth - 1),
            operand(random, context, depth - 1)
        ),
    }
}

fn operand(random: &mut Random, context: &str, depth: usize) -> String {
    format!("({})", condition(random, context, depth))
}

fn comparator(random: &mut Random) -> &'static str {
    random.pick(&["==", "==", "!=", "<", "<=", ">", ">="])
}

fn comparison(random: &mut Random, context: &str, depth: usize) -> String {
    let op = comparator(random);
    let (left, right) = match random.below(8) {
        0 | 1 => (attribute_path(random, context), literal(random)),
        2 => (text(random, context, depth), text(random, context, depth)),
        3 => (number(random, context, depth), number(random, context, depth)),
        4 => (time(random, context, depth), time(random, context, depth)),
        5 => (literal(random), attribute_path(random, context)),
        6 => (attribute_path(random, context), "nil".to_owned()),
        _ => (value(random, context, depth), value(random, context, depth)),
    };
    format!("{left} {op} {right}")
}

fn value(random: &mut Random, context: &str, depth: usize) -> String {
    let structs: &[&str] = match context {
        "metric" => &["data_points", "is_monotonic", "metadata", "type"],
        "datapoint" => &[
            "exemplars",
            "bucket_counts",
            "explicit_bounds",
            "positive",
            "negative.bucket_counts",
            "positive.bucket_counts",
            "quantile_values",
            "attributes",
            "metric.data_points",
        ],
        "log" => &["body", "attributes", "trace_id", "span_id"],
        _ => &[],
    };
    if !structs.is_empty() && random.one_in(5) {
        return random.pick(structs).to_owned();
    }
    match random.below(7) {
        0 => text(random, context, depth),
        1 => number(random, context, depth),
        2 => time(random, context, depth),
        3 => attribute_path(random, context),
        4 => literal(random),
        5 if depth > 0 => format!("[{}, {}]", value(random, context, depth - 1), literal(random)),
        5 => "[]".to_owned(),
        _ if depth > 0 => format!("{{\"a\": {}}}", value(random, context, depth - 1)),
        _ => "{}".to_owned(),
    }
}

fn literal(random: &mut Random) -> String {
    match random.below(9) {
        0..=2 => quoted(random.pick(WORDS)),
        3 => INTEGERS[random.below(INTEGERS.len() - 2)].to_string(),
        4 => random.pick(&["1.0", "42.0", "3.25", "-1.5", ".5", "1.e3"]).to_owned(),
        5 => random.pick(&["true", "false"]).to_owned(),
        6 => "nil".to_owned(),
        7 => random.pick(&["0x01", "0x0102", "0x0102030405060708"]).to_owned(),
        _ => random
            .pick(&[
                "STATUS_CODE_ERROR",
                "SPAN_KIND_SERVER",
                "SPAN_KIND_CLIENT",
                "METRIC_DATA_TYPE_SUM",
                "AGGREGATION_TEMPORALITY_DELTA",
                "FLAG_NO_RECORDED_VALUE",
                "SEVERITY_NUMBER_ERROR",
            ])
            .to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn attribute_path(random: &mut Random, context: &str) -> String {
    let root = match (context, random.below(4)) {
        (_, 0) => "resource.attributes",
        ("metric", 1..) => "metadata",
        ("log", 2) => "body",
        ("span" | "spanevent" | "log" | "datapoint", 1) => "scope.attributes",
        ("datapoint", 2) => "metric.metadata",
        ("spanevent", 2) => "span.attributes",
        _ => "attributes",
    };
    let mut path = format!("{root}[{}]", quoted(random.pick(KEYS)));
    if random.one_in(4) {
        path += &match random.below(4) {
            0 => format!("[{}]", random.below(3)),
            1 => "[-1]".to_owned(),
            2 => format!("[{}]", attribute_path(random, context)),
            _ => format!("[{}]", quoted(random.pick(KEYS))),
        };
    }
    path
}

fn text(random: &mut Random, context: &str, depth: usize) -> String {
    let paths: &[&str] = match context {
        "span" => &[
            "name",
            "status.message",
            "trace_state",
            "trace_id.string",
            "span_id.string",
            "parent_span_id.string",
            "kind.string",
            "kind.deprecated_string",
            "trace_state[\"k1\"]",
            "scope.name",
            "scope.version",
            "resource.schema_url",
            "scope.schema_url",
        ],
        "spanevent" => &["name", "span.name", "span.status.message", "scope.name", "span.trace_id.string"],
        "scope" => &["name", "version", "schema_url", "resource.schema_url"],
        "metric" => &["name", "description", "unit", "scope.name", "resource.schema_url"],
        "datapoint" => &["metric.name", "metric.unit", "metric.description", "scope.version"],
        "log" => {
            &["severity_text", "body.string", "body", "event_name", "trace_id.string", "span_id.string", "scope.name"]
        }
        _ => &["schema_url"],
    };
    if depth == 0 || random.one_in(2) {
        return match random.below(3) {
            0 => random.pick(paths).to_owned(),
            1 => attribute_path(random, context),
            _ => quoted(random.pick(WORDS)),
        };
    }
    let inner = text(random, context, depth - 1);
    match random.below(14) {
        0 => format!("ToLowerCase({inner})"),
        1 => format!("ToUpperCase({inner})"),
        2 => format!("Concat([{inner}, {}], \"-\")", value(random, context, depth - 1)),
        3 => format!("Substring({inner}, {}, {})", random.below(3), 1 + random.below(3)),
        4 => format!("String({})", value(random, context, depth - 1)),
        5 => format!("SHA256({inner})"),
        6 => format!("Hex({})", value(random, context, depth - 1)),
        7 => format!("Split({inner}, \",\")[{}]", random.below(3)),
        8 => format!("Trim({inner})"),
        9 => format!("ConvertCase({inner}, \"snake\")"),
        10 => format!("TrimPrefix({inner}, \"a\")"),
        11 => format!("Base64Encode({inner})"),
        12 => format!("Coalesce([{inner}, \"z\"])"),
        _ => format!("ToKeyValueString({}, sort_output=true)", attribute_path(random, context)),
    }
}

fn number(random: &mut Random, context: &str, depth: usize) -> String {
    let paths: &[&str] = match context {
        "span" => &[
            "kind",
            "status.code",
            "start_time_unix_nano",
            "end_time_unix_nano",
            "dropped_attributes_count",
            "dropped_events_count",
            "dropped_links_count",
            "flags",
            "resource.dropped_attributes_count",
        ],
        "spanevent" => &["time_unix_nano", "dropped_attributes_count", "span.kind", "span.status.code"],
        "metric" => &["type", "aggregation_temporality", "Len(data_points)", "is_monotonic"],
        "datapoint" => &[
            "value_int",
            "value_double",
            "count",
            "sum",
            "flags",
            "scale",
            "zero_count",
            "positive.offset",
            "negative.offset",
            "time_unix_nano",
            "start_time_unix_nano",
            "metric.type",
            "metric.aggregation_temporality",
            "Len(bucket_counts)",
            "Len(exemplars)",
        ],
        "log" => &["severity_number", "flags", "dropped_attributes_count", "time_unix_nano", "observed_time_unix_nano"],
        _ => &["dropped_attributes_count", "resource.dropped_attributes_count"],
    };
    if depth == 0 || random.one_in(2) {
        return match random.below(4) {
            0 => random.pick(paths).to_owned(),
            1 => attribute_path(random, context),
            2 => INTEGERS[random.below(11)].to_string(),
            _ => random.pick(&["1.0", "0.5", "42.0", "-3.25"]).to_owned(),
        };
    }
    match random.below(11) {
        0..=3 => {
            let op = random.pick(&["+", "-", "*", "/"]);
            format!("({} {op} {})", number(random, context, depth - 1), number(random, context, depth - 1))
        }
        4 => format!("Len({})", value(random, context, depth - 1)),
        5 => format!("Int({})", value(random, context, depth - 1)),
        6 => format!("Double({})", value(random, context, depth - 1)),
        7 => format!("-({})", number(random, context, depth - 1)),
        8 => format!("Index({}, {})", value(random, context, depth - 1), literal(random)),
        9 => format!("FNV({})", text(random, context, depth - 1)),
        _ => format!("Milliseconds({})", time(random, context, depth - 1)),
    }
}

fn time(random: &mut Random, context: &str, depth: usize) -> String {
    let paths: &[&str] = match context {
        "span" => &["start_time", "end_time", "(end_time - start_time)", "Duration(\"750ms\")", "Duration(\"1s\")"],
        "spanevent" => &["time", "span.start_time", "(time - span.start_time)", "Duration(\"0s\")"],
        "datapoint" => &["time", "start_time", "(time - start_time)"],
        "log" => &["time", "observed_time", "(observed_time - time)"],
        _ => &["Unix(1700000000)", "Duration(\"1s\")"],
    };
    if depth == 0 || random.one_in(2) {
        return random.pick(paths).to_owned();
    }
    match random.below(4) {
        0 => format!("({} + {})", time(random, context, depth - 1), time(random, context, depth - 1)),
        1 => format!("({} - {})", time(random, context, depth - 1), time(random, context, depth - 1)),
        2 => format!("TruncateTime({}, Duration(\"1s\"))", time(random, context, depth - 1)),
        _ => format!("Duration({})", text(random, context, depth - 1)),
    }
}

fn predicate(random: &mut Random, context: &str, depth: usize) -> String {
    let patterns = [
        "^GET",
        "a.b",
        "\\\\d+",
        "(?i)hello",
        "[[:alpha:]]+$",
        "^/(cart|health)$",
        "^$",
        "\\\\bh",
        "x|y",
        "\\\\w{2,}",
        "^GET /",
        "T$",
        "ell",
        "^hello$",
        ".*",
        "1",
    ];
    match random.below(13) {
        0..=2 => format!("IsMatch({}, \"{}\")", value(random, context, depth), random.pick(&patterns)),
        3 => format!("HasPrefix({}, {})", text(random, context, depth), quoted(random.pick(WORDS))),
        4 => format!("HasSuffix({}, {})", text(random, context, depth), quoted(random.pick(WORDS))),
        5 => format!("IsString({})", attribute_path(random, context)),
        6 => format!("IsInt({})", attribute_path(random, context)),
        7 => format!("IsMap({})", attribute_path(random, context)),
        8 => format!("IsList({})", value(random, context, depth)),
        9 => format!("IsEmpty({})", value(random, context, depth)),
        10 => format!("ContainsValue({}, {})", attribute_path(random, context), literal(random)),
        11 if context == "span" => "IsRootSpan()".to_owned(),
        11 => format!("IsDouble({})", attribute_path(random, context)),
        _ => format!("IsInCIDR({}, [\"10.0.0.0/8\"])", text(random, context, depth)),
    }
}
