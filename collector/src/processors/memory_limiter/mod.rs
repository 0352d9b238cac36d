//! The `memory_limiter` processor: refuses data while the process uses too much memory.
//!
//! Thresholds, order of steps, texts and metrics are upstream's. What is measured and what "garbage collection" means
//! here is told in [`crate::memory`]. One limiter serves all pipelines that list the same id. A refusal is retryable:
//! the client is told `Unavailable` (503).

mod config;
mod limiter;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use component::telemetry::{Counter, Definition};
use component::{Clock, Consume, ConsumeError, Consumer, MetricsConsumer, Signal, TracesConsumer};
use pdata::{Metrics, Traces};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use config::Config;
pub use limiter::{Change, Gates, Limiter, Limits};

use crate::config::{Problems, Section};
use crate::factory::{Context, Factory, Lifecycle, Part, ProcessorPlan, StartError, Step};
use crate::memory;
use crate::processors::helper::Items;

/// The factory.
pub const FACTORY: Factory<dyn ProcessorPlan> =
    Factory { kind: "memory_limiter", alias: None, stability: "stable", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ProcessorPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config, shared: Mutex::default() }) as _)
    })
}

struct Plan {
    config: Config,
    /// The one limiter of all pipelines.
    shared: Mutex<Option<Arc<Watch>>>,
}

impl Plan {
    fn watch(&self, context: &Context) -> Result<Arc<Watch>, StartError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &*shared {
            return Ok(Arc::clone(watch));
        }
        let limits = self.config.limits(memory::total).map_err(StartError)?;
        let watch = Arc::new(Watch::new(limits, &self.config, Arc::clone(&context.clock)));
        *shared = Some(Arc::clone(&watch));
        Ok(watch)
    }
}

impl ProcessorPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let watch = self.watch(context)?;
        let gate = Gate::new(context, Signal::Traces, Arc::clone(&watch), next);
        Ok(Part { input: Arc::new(gate), lifecycle: Some(Arc::new(User(watch))) })
    }

    fn make_metrics(&self, context: &Context, next: MetricsConsumer) -> Result<Part<MetricsConsumer>, StartError> {
        let watch = self.watch(context)?;
        let gate = Gate::new(context, Signal::Metrics, Arc::clone(&watch), next);
        Ok(Part { input: Arc::new(gate), lifecycle: Some(Arc::new(User(watch))) })
    }
}

/// Looks at memory every `check_interval` while somebody uses it.
struct Watch {
    refusing: Arc<AtomicBool>,
    limits: Limits,
    config: Config,
    clock: Arc<dyn Clock>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    users: usize,
    task: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Watch {
    fn new(limits: Limits, config: &Config, clock: Arc<dyn Clock>) -> Self {
        let (refusing, running) = (Arc::default(), Mutex::default());
        Self { refusing, limits, config: config.clone(), clock, running }
    }

    fn start(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.users += 1;
        if running.users > 1 {
            return;
        }
        tracing::info!(
            limit_mib = self.limits.hard >> 20,
            spike_limit_mib = (self.limits.hard - self.limits.soft) >> 20,
            check_interval = ?self.config.check_interval(),
            "Memory limiter configured"
        );
        let (stop, mut stopped) = watch::channel(false);
        let (refusing, clock) = (Arc::clone(&self.refusing), Arc::clone(&self.clock));
        let mut limiter = Limiter::new(self.limits, self.config.gates());
        let mut ticks = tokio::time::interval(self.config.check_interval());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = ticks.tick() => look(&mut limiter, &refusing, &*clock),
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
            }
        });
        running.task = Some((stop, task));
    }

    async fn stop(&self) {
        let last = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.users = running.users.saturating_sub(1);
            if running.users == 0 { running.task.take() } else { None }
        };
        if let Some((stop, task)) = last {
            stop.send_replace(true);
            // The task cannot panic: it only reads files and logs.
            let _ended = task.await;
        }
    }
}

