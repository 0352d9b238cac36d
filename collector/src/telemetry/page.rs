//! The page of own metrics: `http://localhost:8888/metrics` by default, in Prometheus' text format 0.0.4.
//!
//! Made from [`Registry::collect`] when it is asked for, with the level's omissions (a metric is always kept; the level
//! only decides whether it is shown).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use component::Clock;
use component::telemetry::Registry;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::push::snapshot;
use crate::exporters::prometheus::name::Strategy;
use crate::exporters::prometheus::text::{self, Escaping, Syntax};
use crate::exporters::prometheus::translate::{ResourceLabels, Target, Translator};
use crate::factory::{Lifecycle, StartError, Step};
use crate::net::address::HostPort;
use crate::net::compression::Algorithm;
use crate::net::listen::{Listener, Place, Transport};
use crate::net::serve::{Answer, Handler, Lifetime, Protocol, Reply, Running, Server};

/// How much is shown. With upstream's level `none` there is no page at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Without the batch processor's.
    Basic,
    /// Without what is costly to store.
    #[default]
    Normal,
    /// Everything.
    Detailed,
}

impl Level {
    /// True if a reader of this level has the metric.
    pub(super) fn shows(self, name: &str) -> bool {
        let detailed = matches!(
            name,
            "otelcol_processor_internal_duration"
                | "otelcol_exporter_queue_batch_send_size"
                | "otelcol_exporter_queue_batch_send_size_bytes"
                | "otelcol_exporter_enqueue_size"
                | "otelcol_exporter_enqueue_size_bytes"
                | "otelcol_processor_batch_batch_send_size_bytes"
        );
        match self {
            Self::Detailed => true,
            Self::Normal => !detailed,
            Self::Basic => !detailed && !name.starts_with("otelcol_processor_batch_"),
        }
    }
}

/// One pull reader.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub address: HostPort,
    /// How much is shown.
    pub level: Level,
    /// `otel_scope_*` labels.
    pub scope_info: bool,
    /// Units in names.
    pub units: bool,
    /// `_total` for counters.
    pub type_suffix: bool,
    /// Which resource attributes become labels of every series: patterns to take and to leave.
    pub resource_labels: Option<(Vec<String>, Vec<String>)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: HostPort { host: "localhost".to_owned(), port: 8888 },
            level: Level::Normal,
            scope_info: false,
            units: false,
            type_suffix: false,
            resource_labels: None,
        }
    }
}

/// The page and its server.
pub struct Page {
    address: HostPort,
    content: Arc<Content>,
    running: Running,
}

struct Content {
    registry: Registry,
    resource: Arc<[(String, String)]>,
    clock: Arc<dyn Clock>,
    level: Level,
    translator: Translator,
}

impl Page {
    /// Makes it; the socket is opened by [`Lifecycle::start`].
    #[must_use]
    pub fn new(options: Options, registry: Registry, resource: Arc<[(String, String)]>, clock: Arc<dyn Clock>) -> Self {
        let resource_labels = match options.resource_labels {
            None => ResourceLabels::None,
            Some((included, excluded)) => ResourceLabels::Patterns { included, excluded },
        };
        let translator = Translator {
            names: Strategy {
                namespace: String::new(),
                escape: true,
                unit_suffix: options.units,
                type_suffix: options.type_suffix,
            },
            scope_labels: options.scope_info,
            const_labels: Vec::new(),
            resource_labels,
            target: Target::Attributes,
            timestamps: false,
        };
        let content = Arc::new(Content { registry, resource, clock, level: options.level, translator });
        Self { address: options.address, content, running: Running::default() }
    }

    /// Where the page is, once started.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.address()
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        self.content.render()
    }
}

impl Content {
    fn render(&self) -> String {
        let all = snapshot(&self.registry, &self.resource, self.level, self.clock.unix_nano());
        let mut dropped = |name: &str, error: &dyn std::fmt::Display| {
            tracing::debug!(metric = name, error = %error, "A metric of the collector cannot be shown");
        };
        let families = self.translator.families(&[all], &mut dropped);
        text::write(&families, Syntax::Plain, Escaping::Underscores)
    }
}

impl Content {
    /// What components tell about themselves: `/debug/COMPONENT?QUERY`, and the list of those that do as `/debug/`.
    fn debug(&self, name: &str, query: &str, response: &mut Response<Reply>) {
        let (status, text) = match self.registry.ask(name, query) {
            _ if name.is_empty() => (StatusCode::OK, serde_json::json!(self.registry.report_names()).to_string()),
            Some(Ok(text)) => (StatusCode::OK, text),
            Some(Err(why)) => (StatusCode::BAD_REQUEST, serde_json::json!({ "error": why }).to_string()),
            None => {
                let why = format!("no component {name:?} has something to tell; /debug/ lists those that have");
                (StatusCode::NOT_FOUND, serde_json::json!({ "error": why }).to_string())
            }
        };
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Reply::data(Bytes::from(text + "\n"));
    }
}

