//! The collector's own log: `tracing` events as lines that look like the Go collector's.
//!
//! One subscriber serves the whole process; what it does (level, format, outputs, sampling) is replaced on reload.
//! Events of other crates are shown from `warn` on, or all at level `debug`.

mod format;
mod sampling;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use component::Clock;
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::{Layer, Registry};

use self::format::{Line, collect, span_fields};
use self::sampling::Sampler;
use crate::config::service_telemetry::{Encoding, LogLevel, Logs};

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("failed to open log output {path:?}: {cause}")]
pub struct LogError {
    path: String,
    cause: io::Error,
}

/// The process's log.
#[derive(Clone)]
pub struct Logger {
    active: Arc<ArcSwap<Active>>,
    clock: Arc<dyn Clock>,
}

/// What is in force now.
struct Active {
    level: LogLevel,
    encoding: Encoding,
    caller: bool,
    sampler: Option<Sampler>,
    /// Fields of every line: the resource, then `initial_fields`.
    fields: serde_json::Map<String, serde_json::Value>,
    outputs: Vec<Output>,
}

enum Output {
    Stderr,
    Stdout,
    File(Mutex<std::fs::File>),
}

impl Logger {
    /// A log with the defaults, made the process's log. If another subscriber is there already (in tests), that one
    /// keeps getting the events and this one gets none.
    #[must_use]
    pub fn install(clock: Arc<dyn Clock>) -> Self {
        let logger = Self { active: Arc::new(ArcSwap::from_pointee(Active::default())), clock };
        let subscriber = Registry::default().with(logger.clone());
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            tracing::debug!("another log is in place");
        }
        logger
    }

    /// A log that is nobody's until a subscriber is made of it.
    #[cfg(test)]
    fn detached(clock: Arc<dyn Clock>) -> Self {
        Self { active: Arc::new(ArcSwap::from_pointee(Active::default())), clock }
    }

    /// Takes over a configuration.
    pub fn apply(&self, logs: &Logs, resource: &[(String, String)]) -> Result<(), LogError> {
        let mut fields = serde_json::Map::new();
        if !logs.disable_zap_resource {
            let resource = resource.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
            fields.insert("resource".to_owned(), serde_json::Value::Object(resource));
        }
        fields.extend(logs.initial_fields.iter().map(|(key, value)| (key.clone(), value.clone())));
        let outputs = logs.output_paths.iter().map(|path| open(path)).collect::<Result<_, _>>()?;
        // Only checked: this logger has no trouble of its own to report, as it drops what it cannot write.
        for path in &logs.error_output_paths {
            open(path)?;
        }
        self.active.store(Arc::new(Active {
            level: logs.level,
            encoding: logs.encoding,
            caller: !logs.disable_caller,
            sampler: logs.sampling.map(Sampler::new),
            fields,
            outputs,
        }));
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }
}

fn open(path: &str) -> Result<Output, LogError> {
    match path {
        "stderr" => Ok(Output::Stderr),
        "stdout" => Ok(Output::Stdout),
        path => {
            let name = path.strip_prefix("file://").unwrap_or(path);
            let file = OpenOptions::new().create(true).append(true).open(name);
            let file = file.map_err(|cause| LogError { path: path.to_owned(), cause })?;
            Ok(Output::File(Mutex::new(file)))
        }
    }
}

impl Default for Active {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: Encoding::Console,
            caller: true,
            sampler: None,
            fields: serde_json::Map::new(),
            outputs: vec![Output::Stderr],
        }
    }
}

impl Active {
    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let level = match *metadata.level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            _ => return false,
        };
        let own = ["collector", "ottlcol", "ottl", "connectors", "component", "pdata"]
            .iter()
            .any(|name| metadata.target().split("::").next() == Some(name));
        level >= self.level && (own || level >= LogLevel::Warn || self.level == LogLevel::Debug)
    }

    fn write(&self, line: &str) {
        for output in &self.outputs {
            // A log that cannot be written has nowhere to say so; the data path goes on.
            let _ = match output {
                Output::Stderr => io::stderr().lock().write_all(line.as_bytes()),
                Output::Stdout => io::stdout().lock().write_all(line.as_bytes()),
                Output::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()),
            };
        }
    }
}

/// Fields of a span, kept for the lines within it.
struct SpanFields(serde_json::Map<String, serde_json::Value>);

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for Logger {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(SpanFields(span_fields(attributes)));
        }
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.active.load().shows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.active.load().shows(metadata)
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let active = self.active.load();
        let (message, own) = collect(event);
        let level = *event.metadata().level();
        if let Some(sampler) = &active.sampler
            && !sampler.passes(level, &message, self.clock.monotonic())
        {
            return;
        }
        let mut fields = serde_json::Map::new();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(SpanFields(outer)) = span.extensions().get() {
                fields.extend(outer.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        fields.extend(own);
        let line = Line {
            unix_nano: self.clock.unix_nano(),
            level,
            caller: active
                .caller
                .then(|| (event.metadata().file().unwrap_or(""), event.metadata().line().unwrap_or(0))),
            message: &message,
            common: &active.fields,
            fields: &fields,
        };
        active.write(&match active.encoding {
            Encoding::Console => line.console(),
            Encoding::Json => line.json(),
        });
    }
}

#[cfg(test)]
mod tests;
