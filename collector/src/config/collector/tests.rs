use super::super::load::load;
use super::super::source::Process;
use crate::pipeline::fakes::factories;

fn load_text(yaml: &str) -> Result<super::super::Loaded, String> {
    load(&[format!("yaml:{yaml}")], &Process, &factories()).map_err(|error| error.bare().to_string())
}

/// The report without positions.
fn report(yaml: &str) -> String {
    let text = load_text(yaml).err().expect("a refusal");
    text.lines().filter(|line| !line.starts_with("  -->")).collect::<Vec<_>>().join("\n")
}

/// Parts around what a test changes.
fn with(more: &str) -> String {
    format!("receivers: {{both: }}\nexporters: {{both: }}\nprocessors: {{both: }}\n{more}")
}

const PIPELINE: &str = "service: {pipelines: {traces: {receivers: [both], exporters: [both]}}}";

#[test]
fn decoding_mistakes() {
    let prefix =
        "failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s):\n\n";
    for (yaml, expected) in [
        (with(&format!("foo: 1\n{PIPELINE}")), "has invalid keys: foo"),
        (with(&format!("conectors: \n{PIPELINE}")), "has invalid keys: conectors (did you mean \"connectors\"?)"),
        (
            with(&format!("connectors: {{zipkinx: }}\n{PIPELINE}")),
            "connectors: unknown type: \"zipkinx\" for id: \"zipkinx\" (valid values: [all count forward])",
        ),
        (
            with(&format!("connectors: {{foward/a: }}\n{PIPELINE}")),
            "connectors: unknown type: \"foward\" for id: \"foward/a\" (valid values: [all count forward]) (did you mean \
             \"forward\"?)",
        ),
        (
            with(&format!("connectors: {{forward: {{sizee: 1}}}}\n{PIPELINE}")),
            "connectors::forward: has invalid keys: sizee (did you mean \"size\"?)",
        ),
        (
            with(&format!("connectors: {{forward: {{size: x}}}}\n{PIPELINE}")),
            "connectors::forward::size: expected type 'int', got unconvertible type 'string'",
        ),
        (
            with(&format!("connectors: {{forward/: }}\n{PIPELINE}")),
            "connectors: in \"forward/\" id: the part after / should not be empty",
        ),
        (
            with(&format!("connectors: {{/x: }}\n{PIPELINE}")),
            "connectors: in \"/x\" id: the part before / should not be empty",
        ),
        (
            with(&format!("connectors: {{for ward: }}\n{PIPELINE}")),
            "connectors: in \"for ward\" id: invalid character(s) in type \"for ward\"",
        ),
        (
            with(&format!("connectors: {{forward: , ' forward': }}\n{PIPELINE}")),
            "connectors: duplicate name \"forward\" after unmarshaling  forward",
        ),
        (
            with("service: {pipelines: {spans: {receivers: [both], exporters: [both]}}}"),
            "service::pipelines: in \"spans\" id: unknown pipeline signal: \"spans\"",
        ),
        (
            with("service: {pipelines: {traces: {receivers: [both], exporters: [both], procesors: []}}}"),
            "service::pipelines::traces: has invalid keys: procesors (did you mean \"processors\"?)",
        ),
        (with(&format!("connectors: 5\n{PIPELINE}")), "connectors: expected type 'map', got unconvertible type 'int'"),
        (
            format!("receivers: {{both: }}\nexporters: {{both: , logging: }}\n{PIPELINE}"),
            "exporters: the logging exporter has been deprecated, use the debug exporter instead",
        ),
    ] {
        assert_eq!(report(&yaml), format!("{prefix}{expected}"), "{yaml}");
    }
}

#[test]
fn validation_mistakes() {
    for (yaml, expected) in [
        ("{}".to_owned(), "service::pipelines: service must have at least one pipeline\nempty configuration file"),
        (
            format!("exporters: {{both: }}\n{PIPELINE}"),
            "no receiver configuration specified in config\nservice::pipelines::traces: references receiver \"both\" which \
             is not configured",
        ),
        (
            format!("receivers: {{both: }}\n{PIPELINE}"),
            "no exporter configuration specified in config\nservice::pipelines::traces: references exporter \"both\" which \
             is not configured",
        ),
        (with(""), "service::pipelines: service must have at least one pipeline"),
        (
            with("service: {pipelines: {traces: }}"),
            "service::pipelines::traces: must have at least one receiver\nservice::pipelines::traces: must have at least \
             one exporter",
        ),
        (
            with("service: {pipelines: {traces: {receivers: [both], processors: [both, both], exporters: [both]}}}"),
            "service::pipelines::traces: references processor \"both\" multiple times",
        ),
        (
            with("service: {pipelines: {traces: {receivers: [jaeger], processors: [bath], exporters: [x]}}}"),
            "service::pipelines::traces: references receiver \"jaeger\" which is not configured\n\
             service::pipelines::traces: references processor \"bath\" which is not configured (did you mean \"both\"?)\n\
             service::pipelines::traces: references exporter \"x\" which is not configured",
        ),
        (
            with("service: {extensions: [zpages], pipelines: {traces: {receivers: [both], exporters: [both]}}}"),
            "service::extensions: references extension \"zpages\" which is not configured",
        ),
        (
            with("service: {pipelines: {profiles: {receivers: [both], exporters: [both]}}}"),
            "service::pipelines: pipeline \"profiles\": profiling signal support is at alpha level, gated under the \
             \"service.profilesSupport\" feature gate",
        ),
        (
            format!(
                "receivers: {{both: }}\nexporters: {{both: }}\nconnectors: {{forward: }}\nprocessors: \
                 {{both: {{size: -1}}}}\n{PIPELINE}"
            ),
            "processors::both: `size` must be positive",
        ),
    ] {
        assert_eq!(report(&yaml), expected, "{yaml}");
    }
}

#[test]
fn a_connector_must_not_share_an_id() {
    let factories = || {
        let mut factories = factories();
        factories.exporters[1].kind = "forward";
        factories
    };
    let yaml = "yaml:{receivers: {both: }, exporters: {forward: }, connectors: {forward: }, service: {pipelines: {traces: \
                {receivers: [both], exporters: [forward]}}}}";
    let error = load(&[yaml.to_owned()], &Process, &factories()).err().unwrap().bare().to_string();
    assert!(
        error.starts_with(
            "connectors::forward: ambiguous ID: Found both \"forward\" exporter and \"forward\" connector. Change one of \
             the components' IDs to eliminate ambiguity (e.g. rename \"forward\" connector to \"forward/connector\")"
        ),
        "{error}"
    );
}

#[test]
fn aliases_are_accepted_with_a_warning() {
    let config = load_text(&with(PIPELINE)).unwrap().config;
    assert_eq!(config.warnings, ["\"both\" alias is deprecated; use \"both_new\" instead"]);
    assert_eq!(config.exporters[0].id.to_string(), "both");
}

#[test]
fn all_mistakes_are_reported_together_with_their_places() {
    let yaml = "
receivers:
  both:
    broken: 7
processors:
  both:
    size: -5
  traces/a: {siez: 3}
exporters:
  both:
service:
  telemetry:
    logs:
      level: loud
  pipelines:
    traces:
      receivers: [both]
      processors: [traces/a, both, nothing]
      exporters: []
";
    insta::assert_snapshot!("all_mistakes", load_text(yaml).err().unwrap());
}
