//! The `load_balancing` exporter (`loadbalancing` in files until now): divides batches by trace id, service or attributes
//! and sends each part to the backend that a hash ring names, as contrib's does.
//!
//! The path of a batch: [`split`] asks the ring and cuts the batch on its wire bytes, [`router`] hands each share to its
//! [`backend`] at the same time, and what a backend cannot take is asked about again where the ring has changed. Who is in
//! the ring comes from [`crate::cluster`].

mod backend;
mod config;
mod exporter;
mod router;
mod split;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use component::{MetricsConsumer, Signal, TracesConsumer};

pub use config::Config;

use self::exporter::LoadBalancing;
use crate::config::{Problems, Section};
use crate::factory::{Context, ExporterPlan, Factory, Lifecycle, Part, StartError};

/// The factory.
pub const FACTORY: Factory<dyn ExporterPlan> =
    Factory { kind: "load_balancing", alias: Some("loadbalancing"), stability: "traces, metrics: beta", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExporterPlan>> {
    section.read(problems, |config: Config, problems| {
        let settings = Arc::new(config.check(&section.path, problems)?);
        Some(Box::new(Plan { settings }) as _)
    })
}

struct Plan {
    settings: Arc<config::Settings>,
}

impl ExporterPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context) -> Result<Part<TracesConsumer>, StartError> {
        let exporter = Arc::new(LoadBalancing::new(&self.settings, context, Signal::Traces)?);
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }

    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        let exporter = Arc::new(LoadBalancing::new(&self.settings, context, Signal::Metrics)?);
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }
}
