//! `service.telemetry.metrics.readers[].periodic`: own metrics pushed by OTLP, in the form of OpenTelemetry's declarative
//! configuration 0.3.
//!
//! The endpoint and its transport become the sections of the exporters that do the same for pipelines.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::join;
use super::headers::Headers;
use super::section::Problems;
use super::{Duration, Secret, optional};
use crate::exporters::{otlp, otlp_http};
use crate::net::tls;

/// A periodic reader, checked.
#[derive(Clone, Debug)]
pub struct PeriodicReader {
    /// Time between two pushes.
    pub interval: std::time::Duration,
    /// Of one push, collecting included.
    pub timeout: std::time::Duration,
    /// Where to.
    pub target: Target,
}

/// Where own metrics are pushed to.
#[derive(Clone, Debug)]
pub enum Target {
    /// `otlp` with `protocol: grpc`
    Grpc(Box<otlp::Config>),
    /// `otlp` with `protocol: http/protobuf`
    Http(Box<otlp_http::Config>),
    /// `console`: one JSON object a push, on standard output.
    Console,
}

/// As written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Periodic {
    /// Milliseconds.
    interval: i64,
    /// Milliseconds.
    timeout: i64,
    exporter: Exporter,
    producers: Option<IgnoredAny>,
    cardinality_limits: Option<IgnoredAny>,
}

