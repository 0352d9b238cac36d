//! The section: what it means, and upstream's texts for its mistakes.

use ::connectors::spanmetrics::{Config as Settings, Histogram, Temporality, Unit};

use super::super::config::Config;
use crate::config::{Problems, Section};

fn read(yaml: &str) -> (Option<Settings>, Vec<String>) {
    let section = Section::parse("spanmetrics", "connectors", yaml).unwrap();
    let mut problems = Problems::default();
    let settings = section
        .decode::<Config>(&mut problems)
        .and_then(|config| config.check(&section.path, &mut problems))
        .filter(|_| problems.is_empty());
    (settings, problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect())
}

fn settings(yaml: &str) -> Settings {
    let (settings, mistakes) = read(yaml);
    settings.unwrap_or_else(|| panic!("{mistakes:?}"))
}

/// Only the last part of the path differs, so mostly the message is enough.
fn mistake(yaml: &str) -> String {
    let (settings, mistakes) = read(yaml);
    assert!(settings.is_none() && mistakes.len() == 1, "{mistakes:?}");
    mistakes[0].strip_prefix("connectors::spanmetrics: ").unwrap_or(&mistakes[0]).to_owned()
}

#[test]
fn defaults() {
    let defaults = settings("");
    let Histogram::Explicit { bounds } = &defaults.histogram else { panic!() };
    assert_eq!((bounds.len(), bounds[0], bounds[15]), (16, 2.0, 15_000.0));
    assert_eq!(defaults.unit, Unit::Milliseconds);
    assert_eq!(defaults.temporality, Temporality::Cumulative);
    assert_eq!((defaults.resource_cache_size, defaults.timestamp_cache_size), (1000, 1000));
    assert_eq!((defaults.exemplars, defaults.cardinality_limit), (None, 0));
    assert!(defaults.event_dimensions.is_none() && defaults.resource_attributes);
    assert_eq!(settings("histogram: {explicit: null, exponential: null}").histogram, defaults.histogram);
}

#[test]
fn everything() {
    let full = settings(
        "
dimensions: [{name: a, default: ''}, {glob: 'b.*'}]
calls_dimensions: [{name: a}]
histogram:
  unit: S
  explicit: {buckets: [1s, 10ms, 100ms, 10ms]}
  dimensions: [{name: a}]
exemplars: {enabled: true, max_per_data_point: 7}
events: {enabled: true, dimensions: [{name: e}]}
resource_metrics_cache_size: 1600
aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA
metrics_flush_interval: 30s
metrics_expiration: 1m
series_expiration: 5m
metric_timestamp_cache_size: 123
namespace: ''
aggregation_cardinality_limit: 9
exclude_dimensions: [span.kind]
resource_metrics_key_attributes: [service.name]
include_instrumentation_scope: [lib]
enable_metrics_sampling_method: true
add_resource_attributes: true
dimensions_cache_size: 5
",
    );
    assert_eq!(full.histogram, Histogram::Explicit { bounds: vec![0.01, 0.1, 1.0] });
    assert_eq!((full.unit, full.temporality), (Unit::Seconds, Temporality::Delta));
    assert_eq!((full.exemplars, full.event_dimensions.map(|list| list.len())), (Some(7), Some(1)));
    assert_eq!((full.metrics_expiration_nano, full.series_expiration_nano), (60_000_000_000, 300_000_000_000));
    assert_eq!((full.resource_cache_size, full.timestamp_cache_size, full.cardinality_limit), (1600, 123, 9));
    assert_eq!(full.dimensions.len() + full.calls_dimensions.len() + full.duration_dimensions.len(), 4);
}

#[test]
fn histograms() {
    assert_eq!(settings("histogram: {disable: true}").histogram, Histogram::Disabled);
    assert_eq!(settings("histogram: {exponential: {}}").histogram, Histogram::Exponential { max_size: 160 });
    assert_eq!(settings("histogram: {exponential: {max_size: 10}}").histogram, Histogram::Exponential { max_size: 10 });
    assert_eq!(settings("histogram: {explicit: {}}").histogram, Histogram::Explicit { bounds: Vec::new() });
    assert_eq!(
        mistake("histogram: {explicit: {buckets: [1s]}, exponential: {max_size: 10}}"),
        "use either `explicit` or `exponential` buckets histogram"
    );
    assert!(mistake("histogram: {unit: h}").contains("unknown Unit \"h\", allowed units are \"ms\" and \"s\""));
}

#[test]
fn mistakes() {
    for (yaml, message) in [
        (
            "dimensions: [{name: a, glob: b}]",
            "failed validating dimensions: dimension entry must set only one of `name` or `glob`, got both: \
             name=\"a\" glob=\"b\"",
        ),
        (
            "calls_dimensions: [{name: span.kind}]",
            "failed validating calls dimensions: duplicate dimension name \"span.kind\"",
        ),
        (
            "histogram: {dimensions: [{}]}",
            "failed validating histogram dimensions: dimension entry must set one of `name` or `glob`",
        ),
        (
            "events: {enabled: true, dimensions: [{name: a}, {name: a}]}",
            "failed validating event dimensions: duplicate dimension name \"a\"",
        ),
        ("events: {enabled: true}", "failed validating event dimensions: no dimensions configured for events"),
        ("metrics_flush_interval: -5s", "invalid metrics_flush_interval: -5s, the duration should be positive"),
        ("metrics_flush_interval: 0s", "invalid metrics_flush_interval: 0s, the duration should be positive"),
        ("metrics_expiration: -1m", "invalid metrics_expiration: -1m0s, the duration should be positive"),
        ("series_expiration: -1s", "invalid series_expiration: -1s, the duration should be positive"),
        (
            "aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA\nmetric_timestamp_cache_size: 0",
            "invalid delta timestamp cache size: 0, the maximum number of the items in the cache should be positive",
        ),
        (
            "aggregation_cardinality_limit: -1",
            "invalid aggregation_cardinality_limit: -1, the limit should be positive",
        ),
        (
            "exemplars: {enabled: true, max_per_data_point: -1}",
            "invalid max_per_data_point: -1, the value should be positive",
        ),
        (
            "resource_metrics_cache_size: 0",
            "connectors::spanmetrics::resource_metrics_cache_size: must provide a positive size",
        ),
    ] {
        assert_eq!(mistake(yaml), message);
    }
    assert!(mistake("aggregation_temporality: delta").contains("unknown aggregation_temporality \"delta\""));
    assert!(read("unknown_key: 1").0.is_none());
    // What is off is not looked at.
    settings("events: {dimensions: [{name: a}, {name: a}]}");
    settings("exemplars: {max_per_data_point: -1}");
    settings("metric_timestamp_cache_size: 0");
    // All of them are told at once.
    assert_eq!(read("metrics_expiration: -1s\nseries_expiration: -1s\nevents: {enabled: true}").1.len(), 3);
}

#[test]
fn what_has_no_effect_is_said() {
    let remarks = |yaml: &str| {
        let section = Section::parse("spanmetrics", "connectors", yaml).unwrap();
        section.decode::<Config>(&mut Problems::default()).unwrap().remarks()
    };
    assert!(remarks("").is_empty());
    assert_eq!(remarks("dimensions_cache_size: 5\nexclude_dimensions: [span.kind, wrong]").len(), 2);
}
