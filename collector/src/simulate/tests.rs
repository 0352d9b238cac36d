use super::*;

const CONFIG: &str = "
processors:
  batch:
  tail_sampling:
    decision_wait: 2s
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 100}}
  tail_sampling/second:
    decision_wait: 5s
    policies:
      - {name: many, type: span_count, span_count: {min_spans: 2}}
service:
  pipelines:
    traces: {processors: [tail_sampling, batch, tail_sampling/second]}
    metrics: {processors: [batch]}
";

const INPUT: &str = r#"
{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"a","status":{"code":2}},{"traceId":"00000000000000000000000000000002","spanId":"0000000000000002","name":"b","startTimeUnixNano":"1000000000","endTimeUnixNano":"2000000000"}]}]}]}
{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000002","spanId":"0000000000000003","name":"c","startTimeUnixNano":"1000000000","endTimeUnixNano":"1500000000"},{"traceId":"00000000000000000000000000000003","spanId":"0000000000000004","name":"d","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}
"#;

fn replay(root: &Node, input: &[u8]) -> Result<Report, Error> {
    let traffic = Traffic::Files(vec![("input".to_owned(), input.to_vec())]);
    super::replay(root, &traffic, Duration::from_millis(900), (true, 1), &ProgressBar::hidden())
}

fn root(yaml: &str) -> Node {
    config::resolve(&[format!("yaml:{yaml}")], &config::Process).unwrap().root
}

#[test]
fn several_instances_keep_what_one_does_and_say_what_that_took() {
    let run = |instances: usize| {
        let traffic = Traffic::Files(vec![("input".to_owned(), INPUT.as_bytes().to_vec())]);
        let slow = Duration::from_millis(900);
        super::replay(&root(CONFIG), &traffic, slow, (true, instances), &ProgressBar::hidden()).unwrap()
    };
    let (one, three) = (run(1), run(3));
    assert!(one.kept().eq(three.kept()) && one.out.spans == three.out.spans);
    let prices = Prices { per_million_spans: None, per_gb: None, period: None };
    assert!(!one.show(&prices).contains("exchanged"));
    assert!(three.show(&prices).contains("traces decided by owners"), "{}", three.show(&prices));
    let cost = three.samplers[0].2.exchange.expect("the cost of agreeing");
    assert_eq!(cost.judged, one.samplers[0].2.traces);
    assert!(cost.bytes > 0 && cost.messages > 0, "{cost:?}");
    assert_eq!(three.to_json(&prices)["samplers"][0]["exchange"]["judged"], cost.judged);
}

#[test]
fn several_instances_cannot_share_what_is_decided_at_arrival() {
    let traffic = Traffic::Files(vec![("input".to_owned(), INPUT.as_bytes().to_vec())]);
    let yaml = CONFIG.replace("decision_wait: 2s", "sampling_strategy: span-ingest");
    assert_ne!(yaml, CONFIG);
    let run = |instances: usize| {
        super::replay(&root(&yaml), &traffic, Duration::from_secs(1), (true, instances), &ProgressBar::hidden())
    };
    assert!(run(1).is_ok());
    let error = run(2).err().unwrap().to_string();
    assert!(error.contains("processors::tail_sampling::sampling_strategy"), "{error}");
}

#[test]
fn chains_of_samplers() {
    let report = replay(&root(CONFIG), INPUT.as_bytes()).unwrap();
    assert_eq!(report.kept().collect::<Vec<_>>(), ["00000000000000000000000000000002"]);
    let prices = Prices { per_million_spans: Some(2.5), per_gb: Some(1000.0), period: Some(Duration::from_millis(1)) };
    insta::assert_snapshot!(report.show(&prices));
    let json = report.to_json(&prices);
    assert_eq!(json["samplers"][0]["kept_by"][1]["traces"], 1);
    assert_eq!(json["kept"]["spans"], 2);
}

/// Health probes and the spans of other services, each trace its own.
fn spans(names: &[(&str, u8)]) -> String {
    let span = |name: &str, id: u8| {
        format!("{{\"traceId\":\"{id:032x}\",\"spanId\":\"{id:016x}\",\"name\":\"{name}\",\"status\":{{\"code\":2}}}}")
    };
    let spans: Vec<String> = names.iter().map(|(name, id)| span(name, *id)).collect();
    format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}\n", spans.join(","))
}

/// A filter and samplers in pipelines that connectors join; an archive gets all that comes in.
const JOINED: &str = "
receivers: {otlp: }
connectors: {forward/sampling: , spanmetrics: }
processors:
  filter/probes: {error_mode: ignore, traces: {span: ['name == \"probe\"']}}
  filter/late: {error_mode: ignore, traces: {span: ['name == \"late\"']}}
  tail_sampling:
    decision_wait: 1s
    policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]
  tail_sampling/many:
    decision_wait: 1s
    policies: [{name: many, type: span_count, span_count: {min_spans: 2}}]
