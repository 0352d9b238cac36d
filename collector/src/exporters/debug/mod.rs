//! The `debug` exporter: prints what arrives.
//!
//! Every level says how much arrived; `normal` adds a line an item, `detailed` every field. The text follows upstream's,
//! which "may change at any time". It goes to the collector's own log, or, with `use_internal_logger: false`, to
//! `output_paths`. There is no queue: the text is there when the caller is answered.

mod metrics_text;
mod sampling;
mod sink;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use component::{Clock, Consume, Consumer, MetricsConsumer, Signal, TracesConsumer};
use pdata::{Metrics, Traces};
use serde::Deserialize;

use crate::config::{Problems, Section};
use crate::factory::{Context, ExporterPlan, Factory, Part, StartError};
use sampling::Sampling;
use sink::Sink;

/// The factory.
pub const FACTORY: Factory<dyn ExporterPlan> = Factory { kind: "debug", alias: None, stability: "alpha", parse };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verbosity {
    Basic,
    Normal,
    Detailed,
}

/// The section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    verbosity: String,
    sampling_initial: u64,
    sampling_thereafter: u64,
    use_internal_logger: bool,
    output_paths: Option<Vec<String>>,
    sending_queue: Queue,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            verbosity: "basic".to_owned(),
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
            output_paths: None,
            sending_queue: Queue::default(),
        }
    }
}

/// Off, as upstream's default has it; turning it on is refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Queue {
    enabled: bool,
}

impl Config {
    fn verbosity(&self) -> Option<Verbosity> {
        match self.verbosity.to_ascii_lowercase().as_str() {
            "basic" => Some(Verbosity::Basic),
            "normal" => Some(Verbosity::Normal),
            "detailed" => Some(Verbosity::Detailed),
            _ => None,
        }
    }
}

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExporterPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        let verbosity = config.verbosity()?;
        Some(Box::new(Plan { config, verbosity }) as _)
    })
}

impl Config {
    fn check(&self, path: &str, problems: &mut Problems) {
        if self.verbosity().is_none() {
            problems.add(path, format!("verbosity level {:?} is not supported", self.verbosity));
        }
        match &self.output_paths {
            Some(_) if self.use_internal_logger => {
                problems.add(path, "`output_paths` requires `use_internal_logger` to be set to false");
            }
            Some(paths) if paths.is_empty() => {
                problems.add(path, "`output_paths` cannot be empty when `use_internal_logger` is set to false");
            }
            _ => {}
        }
        if self.sending_queue.enabled {
            problems.add(format!("{path}::sending_queue"), "a sending queue is not supported: nothing is sent");
        }
    }
}

struct Plan {
    config: Config,
    verbosity: Verbosity,
}

impl Plan {
    fn make(&self, context: &Context) -> Result<Arc<Debug>, StartError> {
        let sink = if self.config.use_internal_logger {
            Sink::Log
        } else {
            let stdout = vec!["stdout".to_owned()];
            Sink::open(self.config.output_paths.as_ref().unwrap_or(&stdout)).map_err(StartError)?
        };
        Ok(Arc::new(Debug {
            verbosity: self.verbosity,
            sampling: Sampling::new(self.config.sampling_initial, self.config.sampling_thereafter),
            clock: Arc::clone(&context.clock),
            sink,
        }))
    }
}

impl ExporterPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context) -> Result<Part<TracesConsumer>, StartError> {
        Ok(Part { input: self.make(context)?, lifecycle: None })
    }

    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        Ok(Part { input: self.make(context)?, lifecycle: None })
    }
}

struct Debug {
    verbosity: Verbosity,
    sampling: Sampling,
    clock: Arc<dyn Clock>,
    sink: Sink,
}

impl Debug {
    fn samples(&self) -> bool {
        self.sampling.takes(self.clock.monotonic())
    }
}

impl Consumer<Traces> for Debug {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        if self.samples() {
            self.sink.traces(batch.resource_count(), batch.span_count());
            match self.verbosity {
                Verbosity::Basic => {}
                Verbosity::Normal => self.sink.text(&text::normal(&batch)),
                Verbosity::Detailed => self.sink.text(&text::detailed(&batch)),
            }
        }
        Box::pin(async { Ok(()) })
    }
}

impl Consumer<Metrics> for Debug {
    fn consume(&self, batch: Metrics) -> Consume<'_> {
        if self.samples() {
            let metrics = batch.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
            let metrics = metrics.map(|scope| scope.metrics.len()).sum();
            self.sink.metrics(batch.resource_metrics.len(), metrics, batch.point_count());
            match self.verbosity {
                Verbosity::Basic => {}
                Verbosity::Normal => self.sink.text(&metrics_text::normal(&batch)),
                Verbosity::Detailed => self.sink.text(&metrics_text::detailed(&batch)),
            }
        }
        Box::pin(async { Ok(()) })
    }
}
