//! Where the text goes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

pub(super) enum Sink {
    /// The collector's own log.
    Log,
    /// Standard streams and files, one line or block after the other.
    Paths(Mutex<Vec<Target>>),
}

pub(super) enum Target {
    Stdout,
    Stderr,
    File(File),
}

impl Sink {
    /// `stdout`, `stderr`, or files that are appended to.
    pub(super) fn open(paths: &[String]) -> Result<Self, String> {
        let open = |path: &String| match path.as_str() {
            "stdout" => Ok(Target::Stdout),
            "stderr" => Ok(Target::Stderr),
            path => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Target::File)
                .map_err(|error| format!("open {path}: {error}")),
        };
        let targets = paths.iter().map(open).collect::<Result<Vec<_>, String>>()?;
        Ok(Self::Paths(Mutex::new(targets)))
    }

    pub(super) fn traces(&self, resource_spans: usize, spans: usize) {
        match self {
            Self::Log => tracing::info!("resource spans" = resource_spans, spans, "Traces"),
            Self::Paths(_) => {
                self.write(&format!("info\tTraces\t{{\"resource spans\": {resource_spans}, \"spans\": {spans}}}\n"));
            }
        }
    }

    pub(super) fn metrics(&self, resource_metrics: usize, metrics: usize, points: usize) {
        match self {
            Self::Log => tracing::info!(
                "resource metrics" = resource_metrics,
                metrics,
                "data points" = points,
                "Metrics"
            ),
            Self::Paths(_) => self.write(&format!(
                "info\tMetrics\t{{\"resource metrics\": {resource_metrics}, \"metrics\": {metrics}, \"data points\": {points}}}\n"
            )),
        }
    }

    pub(super) fn text(&self, text: &str) {
        match self {
            Self::Log => tracing::info!("{text}"),
            Self::Paths(_) => self.write(&format!("info\t{text}\n")),
        }
    }

    fn write(&self, text: &str) {
        let Self::Paths(targets) = self else { return };
        for target in targets.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let written = match target {
                Target::Stdout => std::io::stdout().write_all(text.as_bytes()),
                Target::Stderr => std::io::stderr().write_all(text.as_bytes()),
                Target::File(file) => file.write_all(text.as_bytes()),
            };
            if let Err(error) = written {
                tracing::warn!(error = %error, "Failed to write debug output");
            }
        }
    }
}
