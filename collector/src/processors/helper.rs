//! What upstream's processor wrapper counts for filter, tail sampling and the memory limiter (batch does not use it).

use component::Signal;
use component::telemetry::{Counter, Definition};

use crate::factory::Context;

/// `otelcol_processor_incoming_items` and `otelcol_processor_outgoing_items` of one instance.
#[derive(Clone, Debug)]
pub struct Items {
    incoming: Counter,
    outgoing: Counter,
}

impl Items {
    /// The counters of the processor `context` is for.
    #[must_use]
    pub fn new(context: &Context, signal: Signal) -> Self {
        let id = context.id.to_string();
        let attributes = [("processor", id.as_str()), ("otel.signal", signal.as_str())];
        Self {
            incoming: context.registry.counter(INCOMING, &attributes),
            outgoing: context.registry.counter(OUTGOING, &attributes),
        }
    }

    /// A batch came in; `outgoing` of its items go on (0 if it was refused or dropped as a whole).
    pub fn record(&self, incoming: usize, outgoing: usize) {
        self.incoming.add(incoming as u64);
        self.outgoing.add(outgoing as u64);
    }
}

const SCOPE: &str = "go.opentelemetry.io/collector/processor/processorhelper";
const INCOMING: Definition = Definition {
    name: "otelcol_processor_incoming_items",
    unit: "{item}",
    description: "Number of items passed to the processor. [Alpha]",
    scope: SCOPE,
};
const OUTGOING: Definition = Definition {
    name: "otelcol_processor_outgoing_items",
    unit: "{item}",
    description: "Number of items emitted from the processor. [Alpha]",
    scope: SCOPE,
};
