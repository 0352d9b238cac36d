use std::time::Duration;

use component::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::health::Health;
use crate::testing;

struct Running {
    extension: HealthCheck,
    clock: Arc<ManualClock>,
    health: Health,
}

impl Running {
    async fn start(yaml: &str) -> Self {
        let clock = Arc::new(ManualClock::new(1_700_000_000_120_000_000));
        let health = Health::default();
        let context = Context { clock: clock.clone(), health: health.clone(), ..testing::context("health_check") };
        let extension = HealthCheck::new(decoded(yaml).unwrap(), &context);
        extension.start().await.unwrap();
        Self { extension, clock, health }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.extension.address().unwrap()).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Connections are closed after each answer: keep_alives_enabled is off.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.0
    }
}

fn decoded(yaml: &str) -> Result<Config, Vec<String>> {
    let mut problems = Problems::default();
    let section = Section::parse("health_check", "extensions", yaml).unwrap();
    let config = section.decode::<Config>(&mut problems);
    if let Some(config) = &config {
        config.check(&section.path, &mut problems);
    }
    let texts: Vec<_> =
        problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    if texts.is_empty() { Ok(config.unwrap()) } else { Err(texts) }
}

const ANY_PORT: &str = "endpoint: 127.0.0.1:0";

#[tokio::test]
async fn readiness_follows_the_pipelines_and_liveness_does_not() {
    let running = Running::start(ANY_PORT).await;
    let down = r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#;
    assert_eq!(running.get("/").await, (503, down.to_owned()));
    assert_eq!((running.status("/readyz").await, running.status("/livez").await), (503, 200));
    running.extension.pipelines_ready(true);
    running.clock.advance(Duration::from_millis(3040));
    let up = r#"{"status":"Server available","upSince":"2023-11-14T22:13:20.12Z","uptime":"3.04s"}"#;
    assert_eq!(running.get("/any/path").await, (200, up.to_owned()));
    assert_eq!((running.status("/readyz").await, running.status("/livez").await), (200, 200));
    running.extension.pipelines_ready(false);
    assert_eq!(running.get("/").await, (503, down.to_owned()));
    assert_eq!(running.status("/livez").await, 200);
    let address = running.extension.address().unwrap();
    running.extension.shutdown().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_dead_task_is_unhealthy() {
    let running = Running::start(ANY_PORT).await;
    running.extension.pipelines_ready(true);
    let task = tokio::spawn(running.health.watch("processor \"batch\"").task(async { panic!("a bug") }));
    assert!(task.await.is_err());
    let (status, body) = running.get("/livez").await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""reasons":["processor \"batch\" has died"]"#), "{body}");
    assert_eq!(running.status("/").await, 503);
}

#[tokio::test]
async fn path_and_texts_are_configurable() {
    let running = Running::start(
        "{endpoint: '127.0.0.1:0', path: /health/status, response_body: {healthy: I'm good, unhealthy: I'm bad!}, \
         check_collector_pipeline: {enabled: true, interval: 5m, exporter_failure_threshold: 5}, \
         response_headers: {x-a: b}}",
    )
    .await;
    assert_eq!(running.get("/health/status").await, (503, "I'm bad!".to_owned()));
    running.extension.pipelines_ready(true);
    assert_eq!(running.get("/health/status").await, (200, "I'm good".to_owned()));
    assert_eq!(running.status("/").await, 404);
    assert_eq!(running.status("/health/status/x").await, 404);
}

#[test]
fn mistakes_are_named() {
    let refusals = [
        "endpoint: ''",
        "path: bad",
        "{http: {endpoint: localhost:1}, grpc: }",
        "{stuck_after: -1s, auth: {authenticator: x}}",
        "endpont: localhost:1",
        "response_body: {sick: no}",
        "tls: {min_version: '9'}",
    ];
    let text: Vec<_> =
        refusals.iter().map(|yaml| format!("{yaml}\n  {}", decoded(yaml).err().unwrap().join("\n  "))).collect();
    insta::assert_snapshot!(text.join("\n"));
}
