//! All components of the program, one line each. `components`, the README's table and unknown-type errors read it.

use crate::factory::{ConnectorPlan, ExporterPlan, ExtensionPlan, Factory, ProcessorPlan, ReceiverPlan};
use crate::{connectors, exporters, extensions, processors, receivers};

/// Factories by kind of component. Order does not matter.
#[derive(Default)]
pub struct Factories {
    /// Receivers.
    pub receivers: Vec<Factory<dyn ReceiverPlan>>,
    /// Processors.
    pub processors: Vec<Factory<dyn ProcessorPlan>>,
    /// Exporters.
    pub exporters: Vec<Factory<dyn ExporterPlan>>,
    /// Connectors.
    pub connectors: Vec<Factory<dyn ConnectorPlan>>,
    /// Extensions.
    pub extensions: Vec<Factory<dyn ExtensionPlan>>,
}

impl Factories {
    /// What this program is built with.
    // One component a line, so that adding one is a line of its own in a diff.
    #[must_use]
    #[rustfmt::skip]
    pub fn all() -> Self {
        Self {
            receivers: vec![
                receivers::otlp::FACTORY,
            ],
            processors: vec![
                processors::batch::FACTORY,
                processors::filter::FACTORY,
                processors::k8sattributes::FACTORY,
                processors::memory_limiter::FACTORY,
                processors::tail_sampling::FACTORY,
            ],
            exporters: vec![
                exporters::debug::FACTORY,
                exporters::keda_scaler::FACTORY,
                exporters::loadbalancing::FACTORY,
                exporters::otlp::FACTORY,
                exporters::otlp_http::FACTORY,
                exporters::prometheus::FACTORY,
            ],
            connectors: vec![
                connectors::spanmetrics::FACTORY,
                connectors::forward::FACTORY,
            ],
            extensions: vec![
                extensions::file_storage::FACTORY,
                extensions::health_check::FACTORY,
            ],
        }
    }
}
