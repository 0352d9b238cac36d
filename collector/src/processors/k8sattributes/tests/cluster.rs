//! The table of pods and what is extracted.

use super::associate::{Identifier, Source};
use super::cache::Change;
use super::rules::NAMES;
use super::*;

const NOW: Duration = Duration::from_secs(1000);
const GRACE: Duration = Duration::from_secs(120);

fn cache(yaml: &str) -> Cache {
    let (config, settings) = plan(yaml);
    Cache::new(settings.rules, settings.associations, config.pod_delete_grace_period.span())
}

fn by_address(address: &str) -> Identifier {
    Identifier::from_iter([(Source::Connection, address.to_owned())])
}

fn at<'c>(cache: &'c Cache, address: &str) -> Option<&'c str> {
    cache.pod(&by_address(address)).map(|pod| pod.uid.as_str())
}

#[test]
fn a_newer_pod_takes_an_address_and_an_older_one_does_not() {
    let mut cache = cache("");
    let old = pod("old", "a", "10.0.0.1", r#"{"status": {"startTime": "2026-01-01T00:00:00Z"}}"#);
    let new = pod("new", "b", "10.0.0.1", "{}");
    assert_eq!(cache.apply_pod(&old, NOW), Change::Added);
    assert_eq!(cache.apply_pod(&new, NOW), Change::Added);
    assert_eq!(cache.apply_pod(&old, NOW), Change::Updated);
    assert_eq!(at(&cache, "10.0.0.1"), Some("new"));
    // Deleting the old one leaves the address alone.
    cache.delete_pod(&old, NOW);
    cache.sweep(NOW + GRACE);
    assert_eq!(at(&cache, "10.0.0.1"), Some("new"));
    assert_eq!(cache.len(), 3);
}

#[test]
fn a_deleted_pod_stays_for_the_grace_period_unless_its_address_is_taken() {
    let mut cache = cache("");
    let gone = pod("gone", "a", "10.0.0.1", "{}");
    cache.apply_pod(&gone, NOW);
    // The last event may lack the address.
    let last = pod("gone", "a", "10.0.0.1", r#"{"status": {"podIP": ""}}"#);
    assert_eq!(cache.delete_pod(&last, NOW), Change::Deleted);
    cache.sweep(NOW + GRACE - Duration::from_nanos(1));
    assert_eq!(at(&cache, "10.0.0.1"), Some("gone"));
    cache.sweep(NOW + GRACE);
    assert_eq!((at(&cache, "10.0.0.1"), cache.len()), (None, 0));
    // The same again, with another pod that gets the address meanwhile.
    cache.apply_pod(&gone, NOW);
    cache.delete_pod(&gone, NOW);
    cache.apply_pod(&pod("next", "b", "10.0.0.1", "{}"), NOW);
    cache.sweep(NOW + GRACE * 2);
    assert_eq!((at(&cache, "10.0.0.1"), cache.len()), (Some("next"), 3));
}

#[test]
fn a_changed_address_leaves_the_old_one_for_the_grace_period() {
    let mut cache = cache("");
    cache.apply_pod(&pod("p", "a", "10.0.0.1", "{}"), NOW);
    cache.apply_pod(&pod("p", "a", "10.0.0.2", "{}"), NOW);
    assert_eq!((at(&cache, "10.0.0.1"), at(&cache, "10.0.0.2")), (Some("p"), Some("p")));
    cache.sweep(NOW + GRACE);
    assert_eq!((at(&cache, "10.0.0.1"), at(&cache, "10.0.0.2")), (None, Some("p")));
}

#[test]
fn a_new_list_tells_what_was_deleted_meanwhile() {
    let mut cache = cache("");
    for (uid, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
        cache.apply_pod(&pod(uid, uid, address, "{}"), NOW);
    }
    cache.begin_pods();
    assert_eq!(cache.list_pod(&pod("b", "b", "10.0.0.2", "{}"), NOW), Change::Updated);
    assert_eq!(cache.end_pods(NOW), 1);
    cache.sweep(NOW + GRACE);
    assert_eq!((at(&cache, "10.0.0.1"), at(&cache, "10.0.0.2")), (None, Some("b")));
}

#[test]
fn pods_on_the_host_network_and_ignored_pods_are_not_matched() {
    let mut cache = cache("exclude: {pods: [{name: -agent}]}");
    let host = r#"{"spec": {"hostNetwork": true}}"#;
    let ignored = r#"{"metadata": {"annotations": {"opentelemetry.io/k8s-processor/ignore": " True "}}}"#;
    cache.apply_pod(&pod("host", "a", "10.0.0.1", host), NOW);
    cache.apply_pod(&pod("ignored", "b", "10.0.0.2", ignored), NOW);
    cache.apply_pod(&pod("excluded", "my-agent-1", "10.0.0.3", "{}"), NOW);
    cache.apply_pod(&pod("taken", "jaeger-agent-", "10.0.0.4", "{}"), NOW);
    for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        assert_eq!(at(&cache, address), None, "{address}");
    }
    assert_eq!(at(&cache, "10.0.0.4"), None, "its name contains -agent, too");
    assert!(cache.pod(&associate::by_uid("host")).is_some());
}

#[test]
fn every_rule_gives_pods_an_identifier() {
    let cache = cache(
        "pod_association: [{sources: [{from: resource_attribute, name: container.id}, {from: connection}]}, \
         {sources: [{from: resource_attribute, name: k8s.namespace.name}, {from: resource_attribute, name: k8s.pod.name}]}, \
         {sources: [{from: resource_attribute, name: k8s.deployment.name}]}, \
         {sources: [{from: resource_attribute, name: k8s.job.name}]}]",
    );
    let rules = plan("").1.rules;
    let pod = rules.pod(&pod("u", "cart-1", "10.0.0.1", "{}"), &cache::Objects::default());
    let (_, settings) = plan(
        "pod_association: [{sources: [{from: resource_attribute, name: container.id}, {from: connection}]}, \
         {sources: [{from: resource_attribute, name: k8s.namespace.name}, {from: resource_attribute, name: k8s.pod.name}]}, \
         {sources: [{from: resource_attribute, name: k8s.deployment.name}]}, \
         {sources: [{from: resource_attribute, name: k8s.job.name}]}]",
    );
    let text: Vec<_> = associate::of_pod(&settings.associations, &pod)
        .iter()
        .map(|id| {
            id.iter().map(|(source, value)| format!("{}={value}", source.describe())).collect::<Vec<_>>().join(" ")
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
    drop(cache);
}

fn describe(pod: &Pod) -> String {
    let attributes: Vec<_> = pod.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let containers: Vec<_> = pod.containers.iter().map(|container| format!("{container:?}")).collect();
    format!("{}\n{}\n{:?}", attributes.join("\n"), containers.join("\n"), pod.owners)
}

#[test]
fn everything_that_can_be_extracted() {
    let mut cache = cache(&format!("extract: {{metadata: [{}]}}", NAMES.join(", ")));
    cache.apply_object(From::Namespace, &metadata(r#"{"name": "kube-system", "uid": "cluster"}"#));
    let owner =
        r#"[{"apiVersion": "apps/v1", "kind": "Deployment", "name": "from-lookup", "uid": "d-1", "controller": true}]"#;
    let replicaset = format!(r#"{{"name": "cart-7d9c", "uid": "rs-1", "ownerReferences": {owner}}}"#);
    cache.apply_object(From::ReplicaSet, &metadata(&replicaset));
    cache.apply_pod(&pod("u", "cart-1", "10.0.0.1", "{}"), NOW);
    let known = cache.pod(&by_address("10.0.0.1")).unwrap();
    insta::assert_snapshot!(describe(known));
    assert!(cache.object(From::ReplicaSet, "rs-1").is_some());
}

#[test]
fn names_of_owners_are_guessed_without_a_lookup() {
    let rules =
        plan("extract: {metadata: [k8s.deployment.name, k8s.cronjob.name, k8s.job.name, service.name]}").1.rules;
    let check = |more: &str, expected: &[(&str, &str)]| {
        let pod = rules.pod(&pod("u", "pod", "10.0.0.1", more), &cache::Objects::default());
        let found: Vec<_> = pod.attributes.iter().map(|(key, value)| (&**key, value.as_str())).collect();
        assert_eq!(found, expected, "{more}");
    };
    check("{}", &[("k8s.deployment.name", "cart"), ("service.name", "cart")]);
    let no_hash = r#"{"metadata": {"labels": {"pod-template-hash": null}}}"#;
    check(no_hash, &[("service.name", "cart-7d9c")]);
    let job = |name: &str| {
        format!(
            r#"{{"metadata": {{"ownerReferences": [{{"apiVersion": "batch/v1", "kind": "Job", "name": "{name}", "uid": "j"}}]}}}}"#
        )
    };
    // 2026-01-02T03:04 is minute 29455384 since 1970.
    let near = job("backup-29455384");
    check(&near, &[("k8s.cronjob.name", "backup"), ("k8s.job.name", "backup-29455384"), ("service.name", "backup")]);
    let far = job("backup-20260102");
    check(&far, &[("k8s.job.name", "backup-20260102"), ("service.name", "backup-20260102")]);
}

#[test]
fn well_known_labels_and_annotations_name_the_service_in_order() {
    let rules = plan("extract: {metadata: [service.name, service.version], otel_annotations: true}").1.rules;
    let check = |more: &str, expected: &str| {
        let pod = rules.pod(&pod("u", "pod", "10.0.0.1", more), &cache::Objects::default());
        assert_eq!(pod.attribute("service.name"), Some(expected), "{more}");
    };
    check("{}", "from-annotation");
    let plain = |labels: &str| format!(r#"{{"metadata": {{"annotations": null, "labels": {labels}}}}}"#);
    check(&plain(r#"{"app.kubernetes.io/name": "n"}"#), "n");
    check(&plain(r#"{"app.kubernetes.io/name": "n", "app.kubernetes.io/instance": "i"}"#), "i");
}

#[test]
fn labels_by_key_and_by_pattern_under_both_conventions() {
    let yaml = "extract: {metadata: [], labels: [{key: app}, {tag_name: team, key: team/owner}, \
                {key_regex: 'team/(.*)', tag_name: 'cost.$1'}, {key_regex: 'team/.*', tag_name: unused}, \
                {key: zone, from: node}], annotations: [{key: note}]}";
    let mut text = Vec::new();
    for (old, new) in [(true, false), (true, true), (false, true)] {
        let rules = parsed(yaml, Conventions { old, new }).unwrap().1.rules;
        let pod = rules.pod(&pod("u", "pod", "10.0.0.1", "{}"), &cache::Objects::default());
        let node = rules.object(From::Node, &metadata(r#"{"name": "n", "labels": {"zone": "z"}}"#));
        let all = pod.attributes.iter().chain(&node.attributes).map(|(key, value)| format!("{key}={value}"));
        text.push(format!("old={old} new={new}\n  {}", all.collect::<Vec<_>>().join("\n  ")));
    }
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn containers_by_name_id_or_being_the_only_one() {
    let rules = plan("extract: {metadata: [k8s.container.name, container.id]}").1.rules;
    let kept = |more: &str| rules.pod(&pod("u", "pod", "10.0.0.1", more), &cache::Objects::default());
    let name = |pod: &Pod, name: &str, id: &str| pod.container(name, id).map(|found| found.spec_name.clone());
    let two = kept("{}");
    assert_eq!(name(&two, "app", ""), Some("app".to_owned()));
    assert_eq!(name(&two, "", "id-proxy"), Some("proxy".to_owned()));
    assert_eq!(name(&two, "nobody", "id-proxy"), None);
    assert_eq!(name(&two, "", ""), None);
    let one =
        kept(r#"{"status": {"containerStatuses": [{"name": "app", "containerID": "docker://x", "restartCount": 0}]}}"#);
    assert_eq!(name(&one, "", ""), Some("app".to_owned()));
    let starting =
        kept(r#"{"status": {"containerStatuses": [{"name": "app", "containerID": "", "restartCount": 0}]}}"#);
    assert_eq!(name(&starting, "", ""), Some("app".to_owned()));
}

#[test]
fn other_objects_come_and_go() {
    let mut cache = cache("extract: {labels: [{key: zone, from: node}]}");
    let node = |name: &str| metadata(&format!(r#"{{"name": "{name}", "uid": "u-{name}", "labels": {{"zone": "z"}}}}"#));
    assert_eq!(cache.apply_object(From::Node, &node("a")), Change::Added);
    assert_eq!(cache.apply_object(From::Node, &node("a")), Change::Updated);
    cache.apply_object(From::Node, &node("b"));
    cache.apply_object(From::Namespace, &node("a"));
    cache.begin_objects(From::Node);
    cache.list_object(From::Node, &node("b"));
    assert_eq!(cache.end_objects(From::Node), 1);
    assert!(cache.object(From::Node, "a").is_none() && cache.object(From::Namespace, "a").is_some());
    cache.delete_object(From::Node, &node("b"));
    assert!(cache.object(From::Node, "b").is_none());
}
