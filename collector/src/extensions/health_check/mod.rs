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
use std::sync::{Arc, Mutex, PoisonError};

use component::Clock;
use http::{HeaderName, HeaderValue};

pub use config::{Config, ResponseBody};

use self::page::Page;
use crate::config::{Problems, Secret, Section};
use crate::factory::{Context, ExtensionPlan, Factory, Lifecycle, StartError, Step};
use crate::net::listen::Listener;
use crate::net::serve::{Lifetime, Protocol, Server};
use crate::net::tls;

/// The factory.
pub const FACTORY: Factory<dyn ExtensionPlan> = Factory { kind: "health_check", alias: None, stability: "beta", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ExtensionPlan>> {
    let before = problems.list().len();
    let config: Config = section.decode(problems)?;
    config.check(&section.path, problems);
    (problems.list().len() == before).then(|| Box::new(Plan { config }) as Box<dyn ExtensionPlan>)
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
    server: Mutex<Option<(Server, Option<SocketAddr>)>>,
}

impl HealthCheck {
    /// Makes it; nothing is opened yet.
    #[must_use]
    pub fn new(config: Config, context: &Context) -> Self {
        let header = |(name, value): (&String, &Secret)| {
            // Both were checked with the configuration.
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.reveal()).ok()?))
        };
        let page = Arc::new(Page {
            path: config.path.clone(),
            body: config.response_body.clone(),
            stuck_after: config.stuck_after.span(),
            response_headers: config.response_headers.iter().filter_map(header).collect(),
            health: context.health.clone(),
            clock: Arc::clone(&context.clock),
            ready: Mutex::default(),
            broken: AtomicBool::new(false),
        });
        Self { config, clock: Arc::clone(&context.clock), page, server: Mutex::default() }
    }

    /// Where the page is, once started on TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.1
    }

    async fn serve(&self) -> Result<(Server, Option<SocketAddr>), String> {
        let alpn = ["h2", "http/1.1"];
        let tls = self.config.tls.as_ref().map(|tls| tls::Acceptor::load(tls, &alpn, &self.clock)).transpose()?;
        let place = self.config.place()?;
        let listener =
            Listener::bind(&place).await.map_err(|error| format!("failed to bind to address {place}: {error}"))?;
        let address = listener.local_address();
        let mut builder = Protocol::auto();
        builder.http1().keep_alive(self.config.keep_alives_enabled).header_read_timeout(self.config.head_timeout());
        let lifetime = Lifetime { max_idle: self.config.idle_timeout(), ..Lifetime::default() };
        Ok((Server::spawn(listener, tls, Protocol::Auto(builder), lifetime, Arc::clone(&self.page) as _), address))
    }
}

impl Lifecycle for HealthCheck {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            let (server, address) = self.serve().await.map_err(StartError)?;
            tracing::info!(endpoint = ?address, path = self.config.path, "Starting health_check extension");
            *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some((server, address));
            Ok(())
        })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((server, _)) = server {
                server.shutdown().await;
            }
            Ok(())
        })
    }

    fn pipelines_ready(&self, ready: bool) {
        self.page.set_ready(ready);
    }
}
