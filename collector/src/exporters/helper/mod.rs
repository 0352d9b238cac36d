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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use component::{Consume, ConsumeError, Consumer, Signal};
use pdata::{Metrics as MetricsBatch, Traces};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use request::Request;
pub(crate) use retry::timed_out;

use crate::factory::{Context, Lifecycle, Step};
use crate::health::Watch;
use config::{Queue as QueueConfig, Retry};
use metrics::Metrics;
use queue::Queue;

/// The outcome of one attempt.
pub type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), ConsumeError>> + Send + 'a>>;

/// Why an attempt failed, and what of the request is still to be delivered.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The reason.
    pub error: ConsumeError,
    /// What was not delivered: all of the request, or a part.
    pub rest: Request,
}

/// The outcome of one attempt that may deliver a part.
pub type SentInParts<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Sends one request once. Dropping the future ends the attempt.
pub trait Sender: Send + Sync + 'static {
    /// One attempt. The error says whether another one makes sense, and when.
    fn send<'a>(&'a self, request: &'a Request) -> Sent<'a>;

    /// One attempt of a sender that divides requests: after a failure only the rest is tried again.
    fn send_in_parts<'a>(&'a self, request: &'a Request) -> SentInParts<'a> {
        Box::pin(async move { self.send(request).await.map_err(|error| Failure { error, rest: request.clone() }) })
    }

    /// True if the sender itself bounds how much each destination gets at once. Then every queued request is begun as
    /// soon as it is there, so that one slow destination does not take the turns of all others; the queue's size bounds
    /// the whole.
    fn bounds_itself(&self) -> bool {
        false
    }
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
    /// One of several: what it refuses is logged by the exporter in front of it.
    of_endpoint: bool,
}

/// Everything below the queue.
pub(crate) struct Delivery {
    sender: Box<dyn Sender>,
    timeout: Option<Duration>,
    retry: Retry,
    metrics: Metrics,
    stopping: watch::Receiver<bool>,
    /// Takes over what a retired exporter could not deliver.
    successor: OnceLock<Arc<dyn Sender>>,
    /// A retired exporter has failed once: it attempts nothing more.
    gave_up: AtomicBool,
}

impl Delivery {
    /// Sends with retries and counts.
    async fn deliver(&self, request: Request) -> Result<(), Failure> {
        let items = request.items;
        self.metrics.in_flight.add(1);
        let mut stopping = self.stopping.clone();
        let outcome = retry::send(&*self.sender, request, self.timeout, &self.retry, &mut stopping).await;
        self.metrics.in_flight.add(-1);
        let failed = outcome.as_ref().err();
        let left = failed.map_or(0, |failure| failure.rest.items);
        let goes_on = self.successor.get().is_some() && failed.is_some_and(|failure| !failure.error.permanent);
        self.metrics.finished(items - left.min(items), if goes_on { 0 } else { left });
        outcome
    }

    /// Delivers what came out of the queue, if need be through the successor; what fails is dropped and logged.
    async fn settle(&self, request: Request) -> Result<(), ConsumeError> {
        let delivered = if self.gave_up.load(Ordering::Relaxed) {
            Err(Failure { error: ConsumeError::retryable("the exporter is retired"), rest: request })
        } else {
            self.deliver(request).await
        };
        let Err(mut failure) = delivered else { return Ok(()) };
        if !failure.error.permanent
            && let Some(successor) = self.successor.get()
        {
            self.gave_up.store(true, Ordering::Relaxed);
            match successor.send_in_parts(&failure.rest).await {
                Ok(()) => return Ok(()),
                Err(other) => failure = other,
            }
        }
        log_dropped(&failure.error, failure.rest.items);
        Err(failure.error)
    }
}

impl Exporter {
    /// Makes it; tasks begin with [`Lifecycle::start`].
    #[must_use]
    pub fn new(context: &Context, signal: Signal, settings: Settings, sender: Box<dyn Sender>) -> Arc<Self> {
        let metrics = Metrics::new(&context.registry, &context.id, signal, &settings.attributes);
        Arc::new(Self::with_metrics(metrics, context.watch("exporter"), settings, sender))
    }

    /// One of several behind an exporter that divides its data: its metrics name the endpoint, and are not those that an
    /// exporter has.
    pub(crate) fn of_endpoint(
        context: &Context,
        signal: Signal,
        endpoint: &str,
        settings: Settings,
        sender: Box<dyn Sender>,
    ) -> Arc<Self> {
        let metrics = Metrics::of_endpoint(&context.registry, &context.id, signal, endpoint);
        let exporter = Self::with_metrics(metrics, context.watch("exporter"), settings, sender);
        Arc::new(Self { of_endpoint: true, ..exporter })
    }

