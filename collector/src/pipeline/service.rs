//! A built configuration with its life: extensions and pipelines, started and stopped in order.

use std::sync::Arc;

use component::telemetry::Registry;
use component::{Clock, Id};
use tracing::Instrument;

use super::build::{BuildError, Running, build};
use crate::config::{Config, Section};
use crate::factory::{Context, Fatal, Prepared};
use crate::health::Health;

/// What a service is built with besides its configuration.
#[derive(Clone)]
pub struct Settings {
    /// Own metrics.
    pub registry: Registry,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The resource of own telemetry.
    pub resource: Arc<[(String, String)]>,
    /// False to run conditions in the interpreter.
    pub jit: bool,
    /// Where parts report that they cannot go on.
    pub fatal: Fatal,
}

/// Extensions and pipelines of one configuration.
pub struct Service {
    extensions: Vec<Running>,
    parts: Vec<Running>,
}

/// Why starting or stopping failed. The text is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServiceError(pub String);

impl Service {
    /// Makes all parts without starting any. The graph of `config` must have been checked.
    pub fn build(config: &Config, settings: &Settings) -> Result<Self, BuildError> {
        // Every part replaces the id by its own.
        let Some(any) = config.receivers.first().map(|receiver| &receiver.id) else {
            return Ok(Self { extensions: Vec::new(), parts: Vec::new() });
        };
        let plan =
            |id: &Id| config.extensions.iter().find(|known| known.id == *id).and_then(|known| known.plan.clone());
        let offer = |id: &Id| Some((id.clone(), plan(id)?.storage()));
        let base = Context {
            id: any.clone(),
            pipeline: None,
            registry: settings.registry.clone(),
            clock: settings.clock.clone(),
            resource: settings.resource.clone(),
            jit: settings.jit,
            fatal: settings.fatal.clone(),
            health: Health::default(),
            storages: config.service.extensions.iter().filter_map(offer).collect(),
        };
        let parts = build(config, &base)?.running;
        let mut extensions = Vec::new();
        for id in &config.service.extensions {
            let Some(plan) = plan(id) else { continue };
            let context = Context { id: id.clone(), ..base.clone() };
            let lifecycle = plan.make(&context).map_err(|cause| BuildError::extension(id, &cause))?;
            extensions.push(Running { id: id.clone(), kind: "extension", lifecycle });
        }
        Ok(Self { extensions, parts })
    }

    /// Starts extensions, then exporters, then processors and connectors, then receivers. If one fails, those that run
    /// are stopped again.
    pub async fn start(&self) -> Result<(), ServiceError> {
        let mut started: Vec<&Running> = Vec::new();
        for (group, prefix) in
            [(&self.extensions, "failed to start extensions"), (&self.parts, "cannot start pipelines")]
        {
            for part in group {
                if let Err(cause) = part.lifecycle.start().instrument(part.log_span()).await {
                    let (id, kind) = (&part.id, part.kind);
                    let mut message = format!("{prefix}: failed to start \"{id}\" {kind}: {cause}");
                    // A part may have begun some of its work before it failed.
                    started.push(part);
                    if let Err(also) = stop(started.iter().rev().copied()).await {
                        message = format!("{message}; {also}");
                    }
                    return Err(ServiceError(message));
                }
                started.push(part);
            }
        }
        self.tell(true);
        Ok(())
    }

    fn tell(&self, ready: bool) {
        for extension in &self.extensions {
            extension.lifecycle.pipelines_ready(ready);
        }
    }

    /// Is unready from now on, and gives every part the time that it wants before a stop, all at once.
    pub async fn linger(&self) {
        self.tell(false);
        let parts = self.parts.iter().map(|part| part.lifecycle.linger().instrument(part.log_span()));
        futures_util::future::join_all(parts).await;
    }

    /// Stops receivers first and extensions last, each part after all that feed it. Every part is stopped, whatever
    /// the others answer. There is no overall bound, as upstream: parts bound their own waits.
    pub async fn shutdown(&self) -> Result<(), ServiceError> {
        self.tell(false);
        let parts = stop(self.parts.iter().rev()).await;
        tracing::info!("Stopping extensions...");
        let extensions = stop(self.extensions.iter().rev()).await;
        match (parts, extensions) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(one), Ok(())) | (Ok(()), Err(one)) => Err(one),
            (Err(ServiceError(one)), Err(ServiceError(other))) => Err(ServiceError(format!("{one}; {other}"))),
        }
    }

    /// Checks and compiles other sections for processors that run. Nothing comes back if one of them cannot change while
    /// running, or not to this; no part has changed then.
    pub(crate) fn prepare(&self, sections: &[Section]) -> Option<Vec<Prepared>> {
        let mut changes = Vec::new();
        for section in sections {
            for part in self.parts.iter().filter(|part| part.kind == "processor" && part.id == section.id) {
                changes.push(part.lifecycle.prepare(section)?.ok()?);
            }
        }
        Some(changes)
    }

    /// Ids and kinds in start order, for tests and logs.
    #[must_use]
    pub fn order(&self) -> Vec<(Id, &'static str)> {
        self.extensions.iter().chain(&self.parts).map(|part| (part.id.clone(), part.kind)).collect()
    }
}

async fn stop<'a>(parts: impl Iterator<Item = &'a Running>) -> Result<(), ServiceError> {
    let mut failed = Vec::new();
    for part in parts {
        if let Err(cause) = part.lifecycle.shutdown().instrument(part.log_span()).await {
            failed.push(format!("failed to shutdown \"{}\" {}: {cause}", part.id, part.kind));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(ServiceError(failed.join("; "))) }
}
