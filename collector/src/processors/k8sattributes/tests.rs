//! Configuration, table, extraction and what becomes of resources; without an API. The API is in `tests/`.

mod cluster;
mod config;
mod process;

use super::*;
use crate::testing;

/// A checked section with both naming conventions of upstream's default.
fn plan(yaml: &str) -> (Config, Settings) {
    parsed(yaml, Conventions { old: false, new: true }).unwrap_or_else(|texts| panic!("{yaml}: {texts:?}"))
}

fn parsed(yaml: &str, conventions: Conventions) -> Result<(Config, Settings), Vec<String>> {
    let mut problems = Problems::default();
    let section = Section::parse("k8s_attributes", "processors", yaml).unwrap();
    let config = section.decode::<Config>(&mut problems);
    let settings = config.as_ref().and_then(|config| config.settings(&section.path, conventions, &mut problems));
    let texts: Vec<_> =
        problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    config.zip(settings).filter(|_| texts.is_empty()).ok_or(texts)
}

/// A pod of a Deployment with two containers, as the API gives it.
fn pod(uid: &str, name: &str, address: &str, more: &str) -> object::Pod {
    let hex = "0123456789abcdef".repeat(4);
    let text = format!(
        r#"{{
            "metadata": {{
                "uid": "{uid}", "name": "{name}", "namespace": "shop", "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": {{"app": "cart", "pod-template-hash": "7d9c", "team/owner": "a", "team/cost": "b"}},
                "annotations": {{"note": "n", "resource.opentelemetry.io/service.name": "from-annotation"}},
                "ownerReferences": [{{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-7d9c", "uid": "rs-1"}}]
            }},
            "spec": {{
                "nodeName": "node-1", "hostname": "h",
                "containers": [
                    {{"name": "app", "image": "registry.example:5000/shop/cart:1.2"}},
                    {{"name": "proxy", "image": "envoy"}}
                ],
                "volumes": [{{"name": "ignored"}}]
            }},
            "status": {{
                "podIP": "{address}", "startTime": "2026-01-02T03:04:06Z",
                "containerStatuses": [
                    {{"name": "app", "containerID": "containerd://id-app", "restartCount": 2,
                      "imageID": "registry.example:5000/shop/cart@sha256:{hex}"}},
                    {{"name": "proxy", "containerID": "containerd://id-proxy", "restartCount": 0, "imageID": "x"}}
                ]
            }}
        }}"#
    );
    let mut whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    patch(&mut whole, &serde_json::from_str(more).unwrap());
    serde_json::from_value(whole).unwrap()
}

/// A merge patch, as kubectl has it.
fn patch(target: &mut serde_json::Value, changes: &serde_json::Value) {
    match (target, changes) {
        (serde_json::Value::Object(target), serde_json::Value::Object(changes)) => {
            for (key, change) in changes {
                if change.is_null() {
                    target.remove(key);
                } else {
                    patch(target.entry(key.clone()).or_insert(serde_json::Value::Null), change);
                }
            }
        }
        (target, changes) => *target = changes.clone(),
    }
}

fn metadata(text: &str) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
    serde_json::from_str(text).unwrap()
}

fn shared(yaml: &str) -> Arc<Shared> {
    let (config, settings) = plan(yaml);
    Arc::new(Shared::new(&config, settings, &testing::context("k8s_attributes")))
}
