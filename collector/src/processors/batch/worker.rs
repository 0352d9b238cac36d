//! The one task of an instance: it gathers, cuts and sends.

use std::sync::Arc;

use component::Consumer;
use component::telemetry::{Counter, Definition, Histogram};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Config;
use super::payload::Payload;
use crate::factory::Context;

pub(super) struct Worker<T> {
    arrivals: mpsc::Receiver<T>,
    stopped: watch::Receiver<bool>,
    next: Arc<dyn Consumer<T>>,
    /// No timer if this or the size is zero: everything is sent at once.
    timeout: Option<std::time::Duration>,
    size: usize,
    /// `usize::MAX` for none.
    max: usize,
    pending: T,
    telemetry: Telemetry,
}

#[derive(Clone, Copy)]
enum Trigger {
    Size,
    Timeout,
}

enum Event<T> {
    Arrived(Option<T>),
    Due,
    Stopped,
}

impl<T: Payload> Worker<T> {
    pub(super) fn new(
        config: &Config,
        context: &Context,
        next: Arc<dyn Consumer<T>>,
        arrivals: mpsc::Receiver<T>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let size = config.send_batch_size as usize;
        let max = if config.send_batch_max_size == 0 { usize::MAX } else { config.send_batch_max_size as usize };
        Self {
            arrivals,
            stopped,
            next,
            timeout: config.timeout.positive().filter(|_| size > 0),
            size,
            max,
            pending: T::default(),
            telemetry: Telemetry::new(context),
        }
    }

    pub(super) async fn run(mut self) {
        let mut due: Option<Instant> = None;
        let mut stopping = false;
        loop {
            let event = tokio::select! {
                arrived = self.arrivals.recv() => Event::Arrived(arrived),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Event::Due,
                _ = self.stopped.wait_for(|stopped| *stopped), if !stopping => Event::Stopped,
            };
            let arrived = match event {
                Event::Arrived(Some(arrived)) => arrived,
                Event::Arrived(None) => break,
                Event::Due => {
                    self.send(Trigger::Timeout).await;
                    due = self.rearm();
                    continue;
                }
                Event::Stopped => {
                    // What is in the queue still comes out of it.
                    self.arrivals.close();
                    stopping = true;
                    continue;
                }
            };
            if arrived.items() == 0 {
                continue;
            }
            self.pending.append(arrived);
            let mut sent = false;
            while self.pending.items() > 0 && (self.timeout.is_none() || self.pending.items() >= self.size) {
                self.send(Trigger::Size).await;
                sent = true;
            }
            if sent || due.is_none() {
                due = self.rearm();
            }
        }
        while self.pending.items() > 0 {
            self.send(Trigger::Timeout).await;
        }
    }

    /// The timer for what waits, if anything does.
    fn rearm(&self) -> Option<Instant> {
        self.timeout.filter(|_| self.pending.items() > 0).map(|timeout| Instant::now() + timeout)
    }

    async fn send(&mut self, trigger: Trigger) {
        let batch = if self.pending.items() > self.max {
            self.pending.split_first(self.max)
        } else {
            std::mem::take(&mut self.pending)
        };
        let items = batch.items();
        match self.next.consume(batch).await {
            Ok(()) => self.telemetry.sent(items, trigger),
            Err(error) => tracing::warn!(error = %error, "Sender failed"),
        }
    }
}

struct Telemetry {
    size: Histogram,
    by_size: Counter,
    by_timeout: Counter,
}

impl Telemetry {
    fn new(context: &Context) -> Self {
        let (registry, id) = (&context.registry, context.id.to_string());
        let attributes = [("processor", id.as_str())];
        // One combination of metadata: there are no keys.
        registry.up_down(CARDINALITY, &attributes).set(1);
        Self {
            size: registry.histogram(SEND_SIZE, &BOUNDS, &attributes),
            by_size: registry.counter(SIZE_TRIGGER, &attributes),
            by_timeout: registry.counter(TIMEOUT_TRIGGER, &attributes),
        }
    }

    fn sent(&self, items: usize, trigger: Trigger) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has fewer than 2^53 items")]
        self.size.record(items as f64);
        match trigger {
            Trigger::Size => self.by_size.add(1),
            Trigger::Timeout => self.by_timeout.add(1),
        }
    }
}

const SCOPE: &str = "go.opentelemetry.io/collector/processor/batchprocessor";
const BOUNDS: [f64; 22] = [
    10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0,
    9000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0, 100_000.0,
];

const fn definition(name: &'static str, unit: &'static str, description: &'static str) -> Definition {
    Definition { name, unit, description, scope: SCOPE }
}

const SEND_SIZE: Definition =
    definition("otelcol_processor_batch_batch_send_size", "{unit}", "Number of units in the batch [Development]");
const SIZE_TRIGGER: Definition = definition(
    "otelcol_processor_batch_batch_size_trigger_send",
    "{time}",
    "Number of times the batch was sent due to a size trigger [Development]",
);
const TIMEOUT_TRIGGER: Definition = definition(
    "otelcol_processor_batch_timeout_trigger_send",
    "{time}",
    "Number of times the batch was sent due to a timeout trigger [Development]",
);
const CARDINALITY: Definition = definition(
    "otelcol_processor_batch_metadata_cardinality",
    "{combination}",
    "Number of distinct metadata value combinations being processed [Development]",
);