impl Handler for Content {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let mut response = Response::new(Reply::default());
            if let Some(name) = request.uri().path().strip_prefix("/debug/") {
                self.debug(name, request.uri().query().unwrap_or_default(), &mut response);
                return response;
            }
            if request.uri().path() != "/metrics" {
                *response.status_mut() = StatusCode::NOT_FOUND;
                *response.body_mut() = Reply::data(Bytes::from_static(b"404 page not found\n"));
                return response;
            }
            if request.method() != Method::GET && request.method() != Method::HEAD {
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                return response;
            }
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            );
            let page = Bytes::from(self.render());
            let takes_gzip = request.headers().get_all(ACCEPT_ENCODING).iter().any(|value| {
                value
                    .to_str()
                    .is_ok_and(|text| text.split(',').any(|name| name.trim().split(';').next() == Some("gzip")))
            });
            let packed = if takes_gzip { Algorithm::Gzip.encode(std::slice::from_ref(&page), None).ok() } else { None };
            if packed.is_some() {
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            *response.body_mut() = Reply::data(packed.unwrap_or(page));
            response
        })
    }
}

impl Lifecycle for Page {
    fn start(&self) -> Step<'_> {
        Box::pin(async move {
            let place = Place::Tcp(Transport::Tcp, self.address.clone());
            let listener = Listener::bind(&place).await.map_err(StartError)?;
            let address = listener.local_address();
            let handler = Arc::clone(&self.content) as Arc<dyn Handler>;
            let server = Server::spawn(listener, None, Protocol::Auto(Protocol::auto()), Lifetime::default(), handler);
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
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use component::ManualClock;
    use component::telemetry::{Definition, Registry};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Level, Options, Page};
    use crate::factory::Lifecycle;
    use crate::net::address::HostPort;

    const SPANS: Definition = Definition {
        name: "otelcol_receiver_accepted_spans",
        unit: "{span}",
        description: "Number of spans",
        scope: "go.opentelemetry.io/collector/receiver/receiverhelper",
    };
    const UPTIME: Definition =
        Definition { name: "otelcol_process_uptime", unit: "s", description: "Uptime", scope: "service" };
    const BATCH: Definition = Definition {
        name: "otelcol_processor_batch_batch_size_trigger_send",
        unit: "{time}",
        description: "Times",
        scope: "batch",
    };

    fn page(options: Options) -> Page {
        let registry = Registry::new(0);
        registry.counter(SPANS, &[("receiver", "otlp"), ("transport", "grpc")]).add(7);
        registry.observe_counter(UPTIME, &[], Box::new(|| 1.5));
        registry.counter(BATCH, &[("processor", "batch")]).add(1);
        let report = |query: &str| if query.is_empty() { Err("what?".to_owned()) } else { Ok(format!("{query:?}")) };
        registry.report("part/one", Box::new(report));
        let resource = [("service.name".to_owned(), "ottlcol".to_owned())];
        Page::new(options, registry, Arc::new(resource), Arc::new(ManualClock::default()))
    }

    #[test]
    fn names_are_upstreams_in_both_forms() {
        insta::assert_snapshot!("default", page(Options::default()).render());
        let all = Options {
            scope_info: true,
            units: true,
            type_suffix: true,
            resource_labels: Some((vec!["service.*".to_owned()], Vec::new())),
            ..Options::default()
        };
        insta::assert_snapshot!("suffixes_and_labels", page(all).render());
    }

    #[test]
    fn levels_leave_out() {
        let shown = |level| page(Options { level, ..Options::default() }).render().contains("processor_batch");
        assert!(!shown(Level::Basic) && shown(Level::Normal));
        assert!(
            !Level::Normal.shows("otelcol_exporter_enqueue_size")
                && Level::Detailed.shows("otelcol_exporter_enqueue_size")
        );
    }

    #[tokio::test]
    async fn serves_the_page() {
        let page = page(Options { address: HostPort { host: "127.0.0.1".to_owned(), port: 0 }, ..Options::default() });
        page.start().await.unwrap();
        let get = async |head: &str| {
            let mut stream = tokio::net::TcpStream::connect(page.address().unwrap()).await.unwrap();
            stream.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        };
        let answer = get("GET /metrics HTTP/1.1").await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4") && answer.ends_with(&page.render()));
        assert!(get("GET / HTTP/1.1").await.starts_with("HTTP/1.1 404"));
        let asked = get("GET /debug/part/one?n=5 HTTP/1.1").await;
        assert!(asked.contains("application/json") && asked.ends_with("\r\n[\"n=5\"]\n"), "{asked}");
        assert!(get("GET /debug/part/one HTTP/1.1").await.starts_with("HTTP/1.1 400"));
        assert!(get("GET /debug/other HTTP/1.1").await.starts_with("HTTP/1.1 404"));
        assert!(get("GET /debug/ HTTP/1.1").await.ends_with("[\"part/one\"]\n"));
        assert!(get("POST /metrics HTTP/1.1").await.starts_with("HTTP/1.1 405"));
        assert!(get("GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip, br").await.contains("content-encoding: gzip"));
        page.shutdown().await.unwrap();
    }
}