exporters: {otlp: }
service:
  pipelines:
    traces/sampling: {receivers: [forward/sampling], processors: [tail_sampling, filter/late], exporters: [otlp]}
    traces/in: {receivers: [otlp], processors: [batch, filter/probes], exporters: [spanmetrics, forward/sampling]}
    traces/archive: {receivers: [otlp], processors: [filter/archive], exporters: [otlp]}
    metrics: {receivers: [spanmetrics], exporters: [otlp]}
";

#[test]
fn filters_act_and_connectors_join_pipelines() {
    let input = spans(&[("a", 1), ("probe", 1), ("probe", 2), ("late", 3), ("late", 4), ("b", 4)]);
    let report = replay(&root(JOINED), input.as_bytes()).unwrap();
    let kept: Vec<String> = report.kept().collect();
    assert_eq!(kept, ["1", "4"].map(|id| format!("{id:0>32}")));
    assert_eq!((report.sent.spans, report.out.spans), (6, 2));
    let filtered = |spans| Filtered { spans, ..Filtered::default() };
    let filter = |pipeline: &str, id: &str, spans| (pipeline.to_owned(), id.to_owned(), filtered(spans));
    let filters = [filter("traces/in", "filter/probes", 2), filter("traces/sampling", "filter/late", 2)];
    assert_eq!(report.filters, filters);
    // What a filter took out before it does not count for a sampler.
    assert_eq!(report.samplers[0].2.traces, 3);
    assert_eq!(report.left_out.iter().collect::<Vec<_>>(), ["batch"]);
    assert_eq!(report.to_json(&Prices::default())["filters"][1]["spans"], 2);
}

#[test]
fn one_sampler_behind_another() {
    let yaml = JOINED
        .replace("forward/sampling: ,", "forward/sampling: , forward/more: ,")
        .replace("filter/late], exporters: [otlp]", "filter/late], exporters: [forward/more]")
        .replace("metrics: {", "traces/more: {receivers: [forward/more], processors: [tail_sampling/many], exporters: [otlp]}\n    metrics: {");
    let input = spans(&[("a", 1), ("probe", 1), ("late", 4), ("b", 4), ("c", 5), ("d", 5)]);
    let report = replay(&root(&yaml), input.as_bytes()).unwrap();
    assert_eq!(report.kept().collect::<Vec<_>>(), [format!("{:0>32}", 5)]);
    let names: Vec<&str> = report.samplers.iter().map(|(pipeline, ..)| pipeline.as_str()).collect();
    assert_eq!(names, ["traces/sampling", "traces/more"]);
}

#[test]
fn pipelines_that_go_round_in_a_circle() {
    let yaml = JOINED.replace("filter/late], exporters: [otlp]", "filter/late], exporters: [forward/sampling]");
    let error = replay(&root(&yaml), b"").unwrap_err().to_string();
    assert!(error.starts_with("service::pipelines: connectors hand traces back"), "{error}");
}

#[test]
fn a_filter_that_fails_refuses_the_request() {
    let yaml = JOINED.replace(
        "{error_mode: ignore, traces: {span: ['name == \"probe\"']}}",
        "{error_mode: propagate, traces: {span: ['name == \"bad\" and Substring(name, 0, 9) == \"\"']}}",
    );
    assert_ne!(yaml, JOINED);
    let input = spans(&[("a", 1)]) + &spans(&[("bad", 2), ("a", 3)]);
    let report = replay(&root(&yaml), input.as_bytes()).unwrap();
    assert_eq!(report.kept().collect::<Vec<_>>(), [format!("{:0>32}", 1)]);
    insta::assert_snapshot!(report.show(&Prices::default()));
}

#[test]
fn mistakes_of_filters_are_told() {
    let yaml = JOINED.replace("name == \"late\"", "nam == 1");
    let error = replay(&root(&yaml), b"").unwrap_err().to_string();
    assert!(error.starts_with("processors::filter/late::traces::span"), "{error}");
    // All at once.
    let error = replay(&root(&yaml.replace("name == \"probe\"", "nam == 2")), b"").unwrap_err().to_string();
    for id in ["processors::filter/late::", "processors::filter/probes::"] {
        assert!(error.contains(id), "{error}");
    }
}

#[test]
fn says_where_a_request_is_wrong() {
    let input = format!("{INPUT}{{\"resourceSpans\":[{{\"scopeSpans\":7}}]}}\n");
    let error = replay(&root(CONFIG), input.as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("input:4: "), "{error}");
}

