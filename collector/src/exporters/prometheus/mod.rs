//! The `prometheus` exporter: keeps the last value of every series and serves them as a page.
//!
//! Names, labels and the page's bytes are contrib's (0.161), see `README.md` for what is better here. The text writer
//! and the translation are used by the collector's own metrics page too.

mod config;
mod delta;
pub mod model;
pub mod name;
pub mod negotiate;
mod page;
pub mod protobuf;
pub mod store;
#[cfg(test)]
mod tests;
pub mod text;
pub mod translate;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::telemetry::{Counter, Definition, Gauge, Registry};
use component::{Clock, Consume, Consumer, Id, MetricsConsumer, Signal};
use pdata::Metrics;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use config::DEFAULTS;

use self::page::Page;
use self::store::{Dropped, Store};
use crate::config::{Problems, Section};
use crate::factory::{Context, ExporterPlan, Factory, Lifecycle, Part, StartError, Step};
use crate::net::serve::Server;

/// The factory.
pub const FACTORY: Factory<dyn ExporterPlan> = Factory { kind: "prometheus", alias: None, stability: "beta", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExporterPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config }) as _)
    })
}

struct Plan {
    config: Config,
}

impl ExporterPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Metrics]
    }

    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        let exporter = Arc::new(Exporter::new(self.config.clone(), context)?);
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }
}

/// A batch of more points than this is stored on a blocking thread, so that the runtime's threads stay free.
const LARGE_BATCH: usize = 2000;

/// The one instance of a configured exporter.
pub struct Exporter {
    config: Config,
    id: Id,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

struct Running {
    server: Server,
    address: Option<SocketAddr>,
    sweeper: CancellationToken,
}

/// What consumers, scrapes and the sweeper meet at.
struct Shared {
    store: Mutex<Store>,
    telemetry: Telemetry,
    /// Reasons that were logged already: the same metrics come again with every batch.
    logged: Mutex<Vec<(String, String)>>,
}

/// Beyond this many different reasons nothing more is logged; the counter goes on.
const MAX_LOGGED: usize = 100;

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // The store has no state between two calls that a panic could leave half done and that matters to the page.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update_size(&self) {
        let size = self.store().len();
        self.telemetry.series.set(i64::try_from(size).unwrap_or(i64::MAX));
    }

    fn accept(&self, batch: &Metrics, now: Duration) {
        let accepted = self.store().accept(batch, now);
        self.update_size();
        self.telemetry.sent.add(batch.point_count() as u64);
        for dropped in accepted.dropped {
            self.telemetry.dropped.add(dropped.points);
            self.log_once(dropped);
        }
    }

    fn log_once(&self, dropped: Dropped) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = (dropped.metric, dropped.reason);
        if logged.len() < MAX_LOGGED && !logged.contains(&reason) {
            tracing::error!(metric = %reason.0, reason = %reason.1, points = dropped.points, "Points are not shown");
            logged.push(reason);
        }
    }

    fn expire(&self, now: Duration) {
        self.store().expire(now);
        self.update_size();
    }
}

impl Exporter {
    /// Makes it; nothing is opened yet.
    pub fn new(config: Config, context: &Context) -> Result<Self, StartError> {
        for remark in config.remarks() {
            tracing::warn!(exporter = %context.id, "{remark}");
        }
        let translator = config.translator().ok_or_else(|| StartError("invalid translation_strategy".to_owned()))?;
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new(translator, config.expiration())),
            telemetry: Telemetry::new(&context.registry, &context.id),
            logged: Mutex::default(),
        });
        let clock = Arc::clone(&context.clock);
        Ok(Self { config, id: context.id.clone(), clock, shared, running: Mutex::default() })
    }

    /// Where the page is, once started on TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.address
    }

    fn page(&self) -> Arc<Page> {
        Arc::new(Page {
            shared: Arc::clone(&self.shared),
            clock: Arc::clone(&self.clock),
            open_metrics: self.config.enable_open_metrics(),
            response_headers: self.config.server.response_headers(),
        })
    }
}

impl Consumer<Metrics> for Exporter {
    fn consume(&self, batch: Metrics) -> Consume<'_> {
        let now = self.clock.monotonic();
        Box::pin(async move {
            if batch.point_count() < LARGE_BATCH {
                self.shared.accept(&batch, now);
                return Ok(());
            }
            let shared = Arc::clone(&self.shared);
            tokio::task::spawn_blocking(move || shared.accept(&batch, now))
                .await
                .map_err(|error| component::ConsumeError::permanent(format!("storing points failed: {error}")))
        })
    }
}

impl Lifecycle for Exporter {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            let serving = self.config.server.serve(&DEFAULTS, &self.clock, self.page());
            let (server, address) = serving.await.map_err(StartError)?;
            tracing::info!(exporter = %self.id, endpoint = self.config.server.endpoint(&DEFAULTS), "Serving metrics");
            let sweeper = CancellationToken::new();
            tokio::spawn(sweep(
                Arc::clone(&self.shared),
                Arc::clone(&self.clock),
                self.config.expiration(),
                sweeper.clone(),
            ));
            let running = Running { server, address, sweeper };
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
            Ok(())
        })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(running) = running {
                running.sweeper.cancel();
                running.server.shutdown().await;
            }
            Ok(())
        })
    }
}

/// Forgets expired series also while nobody scrapes.
async fn sweep(shared: Arc<Shared>, clock: Arc<dyn Clock>, every: Duration, stopped: CancellationToken) {
    let mut ticker = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticker.tick() => shared.expire(clock.monotonic()),
            () = stopped.cancelled() => return,
        }
    }
}

/// Upstream's wrapper counts what was taken; what is not shown and how much is stored nobody counts there.
struct Telemetry {
    sent: Counter,
    dropped: Counter,
    series: Gauge,
}

impl Telemetry {
    fn new(registry: &Registry, id: &Id) -> Self {
        let id = id.to_string();
        let attributes = [("exporter", id.as_str())];
        Self {
            sent: registry.counter(SENT, &attributes),
            dropped: registry.counter(DROPPED, &attributes),
            series: registry.gauge(SERIES, &attributes),
        }
    }
}

const SENT: Definition = Definition {
    name: "otelcol_exporter_sent_metric_points",
    unit: "{datapoint}",
    description: "Number of metric points successfully sent to destination. [Alpha]",
    scope: "go.opentelemetry.io/collector/exporter/exporterhelper",
};
const DROPPED: Definition = Definition {
    name: "ottlcol_exporter_prometheus_dropped_points",
    unit: "{datapoint}",
    description: "Number of metric points that cannot be shown on the page",
    scope: "ottlcol/exporter/prometheus",
};
const SERIES: Definition = Definition {
    name: "ottlcol_exporter_prometheus_series",
    unit: "{series}",
    description: "Number of series on the page",
    scope: "ottlcol/exporter/prometheus",
};
