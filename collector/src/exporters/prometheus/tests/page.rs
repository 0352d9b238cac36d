//! Names and labels on the page, by the settings.

use super::*;

/// A metric of every kind, under a resource and a scope with everything.
fn everything() -> Metrics {
    let labels = &[("http.method", "GET"), ("http_method", "2"), ("_private", "x"), ("9lives", "y")];
    let native = ExponentialHistogramPoint {
        count: 3,
        sum: Some(2.5),
        scale: 20,
        positive: ExponentialBuckets { offset: 1 << 20, bucket_counts: vec![1, 2] },
        ..ExponentialHistogramPoint::default()
    };
    let summary = SummaryPoint { count: 2, sum: 3.0, quantiles: vec![(0.9, 2.0), (0.5, 1.0)], ..Default::default() };
    let metrics = vec![
        Metric { unit: "1".into(), ..gauge("used.ratio", vec![number(labels, 1, 5_000_000, 1)]) },
        Metric { unit: "By".into(), ..sum("io.total", CUMULATIVE, true, vec![number(&[], 1, 5_000_000, 7)]) },
        sum("queue", CUMULATIVE, false, vec![number(&[], 1, 5_000_000, -7)]),
        histograms(CUMULATIVE, vec![histogram(1, 5_000_000, &[2.0, 1.0, 1.0], &[1, 2, 4, 8])]),
        metric("native", MetricData::ExponentialHistogram { points: vec![native], temporality: CUMULATIVE }),
        metric("sum.mary", MetricData::Summary { points: vec![summary] }),
    ];
    let resource = [
        ("service.name", "shop"),
        ("service.namespace", "ns"),
        ("service.instance.id", "pod-1"),
        ("k8s.pod.name", "p"),
        ("k8s-pod-name", "q"),
    ];
    let mut batch = batch(&resource, metrics);
    let scope = &mut batch.resource_metrics[0].scope_metrics[0];
    scope.schema_url = "http://schema".into();
    scope.scope = Scope {
        name: "lib".into(),
        version: "1".into(),
        attributes: attributes(&[("name", "reserved"), ("x.y", "z")]),
    };
    batch
}

fn shown(yaml: &str, syntax: Syntax, escaping: Escaping) -> String {
    let mut store = Store::new(translator(yaml), Duration::from_secs(300));
    let accepted = store.accept(&everything(), AT);
    assert_eq!(accepted.dropped, []);
    text::write(&store.families(), syntax, escaping)
}

#[test]
fn defaults() {
    insta::assert_snapshot!(shown("", Syntax::Plain, Escaping::Underscores));
}

#[test]
fn open_metrics_without_scope_info() {
    insta::assert_snapshot!(shown("without_scope_info: true", Syntax::OpenMetrics, Escaping::Underscores));
}

#[test]
fn namespace_timestamps_and_constant_labels() {
    let yaml = "
namespace: my-space
send_timestamps: true
without_scope_info: true
const_labels: {env_label: prod, 'another label': sp ace, http_method: '3'}
";
    insta::assert_snapshot!("namespace_escaped", shown(yaml, Syntax::Plain, Escaping::Underscores));
    insta::assert_snapshot!("namespace_quoted", shown(yaml, Syntax::Plain, Escaping::AllowUtf8));
}

#[test]
fn names_may_stay_as_they_are() {
    let yaml = "without_scope_info: true\ntranslation_strategy: ";
    let quoted =
        |strategy: &str| shown(&format!("{yaml}{strategy}\nnamespace: n-s"), Syntax::Plain, Escaping::AllowUtf8);
    insta::assert_snapshot!("with_suffixes", quoted("NoUTF8EscapingWithSuffixes"));
    insta::assert_snapshot!("no_translation", quoted("NoTranslation"));
    insta::assert_snapshot!("escaped_without_suffixes", quoted("UnderscoreEscapingWithoutSuffixes"));
}

