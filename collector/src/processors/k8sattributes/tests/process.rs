//! What becomes of resources.

use std::net::Ipv4Addr;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use pdata::metrics::Value;
use prost::Message;

use super::*;
use crate::testing::Sink;

/// Sends one resource through and gives its attributes, sorted; the same through traces and metrics.
async fn through(shared: &Arc<Shared>, peer: &str, attributes: &[(&str, any_value::Value)]) -> Vec<String> {
    let peer = peer.parse::<Ipv4Addr>().ok().map(Into::into);
    let (sink, context) = (Sink::new(), testing::context("k8s_attributes"));
    let traces = Stage::new(Arc::clone(shared), &context, Signal::Traces, Arc::clone(&sink) as _);
    let mut request = testing::request(1);
    let key_value = |(key, value): &(&str, any_value::Value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(value.clone()) }),
        ..KeyValue::default()
    };
    let attributes = attributes.iter().map(key_value).collect();
    request.resource_spans[0].resource =
        Some(WireResource { attributes, dropped_attributes_count: 3, ..WireResource::default() });
    let mut batch = Traces::index(request.encode_to_vec().into()).unwrap();
    batch.set_peer(peer);
    let decoded = pdata::value::Attributes::new(batch.resource(0).unwrap().resource(), 1).to_owned_attributes();
    traces.consume(batch).await.unwrap();
    let got = sink.batches.lock().unwrap().pop().unwrap();
    let whole = ExportTraceServiceRequest::decode(got.encode()).unwrap();
    assert_eq!(whole.resource_spans[0].scope_spans, request.resource_spans[0].scope_spans);
    assert_eq!(whole.resource_spans[0].resource.as_ref().unwrap().dropped_attributes_count, 3);
    let sorted = |attributes: pdata::metrics::Attributes| {
        let mut texts: Vec<_> =
            attributes.iter().map(|(key, value): &(String, Value)| format!("{key}={}", value.to_text())).collect();
        texts.sort();
        texts
    };
    let found = sorted(pdata::value::Attributes::new(got.resource(0).unwrap().resource(), 1).to_owned_attributes());

    let metrics = Stage::new(Arc::clone(shared), &context, Signal::Metrics, Arc::clone(&sink) as _);
    let mut batch = testing::metrics(1);
    batch.resource_metrics[0].attributes = decoded;
    batch.peer = peer;
    metrics.consume(batch).await.unwrap();
    let of_metrics = sink.metrics.lock().unwrap().pop().unwrap().resource_metrics.remove(0).attributes;
    assert_eq!(sorted(of_metrics), found);
    found
}

fn text(value: &str) -> any_value::Value {
    any_value::Value::StringValue(value.to_owned())
}

fn with_pod(yaml: &str) -> Arc<Shared> {
    let shared = shared(yaml);
    shared.cluster.change(|cache, now| {
        cache.apply_pod(&pod("u-1", "cart-1", "10.0.0.1", "{}"), now);
    });
    shared
}

