//! Components that remember what is done to them, for tests of configuration, graph and service.

use std::sync::{Arc, Mutex, OnceLock};

use component::{Consume, Consumer, MetricsConsumer, Signal, TracesConsumer};
use pdata::{Metrics, Traces};
use serde::Deserialize;

use crate::config::{Problems, Section};
use crate::factory::{
    ConnectorPlan, Context, ExporterPlan, ExtensionPlan, Factory, Lifecycle, Outputs, Part, ProcessorPlan,
    ReceiverPlan, StartError, Step,
};
use crate::registry::Factories;

/// What happened, by test thread: parts add lines such as `start otlp`.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

thread_local! {
    static JOURNAL: OnceLock<Journal> = const { OnceLock::new() };
}

impl Journal {
    /// The journal of this test: tests run in threads of their own, on current-thread runtimes.
    pub(crate) fn here() -> Self {
        JOURNAL.with(|journal| journal.get_or_init(Self::default).clone())
    }

    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Refuses to start.
    broken: bool,
    /// Refused by validation.
    size: i64,
}

/// Every plan in one: which signals and pairs it has is in the type it is configured as.
struct Fake {
    config: Config,
    signals: &'static [Signal],
    pairs: &'static [(Signal, Signal)],
}

fn read(section: &Section, problems: &mut Problems) -> Option<Config> {
    let config: Config = section.decode(problems)?;
    if config.size < 0 {
        problems.add(&section.path, "`size` must be positive");
        return None;
    }
    Some(config)
}

const TRACES: &[Signal] = &[Signal::Traces];
const BOTH: &[Signal] = &[Signal::Traces, Signal::Metrics];

/// `both` takes traces and metrics, `traces` only traces; `forward` and `count` connect as upstream's.
pub(crate) fn factories() -> Factories {
    macro_rules! parse {
        ($signals:expr, $pairs:expr) => {
            |section, problems| {
                read(section, problems)
                    .map(|config| Box::new(Fake { config, signals: $signals, pairs: $pairs }) as Box<_>)
            }
        };
    }
    macro_rules! factory {
        ($kind:literal, $alias:expr, $signals:expr, $pairs:expr) => {
            Factory { kind: $kind, alias: $alias, stability: "alpha", parse: parse!($signals, $pairs) }
        };
    }
    Factories {
        receivers: vec![factory!("both", None, BOTH, &[]), factory!("traces", None, TRACES, &[])],
        processors: vec![factory!("both", None, BOTH, &[]), factory!("traces", None, TRACES, &[])],
        exporters: vec![factory!("both_new", Some("both"), BOTH, &[]), factory!("traces", None, TRACES, &[])],
        connectors: vec![
            factory!("forward", None, &[], &[(Signal::Traces, Signal::Traces), (Signal::Metrics, Signal::Metrics)]),
            factory!("count", None, &[], &[(Signal::Traces, Signal::Metrics)]),
            factory!("all", None, &[], &[(Signal::Traces, Signal::Traces), (Signal::Traces, Signal::Metrics)]),
        ],
        extensions: vec![factory!("ext", None, &[], &[])],
    }
}

struct Life {
    name: String,
    broken: bool,
    journal: Journal,
    /// Kept, so that a test can send data through the receiver.
    outputs: Outputs,
}

thread_local! {
    static RECEIVERS: Mutex<Vec<Arc<Life>>> = const { Mutex::new(Vec::new()) };
}

/// Sends an empty batch into every receiver of this test's thread.
pub(crate) async fn send_everywhere() {
    let receivers = RECEIVERS.with(|all| std::mem::take(&mut *all.lock().unwrap()));
    for receiver in receivers {
        if let Some(traces) = &receiver.outputs.traces {
            traces.consume(Traces::default()).await.unwrap();
        }
        if let Some(metrics) = &receiver.outputs.metrics {
            metrics.consume(Metrics::default()).await.unwrap();
        }
    }
}

impl Lifecycle for Life {
    fn start(&self) -> Step<'_> {
        self.journal.add(format!("start {}", self.name));
        let answer = if self.broken { Err(StartError("no luck".to_owned())) } else { Ok(()) };
        Box::pin(async move { answer })
    }
    fn shutdown(&self) -> Step<'_> {
        self.journal.add(format!("stop {}", self.name));
        Box::pin(async { Ok(()) })
    }
    fn pipelines_ready(&self, ready: bool) {
        self.journal.add(format!("ready={ready} {}", self.name));
    }
}

