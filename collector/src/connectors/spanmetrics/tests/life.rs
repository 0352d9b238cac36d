//! Flushing on time and at shutdown.

use std::sync::Arc;
use std::time::Duration;

use component::ConsumeError;
use pdata::Traces;
use pdata::metrics::{MetricData, Metrics, NumberValue};

use crate::config::{Problems, Section};
use crate::factory::{Context, Part};
use crate::testing::{Sink, context};

fn make(yaml: &str, context: &Context, sink: &Arc<Sink>) -> Part<component::TracesConsumer> {
    let section = Section::parse("spanmetrics", "connectors", yaml).unwrap();
    let mut problems = Problems::default();
    let plan = super::super::parse(&section, &mut problems).unwrap();
    plan.make_traces_to_metrics(context, Arc::clone(sink) as _).unwrap()
}

fn one_span() -> Traces {
    let request = r#"{"resourceSpans":[{
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
        "scopeSpans":[{"spans":[{"name":"a","traceId":"01010101010101010101010101010101","spanId":"0202020202020202"}]}]
    }]}"#;
    Traces::index(pdata::json::traces_from_json(request.as_bytes()).unwrap().into()).unwrap()
}

/// Values of `calls`, and the instance id of the first point.
fn calls(batches: &[Metrics]) -> Vec<(i64, String)> {
    let mut out = Vec::new();
    for resource in batches.iter().flat_map(|batch| &batch.resource_metrics) {
        let MetricData::Sum { points, .. } = &resource.scope_metrics[0].metrics[0].data else { panic!() };
        for point in points {
            let NumberValue::Int(value) = point.value else { panic!() };
            let id = point.attributes.iter().find(|(key, _)| key == "collector.instance.id").unwrap();
            out.push((value, id.1.to_text()));
        }
    }
    out
}

#[tokio::test(start_paused = true)]
async fn flushes_every_interval_and_once_more_at_shutdown() {
    let sink = Sink::new();
    let context = Context {
        resource: Arc::new([("collector.instance.id".to_owned(), "fixed".to_owned())]),
        ..context("spanmetrics")
    };
    let part = make("metrics_flush_interval: 10s", &context, &sink);
    let life = part.lifecycle.unwrap();
    life.start().await.unwrap();
    part.input.consume(one_span()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(9900)).await;
    assert!(sink.metrics.lock().unwrap().is_empty());
    let arrived = sink.arrived.notified();
    tokio::time::sleep(Duration::from_millis(200)).await;
    arrived.await;
    part.input.consume(one_span()).await.unwrap();
    life.shutdown().await.unwrap();
    let fixed = |value| (value, "fixed".to_owned());
    assert_eq!(calls(&sink.metrics.lock().unwrap()), [fixed(0), fixed(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_new_series_is_not_lost_at_shutdown() {
    let sink = Sink::new();
    let part = make("", &context("spanmetrics"), &sink);
    let life = part.lifecycle.unwrap();
    life.start().await.unwrap();
    part.input.consume(one_span()).await.unwrap();
    life.shutdown().await.unwrap();
    let got = calls(&sink.metrics.lock().unwrap());
    // Without an id in the configuration it is a random one.
    assert_eq!((got[0].0, got[0].1.len()), (1, 36));
}

#[tokio::test(start_paused = true)]
async fn a_refused_flush_is_caught_up_by_the_next() {
    let sink = Sink::new();
    let part = make("metrics_flush_interval: 1s", &context("spanmetrics"), &sink);
    let life = part.lifecycle.unwrap();
    life.start().await.unwrap();
    part.input.consume(one_span()).await.unwrap();
    sink.refuse(ConsumeError::retryable("not now"));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sink.accept();
    life.shutdown().await.unwrap();
    assert_eq!(calls(&sink.metrics.lock().unwrap()).last().unwrap().0, 1);
}
