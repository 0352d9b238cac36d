use super::*;
use crate::testing::Sample;

#[test]
fn rebuilds_what_it_is_given() {
    // More than one buffer holds, under test.
    let sample = Sample { n_resources: 3, n_spans: 10, ..Sample::default() };
    let traces = sample.traces();
    let mut builder = TracesBuilder::with_capacity(30, 4096);
    for resource in traces.resources() {
        builder.resource(resource.resource(), resource.schema_url());
        for scope in resource.scopes() {
            builder.scope(scope.scope(), scope.schema_url());
            for span in scope.spans() {
                builder.span(*span.trace_id(), span.bytes());
            }
        }
    }
    assert_eq!(builder.span_count(), 30);
    assert!((30 * 600..sample.encode().len()).contains(&builder.byte_len()));
    let built = builder.build();
    assert!(built.buffers.len() > 1);
    assert_eq!(built.encode(), sample.encode());
    assert!(built.trace_ids().eq(traces.trace_ids()));
}

#[test]
fn envelopes_that_were_not_started_are_empty() {
    let mut builder = TracesBuilder::new();
    builder.span([1; 16], &[]);
    builder.resource(&[0x10, 1], b"");
    builder.span([2; 16], &[]);
    let traces = builder.build();
    assert_eq!((traces.resource_count(), traces.scope_count(), traces.span_count()), (2, 2, 2));
    assert_eq!(traces.encode(), &[0x0a, 4, 0x12, 2, 0x12, 0, 0x0a, 8, 0x0a, 2, 0x10, 1, 0x12, 2, 0x12, 0][..]);
}
