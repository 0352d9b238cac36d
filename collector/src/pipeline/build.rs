//! Makes the parts of all pipelines, downstream first, so that each part is made with its next consumer.
//!
//! One receiver an id, one exporter an (id, signal), one processor a (pipeline, id), one connector an
//! (id, from, to). Nothing is started. The graph must have been checked: there are no cycles and all signals fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use component::{Id, MetricsConsumer, Signal, TracesConsumer};

use super::fanout::FanOut;
use super::graph::{connects, fed_by, is_connector};
use crate::config::{Component, Config, Pipeline};
use crate::factory::{Context, Lifecycle, Outputs, Part, StartError};

/// Why the pipelines cannot be built. The text is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

impl BuildError {
    fn new(cause: &str) -> Self {
        Self(format!("failed to build pipelines: {cause}"))
    }

    pub(super) fn extension(id: &Id, cause: &StartError) -> Self {
        Self(format!("failed to build extensions: failed to create extension \"{id}\": {cause}"))
    }
}

/// A made part with tasks or sockets of its own.
pub struct Running {
    /// Its id.
    pub id: Id,
    /// `receiver`, `processor`, `exporter`, `connector`.
    pub kind: &'static str,
    /// Its life.
    pub lifecycle: Arc<dyn Lifecycle>,
}

impl Running {
    /// What log lines of the part carry while it starts and stops, and those of tasks that it spawns in this span.
    pub(super) fn log_span(&self) -> tracing::Span {
        tracing::error_span!("component", "otelcol.component.id" = %self.id, "otelcol.component.kind" = self.kind)
    }
}

/// All parts of all pipelines, in the order in which they are to be started.
#[derive(Default)]
pub struct Parts {
    /// Exporters, then processors and connectors with the downstream ones first, then receivers.
    pub running: Vec<Running>,
}

/// Makes everything that a pipeline uses. `base` gives what all parts have in common; its id and pipeline are replaced.
pub fn build(config: &Config, base: &Context) -> Result<Parts, BuildError> {
    let mut builder = Builder {
        config,
        base,
        exporters: Vec::new(),
        middle: Vec::new(),
        receivers: Vec::new(),
        made_exporters: BTreeMap::new(),
        made_connectors: BTreeMap::new(),
        made_pipelines: BTreeMap::new(),
    };
    for pipeline in &config.service.pipelines {
        builder.pipeline(pipeline)?;
    }
    builder.make_receivers()?;
    let mut running = builder.exporters;
    running.append(&mut builder.middle);
    running.append(&mut builder.receivers);
    Ok(Parts { running })
}

/// The head of something that takes data.
#[derive(Clone)]
enum Entry {
    Traces(TracesConsumer),
    Metrics(MetricsConsumer),
}

struct Builder<'c> {
    config: &'c Config,
    base: &'c Context,
    exporters: Vec<Running>,
    middle: Vec<Running>,
    receivers: Vec<Running>,
    made_exporters: BTreeMap<(Id, Signal), Entry>,
    made_connectors: BTreeMap<(Id, Signal, Signal), Entry>,
    made_pipelines: BTreeMap<Arc<str>, Entry>,
}

const UNSUPPORTED: &str = "telemetry type is not supported";