impl Default for Periodic {
    fn default() -> Self {
        Self {
            interval: 60_000,
            timeout: 30_000,
            exporter: Exporter::default(),
            producers: None,
            cardinality_limits: None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Exporter {
    #[serde(deserialize_with = "optional::given")]
    otlp: Option<Otlp>,
    #[serde(deserialize_with = "optional::given")]
    console: Option<Console>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Console {}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Otlp {
    protocol: String,
    endpoint: String,
    insecure: bool,
    certificate: String,
    client_certificate: String,
    client_key: String,
    headers: Headers,
    headers_list: Secret,
    compression: String,
    /// Milliseconds, of one attempt.
    timeout: i64,
    temporality_preference: String,
    default_histogram_aggregation: String,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            protocol: String::new(),
            endpoint: String::new(),
            insecure: false,
            certificate: String::new(),
            client_certificate: String::new(),
            client_key: String::new(),
            headers: Headers::default(),
            headers_list: Secret::default(),
            compression: String::new(),
            timeout: 10_000,
            temporality_preference: "cumulative".to_owned(),
            default_histogram_aggregation: "explicit_bucket_histogram".to_owned(),
        }
    }
}

/// Checks a reader; every mistake goes to `problems`.
pub(super) fn check(periodic: Periodic, path: &str, problems: &mut Problems) -> Option<PeriodicReader> {
    let before = problems.list().len();
    let mut millis = |key: &str, value: i64| match u64::try_from(value) {
        Ok(millis) if millis > 0 => std::time::Duration::from_millis(millis),
        _ => {
            problems.add(join(path, key), "must be a number of milliseconds above 0");
            std::time::Duration::ZERO
        }
    };
    let (interval, timeout) = (millis("interval", periodic.interval), millis("timeout", periodic.timeout));
    for (key, given) in
        [("producers", periodic.producers.is_some()), ("cardinality_limits", periodic.cardinality_limits.is_some())]
    {
        if given {
            problems.add(join(path, key), format!("{key} is not supported"));
        }
    }
    let at = join(path, "exporter");
    let target = match (periodic.exporter.otlp, periodic.exporter.console) {
        (Some(otlp), None) => otlp_target(otlp, &join(&at, "otlp"), problems),
        (None, Some(Console {})) => Some(Target::Console),
        (Some(_), Some(_)) => {
            problems.add(at, "must not specify multiple exporters");
            None
        }
        (None, None) => {
            problems.add(at, "must specify exporter: otlp or console");
            None
        }
    };
    (problems.list().len() == before).then_some(())?;
    Some(PeriodicReader { interval, timeout, target: target? })
}

fn otlp_target(mut otlp: Otlp, path: &str, problems: &mut Problems) -> Option<Target> {
    if otlp.temporality_preference != "cumulative" {
        problems.add(
            join(path, "temporality_preference"),
            format!("{:?} is not supported: own metrics are cumulative", otlp.temporality_preference),
        );
    }
    if otlp.default_histogram_aggregation != "explicit_bucket_histogram" {
        let text =
            format!("{:?} is not supported: own histograms have explicit buckets", otlp.default_histogram_aggregation);
        problems.add(join(path, "default_histogram_aggregation"), text);
    }
    if !["", "gzip", "none"].contains(&otlp.compression.as_str()) {
        problems.add(join(path, "compression"), format!("unsupported compression {:?}", otlp.compression));
    }
    if otlp.timeout < 0 {
        problems.add(join(path, "timeout"), "must be a number of milliseconds, 0 for none");
    }
    if otlp.endpoint.is_empty() {
        problems.add(join(path, "endpoint"), "an endpoint is required");
        return None;
    }
    headers_from_list(&mut otlp, path, problems);
    let scheme = if otlp.insecure { "http" } else { "https" };
    let endpoint = if otlp.endpoint.contains("://") { otlp.endpoint } else { format!("{scheme}://{}", otlp.endpoint) };
    let plain = endpoint.starts_with("http://");
    let tls = tls::Client::of_files(plain, otlp.certificate, otlp.client_certificate, otlp.client_key);
    let timeout = Duration::from_millis(otlp.timeout);
    // The Go SDK sends uncompressed unless told otherwise.
    let compression = if otlp.compression == "gzip" { "gzip" } else { "none" };
    match otlp.protocol.as_str() {
        "grpc" => {
            let config = otlp::Config::of_reader(endpoint, tls, compression, otlp.headers, timeout);
            config.check(path, problems);
            Some(Target::Grpc(Box::new(config)))
        }
        "http/protobuf" => {
            let config = otlp_http::Config::of_reader(&endpoint, tls, compression, otlp.headers, timeout);
            config.check(path, problems);
            Some(Target::Http(Box::new(config)))
        }
        other => {
            let text = format!("unsupported protocol {other:?}: expected \"grpc\" or \"http/protobuf\"");
            problems.add(join(path, "protocol"), text);
            None
        }
    }
}

/// `headers_list: name=value,name=value`; a name in `headers` wins.
fn headers_from_list(otlp: &mut Otlp, path: &str, problems: &mut Problems) {
    let list = otlp.headers_list.reveal().to_owned();
    for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            // The text is a secret: it is not shown.
            problems.add(join(path, "headers_list"), "expected name=value pairs, separated by commas");
            return;
        };
        let (name, value) = (name.trim(), value.trim());
        if !otlp.headers.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            otlp.headers.0.push((name.to_owned(), Secret::from(value.to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration as Span;

    use component::Signal;

    use super::*;
    use crate::config::service_telemetry::Telemetry;
    use crate::config::{Node, Section};

    fn reader(yaml: &str) -> Result<Vec<PeriodicReader>, String> {
        let mut problems = Problems::default();
        let section = Section::parse("x", "y", yaml).unwrap();
        let root = Node::Map(vec![("metrics".to_owned(), section.value)]);
        let telemetry = Telemetry::read(&root, "t", &mut problems);
        match problems.list().first() {
            Some(problem) => Err(format!("{}: {}", problem.path, problem.message)),
            None => Ok(telemetry.metrics.periodic),
        }
    }

    #[test]
    fn readers_as_written() {
        let all = reader(
            "readers: [{periodic: {interval: 10000, exporter: {otlp: {protocol: grpc, endpoint: 'gather:4317', insecure: \
             true, headers: [{name: a, value: b}], headers_list: 'c=d,a=e'}}}}, {periodic: {exporter: {otlp: {protocol: \
             http/protobuf, endpoint: 'http://gather:4318'}}}}, {periodic: {exporter: {console: }}}, {pull: {exporter: \
             {prometheus: }}}]",
        )
        .unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].interval, all[0].timeout), (Span::from_secs(10), Span::from_secs(30)));
        let Target::Grpc(grpc) = &all[0].target else { panic!() };
        assert_eq!((grpc.endpoint.as_str(), grpc.headers.0.len()), ("http://gather:4317", 2));
        let Target::Http(http) = &all[1].target else { panic!() };
        assert_eq!(http.url(Signal::Metrics).unwrap().to_string(), "http://gather:4318/v1/metrics");
        assert!(matches!(all[2].target, Target::Console));
    }

    #[test]
    fn mistakes_in_readers() {
        for (yaml, expected) in [
            ("{periodic: {}}", "exporter: must specify exporter: otlp or console"),
            ("{periodic: {intervall: 5}}", "t::metrics::readers[0]::periodic: has invalid keys: intervall"),
            ("{periodic: {interval: 0}}", "interval: must be a number of milliseconds above 0"),
            ("{periodic: {exporter: {otlp: {protocol: grpc}}}}", "otlp::endpoint: an endpoint is required"),
            ("{periodic: {exporter: {otlp: {protocol: x, endpoint: 'a:1'}}}}", "unsupported protocol \"x\""),
            (
                "{periodic: {exporter: {otlp: {protocol: grpc, endpoint: 'a:1', temporality_preference: delta}}}}",
                "\"delta\" is not supported: own metrics are cumulative",
            ),
        ] {
            let error = reader(&format!("readers: [{yaml}]")).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
