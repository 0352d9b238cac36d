//! The `health_check` extension: a page that probes ask whether the collector is up.
//!
//! Readiness follows the pipelines: 200 once all have started, 503 from the first moment of a stop, so that a load
//! balancer turns away before receivers close. Liveness is only about this program, see [`crate::health`]: a backend
//! that is down or a memory limiter that refuses must not get a collector killed with all that it holds.

mod config;
mod page;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use component::Clock;

pub use config::{Config, ResponseBody};

use self::config::DEFAULTS;
use self::page::Page;
use crate::config::{Problems, Section};
use crate::factory::{Context, ExtensionPlan, Factory, Lifecycle, StartError, Step};
use crate::net::serve::Running;

/// The factory.
pub const FACTORY: Factory<dyn ExtensionPlan> = Factory { kind: "health_check", alias: None, stability: "beta", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExtensionPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config }) as _)
    })
}

struct Plan {
    config: Config,
}

impl ExtensionPlan for Plan {
    fn make(&self, context: &Context) -> Result<Arc<dyn Lifecycle>, StartError> {
        Ok(Arc::new(HealthCheck::new(self.config.clone(), context)))
    }
}

/// The one instance of a configured extension.
pub struct HealthCheck {
    config: Config,
    clock: Arc<dyn Clock>,
    page: Arc<Page>,
    running: Running,
}

impl HealthCheck {
    /// Makes it; nothing is opened yet.
    #[must_use]
    pub fn new(config: Config, context: &Context) -> Self {
        let page = Arc::new(Page {
            path: config.own.path.clone(),
            body: config.own.response_body.clone(),
            stuck_after: config.own.stuck_after.span(),
            response_headers: config.server.response_headers(),
            health: context.health.clone(),
            clock: Arc::clone(&context.clock),
            ready: Mutex::default(),
            broken: AtomicBool::new(false),
        });
        Self { config, clock: Arc::clone(&context.clock), page, running: Running::default() }
    }

    /// Where the page is, once started on TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.address()
    }
}

impl Lifecycle for HealthCheck {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            let serving = self.config.server.serve(&DEFAULTS, &self.clock, Arc::clone(&self.page) as _);
            let (server, address) = serving.await.map_err(StartError)?;
            tracing::info!(
                endpoint = address.map(tracing::field::display),
                path = self.config.own.path,
                "Starting health_check extension"
            );
            self.running.set(server, address);
            Ok(())
        })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            self.running.shutdown().await;
            Ok(())
        })
    }

    fn pipelines_ready(&self, ready: bool) {
        self.page.set_ready(ready);
    }
}