impl Builder<'_> {
    fn context(&self, id: &Id, pipeline: Option<&Pipeline>) -> Context {
        Context { id: id.clone(), pipeline: pipeline.map(|pipeline| pipeline.id.clone()), ..self.base.clone() }
    }

    /// The head of a pipeline, made with all that is behind it if it was not yet.
    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<Entry, BuildError> {
        if let Some(entry) = self.made_pipelines.get(&pipeline.id) {
            return Ok(entry.clone());
        }
        let mut targets = Vec::new();
        for id in &pipeline.exporters {
            if is_connector(self.config, id) {
                self.connector(id, pipeline.signal, &mut targets)?;
            } else {
                targets.push(self.exporter(id, pipeline.signal)?);
            }
        }
        let mut entry = fan_out(pipeline.signal, targets);
        for id in pipeline.processors.iter().rev() {
            entry = self.processor(id, pipeline, entry)?;
        }
        // Only extensions ask.
        if !self.config.service.extensions.is_empty() {
            let (health, clock) = (&self.base.health, &self.base.clock);
            entry = match entry {
                Entry::Traces(head) => Entry::Traces(health.monitor(&pipeline.id, clock, head)),
                Entry::Metrics(head) => Entry::Metrics(health.monitor(&pipeline.id, clock, head)),
            };
        }
        self.made_pipelines.insert(pipeline.id.clone(), entry.clone());
        Ok(entry)
    }

    fn exporter(&mut self, id: &Id, signal: Signal) -> Result<Entry, BuildError> {
        let key = (id.clone(), signal);
        if let Some(entry) = self.made_exporters.get(&key) {
            return Ok(entry.clone());
        }
        let failed = |cause: StartError| {
            BuildError::new(&format!("failed to create \"{id}\" exporter for data type \"{signal}\": {cause}"))
        };
        let plan = plan(&self.config.exporters, id).ok_or_else(|| missing("exporter", id))?;
        let context = self.context(id, None);
        let (entry, lifecycle) = match signal {
            Signal::Traces => traces(plan.make_traces(&context).map_err(failed)?),
            Signal::Metrics => metrics(plan.make_metrics(&context).map_err(failed)?),
            Signal::Logs => return Err(failed(StartError(UNSUPPORTED.to_owned()))),
        };
        self.exporters.extend(lifecycle.map(|lifecycle| Running { id: id.clone(), kind: "exporter", lifecycle }));
        self.made_exporters.insert(key, entry.clone());
        Ok(entry)
    }

    fn processor(&mut self, id: &Id, pipeline: &Pipeline, next: Entry) -> Result<Entry, BuildError> {
        let failed = |cause: StartError| {
            BuildError::new(&format!("failed to create \"{id}\" processor, in pipeline \"{}\": {cause}", pipeline.id))
        };
        let plan = plan(&self.config.processors, id).ok_or_else(|| missing("processor", id))?;
        let context = self.context(id, Some(pipeline));
        let (entry, lifecycle) = match next {
            Entry::Traces(next) => traces(plan.make_traces(&context, next).map_err(failed)?),
            Entry::Metrics(next) => metrics(plan.make_metrics(&context, next).map_err(failed)?),
        };
        self.middle.extend(lifecycle.map(|lifecycle| Running { id: id.clone(), kind: "processor", lifecycle }));
        Ok(entry)
    }

    /// Adds the heads of all instances of a connector that take `from`.
    fn connector(&mut self, id: &Id, from: Signal, targets: &mut Vec<Entry>) -> Result<(), BuildError> {
        let config = self.config;
        for to in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            let mut next = Vec::new();
            if !connects(config, id, from, to) {
                continue;
            }
            let key = (id.clone(), from, to);
            if let Some(entry) = self.made_connectors.get(&key) {
                targets.push(entry.clone());
                continue;
            }
            for pipeline in fed_by(config, id, to) {
                next.push(self.pipeline(pipeline)?);
            }
            if next.is_empty() {
                continue;
            }
            let failed = |cause: StartError| {
                BuildError::new(&format!("failed to create \"{id}\" connector from {from} to {to}: {cause}"))
            };
            let plan = plan(&config.connectors, id).ok_or_else(|| missing("connector", id))?;
            let context = self.context(id, None);
            let part = match (from, fan_out(to, next)) {
                (Signal::Traces, Entry::Traces(next)) => {
                    traces(plan.make_traces_to_traces(&context, next).map_err(failed)?)
                }
                (Signal::Traces, Entry::Metrics(next)) => {
                    traces(plan.make_traces_to_metrics(&context, next).map_err(failed)?)
                }
                (Signal::Metrics, Entry::Metrics(next)) => {
                    metrics(plan.make_metrics_to_metrics(&context, next).map_err(failed)?)
                }
                _ => return Err(failed(StartError(UNSUPPORTED.to_owned()))),
            };
            let (entry, lifecycle) = part;
            self.middle.extend(lifecycle.map(|lifecycle| Running { id: id.clone(), kind: "connector", lifecycle }));
            self.made_connectors.insert(key, entry.clone());
            targets.push(entry);
        }
        Ok(())
    }

    fn make_receivers(&mut self) -> Result<(), BuildError> {
        let config = self.config;
        for receiver in &config.receivers {
            let id = &receiver.id;
            let fed = |signal| fed_by(config, id, signal).map(|pipeline| pipeline.id.clone()).collect::<Vec<_>>();
            let heads = |signal| {
                let entries = fed(signal).iter().filter_map(|id| self.made_pipelines.get(id).cloned()).collect();
                fan_out(signal, entries)
            };
            let mut outputs = Outputs::default();
            let mut signals = Vec::new();
            if !fed(Signal::Traces).is_empty() {
                signals.push("traces");
                outputs.traces = heads(Signal::Traces).traces();
            }
            if !fed(Signal::Metrics).is_empty() {
                signals.push("metrics");
                outputs.metrics = heads(Signal::Metrics).metrics();
            }
            // Configured but unused: checked, never made.
            if signals.is_empty() {
                continue;
            }
            let plan = receiver.plan.as_ref().ok_or_else(|| missing("receiver", id))?;
            let context = self.context(id, None);
            let lifecycle = plan.make(&context, outputs).map_err(|cause| {
                let signals = signals.join(", ");
                BuildError::new(&format!("failed to create \"{id}\" receiver for data type \"{signals}\": {cause}"))
            })?;
            self.receivers.push(Running { id: id.clone(), kind: "receiver", lifecycle });
        }
        Ok(())
    }
}

impl Entry {
    fn traces(self) -> Option<TracesConsumer> {
        match self {
            Self::Traces(consumer) => Some(consumer),
            Self::Metrics(_) => None,
        }
    }

    fn metrics(self) -> Option<MetricsConsumer> {
        match self {
            Self::Metrics(consumer) => Some(consumer),
            Self::Traces(_) => None,
        }
    }
}

fn plan<'c, P: ?Sized>(all: &'c [Component<P>], id: &Id) -> Option<&'c Arc<P>> {
    all.iter().find(|component| component.id == *id)?.plan.as_ref()
}

fn missing(kind: &str, id: &Id) -> BuildError {
    BuildError::new(&format!("{kind} factory not available for: \"{id}\""))
}

type Made = (Entry, Option<Arc<dyn Lifecycle>>);

fn traces(part: Part<TracesConsumer>) -> Made {
    (Entry::Traces(part.input), part.lifecycle)
}

fn metrics(part: Part<MetricsConsumer>) -> Made {
    (Entry::Metrics(part.input), part.lifecycle)
}

/// Entries of another signal cannot be here: the graph was checked.
fn fan_out(signal: Signal, entries: Vec<Entry>) -> Entry {
    match signal {
        Signal::Metrics => Entry::Metrics(FanOut::over(entries.into_iter().filter_map(Entry::metrics).collect())),
        Signal::Traces | Signal::Logs => {
            Entry::Traces(FanOut::over(entries.into_iter().filter_map(Entry::traces).collect()))
        }
    }
}
