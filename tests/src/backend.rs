//! An OTLP/gRPC backend that remembers every span it was sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use crate::Outcome;

/// What arrived: spans by trace id (hex), with the service that sent them.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Spans by trace id.
    pub traces: BTreeMap<String, Vec<(String, Span)>>,
    /// Attributes of the resource that a trace's last spans came with, as text.
    pub resources: BTreeMap<String, BTreeMap<String, String>>,
    /// Requests.
    pub requests: usize,
}

impl Arrived {
    /// Number of spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.traces.values().map(Vec::len).sum()
    }
}

/// A backend on a free port; stops when dropped.
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Backend {
    /// Starts it on a free port.
    pub fn start() -> Outcome<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts it on this address.
    pub fn start_on(address: SocketAddr) -> Outcome<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let arrived = Arc::<Mutex<Arrived>>::default();
        let service = TraceServiceServer::new(Service(Arc::clone(&arrived)))
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(256 << 20);
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Ok(Self { address, arrived, runtime: Some(runtime) })
    }

    /// The resources that these traces came with, once all have arrived.
    #[must_use]
    pub fn resources(&self, ids: &[String]) -> Option<Vec<BTreeMap<String, String>>> {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().map(|id| arrived.resources.get(id).cloned()).collect()
    }

    /// What has arrived so far.
    #[must_use]
    pub fn arrived(&self) -> Arrived {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Number of spans that have arrived so far.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).span_count()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Service(Arc<Mutex<Arrived>>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.requests += 1;
        for resource in request.into_inner().resource_spans {
            let service = service_name(&resource);
            let attributes = texts(&resource);
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let id: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
                arrived.resources.insert(id.clone(), attributes.clone());
                arrived.traces.entry(id).or_default().push((service.clone(), span));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(resource: &opentelemetry_proto::tonic::trace::v1::ResourceSpans) -> BTreeMap<String, String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    let text = |value: Option<&Value>| match value {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref().and_then(|value| value.value.as_ref()))))
        .collect()
}

fn service_name(resource: &opentelemetry_proto::tonic::trace::v1::ResourceSpans) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    let found = attributes.iter().find(|attribute| attribute.key == "service.name");
    match found.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}