fn look(limiter: &mut Limiter, refusing: &AtomicBool, clock: &dyn Clock) {
    // Where the kernel does not tell, nothing is ever refused.
    let used = || memory::resident().unwrap_or_default();
    let change = limiter.look(clock.monotonic(), used, |is_hard| {
        let cur_mem_mib = used() >> 20;
        if is_hard {
            tracing::warn!(cur_mem_mib, "Memory usage is above hard limit. Forcing a GC.");
        } else {
            tracing::info!(cur_mem_mib, "Memory usage is above soft limit. Forcing a GC.");
        }
        memory::shed();
        tracing::info!(cur_mem_mib = used() >> 20, "Memory usage after GC.");
    });
    refusing.store(limiter.refuses(), Ordering::Relaxed);
    match change {
        Change::None => {}
        Change::Refuses => {
            tracing::warn!(cur_mem_mib = used() >> 20, "Memory usage is above soft limit. Refusing data.");
        }
        Change::Accepts => {
            tracing::info!(cur_mem_mib = used() >> 20, "Memory usage back within limits. Resuming normal operation.")
        }
    }
}

/// A pipeline's hold on the shared watch.
struct User(Arc<Watch>);

impl Lifecycle for User {
    fn start(&self) -> Step<'_> {
        self.0.start();
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.0.stop().await;
            Ok(())
        })
    }
}

/// What stands in a pipeline.
struct Gate<T> {
    watch: Arc<Watch>,
    next: Arc<dyn Consumer<T>>,
    accepted: Counter,
    refused: Counter,
    items: Items,
}

impl<T> Gate<T> {
    fn new(context: &Context, signal: Signal, watch: Arc<Watch>, next: Arc<dyn Consumer<T>>) -> Self {
        let id = context.id.to_string();
        let attributes = [("processor", id.as_str())];
        let [accepted, refused] = match signal {
            Signal::Traces => SPANS,
            Signal::Metrics => POINTS,
            Signal::Logs => RECORDS,
        };
        Self {
            watch,
            next,
            accepted: context.registry.counter(accepted, &attributes),
            refused: context.registry.counter(refused, &attributes),
            items: Items::new(context, signal),
        }
    }

    fn pass(&self, batch: T, items: usize) -> Consume<'_> {
        if self.watch.refusing.load(Ordering::Relaxed) {
            self.refused.add(items as u64);
            self.items.record(items, 0);
            return Box::pin(async { Err(ConsumeError::retryable("data refused due to high memory usage")) });
        }
        self.accepted.add(items as u64);
        self.items.record(items, items);
        self.next.consume(batch)
    }
}

impl Consumer<Traces> for Gate<Traces> {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        let items = batch.span_count();
        self.pass(batch, items)
    }
}

impl Consumer<Metrics> for Gate<Metrics> {
    fn consume(&self, batch: Metrics) -> Consume<'_> {
        let items = batch.point_count();
        self.pass(batch, items)
    }
}

const fn definition(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    let scope = "go.opentelemetry.io/collector/processor/memorylimiterprocessor";
    Definition { name, unit, description, scope }
}

const SPANS: [Definition; 2] = [
    definition(
        "otelcol_processor_memory_limiter_accepted_spans",
        "{span}",
        "Number of spans successfully pushed into the next component in the pipeline. [Development]",
    ),
    definition(
        "otelcol_processor_memory_limiter_refused_spans",
        "{span}",
        "Number of spans that were rejected by the next component in the pipeline. [Development]",
    ),
];
const POINTS: [Definition; 2] = [
    definition(
        "otelcol_processor_memory_limiter_accepted_metric_points",
        "{datapoint}",
        "Number of metric points successfully pushed into the next component in the pipeline. [Development]",
    ),
    definition(
        "otelcol_processor_memory_limiter_refused_metric_points",
        "{datapoint}",
        "Number of metric points that were rejected by the next component in the pipeline. [Development]",
    ),
];
const RECORDS: [Definition; 2] = [
    definition(
        "otelcol_processor_memory_limiter_accepted_log_records",
        "{record}",
        "Number of log records successfully pushed into the next component in the pipeline. [Development]",
    ),
    definition(
        "otelcol_processor_memory_limiter_refused_log_records",
        "{record}",
        "Number of log records that were rejected by the next component in the pipeline. [Development]",
    ),
];