    fn with_metrics(metrics: Metrics, watch: Watch, settings: Settings, sender: Box<dyn Sender>) -> Self {
        let queue = settings.queue.map(|config| {
            let queue = Queue::new(u64::try_from(config.queue_size).unwrap_or_default(), config.sizer);
            metrics.observe(&queue);
            (config, queue)
        });
        let (stop, stopping) = watch::channel(false);
        let delivery = Delivery {
            sender,
            timeout: settings.timeout,
            retry: settings.retry,
            metrics,
            stopping,
            successor: OnceLock::new(),
            gave_up: AtomicBool::new(false),
        };
        let (delivery, tasks) = (Arc::new(delivery), TaskTracker::new());
        Self { delivery, queue, stop, tasks, watch, of_endpoint: false }
    }

    /// True if the caller waits for the one attempt that is made.
    pub(crate) fn is_direct(&self) -> bool {
        self.queue.is_none() && !self.delivery.retry.enabled
    }

    /// Counts and logs an attempt that the caller makes itself, for an exporter that [`Exporter::is_direct`]. The failure
    /// comes with the number of items that were not delivered.
    pub(crate) async fn attempt(
        &self,
        items: usize,
        attempt: impl Future<Output = Result<(), (ConsumeError, usize)>>,
    ) -> Result<(), ConsumeError> {
        self.delivery.metrics.in_flight.add(1);
        let outcome = attempt.await;
        self.delivery.metrics.in_flight.add(-1);
        let left = outcome.as_ref().err().map_or(0, |(_, left)| *left);
        self.delivery.metrics.finished(items - left.min(items), left);
        let outcome = outcome.map_err(|(error, _)| error);
        self.log_rejected(&outcome, left);
        outcome
    }

    /// Takes an encoded request, as [`Consumer::consume`] takes a batch.
    pub(crate) async fn export(&self, request: Request) -> Result<(), ConsumeError> {
        let items = request.items;
        let outcome = match &self.queue {
            None => self.delivery.deliver(request).await.map_err(|failure| failure.error),
            Some((config, queue)) => {
                let offered = queue.offer(request, config.block_on_overflow, config.wait_for_result).await;
                if offered.is_err() && !config.wait_for_result {
                    self.delivery.metrics.enqueue_failed.add(items as u64);
                }
                offered
            }
        };
        self.log_rejected(&outcome, items);
        outcome
    }

    /// As [`Exporter::export`], but waits for room in the queue: the data was accepted once already.
    pub(crate) async fn export_accepted(&self, request: Request) -> Result<(), ConsumeError> {
        match &self.queue {
            None => self.export(request).await,
            Some((config, queue)) => queue.offer(request, true, config.wait_for_result).await,
        }
    }

    /// Ends it for good while the program goes on: what is queued is still sent, but what fails (and after one failure
    /// all that is left) goes to `successor`.
    pub(crate) async fn retire(&self, successor: Arc<dyn Sender>) {
        // It is retired at most once.
        let _ = self.delivery.successor.set(successor);
        self.stop().await;
    }

    async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some((_, queue)) = &self.queue {
            queue.close();
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn log_rejected(&self, outcome: &Result<(), ConsumeError>, items: usize) {
        if let Err(error) = outcome {
            if self.of_endpoint {
                tracing::debug!(error = %error, items, "the backend did not take its share");
                return;
            }
            let queue_hint = if self.queue.is_some() { "" } else { QUEUE_HINT };
            let retry_hint = if self.delivery.retry.enabled { "" } else { RETRY_HINT };
            tracing::error!(
                error = %error,
                rejected_items = items,
                "Exporting failed. Rejecting data.{queue_hint}{retry_hint}"
            );
        }
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
        let senders = match self.delivery.sender.bounds_itself() {
            true => Semaphore::MAX_PERMITS,
            false => usize::try_from(config.num_consumers).unwrap_or(1),
        };
        if let Some(batching) = &config.batch {
            let run =
                batch::run(Arc::clone(queue), Arc::clone(&self.delivery), batching.clone(), config.sizer, senders);
            self.tasks.spawn(self.watch.task(run).in_current_span());
        } else if self.delivery.sender.bounds_itself() {
            let run = consume_all(Arc::clone(queue), Arc::clone(&self.delivery), self.tasks.clone());
            self.tasks.spawn(self.watch.task(run).in_current_span());
        } else {
            for _ in 0..senders {
                let run = consume(Arc::clone(queue), Arc::clone(&self.delivery));
                self.tasks.spawn(self.watch.task(run).in_current_span());
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.stop().await;
            Ok(())
        })
    }
}

async fn consume(queue: Arc<Queue>, delivery: Arc<Delivery>) {
    while let Some((request, ticket)) = queue.take().await {
        ticket.record(&delivery.settle(request).await);
    }
}

/// A task a request: the sender bounds itself.
async fn consume_all(queue: Arc<Queue>, delivery: Arc<Delivery>, tasks: TaskTracker) {
    while let Some((request, ticket)) = queue.take().await {
        let delivery = Arc::clone(&delivery);
        let settle = async move { ticket.record(&delivery.settle(request).await) };
        tasks.spawn(settle.in_current_span());
    }
}

fn log_dropped(error: &ConsumeError, items: usize) {
    tracing::error!(error = %error, dropped_items = items, "Exporting failed. Dropping data.");
}
