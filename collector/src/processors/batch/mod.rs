//! The `batch` processor: payloads are merged until `send_batch_size` items or `timeout`, and cut at
//! `send_batch_max_size`.
//!
//! As upstream, the caller hands over into a short queue (one payload a CPU), waits while it is full, and is always
//! told success; what fails further down is logged and lost. Merging appends rows and shares buffers: no span is
//! copied. The one difference: the timer runs only while something waits, so a payload waits `timeout` and not up to it.

mod payload;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

use component::{Consume, ConsumeError, Consumer, MetricsConsumer, Signal, TracesConsumer};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::{Duration, Problems, Section};
use crate::factory::{Context, Factory, Lifecycle, Part, ProcessorPlan, StartError, Step};
use crate::health::Watch;
pub use payload::Payload;
use worker::Worker;

/// The factory.
pub const FACTORY: Factory<dyn ProcessorPlan> = Factory { kind: "batch", alias: None, stability: "stable", parse };

/// The section.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    timeout: Duration,
    send_batch_size: u32,
    send_batch_max_size: u32,
    metadata_keys: Vec<String>,
    // Matters only with metadata keys, which are refused.
    metadata_cardinality_limit: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(200),
            send_batch_size: 8192,
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ProcessorPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config }) as _)
    })
}

impl Config {
    fn check(&self, path: &str, problems: &mut Problems) {
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            problems.add(path, "send_batch_max_size must be greater or equal to send_batch_size");
        }
        if self.timeout.is_negative() {
            problems.add(path, "timeout must be greater or equal to 0");
        }
        let mut seen = Vec::new();
        for key in self.metadata_keys.iter().map(|key| key.to_lowercase()) {
            if seen.contains(&key) {
                problems.add(path, format!("duplicate entry in metadata_keys: {key:?} (case-insensitive)"));
            }
            seen.push(key);
        }
        if !self.metadata_keys.is_empty() {
            problems.add(
                format!("{}::metadata_keys", path),
                "batching by client metadata is not supported: no component here keeps it",
            );
        }
    }
}

struct Plan {
    config: Config,
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let batch = Batch::new(&self.config, context, next);
        Ok(Part { input: Arc::clone(&batch) as _, lifecycle: Some(batch as _) })
    }

    fn make_metrics(&self, context: &Context, next: MetricsConsumer) -> Result<Part<MetricsConsumer>, StartError> {
        let batch = Batch::new(&self.config, context, next);
        Ok(Part { input: Arc::clone(&batch) as _, lifecycle: Some(batch as _) })
    }
}

/// One instance, of one pipeline.
pub struct Batch<T> {
    queue: mpsc::Sender<T>,
    worker: Mutex<Option<Worker<T>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
    watch: Watch,
}

impl<T: Payload> Batch<T> {
    /// Makes it; the worker begins with [`Lifecycle::start`].
    #[must_use]
    pub fn new(config: &Config, context: &Context, next: Arc<dyn Consumer<T>>) -> Arc<Self> {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (queue, arrivals) = mpsc::channel(cpus);
        let (stop, stopped) = watch::channel(false);
        let worker = Mutex::new(Some(Worker::new(config, context, next, arrivals, stopped)));
        Arc::new(Self { queue, worker, task: Mutex::default(), stop, watch: context.watch("processor") })
    }
}

impl<T: Payload> Consumer<T> for Batch<T> {
    fn consume(&self, batch: T) -> Consume<'_> {
        Box::pin(async move {
            // Closed only once shutdown has begun, when no more calls come from a receiver that was shut down before.
            self.queue.send(batch).await.map_err(|_| ConsumeError::retryable("the batch processor is stopped"))
        })
    }
}

impl<T: Payload> Lifecycle for Batch<T> {
    fn start(&self) -> Step<'_> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            let task = tokio::spawn(self.watch.task(worker.run()));
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.stop.send_replace(true);
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(task) = task {
                task.await.map_err(|error| StartError(error.to_string()))?;
            }
            Ok(())
        })
    }
}
