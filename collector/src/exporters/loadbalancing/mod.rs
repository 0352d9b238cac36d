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
    let before = problems.list().len();
    let config: Config = section.decode(problems)?;
    let settings = config.check(&section.path, problems);
    let plan = settings.map(|settings| Box::new(Plan { settings: Arc::new(settings) }) as Box<dyn ExporterPlan>);
    plan.filter(|_| problems.list().len() == before)
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
