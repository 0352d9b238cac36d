//! The `otlp_http` exporter (`otlphttp` in files until now): OTLP over HTTP, as protobuf or JSON.

mod client;
mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use component::{MetricsConsumer, Signal, TracesConsumer};

pub use client::Client;
pub use config::{Config, Encoding};

use crate::config::{Problems, Section};
use crate::exporters::helper::{Exporter, Settings};
use crate::factory::{Context, ExporterPlan, Factory, Lifecycle, Part, StartError};

/// The factory.
pub const FACTORY: Factory<dyn ExporterPlan> =
    Factory { kind: "otlp_http", alias: Some("otlphttp"), stability: "stable", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExporterPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config }) as _)
    })
}

struct Plan {
    config: Config,
}

impl Plan {
    fn make(&self, context: &Context, signal: Signal) -> Result<Arc<Exporter>, StartError> {
        let client = Client::new(&self.config, signal, &context.clock).map_err(StartError)?;
        let url = self.config.url(signal).map_err(StartError)?;
        let address = client::address(&url);
        let attributes = vec![
            ("server.address", address.host),
            ("server.port", address.port.to_string()),
            ("url.path", url.path().to_owned()),
        ];
        let settings = Settings {
            timeout: self.config.timeout.positive(),
            retry: self.config.retry_on_failure.clone(),
            queue: self.config.sending_queue.clone(),
            attributes,
        };
        Ok(Exporter::new(context, signal, settings, Box::new(client)))
    }
}

impl ExporterPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context) -> Result<Part<TracesConsumer>, StartError> {
        let exporter = self.make(context, Signal::Traces)?;
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }

    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        let exporter = self.make(context, Signal::Metrics)?;
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }
}
