//! Sections, names of members, and the list as it changes.

use std::sync::Arc;
use std::time::Duration;

use component::Clock;
use component::telemetry::Registry;

use super::{Config, Resolver, Source, dial_address, dns};
use crate::clock::SystemClock;
use crate::config::{Problems, Section};
use crate::testing::series;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn read(yaml: &str) -> (Option<Source>, Problems) {
    let mut problems = Problems::default();
    let config: Option<Config> = Section::parse("r", "x", yaml).unwrap().decode(&mut problems);
    let source = config.and_then(|config| config.source("x::r", &mut problems));
    (source, problems)
}

#[test]
fn mistakes_have_contribs_texts() {
    let check = |yaml: &str, path: &str, message: &str| {
        let (_, problems) = read(yaml);
        let first = &problems.list()[0];
        assert_eq!((first.path.as_str(), first.message.as_str()), (path, message), "{yaml}");
    };
    check("{}", "x::r", "no resolvers specified for the exporter");
    check("{static: {hostnames: [a]}, dns: {hostname: b}}", "x::r", "only one resolver should be specified");
    check("{static: {}}", "x::r::static", "no endpoints specified for the static resolver");
    check("{static: {hostnames: ['a:x']}}", "x::r::static::hostnames[0]", "invalid port \"x\"");
    check("{static: {hostnames: ['']}}", "x::r::static::hostnames[0]", "a host name or address is expected");
    check("{dns: {port: 1}}", "x::r::dns", "no hostname specified to resolve the backends");
    check("{dns: {hostname: a, port: otlp}}", "x::r::dns::port", "invalid port \"otlp\"");
    check("{dns: {hostname: a, interval: -1s}}", "x::r::dns::interval", "must not be negative");
    check("{k8s: {}}", "x::r::k8s::service", "no service specified to resolve the backends");
    check(
        "{k8s: {service: a.b.c.d}}",
        "x::r::k8s::service",
        "invalid Kubernetes service FQDN: expected third DNS label to be 'svc' in \"a.b.c.d\"",
    );
    check("{k8s: {service: a, ports: [4317, 70000]}}", "x::r::k8s::ports[1]", "invalid port 70000");
    check("{k8s: {service: a, timeout: -1s}}", "x::r::k8s::timeout", "must not be negative");
    check("{k8s: {service: a, port: 1}}", "x::r::k8s", "has invalid keys: port (did you mean \"ports\"?)");
    check("{dns: {hostname: a, ttl: 1s}}", "x::r::dns", "has invalid keys: ttl");
}

#[test]
fn ports_may_be_numbers_and_zero_means_the_default() {
    for port in ["4317", "'4317'"] {
        let (source, problems) = read(&format!("{{dns: {{hostname: a, port: {port}, interval: 0, timeout: 0s}}}}"));
        assert!(problems.is_empty(), "{problems:?}");
        let Some(Source::Dns(dns)) = source else { panic!("{source:?}") };
        assert_eq!((dns.port, dns.interval, dns.timeout), (Some(4317), dns::INTERVAL, dns::TIMEOUT));
    }
}

#[test]
fn members_are_written_as_contrib_writes_them() {
    let member = |address: &str, port| dns::member(address.parse().unwrap(), port);
    assert_eq!(member("10.0.0.1", None), "10.0.0.1");
    assert_eq!(member("10.0.0.1", Some(4317)), "10.0.0.1:4317");
    assert_eq!(member("fd00::1", None), "[fd00::1]");
    assert_eq!(member("fd00::1", Some(1)), "[fd00::1]:1");
    assert_eq!(dial_address("a"), "a:4317");
    assert_eq!(dial_address("a:1"), "a:1");
    assert_eq!(dial_address("[fd00::1]"), "[fd00::1]:4317");
    assert_eq!(dial_address("[fd00::1]:1"), "[fd00::1]:1");
    assert_eq!(dial_address("fd00::1"), "[fd00::1]:4317");
}

#[test]
fn all_instances_look_up_at_the_same_moments() {
    let second = 1_000_000_000;
    let until_next = |now: u64| dns::until_next(now, Duration::from_secs(5));
    assert_eq!(until_next(7 * second + 1), Duration::from_nanos(3 * second - 1));
    assert_eq!(until_next(9 * second), Duration::from_secs(1));
    assert_eq!(until_next(10 * second), Duration::from_secs(5));
}

#[tokio::test]
async fn a_static_list_is_sorted_and_counted() {
    let registry = Registry::new(0);
    let (source, _) = read("{static: {hostnames: [b, a]}}");
    let resolver = Resolver::start(&source.unwrap(), &registry, &clock()).await.unwrap();
    assert_eq!(resolver.members().borrow().to_vec(), ["a", "b"]);
    let metrics = series(&registry);
    for line in [
        "otelcol_loadbalancer_num_backends{resolver=\"static\"} 2",
        "otelcol_loadbalancer_num_backend_updates{resolver=\"static\"} 1",
        "otelcol_loadbalancer_num_resolutions{resolver=\"static\",success=\"true\"} 1",
        "otelcol_loadbalancer_num_resolutions{resolver=\"static\",success=\"false\"} 0",
    ] {
        assert!(metrics.contains(&line.to_owned()), "{line} {metrics:?}");
    }
    resolver.stop().await;
}

#[tokio::test]
async fn a_name_is_resolved_and_one_that_cannot_be_leaves_the_list_empty() {
    let registry = Registry::new(0);
    let (source, _) = read("{dns: {hostname: 127.0.0.9, port: 7}}");
    let resolver = Resolver::start(&source.unwrap(), &registry, &clock()).await.unwrap();
    assert_eq!(resolver.members().borrow().to_vec(), ["127.0.0.9:7"]);
    resolver.stop().await;
    let (source, _) = read("{dns: {hostname: 'not a name'}}");
    let resolver = Resolver::start(&source.unwrap(), &registry, &clock()).await.unwrap();
    assert!(resolver.members().borrow().is_empty());
    let failed = "otelcol_loadbalancer_num_resolutions{resolver=\"dns\",success=\"false\"} 1";
    assert!(series(&registry).contains(&failed.to_owned()));
    resolver.stop().await;
}