#[test]
fn resource_attributes_become_labels() {
    let queue = |yaml: &str| {
        let page = shown(&format!("without_scope_info: true\n{yaml}"), Syntax::Plain, Escaping::Underscores);
        page.lines().find(|line| line.starts_with("queue")).unwrap().to_owned()
    };
    let job = "instance=\"pod-1\",job=\"ns/shop\"";
    assert_eq!(queue(""), format!("queue{{{job}}} -7"));
    assert_eq!(
        queue("resource_to_telemetry_conversion: {enabled: true}"),
        format!(
            "queue{{{job},k8s_pod_name=\"p;q\",service_instance_id=\"pod-1\",service_name=\"shop\",\
             service_namespace=\"ns\"}} -7"
        )
    );
    assert_eq!(
        queue("resource_to_telemetry_conversion: {enabled: true, exclude_service_attributes: true}"),
        format!("queue{{{job},k8s_pod_name=\"p;q\"}} -7")
    );
    assert_eq!(queue("resource_to_telemetry_conversion: {exclude_service_attributes: true}"), queue(""));
    assert_eq!(
        queue("resource_constant_labels: {included: ['k8s.*']}"),
        format!("queue{{{job},k8s_pod_name=\"p\"}} -7")
    );
    assert_eq!(
        queue("resource_constant_labels: {included: ['k8s?pod*', 'service.*'], excluded: ['*name*']}"),
        format!("queue{{{job},service_instance_id=\"pod-1\"}} -7")
    );
    assert_eq!(
        queue("resource_constant_labels: {excluded: ['service.*']}"),
        format!("queue{{{job},k8s_pod_name=\"p;q\"}} -7")
    );
    assert_eq!(queue("resource_constant_labels: {}"), queue(""));
}

#[test]
fn labels_that_the_page_adds_itself_are_renamed() {
    let mut store = store();
    let point = HistogramPoint { attributes: attributes(&[("le", "mine")]), ..histogram(0, 1, &[1.0], &[1, 0]) };
    let summary = SummaryPoint {
        attributes: attributes(&[("quantile", "mine"), ("le", "free")]),
        quantiles: vec![(0.5, 1.0)],
        ..SummaryPoint::default()
    };
    put(
        &mut store,
        vec![
            histograms(CUMULATIVE, vec![point]),
            metric("s", MetricData::Summary { points: vec![summary] }),
            gauge("g", vec![number(&[("le", "free"), ("job", "mine")], 0, 1, 1)]),
        ],
    );
    let lines = samples(&store);
    assert!(lines.contains(&"h_bucket{exported_le=\"mine\",le=\"1\"} 1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"s{exported_quantile=\"mine\",le=\"free\",quantile=\"0.5\"} 1".to_owned()), "{lines:?}");
    assert!(lines.contains(&"g{job=\"mine\",le=\"free\"} 1".to_owned()), "{lines:?}");
}

#[test]
fn protobuf() {
    use prost::Message as _;

    /// The part of client_model's `MetricFamily` that the text formats do not show.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Family {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(int32, tag = "3")]
        kind: i32,
        #[prost(message, repeated, tag = "4")]
        metrics: Vec<OneMetric>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct OneMetric {
        #[prost(message, optional, tag = "7")]
        histogram: Option<Histogram>,
        #[prost(int64, tag = "6")]
        timestamp_ms: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Histogram {
        #[prost(uint64, tag = "1")]
        count: u64,
        #[prost(sint32, tag = "5")]
        schema: i32,
        #[prost(double, tag = "6")]
        zero_threshold: f64,
        #[prost(message, repeated, tag = "12")]
        spans: Vec<Span>,
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        deltas: Vec<i64>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Span {
        #[prost(sint32, tag = "1")]
        offset: i32,
        #[prost(uint32, tag = "2")]
        length: u32,
    }

    let mut store = store();
    let counts: Vec<u64> = vec![3, 1, 0, 0, 2, 0, 0, 0, 5];
    let point = ExponentialHistogramPoint {
        count: 11,
        scale: 3,
        positive: ExponentialBuckets { offset: -4, bucket_counts: counts },
        ..ExponentialHistogramPoint::default()
    };
    put(
        &mut store,
        vec![metric("n", MetricData::ExponentialHistogram { points: vec![point], temporality: CUMULATIVE })],
    );
    let bytes = super::super::protobuf::write(&store.families(), Escaping::Underscores);
    let family = Family::decode_length_delimited(bytes.as_slice()).unwrap();
    assert_eq!((family.name.as_str(), family.kind), ("n", 4));
    let histogram = family.metrics[0].histogram.clone().unwrap();
    assert_eq!((histogram.count, histogram.schema, histogram.zero_threshold), (11, 3, 1e-128));
    // Two empty buckets are written out, three are a gap.
    assert_eq!(histogram.spans, [Span { offset: -3, length: 5 }, Span { offset: 3, length: 1 }]);
    assert_eq!(histogram.deltas, [3, -2, -1, 0, 2, 3]);
}
