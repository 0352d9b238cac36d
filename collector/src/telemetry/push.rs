//! A periodic reader: own metrics pushed over OTLP, cumulative, with the resource of own telemetry.
//!
//! A push that fails is counted and logged, and is not repeated: the next one carries the same sums. At the stop there
//! is a last push, after the pipelines have ended, so that the far side has the final numbers.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::telemetry::{Counter, Definition, Registry};
use component::{Clock, Signal};
use pdata::Metrics;
use pdata::metrics::{ResourceMetrics, Value};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::page::Level;
use crate::config::metric_readers::{PeriodicReader, Target};
use crate::exporters::helper::{Request, Sender};
use crate::exporters::{otlp, otlp_http};
use crate::factory::{Lifecycle, StartError, Step};

const PUSHES: Definition = Definition {
    name: "ottlcol_telemetry_pushes",
    unit: "{push}",
    description: "Number of pushes of own metrics, by outcome",
    scope: "ottlcol/telemetry",
};

/// How long the last push may hold up the stop: a far side that is gone as well must not cost the grace period.
const LAST_PUSH: Duration = Duration::from_secs(5);

/// Own metrics as they are now, as a reader of `level` sees them.
#[must_use]
pub fn snapshot(registry: &Registry, resource: &[(String, String)], level: Level, unix_nano: u64) -> ResourceMetrics {
    let mut all = registry.collect(unix_nano);
    all.attributes = resource.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    for scope in &mut all.scope_metrics {
        scope.metrics.retain(|metric| level.shows(&metric.name));
    }
    all.scope_metrics.retain(|scope| !scope.metrics.is_empty());
    all
}

/// One periodic reader.
pub struct Pusher {
    job: Arc<Job>,
    interval: Duration,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Job {
    registry: Registry,
    resource: Arc<[(String, String)]>,
    clock: Arc<dyn Clock>,
    level: Level,
    timeout: Duration,
    route: Route,
    succeeded: Counter,
    failed: Counter,
}

enum Route {
    Remote(Box<dyn Sender>),
    Console,
}

impl Pusher {
    /// Makes it, with its client; nothing is sent yet.
    ///
    /// # Errors
    /// Where certificates cannot be read.
    pub fn new(
        reader: &PeriodicReader,
        level: Level,
        registry: &Registry,
        resource: &Arc<[(String, String)]>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let route = match &reader.target {
            Target::Grpc(config) => Route::Remote(Box::new(otlp::Client::new(config, clock).map_err(StartError)?)),
            Target::Http(config) => {
                Route::Remote(Box::new(otlp_http::Client::new(config, Signal::Metrics, clock).map_err(StartError)?))
            }
            Target::Console => Route::Console,
        };
        let job = Arc::new(Job {
            registry: registry.clone(),
            resource: Arc::clone(resource),
            clock: Arc::clone(clock),
            level,
            timeout: reader.timeout,
            route,
            succeeded: registry.counter(PUSHES, &[("outcome", "success")]),
            failed: registry.counter(PUSHES, &[("outcome", "failure")]),
        });
        Ok(Self { job, interval: reader.interval, stop: CancellationToken::new(), task: Mutex::default() })
    }
}

impl Job {
    async fn push(&self, limit: Duration) {
        let batch = Metrics {
            resource_metrics: vec![snapshot(&self.registry, &self.resource, self.level, self.clock.unix_nano())],
            ..Metrics::default()
        };
        match tokio::time::timeout(limit, self.send(&batch)).await {
            Ok(Ok(())) => self.succeeded.add(1),
            Ok(Err(error)) => self.fail(&error),
            Err(_) => self.fail("timed out"),
        }
    }

    fn fail(&self, error: &str) {
        self.failed.add(1);
        tracing::error!(error, "Failed to push own metrics; the next push carries the same sums");
    }

    async fn send(&self, batch: &Metrics) -> Result<(), String> {
        let request = Request::from_metrics(batch);
        match &self.route {
            Route::Remote(sender) => sender.send(&request).await.map_err(|error| error.to_string()),
            Route::Console => {
                let mut line = Vec::new();
                pdata::json::metrics_to_json(&request.whole(), &mut line);
                line.push(b'\n');
                std::io::stdout().lock().write_all(&line).map_err(|error| error.to_string())
            }
        }
    }
}

impl Lifecycle for Pusher {
    fn start(&self) -> Step<'_> {
        let (job, stop, interval) = (Arc::clone(&self.job), self.stop.clone(), self.interval);
        let task = tokio::spawn(async move {
            let first = tokio::time::Instant::now() + interval;
            let mut ticks = tokio::time::interval_at(first, interval);
            // A slow far side delays pushes; making up for them would only send the same sums twice.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                // A stop ends a push under way: the last one follows anyway.
                if stop.run_until_cancelled(job.push(job.timeout)).await.is_none() {
                    break;
                }
            }
            job.push(job.timeout.min(LAST_PUSH)).await;
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.stop.cancel();
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
            match task {
                Some(task) => task.await.map_err(|error| StartError(error.to_string())),
                None => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use component::ManualClock;

    use super::*;

    /// What a far side was sent.
    #[derive(Default)]
    struct Far(Mutex<Vec<Metrics>>);

    impl Sender for Arc<Far> {
        fn send<'a>(&'a self, request: &'a Request) -> crate::exporters::helper::Sent<'a> {
            Box::pin(async move {
                self.0.lock().unwrap().push(Metrics::decode(&request.whole()).unwrap());
                Ok(())
            })
        }
    }

    const SPANS: Definition =
        Definition { name: "otelcol_receiver_accepted_spans", unit: "{span}", description: "Spans", scope: "s" };

    #[tokio::test(start_paused = true)]
    async fn pushes_at_each_interval_and_once_more_at_the_end() {
        let registry = Registry::new(7);
        let spans = registry.counter(SPANS, &[("receiver", "otlp")]);
        let far = Arc::new(Far::default());
        let job = Arc::new(Job {
            registry: registry.clone(),
            resource: Arc::new([("host.name".to_owned(), "pod-0".to_owned())]),
            clock: Arc::new(ManualClock::default()),
            level: Level::Normal,
            timeout: Duration::from_secs(1),
            route: Route::Remote(Box::new(Arc::clone(&far))),
            succeeded: registry.counter(PUSHES, &[("outcome", "success")]),
            failed: registry.counter(PUSHES, &[("outcome", "failure")]),
        });
        let interval = Duration::from_secs(10);
        let pusher = Pusher { job, interval, stop: CancellationToken::new(), task: Mutex::default() };
        pusher.start().await.unwrap();
        tokio::time::sleep(Duration::from_secs(25)).await;
        spans.add(5);
        pusher.shutdown().await.unwrap();
        let pushes = far.0.lock().unwrap();
        assert_eq!(pushes.len(), 3);
        let last = &pushes[2].resource_metrics[0];
        assert_eq!(last.attributes, [("host.name".to_owned(), Value::String("pod-0".to_owned()))]);
        let metric = &last.scope_metrics[0].metrics[0];
        let pdata::metrics::MetricData::Sum { points, temporality, monotonic: true } = &metric.data else {
            panic!("{metric:?}")
        };
        assert_eq!(*temporality, pdata::metrics::AggregationTemporality::Cumulative);
        assert_eq!((points[0].start_unix_nano, points[0].value), (7, pdata::metrics::NumberValue::Int(5)));
    }
}
