//! The `keda_scaler` exporter: metrics in, the answers of a KEDA external scaler out.
//!
//! It keeps the last minutes of every series that comes in, in memory, and answers the queries that KEDA's triggers bring
//! along: those of the kedify otel-add-on and PromQL. Nothing is stored on disk, and nothing is asked of Prometheus.

mod config;
// Made by tonic-prost-build 0.14 from externalscaler.proto (server only) and checked in, so that no build needs protoc.
#[allow(
    clippy::allow_attributes_without_reason,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
#[rustfmt::skip]
mod externalscaler;
mod query;
mod scaler;
mod series;
mod store;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use component::telemetry::{Counter, Gauge, Registry};
use component::{Clock, Consume, Consumer, Id, MetricsConsumer, Signal};
use pdata::Metrics;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

pub use config::Config;

use self::externalscaler::external_scaler_server::ExternalScalerServer;
use self::scaler::Scaler;
use self::series::Nanos;
use self::store::{DROPPED, SENT, SERIES, Store};
use crate::config::{Problems, Section};
use crate::factory::{Context, ExporterPlan, Factory, Lifecycle, Part, StartError, Step};
use crate::net::listen::Listener;
use crate::net::{Stream, tls};

/// The factory.
pub const FACTORY: Factory<dyn ExporterPlan> = Factory { kind: "keda_scaler", alias: None, stability: "alpha", parse };

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
        let exporter = Arc::new(Exporter::new(self.config.clone(), context));
        Ok(Part { input: Arc::clone(&exporter) as _, lifecycle: Some(exporter as Arc<dyn Lifecycle>) })
    }
}

/// Calls of one connection that are answered at once; KEDA has one or two for each trigger.
const MAX_CALLS: u32 = 1000;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the stop waits for calls under way.
const DRAIN: Duration = Duration::from_secs(5);

/// The one instance of a configured exporter.
pub struct Exporter {
    config: Config,
    id: Id,
    shared: Arc<Shared>,
    arrivals: watch::Sender<()>,
    running: Mutex<Option<Running>>,
}

struct Running {
    address: Option<SocketAddr>,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
    serving: JoinHandle<()>,
}

/// What metrics and calls meet at.
struct Shared {
    store: Mutex<Store>,
    clock: Arc<dyn Clock>,
    registry: Registry,
    sent: Counter,
    dropped: Counter,
    series: Gauge,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic leaves at worst one point half stored.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Nanos {
        Nanos::try_from(self.clock.unix_nano()).unwrap_or(Nanos::MAX)
    }
}

impl Exporter {
    /// Makes it; nothing is opened yet.
    #[must_use]
    pub fn new(config: Config, context: &Context) -> Self {
        let id = context.id.to_string();
        let attributes = [("exporter", id.as_str())];
        let shared = Arc::new(Shared {
            store: Mutex::new(Store::new(config.limits())),
            clock: Arc::clone(&context.clock),
            registry: context.registry.clone(),
            sent: context.registry.counter(SENT, &attributes),
            dropped: context.registry.counter(DROPPED, &attributes),
            series: context.registry.gauge(SERIES, &attributes),
        });
        let (arrivals, _) = watch::channel(());
        Self { config, id: context.id.clone(), shared, arrivals, running: Mutex::default() }
    }

    /// Where KEDA finds it, once started on TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.address
    }

    fn accept(&self, batch: &Metrics) {
        let mut store = self.shared.store();
        let accepted = store.accept(batch, self.shared.now());
        self.shared.series.set(i64::try_from(store.len()).unwrap_or(i64::MAX));
        drop(store);
        self.shared.sent.add(batch.point_count() as u64);
        if accepted.dropped > 0 {
            self.shared.dropped.add(accepted.dropped);
            tracing::warn!(
                exporter = %self.id,
                points = accepted.dropped,
                "No room for points: max_series are kept already, or their labels are too long"
            );
        }
        self.arrivals.send_replace(());
    }
}

impl Consumer<Metrics> for Exporter {
    fn consume(&self, batch: Metrics) -> Consume<'_> {
        self.accept(&batch);
        Box::pin(async { Ok(()) })
    }
}

impl Lifecycle for Exporter {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            let acceptor = match &self.config.tls {
                Some(tls) => Some(tls::Acceptor::load(tls, &["h2"], &self.shared.clock).map_err(StartError)?),
                None => None,
            };
            let place = self.config.place().map_err(StartError)?;
            let listener = Listener::bind(&place).await.map_err(StartError)?;
            let address = listener.local_address();
            tracing::info!(exporter = %self.id, endpoint = %self.config.endpoint, "Serving KEDA");
            let stop = CancellationToken::new();
            let scaler =
                Scaler { shared: Arc::clone(&self.shared), arrivals: self.arrivals.subscribe(), stop: stop.clone() };
            let (streams, incoming) = mpsc::channel(16);
            let accepting = tokio::spawn(accept(listener, acceptor, streams, stop.clone()));
            let router =
                Server::builder().max_concurrent_streams(MAX_CALLS).add_service(ExternalScalerServer::new(scaler));
            let ended = stop.clone().cancelled_owned();
            let serving = tokio::spawn(async move {
                let incoming = ReceiverStream::new(incoming);
                if let Err(error) = router.serve_with_incoming_shutdown(incoming, ended).await {
                    tracing::error!(error = %error, "The server for KEDA has failed");
                }
            });
            let running = Running { address, stop, accepting, serving };
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
            Ok(())
        })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Running { stop, accepting, mut serving, .. }) = running else { return Ok(()) };
            stop.cancel();
            accepting.await.map_err(|error| StartError(error.to_string()))?;
            if tokio::time::timeout(DRAIN, &mut serving).await.is_err() {
                tracing::warn!(exporter = %self.id, "Calls of KEDA that did not end were cut at shutdown");
                serving.abort();
            }
            Ok(())
        })
    }
}

/// Hands connections to the server, each after its handshake.
async fn accept(
    listener: Listener,
    acceptor: Option<tls::Acceptor>,
    streams: mpsc::Sender<std::io::Result<Stream>>,
    stop: CancellationToken,
) {
    let acceptor = acceptor.map(Arc::new);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(error = %error, "Failed to accept a connection");
                // Out of file handles: trying again at once would only burn a core.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (acceptor, streams) = (acceptor.clone(), streams.clone());
        tokio::spawn(async move {
            let stream = match &acceptor {
                None => stream,
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => return tracing::debug!(error = %error, "TLS handshake failed"),
                    Err(_) => return tracing::debug!("TLS handshake timed out"),
                },
            };
            // Fails where the server has ended.
            let _ = streams.send(Ok(stream)).await;
        });
    }
}