#[tokio::test]
async fn what_is_missing_or_empty_is_set_and_the_rest_stays() {
    let shared =
        with_pod("extract: {metadata: [k8s.pod.name, k8s.node.name, k8s.pod.uid, container.id, k8s.container.name]}");
    let found = through(
        &shared,
        "10.0.0.1",
        &[
            ("k8s.pod.name", text("")),
            ("k8s.node.name", text("mine")),
            ("k8s.pod.uid", any_value::Value::IntValue(7)),
            ("k8s.container.name", text("app")),
        ],
    )
    .await;
    let expected =
        ["container.id=id-app", "k8s.container.name=app", "k8s.node.name=mine", "k8s.pod.name=cart-1", "k8s.pod.uid=7"];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_run_of_a_container_is_chosen_by_its_restart_count() {
    let shared = with_pod("extract: {metadata: [container.id, container.image.repo_digests, container.image.tags]}");
    let run = async |count: any_value::Value| {
        let attributes = [("k8s.container.name", text("app")), ("k8s.container.restart_count", count)];
        let found = through(&shared, "10.0.0.1", &attributes).await;
        found.iter().any(|text| text == "container.id=id-app")
    };
    assert!(run(any_value::Value::IntValue(2)).await && run(text("2")).await);
    assert!(!run(any_value::Value::IntValue(1)).await && !run(text("two")).await);
    let found = through(&shared, "10.0.0.1", &[("k8s.container.name", text("app"))]).await;
    assert!(found.contains(&r#"container.image.tags=["1.2"]"#.to_owned()), "{found:?}");
    assert!(found.iter().any(|text| text.starts_with("container.image.repo_digests=[\"registry.example:5000")));
}

#[tokio::test]
async fn without_rules_addresses_of_the_resource_come_before_the_peer() {
    let shared = with_pod("extract: {metadata: [k8s.pod.name]}");
    let name = async |peer: &str, key: &str, value: &str| {
        let found = through(&shared, peer, &[(key, text(value))]).await;
        found.contains(&"k8s.pod.name=cart-1".to_owned())
    };
    assert!(name("10.0.0.1", "a", "b").await);
    assert!(name("10.9.9.9", "k8s.pod.ip", "10.0.0.1").await);
    assert!(name("", "ip", "10.0.0.1").await);
    assert!(name("", "host.name", "10.0.0.1").await);
    assert!(!name("10.0.0.1", "ip", "10.9.9.9").await);
    assert!(!name("10.9.9.9", "host.name", "10.0.0.1").await, "the peer comes before the host's name");
    assert!(!name("", "host.name", "cart").await);
}

#[tokio::test]
async fn the_first_rule_that_applies_is_the_only_one() {
    let yaml = "{pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.name}, {from: connection}]}, \
                {sources: [{from: resource_attribute, name: host.name}]}, {sources: [{from: connection}]}], \
                extract: {metadata: [k8s.pod.uid, k8s.pod.ip]}}";
    let shared = with_pod(yaml);
    let found = through(&shared, "10.0.0.1", &[("k8s.pod.name", text("other"))]).await;
    // No fall-through to the connection, whose address is set all the same.
    assert_eq!(found, ["k8s.pod.ip=10.0.0.1", "k8s.pod.name=other"]);
    let found = through(&shared, "10.0.0.1", &[("k8s.pod.name", text("cart-1"))]).await;
    assert!(found.contains(&"k8s.pod.uid=u-1".to_owned()));
    // A host name that is no address does not make its rule apply.
    let found = through(&shared, "10.0.0.1", &[("host.name", text("node"))]).await;
    assert!(found.contains(&"k8s.pod.uid=u-1".to_owned()));
}

#[tokio::test]
async fn passthrough_sets_only_the_address() {
    let shared = shared("passthrough: true");
    assert_eq!(through(&shared, "10.0.0.1", &[]).await, ["k8s.pod.ip=10.0.0.1"]);
    assert_eq!(through(&shared, "10.0.0.1", &[("k8s.pod.ip", text("10.0.0.2"))]).await, ["k8s.pod.ip=10.0.0.2"]);
    assert_eq!(through(&shared, "", &[("ip", text("10.0.0.3"))]).await, ["ip=10.0.0.3", "k8s.pod.ip=10.0.0.3"]);
    shared.start().await.unwrap();
    shared.stop().await;
}

#[tokio::test]
async fn objects_are_found_without_a_pod_if_the_resource_names_them() {
    let shared = shared(
        "extract: {metadata: [k8s.node.uid, service.namespace], labels: [{key: a, from: namespace}, {key: a, from: node}, \
         {key: a, from: deployment}, {key: a, from: cronjob}]}",
    );
    shared.cluster.change(|cache, _| {
        for (kind, name) in
            [(From::Namespace, "ns"), (From::Node, "no"), (From::Deployment, "de"), (From::CronJob, "cj")]
        {
            let object = format!(r#"{{"name": "{name}", "uid": "u-{name}", "labels": {{"a": "{name}"}}}}"#);
            cache.apply_object(kind, &metadata(&object));
        }
    });
    let found = through(
        &shared,
        "",
        &[
            ("k8s.namespace.name", text("ns")),
            ("k8s.node.name", text("no")),
            ("k8s.deployment.uid", text("u-de")),
            ("k8s.cronjob.uid", text("u-cj")),
        ],
    )
    .await;
    insta::assert_snapshot!(found.join("\n"));
}

#[tokio::test]
async fn associations_are_counted_by_rule_and_outcome() {
    let shared = with_pod("pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}]");
    let (sink, context) = (Sink::new(), testing::context("k8s_attributes"));
    let stage = Stage::new(Arc::clone(&shared), &context, Signal::Traces, Arc::clone(&sink) as _);
    for uid in ["u-1", "u-1", "u-2", ""] {
        let mut request = testing::request(1);
        let value = Some(AnyValue { value: Some(text(uid)) });
        let attributes = vec![KeyValue { key: "k8s.pod.uid".to_owned(), value, ..KeyValue::default() }];
        request.resource_spans[0].resource = Some(WireResource { attributes, ..WireResource::default() });
        stage.consume(Traces::index(request.encode_to_vec().into()).unwrap()).await.unwrap();
    }
    let lines = testing::series(&context.registry);
    insta::assert_snapshot!(lines.join("\n"));
}
