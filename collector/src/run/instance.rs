//! One configuration in its running form: pipelines, extensions, the pages of own metrics.

use std::sync::Arc;

use component::telemetry::Registry;
use component::{Clock, Id};
use tokio::sync::mpsc;

use super::RunError;
use crate::config::service_telemetry::{MetricsLevel, PullReader, resource_attributes};
use crate::config::{Loaded, Node, Section};
use crate::factory::{Fatal, Lifecycle, StartError};
use crate::net::address::HostPort;
use crate::pipeline::{Service, ServiceError, Settings};
use crate::telemetry::page::{Level, Options, Page};
use crate::telemetry::process;
use crate::telemetry::push::Pusher;

pub(crate) struct Instance {
    pub(crate) loaded: Loaded,
    pub(crate) registry: Registry,
    pub(crate) resource: Arc<[(String, String)]>,
    /// Reports of parts that cannot go on.
    pub(crate) fatal: mpsc::UnboundedReceiver<StartError>,
    service: Service,
    pages: Vec<Page>,
    pushers: Vec<Pusher>,
}

impl Instance {
    /// Makes everything, starts nothing.
    pub(crate) fn build(loaded: Loaded, clock: &Arc<dyn Clock>, jit: bool) -> Result<Self, RunError> {
        let telemetry = &loaded.config.service.telemetry;
        let resource: Arc<[_]> = resource_attributes(telemetry, uuid::Uuid::new_v4().to_string()).into();
        let registry = Registry::new(clock.unix_nano());
        let (fatal, reports) = Fatal::channel();
        let settings =
            Settings { registry: registry.clone(), clock: clock.clone(), resource: resource.clone(), jit, fatal };
        let service = Service::build(&loaded.config, &settings)?;
        process::register(&registry, clock.clone());
        let (mut pages, mut pushers) = (Vec::new(), Vec::new());
        if let Some(level) = shown_level(telemetry.metrics.level) {
            let readers = telemetry.metrics.readers.iter();
            let page =
                |reader| Page::new(page_options(level, reader), registry.clone(), resource.clone(), clock.clone());
            pages.extend(readers.map(page));
            for reader in &telemetry.metrics.periodic {
                let pusher = Pusher::new(reader, level, &registry, &resource, clock);
                pushers.push(pusher.map_err(RunError::Telemetry)?);
            }
        }
        Ok(Self { loaded, registry, resource, fatal: reports, service, pages, pushers })
    }

    /// Starts the pages, then extensions and pipelines. If anything fails, all of it is stopped again.
    pub(crate) async fn start(&self) -> Result<(), RunError> {
        for page in &self.pages {
            if let Err(error) = page.start().await {
                self.stop_pages().await?;
                return Err(RunError::Telemetry(error));
            }
        }
        if let Err(error) = self.service.start().await {
            self.stop_pages().await?;
            return Err(error.into());
        }
        // Last: what is pushed to may be this very instance.
        for pusher in &self.pushers {
            pusher.start().await.map_err(RunError::Telemetry)?;
        }
        Ok(())
    }

    /// Takes a configuration over that differs in sections of processors only, if these can change while they run, and
    /// gives their ids. Otherwise it comes back, and everything has to be made again. What is wrong with it shows then.
    pub(crate) fn change(&mut self, loaded: Loaded) -> Result<Vec<String>, Box<Loaded>> {
        let sections = changed_processors(&self.loaded.root, &loaded.root).unwrap_or_default();
        // A reload without a change is asked for to read files again, such as certificates: that takes a restart.
        let prepared = if sections.is_empty() { None } else { self.service.prepare(&sections) };
        let Some(prepared) = prepared else { return Err(Box::new(loaded)) };
        for change in prepared {
            change();
        }
        self.loaded = loaded;
        Ok(sections.iter().map(|section| section.id.to_string()).collect())
    }

    /// Waits for what is better finished before a stop.
    pub(crate) async fn linger(&self) {
        self.service.linger().await;
    }

    /// Stops pipelines and extensions, then the readers: they show the last numbers until the end.
    pub(crate) async fn stop(&self) -> Result<(), ServiceError> {
        let service = self.service.shutdown().await;
        let mut outcome = Ok(());
        for pusher in &self.pushers {
            if let Err(error) = pusher.shutdown().await {
                outcome = Err(ServiceError(format!("failed to shutdown telemetry: {error}")));
            }
        }
        let pages = self.stop_pages().await;
        service.and(outcome).and(pages)
    }

    async fn stop_pages(&self) -> Result<(), ServiceError> {
        let mut outcome = Ok(());
        for page in &self.pages {
            if let Err(error) = page.shutdown().await {
                outcome = Err(ServiceError(format!("failed to shutdown telemetry: {error}")));
            }
        }
        outcome
    }
}

/// Sections of processors that differ, if nothing else does.
fn changed_processors(old: &Node, new: &Node) -> Option<Vec<Section>> {
    let same = |one: Option<&Node>, other: Option<&Node>| one.map(Node::to_yaml) == other.map(Node::to_yaml);
    let keys = |node: &Node| -> Vec<String> { node.entries().iter().map(|(key, _)| key.clone()).collect() };
    let everything_else =
        keys(old) == keys(new) && keys(old).iter().all(|key| key == "processors" || same(old.get(key), new.get(key)));
    let (old, new) = (old.get("processors")?, new.get("processors")?);
    if !everything_else || keys(old) != keys(new) {
        return None;
    }
    let changed = new.entries().iter().filter(|(key, value)| !same(old.get(key), Some(value)));
    changed
        .map(|(key, value)| {
            let id = Id::parse(key).ok()?;
            Some(Section { id, path: format!("processors::{key}"), value: value.clone() })
        })
        .collect()
}

/// Nothing for level `none`.
fn shown_level(level: MetricsLevel) -> Option<Level> {
    match level {
        MetricsLevel::None => None,
        MetricsLevel::Basic => Some(Level::Basic),
        MetricsLevel::Normal => Some(Level::Normal),
        MetricsLevel::Detailed => Some(Level::Detailed),
    }
}

fn page_options(level: Level, reader: &PullReader) -> Options {
    let labels = reader.with_resource_constant_labels.as_ref();
    Options {
        address: HostPort { host: reader.host.clone(), port: reader.port },
        level,
        scope_info: !reader.without_scope_info,
        units: !reader.without_units,
        type_suffix: !reader.without_type_suffix,
        resource_labels: labels.map(|labels| (labels.included.clone(), labels.excluded.clone())),
    }
}
