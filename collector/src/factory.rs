//! How a component is made from its section of the YAML.
//!
//! A factory turns a section into a checked configuration (a plan), reporting every mistake with its key path; the plan
//! then makes running parts, once a pipeline (processors) or once a signal (receivers, exporters, connectors).
//! Making never starts anything: sockets and tasks begin in [`Lifecycle::start`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use component::telemetry::Registry;
use component::{Clock, Id, MetricsConsumer, Signal, TracesConsumer};
use tokio::sync::mpsc;

use crate::config::{Problems, Section};
use crate::health::{Health, Watch};
use crate::storage::{Directory, Storages};

/// A future of start or stop.
pub type Step<'a> = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>>;

/// A wait that cannot fail.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Why a component does not start. The text names the cause, the caller adds the component's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl StartError {
    /// All mistakes of a section in one text.
    pub(crate) fn from_problems(problems: &Problems) -> Self {
        let lines: Vec<String> =
            problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        Self(lines.join("; "))
    }
}

/// A change that has been checked and compiled, and takes effect when it is called.
pub type Prepared = Box<dyn FnOnce() + Send>;

/// Something with tasks or sockets. Both methods are called at most once, start first.
pub trait Lifecycle: Send + Sync {
    /// Opens sockets and spawns tasks.
    fn start(&self) -> Step<'_>;
    /// The process is going to stop, and everything runs as before but is unready: waits for what is better finished
    /// before anything stops, within a bound of the part's own. Not asked for where a reload replaces the part.
    fn linger(&self) -> Wait<'_> {
        Box::pin(async {})
    }
    /// Takes no more input, hands on what was accepted, and ends its tasks.
    fn shutdown(&self) -> Step<'_>;
    /// Extensions are told when all pipelines have started, and again, with false, before the first of them stops.
    fn pipelines_ready(&self, ready: bool) {
        let _ = ready;
    }
    /// A reload has changed the part's section and nothing else around it: checks and compiles the new one beside what
    /// runs. `None` where the part cannot change while running and has to be made again.
    fn prepare(&self, section: &Section) -> Option<Result<Prepared, StartError>> {
        let _ = section;
        None
    }
}

/// What every part gets when it is made.
#[derive(Clone)]
pub struct Context {
    /// The id as written in the YAML.
    pub id: Id,
    /// The pipeline, for processors: `traces/input`.
    pub pipeline: Option<Arc<str>>,
    /// Own metrics.
    pub registry: Registry,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// `service.telemetry.resource` with the defaults filled in, in order.
    pub resource: Arc<[(String, String)]>,
    /// False where `--no-jit` was given: conditions run in the interpreter.
    pub jit: bool,
    /// Where a part says that it cannot go on, for example because its socket broke after start.
    pub fatal: Fatal,
    /// Where a part's long-running tasks are watched.
    pub health: Health,
    /// Directories that the service's extensions offer.
    pub storages: Storages,
}

impl Context {
    /// For the long-running tasks of this part; `kind` is `processor`, `exporter` or whatever it is.
    #[must_use]
    pub fn watch(&self, kind: &str) -> Watch {
        let pipeline = self.pipeline.as_ref().map(|id| format!(" in pipeline \"{id}\"")).unwrap_or_default();
        self.health.watch(format!("{kind} \"{}\"{pipeline}", self.id))
    }
}

/// Ends the program with a normal shutdown (upstream's asynchronous error). Without a receiving end, as in tests, the
/// report goes nowhere.
#[derive(Clone, Debug, Default)]
pub struct Fatal(Option<mpsc::UnboundedSender<StartError>>);

impl Fatal {
    /// A handle whose reports arrive at the receiver.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<StartError>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    /// Reports that the part cannot go on. At most a few calls a life: the queue is not bounded.
    pub fn report(&self, error: StartError) {
        if let Some(sender) = &self.0 {
            // A closed channel means that the shutdown is under way already.
            let _ = sender.send(error);
        }
    }
}

/// A running part that takes traces or metrics, or only has a life (receivers, extensions).
pub struct Part<C> {
    /// Where its input goes; for receivers and extensions `()`.
    pub input: C,
    /// Its life. Parts without tasks give `None`.
    pub lifecycle: Option<Arc<dyn Lifecycle>>,
}

