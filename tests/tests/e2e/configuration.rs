//! `validate` on the article's files and on wrong ones.

use e2e::collector::{config_file, run};

fn validate(config: &str) -> (i32, String) {
    let file = config_file(config).expect("a file");
    run(&["validate", "--config", &file.to_string_lossy()]).expect("it runs")
}

const RIGHT: &str = r#"
receivers:
  otlp: { protocols: { grpc: } }
processors:
  filter:
    traces:
      span: ['attributes["http.target"] == "/health"']
exporters:
  debug:
service:
  pipelines:
    traces: { receivers: [otlp], processors: [filter], exporters: [debug] }
"#;

#[test]
fn a_right_file_is_silent() {
    assert_eq!(validate(RIGHT), (0, String::new()));
}

#[test]
fn every_mistake_is_named_with_its_key_path_and_ottl_with_a_caret() {
    let wrong =
        RIGHT.replace("== \"/health\"", "= \"/health\"").replace("  debug:\n", "  debug: { verbosityy: basic }\n");
    let (code, text) = validate(&wrong);
    assert_eq!(code, 1);
    assert!(text.contains("exporters::debug"), "{text}");
    assert!(text.contains("verbosityy"), "{text}");
    assert!(text.contains("processors::filter::traces::span[0]"), "{text}");
    assert!(text.contains('^'), "{text}");
}

#[test]
fn graph_mistakes_are_named() {
    let (code, text) = validate(&RIGHT.replace("exporters: [debug]", "exporters: [debug, jaeger]"));
    assert_eq!(code, 1);
    assert!(
        text.contains("service::pipelines::traces: references exporter \"jaeger\" which is not configured"),
        "{text}"
    );
    let (code, text) = validate(&RIGHT.replace("exporters: [debug]", "exporters: []"));
    assert_eq!(code, 1);
    assert!(text.contains("must have at least one exporter"), "{text}");
}
