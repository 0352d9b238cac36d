use super::*;

use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// What a tool prints, and behind it what it says went wrong.
fn run_tool(arguments: &[&str]) -> String {
    let cli = Cli::try_parse_from(std::iter::once(&"ottl").chain(arguments)).expect("known arguments");
    let mut out = Vec::new();
    let result = run(&cli.args, &mut out);
    let mut text = String::from_utf8(out).expect("text");
    if let Err(error) = result {
        text += &format!("Error: {error}\n");
    }
    text
}

const TRACES: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"lib"},"spans":[
 {"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"POST /pay","kind":2,"status":{"code":2},"startTimeUnixNano":"1000","endTimeUnixNano":"5000","attributes":[{"key":"http.status_code","value":{"intValue":"503"}}],"events":[{"name":"exception"},{"name":"retry"}]},
 {"traceId":"00000000000000000000000000000002","spanId":"0000000000000002","parentSpanId":"0000000000000009","name":"GET /health","attributes":[{"key":"http.status_code","value":{"stringValue":"200"}}]}]}]}]}
{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000003","spanId":"0000000000000003","name":"cron"}]}]}]}
"#;

/// A file in a directory of its own, below the target directory.
fn file(name: &str, content: &[u8]) -> String {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ottl_tools");
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, content).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn explain_shows_every_stage() {
    let condition = r#"attributes["http.status_code"] >= 500 and (name == "a" or name == "b") and not IsMatch(name, "h.*th") and Split(name, "-")[1] == "a""#;
    let text = run_tool(&["explain", condition]);
    // The code has snapshots of its own in `ottl`, which change with every improvement there.
    let (stages, code) = text.split_once("\ncode").expect("code");
    insta::assert_snapshot!("explain", stages);
    assert!(code.contains("block0"), "{code}");
    let json: serde_json::Value = serde_json::from_str(&run_tool(&["explain", condition, "--json"])).expect("JSON");
    assert_eq!(json["context"], "span");
    assert_eq!(json["tests"][0]["inline"], true);
    assert_eq!(json["tests"][3]["calls"][0]["helper"], "ottl_value");
}

#[test]
fn explain_shows_machine_code_where_the_host_has_some() {
    let text = run_tool(&["explain", "IsRootSpan()", "--asm"]);
    assert_eq!(text.contains("machine code"), !text.contains("no code generator"), "{text}");
}

#[test]
fn explain_shows_mistakes_with_carets() {
    insta::assert_snapshot!("explain_mistakes", run_tool(&["explain", r#"nam == "x" and IsMach(kind, 5)"#]));
    let json = run_tool(&["explain", "name = 1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(json.split("\nError").next().expect("JSON")).expect("JSON");
    assert_eq!(json["errors"][0]["column"], 6);
}

#[test]
fn contexts_are_found_by_what_paths_name() {
    let words = |arguments: &[&str]| run_tool(arguments).lines().nth(1).expect("words").to_owned();
    assert!(words(&["explain", "spanevent.name == nil"]).starts_with("true for span events"));
    assert!(words(&["explain", "resource.schema_url == nil"]).starts_with("true for spans"));
    assert!(
        words(&["explain", "resource.schema_url == nil", "--context", "resource"]).starts_with("true for resources")
    );
    assert!(run_tool(&["explain", "name == nil", "--prefixed"]).contains("write span.name"));
}

#[test]
fn eval_tells_each_answer_and_why() {
    let path = file("traces.json", TRACES.as_bytes());
    let condition = r#"attributes["http.status_code"] / 100 >= 5 and not IsMatch(name, "health")"#;
    insta::assert_snapshot!("eval", run_tool(&["eval", condition, "--input", &path]));
    insta::assert_snapshot!("eval_json", run_tool(&["eval", condition, "--input", &path, "--json", "--only", "error"]));
    assert_eq!(run_tool(&["eval", "IsRootSpan()", "--input", &path, "--summary"]), "3 spans: 2 true, 1 false\n");
}

#[test]
fn eval_of_other_contexts() {
    let path = file("contexts.json", TRACES.as_bytes());
    let ask = |condition: &str, context: &str| {
        run_tool(&["eval", condition, "--input", &path, "--context", context, "--only", "true"])
    };
    insta::assert_snapshot!(
        "eval_contexts",
        [
            ask(r#"name == "exception""#, "spanevent"),
            ask(r#"attributes["service.name"] != nil"#, "resource"),
            ask(r#"name == "lib""#, "scope"),
        ]
        .join("---\n")
    );
}

#[test]
fn inputs_of_every_kind() {
    let one_line = TRACES.lines().last().expect("a line");
    let protobuf = pdata::json::traces_from_json(one_line.as_bytes()).expect("a request");
    let mut prefixed = Vec::new();
    for _ in 0..2 {
        prefixed.extend_from_slice(&u32::try_from(protobuf.len()).expect("a length").to_be_bytes());
        prefixed.extend_from_slice(&protobuf);
    }
    let spans = |name: &str, content: &[u8]| run_tool(&["eval", "true", "--summary", "--input", &file(name, content)]);
    assert_eq!(spans("a.json", one_line.as_bytes()), "1 span: 1 true, 0 false\n");
    assert_eq!(spans("pretty.json", one_line.replace(',', ",\n ").as_bytes()), "1 span: 1 true, 0 false\n");
    assert_eq!(spans("a.binpb", &protobuf), "1 span: 1 true, 0 false\n");
    assert_eq!(spans("file_exporter.proto", &prefixed), "2 spans: 2 true, 0 false\n");
}

#[test]
fn inputs_that_are_wrong() {
    let wrong = |content: &[u8]| {
        let error = input::parse("traces.json", content).expect_err("an error");
        error.to_string()
    };
    let second_line =
        format!("{}\n{{\"resourceSpans\":[{{\"scopeSpans\":7}}]}}\n", TRACES.lines().last().unwrap_or_default());
    insta::assert_snapshot!(
        "wrong_inputs",
        [
            wrong(b""),
            wrong(b"{}"),
            wrong(b"{\"resourceSpans\": [}"),
            wrong(second_line.as_bytes()),
            wrong(b"\x0a\x05\x01"),
            wrong(b"\x00\x00\x00\x09\x0a"),
            wrong(b"spans"),
        ]
        .join("\n")
    );
    assert!(run_tool(&["eval", "true", "--input", "/nonexistent"]).contains("/nonexistent: "));
}

#[test]
fn functions_and_paths_come_from_the_registry() {
    let all = run_tool(&["functions"]);
    assert_eq!(all.lines().filter(|line| !line.starts_with(' ')).count(), ottl::func::all().count());
    insta::assert_snapshot!("function", run_tool(&["functions", "Substring"]));
    insta::assert_snapshot!("functions", all);
    insta::assert_snapshot!("paths", run_tool(&["paths", "--context", "span"]));
    assert!(run_tool(&["functions", "nope"]).starts_with("Error: there is no function \"nope\""));
    assert!(run_tool(&["paths", "nope"]).starts_with("Error: no path"));
    let json: serde_json::Value = serde_json::from_str(&run_tool(&["functions", "ismatch", "--json"])).expect("JSON");
    assert_eq!(json[0]["parameters"][1]["name"], "pattern");
    let json: serde_json::Value = serde_json::from_str(&run_tool(&["paths", "status.code", "--json"])).expect("JSON");
    assert!(json.to_string().contains("span.status.code"), "{json}");
}

const SUITE: &str = r#"
spans:
  failed:
    name: POST /pay
    kind: server
    status: { code: error, message: declined }
    duration: 1.5s
    attributes: { http.status_code: 503, http.route: /pay, tags: [a, b], nested: { x: 1.5 } }
    resource: { attributes: { service.name: shop } }
    scope: { name: lib, version: "1" }
    events: [{ name: exception, attributes: { exception.type: E } }, { name: retry }]
  health:
    name: GET /health
    parent_span_id: "00000000000000aa"
    start_time: "2026-01-31T12:00:00Z"
    end_time: "2026-01-31T12:00:00.25Z"
tests:
  - name: errors
    condition: status.code == STATUS_CODE_ERROR and attributes["http.status_code"] >= 500
    expect: { failed: true, health: false }
  - name: slow
    condition: end_time - start_time > Duration("1s")
    expect: [true, false]
  - condition: attributes["http.status_code"] / 100 == 5
    expect: { failed: true, health: { error: wrong type } }
  - name: events
    condition: spanevent.name == "exception" and resource.attributes["service.name"] == "shop"
    spans: failed
    expect: { failed: [true, false] }
  - name: scopes
    context: scope
    condition: version == "1"
    spans: [failed]
    expect: true
  - name: nested
    condition: attributes["nested"]["x"] == 1.5 and attributes["tags"][1] == "b"
    spans: failed
    expect: true
"#;

#[test]
fn suites_pass_and_fail() {
    let path = file("suite.yaml", SUITE.as_bytes());
    let shown = |text: String| text.replace(&path, "suite.yaml");
    insta::assert_snapshot!("suite_passes", shown(run_tool(&["test", &path])));
    let wrong = SUITE
        .replace("[true, false]\n  - condition", "[true, true, false]\n  - condition")
        .replace("wrong type }", "divide }")
        .replace("health: false }", "health: error }")
        .replace("version == \"1\"", "versio == \"1\"");
    std::fs::write(&path, wrong).expect("a file");
    insta::assert_snapshot!("suite_fails", shown(run_tool(&["test", &path])));
    let json = run_tool(&["test", &path, "--json"]);
    let json: serde_json::Value = serde_json::from_str(json.split("\nError").next().expect("JSON")).expect("JSON");
    assert_eq!((json["passed"].as_u64(), json["failed"].as_u64()), (Some(2), Some(4)));
}

#[test]
fn every_mistake_of_a_suite_is_told() {
    let path = file(
        "wrong.yaml",
        br#"
contxt: span
spans:
  a:
    nam: x
    kind: sever
    trace_id: 12
    span_id: "zz"
    attributes: [1]
    duration: soon
    status: { code: bad }
    events: { name: x }
  b: {}
tests:
  - name: no condition
  - condition: "true"
    expect: { a: maybe, c: true }
  - condition: "true"
    spans: nowhere
  - condition: "true"
    context: nope
    expect: { a: true }
  - condition: "true"
    input: /nonexistent
"#,
    );
    insta::assert_snapshot!("suite_mistakes", run_tool(&["test", &path]).replace(&path, "wrong.yaml"));
    let empty = file("empty.yaml", b"spans: {a: {}}\n");
    assert!(run_tool(&["test", &empty]).contains("tests: expected a list of at least one test"));
    let broken = file("broken.yaml", b"tests: [\n");
    assert!(run_tool(&["test", &broken]).contains("yaml: line"));
}

#[test]
fn answers_are_accepted_and_compared() {
    let traces = file("accepted.json", TRACES.as_bytes());
    let input = std::path::Path::new(&traces).file_name().and_then(|name| name.to_str()).expect("a name");
    let suite = format!(
        "spans: {{ one: {{ name: x }} }}\ntests:\n  - condition: kind == SPAN_KIND_SERVER\n    input: {input}\n  - name: own\n    condition: name == \"x\"\n"
    );
    let path = file("accepted.yaml", suite.as_bytes());
    let accepted = format!("{path}.accepted");
    // Left behind by a run that was stopped.
    let _ = std::fs::remove_file(&accepted);
    let shown = |text: String| text.replace(&path, "accepted.yaml");
    let missing = shown(run_tool(&["test", &path]));
    let first = shown(run_tool(&["test", &path, "--accept"]));
    let file = std::fs::read_to_string(&accepted).expect("accepted answers");
    let again = shown(run_tool(&["test", &path]));
    std::fs::write(&path, suite.replace("SERVER", "CLIENT").replace("name: own", "name: other")).expect("a file");
    let changed = shown(run_tool(&["test", &path]));
    insta::assert_snapshot!("accepted", [missing, first, format!("{file}\n"), again, changed].join("---------\n"));
    run_tool(&["test", &path, "--accept"]);
    assert!(run_tool(&["test", &path]).ends_with("2 passed, 0 failed\n"));
}

/// The page's own example, as a reader would run it, and one test more that cannot be asked.
#[test]
fn the_example_of_the_page_runs() {
    let page = include_str!("README.md");
    let example = page.split("    # checks.yaml\n").nth(1).expect("the example");
    let example = example.split("\n    $ ottlcol ottl test checks.yaml").next().expect("its end");
    let example: String =
        example.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    let traces = file("recorded.json", TRACES.as_bytes());
    let input = std::path::Path::new(&traces).file_name().and_then(|name| name.to_str()).expect("a name");
    let example = example.replace("recorded.json", input);
    let path = file("checks.yaml", example.as_bytes());
    let accepted = format!("{path}.accepted");
    // Left behind by a run that was stopped.
    let _ = std::fs::remove_file(&accepted);
    assert!(run_tool(&["test", &path, "--accept"]).ends_with("2 passed, 0 failed\n"));
    assert!(run_tool(&["test", &path]).ends_with("2 passed, 0 failed\n"));
    let before = std::fs::read_to_string(&accepted).expect("accepted answers");

    let more = "  - name: new\n    condition: name == \"x\"\n";
    let broken = example.replace("end_time - start_time >", "end_time - start_tim >");
    std::fs::write(&path, broken + more).expect("a file");
    assert!(run_tool(&["test", &path, "--accept"]).contains("2 passed, 1 failed\n"));
    let after = std::fs::read_to_string(&accepted).expect("accepted answers");
    assert!(after.starts_with(before.trim_end()) && after.contains("== \"new\""), "{after}");
}

#[test]
fn a_path_of_the_resource_does_not_say_what_is_asked() {
    let text = "status.code == STATUS_CODE_ERROR and resource.attributes[\"service.name\"] == \"shop\"";
    let shown = run_tool(&["explain", text]);
    assert!(shown.contains("true for spans"), "{shown}");
}

const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeMetrics":[{"scope":{"name":"lib"},"metrics":[
 {"name":"http.requests","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
  {"attributes":[{"key":"http.route","value":{"stringValue":"/pay"}}],"asInt":"7","timeUnixNano":"5"},
  {"attributes":[{"key":"http.route","value":{"stringValue":"/health"}}],"asInt":"900","timeUnixNano":"5"}]}},
 {"name":"http.duration","unit":"s","histogram":{"aggregationTemporality":1,"dataPoints":[
  {"count":"3","sum":1.5,"bucketCounts":["1","2"],"explicitBounds":[0.5],"timeUnixNano":"5"}]}}]}]}]}
"#;

const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"scope":{"name":"lib"},"logRecords":[
 {"timeUnixNano":"5","severityNumber":17,"severityText":"ERROR","body":{"stringValue":"payment refused"},"attributes":[{"key":"code","value":{"intValue":"51"}}],"traceId":"00000000000000000000000000000001","spanId":"0000000000000001"},
 {"observedTimeUnixNano":"6","severityNumber":"SEVERITY_NUMBER_INFO","body":{"kvlistValue":{"values":[{"key":"user","value":{"stringValue":"ann"}}]}},"eventName":"login"}]}]}]}