/// What a receiver feeds: one consumer for each signal that a pipeline asks of it (already a fan-out where several do).
#[derive(Clone, Default)]
pub struct Outputs {
    /// Consumer of traces, if a traces pipeline lists the receiver.
    pub traces: Option<TracesConsumer>,
    /// Consumer of metrics, likewise.
    pub metrics: Option<MetricsConsumer>,
}

/// A checked receiver configuration. One instance serves all signals.
pub trait ReceiverPlan: Send + Sync {
    /// Signals it can give.
    fn signals(&self) -> &'static [Signal];
    /// Makes the one instance.
    fn make(&self, context: &Context, outputs: Outputs) -> Result<Arc<dyn Lifecycle>, StartError>;
}

/// A checked processor configuration. One instance a pipeline.
pub trait ProcessorPlan: Send + Sync {
    /// Signals it can process.
    fn signals(&self) -> &'static [Signal];
    /// Makes an instance for a traces pipeline.
    fn make_traces(&self, context: &Context, next: TracesConsumer) -> Result<Part<TracesConsumer>, StartError> {
        let _ = (context, next);
        Err(StartError("telemetry type is not supported".to_owned()))
    }
    /// Makes an instance for a metrics pipeline.
    fn make_metrics(&self, context: &Context, next: MetricsConsumer) -> Result<Part<MetricsConsumer>, StartError> {
        let _ = (context, next);
        Err(StartError("telemetry type is not supported".to_owned()))
    }
}

/// A checked exporter configuration. One instance a signal.
pub trait ExporterPlan: Send + Sync {
    /// Signals it can take.
    fn signals(&self) -> &'static [Signal];
    /// Makes the traces instance.
    fn make_traces(&self, context: &Context) -> Result<Part<TracesConsumer>, StartError> {
        let _ = context;
        Err(StartError("telemetry type is not supported".to_owned()))
    }
    /// Makes the metrics instance.
    fn make_metrics(&self, context: &Context) -> Result<Part<MetricsConsumer>, StartError> {
        let _ = context;
        Err(StartError("telemetry type is not supported".to_owned()))
    }
}

/// A checked connector configuration. One instance a (from, to) pair of signals.
pub trait ConnectorPlan: Send + Sync {
    /// The pairs it can connect.
    fn pairs(&self) -> &'static [(Signal, Signal)];
    /// Traces in, traces out.
    fn make_traces_to_traces(
        &self,
        context: &Context,
        next: TracesConsumer,
    ) -> Result<Part<TracesConsumer>, StartError> {
        let _ = (context, next);
        Err(StartError("telemetry type is not supported".to_owned()))
    }
    /// Traces in, metrics out.
    fn make_traces_to_metrics(
        &self,
        context: &Context,
        next: MetricsConsumer,
    ) -> Result<Part<TracesConsumer>, StartError> {
        let _ = (context, next);
        Err(StartError("telemetry type is not supported".to_owned()))
    }
    /// Metrics in, metrics out.
    fn make_metrics_to_metrics(
        &self,
        context: &Context,
        next: MetricsConsumer,
    ) -> Result<Part<MetricsConsumer>, StartError> {
        let _ = (context, next);
        Err(StartError("telemetry type is not supported".to_owned()))
    }
}

/// A checked extension configuration.
pub trait ExtensionPlan: Send + Sync {
    /// Makes the instance.
    fn make(&self, context: &Context) -> Result<Arc<dyn Lifecycle>, StartError>;
    /// The directory that it offers to other components, if it offers one.
    fn storage(&self) -> Option<Directory> {
        None
    }
}

/// Parses one section: every mistake goes to `problems`, and `None` comes back if there was one.
pub type Parse<P> = fn(section: &Section, problems: &mut Problems) -> Option<Box<P>>;

/// What `ottlcol components` and the README table say about a component, and how its section is read.
pub struct Factory<P: ?Sized + 'static> {
    /// The type as users write it in new files.
    pub kind: &'static str,
    /// A second name that is accepted too, if there is one.
    pub alias: Option<&'static str>,
    /// `stable`, `beta`, `alpha`, by signal, as far as this program is concerned.
    pub stability: &'static str,
    /// Reads its section.
    pub parse: Parse<P>,
}
