//! Mistakes in the section.

use super::*;

#[test]
fn the_endpoint_is_required() {
    let blank =
        ["exporters::prometheus::endpoint: expecting a non-blank address to run the Prometheus metrics handler"];
    assert_eq!(problems(""), blank);
    assert_eq!(problems("endpoint: ' '"), blank);
    assert!(problems("endpoint: 127.0.0.1:0").is_empty());
    assert_eq!(problems("endpoint: nowhere").len(), 1);
}

#[test]
fn mistakes_are_all_reported() {
    let yaml = "
endpoint: 127.0.0.1:0
translation_strategy: Wrong
metric_expiration: 0s
const_labels: {__name__: x}
write_timeout: 5s
include_metadata: true
cors: {allowed_origins: ['*']}
auth: {authenticator: x}
sending_queue: {enabled: true}
resource_to_telemetry_conversion: {enabled: true}
resource_constant_labels: {included: ['*']}
response_headers: {'bad name': x}
";
    insta::assert_snapshot!(problems(yaml).join("\n"));
}

#[test]
fn flags_of_the_conversion_are_no_keys_of_the_new_block() {
    let mistakes = problems("endpoint: 127.0.0.1:0\nresource_constant_labels: {enabled: true}");
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].contains("enabled"), "{mistakes:?}");
    assert_eq!(problems("endpoint: 127.0.0.1:0\nunknown: 1").len(), 1);
}

#[test]
fn what_has_no_effect_is_said() {
    assert!(configured("").remarks().is_empty());
    let remarks = configured("add_metric_suffixes: false\nresource_to_telemetry_conversion: {enabled: true}").remarks();
    assert_eq!(remarks.len(), 2);
}
