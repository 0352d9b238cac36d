//! The size of a trace as contrib measures it: the protobuf encoding of what it buffers.
//!
//! contrib regroups every request by trace: each part of a trace is a ResourceSpans with a copy of the resource and
//! ScopeSpans with copies of the scopes, without schema URLs. The sizes of these messages are followed span by span.

/// The ResourceSpans and ScopeSpans that a trace's next span may be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    part: u32,
    scope: u32,
    resource_spans: u32,
    scope_spans: u32,
}

impl Default for Group {
    fn default() -> Self {
        Self { part: u32::MAX, scope: u32::MAX, resource_spans: 0, scope_spans: 0 }
    }
}

/// Where a span stands, and the lengths around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Number of the ResourceSpans, different from those of recent batches.
    pub(super) part: u32,
    /// Row of the scope in the batch.
    pub(super) scope: u32,
    /// Length of the Resource message.
    pub(super) resource_len: u32,
    /// Length of the InstrumentationScope message.
    pub(super) scope_len: u32,
}

/// How much larger a trace has become, in the two measures that contrib takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    /// Of the whole trace as one TracesData message: what `bytes_limiting` costs.
    pub(super) encoded: u64,
    /// Of the ResourceSpans messages alone: what `maximum_trace_size_bytes` limits.
    pub(super) received: u64,
}

impl Group {
    /// The ResourceSpans that the trace's last span came in.
    pub(super) fn part(&self) -> u32 {
        self.part
    }

    /// Adds a span of `span_len` bytes and returns by how much the trace has grown.
    pub(super) fn add(&mut self, place: Place, span_len: u32) -> Growth {
        let (mut before, mut body_before) = (field(self.resource_spans), self.resource_spans);
        if self.part != place.part {
            *self = Self {
                part: place.part,
                scope: u32::MAX,
                resource_spans: narrow(field(place.resource_len)),
                scope_spans: 0,
            };
            (before, body_before) = (0, 0);
        }
        if self.scope != place.scope {
            self.scope = place.scope;
            self.scope_spans = narrow(field(place.scope_len));
            self.resource_spans = narrow(u64::from(self.resource_spans) + field(self.scope_spans));
        }
        let scope_before = field(self.scope_spans);
        self.scope_spans = narrow(u64::from(self.scope_spans) + field(span_len));
        let grown = field(self.scope_spans) - scope_before;
        self.resource_spans = narrow(u64::from(self.resource_spans) + grown);
        Growth { encoded: field(self.resource_spans) - before, received: u64::from(self.resource_spans - body_before) }
    }
}

/// Bytes of a length-delimited field with a number below 16. Lengths within one request fit 32 bits; this is asked five times a
/// span, and comparisons are quicker than counting bits and dividing by seven.
#[inline]
fn field(len: u32) -> u64 {
    let more = |bits: u32| u64::from(len >> bits != 0);
    2 + more(7) + more(14) + more(21) + more(28) + u64::from(len)
}

/// Lengths within one request fit 32 bits.
fn narrow(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn scope(len: usize) -> InstrumentationScope {
        InstrumentationScope { name: "s".repeat(len), ..InstrumentationScope::default() }
    }

    fn span(len: usize) -> Span {
        Span { name: "n".repeat(len), ..Span::default() }
    }

    proptest! {
        /// Requests of resources of scopes of span name lengths.
        #[test]
        fn is_what_prost_encodes(
            requests in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(prop::collection::vec(0_usize..300, 1..20), 1..4), 1..4),
                1..4,
            ),
        ) {
            let (mut group, mut total, mut received) = (Group::default(), 0, 0);
            let mut whole = TracesData::default();
            let mut part = 0;
            for request in &requests {
                let mut scope_row = 0;
                for (resource, scopes) in request.iter().enumerate() {
                    let message = Resource { dropped_attributes_count: resource as u32 * 100, ..Resource::default() };
                    let mut out = ResourceSpans { resource: Some(message.clone()), ..ResourceSpans::default() };
                    for spans in scopes {
                        let name = scope(spans.len());
                        for len in spans {
                            let place = Place {
                                part,
                                scope: scope_row,
                                resource_len: message.encoded_len() as u32,
                                scope_len: name.encoded_len() as u32,
                            };
                            let growth = group.add(place, span(*len).encoded_len() as u32);
                            total += growth.encoded;
                            received += growth.received;
                        }
                        out.scope_spans.push(ScopeSpans {
                            scope: Some(name),
                            spans: spans.iter().map(|len| span(*len)).collect(),
                            ..ScopeSpans::default()
                        });
                        scope_row += 1;
                    }
                    whole.resource_spans.push(out);
                    part += 1;
                }
            }
            prop_assert_eq!(total, whole.encoded_len() as u64);
            prop_assert_eq!(received, whole.resource_spans.iter().map(|r| r.encoded_len() as u64).sum::<u64>());
        }
    }
}