/// Notes what passes and hands it on.
struct Pass<T> {
    name: String,
    next: Option<Arc<dyn Consumer<T>>>,
    journal: Journal,
}

impl<T: Send + 'static> Consumer<T> for Pass<T> {
    fn consume(&self, batch: T) -> Consume<'_> {
        self.journal.add(self.name.clone());
        match &self.next {
            Some(next) => next.consume(batch),
            None => Box::pin(async { Ok(()) }),
        }
    }
}

impl Fake {
    fn life(&self, name: String, outputs: Outputs) -> Arc<Life> {
        Arc::new(Life { name, broken: self.config.broken, journal: Journal::here(), outputs })
    }

    fn part<T: Send + 'static>(
        &self,
        kind: &str,
        context: &Context,
        next: Option<Arc<dyn Consumer<T>>>,
    ) -> Part<Arc<dyn Consumer<T>>> {
        let place = context.pipeline.as_deref().map(|pipeline| format!("@{pipeline}")).unwrap_or_default();
        let name = format!("{kind} {}{place}", context.id);
        let lifecycle: Arc<dyn Lifecycle> = self.life(name.clone(), Outputs::default());
        Part { input: Arc::new(Pass { name, next, journal: Journal::here() }), lifecycle: Some(lifecycle) }
    }
}

impl ReceiverPlan for Fake {
    fn signals(&self) -> &'static [Signal] {
        self.signals
    }
    fn make(&self, context: &Context, outputs: Outputs) -> Result<Arc<dyn Lifecycle>, StartError> {
        let life = self.life(format!("receiver {}", context.id), outputs);
        RECEIVERS.with(|all| all.lock().unwrap().push(life.clone()));
        Ok(life)
    }
}

impl ProcessorPlan for Fake {
    fn signals(&self) -> &'static [Signal] {
        self.signals
    }
    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        Ok(self.part("processor", context, Some(next)))
    }
    fn make_metrics(&self, context: &Context, next: MetricsConsumer) -> Result<Part<MetricsConsumer>, StartError> {
        Ok(self.part("processor", context, Some(next)))
    }
}

impl ExporterPlan for Fake {
    fn signals(&self) -> &'static [Signal] {
        self.signals
    }
    fn make_traces(&self, context: &Context) -> Result<Part<TracesConsumer>, StartError> {
        Ok(self.part("exporter", context, None))
    }
    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        Ok(self.part("exporter", context, None))
    }
}

impl ConnectorPlan for Fake {
    fn pairs(&self) -> &'static [(Signal, Signal)] {
        self.pairs
    }
    fn make_traces_to_traces(
        &self,
        context: &Context,
        next: TracesConsumer,
    ) -> Result<Part<TracesConsumer>, StartError> {
        Ok(self.part("connector", context, Some(next)))
    }
    fn make_traces_to_metrics(
        &self,
        context: &Context,
        next: MetricsConsumer,
    ) -> Result<Part<TracesConsumer>, StartError> {
        let name = format!("connector {} to metrics", context.id);
        let lifecycle: Arc<dyn Lifecycle> = self.life(name.clone(), Outputs::default());
        Ok(Part { input: Arc::new(ToMetrics { name, next, journal: Journal::here() }), lifecycle: Some(lifecycle) })
    }
    fn make_metrics_to_metrics(
        &self,
        context: &Context,
        next: MetricsConsumer,
    ) -> Result<Part<MetricsConsumer>, StartError> {
        Ok(self.part("connector", context, Some(next)))
    }
}

struct ToMetrics {
    name: String,
    next: MetricsConsumer,
    journal: Journal,
}

impl Consumer<Traces> for ToMetrics {
    fn consume(&self, _: Traces) -> Consume<'_> {
        self.journal.add(self.name.clone());
        self.next.consume(Metrics::default())
    }
}

impl ExtensionPlan for Fake {
    fn make(&self, context: &Context) -> Result<Arc<dyn Lifecycle>, StartError> {
        Ok(self.life(format!("extension {}", context.id), Outputs::default()))
    }
}
