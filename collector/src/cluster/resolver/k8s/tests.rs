//! Names of services, and slices that come, change and go.

use serde_json::json;

use super::*;

fn slice(name: &str, endpoints: &serde_json::Value) -> EndpointSlice {
    serde_json::from_value(json!({ "metadata": { "name": name }, "endpoints": endpoints })).unwrap()
}

fn service(ports: &[u16], return_hostnames: bool) -> Service {
    Service { name: "samplers".into(), namespace: None, ports: ports.to_vec(), timeout: TIMEOUT, return_hostnames }
}

fn members(slices: &Slices, ports: &[u16]) -> Vec<String> {
    slices.members(&service(ports, false), "obs").members
}

#[test]
fn services_are_named_as_in_contrib() {
    let read = |text| Service::parse(text).unwrap();
    let in_namespace = ("a".to_owned(), Some("b".to_owned()));
    for own in ["a", "a."] {
        assert_eq!(read(own), ("a".to_owned(), None));
    }
    for full in ["a.b", "a.b.svc.cluster.local", "a.b.svc.x"] {
        assert_eq!(read(full), in_namespace);
    }
    let wrong = |text| Service::parse(text).unwrap_err();
    for empty in ["", ".b"] {
        assert_eq!(wrong(empty), "no service specified to resolve the backends");
    }
    assert_eq!(wrong("a..svc.x"), "invalid Kubernetes service FQDN: namespace segment missing in \"a..svc.x\"");
    assert_eq!(wrong("a.b.svc"), "invalid Kubernetes service FQDN: missing cluster domain in \"a.b.svc\"");
    assert_eq!(
        wrong("a.b.pod.x"),
        "invalid Kubernetes service FQDN: expected third DNS label to be 'svc' in \"a.b.pod.x\""
    );
}

#[test]
fn members_are_the_ready_endpoints_of_all_slices() {
    let mut slices = Slices::default();
    assert!(!slices.take(Event::Begin));
    let first = json!([
        { "addresses": ["10.0.0.2"], "conditions": { "ready": true } },
        { "addresses": ["10.0.0.3"], "conditions": { "ready": false } },
        { "addresses": ["10.0.0.1"] },
    ]);
    assert!(!slices.take(Event::Listed(slice("one", &first))));
    let second = json!([{ "addresses": ["fd00::1"], "conditions": {} }, { "addresses": ["10.0.0.1"] }]);
    assert!(!slices.take(Event::Listed(slice("two", &second))));
    assert!(members(&slices, &[]).is_empty(), "nothing counts before the list is complete");
    assert!(slices.take(Event::Complete));
    assert_eq!(members(&slices, &[]), ["10.0.0.1", "10.0.0.2", "fd00::1"]);
    assert_eq!(
        members(&slices, &[1, 2]),
        ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "10.0.0.2:2", "[fd00::1]:1", "[fd00::1]:2"]
    );

    // A pod becomes ready, another leaves; a slice goes, and a list without one forgets it.
    assert!(slices.take(Event::Applied(slice("one", &json!([{ "addresses": ["10.0.0.3"] }])))));
    assert_eq!(members(&slices, &[]), ["10.0.0.1", "10.0.0.3", "fd00::1"]);
    assert!(slices.take(Event::Deleted(slice("two", &json!(null)))));
    assert!(!slices.take(Event::Deleted(slice("three", &json!(null)))), "was never there");
    assert_eq!(members(&slices, &[]), ["10.0.0.3"]);
    slices.take(Event::Begin);
    assert!(slices.take(Event::Complete));
    assert!(members(&slices, &[]).is_empty());
}

#[test]
fn names_instead_of_addresses() {
    let mut slices = Slices::default();
    let endpoints = json!([
        { "addresses": ["10.0.0.1"], "hostname": "s-0" },
        { "addresses": ["10.0.0.2"], "hostname": null },
        { "addresses": null, "hostname": "" },
        { "addresses": ["10.0.0.3"], "hostname": "s-1", "conditions": null },
    ]);
    slices.take(Event::Applied(slice("one", &endpoints)));
    let found = slices.members(&service(&[4317], true), "obs");
    assert_eq!(found.members, ["s-0.samplers.obs:4317", "s-1.samplers.obs:4317"]);
    assert_eq!(found.nameless, 1);
}