"#;

#[test]
fn metrics_and_logs_are_asked_too() {
    let (metrics, logs) = (file("metrics.json", METRICS.as_bytes()), file("logs.json", LOGS.as_bytes()));
    let eval = |path: &str, condition: &str| format!("> {condition}\n{}", run_tool(&["eval", condition, "-i", path]));
    let answers = [
        eval(&metrics, "value_int > 100"),
        eval(&metrics, r#"metric.name == "http.requests" and metric.type == METRIC_DATA_TYPE_SUM"#),
        eval(&metrics, r#"unit == "s" or HasAttrOnDatapoint("http.route", "/pay")"#),
        eval(&metrics, "datapoint.count == 3 and Len(datapoint.bucket_counts) == 2"),
        eval(&metrics, r#"datapoint.attributes["http.route"] == "/health""#),
        eval(&metrics, "status.code == 2"),
        eval(&logs, r#"severity_number >= SEVERITY_NUMBER_ERROR and IsMatch(body, "refused")"#),
        eval(&logs, r#"log.body["user"] == "ann" or log.attributes["code"] > 50"#),
        eval(&logs, r#"resource.attributes["service.name"] == "shop""#),
        format!(
            "{}\n",
            run_tool(&["eval", "scope.name == \"lib\"", "--context", "scope", "-i", &logs, "-i", &metrics, "--json"])
        ),
    ];
    insta::assert_snapshot!("metrics_and_logs", answers.join("\n"));
}

#[test]
fn signals_of_protobuf_are_told_from_their_items() {
    let requests = [
        pdata::json::metrics_from_json(METRICS.as_bytes()).expect("metrics"),
        pdata::json::logs_from_json(LOGS.as_bytes()).expect("logs"),
        pdata::json::traces_from_json(TRACES.lines().take(3).collect::<String>().as_bytes()).expect("traces"),
    ];
    let mut messages = Vec::new();
    for (request, expected) in requests.iter().zip(["metrics", "log records", "spans"]) {
        let sample = input::parse("request", request).expect("a request");
        assert!(sample.description().ends_with(expected), "{}", sample.description());
        messages.extend(u32::try_from(request.len()).expect("short").to_be_bytes());
        messages.extend(request);
    }
    let all = input::parse("messages", &messages).expect("messages");
    assert_eq!(all.description(), "2 spans, 2 metrics, 2 log records");
    // Damage is told, not skipped.
    for request in &requests {
        assert!(input::parse("request", &request[..request.len() - 1]).is_err());
    }
}

#[test]
fn tests_and_the_prompt_take_metrics() {
    let metrics = file("suite-metrics.json", METRICS.as_bytes());
    let input = std::path::Path::new(&metrics).file_name().and_then(|name| name.to_str()).expect("a name");
    let suite = format!(
        "tests:\n  - condition: value_int > 100\n    input: {input}\n    expect: [false, true, false]\n  - condition: name == \"x\"\n    input: {input}\n    expect: false\n"
    );
    let path = file("suite-metrics.yaml", suite.as_bytes());
    assert!(run_tool(&["test", &path]).ends_with("2 passed, 0 failed\n"), "{}", run_tool(&["test", &path]));
}
