//! The running program: start, signals, reload, stop.
//!
//! A reload first reads, checks and builds the new configuration beside the running one; only a good one replaces it.
//! (Upstream stops the old service first and then finds out.)

mod instance;

use std::sync::Arc;

use component::Clock;
use component::telemetry::Definition;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use self::instance::Instance;
use crate::clock::SystemClock;
use crate::config::{LoadError, Loaded, Process, Remark, load};
use crate::factory::StartError;
use crate::registry::Factories;
use crate::telemetry::logs::{LogError, Logger};
use crate::{gates, pipeline};

/// Why the program ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its components cannot be made.
    #[error(transparent)]
    Build(#[from] pipeline::BuildError),
    /// They do not start or stop.
    #[error(transparent)]
    Service(#[from] pipeline::ServiceError),
    /// The page of own metrics.
    #[error("failed to start telemetry: {0}")]
    Telemetry(StartError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The operating system refuses a signal handler or a thread.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// A second signal came while parts were stopping.
    #[error("stopped by a second signal before everything was handed on")]
    Impatient,
}

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--config` values, then `--set` values as URIs.
    pub uris: Vec<String>,
    /// False for `--no-jit`.
    pub jit: bool,
    /// Lines for the user once everything runs.
    pub greeting: Option<&'static str>,
}

const RELOADS: Definition = Definition {
    name: "ottlcol_config_reloads",
    unit: "{reload}",
    description: "Number of configuration reloads by outcome. A failed one leaves the old configuration running.",
    scope: "ottlcol/run",
};

/// Runs until a signal or a fatal error of a component.
pub fn run(options: &Options) -> Result<(), RunError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let logger = Logger::install(clock.clone());
    #[cfg(target_os = "linux")]
    small_pages();
    let runner = Runner { options, factories: Factories::all(), clock, logger, threads, succeeded: 0, failed: 0 };
    runtime.block_on(runner.run())
}

/// Takes the process out of transparent huge pages, which some distributions switch on for all (`always`). A segment is
/// given back in pieces much smaller than 2 MiB; under huge pages these come back whole at the next touch, and
/// `tail_sampling` would hold half as much again as `max_buffer_bytes`.
#[cfg(target_os = "linux")]
fn small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "Transparent huge pages cannot be switched off for this process: where they are the system's default, it needs more memory");
    }
}

struct Runner<'o> {
    options: &'o Options,
    factories: Factories,
    clock: Arc<dyn Clock>,
    logger: Logger,
    threads: usize,
    /// Reloads so far. Own metrics restart with each, these two go on.
    succeeded: u64,
    failed: u64,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that ends the program.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

enum Event {
    End,
    Reload,
}

impl Runner<'_> {
    async fn run(mut self) -> Result<(), RunError> {
        let mut signals = Signals::new()?;
        let loaded = self.load()?;
        let mut instance = self.build(loaded)?;
        self.enter(&instance)?;
        self.start(&instance).await?;
        if let Some(greeting) = self.options.greeting {
            tracing::info!("{greeting}");
        }
        while let Event::Reload = next_event(&mut signals, &mut instance).await {
            instance = self.reload(instance).await?;
        }
        tokio::select! {
            () = instance.linger() => {}
            () = signals.end() => tracing::info!("A second signal: nothing is waited for any longer"),
        }
        tracing::info!("Starting shutdown...");
        tokio::select! {
            stopped = instance.stop() => stopped?,
            () = signals.end() => return Err(RunError::Impatient),
        }
        tracing::info!("Shutdown complete.");
        Ok(())
    }

    fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.options.uris, &Process, &self.factories)
    }

    fn build(&self, loaded: Loaded) -> Result<Instance, RunError> {
        let instance = Instance::build(loaded, &self.clock, self.options.jit)?;
        for (outcome, count) in [("success", self.succeeded), ("failure", self.failed)] {
            instance.registry.counter(RELOADS, &[("outcome", outcome)]).add(count);
        }
        Ok(instance)
    }

    /// Takes over the log settings and says what reading the configuration brought up.
    fn enter(&self, instance: &Instance) -> Result<(), LogError> {
        let config = &instance.loaded.config;
        self.logger.apply(&config.service.telemetry.logs, &instance.resource)?;
        for remark in &instance.loaded.remarks {
            match remark {
                Remark::UnsetVariable(name) => {
                    tracing::warn!(name = name.as_str(), "Configuration references unset environment variable");
                }
                Remark::EmptyVariable(name) => {
                    tracing::info!(name = name.as_str(), "Configuration references empty environment variable");
                }
            }
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for gate in gates::without_effect() {
            tracing::warn!(gate, "Feature gate has no effect in this program");
        }
        Ok(())
    }

    async fn start(&self, instance: &Instance) -> Result<(), RunError> {
        tracing::info!(Version = crate::VERSION, NumCPU = self.threads, "Starting {}...", crate::NAME);
        instance.start().await?;
        tracing::info!("Everything is ready. Begin running and processing data.");
        Ok(())
    }

    /// The new instance if its configuration is good, else the old one. An error only if neither runs any more.
    async fn reload(&mut self, mut old: Instance) -> Result<Instance, RunError> {
        let loaded = match self.load() {
            Ok(loaded) => match old.change(loaded) {
                Ok(changed) => {
                    self.succeeded += 1;
                    old.registry.counter(RELOADS, &[("outcome", "success")]).add(1);
                    tracing::info!(processors = changed.join(", "), "Config updated, taken over without a restart");
                    return Ok(old);
                }
                Err(loaded) => Ok(loaded),
            },
            Err(error) => Err(RunError::from(error)),
        };
        tracing::info!("Config updated, restart service");
        let built = loaded.and_then(|loaded| self.build(*loaded));
        let new = match built {
            Ok(new) => new,
            Err(error) => {
                self.failed += 1;
                old.registry.counter(RELOADS, &[("outcome", "failure")]).add(1);
                tracing::error!(
                    error = %error,
                    "failed to setup configuration components; the running configuration stays in force"
                );
                return Ok(old);
            }
        };
        tracing::info!("Starting shutdown...");
        if let Err(error) = old.stop().await {
            tracing::error!(error = %error, "The old configuration did not stop cleanly");
        }
        let started = match self.enter(&new) {
            Ok(()) => self.start(&new).await,
            Err(error) => Err(error.into()),
        };
        match started {
            Ok(()) => {
                self.succeeded += 1;
                new.registry.counter(RELOADS, &[("outcome", "success")]).add(1);
                Ok(new)
            }
            Err(error) => {
                // It was checked and built, but a port is taken or a file cannot be opened: back to what worked.
                self.failed += 1;
                tracing::error!(error = %error, "The new configuration does not start; going back to the old one");
                let again = self.build(old.loaded)?;
                self.enter(&again)?;
                self.start(&again).await?;
                Ok(again)
            }
        }
    }
}

async fn next_event(signals: &mut Signals, instance: &mut Instance) -> Event {
    let Signals { interrupt, terminate, hangup } = signals;
    let (signal, event) = tokio::select! {
        _ = interrupt.recv() => ("interrupt", Event::End),
        _ = terminate.recv() => ("terminated", Event::End),
        _ = hangup.recv() => ("hangup", Event::Reload),
        Some(error) = instance.fatal.recv() => {
            tracing::error!(error = %error, "Asynchronous error received, terminating process");
            return Event::End;
        }
    };
    tracing::info!(signal, "Received signal from OS");
    event
}
