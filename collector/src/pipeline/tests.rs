use std::sync::Arc;

use component::ManualClock;
use component::telemetry::Registry;

use super::fakes::{Journal, factories, send_everywhere};
use super::{Service, Settings};
use crate::config::{Loaded, Process, load};
use crate::factory::Fatal;

fn loaded(yaml: &str) -> Result<Loaded, String> {
    load(&[format!("yaml:{yaml}")], &Process, &factories()).map_err(|error| error.to_string())
}

fn built(yaml: &str) -> Service {
    let settings = Settings {
        registry: Registry::new(0),
        clock: Arc::new(ManualClock::new(0)),
        resource: Arc::new([]),
        jit: true,
        fatal: Fatal::default(),
    };
    Service::build(&loaded(yaml).unwrap().config, &settings).unwrap()
}

/// Without the positions: those are the report's.
fn refusal(yaml: &str) -> String {
    let text = loaded(yaml).err().expect("a refusal");
    text.lines().filter(|line| !line.starts_with("  -->")).collect::<Vec<_>>().join("\n")
}

const SHARED: &str = "
receivers: {both: , traces: , both/unused: }
processors: {both: }
exporters: {traces: , both: , both/unused: }
connectors: {forward: , count: }
extensions: {ext: , ext/unused: }
service:
  extensions: [ext]
  pipelines:
    traces/in: {receivers: [both, traces, both], processors: [both], exporters: [forward, count, traces]}
    traces/out: {receivers: [forward], processors: [both], exporters: [both, traces, traces]}
    metrics: {receivers: [both, count], exporters: [both]}
";

#[tokio::test]
async fn parts_are_shared_and_started_downstream_first() {
    let service = built(SHARED);
    service.start().await.unwrap();
    insta::assert_snapshot!("start_order", Journal::here().take().join("\n"));
    service.shutdown().await.unwrap();
    insta::assert_snapshot!("stop_order", Journal::here().take().join("\n"));
}

#[tokio::test]
async fn data_takes_every_branch_once() {
    let service = built(SHARED);
    send_everywhere().await;
    insta::assert_snapshot!("data_path", Journal::here().take().join("\n"));
    drop(service);
}

#[tokio::test]
async fn a_start_error_stops_what_was_started() {
    let service = built(
        "
receivers: {both: {broken: true}, traces: }
exporters: {traces: }
service: {pipelines: {traces: {receivers: [both, traces], exporters: [traces]}}}
",
    );
    let error = service.start().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start pipelines: failed to start \"both\" receiver: no luck");
    assert_eq!(
        Journal::here().take(),
        ["start exporter traces", "start receiver both", "stop receiver both", "stop exporter traces"]
    );
}

#[tokio::test]
async fn an_extension_that_does_not_start_is_named() {
    let service = built(
        "
receivers: {traces: }
exporters: {traces: }
extensions: {ext: {broken: true}}
service: {extensions: [ext], pipelines: {traces: {receivers: [traces], exporters: [traces]}}}
",
    );
    let error = service.start().await.unwrap_err();
    assert_eq!(error.to_string(), "failed to start extensions: failed to start \"ext\" extension: no luck");
}

/// `connectors` and `pipelines` around components that take everything.
fn connected(connectors: &str, pipelines: &str) -> String {
    refusal(&format!(
        "{{receivers: {{both: , traces: }}, processors: {{both: , traces: }}, exporters: {{both: , traces: }}, connectors: \
         {{{connectors}}}, service: {{pipelines: {{{pipelines}}}}}}}"
    ))
}

#[test]
fn connectors_used_on_one_side_only() {
    assert_eq!(
        connected("forward: ", "traces: {receivers: [both], exporters: [forward]}"),
        "failed to build pipelines: connector \"forward\" used as exporter in [traces] pipeline but not used in any \
         supported receiver pipeline"
    );
    assert_eq!(
        connected("forward: ", "traces/a: {receivers: [forward], exporters: [both]}"),
        "failed to build pipelines: connector \"forward\" used as receiver in [traces/a] pipeline but not used in any \
         supported exporter pipeline"
    );
}

#[test]
fn connectors_that_cannot_connect() {
    let pipelines = "metrics: {receivers: [both], exporters: [count]}, traces: {receivers: [count], exporters: [both]}";
    assert_eq!(
        connected("count: ", pipelines),
        "failed to build pipelines: connector \"count\" cannot connect from metrics to traces: telemetry type is not \
         supported"
    );
    // A side that is used correctly elsewhere may also be listed where it cannot be used.
    let pipelines = "traces: {receivers: [both], exporters: [count]}, metrics: {receivers: [count], exporters: [both]}, \
                     traces/b: {receivers: [count], exporters: [both]}";
    assert!(connected("count: ", pipelines).contains("used as receiver in [traces/b] pipeline"), "{pipelines}");
}

#[test]
fn cycles() {
    assert_eq!(
        connected("forward: ", "traces: {receivers: [forward], exporters: [forward]}"),
        "failed to build pipelines: cycle detected: connector \"forward\" (traces to traces) -> connector \"forward\" \
         (traces to traces)"
    );
    let pipelines = "traces/a: {receivers: [forward], exporters: [forward/2]}, \
                     traces/b: {receivers: [forward/2], processors: [both], exporters: [forward]}";
    assert_eq!(
        connected("forward: , forward/2: ", pipelines),
        "failed to build pipelines: cycle detected: connector \"forward/2\" (traces to traces) -> processor \"both\" in \
         pipeline \"traces/b\" -> connector \"forward\" (traces to traces) -> connector \"forward/2\" (traces to traces)"
    );
}

#[test]
fn diamonds_are_no_cycles() {
    let yaml = "{receivers: {both: }, exporters: {both: }, connectors: {forward/a: , forward/b: , forward/c: }, service: \
                {pipelines: {traces/1: {receivers: [both], exporters: [forward/a, forward/b]}, traces/2: {receivers: \
                [forward/a], exporters: [forward/c]}, traces/3: {receivers: [forward/b], exporters: [forward/c]}, \
                traces/4: {receivers: [forward/c], exporters: [both]}}}}";
    assert!(loaded(yaml).is_ok());
}

#[test]
fn signals_that_are_not_supported() {
    assert_eq!(
        connected("", "metrics: {receivers: [traces], processors: [traces], exporters: [traces]}"),
        "failed to build pipelines: failed to create \"traces\" receiver for data type \"metrics\": telemetry type is not \
         supported\nfailed to create \"traces\" processor, in pipeline \"metrics\": telemetry type is not supported\n\
         failed to create \"traces\" exporter for data type \"metrics\": telemetry type is not supported"
    );
    assert!(connected("", "logs: {receivers: [both], exporters: [both]}").contains("data type \"logs\""));
}
