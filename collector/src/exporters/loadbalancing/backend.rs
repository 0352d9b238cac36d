//! One backend: its OTLP exporter with queue and retries of its own, its metrics, and whether it answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::telemetry::{Counter, Definition, Histogram};
use component::{Clock, ConsumeError, Signal};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::exporters::helper::{self, Exporter, Request, Sender, timed_out};
use crate::exporters::otlp::{Client, Config, Observer};
use crate::factory::{Context, Lifecycle};

/// A backend of the ring.
pub(super) struct Backend {
    /// Where it is dialled.
    pub(super) address: String,
    /// Whether it answers.
    pub(super) health: Arc<Health>,
    exporter: Arc<Exporter>,
    /// Requests sent at once, where the outer queue begins all that it has and there is no inner queue.
    lane: Option<Semaphore>,
    retired: AtomicBool,
    clock: Arc<dyn Clock>,
    latency: Histogram,
    succeeded: Counter,
    failed: Counter,
    span: Span,
}

impl Backend {
    /// Makes and starts it. `config` has the backend's endpoint.
    pub(super) async fn start(
        config: &Config,
        lanes: Option<usize>,
        context: &Context,
        signal: Signal,
        silent: &Arc<Notify>,
    ) -> Result<Self, String> {
        let address = config.endpoint.clone();
        let health =
            Arc::new(Health { failing: AtomicBool::new(false), since: Mutex::default(), told: silent.clone() });
        let client = Client::new(config, &context.clock)?.observed(Arc::clone(&health) as _);
        let settings = helper::Settings {
            timeout: config.timeout.positive(),
            retry: config.retry_on_failure.clone(),
            queue: config.sending_queue.clone(),
            attributes: Vec::new(),
        };
        let exporter = Exporter::of_endpoint(context, signal, &address, settings, Box::new(client));
        let span = tracing::error_span!("backend", endpoint = %address);
        exporter.start().instrument(span.clone()).await.map_err(|error| error.to_string())?;
        let outcome = |success| {
            let attributes = [("endpoint", address.as_str()), ("success", success)];
            context.registry.counter(OUTCOME, &attributes)
        };
        Ok(Self {
            health,
            exporter,
            lane: lanes.filter(|_| config.sending_queue.is_none()).map(Semaphore::new),
            retired: AtomicBool::new(false),
            clock: Arc::clone(&context.clock),
            latency: context.registry.histogram(LATENCY, &BOUNDS, &[("endpoint", address.as_str())]),
            succeeded: outcome("true"),
            failed: outcome("false"),
            span,
            address,
        })
    }

    /// Hands a request over: into its queue, or all the way where it has none. What was `accepted` before waits for room
    /// in the queue.
    pub(super) async fn send(&self, request: Request, limit: Duration, accepted: bool) -> Result<(), ConsumeError> {
        let _turn = match &self.lane {
            None => None,
            // Closed when the backend is retired.
            Some(lane) => Some(lane.acquire().await.map_err(|_| ConsumeError::retryable("the backend is retired"))?),
        };
        let started = self.clock.monotonic();
        let exported = if accepted {
            self.exporter.export_accepted(request).instrument(self.span.clone()).await
        } else {
            let export = self.exporter.export(request).instrument(self.span.clone());
            tokio::time::timeout(limit, export).await.unwrap_or_else(|_| Err(timed_out()))
        };
        let millis = self.clock.monotonic().saturating_sub(started).as_millis();
        // Contrib records whole milliseconds.
        self.latency.record(u32::try_from(millis).unwrap_or(u32::MAX).into());
        if exported.is_ok() {
            self.succeeded.add(1)
        } else {
            self.failed.add(1)
        }
        exported
    }

    /// True once it has left the ring.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Ends it after it has left the ring: what it cannot deliver any more goes to `successor`.
    pub(super) async fn retire(&self, successor: Arc<dyn Sender>) {
        self.retired.store(true, Ordering::Release);
        if let Some(lane) = &self.lane {
            lane.close();
        }
        self.exporter.retire(successor).instrument(self.span.clone()).await;
    }

    /// Ends it with the program.
    pub(super) async fn shutdown(&self) {
        // The helper's shutdown cannot fail.
        let _ = self.exporter.shutdown().instrument(self.span.clone()).await;
    }
}

/// Since when a backend has not answered.
#[derive(Debug)]
pub(super) struct Health {
    /// The common case without a lock.
    failing: AtomicBool,
    since: Mutex<Option<Instant>>,
    told: Arc<Notify>,
}

impl Health {
    /// The time of the first attempt of those without an answer that have not been followed by one.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        *lock(&self.since)
    }
}

impl Observer for Health {
    fn answered(&self) {
        if self.failing.swap(false, Ordering::AcqRel) {
            *lock(&self.since) = None;
        }
    }

    fn silent(&self) {
        lock(&self.since).get_or_insert_with(Instant::now);
        self.failing.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/loadbalancingexporter";
const BOUNDS: [f64; 10] = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];
const LATENCY: Definition = Definition {
    name: "otelcol_loadbalancer_backend_latency",
    unit: "ms",
    description: "Response latency in ms for the backends. [Development]",
    scope: SCOPE,
};
const OUTCOME: Definition = Definition {
    name: "otelcol_loadbalancer_backend_outcome",
    unit: "{outcomes}",
    description: "Number of successes and failures for each endpoint. [Development]",
    scope: SCOPE,
};