#[test]
fn refuses_configurations_without_samplers_and_with_mistakes() {
    let error = |yaml: &str| replay(&root(yaml), b"").unwrap_err().to_string();
    assert_eq!(
        error("service: {pipelines: {traces: {processors: [batch]}}}"),
        "no traces pipeline of the configuration has a tail_sampling processor"
    );
    assert_eq!(
        error("service: {pipelines: {traces/a: {processors: [tail_sampling/x]}}}"),
        "service::pipelines::traces/a: references processor \"tail_sampling/x\" which is not configured"
    );
    assert_eq!(
        error(
            "{processors: {tail_sampling: {num_shards: 300}}, service: {pipelines: {traces: {processors: tail_sampling}}}}"
        ),
        "processors::tail_sampling: num_shards (300) must not exceed 256"
    );
}

#[test]
fn lines_that_carry_times_arrive_then() {
    const LIMIT: &str = "
processors:
  tail_sampling:
    decision_wait: 1s
    policies: [{name: few, type: rate_limiting, rate_limiting: {spans_per_second: 1, burst_capacity: 2}}]
service: {pipelines: {traces: {processors: [tail_sampling]}}}
";
    let line = |id: u8, second: u64| {
        let span = format!("{{\"traceId\":\"{id:032x}\",\"spanId\":\"0000000000000001\"}}");
        let arrival = (1_700_000_000 + second) * 1_000_000_000;
        format!("{{\"arrivalUnixNano\":{arrival},\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{span}]}}]}}]}}\n")
    };
    let kept = |seconds: [u64; 4]| {
        let input: String = seconds.iter().zip(1..).map(|(second, id)| line(id, *second)).collect();
        replay(&root(LIMIT), input.as_bytes()).unwrap().out.traces
    };
    assert_eq!(kept([0, 0, 0, 0]), 2);
    assert_eq!(kept([0, 0, 1, 1]), 3);
    // A pause of centuries takes no time, and a line from the past arrives with the one before it.
    assert_eq!(kept([0, 0, 9_000_000_000, 5]), 4);
}

/// The article's case: all errors and slow traces and 5% of the rest take a bill of 25,000 to about 6,500. How much
/// is left is a matter of how many traces are errors or slow: here they are a fifth of the bytes.
fn article() -> Args {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/seeds/example-1-basic.yaml");
    Args {
        config: vec![config.to_owned()],
        compare: None,
        input: Vec::new(),
        generate: Some(20_000),
        errors: 7,
        slow_traces: 15,
        probes: 0,
        kept: None,
        price_per_gb: Some(GB),
        price_per_million_spans: None,
        period: None,
        slow: Duration::from_secs(1),
        json: true,
        no_jit: true,
        instances: 1,
    }
}

/// So that the traffic of the shop, which is small, costs 25,000 a month.
const GB: f64 = 457.0;

#[test]
fn the_articles_bill() {
    let report: serde_json::Value = serde_json::from_str(&run(&article()).unwrap()).unwrap();
    let bill = |key: &str| report["bill"][key].as_f64().unwrap();
    let (before, after) = (bill("monthly_before"), bill("monthly_after"));
    assert!((before - 25_000.0).abs() < 250.0 && (after - 6_500.0).abs() < 325.0, "{report}");
    for kind in ["error_traces", "slow_traces"] {
        assert_eq!(report[kind]["traces"], report[kind]["kept"]);
    }
    // The same in every run.
    assert_eq!(run(&article()).unwrap(), run(&article()).unwrap());
}

#[test]
fn the_documented_example_is_true() {
    let printed = run(&Args { json: false, ..article() }).unwrap();
    let indented: Vec<String> = printed.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
    let page = include_str!("README.md");
    assert!(page.contains(&indented.join("\n")), "{printed}");
    let rare = run(&Args { errors: 1, slow_traces: 1, json: false, ..article() }).unwrap();
    assert!(rare.contains("bill  25,113 a month before, 1,769 after"), "{rare}");
}

#[test]
fn two_configurations_side_by_side() {
    let yaml = "yaml:{processors: {tail_sampling: {decision_wait: 2s, policies: [{name: all, type: probabilistic, probabilistic: {sampling_percentage: 50}}]}}, service: {pipelines: {traces: {processors: [tail_sampling]}}}}";
    let args = Args {
        compare: Some(yaml.to_owned()),
        generate: Some(400),
        slow_traces: 14,
        price_per_gb: Some(7_800.0),
        json: false,
        ..article()
    };
    let text = run(&args).unwrap();
    let (beside, _) = text.split_once("\n== ").unwrap();
    // The columns are as wide as the names, one of which is a path of this machine.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = beside.replace(&args.config[0], "FIRST").replace(yaml, "SECOND");
    insta::assert_snapshot!(named.lines().map(words).collect::<Vec<_>>().join("\n"));
    assert!(matches!(run(&Args { errors: 60, slow_traces: 60, ..article() }), Err(Error::Mix)));
}
