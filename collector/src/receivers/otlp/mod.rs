//! The `otlp` receiver: OTLP over gRPC and HTTP, with upstream's answers (status codes, texts, headers).
//!
//! A request body is indexed where it lies and goes on as the same bytes; nothing is decoded into structs. Only signals
//! that a pipeline asks for are served. Shutdown waits for requests under way; see [`crate::net::serve`].

mod config;
mod cors;
mod grpc;
mod http;
mod intake;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use component::{Clock, Signal};

pub use config::Config;

use crate::config::{Problems, Section};
use crate::factory::{Context, Factory, Lifecycle, Outputs, ReceiverPlan, StartError, Step};
use crate::net::listen::Listener;
use crate::net::serve::{Lifetime, Protocol, Running, Server};
use crate::net::tls;

/// The factory.
pub const FACTORY: Factory<dyn ReceiverPlan> = Factory { kind: "otlp", alias: None, stability: "stable", parse };

fn parse(section: &Section, problems: &mut Problems) -> Option<Box<dyn ReceiverPlan>> {
    section.read(problems, |config: Config, problems| {
        config.check(&section.path, problems);
        Some(Box::new(Plan { config }) as _)
    })
}

struct Plan {
    config: Config,
}

impl ReceiverPlan for Plan {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Traces, Signal::Metrics]
    }

    fn make(&self, context: &Context, outputs: Outputs) -> Result<Arc<dyn Lifecycle>, StartError> {
        Ok(Arc::new(Receiver::new(self.config.clone(), context, &outputs)))
    }
}

/// The one instance of a configured receiver.
pub struct Receiver {
    config: Config,
    grpc: Option<Arc<grpc::Service>>,
    http: Option<Arc<http::Service>>,
    clock: Arc<dyn Clock>,
    servers: Servers,
}

#[derive(Default)]
struct Servers {
    http: Running,
    grpc: Running,
}

impl Receiver {
    /// Makes it; nothing is opened yet.
    #[must_use]
    pub fn new(config: Config, context: &Context, outputs: &Outputs) -> Self {
        let intake = |transport| intake::Intake::new(&context.id, transport, outputs, &context.registry);
        let grpc = config
            .protocols
            .grpc
            .as_ref()
            .map(|grpc| Arc::new(grpc::Service { intake: intake("grpc"), max_message: grpc.max_message() }));
        let http = config.protocols.http.as_ref().map(|http| {
            Arc::new(http::Service {
                intake: intake("http"),
                traces_path: http.traces_path(),
                metrics_path: http.metrics_path(),
                max_body: http.max_body(),
                encodings: http.server.compression_algorithms.clone(),
                read_timeout: http.server.read_timeout.positive(),
                response_headers: http.server.response_headers(),
                cors: http.server.cors.as_ref().and_then(cors::Cors::new),
            })
        });
        Self { config, grpc, http, clock: Arc::clone(&context.clock), servers: Servers::default() }
    }

    /// Where gRPC listens, once started on TCP.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.servers.grpc.address()
    }

    /// Where HTTP listens, once started on TCP.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.servers.http.address()
    }

    async fn start_grpc(&self, config: &config::Grpc, service: Arc<grpc::Service>) -> Result<(), String> {
        let tls = config.tls.as_ref().map(|tls| tls::Acceptor::load(tls, &["h2"], &self.clock)).transpose()?;
        let listener = Listener::bind(&config.place()?).await?;
        let parameters = config.keepalive.as_ref().and_then(|keepalive| keepalive.server_parameters.as_ref());
        let mut builder = Protocol::http2();
        builder
            .max_concurrent_streams(Some(config.max_concurrent_streams).filter(|limit| *limit > 0))
            // grpc-go's defaults.
            .keep_alive_interval(parameters.and_then(|p| p.time.positive()).unwrap_or(Duration::from_secs(7200)))
            .keep_alive_timeout(parameters.and_then(|p| p.timeout.positive()).unwrap_or(Duration::from_secs(20)));
        let lifetime = parameters.map_or_else(Lifetime::default, |parameters| Lifetime {
            max_age: parameters.max_connection_age.positive(),
            max_age_grace: parameters.max_connection_age_grace.positive(),
            max_idle: parameters.max_connection_idle.positive(),
        });
        let address = listener.local_address();
        tracing::info!(endpoint = %describe(&config.place()?, address), "Starting GRPC server");
        let server = Server::spawn(listener, tls, Protocol::Http2(builder), lifetime, service);
        self.servers.grpc.set(server, address);
        Ok(())
    }

    async fn start_http(&self, config: &config::Http, service: Arc<http::Service>) -> Result<(), String> {
        let defaults = config.defaults();
        let (server, address) = config.server.serve(&defaults, &self.clock, service).await?;
        tracing::info!(endpoint = %describe(&config.server.place(&defaults)?, address), "Starting HTTP server");
        self.servers.http.set(server, address);
        Ok(())
    }
}

fn describe(place: &crate::net::listen::Place, address: Option<SocketAddr>) -> String {
    address.map_or_else(|| place.to_string(), |address| address.to_string())
}

impl Lifecycle for Receiver {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            if let Some((config, service)) = self.config.protocols.grpc.as_ref().zip(self.grpc.clone()) {
                self.start_grpc(config, service).await.map_err(StartError)?;
            }
            if let Some((config, service)) = self.config.protocols.http.as_ref().zip(self.http.clone()) {
                self.start_http(config, service).await.map_err(StartError)?;
            }
            Ok(())
        })
    }

    fn shutdown(&self) -> Step<'_> {
        Box::pin(async move {
            // Upstream's order.
            self.servers.http.shutdown().await;
            self.servers.grpc.shutdown().await;
            Ok(())
        })
    }
}
