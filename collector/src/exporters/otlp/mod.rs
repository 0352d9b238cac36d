//! The `otlp_grpc` exporter (`otlp` in files until now): OTLP over gRPC, the bytes as they are.

mod balancer;
mod client;
mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use component::{MetricsConsumer, Signal, TracesConsumer};

pub use client::{Client, Observer};
pub(crate) use client::{chain, log_partial_success, log_partial_success_json, user_agent};
pub use config::{Config, Endpoint};

use crate::config::{Problems, Section};
use crate::exporters::helper::{Exporter, Settings};
use crate::factory::{Context, ExporterPlan, Factory, Lifecycle, Part, StartError};
use crate::net::connect::Target;

/// The factory.
pub const FACTORY: Factory<dyn ExporterPlan> =
    Factory { kind: "otlp_grpc", alias: Some("otlp"), stability: "stable", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExporterPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config }) as _)
    })
}

struct Plan {
    config: Config,
}

impl ExporterPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context) -> Result<Part<TracesConsumer>, StartError> {
        let exporter = make(&self.config, context, Signal::Traces)?;
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }

    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        let exporter = make(&self.config, context, Signal::Metrics)?;
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }
}

/// One exporter of one signal, with queue and retries as configured.
pub fn make(config: &Config, context: &Context, signal: Signal) -> Result<Arc<Exporter>, StartError> {
    let client = Client::new(config, &context.clock).map_err(StartError)?;
    let settings = Settings {
        timeout: config.timeout.positive(),
        retry: config.retry_on_failure.clone(),
        queue: config.sending_queue.clone(),
        attributes: server_attributes(config),
    };
    Ok(Exporter::new(context, signal, settings, Box::new(client)))
}

/// `server.address` and `server.port`, as OTLP exporters add them to their metrics.
fn server_attributes(config: &Config) -> Vec<(&'static str, String)> {
    match Endpoint::parse(&config.endpoint) {
        Ok(Endpoint { target: Target::Tcp(address), .. }) => {
            vec![("server.address", address.host), ("server.port", address.port.to_string())]
        }
        Ok(Endpoint { target: Target::Unix(path), .. }) => vec![("server.address", path.display().to_string())],
        Err(_) => Vec::new(),
    }
}
