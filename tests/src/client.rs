//! Clients that send what a case needs: OTLP requests made from a few words, over gRPC and over HTTP.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use crate::{Failure, Outcome};

/// A string attribute.
#[must_use]
pub fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// A span of `duration_ms` that starts at a fixed time; `error` sets its status.
#[must_use]
pub fn span(trace_id: [u8; 16], number: u8, name: &str, duration_ms: u64, error: bool) -> Span {
    let start = 1_700_000_000_000_000_000;
    Span {
        trace_id: trace_id.to_vec(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, number],
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + duration_ms * 1_000_000,
        status: error.then(|| Status { code: 2, message: "failed".to_owned() }),
        ..Span::default()
    }
}

/// One request of one service.
#[must_use]
pub fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() };
    let scope = InstrumentationScope { name: "e2e".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    }
}

/// Sends over gRPC and waits for the answer.
pub fn send_grpc(port: u16, request: ExportTraceServiceRequest) -> Result<(), tonic::Status> {
    let failed = |error: &dyn std::fmt::Display| tonic::Status::unknown(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
    runtime.block_on(async {
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut client = TraceServiceClient::connect(endpoint).await.map_err(|e| failed(&e))?;
        client.export(request).await.map(|_| ())
    })
}

/// Sends one after another over one gRPC connection, each when the one before is answered.
pub fn send_all(port: u16, requests: &[ExportTraceServiceRequest]) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| Failure(format!("sending to port {port}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut client = TraceServiceClient::connect(endpoint).await.map_err(|error| failed(&error))?;
        for request in requests {
            client.export(request.clone()).await.map_err(|error| failed(&error))?;
        }
        Ok(())
    })
}

/// Posts a body and gives the status and the answer's text.
pub fn post(url: &str, content_type: &str, body: &[u8]) -> Outcome<(u16, String)> {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut answer = agent
        .post(url)
        .header("content-type", content_type)
        .send(body)
        .map_err(|error| Failure(format!("POST {url}: {error}")))?;
    let text = answer.body_mut().read_to_string().map_err(|error| Failure(format!("POST {url}: {error}")))?;
    Ok((answer.status().as_u16(), text))
}
