use std::collections::BTreeMap;
use std::time::Duration as Span;

use component::ManualClock;

use super::*;
use crate::config::service_telemetry::LogSampling;

fn written(logs: Logs, act: impl FnOnce(&ManualClock)) -> String {
    let directory = std::env::temp_dir();
    let path = directory.join(format!("ottlcol-log-{}-{:?}", std::process::id(), std::thread::current().id()));
    let name = path.to_string_lossy().into_owned();
    let clock = Arc::new(ManualClock::new(1_767_323_045_678_000_000));
    let logger = Logger::detached(clock.clone());
    let logs = Logs { output_paths: vec![name.clone()], disable_caller: true, ..logs };
    logger.apply(&logs, &[("service.name".to_owned(), "x".to_owned())]).unwrap();
    tracing::subscriber::with_default(Registry::default().with(logger), || act(&clock));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text
}

#[test]
fn console_and_json_lines() {
    let act = |_: &ManualClock| {
        tracing::error_span!("component", "otelcol.component.id" = %"otlp")
            .in_scope(|| tracing::info!(endpoint = "0.0.0.0:4317", "Starting server"));
        tracing::debug!("not shown");
        tracing::warn!(count = 3, "odd");
    };
    let json = written(Logs { encoding: Encoding::Json, ..Logs::default() }, act);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["level"], "info");
    assert_eq!(first["msg"], "Starting server");
    assert_eq!(first["resource"]["service.name"], "x");
    assert_eq!(first["otelcol.component.id"], "otlp");
    assert_eq!(json.lines().count(), 2);

    let fields = BTreeMap::from([("k".to_owned(), serde_json::Value::from("v"))]);
    let console = written(Logs { initial_fields: fields, disable_zap_resource: true, ..Logs::default() }, act);
    let parts: Vec<&str> = console.lines().nth(1).unwrap().split('\t').collect();
    assert_eq!(&parts[1..], ["warn", "odd", "{\"k\":\"v\",\"count\":3}"]);
    assert!(parts[0].contains(".678"), "{}", parts[0]);
}

#[test]
fn repeated_messages_are_thinned_out() {
    let sampling = LogSampling { initial: 2, thereafter: 3, ..LogSampling::default() };
    let text = written(Logs { sampling: Some(sampling), ..Logs::default() }, |clock| {
        for number in 1..=8 {
            tracing::info!(number, "again");
        }
        tracing::info!("other");
        clock.advance(Span::from_secs(10));
        tracing::info!(number = 9, "again");
    });
    let numbers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split("\"number\":").nth(1))
        .map(|rest| rest.trim_end_matches('}'))
        .collect();
    assert_eq!(numbers, ["1", "2", "5", "8", "9"]);
    assert!(text.contains("other"));
}
