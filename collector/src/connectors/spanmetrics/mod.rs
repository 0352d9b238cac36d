//! The `span_metrics` connector (`spanmetrics` in older files): configuration, and the task that flushes.
//!
//! The counting is in package `connectors`; here are YAML, clock and pipeline. Upstream loses what was counted since
//! the last flush when it shuts down; here it is flushed once more, the counts of new series included.

mod config;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::connectors::spanmetrics::{Config as Settings, SpanMetrics};
use component::{Clock, Consume, Consumer, Id, MetricsConsumer, Signal, TracesConsumer};
use pdata::Traces;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use config::Config;

use crate::config::{Problems, Section};
use crate::factory::{ConnectorPlan, Context, Factory, Lifecycle, Part, StartError, Step};
use crate::health::Watch;

/// The factory.
pub const FACTORY: Factory<dyn ConnectorPlan> =
    Factory { kind: "span_metrics", alias: Some("spanmetrics"), stability: "beta", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ConnectorPlan>> {
    section.read(problems, |config: Config, problems| {
        let settings = config.check(&section.path, problems)?;
        Some(Box::new(Plan { settings, interval: config.flush_interval(), remarks: config.remarks() }) as _)
    })
}

struct Plan {
    settings: Settings,
    interval: Duration,
    remarks: Vec<String>,
}

/// The attribute of `service::telemetry::resource` that fixes the dimension of the same name.
const INSTANCE_ID: &str = "collector.instance.id";

impl ConnectorPlan for Plan {
    fn pairs(&self) -> &'static [(Signal, Signal)] {
        &[(Signal::Traces, Signal::Metrics)]
    }

    fn make_traces_to_metrics(
        &self,
        context: &Context,
        next: MetricsConsumer,
    ) -> Result<Part<TracesConsumer>, StartError> {
        for remark in &self.remarks {
            tracing::warn!(connector = %context.id, "{remark}");
        }
        let configured = context.resource.iter().find(|(key, _)| key == INSTANCE_ID).map(|(_, value)| value.clone());
        let settings = Settings {
            instance_id: Some(configured.unwrap_or_else(|| Uuid::new_v4().to_string())),
            seed: Uuid::new_v4().as_u64_pair().0,
            ..self.settings.clone()
        };
        let connector = Arc::new(Connector {
            shared: Arc::new(Shared {
                id: context.id.clone(),
                state: Mutex::new(SpanMetrics::new(settings)),
                clock: Arc::clone(&context.clock),
                next,
            }),
            interval: self.interval,
            stop: CancellationToken::new(),
            task: Mutex::default(),
            watch: context.watch("connector"),
        });
        Ok(Part { input: Arc::clone(&connector) as _, lifecycle: Some(connector as Arc<dyn Lifecycle>) })
    }
}

/// A running connector.
struct Connector {
    shared: Arc<Shared>,
    interval: Duration,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
    watch: Watch,
}

struct Shared {
    id: Id,
    /// Held for the time of one batch or of one flush; nothing waits for anything inside.
    state: Mutex<SpanMetrics>,
    clock: Arc<dyn Clock>,
    next: MetricsConsumer,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, SpanMetrics> {
        // Counts are whole after every span, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what was counted. What is refused is not sent again: the next cumulative flush says it anyway.
    async fn flush(self: &Arc<Self>, last: bool) {
        let now = self.clock.unix_nano();
        let shared = Arc::clone(self);
        // Making points takes milliseconds where there are thousands of series.
        let making = tokio::task::spawn_blocking(move || {
            let mut state = shared.state();
            if last { state.flush_last(now) } else { state.flush(now) }
        });
        let sent = match making.await {
            Ok(metrics) => self.next.consume(metrics).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = sent {
            tracing::error!(connector = %self.id, error = %error, "Failed ConsumeMetrics");
        }
    }
}

impl Consumer<Traces> for Connector {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        let now = self.shared.clock.unix_nano();
        self.shared.state().observe(&batch, now);
        Box::pin(async { Ok(()) })
    }
}

impl Lifecycle for Connector {
    fn start(&self) -> Step<'_> {
        let (shared, stop, every) = (Arc::clone(&self.shared), self.stop.clone(), self.interval);
        let task = tokio::spawn(self.watch.task(async move {
            let mut ticker = interval_at(Instant::now() + every, every);
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticker.tick() => shared.flush(false).await,
                    () = stop.cancelled() => return,
                }
            }
        }));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.stop.cancel();
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(task) = task
                && let Err(error) = task.await
            {
                tracing::error!(connector = %self.shared.id, error = %error, "The flush task ended early");
            }
            self.shared.flush(true).await;
            Ok(())
        })
    }
}
