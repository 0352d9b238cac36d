//! What sending exporters share: `timeout`, `retry_on_failure`, `sending_queue` and their metrics.
//!
//! The chain is upstream's: queue (and batch), then metrics, then retry, then timeout, then the exporter's own
//! [`Sender`]. At shutdown waits between attempts end first; then what is queued gets one attempt each; what still
//! fails is counted and logged as dropped.

mod batch;
pub mod config;
mod metrics;
mod queue;
mod request;
mod retry;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use component::{Consume, ConsumeError, Consumer, Signal};
use pdata::{Metrics as MetricsBatch, Traces};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use request::Request;

use crate::factory::{Context, Lifecycle, Step};
use crate::health::Watch;
use config::{Queue as QueueConfig, Retry};
use metrics::Metrics;
use queue::Queue;

/// The outcome of one attempt.
pub type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), ConsumeError>> + Send + 'a>>;

/// Sends one request once. Dropping the future ends the attempt.
pub trait Sender: Send + Sync + 'static {
    /// One attempt. The error says whether another one makes sense, and when.
    fn send<'a>(&'a self, request: &'a Request) -> Sent<'a>;
}

/// The shared part of an exporter's configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of one attempt; `None` is no limit.
    pub timeout: Option<Duration>,
    /// Further attempts.
    pub retry: Retry,
    /// The queue; `None` makes the caller wait for the outcome.
    pub queue: Option<QueueConfig>,
    /// Attributes that `sent` and `send_failed` get beside `exporter`.
    pub attributes: Vec<(&'static str, String)>,
}

/// An exporter of one signal around a [`Sender`].
pub struct Exporter {
    delivery: Arc<Delivery>,
    queue: Option<(QueueConfig, Arc<Queue>)>,
    stop: watch::Sender<bool>,
    tasks: TaskTracker,
    watch: Watch,
}

/// Everything below the queue.
pub(crate) struct Delivery {
    sender: Box<dyn Sender>,
    timeout: Option<Duration>,
    retry: Retry,
    metrics: Metrics,
    stopping: watch::Receiver<bool>,
}

impl Delivery {
    /// Sends with retries and counts.
    async fn deliver(&self, request: &Request) -> Result<(), ConsumeError> {
        self.metrics.in_flight.add(1);
        let mut stopping = self.stopping.clone();
        let outcome = retry::send(&*self.sender, request, self.timeout, &self.retry, &mut stopping).await;
        self.metrics.in_flight.add(-1);
        self.metrics.finished(request.items, outcome.is_ok());
        outcome
    }
}

impl Exporter {
    /// Makes it; tasks begin with [`Lifecycle::start`].
    #[must_use]
    pub fn new(context: &Context, signal: Signal, settings: Settings, sender: Box<dyn Sender>) -> Arc<Self> {
        let metrics = Metrics::new(&context.registry, &context.id, signal, &settings.attributes);
        let queue = settings.queue.map(|config| {
            let queue = Queue::new(u64::try_from(config.queue_size).unwrap_or_default(), config.sizer);
            metrics.observe(&context.id, signal, &queue);
            (config, queue)
        });
        let (stop, stopping) = watch::channel(false);
        let delivery = Delivery { sender, timeout: settings.timeout, retry: settings.retry, metrics, stopping };
        Arc::new(Self {
            delivery: Arc::new(delivery),
            queue,
            stop,
            tasks: TaskTracker::new(),
            watch: context.watch("exporter"),
        })
    }

    async fn export(&self, request: Request) -> Result<(), ConsumeError> {
        let items = request.items;
        let outcome = match &self.queue {
            None => self.delivery.deliver(&request).await,
            Some((config, queue)) => {
                let offered = queue.offer(request, config.block_on_overflow, config.wait_for_result).await;
                if offered.is_err() && !config.wait_for_result {
                    self.delivery.metrics.enqueue_failed.add(items as u64);
                }
                offered
            }
        };
        if let Err(error) = &outcome {
            let queue_hint = if self.queue.is_some() { "" } else { QUEUE_HINT };
            let retry_hint = if self.delivery.retry.enabled { "" } else { RETRY_HINT };
            tracing::error!(
                error = %error,
                rejected_items = items,
                "Exporting failed. Rejecting data.{queue_hint}{retry_hint}"
            );
        }
        outcome
    }
}

const QUEUE_HINT: &str = " Try enabling sending_queue to survive temporary failures.";
const RETRY_HINT: &str = " Try enabling retry_on_failure config option to retry on retryable errors.";

impl Consumer<Traces> for Exporter {
    fn consume(&self, batch: Traces) -> Consume<'_> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let request = Request::from_traces(&batch);
            drop(batch);
            self.export(request).await
        })
    }
}

impl Consumer<MetricsBatch> for Exporter {
    fn consume(&self, batch: MetricsBatch) -> Consume<'_> {
        Box::pin(async move {
            if batch.point_count() == 0 {
                return Ok(());
            }
            let request = Request::from_metrics(&batch);
            drop(batch);
            self.export(request).await
        })
    }
}

impl Lifecycle for Exporter {
    fn start(&self) -> Step<'_> {
        let Some((config, queue)) = &self.queue else { return Box::pin(async { Ok(()) }) };
        let senders = usize::try_from(config.num_consumers).unwrap_or(1);
        if let Some(batching) = &config.batch {
            let run =
                batch::run(Arc::clone(queue), Arc::clone(&self.delivery), batching.clone(), config.sizer, senders);
            self.tasks.spawn(self.watch.task(run));
        } else {
            for _ in 0..senders {
                self.tasks.spawn(self.watch.task(consume(Arc::clone(queue), Arc::clone(&self.delivery))));
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.stop.send_replace(true);
            if let Some((_, queue)) = &self.queue {
                queue.close();
            }
            self.tasks.close();
            self.tasks.wait().await;
            Ok(())
        })
    }
}

async fn consume(queue: Arc<Queue>, delivery: Arc<Delivery>) {
    while let Some((request, ticket)) = queue.take().await {
        let outcome = delivery.deliver(&request).await;
        if let Err(error) = &outcome {
            log_dropped(error, request.items);
        }
        ticket.record(&outcome);
    }
}

fn log_dropped(error: &ConsumeError, items: usize) {
    tracing::error!(error = %error, dropped_items = items, "Exporting failed. Dropping data.");
}
